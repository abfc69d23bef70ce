"""The lab as a whole: whom it is for, what it decided about itself, how it stands now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from jobs.domain.errors import InvalidError, NotAllowedError
from jobs.domain.job import JobState
from jobs.domain.people import Actor, LabMode, Role
from jobs.services.workshop import Workshop
from jobs.store.tables import Attempt, Job, Machine, OutboxMessage, Person, Setting

_MODE = "lab.mode"


@dataclass(frozen=True, slots=True)
class LabOverview:
    """The lab in a few numbers, for the first page and the health page."""

    site: str
    zone: str  # IANA name
    mode: LabMode
    people: int
    machines: int
    running: int  # attempts that are open
    waiting: int  # jobs
    held: int  # jobs
    outbox_waiting: int  # messages that no broker has acknowledged


def mode_of(session: Session) -> LabMode:
    """Return the answer to the first run's question, inside a transaction."""
    row = session.get(Setting, _MODE)
    return LabMode.UNSET if row is None else LabMode(row.value)


class Lab:
    """Use cases about the lab itself."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._database = workshop.database

    def mode(self) -> LabMode:
        """Return for whom this node works; `UNSET` until somebody answered."""
        with self._database.read() as session:
            return mode_of(session)

    def set_mode(self, actor: Actor, mode: LabMode, now: datetime) -> None:
        """Answer the first run's question, or answer it anew; bookings stay as they are."""
        if mode is LabMode.UNSET:
            raise InvalidError("lab.mode", field="mode")
        self.set(actor, _MODE, mode.value, now)

    def get(self, key: str, default: str = "") -> str:
        """Return a setting."""
        with self._database.read() as session:
            row = session.get(Setting, key)
            return default if row is None else row.value

    def set(self, actor: Actor, key: str, value: str, now: datetime) -> None:
        """Keep a setting; only an admin decides for the lab."""
        del now
        if not actor.is_at_least(Role.ADMIN):
            raise NotAllowedError("person.not-allowed", needed=Role.ADMIN.value)
        with self._database.write() as session:
            session.merge(Setting(key=key, value=value))
        self._workshop.live.touch()

    def overview(self, now: datetime) -> LabOverview:
        """Return how the lab stands."""
        del now

        with self._database.read() as session:

            def count(table: type, *where: object) -> int:
                query = select(func.count()).select_from(table)
                return session.scalar(query.where(*where)) or 0  # type: ignore[arg-type]

            return LabOverview(
                site=self._workshop.site,
                zone=self._workshop.zone.key,
                mode=mode_of(session),
                people=count(Person, Person.disabled_at.is_(None)),
                machines=count(Machine, Machine.retired_at.is_(None)),
                running=count(Attempt, Attempt.ended_at.is_(None)),
                waiting=count(Job, Job.state == JobState.WAITING.value),
                held=count(Job, Job.state == JobState.HELD.value),
                outbox_waiting=count(OutboxMessage, OutboxMessage.acked_at.is_(None)),
            )
