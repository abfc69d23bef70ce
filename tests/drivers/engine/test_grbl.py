"""The Grbl engine against a small controller that counts its characters."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.engine import GrblEngine
from drivers.profile import load_profile
from drivers.snapshot import Event, Failed, Phase


def _model() -> ModuleType:
    # The tests are no package, so a neighbour is loaded by its path.
    file = Path(__file__).with_name("grbl_model.py")
    spec = importlib.util.spec_from_file_location("grbl_model", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GrblModel = _model().GrblModel
PROFILE = replace(load_profile("grbl-1.1"), boot_wait_s=0.1)
LINES = st.lists(
    st.integers(0, 999).map(
        lambda x: b"G10L20P1X0" if x % 50 == 0 else b"G1X%d" % x + b"Y5" * (x % 20)
    ),
    min_size=1,
    max_size=60,
)


class Lines(list[bytes]):
    def line(self, index: int) -> bytes:
        return self[index]

    def source_line(self, index: int) -> int:
        return index + 1


class Bench:
    def __init__(self, model, profile=PROFILE, cuts=(1000,)) -> None:
        self.engine, self.model, self.cuts = GrblEngine(profile, 0.0), model, list(cuts)
        self.now = 0.0
        self.events: list[Event] = []
        self.engine.connect(0.0)

    def turn(self) -> None:
        self.now += 0.02
        self.model.write(self.engine.urgent_to_send(self.now))
        self.model.write(self.engine.data_to_send(self.now))
        answer = self.model.step()
        for size in [*self.cuts, len(answer)]:
            self.events += self.engine.receive(answer[:size], self.now)
            answer = answer[size:]

    def until(self, *wanted: str, turns: int = 4_000) -> str:
        for _ in range(turns):
            self.turn()
            for event in self.events:
                if event.kind in wanted:
                    return event.kind
        raise AssertionError(f"no {wanted}: {self.events[-9:]} {self.engine.snapshot(0)}")

    def start(self, lines: list[bytes]) -> None:
        self.until("connected")
        self.events.clear()
        self.model.executed.clear()
        assert self.engine.start(Lines(lines), self.now)

    def failure(self) -> Failed:
        self.until("failed")
        return next(event for event in self.events if isinstance(event, Failed))


@given(
    program=LINES,
    rx_bytes=st.integers(60, 127),
    cuts=st.lists(st.integers(1, 7), min_size=1, max_size=5),
)
@settings(max_examples=40, deadline=None)
def test_every_line_arrives_once_in_order_and_the_buffer_never_overflows(program, rx_bytes, cuts):
    """For any program, buffer size and way the port slices bytes; EEPROM lines stay alone."""
    bench = Bench(GrblModel(rx_bytes + 1), replace(PROFILE, rx_bytes=rx_bytes), cuts)
    bench.start(program)
    assert bench.until("finished", "failed") == "finished"
    assert bench.model.executed == program
    assert not bench.model.overflowed
    assert not bench.model.eeprom_not_alone


@given(noise=st.lists(st.binary(max_size=40), max_size=30))
@settings(max_examples=30, deadline=None)
def test_any_noise_is_survived(noise):
    engine = GrblEngine(PROFILE, 0.0)
    engine.connect(0.0)
    for number, data in enumerate(noise):
        engine.receive(data, float(number))
        engine.urgent_to_send(float(number))
        engine.data_to_send(float(number))


def test_a_program_is_finished_only_after_two_idle_reports():
    bench = Bench(GrblModel())
    bench.start([b"G1X1"])
    bench.model.state = "Run"
    for _ in range(100):
        bench.turn()
    assert bench.engine.snapshot(bench.now).acked == 1
    assert bench.engine.phase is Phase.STREAMING
    bench.events.clear()
    bench.engine.receive(b"<Idle|MPos:0.000,0.000,0.000|FS:0,0>\n", bench.now)
    assert bench.engine.phase is Phase.STREAMING
    bench.engine.receive(b"<Idle|MPos:0.000,0.000,0.000|FS:0,0>\n", bench.now)
    assert bench.engine.phase is Phase.IDLE


def test_a_refused_line_holds_resets_and_names_the_line_of_the_file():
    bench = Bench(GrblModel())
    bench.model.refuse[b"G1X3"] = 20
    bench.start([b"G1X%d" % x for x in range(100)])
    failed = bench.failure()
    assert (failed.code, failed.line, failed.text) == ("machine.error", 4, "error:20")
    for _ in range(100):
        bench.turn()
    assert bench.model.resets == 1
    assert bench.model.executed[-2:] == [b"M5", b"M9"]
    assert b"G1X99" not in bench.model.executed


def test_cancel_comes_to_a_standstill_before_the_reset_and_turns_the_spindle_off():
    bench = Bench(GrblModel())
    bench.start([b"G1X%d" % x for x in range(100)])
    bench.turn()
    bench.engine.cancel(bench.now)
    assert bench.engine.urgent_to_send(bench.now).startswith(b"!")
    bench.engine.receive(b"<Hold:1|MPos:0.000,0.000,0.000|FS:0,0>\n", bench.now)
    assert b"\x18" not in bench.engine.urgent_to_send(bench.now)
    bench.engine.receive(b"<Hold:0|MPos:0.000,0.000,0.000|FS:0,0>\n", bench.now)
    assert bench.engine.flush_first, "no line of the program may follow the reset"
    out = bench.engine.urgent_to_send(bench.now)
    assert out == b"\x18"
    bench.model.write(out)
    assert bench.until("cancelled") == "cancelled"
    assert bench.model.executed[-2:] == [b"M5", b"M9"]
    assert bench.engine.phase is Phase.IDLE


def test_a_hold_that_somebody_else_gives_after_a_resume_is_theirs():
    bench = Bench(GrblModel())
    bench.start([b"G1X%d" % x for x in range(100)])
    bench.turn()
    bench.engine.pause(bench.now)
    bench.until("paused")
    bench.engine.resume(bench.now)
    assert bench.engine.urgent_to_send(bench.now) == b"~"
    for _ in range(5):  # held again before any report without a hold
        bench.engine.receive(b"<Hold:0|MPos:0.000,0.000,0.000|FS:0,0>\n", bench.now)
        assert b"~" not in bench.engine.urgent_to_send(bench.now)


def test_a_cancel_ends_even_if_nothing_answers():
    bench = Bench(GrblModel())
    bench.start([b"G1X%d" % x for x in range(100)])
    bench.turn()
    bench.model.mute = True
    bench.engine.cancel(bench.now)
    assert bench.until("cancelled") == "cancelled"
    assert bench.model.resets == 1


def test_stop_is_one_byte_at_once():
    bench = Bench(GrblModel())
    bench.start([b"G1X%d" % x for x in range(100)])
    bench.turn()
    bench.engine.stop(bench.now)
    assert bench.engine.flush_first
    assert bench.engine.urgent_to_send(bench.now) == b"\x18"
    assert bench.engine.data_to_send(bench.now) == b""
    assert bench.engine.snapshot(bench.now).stopped


def test_a_banner_in_mid_job_fails_it():
    bench = Bench(GrblModel())
    bench.start([b"G1X%d" % x for x in range(100)])
    for _ in range(10):
        bench.turn()
    bench.model.write(b"\x18")
    assert bench.failure().code == "machine.reset"


def test_an_alarm_fails_the_job():
    bench = Bench(GrblModel())
    bench.start([b"G1X%d" % x for x in range(100)])
    bench.turn()
    bench.model.out += b"ALARM:1\r\n"
    failed = bench.failure()
    assert (failed.code, failed.text) == ("machine.alarm", "ALARM:1")


@pytest.mark.parametrize("state", ["Alarm", "Sleep"])
@pytest.mark.parametrize("paused", [False, True])
def test_a_lock_whose_alarm_was_not_heard_ends_the_job(state, paused):
    """All is answered, so no refused line would ever tell; one report alone proves nothing."""
    bench = Bench(GrblModel())
    bench.start([b"G1X1"])
    bench.model.state = "Run"
    for _ in range(20):
        bench.turn()
    assert bench.engine.snapshot(bench.now).acked == 1
    if paused:
        bench.engine.pause(bench.now)
        bench.until("paused")
    report = f"<{state}|MPos:0.000,0.000,0.000|FS:0,0>\n".encode()
    bench.engine.receive(report, bench.now)
    assert bench.engine.phase is (Phase.PAUSED if paused else Phase.STREAMING)
    bench.events += bench.engine.receive(report, bench.now)
    failed = bench.failure()
    assert (failed.code, failed.line, failed.text) == ("machine.alarm", 1, state)
    assert not bench.engine.snapshot(bench.now).homed
    for _ in range(100):
        bench.turn()
    assert bench.model.executed[1:3] == [b"M5", b"M9"]


def test_reports_of_a_lock_from_before_its_homing_end_nothing():
    bench = Bench(GrblModel())
    bench.model.state = "Alarm"
    bench.start([b"G1X1"])
    for _ in range(5):
        bench.engine.receive(b"<Alarm|MPos:0.000,0.000,0.000|FS:0,0>\n", bench.now)
        bench.engine.data_to_send(bench.now)
    assert bench.engine.phase is Phase.STREAMING


@pytest.mark.parametrize(("state", "rests"), [("Door:0", 1), ("Door:1", 1), ("Door:2", 0)])
def test_a_cancel_does_not_wait_for_somebody_to_close_the_door(state, rests):
    bench = Bench(GrblModel())
    bench.start([b"G1X%d" % x for x in range(100)])
    bench.turn()
    bench.engine.cancel(bench.now)
    bench.engine.urgent_to_send(bench.now)
    bench.engine.receive(f"<{state}|MPos:0.000,0.000,0.000|FS:0,0>\n".encode(), bench.now)
    assert (b"\x18" in bench.engine.urgent_to_send(bench.now)) == bool(rests)


def test_a_lost_answer_ends_the_job_because_nobody_can_know_what_was_lost():
    bench = Bench(GrblModel())
    bench.start([b"G1X1", b"G1X2"])
    bench.engine.data_to_send(bench.now)
    for _ in range(4_000):
        bench.now += 0.05
        bench.model.write(bench.engine.urgent_to_send(bench.now))
        bench.events += bench.engine.receive(bench.model.step(), bench.now)
        if any(event.kind == "failed" for event in bench.events):
            break
    assert bench.failure().code == "machine.answer_lost"


def test_pause_is_said_at_rest_and_resume_goes_on():
    bench = Bench(GrblModel())
    program = [b"G1X%d" % x for x in range(60)]
    bench.start(program)
    bench.turn()
    bench.engine.pause(bench.now)
    bench.until("paused")
    before = len(bench.model.executed)
    for _ in range(50):
        bench.turn()
    assert len(bench.model.executed) == before
    bench.engine.resume(bench.now)
    bench.until("finished")
    assert bench.model.executed == program


def test_a_locked_machine_homes_before_the_first_line():
    bench = Bench(GrblModel())
    bench.model.state = "Alarm"
    bench.until("connected")
    bench.model.executed.clear()
    bench.engine.start(Lines([b"G1X1"]), bench.now)
    bench.model.state = "Idle"
    bench.until("finished")
    assert bench.model.executed == [b"$H", b"G1X1"]


@pytest.mark.parametrize(
    ("report", "position"),
    [
        (b"<Idle|MPos:1.000,2.000,3.000|WCO:1.000,1.000,1.000>", {"X": 1.0, "Y": 2.0, "Z": 3.0}),
        (b"<Idle|WPos:1.000,2.000,3.000|WCO:1.000,1.000,1.000>", {"X": 2.0, "Y": 3.0, "Z": 4.0}),
    ],
)
def test_positions_are_machine_coordinates(report, position):
    engine = GrblEngine(PROFILE, 0.0)
    engine.receive(report + b"\n", 0.0)
    assert engine.snapshot(0.0).position == position
