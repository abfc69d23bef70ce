"""Calendars for other programs: one's own bookings and a machine's, by a secret link.

Entries keep their UID; each change counts SEQUENCE up, and what was given back or displaced comes
as cancelled for a while, so that a telephone takes it away.

*Source:* RFC 5545 (iCalendar), RFC 7986 (REFRESH-INTERVAL).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import delete, exists, func, or_, select
from sqlalchemy.orm import Session

from jobs.domain.calendar import CLAIMS, AllocationKind, AllocationState
from jobs.domain.errors import NotFoundError
from jobs.domain.learning import SeatState
from jobs.domain.people import Actor, Role
from jobs.domain.sentences import Catalogue
from jobs.domain.sharing import HoldFor
from jobs.services import passwords
from jobs.services.calendars import allocation_view, rows_where
from jobs.services.workshop import Workshop
from jobs.store.house import Training, TrainingSeat, TrainingTrainer
from jobs.store.tables import Allocation, CalendarLink, Machine, Person

if TYPE_CHECKING:
    from icalendar import Event

_BACK: Final = timedelta(days=30)  # what is over stays so long, so that the cancelled are heard of
_AHEAD: Final = timedelta(days=400)
_MOST: Final = 1000
_REFRESH: Final = timedelta(minutes=15)
_LONGEST_TOKEN: Final = 100
_CONFIRMED = frozenset({AllocationState.ACTIVE.value, AllocationState.ENDED.value})


class Feeds:
    """Use cases about calendars that other programs read."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop

    def made_at(self, actor: Actor) -> datetime | None:
        """Return when a person's link was made; None without one."""
        with self._workshop.database.read() as session:
            link = session.get(CalendarLink, actor.person_id)
            return None if link is None else link.created_at

    def make(self, actor: Actor, now: datetime) -> str:
        """Make a person's link and return its secret, which is not told again.

        The link before stops working.
        """
        token = self._workshop.new_token()
        with self._workshop.database.write() as session:
            session.execute(delete(CalendarLink).where(CalendarLink.person_id == actor.person_id))
            session.add(
                CalendarLink(
                    person_id=actor.person_id,
                    token_sha256=passwords.fingerprint(token),
                    created_at=now,
                )
            )
        return token

    def end(self, actor: Actor) -> None:
        """Have a person's link work no more."""
        with self._workshop.database.write() as session:
            session.execute(delete(CalendarLink).where(CalendarLink.person_id == actor.person_id))

    def own(self, token: str, now: datetime, catalogue: Catalogue) -> bytes:
        """Return a person's bookings and trainings as a calendar.

        :raises NotFoundError: if no link has this secret.
        """
        with self._workshop.database.read() as session:
            actor = _holder(session, token)
            found = rows_where(
                session,
                Allocation.person_id == actor.person_id,
                Allocation.kind.in_([kind.value for kind in CLAIMS]),
                # What is kept for a training is part of it.
                func.coalesce(Allocation.purpose, "") != HoldFor.TRAINING.value,
                Allocation.end_at > now - _BACK,
                Allocation.start_at < now + _AHEAD,
            )[:_MOST]
            names = _names(session)
            events = [
                self._event(one.row, now, names.get(one.slug, one.slug), one.row.note)
                for one in found
            ]
            events += self._trainings(session, actor.person_id, now)
        return self._calendar(catalogue.text("feed.own", site=self._workshop.site), events)

    def machine(self, token: str, slug: str, now: datetime, catalogue: Catalogue) -> bytes:
        """Return a machine's calendar as the holder of the link may see it.

        :raises NotFoundError: if no link has this secret, or there is no such machine.
        """
        with self._workshop.database.read() as session:
            actor = _holder(session, token)
            name = _names(session).get(slug)
            if name is None:
                raise NotFoundError("machine.unknown", machine=slug)
            found = rows_where(
                session,
                Machine.slug == slug,
                Allocation.end_at > now - _BACK,
                Allocation.start_at < now + _AHEAD,
            )[:_MOST]
            events = []
            for one in found:
                view = allocation_view(one, actor)
                label = view.label or catalogue.text(f"feed.{_word(one.row)}")
                events.append(self._event(one.row, now, label))
        return self._calendar(name, events)

    def _trainings(self, session: Session, person_id: str, now: datetime) -> list[Event]:
        """Return what a person has a seat in, or teaches."""
        own = or_(
            Training.trainer_id == person_id,
            exists().where(
                TrainingTrainer.training_id == Training.id, TrainingTrainer.person_id == person_id
            ),
            exists().where(
                TrainingSeat.training_id == Training.id,
                TrainingSeat.person_id == person_id,
                TrainingSeat.state != SeatState.WAITING.value,
            ),
        )
        rows = session.scalars(
            select(Training)
            .where(own, Training.end_at > now - _BACK, Training.start_at < now + _AHEAD)
            .order_by(Training.start_at)
            .limit(_MOST)
        )
        return [
            self._entry(
                row.id,
                row.sequence,
                (row.start_at, row.end_at),
                now,
                row.title,
                row.note,
                "CONFIRMED" if row.cancelled_at is None else "CANCELLED",
            )
            for row in rows
        ]

    def _event(self, row: Allocation, now: datetime, summary: str, note: str = "") -> Event:
        span = (row.start_at, row.end_at)
        return self._entry(row.id, row.sequence, span, now, summary, note, _status(row))

    def _entry(
        self,
        key: str,
        sequence: int,
        span: tuple[datetime, datetime],
        now: datetime,
        summary: str,
        note: str,
        status: str,
    ) -> Event:
        from icalendar import Event

        event = Event()
        event.add("uid", f"{key}@{self._workshop.site}")
        event.add("sequence", sequence)
        event.add("dtstamp", now)
        event.add("dtstart", span[0])
        event.add("dtend", span[1])
        event.add("summary", summary)
        if note:
            event.add("description", note)
        event.add("location", self._workshop.site)
        event.add("status", status)
        return event

    def _calendar(self, name: str, events: Sequence[Event]) -> bytes:
        # Eight megabytes that a node without such links never needs.
        from icalendar import Calendar

        calendar = Calendar()
        calendar.add("prodid", "-//fabnode//calendar//EN")
        calendar.add("version", "2.0")
        calendar.add("method", "PUBLISH")
        calendar.add("name", name)
        calendar.add("x-wr-calname", name)
        calendar.add("refresh-interval", _REFRESH, parameters={"VALUE": "DURATION"})
        calendar.add("x-published-ttl", "PT15M")  # what Outlook reads
        for event in events:
            calendar.add_component(event)
        body: bytes = calendar.to_ical()
        return body


def _status(row: Allocation) -> str:
    if row.state not in _CONFIRMED:
        return "CANCELLED"
    is_sure = row.kind != AllocationKind.HOLD.value or row.purpose == HoldFor.TRAINING.value
    return "CONFIRMED" if is_sure else "TENTATIVE"


def _word(row: Allocation) -> str:
    return row.kind if row.kind != AllocationKind.HOLD.value else AllocationKind.RESERVATION.value


def _names(session: Session) -> dict[str, str]:
    return {row.slug: row.name for row in session.execute(select(Machine.slug, Machine.name))}


def _holder(session: Session, token: str) -> Actor:
    found = None
    if len(token) <= _LONGEST_TOKEN:
        found = session.execute(
            select(Person)
            .join(CalendarLink, CalendarLink.person_id == Person.id)
            .where(CalendarLink.token_sha256 == passwords.fingerprint(token))
        ).scalar_one_or_none()
    if found is None or found.disabled_at is not None:
        raise NotFoundError("feed.unknown")
    return Actor(found.id, found.name, Role(found.role))
