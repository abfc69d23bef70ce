"""Claims on a machine's time: what lies in their way, and their rows.

Everything here runs inside the caller's transaction, after `take_turn` for the machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.orm import Session

from jobs.domain.calendar import CLAIMS, FACTS, AllocationKind, AllocationState, Interval
from jobs.domain.errors import NotFoundError, RefusedError
from jobs.domain.events import EventType, rfc3339
from jobs.domain.people import Actor, Role
from jobs.domain.policy import Reason, Refusal
from jobs.domain.sharing import HoldFor
from jobs.services import outbox
from jobs.services.notices import tell
from jobs.services.turns import take_turn
from jobs.services.workshop import Workshop
from jobs.store.tables import Allocation, Machine, Person

_CLAIM_WORDS = [kind.value for kind in CLAIMS]
_FACT_WORDS = [kind.value for kind in FACTS]


def conflicts(
    machine_id: str, kind: AllocationKind, person_id: str | None, interval: Interval
) -> ColumnElement[bool]:
    """Return the condition of what lies in the way; the same rule as `store.guards`."""
    theirs = Allocation.person_id.is_(None) | (Allocation.person_id != person_id)
    if kind in CLAIMS:
        own_run = and_(Allocation.kind == AllocationKind.RUN.value, ~theirs)
        in_the_way = or_(
            Allocation.kind.in_(_CLAIM_WORDS), and_(Allocation.kind.in_(_FACT_WORDS), ~own_run)
        )
    elif kind is AllocationKind.RUN and person_id is not None:
        in_the_way = and_(Allocation.kind.in_(_CLAIM_WORDS), theirs)
    else:
        in_the_way = Allocation.kind.in_(_CLAIM_WORDS)
    return and_(
        Allocation.machine_id == machine_id,
        Allocation.state == AllocationState.ACTIVE.value,
        Allocation.start_at < interval.end,
        Allocation.end_at > interval.start,
        in_the_way,
    )


def announce(
    session: Session,
    workshop: Workshop,
    kind: EventType,
    row: Allocation,
    now: datetime,
    **more: str,
) -> None:
    """Write the event of a changed reservation; it names the time, never the person."""
    slug = session.scalar(select(Machine.slug).where(Machine.id == row.machine_id))
    data: Mapping[str, object] = {
        "allocation": row.id,
        "machine": slug,
        "from": rfc3339(row.start_at),
        "to": rfc3339(row.end_at),
        "sequence": row.sequence,
        **more,
    }
    outbox.add(session, kind, data, at=now, now=now, workshop=workshop)


def hold(
    session: Session,
    workshop: Workshop,
    machine_id: str,
    interval: Interval,
    person_id: str,
    purpose: HoldFor,
    expires_at: datetime,
    now: datetime,
    note: str = "",
) -> Allocation:
    """Keep time free for a person until they take it or it lapses."""
    row = Allocation(
        id=workshop.new_id(),
        machine_id=machine_id,
        kind=AllocationKind.HOLD.value,
        state=AllocationState.ACTIVE.value,
        start_at=interval.start,
        end_at=interval.end,
        person_id=person_id,
        note=note,
        sequence=0,
        created_at=now,
        purpose=purpose.value,
        expires_at=expires_at,
    )
    session.add(row)
    session.flush()
    return row


def is_booking() -> ColumnElement[bool]:
    """Return the condition of what a person has booked, or has asked staff for."""
    asked = and_(
        Allocation.kind == AllocationKind.HOLD.value,
        Allocation.purpose == HoldFor.APPROVAL.value,
    )
    return or_(Allocation.kind == AllocationKind.RESERVATION.value, asked)


def allocation_of(session: Session, allocation_id: str) -> Allocation:
    """Return an allocation.

    :raises NotFoundError: if there is none with this id.
    """
    row = session.get(Allocation, allocation_id)
    if row is None:
        raise NotFoundError("booking.unknown")
    return row


def own_reservation(
    session: Session, actor: Actor, allocation_id: str, now: datetime
) -> tuple[Allocation, Machine]:
    """Return a reservation that *actor* may change, its machine's turn taken.

    :raises RefusedError: if it is somebody else's, or over.
    """
    row = allocation_of(session, allocation_id)
    is_asked = row.kind == AllocationKind.HOLD.value and row.purpose == HoldFor.APPROVAL.value
    if row.kind != AllocationKind.RESERVATION.value and not is_asked:
        raise NotFoundError("booking.unknown")
    take_turn(session, row.machine_id)
    session.refresh(row)  # a run may have taken its place until it was our turn
    refusals = []
    if row.person_id != actor.person_id and not actor.is_at_least(Role.OPERATOR):
        refusals.append(Refusal(Reason.NOT_YOURS))
    if row.state != AllocationState.ACTIVE.value or row.end_at <= now:
        refusals.append(Refusal(Reason.ALREADY_ENDED))
    if refusals:
        raise RefusedError(refusals)
    return row, session.get_one(Machine, row.machine_id)


def cancel_row(
    session: Session, workshop: Workshop, row: Allocation, actor: Actor, now: datetime
) -> None:
    """Give a reservation back; whose it is hears of it if somebody else did that."""
    row.state = AllocationState.CANCELLED.value
    row.sequence += 1
    announce(session, workshop, EventType.RESERVATION_CANCELLED, row, now)
    if row.person_id != actor.person_id:
        fields = {**times_of(session, row), "by": actor.name}
        about = f"booking:{row.id}"
        tell(session, workshop, row.person_id, "booking-cancelled", fields, now, about)


def take_hold(session: Session, workshop: Workshop, row: Allocation, now: datetime) -> None:
    """Make a reservation of a hold; it is the person's own word."""
    row.kind = AllocationKind.RESERVATION.value
    row.purpose = row.expires_at = None
    row.created_at = now
    row.sequence += 1
    session.flush()
    announce(session, workshop, EventType.RESERVATION_MADE, row, now)


def drop_hold(session: Session, row: Allocation) -> bool:
    """Let go of time that was kept; return whether it was kept until now."""
    if row.kind != AllocationKind.HOLD.value or row.state != AllocationState.ACTIVE.value:
        return False
    row.state = AllocationState.CANCELLED.value
    row.sequence += 1
    session.flush()
    return True


def give_back(
    session: Session, workshop: Workshop, whose: ColumnElement[bool], now: datetime
) -> None:
    """Cancel the claims that *whose* picks, as far as they are not over, and say so."""
    claims = session.scalars(
        select(Allocation).where(
            whose,
            Allocation.kind.in_(_CLAIM_WORDS),
            Allocation.state == AllocationState.ACTIVE.value,
            Allocation.end_at > now,
        )
    )
    for claim in claims.all():
        claim.state = AllocationState.CANCELLED.value
        claim.sequence += 1
        announce(session, workshop, EventType.RESERVATION_CANCELLED, claim, now)
    session.flush()


def actor_of(session: Session, person_id: str | None) -> Actor | None:
    """Return whom a claim is for, as rules see them; None for nobody or who is locked out."""
    person = session.get(Person, person_id) if person_id else None
    if person is None or person.disabled_at is not None:
        return None
    return Actor(person.id, person.name, Role(person.role), person.simulated)


def times_of(session: Session, row: Allocation) -> dict[str, str]:
    """Return the fields of a sentence about a claim: `machine`, `from`, `to`."""
    name = session.scalar(select(Machine.name).where(Machine.id == row.machine_id))
    return {"machine": name or "", "from": rfc3339(row.start_at), "to": rfc3339(row.end_at)}
