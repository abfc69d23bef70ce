"""The house's rules asked: the lab's values and the facts, gathered for one wish.

Pages, the API, the kiosk and the dispatcher all come through here.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from jobs.domain.calendar import CLAIMS, AllocationKind, AllocationState, Interval
from jobs.domain.modules import Module
from jobs.domain.money_terms import Counts
from jobs.domain.people import LabMode, Role
from jobs.domain.policy import Refusal
from jobs.domain.rules import Act, Facts, OwnBooking, Values, refusals_of
from jobs.domain.rules.facts import Purse
from jobs.domain.rules.times import LOOK_AHEAD_DAYS, local_date, local_week
from jobs.domain.rules.values import DEFAULTS, LAB, Level, Scope, resolved
from jobs.services.accepting import to_accept
from jobs.services.claims import conflicts
from jobs.services.footing import with_footing
from jobs.services.house_attendance import buddies
from jobs.services.lab import mode_of
from jobs.services.modules import is_on
from jobs.services.purse import available
from jobs.services.qualifying import free_trainings, qualified_until
from jobs.services.tariffs import group_of, tariff_of, terms_of
from jobs.services.workshop import Workshop
from jobs.store.house import Approval
from jobs.store.tables import Allocation, Job, Machine, Setting

HOLIDAYS: Final = "rules.holidays"  # the setting that holds the days themselves
CHECK_IN_EARLY: Final = timedelta(hours=1)  # before one's time begins one may be there already
_KEPT: Final = (AllocationState.ACTIVE.value, AllocationState.ENDED.value)
_OUT: Final = (AllocationKind.OUTAGE.value, AllocationKind.CLOSURE.value)
_CLAIMED: Final = frozenset(kind.value for kind in CLAIMS)
_QUOTAS: Final = ("day_quota_min", "week_quota_min", "most_bookings", "gap_min")
_MOST: Final = 2000  # claims of one machine, or of one person, that are looked at
_MOST_PEERS: Final = 8
_LONGEST: Final = timedelta(days=31)  # of a booking that somebody could still be there for


@dataclass(frozen=True, slots=True)
class Asker:
    """Whose wish it is; without an id it is anybody's, as in a list of what is free."""

    person_id: str | None
    role: Role


def refusals(
    session: Session,
    workshop: Workshop,
    asker: Asker,
    machine: Machine,
    interval: Interval,
    now: datetime,
    *,
    moved: Allocation | None = None,
) -> list[Refusal]:
    """Return every reason not to book, each with what would make it pass. None: book."""
    values = values_of(session, machine)
    facts = booking_facts(
        session, workshop, asker, machine, interval, now, moved=moved, values=values
    )
    if not refusals_of(facts, values):
        return []
    # Only who is refused wants to know of the others.
    return refusals_of(facts, values, _peers(session, workshop, asker, machine, facts))


def booking_facts(
    session: Session,
    workshop: Workshop,
    asker: Asker,
    machine: Machine,
    interval: Interval,
    now: datetime,
    *,
    moved: Allocation | None = None,
    values: Values | None = None,
    ahead_days: int = LOOK_AHEAD_DAYS,
) -> Facts:
    """Gather what the rules look at; what no rule of this lab asks for is not looked up.

    :param values: what holds for the machine, where the caller knows it already.
    :param ahead_days: how far claims are read; beyond it nothing is known to be free.
    """
    known_until = max(interval.start, now) + timedelta(days=ahead_days)
    moved_id = "" if moved is None else moved.id
    if values is None:
        values = values_of(session, machine)
    rows = session.execute(
        select(Allocation.start_at, Allocation.end_at, Allocation.kind, Allocation.person_id)
        .where(
            conflicts(
                machine.id,
                AllocationKind.RESERVATION,
                asker.person_id,
                # What has just ended, or begins just behind, may want its time to set up.
                Interval(
                    min(interval.start, now) - values.buffer,
                    max(known_until, interval.end + values.buffer),
                ),
            ),
            Allocation.id != moved_id,
        )
        .order_by(Allocation.start_at)
        .limit(_MOST)
    ).all()
    facts = Facts(
        start=interval.start,
        end=interval.end,
        now=now,
        role=asker.role,
        zone=workshop.zone,
        # Beyond the last row that was read nothing is known to be free.
        known_until=rows[-1].start_at if len(rows) == _MOST else known_until,
        machine=machine.slug,
        machine_name=machine.name,
        kind=machine.kind,
        machine_retired=machine.retired_at is not None,
        booking_hidden=mode_of(session) is LabMode.ONLY_ME,
        taken=tuple(Interval(start, end) for start, end, kind, _ in rows if kind not in _OUT),
        neighbours=tuple(
            Interval(start, end)
            for start, end, kind, whose in rows
            if kind in _CLAIMED and (whose is None or whose != asker.person_id)
        ),
        out=tuple(Interval(start, end) for start, end, kind, _ in rows if kind in _OUT),
        moved=None if moved is None else Interval(moved.start_at, moved.end_at),
    )
    if values.holidays is not None:
        facts = replace(facts, holidays=holidays_of(session, values.holidays))
    if asker.person_id is None:
        return facts
    if any(values.value(key) is not None for key in _QUOTAS):
        own = _own(session, workshop, asker.person_id, interval, now, moved_id)
        facts = replace(facts, own=own)
    facts = with_footing(session, facts, asker.person_id, machine)
    if values.accept_binds == "both":
        facts = replace(facts, to_accept=to_accept(session, asker.person_id, machine))
    if values.qualification_needed:
        facts = with_qualification(session, facts, asker.person_id, machine)
    if values.owing_most is not None:
        facts = replace(
            facts, purse=_purse(session, asker.person_id, machine, interval.start, now, moved_id)
        )
    return facts


def start_refusals(
    session: Session,
    zone: ZoneInfo,
    job: Job,
    machine: Machine,
    values: Values,
    until: datetime,
    now: datetime,
    purse: Purse | None = None,
) -> list[Refusal]:
    """Return every reason of the house not to start a job on a machine now. None: go.

    :param values: what holds for the machine.
    :param until: when the job would be done.
    :param purse: of whose job it is, where that counts.
    """
    return use_refusals(session, zone, job.person_id, machine, values, now, until, purse)


def use_refusals(
    session: Session,
    zone: ZoneInfo,
    person_id: str,
    machine: Machine,
    values: Values,
    now: datetime,
    until: datetime | None = None,
    purse: Purse | None = None,
) -> list[Refusal]:
    """Return every reason of the house why a person may not use a machine now. None: go.

    :param until: when they would be done, as far as that is known.
    """
    soon = now + timedelta(minutes=1)
    facts = Facts(
        start=now,
        end=max(until or soon, soon),
        now=now,
        role=Role.MEMBER,
        zone=zone,
        known_until=now + timedelta(days=LOOK_AHEAD_DAYS),
        act=Act.START,
        machine=machine.slug,
        machine_name=machine.name,
        kind=machine.kind,
        purse=purse,
    )
    if values.people_needed is not None:
        facts = replace(facts, people_here=people_here(session, now))
    if values.holidays is not None and values.opening_binds_starts:
        facts = replace(facts, holidays=holidays_of(session, values.holidays))
    facts = with_footing(session, facts, person_id, machine)
    facts = replace(facts, to_accept=to_accept(session, person_id, machine))
    if values.qualification_needed:
        facts = with_qualification(session, facts, person_id, machine)
    return refusals_of(facts, values)


def without_passed(
    session: Session, found: list[Refusal], job_id: str, machine_id: str, now: datetime
) -> list[Refusal]:
    """Return what is left of *found* when staff have let some of it pass for that job there."""
    if not any(one.overridable for one in found):
        return found
    rows = session.scalars(
        select(Approval.reasons).where(
            Approval.job_id == job_id,
            Approval.machine_id == machine_id,
            Approval.granted.is_(True),
            Approval.expires_at > now,
        )
    )
    passed = {str(code) for reasons in rows for code in reasons}
    return [one for one in found if not (one.overridable and one.reason.value in passed)]


def people_here(session: Session, now: datetime) -> int:
    """Return how many adults are here: checked in at the house, or for a booking that goes on."""
    query = select(Allocation.person_id).where(
        Allocation.checked_in_at.is_not(None),
        Allocation.state == AllocationState.ACTIVE.value,
        Allocation.end_at > now,
        # Both ends bounded, or ten years of history would be read each time.
        Allocation.start_at > now - _LONGEST,
        Allocation.start_at <= now + CHECK_IN_EARLY,
    )
    return len(buddies(session, now) | set(session.scalars(query)))


def with_qualification(session: Session, facts: Facts, person_id: str, machine: Machine) -> Facts:
    """Return the facts with what the person has learned, and where they could learn it."""
    until = qualified_until(session, person_id, machine, facts.now)
    if until is not None and until >= facts.end:
        return replace(facts, qualified_until=until)
    trainings = tuple(free_trainings(session, person_id, machine, facts.now))
    return replace(facts, qualified_until=until, trainings=trainings)


def values_of(session: Session, machine: Machine) -> Values:
    """Return the values that hold for a machine; a lab of one person has no rules."""
    scopes = (LAB, Scope(Level.KIND, machine.kind), Scope(Level.MACHINE, machine.slug))
    keys = [setting_key(scope, machine.id) for scope in scopes]
    found = _kept_values(session, keys)
    return resolved(*(found.get(key) for key in keys)) if found else DEFAULTS


def values_of_all(session: Session, machines: Sequence[Machine]) -> Mapping[str, Values]:
    """Return the same for many machines, by id, in one look."""
    keys = {
        one.id: [
            setting_key(scope, one.id)
            for scope in (LAB, Scope(Level.KIND, one.kind), Scope(Level.MACHINE, one.slug))
        ]
        for one in machines
    }
    found = _kept_values(session, {key for each in keys.values() for key in each})
    # Most labs decide for all: what is the same is worked out once.
    known: dict[tuple[str, ...], Values] = {(): DEFAULTS}
    values: dict[str, Values] = {}
    for machine_id, each in keys.items():
        held = tuple(key for key in each if key in found)
        if held not in known:
            known[held] = resolved(*(found.get(key) for key in each))
        values[machine_id] = known[held]
    return values


def _kept_values(session: Session, keys: Collection[str]) -> Mapping[str, Mapping[str, object]]:
    rows = session.scalars(select(Setting).where(Setting.key.in_(keys))).all()
    if not rows or mode_of(session) is LabMode.ONLY_ME:
        return {}
    return {row.key: read_json(row.value) for row in rows}


def values_in(session: Session, scope: Scope) -> Values:
    """Return the values that hold for the lab as a whole, or for a kind."""
    keys = [setting_key(one) for one in dict.fromkeys((LAB, scope))]
    rows = session.scalars(select(Setting).where(Setting.key.in_(keys))).all()
    if not rows or mode_of(session) is LabMode.ONLY_ME:
        return DEFAULTS
    found = {row.key: read_json(row.value) for row in rows}
    return resolved(found.get(keys[0]), found.get(keys[-1]) if len(keys) > 1 else {}, {})


def setting_key(scope: Scope, machine_id: str = "") -> str:
    """Return where the values of a scope are kept; a machine's by its id, for slugs may change."""
    match scope.level:
        case Level.MACHINE:
            return f"rules.machine.{machine_id}"
        case Level.KIND:
            return f"rules.kind.{scope.of}"
        case _:
            return "rules.lab"


def read_json(text: str) -> Mapping[str, object]:
    """Return what a setting holds; nothing where it cannot be read."""
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def holidays_of(session: Session, place: str) -> Mapping[date, str]:
    """Return the public holidays that were looked up for a place, by local day."""
    row = session.get(Setting, HOLIDAYS)
    kept = {} if row is None else read_json(row.value)
    days = kept.get("days")
    if kept.get("place") != place or not isinstance(days, dict):
        return {}
    return {date.fromisoformat(day): str(name) for day, name in days.items()}


def _own(
    session: Session,
    workshop: Workshop,
    person_id: str,
    interval: Interval,
    now: datetime,
    moved_id: str,
) -> tuple[OwnBooking, ...]:
    """Return a person's other bookings, from the beginning of the week that is asked about."""
    day = local_date(min(interval.start, now), workshop.zone)
    rows = session.execute(
        select(Allocation.start_at, Allocation.end_at, Allocation.id, Machine.slug, Machine.kind)
        .join(Machine, Machine.id == Allocation.machine_id)
        .where(
            Allocation.person_id == person_id,
            Allocation.end_at > local_week(day, workshop.zone).start,
            Allocation.kind.in_([kind.value for kind in CLAIMS]),
            Allocation.state.in_(_KEPT),
            Allocation.id != moved_id,
        )
        .order_by(Allocation.start_at)
        .limit(_MOST)
    )
    return tuple(
        OwnBooking(Interval(start, end), key, slug, kind) for start, end, key, slug, kind in rows
    )


def _purse(
    session: Session,
    person_id: str,
    machine: Machine,
    start: datetime,
    now: datetime,
    moved_id: str,
) -> Purse | None:
    """Return what the rule about credit looks at; None where bookings keep nothing free."""
    if not is_on(session, Module.MONEY) or terms_of(session).bookings is not Counts.HELD:
        return None
    tariff = tariff_of(session, machine, group_of(session, person_id), start)
    return Purse(available(session, person_id, now, without=moved_id), tariff)


def _peers(
    session: Session, workshop: Workshop, asker: Asker, machine: Machine, facts: Facts
) -> Sequence[tuple[Facts, Values]]:
    """Return the same wish on other machines of the kind."""
    others = session.scalars(
        select(Machine)
        .where(
            Machine.kind == machine.kind,
            Machine.id != machine.id,
            or_(Machine.retired_at.is_(None), Machine.retired_at > facts.now),
        )
        .order_by(Machine.slug)
        .limit(_MOST_PEERS)
    )
    found = []
    for other in others:
        values = values_of(session, other)
        wish = facts.interval
        of = booking_facts(session, workshop, asker, other, wish, facts.now, values=values)
        found.append((of, values))
    return found
