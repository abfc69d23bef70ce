"""Free time that the rules of the house allow: proposed, kept for who waits, offered instead."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

from sqlalchemy.orm import Session

from jobs.domain.calendar import STEP, Interval
from jobs.domain.people import Actor
from jobs.domain.rules import Facts, Values, passes, slots
from jobs.domain.rules.times import LOOK_AHEAD_DAYS
from jobs.services.house_rules import Asker, booking_facts, values_of
from jobs.services.workshop import Workshop
from jobs.store.tables import Machine

_NEAR_DAYS: Final = 7  # where most find what they want; only who does not looks farther
_TRIES: Final = 8  # slots that are held against the rules about a person


def proposals_of(
    session: Session,
    workshop: Workshop,
    asker: Asker,
    machines: Sequence[Machine],
    lengths: Mapping[str, timedelta],
    now: datetime,
    count: int,
) -> Mapping[str, Sequence[Interval]]:
    """Return the next free slots of each machine; they pass every rule about time."""
    found: dict[str, Sequence[Interval]] = {}
    for machine in machines:
        wish = Interval(now, now + lengths[machine.slug])
        values = values_of(session, machine)
        for ahead_days in (_NEAR_DAYS, LOOK_AHEAD_DAYS):
            facts = booking_facts(
                session, workshop, asker, machine, wish, now, values=values, ahead_days=ahead_days
            )
            found[machine.slug] = list(islice(slots(facts, values, STEP), count))
            if len(found[machine.slug]) == count:
                break
    return found


def slots_for(
    session: Session,
    workshop: Workshop,
    actor: Actor,
    machine: Machine,
    length: timedelta,
    within: Interval,
    now: datetime,
) -> Iterator[Interval]:
    """Yield slots in a window that this person may have; that staff must approve is left open."""
    values = values_of(session, machine)
    facts = _facts(session, workshop, actor, machine, values, within.start, length, now)
    for slot in islice(slots(facts, values, STEP), _TRIES):
        if slot.end > within.end:
            return
        if passes(facts.at(slot.start, slot.end), values):
            yield slot


def may_have(
    session: Session,
    workshop: Workshop,
    actor: Actor,
    machine: Machine,
    interval: Interval,
    now: datetime,
) -> bool:
    """Return whether this person may have a machine at that very time."""
    values = values_of(session, machine)
    facts = _facts(session, workshop, actor, machine, values, interval.start, interval.length, now)
    return passes(facts, values)


def _facts(
    session: Session,
    workshop: Workshop,
    actor: Actor,
    machine: Machine,
    values: Values,
    start: datetime,
    length: timedelta,
    now: datetime,
) -> Facts:
    wish = Interval(start, start + length)
    asker = Asker(actor.person_id, actor.role)
    facts = booking_facts(session, workshop, asker, machine, wish, now, values=values)
    return replace(facts, now=min(now, start))
