"""Whether what is loaded is what a job asks for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from jobs.domain.loading import (
    Asks,
    Doubt,
    Loads,
    Mismatch,
    Nozzle,
    Slot,
    ToolAsk,
    mapping,
    mismatches,
    needs_changeover,
)


def whats(asks, loads):
    return [one.what for one in mismatches(asks, loads)]


def test_the_same_material_fits_however_it_is_written():
    assert whats(Asks([ToolAsk(0, "pla")]), Loads([Slot(0, "PLA ")])) == []


def test_where_nobody_said_anything_nothing_is_compared():
    assert whats(Asks([ToolAsk(0, "PLA")], 0.4, "PEI"), Loads()) == []


def test_each_difference_is_named():
    loads = Loads(
        [Slot(0, "PETG", "red", left_g=5, doubt=Doubt.RUN_OUT)], [Nozzle(0, 0.6)], "glass"
    )
    asks = Asks([ToolAsk(0, "PLA", "blue", 12)], 0.4, "PEI")
    assert whats(asks, loads) == [
        Mismatch.MATERIAL,
        Mismatch.COLOUR,
        Mismatch.NOT_ENOUGH,
        Mismatch.DOUBTED,
        Mismatch.NOZZLE,
        Mismatch.PLATE,
    ]


def test_an_empty_slot_fits_nothing():
    assert whats(Asks([ToolAsk(0)]), Loads([Slot(0, "")])) == [Mismatch.MATERIAL]


def test_a_tool_draws_from_its_own_slot_and_another_that_fits_is_named():
    loads = Loads([Slot(0, "PETG"), Slot(1, "PLA", "white"), Slot(2, "PLA", "red")])
    (one,) = mapping(Asks([ToolAsk(0, "PLA", "red")]), loads)
    assert (one.slot.number, one.elsewhere) == (0, 2)


def test_a_doubt_alone_asks_for_a_look_and_no_change():
    loads = Loads([Slot(0, "PLA", doubt=Doubt.TOOL_CHANGE)])
    facts = mismatches(Asks([ToolAsk(0, "PLA")]), loads)
    assert facts
    assert not needs_changeover(facts)


@given(
    st.lists(st.sampled_from(["PLA", "PETG", "ABS", ""]), min_size=1, max_size=4),
    st.lists(st.sampled_from(["PLA", "PETG", "ABS"]), min_size=1, max_size=4),
)
def test_a_mismatch_is_never_silent(has, wants):
    loads = Loads([Slot(number, one) for number, one in enumerate(has)])
    asks = Asks([ToolAsk(tool, one) for tool, one in enumerate(wants)])
    differs = any(one != has[tool] for tool, one in enumerate(wants) if tool < len(has))
    assert (Mismatch.MATERIAL in whats(asks, loads)) == differs
