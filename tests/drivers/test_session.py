"""A session: how much waits in the kernel, that no byte is lost or repeated, and a stop first."""

from __future__ import annotations

import os
import pty
import re
import select
import termios
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain, cycle, repeat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.errors import PortError
from drivers.host.config import HostConfig
from drivers.host.links import open_serial
from drivers.profile import FirmwareProfile, load_profile
from drivers.replay import read_log, replay
from drivers.session import QUEUE_TIME, Session
from drivers.snapshot import Event, Phase
from drivers.wirelog import WireLog, pieces

MARLIN = replace(load_profile("marlin-2"), boot_wait_s=0.01)
GRBL = replace(load_profile("grbl-1.1"), boot_wait_s=0.01)
# So wide that the kernel's queue is the limit, as with a board of a large buffer.
WIDE = replace(MARLIN, rx_bytes=4096, command_queue=64)
SLOW = replace(WIDE, baud=9600)

_NUMBERED = re.compile(rb"N(\d+) ?(.*?) *\*\d+")
_STATUS = b"<Idle|MPos:0.000,0.000,0.000|FS:0,0>\n"


class Wire:
    """A kernel's queue and a board behind it that answers whole lines.

    :param takes: how many bytes each write finds room for.
    """

    def __init__(self, takes: Iterator[int] | None = None) -> None:
        self.takes = takes
        self.kernel = b""
        self.most = 0
        self.crossed = b""  # all that has reached the board
        self.lines: list[bytes] = []
        self.said = b""
        self.answers = True
        self.answers_blanks = False  # as a Grbl does and a Marlin does not
        self.gone = False
        self.calls: list[str] = []
        self.asked = 0  # how often it was asked for its queue
        self._line = b""

    def fileno(self) -> int:
        return -1

    def read(self) -> bytes:
        if self.gone:
            raise PortError("port.lost", port="wire")
        said, self.said = self.said, b""
        return said

    def write(self, data: bytes) -> int:
        if self.gone:
            raise PortError("port.lost", port="wire")
        fits = len(data) if self.takes is None else min(next(self.takes), len(data))
        self.kernel += data[:fits]
        self.most = max(self.most, len(self.kernel))
        return fits

    def queued(self) -> int:
        self.asked += 1
        return len(self.kernel)

    def discard_output(self) -> None:
        self.calls.append("discard")
        self.kernel = b""

    def reset_on_close(self) -> None:
        self.calls.append("reset")

    def close(self) -> None:
        self.calls.append("close")

    def move(self, count: int = 1 << 20) -> None:
        """Let some bytes leave the kernel, and the board answer what is whole."""
        gone, self.kernel = self.kernel[:count], self.kernel[count:]
        self.crossed += gone
        if self.answers:
            self.said += _STATUS * gone.count(b"?")
        *lines, self._line = (self._line + gone.replace(b"?", b"")).split(b"\n")
        for line in lines:
            self.lines.append(line)
            if self.answers and (line or self.answers_blanks):
                self.said += _answer(line)


def _answer(line: bytes) -> bytes:
    if b"M105" in line:
        return b"ok T:20.0 /0.0 B:20.0 /0.0 @:0 B@:0\n"
    if b"M115" in line:
        return b"FIRMWARE_NAME:Marlin test SOURCE_CODE_URL:x\nok\n"
    return b"ok\n"


class Lines:
    def __init__(self, count: int) -> None:
        self.texts = [b"G1 X%d.%03d E%d" % (n, n * 7 % 1000, n) for n in range(count)]

    def __len__(self) -> int:
        return len(self.texts)

    def line(self, index: int) -> bytes:
        return self.texts[index]

    def source_line(self, index: int) -> int:
        return index + 1


class Bench:
    """A session on a fake wire, on one clock."""

    def __init__(self, profile: FirmwareProfile, wire: Wire, *, is_express: bool = False) -> None:
        self.wire = wire
        self.is_express = is_express
        self.shortened = 0  # turns that the express lane was gone
        wire.answers_blanks = profile.dialect == "grbl"
        self.events: list[Event] = []
        self.session = Session(wire, profile, self.events.append)
        self.now = 0.0

    def turn(self, count: int = 1 << 20) -> None:
        due = self.session.deadline()
        later = self.now + 0.001
        self.now = later if due is None else max(later, min(due, self.now + 0.05))
        self.session.ready(self.now)
        self.wire.move(count)
        if self.is_express:

            def wait(milliseconds: float) -> list[tuple[int, int]]:
                self.now += min(0.001, milliseconds / 1000.0)
                self.wire.move(count)
                return [(-1, select.POLLIN)] if self.wire.said else []

            self.shortened += self.session.express(wait, lambda: self.now, self.now + 0.2)

    def until(self, true: Callable[[], bool], count: int = 1 << 20, turns: int = 2000) -> None:
        for _ in range(turns):
            if true():
                return
            self.turn(count)
        raise AssertionError(self.session.snapshot(self.now))

    @property
    def phase(self) -> Phase:
        return self.session.snapshot(self.now).phase

    def ready(self, program: Lines | None = None) -> None:
        self.until(lambda: self.phase is Phase.IDLE)
        if program is not None:
            assert self.session.start(program, self.now)

    def bring_to(self, phase: Phase) -> None:
        """Come to *phase* with something in the kernel's queue."""
        if phase is Phase.CONNECTING:
            self.session.connect(self.now)
        elif phase is Phase.IDLE:
            self.ready()
        else:
            self.ready(Lines(500))
            self.until(lambda: self.session.snapshot(self.now).acked > 10)
        match phase:
            case Phase.PAUSED:
                self.session.pause(self.now)
            case Phase.CANCELLING:
                self.session.cancel(self.now)
            case Phase.STOPPED:
                self.session.stop(self.now)
            case Phase.FAULT:
                self.wire.said += b"ALARM:1\n" if self.wire.answers_blanks else b"start\n"
                self.session.ready(self.now)
        assert self.phase is phase
        if not self.wire.kernel:
            self.wire.write(b"G1 X1 half a li")


@pytest.mark.parametrize("is_express", [False, True], ids=["long", "express"])
@pytest.mark.parametrize("profile", [WIDE, SLOW, GRBL], ids=["wide", "slow", "grbl"])
def test_no_more_than_20_ms_of_bytes_wait_in_the_kernel(
    profile: FirmwareProfile, is_express: bool
) -> None:
    wire = Wire()
    bench = Bench(profile, wire, is_express=is_express)
    bench.ready(Lines(300))
    bench.until(lambda: bench.phase is Phase.IDLE, count=40)
    limit = max(profile.baud / 10 * QUEUE_TIME, 16)
    assert wire.most <= limit
    assert (bench.shortened > 0) == is_express
    if profile is not GRBL:
        assert wire.most > limit / 2, "and the queue is made use of"


def test_the_kernel_is_asked_how_much_waits_only_when_it_could_be_too_much() -> None:
    bench = Bench(MARLIN, Wire())
    bench.ready(Lines(300))
    bench.wire.asked = 0
    bench.until(lambda: bench.session.snapshot(bench.now).acked > 200)
    assert 0 < bench.wire.asked < 20


def test_a_session_looks_again_while_the_kernel_has_no_room() -> None:
    bench = Bench(SLOW, Wire())
    bench.ready(Lines(300))
    bench.session.ready(bench.now)
    due = bench.session.deadline()
    assert due is not None
    assert bench.now < due <= bench.now + QUEUE_TIME
    assert not bench.session.wants_write, "there is room in the kernel, only we do not want it"


def test_a_session_waits_for_a_kernel_that_took_less_than_was_given() -> None:
    wire = Wire()
    bench = Bench(WIDE, wire)
    bench.ready()
    wire.takes = cycle([3])
    bench.session.start(Lines(300), bench.now)
    assert bench.session.wants_write
    wire.takes = None
    bench.turn()
    assert not bench.session.wants_write


@given(
    takes=st.lists(st.integers(0, 60), min_size=1, max_size=20).filter(any),
    leaves=st.lists(st.integers(1, 200), min_size=1, max_size=5),
    profile=st.sampled_from([WIDE, SLOW, MARLIN, GRBL]),
    is_express=st.booleans(),
)
@settings(deadline=None, max_examples=100)
def test_partial_writes_lose_and_repeat_nothing(
    takes: list[int], leaves: list[int], profile: FirmwareProfile, is_express: bool
) -> None:
    wire = Wire()
    bench = Bench(profile, wire, is_express=is_express)
    program = Lines(20 if not is_express else 60)
    bench.ready(program)
    wire.lines.clear()
    wire.takes = cycle(takes)
    out = cycle(leaves)
    for _ in range(6000):
        if bench.phase is Phase.IDLE:
            break
        bench.turn(next(out))
    assert bench.phase is Phase.IDLE
    sent = [line for line in wire.lines if b"G1" in line]
    if profile is GRBL:
        assert sent == program.texts
        return
    found = [_NUMBERED.fullmatch(line) for line in sent]
    assert [match[2] for match in found if match] == program.texts
    numbers = [int(m[1]) for line in wire.lines if (m := _NUMBERED.fullmatch(line))]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_whoever_else_speaks_ends_the_lane_before_a_byte_is_read() -> None:
    bench = Bench(MARLIN, Wire(), is_express=True)
    bench.ready(Lines(300))
    bench.until(lambda: bench.shortened > 2)
    bench.session.ready(bench.now)
    bench.wire.move()
    said, acked = bench.wire.said, bench.session.reached().acked
    assert said
    both = [(-1, select.POLLIN), (7, select.POLLIN)]
    assert bench.session.express(lambda _: both, lambda: bench.now, bench.now + 0.2)
    assert (bench.wire.said, bench.session.reached().acked) == (said, acked)


def test_what_left_of_a_piece_on_the_lane_is_logged_as_it_left(tmp_path: Path) -> None:
    wire = Wire()
    bench = Bench(MARLIN, wire, is_express=True)
    bench.ready()
    log = WireLog(tmp_path, "r1")
    bench.session.record(log)
    wire.takes = cycle([60, 7, 0, 30])
    program = Lines(60)
    assert bench.session.start(program, bench.now)
    bench.until(lambda: bench.phase is Phase.IDLE, turns=6000)
    assert bench.shortened > 10
    log.close()
    stream = b"".join(text + b"\n" for text in program.texts)
    assert replay(read_log(pieces(tmp_path, "r1")), stream).difference is None


OFF = {
    "marlin-2": [line.encode() for line in MARLIN.switch_off],
    "grbl-1.1": [line.encode() for line in GRBL.switch_off],
}
FIRST = {"marlin-2": b"\nM112\n", "grbl-1.1": b"\x18"}


@pytest.mark.parametrize("phase", list(Phase))
@pytest.mark.parametrize("profile", [MARLIN, WIDE, GRBL], ids=["marlin", "wide", "grbl"])
def test_a_stop_in_any_phase_goes_before_what_was_queued(
    profile: FirmwareProfile, phase: Phase
) -> None:
    wire = Wire()
    bench = Bench(profile, wire)
    bench.bring_to(phase)
    before = wire.crossed
    wire.answers = False
    assert bench.session.stop(bench.now)
    assert wire.kernel.startswith(FIRST[profile.name]), "in the kernel when stop returns"
    wire.move()
    left = wire.crossed[len(before) :].removeprefix(FIRST[profile.name])
    assert set(left.split(b"\n")) <= {b"", *OFF[profile.name]}
    assert bench.phase is Phase.STOPPED


@given(
    takes=st.lists(st.integers(0, 8), min_size=1, max_size=12).filter(any),
    moved=st.integers(0, 400),
    profile=st.sampled_from([MARLIN, WIDE, GRBL]),
)
@settings(deadline=None, max_examples=60)
def test_a_stop_through_a_kernel_that_takes_a_byte_now_and_then(
    takes: list[int], moved: int, profile: FirmwareProfile
) -> None:
    wire = Wire()
    bench = Bench(profile, wire)
    bench.ready(Lines(100))
    bench.turn(moved)
    bench.turn(moved)
    wire.answers = False
    wire.takes = cycle(takes)
    before = len(wire.crossed)
    bench.session.stop(bench.now)
    for _ in range(100):
        bench.now += 0.005
        bench.session.ready(bench.now)
        wire.move(5)
    assert wire.crossed[before:].startswith(FIRST[profile.name])


def test_a_stop_is_the_last_word_until_somebody_asks_for_more() -> None:
    wire = Wire()
    bench = Bench(MARLIN, wire)
    bench.ready(Lines(100))
    bench.turn(50)
    wire.answers = False
    bench.session.stop(bench.now)
    before = len(wire.lines)
    for _ in range(2000):
        bench.turn()
    said = [line for line in wire.lines[before:] if line]
    assert said == [*said[:1], b"M112", *OFF["marlin-2"]][-len(said) :]
    assert not bench.session.start(Lines(3), bench.now)


def test_a_realtime_byte_that_found_no_room_goes_before_the_lines_that_found_none() -> None:
    wire = Wire()
    bench = Bench(GRBL, wire)
    bench.ready()
    wire.takes = chain([1, 5], repeat(0))
    bench.session.start(Lines(20), bench.now)
    assert wire.kernel == b"?G1 X0"
    bench.session.pause(bench.now)
    wire.kernel, wire.takes = b"", None
    bench.session.ready(bench.now)
    assert wire.kernel.startswith(b"!.000 E0\nG1")


def test_what_is_asked_for_comes_back_as_the_engine_sees_it() -> None:
    bench = Bench(MARLIN, Wire())
    session = bench.session
    assert session.deadline() == 0.0, "it begins by itself"
    bench.ready()
    assert not session.pause(bench.now)
    assert not session.resume(bench.now)
    assert not session.cancel(bench.now)
    assert session.command(b"M106 S10", bench.now)
    assert b"M106 S10" in bench.wire.kernel
    assert session.start(Lines(50), bench.now)
    assert session.pause(bench.now)
    bench.until(lambda: "paused" in [event.kind for event in bench.events])
    assert session.resume(bench.now)
    assert session.cancel(bench.now)
    bench.until(lambda: bench.phase is Phase.IDLE)
    assert bench.events[-1].kind in ("cancelled", "temperature_read")


def test_a_reset_is_asked_for_before_the_port_is_given_back() -> None:
    bench = Bench(MARLIN, Wire())
    bench.session.reset_on_close()
    bench.session.close()
    assert bench.wire.calls == ["reset", "close"]


def test_a_firmware_without_a_reset_line_is_told_to_start_anew() -> None:
    bench = Bench(load_profile("klipper"), Wire())
    bench.session.reset_on_close()
    assert bench.wire.kernel == b"\nFIRMWARE_RESTART\n"
    assert bench.wire.calls[-1] == "reset"


def test_a_board_is_reset_when_the_port_is_opened_again_only_if_asked_for() -> None:
    for asked in (False, True):
        master, slave = pty.openpty()
        config = _config(Path(os.ttyname(slave)), 115200)
        session = open_serial(config, lambda event: None, 0.0)
        if asked:
            session.reset_on_close()
        session.close()
        assert bool(termios.tcgetattr(slave)[2] & termios.HUPCL) is asked
        os.close(slave)
        os.close(master)


def test_a_lost_port_is_said_by_every_call() -> None:
    bench = Bench(MARLIN, Wire())
    bench.ready()
    bench.wire.gone = True
    for call in (bench.session.ready, bench.session.stop, bench.session.connect):
        with pytest.raises(PortError, match=r"port\.lost"):
            call(bench.now)


def test_the_time_of_bytes_is_that_of_the_machine_and_not_of_its_profile() -> None:
    master, slave = pty.openpty()
    session = open_serial(_config(Path(os.ttyname(slave)), 57600), lambda event: None, 0.0)
    assert session._profile.baud == 57600
    session.close()
    os.close(slave)
    os.close(master)


def _config(port: Path, baud: int) -> HostConfig:
    return HostConfig(
        machine="anna",
        kind="fdm",
        port=str(port),
        baud=baud,
        profile=MARLIN,
        limits_sha256="limits",
        socket=Path("socket"),
        state_dir=Path("state"),
    )
