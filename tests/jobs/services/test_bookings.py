"""Booking: rules, races, what gives way to what, and days that are not 24 hours long."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from jobs.domain.calendar import AllocationKind, AllocationState, Displacement
from jobs.domain.errors import (
    InvalidError,
    JobsError,
    NotAllowedError,
    NotFoundError,
    RefusedError,
)
from jobs.domain.people import Actor, LabMode
from jobs.domain.policy import Reason
from jobs.services.approvals import Plea
from jobs.services.bookings import Bookings
from jobs.services.lab import Lab
from jobs.services.workshop import Workshop
from jobs.store.database import Database
from jobs.store.tables import Allocation, Machine, OutboxMessage, Setting

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def bookings(workshop: Workshop, printer: str) -> Bookings:
    return Bookings(workshop)


def reasons(refused: pytest.ExceptionInfo[RefusedError]) -> set[Reason]:
    return {refusal.reason for refusal in refused.value.refusals}


def outbox(workshop: Workshop) -> list[tuple[str, dict[str, object]]]:
    with workshop.database.read() as session:
        rows = session.scalars(select(OutboxMessage).order_by(OutboxMessage.seq))
        return [(row.kind, json.loads(row.body)["data"]) for row in rows]


def place(
    workshop: Workshop,
    bookings: Bookings,
    machine_id: str,
    start: datetime,
    end: datetime,
    now: datetime,
    *,
    kind: AllocationKind = AllocationKind.RUN,
    person_id: str | None = None,
) -> str:
    with workshop.database.write() as session:
        return bookings.place_fact(
            session,
            machine_id,
            kind,
            start,
            end,
            person_id,
            None,
            Displacement.RUN_STARTED,
            now,
        )


def test_a_booking_is_on_the_calendar_and_in_the_outbox_without_a_name(
    workshop: Workshop, bookings: Bookings, member: Actor, now: datetime
) -> None:
    made = bookings.book(member, "ender", now + HOUR, now + 2 * HOUR, now, note="lamp  shade")

    day = bookings.day("ender", date(2026, 3, 4), member, now)
    assert [entry.id for entry in day.allocations] == [made.id]
    assert (made.mine, made.label) == (True, "lamp shade")
    [(kind, data)] = outbox(workshop)
    assert kind == "reservation.made"
    assert data["machine"] == "ender"
    assert data["from"] == "2026-03-04T10:00:00.000000Z"
    assert "Mia" not in json.dumps(data)
    assert member.person_id not in json.dumps(data)
    assert "lamp" not in json.dumps(data)


def test_touching_bookings_do_not_overlap(
    bookings: Bookings, member: Actor, other: Actor, now: datetime
) -> None:
    bookings.book(member, "ender", now + HOUR, now + 2 * HOUR, now)
    bookings.book(other, "ender", now + 2 * HOUR, now + 3 * HOUR, now)
    bookings.book(other, "ender", now, now + HOUR, now)


def test_all_reasons_come_at_once_and_taken_says_until_when(
    bookings: Bookings, member: Actor, guest: Actor, now: datetime
) -> None:
    bookings.book(member, "ender", now + HOUR, now + 2 * HOUR, now)

    with pytest.raises(RefusedError) as refused:
        bookings.book(guest, "ender", now + HOUR, now + HOUR + MINUTE, now)

    assert reasons(refused) == {Reason.ROLE_TOO_LOW, Reason.TOO_SHORT, Reason.TAKEN}
    [taken] = [one for one in refused.value.refusals if one.reason is Reason.TAKEN]
    assert taken.passes_at == now + 2 * HOUR


def test_the_past_the_far_future_and_the_endless_are_refused(
    bookings: Bookings, member: Actor, now: datetime
) -> None:
    with pytest.raises(RefusedError) as refused:
        bookings.book(member, "ender", now - HOUR, now + HOUR, now)
    assert reasons(refused) == {Reason.IN_THE_PAST}
    far = now + timedelta(days=90)
    with pytest.raises(RefusedError) as refused:
        bookings.book(member, "ender", far, far + timedelta(days=4), now)
    assert reasons(refused) == {Reason.TOO_FAR_AHEAD, Reason.TOO_LONG}


def test_wrong_input_names_its_field(bookings: Bookings, member: Actor, now: datetime) -> None:
    with pytest.raises(InvalidError) as wrong:
        bookings.book(member, "ender", now.replace(tzinfo=None), now + HOUR, now)
    assert (wrong.value.code, wrong.value.field) == ("booking.no-zone", "start")
    with pytest.raises(InvalidError) as wrong:
        bookings.book(member, "ender", now + HOUR, now, now)
    assert (wrong.value.code, wrong.value.field) == ("booking.ends-before-start", "end")
    with pytest.raises(InvalidError) as wrong:
        bookings.book(member, "ender", now, now + HOUR, now, note="n" * 201)
    assert wrong.value.field == "note"
    with pytest.raises(NotFoundError):
        bookings.book(member, "enterprise", now, now + HOUR, now)


def test_only_me_hides_booking(
    workshop: Workshop, bookings: Bookings, admin: Actor, member: Actor, now: datetime
) -> None:
    Lab(workshop).set_mode(admin, LabMode.ONLY_ME, now)
    with pytest.raises(RefusedError) as refused:
        bookings.book(member, "ender", now, now + HOUR, now)
    assert reasons(refused) == {Reason.BOOKING_HIDDEN}

    Lab(workshop).set_mode(admin, LabMode.SHARED_LAB, now)
    bookings.book(member, "ender", now, now + HOUR, now)


def race(
    workshop: Workshop,
    actors: list[Actor],
    now: datetime,
) -> list[str]:
    """Book the same hour from as many threads as there are actors; say what each got."""
    bookings = Bookings(workshop)
    gate = threading.Barrier(len(actors))
    results: list[str] = []

    def run(actor: Actor) -> None:
        gate.wait(timeout=20)
        try:
            bookings.book(actor, "ender", now + HOUR, now + 2 * HOUR, now)
            results.append("won")
        except RefusedError as error:
            results.append(",".join(refusal.reason for refusal in error.refusals))
        except JobsError as error:
            results.append(error.code)

    threads = [threading.Thread(target=run, args=(actor,)) for actor in actors]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=50)
    return sorted(results)


def test_of_fifty_bookings_at_the_same_instant_exactly_one_wins(
    workshop: Workshop,
    printer: str,
    member: Actor,
    other: Actor,
    now: datetime,
) -> None:
    assert race(workshop, [member, other] * 25, now) == ["taken"] * 49 + ["won"]
    assert [kind for kind, _ in outbox(workshop)] == ["reservation.made"]


@pytest.mark.postgresql
def test_of_fifty_bookings_at_the_same_instant_exactly_one_wins_on_postgresql(
    postgresql_database: Database,
    make_workshop: Callable[[Database], Workshop],
    add_machine: Callable[..., str],
    add_person: Callable[..., Actor],
    now: datetime,
) -> None:
    workshop = make_workshop(postgresql_database)
    add_machine(workshop, "ender")
    actors = [add_person(workshop, "mia"), add_person(workshop, "noor")]

    assert race(workshop, actors * 25, now) == ["taken"] * 49 + ["won"]
    assert [kind for kind, _ in outbox(workshop)] == ["reservation.made"]


@pytest.mark.postgresql
def test_a_fact_displaces_even_a_claim_that_was_made_while_it_looked(
    postgresql_database: Database,
    make_workshop: Callable[[Database], Workshop],
    add_machine: Callable[..., str],
    add_person: Callable[..., Actor],
    now: datetime,
) -> None:
    workshop = make_workshop(postgresql_database)
    machine_id = add_machine(workshop, "ender")
    mia = add_person(workshop, "mia")
    bookings = Bookings(workshop)
    placed: list[str] = []

    def run() -> None:
        placed.append(place(workshop, bookings, machine_id, now, now + HOUR, now))

    thread = threading.Thread(target=run)
    with workshop.database.write() as session:
        session.add(
            Allocation(
                id="claim",
                machine_id=machine_id,
                kind=AllocationKind.RESERVATION.value,
                state=AllocationState.ACTIVE.value,
                start_at=now,
                end_at=now + 2 * HOUR,
                person_id=mia.person_id,
                created_at=now,
            )
        )
        session.flush()
        thread.start()
        thread.join(timeout=0.5)
        assert placed == []
    thread.join(timeout=20)
    [lost] = bookings.mine(mia, now)
    assert (lost.state, len(placed)) == (AllocationState.DISPLACED, 1)


def test_a_booking_is_given_back_by_its_person_or_an_operator_only(
    workshop: Workshop,
    bookings: Bookings,
    member: Actor,
    other: Actor,
    operator: Actor,
    now: datetime,
) -> None:
    first = bookings.book(member, "ender", now + HOUR, now + 2 * HOUR, now)
    with pytest.raises(RefusedError) as refused:
        bookings.cancel(other, first.id, now)
    assert reasons(refused) == {Reason.NOT_YOURS}

    bookings.cancel(operator, first.id, now)
    with pytest.raises(RefusedError) as refused:
        bookings.cancel(member, first.id, now)
    assert reasons(refused) == {Reason.ALREADY_ENDED}
    assert [kind for kind, _ in outbox(workshop)] == ["reservation.made", "reservation.cancelled"]
    bookings.book(other, "ender", now + HOUR, now + 2 * HOUR, now)


def test_a_moved_booking_keeps_its_id_and_may_overlap_its_old_self(
    workshop: Workshop, bookings: Bookings, member: Actor, other: Actor, now: datetime
) -> None:
    mine = bookings.book(member, "ender", now + HOUR, now + 3 * HOUR, now)
    bookings.book(other, "ender", now + 5 * HOUR, now + 6 * HOUR, now)

    moved = bookings.move(member, mine.id, now + 2 * HOUR, now + 4 * HOUR, now)
    assert (moved.id, moved.interval.start) == (mine.id, now + 2 * HOUR)
    with pytest.raises(RefusedError) as refused:
        bookings.move(member, mine.id, now + 4 * HOUR, now + 5 * HOUR + MINUTE, now)
    assert reasons(refused) == {Reason.TAKEN}
    assert [data["sequence"] for _, data in outbox(workshop)] == [0, 0, 1]


def test_a_booking_that_has_begun_may_be_made_longer(
    bookings: Bookings, member: Actor, now: datetime
) -> None:
    mine = bookings.book(member, "ender", now, now + HOUR, now)
    later = now + 30 * MINUTE
    moved = bookings.move(member, mine.id, now, now + 2 * HOUR, later)
    assert moved.interval.end == now + 2 * HOUR
    with pytest.raises(RefusedError):
        bookings.move(member, mine.id, now - HOUR, now + 2 * HOUR, later)


def test_a_fact_displaces_and_says_why(
    workshop: Workshop,
    bookings: Bookings,
    printer: str,
    member: Actor,
    other: Actor,
    now: datetime,
) -> None:
    mine = bookings.book(member, "ender", now + HOUR, now + 2 * HOUR, now)
    place(workshop, bookings, printer, now, now + 90 * MINUTE, now, person_id=other.person_id)

    [lost] = bookings.mine(member, now)
    assert lost.id == mine.id
    assert lost.state is AllocationState.DISPLACED
    assert lost.displaced_reason == "run-started"
    kind, data = outbox(workshop)[-1]
    assert (kind, data["allocation"], data["reason"]) == (
        "reservation.displaced",
        mine.id,
        "run-started",
    )


def test_ones_own_run_lies_inside_ones_own_booking(
    workshop: Workshop, bookings: Bookings, printer: str, member: Actor, now: datetime
) -> None:
    bookings.book(member, "ender", now, now + 2 * HOUR, now)
    place(workshop, bookings, printer, now, now + HOUR, now, person_id=member.person_id)
    assert [entry.state for entry in bookings.mine(member, now)] == [AllocationState.ACTIVE]


def test_a_run_that_takes_longer_displaces_what_it_runs_into_and_nothing_else(
    workshop: Workshop,
    bookings: Bookings,
    printer: str,
    member: Actor,
    other: Actor,
    now: datetime,
) -> None:
    run = place(workshop, bookings, printer, now, now + HOUR, now, person_id=other.person_id)
    bookings.book(member, "ender", now + HOUR, now + 2 * HOUR, now)
    bookings.book(member, "ender", now + 2 * HOUR, now + 3 * HOUR, now)

    with workshop.database.write() as session:
        bookings.extend_fact(session, run, now + 70 * MINUTE, now + HOUR)

    states = [(entry.state, entry.displaced_reason) for entry in bookings.mine(member, now)]
    assert states == [(AllocationState.DISPLACED, "overrun"), (AllocationState.ACTIVE, None)]


def test_a_run_that_ends_early_gives_its_time_back(
    workshop: Workshop, bookings: Bookings, printer: str, member: Actor, now: datetime
) -> None:
    run = place(workshop, bookings, printer, now, now + 5 * HOUR, now)
    with pytest.raises(RefusedError):
        bookings.book(member, "ender", now + HOUR, now + 2 * HOUR, now)
    with workshop.database.write() as session:
        bookings.end_fact(session, run, now + 30 * MINUTE)
    bookings.book(member, "ender", now + HOUR, now + 2 * HOUR, now)


def test_an_outage_is_an_operators_and_ends_when_one_says_so(
    workshop: Workshop, bookings: Bookings, member: Actor, operator: Actor, now: datetime
) -> None:
    with pytest.raises(NotAllowedError):
        bookings.outage(member, "ender", now, now + HOUR, "", now)
    bookings.book(member, "ender", now + HOUR, now + 2 * HOUR, now)
    outage = bookings.outage(operator, "ender", now - HOUR, now + 4 * HOUR, "new belt", now)
    [lost] = bookings.mine(member, now)
    assert lost.displaced_reason == "outage"
    with pytest.raises(NotAllowedError):
        bookings.cancel(member, outage, now)

    bookings.cancel(operator, outage, now + MINUTE)
    bookings.book(member, "ender", now + HOUR, now + 2 * HOUR, now)


def test_an_outage_that_is_over_is_not_ended_again(
    workshop: Workshop, bookings: Bookings, operator: Actor, now: datetime
) -> None:
    outage = bookings.outage(operator, "ender", now, now + HOUR, "", now)
    with pytest.raises(RefusedError) as refused:
        bookings.cancel(operator, outage, now + 2 * HOUR)
    assert reasons(refused) == {Reason.ALREADY_ENDED}
    with workshop.database.read() as session:
        assert session.get_one(Allocation, outage).end_at == now + HOUR


def test_a_closure_takes_every_machine_and_says_so_to_whoever_had_it(
    workshop: Workshop,
    bookings: Bookings,
    mill: str,
    add_machine: Callable[..., str],
    member: Actor,
    other: Actor,
    operator: Actor,
    guest: Actor,
    now: datetime,
) -> None:
    retired = add_machine(workshop, "old")
    with workshop.database.write() as session:
        session.get_one(Machine, retired).retired_at = now
    bookings.book(member, "ender", now + HOUR, now + 2 * HOUR, now)
    bookings.book(other, "router", now + 3 * HOUR, now + 5 * HOUR, now)
    bookings.book(other, "ender", now + 5 * HOUR, now + 6 * HOUR, now)
    with pytest.raises(NotAllowedError):
        bookings.closure(member, now, now + 4 * HOUR, "", now)

    placed = bookings.closure(operator, now + HOUR, now + 4 * HOUR, "summer feast", now)

    with workshop.database.read() as session:
        rows = [session.get_one(Allocation, one) for one in placed]
        assert {row.machine_id for row in rows} == {
            *session.scalars(select(Machine.id).where(Machine.retired_at.is_(None)))
        }
    assert {(row.kind, row.state) for row in rows} == {("closure", "active")}
    assert [entry.displaced_reason for entry in bookings.mine(member, now)] == ["closure"]
    assert [entry.displaced_reason for entry in bookings.mine(other, now)] == ["closure", None]
    said = [data["reason"] for kind, data in outbox(workshop) if kind == "reservation.displaced"]
    assert said == ["closure", "closure"]
    with pytest.raises(RefusedError):
        bookings.book(member, "router", now + 2 * HOUR, now + 3 * HOUR, now)
    for viewer in (member, guest):
        shown = bookings.day("router", date(2026, 3, 4), viewer, now).allocations[0]
        assert shown.label == "summer feast"


def test_a_closure_that_fails_for_one_machine_closes_none(
    workshop: Workshop, bookings: Bookings, mill: str, member: Actor, operator: Actor, now: datetime
) -> None:
    bookings.book(member, "ender", now + HOUR, now + 2 * HOUR, now)
    before = outbox(workshop)
    new_id, ids = workshop.new_id, []

    def failing() -> str:
        ids.append(new_id())
        return ids[0]  # the second entry gets the id of the first

    closing = Bookings(replace(workshop, new_id=failing))
    with pytest.raises(IntegrityError):
        closing.closure(operator, now, now + 4 * HOUR, "", now)
    assert outbox(workshop) == before
    assert [entry.state for entry in bookings.mine(member, now)] == [AllocationState.ACTIVE]


def test_nobody_gives_back_a_run(
    workshop: Workshop, bookings: Bookings, printer: str, admin: Actor, now: datetime
) -> None:
    run = place(workshop, bookings, printer, now, now + HOUR, now)
    with pytest.raises(NotFoundError):
        bookings.cancel(admin, run, now)


def test_others_see_a_name_only_where_its_person_lets_them(
    bookings: Bookings, member: Actor, other: Actor, operator: Actor, guest: Actor, now: datetime
) -> None:
    made = bookings.book(member, "ender", now, now + HOUR, now, note="gift")

    def labels() -> list[str]:
        viewers = (member, other, operator, guest, None)
        days = [bookings.day("ender", date(2026, 3, 4), viewer, now) for viewer in viewers]
        return [day.allocations[0].label for day in days]

    hidden, shown = ["gift", "", "Mia: gift", "", ""], ["gift", "Mia", "Mia: gift", "", ""]
    assert labels() == hidden
    bookings.show_names(member, shows=True)
    assert labels() == shown
    # One booking may say otherwise, both ways.
    bookings.show_name(member, made.id, shows=False, now=now)
    assert labels() == hidden
    bookings.show_names(member, shows=False)
    bookings.show_name(member, made.id, shows=True, now=now)
    assert labels() == shown
    for another in (other, operator):
        with pytest.raises(RefusedError):
            bookings.show_name(another, made.id, shows=True, now=now)


@pytest.mark.parametrize(
    ("day", "hours"),
    [
        (date(2026, 3, 28), 24),
        (date(2026, 3, 29), 23),
        (date(2026, 10, 24), 24),
        (date(2026, 10, 25), 25),
    ],
)
def test_the_days_when_clocks_change_are_as_long_as_they_are(
    bookings: Bookings, member: Actor, day: date, hours: int, now: datetime
) -> None:
    seen = bookings.day("ender", day, member, now)
    assert seen.day.length == hours * HOUR
    assert [free.length for free in seen.free] == [hours * HOUR]


@pytest.mark.parametrize(("monday", "hours"), [(date(2026, 3, 23), 167), (date(2026, 10, 19), 169)])
def test_a_week_has_no_gap_where_the_clocks_change(
    bookings: Bookings, member: Actor, monday: date, hours: int, now: datetime
) -> None:
    week = bookings.week("ender", monday + timedelta(days=3), member, now)
    assert week[0].date == monday.isoformat()
    assert sum((day.day.length for day in week), timedelta()) == hours * HOUR
    ends = [day.day.end for day in week]
    assert [day.day.start for day in week][1:] == ends[:-1]


def test_a_booking_across_midnight_is_on_both_days(
    bookings: Bookings, member: Actor, now: datetime
) -> None:
    start = datetime(2026, 3, 4, 22, 0, tzinfo=UTC)  # 23:00 in Berlin
    bookings.book(member, "ender", start, start + 2 * HOUR, now)
    week = bookings.week("ender", date(2026, 3, 4), member, now)
    assert [len(day.allocations) for day in week] == [0, 0, 1, 1, 0, 0, 0]
    assert week[3].free[0].start == start + 2 * HOUR
    assert week[0].free == []  # yesterday cannot be booked


def test_proposals_begin_on_the_quarter_hour_and_avoid_what_is_taken(
    bookings: Bookings, member: Actor, now: datetime
) -> None:
    now += 7 * MINUTE
    bookings.book(member, "ender", now + 53 * MINUTE, now + 113 * MINUTE, now)  # 11:00-12:00
    slots = bookings.proposals("ender", 40 * MINUTE, now, member, count=3)
    assert [slot.start.strftime("%H:%M") for slot in slots] == ["09:15", "11:00", "11:45"]
    for slot in slots:
        bookings.book(member, "ender", slot.start, slot.end, now)
    assert bookings.proposals("ender", timedelta(days=9), now, member) == []


def test_where_the_next_days_are_taken_proposals_come_from_after_them(
    workshop: Workshop, bookings: Bookings, printer: str, now: datetime
) -> None:
    end = now + timedelta(days=6, hours=23)
    place(workshop, bookings, printer, now, end, now, kind=AllocationKind.OUTAGE)
    later = now + timedelta(days=9)
    place(workshop, bookings, printer, end + HOUR, later, now, kind=AllocationKind.OUTAGE)
    found = bookings.proposals("ender", HOUR, now, count=3)
    assert [one.start for one in found] == [end, later, later + HOUR]


def test_a_retired_machine_is_not_booked_nor_proposed(
    workshop: Workshop, bookings: Bookings, printer: str, member: Actor, now: datetime
) -> None:
    with workshop.database.write() as session:
        session.get_one(Machine, printer).retired_at = now
    with pytest.raises(RefusedError) as refused:
        bookings.book(member, "ender", now, now + HOUR, now)
    assert reasons(refused) == {Reason.MACHINE_RETIRED}
    assert bookings.proposals("ender", HOUR, now, member) == []


def test_a_booking_and_its_word_are_one_transaction(
    workshop: Workshop,
    bookings: Bookings,
    member: Actor,
    now: datetime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("power cut")

    monkeypatch.setattr("jobs.services.claims.outbox.add", fail)
    with pytest.raises(RuntimeError):
        bookings.book(member, "ender", now, now + HOUR, now)
    with workshop.database.read() as session:
        assert session.scalars(select(Allocation)).all() == []
        assert session.scalars(select(OutboxMessage)).all() == []


def test_an_operator_moves_a_members_booking_and_it_stays_the_members(
    bookings: Bookings, member: Actor, operator: Actor, now: datetime
) -> None:
    mine = bookings.book(member, "ender", now + HOUR, now + 2 * HOUR, now)
    moved = bookings.move(operator, mine.id, now + 3 * HOUR, now + 4 * HOUR, now)
    assert not moved.mine
    assert [entry.interval for entry in bookings.mine(member, now)] == [moved.interval]


# Time to set up between two people


@pytest.fixture
def set_up(workshop: Workshop) -> None:
    """A machine that stays free for half an hour between two people."""
    with workshop.database.write() as session:
        session.add(Setting(key="rules.kind.fdm", value='{"buffer_min": 30}'))


def test_a_machine_stays_free_between_two_people_and_its_time_is_on_no_offer(
    bookings: Bookings, set_up: None, member: Actor, other: Actor, now: datetime
) -> None:
    bookings.book(member, "ender", now + 2 * HOUR, now + 4 * HOUR, now)
    for start, end in ((4, 5), (1, 2)):
        with pytest.raises(RefusedError) as refused:
            bookings.book(other, "ender", now + start * HOUR, now + end * HOUR, now)
        assert reasons(refused) == {Reason.SET_UP}
    offered = bookings.proposals("ender", HOUR, now, other)
    assert all(one.end <= now + 90 * MINUTE or one.start >= now + 270 * MINUTE for one in offered)
    assert now + 270 * MINUTE in [one.start for one in offered]
    bookings.book(other, "ender", now + 270 * MINUTE, now + 6 * HOUR, now)


def test_who_goes_on_with_a_machine_needs_no_time_to_set_up(
    bookings: Bookings, set_up: None, member: Actor, now: datetime
) -> None:
    bookings.book(member, "ender", now + 2 * HOUR, now + 4 * HOUR, now)
    bookings.book(member, "ender", now + 4 * HOUR, now + 5 * HOUR, now)


def test_the_calendar_shows_the_time_to_set_up_to_whom_it_concerns(
    bookings: Bookings, set_up: None, member: Actor, other: Actor, now: datetime
) -> None:
    bookings.book(member, "ender", now + 2 * HOUR, now + 4 * HOUR, now)
    day = bookings.day("ender", date(2026, 3, 4), other, now)
    assert [(one.start - now, one.end - now) for one in day.set_up] == [
        (90 * MINUTE, 120 * MINUTE),
        (240 * MINUTE, 270 * MINUTE),
    ]
    assert not any(one.overlaps(kept) for one in day.free for kept in day.set_up)
    assert bookings.day("ender", date(2026, 3, 4), member, now).set_up == []


def test_staff_let_somebody_follow_at_once_with_a_reason(
    bookings: Bookings, set_up: None, member: Actor, admin: Actor, now: datetime
) -> None:
    bookings.book(member, "ender", now + 2 * HOUR, now + 4 * HOUR, now)
    plea = Plea(False, "It was clean already.")
    bookings.book(admin, "ender", now + 4 * HOUR, now + 5 * HOUR, now, plea=plea)
