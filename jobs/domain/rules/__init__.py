"""The house's rules: small pure functions in one list, asked all at once, everywhere the same.

To add one: write a function of `Facts` and `Values` that yields a `Refusal`, put it into `RULES`,
and give the catalogue its sentence (`reason.<reason>`); a value of the lab's own goes into
`values.SPECS`. Every refusal says what would make it pass, and a test takes each of those ways.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from jobs.domain.calendar import Interval, round_up
from jobs.domain.people import Role
from jobs.domain.policy import Reason, Refusal, Way, WayKind
from jobs.domain.rules import hours, lengths, machines, persons, quotas
from jobs.domain.rules.facts import FOR_EVER as FOR_EVER
from jobs.domain.rules.facts import Act as Act
from jobs.domain.rules.facts import Facts as Facts
from jobs.domain.rules.facts import OwnBooking as OwnBooking
from jobs.domain.rules.facts import ToAccept as ToAccept
from jobs.domain.rules.facts import TrainingOffer as TrainingOffer
from jobs.domain.rules.rule import BOOKING, EITHER, STARTING, Rule
from jobs.domain.rules.times import later_of
from jobs.domain.rules.values import Values as Values

RULES: Final[Sequence[Rule]] = (
    Rule(Reason.BOOKING_HIDDEN, machines.booking_hidden, BOOKING),
    Rule(Reason.MACHINE_RETIRED, machines.machine_retired, BOOKING),
    Rule(Reason.ROLE_TOO_LOW, persons.role_too_low, BOOKING),
    Rule(Reason.STAY_ENDS, persons.stay_ends, EITHER, of_time=True),
    Rule(Reason.MACHINE_NOT_NAMED, persons.machine_not_named, EITHER),
    Rule(Reason.NO_CONSENT, persons.no_consent, EITHER),
    Rule(Reason.NEEDS_SUPERVISOR, persons.needs_supervisor, STARTING),
    Rule(
        Reason.NOT_QUALIFIED,
        persons.not_qualified,
        EITHER,
        ("qualification_needed", "disuse_days", "unused_days", "qualification_remind_days"),
    ),
    Rule(Reason.QUALIFICATION_ENDS, persons.qualification_ends, EITHER, ("qualification_needed",)),
    Rule(Reason.NOT_ACCEPTED, persons.not_accepted, EITHER, ("accept_binds",)),
    Rule(Reason.IN_THE_PAST, lengths.in_the_past, BOOKING, of_time=True),
    Rule(Reason.TOO_SHORT, lengths.too_short, BOOKING, ("shortest_min",), of_time=True),
    Rule(Reason.TOO_LONG, lengths.too_long, BOOKING, ("longest_min",), of_time=True),
    Rule(
        Reason.TOO_FAR_AHEAD,
        lengths.too_far_ahead,
        BOOKING,
        ("horizon_days", "horizon_trainer_days", "horizon_staff_days"),
        of_time=True,
    ),
    Rule(Reason.OUT_OF_SERVICE, machines.out_of_service, BOOKING, of_time=True),
    Rule(Reason.TAKEN, machines.taken, BOOKING, of_time=True),
    Rule(Reason.SET_UP, machines.set_up, BOOKING, ("buffer_min",), of_time=True),
    Rule(
        Reason.CLOSED_THEN,
        hours.closed_then,
        EITHER,
        ("opening", "opening_covers", "opening_binds_starts"),
        of_time=True,
    ),
    Rule(Reason.HOLIDAY, hours.holiday, EITHER, ("holidays",), of_time=True),
    Rule(Reason.DAY_QUOTA, quotas.day_quota, BOOKING, ("day_quota_min",), of_time=True),
    Rule(Reason.WEEK_QUOTA, quotas.week_quota, BOOKING, ("week_quota_min",), of_time=True),
    Rule(Reason.TOO_MANY_BOOKINGS, quotas.too_many_bookings, BOOKING, ("most_bookings",)),
    Rule(Reason.TOO_CLOSE, quotas.too_close, BOOKING, ("gap_min",), of_time=True),
    Rule(Reason.NEEDS_OTHERS, persons.needs_others, STARTING, ("people_needed",)),
    Rule(Reason.CREDITS_SHORT, persons.credits_short, EITHER, ("owing_most",)),
    Rule(
        Reason.NEEDS_APPROVAL,
        persons.needs_approval,
        BOOKING,
        ("approval_needed", "approval_hours"),
    ),
)

# What is asked of whoever uses a machine in any way, also by hand.
_OF_PERSON: Final = tuple(
    rule
    for rule in RULES
    if rule.judge
    in (
        persons.stay_ends,
        persons.machine_not_named,
        persons.no_consent,
        persons.needs_supervisor,
    )
)
_TIMELY: Final = tuple(rule for rule in RULES if rule.of_time)

Peer = tuple[Facts, Values]  # the same wish on another machine

# What is loaded is judged slot by slot in `jobs.services.readiness`, where the lab wants it; who is
# at a machine, in `jobs.services.presence`.
_ELSEWHERE: Final[Mapping[Reason, tuple[str, ...]]] = {
    **dict.fromkeys(
        (
            Reason.OTHER_MATERIAL,
            Reason.OTHER_COLOUR,
            Reason.NOT_ENOUGH_LEFT,
            Reason.LOADED_DOUBTED,
            Reason.OTHER_NOZZLE,
            Reason.OTHER_PLATE,
        ),
        ("material_needed",),
    ),
    Reason.NOT_PRESENT: ("presence_by", "presence_min"),
}
_MOST_PEERS: Final = 3  # named under one reason
_MOST_STEPS: Final = 100  # of the search for a time that passes them all
_OF_TIME: Final = frozenset(
    {WayKind.LATER, WayKind.EARLIER, WayKind.SHORTER, WayKind.LONGER, WayKind.ASK_AGAIN}
)


def keys_elsewhere() -> frozenset[str]:
    """Return the values that are asked for outside of the list of rules."""
    return frozenset(key for keys in _ELSEWHERE.values() for key in keys)


def key_of(reason: Reason, role: Role = Role.MEMBER) -> str:
    """Return the value that a reason goes by, so that a member may propose another; "" if none."""
    keys = next((rule.keys for rule in RULES if rule.reason is reason), _ELSEWHERE.get(reason, ()))
    if reason is Reason.TOO_FAR_AHEAD:
        return keys[{Role.TRAINER: 1, Role.OPERATOR: 2, Role.ADMIN: 2}.get(role, 0)]
    return keys[0] if keys else ""


def refusals_of(facts: Facts, values: Values, peers: Sequence[Peer] = ()) -> list[Refusal]:
    """Return every reason against a wish, each with what would make it pass. None: go.

    :param peers: the same wish on other machines of the kind, to be named where they would do.
    """
    found = list(_judged(facts, values))
    if not found:
        return []
    elsewhere = [(other, frozenset(_reasons(other, of))) for other, of in peers]
    return [replace(one, ways=tuple(_ways(one, facts, values, elsewhere))) for one in found]


def passes(facts: Facts, values: Values) -> bool:
    """Tell whether nothing speaks against a wish: quick, for choosing among many times.

    That staff must approve it does not count: it may be asked for.
    """
    return all(reason is Reason.NEEDS_APPROVAL for reason in _reasons(facts, values))


def use_refusals(facts: Facts, values: Values) -> list[Refusal]:
    """Return what speaks against a person's using a machine at all, whatever they do with it."""
    return list(_judged(facts, values, _OF_PERSON))


def next_start(facts: Facts, values: Values) -> Interval | None:
    """Return the first time, from the wished one on, that passes every rule of time.

    Each refusal names the first later start at which its own rule passes, so the latest of them
    skips nothing. Who asks is left out: a time is free whoever may take it. None: no later start
    helps, or none that is near.
    """
    wish = facts
    for _ in range(_MOST_STEPS):
        starts = [later_of(one.ways) for one in _judged(wish, values, _TIMELY)]
        if not starts:
            return wish.interval
        later = [start for start in starts if start is not None]
        if len(later) < len(starts) or wish.start >= facts.known_until:
            return None
        wish = wish.at(max(later), max(later) + facts.length)
    return None


def slots(facts: Facts, values: Values, step: timedelta) -> Iterator[Interval]:
    """Yield the times that pass every rule of time, one after the other.

    :param facts: the wish at the first time that may be offered; its length is kept.
    :param step: they begin on whole steps of the wall clock.
    """
    start = facts.start
    for _ in range(_MOST_STEPS):
        start = round_up(start, step, facts.zone)
        found = next_start(facts.at(start, start + facts.length), values)
        # Beyond what was looked up nothing is known to be free.
        if found is None or found.end > facts.known_until:
            return
        if round_up(found.start, step, facts.zone) == found.start:
            yield found
            start = found.end
        else:
            start = found.start


def _judged(facts: Facts, values: Values, rules: Sequence[Rule] = RULES) -> Iterator[Refusal]:
    for rule in rules:
        if facts.act in rule.acts:
            yield from rule.judge(facts, values)


def _reasons(facts: Facts, values: Values) -> Iterator[Reason]:
    return (one.reason for one in _judged(facts, values))


def _ways(
    refusal: Refusal,
    facts: Facts,
    values: Values,
    elsewhere: Sequence[tuple[Facts, frozenset[Reason]]],
) -> Iterator[Way]:
    for way in refusal.ways:
        yield replace(way, clears=_clears(way, facts, values))
    others = [one for one in elsewhere if refusal.reason not in one[1]]
    for other, reasons in sorted(others, key=lambda one: len(one[1]))[:_MOST_PEERS]:
        yield Way(
            WayKind.OTHER_MACHINE,
            other.start,
            other.end,
            ref=other.machine,
            name=other.machine_name,
            clears=not reasons - {Reason.NEEDS_APPROVAL},
        )
    if refusal.overridable:
        yield Way(WayKind.ASK_STAFF)


def _clears(way: Way, facts: Facts, values: Values) -> bool:
    """Tell whether nothing else stands in the way."""
    return way.kind in _OF_TIME and passes(taking(way, facts), values)


def taking(way: Way, facts: Facts) -> Facts:
    """Return the wish as it is once a way of time is taken."""
    if way.kind is WayKind.ASK_AGAIN:
        return replace(facts, now=_known(way.at))
    return facts.at(_known(way.start), _known(way.end))


def _known(at: datetime | None) -> datetime:
    assert at is not None  # ways of time say their time
    return at
