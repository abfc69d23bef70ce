"""What happened at a machine beside its jobs: who used it by hand, whose board it got."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.orm import Session

from jobs.services.armings import withdraw_armings
from jobs.services.views import MachineEventView
from jobs.services.workshop import Workshop
from jobs.store.tables import Machine, MachineEvent, Person

_SHOWN = 8


class Happening(StrEnum):
    """What is written down; the pages have one sentence each (`happening.<word>`)."""

    IN_USE = "in-use"  # why: heat, motion or boot
    IN_USE_OVER = "in-use-over"  # it was cold and still for long
    FREED = "freed"  # by a person
    OWN_BOARD = "own-board"  # by a person; differs
    HEAT_OFF = "heat-off"  # nobody used it
    HEAT_KEPT = "heat-kept"  # by a person
    POWER_ON = "power-on"  # by a person
    POWER_OFF = "power-off"  # why
    CLEARED = "cleared"  # by a person; outcome, shelf
    FAULT = "fault"  # by a person; severity
    MENDED = "mended"  # by a person
    SERVICED = "serviced"  # by a person; name
    NOTHING_SMOULDERS = "nothing-smoulders"  # by a person, after a laser's run
    USE_BEGAN = "use-began"  # by a person
    USE_ENDED = "use-ended"  # by a person; reason
    OVERRIDE_ON = "override-on"  # by a person; why
    OVERRIDE_OFF = "override-off"  # by a person; why
    WAIVED = "waived"  # by a person; job, code, line, reason


def write(
    session: Session,
    workshop: Workshop,
    machine: Machine,
    kind: Happening,
    at: datetime,
    person_id: str | None = None,
    detail: Mapping[str, str] | None = None,
) -> None:
    """Write one line into a machine's book."""
    session.add(
        MachineEvent(
            id=workshop.new_id(),
            machine_id=machine.id,
            at=at,
            kind=kind.value,
            # The console has no account behind it.
            person_id=person_id or None,
            detail=dict(detail or {}),
        )
    )


def take_in(
    session: Session, workshop: Workshop, slug: str, event: Mapping[str, object], now: datetime
) -> bool:
    """Write down what a host told of hands at a machine; False if it is about something else.

    Whoever uses it may leave something on it: a word that it is clear holds no more.
    """
    kind = event.get("kind")
    if kind in ("heat_off", "power"):
        _take_in_watch(session, workshop, slug, event, now)
        return True
    if kind not in ("in_use", "in_use_over"):
        return False
    machine = session.scalar(select(Machine).where(Machine.slug == slug))
    if machine is None:
        return True
    began = kind == "in_use"
    if began:
        withdraw_armings(session, slug, now)
    last = _last(session, machine)
    is_known = last is not None and last.kind == Happening.IN_USE.value
    # A host tells it again to a node that comes back, and "over" also after a person's word.
    if began is is_known:
        return True
    if began:
        why = str(event.get("why") or "")[:16]
        write(session, workshop, machine, Happening.IN_USE, now, detail={"why": why})
    else:
        write(session, workshop, machine, Happening.IN_USE_OVER, now)
    return True


def _take_in_watch(
    session: Session, workshop: Workshop, slug: str, event: Mapping[str, object], now: datetime
) -> None:
    """Write down what a host did by itself; what a person asked for is written with the person."""
    machine = session.scalar(select(Machine).where(Machine.slug == slug))
    if machine is None:
        return
    if event.get("kind") == "heat_off":
        write(session, workshop, machine, Happening.HEAT_OFF, now)
    elif event.get("on") is False:
        why = str(event.get("by") or "")[:40]
        write(session, workshop, machine, Happening.POWER_OFF, now, detail={"by": why})


def recent(session: Session, machine: Machine) -> Sequence[MachineEventView]:
    """Return the newest lines of a machine's book, newest first."""
    query = (
        select(MachineEvent, Person.name)
        .outerjoin(Person, Person.id == MachineEvent.person_id)
        .where(MachineEvent.machine_id == machine.id)
        .order_by(MachineEvent.at.desc(), MachineEvent.id.desc())
        .limit(_SHOWN)
    )
    return [
        MachineEventView(row.at, row.kind, name or "", {k: str(v) for k, v in row.detail.items()})
        for row, name in session.execute(query)
    ]


def _last(session: Session, machine: Machine) -> MachineEvent | None:
    hands = (Happening.IN_USE, Happening.IN_USE_OVER, Happening.FREED)
    query = (
        select(MachineEvent)
        .where(
            MachineEvent.machine_id == machine.id,
            MachineEvent.kind.in_([kind.value for kind in hands]),
        )
        .order_by(MachineEvent.at.desc(), MachineEvent.id.desc())
        .limit(1)
    )
    return session.scalars(query).first()
