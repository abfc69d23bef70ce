"""Who may have a machine move or heat at this moment: the one place that says so.

Where the machine asks for it, only who has proved to stand there: a proof is a row (`Presence`)
that holds for one person, one machine and one sign-in or visit at a kiosk, for minutes. A program
with a key is never there.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from jobs.domain.calendar import CLAIMS, AllocationKind, AllocationState
from jobs.domain.machine import Control, MachineState
from jobs.domain.people import Actor, LabMode, Role
from jobs.domain.policy import Reason, Refusal, Way, WayKind
from jobs.domain.presence import How, Need, PresenceBy, need_of
from jobs.kinds import KINDS, Start
from jobs.services.at_kiosk import devices_at, visit_lives
from jobs.services.board import needs_look
from jobs.services.footing import may_use, person_refusals
from jobs.services.house_rules import values_of
from jobs.services.lab import mode_of
from jobs.services.live import LiveState
from jobs.services.used import used_by
from jobs.store.presence import Presence
from jobs.store.tables import Allocation, Attempt, Job, Machine, Setting, SignIn

ALONE_KEY: Final = "presence.alone"  # setting: "ask" where even one person's printers ask for proof
# Reasons that fall away where something is only made safer.
OF_PRESENCE: Final = frozenset({Reason.NOT_PRESENT, Reason.KEY_NOT_PRESENT})
_CLAIM_WORDS = [kind.value for kind in CLAIMS]
_OUT_OF_SERVICE = frozenset({AllocationKind.OUTAGE.value, AllocationKind.CLOSURE.value})


def cuts(kind: str) -> bool:
    """Return whether machines of that kind are always asked for proof; an unknown kind is."""
    known = KINDS.get(kind)
    return known is None or known.start is Start.PERSON


def need(session: Session, machine: Machine) -> Need:
    """Return what a machine asks of whoever wants it to move or heat."""
    said = values_of(session, machine).presence_by
    mode = mode_of(session)
    by = None if said is None else PresenceBy(said)
    if mode is LabMode.ONLY_ME and session.get(Setting, ALONE_KEY) is not None:
        by = by or PresenceBy.ANY
    return need_of(by, mode, cuts=cuts(machine.kind))


def present(session: Session, actor: Actor, machine_id: str, now: datetime) -> Presence | None:
    """Return the proof that still holds of *actor* at a machine, through this very seat."""
    if not actor.seat:
        return None
    row = session.scalar(
        select(Presence).where(
            Presence.machine_id == machine_id,
            Presence.ended_at.is_(None),
            Presence.person_id == actor.person_id,
            Presence.seat == actor.seat,
            Presence.at <= now,
            Presence.expires_at > now,
        )
    )
    return row if row is not None and _seat_lives(session, actor.seat, now) else None


def _seat_lives(session: Session, seat: str, now: datetime) -> bool:
    """Return whether nobody has signed out there, and no visit is over."""
    sign_in = session.get(SignIn, seat)
    if sign_in is not None:
        return sign_in.expires_at > now
    return visit_lives(session, seat, now)


def presence_refusals(
    session: Session, actor: Actor, machine: Machine, now: datetime
) -> list[Refusal]:
    """Return why *actor* does not count as standing at *machine*, and the way there."""
    asked = need(session, machine)
    if asked.is_nothing:
        return []
    if not actor.seat:
        return [Refusal(Reason.KEY_NOT_PRESENT)]
    if asked.word:
        return []
    found = present(session, actor, machine.id, now)
    if found is not None and How(found.how) in asked.proofs:
        return []
    ways = tuple(_ways(session, machine, asked))
    return [Refusal(Reason.NOT_PRESENT, {"machine": machine.name}, ways=ways)]


def _ways(session: Session, machine: Machine, asked: Need) -> list[Way]:
    display, kiosks = devices_at(session, machine.id)
    ways = []
    if display and How.CODE in asked.proofs:
        ways.append(Way(WayKind.TYPE_CODE, ref=machine.slug, name=machine.name))
    if asked.proofs & {How.BADGE, How.KIOSK}:
        ways += [Way(WayKind.USE_KIOSK, name=name) for name in kiosks]
    return ways or [Way(WayKind.SET_UP_DISPLAY, name=machine.name)]


def locked_refusals(
    session: Session, actor: Actor, machine: Machine, now: datetime
) -> list[Refusal]:
    """Return why a machine that is out of service does nothing for *actor*.

    Who mends it may try it: staff who are there by whatever the machine asks of everybody, for
    nobody sees from afar whose hands are in it.
    """
    if actor.is_at_least(Role.OPERATOR) and not presence_refusals(session, actor, machine, now):
        return []
    until = session.scalar(
        select(Allocation.end_at)
        .where(*_now(machine, now), Allocation.kind.in_(_OUT_OF_SERVICE))
        .order_by(Allocation.end_at.desc())
        .limit(1)
    )
    if until is None:
        return []
    state = {"state": MachineState.MAINTENANCE.value}
    return [Refusal(Reason.MACHINE_BUSY, state, passes_at=until)]


def going_on_refusals(
    session: Session, actor: Actor, machine: Machine, now: datetime
) -> list[Refusal]:
    """Return why *actor* may not have what stands still there go on, or become hot or live."""
    return [
        *steering_refusals(session, actor, machine),
        *presence_refusals(session, actor, machine, now),
        *locked_refusals(session, actor, machine, now),
    ]


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
    elif used_by(session, machine.id) not in ("", actor.person_id):
        found.append(Refusal(Reason.USED_BY_ANOTHER))
    found += presence_refusals(session, actor, machine, now)
    found += locked_refusals(session, actor, machine, now)
    if actor.is_at_least(Role.OPERATOR):
        return found
    claimed = session.scalars(
        select(Allocation).where(*_now(machine, now), Allocation.kind.in_(_CLAIM_WORDS))
    )
    for one in claimed:
        if one.person_id != actor.person_id:
            found.append(Refusal(Reason.RESERVED_FOR_ANOTHER, passes_at=one.end_at))
    return found


def _now(machine: Machine, now: datetime) -> tuple[ColumnElement[bool], ...]:
    return (
        Allocation.machine_id == machine.id,
        Allocation.state == AllocationState.ACTIVE.value,
        Allocation.start_at <= now,
        Allocation.end_at > now,
    )
