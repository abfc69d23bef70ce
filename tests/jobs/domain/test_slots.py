"""From which slots a job's tools draw."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.domain.errors import InvalidError
from jobs.domain.loading import (
    MOST_SLOTS,
    Asks,
    Doubt,
    Loads,
    Mismatch,
    Nozzle,
    Slot,
    ToolAsk,
    drawn,
    fits_slot,
    mapping,
    mismatches,
)
from jobs.domain.slots import checked, permutation, proposed, slots_from, slots_to_json

NUMBERS = st.integers(0, MOST_SLOTS - 1)
SLOTS = st.dictionaries(NUMBERS, NUMBERS).filter(
    lambda one: len(set(one.values())) == len(one.values())
)
WORDS = st.sampled_from(["", "PLA", "PETG", "TPU"])
COLOURS = st.sampled_from(["", "red", "white"])
LOADS = st.lists(st.builds(Slot, NUMBERS, WORDS, COLOURS), unique_by=lambda one: one.number)
TOOLS = st.lists(st.builds(ToolAsk, NUMBERS, WORDS, COLOURS), unique_by=lambda one: one.tool)


@given(SLOTS)
def test_a_mapping_is_always_completed_so_that_no_two_tools_meet(slots):
    found = permutation(slots)
    assert sorted(found) == list(range(MOST_SLOTS))
    assert all(found[tool] == slot for tool, slot in slots.items())


@given(SLOTS)
def test_who_is_in_nobodys_way_stays(slots):
    found = permutation(slots)
    for tool in range(MOST_SLOTS):
        if tool not in slots and tool not in slots.values():
            assert found[tool] == tool


@given(SLOTS)
def test_a_mapping_survives_being_kept(slots):
    kept = checked(slots.items())
    assert slots_from(slots_to_json(kept)) == kept


@pytest.mark.parametrize(
    ("pairs", "code"),
    [([(0, 16)], "slots.number"), ([(-1, 0)], "slots.number"),
     ([(0, 2), (1, 2)], "slots.twice"), ([(0, 1), (0, 2)], "slots.twice")],
)  # fmt: skip
def test_what_is_no_mapping_is_refused(pairs, code):
    with pytest.raises(InvalidError) as error:
        checked(pairs)
    assert error.value.code == code


@given(TOOLS, LOADS)
def test_what_is_proposed_always_fits_and_uses_no_slot_twice(tools, loads):
    found = proposed(Asks(tools), Loads(loads))
    if found is None:
        return
    by_number = {one.number: one for one in loads}
    slots = [found.get(ask.tool, ask.tool) for ask in tools]
    assert len(set(slots)) == len(slots)
    assert all(fits_slot(ask, by_number[slot]) for ask, slot in zip(tools, slots, strict=True))


@given(TOOLS, st.permutations(range(MOST_SLOTS)))
def test_what_is_loaded_in_any_order_is_always_found(tools, order):
    held = [Slot(order[ask.tool], ask.material or "PLA", ask.colour or "grey") for ask in tools]
    asks = Asks(tools)
    found = proposed(asks, Loads(held))
    now_fits = all(one.slot and not one.mismatches for one in mapping(asks, Loads(held)))
    assert (found is None) == now_fits


def test_a_tool_that_fits_where_it_is_stays_there():
    loads = Loads([Slot(0, "PLA"), Slot(1, "PLA"), Slot(2, "PETG")])
    assert proposed(Asks([ToolAsk(0, "PLA"), ToolAsk(1, "PETG")]), loads) == {1: 2}
    assert proposed(Asks([ToolAsk(0, "PLA"), ToolAsk(2, "PETG")]), loads) is None


def test_a_tool_is_moved_only_to_make_room_for_another():
    loads = Loads([Slot(0, "PLA", "red"), Slot(1, "PLA", "white")])
    asks = Asks([ToolAsk(0, "PLA"), ToolAsk(1, "PLA", "red")])
    assert proposed(asks, loads) == {0: 1, 1: 0}


def test_neither_colour_nor_mass_nor_a_doubt_is_overlooked():
    loads = Loads(
        [Slot(1, "PLA", "red", left_g=5), Slot(2, "PLA", "white"),
         Slot(3, "PLA", "red", doubt=Doubt.RUN_OUT)]
    )  # fmt: skip
    assert proposed(Asks([ToolAsk(0, "PLA", "red", 10)]), loads) is None
    assert proposed(Asks([ToolAsk(0, "PLA", "red", 4)]), loads) == {0: 1}


def test_everything_reads_the_slot_that_is_drawn_from():
    loads = Loads([Slot(0, "PETG"), Slot(2, "PLA")], [Nozzle(0, 0.4), Nozzle(2, 0.6)])
    asks = Asks([ToolAsk(0, "PLA")], 0.4)
    assert [one.what for one in mismatches(asks, loads)] == [Mismatch.MATERIAL]
    mapped = Asks([ToolAsk(0, "PLA")], 0.4, slots={0: 2})
    assert [(one.what, one.fields["tool"]) for one in mismatches(mapped, loads)] == [
        (Mismatch.NOZZLE, 3)
    ]
    assert mapping(mapped, loads)[0].number == 2
    assert drawn(mapped, 700) == {2: 700}
    two = Asks([ToolAsk(0, mass_g=1.0), ToolAsk(2, mass_g=3.0)], slots={0: 2, 2: 0})
    assert drawn(two, 400) == {2: 100, 0: 300}
