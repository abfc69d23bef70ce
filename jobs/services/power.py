"""Power by use: on while somebody uses a machine, off once it has cooled; asked, never cut.

Each pass is a function of what the database, the plugs and the clock say, so that a node that was
restarted goes on where it was, and a second pass at once changes nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from jobs.domain.machine import Control
from jobs.domain.switching import Switching
from jobs.domain.using import SERIAL_COOL, SERIAL_COOL_C, Ended, is_due_to_ask, is_forgotten, works
from jobs.services.clearing import staff_of
from jobs.services.clock import is_trusted
from jobs.services.house_rules import values_of
from jobs.services.live import LivePlug, LiveState
from jobs.services.notices import tell
from jobs.services.terms import attended
from jobs.services.turns import take_turn
from jobs.services.uses import MAINS, Uses, open_use, used
from jobs.services.workshop import Workshop
from jobs.store.power import MachinePower, MachineUse
from jobs.store.tables import Machine, UsageEvent

AGAIN: Final = timedelta(seconds=30)  # until a plug that stays on is asked again to go off
TROUBLE: Final = timedelta(minutes=2)  # that it may take before operators hear of it
_ON: Final = frozenset({"on", "turning-on", "turning-off", "not-off"})
_NODE: Final = "node"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ActorNeed:
    """A plug that the node itself switches, for its machine has no host.

    :param spec: as `drivers.plug.parse_plug` reads it.
    :param is_used: somebody uses the machine now: an earlier node may have switched it on.
    """

    slug: str
    spec: str
    is_used: bool


@dataclass(frozen=True, slots=True)
class _Order:
    """What a pass has decided and is to be said to who switches, outside of any transaction."""

    slug: str
    seconds: int
    below_c: float
    is_serial: bool


class PowerByUse:
    """The sweep over machines whose mains hang on a plug."""

    def __init__(self, workshop: Workshop, uses: Uses) -> None:
        self._workshop = workshop
        self._database = workshop.database
        self._uses = uses

    def needs(self) -> list[ActorNeed]:
        """Return the plugs that the node switches itself."""
        with self._database.read() as session:
            query = select(Machine).where(
                Machine.retired_at.is_(None), Machine.control != Control.SERIAL.value
            )
            found = []
            for machine in session.scalars(query.order_by(Machine.slug)):
                spec = Switching.from_json(machine.switching).actor
                if spec:
                    power = session.get(MachinePower, machine.id)
                    is_kept = power is not None and power.override_at is not None
                    is_used = is_kept or _is_used(session, machine.id)
                    found.append(ActorNeed(machine.slug, spec, is_used))
            return found

    def for_run(self, slug: str, by: str) -> None:
        """Give a machine without a host its power for a job that a person begins there."""
        with self._database.write() as session:
            machine = session.scalar(select(Machine).where(Machine.slug == slug))
            if machine is None or not Switching.from_json(machine.switching).actor:
                return
            used(session, machine)
        code = self._workshop.gateway.power(slug, by, on=True)
        if code is not None:
            log.warning("%s: no power for a job: %s", slug, code)

    def tick(self, now: datetime) -> int:
        """Look at every use and every plug; return how many were told something."""
        with self._database.read() as session:
            if not is_trusted(session, now):
                return 0
            waiting = [*_open_uses(session), *_powered(session)]
        orders: list[_Order] = []
        changed = 0
        for machine_id in dict.fromkeys(waiting):
            with self._database.write() as session:
                machine = session.get_one(Machine, machine_id)
                take_turn(session, machine.id)
                changed += self._look_at_use(session, machine, now)
                if (order := self._look_at_power(session, machine, now)) is not None:
                    orders.append(order)
        for order in orders:
            self._say(order)
        if changed or orders:
            self._workshop.live.touch()
        return changed + len(orders)

    def _look_at_use(self, session: Session, machine: Machine, now: datetime) -> bool:
        """Ask about a use that seems forgotten; end it when the house closes and nothing works."""
        found = open_use(session, machine.id)
        if found is None:
            return False
        usage, use = found
        about = f"machine:{machine.slug}"
        fields = {"machine": machine.name}
        if use.asked_at is None:
            if not is_due_to_ask(usage.start_at, use.until_at, use.said_at, now):
                return False
            use.asked_at = now
            tell(session, self._workshop, usage.person_id, "use-still", fields, now, about)
            return True
        if not is_forgotten(
            use.asked_at, _closed_since(session, self._workshop, machine, now), now
        ):
            return False
        if self._works(machine, now):
            self._tell_staff(session, machine, "use-works-on", f"use-works:{usage.id}", now)
            return False
        self._uses.close(session, machine, Ended.FORGOTTEN, None, now)
        tell(session, self._workshop, usage.person_id, "use-ended", fields, now, about)
        return True

    def _look_at_power(self, session: Session, machine: Machine, now: datetime) -> _Order | None:
        """Return what to say to whoever switches a machine that nobody uses any more."""
        power = session.get(MachinePower, machine.id)
        if power is None or not power.by_use:
            return None
        if _is_used(session, machine.id):
            power.off_at = power.asked_at = None
            return None
        is_serial = machine.control == Control.SERIAL
        switching = Switching.from_json(machine.switching)
        live = self._workshop.live.get(machine.slug)
        word = live.plugs.get(MAINS, "unknown")
        if word == "off" or not switching.actor:
            power.by_use, power.off_at, power.asked_at, power.told_at = False, None, None, None
            return None
        wait = timedelta(minutes=switching.cool_down_min) or (
            SERIAL_COOL if is_serial else timedelta()
        )
        if power.off_at is None:
            power.off_at = _last_end(session, machine.id, now) + wait
        if power.asked_at is not None and now - max(power.asked_at, power.off_at) >= TROUBLE:
            self._tell_trouble(session, power, machine, live, now)
        if is_serial:
            return self._rest(power, machine.slug, switching, live, now)
        if now < power.off_at or self._works(machine, now):
            return None
        if power.asked_at is not None and now - power.asked_at < AGAIN:
            return None
        if word in ("turning-off", "not-off"):
            power.asked_at = power.asked_at or now
            return None  # it is being asked already, and will be until it says that it is off
        power.asked_at = now
        return _Order(machine.slug, 0, 0.0, is_serial=False)

    def _rest(
        self, power: MachinePower, slug: str, switching: Switching, live: LiveState, now: datetime
    ) -> _Order | None:
        """Have a host switch off once its machine has cooled; a host that was restarted, again."""
        assert power.off_at is not None
        if live.power_off_s is not None or live.plugs.get(MAINS) not in _ON:
            return None
        if power.asked_at is not None and now - power.asked_at < AGAIN:
            return None
        power.asked_at = now
        seconds = max(0, round((power.off_at - now).total_seconds()))
        return _Order(slug, seconds, switching.cool_down_c or SERIAL_COOL_C, is_serial=True)

    def _say(self, order: _Order) -> None:
        gateway = self._workshop.gateway
        if order.is_serial:
            code = gateway.power_rest(order.slug, _NODE, order.seconds, order.below_c)
        else:
            code = gateway.power(order.slug, _NODE, on=False)
        if code is not None:
            log.warning("%s: the power does not go off: %s", order.slug, code)

    def _works(self, machine: Machine, now: datetime) -> bool:
        said = self._workshop.live.get(machine.slug).plugs_said.get(MAINS, LivePlug())
        return works(said.watts, said.at, Switching.from_json(machine.switching).busy_w, now)

    def _tell_trouble(
        self,
        session: Session,
        power: MachinePower,
        machine: Machine,
        live: LiveState,
        now: datetime,
    ) -> None:
        if power.told_at is not None or live.power_off_s is not None:
            return
        power.told_at = now
        self._tell_staff(session, machine, "power-stays-on", None, now)

    def _tell_staff(
        self, session: Session, machine: Machine, code: str, key: str | None, now: datetime
    ) -> None:
        fields, about = {"machine": machine.name}, f"machine:{machine.slug}"
        for person_id in staff_of(session):
            one = None if key is None else f"{key}:{person_id}"
            tell(session, self._workshop, person_id, code, fields, now, about, one)


def _is_used(session: Session, machine_id: str) -> bool:
    query = select(UsageEvent.id).where(
        UsageEvent.machine_id == machine_id, UsageEvent.end_at.is_(None)
    )
    return session.scalar(query.limit(1)) is not None


def _open_uses(session: Session) -> Sequence[str]:
    query = select(UsageEvent.machine_id).where(
        UsageEvent.end_at.is_(None), exists().where(MachineUse.usage_id == UsageEvent.id)
    )
    return session.scalars(query).all()


def _powered(session: Session) -> Sequence[str]:
    query = select(MachinePower.machine_id).where(MachinePower.by_use.is_(True))
    return session.scalars(query).all()


def _last_end(session: Session, machine_id: str, now: datetime) -> datetime:
    query = (
        select(UsageEvent.end_at)
        .where(UsageEvent.machine_id == machine_id, UsageEvent.end_at.is_not(None))
        .order_by(UsageEvent.start_at.desc())
        .limit(1)
    )
    return session.scalar(query) or now


def _closed_since(
    session: Session, workshop: Workshop, machine: Machine, now: datetime
) -> datetime | None:
    """Return *now* while the house is closed; None while it is open, or where nobody said when."""
    stretches = attended(values_of(session, machine), workshop, now)
    if stretches is None:
        return None
    at = now.timestamp()
    return None if any(start <= at < end for start, end in stretches) else now
