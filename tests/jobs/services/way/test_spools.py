"""What a run does to its spools: subtracted at its end, doubted where that is a guess."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import select

from jobs.domain.loading import Doubt
from jobs.store.tables import Preflight, Record

DONE = {"acked": 100, "sent": 100, "total": 100, "source_line": 140, "resends": 0}
HALF = {"acked": 50, "sent": 52, "total": 100, "source_line": 70, "resends": 0}


@pytest.fixture
def spool(house, printer, member):
    """A spool of which somebody said what is left, before the run."""
    house.services.loading.say_slot(
        member, "ender", 0, house.now, material="PLA", lot="L7", left_g=100
    )
    house.later(minutes=1)


def slots(house):
    return {one.number: one for one in house.services.loading.view("ender").slots}


def tell(house, run, seq, kind, **fields):
    house.services.runs.apply("ender", house.event(run, seq, kind, **fields), house.now)


def test_a_finished_run_takes_its_mass_from_its_slot_and_names_the_lot(house, spool, running):
    _, run = running
    house.later(minutes=10)
    tell(house, run, 1, "finished", **DONE)
    assert slots(house)[0].left_g == pytest.approx(88)
    assert slots(house)[0].doubt is None
    events = json.loads(house.row(Record).body)["events"]
    assert [one["lot"] for one in events if one["action"] == "consume"] == ["L7"]


@pytest.mark.parametrize("kind", ["failed", "interrupted", "stopped"])
def test_a_run_that_broke_off_took_its_share_and_somebody_has_to_look(house, spool, running, kind):
    _, run = running
    house.later(minutes=5)
    tell(house, run, 1, "run_started")
    tell(house, run, 2, kind, **HALF)
    slot = slots(house)[0]
    assert slot.left_g == pytest.approx(94, abs=0.2)
    assert slot.doubt is Doubt.BROKEN_OFF


def test_a_cancelled_run_took_its_share_and_is_no_doubt(house, spool, running):
    _, run = running
    house.later(minutes=5)
    tell(house, run, 1, "run_started")
    tell(house, run, 2, "cancelled", **HALF)
    assert slots(house)[0].left_g == pytest.approx(94, abs=0.2)
    assert slots(house)[0].doubt is None


def test_each_slot_gives_what_its_tool_was_to_take(house, add_waiting, spool, printer, member):
    house.services.loading.say_slot(member, "ender", 2, house.now, material="PETG", left_g=50)
    house.services.loading.say_slot(member, "ender", 3, house.now, material="PETG", left_g=50)
    job_id = add_waiting(member, printer)
    tools = [
        {"tool": 0, "material": "PLA", "filament_g": 9.0},
        {"tool": 2, "material": "PETG", "filament_g": 3.0},
    ]
    with house.workshop.database.write() as session:
        row = session.scalars(select(Preflight).where(Preflight.job_id == job_id)).one()
        row.report = {"slicer": {"tools": tools}}
    house.services.dispatch.arm(member, "ender", house.now)
    (run,) = house.services.dispatch.tick(house.now)
    house.later(minutes=10)
    tell(house, run, 1, "failed", **DONE)
    left = {number: one.left_g for number, one in slots(house).items()}
    assert left == {0: pytest.approx(91), 2: pytest.approx(47), 3: 50}
    doubted = [number for number, one in slots(house).items() if one.doubt]
    assert doubted == [0, 2]


def test_a_spool_that_was_changed_meanwhile_gives_only_what_came_after(
    house, spool, running, member
):
    _, run = running
    house.later(minutes=5)
    house.services.loading.say_slot(member, "ender", 0, house.now, material="PLA", left_g=1000)
    house.later(minutes=5)
    tell(house, run, 1, "finished", **DONE)
    assert slots(house)[0].left_g == pytest.approx(994, abs=0.2)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("FilamentRunout", Doubt.RUN_OUT),
        ("Insert filament and press", Doubt.TOOL_CHANGE),
        ("Turn the part over", None),
    ],
)
def test_a_machine_that_asks_for_filament_makes_its_spools_doubtful(
    house, spool, running, text, why
):
    _, run = running
    tell(house, run, 1, "run_started")
    tell(house, run, 2, "prompted", text=text, choices=[])
    assert slots(house)[0].doubt is why


def test_what_draws_from_another_slot_is_taken_from_that(
    house, add_waiting, spool, printer, member
):
    house.services.loading.say_slot(
        member, "ender", 2, house.now, material="PLA", lot="L9", left_g=50
    )
    job_id = add_waiting(member, printer)
    with house.workshop.database.write() as session:
        row = session.scalars(select(Preflight).where(Preflight.job_id == job_id)).one()
        row.report = {"slots": {"0": 2}}
    house.services.dispatch.arm(member, "ender", house.now)
    (run,) = house.services.dispatch.tick(house.now)
    house.later(minutes=10)
    tell(house, run, 1, "finished", **DONE)
    left = {number: one.left_g for number, one in slots(house).items()}
    assert left == {0: 100, 2: pytest.approx(38)}
    events = json.loads(house.row(Record).body)["events"]
    assert [one["lot"] for one in events if one["action"] == "consume"] == ["L9"]
