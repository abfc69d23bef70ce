"""From an input to a program that may run: check, slice, preflight, queue; one job at a time.

Each stage is a short transaction of its own and the work between them runs in workers, so a
node that is killed on the way leaves a job that is simply prepared again.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from jobs.domain.errors import NotFoundError
from jobs.domain.job import HoldReason, JobState, StepName, StepState
from jobs.domain.preflight import Finding, FindingCode, Severity, Verdict, verdict
from jobs.services.examined import (
    Examined,
    Given,
    Program,
    is_about_licence,
    is_mesh,
    kind_of,
    may_run,
    split,
    write_preflights,
)
from jobs.services.examining import Examining
from jobs.services.meshes import mesh_machines
from jobs.services.programs import Programs
from jobs.services.queueing import enqueue
from jobs.services.renewing import any_outdated, renew
from jobs.services.slots import chosen, match
from jobs.services.sniff import sniff
from jobs.services.starting import candidates
from jobs.services.steps import set_step, step_job
from jobs.services.targets import Like, Target, target_of
from jobs.services.workshop import Workshop
from jobs.store.tables import Job
from jobs.store.waiting import JobAsk

_LEFTOVER = "preparing-"  # private folders; one is left behind by a node that was killed

Clock = Callable[[], datetime]


class _Gone(Exception):  # noqa: N818 - no error: a person held or cancelled the job meanwhile
    """The job is no longer to be prepared, or no longer so."""


class Preparation:
    """Prepares jobs; one caller at a time, workers do the heavy part."""

    def __init__(self, workshop: Workshop, programs: Programs) -> None:
        self._workshop = workshop
        self._examining = Examining(workshop, programs)

    def prepare_next(self, now: Clock) -> bool:
        """Prepare the oldest job that needs it; False if there is none."""
        query = (
            select(Job.id)
            .where(Job.state == JobState.PREPARING.value)
            .order_by(Job.created_at, Job.number)
            .limit(1)
        )
        with self._workshop.database.read() as session:
            job_id = session.scalar(query)
        if job_id is None:
            return False
        for left in self._workshop.work_dir.glob(f"{_LEFTOVER}*"):
            shutil.rmtree(left, ignore_errors=True)
        with suppress(_Gone):
            self._prepare(job_id, now)
        self._workshop.live.touch()
        return True

    def _prepare(self, job_id: str, now: Clock) -> None:
        given = self._check(job_id, now)
        if given is None:
            return
        targets = self._targets(given, now)
        if not targets:
            return
        if given.is_mesh and self._examining.lacks_slicer(given):
            self._hold(job_id, HoldReason.SLICER_MISSING, StepName.SLICE, now)
            return
        with tempfile.TemporaryDirectory(prefix=_LEFTOVER, dir=self._workshop.work_dir) as folder:
            programs = self._programs(given, targets, Path(folder), now)
            if self._is_unsliced(given, programs):
                self._hold(job_id, HoldReason.SLICER_MISSING, StepName.SLICE, now)
                return
            found = self._examine(given, targets, programs, Path(folder), now)
        self._queue(given, targets, found, now)

    def renew(self, now: datetime) -> None:
        """Prepare again what waits on machines as they were: a profile file may have changed."""
        with self._workshop.database.read() as session:
            if not any_outdated(session, self._workshop):
                return
        with self._workshop.database.write() as session:
            renew(session, self._workshop, now)
        self._workshop.live.touch()

    def _check(self, job_id: str, now: Clock) -> Given | None:
        """Inspect the input; None if the job is held for what was found."""
        with self._stage(job_id) as session:
            job = session.get_one(Job, job_id)
            set_step(session, job_id, StepName.CHECK, StepState.RUNNING, now())
            kept = [Finding.from_json(one) for one in job.findings if is_about_licence(one)]
            kind, recipe, mesh = job.kind, job.recipe, is_mesh(job)
            sha256, name = job.input_sha256, job.input_name
            wish: dict[str, object] = {}
            if mesh:
                wanted = {machine.id for machine in candidates(session, job)}
                wish = {"machines": mesh_machines(session, wanted)}
        try:
            path = self._workshop.library.path(sha256)
        except NotFoundError:
            finding = Finding(FindingCode.UNREADABLE, Severity.BLOCK, fields={"reason": "missing"})
            self._note_check(job_id, {}, [*kept, finding], kind, now)
            return None
        sniffed = sniff(path)
        suffix = sniffed.suffix if sniffed else Path(name).suffix
        if mesh:
            wish |= self._examining.material(recipe)
        report, findings = split(self._examining.inspect(path, suffix, wish))
        kind = kind or kind_of(report, mesh)
        self._note_check(job_id, report, [*kept, *findings], kind, now)
        if verdict([*kept, *findings]) is Verdict.BLOCK:
            return None
        return Given(job_id, path, suffix, mesh, recipe)

    def _note_check(
        self,
        job_id: str,
        report: Mapping[str, object],
        findings: Sequence[Finding],
        kind: str,
        now: Clock,
    ) -> None:
        is_blocked = verdict(findings) is Verdict.BLOCK
        with self._stage(job_id) as session:
            job = session.get_one(Job, job_id)
            job.report, job.kind = dict(report), kind
            job.findings = [finding.to_json() for finding in findings]
            state = StepState.FAILED if is_blocked else StepState.DONE
            set_step(session, job_id, StepName.CHECK, state, now())
            if is_blocked:
                _hold(job, HoldReason.FINDINGS, now())

    def _targets(self, given: Given, now: Clock) -> list[Target]:
        with self._stage(given.job_id) as session:
            job = session.get_one(Job, given.job_id)
            targets = self._targets_now(session, job)
            if not targets:
                _hold(job, HoldReason.NO_MACHINE, now())
                set_step(session, job.id, StepName.PREFLIGHT, StepState.FAILED, now())
        return targets

    def _targets_now(self, session: Session, job: Job) -> list[Target]:
        profiles = self._workshop.profiles_dir
        found = [target_of(machine, profiles) for machine in candidates(session, job)]
        ask = session.get(JobAsk, job.id)
        return [one.drawing(chosen(ask, one.machine_id)) for one in found if one is not None]

    def _is_unsliced(self, given: Given, programs: Mapping[Like, Program]) -> bool:
        """Nothing came of it, and a real slicer is what is missing."""
        may_be_mended = given.is_mesh and self._workshop.slicer is None and not given.recipe
        return may_be_mended and all(program.path is None for program in programs.values())

    def _programs(
        self, given: Given, targets: Sequence[Target], folder: Path, now: Clock
    ) -> dict[Like, Program]:
        """Return the program for each sort of machine; slicing depends on limits alone."""
        if not given.is_mesh:
            with self._stage(given.job_id) as session:
                set_step(session, given.job_id, StepName.SLICE, StepState.SKIPPED, now())
            return {target.like: Program(given.path) for target in targets}
        with self._stage(given.job_id) as session:
            set_step(session, given.job_id, StepName.SLICE, StepState.RUNNING, now())
        by_limits: dict[str, Program] = {}
        for target in targets:
            key = target.limits.sha256()
            if key not in by_limits:
                outputs = folder / f"slice-{len(by_limits)}"
                by_limits[key] = self._examining.slice(given, target, outputs)
        is_done = any(program.path for program in by_limits.values())
        with self._stage(given.job_id) as session:
            state = StepState.DONE if is_done else StepState.FAILED
            set_step(session, given.job_id, StepName.SLICE, state, now())
        return {target.like: by_limits[target.limits.sha256()] for target in targets}

    def _examine(
        self,
        given: Given,
        targets: Sequence[Target],
        programs: Mapping[Like, Program],
        folder: Path,
        now: Clock,
    ) -> dict[Like, Examined]:
        with self._stage(given.job_id) as session:
            set_step(session, given.job_id, StepName.PREFLIGHT, StepState.RUNNING, now())
        found: dict[Like, Examined] = {}
        for target in targets:
            if target.like not in found:
                outputs = folder / f"prepare-{len(found)}"
                program = programs[target.like]
                found[target.like] = self._examining.examine(target, program, outputs)
        return found

    def _queue(
        self,
        given: Given,
        targets: Sequence[Target],
        found: Mapping[Like, Examined],
        now: Clock,
    ) -> None:
        """Write what was found for every machine, and let the job wait if one of them may."""
        with self._stage(given.job_id) as session:
            at = now()
            job = session.get_one(Job, given.job_id)
            if self._targets_now(session, job) != targets:
                raise _Gone  # a machine was changed meanwhile: the next round sees what it is now
            pairs = [(target, found[target.like]) for target in targets]
            write_preflights(session, self._workshop, job, pairs, at)
            if match(session, job, targets):
                return  # the next round examines it with the slots that were found
            fits = any(may_run(found[target.like]) for target in targets)
            state = StepState.DONE if fits else StepState.FAILED
            set_step(session, job.id, StepName.PREFLIGHT, state, at)
            if fits:
                step_job(job, JobState.WAITING, at)
                enqueue(session, self._workshop, job, at)
            else:
                _hold(job, HoldReason.FINDINGS, at)

    def _hold(self, job_id: str, why: HoldReason, step: StepName, now: Clock) -> None:
        with self._stage(job_id) as session:
            set_step(session, job_id, step, StepState.FAILED, now())
            _hold(session.get_one(Job, job_id), why, now())

    @contextmanager
    def _stage(self, job_id: str) -> Iterator[Session]:
        """One short transaction, for a job that still is to be prepared."""
        with self._workshop.database.write() as session:
            job = session.get(Job, job_id, with_for_update=True)
            if job is None or job.state != JobState.PREPARING:
                raise _Gone
            yield session
        self._workshop.live.touch()


def _hold(job: Job, why: HoldReason, now: datetime) -> None:
    step_job(job, JobState.HELD, now)
    job.hold_reason = why.value
