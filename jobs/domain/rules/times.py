"""Which other time would do: the searches that rules share, and local days and weeks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from jobs.domain.calendar import Interval, local_day
from jobs.domain.policy import Way, WayKind
from jobs.domain.rules.facts import Facts
from jobs.domain.rules.values import Values

MINUTE: Final = timedelta(minutes=1)
LOOK_AHEAD_DAYS: Final = 62
_MOST_PERIODS: Final = 40  # of one wish; what is longer is too long anyway


def local_date(at: datetime, zone: ZoneInfo) -> date:
    """Return the day on the lab's wall clock."""
    return at.astimezone(zone).date()


def local_week(day: date, zone: ZoneInfo) -> Interval:
    """Return the week from Monday to Sunday that a local day is in; 167, 168 or 169 hours long.

    >>> local_week(date(2026, 3, 29), ZoneInfo("Europe/Berlin")).length / timedelta(hours=1)
    167.0
    """
    monday = day - timedelta(days=day.weekday())
    start = local_day(monday, zone).start
    return Interval(start, local_day(monday + timedelta(days=7), zone).start)


def periods(
    interval: Interval, zone: ZoneInfo, of: Callable[[date, ZoneInfo], Interval]
) -> Iterator[Interval]:
    """Yield the local days or weeks that an interval touches, in order."""
    at = interval.start
    for _ in range(_MOST_PERIODS):
        if at >= interval.end:
            return
        period = of(local_date(at, zone), zone)
        yield period
        at = period.end


def overlap(one: Interval, other: Interval) -> timedelta:
    """Return how long both are at once; elapsed time."""
    return max(min(one.end, other.end) - max(one.start, other.start), timedelta(0))


def same_time_on(facts: Facts, days: int) -> datetime:
    """Return the instant that the wall clock shows the wished start, some days later."""
    wall = facts.start.astimezone(facts.zone)
    later = (wall.replace(tzinfo=None) + timedelta(days=days)).replace(tzinfo=facts.zone)
    return later.astimezone(UTC)


def whole_minutes(length: timedelta) -> timedelta:
    """Return a length without its seconds: nobody books those."""
    return length // MINUTE * MINUTE


def shorter(facts: Facts, values: Values, end: datetime) -> Iterator[Way]:
    """Yield the slot that begins as wished and ends by *end*, if it is long enough."""
    length = whole_minutes(min(end, facts.end) - facts.start)
    if values.shortest <= length < facts.length:
        yield Way(WayKind.SHORTER, facts.start, facts.start + length)


def in_the_way(taken: Sequence[Interval], start: datetime, end: datetime) -> Interval | None:
    """Return the first of *taken*, which is in order, that is in the way of a time."""
    for one in taken:
        if one.start >= end:
            return None
        if one.end > start:
            return one
    return None


def gaps(taken: Sequence[Interval], start: datetime, end: datetime) -> Iterator[Interval]:
    """Yield what *taken*, which is in order, leaves free from *start* to *end*."""
    for one in taken:
        if one.start >= end:
            break
        if one.start > start:
            yield Interval(start, one.start)
        start = max(start, one.end)
    if start < end:
        yield Interval(start, end)


def around(facts: Facts, values: Values, taken: Sequence[Interval]) -> tuple[Way, ...]:
    """Return the next, the last and the shorter slot that lie clear of *taken*.

    :param taken: what is in the way, in order, as far as `known_until`.
    """
    found: list[Way] = []
    for free in gaps(taken, facts.start, facts.known_until):
        if free.length >= facts.length:
            found.append(Way(WayKind.LATER, free.start, free.start + facts.length))
            break
    for free in reversed(list(gaps(taken, facts.now, facts.end))):
        if free.length >= facts.length:
            found.append(Way(WayKind.EARLIER, free.end - facts.length, free.end))
            break
    first = in_the_way(taken, facts.start, facts.end)
    if first is not None and first.start > facts.start:
        found.extend(shorter(facts, values, first.start))
    return tuple(found)


def later_of(ways: Sequence[Way]) -> datetime | None:
    """Return when the later slot among *ways* begins."""
    return next((way.start for way in ways if way.kind is WayKind.LATER), None)
