"""Who may have a machine move or heat at this moment: the one place that says so.

Proof that a person stands at the machine belongs here too; until there is any, a signed-in
person's own word on the machine's page is what there is.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from jobs.domain.calendar import CLAIMS, AllocationKind, AllocationState
from jobs.domain.machine import Control, MachineState
from jobs.domain.people import Actor, Role
from jobs.domain.policy import Reason, Refusal
from jobs.services.board import needs_look
from jobs.services.footing import may_use, person_refusals
from jobs.services.live import LiveState
from jobs.store.tables import Allocation, Attempt, Job, Machine

_OUT_OF_SERVICE = frozenset({AllocationKind.OUTAGE.value, AllocationKind.CLOSURE.value})


def run_owner(session: Session, machine: Machine) -> tuple[str, str] | None:
    """Return the attempt that is open at *machine* and the person whose job it is."""
    row = session.execute(
        select(Attempt.id, Job.person_id)
        .join(Job, Attempt.job_id == Job.id)
        .where(Attempt.machine_id == machine.id, Attempt.ended_at.is_(None))
    ).first()
    return (row[0], row[1]) if row is not None else None


def reach_refusals(machine: Machine) -> list[Refusal]:
    """Return why nobody can have *machine* do anything from here."""
    if machine.retired_at is not None:
        return [Refusal(Reason.MACHINE_RETIRED)]
    if machine.control != Control.SERIAL:
        return [Refusal(Reason.NO_SUCH_CONTROL, {"control": machine.control})]
    return []


def steering_refusals(session: Session, actor: Actor, machine: Machine) -> list[Refusal]:
    """Return why *actor* may not change what runs: it is another person's, and they no operator."""
    owner = run_owner(session, machine)
    if owner is None or owner[1] == actor.person_id or actor.is_at_least(Role.OPERATOR):
        return []
    return [Refusal(Reason.NOT_YOURS)]


def motion_refusals(
    session: Session, actor: Actor, machine: Machine, live: LiveState, now: datetime
) -> list[Refusal]:
    """Return every reason why *actor* may not have *machine* move or heat from here now."""
    found: list[Refusal] = []
    if needs_look(live):
        # Whatever it was stopped for may still be there, and only eyes can tell.
        found.append(Refusal(Reason.LOOK_FIRST))
    if live.differs:
        found.append(Refusal(Reason.OTHER_BOARD))
    elif live.in_use:
        # Somebody's fingers may be in it.
        found.append(Refusal(Reason.IN_USE_BY_HAND, {"why": live.in_use}))
    if not may_use(session, actor, machine):
        found.append(Refusal(Reason.ROLE_TOO_LOW, {"needed": Role.MEMBER.value}))
    found += person_refusals(session, actor, machine, now)
    owner = run_owner(session, machine)
    if owner is not None and owner[1] != actor.person_id:
        # Not even an operator moves a machine under another person's part: they cancel first.
        state = {"state": MachineState.RUNNING.value}
        found.append(Refusal(Reason.MACHINE_BUSY, state))
    if actor.is_at_least(Role.OPERATOR):
        return found
    current = session.scalars(
        select(Allocation).where(
            Allocation.machine_id == machine.id,
            Allocation.state == AllocationState.ACTIVE.value,
            Allocation.start_at <= now,
            Allocation.end_at > now,
        )
    ).all()
    for one in current:
        if one.kind in _OUT_OF_SERVICE:
            state = {"state": MachineState.MAINTENANCE.value}
            found.append(Refusal(Reason.MACHINE_BUSY, state, passes_at=one.end_at))
        elif one.kind in CLAIMS and one.person_id != actor.person_id:
            found.append(Refusal(Reason.RESERVED_FOR_ANOTHER, passes_at=one.end_at))
    return found
