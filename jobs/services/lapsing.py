"""What lapses by the clock: kept time, bookings nobody came to, swaps nobody agreed to; reminders.

Each sweep is a function of the state and the time: a second one at once changes nothing, and one
that comes two days late catches up. Nothing lapses while the clock is not trusted, and minutes
in which the node was down count against nobody.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from jobs.domain.calendar import AllocationKind, AllocationState
from jobs.domain.errors import InvalidError
from jobs.domain.people import Actor
from jobs.domain.sharing import (
    REMIND_DEFAULT,
    REMIND_MIN,
    HoldFor,
    OfferKind,
    OfferState,
    SwapState,
    WaitState,
)
from jobs.services import claims
from jobs.services.being_there import came, release
from jobs.services.clock import is_over, is_trusted
from jobs.services.ending import choose_end, chosen_end, ending, remind_of_end
from jobs.services.lab_sharing import sharing_rules
from jobs.services.notices import tell
from jobs.services.offering import close
from jobs.services.preferences import choose, chosen_by
from jobs.services.swapping import is_open
from jobs.services.turns import take_turn, take_turns
from jobs.services.waiting import end, serve
from jobs.services.workshop import Workshop
from jobs.store.sharing import Notice, Offer, Swap, Wait
from jobs.store.tables import Allocation, Job, Machine
from jobs.store.waiting import PlannedRun

_REMIND: Final = "reminders.minutes"  # a person's choice
_LONGEST: Final = timedelta(days=31)  # of a reservation that somebody could still come to
_MOST: Final = 200  # of one sort in one sweep: it comes again

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Lapsed:
    """How much one sweep changed."""

    holds: int = 0
    missed: int = 0
    plans: int = 0
    swaps: int = 0
    reminders: int = 0
    served: int = 0


class Lapsing:
    """The sweep over machines' time."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop

    def tick(self, now: datetime) -> Lapsed:
        """Let lapse what has lapsed, tell people, and keep freed time for who waits."""
        with self._workshop.database.read() as session:
            if not is_trusted(session, now):
                return Lapsed()
        done = Lapsed(
            holds=self._each(_lapsed_holds, self._lapse_hold, now)
            + self._each(_lapsed_refunds, self._lapse_refund, now),
            missed=self._each(self._unattended, self._miss, now),
            plans=self._each(_idle_plans, self._drop_plan, now),
            swaps=self._each(_open_swaps, self._lapse_swap, now),
            reminders=self._each(_coming, self._remind, now)
            + self._each(ending, self._remind_of_end, now),
            served=self._each(_waited_for, self._serve, now),
        )
        if any(astuple(done)):
            log.info("lapsed: %s", done)
            self._workshop.live.touch()
        return done

    def reminds_before(self, actor: Actor) -> int:
        """Return how long before a booking its person is reminded [min]."""
        with self._workshop.database.read() as session:
            return _reminds_before(session, actor.person_id)

    def remind_before(self, actor: Actor, minutes: int) -> None:
        """Choose how long before a booking one is reminded.

        :raises InvalidError: if it is none of the choices.
        """
        if minutes not in REMIND_MIN:
            raise InvalidError("sharing.remind", field="minutes")
        with self._workshop.database.write() as session:
            choose(session, actor.person_id, _REMIND, str(minutes))

    def reminds_of_end(self, actor: Actor) -> int:
        """Return how long before a booking's end its person is reminded [min]; 0: not."""
        with self._workshop.database.read() as session:
            return chosen_end(session, [actor.person_id])[actor.person_id]

    def remind_of_end(self, actor: Actor, minutes: int) -> None:
        """Choose how long before a booking's end one is reminded; 0: not at all.

        :raises InvalidError: if it is none of the choices.
        """
        with self._workshop.database.write() as session:
            choose_end(session, actor.person_id, minutes)

    def _each(
        self,
        look: Callable[[Session, datetime], Sequence[str]],
        act: Callable[[Session, str, datetime], bool],
        now: datetime,
    ) -> int:
        """Act on each thing found in a transaction of its own; it looks again once it is alone."""
        with self._workshop.database.read() as session:
            found = look(session, now)
        count = 0
        for key in found:
            with self._workshop.database.write() as session:
                count += act(session, key, now)
        return count

    def _lapse_hold(self, session: Session, hold_id: str, now: datetime) -> bool:
        row = session.get_one(Allocation, hold_id)
        take_turn(session, row.machine_id)
        session.refresh(row)
        is_hold = row.kind == AllocationKind.HOLD.value
        if not is_hold or row.state != AllocationState.ACTIVE.value or row.expires_at is None:
            return False
        # What lies behind us is no use to anybody, however long the node was away.
        is_behind = row.end_at <= now
        # Of a plan only its grace runs out, not the days until its time.
        is_plan = row.purpose == HoldFor.PLAN.value
        since = max(row.created_at, row.start_at) if is_plan else row.created_at
        if not is_behind and not is_over(session, since, row.expires_at, now):
            return False
        if row.purpose == HoldFor.WAIT.value:
            wait = session.scalar(select(Wait).where(Wait.hold_id == row.id))
            if wait is not None and wait.state == WaitState.HELD.value:
                end(session, self._workshop, wait, WaitState.LAPSED, now)
        elif is_plan:
            fields = claims.times_of(session, row)
            tell(session, self._workshop, row.person_id, "job-plan-lapsed", fields, now)
        else:
            offers = session.scalars(
                select(Offer).where(Offer.hold_id == row.id, Offer.state == OfferState.OPEN.value)
            ).all()
            close(session, self._workshop, offers, OfferState.LAPSED, now)
        if claims.drop_hold(session, row):  # its reason has gone before it
            serve(session, self._workshop, row.machine_id, now)
        return True

    def _drop_plan(self, session: Session, hold_id: str, now: datetime) -> bool:
        row = session.get_one(Allocation, hold_id)
        take_turn(session, row.machine_id)
        session.refresh(row)
        if claims.drop_hold(session, row):
            serve(session, self._workshop, row.machine_id, now)
        return True

    def _lapse_refund(self, session: Session, offer_id: str, now: datetime) -> bool:
        offer = session.get_one(Offer, offer_id)
        if not is_over(session, offer.created_at, offer.expires_at, now):
            return False
        offer.state = OfferState.LAPSED.value  # nothing is owed all the same
        return True

    def _unattended(self, session: Session, now: datetime) -> Sequence[str]:
        grace = sharing_rules(session).grace_min
        if grace == 0:
            return []
        return session.scalars(
            select(Allocation.id)
            .where(
                Allocation.end_at > now,
                # Both ends bounded, or ten years of history would be read each time.
                Allocation.start_at > now - _LONGEST,
                Allocation.start_at <= now - timedelta(minutes=grace),
                Allocation.kind == AllocationKind.RESERVATION.value,
                Allocation.state == AllocationState.ACTIVE.value,
                Allocation.checked_in_at.is_(None),
            )
            .order_by(Allocation.start_at)
            .limit(_MOST)
        ).all()

    def _miss(self, session: Session, allocation_id: str, now: datetime) -> bool:
        row = session.get_one(Allocation, allocation_id)
        take_turn(session, row.machine_id)
        session.refresh(row)
        is_there = row.state == AllocationState.ACTIVE.value and row.end_at > now
        if not is_there or row.kind != AllocationKind.RESERVATION.value:
            return False
        if (at := came(session, row, now)) is not None:
            row.checked_in_at = at
            return False
        grace = timedelta(minutes=sharing_rules(session).grace_min)
        # Who books what runs already has as long to come as everybody else.
        since = max(row.start_at, row.created_at)
        if not grace or not is_over(session, since, since + grace, now):
            return False
        release(session, self._workshop, row, now)
        return True

    def _lapse_swap(self, session: Session, swap_id: str, now: datetime) -> bool:
        swap = session.get_one(Swap, swap_id)
        rows = [session.get_one(Allocation, key) for key in (swap.give_id, swap.take_id)]
        take_turns(session, {row.machine_id for row in rows})
        for row in (swap, *rows):
            session.refresh(row)
        if swap.state != SwapState.OPEN.value or is_open(session, swap, now):
            return False
        swap.state, swap.ended_at = SwapState.LAPSED.value, now
        return True

    def _remind(self, session: Session, allocation_id: str, now: datetime) -> bool:
        row = session.get_one(Allocation, allocation_id)
        due = row.start_at - timedelta(minutes=_reminds_before(session, row.person_id or ""))
        # Who has booked since then knows.
        if row.state != AllocationState.ACTIVE.value or not row.created_at < due <= now:
            return False
        key = _reminder(row.id, row.start_at)
        fields: dict[str, str | int] = {**claims.times_of(session, row)}
        code, about = "reminder-booking", f"booking:{row.id}"
        grace = sharing_rules(session).grace_min
        if grace:
            code, fields["minutes"] = "reminder-check-in", grace
        told = tell(session, self._workshop, row.person_id, code, fields, now, about, key)
        return told is not None

    def _remind_of_end(self, session: Session, allocation_id: str, now: datetime) -> bool:
        return remind_of_end(session, self._workshop, allocation_id, now)

    def _serve(self, session: Session, machine_id: str, now: datetime) -> bool:
        return serve(session, self._workshop, machine_id, now) > 0


def _reminds_before(session: Session, person_id: str) -> int:
    return int(chosen_by(session, [person_id], _REMIND).get(person_id, REMIND_DEFAULT))


def _lapsed_holds(session: Session, now: datetime) -> Sequence[str]:
    return session.scalars(
        select(Allocation.id)
        .where(
            Allocation.expires_at <= now,
            Allocation.kind == AllocationKind.HOLD.value,
            Allocation.state == AllocationState.ACTIVE.value,
            Allocation.purpose != HoldFor.APPROVAL.value,  # `approvals` has a sweep of its own
        )
        .order_by(Allocation.expires_at)
        .limit(_MOST)
    ).all()


def _idle_plans(session: Session, now: datetime) -> Sequence[str]:
    """Return the holds of planned runs whose job is over; what has passed is in nobody's way."""
    return session.scalars(
        select(Allocation.id)
        .join(PlannedRun, PlannedRun.allocation_id == Allocation.id)
        .join(Job, Job.id == PlannedRun.job_id)
        .where(
            Allocation.kind == AllocationKind.HOLD.value,
            Allocation.state == AllocationState.ACTIVE.value,
            # By machine and end, or ten years of history would be read each time.
            Allocation.machine_id.in_(select(Machine.id)),
            Allocation.end_at > now,
            Job.ended_at.is_not(None),
        )
        .limit(_MOST)
    ).all()


def _lapsed_refunds(session: Session, now: datetime) -> Sequence[str]:
    return session.scalars(
        select(Offer.id)
        .where(
            Offer.state == OfferState.OPEN.value,
            Offer.expires_at <= now,
            Offer.kind == OfferKind.REFUND.value,  # which keeps no time
        )
        .limit(_MOST)
    ).all()


def _open_swaps(session: Session, now: datetime) -> Sequence[str]:
    swaps = session.scalars(
        select(Swap).where(Swap.state == SwapState.OPEN.value).order_by(Swap.id).limit(_MOST)
    ).all()
    return [swap.id for swap in swaps if not is_open(session, swap, now)]


def _coming(session: Session, now: datetime) -> Sequence[str]:
    """Return reservations whose person is to be reminded of them now and was not."""
    reach = timedelta(minutes=max(REMIND_MIN))
    rows = session.execute(
        select(Allocation.id, Allocation.person_id, Allocation.start_at, Allocation.created_at)
        .where(
            Allocation.start_at > now,
            Allocation.start_at <= now + reach,
            Allocation.kind == AllocationKind.RESERVATION.value,
            Allocation.state == AllocationState.ACTIVE.value,
        )
        .order_by(Allocation.start_at)
    ).all()
    chosen = chosen_by(session, {row.person_id or "" for row in rows}, _REMIND)
    due = {}
    for row in rows:
        minutes = int(chosen.get(row.person_id or "", REMIND_DEFAULT))
        if row.created_at < row.start_at - timedelta(minutes=minutes) <= now:
            due[_reminder(row.id, row.start_at)] = row.id
    told = set(session.scalars(select(Notice.key).where(Notice.key.in_(due))))
    return [found for key, found in due.items() if key not in told][:_MOST]


def _reminder(allocation_id: str, start: datetime) -> str:
    """Return by what a reminder is known: one that was moved is reminded of again."""
    return f"reminder:{allocation_id}:{start.timestamp():.0f}"


def _waited_for(session: Session, now: datetime) -> Sequence[str]:
    del now
    return session.scalars(
        select(Machine.id).where(
            exists().where(Wait.machine_id == Machine.id, Wait.state == WaitState.WAITING.value)
        )
    ).all()
