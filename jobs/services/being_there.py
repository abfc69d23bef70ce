"""Being there: a person checks in, ends early, or does not come; what is left goes to others."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from jobs.domain.calendar import AllocationKind, AllocationState
from jobs.domain.errors import RefusedError
from jobs.domain.events import EventType
from jobs.domain.people import Actor
from jobs.domain.policy import Reason, Refusal
from jobs.domain.sharing import CHECK_IN_OPENS
from jobs.services import claims
from jobs.services.checking import before_use_refusals
from jobs.services.costing import nobody_came
from jobs.services.notices import tell
from jobs.services.waiting import serve
from jobs.services.workshop import Workshop
from jobs.store.tables import Allocation

_INSTANT: Final = timedelta(microseconds=1)


class BeingThere:
    """Use cases of whoever has booked and comes, or goes."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop

    def check_in(self, actor: Actor, allocation_id: str, now: datetime) -> str:
        """Say that one is there; an operator may say so for others. Twice changes nothing.

        :returns: the list that the machine asks for before its use and nobody has gone through;
            "" where there is none. Who is there is there, whatever they find on it.
        :raises RefusedError: if the time has not come, or is over.
        """
        with self._workshop.database.write() as session:
            row, machine = claims.own_reservation(session, actor, allocation_id, now)
            opens = row.start_at - CHECK_IN_OPENS
            if now < opens:
                raise RefusedError([Refusal(Reason.NOT_BEGUN, passes_at=opens)])
            row.checked_in_at = row.checked_in_at or now
            asked = before_use_refusals(session, machine, now)
        self._workshop.live.touch()
        return next((way.ref for one in asked for way in one.ways), "")

    def end_early(self, actor: Actor, allocation_id: str, now: datetime) -> None:
        """Give the rest of one's time back; who waits for it is told.

        :raises RefusedError: if it has not begun: then it is cancelled instead.
        """
        with self._workshop.database.write() as session:
            row, _ = claims.own_reservation(session, actor, allocation_id, now)
            if now <= row.start_at:
                raise RefusedError([Refusal(Reason.NOT_BEGUN, passes_at=row.start_at)])
            row.checked_in_at = row.checked_in_at or now
            row.state, row.end_at = AllocationState.ENDED.value, now
            row.sequence += 1
            session.flush()
            kind = EventType.RESERVATION_MADE
            claims.announce(session, self._workshop, kind, row, now, ended="early")
            serve(session, self._workshop, row.machine_id, now)
        self._workshop.live.touch()


def came(session: Session, row: Allocation, now: datetime) -> datetime | None:
    """Return since when whoever booked is there: by their own word, or by a run of theirs."""
    if row.checked_in_at is not None:
        return row.checked_in_at
    run = session.scalar(
        select(Allocation.start_at)
        .where(
            Allocation.machine_id == row.machine_id,
            Allocation.person_id == row.person_id,
            Allocation.kind == AllocationKind.RUN.value,
            Allocation.end_at > row.start_at,
            Allocation.start_at <= now,
        )
        .order_by(Allocation.start_at)
        .limit(1)
    )
    return None if run is None else max(run, row.start_at)


def release(session: Session, workshop: Workshop, row: Allocation, now: datetime) -> None:
    """Give the time of somebody who did not come to others; the row says that it was missed."""
    row.state, row.missed_at = AllocationState.CANCELLED.value, now
    row.sequence += 1
    session.flush()
    kind = EventType.RESERVATION_CANCELLED
    claims.announce(session, workshop, kind, row, now, reason="no-show")
    fields = claims.times_of(session, row)
    tell(session, workshop, row.person_id, "booking-missed", fields, now, f"booking:{row.id}")
    nobody_came(session, workshop, row, now)
    serve(session, workshop, row.machine_id, now)
