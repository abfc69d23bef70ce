"""The express lane of every engine against the long way: same bytes, same events, same memory."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import Phase as HPhase
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.engine import stream_engine
from drivers.engine.state import dump
from drivers.express import Lane
from drivers.profile import FirmwareProfile, load_profile
from drivers.snapshot import Event, Phase
from tests.drivers.engine import grbl_model, marlin_model

# Each flow of the engines: numbers in a small window and in a wide one, one line at a time, and
# counted characters.
PROFILES = {
    "marlin-2": {},
    "marlin-2, wide": {"rx_bytes": 300, "command_queue": 12},
    "klipper": {},
    "grbl-1.1": {},
    "fluidnc": {},
    "grbl-1.1, one": {"flow": load_profile("klipper").flow},
}
ODD = [b"G28", b"M106 S9", b"G91", b"G90", b"M109 S200", b"G92 E0", b"M400"]
ODD_OF_A_MILL = [b"M3 S900", b"G10 L2 P1 X1", b"G91", b"G90", b"G4 P1", b"M6 T2", b""]
ORDERS = ["pause", "resume", "cancel", "stop", "command", "answer_prompt"]
NOISE = [b"ok", b"\n", b"echo:busy: x\n", b"wait\n", b"ok N3 P15 B3\n", b"Resend: 5\n", b"ok\nok\n"]
NOISE += [b"//action:prompt_begin x\n//action:prompt_show\n", b"ok T:20 /0 B:20 /0\n", b"start\n"]
NOISE += [b"ok\r\n", b"error:20\r\n", b"ALARM:1\r\n", b"<Idle|MPos:0,0,0|FS:0,0>\r\n", b"!! x\n"]
# How many answers come at once, and where the port cuts them.
ANSWERS = st.lists(
    st.tuples(st.sampled_from([1, 1, 1, 2, 3]), st.sampled_from([0, 0, 0, 1, 2, 3, 4])),
    min_size=3,
    max_size=20,
)
# Answers, and then something else.
STEPS = st.lists(
    st.tuples(
        ANSWERS,
        st.one_of(
            st.tuples(st.sampled_from(["time", "late"]), st.floats(0.001, 3.0)),
            st.tuples(st.sampled_from(ORDERS), st.just(0)),
            st.tuples(st.just("noise"), st.sampled_from(NOISE)),
            st.tuples(st.just("noise"), st.sampled_from(NOISE)),
        ),
    ).map(lambda drawn: [("answers", drawn[0]), drawn[1]]),
    min_size=3,
    max_size=15,
).map(lambda pairs: [step for pair in pairs for step in pair])


def programs(odd: list[bytes]) -> st.SearchStrategy[list[bytes]]:
    moves = st.tuples(
        st.integers(20, 60), st.integers(0, 99), st.integers(0, 40), st.sampled_from(odd)
    ).map(
        lambda drawn: [
            *(b"G1 X%d Y%d F%d" % (n, drawn[1], n) for n in range(drawn[0] // 4)),
            *(b"G1 X%d%s Y%d" % (n, b"0" * drawn[2], drawn[1]) for n in range(drawn[0])),
            drawn[3],
        ]
    )
    return st.lists(moves, min_size=1, max_size=4).map(
        lambda runs: [x for run in runs for x in run]
    )


def profile_of(case: str) -> FirmwareProfile:
    return replace(load_profile(case.partition(",")[0]), boot_wait_s=0.1, **PROFILES[case])


class Side:
    """One engine at one small board.

    :param is_short: take the express lane where the engine has one.
    """

    def __init__(self, profile: FirmwareProfile, *, is_short: bool, seed: int) -> None:
        self.engine = stream_engine(profile, 0.0)
        is_mill = profile.dialect == "grbl"
        self.board = grbl_model.GrblModel(512) if is_mill else marlin_model.MarlinModel(512, seed)
        self.is_short = is_short
        self.lane: Lane | None = None
        self.shortened = 0
        self.sent = b""
        self.events: list[Event] = []
        self.reached: list[tuple[int, int]] = []  # after each wake-up
        self.engine.connect(0.0)
        self._long_way(b"", 0.0)

    def hear(self, data: bytes, now: float) -> None:
        if self.lane is None and self.is_short:
            self.lane = self.engine.lane()
        if self.lane is not None and (out := self.lane.take(data, now)) is not None:
            self.shortened += 1
            self._send(out)
            if self.lane.answers:
                self.reached.append((self.lane.acked, self.lane.sent))
                return
        else:
            self.land()
            self._long_way(data, now)
        self.reached.append(self.engine.reached()[1:])

    def land(self) -> None:
        if self.lane is not None:
            self.engine.land(self.lane, self.lane.heard())
            self.lane = None

    def memory(self) -> dict[str, object]:
        return dump(self.engine)

    def _long_way(self, data: bytes, now: float) -> None:
        self.events += self.engine.receive(data, now)
        self._send(self.engine.urgent_to_send(now) + self.engine.data_to_send(now))

    def _send(self, out: bytes) -> None:
        self.sent += out
        self.board.write(out)


def greet(sides: list[Side]) -> float:
    now = 0.0
    while any(side.engine.phase is not Phase.IDLE for side in sides):
        now += 0.05
        assert now < 60.0
        for side in sides:
            side.hear(side.board.step(), now)
    return now


def do(side: Side, word: str, much: object, now: float) -> float:
    """Have one thing happen; return when it is over."""
    match word, much:
        case "answers", list():
            for count, cut in much:
                now += 0.0034
                data = b"".join(side.board.step() for _ in range(count))
                if cut:
                    side.hear(data[:cut], now - 0.0002)
                side.hear(data[cut:], now)
        case "noise", bytes():
            side.hear(much, now)
        case "time", float():
            now += much
            side.hear(b"", now)
        case "late", float():  # the clock has run out, and nobody has looked yet
            now += much
        case _:  # what is heard next may be an answer that was on its way
            side.land()
            order(side, word, now)
    side.land()
    return now


def order(side: Side, word: str, now: float) -> None:
    if word == "command":
        side.engine.command(b"M117 x", now)
    elif word == "answer_prompt":
        side.engine.answer(1, 0, now)
    else:
        getattr(side.engine, word)(now)


@pytest.mark.parametrize("case", PROFILES)
# A whole conversation takes minutes to shrink.
@settings(deadline=None, max_examples=60, phases=[HPhase.generate])
@given(data=st.data())
def test_the_express_lane_sends_and_remembers_what_the_long_way_does(case, data):
    """For any program, pace, cut, damage and orders in between."""
    profile = profile_of(case)
    is_mill = profile.dialect == "grbl"
    program = data.draw(programs(ODD_OF_A_MILL if is_mill else ODD))
    steps = data.draw(STEPS)
    seed = data.draw(st.integers(0, 99))
    damage, lost = data.draw(st.sampled_from([(0.0, 0.0), (0.0, 0.0), (0.001, 0.0), (0.0, 0.02)]))
    short, long = (Side(profile, is_short=is_short, seed=seed) for is_short in (True, False))
    now = greet([short, long])
    for side in (short, long):
        side.board.damage, side.board.lose_ok = damage, lost
        assert side.engine.start(marlin_model.Lines(program), now)
        side.hear(b"", now)
    for word, much in steps:
        ends = {do(side, word, much, now) for side in (short, long)}
        now = ends.pop()
        assert short.sent == long.sent
        assert short.events == long.events
        assert short.reached == long.reached
        assert short.memory() == long.memory()


@pytest.mark.parametrize("case", PROFILES)
def test_nearly_all_of_a_program_goes_the_express_lane(case):
    side = Side(profile_of(case), is_short=True, seed=1)
    now = greet([side])
    count = 1500
    lines = [b"G1 X%d.123 Y%d.456 F%d" % (n % 180, n % 90, n) for n in range(count)]
    assert side.engine.start(marlin_model.Lines(lines), now)
    side.hear(b"", now)
    since = len(side.sent)
    for _ in range(2 * count):
        now += 0.0034
        side.hear(side.board.step(), now)
        if side.events and side.events[-1].kind == "finished":
            break
    assert [line for line in side.board.executed if line.startswith(b"G1")] == lines
    assert side.shortened > 0.9 * count
    asked = side.sent[since:].count(b"?" if "?" in side.sent.decode("latin-1") else b"M105")
    assert asked > 0.9 * count * 0.0034 / profile_of(case).poll_s, "how it is, is asked meanwhile"


def test_a_robot_that_answers_a_move_with_many_lines_has_no_lane():
    assert stream_engine(load_profile("farmbot"), 0.0).lane() is None
