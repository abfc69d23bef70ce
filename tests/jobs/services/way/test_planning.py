"""Planned runs: a job's place on the calendar, kept by the database and by dispatch."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from jobs.domain.calendar import AllocationKind, AllocationState
from jobs.domain.errors import NotAllowedError, RefusedError
from jobs.domain.job import JobState
from jobs.domain.people import Actor
from jobs.domain.policy import Reason
from jobs.domain.sharing import HoldFor
from jobs.services.foresight import AHEAD
from jobs.store.sharing import Notice
from jobs.store.tables import Allocation, Preflight
from jobs.store.upkeep import Downtime
from jobs.store.waiting import QueuePromise
from tests.jobs.services.way.conftest import House

HOUR = timedelta(hours=1)


def reasons(error) -> list[Reason]:
    return [one.reason for one in error.value.refusals]


@pytest.fixture
def planned(house: House, printer: str, member: Actor, operator: Actor, add_waiting) -> str:
    """A job of Mia's that is planned for two hours from now, with another of hers in the queue."""
    job = add_waiting(member, printer)
    add_waiting(member, printer, planned_s=3 * 3600.0)
    start = house.now + timedelta(hours=2)
    house.services.planning.plan(operator, job, "ender", start, house.now)
    return job


def hold(house: House) -> Allocation:
    return house.row(Allocation, purpose=HoldFor.PLAN.value)


def test_a_planned_run_keeps_its_time_from_everybody(
    house: House, planned: str, member: Actor, other: Actor, operator: Actor
) -> None:
    row = hold(house)
    assert row.person_id == member.person_id
    for person in (member, other):
        with pytest.raises(RefusedError) as error:
            house.services.bookings.book(
                person, "ender", row.start_at, row.start_at + timedelta(hours=1), house.now
            )
        assert reasons(error) == [Reason.TAKEN]
    # Her other job, three hours long, would run into it: it is no booking of hers.
    house.services.dispatch.arm(member, "ender", house.now)
    assert house.services.dispatch.tick(house.now) == []
    with pytest.raises(NotAllowedError):
        house.services.planning.withdraw(member, planned)


def test_the_job_starts_at_its_time_and_not_before(
    house: House, planned: str, member: Actor
) -> None:
    services = house.services
    services.dispatch.arm(member, "ender", house.now)
    assert services.dispatch.tick(house.now) == []
    with pytest.raises(RefusedError) as error:
        services.dispatch.start(member, planned, "ender", house.now)
    (reason,) = error.value.refusals
    assert (reason.reason, reason.passes_at) == (Reason.PLANNED, hold(house).start_at)
    (_, waits) = services.queue.get(planned, house.now, member).waits_for[0]
    assert waits == [reason]
    house.now = hold(house).start_at
    services.dispatch.arm(member, "ender", house.now)
    (run,) = services.dispatch.tick(house.now)
    assert house.attempt(planned).id == run
    assert hold(house).state == AllocationState.CANCELLED.value
    assert house.row(Allocation, kind=AllocationKind.RUN.value).state == "active"


def test_the_forecast_says_what_was_planned(house: House, planned: str) -> None:
    assert timedelta(hours=2) < AHEAD
    house.services.foresight.tick(house.now)
    promise = house.row(QueuePromise, job_id=planned)
    assert promise.start_p50_at == promise.start_p90_at == hold(house).start_at


def test_what_nobody_starts_lapses_and_is_told(
    house: House, planned: str, member: Actor, other: Actor
) -> None:
    start = hold(house).start_at
    assert house.services.lapsing.tick(start + timedelta(minutes=29)).holds == 0
    assert house.services.lapsing.tick(start + timedelta(minutes=30)).holds == 1
    assert house.services.lapsing.tick(start + timedelta(minutes=30)).holds == 0
    codes = [one.code for one in house.services.notices.list(member)]
    assert codes == ["job-plan-lapsed", "job-planned"]
    now = start + timedelta(minutes=30)
    house.services.dispatch.arm(member, "ender", now)
    assert len(house.services.dispatch.tick(now)) == 1  # it waits as any other


@pytest.mark.parametrize(("down_from_min", "lapses"), [(-90, True), (0, False)])
def test_minutes_without_the_node_count_only_after_the_planned_time(
    house: House, planned: str, other: Actor, down_from_min: int, lapses: bool
) -> None:
    row = hold(house)
    with house.workshop.database.write() as session:
        session.get_one(Allocation, row.id).end_at = row.start_at + timedelta(hours=4)
        down = row.start_at + timedelta(minutes=down_from_min)
        until = down + timedelta(minutes=20)
        session.add(Downtime(id="down", from_at=down, until_at=until))
    now = row.start_at + timedelta(minutes=35)
    assert house.services.lapsing.tick(now).holds == lapses


def test_a_plan_goes_with_its_job_and_moves_with_a_new_one(
    house: House, planned: str, member: Actor, operator: Actor
) -> None:
    planning, first = house.services.planning, hold(house)
    later = first.start_at + timedelta(minutes=5)  # over its own old place
    planning.plan(operator, planned, "ender", later, house.now)
    active = house.row(Allocation, purpose=HoldFor.PLAN.value, state="active")
    assert (active.start_at, active.id != first.id) == (later, True)
    house.services.queue.cancel(member, planned, house.now)
    assert house.services.lapsing.tick(house.now).plans == 1
    assert house.services.lapsing.tick(house.now).plans == 0
    assert planning.of(planned) is None


def test_an_outage_takes_a_planned_run_away_and_says_so(
    house: House, planned: str, member: Actor, operator: Actor
) -> None:
    row = hold(house)
    end = row.start_at + timedelta(hours=1)
    house.services.bookings.outage(operator, "ender", row.start_at, end, "belts", house.now)
    assert hold(house).state == AllocationState.DISPLACED.value
    assert house.services.notices.list(member)[0].code == "job-plan-lost"
    assert house.services.planning.of(planned) is None


def test_every_reason_against_a_plan_is_said_at_once(
    house: House, planned: str, printer: str, member: Actor, operator: Actor, add_waiting
) -> None:
    planning, row = house.services.planning, hold(house)
    held = add_waiting(member, printer, state=JobState.HELD)
    with pytest.raises(RefusedError) as error:
        planning.plan(operator, held, "ender", row.start_at, house.now)
    assert reasons(error) == [Reason.WRONG_STATE, Reason.TAKEN]
    free = add_waiting(member, printer)
    for start, reason in (
        (house.now, Reason.IN_THE_PAST),
        (house.now + timedelta(days=32), Reason.TOO_FAR_AHEAD),
    ):
        with pytest.raises(RefusedError) as error:
            planning.plan(operator, free, "ender", start, house.now)
        assert reasons(error) == [reason]
    assert planning.of(planned).start == row.start_at  # a refused plan leaves the old one


def takes(house: House, job: str, seconds: float) -> None:
    """What the planner says of a job changes, as after a new look at its program."""
    with house.workshop.database.write() as session:
        row = session.scalars(select(Preflight).where(Preflight.job_id == job)).one()
        row.planned_ms = round(1000 * seconds)


def codes(house: House, person: Actor) -> list[str]:
    return [row.code for row in house.rows(Notice, person_id=person.person_id)]


def test_a_plan_grows_and_shrinks_with_what_its_job_takes(
    house: House, planned: str, member: Actor
) -> None:
    before = hold(house)
    assert house.services.planning.tick(house.now) == 0
    takes(house, planned, 5 * 3600.0)
    assert house.services.planning.tick(house.now) == 1
    after = hold(house)
    assert (after.start_at, after.sequence) == (before.start_at, before.sequence + 1)
    assert after.end_at - after.start_at > timedelta(hours=5)
    assert house.services.planning.tick(house.now) == 0
    assert codes(house, member).count("job-plan-moved") == 1
    takes(house, planned, 600.0)
    assert house.services.planning.tick(house.now) == 1
    assert hold(house).end_at == before.end_at
    assert codes(house, member).count("job-plan-moved") == 1  # sooner done is nobody's trouble


def test_a_plan_that_fits_no_more_goes_to_the_next_free_time_and_its_owner_hears_it(
    house: House, planned: str, member: Actor, other: Actor
) -> None:
    row = hold(house)
    end = row.start_at + timedelta(hours=2)
    house.services.bookings.book(other, "ender", row.start_at + HOUR, end, house.now)
    takes(house, planned, 4 * 3600.0)
    assert house.services.planning.tick(house.now) == 1
    moved = hold(house)
    assert (moved.start_at, moved.expires_at) == (end, end + timedelta(minutes=30))
    assert codes(house, member).count("job-plan-moved") == 1
    takes(house, planned, 40 * 86400.0)
    assert house.services.planning.tick(house.now) == 1
    assert hold(house).state == AllocationState.CANCELLED.value
    assert "job-plan-fits-not" in codes(house, member)
