"""Rules about who asks: their role, what they have learned, who is there with them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from jobs.domain.money import minor_unit, plain
from jobs.domain.people import Role, is_at_least
from jobs.domain.policy import Reason, Refusal, Way, WayKind
from jobs.domain.rules.facts import Act, Facts, Purse
from jobs.domain.rules.times import MINUTE, shorter
from jobs.domain.rules.values import Values


def role_too_low(facts: Facts, values: Values) -> Iterator[Refusal]:
    """Guests look; members use, and guests for a while what is named for them."""
    del values
    if not is_at_least(facts.role, Role.MEMBER) and not facts.named:
        yield Refusal(Reason.ROLE_TOO_LOW, {"needed": Role.MEMBER.value}, overridable=True)


def not_qualified(facts: Facts, values: Values) -> Iterator[Refusal]:
    """Who has not learned it may get hurt, or break it."""
    if values.qualification_needed and facts.qualified_until is None:
        yield Refusal(Reason.NOT_QUALIFIED, overridable=True, ways=_trainings(facts))


def qualification_ends(facts: Facts, values: Values) -> Iterator[Refusal]:
    """What was learned long ago is learned again."""
    until = facts.qualified_until
    if not values.qualification_needed or until is None or facts.end <= until:
        return
    ways = [*shorter(facts, values, until), *_trainings(facts)]
    start = until - facts.length
    if start >= facts.now:
        ways.insert(0, Way(WayKind.EARLIER, start, until))
    yield Refusal(
        Reason.QUALIFICATION_ENDS,
        {"at": until.isoformat()},
        overridable=True,
        ways=tuple(ways),
    )


def stay_ends(facts: Facts, values: Values) -> Iterator[Refusal]:
    """Nothing new after a person's last day; what has begun goes on."""
    ends = facts.stay_ends
    if ends is None:
        return
    if facts.act is Act.BOOK and facts.end > ends:
        ways = list(shorter(facts, values, ends))
        start = ends - facts.length
        if facts.now <= start < facts.start:
            ways.insert(0, Way(WayKind.EARLIER, start, ends))
    elif facts.act is Act.START and facts.start >= ends:
        ways = []
    else:
        return
    ways.append(Way(WayKind.PROLONG))
    yield Refusal(Reason.STAY_ENDS, {"at": ends.isoformat()}, ways=tuple(ways))


def machine_not_named(facts: Facts, values: Values) -> Iterator[Refusal]:
    """Guests and minors use the machines that somebody named for them."""
    del values
    if facts.named is False and is_at_least(facts.role, Role.MEMBER):
        yield Refusal(Reason.MACHINE_NOT_NAMED, ways=(Way(WayKind.NAME_MACHINE),))


def no_consent(facts: Facts, values: Values) -> Iterator[Refusal]:
    """A minor's guardian has agreed, and staff have seen it."""
    del values
    if facts.is_minor and not facts.has_consent:
        yield Refusal(Reason.NO_CONSENT, ways=(Way(WayKind.CONSENT),))


def needs_supervisor(facts: Facts, values: Values) -> Iterator[Refusal]:
    """A minor works beside somebody who answers for them."""
    del values
    if facts.is_minor and not facts.is_supervised:
        yield Refusal(Reason.NEEDS_SUPERVISOR, ways=(Way(WayKind.SUPERVISOR),))


def not_accepted(facts: Facts, values: Values) -> Iterator[Refusal]:
    """Who has not read what can happen does not use it; nobody else reads it for them."""
    if facts.act is Act.BOOK and values.accept_binds != "both":
        return
    for one in facts.to_accept:
        yield Refusal(
            Reason.NOT_ACCEPTED,
            {"sort": one.sort, "of": one.of},
            ways=(Way(WayKind.ACCEPT, ref=one.ref, name=one.of),),
        )


def needs_others(facts: Facts, values: Values) -> Iterator[Refusal]:
    """Nobody is alone with a dangerous machine."""
    if values.people_needed is not None and facts.people_here < values.people_needed:
        yield Refusal(
            Reason.NEEDS_OTHERS,
            {"count": values.people_needed, "here": facts.people_here},
            ways=(Way(WayKind.COME_TOGETHER, count=values.people_needed),),
        )


def credits_short(facts: Facts, values: Values) -> Iterator[Refusal]:
    """Where a lab is paid beforehand, what somebody begins is paid for."""
    purse = facts.purse
    if values.owing_most is None or purse is None:
        return
    currency = purse.tariff.currency
    room = purse.minor + values.owing_most * minor_unit(currency)
    needed = purse.needed(facts.length)
    if needed <= max(room, 0):
        return
    affordable = _longest(purse, room, facts.length)
    ways = shorter(facts, values, facts.start + affordable) if facts.act is Act.BOOK else ()
    missing = needed - room
    yield Refusal(
        Reason.CREDITS_SHORT,
        {"needed": _amount(needed, currency), "balance": _amount(purse.minor, currency)},
        overridable=True,
        ways=(*ways, Way(WayKind.TOP_UP, name=_amount(missing, currency), count=missing)),
    )


def _longest(purse: Purse, room: int, length: timedelta) -> timedelta:
    """Return the most whole minutes that are affordable: what costs more takes longer."""
    low, high = 0, length // MINUTE
    while low < high:
        middle = (low + high + 1) // 2
        if purse.needed(middle * MINUTE) <= room:
            low = middle
        else:
            high = middle - 1
    return low * MINUTE


def _amount(minor: int, currency: str) -> str:
    return f"{plain(minor, currency)} {currency}"


def needs_approval(facts: Facts, values: Values) -> Iterator[Refusal]:
    """Staff look at each booking of such a machine; what was approved may be made shorter."""
    if not values.approval_needed or is_at_least(facts.role, Role.OPERATOR):
        return
    moved = facts.moved
    if moved is not None and moved.start <= facts.start and facts.end <= moved.end:
        return
    yield Refusal(Reason.NEEDS_APPROVAL, {"hours": values.approval_hours}, overridable=True)


def _trainings(facts: Facts) -> tuple[Way, ...]:
    return tuple(
        Way(WayKind.TRAINING, at=one.start, ref=one.id, name=one.title, count=one.free_seats)
        for one in facts.trainings
        if one.free_seats > 0
    )[:2]
