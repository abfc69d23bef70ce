"""What almost every use case asks first: which machine is meant, and whether the asker may."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from jobs.domain.errors import NotAllowedError, NotFoundError
from jobs.domain.people import Actor, Role
from jobs.store.tables import Machine


def machine_of(session: Session, slug: str) -> Machine:
    """Return a machine, retired or not.

    :raises NotFoundError: `machine.unknown`.
    """
    machine = session.scalar(select(Machine).where(Machine.slug == slug))
    if machine is None:
        raise NotFoundError("machine.unknown", machine=slug)
    return machine


def must_be(actor: Actor, needed: Role) -> None:
    """Refuse who holds less.

    :raises NotAllowedError: `person.not-allowed`, naming the role that is needed.
    """
    if not actor.is_at_least(needed):
        raise NotAllowedError("person.not-allowed", needed=needed.value)
