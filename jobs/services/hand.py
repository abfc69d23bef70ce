"""What a person has a machine do by hand: checked, carried out, and written down with the name."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from drivers.acts import CALMING, OVERRIDES, Act, Order
from drivers.errors import WireError
from jobs.domain.errors import (
    InvalidError,
    RefusedError,
    UnavailableError,
)
from jobs.domain.people import Actor
from jobs.domain.policy import Reason, Refusal
from jobs.services.asked import machine_of
from jobs.services.footing import must_use
from jobs.services.live import LiveState
from jobs.services.presence import (
    OF_PRESENCE,
    going_on_refusals,
    motion_refusals,
    reach_refusals,
    run_owner,
    steering_refusals,
)
from jobs.services.workshop import Workshop
from jobs.store.tables import Machine, MachineAct, Person

# What only slows or ends a motion may be asked for by anybody who is signed in.
ENDS_MOTION: Final = frozenset({Act.JOG_CANCEL, Act.QUICK_STOP})
STEERS: Final = frozenset(
    {
        *(Act.HOLD, Act.RESUME, Act.SKIP_WAIT, Act.SPINDLE_TOGGLE),
        *(Act.FEED, Act.RAPID, Act.SPINDLE, Act.FLOW),
    }
)
_NOT_FOR_CALMING: Final = OF_PRESENCE | {Reason.LOOK_FIRST}
_ON_ITS_WAY: Final = timedelta(seconds=3)  # from a wish until the machine shows it
SHOWN: Final = 8  # acts on a machine's page

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ActView:
    """One act that was asked for."""

    person_name: str
    at: datetime
    act: str
    amounts: Mapping[str, object]
    refused: str  # the code of the machine's "no"; "" if it obeyed


@dataclass(frozen=True, slots=True)
class HandView:
    """What one person may have one machine do now.

    :param acts: legal in its state, and allowed to this person.
    :param reasons: why it may not be moved by this person, if so.
    :param done: what was asked for lately, the newest first.
    """

    acts: frozenset[str]
    reasons: tuple[Refusal, ...]
    done: tuple[ActView, ...]


def order_of(values: Mapping[str, object]) -> Order:
    """Read an order from the keys of the wire: `act`, `percent`, `axes_mm`, `feedrate_mm_s` ….

    :raises InvalidError: names the amount that cannot be.
    """
    try:
        return Order.from_json(values)
    except WireError as error:
        key, wanted = str(error.fields.get("key", "")), str(error.fields.get("wanted", ""))
        raise InvalidError("act.amount", field=key, key=key, wanted=wanted) from error


class Hand:
    """Use cases of the control panel."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._asked: dict[tuple[str, Act], tuple[int, datetime]] = {}

    def nudge(self, actor: Actor, slug: str, act: Act, by: int, now: datetime) -> None:
        """Change an override by so many percent of what it is, or is on its way to be."""
        asked, at = self._asked.get((slug, act), (100, datetime.min.replace(tzinfo=UTC)))
        known = self._workshop.live.get(slug).overrides.get(act.value, 100)
        percent = (asked if now - at < _ON_ITS_WAY else known) + by
        self.act(actor, slug, Order(act, percent=min(max(percent, 10), 200)), now)

    def view(self, actor: Actor, slug: str, now: datetime) -> HandView:
        """Return what *actor* may have the machine do now."""
        live = self._workshop.live.get(slug)
        with self._workshop.database.read() as session:
            machine = machine_of(session, slug)
            reasons: tuple[Refusal, ...] = ()
            allowed: set[str] = set()
            if not reach_refusals(machine):
                reasons = tuple(motion_refusals(session, actor, machine, live, now))
                for act in Act:
                    if act in live.acts and not _refusals(session, actor, machine, live, act, now):
                        allowed.add(act.value)
            done = _done(session, machine)
        return HandView(frozenset(allowed), reasons, done)

    def act(self, actor: Actor, slug: str, order: Order, now: datetime) -> None:
        """Have a machine do something, and write down who asked.

        :raises RefusedError: with every reason at once.
        :raises UnavailableError: with the machine's own code, if it cannot be done now.
        """
        with self._workshop.database.read() as session:
            machine = machine_of(session, slug)
            must_use(session, actor, machine)
            live = self._workshop.live.get(slug)
            found = _refusals(session, actor, machine, live, order.act, now)
            owner = run_owner(session, machine)
        if found:
            raise RefusedError(found)
        code = self._workshop.gateway.act(slug, order, actor.name)
        # Written afterwards: no disk may come between a person and the end of a motion.
        with self._workshop.database.write() as session:
            session.add(
                MachineAct(
                    id=self._workshop.new_id(),
                    machine_id=machine.id,
                    person_id=actor.person_id,
                    attempt_id=owner[0] if owner is not None else None,
                    at=now,
                    act=order.act.value,
                    amounts={k: v for k, v in order.to_json().items() if k != "act"},
                    refused=code or "",
                    simulated=actor.simulated,
                )
            )
        if order.act in OVERRIDES and code is None:
            self._asked[slug, order.act] = (order.percent, now)
        log.info("%s: %s by %s: %s", slug, order.act, actor.person_id, code or "done")
        self._workshop.live.touch()
        if code is not None:
            raise UnavailableError(code, machine=slug)


def _refusals(
    session: Session, actor: Actor, machine: Machine, live: LiveState, act: Act, now: datetime
) -> list[Refusal]:
    if found := reach_refusals(machine):
        return found
    if act in ENDS_MOTION:
        return []
    if act in STEERS and run_owner(session, machine) is not None:
        if act in CALMING:
            return steering_refusals(session, actor, machine)
        return going_on_refusals(session, actor, machine, now)
    found = motion_refusals(session, actor, machine, live, now)
    if act in CALMING:
        # Heat and spindle may go off before anybody has looked, and from anywhere.
        found = [one for one in found if one.reason not in _NOT_FOR_CALMING]
    return found


def _done(session: Session, machine: Machine) -> tuple[ActView, ...]:
    rows = session.execute(
        select(MachineAct, Person.name)
        .join(Person, Person.id == MachineAct.person_id)
        .where(MachineAct.machine_id == machine.id)
        .order_by(MachineAct.at.desc(), MachineAct.id.desc())
        .limit(SHOWN)
    )
    return tuple(ActView(name, one.at, one.act, one.amounts, one.refused) for one, name in rows)
