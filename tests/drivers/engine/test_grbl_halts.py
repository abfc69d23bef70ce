"""A halt in a Grbl's program: its words reach the person, and the person's word the machine."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.acts import Act, Order
from drivers.dialects import DIALECTS
from drivers.flow import Part
from drivers.snapshot import Phase, Replied

BARE = DIALECTS["grbl"].bare


def _plant() -> ModuleType:
    # The tests are no package, so a neighbour is loaded by its path.
    spec = importlib.util.spec_from_file_location("plant", Path(__file__).with_name("plant.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PLANT = _plant()
PROGRAM = [b"G21G90", b"G1X5F600", b"M0 (Flip the stock)", b"G1X9", b"M0", b"G1X1"]


def halted(program=PROGRAM, firmware="grbl-1.1"):
    plant = PLANT.Plant(firmware=firmware, room=None)
    plant.until("connected")
    assert plant.engine.start(PLANT.Lines(program), plant.now, "run")
    plant.until("prompted")
    return plant


def state_of(plant):
    return plant.engine.snapshot(plant.now)


@pytest.mark.parametrize("firmware", ["grbl-1.1", "grblhal", "fluidnc"])
def test_the_words_are_shown_where_it_halts_and_the_answer_lets_it_go_on(firmware):
    plant = halted(firmware=firmware)
    state = state_of(plant)
    assert state.phase is Phase.STREAMING
    assert (state.prompt.text, state.prompt.choices) == ("Flip the stock", ())
    assert "G1X9" not in plant.executed()
    plant.run_for(30.0)
    assert state_of(plant).prompt == state.prompt, "asked once, however long it takes"
    assert not plant.engine.answer(state.prompt.number + 1, 0, plant.now)
    assert not plant.engine.answer(state.prompt.number, 1, plant.now)
    assert plant.engine.answer(state.prompt.number, 0, plant.now)
    assert not plant.engine.answer(state.prompt.number, 0, plant.now)
    plant.turn()
    assert any(isinstance(event, Replied) for event in plant.events)
    plant.until("prompted")
    assert state_of(plant).prompt.text == ""
    assert plant.engine.answer(state_of(plant).prompt.number, 0, plant.now)
    plant.until("finished")
    assert state_of(plant).prompt is None
    lines = plant.executed()
    assert "M0" in lines
    assert not any("(" in line for line in lines), "words are for people, not for the board"


def test_the_machines_own_button_ends_it_as_well():
    plant = halted()
    plant.board._cycle_start()
    plant.run_for(3.0)
    assert state_of(plant).prompt is None or state_of(plant).prompt.text == ""
    assert "G1X9" in plant.executed()


def test_cycle_start_by_hand_ends_it_as_well():
    plant = halted()
    assert plant.engine.act(Order(Act.RESUME), {}, plant.now) == ""
    plant.until("prompted")
    assert state_of(plant).prompt.text == ""


def test_a_hold_that_is_no_halt_asks_nothing():
    plant = PLANT.Plant(firmware="grbl-1.1", room=None)
    plant.until("connected")
    program = [b"G21G90", *(b"G1X%dF300" % (n % 50) for n in range(40))]
    assert plant.engine.start(PLANT.Lines(program), plant.now, "run")
    plant.run_for(2.0)
    plant.board.write(b"!", plant.now)
    plant.run_for(5.0)
    assert state_of(plant).controller == "Hold:0"
    assert state_of(plant).prompt is None


@pytest.mark.parametrize("end", ["cancel", "stop"])
def test_a_halt_that_is_over_asks_nothing_any_more(end):
    plant = halted()
    number = state_of(plant).prompt.number
    getattr(plant.engine, end)(plant.now)
    assert state_of(plant).prompt is None or end == "cancel"
    assert not plant.engine.answer(number, 0, plant.now)
    plant.run_for(30.0)
    assert state_of(plant).prompt is None
    assert "G1X9" not in plant.executed()


@given(line=st.binary(max_size=120))
def test_no_comment_of_a_halt_changes_what_is_sent(line):
    kept = BARE(b"M0 " + line)
    head, mark, words = kept.partition(b"(")
    if mark:
        assert head == b"M0 "
        assert words.endswith(b")")
        assert len(words) <= 61
        assert all(32 <= byte < 127 and byte not in b"?!~" for byte in words)
    assert DIALECTS["grbl"].commands(kept)[:1] == ["M0"]


def test_words_of_halts_that_are_over_do_not_pile_up():
    plant = PLANT.Plant(firmware="grbl-1.1", room=None)
    plant.until("connected")
    engine = plant.engine
    for index in range(5000):
        engine._acked = max(0, index - 64)
        engine._line(b"M0 (%d)" % index, Part.PROGRAM, index)
        assert len(engine._words) <= 65
    assert engine._words[4999] == "4999"
