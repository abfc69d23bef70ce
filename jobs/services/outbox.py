"""Events on their way out: written with the fact they tell of, kept until the broker has them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import ColumnElement, and_, func, select, update
from sqlalchemy.orm import Session

from jobs.domain.events import EventType, envelope
from jobs.domain.job import HoldReason, JobState, StepName, StepState
from jobs.services.steps import set_step
from jobs.services.workshop import Workshop
from jobs.store.tables import Job, OutboxMessage, Setting

# Setting: what has this number or a lower one stays in the house; the network was off.
FROM_SEQ: Final = "network.from-seq"


def add(
    session: Session,
    kind: EventType,
    data: Mapping[str, object],
    *,
    at: datetime,
    now: datetime,
    workshop: Workshop,
    job_id: str | None = None,
) -> str:
    """Put an event into the caller's transaction and return its id.

    :param data: no personal data and no file names: it leaves the building.
    :param at: when it happened; *now* is when it was written down.
    """
    message = OutboxMessage(
        id=workshop.new_id(),
        kind=kind.value,
        body=b"",
        created_at=now,
        tries=0,
        job_id=job_id,
    )
    session.add(message)
    session.flush()  # the database gives the sequence number that the envelope carries
    message.body = envelope(
        kind,
        data,
        event_id=message.id,
        source=workshop.signer.did,
        at=at,
        recorded_at=now,
        sequence=message.seq,
    )
    return message.id


class Pending(NamedTuple):
    """One event as the publisher takes it; `body` goes out unchanged."""

    seq: int
    id: str
    kind: EventType
    body: bytes


class Outbox:
    """What the publisher asks: what is due, and what the broker has taken."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop

    def pending(self, limit: int = 100) -> list[Pending]:
        """Return events the broker has not taken, oldest first."""
        query = select(OutboxMessage).order_by(OutboxMessage.seq).limit(limit)
        with self._workshop.database.read() as session:
            query = query.where(_is_due(session))
            return [_pending(message) for message in session.scalars(query)]

    def tried(self, ids: Collection[str]) -> None:
        """Count one more try of each."""
        with self._workshop.database.write() as session:
            session.execute(
                update(OutboxMessage)
                .where(OutboxMessage.id.in_(ids))
                .values(tries=OutboxMessage.tries + 1)
            )

    def acked(self, ids: Collection[str], now: datetime) -> None:
        """Take note that the broker has them; a second time changes nothing."""
        with self._workshop.database.write() as session:
            fresh = session.scalars(
                select(OutboxMessage).where(
                    OutboxMessage.id.in_(ids), OutboxMessage.acked_at.is_(None)
                )
            ).all()
            for message in fresh:
                message.acked_at = now
            session.flush()
            for job_id in {message.job_id for message in fresh if message.job_id}:
                _announce(session, job_id, now)
        self._workshop.live.touch()

    def waiting(self) -> int:
        """Return how many events the broker has not taken."""
        with self._workshop.database.read() as session:
            return session.scalar(select(func.count()).where(_is_due(session))) or 0

    def of_job(self, job_id: str) -> list[Pending]:
        """Return all events about one job, oldest first, sent or not."""
        query = (
            select(OutboxMessage).where(OutboxMessage.job_id == job_id).order_by(OutboxMessage.seq)
        )
        with self._workshop.database.read() as session:
            return [_pending(message) for message in session.scalars(query)]


def _is_due(session: Session) -> ColumnElement[bool]:
    row = session.get(Setting, FROM_SEQ)
    return and_(
        OutboxMessage.acked_at.is_(None), OutboxMessage.seq > (0 if row is None else int(row.value))
    )


def _pending(message: OutboxMessage) -> Pending:
    return Pending(message.seq, message.id, EventType(message.kind), message.body)


def _announce(session: Session, job_id: str, now: datetime) -> None:
    """The last step of a job that is over is done when the world has heard all of it."""
    job = session.get(Job, job_id)
    if job is None:
        return
    is_over = job.state in (JobState.DONE, JobState.FAILED, JobState.CANCELLED)
    if not is_over and job.hold_reason != HoldReason.INTERRUPTED:
        return
    waiting = select(func.count()).where(
        OutboxMessage.job_id == job_id, OutboxMessage.acked_at.is_(None)
    )
    if session.scalar(waiting) == 0:
        set_step(session, job_id, StepName.ANNOUNCE, StepState.DONE, now)
