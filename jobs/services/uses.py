"""Uses: a person opens one at a machine, and its power is on for as long as somebody uses it.

What ends a use are its person, staff, a run of the same person, or the house's closing after it
was asked about in vain; never a lost network, a qualification that ran out, or another's badge.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from jobs.domain.burning import burn_fields, burn_problem
from jobs.domain.calendar import CLAIMS, AllocationKind, AllocationState
from jobs.domain.errors import NotAllowedError, RefusedError, UnavailableError
from jobs.domain.machine import Control, MachineLimits, MachineState
from jobs.domain.people import Actor, Role
from jobs.domain.policy import Reason, Refusal
from jobs.domain.switching import Switching
from jobs.domain.usage import Json, energy_fact
from jobs.domain.using import Ended, Until
from jobs.kinds import has_beam
from jobs.services.asked import machine_of
from jobs.services.checking import before_use_refusals
from jobs.services.fire_watch import begin_watch, watch_refusals
from jobs.services.footing import may_use
from jobs.services.house_rules import use_refusals, values_of
from jobs.services.ledger import Ledger
from jobs.services.live import LivePlug
from jobs.services.logbook import Happening, write
from jobs.services.people import alias_of
from jobs.services.presence import presence_refusals
from jobs.services.terms import attended
from jobs.services.turns import take_turn
from jobs.services.workshop import Workshop
from jobs.store.power import MachinePower, MachineUse
from jobs.store.tables import Allocation, Attempt, Machine, Person, UsageEvent

MAINS: Final = "mains"
_BEGAN: Final = "began_wh_m"  # of a use or run: the plug's counter then [mWh]
_SHORTEST: Final = timedelta(microseconds=1)
_OUT: Final = (AllocationKind.OUTAGE.value, AllocationKind.CLOSURE.value)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class UseView:
    """An open use, and how its power stands.

    :param until: when the machine is somebody else's, or the house closes; nothing is cut then.
    :param asked: whether the person was asked if it goes on, and has not answered.
    """

    id: str
    machine_slug: str
    person_id: str
    person_name: str
    since: datetime
    until: datetime | None
    why: Until | None
    asked: bool
    material: str


class Uses:
    """Use cases of whoever uses a machine without a job of ours."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._database = workshop.database
        self._ledger = Ledger(workshop)

    def view(self, slug: str, now: datetime) -> UseView | None:
        """Return the open use of a machine; None if there is none."""
        with self._database.read() as session:
            machine = machine_of(session, slug)
            found = open_use(session, machine.id)
            return None if found is None else _view(session, self._workshop, machine, *found, now)

    def reasons(self, actor: Actor, slug: str, now: datetime, material: str = "") -> list[Refusal]:
        """Return every reason why a person may not begin to use a machine now. None: begin."""
        with self._database.read() as session:
            machine = machine_of(session, slug)
            return self._refusals(session, actor, machine, material, now)

    def start(self, actor: Actor, slug: str, now: datetime, material: str = "") -> UseView:
        """Open a use, and switch the machine's power on.

        Of one's own that is open already only the power comes back, as after a stop.

        :param material: what is to be burnt, for a laser.
        :raises RefusedError: with every reason; whoever uses it now is not disturbed by that.
        :raises UnavailableError: with the code of who switches, if the power does not come on.
        """
        material = " ".join(material.split())[:40]
        with self._database.write() as session:
            machine = machine_of(session, slug)
            take_turn(session, machine.id)
            found = open_use(session, machine.id)
            is_open = found is not None and found[0].person_id == actor.person_id
            if is_open and found is not None:
                self._demand_presence(session, actor, machine, now)
                view = _view(session, self._workshop, machine, *found, now)
            else:
                view = self._open(session, actor, machine, material, now)
            has_actor = bool(Switching.from_json(machine.switching).actor)
            if has_actor:
                used(session, machine)
        if has_actor:
            self._give_power(actor, slug, now, is_open=is_open)
        self._workshop.live.touch()
        return view

    def _open(
        self, session: Session, actor: Actor, machine: Machine, material: str, now: datetime
    ) -> UseView:
        if reasons := self._refusals(session, actor, machine, material, now):
            raise RefusedError(reasons)
        usage = UsageEvent(
            id=self._workshop.new_id(),
            machine_id=machine.id,
            person_id=actor.person_id,
            start_at=now,
        )
        session.add(usage)
        session.flush()
        until, _ = ends(session, self._workshop, machine, actor.person_id, now)
        use = MachineUse(
            usage_id=usage.id,
            material=material,
            until_at=until,
            began_wh_m=self.metered(machine).get(_BEGAN),
        )
        session.add(use)
        by = actor.person_id
        write(session, self._workshop, machine, Happening.USE_BEGAN, now, by)
        session.flush()
        return _view(session, self._workshop, machine, usage, use, now)

    def end(self, actor: Actor, slug: str, now: datetime) -> None:
        """End the open use: one's own, or as staff. Its power goes off once it has cooled.

        :raises RefusedError: if there is none, or it is another's.
        """
        with self._database.write() as session:
            machine = machine_of(session, slug)
            take_turn(session, machine.id)
            found = open_use(session, machine.id)
            if found is None:
                raise RefusedError([Refusal(Reason.NO_USE)])
            own = found[0].person_id == actor.person_id
            if not own and not actor.is_at_least(Role.OPERATOR):
                raise RefusedError([Refusal(Reason.NOT_YOURS)])
            why = Ended.PERSON if own else Ended.STAFF
            self.close(session, machine, why, actor.person_id, now)
        self._workshop.live.touch()

    def goes_on(self, actor: Actor, slug: str, now: datetime) -> None:
        """Answer that one's use goes on: then it is not asked about for a while.

        :raises RefusedError: if there is none, or it is another's.
        """
        with self._database.write() as session:
            found = open_use(session, machine_of(session, slug).id)
            if found is None:
                raise RefusedError([Refusal(Reason.NO_USE)])
            usage, use = found
            if usage.person_id != actor.person_id:
                raise RefusedError([Refusal(Reason.NOT_YOURS)])
            use.asked_at, use.said_at = None, now
        self._workshop.live.touch()

    def override(self, actor: Actor, slug: str, why: str, now: datetime, *, on: bool) -> None:
        """Switch a machine's power past all uses, with a reason that is kept; for operators.

        Switched on so it stays on until an operator switches it off.

        :raises RefusedError: `machine-busy` for *off* while somebody works there.
        """
        if not actor.is_at_least(Role.OPERATOR):
            raise NotAllowedError("person.not-allowed", needed=Role.OPERATOR.value)
        why = " ".join(why.split())[:200]
        with self._database.write() as session:
            machine = machine_of(session, slug)
            if not Switching.from_json(machine.switching).actor:
                raise RefusedError([Refusal(Reason.NO_ACTOR)])
            if on:
                self._demand_presence(session, actor, machine, now)
            if not on and (_runs(session, machine) or open_use(session, machine.id)):
                # Whoever is in danger presses *stop*; everything else can wait for its end.
                state = {"state": MachineState.RUNNING.value}
                raise RefusedError([Refusal(Reason.MACHINE_BUSY, state)])
            power = used(session, machine)
            power.by_use = False
            power.override_by = actor.person_id if on else None
            power.override_at = now if on else None
            kind = Happening.OVERRIDE_ON if on else Happening.OVERRIDE_OFF
            by, detail = actor.person_id, {"why": why}
            write(session, self._workshop, machine, kind, now, by, detail)
        if (code := self._workshop.gateway.power(slug, actor.name, on=on)) is not None:
            raise UnavailableError(code, machine=slug)
        self._workshop.live.touch()

    def close(
        self, session: Session, machine: Machine, why: Ended, by: str | None, now: datetime
    ) -> None:
        """End the open use and account for it; in the caller's transaction."""
        found = open_use(session, machine.id)
        if found is None:
            return
        usage, use = found
        usage.end_at = max(now, usage.start_at + _SHORTEST)
        use.ended_by, use.end_reason = by, why.value
        energy = self.energy(machine, {_BEGAN: use.began_wh_m})
        if energy:
            use.energy_mwh, use.energy_by = int(energy["energy_mwh"]), str(energy["energy_by"])
        detail = {"reason": why.value}
        write(session, self._workshop, machine, Happening.USE_ENDED, now, by, detail)
        if why is not Ended.NO_POWER:
            self._ledger.append(session, self._facts(session, machine, usage, use), now, None)
        if use.material:
            begin_watch(session, self._workshop, machine, usage.person_id, None, usage.end_at)
        session.flush()

    def _demand_presence(
        self, session: Session, actor: Actor, machine: Machine, now: datetime
    ) -> None:
        if Switching.from_json(machine.switching).actor and (
            refusals := presence_refusals(session, actor, machine, now)
        ):
            raise RefusedError(refusals)

    def metered(self, machine: Machine) -> dict[str, int]:
        """Return what a machine's plug has counted when a use begins; nothing if it counts not."""
        wh = self._workshop.live.get(machine.slug).plugs_said.get(MAINS, LivePlug()).wh
        # Where there is a host it counts a run itself, to the line.
        return {} if wh is None else {_BEGAN: round(1000 * wh)}

    def energy(self, machine: Machine, begun: Mapping[str, object]) -> dict[str, int | str]:
        """Return what was taken since by the plug's own counter; nothing if nobody knows."""
        began, now = begun.get(_BEGAN), self.metered(machine).get(_BEGAN)
        if not isinstance(began, int) or now is None or now < began:
            return {}  # a counter that has fallen began anew
        maker = Switching.from_json(machine.switching).actor.partition(":")[0]
        return {"energy_mwh": now - began, "energy_by": f"{MAINS}: {maker}"}

    def _facts(
        self, session: Session, machine: Machine, usage: UsageEvent, use: MachineUse
    ) -> dict[str, Json]:
        """Return the body of a use's record, in the terms of a run's."""
        assert usage.end_at is not None
        length = (usage.end_at - usage.start_at) / timedelta(milliseconds=1)
        event: dict[str, Json] = {"action": "use", "machine": machine.slug}
        return {
            "type": "use",
            "use": usage.id,
            "machine": {"slug": machine.slug, "kind": machine.kind},
            "agent": alias_of(session, usage.person_id, self._workshop),
            "from_us": round(usage.start_at.timestamp() * 1e6),
            "to_us": round(usage.end_at.timestamp() * 1e6),
            "events": [{**event, "effort_ms": round(length)}],
            "result": "finished",
            "reason": use.end_reason,
            "simulated": machine.simulated,
            "energy": energy_fact(use.energy_mwh, use.energy_by),
        }

    def _give_power(self, actor: Actor, slug: str, now: datetime, *, is_open: bool) -> None:
        code = self._workshop.gateway.power(slug, actor.name, on=True)
        if code is None:
            return
        if not is_open:
            with self._database.write() as session:
                machine = machine_of(session, slug)
                self.close(session, machine, Ended.NO_POWER, None, now)
        self._workshop.live.touch()
        raise UnavailableError(code, machine=slug)

    def _refusals(
        self, session: Session, actor: Actor, machine: Machine, material: str, now: datetime
    ) -> list[Refusal]:
        found: list[Refusal] = []
        if machine.retired_at is not None:
            found.append(Refusal(Reason.MACHINE_RETIRED))
        if not may_use(session, actor, machine):
            found.append(Refusal(Reason.ROLE_TOO_LOW, {"needed": Role.MEMBER.value}))
        if Switching.from_json(machine.switching).actor or has_beam(machine.kind):
            # What comes under power moves or heats: its person stands there.
            found += presence_refusals(session, actor, machine, now)
        if _runs(session, machine):
            state = {"state": MachineState.RUNNING.value}
            found.append(Refusal(Reason.MACHINE_BUSY, state))
        elif open_use(session, machine.id) is not None:
            found.append(Refusal(Reason.USED_BY_ANOTHER))
        if machine.to_check_since is not None and machine.control != Control.SERIAL:
            found.append(Refusal(Reason.LOOK_FIRST))
        for one in _now(session, machine, now):
            if one.kind in _OUT:
                state = {"state": MachineState.MAINTENANCE.value}
                found.append(Refusal(Reason.MACHINE_BUSY, state, passes_at=one.end_at))
            elif one.kind in CLAIMS and one.person_id != actor.person_id:
                found.append(Refusal(Reason.RESERVED_FOR_ANOTHER, passes_at=one.end_at))
        found += before_use_refusals(session, machine, now)
        found += watch_refusals(session, machine)
        if has_beam(machine.kind):
            listed = MachineLimits.from_json(machine.limits).materials
            if (problem := burn_problem(material, listed)) is not None:
                found.append(Refusal(Reason(problem.value), burn_fields(material, listed)))
        values = values_of(session, machine)
        zone = self._workshop.zone
        found += use_refusals(session, zone, actor.person_id, machine, values, now)
        return found


def open_use(session: Session, machine_id: str) -> tuple[UsageEvent, MachineUse] | None:
    """Return the use that is open at a machine; None if there is none, or a run."""
    row = session.execute(
        select(UsageEvent, MachineUse)
        .join(MachineUse, MachineUse.usage_id == UsageEvent.id)
        .where(UsageEvent.machine_id == machine_id, UsageEvent.end_at.is_(None))
    ).first()
    return None if row is None else (row[0], row[1])


def used(session: Session, machine: Machine) -> MachinePower:
    """Note that a machine's power is on for whoever uses it from now on."""
    power = session.get(MachinePower, machine.id)
    if power is None:
        power = MachinePower(machine_id=machine.id)
        session.add(power)
    power.by_use = power.override_at is None
    power.off_at = power.asked_at = power.told_at = None
    return power


def ends(
    session: Session, workshop: Workshop, machine: Machine, person_id: str, now: datetime
) -> tuple[datetime | None, Until | None]:
    """Return until when a person may count on a machine, and what comes then."""
    claim = session.scalar(
        select(Allocation.start_at)
        .where(
            Allocation.machine_id == machine.id,
            Allocation.state == AllocationState.ACTIVE.value,
            Allocation.end_at > now,
            Allocation.start_at > now,
            (Allocation.person_id != person_id) | Allocation.person_id.is_(None),
        )
        .order_by(Allocation.start_at)
        .limit(1)
    )
    stretches = attended(values_of(session, machine), workshop, now)
    at = now.timestamp()
    closing = next((end for start, end in stretches or () if start <= at < end), None)
    closes = None if closing is None else datetime.fromtimestamp(closing, UTC)
    if claim is not None and (closes is None or claim <= closes):
        return claim, Until.BOOKING
    return closes, None if closes is None else Until.CLOSING


def _view(
    session: Session,
    workshop: Workshop,
    machine: Machine,
    usage: UsageEvent,
    use: MachineUse,
    now: datetime,
) -> UseView:
    until, why = ends(session, workshop, machine, usage.person_id, now)
    return UseView(
        usage.id,
        machine.slug,
        usage.person_id,
        session.get_one(Person, usage.person_id).name,
        usage.start_at,
        until,
        why,
        use.asked_at is not None,
        use.material,
    )


def _runs(session: Session, machine: Machine) -> bool:
    query = select(Attempt.id).where(Attempt.machine_id == machine.id, Attempt.ended_at.is_(None))
    return session.scalar(query.limit(1)) is not None


def _now(session: Session, machine: Machine, now: datetime) -> list[Allocation]:
    return list(
        session.scalars(
            select(Allocation).where(
                Allocation.machine_id == machine.id,
                Allocation.state == AllocationState.ACTIVE.value,
                Allocation.start_at <= now,
                Allocation.end_at > now,
            )
        )
    )
