"""What a person is offered instead of a claim that a fact displaced, and how they take it.

Offers are made in the transaction that displaced, and their time is kept by holds: nobody else
can book it until they are taken or lapse.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from jobs.domain.calendar import AllocationKind, AllocationState, Interval
from jobs.domain.errors import NotFoundError, RefusedError
from jobs.domain.events import rfc3339
from jobs.domain.machine import MachineLimits
from jobs.domain.people import Actor
from jobs.domain.policy import Reason, Refusal
from jobs.domain.sharing import HoldFor, OfferKind, OfferState, WaitState, is_equal
from jobs.services import claims
from jobs.services.free_time import may_have, slots_for
from jobs.services.lab_sharing import sharing_rules
from jobs.services.notices import read_about, tell
from jobs.services.turns import take_turns, try_turn
from jobs.services.waiting import serve
from jobs.services.workshop import Workshop
from jobs.store.sharing import Offer, Wait
from jobs.store.tables import Allocation, Machine

_AHEAD: Final = timedelta(days=14)  # how far the next slot may be
_MOST_EQUAL: Final = 20  # machines that are looked at


@dataclass(frozen=True, slots=True)
class OfferView:
    """An open offer: what is kept for whom, and until when."""

    id: str
    allocation_id: str  # what was lost
    kind: OfferKind
    machine_slug: str
    machine_name: str
    interval: Interval | None  # None: a refund
    expires_at: datetime


def make_up_for(
    session: Session, workshop: Workshop, displaced: Sequence[Allocation], now: datetime
) -> None:
    """Tell everybody who lost time, and keep something else for them."""
    for claim in displaced:
        if claim.kind == AllocationKind.RESERVATION.value:
            _offer(session, workshop, claim, tuple(OfferKind), now)
        elif claim.purpose == HoldFor.PLAN.value:
            fields = {**claims.times_of(session, claim), "displaced": claim.displaced_reason or ""}
            tell(session, workshop, claim.person_id, "job-plan-lost", fields, now)
        elif claim.purpose == HoldFor.APPROVAL.value:
            # It was not theirs yet, so nothing is kept instead.
            fields = {**claims.times_of(session, claim), "displaced": claim.displaced_reason or ""}
            about = f"booking:{claim.id}"
            tell(session, workshop, claim.person_id, "booking-displaced", fields, now, about)
        elif claim.purpose == HoldFor.TRAINING.value:
            fields = {**claims.times_of(session, claim), "title": claim.note}
            fields["displaced"] = claim.displaced_reason or ""
            tell(session, workshop, claim.person_id, "booking-training-lost", fields, now)
        elif claim.purpose == HoldFor.OFFER.value:
            _offer_again(session, workshop, claim, now)
        elif claim.purpose == HoldFor.WAIT.value:
            _wait_again(session, workshop, claim, now)


class Offers:
    """Use cases of whoever lost time."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop

    def mine(self, actor: Actor, now: datetime) -> Sequence[OfferView]:
        """Return what is open for a person, by the claim it stands for."""
        query = (
            select(Offer, Allocation, Machine)
            .join(Allocation, Allocation.id == Offer.allocation_id)
            .join(Machine, Machine.id == Allocation.machine_id)
            .where(
                Offer.person_id == actor.person_id,
                Offer.state == OfferState.OPEN.value,
            )
            .order_by(Offer.created_at, Offer.id)
        )
        with self._workshop.database.read() as session:
            found = []
            for offer, _, machine in session.execute(query):
                held = session.get(Allocation, offer.hold_id) if offer.hold_id else None
                if not _is_kept(held, now):
                    continue
                place = machine if held is None else session.get_one(Machine, held.machine_id)
                found.append(
                    OfferView(
                        offer.id,
                        offer.allocation_id,
                        OfferKind(offer.kind),
                        place.slug,
                        place.name,
                        Interval(held.start_at, held.end_at) if held else None,
                        offer.expires_at,
                    )
                )
            return found

    def take(self, actor: Actor, offer_id: str, now: datetime) -> str | None:
        """Take an offer; the others for the same claim are let go.

        :returns: the id of the new reservation; None after a refund.
        :raises RefusedError: if it has lapsed, was lost, or another was taken.
        """
        workshop = self._workshop
        with workshop.database.write() as session:
            offer = session.get(Offer, offer_id)
            if offer is None or offer.person_id != actor.person_id:
                raise NotFoundError("booking.no-offer")
            rows = session.scalars(
                select(Offer).where(Offer.allocation_id == offer.allocation_id)
            ).all()
            holds = [session.get_one(Allocation, one.hold_id) for one in rows if one.hold_id]
            take_turns(session, {hold.machine_id for hold in holds} | {offer.allocation_id})
            for row in (*rows, *holds):
                session.refresh(row)  # it may have lapsed until it was our turn
            held = next((one for one in holds if one.id == offer.hold_id), None)
            if offer.state != OfferState.OPEN.value or not _is_kept(held, now):
                raise RefusedError([Refusal(Reason.OFFER_OVER)])
            offer.state = OfferState.TAKEN.value
            session.flush()
            if held is not None:
                claims.take_hold(session, workshop, held, now)
            others = [one for one in rows if one.state == OfferState.OPEN.value]
            close(session, workshop, others, OfferState.CLOSED, now)
            read_about(session, actor.person_id, f"booking:{offer.allocation_id}", now)
        workshop.live.touch()
        return offer.hold_id


def _is_kept(held: Allocation | None, now: datetime) -> bool:
    """Return whether the time of an offer is still there; a refund needs none.

    Not by the clock alone: while it is not trusted, and after the node was down, it stays.
    """
    return held is None or (held.state == AllocationState.ACTIVE.value and held.end_at > now)


def close(
    session: Session,
    workshop: Workshop,
    offers: Iterable[Offer],
    state: OfferState,
    now: datetime,
) -> None:
    """End open offers; the time that was kept for them goes to whoever waits."""
    for offer in offers:
        offer.state = state.value
        held = session.get(Allocation, offer.hold_id) if offer.hold_id else None
        if held is not None and claims.drop_hold(session, held):
            serve(session, workshop, held.machine_id, now)
    session.flush()


def _offer(
    session: Session,
    workshop: Workshop,
    claim: Allocation,
    kinds: Sequence[OfferKind],
    now: datetime,
) -> None:
    actor = claims.actor_of(session, claim.person_id)
    if actor is None:
        return
    until = now + timedelta(minutes=sharing_rules(session).offer_min)
    machine = session.get_one(Machine, claim.machine_id)
    made: dict[str, Allocation] = {}
    for kind in kinds:
        place = None
        if kind is OfferKind.EQUAL:
            place = _equal(session, workshop, actor, machine, claim, now)
        elif kind is OfferKind.LATER:
            place = _later(session, workshop, actor, machine, claim, now)
        held = None
        if place is not None:
            where, interval = place
            held = claims.hold(
                session, workshop, where.id, interval, actor.person_id, HoldFor.OFFER,
                # Time that has gone by is no offer any more.
                min(until, interval.end), now, claim.note,
            )  # fmt: skip
            made[kind.value] = held
        elif kind is not OfferKind.REFUND:
            continue
        session.add(
            Offer(
                id=workshop.new_id(),
                allocation_id=claim.id,
                person_id=actor.person_id,
                kind=kind.value,
                hold_id=held.id if held else None,
                state=OfferState.OPEN.value,
                created_at=now,
                expires_at=held.expires_at if held else until,
            )
        )
    session.flush()
    code = "booking-displaced" if len(kinds) == len(OfferKind) else "booking-offer-lost"
    fields = {
        **claims.times_of(session, claim),
        "displaced": claim.displaced_reason or "",
        "until": rfc3339(until),
        **_instead(session, made),
    }
    words = "".join(f"-{kind}" for kind in sorted(made))
    tell(session, workshop, actor.person_id, code + words, fields, now, f"booking:{claim.id}")


def _instead(session: Session, made: Mapping[str, Allocation]) -> dict[str, str]:
    found: dict[str, str] = {}
    for kind, row in made.items():
        times = claims.times_of(session, row)
        found |= {f"{kind}_machine": times["machine"], f"{kind}_from": times["from"]}
    return found


def _equal(
    session: Session,
    workshop: Workshop,
    actor: Actor,
    machine: Machine,
    claim: Allocation,
    now: datetime,
) -> tuple[Machine, Interval] | None:
    """Return another machine that can do the same and is free then."""
    start = max(claim.start_at, now)
    if claim.end_at <= start:
        return None
    interval = Interval(start, claim.end_at)
    wanted = MachineLimits.from_json(machine.limits)
    query = (
        select(Machine)
        .where(
            Machine.kind == machine.kind,
            Machine.control == machine.control,
            Machine.id != machine.id,
            Machine.retired_at.is_(None),
        )
        .order_by(Machine.slug)
        .limit(_MOST_EQUAL)
    )
    for one in session.scalars(query).all():
        # Never wait for another machine's turn here: a fact that enters there may wait for ours.
        if not is_equal(wanted, MachineLimits.from_json(one.limits)) or not try_turn(
            session, one.id
        ):
            continue
        if may_have(session, workshop, actor, one, interval, now):
            return one, interval
    return None


def _later(
    session: Session,
    workshop: Workshop,
    actor: Actor,
    machine: Machine,
    claim: Allocation,
    now: datetime,
) -> tuple[Machine, Interval] | None:
    """Return the next slot of that length on the same machine, no sooner than the lost one."""
    length = claim.end_at - claim.start_at
    first = max(claim.start_at, now)
    within = Interval(first, first + _AHEAD + length)
    found = slots_for(session, workshop, actor, machine, length, within, now)
    slot = next(found, None)
    return None if slot is None else (machine, slot)


def _offer_again(session: Session, workshop: Workshop, hold: Allocation, now: datetime) -> None:
    """A fact took the time of an offer as well: keep something else, if there is."""
    offer = session.scalar(
        select(Offer).where(Offer.hold_id == hold.id, Offer.state == OfferState.OPEN.value)
    )
    if offer is None:
        return
    offer.state = OfferState.LOST.value
    lost = session.get_one(Allocation, offer.allocation_id)
    _offer(session, workshop, lost, (OfferKind(offer.kind),), now)


def _wait_again(session: Session, workshop: Workshop, hold: Allocation, now: datetime) -> None:
    """A fact took the time that was kept for who waits: their place in the line stays."""
    wait = session.scalar(
        select(Wait).where(Wait.hold_id == hold.id, Wait.state == WaitState.HELD.value)
    )
    if wait is None:
        return
    wait.state, wait.hold_id = WaitState.WAITING.value, None
    session.flush()
    fields = {**claims.times_of(session, hold), "displaced": hold.displaced_reason or ""}
    # Of one's own time people are told whatever they chose.
    tell(session, workshop, wait.person_id, "booking-hold-lost", fields, now, f"wait:{wait.id}")
    serve(session, workshop, wait.machine_id, now)
