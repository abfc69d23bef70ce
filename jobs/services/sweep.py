"""Tidying up: what nobody needs any more goes, a little at a time, whenever the clock asks."""

from __future__ import annotations

import logging
from dataclasses import astuple, dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, CursorResult, delete, exists, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from jobs.domain.job import JobState
from jobs.domain.retention import Kept
from jobs.services.clock import is_trusted
from jobs.services.photo_keeping import drop_files, forget_photos
from jobs.services.programs import Programs
from jobs.services.retention import before, drop_wire_logs, forget_links, forget_notices
from jobs.services.workshop import Workshop
from jobs.services.workstations import drop_unclaimed
from jobs.store.persons import Look
from jobs.store.tables import (
    Arming,
    Attempt,
    Job,
    MachineAct,
    OutboxMessage,
    Preflight,
    SignIn,
    SignInFailure,
    SignInLink,
)

PROGRAMS_KEPT: Final = timedelta(days=30)  # after the job is over
OUTBOX_KEPT: Final = timedelta(days=90)  # after the broker has it
ARMINGS_KEPT: Final = timedelta(days=365)  # those that started nothing
_FRESH: Final = timedelta(days=1)  # longer than any preparation takes
_MOST: Final = 5000  # of one sort in one sweep: a sweep is short, and comes again
_OVER: Final = (JobState.DONE, JobState.FAILED, JobState.CANCELLED)
_OPEN: Final = tuple(one.value for one in JobState if one not in _OVER)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Swept:
    """How much one sweep removed."""

    files: int
    sign_ins: int
    links: int
    failures: int
    messages: int
    armings: int
    preflights: int
    acts: int
    looks: int
    notices: int
    record_links: int
    wire_logs: int
    photos: int
    unclaimed: int


_NOTHING: Final = Swept(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)


class Sweep:
    """A function of the state and the time: a second one at once finds nothing."""

    def __init__(self, workshop: Workshop, programs: Programs) -> None:
        self._workshop = workshop
        self._programs = programs

    def tick(self, now: datetime) -> Swept:
        """Remove what is no longer needed; never what the broker does not have yet.

        By a clock that nobody vouches for nothing has run out.
        """
        with self._workshop.database.write() as session:
            if not is_trusted(session, now):
                return _NOTHING
            forget_photos(session, now)
            unclaimed = drop_unclaimed(session, self._workshop, now, _MOST)
            rows = (
                _drop(
                    session,
                    SignIn.token_sha256,
                    or_(
                        SignIn.expires_at <= now,
                        SignIn.seen_at < before(session, Kept.SIGN_INS, now),
                    ),
                ),
                _drop(
                    session,
                    SignInLink.token_sha256,
                    or_(SignInLink.expires_at <= now, SignInLink.used_at.is_not(None)),
                ),
                _drop(session, SignInFailure.id, SignInFailure.forget_at <= now),
                _drop(session, OutboxMessage.seq, OutboxMessage.acked_at < now - OUTBOX_KEPT),
                _drop(
                    session,
                    Arming.id,
                    Arming.expires_at < now - ARMINGS_KEPT,
                    ~exists().where(Attempt.arming_id == Arming.id),
                ),
                _drop(
                    session,
                    Preflight.id,
                    Preflight.superseded_at < now - PROGRAMS_KEPT,
                    ~exists().where(Attempt.preflight_id == Preflight.id),
                ),
                _drop(session, MachineAct.id, MachineAct.at < before(session, Kept.ACTS, now)),
                _drop(session, Look.id, Look.at < before(session, Kept.LOOKS, now)),
                forget_notices(session, now, _MOST),
                forget_links(session, now, _MOST),
            )
        files = self._programs.forget(lambda: self._needed(now), (now - _FRESH).timestamp(), _MOST)
        with self._workshop.database.read() as session:
            wire_logs = drop_wire_logs(session, self._workshop, now)
            photos = drop_files(session, self._workshop, now, _MOST)
        swept = Swept(files, *rows, wire_logs, photos, unclaimed)
        if any(astuple(swept)):
            log.info("swept: %s", swept)
        return swept

    def _needed(self, now: datetime) -> frozenset[str]:
        """Return the hashes of files that a job may still ask for."""
        query = (
            select(
                Preflight.program_sha256,
                Preflight.stream_sha256,
                Preflight.index_sha256,
                Preflight.planned_sha256,
                Preflight.report["thumbnails"],
            )
            .join(Job, Job.id == Preflight.job_id)
            .where(or_(Job.state.in_(_OPEN), Job.ended_at >= now - PROGRAMS_KEPT))
        )
        with self._workshop.database.read() as session:
            rows = session.execute(query).all()
        pictures = (one["sha256"] for row in rows for one in row[4] or () if "sha256" in one)
        return frozenset(sha256 for row in rows for sha256 in row[:4] if sha256) | {*pictures}


def _drop(session: Session, key: InstrumentedAttribute[Any], *where: ColumnElement[bool]) -> int:
    """Delete rows, the oldest keys first, and return how many."""
    found = session.execute(
        delete(key.class_).where(key.in_(select(key).where(*where).order_by(key).limit(_MOST))),
        execution_options={"synchronize_session": False},
    )
    assert isinstance(found, CursorResult)
    return found.rowcount
