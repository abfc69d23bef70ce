"""May this job start on that machine now? One answer for the queue's page and for dispatch."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from jobs.domain.backfill import Waiting, choose
from jobs.domain.calendar import AllocationKind, AllocationState, Interval
from jobs.domain.job import AttemptState, JobState
from jobs.domain.loading import Loads
from jobs.domain.machine import Control, MachineLimits, MachineState
from jobs.domain.policy import Reason, Refusal, StartFacts, start_refusals
from jobs.domain.preflight import Verdict
from jobs.domain.rules import Values
from jobs.domain.sharing import HoldFor
from jobs.domain.unattended import FREE, Terms
from jobs.kinds import KINDS, Start
from jobs.services import house_rules
from jobs.services.armings import armed_machines, valid_arming
from jobs.services.asking import asks_of
from jobs.services.attempts import length_of
from jobs.services.board import Taken, state_of
from jobs.services.checking import before_use_refusals
from jobs.services.computer import supply
from jobs.services.costing import purse_for_start
from jobs.services.fire_watch import watch_refusals
from jobs.services.house_rules import values_of
from jobs.services.live import LiveState
from jobs.services.loaded import loads_of
from jobs.services.ordering import line_of
from jobs.services.plans import Plan, plan_refusals, plans_of
from jobs.services.promising import History, history_of
from jobs.services.readiness import (
    burning_refusals,
    hours_refusals,
    loading_refusals,
    open_before,
    order_refusals,
    size_refusals,
    vigil_refusals,
)
from jobs.services.targets import Target, target_of
from jobs.services.terms import Stretches, attended, terms_of
from jobs.services.used import used_by
from jobs.services.waived import unwaived
from jobs.services.workshop import Workshop
from jobs.store.tables import Allocation, Arming, Attempt, Job, Machine, Preflight
from jobs.store.waiting import JobAsk


@dataclass(frozen=True, slots=True)
class Standing:
    """How a machine stands, as far as a start cares."""

    machine: Machine
    target: Target | None
    state: MachineState
    arming: Arming | None
    in_use: str  # by hand, and why
    has_other_board: bool
    lacks_heat_guard: bool
    supply_is_low: bool
    allocations: Sequence[Allocation]  # active, from now on, in order
    zone: ZoneInfo
    values: Values  # of the house's rules
    history: History = ()  # finished runs that its promises rest on
    loads: Loads = Loads()  # noqa: RUF009 - frozen, and the same for every machine
    terms: Terms = FREE
    attended: Stretches | None = None  # when somebody is there, where the lab said so
    unchecked: Sequence[Refusal] = ()  # its list before use waits for a person
    live: LiveState = LiveState()  # noqa: RUF009 - frozen, and what nobody heard of
    used_by: str = ""  # id of whoever has opened a use there

    def next_claim_at(self, person_id: str, plan: Plan | None = None) -> datetime | None:
        """Return when somebody else's time begins, or a pause of the machine.

        :param plan: of the job that asks: that time is its own.
        """
        for one in self.allocations:
            own = one.person_id == person_id and (
                one.kind == AllocationKind.RESERVATION or one.purpose == HoldFor.TRAINING
            )
            own = own or (plan is not None and plan.allocation_id == one.id)
            if not own and one.kind != AllocationKind.RUN:
                # A person finds the machine set up; an outage or a planned run needs nothing.
                is_theirs = one.kind == AllocationKind.RESERVATION
                return one.start_at - (self.values.buffer if is_theirs else timedelta())
        return None


def standing_of(session: Session, workshop: Workshop, machine: Machine, now: datetime) -> Standing:
    """Look at everything that speaks for or against a start on *machine*."""
    allocations = session.scalars(
        select(Allocation)
        .where(
            Allocation.machine_id == machine.id,
            Allocation.state == AllocationState.ACTIVE.value,
            Allocation.end_at > now,
        )
        .order_by(Allocation.start_at)
        .limit(20)
    ).all()
    attempt = session.scalar(
        select(Attempt.state).where(Attempt.machine_id == machine.id, Attempt.ended_at.is_(None))
    )
    live = workshop.live.get(machine.slug)
    values = values_of(session, machine)
    state = state_of(
        machine,
        live,
        [
            Taken(AllocationKind(one.kind), Interval(one.start_at, one.end_at))
            for one in allocations
        ],
        AttemptState(attempt) if attempt else None,
        now,
    )
    return Standing(
        machine,
        target_of(machine, workshop.profiles_dir),
        state,
        valid_arming(session, machine.id, now),
        live.in_use,
        bool(live.differs),
        live.told.get("thermal_protection") is False,
        supply(workshop.devices).is_low,
        allocations,
        workshop.zone,
        values,
        history_of(session, machine.id),
        loads_of(session, machine.id),
        terms_of(session, [machine.id])[machine.id],
        attended(values, workshop, now),
        before_use_refusals(session, machine, now),
        live,
        used_by(session, machine.id),
    )


def machines_in_use(session: Session) -> Sequence[Machine]:
    """Return the machines that take jobs, by slug."""
    query = select(Machine).where(
        Machine.retired_at.is_(None), Machine.control != Control.NONE.value
    )
    return session.scalars(query.order_by(Machine.slug)).all()


def takes(machine: Machine, job: Job) -> bool:
    """Tell whether a machine in use is one that *job* may go to."""
    return machine.id == job.machine_id if job.machine_id else machine.kind == job.kind


def candidates(session: Session, job: Job) -> Sequence[Machine]:
    """Return the machines that may take this job, by slug."""
    return [machine for machine in machines_in_use(session) if takes(machine, job)]


def preflight_for(session: Session, job_id: str, machine_id: str) -> Preflight | None:
    """Return what the newest preparation found for this job on this machine."""
    return preflights_of(session, [job_id]).get((job_id, machine_id))


def preflights_of(
    session: Session, job_ids: Collection[str]
) -> Mapping[tuple[str, str], Preflight]:
    """Return what the newest preparation of each job found, by job and machine."""
    found = session.scalars(
        select(Preflight).where(
            Preflight.job_id.in_(job_ids),
            Preflight.superseded_at.is_(None),
        )
    )
    return {(one.job_id, one.machine_id): one for one in found}


def refusals(
    session: Session,
    job: Job,
    standing: Standing,
    preflight: Preflight | None,
    now: datetime,
    *,
    started_by_person: bool,
) -> list[Refusal]:
    """Return every reason not to start *job* there now."""
    machine = standing.machine
    kind = KINDS.get(machine.kind)
    plan = plans_of(session, [job.id]).get(job.id)
    found = list(
        start_refusals(
            StartFacts(
                control=Control(machine.control),
                state=standing.state,
                in_use=standing.in_use,
                has_other_board=standing.has_other_board,
                lacks_heat_guard=standing.lacks_heat_guard,
                supply_is_low=standing.supply_is_low,
                is_armed=standing.arming is not None,
                is_prepared=is_current(preflight, standing.target),
                is_blocked=preflight is not None and preflight.verdict == Verdict.BLOCK,
                unwaived=len(unwaived(session, preflight)),
                # A kind we do not know is treated as the careful one.
                must_be_started_by_person=kind is None or kind.start is Start.PERSON,
                started_by_person=started_by_person,
                ends_at=now + length_of(preflight, standing.history),
                next_claim_at=standing.next_claim_at(job.person_id, plan),
            )
        )
    )
    found += agreed_refusals(
        session, job, standing, preflight, plan, now, started_by_person=started_by_person
    )
    return house_rules.without_passed(session, found, job.id, machine.id, now)


def agreed_refusals(
    session: Session,
    job: Job,
    standing: Standing,
    preflight: Preflight | None,
    plan: Plan | None,
    now: datetime,
    *,
    started_by_person: bool,
) -> list[Refusal]:
    """Return what the lab, its people and what is loaded have against it, on whatever machine."""
    machine = standing.machine
    ends_at = now + length_of(preflight, standing.history)
    purse = None
    if standing.values.owing_most is not None:
        purse = purse_for_start(session, job, machine, preflight, now)
    found = [*standing.unchecked, *watch_refusals(session, machine)]
    found += vigil_refusals(machine, standing.live)
    if standing.used_by not in ("", job.person_id):
        found.append(Refusal(Reason.USED_BY_ANOTHER))
    found += house_rules.start_refusals(
        session, standing.zone, job, machine, standing.values, ends_at, now, purse
    )
    asks = asks_of(preflight, session.get(JobAsk, job.id))
    if standing.values.material_needed:
        may_map = standing.target is not None and standing.target.maps_slots
        found += loading_refusals(asks, standing.loads, maps_slots=may_map)
    limits = MachineLimits.from_json(machine.limits)
    found += burning_refusals(machine.kind, limits, asks)
    found += size_refusals(asks, limits)
    found += hours_refusals(
        standing.terms,
        standing.attended,
        asks,
        ends_at - now,
        now,
        started_by_person=started_by_person,
    )
    found += plan_refusals(plan, machine.id, now)
    found += order_refusals(open_before(session, [job.id]).get(job.id, ()))
    return found


def is_current(preflight: Preflight | None, target: Target | None) -> bool:
    """Tell whether the machine still is what the program was held against."""
    return (
        preflight is not None and target is not None and preflight.target_sha256 == target.sha256()
    )


def waiting_jobs(session: Session) -> Sequence[Job]:
    """Return the queue in its order."""
    query = select(Job).where(Job.state == JobState.WAITING.value)
    return session.scalars(query.order_by(Job.queued_at, Job.number)).all()


def next_start(session: Session, workshop: Workshop, now: datetime) -> tuple[str, str] | None:
    """Return which waiting job starts by itself now, and the slug of the machine.

    Of all that may start on a machine that somebody armed, the one whose turn it is.
    """
    armed = armed_machines(session, now)
    if not armed:
        return None
    standings = [
        standing_of(session, workshop, machine, now)
        for machine in machines_in_use(session)
        if machine.id in armed and machine.control == Control.SERIAL
    ]
    if not standings:
        return None
    line = line_of(session, workshop, now)
    jobs = {job.id: job for job in waiting_jobs(session)}
    preflights = preflights_of(session, list(jobs))
    ready = [
        _ready(session, one, jobs[one.id], standings, preflights, now)
        for one in line.jobs
        if one.id in jobs
    ]
    slugs = {one.machine.slug for one in standings}
    bays = [bay for bay in line.bays if bay.slug in slugs]
    found = choose(ready, bays, line.now, line.weights)
    return (found.job.id, found.bay.slug) if found else None


def _ready(
    session: Session,
    waiting: Waiting,
    job: Job,
    standings: Sequence[Standing],
    preflights: Mapping[tuple[str, str], Preflight],
    now: datetime,
) -> Waiting:
    """Return the job for those machines alone on which nothing speaks against its start."""
    spans = {
        standing.machine.slug: waiting.spans[standing.machine.slug]
        for standing in standings
        if standing.machine.slug in waiting.spans
        and not refusals(
            session,
            job,
            standing,
            preflights.get((job.id, standing.machine.id)),
            now,
            started_by_person=False,
        )
    }
    return replace(waiting, spans=spans)
