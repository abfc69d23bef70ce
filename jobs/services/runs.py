"""What machine hosts say, taken into the books: each fact once, each end whole."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from jobs.domain.calendar import AllocationKind, AllocationState
from jobs.domain.job import AttemptState, may_attempt_become
from jobs.domain.loading import Doubt
from jobs.services.armings import withdraw_armings
from jobs.services.attempts import Attempts, End
from jobs.services.clock import is_trusted
from jobs.services.facts import Facts
from jobs.services.loaded import doubt
from jobs.services.logbook import take_in
from jobs.services.promising import Extent, note_pause, note_progress, stood_ms, time_left
from jobs.services.workshop import Workshop
from jobs.store.tables import Allocation, Attempt, Machine, Preflight, RunTime

_STARTS = frozenset({"run_started", "started"})
_EXTENT = ("acked", "sent", "total", "source_line", "resends")
_DETAIL = (
    *("by", "code", "text", "line", "starvation_s", "offset_bytes"),
    *("planner_blocks", "sent_line", "quality", "damaged", "lost_answers", "narrow_s"),
    *("energy_mwh", "energy_by"),
    *("heater", "measured_c", "target_c", "limit_c", "limit_s"),
)
_MOST_TALK = 100  # words with a machine that are kept of one run
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LEAST_EXTENSION = timedelta(minutes=5)
_MAX_US = 4_102_444_800_000_000  # the year 2100: a host's clock is not trusted beyond it

# A stop leaves nobody knowing where the machine stands, so the job has failed and may be
# tried again; a cancel was meant.
_ENDS: Mapping[str, AttemptState] = {
    "finished": AttemptState.FINISHED,
    "cancelled": AttemptState.CANCELLED,
    "stopped": AttemptState.FAILED,
    "failed": AttemptState.FAILED,
    "interrupted": AttemptState.INTERRUPTED,
}

log = logging.getLogger(__name__)


class Runs:
    """Takes in what hosts tell; the supervisor calls it, in the order of each host's facts."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._attempts = Attempts(workshop)
        self._facts = Facts(workshop)
        self._lock = threading.Lock()
        self._starting: set[str] = set()

    def expect(self, attempt_id: str) -> None:
        """Note that a start is on its way, so that `reattached` does not take it for lost."""
        with self._lock:
            self._starting.add(attempt_id)

    def settle(self, attempt_id: str) -> None:
        """Note that the host has answered to a start."""
        with self._lock:
            self._starting.discard(attempt_id)

    def apply(self, slug: str, event: Mapping[str, object], now: datetime) -> None:
        """Take in one event of a host; a second time changes nothing.

        :param event: `run`, `seq` (0: not a fact, only told), `at_us`, `kind` and its fields.
        """
        with self._workshop.database.write() as session:
            was_given_up = self._take_in(session, slug, event, now)
        if was_given_up:
            self._call_back(slug)
        self._workshop.live.touch()

    def _take_in(
        self, session: Session, slug: str, event: Mapping[str, object], now: datetime
    ) -> bool:
        """Write what the event says; True if it is of a run that must not be."""
        kind, seq = event.get("kind"), _whole(event, "seq")
        if take_in(session, self._workshop, slug, event, now):
            return False
        if kind == "stopped":
            withdraw_armings(session, slug, now)
        attempt = _open_attempt(session, slug, str(event.get("run") or ""))
        if attempt is None or (seq and seq <= attempt.event_seq):
            return kind in _STARTS and _was_withdrawn(session, str(event.get("run")))
        attempt.event_seq = max(attempt.event_seq, seq)
        at = _instant(event, now)
        match kind:
            case str() if kind in _STARTS:
                attempt.detail = {**attempt.detail, "began_us": _whole(event, "at_us")}
                self._attempts.run(session, attempt, at, now)
            case "progress":
                _advance(attempt, event)
                note_progress(session, attempt, _whole(event, "at_us"))
            case "paused":
                _note_talk(attempt, event)
                note_pause(attempt, _whole(event, "at_us"), begins=True)
                self._turn(session, attempt, AttemptState.PAUSED, at, now)
            case "resumed":
                _note_talk(attempt, event)
                note_pause(attempt, _whole(event, "at_us"), begins=False)
                self._turn(session, attempt, AttemptState.RUNNING, at, now)
            case "prompted" | "replied":
                _note_talk(attempt, event)
                _doubt_spools(session, attempt, event, now)
                if attempt.state != AttemptState.PAUSED:
                    note_pause(attempt, _whole(event, "at_us"), begins=kind == "prompted")
            case "attention":
                attempt.detail = {**attempt.detail, "attention": _detail(event)}
            case str() if kind in _ENDS:
                self._attempts.end(session, attempt, _end(kind, event, at), now)
                log.info("%s: run %s: %s", slug, attempt.id, kind)
            case _:
                pass  # a newer host knows words that we do not
        return False

    def reattached(self, slug: str, snapshot_run: str | None, now: datetime) -> None:
        """Compare a host's open run with ours, once the facts we missed are applied.

        What the host does not know has been lost with it: interrupted, never begun again.
        """
        with self._workshop.database.write() as session:
            was_given_up = self._compare(session, slug, snapshot_run, now)
        if was_given_up:
            self._call_back(slug)
        self._workshop.live.touch()

    def _compare(
        self, session: Session, slug: str, snapshot_run: str | None, now: datetime
    ) -> bool:
        """Write what the comparison says; True if the host runs what must not be."""
        attempt = _open_attempt(session, slug, None)
        if attempt is None:
            return bool(snapshot_run) and _was_withdrawn(session, str(snapshot_run))
        if attempt.id == snapshot_run:
            self._attempts.run(session, attempt, now, now)
            return False
        with self._lock:
            is_starting = attempt.id in self._starting
        if not is_starting:
            lost = End(AttemptState.INTERRUPTED, now, "host-lost")
            self._attempts.end(session, attempt, lost, now)
        return False

    def _call_back(self, slug: str) -> None:
        """End safely what a host began though we took its silence for a no: it has no record.

        Never inside a transaction: a host that does not answer must not keep writers waiting.
        """
        code = self._workshop.gateway.cancel(slug, "")
        log.warning("%s: called back a run that was given up: %s", slug, code or "done")

    def overruns(self, now: datetime) -> list[str]:
        """Give runs that outlast their promise more time; claims in the way are displaced.

        :returns: the attempts concerned.
        """
        late = (
            select(Allocation, Attempt)
            .join(Attempt, Attempt.id == Allocation.attempt_id)
            .where(
                # From the few open attempts, or ten years of history would be read each time.
                Allocation.attempt_id.in_(select(Attempt.id).where(Attempt.ended_at.is_(None))),
                Allocation.kind == AllocationKind.RUN.value,
                Allocation.state == AllocationState.ACTIVE.value,
                Allocation.end_at <= now,
            )
        )
        with self._workshop.database.read() as session:
            # A clock that is ahead would take time from whoever booked it.
            if not is_trusted(session, now) or session.execute(late.limit(1)).first() is None:
                return []
        with self._workshop.database.write() as session:
            found = session.execute(late).all()
            for allocation, attempt in found:
                more = max(_LEAST_EXTENSION, self._remaining(session, attempt, now))
                self._facts.extend(session, allocation.id, now + more, now)
        self._workshop.live.touch()
        return [attempt.id for _, attempt in found]

    def _turn(
        self,
        session: Session,
        attempt: Attempt,
        then: AttemptState,
        at: datetime,
        now: datetime,
    ) -> None:
        self._attempts.run(session, attempt, at, now)
        if may_attempt_become(AttemptState(attempt.state), then):
            attempt.state = then.value

    def _remaining(self, session: Session, attempt: Attempt, now: datetime) -> timedelta:
        """Time that nine in ten such runs keep from here on."""
        preflight = session.get(Preflight, attempt.preflight_id) if attempt.preflight_id else None
        row = session.get(RunTime, attempt.id)
        if preflight is None or row is None:
            return now - attempt.started_at
        slug = session.get_one(Machine, attempt.machine_id).slug
        live = self._workshop.live.get(slug)
        acked = max(attempt.acked, live.acked if live.run == attempt.id else 0)
        extent = Extent(acked, attempt.total, stood_ms(attempt, now))
        rest = time_left(self._workshop, row, preflight.planned_sha256, extent, now)
        return timedelta(seconds=rest.p90)


def _open_attempt(session: Session, slug: str, run: str | None) -> Attempt | None:
    query = (
        select(Attempt)
        .join(Machine, Machine.id == Attempt.machine_id)
        .where(Machine.slug == slug, Attempt.ended_at.is_(None))
        .with_for_update(of=Attempt)  # its end must not be written twice
    )
    return session.scalars(query if run is None else query.where(Attempt.id == run)).first()


def _was_withdrawn(session: Session, run: str) -> bool:
    attempt = session.get(Attempt, run)
    return (
        attempt is not None
        and attempt.state == AttemptState.CANCELLED
        and (attempt.reason or "").startswith("host.")
    )


def _end(kind: str, event: Mapping[str, object], at: datetime) -> End:
    state = _ENDS[kind]
    reason: str | None = None
    if state in (AttemptState.FAILED, AttemptState.INTERRUPTED):
        said = event.get("reason") or event.get("code")
        reason = "stopped" if kind == "stopped" else str(said or kind)
    extent = {name: _whole(event, name) for name in _EXTENT if name in event}
    return End(state, at, reason, extent, _detail(event))


def _detail(event: Mapping[str, object]) -> dict[str, str | int | float]:
    return {
        name: value for name in _DETAIL if isinstance(value := event.get(name), str | int | float)
    }


def _note_talk(attempt: Attempt, event: Mapping[str, object]) -> None:
    """Keep who asked for what, and what the machine asked: the newest of it."""
    said = {
        name: value
        for name in ("kind", "at_us", "text", "answer", "by", "reason")
        if isinstance(value := event.get(name), str | int)
    }
    talk = attempt.detail.get("talk")
    older = talk if isinstance(talk, list) else []
    attempt.detail = {**attempt.detail, "talk": [*older, said][-_MOST_TALK:]}


def _doubt_spools(
    session: Session, attempt: Attempt, event: Mapping[str, object], now: datetime
) -> None:
    """Ask for a look at the spools where the machine asks a person for filament."""
    said = str(event.get("text") or "").casefold()
    if event.get("kind") == "prompted" and "filament" in said:
        ran_out = "runout" in said or "run out" in said or "ran out" in said
        doubt(session, attempt.machine_id, Doubt.RUN_OUT if ran_out else Doubt.TOOL_CHANGE, now)


def _advance(attempt: Attempt, event: Mapping[str, object]) -> None:
    attempt.acked = max(attempt.acked, _whole(event, "acked"))
    attempt.sent = max(attempt.sent, _whole(event, "sent"))
    attempt.source_line = max(attempt.source_line, _whole(event, "source_line"))


def _whole(event: Mapping[str, object], name: str) -> int:
    value = event.get(name)
    return value if isinstance(value, int) and value > 0 else 0


def _instant(event: Mapping[str, object], now: datetime) -> datetime:
    """Return when it happened by the host's clock; *now* where that cannot be."""
    at_us = _whole(event, "at_us")
    return _EPOCH + timedelta(microseconds=at_us) if 0 < at_us < _MAX_US else now
