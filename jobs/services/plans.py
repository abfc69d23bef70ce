"""When and where jobs are planned to start, as dispatch and the forecast read it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from jobs.domain.calendar import AllocationKind, AllocationState
from jobs.domain.events import rfc3339
from jobs.domain.policy import Reason, Refusal
from jobs.store.tables import Allocation, Machine
from jobs.store.waiting import PlannedRun


@dataclass(frozen=True, slots=True)
class Plan:
    """A job's place on a machine's calendar."""

    allocation_id: str
    machine_id: str
    machine_slug: str
    machine_name: str
    start: datetime
    end: datetime


def plans_of(session: Session, job_ids: Collection[str]) -> Mapping[str, Plan]:
    """Return the plans that hold, by job."""
    rows = session.execute(
        select(PlannedRun.job_id, Allocation, Machine.slug, Machine.name)
        .join(Allocation, Allocation.id == PlannedRun.allocation_id)
        .join(Machine, Machine.id == Allocation.machine_id)
        .where(
            PlannedRun.job_id.in_(job_ids),
            Allocation.kind == AllocationKind.HOLD.value,
            Allocation.state == AllocationState.ACTIVE.value,
        )
    )
    return {
        job_id: Plan(row.id, row.machine_id, slug, name, row.start_at, row.end_at)
        for job_id, row, slug, name in rows
    }


def plan_refusals(plan: Plan | None, machine_id: str, now: datetime) -> list[Refusal]:
    """Return why a planned job does not start there now."""
    if plan is None or (plan.machine_id == machine_id and now >= plan.start):
        return []
    fields = {"machine": plan.machine_name, "at": rfc3339(plan.start)}
    passes_at = plan.start if plan.machine_id == machine_id else None
    return [Refusal(Reason.PLANNED, fields, passes_at, overridable=True)]


def drop_plan(session: Session, job_id: str) -> bool:
    """Give back the time of a job's plan; return whether there was one."""
    plan = plans_of(session, [job_id]).get(job_id)
    if plan is None:
        return False
    row = session.get_one(Allocation, plan.allocation_id)
    row.state = AllocationState.CANCELLED.value
    row.sequence += 1
    session.flush()
    return True
