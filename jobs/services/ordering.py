"""The queue as pure values, and its order: what dispatch, pages and promises all read."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from jobs.domain.backfill import ALWAYS, Bay, Choice, Commitment, Waiting, ranked
from jobs.domain.calendar import AllocationKind, AllocationState
from jobs.domain.errors import InvalidError
from jobs.domain.job import JobState
from jobs.domain.loading import Loads, has_room
from jobs.domain.machine import Control
from jobs.domain.people import Role
from jobs.domain.preflight import Verdict
from jobs.domain.priority import Use, Weights, decayed, uses
from jobs.domain.promise import Span
from jobs.domain.unattended import must_end_before_closing
from jobs.services.asking import asks_of, job_asks, setup_of_asks, setup_of_loads
from jobs.services.board import open_runs
from jobs.services.house_rules import values_of_all
from jobs.services.live import LiveState
from jobs.services.loaded import loads_of_all
from jobs.services.plans import Plan, plans_of
from jobs.services.promising import histories, promised
from jobs.services.readiness import open_before
from jobs.services.resumed import is_resume
from jobs.services.targets import target_of
from jobs.services.terms import attended, terms_of
from jobs.services.waived import unwaived
from jobs.services.workshop import Workshop
from jobs.store.tables import (
    Allocation,
    Attempt,
    Job,
    Machine,
    Person,
    Preflight,
    Setting,
    UsageEvent,
)
from jobs.store.waiting import JobAsk, PlannedRun

WEIGHTS: Final = "queue.weights"  # the setting
MOST_JOBS: Final = 500  # of a queue that are looked at, the oldest first
_MOST_CLAIMS: Final = 2000
_HALF_LIVES: Final = 8  # after which use counts less than half a percent
_UNKNOWN_RUN: Final = 3600.0  # [s] that a run is thought to take of which nobody knows


@dataclass(frozen=True, slots=True)
class Line:
    """Everything that decides who starts where.

    :param machine_ids: by slug.
    :param away: slugs of machines that nothing can be started on now; they have no bay.
    """

    jobs: Sequence[Waiting]
    bays: Sequence[Bay]
    weights: Weights
    now: float
    machine_ids: Mapping[str, str]
    away: frozenset[str]


def weights_of(session: Session) -> Weights:
    """Return the lab's weights; what cannot be read is as by default."""
    row = session.get(Setting, WEIGHTS)
    if row is None:
        return Weights()
    try:
        values = json.loads(row.value)
        return Weights.from_json(values) if isinstance(values, dict) else Weights()
    except (ValueError, InvalidError):
        return Weights()


def uses_of(
    session: Session, people: Collection[str], weights: Weights, now: datetime
) -> Mapping[str, Use]:
    """Return what each person used of all machines lately, and what that is worth."""
    half_life = timedelta(days=weights.half_life_days)
    since = now - min(_HALF_LIVES * half_life, timedelta(days=3650))
    stretches: dict[str, list[tuple[float, float]]] = {}
    rows = session.execute(
        select(UsageEvent.person_id, UsageEvent.start_at, UsageEvent.end_at).where(
            UsageEvent.start_at > since
        )
    )
    for person_id, start, end in rows:
        ended = (end or now).timestamp()
        stretches.setdefault(person_id, []).append((start.timestamp(), ended))
    seconds = half_life.total_seconds()
    used = {who: decayed(each, now.timestamp(), seconds) for who, each in stretches.items()}
    return uses(used, people)


def line_of(session: Session, workshop: Workshop, now: datetime, *, claims: bool = True) -> Line:
    """Gather the queue as it stands.

    :param claims: what is booked too; whose turn it is does not depend on it, only what fits.
    """
    jobs = session.scalars(
        select(Job)
        .where(Job.state == JobState.WAITING.value)
        .order_by(Job.queued_at, Job.number)
        .limit(MOST_JOBS)
    ).all()
    machines = session.scalars(
        select(Machine)
        .where(Machine.retired_at.is_(None), Machine.control != Control.NONE.value)
        .order_by(Machine.slug)
    ).all()
    preflights = _preflights(session, jobs)
    weights = weights_of(session)
    bays = _bays(session, workshop, machines, jobs, preflights, now, claims=claims)
    away = frozenset(one.slug for one in machines if _is_away(one, workshop.live.get(one.slug)))
    return Line(
        _waiting(session, workshop, jobs, machines, preflights, weights, now),
        [bay for bay in bays if bay.slug not in away],
        weights,
        now.timestamp(),
        {one.slug: one.id for one in machines},
        away,
    )


def order_of(line: Line) -> Sequence[Choice]:
    """Return the jobs that some machine may take, best first, with the parts of each place.

    A machine that is off counts too: being off changes nothing in whose turn it is.
    """
    known = {bay.slug for bay in line.bays}
    others = [Bay(slug) for slug in line.machine_ids if slug not in known]
    return ranked(line.jobs, [*line.bays, *others], line.now, line.weights)


def positions(line: Line) -> Mapping[str, int]:
    """Return each waiting job's place, from 1; those that no machine may take come last."""
    order = [one.job.id for one in order_of(line)]
    placed = set(order)
    order += [job.id for job in line.jobs if job.id not in placed]
    return {job_id: place for place, job_id in enumerate(order, 1)}


def _preflights(session: Session, jobs: Sequence[Job]) -> Mapping[tuple[str, str], Preflight]:
    rows = session.scalars(
        select(Preflight).where(
            Preflight.job_id.in_([job.id for job in jobs]), Preflight.superseded_at.is_(None)
        )
    )
    return {(row.job_id, row.machine_id): row for row in rows}


def _waiting(
    session: Session,
    workshop: Workshop,
    jobs: Sequence[Job],
    machines: Sequence[Machine],
    preflights: Mapping[tuple[str, str], Preflight],
    weights: Weights,
    now: datetime,
) -> list[Waiting]:
    ids = [job.id for job in jobs]
    asks, before = job_asks(session, ids), open_before(session, ids)
    plans = plans_of(session, ids)
    people = {job.person_id for job in jobs}
    roles = {
        one.id: Role(one.role)
        for one in session.scalars(select(Person).where(Person.id.in_(people)))
    }
    shares = uses_of(session, people, weights, now)
    known = histories(session, {machine_id for _, machine_id in preflights})
    terms = terms_of(session, [one.id for one in machines])
    targets = {one.id: target_of(one, workshop.profiles_dir) for one in machines}
    hashes = {key: one.sha256() for key, one in targets.items() if one is not None}
    found: list[Waiting] = []
    for job in jobs:
        ask = asks.get(job.id)
        spans: dict[str, Span] = {}
        must_end: set[str] = set()
        wants: dict[str, Mapping[str, str]] = {}
        for machine in machines:
            preflight = preflights.get((job.id, machine.id))
            target = targets[machine.id]
            if not _may_take(session, job, machine, preflight) or preflight is None:
                continue
            if target is None or hashes[machine.id] != preflight.target_sha256:
                continue
            said = asks_of(preflight, ask)
            if not has_room(said.size_mm, target.limits.envelope_mm):
                continue
            span = promised(preflight, known.get(machine.id, ())).whole
            spans[machine.slug], wants[machine.slug] = span, setup_of_asks(said)
            materials = [one.material for one in said.tools if one.material]
            if must_end_before_closing(terms[machine.id], span.p90, materials):
                must_end.add(machine.slug)
        plan = plans.get(job.id)
        found.append(_one(job, ask, spans, wants, must_end, before, shares, roles, plan))
    return found


def _one(
    job: Job,
    ask: JobAsk | None,
    spans: Mapping[str, Span],
    wants: Mapping[str, Mapping[str, str]],
    must_end: Collection[str],
    before: Mapping[str, Sequence[Job]],
    shares: Mapping[str, Use],
    roles: Mapping[str, Role],
    plan: Plan | None,
) -> Waiting:
    deadline = ask.deadline_at if ask else None
    return Waiting(
        job.id,
        job.number,
        job.person_id,
        (job.queued_at or job.created_at).timestamp(),
        spans,
        roles[job.person_id],
        shares[job.person_id],
        deadline.timestamp() if deadline else None,
        {},
        wants,
        frozenset(one.id for one in before.get(job.id, ())),
        frozenset(must_end),
        (plan.machine_slug, plan.start.timestamp()) if plan else None,
    )


def _may_take(session: Session, job: Job, machine: Machine, preflight: Preflight | None) -> bool:
    if preflight is None or preflight.verdict == Verdict.BLOCK:
        return False
    is_wished = machine.id == job.machine_id if job.machine_id else machine.kind == job.kind
    return is_wished and not unwaived(session, preflight)


def _bays(
    session: Session,
    workshop: Workshop,
    machines: Sequence[Machine],
    jobs: Sequence[Job],
    preflights: Mapping[tuple[str, str], Preflight],
    now: datetime,
    *,
    claims: bool,
) -> list[Bay]:
    ids = [one.id for one in machines]
    loads = loads_of_all(session, ids)
    runs = open_runs(session, workshop, ids, None, now)
    begun = set(
        session.scalars(
            select(Attempt.machine_id).where(
                Attempt.machine_id.in_(ids), Attempt.ended_at.is_(None)
            )
        )
    )
    values = values_of_all(session, machines)
    buffers = {key: one.buffer.total_seconds() for key, one in values.items() if one.buffer}
    ahead = commitments_of(session, ids, now, buffers) if claims else {}
    kept = {
        job.machine_id: job.id
        for job in jobs
        if job.machine_id and is_resume(preflights.get((job.id, job.machine_id)))
    }
    hours = {one.opening: attended(one, workshop, now) for one in values.values()}
    found: list[Bay] = []
    for machine in machines:
        run = runs.get(machine.id)
        left = run.remaining_s if run else None
        free_at = now.timestamp()
        if machine.id in begun:
            free_at += _UNKNOWN_RUN if left is None else left
        found.append(
            Bay(
                machine.slug,
                free_at,
                setup_of_loads(loads.get(machine.id, Loads())),
                ahead.get(machine.id, ()),
                hours[values[machine.id].opening] or ALWAYS,
                kept.get(machine.id),
            )
        )
    return found


def commitments_of(
    session: Session,
    machine_ids: Collection[str],
    now: datetime,
    buffers: Mapping[str, float] | None = None,
) -> Mapping[str, Sequence[Commitment]]:
    """Return what lies ahead on each machine besides runs, in order.

    :param buffers: by machine, how long before somebody's time it is set up for them [s].
    """
    before = buffers or {}
    rows = session.execute(
        select(
            Allocation.machine_id,
            Allocation.kind,
            Allocation.person_id,
            Allocation.start_at,
            Allocation.end_at,
            PlannedRun.job_id,
        )
        .outerjoin(PlannedRun, PlannedRun.allocation_id == Allocation.id)
        .where(
            Allocation.machine_id.in_(machine_ids),
            Allocation.state == AllocationState.ACTIVE.value,
            Allocation.end_at > now,
            Allocation.kind != AllocationKind.RUN.value,
        )
        .order_by(Allocation.start_at)
        .limit(_MOST_CLAIMS)
    )
    found: dict[str, list[Commitment]] = {}
    for machine_id, kind, person_id, start, end, job_id in rows:
        own = person_id if kind == AllocationKind.RESERVATION else None
        begins = start.timestamp() - (before.get(machine_id, 0.0) if own else 0.0)
        one = Commitment(begins, end.timestamp(), own, job_id)
        found.setdefault(machine_id, []).append(one)
    return found


def _is_away(machine: Machine, live: LiveState) -> bool:
    if machine.control != Control.SERIAL:
        return False
    return not live.connected or live.phase in ("", "offline", "connecting", "stopped", "fault")
