"""Machines out of service: one for repair, or all of them while the lab is closed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from jobs.domain.calendar import AllocationKind, Displacement
from jobs.domain.care import OUT_FOR
from jobs.domain.errors import NotFoundError
from jobs.domain.people import Actor
from jobs.services.closing_checks import (
    LONGEST_NOTE,
    checked_interval,
    checked_note,
    must_be_operator,
)
from jobs.services.facts import Facts
from jobs.services.offering import make_up_for
from jobs.services.workshop import Workshop
from jobs.store.tables import Allocation, Machine


class Closing:
    """Takes machines' time from everybody; claims in the way are displaced."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._facts = Facts(workshop)

    def outage(
        self, actor: Actor, slug: str, start: datetime, end: datetime, note: str, now: datetime
    ) -> str:
        """Take a machine out of service for a while; return the entry's id."""
        kind, why = AllocationKind.OUTAGE, Displacement.OUTAGE
        (allocation_id,) = self._take(actor, slug, start, end, note, now, kind, why)
        return allocation_id

    def closure(
        self, actor: Actor, start: datetime, end: datetime, note: str, now: datetime
    ) -> Sequence[str]:
        """Close the whole lab for a while; return the entry's id for each machine.

        What runs goes on; nothing new starts, and nothing that would reach into it.
        """
        kind, why = AllocationKind.CLOSURE, Displacement.CLOSURE
        return self._take(actor, None, start, end, note, now, kind, why)

    def out_by_fault(
        self, session: Session, machine_id: str, person_id: str, now: datetime, note: str
    ) -> str:
        """Take a machine out of service because of a fault, whoever reports it; return the id.

        It ends when the fault is mended; until somebody says how long that takes, after a week.
        """
        kind, why = AllocationKind.OUTAGE, Displacement.OUTAGE
        end = now + OUT_FOR
        return self._facts.place(
            session, machine_id, kind, now, end, person_id, None, why, now, note[:LONGEST_NOTE]
        )

    def back(self, session: Session, allocation_id: str, now: datetime) -> None:
        """Say that an outage is over."""
        self._facts.end(session, allocation_id, now)

    def _take(
        self,
        actor: Actor,
        slug: str | None,
        start: datetime,
        end: datetime,
        note: str,
        now: datetime,
        kind: AllocationKind,
        why: Displacement,
    ) -> Sequence[str]:
        must_be_operator(actor)
        interval, note = checked_interval(max(start, now), end), checked_note(note)
        # In one order everywhere: two closures at once must not wait for each other.
        query = select(Machine.id).order_by(Machine.id)
        one = Machine.retired_at.is_(None) if slug is None else Machine.slug == slug
        with self._workshop.database.write() as session:
            machine_ids = session.scalars(query.where(one)).all()
            if slug is not None and not machine_ids:
                raise NotFoundError("machine.unknown", machine=slug)
            lost: list[Allocation] = []
            placed = [
                self._facts.place(
                    session,
                    machine_id,
                    kind,
                    interval.start,
                    interval.end,
                    actor.person_id or None,
                    None,
                    why,
                    now,
                    note,
                    lost,
                )
                for machine_id in machine_ids
            ]
            # Only now: a machine that closes as well is none to offer.
            make_up_for(session, self._workshop, lost, now)
        self._workshop.live.touch()
        return placed
