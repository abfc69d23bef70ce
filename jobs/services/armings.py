"""A named person's word that a machine is clear: good for one start, for half an hour."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.orm import Session

from jobs.store.tables import Arming, Machine


def is_valid(now: datetime) -> ColumnElement[bool]:
    """Return the condition of a word that still holds, where its machine is joined."""
    return and_(
        # Whoever asked for a look after the word was given outweighs it.
        or_(Machine.to_check_since.is_(None), Machine.to_check_since < Arming.at),
        Arming.attempt_id.is_(None),
        Arming.withdrawn_at.is_(None),
        Arming.expires_at > now,
    )


def valid_arming(session: Session, machine_id: str, now: datetime) -> Arming | None:
    """Return the word of a person that still allows one start."""
    query = (
        select(Arming)
        .join(Machine, Machine.id == Arming.machine_id)
        .where(Arming.machine_id == machine_id, is_valid(now))
        .order_by(Arming.at.desc())
        .limit(1)
    )
    return session.scalars(query).first()


def armed_machines(session: Session, now: datetime) -> frozenset[str]:
    """Return the ids of machines for which somebody's word holds."""
    query = select(Arming.machine_id).join(Machine, Machine.id == Arming.machine_id)
    return frozenset(session.scalars(query.where(is_valid(now))))


def withdraw_armings(session: Session, slug: str | None, now: datetime | None) -> None:
    """Make every unused word void, of one machine or of all.

    :param now: None where no clock is at hand: then void from when it was given.
    """
    query = select(Arming).where(Arming.attempt_id.is_(None), Arming.withdrawn_at.is_(None))
    if slug is not None:
        query = query.join(Machine, Machine.id == Arming.machine_id).where(Machine.slug == slug)
    for arming in session.scalars(query):
        arming.withdrawn_at = now or arming.at
