"""The queue of jobs: bring one in, hold it, let it go, say by hand how it went."""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from jobs.domain.care import one_line
from jobs.domain.errors import (
    InvalidError,
    NotAllowedError,
    NotFoundError,
    RefusedError,
    UnavailableError,
)
from jobs.domain.events import EventType
from jobs.domain.job import AttemptState, HoldReason, JobState, StepName, StepState
from jobs.domain.machine import Control
from jobs.domain.people import Actor, Role
from jobs.domain.policy import Reason, Refusal
from jobs.services import outbox
from jobs.services.asking import AskWish, note_retry
from jobs.services.behalf import note as note_behalf
from jobs.services.byhand import ByHand
from jobs.services.dependents import tell_dependents
from jobs.services.details import job_detail
from jobs.services.intake import Intake, wished_machine
from jobs.services.jobviews import job_views
from jobs.services.ordering import line_of, positions
from jobs.services.power import PowerByUse
from jobs.services.queueing import enqueue
from jobs.services.renewing import outdated, prepare_again
from jobs.services.resumed import is_resume
from jobs.services.starting import preflights_of
from jobs.services.steps import set_step, step_job
from jobs.services.thumbnails import thumbnails_of
from jobs.services.uses import Uses
from jobs.services.views import CarriedProgram, JobDetail, JobView, Thumbnail
from jobs.services.workshop import Workshop
from jobs.slicing import load_recipe, recipe_names
from jobs.store.tables import Attempt, Job, Machine
from jobs.store.waiting import JobAsk, JobGroup

_OVER = (JobState.DONE.value, JobState.FAILED.value, JobState.CANCELLED.value)
_OPEN = tuple(one.value for one in JobState if one.value not in _OVER)
_MOST = 500  # in a list
_MOST_STARTABLE = 30  # on one machine's page; the queue has them all
_LONGEST_CAUSE = 200  # characters
# What a person can let go without a new look at the program.
_STILL_GOOD = frozenset({HoldReason.BY_PERSON.value, HoldReason.INTERRUPTED.value})


class Queue:
    """Use cases about jobs; the owner or an operator may change one."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._intake = Intake(workshop)
        self._by_hand = ByHand(workshop)
        self._power = PowerByUse(workshop, Uses(workshop))

    def submit(
        self,
        actor: Actor,
        *,
        name: str,
        data: BinaryIO | Path,
        kind: str | None = None,
        machine_slug: str | None = None,
        title: str | None = None,
        recipe: str | None = None,
        purpose: str = "own",
        now: datetime,
        ask: AskWish | None = None,
    ) -> JobView:
        """Take an upload in; what it is, is told by its content.

        :raises InvalidError: naming the field and what is wanted.
        """
        job_id = self._intake.upload(
            actor,
            name=name,
            data=data,
            kind=kind,
            machine_slug=machine_slug,
            title=title,
            recipe=recipe,
            purpose=purpose,
            now=now,
            ask=ask,
        )
        return self._view(job_id, actor, now)

    def submit_design(
        self,
        actor: Actor,
        design_id: str,
        path: str | None = None,
        *,
        machine_slug: str | None = None,
        recipe: str | None = None,
        purpose: str = "own",
        now: datetime,
        ask: AskWish | None = None,
    ) -> JobView:
        """Make a file of a design; None takes the first that can be made."""
        job_id = self._intake.design(
            actor,
            design_id,
            path,
            machine_slug=machine_slug,
            recipe=recipe,
            purpose=purpose,
            now=now,
            ask=ask,
        )
        return self._view(job_id, actor, now)

    def list(
        self, now: datetime, viewer: Actor | None, *, open_only: bool = True
    ) -> builtins.list[JobView]:
        """Return the jobs: running first, then the queue in its order, then the rest.

        Of more than 500 the newest; of open ones those that come first.
        """
        query = select(Job).order_by(Job.number if open_only else Job.number.desc()).limit(_MOST)
        if open_only:
            query = query.where(Job.state.in_(_OPEN))
        with self._workshop.database.read() as session:
            jobs = sorted(session.scalars(query), key=_place)
            views = job_views(session, self._workshop, jobs, viewer, now)
        # Those that wait stand by whose turn it is, which the clock alone may change.
        return sorted(views, key=lambda one: (_RANK[one.state], one.position or 0))

    def recent(
        self, now: datetime, viewer: Actor | None, limit: int = 20
    ) -> builtins.list[JobView]:
        """Return jobs that are over, the newest first."""
        query = (
            select(Job).where(Job.ended_at.is_not(None)).order_by(Job.ended_at.desc()).limit(limit)
        )
        with self._workshop.database.read() as session:
            jobs = session.scalars(query).all()
            return job_views(session, self._workshop, jobs, viewer, now)

    def runs_on(self) -> Mapping[str, str]:
        """Return, by job, the machine whose host tells how far it is."""
        query = (
            select(Attempt.job_id, Machine.slug)
            .join(Machine, Machine.id == Attempt.machine_id)
            .where(Attempt.ended_at.is_(None), Machine.control == Control.SERIAL.value)
        )
        with self._workshop.database.read() as session:
            return {row.job_id: row.slug for row in session.execute(query)}

    def startable(self, slug: str, now: datetime, viewer: Actor | None) -> builtins.list[JobView]:
        """Return the jobs that wait and may go to a machine, whose turn it is first."""
        machine_id = select(Machine.id).where(Machine.slug == slug).scalar_subquery()
        kind = select(Machine.kind).where(Machine.slug == slug).scalar_subquery()
        query = (
            select(Job)
            .where(
                Job.state == JobState.WAITING.value,
                Job.kind == kind,
                or_(Job.machine_id.is_(None), Job.machine_id == machine_id),
            )
            .order_by(Job.queued_at, Job.number)
            .limit(_MOST)
        )
        with self._workshop.database.read() as session:
            line = line_of(session, self._workshop, now, claims=False)
            places = positions(line)
            jobs = sorted(session.scalars(query), key=lambda one: places.get(one.id, _MOST))
            shown = jobs[:_MOST_STARTABLE]
            return job_views(session, self._workshop, shown, viewer, now, line)

    def of_group(
        self, group_id: str, now: datetime, viewer: Actor | None
    ) -> builtins.list[JobView]:
        """Return the jobs of a group, by number."""
        query = select(Job).join(JobAsk, JobAsk.job_id == Job.id)
        query = query.where(JobAsk.group_id == group_id).order_by(Job.number)
        with self._workshop.database.read() as session:
            jobs = session.scalars(query).all()
            return job_views(session, self._workshop, jobs, viewer, now)

    def get(self, job_id: str, now: datetime, viewer: Actor | None) -> JobDetail:
        """Return everything about one job."""
        with self._workshop.database.read() as session:
            return job_detail(session, self._workshop, _job(session, job_id), viewer, now)

    def move(self, actor: Actor, job_id: str, machine_slug: str | None, now: datetime) -> None:
        """Let a job go to another machine of its kind; None lets any of them take it.

        It is checked again for those. A job that goes on where it broke off stays where it is.
        """
        with self._workshop.database.write() as session:
            job = self._own(session, actor, job_id, "moved", now)
            _demand(job, JobState.WAITING, JobState.PREPARING, JobState.HELD)
            found = preflights_of(session, [job.id]).values()
            machine = wished_machine(session, machine_slug)
            if any(is_resume(one) for one in found) or (machine and machine.kind != job.kind):
                raise InvalidError("job.cannot-move", field="machine")
            job.machine_id = machine.id if machine else None
            is_held = job.hold_reason == HoldReason.BY_PERSON.value  # released, it is checked
            if job.state != JobState.PREPARING and not is_held:
                prepare_again(session, job, now)
        self._workshop.live.touch()

    def hold(self, actor: Actor, job_id: str, now: datetime) -> None:
        """Keep a job from starting until somebody releases it."""
        with self._workshop.database.write() as session:
            _hold(self._own(session, actor, job_id, "held", now), now)
        self._workshop.live.touch()

    def release(self, actor: Actor, job_id: str, now: datetime) -> None:
        """Let a held job go on: to the queue, or once more through preparation."""
        with self._workshop.database.write() as session:
            self._release(session, self._own(session, actor, job_id, "released", now), now)
        self._workshop.live.touch()

    def hold_group(self, actor: Actor, group_id: str, now: datetime) -> int:
        """Hold every job of a group that waits; return how many."""
        waiting = (JobState.WAITING, JobState.PREPARING)
        with self._workshop.database.write() as session:
            found = _group(session, actor, group_id, waiting)
            for job in found:
                _hold(job, now)
        self._workshop.live.touch()
        return len(found)

    def release_group(self, actor: Actor, group_id: str, now: datetime) -> int:
        """Release every job of a group that a person holds; return how many."""
        with self._workshop.database.write() as session:
            held = _group(session, actor, group_id, (JobState.HELD,))
            found = [job for job in held if job.hold_reason == HoldReason.BY_PERSON.value]
            for job in found:
                self._release(session, job, now)
        self._workshop.live.touch()
        return len(found)

    def _release(self, session: Session, job: Job, now: datetime) -> None:
        _demand(job, JobState.HELD)
        if job.hold_reason in _STILL_GOOD and not outdated(session, self._workshop, [job]):
            step_job(job, JobState.WAITING, now)
            enqueue(session, self._workshop, job, now)
        else:
            prepare_again(session, job, now)

    def retry(self, actor: Actor, job_id: str, now: datetime, cause: str = "") -> None:
        """Try a failed or held job again, from the beginning, at the end of the queue.

        :param cause: why it went wrong, in a word of the lab's list or in the person's own.
        """
        cause = one_line(cause, _LONGEST_CAUSE, "cause")
        with self._workshop.database.write() as session:
            job = self._own(session, actor, job_id, "retried", now)
            _demand(job, JobState.FAILED, JobState.HELD)
            prepare_again(session, job, now)
            job.queued_at = None
            note_retry(session, actor, job.id, cause, now)
        self._workshop.live.touch()

    def cancel(self, actor: Actor, job_id: str, now: datetime) -> None:
        """End a job. One that runs on a host ends safely, and by the host's word.

        :raises UnavailableError: with the host's code, if it did not take the cancel.
        """
        with self._workshop.database.write() as session:
            job = self._own(session, actor, job_id, "cancelled", now)
            slug = _slug_of_host(session, job)
            if job.state == JobState.RUNNING and slug is None:
                self._by_hand.end(session, job, AttemptState.CANCELLED, None, now)
            elif slug is None:
                step_job(job, JobState.CANCELLED, now)
                set_step(session, job.id, StepName.ANNOUNCE, StepState.RUNNING, now)
                self._tell(session, EventType.JOB_CANCELLED, job, now)
                tell_dependents(session, self._workshop, job, now)
        if slug is not None:
            code = self._workshop.gateway.cancel(slug, actor.name)
            if code is not None:
                raise UnavailableError(code, machine=slug)
        self._workshop.live.touch()

    def by_hand(
        self, actor: Actor, job_id: str, what: str, machine_slug: str | None, now: datetime
    ) -> None:
        """Take a person's word about a machine without a host: started, finished, failed."""
        with self._workshop.database.write() as session:
            slug = self._by_hand.say(
                session,
                actor,
                self._own(session, actor, job_id, what, now),
                what,
                machine_slug,
                now,
            )
        if slug is not None:
            self._power.for_run(slug, actor.name)
        self._workshop.live.touch()

    def program(self, actor: Actor, job_id: str, machine_slug: str) -> CarriedProgram:
        """Return the file to carry to a machine that a person works by hand.

        :raises RefusedError: with the reason, if nobody should carry it there now.
        """
        with self._workshop.database.read() as session:
            job = _job(session, job_id)
            _demand_own(job, actor)
            return self._by_hand.program(session, job, machine_slug)

    def thumbnail(self, job_id: str, number: int, viewer: Actor | None) -> Thumbnail:
        """Return a picture that the slicer put into a job's program, counted from 1.

        :raises NotFoundError: if there is none of that number.
        """
        del viewer  # whoever may see the job's page sees its picture
        with self._workshop.database.read() as session:
            job = _job(session, job_id)
            for found in thumbnails_of(session, self._workshop, job.id):
                if 1 <= number <= len(found):
                    return found[number - 1]
        raise NotFoundError("picture.unknown")

    def recipes(self, kind: str) -> builtins.list[str]:
        """Return the recipes for a kind of machine."""
        return [name for name in recipe_names() if load_recipe(name).kind == kind]

    def _own(self, session: Session, actor: Actor, job_id: str, what: str, now: datetime) -> Job:
        """Return a job that *actor* may change; who does so for another is written down."""
        job = _own(session, actor, job_id)
        about = f"job:{job.id}"
        note_behalf(session, self._workshop, actor, what[:32], about, now, job.person_id)
        return job

    def _tell(self, session: Session, kind: EventType, job: Job, now: datetime) -> None:
        data = {"job": job.id, "simulated": job.simulated}
        outbox.add(session, kind, data, at=now, now=now, workshop=self._workshop, job_id=job.id)

    def _view(self, job_id: str, viewer: Actor, now: datetime) -> JobView:
        with self._workshop.database.read() as session:
            return job_views(session, self._workshop, [_job(session, job_id)], viewer, now)[0]


def _place(job: Job) -> tuple[int, datetime, int]:
    return _RANK[JobState(job.state)], job.queued_at or job.created_at, job.number


_RANK = {
    JobState.RUNNING: 0,
    JobState.WAITING: 1,
    JobState.PREPARING: 2,
    JobState.HELD: 3,
    JobState.FAILED: 4,
    JobState.DONE: 4,
    JobState.CANCELLED: 4,
}


def _hold(job: Job, now: datetime) -> None:
    # A running job may become held too, but only by what its host says.
    _demand(job, JobState.WAITING, JobState.PREPARING)
    step_job(job, JobState.HELD, now)
    job.hold_reason = HoldReason.BY_PERSON.value


def _group(
    session: Session, actor: Actor, group_id: str, states: Sequence[JobState]
) -> Sequence[Job]:
    """Return the jobs of a group in these states; all have to be the person's to change."""
    if session.get(JobGroup, group_id) is None:
        raise NotFoundError("job.no-group")
    jobs = session.scalars(
        select(Job)
        .join(JobAsk, JobAsk.job_id == Job.id)
        .where(JobAsk.group_id == group_id, Job.state.in_([one.value for one in states]))
        .order_by(Job.number)
    ).all()
    return [_own(session, actor, job.id) for job in jobs]


def _slug_of_host(session: Session, job: Job) -> str | None:
    """Return the machine whose host works on the job."""
    return session.scalar(
        select(Machine.slug)
        .join(Attempt, Attempt.machine_id == Machine.id)
        .where(
            Attempt.job_id == job.id,
            Attempt.ended_at.is_(None),
            Machine.control == Control.SERIAL.value,
        )
    )


def _job(session: Session, job_id: str) -> Job:
    job = session.get(Job, job_id)
    if job is None:
        raise NotFoundError("job.unknown")
    return job


def _demand(job: Job, *wanted: JobState) -> None:
    if job.state not in wanted:
        fields = {"state": job.state, "wanted": wanted[0].value}
        raise RefusedError([Refusal(Reason.WRONG_STATE, fields)])


def _own(session: Session, actor: Actor, job_id: str) -> Job:
    job = session.get(Job, job_id, with_for_update=True)  # its state is looked at, then changed
    if job is None:
        raise NotFoundError("job.unknown")
    _demand_own(job, actor)
    return job


def _demand_own(job: Job, actor: Actor) -> None:
    if job.person_id != actor.person_id and not actor.is_at_least(Role.OPERATOR):
        raise NotAllowedError("job.not-yours")
