"""Intervals, gaps and the wall clock."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.domain.calendar import Interval, free_intervals, local_day, round_up

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
ZONES = ["Europe/Berlin", "Africa/Cairo", "Asia/Kathmandu", "Australia/Lord_Howe", "UTC"]
intervals = st.builds(
    lambda start, length: Interval(
        EPOCH + timedelta(minutes=start), EPOCH + timedelta(minutes=start + length)
    ),
    st.integers(-50, 200),
    st.integers(1, 60),
)


@given(st.lists(intervals, max_size=12), intervals)
def test_every_minute_is_either_taken_or_free(taken: list[Interval], within: Interval) -> None:
    free = list(free_intervals(taken, within))
    for minute in range(int(within.length / timedelta(minutes=1))):
        at = within.start + timedelta(minutes=minute)
        is_taken = any(one.start <= at < one.end for one in taken)
        assert is_taken != any(one.start <= at < one.end for one in free)
    for one, following in itertools.pairwise(free):
        assert one.end < following.start


@given(st.dates(date(2020, 1, 1), date(2040, 1, 1)), st.sampled_from(ZONES))
def test_days_of_a_lab_follow_each_other_without_a_gap(day: date, zone: str) -> None:
    here = ZoneInfo(zone)
    today, tomorrow = local_day(day, here), local_day(day + timedelta(days=1), here)
    assert today.end == tomorrow.start
    assert timedelta(hours=23) <= today.length <= timedelta(hours=25)


@given(
    st.integers(0, 20 * 366 * 86_400).map(lambda second: EPOCH + timedelta(seconds=second)),
    st.sampled_from(ZONES),
)
def test_rounding_up_lands_on_the_quarter_of_the_wall_clock(at: datetime, zone: str) -> None:
    rounded = round_up(at, timedelta(minutes=15), ZoneInfo(zone))
    assert timedelta(0) <= rounded - at < timedelta(minutes=15)
    wall = rounded.astimezone(ZoneInfo(zone))
    assert (wall.minute % 15, wall.second, wall.microsecond) == (0, 0, 0)


def test_an_interval_is_aware_utc_and_grows() -> None:
    with pytest.raises(ValueError, match="aware UTC"):
        Interval(EPOCH.astimezone(ZoneInfo("Europe/Berlin")), EPOCH + timedelta(hours=1))
    with pytest.raises(ValueError, match="after it starts"):
        Interval(EPOCH, EPOCH)
