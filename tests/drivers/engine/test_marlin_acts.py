"""By hand at a Marlin: short relative steps, modes left as they were found, and no surprise."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.acts import Act, Order
from drivers.engine import MarlinEngine
from drivers.profile import FirmwareProfile, load_profile
from drivers.simulators import Wishes, build
from drivers.snapshot import Event, Phase

MARLIN = replace(load_profile("marlin-2"), boot_wait_s=0.5)
REACH = {"X": (0.0, 220.0), "Y": (0.0, 220.0), "Z": (0.0, 250.0)}


class Lines(list[bytes]):
    def line(self, index: int) -> bytes:
        return self[index]

    def source_line(self, index: int) -> int:
        return index + 1


class Bench:
    """An engine and a simulated board in one time of their own."""

    def __init__(self, profile: FirmwareProfile = MARLIN, **wishes: object) -> None:
        self.board = build("marlin-2", Wishes(**wishes))  # type: ignore[arg-type]
        self.engine = MarlinEngine(profile, 0.0)
        self.events: list[Event] = []
        self.now = 0.0
        self.engine.connect(0.0)
        self.until(lambda: self.engine.snapshot(self.now).connected)

    def turn(self, step: float = 0.01) -> None:
        self.now += step
        for out in (self.engine.urgent_to_send(self.now), self.engine.data_to_send(self.now)):
            if out:
                self.board.write(out, self.now)
        self.events += self.engine.receive(self.board.read(self.now), self.now)

    def run(self, seconds: float) -> None:
        for _ in range(int(seconds / 0.01)):
            self.turn()

    def until(self, what, seconds: float = 90.0):
        for _ in range(int(seconds / 0.01)):
            if what():
                return
            self.turn()
        raise AssertionError(f"{self.engine.snapshot(self.now)} {self.events[-5:]}")

    def act(self, act: Act, **amounts: object) -> str:
        return self.engine.act(Order(act, **amounts), REACH, self.now)  # type: ignore[arg-type]

    def home(self) -> Bench:
        assert self.act(Act.HOME) == ""
        self.until(lambda: "jog" in self.acts)
        return self

    @property
    def acts(self) -> set[str]:
        return set(self.engine.snapshot(self.now).acts)

    def executed(self, word: str = "") -> list[str]:
        lines = [str(fact["line"]) for fact in self.board.record.of("executed")]
        return [line for line in lines if line.startswith(word)]


def test_an_idle_printer_offers_what_it_can_and_refuses_the_rest() -> None:
    bench = Bench()
    assert bench.acts == {"jog", "home", "heat", "off", "feed", "flow"}
    assert bench.act(Act.UNLOCK) == "host.not_now"
    assert bench.act(Act.RAPID, percent=50) == "host.not_now"


def test_a_jog_is_driven_in_steps_and_the_place_is_known_after_it() -> None:
    bench = Bench().home()
    start = bench.engine.snapshot(bench.now).position["X"]
    assert bench.act(Act.JOG, axes={"X": 33.3}, feedrate=20.0) == ""
    assert "jog" not in bench.acts
    bench.until(lambda: bench.engine.snapshot(bench.now).position)
    assert bench.engine.snapshot(bench.now).position["X"] == pytest.approx(start + 33.3)
    assert len(bench.executed("G1 X")) == 7
    assert bench.executed("G9")[-1] == "G90"


def test_a_cancelled_jog_ends_within_two_steps() -> None:
    bench = Bench().home()
    start = bench.engine.snapshot(bench.now).position["X"]
    bench.act(Act.JOG, axes={"X": 200.0}, feedrate=20.0)
    bench.run(1.0)
    assert bench.act(Act.JOG_CANCEL) == ""
    bench.until(lambda: bench.engine.snapshot(bench.now).position)
    went = bench.engine.snapshot(bench.now).position["X"] - start
    assert went <= 20.0 * (1.0 + 3 * 0.25)
    bench.run(3.0)
    assert len(bench.executed("G1 X")) < 9


def test_no_step_of_a_jog_is_left_after_a_stop() -> None:
    bench = Bench().home()
    bench.act(Act.JOG, axes={"X": 200.0}, feedrate=20.0)
    bench.run(0.5)
    assert bench.engine._steps
    bench.engine.stop(bench.now)
    assert not bench.engine._steps
    assert "jog" not in bench.engine._timers


def test_with_an_emergency_parser_a_cancelled_jog_ends_at_once() -> None:
    bench = Bench(options=("emergency-parser",)).home()
    bench.act(Act.JOG, axes={"X": 200.0}, feedrate=20.0)
    bench.run(1.0)
    assert bench.act(Act.JOG_CANCEL) == ""
    bench.run(1.0)
    assert bench.board.record.of("emergency")[-1]["word"] == "M410"
    assert bench.board.planner.is_idle


@pytest.mark.parametrize(
    ("program", "after"),
    [
        ([b"G90", b"M83", b"G1 X10"], ["G91", "G1 X1.000 F600", "G90", "M83"]),
        ([b"G91", b"G1 X10"], ["G91", "G1 X1.000 F600"]),
        ([b"G90", b"M82", b"G1 X10"], ["G91", "G1 X1.000 F600", "G90"]),
    ],
)
def test_a_jog_leaves_the_modes_as_a_program_left_them(program, after) -> None:
    bench = Bench()
    bench.engine.start(Lines(program), bench.now)
    bench.until(lambda: any(event.kind == "finished" for event in bench.events))
    before = len(bench.executed())
    assert bench.act(Act.JOG, axes={"X": 1.0}, feedrate=10.0) == ""
    bench.run(1.0)
    said = [line for line in bench.executed()[before:] if not line.startswith("M1")]
    assert said == after


def test_a_program_that_starts_during_a_jog_finds_absolute_coordinates() -> None:
    bench = Bench().home()
    bench.act(Act.JOG, axes={"X": 100.0}, feedrate=20.0)
    bench.run(0.3)
    assert bench.engine.start(Lines([b"G1 X50 F6000", b"G1 X60"]), bench.now)
    bench.until(lambda: any(event.kind == "finished" for event in bench.events))
    assert bench.board.planner.end[0] == pytest.approx(60.0)
    bench.run(3.0)
    assert "jog" in bench.acts, "what was left of the jog is forgotten"
    assert bench.board.planner.end[0] == pytest.approx(60.0)


def test_reach_and_homing_bound_a_jog() -> None:
    bench = Bench()
    assert bench.act(Act.JOG, axes={"Z": 10.5}, feedrate=5.0) == "host.not_homed"
    bench.home()
    assert bench.act(Act.JOG, axes={"X": -0.5}, feedrate=5.0) == "host.out_of_reach"
    assert bench.act(Act.JOG, axes={"X": 220.5}, feedrate=5.0) == "host.out_of_reach"


def test_overrides_are_lines_and_shown_once_they_are_taken() -> None:
    bench = Bench()
    bench.engine.start(Lines([b"G1 X%d F3000" % (n % 9) for n in range(300)]), bench.now)
    bench.run(0.5)
    assert bench.act(Act.FEED, percent=120) == ""
    assert bench.act(Act.FLOW, percent=95) == ""
    bench.until(lambda: bench.engine.snapshot(bench.now).overrides.get("flow") == 95, 10.0)
    assert bench.engine.snapshot(bench.now).overrides == {"feed": 120, "flow": 95}
    assert bench.engine.phase is Phase.STREAMING


def test_heat_is_set_and_switched_off_again() -> None:
    bench = Bench()
    bench.act(Act.HEAT, heater="nozzle", target=200.0)
    bench.act(Act.HEAT, heater="bed", target=60.0)
    bench.run(3.0)
    heat = bench.engine.snapshot(bench.now).temperatures
    assert (heat["T"][1], heat["B"][1]) == (200.0, 60.0)
    bench.act(Act.OFF)
    bench.run(3.0)
    heat = bench.engine.snapshot(bench.now).temperatures
    assert (heat["T"][1], heat["B"][1]) == (0.0, 0.0)


def test_a_wait_for_heat_can_be_broken_and_only_while_it_lasts() -> None:
    bench = Bench()
    bench.engine.start(Lines([b"M109 S230", b"G1 X1 F600"]), bench.now)
    bench.run(2.0)
    assert "skip-wait" in bench.acts
    assert bench.act(Act.SKIP_WAIT) == ""
    bench.until(lambda: any(event.kind == "finished" for event in bench.events), 15.0)
    assert "skip-wait" not in bench.acts


def test_a_firmware_that_nothing_calls_out_of_a_wait_is_not_asked_to_skip_it() -> None:
    bench = Bench(replace(MARLIN, break_wait=""))
    bench.engine.start(Lines([b"M109 S230", b"G1 X1 F600"]), bench.now)
    bench.run(2.0)
    assert "hold" in bench.acts
    assert "skip-wait" not in bench.acts


@given(
    acts=st.lists(st.tuples(st.sampled_from(list(Act)), st.integers(0, 60)), max_size=10),
    parser=st.booleans(),
)
@settings(max_examples=25, deadline=None)
def test_whatever_a_person_does_the_conversation_goes_on_and_modes_stay(acts, parser) -> None:
    options = ("emergency-parser",) if parser else ()
    bench = Bench(options=options)
    for act, wait in acts:
        bench.act(act, axes={"X": 5.0}, feedrate=10.0, heater="bed", target=40.0)
        bench.run(wait / 20.0)
    assert bench.engine.phase is Phase.IDLE
    bench.until(lambda: "jog" in bench.acts, 200.0)
    program = [b"G90", b"G1 X%d F6000" % 20, b"G1 X30"]
    assert bench.engine.start(Lines(program), bench.now)
    bench.until(lambda: any(event.kind == "finished" for event in bench.events))
    assert bench.executed("G1 X30") == ["G1 X30"]
    assert not [event for event in bench.events if event.kind == "failed"]


def test_one_axis_is_homed_alone_and_the_machine_is_homed_when_all_are() -> None:
    bench = Bench()
    bench.until(lambda: bench.acts)
    for axes, homed in (({"X": 0.0}, False), ({"Z": 0.0, "Y": 0.0}, True), ({"X": 0.0}, True)):
        assert bench.act(Act.HOME, axes=axes) == ""
        bench.until(lambda: "home" in bench.acts and bench.engine.snapshot(bench.now).position)
        bench.run(1.0)
        assert bench.engine.snapshot(bench.now).homed is homed
