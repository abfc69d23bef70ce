"""Booking: what is free, who takes it, and what gives way when reality needs the time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from sqlalchemy import and_, exists, func, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from jobs.domain.calendar import (
    CLAIMS,
    AllocationKind,
    AllocationState,
    Interval,
    free_intervals,
    local_day,
)
from jobs.domain.errors import RefusedError
from jobs.domain.events import EventType
from jobs.domain.job import JobState
from jobs.domain.people import Actor, Role
from jobs.domain.policy import Reason, Refusal
from jobs.services.approvals import NO_PLEA, Plea, keep
from jobs.services.asked import machine_of
from jobs.services.behalf import note as note_behalf
from jobs.services.calendars import (
    APPROVAL,
    SHOW_NAME,
    YES,
    allocation_view,
    free_of,
    rows_where,
    view_of,
)
from jobs.services.claims import (
    allocation_of,
    announce,
    cancel_row,
    conflicts,
    is_booking,
    own_reservation,
)
from jobs.services.closing import Closing
from jobs.services.closing_checks import checked_interval, checked_note, must_be_operator
from jobs.services.costing import given_back, must_afford
from jobs.services.entering import consent_for, enter
from jobs.services.facts import Facts
from jobs.services.free_time import proposals_of
from jobs.services.house_rules import Asker, values_of_all
from jobs.services.preferences import choose, preferences_of
from jobs.services.turns import take_turn
from jobs.services.views import AllocationView, CalendarDay
from jobs.services.waiting import serve
from jobs.services.workshop import Workshop
from jobs.store.database import is_overlap
from jobs.store.tables import Allocation, Job, Machine, Preflight

_MOST_JOBS: Final = 12
_REMEMBER: Final = timedelta(days=7)  # how long a person is shown what they lost
_SHOWN: Final = (AllocationState.ACTIVE.value, AllocationState.ENDED.value)


@dataclass(frozen=True, slots=True)
class MachineName:
    """A machine in a list."""

    slug: str
    name: str
    kind: str


@dataclass(frozen=True, slots=True)
class JobName:
    """A job in a list."""

    id: str
    title: str


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

    def all_days(
        self, day: date, count: int, viewer: Actor | None, now: datetime
    ) -> Mapping[str, Sequence[CalendarDay]]:
        """Return some local days of every machine in use, by slug."""
        days = [day + timedelta(days=n) for n in range(min(max(count, 1), 7))]
        with self._database.read() as session:
            rows = session.execute(
                select(Machine.id, Machine.slug)
                .where(Machine.retired_at.is_(None))
                .order_by(Machine.name, Machine.slug)
            ).all()
            slugs = {row.id: row.slug for row in rows}
            return self._days_of(session, slugs, days, viewer, now)

    def machines(self) -> Sequence[MachineName]:
        """Return the machines in use, by name."""
        with self._database.read() as session:
            rows = session.execute(
                select(Machine.slug, Machine.name, Machine.kind)
                .where(Machine.retired_at.is_(None))
                .order_by(Machine.name, Machine.slug)
            )
            return [MachineName(row.slug, row.name, row.kind) for row in rows]

    def jobs(self, actor: Actor) -> Sequence[JobName]:
        """Return a person's newest jobs that time could be booked for: examined, not begun."""
        query = (
            select(Job.id, Job.title)
            .where(
                Job.person_id == actor.person_id,
                Job.state.in_((JobState.WAITING.value, JobState.HELD.value)),
                exists().where(
                    Preflight.job_id == Job.id,
                    Preflight.superseded_at.is_(None),
                    Preflight.planned_ms > 0,
                ),
            )
            .order_by(Job.number.desc())
            .limit(_MOST_JOBS)
        )
        with self._database.read() as session:
            return [JobName(row.id, row.title) for row in session.execute(query)]

    def one(self, viewer: Actor, allocation_id: str) -> AllocationView:
        """Return one booking as *viewer* may see it."""
        with self._database.read() as session:
            return view_of(session, allocation_of(session, allocation_id), viewer)

    def mine(self, actor: Actor, now: datetime) -> Sequence[AllocationView]:
        """Return a person's own reservations from now on, and those they lost lately."""
        is_lost = and_(
            or_(
                Allocation.state == AllocationState.DISPLACED.value,
                Allocation.missed_at.is_not(None),
            ),
            Allocation.end_at > now - _REMEMBER,
        )
        is_coming = and_(Allocation.state == AllocationState.ACTIVE.value, Allocation.end_at > now)
        with self._database.read() as session:
            found = rows_where(
                session,
                Allocation.person_id == actor.person_id,
                is_booking(),
                or_(is_coming, is_lost),
            )
            return [allocation_view(one, actor) for one in found]

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
        with self._database.read() as session:
            machine_of(session, slug)
        return self.all_proposals({slug: length}, now, viewer, count).get(slug, [])

    def all_proposals(
        self,
        lengths: Mapping[str, timedelta],
        now: datetime,
        viewer: Actor | None = None,
        count: int = 3,
    ) -> Mapping[str, Sequence[Interval]]:
        """Return the next free slots of each machine, for a length of its own."""
        asker = Asker(None, Role.MEMBER) if viewer is None else Asker(viewer.person_id, viewer.role)
        with self._database.read() as session:
            machines = session.scalars(
                select(Machine).where(Machine.slug.in_(lengths), Machine.retired_at.is_(None))
            ).all()
            return proposals_of(session, self._workshop, asker, machines, lengths, now, count)

    def book(
        self,
        actor: Actor,
        slug: str,
        start: datetime,
        end: datetime,
        now: datetime,
        note: str = "",
        plea: Plea = NO_PLEA,
        shows_name: bool | None = None,
    ) -> AllocationView:
        """Reserve a machine for *actor*, or ask staff for it where a rule wants that.

        :param shows_name: whether others see whose it is; None: as the person chose for all.
        :raises RefusedError: with every reason at once. Of two at the same instant one wins.
        """
        interval, note = checked_interval(start, end), checked_note(note)
        try:
            with self._database.write() as session:
                machine = machine_of(session, slug)
                machine_id = machine.id  # a lost transaction takes the row with it
                consent = consent_for(session, self._workshop, actor, machine, interval, now, plea)
                row = enter(
                    session, self._workshop, actor, machine, interval, consent, now, note,
                    shows_name=shows_name,
                )  # fmt: skip
                note_behalf(session, self._workshop, actor, "booked", f"booking:{row.id}", now)
                view = view_of(session, row, actor)
        except IntegrityError as error:
            raise self._lost(error, machine_id, actor, interval) from error
        self._workshop.live.touch()
        return view

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
                row, machine = own_reservation(session, actor, allocation_id, now)
                machine_id = machine.id
                # What has begun may still be made longer or shorter.
                has_begun = interval.start == row.start_at and interval.end > now
                at = min(now, interval.start) if has_begun else now
                consent = consent_for(
                    session, self._workshop, actor, machine, interval, at, plea, row
                )
                is_asked = row.purpose == APPROVAL  # and stays so until staff have decided
                row.start_at, row.end_at = interval.start, interval.end
                row.sequence += 1
                if consent.reasons or not is_asked:
                    keep(session, self._workshop, actor, row, consent, now)
                session.flush()
                must_afford(session, row, consent.reasons, now)
                if consent.granted and not is_asked:
                    announce(session, self._workshop, EventType.RESERVATION_MADE, row, now)
                serve(session, self._workshop, machine_id, now)
                self._note(session, actor, "moved", row, now)
                view = view_of(session, row, actor)
        except IntegrityError as error:
            raise self._lost(error, machine_id, actor, interval) from error
        self._workshop.live.touch()
        return view

    def cancel(self, actor: Actor, allocation_id: str, now: datetime) -> None:
        """Give a reservation back. An operator may give back anybody's, and end an outage."""
        with self._database.write() as session:
            row = allocation_of(session, allocation_id)
            if row.kind in (AllocationKind.OUTAGE.value, AllocationKind.CLOSURE.value):
                must_be_operator(actor)
                take_turn(session, row.machine_id)
                session.refresh(row)
                if row.state != AllocationState.ACTIVE.value or row.end_at <= now:
                    raise RefusedError([Refusal(Reason.ALREADY_ENDED)])
                self.end_fact(session, row.id, now)
            else:
                row, _ = own_reservation(session, actor, allocation_id, now)
                cancel_row(session, self._workshop, row, actor, now)
                self._note(session, actor, "cancelled", row, now)
                if row.person_id == actor.person_id:
                    given_back(session, self._workshop, row, now)
            serve(session, self._workshop, row.machine_id, now)
        self._workshop.live.touch()

    def _note(
        self, session: Session, actor: Actor, what: str, row: Allocation, now: datetime
    ) -> None:
        about = f"booking:{row.id}"
        note_behalf(session, self._workshop, actor, what, about, now, row.person_id)

    def show_name(self, actor: Actor, allocation_id: str, *, shows: bool, now: datetime) -> None:
        """Let others see whose a reservation is, or not: a word for its person alone.

        :raises RefusedError: if it is somebody else's, staff or not, or over.
        """
        with self._database.write() as session:
            row, _ = own_reservation(session, actor, allocation_id, now)
            if row.person_id != actor.person_id:
                raise RefusedError([Refusal(Reason.NOT_YOURS)])
            row.shows_name = shows
        self._workshop.live.touch()

    def shows_names(self, actor: Actor) -> bool:
        """Return whether a person lets others see their name, where a booking says nothing."""
        with self._database.read() as session:
            return preferences_of(session, actor.person_id, SHOW_NAME).get(SHOW_NAME) == YES

    def show_names(self, actor: Actor, *, shows: bool) -> None:
        """Choose for all bookings that say nothing else."""
        with self._database.write() as session:
            choose(session, actor.person_id, SHOW_NAME, YES if shows else "no")
        self._workshop.live.touch()

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
        with self._database.read() as session:
            machine = machine_of(session, slug)
            return self._days_of(session, {machine.id: slug}, days, viewer, now)[slug]

    def _days_of(
        self,
        session: Session,
        slugs: Mapping[str, str],
        days: Sequence[date],
        viewer: Actor | None,
        now: datetime,
    ) -> Mapping[str, Sequence[CalendarDay]]:
        """Return these days of machines, given their slugs by id."""
        spans = [local_day(day, self._workshop.zone) for day in days]
        machines = session.scalars(select(Machine).where(Machine.id.in_(slugs))).all()
        buffers = {slugs[key]: one.buffer for key, one in values_of_all(session, machines).items()}
        widest = max(buffers.values(), default=timedelta())
        found = rows_where(
            session,
            Allocation.machine_id.in_(slugs),
            Allocation.state.in_(_SHOWN),
            Allocation.start_at < spans[-1].end + widest,
            Allocation.end_at > spans[0].start - widest,
        )
        rows: dict[str, list[AllocationView]] = {slug: [] for slug in slugs.values()}
        for one in found:
            rows[one.slug].append(allocation_view(one, viewer))
        return {
            slug: [
                calendar_day(day, span, views, now, buffers.get(slug, timedelta()))
                for day, span in zip(days, spans, strict=True)
            ]
            for slug, views in rows.items()
        }


def calendar_day(
    day: date,
    span: Interval,
    views: Sequence[AllocationView],
    now: datetime,
    buffer: timedelta = timedelta(),
) -> CalendarDay:
    """Return what of *views* lies in a day, and what is free.

    :param buffer: what stays free on both sides of others' claims, to tidy and set up.
    """
    inside = [view for view in views if view.interval.overlaps(span)]
    taken = [view.interval for view in inside if view.state is AllocationState.ACTIVE]
    kept = _set_up(views, span, buffer) if buffer else []
    free = free_of([*taken, *kept], span, now)
    return CalendarDay(day.isoformat(), span, inside, free, kept)


def _set_up(
    views: Sequence[AllocationView], span: Interval, buffer: timedelta
) -> Sequence[Interval]:
    """Return the time beside others' claims in which nothing else lies."""
    active = [one for one in views if one.state is AllocationState.ACTIVE]
    around = [
        Interval(one.interval.start - buffer, one.interval.end + buffer)
        for one in active
        if one.kind in CLAIMS and not one.mine
    ]
    taken = [one.interval for one in active]
    not_kept = free_intervals(around, span)
    return list(free_intervals([*taken, *not_kept], span))
