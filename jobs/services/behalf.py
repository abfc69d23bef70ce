"""Acting for somebody: staff book, queue and clear for who has no phone; both are named.

The wish is the person's: their terms and rules are asked, and what is made is theirs. Nothing that
moves, heats or starts a machine is ever done on somebody's behalf: for that one is there oneself.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from jobs.domain.errors import InvalidError, NotAllowedError
from jobs.domain.people import Actor, Role
from jobs.services.authority import must_hold, person_of
from jobs.services.notices import tell
from jobs.services.workshop import Workshop
from jobs.store.persons import OnBehalf
from jobs.store.tables import Person

_MOST: Final = 100  # of one person, newest first


@dataclass(frozen=True, slots=True)
class DoneFor:
    """Something that staff did for a person."""

    at: datetime
    what: str  # booked, queued, cleared, cancelled, moved …
    about: str
    by: str


class Behalf:
    """Use cases of staff who act for somebody, and of whoever wants to know what was done."""

    def __init__(self, workshop: Workshop) -> None:
        self._database = workshop.database

    def actor_for(self, actor: Actor, person_id: str) -> Actor:
        """Return the person as who acts, with who does it for them.

        :raises NotAllowedError: to all but operators, and to those for whoever holds more.
        """
        if person_id == actor.person_id:
            return actor
        with self._database.read() as session:
            must_hold(session, actor, Role.OPERATOR)
            person = person_of(session, person_id)
            must_hold(session, actor, Role(person.role))
            if person.disabled_at is not None:
                raise InvalidError("person.locked-out", field="for")
            return Actor(
                person.id,
                person.name,
                Role(person.role),
                person.simulated,
                by=actor,
            )

    def of_person(self, actor: Actor, person_id: str) -> Sequence[DoneFor]:
        """Return what was done for a person, newest first; for themselves and operators."""
        if actor.person_id != person_id and not actor.is_at_least(Role.OPERATOR):
            raise NotAllowedError("person.not-allowed", needed=Role.OPERATOR.value)
        query = _rows().where(OnBehalf.person_id == person_id).order_by(OnBehalf.at.desc())
        with self._database.read() as session:
            return [_view(row, name) for row, name in session.execute(query.limit(_MOST))]

    def about(self, abouts: Collection[str]) -> Mapping[str, Sequence[DoneFor]]:
        """Return what was done on somebody's behalf about each of these things, oldest first."""
        query = _rows().where(OnBehalf.about.in_(abouts)).order_by(OnBehalf.at, OnBehalf.id)
        found: dict[str, list[DoneFor]] = {}
        with self._database.read() as session:
            for row, name in session.execute(query.limit(_MOST)):
                found.setdefault(row.about, []).append(_view(row, name))
        return found


def note(
    session: Session,
    workshop: Workshop,
    actor: Actor,
    what: str,
    about: str,
    now: datetime,
    owner_id: str | None = None,
) -> None:
    """Write down that somebody did this for another, if somebody did; that one is told.

    :param owner_id: whose thing it is, where *actor* acts in their own name on another's.
    """
    if actor.by is not None:
        doer, name, person_id = actor.by.person_id, actor.by.name, actor.person_id
    elif owner_id is not None and owner_id != actor.person_id and actor.person_id:
        doer, name, person_id = actor.person_id, actor.name, owner_id
    else:
        return
    session.add(
        OnBehalf(
            id=workshop.new_id(),
            at=now,
            actor_id=doer,
            person_id=person_id,
            what=what,
            about=about,
        )
    )
    session.flush()
    if actor.by is not None:
        tell(session, workshop, person_id, f"behalf-{what}", {"by": name}, now, about)


def helpers(session: Session, job_id: str) -> Sequence[tuple[str, int]]:
    """Return who did something for the owner of a job, and how often: for its record."""
    rows = session.execute(
        select(OnBehalf.actor_id, func.count())
        .where(OnBehalf.about == f"job:{job_id}")
        .group_by(OnBehalf.actor_id)
        .order_by(OnBehalf.actor_id)
    )
    return [(actor_id, count) for actor_id, count in rows]


def _rows() -> Select[OnBehalf, str]:
    return select(OnBehalf, Person.name).join(Person, Person.id == OnBehalf.actor_id)


def _view(row: OnBehalf, name: str) -> DoneFor:
    return DoneFor(row.at, row.what, row.about, name)
