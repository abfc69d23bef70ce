"""A job's page: its way, what was found, what it waits for, its runs and records."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from jobs.domain.job import JobState
from jobs.domain.machine import Control
from jobs.domain.people import Actor
from jobs.domain.policy import Reason, Refusal
from jobs.services.designviews import design_view
from jobs.services.jobviews import (
    attempt_views,
    findings_of,
    job_views,
    preflight_views,
    step_views,
)
from jobs.services.ledger import record_view
from jobs.services.starting import candidates, preflight_for, refusals, standing_of
from jobs.services.views import JobDetail
from jobs.services.workshop import Workshop
from jobs.store.tables import Attempt, Design, Job, Record


def job_detail(
    session: Session, workshop: Workshop, job: Job, viewer: Actor | None, now: datetime
) -> JobDetail:
    """Return everything about one job, as *viewer* may see it."""
    design = session.get(Design, job.design_id) if job.design_id else None
    records = session.scalars(
        select(Record)
        .join(Attempt, Attempt.id == Record.attempt_id)
        .where(Attempt.job_id == job.id)
        .order_by(Record.seq)
    )
    return JobDetail(
        job=job_views(session, workshop, [job], viewer, now)[0],
        steps=step_views(session, job.id),
        findings=findings_of(job.findings),
        preflights=preflight_views(session, workshop, job.id),
        attempts=attempt_views(session, job.id),
        design=design_view(design) if design else None,
        recipe=job.recipe,
        report=job.report or {},
        waits_for=_waits_for(session, workshop, job, now),
        records=[record_view(record) for record in records],
    )


def _waits_for(
    session: Session, workshop: Workshop, job: Job, now: datetime
) -> list[tuple[str, list[Refusal]]]:
    """Return, for each machine that could take it, why it does not start there now."""
    if job.state != JobState.WAITING:
        return []
    waits: list[tuple[str, list[Refusal]]] = []
    for machine in candidates(session, job):
        standing = standing_of(session, workshop, machine, now)
        preflight = preflight_for(session, job.id, machine.id)
        found = refusals(session, job, standing, preflight, now, started_by_person=False)
        if machine.control == Control.BY_HAND:
            # Nothing holds it up but the person who carries the file over.
            found = [Refusal(Reason.PERSON_MUST_START), *standing.unchecked]
        waits.append((machine.slug, found))
    return waits
