"""Facts on the calendar: what really takes a machine's time enters, and claims make room.

These run inside the caller's transaction, so that a run and its place on the calendar, and a
displaced claim, the word of it and what is offered instead, become true together.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from jobs.domain.calendar import FACTS, AllocationKind, AllocationState, Displacement, Interval
from jobs.domain.events import EventType
from jobs.services.claims import announce, conflicts
from jobs.services.offering import make_up_for
from jobs.services.turns import take_turn
from jobs.services.workshop import Workshop
from jobs.store.tables import Allocation

_INSTANT = timedelta(microseconds=1)


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
        displaced: list[Allocation] | None = None,
    ) -> str:
        """Put a fact on the calendar, displacing others' claims, and return its id.

        :param displaced: takes what was displaced, for a caller that will `make_up_for` it once
            all its facts are there.
        """
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
        lost = self._displace(session, fact, fact.end_at, reason, now)
        session.add(fact)
        session.flush()
        if displaced is None:
            make_up_for(session, self._workshop, lost, now)
        else:
            displaced.extend(lost)
        return fact.id

    def extend(self, session: Session, allocation_id: str, end: datetime, now: datetime) -> None:
        """Let a fact last longer, displacing what it runs into; it is never made shorter."""
        fact = session.get_one(Allocation, allocation_id)
        take_turn(session, fact.machine_id)
        if fact.state != AllocationState.ACTIVE.value or end <= fact.end_at:
            return
        lost = self._displace(session, fact, end, Displacement.OVERRUN, now)
        fact.end_at = end
        fact.sequence += 1
        session.flush()
        make_up_for(session, self._workshop, lost, now)

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
    ) -> Sequence[Allocation]:
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
        return claims
