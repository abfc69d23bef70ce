"""The Marlin engine against a small firmware that loses and damages what it can."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.engine import MarlinEngine
from drivers.flow import Line, NumberedWindow, Part
from drivers.profile import load_profile
from drivers.snapshot import Event, Failed, Phase


def _model() -> ModuleType:
    # The tests are no package, so a neighbour is loaded by its path.
    spec = importlib.util.spec_from_file_location(
        "marlin_model", Path(__file__).with_name("marlin_model.py")
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MODEL = _model()
PROFILE = replace(load_profile("marlin-2"), boot_wait_s=0.1)
LINES = st.lists(
    st.integers(0, 999).map(lambda x: b"G1 X%d" % x + b" Y5" * (x % 20)), min_size=1, max_size=60
)


def kinds(events: list[Event]) -> list[str]:
    return [event.kind for event in events if event.kind != "temperature_read"]


class Bench:
    """An engine and a model on one clock; every run is bounded."""

    def __init__(self, model, profile=PROFILE, cuts=(1000,)) -> None:
        self.engine = MarlinEngine(profile, 0.0)
        self.model = model
        self.cuts = list(cuts)
        self.now = 0.0
        self.events: list[Event] = []
        self.sent = b""
        self.engine.connect(0.0)

    def turn(self, time: float = 0.004) -> None:
        self.now += time
        quiet = True
        for out in (self.engine.urgent_to_send(self.now), self.engine.data_to_send(self.now)):
            quiet = quiet and not out
            self.sent += out
            self.model.write(out)
        answer = self.model.step()
        if quiet and not answer and (self.model.halted or b"\n" not in self.model.received):
            # Nothing will happen before the engine's own deadline.
            self.now = max(self.now, self.engine.deadline() or self.now)
        for size in [*self.cuts, len(answer)]:
            self.events += self.engine.receive(answer[:size], self.now)
            answer = answer[size:]

    def until(self, *wanted: str, turns: int = 4_000) -> list[str]:
        for _ in range(turns):
            self.turn()
            if any(event.kind in wanted for event in self.events):
                return kinds(self.events)
        raise AssertionError(f"no {wanted}: {kinds(self.events)[-20:]}, {self.engine.snapshot(0)}")

    def start(self, lines: list[bytes]) -> None:
        self.until("connected")
        self.events.clear()
        self.model.executed.clear()
        assert self.engine.start(MODEL.Lines(lines), self.now, "run")

    def program_executed(self) -> list[bytes]:
        return [line for line in self.model.executed if line.startswith(b"G1")]


@given(
    program=LINES,
    rx_bytes=st.integers(96, 200),
    queue=st.integers(1, 12),
    cuts=st.lists(st.integers(1, 7), min_size=1, max_size=5),
)
@settings(max_examples=30, deadline=None)
def test_every_line_arrives_once_in_order_and_the_ring_never_overflows(
    program, rx_bytes, queue, cuts
):
    """For any program, buffer, command queue and way the port slices bytes."""
    profile = replace(PROFILE, rx_bytes=rx_bytes, command_queue=queue)
    bench = Bench(MODEL.MarlinModel(ring=rx_bytes + 1), profile, cuts)
    bench.start(program)
    assert bench.until("finished", "failed")[-1] == "finished"
    assert bench.program_executed() == program
    assert not bench.model.overflowed
    assert bench.engine.snapshot(bench.now).acked == len(program)


@given(program=LINES, seed=st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_every_line_arrives_once_in_order_over_a_line_that_damages_bytes(program, seed):
    """One byte in 300 has a bit flipped on its way to the firmware."""
    bench = Bench(MODEL.MarlinModel(seed=seed))
    bench.start(program)
    bench.model.damage = 1 / 300
    assert bench.until("finished", "failed")[-1] == "finished"
    assert bench.program_executed() == program


@given(program=LINES, seed=st.integers(0, 10_000), lost=st.floats(0.0, 0.3))
@settings(max_examples=30, deadline=None)
def test_lost_answers_neither_stop_nor_repeat_a_line(program, seed, lost):
    bench = Bench(MODEL.MarlinModel(seed=seed))
    bench.start(program)
    bench.model.lose_ok = lost
    assert bench.until("finished", "failed", turns=6_000)[-1] == "finished"
    assert bench.program_executed() == program
    assert not bench.model.overflowed


@given(noise=st.lists(st.binary(max_size=40), max_size=30))
@settings(max_examples=30, deadline=None)
def test_any_noise_is_survived_and_is_never_a_reason_for_an_emergency_stop(noise):
    engine = MarlinEngine(PROFILE, 0.0)
    engine.connect(0.0)
    for number, data in enumerate(noise):
        engine.receive(data, float(number))
        engine.data_to_send(float(number))
        assert b"M112" not in engine.urgent_to_send(float(number))


def test_a_program_is_finished_only_when_the_motion_is_over():
    bench = Bench(MODEL.MarlinModel())
    bench.start([b"G1 X1", b"G1 X2"])
    bench.until("finished")
    assert bench.model.executed == [b"G1 X1", b"G1 X2", b"M400"]


def test_nothing_follows_a_wait_for_heat_so_that_a_cancel_can_break_it():
    bench = Bench(MODEL.MarlinModel())
    bench.start([b"M109 S200", b"G1 X1"])
    out = bench.engine.data_to_send(bench.now)
    assert b"M109" in out
    assert b"G1" not in out


def test_a_stop_always_finds_room_in_the_command_queue():
    """Without emergency parser Marlin sees M112 only if its queue of 4 has room."""
    bench = Bench(MODEL.MarlinModel())
    bench.start([b"G1 X%d" % x for x in range(50)])
    assert bench.engine.data_to_send(bench.now).count(b"\n") == PROFILE.command_queue - 1


def test_cancel_breaks_a_wait_and_switches_everything_off():
    bench = Bench(MODEL.MarlinModel())
    bench.start([b"G1 X%d" % x for x in range(50)])
    for _ in range(10):
        bench.turn()
    bench.sent = b""
    assert bench.engine.cancel(bench.now)
    assert bench.engine.phase is Phase.CANCELLING
    assert bench.until("cancelled", "failed")[-1] == "cancelled"
    assert bench.engine.phase is Phase.IDLE
    assert bench.sent.startswith(b"\nM108\n")
    assert bench.model.executed[-4:] == [b"M104 S0", b"M140 S0", b"M107", b"M84"]
    assert len(bench.program_executed()) < 50


@pytest.mark.parametrize("resend_first", [True, False])
def test_a_resend_around_a_cancel_brings_no_program_line_back(resend_first):
    bench = Bench(MODEL.MarlinModel(), replace(PROFILE, command_queue=8))
    bench.start([b"G1 X%d" % x for x in range(50)])
    for _ in range(10):
        bench.turn()
    bench.model.refuse("checksum mismatch")
    before = len(bench.program_executed())
    if resend_first:
        bench.engine.receive(bench.model.step(), bench.now)
    bench.engine.cancel(bench.now)
    assert bench.until("cancelled", "failed")[-1] == "cancelled"
    assert len(bench.program_executed()) == before


def test_a_cancel_that_nobody_confirms_ends_in_an_emergency_stop():
    """Every transient phase has an end: who asked for cool heaters gets them."""
    bench = Bench(MODEL.MarlinModel())
    bench.start([b"G1 X%d" % x for x in range(50)])
    bench.turn()
    bench.model.halted = True
    bench.engine.cancel(bench.now)
    bench.until("failed", turns=4_000)
    bench.turn()
    assert b"\nM112\n" in bench.sent


@pytest.mark.parametrize("phase", ["connecting", "idle", "streaming", "paused", "cancelling"])
def test_stop_acts_in_every_phase_and_begins_with_a_newline(phase):
    bench = Bench(MODEL.MarlinModel())
    if phase != "connecting":
        bench.until("connected")
    if phase in ("streaming", "paused", "cancelling"):
        bench.engine.start(MODEL.Lines([b"G1 X%d" % x for x in range(50)]), bench.now)
        bench.turn()
    if phase == "paused":
        bench.engine.pause(bench.now)
    if phase == "cancelling":
        bench.engine.cancel(bench.now)
    assert bench.engine.phase.value == phase
    assert bench.engine.stop(bench.now)
    assert bench.engine.flush_first
    assert bench.engine.urgent_to_send(bench.now) == b"\nM112\n"
    assert bench.engine.phase is Phase.STOPPED
    assert bench.engine.snapshot(bench.now).stopped
    assert b"M104 S0\nM140 S0\n" in bench.engine.data_to_send(bench.now)
    assert kinds(bench.engine.receive(b"", bench.now))[-1] == "stopped"


def test_a_stop_is_repeated_to_a_firmware_that_talks_on():
    bench = Bench(MODEL.MarlinModel())
    bench.start([b"G1 X1"])
    bench.engine.stop(0.0)
    bench.engine.urgent_to_send(0.0)
    bench.engine.receive(b"ok\n", 0.9)
    bench.engine.receive(b"", 1.1)
    assert bench.engine.urgent_to_send(1.1) == b"\nM112\n"
    bench.engine.receive(b"Error:Printer halted. kill() called!\n", 1.2)
    bench.engine.receive(b"", 9.0)
    assert bench.engine.urgent_to_send(9.0) == b""


def test_a_line_that_never_arrives_whole_ends_the_job_at_it_after_a_bounded_storm():
    """As a cable that drops one pattern of bits: the same line is asked for without end."""

    class Deaf(MODEL.MarlinModel):
        asked = 0

        def take(self, line: bytes) -> None:
            if b"X13*" not in line:
                return super().take(line)
            self.asked += 1
            return self.refuse("checksum mismatch")

    bench = Bench(Deaf())
    bench.start([b"G1 X%d" % x for x in range(10, 40)])
    bench.until("failed")
    failed = next(event for event in bench.events if isinstance(event, Failed))
    assert (failed.code, failed.line) == ("machine.resend_loop", 4)
    assert bench.program_executed() == [b"G1 X10", b"G1 X11", b"G1 X12"]
    assert bench.model.asked <= 21
    assert not bench.model.overflowed
    for _ in range(400):
        bench.turn()
    assert b"M104 S0" in bench.model.executed, "the heat goes off all the same"


def test_a_boot_banner_in_mid_job_fails_it_and_the_machine_is_found_again():
    bench = Bench(MODEL.MarlinModel())
    bench.start([b"G1 X%d" % x for x in range(50)])
    for _ in range(10):
        bench.turn()
    bench.model.last = 0
    bench.model.received = b""
    bench.model.out += b"start\n"
    bench.until("failed")
    failed = next(event for event in bench.events if isinstance(event, Failed))
    assert failed.code == "machine.reset"
    assert failed.line > 0
    bench.events.clear()
    bench.until("connected")
    state = bench.engine.snapshot(bench.now)
    assert (state.phase, state.stopped) == (Phase.IDLE, True)


def test_a_reset_whose_banner_was_lost_is_known_by_its_line_number():
    bench = Bench(MODEL.MarlinModel())
    bench.start([b"G1 X%d" % x for x in range(300)])
    for _ in range(150):
        bench.turn()
    bench.model.last = 0
    bench.until("failed")
    failed = next(event for event in bench.events if isinstance(event, Failed))
    assert failed.code == "machine.reset"


def test_silence_fails_the_job_with_the_line_of_the_file():
    bench = Bench(MODEL.MarlinModel())
    bench.start([b"G1 X%d" % x for x in range(50)])
    for _ in range(5):
        bench.turn()
    bench.model.halted = True
    bench.until("failed", turns=4_000)
    failed = next(event for event in bench.events if isinstance(event, Failed))
    assert failed.code == "machine.silent"
    assert failed.line > 0
    assert bench.now < PROFILE.silence_s + 15.0


def test_busy_keeps_a_long_command_alive():
    bench = Bench(MODEL.MarlinModel())
    bench.start([b"G28", b"G1 X1"])
    bench.turn()
    bench.model.received = b""
    for second in range(200):
        data = b"echo:busy: processing\n" if second % 2 else b""
        bench.events += bench.engine.receive(data, bench.now + second)
        bench.engine.data_to_send(bench.now + second)
    assert "failed" not in kinds(bench.events)


def test_an_error_text_that_nobody_knows_is_told_and_no_more():
    bench = Bench(MODEL.MarlinModel())
    bench.start([b"G1 X%d" % x for x in range(20)])
    bench.model.out += b"Error:the flux is low\n"
    assert bench.until("finished", "failed")[-1] == "finished"
    assert "attention" in kinds(bench.events)


def test_thermal_runaway_ends_the_job_at_once():
    bench = Bench(MODEL.MarlinModel())
    bench.start([b"G1 X%d" % x for x in range(20)])
    bench.model.out += b"Error:Thermal Runaway, system stopped! Heater_ID: E0\n"
    assert bench.until("finished", "failed")[-1] == "failed"
    assert bench.engine.phase is Phase.STOPPED


def test_pause_waits_for_the_motion_and_resume_sends_the_rest():
    bench = Bench(MODEL.MarlinModel())
    program = [b"G1 X%d" % x for x in range(40)]
    bench.start(program)
    for _ in range(10):
        bench.turn()
    assert bench.engine.pause(bench.now)
    bench.until("paused")
    before = len(bench.program_executed())
    for _ in range(500):
        bench.turn()
    assert len(bench.program_executed()) == before < 40
    assert bench.engine.resume(bench.now)
    bench.until("finished")
    assert bench.program_executed() == program


def test_resume_right_after_pause_does_not_end_the_program_early():
    bench = Bench(MODEL.MarlinModel())
    program = [b"G1 X%d" % x for x in range(40)]
    bench.start(program)
    bench.turn()
    bench.engine.pause(bench.now)
    bench.turn()
    bench.engine.resume(bench.now)
    bench.until("finished")
    assert bench.program_executed() == program


def test_a_line_that_the_firmware_would_cut_is_not_sent():
    bench = Bench(MODEL.MarlinModel())
    bench.start([b"G1 X1", b"M117 " + b"x" * 100])
    bench.until("failed")
    failed = next(event for event in bench.events if isinstance(event, Failed))
    assert (failed.code, failed.line) == ("program.line_too_long", 2)
    assert b"xxxx" not in bench.sent


def test_a_move_that_the_firmware_would_cut_is_not_sent_either():
    bench = Bench(MODEL.MarlinModel())
    bench.start([b"G1 X1", b"G1 X1." + b"0" * 100])
    bench.until("failed")
    assert b"X1.0" not in bench.sent


def test_of_a_program_that_was_cancelled_no_line_comes_into_the_next():
    bench = Bench(MODEL.MarlinModel())
    bench.start([b"G1 X%d" % x for x in range(200)])
    bench.turn()
    assert bench.engine.cancel(bench.now)
    bench.until("cancelled")
    bench.model.executed.clear()
    assert bench.engine.start(MODEL.Lines([b"G1 Y%d" % y for y in range(3)]), bench.now)
    bench.until("finished")
    assert bench.program_executed() == [b"G1 Y0", b"G1 Y1", b"G1 Y2"]


def test_empty_lines_are_not_sent_and_count_as_done():
    bench = Bench(MODEL.MarlinModel())
    bench.start([b"", b"G1 X1", b"", *[b""] * 40, b"G1 X2", b"", b""])
    bench.until("finished")
    assert bench.program_executed() == [b"G1 X1", b"G1 X2"]
    state = bench.engine.snapshot(bench.now)
    assert state.acked == state.sent == 46


def test_a_firmware_may_be_one_that_waits_in_its_moves():
    engine = MarlinEngine(replace(PROFILE, waits=("G1",)), 0.0)
    assert engine._line(b"G1 X1", Part.PROGRAM).alone
    engine._program = MODEL.Lines([b"G1 X1", b"G1 X2"])
    line = engine._next_of_program()
    assert line is not None
    assert line.alone
    assert not line.is_plain


def test_only_an_idle_machine_starts():
    engine = MarlinEngine(PROFILE, 0.0)
    assert not engine.start(MODEL.Lines([b"G1 X1"]), 0.0)
    assert not engine.pause(0.0)
    assert not engine.cancel(0.0)
    assert not engine.resume(0.0)
    assert not engine.command(b"M114", 0.0)


def test_a_command_goes_between_program_lines():
    bench = Bench(MODEL.MarlinModel())
    bench.start([b"G1 X%d" % x for x in range(40)])
    bench.turn()
    assert bench.engine.command(b"M220 S90", bench.now)
    bench.until("finished")
    assert 0 < bench.model.executed.index(b"M220 S90") < 20


def test_advanced_ok_corrects_the_count():
    bench = Bench(MODEL.MarlinModel())
    bench.start([b"G1 X%d" % x for x in range(3)])
    bench.engine.data_to_send(bench.now)
    first = bench.engine._window.next - 3
    bench.engine.receive(b"ok N%d P15 B3\n" % (first + 1), bench.now)
    assert bench.engine.snapshot(bench.now).acked == 2


def flowing(*, fills_queue=True, emergency_parser=True, answers=(b"P15 B3", b"P15 B3")):
    """Return how many lines are under way after answers that tell free places."""
    engine = MarlinEngine(replace(PROFILE, fills_queue=fills_queue, command_queue=64), 0.0)
    engine._connected, engine._phase = True, Phase.IDLE
    engine._emergency_parser = emergency_parser
    engine.start(MODEL.Lines([b"G1 X%d Y000000000000000000" % (x + 10) for x in range(99)]), 0.0)
    engine.data_to_send(0.0)
    for number, answer in enumerate(answers, 1):
        engine.receive(b"ok N%d %s\n" % (number, answer), 0.1)
        engine.data_to_send(0.1)
    return engine._window.unanswered


def test_lines_with_a_told_place_need_no_room_in_the_ring():
    plain = flowing(fills_queue=False)
    assert flowing() == plain + 4
    assert flowing(emergency_parser=False) == plain + 3, "one place stays free for a stop"


def test_a_damaged_number_of_places_is_not_believed():
    assert flowing(answers=(b"P15 B1", b"P15 B7")) == flowing(answers=(b"P15 B1", b"P15 B1"))


def test_after_a_resend_no_place_is_believed_any_more():
    window = NumberedWindow(127, 99, 64)
    for _ in range(3):
        window.send(Line(b"G1 X1"))
    window.place(9)
    window.resend(2)
    window.narrow = False
    long = Line(b"G1 " + b"X1.5" * 20)
    window.send(long)
    assert not window.may_send(long)


@pytest.mark.parametrize(("digit", "told"), [(b"0", False), (b"1", True)])
def test_what_the_firmware_says_of_its_thermal_protection_is_told(digit, told):
    bench = Bench(MODEL.MarlinModel())
    bench.until("connected")
    assert "thermal_protection" not in bench.engine.snapshot(bench.now).told
    bench.engine.receive(b"Cap:THERMAL_PROTECTION:%s\n" % digit, bench.now)
    assert bench.engine.snapshot(bench.now).told["thermal_protection"] is told
