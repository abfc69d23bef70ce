"""Booking: what is free, who takes it, and what gives way when reality needs the time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from itertools import islice
from typing import Final

from sqlalchemy import and_, func, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from jobs.domain.calendar import (
    CLAIMS,
    AllocationKind,
    AllocationState,
    Interval,
    local_day,
)
from jobs.domain.errors import NotFoundError, RefusedError
from jobs.domain.events import EventType
from jobs.domain.people import Actor, Role
from jobs.domain.policy import Reason, Refusal
from jobs.domain.rules import slots
from jobs.services.approvals import NO_PLEA, Consent, Plea, consent_of, keep
from jobs.services.calendars import APPROVAL, allocation_view, free_of, rows_where, taken_in
from jobs.services.closing import Closing, checked_interval, checked_note, must_be_operator
from jobs.services.facts import Facts, announce, conflicts
from jobs.services.house_rules import Asker, booking_facts, refusals, values_of
from jobs.services.turns import take_turn
from jobs.services.views import AllocationView, CalendarDay
from jobs.services.workshop import Workshop
from jobs.store.database import is_overlap
from jobs.store.tables import Allocation, Machine, Person

_STEP: Final = timedelta(minutes=15)  # proposals begin on the quarter hour
_REMEMBER: Final = timedelta(days=7)  # how long a person is shown what they lost
_SHOWN: Final = (AllocationState.ACTIVE.value, AllocationState.ENDED.value)


class Bookings:
    """Use cases about machines' time. All instants are aware UTC.

    Outages and closures live in `closing` and are reached through here.
    """

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._database = workshop.database
        facts = Facts(workshop)
        self.place_fact = facts.place
        self.extend_fact = facts.extend
        self.end_fact = facts.end
        closing = Closing(workshop)
        self.outage = closing.outage
        self.closure = closing.closure

    def day(self, slug: str, day: date, viewer: Actor | None, now: datetime) -> CalendarDay:
        """Return one local day of a machine."""
        return self._days(slug, [day], viewer, now)[0]

    def week(
        self, slug: str, day: date, viewer: Actor | None, now: datetime
    ) -> Sequence[CalendarDay]:
        """Return the week from Monday to Sunday that *day* is in."""
        monday = day - timedelta(days=day.weekday())
        return self._days(slug, [monday + timedelta(days=n) for n in range(7)], viewer, now)

    def mine(self, actor: Actor, now: datetime) -> Sequence[AllocationView]:
        """Return a person's own claims from now on, and those they lost lately."""
        is_lost = and_(
            Allocation.state == AllocationState.DISPLACED.value,
            Allocation.end_at > now - _REMEMBER,
        )
        is_coming = and_(Allocation.state == AllocationState.ACTIVE.value, Allocation.end_at > now)
        with self._database.read() as session:
            found = rows_where(
                session,
                Allocation.person_id == actor.person_id,
                Allocation.kind.in_([kind.value for kind in CLAIMS]),
                or_(is_coming, is_lost),
            )
            return [allocation_view(row, slug, name, actor) for row, slug, name in found]

    def proposals(
        self,
        slug: str,
        length: timedelta,
        now: datetime,
        viewer: Actor | None = None,
        count: int = 6,
    ) -> Sequence[Interval]:
        """Return the next free slots of that length, from the next quarter hour on.

        They pass every rule of the house about time; who asks is asked when they book.
        """
        asker = Asker(None, Role.MEMBER) if viewer is None else Asker(viewer.person_id, viewer.role)
        with self._database.read() as session:
            machine = _machine(session, slug)
            if machine.retired_at is not None:
                return []
            wish = Interval(now, now + length)
            values = values_of(session, machine)
            facts = booking_facts(session, self._workshop, asker, machine, wish, now, values=values)
        return list(islice(slots(facts, values, _STEP), count))

    def book(
        self,
        actor: Actor,
        slug: str,
        start: datetime,
        end: datetime,
        now: datetime,
        note: str = "",
        plea: Plea = NO_PLEA,
    ) -> AllocationView:
        """Reserve a machine for *actor*, or ask staff for it where a rule wants that.

        :raises RefusedError: with every reason at once. Of two at the same instant one wins.
        """
        interval, note = checked_interval(start, end), checked_note(note)
        try:
            with self._database.write() as session:
                machine = _machine(session, slug)
                machine_id = machine.id  # a lost transaction takes the row with it
                consent = self._consent(session, actor, machine, interval, now, plea)
                row = Allocation(
                    id=self._workshop.new_id(),
                    machine_id=machine.id,
                    kind=consent.kind.value,
                    state=AllocationState.ACTIVE.value,
                    start_at=interval.start,
                    end_at=interval.end,
                    person_id=actor.person_id,
                    note=note,
                    sequence=0,
                    created_at=now,
                )
                session.add(row)
                keep(session, self._workshop, actor, row, consent, now)
                session.flush()
                if consent.granted:
                    announce(session, self._workshop, EventType.RESERVATION_MADE, row, now)
        except IntegrityError as error:
            raise self._lost(error, machine_id, actor, interval) from error
        self._workshop.live.touch()
        return allocation_view(row, slug, actor.name, actor)

    def move(
        self,
        actor: Actor,
        allocation_id: str,
        start: datetime,
        end: datetime,
        now: datetime,
        plea: Plea = NO_PLEA,
    ) -> AllocationView:
        """Give a reservation another time, or end it earlier or later; its id stays."""
        interval = checked_interval(start, end)
        try:
            with self._database.write() as session:
                row, machine = self._own_claim(session, actor, allocation_id, now)
                machine_id = machine.id
                # What has begun may still be made longer or shorter.
                has_begun = interval.start == row.start_at and interval.end > now
                consent = self._consent(
                    session,
                    actor,
                    machine,
                    interval,
                    min(now, interval.start) if has_begun else now,
                    plea,
                    row,
                )
                is_asked = row.purpose == APPROVAL  # and stays so until staff have decided
                row.start_at, row.end_at = interval.start, interval.end
                row.sequence += 1
                if consent.reasons or not is_asked:
                    keep(session, self._workshop, actor, row, consent, now)
                session.flush()
                if consent.granted and not is_asked:
                    announce(session, self._workshop, EventType.RESERVATION_MADE, row, now)
                name = session.get_one(Person, row.person_id).name
        except IntegrityError as error:
            raise self._lost(error, machine_id, actor, interval) from error
        self._workshop.live.touch()
        return allocation_view(row, machine.slug, name, actor)

    def cancel(self, actor: Actor, allocation_id: str, now: datetime) -> None:
        """Give a reservation back. An operator may give back anybody's, and end an outage."""
        with self._database.write() as session:
            row = _allocation(session, allocation_id)
            if row.kind in (AllocationKind.OUTAGE.value, AllocationKind.CLOSURE.value):
                must_be_operator(actor)
                if row.state != AllocationState.ACTIVE.value or row.end_at <= now:
                    raise RefusedError([Refusal(Reason.ALREADY_ENDED)])
                self.end_fact(session, row.id, now)
            else:
                row, _ = self._own_claim(session, actor, allocation_id, now)
                row.state = AllocationState.CANCELLED.value
                row.sequence += 1
                announce(session, self._workshop, EventType.RESERVATION_CANCELLED, row, now)
        self._workshop.live.touch()

    def _consent(
        self,
        session: Session,
        actor: Actor,
        machine: Machine,
        interval: Interval,
        now: datetime,
        plea: Plea,
        moved: Allocation | None = None,
    ) -> Consent:
        asker = Asker(actor.person_id, actor.role)
        if moved is not None:
            # An operator may move it for somebody; the rules are still theirs whose it is.
            asker = Asker(moved.person_id, actor.role)
        found = refusals(session, self._workshop, asker, machine, interval, now, moved=moved)
        return consent_of(found, actor, plea)

    def _own_claim(
        self, session: Session, actor: Actor, allocation_id: str, now: datetime
    ) -> tuple[Allocation, Machine]:
        row = _allocation(session, allocation_id)
        if row.kind not in CLAIMS:
            raise NotFoundError("booking.unknown")
        take_turn(session, row.machine_id)
        session.refresh(row)  # a run may have taken its place until it was our turn
        refusals = []
        if row.person_id != actor.person_id and not actor.is_at_least(Role.OPERATOR):
            refusals.append(Refusal(Reason.NOT_YOURS))
        if row.state != AllocationState.ACTIVE.value or row.end_at <= now:
            refusals.append(Refusal(Reason.ALREADY_ENDED))
        if refusals:
            raise RefusedError(refusals)
        return row, session.get_one(Machine, row.machine_id)

    def _lost(
        self, error: IntegrityError, machine_id: str, actor: Actor, interval: Interval
    ) -> Exception:
        """Return what to raise where the database refused: somebody was faster."""
        if not is_overlap(error):
            return error
        in_the_way = conflicts(machine_id, AllocationKind.RESERVATION, actor.person_id, interval)
        with self._database.read() as session:
            taken_until = session.scalar(select(func.max(Allocation.end_at)).where(in_the_way))
        return RefusedError([Refusal(Reason.TAKEN, passes_at=taken_until)])

    def _days(
        self, slug: str, days: Sequence[date], viewer: Actor | None, now: datetime
    ) -> Sequence[CalendarDay]:
        spans = [local_day(day, self._workshop.zone) for day in days]
        whole = Interval(spans[0].start, spans[-1].end)
        with self._database.read() as session:
            machine = _machine(session, slug)
            taken = taken_in(session, machine.id, whole)
            views = [
                allocation_view(row, slug, name, viewer)
                for row, _, name in rows_where(
                    session,
                    Allocation.machine_id == machine.id,
                    Allocation.state.in_(_SHOWN),
                    Allocation.start_at < whole.end,
                    Allocation.end_at > whole.start,
                )
            ]
        return [
            CalendarDay(
                day.isoformat(),
                span,
                [view for view in views if view.interval.overlaps(span)],
                free_of(taken, span, now),
            )
            for day, span in zip(days, spans, strict=True)
        ]


def _machine(session: Session, slug: str) -> Machine:
    machine = session.scalar(select(Machine).where(Machine.slug == slug))
    if machine is None:
        raise NotFoundError("machine.unknown", machine=slug)
    return machine


def _allocation(session: Session, allocation_id: str) -> Allocation:
    row = session.get(Allocation, allocation_id)
    if row is None:
        raise NotFoundError("booking.unknown")
    return row
