"""Jobs that belong together: copies of one, parts of one thing, and what comes after what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from jobs.domain.errors import InvalidError, NotAllowedError, NotFoundError
from jobs.domain.job import JobState
from jobs.domain.people import Actor, Role
from jobs.services.asking import MATCH, SIZE, SLOTS, ask_row
from jobs.services.steps import begin_steps
from jobs.services.turns import take_turn
from jobs.services.workshop import Workshop
from jobs.store.tables import Job
from jobs.store.waiting import JobAfter, JobAsk, JobGroup

MOST_COPIES: Final = 50
MOST_IN_GROUP: Final = 100
_MOST_AFTER: Final = 20


@dataclass(frozen=True, slots=True)
class LinkedJob:
    """A job that another one's page names."""

    id: str
    number: int
    title: str
    state: JobState


@dataclass(frozen=True, slots=True)
class GroupView:
    """Jobs that belong together, and how far they are."""

    id: str
    title: str
    jobs: Sequence[LinkedJob]

    @property
    def done(self) -> int:
        """How many of them are done."""
        return sum(one.state is JobState.DONE for one in self.jobs)


@dataclass(frozen=True, slots=True)
class LinksView:
    """What one job has to do with others.

    :param after: those that have to be done before it.
    :param before: those that wait for it.
    """

    group: GroupView | None
    after: Sequence[LinkedJob]
    before: Sequence[LinkedJob]


class Batches:
    """Use cases about several jobs at once; the owner or an operator may change them."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop

    def view(self, job_id: str) -> LinksView:
        """Return what a job has to do with others."""
        with self._workshop.database.read() as session:
            ask = session.get(JobAsk, job_id)
            group = session.get(JobGroup, ask.group_id) if ask and ask.group_id else None
            after = session.scalars(
                select(Job).join(JobAfter, JobAfter.after_id == Job.id)
                .where(JobAfter.job_id == job_id).order_by(Job.number)
            )  # fmt: skip
            before = session.scalars(
                select(Job).join(JobAfter, JobAfter.job_id == Job.id)
                .where(JobAfter.after_id == job_id).order_by(Job.number)
            )  # fmt: skip
            return LinksView(
                _group(session, group) if group else None,
                [_linked(one) for one in after],
                [_linked(one) for one in before],
            )

    def group(self, group_id: str) -> GroupView:
        """Return one group with its jobs."""
        with self._workshop.database.read() as session:
            group = session.get(JobGroup, group_id)
            if group is None:
                raise NotFoundError("job.no-group")
            return _group(session, group)

    def copies(self, actor: Actor, job_id: str, count: int, now: datetime) -> Sequence[str]:
        """Open *count* more jobs for the same thing; they form a group with it.

        :returns: their ids; each is prepared and queued as a job of its own.
        """
        if not 1 <= count <= MOST_COPIES:
            raise InvalidError("job.copies", field="count", most=MOST_COPIES)
        with self._workshop.database.write() as session:
            job = _own(session, actor, job_id)
            ask = ask_row(session, job.id)
            group_id = ask.group_id or self._open(session, actor, job.title, now)
            ask.group_id = group_id
            _demand_room(session, group_id, count)
            take_turn(session, "job-number")
            last = session.scalar(select(func.max(Job.number))) or 0
            made: list[str] = []
            for number in range(last + 1, last + 1 + count):
                made.append(self._copy(session, actor, job, ask, number, now))
        self._workshop.live.touch()
        return made

    def gather(self, actor: Actor, title: str, numbers: Sequence[int], now: datetime) -> str:
        """Make one group of several jobs, such as the parts of one thing; return its id."""
        clean = " ".join(title.split())[:200]
        if not clean:
            raise InvalidError("job.group-title", field="title")
        with self._workshop.database.write() as session:
            jobs = [_numbered(session, actor, number) for number in dict.fromkeys(numbers)]
            if not 2 <= len(jobs) <= MOST_IN_GROUP:
                raise InvalidError("job.group-size", field="jobs", most=MOST_IN_GROUP)
            group_id = self._open(session, actor, clean, now)
            for job in jobs:
                ask_row(session, job.id).group_id = group_id
        self._workshop.live.touch()
        return group_id

    def leave(self, actor: Actor, job_id: str) -> None:
        """Take a job out of its group."""
        with self._workshop.database.write() as session:
            _own(session, actor, job_id)
            ask_row(session, job_id).group_id = None
        self._workshop.live.touch()

    def after(self, actor: Actor, job_id: str, numbers: Sequence[int]) -> None:
        """Let a job wait until others are done; nothing lets it wait for none.

        :raises InvalidError: `job.after-circle` where it would wait for itself.
        """
        wanted = list(dict.fromkeys(numbers))
        if len(wanted) > _MOST_AFTER:
            raise InvalidError("job.after-many", field="after", most=_MOST_AFTER)
        with self._workshop.database.write() as session:
            take_turn(session, "job-after")  # two that wait for each other come one by one
            job = _own(session, actor, job_id)
            befores = [_known(session, number) for number in wanted]
            for one in befores:
                if one.state == JobState.CANCELLED:
                    raise InvalidError("job.after-cancelled", field="after", number=one.number)
                if one.id == job.id or _waits_for(session, one.id, job.id):
                    raise InvalidError("job.after-circle", field="after", number=one.number)
            rows = session.scalars(select(JobAfter).where(JobAfter.job_id == job.id)).all()
            for row in rows:
                session.delete(row)
            session.flush()
            session.add_all(JobAfter(job_id=job.id, after_id=one.id) for one in befores)
        self._workshop.live.touch()

    def _open(self, session: Session, actor: Actor, title: str, now: datetime) -> str:
        group = JobGroup(
            id=self._workshop.new_id(), title=title, person_id=actor.person_id, created_at=now
        )
        session.add(group)
        session.flush()
        return group.id

    def _copy(
        self, session: Session, actor: Actor, job: Job, ask: JobAsk, number: int, now: datetime
    ) -> str:
        copy = Job(
            id=self._workshop.new_id(),
            number=number,
            title=job.title,
            person_id=job.person_id,
            kind=job.kind,
            machine_id=job.machine_id,
            state=JobState.PREPARING.value,
            input_kind=job.input_kind,
            input_name=job.input_name,
            input_sha256=job.input_sha256,
            input_bytes=job.input_bytes,
            design_id=job.design_id,
            recipe=job.recipe,
            purpose=job.purpose,
            simulated=job.simulated or actor.simulated,
            # What was found on the input is found again; what its licence forbids comes along.
            findings=list(job.findings),
            created_at=now,
        )
        session.add(copy)
        session.flush()
        begin_steps(session, copy.id, now, was_fetched=job.design_id is not None)
        session.add(
            JobAsk(
                job_id=copy.id,
                nozzle_um=ask.nozzle_um,
                plate=ask.plate,
                tools=list(ask.tools),
                deadline_at=ask.deadline_at if ask.deadline_at and ask.deadline_at > now else None,
                group_id=ask.group_id,
                copy_of=job.id,
                # Its size; how often the first was tried again is its own story.
                detail={key: one for key, one in ask.detail.items() if key in (SIZE, SLOTS, MATCH)},
            )
        )
        session.flush()
        return copy.id


def _waits_for(session: Session, job_id: str, other_id: str) -> bool:
    """Tell whether a job waits for another, by any way."""
    seen, front = {job_id}, [job_id]
    while front:
        found = session.scalars(select(JobAfter.after_id).where(JobAfter.job_id.in_(front))).all()
        if other_id in found:
            return True
        front = [one for one in set(found) if one not in seen]
        seen.update(front)
    return False


def _group(session: Session, group: JobGroup) -> GroupView:
    jobs = session.scalars(
        select(Job)
        .join(JobAsk, JobAsk.job_id == Job.id)
        .where(JobAsk.group_id == group.id)
        .order_by(Job.number)
    )
    return GroupView(group.id, group.title, [_linked(one) for one in jobs])


def _linked(job: Job) -> LinkedJob:
    return LinkedJob(job.id, job.number, job.title, JobState(job.state))


def _demand_room(session: Session, group_id: str, count: int) -> None:
    query = select(func.count()).select_from(JobAsk).where(JobAsk.group_id == group_id)
    if (session.scalar(query) or 0) + count > MOST_IN_GROUP:
        raise InvalidError("job.group-size", field="count", most=MOST_IN_GROUP)


def _numbered(session: Session, actor: Actor, number: int) -> Job:
    return _own(session, actor, _known(session, number).id)


def _known(session: Session, number: int) -> Job:
    job = session.scalar(select(Job).where(Job.number == number))
    if job is None:
        raise InvalidError("job.no-number", field="number", number=number)
    return job


def _own(session: Session, actor: Actor, job_id: str) -> Job:
    job = session.get(Job, job_id, with_for_update=True)
    if job is None:
        raise NotFoundError("job.unknown")
    if job.person_id != actor.person_id and not actor.is_at_least(Role.OPERATOR):
        raise NotAllowedError("job.not-yours")
    return job
