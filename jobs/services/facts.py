"""Facts on the calendar: what really takes a machine's time enters, and claims make room.

These run inside the caller's transaction, so that a run and its place on the calendar, and a
displaced claim and the word of it, become true together.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.orm import Session

from jobs.domain.calendar import (
    CLAIMS,
    FACTS,
    AllocationKind,
    AllocationState,
    Displacement,
    Interval,
)
from jobs.domain.events import EventType, rfc3339
from jobs.services import outbox
from jobs.services.turns import take_turn
from jobs.services.workshop import Workshop
from jobs.store.tables import Allocation, Machine

_INSTANT = timedelta(microseconds=1)
_CLAIM_WORDS = [kind.value for kind in CLAIMS]
_FACT_WORDS = [kind.value for kind in FACTS]


def conflicts(
    machine_id: str, kind: AllocationKind, person_id: str | None, interval: Interval
) -> ColumnElement[bool]:
    """Return the condition of what lies in the way; the same rule as `store.guards`."""
    theirs = Allocation.person_id.is_(None) | (Allocation.person_id != person_id)
    if kind in CLAIMS:
        own_run = and_(Allocation.kind == AllocationKind.RUN.value, ~theirs)
        in_the_way = or_(
            Allocation.kind.in_(_CLAIM_WORDS), and_(Allocation.kind.in_(_FACT_WORDS), ~own_run)
        )
    elif kind is AllocationKind.RUN and person_id is not None:
        in_the_way = and_(Allocation.kind.in_(_CLAIM_WORDS), theirs)
    else:
        in_the_way = Allocation.kind.in_(_CLAIM_WORDS)
    return and_(
        Allocation.machine_id == machine_id,
        Allocation.state == AllocationState.ACTIVE.value,
        Allocation.start_at < interval.end,
        Allocation.end_at > interval.start,
        in_the_way,
    )


def announce(
    session: Session,
    workshop: Workshop,
    kind: EventType,
    row: Allocation,
    now: datetime,
    **more: str,
) -> None:
    """Write the event of a changed reservation; it names the time, never the person."""
    slug = session.scalar(select(Machine.slug).where(Machine.id == row.machine_id))
    data: Mapping[str, object] = {
        "allocation": row.id,
        "machine": slug,
        "from": rfc3339(row.start_at),
        "to": rfc3339(row.end_at),
        "sequence": row.sequence,
        **more,
    }
    outbox.add(session, kind, data, at=now, now=now, workshop=workshop)


def give_back(
    session: Session, workshop: Workshop, whose: ColumnElement[bool], now: datetime
) -> None:
    """Cancel the claims that *whose* picks, as far as they are not over, and say so."""
    claims = session.scalars(
        select(Allocation).where(
            whose,
            Allocation.kind.in_(_CLAIM_WORDS),
            Allocation.state == AllocationState.ACTIVE.value,
            Allocation.end_at > now,
        )
    )
    for claim in claims.all():
        claim.state = AllocationState.CANCELLED.value
        claim.sequence += 1
        announce(session, workshop, EventType.RESERVATION_CANCELLED, claim, now)
    session.flush()


class Facts:
    """Runs, outages and closures on the calendar; they always enter."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop

    def place(
        self,
        session: Session,
        machine_id: str,
        kind: AllocationKind,
        start: datetime,
        end: datetime,
        person_id: str | None,
        attempt_id: str | None,
        reason: Displacement,
        now: datetime,
        note: str = "",
    ) -> str:
        """Put a fact on the calendar, displacing others' claims, and return its id."""
        assert kind in FACTS
        # Before the look: else a claim could enter between the look and the insert.
        take_turn(session, machine_id)
        fact = Allocation(
            id=self._workshop.new_id(),
            machine_id=machine_id,
            kind=kind.value,
            state=AllocationState.ACTIVE.value,
            start_at=start,
            end_at=max(end, start + _INSTANT),
            person_id=person_id,
            attempt_id=attempt_id,
            note=note,
            sequence=0,
            created_at=now,
        )
        self._displace(session, fact, fact.end_at, reason, now)
        session.add(fact)
        session.flush()
        return fact.id

    def extend(self, session: Session, allocation_id: str, end: datetime, now: datetime) -> None:
        """Let a fact last longer, displacing what it runs into; it is never made shorter."""
        fact = session.get_one(Allocation, allocation_id)
        take_turn(session, fact.machine_id)
        if fact.state != AllocationState.ACTIVE.value or end <= fact.end_at:
            return
        self._displace(session, fact, end, Displacement.OVERRUN, now)
        fact.end_at = end
        fact.sequence += 1
        session.flush()

    def end(self, session: Session, allocation_id: str, now: datetime) -> None:
        """Say that a fact is over, and give back the rest of its time."""
        fact = session.get_one(Allocation, allocation_id)
        if fact.state != AllocationState.ACTIVE.value:
            return
        fact.state = AllocationState.ENDED.value
        fact.end_at = max(now, fact.start_at + _INSTANT)
        fact.sequence += 1
        session.flush()

    def _displace(
        self,
        session: Session,
        fact: Allocation,
        end: datetime,
        reason: Displacement,
        now: datetime,
    ) -> None:
        kind = AllocationKind(fact.kind)
        interval = Interval(fact.start_at, end)
        claims = session.scalars(
            select(Allocation).where(conflicts(fact.machine_id, kind, fact.person_id, interval))
        ).all()
        for claim in claims:
            claim.state = AllocationState.DISPLACED.value
            claim.displaced_by = fact.id
            claim.displaced_reason = reason.value
            claim.sequence += 1
            announce(
                session,
                self._workshop,
                EventType.RESERVATION_DISPLACED,
                claim,
                now,
                reason=reason.value,
            )
        # One flush would insert the fact before it moves the claims out of its way.
        session.flush()
