"""Who looked at what of another person's: written down, and shown to that person and to admins."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session, aliased

from jobs.domain.people import Actor, Role
from jobs.services.authority import must_hold
from jobs.services.workshop import Workshop
from jobs.store.persons import Look
from jobs.store.tables import Person

_AGAIN: Final = timedelta(hours=1)  # a look within it is the same look
_MOST_AT_ONCE: Final = 500  # people on one page
_SHOWN: Final = 200


@dataclass(frozen=True, slots=True)
class LookView:
    """One look; the sentence of *what* is `look.<what>`."""

    at: datetime
    viewer: str
    person: str
    what: str


class Looks:
    """Use cases about looks."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._database = workshop.database

    def note(self, viewer: Actor, people: Collection[str], what: str, now: datetime) -> None:
        """Write down that *viewer* looked at what is these people's; one's own is no look."""
        others = sorted({one for one in people if one and one != viewer.person_id})
        if not others or not viewer.person_id:
            return
        others = others[:_MOST_AT_ONCE]
        with self._database.read() as session:
            if not self._new(session, viewer, others, what, now):
                return
        with self._database.write() as session:
            session.add_all(
                Look(
                    id=self._workshop.new_id(),
                    at=now,
                    viewer_id=viewer.person_id,
                    person_id=one,
                    what=what,
                )
                for one in self._new(session, viewer, others, what, now)
            )

    def at_mine(self, actor: Actor) -> Sequence[LookView]:
        """Return who looked at what is one's own, newest first."""
        with self._database.read() as session:
            return _views(session, actor.person_id)

    def all(self, actor: Actor) -> Sequence[LookView]:
        """Return every look, newest first; for admins."""
        with self._database.read() as session:
            must_hold(session, actor, Role.ADMIN)
            return _views(session, None)

    @staticmethod
    def _new(
        session: Session, viewer: Actor, others: Collection[str], what: str, now: datetime
    ) -> list[str]:
        known = set(
            session.scalars(
                select(Look.person_id).where(
                    Look.person_id.in_(others),
                    Look.viewer_id == viewer.person_id,
                    Look.what == what,
                    Look.at > now - _AGAIN,
                )
            )
        )
        return [one for one in others if one not in known]


def _views(session: Session, person_id: str | None) -> list[LookView]:
    viewer = aliased(Person)
    query = (
        select(Look.at, viewer.name, Person.name, Look.what)
        .join(viewer, viewer.id == Look.viewer_id)
        .join(Person, Person.id == Look.person_id)
        .order_by(Look.at.desc(), Look.id.desc())
        .limit(_SHOWN)
    )
    if person_id is not None:
        query = query.where(Look.person_id == person_id)
    return [LookView(at, by, of, what) for at, by, of, what in session.execute(query)]
