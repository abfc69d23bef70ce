"""A machine's history: everything that happened to it, in one row of time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from jobs.domain.calendar import AllocationKind
from jobs.domain.errors import NotAllowedError
from jobs.domain.people import Actor, Role
from jobs.services.asked import machine_of
from jobs.services.faults import faults_in
from jobs.services.workshop import Workshop
from jobs.store.tables import Allocation, Attempt, MachineEvent, Person
from jobs.store.upkeep import Clearing, ServiceCounter, ServiceDone

_MOST: Final = 200
_OUT: Final = (AllocationKind.OUTAGE.value, AllocationKind.CLOSURE.value)
_TOLD_APART: Final = ("fault", "mended", "serviced", "cleared")  # with more in their own tables


@dataclass(frozen=True, slots=True)
class Past:
    """One thing that happened; the page has a sentence for each kind (`past.<kind>`)."""

    at: datetime
    kind: str
    person_name: str = ""
    text: str = ""
    detail: Mapping[str, str] = field(default_factory=dict)


class History:
    """What a machine has been through."""

    def __init__(self, workshop: Workshop) -> None:
        self._database = workshop.database

    def of(self, actor: Actor, slug: str) -> Sequence[Past]:
        """Return the newest of a machine's past, newest first; runs name no person and no file."""
        if not actor.is_at_least(Role.MEMBER):
            raise NotAllowedError("person.not-allowed", needed=Role.MEMBER.value)
        with self._database.read() as session:
            machine_id = machine_of(session, slug).id
            found = [
                *_faults(session, slug),
                *_service(session, machine_id),
                *_cleared(session, machine_id),
                *_outages(session, machine_id),
                *_runs(session, machine_id),
                *_events(session, machine_id),
            ]
        return list(islice(sorted(found, key=lambda one: one.at, reverse=True), _MOST))


def _faults(session: Session, slug: str) -> Iterator[Past]:
    for one in faults_in(session, slug, mended=True):
        yield Past(one.at, "fault", one.person_name, one.text, {"severity": one.severity.value})
        if one.mended_at is not None:
            yield Past(one.mended_at, "mended", one.mended_by, one.resolution)


def _service(session: Session, machine_id: str) -> Iterator[Past]:
    query = (
        select(ServiceDone, ServiceCounter.name, Person.name)
        .join(ServiceCounter, ServiceCounter.id == ServiceDone.counter_id)
        .join(Person, Person.id == ServiceDone.person_id)
        .where(ServiceCounter.machine_id == machine_id)
        .order_by(ServiceDone.at.desc())
        .limit(_MOST)
    )
    for row, name, person in session.execute(query):
        yield Past(row.at, "serviced", person, f"{name} · {row.note}" if row.note else name)


def _cleared(session: Session, machine_id: str) -> Iterator[Past]:
    query = (
        select(Clearing, Person.name)
        .join(Person, Person.id == Clearing.person_id)
        .where(Clearing.machine_id == machine_id)
        .order_by(Clearing.at.desc())
        .limit(_MOST)
    )
    for row, person in session.execute(query):
        yield Past(row.at, f"cleared-{row.outcome}", person, row.note, {"cause": row.cause})


def _outages(session: Session, machine_id: str) -> Iterator[Past]:
    query = (
        select(Allocation, Person.name)
        .outerjoin(Person, Person.id == Allocation.person_id)
        .where(Allocation.machine_id == machine_id, Allocation.kind.in_(_OUT))
        .order_by(Allocation.start_at.desc())
        .limit(_MOST)
    )
    for row, person in session.execute(query):
        yield Past(row.start_at, row.kind, person or "", row.note)


def _runs(session: Session, machine_id: str) -> Iterator[Past]:
    query = (
        select(Attempt.ended_at, Attempt.state)
        .where(Attempt.machine_id == machine_id, Attempt.ended_at.is_not(None))
        .order_by(Attempt.ended_at.desc())
        .limit(_MOST)
    )
    for ended_at, state in session.execute(query):
        assert ended_at is not None
        yield Past(ended_at, f"run-{state}")


def _events(session: Session, machine_id: str) -> Iterator[Past]:
    query = (
        select(MachineEvent, Person.name)
        .outerjoin(Person, Person.id == MachineEvent.person_id)
        .where(MachineEvent.machine_id == machine_id, MachineEvent.kind.not_in(_TOLD_APART))
        .order_by(MachineEvent.at.desc())
        .limit(_MOST)
    )
    for row, person in session.execute(query):
        yield Past(row.at, row.kind, person or "")
