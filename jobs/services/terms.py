"""Each machine's terms: what may run on it with nobody there. Kept with a name and a time."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from jobs.domain.errors import InvalidError, NotAllowedError
from jobs.domain.people import Actor, Role
from jobs.domain.rules.opening import open_stretches
from jobs.domain.rules.times import local_date
from jobs.domain.rules.values import Values
from jobs.domain.unattended import ATTENDED, FREE, Terms, Unattended
from jobs.kinds.kinds import KINDS, Start
from jobs.services.asked import machine_of
from jobs.services.house_rules import values_of
from jobs.services.workshop import Workshop
from jobs.store.tables import Machine, Person
from jobs.store.waiting import MachineTerms

_LONGEST_MIN: Final = 7 * 24 * 60
_MOST_MATERIALS: Final = 20
_AHEAD: Final = timedelta(days=15)

Stretches = tuple[tuple[float, float], ...]


def terms_of(session: Session, machine_ids: Collection[str]) -> Mapping[str, Terms]:
    """Return the terms by machine; as by default for its kind where nobody agreed on any."""
    rows = session.scalars(select(MachineTerms).where(MachineTerms.machine_id.in_(machine_ids)))
    kinds = session.execute(select(Machine.id, Machine.kind).where(Machine.id.in_(machine_ids)))
    return {machine_id: _default(kind) for machine_id, kind in kinds} | {
        row.machine_id: Terms(
            Unattended(row.unattended),
            None if row.longest_min is None else 60.0 * row.longest_min,
            tuple(str(one) for one in row.materials),
            row.must_fit,
        )
        for row in rows
    }


def _default(kind: str) -> Terms:
    """What cuts is started by somebody who stays with it, until a lab says otherwise."""
    known = KINDS.get(kind)  # what has no controller may be of any kind
    return FREE if known is not None and known.start is Start.DISPATCH else ATTENDED


def attended(values: Values, workshop: Workshop, now: datetime) -> Stretches | None:
    """Return when somebody is there [s since 1970]; None where the lab gave no opening hours."""
    if values.opening is None:
        return None
    first = local_date(now, workshop.zone) - timedelta(days=1)
    last = local_date(now + _AHEAD, workshop.zone)
    found = open_stretches(values.hours, first, last, workshop.zone)
    return tuple((one.start.timestamp(), one.end.timestamp()) for one in found)


class TermsOf:
    """Use cases of whoever decides what may run alone."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop

    def get(self, slug: str) -> Terms:
        """Return a machine's terms."""
        with self._workshop.database.read() as session:
            machine = machine_of(session, slug)
            return terms_of(session, [machine.id])[machine.id]

    def said(self, slug: str) -> tuple[str, datetime] | None:
        """Return who agreed on them and when; None where they are as by default."""
        with self._workshop.database.read() as session:
            row = session.get(MachineTerms, machine_of(session, slug).id)
            return (session.get_one(Person, row.person_id).name, row.at) if row else None

    def has_hours(self, slug: str) -> bool:
        """Tell whether the lab said when somebody is there: without that nothing ever closes."""
        with self._workshop.database.read() as session:
            return values_of(session, machine_of(session, slug)).opening is not None

    def agree(self, actor: Actor, slug: str, terms: Terms, now: datetime) -> None:
        """Keep what may run alone on a machine; what runs already is not touched by it."""
        if not actor.is_at_least(Role.OPERATOR):
            raise NotAllowedError("person.not-allowed", needed=Role.OPERATOR.value)
        if terms.longest is not None and not 60.0 <= terms.longest <= 60.0 * _LONGEST_MIN:
            raise InvalidError("terms.longest", field="longest_min", most_min=_LONGEST_MIN)
        materials = [" ".join(one.split())[:40] for one in terms.materials if one.strip()]
        if len(materials) > _MOST_MATERIALS:
            raise InvalidError("terms.materials", field="materials", most=_MOST_MATERIALS)
        with self._workshop.database.write() as session:
            session.merge(
                MachineTerms(
                    machine_id=machine_of(session, slug).id,
                    unattended=terms.unattended.value,
                    longest_min=None if terms.longest is None else round(terms.longest / 60),
                    materials=materials,
                    must_fit=terms.must_fit,
                    person_id=actor.person_id,
                    at=now,
                )
            )
        self._workshop.live.touch()
