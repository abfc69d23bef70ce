"""The machines of a training: their time is kept for all of it, or it is not announced."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from jobs.domain.calendar import AllocationKind, AllocationState, Interval
from jobs.domain.errors import NotFoundError
from jobs.domain.events import rfc3339
from jobs.domain.policy import Reason, Refusal
from jobs.domain.sharing import HoldFor
from jobs.services.claims import conflicts
from jobs.services.turns import take_turns
from jobs.services.waiting import serve
from jobs.services.workshop import Workshop
from jobs.store.house import Training, TrainingMachine
from jobs.store.tables import Allocation, Machine

_MOST_NAMED = 5  # conflicts of one machine


def machines_of(session: Session, slugs: Sequence[str]) -> Sequence[Machine]:
    """Return machines by their slugs, their turns taken.

    :raises NotFoundError: naming one that is not there.
    """
    found = session.scalars(select(Machine).where(Machine.slug.in_(slugs))).all()
    missing = set(slugs) - {one.slug for one in found if one.retired_at is None}
    if missing:
        raise NotFoundError("machine.unknown", machine=min(missing))
    take_turns(session, {one.id for one in found})
    return found


def conflicts_of(
    session: Session, machines: Sequence[Machine], trainer_id: str, interval: Interval
) -> list[Refusal]:
    """Return what lies in the way on each machine, all at once; whose it is, nobody is told."""
    found = []
    for machine in machines:
        rows = session.execute(
            select(Allocation.start_at, Allocation.end_at)
            .where(conflicts(machine.id, AllocationKind.HOLD, trainer_id, interval))
            .order_by(Allocation.start_at)
            .limit(_MOST_NAMED)
        ).all()
        for start, end in rows:
            fields = {"machine": machine.name, "from": rfc3339(start), "to": rfc3339(end)}
            found.append(Refusal(Reason.TRAINING_CONFLICT, fields))
    return found


def keep(
    session: Session, workshop: Workshop, row: Training, machines: Sequence[Machine], now: datetime
) -> None:
    """Keep the machines' time; the database refuses what overlaps."""
    for machine in machines:
        held = Allocation(
            id=workshop.new_id(),
            machine_id=machine.id,
            kind=AllocationKind.HOLD.value,
            state=AllocationState.ACTIVE.value,
            start_at=row.start_at,
            end_at=row.end_at,
            person_id=row.trainer_id,
            note=row.title,
            sequence=0,
            created_at=now,
            purpose=HoldFor.TRAINING.value,
        )
        session.add(held)
        session.flush()
        session.add(
            TrainingMachine(training_id=row.id, machine_id=machine.id, allocation_id=held.id)
        )
    session.flush()


def let_go(session: Session, workshop: Workshop, training_id: str, now: datetime) -> None:
    """Give the machines' time back; who waits for it is served."""
    rows = session.scalars(
        select(Allocation)
        .join(TrainingMachine, TrainingMachine.allocation_id == Allocation.id)
        .where(TrainingMachine.training_id == training_id)
        .order_by(Allocation.machine_id)
    ).all()
    take_turns(session, {one.machine_id for one in rows})
    freed = []
    for one in rows:
        session.refresh(one)
        if one.state == AllocationState.ACTIVE.value and one.end_at > now:
            one.state = AllocationState.CANCELLED.value
            one.sequence += 1
            freed.append(one.machine_id)
    session.flush()
    for machine_id in freed:
        serve(session, workshop, machine_id, now)
