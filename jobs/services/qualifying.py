"""What the rules ask of qualifications and trainings, inside a transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from jobs.domain.rules import FOR_EVER, TrainingOffer
from jobs.store.house import Qualification, Training, TrainingSeat
from jobs.store.tables import Machine

_MOST = 20  # trainings that are looked at


def qualified_until(
    session: Session, person_id: str, machine: Machine, now: datetime
) -> datetime | None:
    """Return until when a person is qualified for a machine; None if they are not now.

    A qualification for its kind holds for it, one for another machine of the kind does not.
    """
    found = session.scalars(
        select(Qualification.expires_at).where(
            Qualification.person_id == person_id,
            is_for(Qualification.machine_id, Qualification.kind, machine),
            holds(now),
        )
    ).all()
    return max((one or FOR_EVER for one in found), default=None)


def holds(now: datetime) -> ColumnElement[bool]:
    """Return the condition of a qualification that is good."""
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
    taken = (
        select(func.count())
        .select_from(TrainingSeat)
        .where(TrainingSeat.training_id == Training.id)
        .scalar_subquery()
    )
    own = (
        select(func.count())
        .select_from(TrainingSeat)
        .where(TrainingSeat.training_id == Training.id, TrainingSeat.person_id == person_id)
        .scalar_subquery()
    )
    rows = session.execute(
        select(Training.id, Training.title, Training.start_at, Training.seats - taken + own)
        .where(
            is_for(Training.machine_id, Training.kind, machine),
            Training.cancelled_at.is_(None),
            Training.start_at > now,
            or_(taken < Training.seats, own > 0),
        )
        .order_by(Training.start_at)
        .limit(_MOST)
    )
    return [TrainingOffer(key, title, start, free) for key, title, start, free in rows]
