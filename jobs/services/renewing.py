"""A machine that is another than it was needs its jobs prepared anew, without anybody asking."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from jobs.domain.job import HoldReason, JobState, StepName, StepState
from jobs.domain.preflight import Verdict
from jobs.services.resumed import is_resume
from jobs.services.starting import (
    is_current,
    machines_in_use,
    preflight_for,
    preflights_of,
    takes,
)
from jobs.services.steps import set_step, step_job
from jobs.services.targets import target_of
from jobs.services.workshop import Workshop
from jobs.store.tables import Job


def prepare_again(session: Session, job: Job, now: datetime) -> None:
    """Send a job through preparation once more; it keeps its place in the queue."""
    step_job(job, JobState.PREPARING, now)
    for name in StepName:
        if name is not StepName.FETCH:
            set_step(session, job.id, name, StepState.WAITING, now)


def renew(session: Session, workshop: Workshop, now: datetime) -> None:
    """Prepare again every job that waits on what its machines no longer are."""
    for job in outdated(session, workshop, _renewable(session)):
        if job.machine_id and is_resume(preflight_for(session, job.id, job.machine_id)):
            # Prepared anew it would begin from its beginning, on top of what is there.
            step_job(job, JobState.HELD, now)
            job.hold_reason = HoldReason.INTERRUPTED.value
        else:
            prepare_again(session, job, now)


def any_outdated(session: Session, workshop: Workshop) -> bool:
    """Tell whether `renew` would do anything."""
    return bool(outdated(session, workshop, _renewable(session)))


def outdated(session: Session, workshop: Workshop, jobs: Sequence[Job]) -> list[Job]:
    """Return those of *jobs* whose machines are not those they were prepared for.

    A machine whose firmware profile cannot be read is no machine until it can.
    """
    if not jobs:
        return []
    targets = [
        (machine, target)
        for machine in machines_in_use(session)
        if (target := target_of(machine, workshop.profiles_dir)) is not None
    ]
    found = preflights_of(session, [job.id for job in jobs])
    late = []
    for job in jobs:
        pairs = [
            (found.get((job.id, machine.id)), target)
            for machine, target in targets
            if takes(machine, job)
        ]
        if job.hold_reason == HoldReason.NO_MACHINE:
            is_late = bool(pairs)
        else:
            is_late = not all(is_current(one, target) for one, target in pairs) or all(
                one is not None and one.verdict == Verdict.BLOCK for one, _ in pairs
            )
        if is_late:
            late.append(job)
    return late


def _renewable(session: Session) -> Sequence[Job]:
    """Return jobs that no person holds: those that wait, also for any machine at all."""
    query = select(Job).where(
        or_(
            Job.state == JobState.WAITING.value,
            and_(
                Job.state == JobState.HELD.value,
                Job.hold_reason == HoldReason.NO_MACHINE.value,
            ),
        )
    )
    return session.scalars(query.order_by(Job.number)).all()
