"""A job takes its place in the queue, and the world hears that it waits."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from jobs.domain.events import EventType
from jobs.domain.job import JobState, StepName, StepState
from jobs.services import outbox
from jobs.services.steps import set_step
from jobs.services.workshop import Workshop
from jobs.store.tables import Job


def enqueue(session: Session, workshop: Workshop, job: Job, now: datetime) -> None:
    """Say that a job waits; it keeps the place it had, if it had one."""
    job.queued_at = job.queued_at or now
    ahead = select(func.count()).where(
        Job.state == JobState.WAITING.value, Job.queued_at < job.queued_at
    )
    set_step(session, job.id, StepName.QUEUE, StepState.RUNNING, now)
    outbox.add(
        session,
        EventType.JOB_QUEUED,
        {
            "job": job.id,
            "kind": job.kind,
            "ahead": session.scalar(ahead) or 0,
            "simulated": job.simulated,
        },
        at=now,
        now=now,
        workshop=workshop,
        job_id=job.id,
    )
