"""Planned runs: an operator fixes when and where a waiting job starts, and its time is kept free.

The plan is an exclusive claim like any other, as long as nine runs in ten take. It keeps the
machine from everybody else, and the job from starting earlier or elsewhere; it starts nothing:
at its time the job needs the same words of people as ever. Half an hour later it lapses.

What nine runs in ten take changes with each finished run, and with each look at the program: then
the plan becomes shorter or longer, or goes to the next time that is free, and its owner hears it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from jobs.domain.calendar import AllocationKind, AllocationState, Interval
from jobs.domain.errors import NotAllowedError, NotFoundError, RefusedError
from jobs.domain.events import rfc3339
from jobs.domain.job import JobState
from jobs.domain.people import Actor, Role
from jobs.domain.policy import Reason, Refusal
from jobs.domain.sharing import HoldFor
from jobs.services import claims
from jobs.services.attempts import length_of
from jobs.services.clock import is_trusted
from jobs.services.notices import tell
from jobs.services.plans import Plan, drop_plan, plans_of
from jobs.services.promising import history_of
from jobs.services.starting import candidates, is_current, preflight_for
from jobs.services.targets import target_of
from jobs.services.turns import take_turn, take_turns
from jobs.services.workshop import Workshop
from jobs.store.tables import Allocation, Job, Machine
from jobs.store.waiting import PlannedRun

FARTHEST: Final = timedelta(days=31)
_MOST: Final = 500  # plans, and claims beside one of them
_WORTH: Final = timedelta(minutes=1)  # less is the scatter of one run more
_TOLD: Final = timedelta(minutes=30)  # later than an owner was told that it ends
GRACE: Final = timedelta(minutes=30)  # after its time; then the machine is free for others


class Planning:
    """Use cases of an operator who runs the day."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._database = workshop.database

    def of(self, job_id: str) -> Plan | None:
        """Return a job's plan; None without one."""
        with self._database.read() as session:
            return plans_of(session, [job_id]).get(job_id)

    def plan(
        self, actor: Actor, job_id: str, slug: str, start: datetime, now: datetime
    ) -> Interval:
        """Plan a waiting job for a machine and an instant, in place of an earlier plan of it.

        :returns: what it takes of the machine's time.
        :raises RefusedError: with every reason at once: it does not wait, it may not go there, it
            was not examined, the instant is over or too far away, or the time is taken.
        """
        _must_be_staff(actor)
        with self._database.write() as session:
            machine = session.scalar(
                select(Machine).where(Machine.slug == slug, Machine.retired_at.is_(None))
            )
            if machine is None:
                raise NotFoundError("machine.unknown", machine=slug)
            known = plans_of(session, [job_id]).get(job_id)
            take_turns(session, {machine.id, known.machine_id} if known else {machine.id})
            job = session.get(Job, job_id, with_for_update=True)
            if job is None:
                raise NotFoundError("job.unknown")
            preflight = preflight_for(session, job.id, machine.id)
            found = list(_about_time(start, now))
            if job.state != JobState.WAITING:
                fields = {"state": job.state, "wanted": JobState.WAITING.value}
                found.append(Refusal(Reason.WRONG_STATE, fields))
            if machine not in candidates(session, job):
                found.append(Refusal(Reason.NO_CAPABLE_MACHINE))
            elif not is_current(preflight, target_of(machine, self._workshop.profiles_dir)):
                found.append(Refusal(Reason.NOT_PREPARED))
            length = length_of(preflight, history_of(session, machine.id))
            span = Interval(start, start + length)
            drop_plan(session, job.id)
            found += _taken(session, machine.id, job.person_id, span)
            if found:
                raise RefusedError(found)
            row = claims.hold(
                session,
                self._workshop,
                machine.id,
                span,
                job.person_id,
                HoldFor.PLAN,
                start + GRACE,
                now,
                f"#{job.number} {job.title}"[:200],
            )
            session.add(PlannedRun(allocation_id=row.id, job_id=job.id))
            if job.person_id != actor.person_id:
                fields = {"title": job.title, "machine": machine.name, "from": rfc3339(start)}
                about = f"job:{job.id}"
                tell(session, self._workshop, job.person_id, "job-planned", fields, now, about)
        self._workshop.live.touch()
        return span

    def withdraw(self, actor: Actor, job_id: str) -> None:
        """Take a plan back; the job waits as any other.

        :raises NotFoundError: `plan.unknown`.
        """
        _must_be_staff(actor)
        with self._database.write() as session:
            known = plans_of(session, [job_id]).get(job_id)
            if known is None:
                raise NotFoundError("plan.unknown")
            take_turn(session, known.machine_id)
            drop_plan(session, job_id)
        self._workshop.live.touch()

    def tick(self, now: datetime) -> int:
        """Fit plans to what their jobs take by now; return how many were changed.

        A second one at once changes nothing. By a clock that nobody vouches for nothing moves.
        """
        query = (
            select(PlannedRun.job_id)
            .join(Job, Job.id == PlannedRun.job_id)
            .where(Job.state == JobState.WAITING.value)
            .order_by(PlannedRun.job_id)
            .limit(_MOST)
        )
        with self._database.read() as session:
            if not is_trusted(session, now):
                return 0
            ids = session.scalars(query).all()
            plans = plans_of(session, ids)
        changed = 0
        for job_id in plans:
            with self._database.write() as session:
                changed += self._fit(session, job_id, now)
        if changed:
            self._workshop.live.touch()
        return changed

    def _fit(self, session: Session, job_id: str, now: datetime) -> bool:
        plan = plans_of(session, [job_id]).get(job_id)
        if plan is None or plan.start <= now:
            return False
        take_turn(session, plan.machine_id)
        row = session.get_one(Allocation, plan.allocation_id)
        session.refresh(row)
        job = session.get_one(Job, job_id)
        preflight = preflight_for(session, job_id, plan.machine_id)
        if row.state != AllocationState.ACTIVE.value or preflight is None:
            return False
        length = length_of(preflight, history_of(session, plan.machine_id))
        if abs(length - (row.end_at - row.start_at)) < _WORTH:
            return False
        span = _next_free(session, row, length)
        fields = {"title": job.title, "machine": plan.machine_name}
        about = f"job:{job.id}"
        if span is None:
            drop_plan(session, job_id)
            tell(session, self._workshop, job.person_id, "job-plan-fits-not", fields, now, about)
            return True
        has_moved = span.start != row.start_at or span.end - row.end_at >= _TOLD
        row.start_at, row.end_at = span.start, span.end
        row.expires_at = span.start + GRACE
        row.sequence += 1
        session.flush()
        if has_moved:
            fields |= {"from": rfc3339(span.start), "to": rfc3339(span.end)}
            tell(session, self._workshop, job.person_id, "job-plan-moved", fields, now, about)
        return True


def _next_free(session: Session, row: Allocation, length: timedelta) -> Interval | None:
    """Return the first time, from the planned one on, in which nothing else lies."""
    until = row.start_at + FARTHEST
    in_the_way = claims.conflicts(
        row.machine_id, AllocationKind.HOLD, row.person_id, Interval(row.start_at, until)
    )
    rows = session.execute(
        select(Allocation.start_at, Allocation.end_at)
        .where(in_the_way, Allocation.id != row.id)
        .order_by(Allocation.start_at)
        .limit(_MOST)
    )
    start = row.start_at
    for begins, ends in rows:
        if begins - start >= length:
            break
        start = max(start, ends)
    return Interval(start, start + length) if start + length <= until else None


def _about_time(start: datetime, now: datetime) -> list[Refusal]:
    if start <= now:
        return [Refusal(Reason.IN_THE_PAST)]
    if start > now + FARTHEST:
        return [Refusal(Reason.TOO_FAR_AHEAD, {"days": FARTHEST.days})]
    return []


def _taken(session: Session, machine_id: str, person_id: str, span: Interval) -> list[Refusal]:
    in_the_way = claims.conflicts(machine_id, AllocationKind.HOLD, person_id, span)
    query = select(Allocation).where(in_the_way).order_by(Allocation.start_at).limit(1)
    row = session.scalars(query).first()
    if row is None:
        return []
    fields = {"start": rfc3339(row.start_at), "end": rfc3339(row.end_at)}
    return [Refusal(Reason.TAKEN, fields)]


def _must_be_staff(actor: Actor) -> None:
    if not actor.is_at_least(Role.OPERATOR):
        raise NotAllowedError("person.not-allowed", needed=Role.OPERATOR.value)
