"""Going on with an interrupted job from a line that a person chose, after reading what is sent.

Nothing resumes by itself: a plan is made in a worker and shown line by line; what a person then
confirms, by its hash, takes the job's preflight's place and waits for an arming like any start.
"""

from __future__ import annotations

import tempfile
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from drivers.errors import ProfileError
from drivers.profile import load_profile
from jobs.domain.errors import InvalidError, NotAllowedError, NotFoundError, RefusedError
from jobs.domain.job import AttemptState, HoldReason, JobState
from jobs.domain.people import Actor, Role
from jobs.domain.policy import Reason, Refusal
from jobs.domain.preflight import Finding, Verdict
from jobs.domain.slots import slots_from
from jobs.services.examined import Examined, write_preflights
from jobs.services.examining import Examining
from jobs.services.planned import program_path
from jobs.services.programs import Programs
from jobs.services.promising import history_of, promised_time
from jobs.services.queueing import enqueue
from jobs.services.resumed import RESUME
from jobs.services.steps import step_job
from jobs.services.targets import Target, target_of
from jobs.services.views import PromiseView
from jobs.services.workshop import Workshop
from jobs.store.tables import Attempt, Job, Machine, Preflight

_LEFTOVER = "preparing-"  # as in preparation, which clears such folders away


@dataclass(frozen=True, slots=True)
class ResumeOffer:
    """What a person may choose from.

    :param line: of the uploaded file, before which everything surely was made.
    :param layers: height of each [mm], in the order they are made; empty for a mill.
    :param asks_height: the nozzle's height is to be said: Z is never homed onto a part.
    """

    job_id: str
    attempt_id: str
    machine_slug: str
    machine_name: str
    kind: str
    line: int
    sent_line: int
    layers: Sequence[float]
    asks_height: bool


@dataclass(frozen=True, slots=True)
class ResumeWish:
    """What they chose; a layer goes before a line."""

    line: int
    layer: int = 0
    height_mm: float | None = None


@dataclass(frozen=True, slots=True)
class ResumePlan:
    """What would be sent.

    :param stream_sha256: of exactly these lines; a person confirms it.
    :param homing: lines sent first if the machine has lost its place.
    :param preamble: the new lines.
    :param following: the first of the program's own lines after them.
    :param tool: number of the tool that must be in.
    """

    offer: ResumeOffer
    wish: ResumeWish
    stream_sha256: str
    homing: Sequence[str]
    preamble: Sequence[str]
    following: Sequence[str]
    from_line: int
    rest_lines: int
    tool: int
    planned_s: float
    promise: PromiseView | None
    findings: Sequence[Finding]
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class _Origin:
    """The interrupted run and the whole program that it was of."""

    offer: ResumeOffer
    target: Target
    profile: str | None
    stream: str
    index: str
    density_g_cm3: float | None


class Resuming:
    """Use cases about going on with what was interrupted; the owner or an operator may."""

    def __init__(self, workshop: Workshop, programs: Programs) -> None:
        self._workshop = workshop
        self._examining = Examining(workshop, programs)

    def offer(self, actor: Actor, job_id: str) -> ResumeOffer | None:
        """Return what may be chosen; None if the job was not interrupted."""
        with self._workshop.database.read() as session:
            origin = self._origin(session, _own(session, actor, job_id))
        return origin.offer if origin else None

    def offered(self, actor: Actor, job_id: str) -> ResumeOffer:
        """Return what may be chosen.

        :raises RefusedError: if the job was not interrupted.
        """
        offer = self.offer(actor, job_id)
        if offer is None:
            raise RefusedError([Refusal(Reason.WRONG_STATE, _wanted(JobState.HELD))])
        return offer

    def plan(self, actor: Actor, job_id: str, wish: ResumeWish) -> ResumePlan:
        """Make the lines that would be sent, and examine them; nothing is changed.

        :raises RefusedError: if the job was not interrupted.
        """
        return self._made(actor, job_id, wish)[0]

    def confirm(
        self, actor: Actor, job_id: str, wish: ResumeWish, stream_sha256: str, now: datetime
    ) -> None:
        """Have the job wait for an arming, to go on as it was shown.

        :param stream_sha256: of the plan that was read.
        :raises RefusedError: if it would not be the same, or is blocked.
        """
        plan, examined, target = self._made(actor, job_id, wish)
        if plan.stream_sha256 != stream_sha256 or not stream_sha256:
            raise RefusedError([Refusal(Reason.RESUME_CHANGED)])
        if plan.verdict is Verdict.BLOCK:
            raise RefusedError([Refusal(Reason.BLOCKED_BY_PREFLIGHT)])
        with self._workshop.database.write() as session:
            job = _own(session, actor, job_id)
            origin = self._origin(session, job)
            if origin is None or origin.offer != plan.offer:
                raise RefusedError([Refusal(Reason.RESUME_CHANGED)])
            # Only this machine holds the part.
            job.machine_id = target.machine_id
            write_preflights(session, self._workshop, job, [(target, examined)], now)
            job.hold_reason = None
            step_job(job, JobState.WAITING, now)
            enqueue(session, self._workshop, job, now)
        self._workshop.live.touch()

    def _made(
        self, actor: Actor, job_id: str, wish: ResumeWish
    ) -> tuple[ResumePlan, Examined, Target]:
        with self._workshop.database.read() as session:
            origin = self._origin(session, _own(session, actor, job_id))
        if origin is None:
            raise RefusedError([Refusal(Reason.WRONG_STATE, _wanted(JobState.HELD))])
        if wish.line < 0 or wish.layer < 0 or not (wish.line or wish.layer):
            raise InvalidError("form.choice", field="line", key="line")
        work_dir = self._workshop.work_dir
        files = {
            "stream": program_path(work_dir, origin.stream),
            "index": program_path(work_dir, origin.index),
        }
        if not all(path.is_file() for path in files.values()):
            raise NotFoundError("job.program-gone")
        extra: dict[str, object] = {
            "line": wish.line,
            "layer": wish.layer,
            "height_mm": wish.height_mm if origin.offer.asks_height else None,
            "density_g_cm3": origin.density_g_cm3,
        }
        with tempfile.TemporaryDirectory(prefix=_LEFTOVER, dir=work_dir) as folder:
            examined, said = self._examining.resume(
                origin.target, files, extra, Path(folder) / "resume"
            )
        resume = {
            "attempt": origin.offer.attempt_id,
            "line": _whole(said, "from_line"),
            "new_lines": len(_texts(said, "preamble")),
            "stream_sha256": origin.stream,
            "index_sha256": origin.index,
        }
        examined = replace(examined, report={**examined.report, RESUME: resume})
        plan = ResumePlan(
            offer=origin.offer,
            wish=wish,
            stream_sha256=examined.stream_sha256 or "",
            homing=self._homing(origin),
            preamble=_texts(said, "preamble"),
            following=_texts(said, "following"),
            from_line=_whole(said, "from_line"),
            rest_lines=_whole(said, "rest_lines"),
            tool=_whole(said, "tool"),
            planned_s=examined.planned_ms / 1000,
            promise=self._promised(origin.target.machine_id, examined),
            findings=examined.findings,
            verdict=examined.verdict,
        )
        return plan, examined, origin.target

    def _promised(self, machine_id: str, examined: Examined) -> PromiseView | None:
        if examined.planned_ms <= 0:
            return None
        with self._workshop.database.read() as session:
            history = history_of(session, machine_id)
        made = promised_time(examined.planned_ms / 1000, examined.report, history)
        return PromiseView(made.whole.p50, made.whole.p90, made.runs)

    def _homing(self, origin: _Origin) -> tuple[str, ...]:
        if origin.profile is None or origin.target.dialect == "marlin":
            return ()
        try:
            return load_profile(origin.profile, self._workshop.profiles_dir).homing
        except ProfileError:
            return ()

    def _origin(self, session: Session, job: Job) -> _Origin | None:
        """Return the run that was interrupted; None if nothing of the job was."""
        if job.state != JobState.HELD or job.hold_reason != HoldReason.INTERRUPTED:
            return None
        attempt = session.scalars(
            select(Attempt).where(Attempt.job_id == job.id).order_by(Attempt.started_at.desc())
        ).first()
        if attempt is None or attempt.state != AttemptState.INTERRUPTED:
            return None
        machine = session.get_one(Machine, attempt.machine_id)
        preflight = session.get(Preflight, attempt.preflight_id) if attempt.preflight_id else None
        target = target_of(machine, self._workshop.profiles_dir)
        if preflight is None or target is None or machine.retired_at is not None:
            return None
        before = preflight.report.get(RESUME)
        whole = before if isinstance(before, Mapping) else {}
        # Its stream has their numbers already, and its material comes from them.
        target = target.drawing(slots_from(preflight.report.get("slots")))
        blocks = attempt.detail.get("planner_blocks", target.limits.planner_blocks)
        line, sent = self._lines(preflight, attempt, int(str(blocks)))
        offer = ResumeOffer(
            job_id=job.id,
            attempt_id=attempt.id,
            machine_slug=machine.slug,
            machine_name=machine.name,
            kind=machine.kind,
            line=line or int(str(whole.get("line", 1))),
            sent_line=sent,
            layers=tuple(_layers(self._whole_report(session, job, whole, preflight))),
            asks_height=target.dialect == "marlin",
        )
        return _Origin(
            offer,
            target,
            machine.profile,
            str(whole.get("stream_sha256") or preflight.stream_sha256),
            str(whole.get("index_sha256") or preflight.index_sha256),
            _density(preflight),
        )

    def _whole_report(
        self, session: Session, job: Job, whole: Mapping[str, object], preflight: Preflight
    ) -> Mapping[str, object]:
        """Return the report of the whole program, also where this run was the rest of it."""
        if not whole:
            return preflight.report
        first = session.scalars(
            select(Preflight).where(
                Preflight.job_id == job.id,
                Preflight.stream_sha256 == str(whole.get("stream_sha256")),
            )
        ).first()
        return first.report if first is not None else {}

    def _lines(self, preflight: Preflight, attempt: Attempt, blocks: int) -> tuple[int, int]:
        """Return the first line of the upload that may not be made, and the last sent; 0: none."""
        path = program_path(self._workshop.work_dir, preflight.index_sha256 or "none")
        try:
            index = array("I", path.read_bytes())
        except (OSError, ValueError):
            return attempt.source_line, attempt.source_line
        if not index:
            return 0, 0
        # Acknowledged is not made: the last moves may still have been in the planner.
        made = index[min(max(attempt.acked - blocks, 0), len(index) - 1)]
        sent = index[min(max(attempt.sent, 1), len(index)) - 1]
        return int(made), int(sent)


def _layers(report: Mapping[str, object]) -> list[float]:
    layers = report.get("layers")
    found = layers if isinstance(layers, list) else []
    return [float(one["z_mm"]) for one in found if isinstance(one, Mapping) and "z_mm" in one]


def _density(preflight: Preflight) -> float | None:
    """Return the density that the whole was reckoned with [g/cm³]."""
    volume = preflight.report.get("volume_mm3")
    if not isinstance(volume, int | float) or volume <= 0 or not preflight.mass_mg:
        return None
    return preflight.mass_mg / float(volume)


def _texts(said: Mapping[str, object], key: str) -> tuple[str, ...]:
    value = said.get(key)
    return tuple(str(one) for one in value) if isinstance(value, list) else ()


def _whole(said: Mapping[str, object], key: str) -> int:
    value = said.get(key)
    return value if isinstance(value, int) else 0


def _wanted(state: JobState) -> dict[str, str | int | float]:
    return {"state": state.value, "wanted": state.value}


def _own(session: Session, actor: Actor, job_id: str) -> Job:
    job = session.get(Job, job_id)
    if job is None:
        raise NotFoundError("job.unknown")
    if job.person_id != actor.person_id and not actor.is_at_least(Role.OPERATOR):
        raise NotAllowedError("person.not-allowed", needed=Role.OPERATOR.value)
    return job
