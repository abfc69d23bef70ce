"""Would it pass? The rules asked without booking anything, and how a person stands at a machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from jobs.domain.errors import NotFoundError
from jobs.domain.people import Actor
from jobs.domain.policy import Refusal
from jobs.domain.rules import FOR_EVER, TrainingOffer
from jobs.services.asked import machine_of
from jobs.services.closing_checks import checked_interval
from jobs.services.house_rules import Asker, refusals, values_of
from jobs.services.qualifying import free_trainings, qualified_until
from jobs.services.starting import preflight_for, standing_of
from jobs.services.starting import refusals as start_refusals
from jobs.services.workshop import Workshop
from jobs.store.tables import Job


@dataclass(frozen=True, slots=True)
class Learned:
    """Whether a machine asks for a qualification, and whether a person has it.

    :param until: None: not qualified; without an end it is `FOR_EVER`.
    """

    needed: bool
    until: datetime | None
    trainings: Sequence[TrainingOffer]

    @property
    def for_good(self) -> bool:
        """Return whether it does not expire."""
        return self.until == FOR_EVER


class Wondering:
    """Use cases of somebody who wants to know before they ask."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._database = workshop.database

    def booking(
        self, actor: Actor, slug: str, start: datetime, end: datetime, now: datetime
    ) -> Sequence[Refusal]:
        """Return every reason that booking would be refused for. None: it would pass now."""
        interval = checked_interval(start, end)
        asker = Asker(actor.person_id, actor.role)
        with self._database.read() as session:
            machine = machine_of(session, slug)
            return refusals(session, self._workshop, asker, machine, interval, now)

    def start(self, job_id: str, slug: str, now: datetime) -> Sequence[Refusal]:
        """Return every reason why the dispatcher would not start a job on a machine now."""
        with self._database.read() as session:
            job = session.get(Job, job_id)
            if job is None:
                raise NotFoundError("job.unknown")
            machine = machine_of(session, slug)
            standing = standing_of(session, self._workshop, machine, now)
            preflight = preflight_for(session, job.id, machine.id)
            return start_refusals(session, job, standing, preflight, now, started_by_person=False)

    def learned(self, actor: Actor, slug: str, now: datetime) -> Learned:
        """Return how a person stands with a machine's qualification."""
        with self._database.read() as session:
            machine = machine_of(session, slug)
            if not values_of(session, machine).qualification_needed:
                return Learned(needed=False, until=None, trainings=())
            until = qualified_until(session, actor.person_id, machine, now)
            offers = free_trainings(session, actor.person_id, machine, now) if not until else ()
            return Learned(needed=True, until=until, trainings=offers[:3])
