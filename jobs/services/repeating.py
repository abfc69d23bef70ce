"""Weekly series: every occurrence at the same time of the wall clock, all of them or a report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from jobs.domain.calendar import AllocationState, Interval
from jobs.domain.errors import NotFoundError, RefusedError
from jobs.domain.people import Actor
from jobs.domain.policy import Reason, Refusal
from jobs.domain.sharing import Occurrence, SeriesPart, weekly
from jobs.services import claims
from jobs.services.asked import machine_of
from jobs.services.closing_checks import checked_interval, checked_note
from jobs.services.costing import given_back
from jobs.services.entering import consent_for, enter
from jobs.services.turns import take_turn
from jobs.services.waiting import serve
from jobs.services.workshop import Workshop
from jobs.store.database import is_overlap
from jobs.store.sharing import Series
from jobs.store.tables import Allocation, Machine


@dataclass(frozen=True, slots=True)
class OccurrenceView:
    """One time of a series: made, or why not."""

    day: date
    interval: Interval | None
    refusals: Sequence[Refusal]


@dataclass(frozen=True, slots=True)
class SeriesReport:
    """What became of a wish to book every week.

    :param series_id: None: nothing was booked, and the refusals say why.
    """

    series_id: str | None
    occurrences: Sequence[OccurrenceView]

    @property
    def conflicts(self) -> Sequence[OccurrenceView]:
        """Return the occurrences that cannot be had."""
        return [one for one in self.occurrences if one.refusals]


class _Withdrawn(Exception):  # noqa: N818  it takes a transaction back and is no error
    """Some occurrences cannot be had, and the rest is not wanted without them."""


class Repeating:
    """Use cases about weekly series."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop

    def repeat(
        self,
        actor: Actor,
        slug: str,
        start: datetime,
        end: datetime,
        weeks: int,
        now: datetime,
        note: str = "",
        shows_name: bool | None = None,
        *,
        skip_conflicts: bool = False,
    ) -> SeriesReport:
        """Book the same time of the wall clock every week, all or nothing.

        :param start: of the first occurrence.
        :param skip_conflicts: book those that can be had; one at least.
        """
        interval, note = checked_interval(start, end), checked_note(note)
        local = interval.start.astimezone(self._workshop.zone)
        times = weekly(
            local.date(),
            local.time(),
            interval.length,
            weeks,
            self._workshop.zone,
        )
        series = Series(
            id=self._workshop.new_id(),
            person_id=actor.person_id,
            first_local=local.strftime("%Y-%m-%dT%H:%M"),
            zone=self._workshop.zone.key,
            length_min=int(interval.length / timedelta(minutes=1)),
            weeks=weeks,
            created_at=now,
        )
        made: list[OccurrenceView] = []
        try:
            with self._workshop.database.write() as session:
                machine = machine_of(session, slug)
                take_turn(session, machine.id)
                series.machine_id = machine.id
                session.add(series)
                for one in times:
                    view = self._book(session, actor, machine, series, one, now, note, shows_name)
                    made.append(view)
                _keep(made, skip_conflicts=skip_conflicts)
        except _Withdrawn:
            return SeriesReport(None, made)
        except IntegrityError as error:
            if not is_overlap(error):
                raise
            raise RefusedError([Refusal(Reason.TAKEN)]) from error
        self._workshop.live.touch()
        return SeriesReport(series.id, made)

    def cancel(self, actor: Actor, allocation_id: str, part: SeriesPart, now: datetime) -> int:
        """Give one occurrence back, or those that follow too, or all that are to come.

        :returns: how many were given back.
        """
        with self._workshop.database.write() as session:
            row, _ = claims.own_reservation(session, actor, allocation_id, now)
            rows = [row]
            if part is not SeriesPart.ONE:
                if row.series_id is None:
                    raise NotFoundError("booking.no-series")
                query = select(Allocation).where(
                    Allocation.series_id == row.series_id,
                    claims.is_booking(),
                    Allocation.state == AllocationState.ACTIVE.value,
                    Allocation.end_at > now,
                )
                if part is SeriesPart.REST:
                    query = query.where(Allocation.start_at >= row.start_at)
                rows = list(session.scalars(query.order_by(Allocation.start_at)))
            for one in rows:
                claims.cancel_row(session, self._workshop, one, actor, now)
                if one.person_id == actor.person_id:
                    given_back(session, self._workshop, one, now)
            session.flush()
            for machine_id in sorted({one.machine_id for one in rows}):
                serve(session, self._workshop, machine_id, now)
        self._workshop.live.touch()
        return len(rows)

    def _book(
        self,
        session: Session,
        actor: Actor,
        machine: Machine,
        series: Series,
        one: Occurrence,
        now: datetime,
        note: str,
        shows_name: bool | None,
    ) -> OccurrenceView:
        if one.interval is None:
            return OccurrenceView(one.day, None, [Refusal(Reason.SKIPPED_TIME)])
        try:
            consent = consent_for(session, self._workshop, actor, machine, one.interval, now)
        except RefusedError as error:
            return OccurrenceView(one.day, one.interval, error.refusals)
        enter(
            session, self._workshop, actor, machine, one.interval, consent, now, note,
            series.id, shows_name,
        )  # fmt: skip
        return OccurrenceView(one.day, one.interval, ())


def _keep(made: Sequence[OccurrenceView], *, skip_conflicts: bool) -> None:
    """Let a series stand, or take all of it back."""
    count = sum(bool(one.refusals) for one in made)
    if count and not (skip_conflicts and count < len(made)):
        raise _Withdrawn
