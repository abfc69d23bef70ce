"""Swapping by agreement: one person offers a booking for another's; who has that one agrees.

Each keeps their own entry, with its id and note, and gets the other's machine and time, so that
calendars of both simply see a booking moved.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, aliased

from jobs.domain.calendar import AllocationState, Interval
from jobs.domain.errors import NotFoundError, RefusedError
from jobs.domain.events import EventType
from jobs.domain.people import Actor
from jobs.domain.policy import Reason, Refusal
from jobs.domain.sharing import SwapState
from jobs.services import claims
from jobs.services.calendars import rows_where
from jobs.services.house_rules import Asker
from jobs.services.house_rules import refusals as house_refusals
from jobs.services.notices import read_about, tell
from jobs.services.turns import take_turns
from jobs.services.workshop import Workshop
from jobs.store.sharing import Swap
from jobs.store.tables import Allocation, Machine


@dataclass(frozen=True, slots=True)
class Side:
    """One booking of a swap."""

    allocation_id: str
    machine_slug: str
    machine_name: str
    interval: Interval
    mine: bool
    person_name: str  # "" where it is not to be seen


@dataclass(frozen=True, slots=True)
class SwapView:
    """An open wish to swap; `asked` is whether it is for this person to agree."""

    id: str
    give: Side
    take: Side
    asked: bool


class Swapping:
    """Use cases of two people who change bookings."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop

    def open(self, actor: Actor, now: datetime) -> Sequence[SwapView]:
        """Return the open wishes that a person made or is asked for."""
        give, take = aliased(Allocation), aliased(Allocation)
        query = (
            select(Swap)
            .join(give, give.id == Swap.give_id)
            .join(take, take.id == Swap.take_id)
            .where(
                Swap.state == SwapState.OPEN.value,
                or_(give.person_id == actor.person_id, take.person_id == actor.person_id),
            )
            .order_by(Swap.created_at, Swap.id)
        )
        with self._workshop.database.read() as session:
            return [
                SwapView(
                    swap.id,
                    _side(session, swap.give_id, actor, named=True),
                    _side(session, swap.take_id, actor, named=False),
                    session.get_one(Allocation, swap.take_id).person_id == actor.person_id,
                )
                for swap in session.scalars(query).all()
                if is_open(session, swap, now)
            ]

    def offer(self, actor: Actor, give_id: str, take_id: str, now: datetime) -> str:
        """Ask whoever has one booking to take another for it; return the wish's id.

        Whom one asks need not be known; who asks is told.

        :raises RefusedError: with every reason why this swap could not be.
        """
        with self._workshop.database.write() as session:
            give, take = _pair(session, give_id, take_id)
            if give.person_id != actor.person_id:
                raise RefusedError([Refusal(Reason.NOT_YOURS)])
            if take.person_id == actor.person_id:
                raise RefusedError([Refusal(Reason.OWN_SWAP)])
            if refusals := _not_to_swap(give, take, now):
                raise RefusedError(refusals)
            swap = Swap(
                id=self._workshop.new_id(),
                give_id=give.id,
                take_id=take.id,
                give_sequence=give.sequence,
                take_sequence=take.sequence,
                state=SwapState.OPEN.value,
                created_at=now,
            )
            try:
                with session.begin_nested():
                    session.add(swap)
            except IntegrityError as error:
                raise RefusedError([Refusal(Reason.WAITS_ALREADY)]) from error
            fields = self._fields(session, actor, give, take)
            about = f"swap:{swap.id}"
            tell(session, self._workshop, take.person_id, "swap-asked", fields, now, about)
        return swap.id

    def accept(self, actor: Actor, swap_id: str, now: datetime) -> None:
        """Agree: both bookings change places in one transaction.

        :raises RefusedError: with every reason, whichever of the two it concerns.
        """
        workshop = self._workshop
        with workshop.database.write() as session:
            swap, give, take = self._found(session, swap_id)
            if take.person_id != actor.person_id:
                raise NotFoundError("booking.no-swap")
            if not is_open(session, swap, now):
                raise RefusedError([Refusal(Reason.SWAP_CHANGED)])
            if refusals := _not_to_swap(give, take, now):
                raise RefusedError(refusals)
            _change(session, workshop, give, take, now)
            swap.state, swap.ended_at = SwapState.DONE.value, now
            for row in (give, take):
                claims.announce(session, workshop, EventType.RESERVATION_MADE, row, now)
            fields = self._fields(session, actor, take, give)
            tell(session, workshop, give.person_id, "swap-done", fields, now, f"swap:{swap.id}")
            read_about(session, actor.person_id, f"swap:{swap.id}", now)
        workshop.live.touch()

    def decline(self, actor: Actor, swap_id: str, now: datetime) -> None:
        """Say no, or take one's own wish back."""
        with self._workshop.database.write() as session:
            swap, give, take = self._found(session, swap_id)
            if actor.person_id not in (give.person_id, take.person_id):
                raise NotFoundError("booking.no-swap")
            if swap.state != SwapState.OPEN.value:
                raise RefusedError([Refusal(Reason.ALREADY_ENDED)])
            is_mine = give.person_id == actor.person_id
            swap.state = (SwapState.WITHDRAWN if is_mine else SwapState.DECLINED).value
            swap.ended_at = now
            about = f"swap:{swap.id}"
            if not is_mine:
                fields = self._fields(session, actor, take, give)
                tell(session, self._workshop, give.person_id, "swap-declined", fields, now, about)
            read_about(session, take.person_id or "", about, now)

    def _found(self, session: Session, swap_id: str) -> tuple[Swap, Allocation, Allocation]:
        swap = session.get(Swap, swap_id)
        if swap is None:
            raise NotFoundError("booking.no-swap")
        give, take = _pair(session, swap.give_id, swap.take_id)
        session.refresh(swap)
        return swap, give, take

    def _fields(
        self, session: Session, actor: Actor, give: Allocation, take: Allocation
    ) -> dict[str, str]:
        other = {f"their_{key}": value for key, value in claims.times_of(session, give).items()}
        return {**claims.times_of(session, take), **other, "by": actor.name}


def is_open(session: Session, swap: Swap, now: datetime) -> bool:
    """Return whether what was offered is still what both have."""
    give, take = (session.get_one(Allocation, key) for key in (swap.give_id, swap.take_id))
    as_was = (give.sequence, take.sequence) == (swap.give_sequence, swap.take_sequence)
    return swap.state == SwapState.OPEN.value and as_was and not _not_to_swap(give, take, now)


def _not_to_swap(give: Allocation, take: Allocation, now: datetime) -> list[Refusal]:
    found = []
    for row in (give, take):
        if row.state != AllocationState.ACTIVE.value or row.end_at <= now:
            found.append(Refusal(Reason.ALREADY_ENDED))
        elif row.start_at <= now:
            found.append(Refusal(Reason.BEGUN))
    return found


def _change(
    session: Session, workshop: Workshop, give: Allocation, take: Allocation, now: datetime
) -> None:
    places = [(row.machine_id, Interval(row.start_at, row.end_at)) for row in (take, give)]
    # Both step aside first: each would else lie in the other's way.
    give.state = take.state = AllocationState.CANCELLED.value
    session.flush()
    refusals: list[Refusal] = []
    for row, (machine_id, interval) in zip((give, take), places, strict=True):
        actor = claims.actor_of(session, row.person_id)
        machine = session.get_one(Machine, machine_id)
        if actor is None:
            refusals.append(Refusal(Reason.SWAP_CHANGED))
            continue
        asker = Asker(actor.person_id, actor.role)
        found = house_refusals(session, workshop, asker, machine, interval, now, moved=row)
        refusals += [one for one in found if one.reason is not Reason.NEEDS_APPROVAL]
        row.machine_id, row.start_at, row.end_at = machine_id, interval.start, interval.end
        row.sequence += 1
    if refusals:
        raise RefusedError(refusals)
    session.flush()
    give.state = take.state = AllocationState.ACTIVE.value
    session.flush()


def _pair(session: Session, give_id: str, take_id: str) -> tuple[Allocation, Allocation]:
    give, take = (claims.allocation_of(session, key) for key in (give_id, take_id))
    if give.kind != "reservation" or take.kind != "reservation":
        raise NotFoundError("booking.unknown")
    take_turns(session, {give.machine_id, take.machine_id})
    session.refresh(give)
    session.refresh(take)
    return give, take


def _side(session: Session, allocation_id: str, actor: Actor, *, named: bool) -> Side:
    (entry,) = rows_where(session, Allocation.id == allocation_id)
    row = entry.row
    machine = session.get_one(Machine, row.machine_id)
    is_mine = row.person_id == actor.person_id
    name = entry.name if named or is_mine or entry.is_open else ""
    interval = Interval(row.start_at, row.end_at)
    return Side(row.id, entry.slug, machine.name, interval, is_mine, name)
