"""The day sheet: what a lab needs on paper when the node is away, written anew each morning."""

from __future__ import annotations

import logging
import re
import shutil
import tempfile
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from jobs.domain.calendar import AllocationKind, AllocationState, local_day
from jobs.domain.care import Moment
from jobs.domain.errors import NotAllowedError, NotFoundError, UnavailableError
from jobs.domain.job import JobState
from jobs.domain.people import Actor, Role
from jobs.domain.sentences import Catalogue
from jobs.services.calendars import rows_where
from jobs.services.checking import list_of
from jobs.services.clock import is_trusted
from jobs.services.faults import faults_in
from jobs.services.workers import Task, run_worker
from jobs.services.workshop import Workshop
from jobs.store.tables import Allocation, Job, Machine, Person

MORNING: Final = time(5, 30)  # on the lab's clock
KEPT_DAYS: Final = 31
_MOST: Final = 400  # lines of one part
_NAME: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_SHOWN: Final = (AllocationState.ACTIVE.value, AllocationState.ENDED.value)

log = logging.getLogger(__name__)


class DaySheet:
    """Writes and hands out the sheets; only staff read them, for they name people."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop

    def tick(self, now: datetime, catalogue: Catalogue) -> date | None:
        """Write today's sheet once its morning has come, and forget old ones; a second time none.

        A node that slept through the morning writes it when it wakes up.
        """
        local = now.astimezone(self._workshop.zone)
        with self._workshop.database.read() as session:
            if not is_trusted(session, now):
                return None
        if local.time() < MORNING or self._path(local.date()).is_file():
            return None
        self._write(local.date(), now, catalogue)
        oldest = local.date() - timedelta(days=KEPT_DAYS)
        for day in self._days():
            if day < oldest:
                self._path(day).unlink(missing_ok=True)
        return local.date()

    def make(self, actor: Actor, day: date, now: datetime, catalogue: Catalogue) -> None:
        """Write a day's sheet as it is now; an older one of that day is replaced."""
        _must_be_staff(actor)
        self._write(day, now, catalogue)

    def days(self, actor: Actor) -> Sequence[date]:
        """Return the days that have a sheet, newest first."""
        _must_be_staff(actor)
        return sorted(self._days(), reverse=True)

    def file(self, actor: Actor, day: date) -> Path:
        """Return a day's sheet."""
        _must_be_staff(actor)
        path = self._path(day)
        if not path.is_file():
            raise NotFoundError("day-sheet.unknown")
        return path

    def _write(self, day: date, now: datetime, catalogue: Catalogue) -> None:
        with self._workshop.database.read() as session:
            request = self._content(session, day, now, catalogue)
        folder = self._path(day).parent
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as name:
            out = Path(name) / "out"
            result = run_worker(Task.SHEET, request, {}, outputs=out)
            made = result.outputs.get("sheet.pdf")
            if not result.ok or made is None:
                raise UnavailableError("day-sheet.failed", reason=result.detail[:200])
            shutil.move(made, self._path(day))
        log.info("day sheet of %s written", day)

    def _content(
        self, session: Session, day: date, now: datetime, catalogue: Catalogue
    ) -> dict[str, object]:
        zone, say = self._workshop.zone, catalogue.text
        span = local_day(day, zone)

        def hours(start: datetime, end: datetime) -> str:
            first = "" if start < span.start else f"{start.astimezone(zone):%H:%M}"
            last = "" if end > span.end else f"{end.astimezone(zone):%H:%M}"
            return f"{first or '…'} – {last or '…'}"

        found = rows_where(
            session,
            Allocation.state.in_(_SHOWN),
            Allocation.start_at < span.end,
            Allocation.end_at > span.start,
        )[:_MOST]
        names = {
            row.slug: row.name
            for row in session.execute(
                select(Machine.slug, Machine.name)
                .where(Machine.retired_at.is_(None))
                .order_by(Machine.name)
            )
        }
        out = (AllocationKind.OUTAGE.value, AllocationKind.CLOSURE.value)
        parts: list[dict[str, object]] = []
        for slug, name in names.items():
            mine = [(one.row, one.name) for one in found if one.slug == slug]
            lines = [
                [
                    hours(row.start_at, row.end_at),
                    say(f"past.{row.kind}") if row.kind in out else say(f"sheet.{row.kind}"),
                    " · ".join(one for one in (person, row.note) if one),
                ]
                for row, person in mine
            ]
            parts.append({"title": name, "rows": lines, "empty": say("sheet.free")})
        parts.append(
            {
                "title": say("sheet.queue"),
                "rows": _queue(session, names),
                "empty": say("sheet.nothing"),
            }
        )
        parts.append(
            {
                "title": say("page.upkeep.faults"),
                "rows": [
                    [one.machine_name, say(f"severity.{one.severity.value}"), one.text]
                    for one in faults_in(session, None, mended=False)
                ],
                "empty": say("page.upkeep.no-faults"),
            }
        )
        for moment in (Moment.OPENING, Moment.CLOSING):
            asked = list_of(session, None, moment)
            if asked is not None:
                rows = [["[   ]", "", str(item)] for item in asked.items]
                parts.append({"title": say(f"moment.{moment}"), "rows": rows, "empty": ""})
        parts.append(
            {
                "title": say("sheet.staff"),
                "rows": [["", say(f"role.{role}"), name] for name, role in _staff(session)],
                "empty": "",
            }
        )
        return {
            "title": say("sheet.title", site=self._workshop.site),
            "day": f"{day:%Y-%m-%d}",
            "made": say("sheet.made", at=f"{now.astimezone(zone):%Y-%m-%d %H:%M}", zone=zone.key),
            "duty": say("sheet.duty"),
            "parts": parts,
        }

    def _path(self, day: date) -> Path:
        return self._workshop.work_dir / "sheets" / f"{day:%Y-%m-%d}.pdf"

    def _days(self) -> list[date]:
        folder = self._path(date.min.replace(year=2000)).parent
        if not folder.is_dir():
            return []
        stems = [one.stem for one in folder.glob("*.pdf")]
        return [date.fromisoformat(stem) for stem in stems if _NAME.fullmatch(stem)]


def _queue(session: Session, names: dict[str, str]) -> list[list[str]]:
    rows = session.execute(
        select(Job.number, Job.title, Person.name, Machine.slug)
        .join(Person, Person.id == Job.person_id)
        .outerjoin(Machine, Machine.id == Job.machine_id)
        .where(Job.state == JobState.WAITING.value)
        .order_by(Job.queued_at, Job.number)
        .limit(_MOST)
    )
    return [
        [f"#{number}", names.get(slug or "", ""), f"{title} · {person}"]
        for number, title, person, slug in rows
    ]


def _staff(session: Session) -> list[tuple[str, str]]:
    roles = [Role.OPERATOR.value, Role.ADMIN.value, Role.TRAINER.value]
    query = select(Person.name, Person.role).where(
        Person.role.in_(roles), Person.disabled_at.is_(None)
    )
    return [(name, role) for name, role in session.execute(query.order_by(Person.name)).all()]


def _must_be_staff(actor: Actor) -> None:
    if not actor.is_at_least(Role.OPERATOR):
        raise NotAllowedError("person.not-allowed", needed=Role.OPERATOR.value)
