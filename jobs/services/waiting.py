"""Waiting for a machine: a line for each, and freed time kept a while for who is next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from jobs.domain.calendar import AllocationState, Interval
from jobs.domain.errors import InvalidError, NotFoundError, RefusedError
from jobs.domain.events import rfc3339
from jobs.domain.people import Actor
from jobs.domain.policy import Reason, Refusal
from jobs.domain.sharing import HoldFor, WaitState, checked_length
from jobs.services import claims
from jobs.services.asked import machine_of
from jobs.services.closing_checks import checked_interval
from jobs.services.entering import take_hold
from jobs.services.free_time import slots_for
from jobs.services.house_rules import Asker, refusals
from jobs.services.lab_sharing import sharing_rules
from jobs.services.notices import read_about, tell
from jobs.services.turns import take_turn
from jobs.services.workshop import Workshop
from jobs.store.sharing import Wait
from jobs.store.tables import Allocation, Machine

_MOST_LINE: Final = 50  # of one machine, looked at in one go
_MOST_OWN: Final = 10  # lines that one person stands in
_LONGEST_WINDOW: Final = timedelta(days=60)
_OPEN: Final = (WaitState.WAITING.value, WaitState.HELD.value)
# No waiting helps against these; the rest may pass until time is found.
_FOR_GOOD: Final = frozenset(
    {
        *(Reason.BOOKING_HIDDEN, Reason.MACHINE_RETIRED, Reason.ROLE_TOO_LOW),
        *(Reason.NOT_QUALIFIED, Reason.TOO_SHORT, Reason.TOO_LONG),
    }
)


@dataclass(frozen=True, slots=True)
class WaitView:
    """A place in a machine's line.

    :param ahead: how many stand before it; 0 once time is kept.
    :param held: the time that is kept, until `expires_at`.
    """

    id: str
    machine_slug: str
    machine_name: str
    window: Interval
    length_min: int
    state: WaitState
    ahead: int
    held: Interval | None
    expires_at: datetime | None


class Waiting:
    """Use cases of whoever waits for time on a machine."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop

    def mine(self, actor: Actor) -> Sequence[WaitView]:
        """Return where a person waits."""
        query = (
            select(Wait, Machine)
            .join(Machine, Machine.id == Wait.machine_id)
            .where(Wait.person_id == actor.person_id, Wait.state.in_(_OPEN))
            .order_by(Wait.created_at, Wait.id)
        )
        with self._workshop.database.read() as session:
            return [_view(session, wait, machine) for wait, machine in session.execute(query)]

    def join(
        self,
        actor: Actor,
        slug: str,
        start: datetime,
        end: datetime,
        length_min: int,
        now: datetime,
    ) -> WaitView:
        """Stand in a machine's line; what is free already is kept at once.

        :param start: of the window in which the time must lie; *end* is its end.
        :raises RefusedError: with every reason that would not pass by waiting.
        """
        length = checked_length(length_min)
        window = checked_interval(max(start, now), end)
        if not length <= window.length <= _LONGEST_WINDOW:
            raise InvalidError("sharing.window", field="until", days=_LONGEST_WINDOW.days)
        try:
            with self._workshop.database.write() as session:
                machine = machine_of(session, slug)
                take_turn(session, machine.id)
                if found := self._refusals(session, actor, machine, window, length, now):
                    raise RefusedError(found)
                wait = Wait(
                    id=self._workshop.new_id(),
                    machine_id=machine.id,
                    person_id=actor.person_id,
                    from_at=window.start,
                    until_at=window.end,
                    length_min=length_min,
                    state=WaitState.WAITING.value,
                    created_at=now,
                )
                session.add(wait)
                session.flush()
                serve(session, self._workshop, machine.id, now)
                view = _view(session, wait, machine)
        except IntegrityError as error:  # the same tap twice
            raise RefusedError([Refusal(Reason.WAITS_ALREADY)]) from error
        self._workshop.live.touch()
        return view

    def leave(self, actor: Actor, wait_id: str, now: datetime) -> None:
        """Wait no more; what was kept goes to the next."""
        with self._workshop.database.write() as session:
            wait = self._own(session, actor, wait_id)
            if wait.state not in _OPEN:
                raise RefusedError([Refusal(Reason.ALREADY_ENDED)])
            end(session, self._workshop, wait, WaitState.LEFT, now)
        self._workshop.live.touch()

    def take(self, actor: Actor, wait_id: str, now: datetime) -> str:
        """Take the time that is kept; return the id of the reservation.

        :raises RefusedError: if it has gone to somebody else meanwhile.
        """
        with self._workshop.database.write() as session:
            wait = self._own(session, actor, wait_id)
            held = session.get(Allocation, wait.hold_id) if wait.hold_id else None
            is_kept = (
                held is not None
                and wait.state == WaitState.HELD.value
                and held.state == AllocationState.ACTIVE.value
                and held.end_at > now
            )
            if held is None or not is_kept:
                raise RefusedError([Refusal(Reason.OFFER_OVER)])
            wait.state, wait.ended_at = WaitState.TAKEN.value, now
            take_hold(session, self._workshop, actor, held, now)
            read_about(session, actor.person_id, f"wait:{wait.id}", now)
        self._workshop.live.touch()
        return held.id

    def _own(self, session: Session, actor: Actor, wait_id: str) -> Wait:
        wait = session.get(Wait, wait_id)
        if wait is None or wait.person_id != actor.person_id:
            raise NotFoundError("booking.no-wait")
        take_turn(session, wait.machine_id)
        session.refresh(wait)
        if wait.hold_id:
            session.refresh(session.get_one(Allocation, wait.hold_id))
        return wait

    def _refusals(
        self,
        session: Session,
        actor: Actor,
        machine: Machine,
        window: Interval,
        length: timedelta,
        now: datetime,
    ) -> list[Refusal]:
        first = Interval(window.start, window.start + length)
        asker = Asker(actor.person_id, actor.role)
        said = refusals(session, self._workshop, asker, machine, first, now)
        found = [one for one in said if one.reason in _FOR_GOOD]
        mine = select(Wait).where(Wait.person_id == actor.person_id, Wait.state.in_(_OPEN))
        own = session.scalars(mine).all()
        if any(one.machine_id == machine.id for one in own):
            found.append(Refusal(Reason.WAITS_ALREADY))
        elif len(own) >= _MOST_OWN:
            found.append(Refusal(Reason.WAITS_TOO_OFTEN, {"count": _MOST_OWN}))
        return found


def serve(session: Session, workshop: Workshop, machine_id: str, now: datetime) -> int:
    """Keep free time for whoever waits for it, first come first served; return for how many.

    Who needs more than is free keeps their place, and what is free goes to those behind.
    """
    line = session.scalars(
        select(Wait)
        .where(Wait.machine_id == machine_id, Wait.state == WaitState.WAITING.value)
        .order_by(Wait.created_at, Wait.id)
        .limit(_MOST_LINE)
    ).all()
    if not line:
        return 0
    take_turn(session, machine_id)
    machine = session.get_one(Machine, machine_id)
    minutes = sharing_rules(session).wait_hold_min
    served = 0
    for wait in line:
        session.refresh(wait)
        length = timedelta(minutes=wait.length_min)
        if wait.until_at - length < now or machine.retired_at is not None:
            end(session, workshop, wait, WaitState.OVER, now)
            continue
        actor = claims.actor_of(session, wait.person_id)
        if actor is None:
            end(session, workshop, wait, WaitState.LEFT, now)
            continue
        within = Interval(max(wait.from_at, now), wait.until_at)
        slot = next(slots_for(session, workshop, actor, machine, length, within, now), None)
        if slot is None:
            continue
        until = now + timedelta(minutes=minutes)
        held = claims.hold(
            session, workshop, machine_id, slot, wait.person_id, HoldFor.WAIT, until, now
        )
        wait.state, wait.hold_id = WaitState.HELD.value, held.id
        fields = {**claims.times_of(session, held), "until": rfc3339(until)}
        tell(session, workshop, wait.person_id, "wait-held", fields, now, f"wait:{wait.id}")
        served += 1
    session.flush()
    return served


def end(session: Session, workshop: Workshop, wait: Wait, state: WaitState, now: datetime) -> None:
    """End somebody's waiting; what was kept for them goes to the next."""
    wait.state, wait.ended_at = state.value, now
    session.flush()
    if state in (WaitState.OVER, WaitState.LAPSED):
        machine = session.get_one(Machine, wait.machine_id)
        fields = {"machine": machine.name, "from": rfc3339(wait.from_at)}
        fields["to"] = rfc3339(wait.until_at)
        code = f"wait-{state.value}"
        tell(session, workshop, wait.person_id, code, fields, now, f"wait:{wait.id}")
    held = session.get(Allocation, wait.hold_id) if wait.hold_id else None
    if held is not None and claims.drop_hold(session, held):
        serve(session, workshop, wait.machine_id, now)


def _view(session: Session, wait: Wait, machine: Machine) -> WaitView:
    held = session.get(Allocation, wait.hold_id) if wait.hold_id else None
    is_waiting = wait.state == WaitState.WAITING.value
    before = select(func.count()).where(
        Wait.machine_id == wait.machine_id,
        Wait.state == WaitState.WAITING.value,
        (Wait.created_at < wait.created_at)
        | ((Wait.created_at == wait.created_at) & (Wait.id < wait.id)),
    )
    return WaitView(
        wait.id,
        machine.slug,
        machine.name,
        Interval(wait.from_at, wait.until_at),
        wait.length_min,
        WaitState(wait.state),
        (session.scalar(before) or 0) if is_waiting else 0,
        Interval(held.start_at, held.end_at) if held and not is_waiting else None,
        held.expires_at if held else None,
    )
