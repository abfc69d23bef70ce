"""Quotas and opening hours over the changes of the clocks, in three zones.

Berlin skips and repeats an hour at night, New York too on other days, and Lord Howe half an hour.
"""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.domain.calendar import Interval, local_day
from jobs.domain.policy import Reason, WayKind
from jobs.domain.rules import OwnBooking, Values, refusals_of
from jobs.domain.rules.opening import Opening, open_stretches, wall_instant
from jobs.domain.rules.times import local_week
from tests.jobs.domain.rules.wishes import (
    BERLIN,
    DAY,
    HOUR,
    LORD_HOWE,
    MINUTE,
    NEW_YORK,
    TURNS,
    ZONES,
    a_wish,
    at,
)

# zone, day of the change, its length in minutes, start and end of what is skipped or comes twice
CHANGES = [
    (BERLIN, date(2026, 3, 29), 23 * 60, "02:00", "03:00"),
    (BERLIN, date(2026, 10, 25), 25 * 60, "02:00", "03:00"),
    (NEW_YORK, date(2026, 3, 8), 23 * 60, "02:00", "03:00"),
    (NEW_YORK, date(2026, 11, 1), 25 * 60, "01:00", "02:00"),
    (LORD_HOWE, date(2026, 10, 4), 23 * 60 + 30, "02:00", "02:30"),
    (LORD_HOWE, date(2026, 4, 5), 24 * 60 + 30, "01:30", "02:00"),
]
IDS = [f"{zone.key}-{day}" for zone, day, *_ in CHANGES]


def wall(zone: ZoneInfo, day: date, clock: str, fold: int = 0) -> datetime:
    hour, minute = (int(one) for one in clock.split(":"))
    return at(zone, day.year, day.month, day.day, hour, minute, fold=fold)


def one_reason(facts, values):
    [refused] = refusals_of(facts, values)
    return refused


@pytest.mark.parametrize(("zone", "day", "minutes", "first", "last"), CHANGES, ids=IDS)
def test_a_day_and_a_week_are_as_long_as_they_are(zone, day, minutes, first, last) -> None:
    assert local_day(day, zone).length == minutes * MINUTE
    assert local_week(day, zone).length == 6 * DAY + minutes * MINUTE


@pytest.mark.parametrize(("zone", "day", "minutes", "first", "last"), CHANGES, ids=IDS)
def test_a_quota_of_a_day_counts_minutes_that_elapse(zone, day, minutes, first, last) -> None:
    """From midnight to six by the wall clock is five, seven, five and a half … hours."""
    start, end = wall(zone, day, "00:00"), wall(zone, day, "06:00")
    elapsed = end - start
    assert elapsed == 6 * HOUR + (minutes - 1440) * MINUTE
    now = start - DAY
    quota = int(elapsed / MINUTE)
    wish = a_wish(start, elapsed, now, zone)
    assert refusals_of(wish, Values(day_quota_min=quota)) == []
    refused = one_reason(wish, Values(day_quota_min=quota - 1))
    assert refused.reason is Reason.DAY_QUOTA
    assert refused.fields["day"] == day.isoformat()
    # The same by the week: what was used lies before the change, the wish on it.
    own = (OwnBooking(Interval(start - 12 * HOUR, start - 6 * HOUR), "x", "ender", "fdm"),)
    more = a_wish(start, elapsed, now, zone, own=own)
    assert refusals_of(more, Values(week_quota_min=quota + 360)) == []
    refused = one_reason(more, Values(week_quota_min=quota + 359))
    assert (refused.reason, refused.fields["used_min"]) == (Reason.WEEK_QUOTA, 360)
    monday = day - timedelta(days=day.weekday())
    assert refused.fields["day"] == monday.isoformat()


@pytest.mark.parametrize(("zone", "day", "minutes", "first", "last"), CHANGES, ids=IDS)
def test_a_booking_over_midnight_counts_on_both_days(zone, day, minutes, first, last) -> None:
    midnight = wall(zone, day, "00:00")
    wish = a_wish(midnight - 2 * HOUR, 5 * HOUR, midnight - DAY, zone)
    assert refusals_of(wish, Values(day_quota_min=180)) == []
    refused = one_reason(wish, Values(day_quota_min=150))
    assert refused.fields["day"] == day.isoformat()
    [shorter] = [way for way in refused.ways if way.kind is WayKind.SHORTER]
    assert shorter.end == midnight + 150 * MINUTE


@pytest.mark.parametrize(("zone", "day", "minutes", "first", "last"), CHANGES, ids=IDS)
def test_a_week_ends_on_sunday_midnight_whatever_the_clocks_did(
    zone, day, minutes, first, last
) -> None:
    """All changes here are on a Sunday; the Monday after is another week."""
    assert day.weekday() == 6
    used = Interval(wall(zone, day, "12:00"), wall(zone, day, "20:00"))
    own = (OwnBooking(used, "x", "ender", "fdm"),)
    monday = local_day(day + DAY, zone).start
    now = used.start - DAY
    values = Values(week_quota_min=480)
    refused = one_reason(a_wish(monday - HOUR, HOUR, now, zone, own=own), values)
    assert refused.passes_at == monday
    assert refusals_of(a_wish(monday, 8 * HOUR, now, zone, own=own), values) == []


@pytest.mark.parametrize(("zone", "day", "minutes", "first", "last"), CHANGES, ids=IDS)
def test_opening_hours_are_those_of_the_wall_clock(zone, day, minutes, first, last) -> None:
    values = Values(opening="Mo-Su 09:00-21:00")
    nine, late = wall(zone, day, "09:00"), wall(zone, day, "21:00")
    now = nine - 2 * DAY
    assert refusals_of(a_wish(nine, 12 * HOUR, now, zone), values) == []
    refused = one_reason(a_wish(nine - 15 * MINUTE, HOUR, now, zone), values)
    assert (refused.reason, refused.passes_at) == (Reason.CLOSED_THEN, nine)
    refused = one_reason(a_wish(late - HOUR, 2 * HOUR, now, zone), values)
    ways = {way.kind: way for way in refused.ways}
    assert ways[WayKind.SHORTER].end == late
    assert ways[WayKind.EARLIER].end == late
    assert ways[WayKind.LATER].start == wall(zone, day + DAY, "09:00")


@pytest.mark.parametrize(("zone", "day", "minutes", "first", "last"), CHANGES, ids=IDS)
def test_a_night_that_is_open_is_as_long_as_it_is(zone, day, minutes, first, last) -> None:
    """From Saturday evening into the Sunday on which the clocks change."""
    saturday = day - DAY
    [night] = open_stretches(Opening.read("Sa 20:00-06:00"), saturday, day, zone)
    assert night.length == 10 * HOUR + (minutes - 1440) * MINUTE
    values = Values(opening="Sa 20:00-06:00")
    assert refusals_of(a_wish(night.start, night.length, night.start - DAY, zone), values) == []
    refused = one_reason(
        a_wish(night.start, night.length + MINUTE, night.start - DAY, zone), values
    )
    assert refused.reason is Reason.CLOSED_THEN


@pytest.mark.parametrize(("zone", "day", "minutes", "first", "last"), CHANGES, ids=IDS)
def test_what_is_skipped_does_not_open_and_what_comes_twice_opens_twice(
    zone, day, minutes, first, last
) -> None:
    found = open_stretches(Opening.read(f"Su {first}-{last}"), day, day, zone)
    if minutes < 1440:
        assert found == []  # that hour is not on this day
        # What begins in the gap begins when the gap is over.
        [stretch] = open_stretches(Opening.read(f"Su {first[:3]}10-04:00"), day, day, zone)
        assert stretch == Interval(wall(zone, day, last), wall(zone, day, "04:00"))
    else:
        [stretch] = found
        assert stretch == Interval(wall(zone, day, first), wall(zone, day, last))
        assert stretch.length == 2 * (wall(zone, day, last, fold=1) - wall(zone, day, first, 1))
        # Open until the middle of it is open until that comes the second time.
        middle = f"{first[:3]}{int(first[3:]) + 15}"
        [stretch] = open_stretches(Opening.read(f"Su 00:00-{middle}"), day, day, zone)
        assert stretch.end == wall(zone, day, middle, fold=1) > wall(zone, day, middle)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    zone=st.sampled_from(ZONES),
    day=st.sampled_from(TURNS),
    days=st.integers(-2, 2),
    minute=st.integers(0, 2 * 1440),
    late=st.booleans(),
)
def test_an_instant_of_the_wall_clock_shows_that_time_or_the_end_of_the_gap(
    zone: ZoneInfo, day: date, days: int, minute: int, late: bool
) -> None:
    day += days * DAY
    found = wall_instant(day, minute, zone, late=late)
    assert found.tzinfo is UTC
    wanted = datetime.combine(day, datetime.min.time()) + minute * MINUTE
    shown = found.astimezone(zone).replace(tzinfo=None)
    if shown != wanted:
        # Skipped: an instant before, the clock showed less than was wanted, and never that.
        before = (found - timedelta(seconds=1)).astimezone(zone).replace(tzinfo=None)
        assert before < wanted < shown
    else:
        other = wall_instant(day, minute, zone, late=not late)
        assert (found >= other) if late else (found <= other)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    zone=st.sampled_from(ZONES),
    day=st.sampled_from(TURNS),
    text=st.sampled_from(
        ("Mo-Su 00:00-24:00", "Mo-Fr 09:00-21:00; Sa,Su 10:00-16:00", "Mo-Su 22:00-03:00")
    ),
)
def test_stretches_are_in_order_apart_and_each_minute_in_them_is_open(
    zone: ZoneInfo, day: date, text: str
) -> None:
    opening = Opening.read(text)
    found = open_stretches(opening, day - 3 * DAY, day + 3 * DAY, zone)
    assert all(one.end < other.start for one, other in itertools.pairwise(found))
    for one in found:
        for instant in (one.start, one.start + one.length / 2, one.end - MINUTE):
            shown = instant.astimezone(zone)
            minute = shown.hour * 60 + shown.minute
            today = opening.week[shown.weekday()]
            yesterday = opening.week[(shown.weekday() - 1) % 7]
            assert any(a <= minute < b for a, b in today) or any(
                a <= minute + 1440 < b for a, b in yesterday
            )


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("mo-fr 9:00–17:30", "Mo-Fr 09:00-17:30"),
        ("Sa, Su 10:00-16:00; Mo 09:00-12:00, 13:00-18:00",
         "Mo 09:00-12:00,13:00-18:00; Sa,Su 10:00-16:00"),
        ("Monday-Wednesday 08:00-24:00", "Mo-We 08:00-24:00"),
        ("Fr-Mo 22:00-02:00", "Mo,Fr-Su 22:00-02:00"),
    ],
)  # fmt: skip
def test_opening_hours_are_read_as_people_write_them(text: str, kept: str) -> None:
    assert str(Opening.read(text)) == kept
    assert Opening.read(kept) == Opening.read(text)
