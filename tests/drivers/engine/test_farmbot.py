"""The FarmBot engine against a small controller that throws away what it cannot take."""

from __future__ import annotations

import importlib.util
import random
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.acts import Act, Order
from drivers.engine import FarmBotEngine
from drivers.profile import load_profile
from drivers.snapshot import Event, Failed, Phase


def _model() -> ModuleType:
    # The tests are no package, so a neighbour is loaded by its path.
    spec = importlib.util.spec_from_file_location(
        "farmbot_model", Path(__file__).with_name("farmbot_model.py")
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


FarmBotModel = _model().FarmBotModel
PROFILE = replace(load_profile("farmbot"), boot_wait_s=0.1)
QUESTIONS = ("F82", "F83", "F21", "F42", "F09")
PROGRAM = [b"G00X10Y2", b"F41P8V1M0", b"G00X20Y-2.5Z1", b"F44P7V1W0T1500M0", b"F41P8V0M0", b"G28"]
WIDE = ["G00 X10 Y2", "F41 P8 V1 M0", "G00 X20 Y-2.5 Z1", "F44 P7 V1 W0 T1500 M0", "F41 P8 V0 M0"]
WIDE += ["G28"]
OFF = list(PROFILE.switch_off)
LINES = st.lists(
    st.one_of(
        st.integers(-9, 99).map(lambda x: b"G00X%dY5" % x),
        st.integers(1, 60).map(lambda pin: b"F41P%dV1M0" % pin),
        st.integers(1, 900).map(lambda t: b"F44P8V1W0T%dM0" % t),
        st.just(b"F11"),
        st.just(b"G28"),
    ),
    min_size=1,
    max_size=12,
)


class Lines(list[bytes]):
    def line(self, index: int) -> bytes:
        return self[index]

    def source_line(self, index: int) -> int:
        return index + 101


class Bench:
    def __init__(self, model, profile=PROFILE, cuts=(1000,)) -> None:
        self.engine, self.model, self.cuts = FarmBotEngine(profile, 0.0), model, list(cuts)
        self.now = 0.0
        self.events: list[Event] = []
        self.sent = b""
        self.engine.connect(0.0)

    def turn(self) -> None:
        self.now += 0.05
        for data in (self.engine.urgent_to_send(self.now), self.engine.data_to_send(self.now)):
            if data:
                self.sent += data
                self.model.write(data, self.now)
        answer = self.model.read(self.now)
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

    def start(self, lines: list[bytes] = PROGRAM) -> None:
        self.until("connected")
        self.events.clear()
        self.model.executed.clear()
        assert self.engine.start(Lines(lines), self.now)

    def failure(self) -> Failed:
        self.until("failed")
        return next(event for event in self.events if isinstance(event, Failed))

    @property
    def done(self) -> list[str]:
        return [line for line in self.model.executed if not line.startswith(QUESTIONS)]


def wide(lines: list[bytes]) -> list[str]:
    words = [line.decode() for line in lines]
    return [
        "".join(f" {c}" if c.isalpha() and at else c for at, c in enumerate(word)) for word in words
    ]


class Losing:
    """Loses, doubles or delays the answers of one kind with the seed's luck."""

    def __init__(self, seed: int, lost: float, doubled: float) -> None:
        self.luck, self.lost, self.doubled = random.Random(seed), lost, doubled
        self.is_on = False

    def __call__(self, line: str) -> list[str]:
        if not self.is_on or not line.startswith(("R01", "R02", "R03", "R08", "R82")):
            return [line]
        if self.luck.random() < self.lost:
            return []
        return [line, line] if self.luck.random() < self.doubled else [line]


def test_lines_without_blanks_are_spaced_numbered_and_finished_in_order():
    bench = Bench(FarmBotModel())
    bench.start()
    assert bench.until("finished", "failed") == "finished"
    assert bench.done == WIDE
    assert b"G00 X10 Y2 Q" in bench.sent
    state = bench.engine.snapshot(bench.now)
    assert (state.acked, state.sent, state.phase) == (6, 6, Phase.IDLE)
    assert state.position == {"X": 0.0, "Y": 0.0, "Z": 0.0}
    assert state.firmware == "FarmBot 6.6.23.R.test"


def test_nothing_is_sent_while_a_command_runs():
    bench = Bench(FarmBotModel(lasts=3.0))
    bench.start([b"G00X10", b"G00X20"])
    for _ in range(30):
        bench.turn()
    assert bench.sent.endswith(b"G00 X10 Q%d\n" % bench.engine._owed.q)
    assert bench.until("finished", "failed") == "finished"


@given(
    program=LINES,
    seed=st.integers(0, 10**6),
    lost=st.sampled_from([0.0, 0.02, 0.15]),
    doubled=st.sampled_from([0.0, 0.3]),
    period=st.sampled_from([0.5, 5.0]),
    cuts=st.lists(st.integers(1, 7), max_size=4),
)
@settings(max_examples=60, deadline=None)
def test_each_command_is_executed_once_and_in_order_or_the_run_fails_at_the_right_line(
    program, seed, lost, doubled, period, cuts
):
    """Whatever answers are lost or doubled, and however the port slices what comes."""
    losing = Losing(seed, lost, doubled)
    model = FarmBotModel(lasts=0.3, period=period)
    model.spoil_out = losing
    bench = Bench(model, cuts=cuts)
    bench.until("connected")
    losing.is_on = True
    bench.start(program)
    end = bench.until("finished", "failed")
    wanted = wide(program)
    if end == "finished":
        assert bench.done == wanted
        return
    line = bench.failure().line - 101
    assert bench.done[:line] == wanted[:line]
    assert bench.done[line : line + 1] in ([], wanted[line : line + 1])
    assert len(bench.done) <= line + 1
    assert lost > 0.0


@given(
    program=LINES,
    seed=st.integers(0, 10**6),
    rate=st.sampled_from([0.002, 0.02]),
    drops=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_a_damaged_line_ends_the_run_and_no_other_line_follows_it(program, seed, rate, drops):
    luck = random.Random(seed)
    model = FarmBotModel(lasts=0.3)
    bench = Bench(model)

    def spoil(data: bytes) -> bytes:
        out = bytearray()
        for byte in data:
            if luck.random() >= rate:
                out.append(byte)
            elif not drops:
                out.append(byte ^ 1 << luck.randrange(7))
        return bytes(out)

    bench.start(program)
    model.spoil_in = spoil
    end = bench.until("finished", "failed", "stopped")
    wanted = wide(program)
    if end == "finished":
        assert bench.done == wanted
        return
    line = bench.failure().line - 101
    good = bench.done[: line + 1]
    assert good[:line] == wanted[:line]
    for _ in range(200):
        bench.turn()
    assert not [text for text in bench.done[line + 1 :] if text in wanted[line + 1 :]]


@given(noise=st.lists(st.binary(max_size=40), max_size=30))
@settings(max_examples=30, deadline=None)
def test_any_noise_is_survived(noise):
    engine = FarmBotEngine(PROFILE, 0.0)
    engine.connect(0.0)
    for number, data in enumerate(noise):
        engine.receive(data, float(number))
        engine.urgent_to_send(float(number))
        engine.data_to_send(float(number))


@pytest.mark.parametrize("lost", [2, 3, 5])
def test_a_lost_answer_is_asked_after_and_nothing_is_sent_again(lost):
    """A move by where it ended, a pin by having been begun and read back."""
    model = FarmBotModel(period=1.0)
    bench = Bench(model)
    bench.start([b"G00X10", b"F41P8V1M0", b"G00X20", b"F41P8V0M0", b"G00X5", b"G28"])
    heard = iter(range(1, 99))
    model.spoil_out = lambda line: [] if line.startswith("R02") and next(heard) == lost else [line]
    assert bench.until("finished", "failed") == "finished"
    assert [event.code for event in bench.events if event.kind == "attention"] == [
        "machine.answer_lost"
    ]
    assert bench.done == [*("G00 X10", "F41 P8 V1 M0", "G00 X20", "F41 P8 V0 M0", "G00 X5", "G28")]
    assert b"F82 Q" in bench.sent
    state = bench.engine.snapshot(bench.now)
    assert (state.lost, state.damaged) == (1, 0)
    assert state.quality < 100


@pytest.mark.parametrize(("noise", "damaged"), [([], 0), (["R0\x7f", "\x01\x02"], 2)])
def test_what_makes_no_sense_lowers_the_score_of_the_link_and_a_clean_run_has_a_full_one(
    noise, damaged
):
    model = FarmBotModel(period=1.0)
    bench = Bench(model)
    bench.start()
    left = list(noise)
    model.spoil_out = lambda line: [line, *([left.pop()] if left else [])]
    assert bench.until("finished", "failed") == "finished"
    state = bench.engine.snapshot(bench.now)
    assert state.damaged == damaged
    assert (state.quality < 100) is bool(damaged)


@pytest.mark.parametrize(("line", "index"), [(b"F44P8V1W0T1500M0", 1), (b"F11", 1)])
def test_a_lost_answer_to_what_has_a_lasting_effect_ends_the_run(line, index):
    model = FarmBotModel(period=1.0)
    bench = Bench(model)
    bench.start([b"G00X10", line, b"G28"])
    word = line[:3].decode()
    model.spoil_out = lambda said: (
        [] if said.startswith("R02") and model.executed[-1].startswith(word) else [said]
    )
    assert bench.failure().code == "machine.answer_lost"
    assert bench.failure().line == 101 + index
    assert [text for text in bench.done if text.startswith(word)] == wide([line])


def test_a_line_that_is_read_back_otherwise_stops_the_machine():
    model = FarmBotModel(lasts=5.0)
    bench = Bench(model)
    bench.start([b"G00X10", b"G28"])
    model.spoil_in = lambda data: data.replace(b"X10", b"X90")
    failure = bench.failure()
    assert (failure.code, failure.line) == ("machine.garbled", 101)
    for _ in range(10):
        bench.turn()
    assert model.locked
    assert model.place[0] < 20.0


@pytest.mark.parametrize(
    ("end", "text"), [("R03 V2", "R03 V2"), ("R03 V31", "R03 V31"), ("R03 V4", "R03 V4")]
)
def test_an_error_of_an_axis_ends_the_run_at_its_line(end, text):
    model = FarmBotModel()
    model.ends_with["G00 X20"] = end
    bench = Bench(model)
    bench.start([b"G00X10", b"G00X20", b"G00X30"])
    failure = bench.failure()
    assert (failure.code, failure.line, failure.text) == ("machine.error", 102, text)
    assert "G00 X30" not in bench.done
    bench.until("connected")
    assert bench.engine.snapshot(bench.now).stopped


def test_a_stop_in_mid_move_is_an_e_and_it_is_repeated_until_it_is_locked():
    model = FarmBotModel(lasts=60.0)
    bench = Bench(model)
    bench.start([b"G00X100"])
    for _ in range(10):
        bench.turn()
    bench.engine.stop(bench.now)
    assert bench.engine.flush_first
    assert bench.engine.urgent_to_send(bench.now).startswith(b"E")
    # Lost on the way: so it comes again.
    bench.until("connected")
    assert model.locked
    assert model.place[0] < 10.0
    state = bench.engine.snapshot(bench.now)
    assert (state.phase, state.stopped) == (Phase.IDLE, True)


def test_a_stop_in_a_command_that_only_waits_is_repeated_until_it_is_heard():
    model = FarmBotModel()
    bench = Bench(model)
    bench.start([b"F44P8V1W0T4000M0"])
    bench.turn()
    bench.engine.stop(bench.now)
    bench.until("connected")
    assert model.locked


def test_a_locked_board_starts_nothing_until_a_person_has_unlocked_it():
    model = FarmBotModel()
    bench = Bench(model)
    bench.until("connected")
    bench.engine.stop(bench.now)
    bench.events.clear()
    bench.until("connected")
    assert not bench.engine.start(Lines(PROGRAM), bench.now)
    for _ in range(100):
        bench.turn()
    assert model.locked
    assert "F09" not in model.executed
    assert bench.engine.snapshot(bench.now).controller == "Locked"
    assert bench.engine.act(Order(Act.UNLOCK), {}, bench.now) == ""
    for _ in range(20):
        bench.turn()
    assert not model.locked
    assert bench.engine.snapshot(bench.now).controller == ""
    bench.start()
    assert bench.until("finished", "failed") == "finished"
    assert bench.done == WIDE


def test_a_board_that_is_locked_when_the_conversation_begins_stays_so():
    model = FarmBotModel()
    model.locked = True
    bench = Bench(model)
    bench.until("connected")
    assert not bench.engine.start(Lines(PROGRAM), bench.now)
    assert bench.engine.acts() == {Act.UNLOCK}


def test_a_button_pressed_in_mid_program_ends_it():
    model = FarmBotModel(lasts=4.0)
    bench = Bench(model)
    bench.start([b"G00X10", b"G28"])
    for _ in range(20):
        bench.turn()
    model.write(b"E", bench.now)
    failure = bench.failure()
    assert (failure.code, failure.line) == ("machine.halted", 101)


def test_a_lock_that_names_no_command_ends_the_program_too():
    bench = Bench(FarmBotModel(lasts=4.0))
    bench.start([b"G00X10", b"G28"])
    for _ in range(20):
        bench.turn()
    bench.events += bench.engine.receive(b"R87 Q0\r\n", bench.now)
    assert bench.failure().code == "machine.halted"


def test_a_pause_waits_for_the_end_of_the_move_and_a_resume_goes_on():
    bench = Bench(FarmBotModel(lasts=2.0))
    bench.start()
    bench.turn()
    assert bench.engine.pause(bench.now)
    bench.until("paused")
    assert bench.done == WIDE[:1]
    for _ in range(100):
        bench.turn()
    assert bench.done == WIDE[:1]
    assert bench.engine.resume(bench.now)
    assert bench.until("finished", "failed") == "finished"
    assert bench.done == WIDE


def test_a_cancel_aborts_the_move_and_switches_off():
    model = FarmBotModel(lasts=60.0)
    bench = Bench(model)
    bench.start([b"G00X100", b"G00X50"])
    for _ in range(20):
        bench.turn()
    assert bench.engine.cancel(bench.now)
    assert bench.until("cancelled", "failed") == "cancelled"
    assert bench.done == ["G00 X100", *OFF]
    assert model.place[0] < 10.0
    assert not model.locked


@pytest.mark.parametrize("late", [True, False])
def test_a_cancel_between_two_lines_does_not_spoil_the_next(late):
    """An @ that comes when nothing moves stands before the next line."""
    model = FarmBotModel(lasts=0.05)
    bench = Bench(model)
    bench.start([b"G00X10", b"G28"])
    bench.turn()
    if late:
        bench.model.step(bench.now + 10.0)
    bench.engine.cancel(bench.now)
    assert bench.until("cancelled", "failed") == "cancelled"
    assert bench.done[-len(OFF) :] == OFF


def test_a_cancel_that_is_not_confirmed_is_an_emergency():
    model = FarmBotModel(lasts=600.0)
    bench = Bench(model)
    bench.start([b"G00X100"])
    bench.turn()
    model.spoil_in = lambda data: data.replace(b"@", b"")
    bench.engine.cancel(bench.now)
    assert bench.failure().code == "machine.cancel_unconfirmed"
    bench.until("connected")
    assert model.locked


@pytest.mark.parametrize("says", [True, False])
def test_a_restart_in_mid_program_ends_it_at_its_line(says):
    """With its greeting, or silently: then only its place tells."""
    model = FarmBotModel(lasts=2.0, period=1.0)
    bench = Bench(model)
    bench.start([b"G00X10", b"G00X20Y20", b"G28"])
    while bench.done != ["G00 X10"]:
        bench.turn()
    for _ in range(10):
        bench.turn()
    model.restart(says=says)
    failure = bench.failure()
    assert failure.code == ("machine.reset" if says else "machine.answer_lost")
    assert failure.line == 102
    assert bench.done == ["G00 X10"]


def test_silence_ends_the_run():
    model = FarmBotModel(lasts=2.0)
    bench = Bench(model)
    bench.start()
    bench.turn()
    model.mute = True
    assert bench.failure().code in ("machine.silent", "machine.answer_lost")
    assert bench.failure().line == 101


def test_settings_that_nobody_approved_are_named():
    model = FarmBotModel()
    model.configured = False
    bench = Bench(model)
    bench.start([b"F41P8V1M0", b"G00X1"])
    failure = bench.failure()
    assert (failure.code, failure.line) == ("machine.not_configured", 102)


@pytest.mark.parametrize("line", [b"G00X1E5", b"hello", b"G00 X1 @", b"G00X1" + b"Y2" * 30])
def test_a_line_that_may_not_go_out_ends_the_run(line):
    bench = Bench(FarmBotModel())
    bench.start([b"G00X1", line])
    failure = bench.failure()
    assert failure.line == 102
    assert bench.done == ["G00 X1"]


def test_a_pin_that_was_not_read_back_is_not_believed():
    model = FarmBotModel()
    bench = Bench(model)
    bench.start([b"G00X1", b"F41P8V1M0", b"G28"])
    model.spoil_out = lambda said: [] if said.startswith("R08 *F41") else [said]
    failure = bench.failure()
    assert (failure.code, failure.line) == ("machine.answer_lost", 102)


def test_a_move_that_was_not_read_back_is_believed_by_where_it_ended():
    model = FarmBotModel()
    bench = Bench(model)
    bench.start([b"G00X1", b"G00X9", b"G28"])
    model.spoil_out = lambda said: [] if said.startswith("R08 *G00") else [said]
    assert bench.until("finished", "failed") == "finished"


def test_an_idle_report_shows_a_lost_answer_at_once():
    model = FarmBotModel(lasts=0.1, period=0.5)
    bench = Bench(model)
    bench.start([b"G00X10"])
    began = bench.now
    model.spoil_out = lambda said: [] if said == "R02 Q3" else [said]
    assert bench.until("finished", "failed") == "finished"
    assert bench.now - began < PROFILE.answer_s / 2


def test_an_answer_with_the_number_of_another_command_is_nobodys():
    bench = Bench(FarmBotModel(lasts=5.0))
    bench.start([b"G00X10", b"G28"])
    for _ in range(10):
        bench.turn()
    bench.events += bench.engine.receive(b"R02 Q2\r\nR02 Q2\r\nR03 V2 Q1\r\n", bench.now)
    for _ in range(10):
        bench.turn()
    assert bench.engine.snapshot(bench.now).acked == 0
    assert bench.until("finished", "failed") == "finished"
    assert bench.done == ["G00 X10", "G28"]


def test_a_line_that_was_cut_is_neither_ended_by_a_question_nor_executed_after_it():
    model = FarmBotModel()
    bench = Bench(model)
    bench.start([b"G00X10", b"G00X20Y20", b"G28"])
    model.spoil_in = lambda data: data.split(b"0 Q")[0] if b"X20" in data else data
    failure = bench.failure()
    assert (failure.code, failure.line) == ("machine.answer_lost", 102)
    assert b"F82" not in bench.sent
    for _ in range(100):
        bench.turn()
    assert bench.done == ["G00 X10"]
    assert model.place == [10.0, 0.0, 0.0]


def test_a_board_that_restarts_before_it_answers_has_not_executed():
    model = FarmBotModel(period=1.0)
    bench = Bench(model)
    bench.start([b"G00X10", b"F41P8V1M0", b"G28"])
    model.spoil_out = lambda said: [] if said == "R02 Q5" else [said]
    while "F41 P8 V1 M0" not in bench.done:
        bench.turn()
    model.restart(says=False)
    failure = bench.failure()
    assert (failure.code, failure.line) == ("machine.answer_lost", 102)


def test_a_false_idle_report_in_mid_move_costs_no_line():
    """The question is thrown away by the move, and the move's own answer still counts."""
    bench = Bench(FarmBotModel(lasts=2.0))
    bench.start([b"G00X10", b"G00X20", b"G28"])
    for _ in range(10):
        bench.turn()
    bench.engine.receive(b"R00 Q0\r\n", bench.now)
    assert bench.until("finished", "failed") == "finished"
    assert bench.done == ["G00 X10", "G00 X20", "G28"]


def test_a_person_unlocks_and_homes_it_by_hand():
    model = FarmBotModel()
    bench = Bench(model)
    bench.until("connected")
    bench.engine.stop(bench.now)
    bench.events.clear()
    bench.until("connected")
    assert bench.engine.acts() == {Act.UNLOCK}
    assert bench.engine.act(Order(Act.HOME), {}, bench.now) == "host.not_now"
    assert bench.engine.act(Order(Act.UNLOCK), {}, bench.now) == ""
    for _ in range(20):
        bench.turn()
    assert not model.locked
    assert bench.engine.acts() - {Act.JOG} == {Act.HOME, Act.OFF}
    assert bench.engine.act(Order(Act.HOME, axes={"X": 1.0}), {}, bench.now) == ""
    assert bench.engine.act(Order(Act.OFF), {}, bench.now) == ""
    for _ in range(60):
        bench.turn()
    assert bench.done == ["F11", *OFF]


def at_hand(model):
    """A bench whose robot has told where it is, and is homed."""
    bench = Bench(model)
    bench.until("connected")
    bench.start([b"F13", b"F12", b"F11", b"G00X100Y200Z-50"])
    assert bench.until("finished", "failed") == "finished"
    bench.events.clear()
    return bench


REACH = {"X": (0.0, 2700.0), "Y": (0.0, 1200.0), "Z": (-400.0, 0.0)}


def test_a_jog_goes_from_where_it_stands_and_moves_no_other_axis():
    bench = at_hand(FarmBotModel())
    assert Act.JOG in bench.engine.acts()
    order = Order(Act.JOG, axes={"Y": -30.0}, feedrate=20.0)
    assert bench.engine.act(order, REACH, bench.now) == ""
    for _ in range(60):
        bench.turn()
    assert bench.done[-1] == "G00 X100.00 Y170.00 Z-50.00 A100 B100 C500"
    assert bench.model.place == [100.0, 170.0, -50.0]


def test_a_jog_out_of_reach_or_too_far_unhomed_is_refused():
    bench = at_hand(FarmBotModel())
    far = Order(Act.JOG, axes={"Z": 60.0}, feedrate=20.0)
    assert bench.engine.act(far, REACH, bench.now) == "host.out_of_reach"
    bench.model.restart()
    bench.until("connected")
    for _ in range(40):
        bench.turn()
    if Act.JOG in bench.engine.acts():
        assert bench.engine.act(far, REACH, bench.now) == "host.not_homed"


def test_a_jog_is_ended_by_a_person_and_nothing_is_said_to_have_failed():
    bench = at_hand(FarmBotModel(lasts=5.0))
    order = Order(Act.JOG, axes={"X": 500.0}, feedrate=20.0)
    assert bench.engine.act(order, REACH, bench.now) == ""
    for _ in range(10):
        bench.turn()
    assert bench.engine.acts() == {Act.JOG_CANCEL}
    assert bench.engine.act(order, REACH, bench.now) == "host.not_now"
    assert bench.engine.act(Order(Act.JOG_CANCEL), REACH, bench.now) == ""
    for _ in range(40):
        bench.turn()
    assert b"@" in bench.sent
    assert {Act.HOME, Act.OFF} <= bench.engine.acts()
    assert not [event for event in bench.events if event.kind in ("attention", "failed")]
    assert bench.engine.act(Order(Act.HOME, axes={"Z": 1.0}), REACH, bench.now) == ""
    for _ in range(200):
        bench.turn()
    assert bench.done[-1] == "F13"
