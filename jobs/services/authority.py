"""Who may change whom: nobody gives, keeps or takes more than they hold at that moment.

Asked inside the transaction that changes something, after `take_turn`: what a sign-in said of a
role a moment ago counts for nothing if it was taken away meanwhile.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import ColumnElement, and_, func, select
from sqlalchemy.orm import Session

from jobs.domain.errors import InvalidError, NotAllowedError, NotFoundError
from jobs.domain.people import Actor, Role, is_at_least
from jobs.services.turns import take_turn
from jobs.store.tables import Person

TURN: Final = "person"


def held(session: Session, person_id: str) -> Role | None:
    """Return the role that a person holds now; None for nobody and for who is locked out."""
    person = session.get(Person, person_id, populate_existing=True)
    return None if person is None or person.disabled_at is not None else Role(person.role)


def must_hold(session: Session, actor: Actor, needed: Role) -> Role:
    """Return what *actor* holds now.

    :raises NotAllowedError: `person.not-allowed` if that, or what they act with, is less.
    """
    # The console of the node's own computer has no account behind it.
    now_held = held(session, actor.person_id) if actor.person_id else actor.role
    if now_held is None or not is_at_least(now_held, needed) or not actor.is_at_least(needed):
        raise NotAllowedError("person.not-allowed", needed=needed.value)
    return now_held


def may_give(session: Session, actor: Actor, role: Role) -> None:
    """Refuse a role that *actor* does not hold.

    :raises NotAllowedError: `person.not-allowed`, `person.gives-too-much`.
    """
    own = must_hold(session, actor, Role.OPERATOR)
    if not is_at_least(own, role) or not actor.is_at_least(role):
        raise NotAllowedError("person.gives-too-much", role=role.value)


def changeable(session: Session, actor: Actor, person_id: str) -> Person:
    """Return a person whom *actor* may change, their turn taken: one is changed at a time.

    :raises NotAllowedError: to all but operators, and to those for whoever holds more.
    """
    take_turn(session, TURN)
    must_hold(session, actor, Role.OPERATOR)
    person = person_of(session, person_id)
    must_hold(session, actor, Role(person.role))
    return person


def person_of(session: Session, person_id: str) -> Person:
    """Return a person.

    :raises NotFoundError: `person.unknown`.
    """
    person = session.get(Person, person_id)
    if person is None:
        raise NotFoundError("person.unknown")
    return person


def is_admin() -> ColumnElement[bool]:
    """Return the condition of a person who can administer this node."""
    return and_(Person.role == Role.ADMIN.value, Person.disabled_at.is_(None))


def admins(session: Session) -> int:
    """Return how many can."""
    return session.scalar(select(func.count()).select_from(Person).where(is_admin())) or 0


def keep_an_admin(session: Session, person: Person) -> None:
    """Refuse to lose the last one.

    :raises InvalidError: `person.last-admin`.
    """
    counts = person.role == Role.ADMIN.value and person.disabled_at is None
    if counts and admins(session) == 1:
        raise InvalidError("person.last-admin")
