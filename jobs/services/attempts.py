"""Begin and end an attempt: every row that one step of a run changes, in one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from jobs.domain.calendar import AllocationKind, AllocationState, Displacement
from jobs.domain.events import EventType
from jobs.domain.job import (
    AttemptState,
    HoldReason,
    JobState,
    StepName,
    StepState,
    may_attempt_become,
)
from jobs.domain.loading import Doubt, drawn
from jobs.domain.machine import Control
from jobs.domain.using import Ended
from jobs.services import notices, outbox
from jobs.services.accounts import Account, usage_facts
from jobs.services.costing import begin_run, charge_run
from jobs.services.dependents import tell_dependents
from jobs.services.facts import Facts
from jobs.services.fire_watch import begin_watch
from jobs.services.ledger import Ledger
from jobs.services.loaded import doubt, take_from
from jobs.services.plans import drop_plan
from jobs.services.promising import (
    History,
    history_of,
    note_end,
    note_pause,
    note_promise,
    promised,
)
from jobs.services.resumed import link_of
from jobs.services.steps import set_step, step_job
from jobs.services.uses import Uses
from jobs.services.workshop import Workshop
from jobs.store.tables import Allocation, Arming, Attempt, Job, Machine, Preflight, UsageEvent

SHORTEST = timedelta(microseconds=1)  # of an interval of use
BY_HAND_LENGTH = timedelta(hours=1)  # promised where nobody knows how long it takes


@dataclass(frozen=True, slots=True)
class End:
    """How a run ended.

    :param at: by the clock that watched the machine.
    :param reason: stable code of an end that nobody asked for.
    :param extent: acked, sent, total, source_line, resends, where the host said so.
    """

    state: AttemptState
    at: datetime
    reason: str | None = None
    extent: Mapping[str, int] = field(default_factory=dict)
    detail: Mapping[str, str | int | float] = field(default_factory=dict)


# What becomes of the job, and which word leaves the house.
_JOB: Mapping[AttemptState, tuple[JobState, EventType]] = {
    AttemptState.FINISHED: (JobState.DONE, EventType.JOB_FINISHED),
    AttemptState.FAILED: (JobState.FAILED, EventType.JOB_FAILED),
    AttemptState.CANCELLED: (JobState.CANCELLED, EventType.JOB_CANCELLED),
    AttemptState.INTERRUPTED: (JobState.HELD, EventType.JOB_INTERRUPTED),
}

_BROKEN = frozenset({AttemptState.FAILED.value, AttemptState.INTERRUPTED.value})

# What whose job it is hears of its end; a cancel was a person's own word.
_TOLD: Mapping[EventType, str] = {
    EventType.JOB_FINISHED: "job-done",
    EventType.JOB_FAILED: "job-failed",
    EventType.JOB_INTERRUPTED: "job-interrupted",
}


def length_of(preflight: Preflight | None, history: History) -> timedelta:
    """Return for how long a run takes the machine, so that nine in ten are done by then."""
    if preflight is None:
        return BY_HAND_LENGTH
    return timedelta(seconds=promised(preflight, history).whole.p90)


class Attempts:
    """Writes the rows of a run; the caller holds the transaction."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._facts = Facts(workshop)
        self._ledger = Ledger(workshop)
        self._uses = Uses(workshop)

    def begin(
        self,
        session: Session,
        job: Job,
        machine: Machine,
        preflight: Preflight | None,
        arming: Arming | None,
        now: datetime,
    ) -> Attempt:
        """Open an attempt in state preparing, and take the machine's time for it.

        :raises RefusedError: `credits-short`, if what it may cost went elsewhere meanwhile.
        """
        attempt = Attempt(
            id=self._workshop.new_id(),
            job_id=job.id,
            machine_id=machine.id,
            preflight_id=preflight.id if preflight else None,
            arming_id=arming.id if arming else None,
            state=AttemptState.PREPARING.value,
            started_at=now,
            event_seq=0,
            total=preflight.stream_lines if preflight else 0,
            detail=link_of(preflight) | self._uses.metered(machine),
        )
        session.add(attempt)
        if arming is not None:
            arming.attempt_id = attempt.id
        session.flush()  # what follows names the attempt
        self._uses.close(session, machine, Ended.JOB, None, now)
        history = history_of(session, machine.id)
        if preflight is not None:
            note_promise(session, attempt, preflight, promised(preflight, history), now)
        session.add(
            UsageEvent(
                id=self._workshop.new_id(),
                machine_id=machine.id,
                person_id=job.person_id,
                attempt_id=attempt.id,
                start_at=now,
            )
        )
        drop_plan(session, job.id)  # the run itself takes its place
        self._facts.place(
            session,
            machine.id,
            AllocationKind.RUN,
            now,
            now + length_of(preflight, history),
            job.person_id,
            attempt.id,
            Displacement.RUN_STARTED,
            now,
        )
        begin_run(session, self._workshop, job, machine, attempt, preflight, history, now)
        step_job(job, JobState.RUNNING, now)
        set_step(session, job.id, StepName.QUEUE, StepState.DONE, now)
        set_step(session, job.id, StepName.DISPATCH, StepState.RUNNING, now)
        return attempt

    def run(self, session: Session, attempt: Attempt, at: datetime, now: datetime) -> None:
        """The machine has begun. A second time changes nothing."""
        if attempt.state != AttemptState.PREPARING:
            return
        attempt.state = AttemptState.RUNNING.value
        machine = session.get_one(Machine, attempt.machine_id)
        detail = {"machine": machine.slug}
        set_step(session, attempt.job_id, StepName.DISPATCH, StepState.DONE, now, detail)
        set_step(session, attempt.job_id, StepName.STREAM, StepState.RUNNING, now, detail)
        self._tell(session, EventType.JOB_STARTED, attempt, machine, at, now, {})

    def withdraw(
        self,
        session: Session,
        attempt: Attempt,
        code: str,
        then: tuple[JobState, HoldReason | None],
        now: datetime,
    ) -> None:
        """The machine never began: give back its time, leave no record.

        :param then: what becomes of the job.
        """
        self._close(session, attempt, AttemptState.CANCELLED, now, code)
        job = session.get_one(Job, attempt.job_id)
        state, hold = then
        step_job(job, state, now)
        job.hold_reason = hold.value if hold else None
        detail = {"code": code}
        set_step(session, job.id, StepName.DISPATCH, StepState.WAITING, now, detail)

    def end(self, session: Session, attempt: Attempt, end: End, now: datetime) -> None:
        """Close an attempt: use, time, account, record and events, all or nothing."""
        at = max(end.at, attempt.started_at + SHORTEST)
        if not may_attempt_become(AttemptState(attempt.state), end.state):
            self.run(session, attempt, at, now)  # the news of its start was lost
        for name, value in end.extent.items():
            _take(attempt, name, value)
        if end.state is AttemptState.FINISHED:
            attempt.acked = attempt.sent = max(attempt.total, attempt.acked)
        began_us = attempt.detail.get("began_us")
        ended_us = round(at.timestamp() * 1e6)
        elapsed = (at - attempt.started_at) / timedelta(milliseconds=1)
        ms = (ended_us - began_us) / 1000 if isinstance(began_us, int) else elapsed
        attempt.machine_ms = max(0, round(ms))
        machine = session.get_one(Machine, attempt.machine_id)
        energy = self._uses.energy(machine, attempt.detail)
        attempt.detail = {**attempt.detail, **energy, **end.detail}
        note_pause(attempt, ended_us, begins=False)
        self._close(session, attempt, end.state, at, end.reason)
        machine.to_check_since = at
        job = session.get_one(Job, attempt.job_id)
        begin_watch(session, self._workshop, machine, job.person_id, attempt.id, at)
        state, word = _JOB[end.state]
        step_job(job, state, now)
        if state is JobState.HELD:
            job.hold_reason = HoldReason.INTERRUPTED.value
        session.flush()
        self._account(session, attempt, machine, job, word, at, now)
        tell_dependents(session, self._workshop, job, now)

    def _close(
        self,
        session: Session,
        attempt: Attempt,
        state: AttemptState,
        at: datetime,
        reason: str | None,
    ) -> None:
        attempt.state = state.value
        attempt.ended_at = at = max(at, attempt.started_at + SHORTEST)
        attempt.reason = reason[:200] if reason else None
        session.flush()
        for usage in session.scalars(
            select(UsageEvent).where(
                UsageEvent.attempt_id == attempt.id, UsageEvent.end_at.is_(None)
            )
        ):
            usage.end_at = at
        for allocation in session.scalars(
            select(Allocation).where(
                Allocation.attempt_id == attempt.id,
                Allocation.state == AllocationState.ACTIVE.value,
            )
        ):
            self._facts.end(session, allocation.id, at)

    def _account(
        self,
        session: Session,
        attempt: Attempt,
        machine: Machine,
        job: Job,
        word: EventType,
        at: datetime,
        now: datetime,
    ) -> None:
        account = Account.of(session, self._workshop, attempt, machine, job)
        note_end(session, account)
        _take_material(session, account, now)
        facts = usage_facts(session, self._workshop, account)
        record = self._ledger.append(session, facts, now, attempt.id)
        charge_run(session, self._workshop, account, now)
        done = StepState.DONE if word is EventType.JOB_FINISHED else StepState.FAILED
        reason = {"reason": attempt.reason} if attempt.reason else {}
        set_step(session, job.id, StepName.STREAM, done, now, reason)
        set_step(session, job.id, StepName.RECORD, StepState.DONE, now, {"seq": record.seq})
        set_step(session, job.id, StepName.ANNOUNCE, StepState.RUNNING, now)
        tell = self._tell
        tell(session, word, attempt, machine, at, now, {"record": record.id, **reason})
        used = {"record": record.id, "digest": record.digest, "machine_ms": attempt.machine_ms}
        tell(session, EventType.USAGE_RECORDED, attempt, machine, at, now, used)
        tell(session, EventType.MATERIAL_CONSUMED, attempt, machine, at, now, account.consumed())
        self._tell_owner(session, attempt, machine, job, word, now)

    def _tell_owner(
        self,
        session: Session,
        attempt: Attempt,
        machine: Machine,
        job: Job,
        word: EventType,
        now: datetime,
    ) -> None:
        """Tell whose job it is; at a machine without a host its person has said so themselves."""
        code = _TOLD.get(word)
        if code is None or machine.control == Control.BY_HAND:
            return
        fields = {"title": job.title, "machine": machine.name}
        about, key = f"job:{job.id}", f"run:{attempt.id}"
        notices.tell(session, self._workshop, job.person_id, code, fields, now, about, key)

    def _tell(
        self,
        session: Session,
        kind: EventType,
        attempt: Attempt,
        machine: Machine,
        at: datetime,
        now: datetime,
        data: Mapping[str, object],
    ) -> None:
        simulated = session.get_one(Job, attempt.job_id).simulated or machine.simulated
        outbox.add(
            session,
            kind,
            {
                "job": attempt.job_id,
                "attempt": attempt.id,
                "machine": machine.slug,
                "simulated": simulated,
                **data,
            },
            at=at,
            now=now,
            workshop=self._workshop,
            job_id=attempt.job_id,
        )


def _take_material(session: Session, account: Account, now: datetime) -> None:
    """Take what the run used from the spools, and ask for a look where that is a guess."""
    attempt = account.attempt
    assert attempt.ended_at is not None
    used = drawn(account.asks, account.mass_mg)
    take_from(session, account.machine.id, used, attempt.started_at, attempt.ended_at)
    if account.mass_mg and attempt.state in _BROKEN:
        doubt(session, account.machine.id, Doubt.BROKEN_OFF, now, used or None)


def _take(attempt: Attempt, name: str, value: int) -> None:
    """Take in one number of a run; none of them ever falls."""
    match name:
        case "acked":
            attempt.acked = max(attempt.acked, value)
        case "sent":
            attempt.sent = max(attempt.sent, value)
        case "total":
            attempt.total = max(attempt.total, value)
        case "source_line":
            attempt.source_line = max(attempt.source_line, value)
        case "resends":
            attempt.resends = max(attempt.resends, value)
        case _:
            return
