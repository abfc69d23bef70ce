"""Service by use: work that a machine needs after hours, metres of filament or of travel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import ColumnElement, func, literal, select
from sqlalchemy.orm import Session

from jobs.domain.care import needed_text, one_line
from jobs.domain.errors import InvalidError, NotFoundError
from jobs.domain.people import Actor, Role
from jobs.services.asked import machine_of, must_be
from jobs.services.clearing import staff_of
from jobs.services.clock import is_trusted
from jobs.services.logbook import Happening, write
from jobs.services.notices import tell
from jobs.services.workshop import Workshop
from jobs.store.tables import Attempt, Machine, Person, Preflight
from jobs.store.upkeep import ServiceCounter, ServiceDone

_HOUR_S: Final = 3600
_METRE_MM: Final = 1000
_WAYS: Final = ("travel_mm", "print_mm", "cut_mm")  # of a report: without making, and with
_MOST_HOURS: Final = 100_000
_MOST_METRES: Final = 1_000_000
_MOST_TRAVEL: Final = 100_000_000
_KINDS: Final = 3  # of amounts, of which a counter has one
_MOST_COUNTERS: Final = 30  # of one machine


@dataclass(frozen=True, slots=True)
class CounterView:
    """How far a counter has come since the work was last done.

    Metres (`_m`) are of filament, metres of travel (`_travel_m`) those that the axes went.

    :param share: of what it waits for; from 1 on the work is due.
    """

    id: str
    machine_slug: str
    machine_name: str
    name: str
    every_h: float | None
    every_m: float | None
    every_travel_m: float | None
    used_h: float
    used_m: float
    used_travel_m: float
    share: float
    since_at: datetime
    done_by: str  # who did it last; "" before the first time

    @property
    def is_due(self) -> bool:
        """Return whether the work should be done."""
        return self.share >= 1.0


class Servicing:
    """Use cases about service counters."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._database = workshop.database

    def list(self, actor: Actor, slug: str | None = None) -> Sequence[CounterView]:
        """Return the counters of a machine or of all, what is most due first."""
        must_be(actor, Role.MEMBER)
        with self._database.read() as session:
            return _counters(session, slug)

    def add(
        self,
        actor: Actor,
        slug: str,
        name: str,
        now: datetime,
        *,
        every_h: float | None = None,
        every_m: float | None = None,
        every_travel_m: float | None = None,
    ) -> str:
        """Begin to count for some work, from now on; return the counter's id.

        :raises InvalidError: `service.every` without one sensible amount.
        """
        must_be(actor, Role.OPERATOR)
        name = one_line(needed_text(name, 80, "name"), 80, "name")
        hours, metres = _amount(every_h, _MOST_HOURS), _amount(every_m, _MOST_METRES)
        travel = _amount(every_travel_m, _MOST_TRAVEL)
        if [hours, metres, travel].count(None) != _KINDS - 1:
            raise InvalidError("service.every", field="every")
        with self._database.write() as session:
            machine = machine_of(session, slug)
            known = select(func.count()).where(
                ServiceCounter.machine_id == machine.id, ServiceCounter.retired_at.is_(None)
            )
            if (session.scalar(known) or 0) >= _MOST_COUNTERS:
                raise InvalidError("care.too-many", field="name", count=_MOST_COUNTERS)
            row = ServiceCounter(
                id=self._workshop.new_id(),
                machine_id=machine.id,
                name=name,
                every_s=None if hours is None else round(hours * _HOUR_S),
                every_mm=None if metres is None else round(metres * _METRE_MM),
                every_travel_mm=None if travel is None else round(travel * _METRE_MM),
                since_at=now,
            )
            session.add(row)
        return row.id

    def done(self, actor: Actor, counter_id: str, note: str, now: datetime) -> None:
        """Take an operator's word that the work was done; the counter begins anew."""
        must_be(actor, Role.OPERATOR)
        note = one_line(note, 200, "note")
        with self._database.write() as session:
            row = _counter(session, counter_id)
            used = _used(session, row)
            session.add(
                ServiceDone(
                    id=self._workshop.new_id(),
                    counter_id=row.id,
                    person_id=actor.person_id,
                    at=now,
                    used_s=used.s,
                    used_mm=used.mm,
                    used_travel_mm=used.travel_mm,
                    note=note,
                )
            )
            row.since_at = now
            machine = session.get_one(Machine, row.machine_id)
            detail = {"name": row.name}
            write(
                session, self._workshop, machine, Happening.SERVICED, now, actor.person_id, detail
            )

    def retire(self, actor: Actor, counter_id: str, now: datetime) -> None:
        """Count for some work no more; what was done stays known."""
        must_be(actor, Role.OPERATOR)
        with self._database.write() as session:
            _counter(session, counter_id).retired_at = now

    def remind(self, now: datetime) -> int:
        """Tell staff of work that is due, once each time; return of how many counters."""
        with self._database.read() as session:
            due = [one for one in _counters(session, None) if one.is_due]
            if not due or not is_trusted(session, now):
                return 0
        with self._database.write() as session:
            told = [self._tell(session, one, now) for one in due]
        return sum(told)

    def _tell(self, session: Session, counter: CounterView, now: datetime) -> bool:
        fields = {"machine": counter.machine_name, "name": counter.name}
        about = f"machine:{counter.machine_slug}"
        keys = {
            person_id: f"service:{counter.id}:{counter.since_at.timestamp():.0f}:{person_id[-12:]}"
            for person_id in staff_of(session)
        }
        told = [
            tell(session, self._workshop, person_id, "service-due", fields, now, about, key)
            for person_id, key in keys.items()
        ]
        return any(told)


def _counters(session: Session, slug: str | None) -> list[CounterView]:
    query = (
        select(ServiceCounter, Machine.slug, Machine.name)
        .join(Machine, Machine.id == ServiceCounter.machine_id)
        .where(ServiceCounter.retired_at.is_(None), Machine.retired_at.is_(None))
    )
    if slug is not None:
        query = query.where(Machine.slug == slug)
    views = []
    for row, machine_slug, machine_name in session.execute(query).all():
        used = _used(session, row)
        if row.every_s:
            share = used.s / row.every_s
        elif row.every_mm:
            share = used.mm / row.every_mm
        else:
            share = used.travel_mm / (row.every_travel_mm or 1)
        by = session.scalar(
            select(Person.name)
            .join(ServiceDone, ServiceDone.person_id == Person.id)
            .where(ServiceDone.counter_id == row.id)
            .order_by(ServiceDone.at.desc())
            .limit(1)
        )
        views.append(
            CounterView(
                row.id,
                machine_slug,
                machine_name,
                row.name,
                None if row.every_s is None else row.every_s / _HOUR_S,
                None if row.every_mm is None else row.every_mm / _METRE_MM,
                None if row.every_travel_mm is None else row.every_travel_mm / _METRE_MM,
                used.s / _HOUR_S,
                used.mm / _METRE_MM,
                used.travel_mm / _METRE_MM,
                share,
                row.since_at,
                by or "",
            )
        )
    return sorted(views, key=lambda one: (-one.share, one.machine_name, one.name))


class _Used(NamedTuple):
    s: int
    mm: int  # of filament
    travel_mm: int  # of the axes, with and without making


def _used(session: Session, row: ServiceCounter) -> _Used:
    """Return what a machine has done since the work was last done.

    Of a run that ended early filament and travel count by the share of its lines. Travel is the
    planned way of its program; what a person moves by hand is not known.
    """
    # Dividing comes last: in whole numbers a share would be 0.
    share = func.coalesce(Preflight.filament_um, 0) * Attempt.acked / func.nullif(Attempt.total, 0)
    way: ColumnElement[float] = sum(
        (func.coalesce(Preflight.report[name].as_float(), 0.0) for name in _WAYS),
        start=literal(0.0),
    )
    way_share = way * Attempt.acked / func.nullif(Attempt.total, 0)
    query = (
        select(
            func.sum(Attempt.machine_ms),
            func.sum(func.coalesce(share, 0)),
            func.sum(func.coalesce(way_share, 0.0)),
        )
        .outerjoin(Preflight, Preflight.id == Attempt.preflight_id)
        .where(Attempt.machine_id == row.machine_id, Attempt.ended_at > row.since_at)
    )
    ms, um, mm = session.execute(query).one()
    return _Used(int(ms or 0) // 1000, int(um or 0) // 1000, round(mm or 0.0))


def _counter(session: Session, counter_id: str) -> ServiceCounter:
    row = session.get(ServiceCounter, counter_id, with_for_update=True)
    if row is None or row.retired_at is not None:
        raise NotFoundError("service.unknown")
    return row


def _amount(value: float | None, most: float) -> float | None:
    if value is None:
        return None
    if not 0 < value <= most:
        raise InvalidError("service.every", field="every")
    return value
