"""How a booking enters: the rules of the house are asked, then its row is written and announced."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from jobs.domain.calendar import AllocationState, Interval
from jobs.domain.events import EventType
from jobs.domain.people import Actor
from jobs.services.approvals import NO_PLEA, Consent, Plea, consent_of, keep
from jobs.services.claims import announce
from jobs.services.costing import must_afford
from jobs.services.house_rules import Asker, refusals
from jobs.services.workshop import Workshop
from jobs.store.tables import Allocation, Machine


def consent_for(
    session: Session,
    workshop: Workshop,
    actor: Actor,
    machine: Machine,
    interval: Interval,
    now: datetime,
    plea: Plea = NO_PLEA,
    moved: Allocation | None = None,
) -> Consent:
    """Return how a wish may enter.

    :raises RefusedError: with every reason why it may not.
    """
    asker = Asker(actor.person_id, actor.role)
    if moved is not None:
        # An operator may move it for somebody; the rules are still theirs whose it is.
        asker = Asker(moved.person_id, actor.role)
    found = refusals(session, workshop, asker, machine, interval, now, moved=moved)
    return consent_of(found, actor, plea)


def enter(
    session: Session,
    workshop: Workshop,
    actor: Actor,
    machine: Machine,
    interval: Interval,
    consent: Consent,
    now: datetime,
    note: str = "",
    series_id: str | None = None,
    shows_name: bool | None = None,
) -> Allocation:
    """Write a booking as it was consented to; the database refuses what overlaps."""
    row = Allocation(
        id=workshop.new_id(),
        machine_id=machine.id,
        kind=consent.kind.value,
        state=AllocationState.ACTIVE.value,
        start_at=interval.start,
        end_at=interval.end,
        person_id=actor.person_id,
        note=note,
        sequence=0,
        created_at=now,
        series_id=series_id,
        shows_name=shows_name,
    )
    session.add(row)
    keep(session, workshop, actor, row, consent, now)
    session.flush()
    must_afford(session, row, consent.reasons, now)
    if consent.granted:
        announce(session, workshop, EventType.RESERVATION_MADE, row, now)
    return row


def take_hold(
    session: Session, workshop: Workshop, actor: Actor, row: Allocation, now: datetime
) -> None:
    """Make a booking of time that was kept for a person, by the rules of this moment.

    :raises RefusedError: with every reason that has come up since.
    """
    machine = session.get_one(Machine, row.machine_id)
    interval = Interval(row.start_at, row.end_at)
    at = min(now, row.start_at)  # it was kept in time, though it may have begun meanwhile
    consent = consent_for(session, workshop, actor, machine, interval, at, moved=row)
    row.created_at = now
    row.sequence += 1
    keep(session, workshop, actor, row, consent, now)
    session.flush()
    must_afford(session, row, consent.reasons, now)
    if consent.granted:
        announce(session, workshop, EventType.RESERVATION_MADE, row, now)
