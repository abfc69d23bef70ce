"""What machines have loaded: whose word it is, what runs take of it, and what was before."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobs.domain.errors import InvalidError, NotAllowedError
from jobs.domain.loading import Doubt, Loads
from jobs.services.loaded import Loading, doubt, loads_of, take_from


@pytest.fixture
def loading(workshop):
    return Loading(workshop)


def test_nothing_is_loaded_until_somebody_says_so(loading, printer):
    assert loading.view("ender") == Loads()


def test_a_word_has_a_name_and_a_time_and_ends_the_word_before(loading, printer, member, now):
    loading.say_slot(member, "ender", 0, now, material="PLA", colour="red", left_g=800)
    later = now + timedelta(hours=1)
    loading.say_slot(member, "ender", 0, later, material="PETG", lot="L7")
    (slot,) = loading.view("ender").slots
    assert (slot.material, slot.lot, slot.left_g, slot.by, slot.at) == (
        "PETG", "L7", None, "Mia", later,
    )  # fmt: skip
    new, old = loading.history("ender")
    assert (old.text, old.until, new.until) == ("PLA · red · 800 g", later, None)


def test_each_tool_has_a_nozzle_and_slots_without_one_share_the_first(
    loading, printer, member, now
):
    loading.say_nozzle(member, "ender", 0, 0.4, now)
    loading.say_nozzle(member, "ender", 1, 0.6, now)
    loading.say_plate(member, "ender", "PEI", now)
    loads = loading.view("ender")
    sizes = [one.nozzle_mm for tool in (0, 1, 2) if (one := loads.nozzle(tool))]
    assert sizes == [0.4, 0.6, 0.4]
    assert (loads.plate, loads.plate_by) == ("PEI", "Mia")


def test_runs_take_from_what_is_left_and_never_below_nothing(
    loading, workshop, printer, member, now
):
    loading.say_slot(member, "ender", 0, now, material="PLA", left_g=100)
    for _ in range(2):
        with workshop.database.write() as session:
            start = now + timedelta(minutes=1)
            take_from(session, printer, {0: 70_000, 5: 1_000}, start, start + timedelta(hours=1))
            left = loads_of(session, printer).slots[0].left_g
    assert left == 0


def test_a_doubt_stands_until_a_person_has_looked(loading, workshop, printer, member, now):
    loading.say_slot(member, "ender", 0, now, material="PLA", left_g=100)
    with workshop.database.write() as session:
        take_from(session, printer, {0: 30_000}, now, now + timedelta(hours=1))
        doubt(session, printer, Doubt.RUN_OUT, now)
    (doubted,) = loading.view("ender").doubted
    assert doubted.doubt is Doubt.RUN_OUT
    loading.confirm(member, "ender", now + timedelta(minutes=1))
    loads = loading.view("ender")
    assert not loads.doubted
    assert loads.slots[0].left_g == pytest.approx(70)


@pytest.mark.parametrize(
    ("number", "values", "field"),
    [
        (16, {"material": "PLA"}, "slot"),
        (-1, {"material": "PLA"}, "slot"),
        (0, {"material": "x" * 41}, "material"),
        (0, {"material": "PLA", "left_g": float("nan")}, "left_g"),
        (0, {"material": "PLA", "left_g": -1}, "left_g"),
    ],
)
def test_what_cannot_be_is_said_with_its_field(
    loading, printer, member, now, number, values, field
):
    with pytest.raises(InvalidError) as error:
        loading.say_slot(member, "ender", number, now, **values)
    assert error.value.field == field


def test_a_guest_changes_nothing(loading, printer, guest, now):
    with pytest.raises(NotAllowedError):
        loading.say_plate(guest, "ender", "PEI", now)
