"""When waiting jobs will start and end: played forward, kept, and told when it moves by much.

Two plays of the queue: in one every run takes its P50, in the other its P90. The second is more
careful than nine times in ten for a job far behind, since not every run before it is late.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from jobs.domain.backfill import Foreseen, forecast
from jobs.domain.job import JobState
from jobs.services.clock import is_trusted
from jobs.services.notices import tell
from jobs.services.ordering import Line, line_of, order_of
from jobs.services.views import ForeseenView
from jobs.services.workshop import Workshop
from jobs.store.tables import Attempt, Job, Machine, Setting
from jobs.store.waiting import QueuePromise

AHEAD: Final = timedelta(days=14)
MOST: Final = 60  # jobs that are promised a time; those behind them are many days away
_REST: Final = timedelta(minutes=5)
TELL: Final = "queue.tell_min"  # the setting: by how much a promise moves before it is told
_TELL_MIN: Final = 60.0
_TELL_SHARE: Final = 0.25  # of the time that is left: an hour matters today, not next week


def foreseen_of(session: Session, job_ids: Collection[str]) -> Mapping[str, ForeseenView]:
    """Return what is promised to waiting jobs, by job."""
    rows = session.execute(
        select(QueuePromise, Machine.slug)
        .join(Machine, Machine.id == QueuePromise.machine_id)
        .where(QueuePromise.job_id.in_(job_ids))
    )
    found: dict[str, ForeseenView] = {}
    for row, slug in rows:
        times = (row.start_p50_at, row.start_p90_at, row.end_p50_at, row.end_p90_at)
        start, late_start, end, late_end = times
        if start and late_start and end and late_end:
            found[row.job_id] = ForeseenView(
                slug, start, late_start, end, late_end, row.made_at, row.moves
            )
    return found


class Foresight:
    """Keeps what waiting jobs are promised."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._made: tuple[int, datetime] | None = None  # of which house, and when

    def tick(self, now: datetime) -> int:
        """Make every promise anew; return how many people were told that theirs moved.

        Where nothing runs and nothing has happened in the house, only now and then: to play the
        queue twice takes a tenth of a second of a small computer.
        """
        house = self._workshop.live.house
        if self._made is not None:
            known, at = self._made
            is_fresh = timedelta() <= now - at < _REST
            if known == house and is_fresh and not self._runs():
                return 0
        told = self._make(now)
        self._made = house, now
        return told

    def _runs(self) -> bool:
        query = select(Attempt.id).where(Attempt.ended_at.is_(None)).limit(1)
        with self._workshop.database.read() as session:
            return session.scalar(query) is not None

    def _make(self, now: datetime) -> int:
        with self._workshop.database.read() as session:
            waits = session.scalar(
                select(Job.id).where(Job.state == JobState.WAITING.value).limit(1)
            )
            kept = session.scalar(select(QueuePromise.job_id).limit(1))
            if (waits is None and kept is None) or not is_trusted(session, now):
                return 0
            line = line_of(session, self._workshop, now)
        soon, late = _played(line)
        with self._workshop.database.write() as session:
            return self._keep(session, line, soon, late, now)

    def _keep(
        self,
        session: Session,
        line: Line,
        soon: Mapping[str, Foreseen],
        late: Mapping[str, Foreseen],
        now: datetime,
    ) -> int:
        ids = [job.id for job in line.jobs]
        waiting = {
            job.id: job
            for job in session.scalars(
                select(Job).where(Job.id.in_(ids), Job.state == JobState.WAITING.value)
            )
        }
        session.execute(delete(QueuePromise).where(QueuePromise.job_id.not_in(list(waiting))))
        rows = {row.job_id: row for row in session.scalars(select(QueuePromise))}
        threshold = _threshold(session)
        told = 0
        for job_id, job in waiting.items():
            row = rows.get(job_id)
            if row is None:
                row = QueuePromise(job_id=job_id, made_at=now, moves=0)
                session.add(row)
            _write(row, line, soon.get(job_id), late.get(job_id), now)
            told += self._tell(session, job, row, threshold, now)
        return told

    def _tell(
        self, session: Session, job: Job, row: QueuePromise, threshold: float, now: datetime
    ) -> bool:
        """Tell the owner if the end moved by much since they were last told."""
        end, known = row.end_p50_at, row.told_end_p50_at
        if known is None or end is None:
            if known is None and end is not None:
                row.told_at, row.told_end_p50_at = now, end
            return False
        moved = abs(end - known)
        if moved < timedelta(minutes=threshold) or moved < _TELL_SHARE * max(
            known - now, timedelta()
        ):
            return False
        row.told_at, row.told_end_p50_at, row.moves = now, end, row.moves + 1
        code = "job-later" if end > known else "job-sooner"
        fields: dict[str, str | int | float] = {
            "number": job.number,
            "title": job.title,
            "was": known.isoformat(),
            "end": end.isoformat(),
        }
        tell(session, self._workshop, job.person_id, code, fields, now, f"job:{job.id}")
        return True


def _played(line: Line) -> tuple[Mapping[str, Foreseen], Mapping[str, Foreseen]]:
    first = [one.job for one in order_of(line)[:MOST]]
    until = line.now + AHEAD.total_seconds()
    soon = forecast(first, line.bays, line.now, line.weights, until)
    late = forecast(first, line.bays, line.now, line.weights, until, late=True)
    return soon, late


def _write(
    row: QueuePromise,
    line: Line,
    soon: Foreseen | None,
    late: Foreseen | None,
    now: datetime,
) -> None:
    row.made_at = now
    if soon is None or late is None:
        row.machine_id = row.start_p50_at = row.start_p90_at = None
        row.end_p50_at = row.end_p90_at = None
        return
    row.machine_id = line.machine_ids[soon.slug]
    row.start_p50_at, row.end_p50_at = _at(soon.start), _at(soon.end)
    # With longer runs another order may come out, and with it an earlier time for one of them.
    row.start_p90_at = _at(max(soon.start, late.start))
    row.end_p90_at = _at(max(soon.end, late.end))


def _at(seconds: float) -> datetime:
    return datetime.fromtimestamp(round(seconds), UTC)


def _threshold(session: Session) -> float:
    row = session.get(Setting, TELL)
    try:
        return min(max(float(row.value), 5.0), 7 * 24 * 60.0) if row else _TELL_MIN
    except ValueError:
        return _TELL_MIN
