"""How far each job came on its way through the house, row by row."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy.orm import Session

from jobs.domain.errors import RefusedError
from jobs.domain.job import JobState, StepName, StepState, may_become
from jobs.domain.policy import Reason, Refusal
from jobs.store.tables import Job, JobStep

_OVER = frozenset({StepState.DONE, StepState.SKIPPED, StepState.FAILED})
_ENDED = frozenset({JobState.DONE, JobState.FAILED, JobState.CANCELLED})


def begin_steps(session: Session, job_id: str, now: datetime, *, was_fetched: bool) -> None:
    """Write the way of a new job; its input is here already."""
    for name in StepName:
        session.add(JobStep(job_id=job_id, name=name.value, state=StepState.WAITING.value))
    session.flush()
    fetched = StepState.DONE if was_fetched else StepState.SKIPPED
    set_step(session, job_id, StepName.FETCH, fetched, now)


def set_step(
    session: Session,
    job_id: str,
    name: StepName,
    state: StepState,
    now: datetime,
    detail: Mapping[str, str | int | float] | None = None,
) -> None:
    """Move one step of a job's way."""
    step = session.get(JobStep, (job_id, name.value))
    if step is None:
        step = JobStep(job_id=job_id, name=name.value, state=state.value)
        session.add(step)
    if state is StepState.WAITING:
        step.started_at = step.ended_at = None
    elif step.started_at is None or state is StepState.RUNNING:
        step.started_at = now
    step.ended_at = now if state in _OVER else None
    step.state = state.value
    step.detail = dict(detail or {})


def step_job(job: Job, then: JobState, now: datetime) -> None:
    """Move a job to another state.

    :raises RefusedError: `wrong-state`, where there is no such step.
    """
    state = JobState(job.state)
    if not may_become(state, then):
        raise RefusedError(
            [Refusal(Reason.WRONG_STATE, {"state": state.value, "wanted": then.value})]
        )
    job.state = then.value
    job.ended_at = now if then in _ENDED else None
    if then is not JobState.HELD:
        job.hold_reason = None
