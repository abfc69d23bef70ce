"""Who uses a machine now without a job, inside a transaction."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session

from jobs.store.tables import UsageEvent


def used_by(session: Session, machine_id: str) -> str:
    """Return the id of the person who has opened a use of a machine; "" if nobody has."""
    return uses_of(session, [machine_id]).get(machine_id, "")


def uses_of(session: Session, machine_ids: Collection[str]) -> Mapping[str, str]:
    """Return who has opened a use, by machine id."""
    rows = session.execute(
        select(UsageEvent.machine_id, UsageEvent.person_id).where(
            UsageEvent.machine_id.in_(machine_ids),
            UsageEvent.end_at.is_(None),
            UsageEvent.attempt_id.is_(None),
        )
    )
    return {row.machine_id: row.person_id for row in rows}
