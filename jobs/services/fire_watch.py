"""The fire watch of lasers, inside a transaction: when it begins, and what it refuses."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from jobs.domain.policy import Reason, Refusal
from jobs.domain.switching import Switching
from jobs.kinds import has_beam
from jobs.services.workshop import Workshop
from jobs.store.power import FireWatch
from jobs.store.tables import Machine


def begin_watch(
    session: Session,
    workshop: Workshop,
    machine: Machine,
    person_id: str,
    attempt_id: str | None,
    at: datetime,
) -> None:
    """Ask for eyes on a laser whose run has ended, however it ended; on other machines nothing."""
    if not has_beam(machine.kind):
        return
    length = timedelta(seconds=Switching.from_json(machine.switching).fire_watch_s)
    session.add(
        FireWatch(
            id=workshop.new_id(),
            machine_id=machine.id,
            attempt_id=attempt_id,
            person_id=person_id,
            began_at=at,
            until_at=at + length,
        )
    )
    session.flush()


def open_watch(session: Session, machine_id: str) -> FireWatch | None:
    """Return the watch that nobody has ended, the latest to end where there are several."""
    return session.scalars(
        select(FireWatch)
        .where(FireWatch.machine_id == machine_id, FireWatch.confirmed_at.is_(None))
        .order_by(FireWatch.until_at.desc())
        .limit(1)
    ).first()


def open_watches(session: Session, machine_ids: Collection[str]) -> Mapping[str, datetime]:
    """Return until when somebody watches, by machine id, of those that nobody has ended."""
    rows = session.execute(
        select(FireWatch.machine_id, FireWatch.until_at)
        .where(FireWatch.machine_id.in_(machine_ids), FireWatch.confirmed_at.is_(None))
        .order_by(FireWatch.until_at)
    )
    return {row.machine_id: row.until_at for row in rows}


def watch_refusals(session: Session, machine: Machine) -> list[Refusal]:
    """Return that nothing begins at a laser before a person has said that nothing smoulders.

    Nobody may let it pass: who could say so stands there and can look.
    """
    if not has_beam(machine.kind):
        return []
    watch = open_watch(session, machine.id)
    if watch is None:
        return []
    return [Refusal(Reason.FIRE_WATCH, {"at": watch.until_at.isoformat()})]
