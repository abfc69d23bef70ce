"""Promises of time: made of a machine's finished runs, kept with each run, and checked after."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from jobs.domain.job import AttemptState
from jobs.domain.promise import MOST_RUNS, Plan, Promise, Span, Timed, left, promise
from jobs.services.accounts import Account
from jobs.services.planned import planned_share, program_path
from jobs.services.resumed import is_resume
from jobs.services.workshop import Workshop
from jobs.store.tables import Attempt, Preflight, RunTime

History = Sequence[Timed]
_LONGEST_NAME = 40


@dataclass(frozen=True, slots=True)
class Calibration:
    """How a machine's promises have turned out.

    :param runs: finished ones that had a promise.
    :param within_p90: of them, those that ended within their P90.
    """

    runs: int
    within_p90: int

    @property
    def share_within_p90(self) -> float | None:
        """Of 1; None where nothing has finished yet."""
        return self.within_p90 / self.runs if self.runs else None

    def to_json(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {
            "runs": self.runs,
            "within_p90": self.within_p90,
            "share_within_p90": self.share_within_p90,
        }


def history_of(session: Session, machine_id: str) -> History:
    """Return the newest finished runs of one machine that teach something."""
    return histories(session, [machine_id]).get(machine_id, ())


def histories(session: Session, machine_ids: Collection[str]) -> Mapping[str, History]:
    """Return the newest finished runs of each machine, the newest first."""
    found: dict[str, History] = {}
    for machine_id in sorted(set(machine_ids)):
        rows = session.scalars(
            select(RunTime)
            .where(RunTime.machine_id == machine_id, RunTime.teaches)
            .order_by(RunTime.at.desc())
            .limit(MOST_RUNS)
        )
        found[machine_id] = [
            Timed(
                row.slicer,
                Plan(row.planned_start_ms / 1000, row.planned_work_ms / 1000),
                (row.start_ms or 0) / 1000,
                (row.work_ms or 0) / 1000,
            )
            for row in rows
        ]
    return found


def calibration_of(session: Session, machine_id: str) -> Calibration:
    """Return how the newest promises of one machine have turned out."""
    rows = session.scalars(
        select(RunTime)
        .where(RunTime.machine_id == machine_id, RunTime.teaches)
        .order_by(RunTime.at.desc())
        .limit(MOST_RUNS)
    ).all()
    kept = sum((row.start_ms or 0) + (row.work_ms or 0) <= row.p90_ms for row in rows)
    return Calibration(len(rows), kept)


def promised(preflight: Preflight, history: History) -> Promise:
    """Return what may be promised of an examined program on the machine of that history."""
    return promised_time(preflight.planned_ms / 1000, preflight.report, history)


def promised_time(planned: float, report: Mapping[str, object], history: History) -> Promise:
    """Return what may be promised of a program that takes *planned* seconds by its report."""
    return promise(_split(planned, report), _maker(report), history)


def promised_of(report: Mapping[str, object], history: History) -> Promise:
    """Return what may be promised of a program that was only looked at.

    :param report: what inspection says of it, planned with the machine's limits.
    """
    whole = sum(_seconds(report, key) for key in ("time_s", "heatup_s", "homing_s"))
    return promised_time(whole, report, history)


def note_promise(
    session: Session, attempt: Attempt, preflight: Preflight, made: Promise, now: datetime
) -> None:
    """Keep what was promised with the run."""
    plan = _plan_of(preflight)
    session.add(
        RunTime(
            attempt_id=attempt.id,
            machine_id=attempt.machine_id,
            at=now,
            slicer=_slicer_of(preflight),
            planned_start_ms=_ms(plan.start),
            planned_work_ms=_ms(plan.work),
            start_p50_ms=_ms(made.start.p50),
            start_p90_ms=_ms(made.start.p90),
            work_p50_ms=_ms(made.work.p50),
            work_p90_ms=_ms(made.work.p90),
            p50_ms=_ms(made.whole.p50),
            p90_ms=_ms(made.whole.p90),
            runs=made.runs,
        )
    )


def note_end(session: Session, account: Account) -> None:
    """Keep what a finished run took, so that the next promises know it."""
    attempt = account.attempt
    row = session.get(RunTime, attempt.id)
    if row is None or attempt.state != AttemptState.FINISHED:
        return
    took = max(attempt.machine_ms - paused_ms(attempt), 1)
    planned = row.planned_start_ms + row.planned_work_ms
    began, working = attempt.detail.get("began_us"), attempt.detail.get("working_us")
    if isinstance(began, int) and isinstance(working, int):
        start = max(working - began, 0) // 1000
    else:
        # Nobody saw where its work began: both parts then erred alike.
        start = took * row.planned_start_ms // max(planned, 1)
    row.start_ms = min(start, took)
    row.work_ms = took - row.start_ms
    row.teaches = not (account.is_simulated or is_resume(account.preflight)) and planned > 0


def note_progress(session: Session, attempt: Attempt, at_us: int) -> None:
    """Note the instant at which the start is over: its last line is acknowledged."""
    if "working_us" in attempt.detail or not attempt.preflight_id or at_us <= 0:
        return
    preflight = session.get(Preflight, attempt.preflight_id)
    lines = preflight.report.get("start_lines") if preflight else None
    if isinstance(lines, int) and attempt.acked > lines:
        attempt.detail = {**attempt.detail, "working_us": at_us - 1000 * paused_ms(attempt)}


def note_pause(attempt: Attempt, at_us: int, *, begins: bool) -> None:
    """Let the clock of a run stand still while it is paused or asks a person something."""
    since = attempt.detail.get("pause_us")
    if begins and not isinstance(since, int):
        attempt.detail = {**attempt.detail, "pause_us": at_us}
    elif not begins and isinstance(since, int):
        rest = {key: value for key, value in attempt.detail.items() if key != "pause_us"}
        length = max(at_us - since, 0) // 1000
        attempt.detail = {**rest, "paused_ms": paused_ms(attempt) + length}


def paused_ms(attempt: Attempt) -> int:
    """Return how long a run was paused, as far as its pauses have ended."""
    value = attempt.detail.get("paused_ms")
    return value if isinstance(value, int) else 0


def stood_ms(attempt: Attempt, now: datetime) -> int:
    """Return how long a run has stood still so far, a pause that still lasts included."""
    since = attempt.detail.get("pause_us")
    open_ms = max(round(now.timestamp() * 1000) - since // 1000, 0) if isinstance(since, int) else 0
    return paused_ms(attempt) + open_ms


def time_left(
    workshop: Workshop, row: RunTime, planned_sha256: str | None, extent: Extent, now: datetime
) -> Span:
    """Return what is left of a run by its own promise [s]."""
    plan = Plan(row.planned_start_ms / 1000, row.planned_work_ms / 1000)
    made = Promise(
        Span(row.p50_ms / 1000, row.p90_ms / 1000),
        Span(row.start_p50_ms / 1000, row.start_p90_ms / 1000),
        Span(row.work_p50_ms / 1000, row.work_p90_ms / 1000),
        row.runs,
    )
    path = program_path(workshop.work_dir, planned_sha256 or "none")
    share = planned_share(path, extent.acked, extent.total)
    elapsed = (now - row.at) / timedelta(seconds=1) - extent.paused_ms / 1000
    return left(made, plan, share * (plan.start + plan.work), max(elapsed, 0.0))


@dataclass(frozen=True, slots=True)
class Extent:
    """How far a run has come: stream lines, and the time it stood still."""

    acked: int
    total: int
    paused_ms: int


def _plan_of(preflight: Preflight) -> Plan:
    return _split(preflight.planned_ms / 1000, preflight.report)


def _split(whole: float, report: Mapping[str, object]) -> Plan:
    start = min(max(_seconds(report, "start_s"), 0.0), whole)
    return Plan(start, whole - start)


def _seconds(report: Mapping[str, object], key: str) -> float:
    value = report.get(key)
    return float(value) if isinstance(value, int | float) else 0.0


def _slicer_of(preflight: Preflight) -> str:
    return _maker(preflight.report)


def _maker(report: Mapping[str, object]) -> str:
    said = report.get("slicer")
    name = said.get("name") if isinstance(said, Mapping) else None
    return name[:_LONGEST_NAME] if isinstance(name, str) else ""


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
