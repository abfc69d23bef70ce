"""Machines without a host: a person carries the file over and says how it went."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import PurePosixPath

from sqlalchemy import select
from sqlalchemy.orm import Session

from jobs.domain.errors import InvalidError, NotFoundError, RefusedError
from jobs.domain.job import AttemptState, JobState
from jobs.domain.machine import Control, MachineState
from jobs.domain.people import Actor
from jobs.domain.policy import Reason, Refusal
from jobs.domain.preflight import Verdict
from jobs.kinds import KINDS
from jobs.services.attempts import Attempts, End
from jobs.services.house_rules import without_passed
from jobs.services.planned import program_path
from jobs.services.plans import plans_of
from jobs.services.presence import cuts, presence_refusals
from jobs.services.starting import (
    Standing,
    agreed_refusals,
    candidates,
    is_current,
    preflight_for,
    standing_of,
)
from jobs.services.targets import Target, target_of
from jobs.services.views import CarriedProgram
from jobs.services.waived import unwaived
from jobs.services.workshop import Workshop
from jobs.store.tables import Attempt, Job, Machine, Preflight

_FREE = frozenset({MachineState.IDLE, MachineState.RESERVED, MachineState.TO_CHECK})
_ENDS = {"finished": AttemptState.FINISHED, "failed": AttemptState.FAILED}
_CARRIED = (JobState.WAITING, JobState.RUNNING)  # in which there is a way to go with the file
_NO_NAME = re.compile(r"[^A-Za-z0-9]+")  # what some machine's screen or card would not take
_NAME_MAX = 40  # characters of a job's own name in a file's name


class ByHand:
    """The words of a person at a machine; the same rows and record as a host's."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._attempts = Attempts(workshop)

    def say(
        self,
        session: Session,
        actor: Actor,
        job: Job,
        what: str,
        machine_slug: str | None,
        now: datetime,
    ) -> str | None:
        """Take in *what*: started, finished or failed.

        :returns: the slug of the machine that was started; it needs its power now.
        :raises RefusedError: with the reason, if that cannot be now.
        """
        if what == "started":
            return self._start(session, actor, job, machine_slug, now)
        if what in _ENDS:
            reason = "by-hand" if what == "failed" else None
            self.end(session, job, _ENDS[what], reason, now)
            return None
        raise InvalidError("job.by-hand", field="what", known="started, finished, failed")

    def end(
        self,
        session: Session,
        job: Job,
        state: AttemptState,
        reason: str | None,
        now: datetime,
    ) -> None:
        """End the run that a person watches."""
        row = session.execute(
            select(Attempt, Machine)
            .join(Machine, Machine.id == Attempt.machine_id)
            .where(Attempt.job_id == job.id, Attempt.ended_at.is_(None))
        ).first()
        if row is None:
            fields = {"state": job.state, "wanted": JobState.RUNNING.value}
            raise RefusedError([Refusal(Reason.WRONG_STATE, fields)])
        attempt, machine = row
        if machine.control != Control.BY_HAND:
            raise RefusedError([Refusal(Reason.NO_SUCH_CONTROL, {"control": machine.control})])
        self._attempts.end(session, attempt, End(state, now, reason), now)

    def program(self, session: Session, job: Job, slug: str) -> CarriedProgram:
        """Return the program to carry to one machine, exactly the one that was examined for it.

        :raises RefusedError: with the reason, if nobody should carry it there now.
        """
        if job.state not in _CARRIED:
            fields = {"state": job.state, "wanted": JobState.WAITING.value}
            raise RefusedError([Refusal(Reason.WRONG_STATE, fields)])
        machine = next((one for one in candidates(session, job) if one.slug == slug), None)
        if machine is None:
            raise RefusedError([Refusal(Reason.NO_CAPABLE_MACHINE)])
        if machine.control != Control.BY_HAND:
            raise RefusedError([Refusal(Reason.NO_SUCH_CONTROL, {"control": machine.control})])
        target = target_of(machine, self._workshop.profiles_dir)
        examined = _examined(session, preflight_for(session, job.id, machine.id), target)
        path = program_path(self._workshop.work_dir, examined.program_sha256)
        if not path.is_file():
            raise NotFoundError("job.no-program")
        return CarriedProgram(
            path=path,
            name=_file_name(job, machine),
            sha256=examined.program_sha256,
            size_bytes=path.stat().st_size,
        )

    def _start(
        self, session: Session, actor: Actor, job: Job, slug: str | None, now: datetime
    ) -> str:
        if job.state != JobState.WAITING:
            fields = {"state": job.state, "wanted": JobState.WAITING.value}
            raise RefusedError([Refusal(Reason.WRONG_STATE, fields)])
        fitting = [one for one in candidates(session, job) if one.control == Control.BY_HAND]
        machine = next((one for one in fitting if slug is None or one.slug == slug), None)
        if machine is None:
            raise RefusedError([Refusal(Reason.NO_CAPABLE_MACHINE)])
        standing = standing_of(session, self._workshop, machine, now)
        found = preflight_for(session, job.id, machine.id)
        # Of a printer it tells only what a person does; what cuts is begun by nobody from afar.
        there = presence_refusals(session, actor, machine, now) if cuts(machine.kind) else []
        if reasons := [*there, *_refusals(session, job, standing, found, now)]:
            raise RefusedError(reasons)
        preflight = _examined(session, found, standing.target)
        machine.to_check_since = None  # who says "started" stands in front of it
        attempt = self._attempts.begin(session, job, machine, preflight, None, now)
        self._attempts.run(session, attempt, now, now)
        return machine.slug


def _refusals(
    session: Session, job: Job, standing: Standing, preflight: Preflight | None, now: datetime
) -> list[Refusal]:
    """Return every reason not to begin there now, apart from what was found in the program."""
    out: list[Refusal] = []
    if standing.state not in _FREE:
        out.append(Refusal(Reason.MACHINE_BUSY, {"state": standing.state.value}))
    plan = plans_of(session, [job.id]).get(job.id)
    taken_at = standing.next_claim_at(job.person_id, plan)
    if taken_at is not None and taken_at <= now:
        out.append(Refusal(Reason.NO_ROOM_BEFORE, {"at": taken_at.isoformat()}))
    out += agreed_refusals(session, job, standing, preflight, plan, now, started_by_person=True)
    return without_passed(session, out, job.id, standing.machine.id, now)


def _examined(session: Session, preflight: Preflight | None, target: Target | None) -> Preflight:
    """Return what was found, if it is of the machine as it is now and nothing is in the way.

    :raises RefusedError: else.
    """
    if preflight is None or not is_current(preflight, target):
        raise RefusedError([Refusal(Reason.NOT_PREPARED)])
    if preflight.verdict == Verdict.BLOCK:
        raise RefusedError([Refusal(Reason.BLOCKED_BY_PREFLIGHT)])
    if missing := unwaived(session, preflight):
        raise RefusedError([Refusal(Reason.NEEDS_PERSON, {"count": len(missing)})])
    return preflight


def _file_name(job: Job, machine: Machine) -> str:
    """Return a name that every card and screen takes, such as `job-7-lamp-foot.gcode`."""
    stem = _NO_NAME.sub("-", PurePosixPath(job.input_name).stem)[:_NAME_MAX]
    words = ["job", str(job.number), stem.strip("-").lower()]
    return "-".join(word for word in words if word) + KINDS[machine.kind].program_suffix
