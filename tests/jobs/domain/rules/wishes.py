"""Wishes for tests of the rules: any facts of any lab, in zones that change their clocks."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from jobs.domain.calendar import Interval
from jobs.domain.people import Role
from jobs.domain.prices import Per, Price, Tariff
from jobs.domain.rules import FOR_EVER, Act, Facts, OwnBooking, ToAccept, TrainingOffer, Values
from jobs.domain.rules.facts import Purse
from jobs.domain.rules.times import LOOK_AHEAD_DAYS
from jobs.domain.rules.values import Level

BERLIN, NEW_YORK, LORD_HOWE = (
    ZoneInfo(name) for name in ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe")
)
ZONES = (BERLIN, NEW_YORK, LORD_HOWE)
NOW = datetime(2026, 3, 4, 9, 0, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def a_wish(
    start: datetime = NOW + HOUR,
    length: timedelta = HOUR,
    now: datetime = NOW,
    zone: ZoneInfo = BERLIN,
    **more: object,
) -> Facts:
    """A member's wish that nothing speaks against."""
    facts = Facts(
        start=start,
        end=start + length,
        now=now,
        role=Role.MEMBER,
        zone=zone,
        known_until=max(start, now) + timedelta(days=LOOK_AHEAD_DAYS),
        machine="ender",
        machine_name="Ender",
        kind="fdm",
        qualified_until=FOR_EVER,
        people_here=99,
    )
    return replace(facts, **more)  # type: ignore[arg-type]


def a_purse(minor: int | None) -> Purse | None:
    """So much to spend, where an hour of any printer is 4.00 and its set-up 1.00."""
    prices = [
        Price("time", Per.HOUR, 4_000_000, NOW - 99 * DAY, kind="fdm"),
        Price("start", Per.START, 1_000_000, NOW - 99 * DAY, kind="fdm"),
    ]
    return None if minor is None else Purse(minor, Tariff("EUR", prices, kind="fdm"))


def at(zone: ZoneInfo, *wall: int, fold: int = 0) -> datetime:
    """The instant that a wall clock shows."""
    return datetime(*wall, tzinfo=zone, fold=fold).astimezone(UTC)  # type: ignore[arg-type,misc]


# Days around every change of the clocks in the three zones, and a plain one.
TURNS = (
    date(2026, 3, 29), date(2026, 10, 25),  # Berlin
    date(2026, 3, 8), date(2026, 11, 1),  # New York
    date(2026, 4, 5), date(2026, 10, 4),  # Lord Howe, by half an hour
    date(2026, 6, 17),
)  # fmt: skip
_OPENINGS = (
    "Mo-Su 09:00-21:00",
    "Mo-Fr 09:00-12:00,13:00-21:00; Sa 10:00-16:00",
    "Fr,Sa 20:00-04:00; Su 01:30-02:30",
    "Mo-Su 00:00-24:00",
    "We 14:00-15:00",
)


@st.composite
def wishes(draw: st.DrawFn) -> tuple[Facts, Values]:
    """Any wish near a change of the clocks, in any lab."""
    zone, turn = draw(st.sampled_from(ZONES)), draw(st.sampled_from(TURNS))
    noon = datetime(turn.year, turn.month, turn.day, 12, tzinfo=UTC)
    quarters = st.integers(-4 * 24 * 4, 4 * 24 * 8)
    now = noon + 15 * MINUTE * draw(quarters) + MINUTE * draw(st.sampled_from((0, 7)))
    start = noon + 15 * MINUTE * draw(quarters)
    length = MINUTE * draw(st.sampled_from((5, 10, 60, 90, 240, 600, 1500, 3000, 6000)))

    def intervals(most: int) -> tuple[Interval, ...]:
        spans = st.tuples(quarters, st.integers(1, 4 * 30))
        drawn = draw(st.lists(spans, max_size=most))
        begins = [(noon + 15 * MINUTE * a, 15 * MINUTE * b) for a, b in drawn]
        return tuple(sorted(Interval(begin, begin + long) for begin, long in begins))

    own = tuple(
        OwnBooking(one, f"b{number}", draw(st.sampled_from(("ender", "prusa", "router"))), kind)
        for number, one in enumerate(intervals(5))
        for kind in ("fdm",)
    )
    holidays = {turn + DAY * n: f"day {n}" for n in draw(st.sets(st.integers(-3, 9), max_size=5))}
    facts = a_wish(
        start,
        length,
        now,
        zone,
        act=draw(st.sampled_from((Act.BOOK, Act.BOOK, Act.BOOK, Act.START))),
        role=draw(st.sampled_from(Role)),
        machine_retired=draw(st.integers(0, 9)) == 0,
        booking_hidden=draw(st.integers(0, 9)) == 0,
        taken=intervals(6),
        neighbours=intervals(4),
        out=intervals(2),
        own=own,
        qualified_until=draw(st.sampled_from((None, FOR_EVER, start + HOUR, now + DAY))),
        trainings=draw(st.sampled_from(((), (TrainingOffer("t", "Saw", now + DAY, 2),)))),
        to_accept=draw(st.sampled_from(((), (ToAccept("lab/rules", "rules", ""),)))),
        holidays=holidays,
        people_here=draw(st.integers(0, 3)),
        purse=draw(st.sampled_from((None, -1, 0, 200, 5000)).map(a_purse)),
        moved=draw(st.sampled_from((None, Interval(start, start + length)))),
        stay_ends=draw(st.sampled_from((None, None, start + HOUR, now + DAY, now))),
        named=draw(st.sampled_from((None, None, True, False))),
        is_minor=draw(st.booleans()),
        has_consent=draw(st.booleans()),
        is_supervised=draw(st.booleans()),
    )
    shortest = draw(st.sampled_from((10, 30)))
    limits = st.sampled_from((None, 60, 120, 480, 1440))
    keys = ("day_quota_min", "week_quota_min", "most_bookings")
    values = Values(
        qualification_needed=draw(st.booleans()),
        horizon_days=draw(st.sampled_from((1, 3, 60))),
        shortest_min=shortest,
        longest_min=draw(st.sampled_from((60, 300, 4320))),
        day_quota_min=draw(limits),
        week_quota_min=draw(limits),
        most_bookings=draw(st.sampled_from((None, 1, 2, 3))),
        gap_min=draw(st.sampled_from((None, 15, 180))),
        buffer_min=draw(st.sampled_from((None, 15, 60))),
        opening=draw(st.sampled_from((None, *_OPENINGS))),
        opening_covers=draw(st.sampled_from(("whole", "start"))),
        opening_binds_starts=draw(st.booleans()),
        holidays=draw(st.sampled_from((None, "DE"))),
        people_needed=draw(st.sampled_from((None, 2))),
        owing_most=draw(st.sampled_from((None, 0, 3))),
        approval_needed=draw(st.booleans()),
        accept_binds=draw(st.sampled_from(("start", "both"))),
        levels={key: draw(st.sampled_from(Level)) for key in keys},
    )
    return facts, values
