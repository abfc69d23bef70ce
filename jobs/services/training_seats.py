"""Seats of a training: never more than there are, and a freed one goes to who waits longest.

Everything here runs inside the caller's transaction, after `take_turn` for the training.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from jobs.domain.events import rfc3339
from jobs.domain.learning import SeatState
from jobs.services import claims
from jobs.services.lab_sharing import sharing_rules
from jobs.services.notices import tell
from jobs.services.workshop import Workshop
from jobs.store.house import Training, TrainingSeat


def is_kept() -> ColumnElement[bool]:
    """Return the condition of a seat that is nobody else's: taken, or held for a while."""
    return TrainingSeat.state != SeatState.WAITING.value


def kept(session: Session, training_id: str) -> int:
    """Return how many seats of a training are nobody else's."""
    query = select(func.count()).select_from(TrainingSeat)
    return session.scalar(query.where(TrainingSeat.training_id == training_id, is_kept())) or 0


def taken(session: Session, training_id: str) -> int:
    """Return how many people have a seat, by their own word."""
    query = select(func.count()).select_from(TrainingSeat)
    own = TrainingSeat.state == SeatState.TAKEN.value
    return session.scalar(query.where(TrainingSeat.training_id == training_id, own)) or 0


def line(session: Session, training_id: str) -> Sequence[TrainingSeat]:
    """Return who waits for a seat, longest first."""
    return session.scalars(
        select(TrainingSeat)
        .where(
            TrainingSeat.training_id == training_id, TrainingSeat.state == SeatState.WAITING.value
        )
        .order_by(TrainingSeat.taken_at, TrainingSeat.person_id)
    ).all()


def serve(session: Session, workshop: Workshop, row: Training, now: datetime) -> int:
    """Hold free seats for those at the head of the line; return for how many.

    Nothing is held of a training that has begun, or was called off.
    """
    session.flush()
    if row.cancelled_at is not None or row.start_at <= now:
        return 0
    free = row.seats - kept(session, row.id)
    served = 0
    for seat in line(session, row.id) if free > 0 else ():
        if served == free:
            break
        if claims.actor_of(session, seat.person_id) is None:
            session.delete(seat)  # who is locked out holds up nobody
            continue
        until = min(now + timedelta(minutes=sharing_rules(session).wait_hold_min), row.start_at)
        seat.state, seat.held_at, seat.held_until = SeatState.HELD.value, now, until
        fields = {**fields_of(row), "until": rfc3339(until)}
        tell(session, workshop, seat.person_id, "wait-seat-held", fields, now, about(row))
        served += 1
    session.flush()
    return served


def take(seat: TrainingSeat, now: datetime) -> None:
    """Make a seat somebody's own."""
    seat.state, seat.taken_at = SeatState.TAKEN.value, now
    seat.held_at = seat.held_until = None


def fields_of(row: Training) -> dict[str, str]:
    """Return the fields of a sentence about a training: `title`, `start`."""
    return {"title": row.title, "start": rfc3339(row.start_at)}


def about(row: Training) -> str:
    """Return what a notice about a training is about."""
    return f"training:{row.id}"
