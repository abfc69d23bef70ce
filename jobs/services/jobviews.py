"""Jobs as pages show them: a few queries for a whole list."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from jobs.domain.job import AttemptState, HoldReason, InputKind, JobState, StepName, StepState
from jobs.domain.machine import Control
from jobs.domain.people import Actor, Role
from jobs.domain.preflight import Finding, Verdict
from jobs.kinds import KINDS, Start
from jobs.services.board import open_runs
from jobs.services.foresight import foreseen_of
from jobs.services.ordering import Line, line_of, order_of, positions
from jobs.services.promising import History, histories, promised
from jobs.services.starting import preflights_of
from jobs.services.views import (
    AttemptView,
    ForeseenView,
    GroupPart,
    JobView,
    PlaceView,
    PreflightView,
    PromiseView,
    RunView,
    StepView,
    TalkView,
    WaiverView,
)
from jobs.services.waived import unwaived, waivers_of, with_old
from jobs.services.workshop import Workshop
from jobs.store.tables import (
    Arming,
    Attempt,
    Job,
    JobStep,
    Machine,
    Person,
    Preflight,
    Record,
    RunTime,
)
from jobs.store.waiting import JobAsk, JobGroup

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ORDER = {name.value: number for number, name in enumerate(StepName)}


@dataclass(frozen=True, slots=True)
class _Around:
    """What the rows of a list refer to."""

    people: Mapping[str, Person]
    machines: Mapping[str, Machine]
    attempts: Mapping[str, Attempt]  # open ones, by job
    runs: Mapping[str, RunView]  # of those, by machine
    preflights: Mapping[str, Sequence[Preflight]]  # by job
    histories: Mapping[str, History]  # by machine
    positions: Mapping[str, int]
    places: Mapping[str, PlaceView]
    foreseen: Mapping[str, ForeseenView]
    groups: Mapping[str, GroupPart]  # by job


def job_views(
    session: Session,
    workshop: Workshop,
    jobs: Sequence[Job],
    viewer: Actor | None,
    now: datetime,
    line: Line | None = None,
) -> list[JobView]:
    """Return *jobs* in their order, as *viewer* may see them.

    :param line: the queue as it stands, where the caller has it already.
    """
    around = _around(session, workshop, jobs, viewer, now, line)
    return [_job_view(job, around, viewer) for job in jobs]


def _around(
    session: Session,
    workshop: Workshop,
    jobs: Sequence[Job],
    viewer: Actor | None,
    now: datetime,
    line: Line | None,
) -> _Around:
    ids = [job.id for job in jobs]
    people = session.scalars(select(Person).where(Person.id.in_({job.person_id for job in jobs})))
    attempts = session.scalars(
        select(Attempt).where(Attempt.job_id.in_(ids), Attempt.ended_at.is_(None))
    ).all()
    preflights: dict[str, list[Preflight]] = {}
    for preflight in preflights_of(session, ids).values():
        preflights.setdefault(preflight.job_id, []).append(preflight)
    is_waiting = any(job.state == JobState.WAITING for job in jobs)
    if line is None and is_waiting:
        line = line_of(session, workshop, now, claims=False)
    return _Around(
        {person.id: person for person in people},
        {machine.id: machine for machine in session.scalars(select(Machine))},
        {attempt.job_id: attempt for attempt in attempts},
        open_runs(session, workshop, [one.machine_id for one in attempts], viewer, now),
        preflights,
        histories(session, {one.machine_id for each in preflights.values() for one in each}),
        positions(line) if line else {},
        _places(line) if line else {},
        foreseen_of(session, ids) if is_waiting else {},
        _groups(session, ids),
    )


def _groups(session: Session, job_ids: Sequence[str]) -> Mapping[str, GroupPart]:
    """Return the group of each job that is in one, with its progress."""
    rows = session.execute(
        select(JobAsk.job_id, JobAsk.group_id).where(
            JobAsk.job_id.in_(job_ids), JobAsk.group_id.is_not(None)
        )
    ).all()
    if not rows:
        return {}
    done = func.sum(case((Job.state == JobState.DONE.value, 1), else_=0))
    counted = session.execute(
        select(JobGroup.id, JobGroup.title, done, func.count())
        .join(JobAsk, JobAsk.group_id == JobGroup.id)
        .join(Job, Job.id == JobAsk.job_id)
        .where(JobGroup.id.in_({group_id for _, group_id in rows}))
        .group_by(JobGroup.id, JobGroup.title)
    )
    parts = {one: GroupPart(one, title, int(done), total) for one, title, done, total in counted}
    return {job_id: parts[group_id] for job_id, group_id in rows}


def _places(line: Line) -> Mapping[str, PlaceView]:
    return {one.job.id: PlaceView(one.points, one.parts, one.bay.slug) for one in order_of(line)}


def _job_view(job: Job, around: _Around, viewer: Actor | None) -> JobView:
    attempt = around.attempts.get(job.id)
    machine = around.machines[attempt.machine_id] if attempt else None
    fitting = _best(around.preflights.get(job.id, ()), attempt)
    mine = viewer is not None and viewer.person_id == job.person_id
    wished = around.machines.get(job.machine_id or "")
    return JobView(
        id=job.id,
        number=job.number,
        title=job.title,
        owner_id=job.person_id,
        owner_name=around.people[job.person_id].name,
        kind=job.kind,
        machine_slug=wished.slug if wished else None,
        state=JobState(job.state),
        hold_reason=HoldReason(job.hold_reason) if job.hold_reason else None,
        input_kind=InputKind(job.input_kind),
        input_name=job.input_name,
        created_at=job.created_at,
        queued_at=job.queued_at,
        ended_at=job.ended_at,
        planned_s=fitting.planned_ms / 1000 if fitting else None,
        promise=_promise_of(fitting, around.histories) if fitting else None,
        mass_g=fitting.mass_mg / 1000 if fitting else None,
        position=around.positions.get(job.id),
        run=around.runs.get(attempt.machine_id) if attempt else None,
        mine=mine,
        may=may(job, attempt, machine, _by_hand(job, around.machines.values()), viewer),
        simulated=job.simulated,
        place=around.places.get(job.id),
        foreseen=around.foreseen.get(job.id) if job.state == JobState.WAITING else None,
        group=around.groups.get(job.id),
        made_ready=job.kind in KINDS and KINDS[job.kind].start is Start.PERSON,
    )


def _best(preflights: Sequence[Preflight], attempt: Attempt | None) -> Preflight | None:
    """Return the one that is used, else the first that may be."""
    if attempt is not None:
        return next((one for one in preflights if one.id == attempt.preflight_id), None)
    fitting = [one for one in preflights if one.verdict != Verdict.BLOCK]
    return min(fitting or preflights, key=lambda one: one.planned_ms, default=None)


def _by_hand(job: Job, machines: Iterable[Machine]) -> bool:
    return any(
        machine.control == Control.BY_HAND and machine.retired_at is None
        for machine in machines
        if (machine.id == job.machine_id or (job.machine_id is None and machine.kind == job.kind))
    )


def may(
    job: Job, attempt: Attempt | None, machine: Machine | None, by_hand: bool, viewer: Actor | None
) -> frozenset[str]:
    """Return the verbs *viewer* may use on *job* as it stands."""
    if viewer is None:
        return frozenset()
    if viewer.person_id != job.person_id and not viewer.is_at_least(Role.OPERATOR):
        return frozenset()
    match JobState(job.state):
        case JobState.PREPARING:
            return frozenset({"hold", "cancel"})
        case JobState.WAITING:
            return frozenset({"hold", "cancel"} | ({"started"} if by_hand else set()))
        case JobState.HELD:
            return frozenset({"release", "cancel"})
        case JobState.FAILED:
            return frozenset({"retry"})
        case JobState.RUNNING if attempt is not None and machine is not None:
            if machine.control == Control.BY_HAND:
                return frozenset({"finished", "failed", "cancel"})
            is_paused = attempt.state == AttemptState.PAUSED
            return frozenset({"cancel", "resume" if is_paused else "pause"})
        case _:
            return frozenset()


def step_views(session: Session, job_id: str) -> list[StepView]:
    """Return a job's way, in order."""
    rows = session.scalars(select(JobStep).where(JobStep.job_id == job_id)).all()
    return [
        StepView(
            StepName(row.name), StepState(row.state), row.started_at, row.ended_at, row.detail or {}
        )
        for row in sorted(rows, key=lambda row: _ORDER[row.name])
    ]


def preflight_views(session: Session, workshop: Workshop, job_id: str) -> list[PreflightView]:
    """Return what the newest preparation found for each machine, by slug."""
    query = (
        select(Preflight, Machine)
        .join(Machine, Machine.id == Preflight.machine_id)
        .where(Preflight.job_id == job_id, Preflight.superseded_at.is_(None))
        .order_by(Machine.slug)
    )
    rows = session.execute(query).all()
    known = histories(session, [machine.id for _, machine in rows])
    return [
        PreflightView(
            machine_slug=machine.slug,
            machine_name=machine.name,
            verdict=Verdict(row.verdict),
            findings=[
                with_old(one, workshop.live.get(machine.slug)) for one in findings_of(row.findings)
            ],
            planned_s=row.planned_ms / 1000,
            promise=_promise_of(row, known),
            mass_g=row.mass_mg / 1000,
            filament_mm=row.filament_um / 1000,
            stream_lines=row.stream_lines,
            report=row.report,
            id=row.id,
            program_sha256=row.program_sha256,
            open_findings=unwaived(session, row),
            waivers=_waivers(session, row),
        )
        for row, machine in rows
    ]


def _promise_of(preflight: Preflight, known: Mapping[str, History]) -> PromiseView | None:
    if preflight.planned_ms <= 0:
        return None
    made = promised(preflight, known.get(preflight.machine_id, ()))
    return PromiseView(made.whole.p50, made.whole.p90, made.runs)


def _waivers(session: Session, preflight: Preflight) -> list[WaiverView]:
    """Return the words that hold for this program on this machine, oldest first."""
    rows = waivers_of(session, preflight)
    people = session.scalars(select(Person).where(Person.id.in_({row.person_id for row in rows})))
    names = {person.id: person.name for person in people}
    return [
        WaiverView(
            code=row.code,
            line=row.line,
            text=row.text,
            fields=row.fields,
            reason=row.reason,
            by=names.get(row.person_id, ""),
            at=row.at,
            program_sha256=row.program_sha256,
            limits_sha256=row.limits_sha256,
        )
        for row in rows
    ]


def attempt_views(session: Session, job_id: str) -> list[AttemptView]:
    """Return a job's runs, oldest first."""
    query = (
        select(Attempt, Machine, Person.name, Record.id, RunTime)
        .join(Machine, Machine.id == Attempt.machine_id)
        .outerjoin(Arming, Arming.id == Attempt.arming_id)
        .outerjoin(Person, Person.id == Arming.person_id)
        .outerjoin(Record, Record.attempt_id == Attempt.id)
        .outerjoin(RunTime, RunTime.attempt_id == Attempt.id)
        .where(Attempt.job_id == job_id)
        .order_by(Attempt.started_at)
    )
    return [
        AttemptView(
            id=row.id,
            machine_slug=machine.slug,
            machine_name=machine.name,
            state=AttemptState(row.state),
            started_at=row.started_at,
            ended_at=row.ended_at,
            acked=row.acked,
            sent=row.sent,
            total=row.total,
            line=row.source_line,
            resends=row.resends,
            machine_s=row.machine_ms / 1000,
            armed_by=armed_by,
            reason=row.reason,
            record_id=record_id,
            detail=_plain(row.detail),
            promise=_kept(made) if made else None,
            talk=_talk(row),
        )
        for row, machine, armed_by, record_id, made in session.execute(query)
    ]


def _kept(made: RunTime) -> PromiseView:
    return PromiseView(made.p50_ms / 1000, made.p90_ms / 1000, made.runs)


def _plain(detail: Mapping[str, object]) -> dict[str, str | int | float]:
    return {name: value for name, value in detail.items() if isinstance(value, str | int | float)}


def _talk(attempt: Attempt) -> list[TalkView]:
    talk = attempt.detail.get("talk")
    found: list[TalkView] = []
    for said in talk if isinstance(talk, list) else ():
        texts = {name: str(said.get(name, "")) for name in ("kind", "text", "answer", "by")}
        at = _EPOCH + timedelta(microseconds=int(said.get("at_us", 0)))
        found.append(TalkView(at=at, **texts))
    return found


def findings_of(stored: Sequence[object] | None) -> list[Finding]:
    """Return findings as they were stored."""
    return [Finding.from_json(one) for one in stored or () if isinstance(one, Mapping)]
