"""Jobs that wait for another which will not be done: their owners hear it at once, with ways out.

Nothing is decided for them: to wait no more, to have the other tried again, or to give theirs up.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from jobs.domain.job import JobState
from jobs.services.notices import tell
from jobs.services.workshop import Workshop
from jobs.store.tables import Job
from jobs.store.waiting import JobAfter

LOST: Final = frozenset({JobState.FAILED.value, JobState.CANCELLED.value})
_OPEN: Final = (JobState.PREPARING.value, JobState.WAITING.value, JobState.HELD.value)


def tell_dependents(session: Session, workshop: Workshop, job: Job, now: datetime) -> int:
    """Tell the owners of what waits for a job that failed or was cancelled; return how many."""
    if job.state not in LOST:
        return 0
    waiting = session.scalars(
        select(Job)
        .join(JobAfter, JobAfter.job_id == Job.id)
        .where(JobAfter.after_id == job.id, Job.state.in_(_OPEN))
        .order_by(Job.number)
    ).all()
    told = 0
    for one in waiting:
        code = f"job-after-{job.state}"
        fields: dict[str, str | int | float] = {
            "number": one.number,
            "title": one.title,
            "other": job.number,
        }
        # One that fails once more is told once more.
        key = f"{code}:{one.id}:{job.id}:{now.timestamp():.0f}"
        about = f"job:{one.id}"
        told += tell(session, workshop, one.person_id, code, fields, now, about, key) is not None
    return told
