"""What the rules ask of qualifications and trainings, inside a transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, and_, exists, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from jobs.domain.learning import SeatState
from jobs.domain.rules import FOR_EVER, TrainingOffer
from jobs.services.clock import is_trusted
from jobs.store.house import Qualification, Training, TrainingGrant, TrainingSeat
from jobs.store.tables import Machine

_MOST = 20  # trainings that are looked at


def qualified_until(
    session: Session, person_id: str, machine: Machine, now: datetime
) -> datetime | None:
    """Return until when a person is qualified for a machine; None if they are not now.

    A qualification for its kind holds for it, one for another machine of the kind does not. By a
    clock that nobody vouches for none has ended.
    """
    trusted = is_trusted(session, now)
    found = session.scalars(
        select(Qualification.expires_at).where(
            Qualification.person_id == person_id,
            is_for(Qualification.machine_id, Qualification.kind, machine),
            holds(now) if trusted else Qualification.withdrawn_at.is_(None),
        )
    ).all()
    until = max((one or FOR_EVER for one in found), default=None)
    return FOR_EVER if until is not None and until <= now else until


def holds(now: datetime) -> ColumnElement[bool]:
    """Return the condition of a qualification that is good.

    Of those that end by disuse the sweep has written so (`learning`).
    """
    return and_(
        Qualification.withdrawn_at.is_(None),
        or_(Qualification.expires_at.is_(None), Qualification.expires_at > now),
    )


def is_for(
    machine_id: InstrumentedAttribute[str | None],
    kind: InstrumentedAttribute[str | None],
    machine: Machine,
) -> ColumnElement[bool]:
    """Return the condition of what is for a machine, or for all of its kind."""
    return or_(machine_id == machine.id, kind == machine.kind)


def free_trainings(
    session: Session, person_id: str | None, machine: Machine, now: datetime
) -> Sequence[TrainingOffer]:
    """Return the next trainings for a machine with seats that nobody has, or that are theirs."""
    kept = and_(
        TrainingSeat.training_id == Training.id, TrainingSeat.state != SeatState.WAITING.value
    )
    taken = select(func.count()).select_from(TrainingSeat).where(kept).scalar_subquery()
    own = (
        select(func.count())
        .select_from(TrainingSeat)
        .where(kept, TrainingSeat.person_id == person_id)
        .scalar_subquery()
    )
    rows = session.execute(
        select(Training.id, Training.title, Training.start_at, Training.seats - taken + own)
        .where(
            exists().where(
                TrainingGrant.training_id == Training.id,
                is_for(TrainingGrant.machine_id, TrainingGrant.kind, machine),
            ),
            Training.cancelled_at.is_(None),
            Training.start_at > now,
            or_(taken < Training.seats, own > 0),
        )
        .order_by(Training.start_at)
        .limit(_MOST)
    )
    return [TrainingOffer(key, title, start, free) for key, title, start, free in rows]
