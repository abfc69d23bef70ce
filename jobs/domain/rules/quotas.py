"""Rules of fairness: how much of the machines one person may have booked.

A quota counts as far as it was set: one of the lab all bookings of a person, one of a kind those
on its machines, one of a machine those on it. Minutes are elapsed ones, also when the clocks
change; days and weeks are those of the lab's wall clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from jobs.domain.calendar import Interval, local_day
from jobs.domain.policy import Reason, Refusal, Way, WayKind
from jobs.domain.rules.facts import Facts, OwnBooking
from jobs.domain.rules.times import (
    LOOK_AHEAD_DAYS,
    MINUTE,
    around,
    in_the_way,
    later_of,
    local_date,
    local_week,
    overlap,
    periods,
    same_time_on,
    shorter,
)
from jobs.domain.rules.values import Level, Values

Period = Callable[[date, ZoneInfo], Interval]


def day_quota(facts: Facts, values: Values) -> Iterator[Refusal]:
    """Only so much on one day."""
    if values.day_quota_min is not None:
        own = counted(facts, values, "day_quota_min")
        yield from _quota(facts, values, Reason.DAY_QUOTA, values.day_quota_min, own, local_day)


def week_quota(facts: Facts, values: Values) -> Iterator[Refusal]:
    """Only so much in one week, from Monday to Sunday."""
    if values.week_quota_min is not None:
        own = counted(facts, values, "week_quota_min")
        yield from _quota(facts, values, Reason.WEEK_QUOTA, values.week_quota_min, own, local_week)


def too_many_bookings(facts: Facts, values: Values) -> Iterator[Refusal]:
    """Only so many bookings that are not over."""
    if values.most_bookings is None:
        return
    own = counted(facts, values, "most_bookings")
    coming = [one for one in own if one.interval.end > facts.now]
    if len(coming) < values.most_bookings:
        return
    ends = sorted(one.interval.end for one in coming)
    free_at = ends[len(ends) - values.most_bookings]
    ways = [Way(WayKind.ASK_AGAIN, at=free_at)]
    if len(coming) == values.most_bookings:
        ways += [
            Way(WayKind.GIVE_BACK, one.interval.start, one.interval.end, ref=one.id)
            for one in sorted(coming)[:1]
        ]
    yield Refusal(
        Reason.TOO_MANY_BOOKINGS,
        {"count": values.most_bookings},
        passes_at=free_at,
        overridable=True,
        ways=tuple(ways),
    )


def too_close(facts: Facts, values: Values) -> Iterator[Refusal]:
    """No chains: between two bookings of one person on one machine others have a turn."""
    if values.gap_min is None:
        return
    gap = timedelta(minutes=values.gap_min)
    kept = sorted(
        Interval(one.interval.start - gap, one.interval.end + gap)
        for one in facts.own
        if one.machine == facts.machine
    )
    if in_the_way(kept, facts.start, facts.end) is None:
        return
    ways = around(facts, values, kept)
    yield Refusal(
        Reason.TOO_CLOSE,
        {"length_min": values.gap_min},
        passes_at=later_of(ways),
        overridable=True,
        ways=ways,
    )


def counted(facts: Facts, values: Values, key: str) -> Sequence[OwnBooking]:
    """Return the person's other bookings that a quota counts, by where it was set."""
    match values.level(key):
        case Level.MACHINE:
            return [one for one in facts.own if one.machine == facts.machine]
        case Level.KIND:
            return [one for one in facts.own if one.kind == facts.kind]
        case _:
            return facts.own


def _quota(
    facts: Facts,
    values: Values,
    reason: Reason,
    quota_min: int,
    own: Sequence[OwnBooking],
    of: Period,
) -> Iterator[Refusal]:
    quota = timedelta(minutes=quota_min)
    over = _first_over(facts.interval, facts.zone, quota, own, of)
    if over is None:
        return
    period, used = over
    left_until = max(facts.start, period.start) + max(quota - used, timedelta(0))
    ways = [*shorter(facts, values, left_until), *_later(facts, quota, own, of)]
    yield Refusal(
        reason,
        {
            "day": local_date(period.start, facts.zone).isoformat(),
            "used_min": used // MINUTE,
            "quota_min": quota_min,
        },
        passes_at=later_of(ways),
        overridable=True,
        ways=tuple(ways),
    )


def _first_over(
    wish: Interval, zone: ZoneInfo, quota: timedelta, own: Sequence[OwnBooking], of: Period
) -> tuple[Interval, timedelta] | None:
    """Return the first day or week in which it would be too much, and what it has already."""
    for period in periods(wish, zone, of):
        used = sum((overlap(one.interval, period) for one in own), timedelta(0))
        if used + overlap(wish, period) > quota:
            return period, used
    return None


def _later(facts: Facts, quota: timedelta, own: Sequence[OwnBooking], of: Period) -> Iterator[Way]:
    """Yield the first later slot that fits: as the period before has ended, or on another day."""
    if facts.length > 2 * quota:
        return  # it would fill a whole period, and more than that fits none
    starts: list[datetime] = []
    for days in range(1, LOOK_AHEAD_DAYS + 1):
        starts.append(of(local_date(same_time_on(facts, days), facts.zone), facts.zone).start)
        starts.append(same_time_on(facts, days))
    for start in sorted({one for one in starts if one > facts.start}):
        wish = Interval(start, start + facts.length)
        if _first_over(wish, facts.zone, quota, own, of) is None:
            yield Way(WayKind.LATER, wish.start, wish.end)
            return
