"""Rules of the lab's own week: when it is open, and on which days it is not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from jobs.domain.calendar import Interval, local_day
from jobs.domain.policy import Reason, Refusal, Way, WayKind
from jobs.domain.rules.facts import Act, Facts
from jobs.domain.rules.opening import Opening, open_stretches
from jobs.domain.rules.times import (
    LOOK_AHEAD_DAYS,
    around,
    later_of,
    local_date,
    periods,
    shorter,
)
from jobs.domain.rules.values import Values


def closed_then(facts: Facts, values: Values) -> Iterator[Refusal]:
    """Only while the lab is open: the whole booking, or where the lab says so its start."""
    if values.opening is None or not _is_asked(facts, values):
        return
    first = local_date(min(facts.now, facts.start), facts.zone) - timedelta(days=8)
    ahead = max(facts.known_until, facts.start + timedelta(days=LOOK_AHEAD_DAYS))
    stretches = _stretches(values.opening, first, local_date(ahead, facts.zone), facts.zone)
    whole = _is_whole(facts, values)
    if any(_holds(one, facts.interval, whole) for one in stretches):
        return
    ways = list(_shorter(facts, values, stretches)) if whole else []
    ways += _open_ways(facts, stretches, whole)
    yield Refusal(
        Reason.CLOSED_THEN,
        {"hours": values.opening},
        passes_at=later_of(ways),
        overridable=True,
        ways=tuple(ways),
    )


def holiday(facts: Facts, values: Values) -> Iterator[Refusal]:
    """On a public holiday nobody is there."""
    if values.holidays is None or not facts.holidays or not _is_asked(facts, values):
        return
    whole = _is_whole(facts, values)
    span = facts.interval if whole else Interval(facts.start, facts.start + timedelta.resolution)
    days = (local_date(period.start, facts.zone) for period in periods(span, facts.zone, local_day))
    day = next((one for one in days if one in facts.holidays), None)
    if day is None:
        return
    closed = sorted(local_day(one, facts.zone) for one in facts.holidays)
    ways = around(facts, values, closed) if whole else _after(facts, day)
    yield Refusal(
        Reason.HOLIDAY,
        {"name": facts.holidays[day], "day": day.isoformat()},
        passes_at=later_of(ways),
        overridable=True,
        ways=ways,
    )


def _after(facts: Facts, day: date) -> tuple[Way, ...]:
    while day in facts.holidays:
        day += timedelta(days=1)
    start = local_day(day, facts.zone).start
    return (Way(WayKind.LATER, start, start + facts.length),)


@lru_cache(maxsize=64)  # a search for free time asks it of one week a hundred times
def _stretches(opening: str, first: date, last: date, zone: ZoneInfo) -> tuple[Interval, ...]:
    return tuple(open_stretches(Opening.read(opening), first, last, zone))


def _is_asked(facts: Facts, values: Values) -> bool:
    return facts.act is Act.BOOK or values.opening_binds_starts


def _is_whole(facts: Facts, values: Values) -> bool:
    """Tell whether the end counts too: what was started in time may go on."""
    return facts.act is Act.BOOK and values.opening_covers == "whole"


def _holds(stretch: Interval, wish: Interval, whole: bool) -> bool:
    end_fits = wish.end <= stretch.end if whole else wish.start < stretch.end
    return stretch.start <= wish.start and end_fits


def _shorter(facts: Facts, values: Values, stretches: Sequence[Interval]) -> Iterator[Way]:
    for one in stretches:
        if one.start <= facts.start < one.end:
            yield from shorter(facts, values, one.end)


def _open_ways(facts: Facts, stretches: Sequence[Interval], whole: bool) -> Iterator[Way]:
    length = facts.length
    for one in stretches:
        start = max(facts.start, one.start)
        if _holds(one, Interval(start, start + length), whole):
            yield Way(WayKind.LATER, start, start + length)
            break
    for one in reversed(stretches):
        # Without the end to mind, the last full quarter of an hour before closing will do.
        start = one.end - length if whole else one.end - timedelta(minutes=15)
        if start >= max(one.start, facts.now) and start < facts.start:
            yield Way(WayKind.EARLIER, start, start + length)
            break
