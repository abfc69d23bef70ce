"""Faults, near misses, service by use, checklists, and what a machine has been through."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobs.domain.calendar import AllocationKind, AllocationState
from jobs.domain.care import Moment, Outcome, Severity
from jobs.domain.errors import InvalidError, NotAllowedError, RefusedError
from jobs.domain.machine import Control
from jobs.domain.people import Actor
from jobs.domain.policy import Reason
from jobs.store.tables import Allocation, Machine, Preflight
from jobs.store.upkeep import ServiceDone
from tests.jobs.services.way.conftest import House


def test_a_fault_that_makes_a_machine_unusable_closes_it_until_it_is_mended(
    house: House, printer: str, member: Actor, other: Actor, operator: Actor, add_waiting
) -> None:
    services, now = house.services, house.now
    add_waiting(member, printer)
    booked = services.bookings.book(
        other, "ender", now + timedelta(hours=1), now + timedelta(hours=2), now
    )
    services.dispatch.arm(member, "ender", now)
    fault = services.faults.report(member, "ender", Severity.UNUSABLE, "The hotend drips", now)
    outage = house.row(Allocation, kind=AllocationKind.OUTAGE.value)
    assert outage.state == AllocationState.ACTIVE.value
    assert house.row(Allocation, id=booked.id).state == AllocationState.DISPLACED.value
    assert services.dispatch.tick(now) == []
    assert services.notices.list(operator)[0].code == "fault-unusable"
    with pytest.raises(NotAllowedError):
        services.faults.mend(member, fault, "Tightened", now)
    services.faults.mend(operator, fault, "New nozzle, tightened hot", now)
    assert house.row(Allocation, id=outage.id).state == AllocationState.ENDED.value
    assert house.row(Machine, slug="ender").to_check_since == now
    assert services.faults.list(member) == []
    assert services.notices.list(member)[0].code == "fault-mended"
    with pytest.raises(RefusedError):
        services.faults.mend(operator, fault, "Again", now)


@pytest.mark.parametrize("severity", [Severity.NOTE, Severity.LIMITS])
def test_a_fault_that_only_limits_closes_nothing(
    house: House, printer: str, member: Actor, severity: Severity
) -> None:
    house.services.faults.report(member, "ender", severity, "The fan rattles", house.now)
    assert house.rows(Allocation) == []
    (fault,) = house.services.faults.list(member, "ender")
    assert not fault.closes
    assert fault.severity is severity


def test_a_run_goes_on_whatever_is_reported(
    house: House, running: tuple[str, str], member: Actor
) -> None:
    house.services.faults.report(member, "ender", Severity.DANGER, "It smells", house.now)
    assert house.attempt(running[0]).ended_at is None


def test_near_misses_are_read_by_admins_alone(
    house: House, printer: str, member: Actor, operator: Actor, admin: Actor
) -> None:
    faults = house.services.faults
    faults.nearly(member, "My sleeve was nearly caught", "ender", house.now, unnamed=False)
    faults.nearly(member, "A blade lay in the drawer", None, house.now, unnamed=True)
    for reader in (member, operator):
        with pytest.raises(NotAllowedError):
            faults.near_misses(reader)
    assert {one.person_name for one in faults.near_misses(admin)} == {"Mia", ""}
    assert house.services.notices.list(admin)[0].fields == {}
    with pytest.raises(InvalidError):
        faults.nearly(member, "  ", None, house.now, unnamed=True)


def test_a_counter_counts_runs_and_reminds_once_until_it_is_reset_by_name(
    house: House, running: tuple[str, str], member: Actor, operator: Actor
) -> None:
    services, begun = house.services, house.now
    by_hours = services.servicing.add(operator, "ender", "Oil the rods", begun, every_h=0.1)
    by_metres = services.servicing.add(operator, "ender", "New nozzle", begun, every_m=8.0)
    later = house.later(minutes=10)
    event = house.event(running[1], 1, "finished") | {"at_us": round(later.timestamp() * 1e6)}
    services.runs.apply("ender", event, later)
    rods, nozzle = services.servicing.list(member, "ender")
    assert (rods.id, rods.is_due, nozzle.id, nozzle.is_due) == (by_hours, True, by_metres, False)
    assert rods.used_h == pytest.approx(1 / 6, abs=0.001)
    assert nozzle.used_m == pytest.approx(4.0)
    assert services.servicing.remind(later) == 1
    assert services.servicing.remind(later) == 0
    assert [one.code for one in services.notices.list(operator)] == ["service-due"]
    with pytest.raises(NotAllowedError):
        services.servicing.done(member, by_hours, "", later)
    services.servicing.done(operator, by_hours, "Used the good oil", later)
    rods = next(one for one in services.servicing.list(member) if one.id == by_hours)
    assert (rods.used_h, rods.done_by) == (0.0, "Otto")
    services.servicing.retire(operator, by_metres, later)
    assert len(services.servicing.list(member)) == 1


def test_a_counter_of_travel_counts_the_way_of_programs_by_the_share_that_was_run(
    house: House, running: tuple[str, str], printer: str, member: Actor, operator: Actor
) -> None:
    services, begun = house.services, house.now
    with house.workshop.database.write() as session:
        preflight = session.get_one(Preflight, house.attempt(running[0]).preflight_id)
        preflight.report = {"travel_mm": 1500.5, "print_mm": 2500.0, "cut_mm": 0.0}
    services.servicing.add(operator, "ender", "Grease", begun, every_travel_m=3.0)
    (grease,) = services.servicing.list(member, "ender")
    assert (grease.used_travel_m, grease.is_due) == (0.0, False)
    ended = house.event(running[1], 1, "cancelled") | {"acked": 50, "sent": 50, "total": 100}
    services.runs.apply("ender", ended, house.later(minutes=5))
    (grease,) = services.servicing.list(member, "ender")
    assert grease.used_travel_m == pytest.approx(2.0)
    assert grease.share == pytest.approx(2 / 3, abs=0.001)
    assert services.servicing.remind(house.now) == 0
    services.servicing.add(operator, "ender", "Wipe", begun, every_travel_m=2.0)
    assert services.servicing.remind(house.now) == 1
    services.servicing.done(operator, grease.id, "", house.now)
    assert house.row(ServiceDone).used_travel_mm == 2000


@pytest.mark.parametrize(
    "every",
    [
        {},
        {"every_h": 1.0, "every_m": 1.0},
        {"every_h": 0.0},
        {"every_m": float("nan")},
        {"every_h": 1.0, "every_travel_m": 1.0},
        {"every_h": 1.0, "every_m": 1.0, "every_travel_m": 1.0},
    ],
)
def test_a_counter_waits_for_one_sensible_amount(
    house: House, printer: str, operator: Actor, every: dict[str, float]
) -> None:
    with pytest.raises(InvalidError, match=r"service\.every"):
        house.services.servicing.add(operator, "ender", "Oil", house.now, **every)


def test_a_list_keeps_its_versions_and_an_answer_names_its_own(
    house: House, printer: str, member: Actor, operator: Actor
) -> None:
    lists, now = house.services.checklists, house.now
    lists.write(operator, "ender", Moment.BEFORE_USE, "Bed clean\nNo smell", now)
    lists.write(operator, None, Moment.CLOSING, "Windows\nLights", now)
    (first,) = lists.list(member, now, "ender")
    lists.answer(member, first.id, [0, 7, -1], "smells", now)
    lists.write(operator, "ender", Moment.BEFORE_USE, "Bed clean", now)
    with pytest.raises(RefusedError):
        lists.answer(member, first.id, [0], "", now)
    (second,) = lists.list(member, now, "ender")
    assert (second.version, second.items) == (2, ["Bed clean"])
    (answer,) = lists.answers(operator)
    assert (answer.version, answer.missing, answer.note) == (1, ["No smell"], "smells")
    lists.write(operator, "ender", Moment.BEFORE_USE, "", now)
    assert [one.moment for one in lists.list(member, now)] == [Moment.CLOSING]
    with pytest.raises(InvalidError):
        lists.write(operator, "ender", Moment.OPENING, "x", now)
    with pytest.raises(NotAllowedError):
        lists.write(member, None, Moment.OPENING, "x", now)


def test_nothing_starts_before_somebody_has_gone_through_the_list_before_use(
    house: House, printer: str, member: Actor, operator: Actor, add_waiting
) -> None:
    services = house.services
    job = add_waiting(member, printer)
    other_job = add_waiting(member, printer)
    services.checklists.write(
        operator, "ender", Moment.BEFORE_USE, "Bed clean\nNo smell", house.now
    )
    services.dispatch.arm(member, "ender", house.now)
    assert services.dispatch.tick(house.now) == []
    (waits,) = services.queue.get(job, house.now, member).waits_for
    (reason,) = waits[1]
    (way,) = reason.ways
    assert (waits[0], reason.reason, reason.overridable) == ("ender", Reason.BEFORE_USE, False)
    with pytest.raises(RefusedError) as refused:
        services.dispatch.start(member, job, "ender", house.now, is_clear=True)
    assert list(refused.value.refusals) == [reason]
    services.checklists.answer(member, way.ref, [0], "smells", house.now)
    assert services.dispatch.tick(house.now) == []  # half a list is none
    services.checklists.answer(member, way.ref, [0, 1], "aired", house.later(seconds=1))
    services.checklists.answer(member, way.ref, [0], "again", house.later(seconds=1))
    assert services.dispatch.tick(house.now) == []  # the last word counts
    services.checklists.answer(member, way.ref, [0, 1], "", house.later(seconds=1))
    (asked,) = services.checklists.list(member, house.now, "ender")
    assert (asked.done_at, asked.done_by) == (house.now, "Mia")
    (run,) = services.dispatch.tick(house.later(seconds=1))
    services.runs.apply("ender", house.event(run, 1, "finished"), house.later(minutes=5))
    services.dispatch.arm(member, "ender", house.now)
    assert services.dispatch.tick(house.now) == []  # one word, one use
    assert services.queue.get(other_job, house.now, member).waits_for[0][1][0] == reason


def test_a_word_before_use_is_over_after_an_hour_and_with_a_new_version(
    house: House, printer: str, member: Actor, operator: Actor
) -> None:
    lists, begun = house.services.checklists, house.now
    lists.write(operator, "ender", Moment.BEFORE_USE, "Bed clean", begun)
    (asked,) = lists.list(member, begun)
    lists.answer(member, asked.id, [0], "", begun)
    for minutes, holds in ((60, True), (61, False)):
        (asked,) = lists.list(member, begun + timedelta(minutes=minutes))
        assert (asked.done_at is not None) is holds
    lists.write(operator, "ender", Moment.BEFORE_USE, "Bed clean\nDoor shut", begun)
    assert lists.list(member, begun)[0].done_at is None


def test_a_machine_without_a_host_waits_for_its_list_too(
    house: House, add_machine, member: Actor, operator: Actor, add_waiting
) -> None:
    services, slug = house.services, "old"
    machine = add_machine(house.workshop, slug, control=Control.BY_HAND)
    job = add_waiting(member, machine)
    now = house.now
    services.checklists.write(operator, slug, Moment.BEFORE_USE, "Bed clean", now)
    with pytest.raises(RefusedError) as refused:
        services.queue.by_hand(member, job, "started", slug, now)
    (reason,) = refused.value.refusals
    assert reason.reason is Reason.BEFORE_USE
    assert reason in services.queue.get(job, now, member).waits_for[0][1]
    services.checklists.answer(member, reason.ways[0].ref, [0], "", now)
    services.queue.by_hand(member, job, "started", slug, house.later(seconds=1))
    assert house.job(job).state == "running"


def test_the_list_after_use_is_asked_for_with_the_clearing(
    house: House, running: tuple[str, str], member: Actor, operator: Actor, admin: Actor
) -> None:
    services = house.services
    services.runs.apply("ender", house.event(running[1], 1, "finished"), house.later(minutes=5))
    services.checklists.write(
        operator, "ender", Moment.AFTER_USE, "Bed wiped\nFilament dry", house.now
    )
    asked = services.clearing.look(member, "ender")
    assert asked.items == ["Bed wiped", "Filament dry"]
    services.clearing.clear(
        member, "ender", Outcome.GOOD, house.now, list_id=asked.list_id, ticked=[0]
    )
    assert house.row(Machine, slug="ender").to_check_since is not None
    (told,) = [one for one in services.notices.list(admin) if one.code == "machine-undone"]
    assert told.fields["undone"] == "Filament dry"
    (answer,) = services.checklists.answers(operator)
    assert (answer.person_name, answer.missing) == ("Mia", ["Filament dry"])
    services.clearing.clear(
        member, "ender", Outcome.GOOD, house.now, list_id=asked.list_id, ticked=[0, 1]
    )
    assert house.row(Machine, slug="ender").to_check_since is None
    services.checklists.write(operator, "ender", Moment.AFTER_USE, "Bed wiped", house.now)
    with pytest.raises(RefusedError):
        services.clearing.clear(
            member, "ender", Outcome.GOOD, house.now, list_id=asked.list_id, ticked=[0]
        )


def test_the_labs_lists_know_who_went_through_them_today(
    house: House, member: Actor, operator: Actor
) -> None:
    lists = house.services.checklists
    lists.write(operator, None, Moment.OPENING, "Air on", house.now)
    (asked,) = lists.of_today(member, house.now)
    lists.answer(member, asked.id, [0], "", house.now)
    assert lists.of_today(operator, house.now)[0].done_by == "Mia"
    assert lists.of_today(operator, house.later(days=1))[0].done_at is None


def test_the_history_of_a_machine_names_no_owner_of_a_run(
    house: House, running: tuple[str, str], member: Actor, operator: Actor
) -> None:
    services = house.services
    services.runs.apply("ender", house.event(running[1], 1, "finished"), house.now)
    fault = services.faults.report(operator, "ender", Severity.UNUSABLE, "Drips", house.now)
    services.faults.mend(operator, fault, "Dry now", house.later(hours=1))
    past = services.history.of(member, "ender")
    assert next(one.kind for one in past) == "mended"
    assert {one.kind for one in past} == {"mended", "fault", "outage", "run-finished"}
    assert next(one for one in past if one.kind == "run-finished").person_name == ""


@pytest.mark.postgresql
def test_a_round_of_upkeep_on_postgresql(ready_house, postgresql_database) -> None:
    """`ready_house`'s member is an operator: they write the list, plan, use, clear and count."""
    house, mia, (job, _) = ready_house(postgresql_database)
    services, begun = house.services, house.now
    with house.workshop.database.write() as session:
        preflight = session.get_one(Preflight, house.row(Preflight, job_id=job).id)
        preflight.report = {"travel_mm": 1000.0, "print_mm": 2000.0}
    services.checklists.write(mia, "ender", Moment.BEFORE_USE, "Bed clean", begun)
    services.servicing.add(mia, "ender", "Grease", begun, every_travel_m=3.0)
    services.planning.plan(mia, job, "ender", begun + timedelta(hours=1), begun)
    house.later(hours=1)
    services.dispatch.arm(mia, "ender", house.now)
    assert services.dispatch.tick(house.now) == []
    (asked,) = services.checklists.list(mia, house.now)
    services.checklists.answer(mia, asked.id, [0], "", house.now)
    (run,) = services.dispatch.tick(house.later(seconds=1))
    services.runs.apply("ender", house.event(run, 1, "finished"), house.later(minutes=5))
    assert house.job(job).state == "done"
    assert services.servicing.list(mia)[0].is_due
    services.clearing.clear(mia, "ender", Outcome.GOOD, house.now)
    services.contests.open(mia, f"use:{run}", "Too much", house.now)
    assert services.sweep.tick(house.later(days=100)).photos == 0
    assert services.prices.list(house.now) == []
