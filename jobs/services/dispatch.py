"""Choosing and starting: the first waiting job that may run goes to an armed machine."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from jobs.domain.errors import (
    NotFoundError,
    RefusedError,
    UnavailableError,
)
from jobs.domain.job import HoldReason, JobState
from jobs.domain.machine import Control, MachineState
from jobs.domain.modules import Module
from jobs.domain.people import Actor, Role
from jobs.domain.policy import Reason, Refusal
from jobs.kinds import KINDS, Start
from jobs.services.armings import withdraw_armings
from jobs.services.asked import machine_of, must_be
from jobs.services.attempts import Attempts
from jobs.services.board import needs_look
from jobs.services.clock import is_trusted
from jobs.services.footing import must_use, person_refusals
from jobs.services.logbook import Happening, write
from jobs.services.machines import stoppable
from jobs.services.modules import is_on
from jobs.services.planned import program_path
from jobs.services.presence import (
    going_on_refusals,
    motion_refusals,
    presence_refusals,
    reach_refusals,
    run_owner,
)
from jobs.services.runs import Runs
from jobs.services.starting import (
    Standing,
    candidates,
    next_start,
    preflight_for,
    refusals,
    standing_of,
)
from jobs.services.turns import take_turn
from jobs.services.views import ArmingView
from jobs.services.waived import waivers_of
from jobs.services.workshop import StartOrder, Workshop
from jobs.store.tables import Arming, Attempt, Job, Machine, Preflight

ARMED_FOR = timedelta(minutes=30)
_MOST_STARTS = 64  # in one tick

# The host says no to the program, not to the hour: only a person can mend that.
_ABOUT_PROGRAM = frozenset(
    {
        "host.no_preflight",
        "host.not_sealed",
        "host.unknown_program",
        "host.bad_program",
        "host.bad_chunk",
        "host.limits_changed",
        "host.refused",
    }
)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Start:
    slug: str
    attempt_id: str
    order: StartOrder


class Dispatch:
    """Arming, starting, steering and stopping machines.

    :param runs: hears of starts that are on their way.
    """

    def __init__(self, workshop: Workshop, runs: Runs) -> None:
        self._workshop = workshop
        self._runs = runs
        self._attempts = Attempts(workshop)

    def arm(self, actor: Actor, slug: str, now: datetime) -> ArmingView:
        """Take a person's word, given at the machine, that it is clear: good for one start."""
        with self._workshop.database.write() as session:
            machine = machine_of(session, slug)
            must_use(session, actor, machine)
            standing = standing_of(session, self._workshop, machine, now)
            person = person_refusals(session, actor, machine, now)
            there = presence_refusals(session, actor, machine, now)
            _refuse([*person, *_arming_refusals(standing), *there])
            arming = self._take_word(session, actor, machine, now)
        log.info("%s: armed by %s", slug, actor.person_id)
        self._workshop.live.touch()
        return ArmingView(actor.name, arming.at, arming.expires_at, arming.simulated)

    def _take_word(self, session: Session, actor: Actor, machine: Machine, now: datetime) -> Arming:
        withdraw_armings(session, machine.slug, now)
        arming = Arming(
            id=self._workshop.new_id(),
            machine_id=machine.id,
            person_id=actor.person_id,
            at=now,
            expires_at=now + ARMED_FOR,
            simulated=actor.simulated,
        )
        session.add(arming)
        machine.to_check_since = None
        session.flush()  # who starts by it asks the table
        return arming

    def keep_heat(self, actor: Actor, slug: str, minutes: int, now: datetime) -> None:
        """Have heat stay on without a run for a while; the machine's page names the person."""
        with self._workshop.database.read() as session:
            machine = machine_of(session, slug)
            must_use(session, actor, machine)
            person = person_refusals(session, actor, machine, now)
            _refuse([*person, *going_on_refusals(session, actor, machine, now)])
        _demand(self._workshop.gateway.keep_heat(slug, actor.name, 60 * minutes), slug)
        with self._workshop.database.write() as session:
            machine = machine_of(session, slug)
            kept = {"minutes": str(minutes)}
            write(session, self._workshop, machine, Happening.HEAT_KEPT, now, actor.person_id, kept)

    def power(self, actor: Actor, slug: str, now: datetime, *, on: bool) -> None:
        """Begin or end the heartbeat that holds a machine's relay; the person stands beside it."""
        with self._workshop.database.read() as session:
            machine = machine_of(session, slug)
            must_use(session, actor, machine)
            # Without a host its power goes with its use; in danger there is *stop*.
            _refuse(reach_refusals(machine))
            if on:
                # Its owner's fingers may be in it; to let it drop is anybody's right.
                person = person_refusals(session, actor, machine, now)
                _refuse([*person, *going_on_refusals(session, actor, machine, now)])
        _demand(self._workshop.gateway.power(slug, actor.name, on=on), slug)
        if on:
            with self._workshop.database.write() as session:
                machine = machine_of(session, slug)
                write(session, self._workshop, machine, Happening.POWER_ON, now, actor.person_id)
        self._workshop.live.touch()

    def disarm(self, actor: Actor, slug: str, now: datetime) -> None:
        """Take the word back."""
        with self._workshop.database.write() as session:
            must_use(session, actor, machine_of(session, slug))
            withdraw_armings(session, slug, now)
        self._workshop.live.touch()

    def tick(self, now: datetime) -> list[str]:
        """Start whatever may start; return the attempts that began. Without a sound clock none.

        Nor where the lab has no queue: there a person at the machine starts each job.
        """
        with self._workshop.database.read() as session:
            if not is_trusted(session, now) or not is_on(session, Module.QUEUE):
                return []
        begun: list[str] = []
        for _ in range(_MOST_STARTS):
            start = self._begin_next(now)
            if start is None:
                break
            if self._hand_over(start, now) is None:
                begun.append(start.attempt_id)
        return begun

    def start(
        self,
        actor: Actor,
        job_id: str,
        slug: str,
        now: datetime,
        *,
        checked: bool = False,
        is_clear: bool = False,
    ) -> str:
        """Start one job because a person who stands at the machine says so.

        :param checked: they went through its start checklist, which mills and lasers ask for.
        :param is_clear: their word that it is clear, for this start alone: it comes and goes with
            it. The checklist is such a word.
        :returns: the attempt.
        :raises RefusedError: with every reason at once.
        :raises UnavailableError: with the host's code, if it did not begin.
        """
        with self._workshop.database.write() as session:
            job, machine = _both(session, job_id, slug)
            if job.person_id != actor.person_id:
                must_be(actor, Role.OPERATOR)
            if not checked and _asks_checklist(machine):
                raise RefusedError([Refusal(Reason.CHECKLIST_FIRST)])
            there = presence_refusals(session, actor, machine, now)
            if (checked or is_clear) and not (
                there or _arming_refusals(standing_of(session, self._workshop, machine, now))
            ):
                self._take_word(session, actor, machine, now)
            start = self._try(session, job, machine, now, there)
        code = self._hand_over(start, now)
        if code is not None:
            raise UnavailableError(code, machine=slug)
        return start.attempt_id

    def pause(self, actor: Actor, slug: str, now: datetime) -> None:
        """Hold the program where it is; the job's owner or an operator."""
        self._may_steer(actor, slug, now)
        _demand(self._workshop.gateway.pause(slug, actor.name), slug)

    def resume(self, actor: Actor, slug: str, now: datetime) -> None:
        """Go on after a pause; whoever says so stands there."""
        self._may_go_on(actor, slug, now)
        _demand(self._workshop.gateway.resume(slug, actor.name), slug)

    def cancel(self, actor: Actor, slug: str, now: datetime) -> None:
        """End the run safely; what it becomes is told by the host's event."""
        self._may_steer(actor, slug, now)
        _demand(self._workshop.gateway.cancel(slug, actor.name), slug)

    def answer(self, actor: Actor, slug: str, prompt: int, choice: int, now: datetime) -> None:
        """Answer what the machine asks; the job's owner or an operator, recorded by name.

        :param prompt: the number of the prompt that was read: one that is over is not answered.
        :param choice: which of its choices, from 0; 0 is *go on* where it offers none.
        """
        self._may_go_on(actor, slug, now)
        _demand(self._workshop.gateway.answer(slug, prompt, choice, actor.name), slug)

    def inspected(self, actor: Actor, slug: str, now: datetime) -> None:
        """Take a person's word that a stopped machine was looked at, and open its port anew.

        That restarts most boards; the machine still has to be armed before anything starts.
        """
        with self._workshop.database.read() as session:
            machine = machine_of(session, slug)
            must_use(session, actor, machine)
            there = [
                *person_refusals(session, actor, machine, now),
                *presence_refusals(session, actor, machine, now),
            ]
            standing = standing_of(session, self._workshop, machine, now)
        # A board that came back by itself reads otherwise than one that is still halted.
        if not needs_look(self._workshop.live.get(slug)):
            fields = {"state": standing.state.value, "wanted": MachineState.ERROR.value}
            _refuse([Refusal(Reason.WRONG_STATE, fields)])
        _refuse(there)
        _demand(self._workshop.gateway.reconnect(slug), slug)
        log.info("%s: inspected by %s", slug, actor.person_id)

    def stop(self, actor: Actor | None, slug: str) -> str | None:
        """Stop one machine now, whoever asks; return the code if its host did not answer."""
        code = self._workshop.gateway.stop(slug, actor.name if actor else "unnamed")
        # Written afterwards: no disk may come between a person and a stop.
        log.warning("%s: stop asked for: %s", slug, code or "done")
        with self._workshop.database.write() as session:
            withdraw_armings(session, slug, None)
        self._workshop.live.touch()
        return code

    def stop_all(self, actor: Actor | None) -> Mapping[str, str | None]:
        """Stop every machine with a host, all at the same time."""
        with self._workshop.database.read() as session:
            slugs = list(stoppable(session))
        if not slugs:
            return {}
        by = actor.name if actor else "unnamed"
        gateway = self._workshop.gateway
        # A host that hangs must not keep the next machine waiting.
        with ThreadPoolExecutor(len(slugs)) as pool:
            codes = list(pool.map(lambda slug: gateway.stop(slug, by), slugs))
        log.warning("all machines: stop asked for")
        with self._workshop.database.write() as session:
            withdraw_armings(session, None, None)
        self._workshop.live.touch()
        return dict(zip(slugs, codes, strict=True))

    def _begin_next(self, now: datetime) -> _Start | None:
        """Open an attempt for the first waiting job that may start anywhere."""
        with self._workshop.database.read() as session:
            found = next_start(session, self._workshop, now)
        if found is None:
            return None
        job_id, slug = found
        try:
            with self._workshop.database.write() as session:
                job, machine = _both(session, job_id, slug)
                return self._try(session, job, machine, now, None)
        except RefusedError as error:
            # Somebody was quicker between the look and the write; the next tick looks again.
            log.info("%s: job %s does not start: %s", slug, job_id, error)
            return None

    def _try(
        self,
        session: Session,
        job: Job,
        machine: Machine,
        now: datetime,
        by_person: list[Refusal] | None,
    ) -> _Start:
        """Open the attempt, or raise every reason against it.

        :param by_person: why the person who starts it does not count as standing there; None: the
            queue starts it.
        """
        if job.state != JobState.WAITING:
            state = {"state": job.state, "wanted": JobState.WAITING.value}
            raise RefusedError([Refusal(Reason.WRONG_STATE, state)])
        if machine not in candidates(session, job):
            raise RefusedError([Refusal(Reason.NO_CAPABLE_MACHINE)])
        standing = standing_of(session, self._workshop, machine, now)
        preflight = preflight_for(session, job.id, machine.id)
        by_hand = by_person is not None
        found = refusals(session, job, standing, preflight, now, started_by_person=by_hand)
        _refuse([*(by_person or ()), *found])
        assert preflight is not None  # else the rules above had said no
        assert standing.arming is not None
        attempt = self._attempts.begin(session, job, machine, preflight, standing.arming, now)
        self._runs.expect(attempt.id)  # before anybody can see the attempt
        waivers = [one.id for one in waivers_of(session, preflight)]
        order = self._order(attempt, preflight, standing.arming, waivers)
        return _Start(machine.slug, attempt.id, order)

    def _order(
        self, attempt: Attempt, preflight: Preflight, arming: Arming, waivers: Sequence[str]
    ) -> StartOrder:
        work_dir = self._workshop.work_dir
        stream, index = preflight.stream_sha256 or "", preflight.index_sha256 or ""
        return StartOrder(
            run=attempt.id,
            stream=program_path(work_dir, stream),
            index=program_path(work_dir, index),
            stream_sha256=stream,
            preflight_id=preflight.id,
            limits_sha256=preflight.limits_sha256,
            verdict=preflight.verdict,
            waivers=tuple(waivers),
            arming_id=arming.id,
        )

    def _hand_over(self, start: _Start, now: datetime) -> str | None:
        """Carry the program to the host; return its "no", after undoing the attempt."""
        try:
            code = self._workshop.gateway.start(start.slug, start.order)
            with self._workshop.database.write() as session:
                attempt = session.get_one(Attempt, start.attempt_id, with_for_update=True)
                # The host's own news may have been quicker than its answer.
                if attempt.ended_at is None and code is None:
                    self._attempts.run(session, attempt, now, now)
                elif attempt.ended_at is None and code is not None:
                    self._undo(session, attempt, code, now)
        finally:
            self._runs.settle(start.attempt_id)
        if code is not None:
            log.warning("%s: did not start: %s", start.slug, code)
        self._workshop.live.touch()
        return code

    def _undo(self, session: Session, attempt: Attempt, code: str, now: datetime) -> None:
        is_program = code in _ABOUT_PROGRAM
        then = (JobState.HELD, HoldReason.HOST_REFUSED) if is_program else (JobState.WAITING, None)
        # The word stays used up. After silence the host may have begun all the same; and after
        # a "no" another job would begin by a word that was given for this one.
        self._attempts.withdraw(session, attempt, code, then, now)

    def may_move(self, actor: Actor, slug: str, now: datetime) -> None:
        """Refuse unless this person may move a machine that stands idle.

        :raises RefusedError: with every reason at once.
        """
        with self._workshop.database.read() as session:
            machine = machine_of(session, slug)
            must_use(session, actor, machine)
            live = self._workshop.live.get(slug)
            found = motion_refusals(session, actor, machine, live, now)
            if not found and run_owner(session, machine) is not None:
                # Not even into a run of one's own: its moves would come between the program's.
                found = [Refusal(Reason.MACHINE_BUSY, {"state": MachineState.RUNNING.value})]
            _refuse(found)

    def _may_go_on(self, actor: Actor, slug: str, now: datetime) -> None:
        self._may_steer(actor, slug, now)
        with self._workshop.database.read() as session:
            _refuse(going_on_refusals(session, actor, machine_of(session, slug), now))

    def _may_steer(self, actor: Actor, slug: str, now: datetime) -> None:
        del now  # what happens is dated by the host
        with self._workshop.database.read() as session:
            machine = machine_of(session, slug)
            owner = session.scalar(
                select(Job.person_id)
                .join(Attempt, Attempt.job_id == Job.id)
                .where(Attempt.machine_id == machine.id, Attempt.ended_at.is_(None))
            )
        if owner is None or owner != actor.person_id:
            must_be(actor, Role.OPERATOR)


def _arming_refusals(standing: Standing) -> list[Refusal]:
    machine, state = standing.machine, standing.state
    if machine.retired_at is not None:
        return [Refusal(Reason.MACHINE_RETIRED)]
    if machine.control != Control.SERIAL:
        return [Refusal(Reason.NO_SUCH_CONTROL, {"control": machine.control})]
    if standing.has_other_board:
        return [Refusal(Reason.OTHER_BOARD)]
    if standing.in_use:
        return [Refusal(Reason.IN_USE_BY_HAND, {"why": standing.in_use})]
    if state is MachineState.OFFLINE:
        return [Refusal(Reason.MACHINE_OFFLINE)]
    if state not in (MachineState.IDLE, MachineState.RESERVED, MachineState.TO_CHECK):
        return [Refusal(Reason.MACHINE_BUSY, {"state": state.value})]
    return []


def _asks_checklist(machine: Machine) -> bool:
    kind = KINDS.get(machine.kind)
    return machine.control == Control.SERIAL and (kind is None or kind.start is Start.PERSON)


def _refuse(reasons: list[Refusal]) -> None:
    if reasons:
        raise RefusedError(reasons)


def _demand(code: str | None, slug: str) -> None:
    if code is not None:
        raise UnavailableError(code, machine=slug)


def _both(session: Session, job_id: str, slug: str) -> tuple[Job, Machine]:
    """Return a job and a machine that nobody else begins anything with meanwhile."""
    machine = machine_of(session, slug)
    take_turn(session, machine.id)
    job = session.get(Job, job_id, with_for_update=True)
    if job is None:
        raise NotFoundError("job.unknown")
    return job, machine
