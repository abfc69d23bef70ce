"""Sharing time: what is offered for what was lost, waiting, coming, repeating, swapping."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from jobs.domain.calendar import AllocationKind, AllocationState, Displacement, Interval
from jobs.domain.errors import InvalidError, NotAllowedError, NotFoundError, RefusedError
from jobs.domain.machine import MachineLimits
from jobs.domain.people import Actor
from jobs.domain.policy import Reason
from jobs.domain.sharing import OfferKind, OfferState, SeriesPart, SharingRules, WaitState
from jobs.services import Services, build_services
from jobs.services.workshop import Workshop
from jobs.store.sharing import Notice, Offer
from jobs.store.tables import Allocation, OutboxMessage, Person
from jobs.store.upkeep import Downtime, Heartbeat

GRACE_MIN = 30
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


@pytest.fixture
def services(workshop: Workshop, printer: str) -> Services:
    return build_services(workshop)


@pytest.fixture
def twin(workshop: Workshop, add_machine: Callable[..., str]) -> str:
    """A printer equal to the first; its slug."""
    add_machine(workshop, "twin")
    return "twin"


@pytest.fixture(autouse=True)
def _checks_in(services: Services, admin: Actor) -> None:
    """Let the lab want that people check in."""
    services.sharing.set(admin, {"grace_min": GRACE_MIN})


def reasons(refused: pytest.ExceptionInfo[RefusedError]) -> set[Reason]:
    return {refusal.reason for refusal in refused.value.refusals}


def row_of(workshop: Workshop, allocation_id: str) -> Allocation:
    with workshop.database.read() as session:
        return session.get_one(Allocation, allocation_id)


def told(workshop: Workshop, person: Actor) -> list[tuple[str, Mapping[str, Any]]]:
    with workshop.database.read() as session:
        rows = session.scalars(
            select(Notice).where(Notice.person_id == person.person_id).order_by(Notice.id)
        )
        return [(row.code, row.fields) for row in rows]


def run(
    workshop: Workshop,
    services: Services,
    slug: str,
    start: datetime,
    end: datetime,
    now: datetime,
    person: Actor | None = None,
) -> str:
    machine = services.machines.get(slug, now, None).id
    with workshop.database.write() as session:
        return services.bookings.place_fact(
            session,
            machine,
            AllocationKind.RUN,
            start,
            end,
            person.person_id if person else None,
            None,
            Displacement.RUN_STARTED,
            now,
        )


# --- offers


def test_who_loses_time_is_offered_an_equal_machine_the_next_slot_or_nothing_owed(
    workshop: Workshop,
    services: Services,
    twin: str,
    operator: Actor,
    member: Actor,
    other: Actor,
    now: datetime,
) -> None:
    start = now + 2 * HOUR
    lost = services.bookings.book(member, "ender", start, start + HOUR, now, note="gift")
    services.bookings.outage(operator, "ender", now, start + 2 * HOUR, "belt", now)

    offers = {one.kind: one for one in services.offers.mine(member, now)}
    assert set(offers) == set(OfferKind)
    equal, later = offers[OfferKind.EQUAL], offers[OfferKind.LATER]
    assert (equal.machine_slug, equal.interval) == ("twin", Interval(start, start + HOUR))
    assert later.machine_slug == "ender"
    assert later.interval is not None
    assert later.interval.start == start + 2 * HOUR
    ((code, fields),) = told(workshop, member)
    assert code == "booking-displaced-equal-later"
    assert fields["displaced"] == "outage"
    # What is offered is kept: nobody else can have it, not even by their own insert.
    for slug, interval in (("twin", equal.interval), ("ender", later.interval)):
        assert interval is not None
        with pytest.raises(RefusedError) as refused:
            services.bookings.book(other, slug, interval.start, interval.end, now)
        assert Reason.TAKEN in reasons(refused)
    with pytest.raises(NotFoundError):
        services.offers.take(other, equal.id, now)

    made = services.offers.take(member, equal.id, now + HOUR)
    assert made is not None
    taken = row_of(workshop, made)
    assert (taken.kind, taken.state, taken.note) == ("reservation", "active", "gift")
    assert row_of(workshop, lost.id).state == AllocationState.DISPLACED
    assert services.offers.mine(member, now) == []
    assert services.notices.unread(member) == 0
    # The other time is free again, and no second offer can be taken.
    services.bookings.book(other, "ender", later.interval.start, later.interval.end, now)
    with pytest.raises(RefusedError) as refused:
        services.offers.take(member, later.id, now + HOUR)
    assert reasons(refused) == {Reason.OFFER_OVER}


def test_only_one_offer_for_a_claim_is_taken_whoever_writes(
    workshop: Workshop, services: Services, twin: str, operator: Actor, member: Actor, now: datetime
) -> None:
    """The database says so itself."""
    services.bookings.book(member, "ender", now + HOUR, now + 2 * HOUR, now)
    services.bookings.outage(operator, "ender", now, now + 3 * HOUR, "", now)

    def take_all() -> None:
        with workshop.database.write() as session:
            for offer in session.scalars(select(Offer)):
                offer.state = OfferState.TAKEN.value

    with pytest.raises(IntegrityError):
        take_all()


def test_a_refund_lets_go_of_what_was_kept(
    services: Services, twin: str, operator: Actor, member: Actor, other: Actor, now: datetime
) -> None:
    services.bookings.book(member, "ender", now + HOUR, now + 2 * HOUR, now)
    services.bookings.outage(operator, "ender", now, now + 3 * HOUR, "", now)
    offers = {one.kind: one for one in services.offers.mine(member, now)}
    assert services.offers.take(member, offers[OfferKind.REFUND].id, now) is None
    services.bookings.book(other, "twin", now + HOUR, now + 2 * HOUR, now)


def test_a_closing_lab_offers_no_machine_that_closes_as_well(
    workshop: Workshop, services: Services, twin: str, operator: Actor, member: Actor, now: datetime
) -> None:
    services.bookings.book(member, "ender", now + HOUR, now + 2 * HOUR, now)
    services.bookings.closure(operator, now, now + DAY, "holiday", now)
    kinds = {one.kind for one in services.offers.mine(member, now)}
    assert kinds == {OfferKind.LATER, OfferKind.REFUND}
    assert [code for code, _ in told(workshop, member)] == ["booking-displaced-later"]


def test_a_smaller_machine_is_no_equal_one(
    workshop: Workshop,
    services: Services,
    add_machine: Callable[..., str],
    operator: Actor,
    member: Actor,
    now: datetime,
) -> None:
    small = MachineLimits((100.0, 220.0, 250.0), nozzle_max_c=260.0, bed_max_c=110.0, nozzle_mm=0.4)
    add_machine(workshop, "small", limits=small)
    services.bookings.book(member, "ender", now + HOUR, now + 2 * HOUR, now)
    services.bookings.outage(operator, "ender", now, now + 3 * HOUR, "", now)
    assert OfferKind.EQUAL not in {one.kind for one in services.offers.mine(member, now)}


def test_an_offer_that_a_fact_takes_as_well_is_made_up_for_and_an_old_one_lapses(
    workshop: Workshop, services: Services, twin: str, operator: Actor, member: Actor, now: datetime
) -> None:
    start = now + 30 * HOUR
    services.bookings.book(member, "ender", start, start + HOUR, now)
    services.bookings.outage(operator, "ender", start, start + 3 * HOUR, "", now)
    services.bookings.outage(operator, "twin", start, start + 3 * HOUR, "", now)
    codes = [code for code, _ in told(workshop, member)]
    assert codes == ["booking-displaced-equal-later", "booking-offer-lost"]
    kinds = {one.kind for one in services.offers.mine(member, now)}
    assert kinds == {OfferKind.LATER, OfferKind.REFUND}

    until = now + timedelta(minutes=SharingRules().offer_min)
    assert services.lapsing.tick(until - MINUTE).holds == 0
    assert services.lapsing.tick(until).holds == 2  # the refund needs no hold
    assert services.lapsing.tick(until).holds == 0
    assert services.offers.mine(member, until) == []


# --- waiting


def test_freed_time_is_kept_for_the_first_in_line_and_passes_on(
    workshop: Workshop,
    services: Services,
    member: Actor,
    other: Actor,
    operator: Actor,
    now: datetime,
) -> None:
    booked = services.bookings.book(operator, "ender", now, now + 4 * HOUR, now)
    services.there.check_in(operator, booked.id, now)
    first = services.waiting.join(member, "ender", now, now + 4 * HOUR, 60, now)
    second = services.waiting.join(other, "ender", now, now + 4 * HOUR, 60, now + MINUTE)
    assert [services.waiting.mine(one)[0].ahead for one in (member, other)] == [0, 1]
    with pytest.raises(RefusedError) as refused:
        services.waiting.join(member, "ender", now, now + 4 * HOUR, 60, now)
    assert Reason.WAITS_ALREADY in reasons(refused)

    # One hour is free: who came first has it, and the other waits on.
    end = now + 3 * HOUR
    services.bookings.move(operator, booked.id, now, end, now + 2 * MINUTE)
    (held,) = services.waiting.mine(member)
    assert (held.state, held.held) == (WaitState.HELD, Interval(end, end + HOUR))
    assert services.waiting.mine(other)[0].state is WaitState.WAITING
    assert [code for code, _ in told(workshop, member)] == ["wait-held"]
    with pytest.raises(RefusedError):
        services.bookings.book(other, "ender", end, end + HOUR, now + 3 * MINUTE)

    late = now + 2 * MINUTE + timedelta(minutes=SharingRules().wait_hold_min)
    assert services.lapsing.tick(late - MINUTE).holds == 0
    assert services.lapsing.tick(late).holds == 1
    assert services.waiting.mine(member) == []
    assert [code for code, _ in told(workshop, member)] == ["wait-held", "wait-lapsed"]
    (held,) = services.waiting.mine(other)
    assert (held.id, held.held) == (second.id, Interval(end, end + HOUR))
    made = services.waiting.take(other, second.id, late + MINUTE)
    assert row_of(workshop, made).kind == "reservation"
    with pytest.raises(RefusedError):
        services.waiting.take(member, first.id, late + MINUTE)


def test_what_is_free_already_is_kept_at_once_and_what_is_left_goes_on(
    services: Services, member: Actor, other: Actor, now: datetime
) -> None:
    first = services.waiting.join(member, "ender", now, now + 70 * MINUTE, 60, now)
    assert first.state is WaitState.HELD
    second = services.waiting.join(other, "ender", now, now + 70 * MINUTE, 60, now)
    assert second.state is WaitState.WAITING
    services.waiting.leave(member, first.id, now + MINUTE)
    # 09:01 is no whole quarter: from 09:15 there is no hour left in the window.
    assert services.waiting.mine(other)[0].state is WaitState.WAITING
    assert services.lapsing.tick(now + 11 * MINUTE).served == 0
    assert services.waiting.mine(other) == []


def test_waiting_helps_against_a_taken_hour_but_not_against_a_rule(
    services: Services, guest: Actor, member: Actor, now: datetime
) -> None:
    with pytest.raises(RefusedError) as refused:
        services.waiting.join(guest, "ender", now, now + DAY, 60, now)
    assert reasons(refused) == {Reason.ROLE_TOO_LOW}
    with pytest.raises(InvalidError, match=r"sharing\.window"):
        services.waiting.join(member, "ender", now, now + HOUR, 120, now)
    with pytest.raises(InvalidError, match=r"sharing\.length"):
        services.waiting.join(member, "ender", now, now + HOUR, 5, now)


def test_a_hold_that_a_fact_takes_leaves_its_person_in_the_line(
    workshop: Workshop, services: Services, member: Actor, operator: Actor, now: datetime
) -> None:
    wait = services.waiting.join(member, "ender", now, now + 8 * HOUR, 60, now)
    assert wait.held is not None
    services.bookings.outage(operator, "ender", now, now + 2 * HOUR, "", now)
    (again,) = services.waiting.mine(member)
    assert again.held is not None
    assert again.held.start == now + 2 * HOUR
    codes = [code for code, _ in told(workshop, member)]
    assert codes == ["wait-held", "booking-hold-lost", "wait-held"]


# --- being there


def test_nobody_has_to_check_in_until_the_lab_wants_it(
    services: Services, admin: Actor, member: Actor, now: datetime
) -> None:
    services.sharing.set(admin, SharingRules().to_json())
    services.bookings.book(member, "ender", now, now + 8 * HOUR, now)
    assert services.lapsing.tick(now + 4 * HOUR).missed == 0


def test_nobody_comes_and_the_rest_goes_to_who_waits(
    workshop: Workshop, services: Services, member: Actor, other: Actor, now: datetime
) -> None:
    booked = services.bookings.book(member, "ender", now, now + 2 * HOUR, now)
    services.waiting.join(other, "ender", now, now + 3 * HOUR, 60, now)
    grace = GRACE_MIN * MINUTE
    # Who waits got the third hour; without it there is nothing else to have.
    services.waiting.leave(other, services.waiting.mine(other)[0].id, now)
    wait = services.waiting.join(other, "ender", now, now + 2 * HOUR, 60, now)
    assert wait.state is WaitState.WAITING
    assert services.lapsing.tick(now + grace - MINUTE).missed == 0
    assert services.lapsing.tick(now + grace).missed == 1
    assert services.lapsing.tick(now + grace).missed == 0
    row = row_of(workshop, booked.id)
    assert (row.state, row.missed_at) == ("cancelled", now + grace)
    assert [code for code, _ in told(workshop, member)] == ["booking-missed"]
    assert services.waiting.mine(other)[0].state is WaitState.HELD
    assert services.bookings.mine(member, now + grace)[0].missed


@pytest.mark.parametrize("how", ["word", "run", "off", "moved"])
def test_who_has_come_keeps_their_time(
    how: str,
    workshop: Workshop,
    services: Services,
    admin: Actor,
    member: Actor,
    now: datetime,
) -> None:
    booked = services.bookings.book(member, "ender", now, now + 3 * HOUR, now)
    if how == "word":
        services.there.check_in(member, booked.id, now + MINUTE)
    elif how == "run":
        run(workshop, services, "ender", now + MINUTE, now + 10 * MINUTE, now, member)
    elif how == "off":
        services.sharing.set(admin, {"grace_min": 0})
    else:
        services.bookings.move(member, booked.id, now + 2 * HOUR, now + 4 * HOUR, now)
    assert services.lapsing.tick(now + HOUR).missed == 0
    assert row_of(workshop, booked.id).state == "active"


def test_check_in_opens_shortly_before_and_is_ones_own(
    workshop: Workshop,
    services: Services,
    member: Actor,
    other: Actor,
    operator: Actor,
    now: datetime,
) -> None:
    booked = services.bookings.book(member, "ender", now + HOUR, now + 2 * HOUR, now)
    with pytest.raises(RefusedError) as refused:
        services.there.check_in(member, booked.id, now)
    assert reasons(refused) == {Reason.NOT_BEGUN}
    with pytest.raises(RefusedError) as refused:
        services.there.check_in(other, booked.id, now + HOUR)
    assert reasons(refused) == {Reason.NOT_YOURS}
    services.there.check_in(operator, booked.id, now + 50 * MINUTE)
    services.there.check_in(member, booked.id, now + 55 * MINUTE)
    assert row_of(workshop, booked.id).checked_in_at == now + 50 * MINUTE


def test_the_rest_of_ones_time_is_given_back_and_told_to_who_waits(
    workshop: Workshop, services: Services, member: Actor, other: Actor, now: datetime
) -> None:
    booked = services.bookings.book(member, "ender", now, now + 4 * HOUR, now)
    services.waiting.join(other, "ender", now, now + 4 * HOUR, 60, now)
    services.there.end_early(member, booked.id, now + HOUR)
    row = row_of(workshop, booked.id)
    assert (row.state, row.end_at, row.sequence) == ("ended", now + HOUR, 1)
    (held,) = services.waiting.mine(other)
    assert held.held == Interval(now + HOUR, now + 2 * HOUR)


def test_reminders_come_once_in_time_and_to_nobody_who_knows(
    workshop: Workshop, services: Services, member: Actor, other: Actor, now: datetime
) -> None:
    start = now + 3 * HOUR
    booked = services.bookings.book(member, "ender", start, start + HOUR, now)
    assert services.lapsing.tick(start - HOUR - MINUTE).reminders == 0
    assert services.lapsing.tick(start - HOUR).reminders == 1
    assert services.lapsing.tick(start - 59 * MINUTE).reminders == 0
    # At another time it is another reminder; of what was booked just now there is none.
    services.bookings.move(member, booked.id, start + 4 * HOUR, start + 5 * HOUR, start - HOUR)
    assert services.lapsing.tick(start + 3 * HOUR).reminders == 1
    late = start + 3 * HOUR
    services.bookings.book(other, "ender", late + 10 * MINUTE, late + 40 * MINUTE, late)
    assert services.lapsing.tick(late + 5 * MINUTE).reminders == 0
    assert [code for code, _ in told(workshop, member)] == ["reminder-check-in"] * 2


def test_a_booking_says_that_it_ends_but_not_to_who_goes_on(
    workshop: Workshop, services: Services, admin: Actor, member: Actor, other: Actor, now: datetime
) -> None:
    services.sharing.set(admin, SharingRules().to_json())  # nobody has to check in
    book, tick = services.bookings.book, services.lapsing.tick
    start = now + 3 * HOUR
    book(member, "ender", start, start + HOUR, now)
    book(member, "ender", start + HOUR, start + 2 * HOUR, now)
    book(other, "ender", start + 2 * HOUR, start + 3 * HOUR, now)

    def ends(person: Actor) -> list[str]:
        return [code for code, _ in told(workshop, person) if "reminder-end" in code]

    tick(start + 50 * MINUTE)
    assert ends(member) == []  # the same person has it next
    for minutes in (109, 110, 111):
        tick(start + minutes * MINUTE)
        assert len(ends(member)) == (minutes >= 110)
    assert ends(member) == ["reminder-end-next"]
    services.lapsing.remind_of_end(other, 30)
    assert services.lapsing.reminds_of_end(other) == 30
    tick(start + 150 * MINUTE)
    assert ends(other) == ["reminder-end"]


def test_an_end_is_said_again_where_it_moved_and_not_to_who_wants_none(
    workshop: Workshop, services: Services, admin: Actor, member: Actor, other: Actor, now: datetime
) -> None:
    services.sharing.set(admin, SharingRules().to_json())  # nobody has to check in
    start = now + 3 * HOUR
    mine = services.bookings.book(member, "ender", start, start + HOUR, now)
    assert services.lapsing.tick(start + 50 * MINUTE).reminders == 1
    at = start + 51 * MINUTE
    services.bookings.move(member, mine.id, start, start + 2 * HOUR, at)
    assert services.lapsing.tick(at).reminders == 0
    assert services.lapsing.tick(start + 115 * MINUTE).reminders == 1
    services.lapsing.remind_of_end(other, 0)
    late = start + 2 * HOUR
    services.bookings.book(other, "ender", late, late + HOUR, now)
    assert services.lapsing.tick(late + 55 * MINUTE).reminders == 0
    with pytest.raises(InvalidError):
        services.lapsing.remind_of_end(other, 7)


def test_nothing_lapses_by_a_clock_that_is_not_trusted_or_while_the_node_was_down(
    workshop: Workshop, services: Services, member: Actor, other: Actor, now: datetime
) -> None:
    booked = services.bookings.book(member, "ender", now, now + 4 * HOUR, now)
    wait = services.waiting.join(other, "ender", now + 4 * HOUR, now + 5 * HOUR, 60, now)
    assert wait.state is WaitState.HELD
    with workshop.database.write() as session:
        session.add(Heartbeat(name="node", at=now, steady_us=0, boot="b", source="none"))
    later = services.lapsing.tick(now + HOUR)
    assert (later.holds, later.missed) == (0, 0)
    with workshop.database.write() as session:
        session.delete(session.get_one(Heartbeat, "node"))
        session.add(Downtime(id="d", from_at=now + 5 * MINUTE, until_at=now + 65 * MINUTE))
    for at, lapsed in ((89, 0), (90, 1)):
        done = services.lapsing.tick(now + at * MINUTE)
        assert (done.holds, done.missed) == (lapsed, lapsed)
    assert row_of(workshop, booked.id).missed_at == now + 90 * MINUTE


def test_a_node_that_slept_two_days_catches_up_at_once(
    workshop: Workshop, services: Services, member: Actor, other: Actor, now: datetime
) -> None:
    """A sweep is a function of state and time: no exact minute is waited for."""
    services.bookings.book(member, "ender", now + HOUR, now + 60 * HOUR, now)
    services.waiting.join(other, "ender", now, now + HOUR, 60, now)
    done = services.lapsing.tick(now + 2 * DAY)
    assert (done.holds, done.missed) == (1, 1)
    assert services.lapsing.tick(now + 2 * DAY) == type(done)()


# --- series


def test_a_weekly_series_keeps_its_wall_time_over_the_change_of_the_clocks(
    workshop: Workshop, services: Services, admin: Actor, member: Actor, now: datetime
) -> None:
    start = datetime(2026, 3, 18, 17, 0, tzinfo=UTC)  # 18:00 in Berlin, winter
    made = services.repeating.repeat(member, "ender", start, start + 2 * HOUR, 3, now, "club")
    assert made.series_id is not None
    starts = [one.interval.start for one in made.occurrences if one.interval]
    assert starts == [start, start + 7 * DAY, start + 14 * DAY - HOUR]
    mine = services.bookings.mine(member, now)
    assert [one.interval.length for one in mine] == [2 * HOUR] * 3
    assert {one.series_id for one in mine} == {made.series_id}


def test_a_series_is_booked_whole_or_reported_and_conflicts_may_be_skipped(
    services: Services, member: Actor, other: Actor, now: datetime
) -> None:
    start = now + HOUR
    services.bookings.book(other, "ender", start + 7 * DAY, start + 7 * DAY + HOUR, now)
    report = services.repeating.repeat(member, "ender", start, start + HOUR, 3, now)
    assert report.series_id is None
    (conflict,) = report.conflicts
    assert conflict.day == date(2026, 3, 11)
    assert {one.reason for one in conflict.refusals} == {Reason.TAKEN}
    assert services.bookings.mine(member, now) == []

    report = services.repeating.repeat(
        member, "ender", start, start + HOUR, 3, now, skip_conflicts=True
    )
    assert report.series_id is not None
    assert [one.interval.start for one in services.bookings.mine(member, now)] == [
        start,
        start + 14 * DAY,
    ]
    # Where none can be had there is nothing to skip to.
    report = services.repeating.repeat(
        other, "ender", start, start + HOUR, 1, now, skip_conflicts=True
    )
    assert report.series_id is None


def test_an_hour_that_the_clocks_skip_is_a_conflict_of_that_day_alone(
    services: Services, member: Actor, now: datetime
) -> None:
    start = datetime(2026, 3, 22, 1, 30, tzinfo=UTC)  # 02:30 in Berlin, a week before
    report = services.repeating.repeat(member, "ender", start, start + HOUR, 2, now)
    (conflict,) = report.conflicts
    assert (conflict.day, conflict.interval) == (date(2026, 3, 29), None)
    assert {one.reason for one in conflict.refusals} == {Reason.SKIPPED_TIME}


@pytest.mark.parametrize(
    ("part", "left"),
    [(SeriesPart.ONE, [0, 2, 3]), (SeriesPart.REST, [0]), (SeriesPart.ALL, [])],
)
def test_one_the_rest_or_all_of_a_series_is_given_back(
    part: SeriesPart, left: Sequence[int], services: Services, member: Actor, now: datetime
) -> None:
    start = now + HOUR
    services.repeating.repeat(member, "ender", start, start + HOUR, 4, now)
    second = services.bookings.mine(member, now)[1]
    services.repeating.cancel(member, second.id, part, now)
    starts = [one.interval.start for one in services.bookings.mine(member, now)]
    assert [(one - start).days // 7 for one in starts] == [week for week in left if week < 4]


# --- swapping


def test_two_people_swap_and_each_keeps_their_entry(
    workshop: Workshop, services: Services, twin: str, member: Actor, other: Actor, now: datetime
) -> None:
    mine = services.bookings.book(member, "ender", now + HOUR, now + 2 * HOUR, now, "mine")
    theirs = services.bookings.book(other, twin, now + 90 * MINUTE, now + 3 * HOUR, now)
    swap = services.swapping.offer(member, mine.id, theirs.id, now)
    assert [one.asked for one in services.swapping.open(other, now)] == [True]
    assert [one.asked for one in services.swapping.open(member, now)] == [False]
    with pytest.raises(NotFoundError):
        services.swapping.accept(member, swap, now)  # nobody agrees with themselves
    services.swapping.accept(other, swap, now)

    one, two = row_of(workshop, mine.id), row_of(workshop, theirs.id)
    assert (one.person_id, one.note, one.sequence) == (member.person_id, "mine", 1)
    assert (one.start_at, one.end_at) == (theirs.interval.start, theirs.interval.end)
    assert (two.start_at, two.end_at) == (mine.interval.start, mine.interval.end)
    assert one.machine_id != two.machine_id
    assert {one.state, two.state} == {"active"}
    assert [code for code, _ in told(workshop, other)] == ["swap-asked"]
    assert [code for code, _ in told(workshop, member)] == ["swap-done"]
    with pytest.raises(RefusedError):
        services.swapping.accept(other, swap, now)


def test_a_swap_on_one_machine_of_times_that_overlap_after_it_is_refused_whole(
    workshop: Workshop, services: Services, twin: str, member: Actor, other: Actor, now: datetime
) -> None:
    mine = services.bookings.book(member, "ender", now + HOUR, now + 2 * HOUR, now)
    theirs = services.bookings.book(other, "ender", now + 3 * HOUR, now + 4 * HOUR, now)
    swap = services.swapping.offer(member, mine.id, theirs.id, now)
    services.bookings.move(other, theirs.id, now + 4 * HOUR, now + 5 * HOUR, now)
    with pytest.raises(RefusedError) as refused:
        services.swapping.accept(other, swap, now)
    assert reasons(refused) == {Reason.SWAP_CHANGED}
    assert services.swapping.open(other, now) == []
    assert services.lapsing.tick(now).swaps == 1
    assert services.lapsing.tick(now).swaps == 0


def test_a_swap_asks_the_rules_for_both(
    workshop: Workshop, services: Services, twin: str, member: Actor, other: Actor, now: datetime
) -> None:
    mine = services.bookings.book(member, "ender", now + HOUR, now + 2 * HOUR, now)
    theirs = services.bookings.book(other, twin, now + HOUR, now + 2 * HOUR, now)
    swap = services.swapping.offer(member, mine.id, theirs.id, now)
    with workshop.database.write() as session:
        session.get_one(Person, member.person_id).role = "guest"
    with pytest.raises(RefusedError) as refused:
        services.swapping.accept(other, swap, now)
    assert reasons(refused) == {Reason.ROLE_TOO_LOW}
    one, two = row_of(workshop, mine.id), row_of(workshop, theirs.id)
    assert {one.state, two.state} == {"active"}
    assert (one.start_at, one.sequence) == (mine.interval.start, 0)


def test_a_swap_can_be_declined_and_is_asked_once(
    workshop: Workshop, services: Services, twin: str, member: Actor, other: Actor, now: datetime
) -> None:
    mine = services.bookings.book(member, "ender", now + HOUR, now + 2 * HOUR, now)
    again = services.bookings.book(member, "ender", now + 5 * HOUR, now + 6 * HOUR, now)
    theirs = services.bookings.book(other, twin, now + HOUR, now + 2 * HOUR, now)
    swap = services.swapping.offer(member, mine.id, theirs.id, now)
    for give, take, why in (
        (mine.id, theirs.id, Reason.WAITS_ALREADY),
        (theirs.id, mine.id, Reason.NOT_YOURS),
        (mine.id, again.id, Reason.OWN_SWAP),
    ):
        with pytest.raises(RefusedError) as refused:
            services.swapping.offer(member, give, take, now)
        assert reasons(refused) == {why}
    services.swapping.decline(other, swap, now)
    assert [code for code, _ in told(workshop, member)] == ["swap-declined"]
    assert services.swapping.open(member, now) == []
    services.swapping.offer(member, mine.id, theirs.id, now)


# --- the lab's numbers


def test_only_an_admin_changes_the_labs_numbers_and_only_to_what_can_be(
    services: Services, admin: Actor, operator: Actor
) -> None:
    assert services.sharing.set(admin, {"grace_min": 15}).grace_min == 15
    assert services.sharing.get() == SharingRules(grace_min=15)
    with pytest.raises(NotAllowedError):
        services.sharing.set(operator, {"grace_min": 5})
    for wrong in ({"grace_min": -1}, {"wait_hold_min": 0}, {"offer_min": True}, {"x": 1}):
        with pytest.raises(InvalidError):
            services.sharing.set(admin, wrong)


def test_every_change_of_a_booking_leaves_the_house_without_a_name(
    workshop: Workshop, services: Services, twin: str, member: Actor, other: Actor, now: datetime
) -> None:
    mine = services.bookings.book(member, "ender", now, now + 2 * HOUR, now)
    theirs = services.bookings.book(other, twin, now + 3 * HOUR, now + 4 * HOUR, now)
    services.there.end_early(member, mine.id, now + HOUR)
    services.bookings.cancel(other, theirs.id, now)
    with workshop.database.read() as session:
        words = [json.loads(row.body)["data"] for row in session.scalars(select(OutboxMessage))]
    assert len(words) == 4
    text = json.dumps(words)
    assert all(name not in text for name in ("Mia", "Noor", member.person_id, other.person_id))
