"""Days on which the clocks change, in three zones, in spring and autumn.

Source of the instants: the IANA time zone database (Lord Howe moves by half an hour).
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from icalendar import Calendar

from jobs.domain.calendar import local_day, round_up
from jobs.domain.people import Actor
from jobs.domain.sentences import Catalogue
from jobs.services import build_services
from jobs.services.workshop import Workshop

HOUR, HALF = timedelta(hours=1), timedelta(minutes=30)
# Zone, the local day, how long it is, and the instant at which its clocks change.
CHANGES = [
    ("Europe/Berlin", date(2026, 3, 29), 23 * HOUR, datetime(2026, 3, 29, 1, tzinfo=UTC)),
    ("Europe/Berlin", date(2026, 10, 25), 25 * HOUR, datetime(2026, 10, 25, 1, tzinfo=UTC)),
    ("America/New_York", date(2026, 3, 8), 23 * HOUR, datetime(2026, 3, 8, 7, tzinfo=UTC)),
    ("America/New_York", date(2026, 11, 1), 25 * HOUR, datetime(2026, 11, 1, 6, tzinfo=UTC)),
    (
        "Australia/Lord_Howe",
        date(2026, 10, 4),
        23 * HOUR + HALF,
        datetime(2026, 10, 3, 15, 30, tzinfo=UTC),
    ),
    (
        "Australia/Lord_Howe",
        date(2026, 4, 5),
        24 * HOUR + HALF,
        datetime(2026, 4, 4, 15, tzinfo=UTC),
    ),
]
each_change = pytest.mark.parametrize(("zone", "day", "length", "at"), CHANGES)


@each_change
def test_a_day_is_as_long_as_it_is(zone: str, day: date, length: timedelta, at: datetime) -> None:
    span = local_day(day, ZoneInfo(zone))
    assert span.length == length
    assert span.start < at < span.end
    assert local_day(day - timedelta(days=1), ZoneInfo(zone)).end == span.start
    assert local_day(day + timedelta(days=1), ZoneInfo(zone)).start == span.end


@each_change
def test_a_week_page_has_seven_days_without_a_gap(
    workshop: Workshop, printer: str, zone: str, day: date, length: timedelta, at: datetime
) -> None:
    services = build_services(replace(workshop, zone=ZoneInfo(zone)))
    week = services.bookings.week("ender", day, None, at - timedelta(days=10))
    spans = [one.day for one in week]
    assert len(spans) == 7
    assert [one.end for one in spans[:-1]] == [one.start for one in spans[1:]]
    assert spans[-1].end - spans[0].start == timedelta(days=6) + length


@each_change
def test_a_booking_over_the_change_takes_just_its_time(
    workshop: Workshop, printer: str, member: Actor, zone: str, day: date, length, at: datetime
) -> None:
    services = build_services(replace(workshop, zone=ZoneInfo(zone)))
    now = at - timedelta(days=2)
    booked = services.bookings.book(member, "ender", at - HOUR, at + HOUR, now)
    assert booked.interval.length == 2 * HOUR
    (shown,) = services.bookings.day("ender", day, None, now).allocations
    assert shown.interval == booked.interval
    free = services.bookings.day("ender", day, None, now).free
    assert sum((one.length for one in free), timedelta()) == length - 2 * HOUR


@each_change
def test_proposals_lie_on_the_lab_s_quarter_hours_and_never_overlap(
    workshop: Workshop, printer: str, zone: str, day: date, length: timedelta, at: datetime
) -> None:
    where = ZoneInfo(zone)
    services = build_services(replace(workshop, zone=where))
    slots = services.bookings.proposals("ender", HOUR, at - 3 * HOUR + timedelta(minutes=7), None)
    assert slots
    for one in slots:
        assert one.length == HOUR
        assert one.start.astimezone(where).minute % 15 == 0
    assert all(one.end <= other.start for one, other in itertools.pairwise(slots))
    step = timedelta(minutes=15)
    for minutes in range(0, 300, 7):
        asked = at - 2 * HOUR + timedelta(minutes=minutes)
        assert timedelta() <= round_up(asked, step, where) - asked < step


@each_change
def test_a_feed_gives_the_same_instants_to_every_telephone(
    workshop: Workshop, printer: str, member: Actor, zone: str, day: date, length, at: datetime
) -> None:
    services = build_services(replace(workshop, zone=ZoneInfo(zone)))
    now = at - timedelta(days=2)
    services.bookings.book(member, "ender", at - HOUR, at + HOUR, now)
    token = services.feeds.make(member, now)
    (event,) = Calendar.from_ical(services.feeds.own(token, now, Catalogue())).walk("VEVENT")
    assert event["DTSTART"].dt.astimezone(UTC) == at - HOUR
    assert event["DTEND"].dt.astimezone(UTC) == at + HOUR
