"""Claims on a machine's time: half-open intervals of UTC, and the gaps between them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo


class AllocationKind(StrEnum):
    """Why a machine's time is taken. Claims exclude each other; facts always win."""

    RESERVATION = "reservation"
    HOLD = "hold"
    RUN = "run"
    OUTAGE = "outage"
    CLOSURE = "closure"


CLAIMS = frozenset({AllocationKind.RESERVATION, AllocationKind.HOLD})
FACTS = frozenset({AllocationKind.RUN, AllocationKind.OUTAGE, AllocationKind.CLOSURE})


class AllocationState(StrEnum):
    """Only an active allocation takes time."""

    ACTIVE = "active"
    ENDED = "ended"
    CANCELLED = "cancelled"
    DISPLACED = "displaced"  # a fact took its place


class Displacement(StrEnum):
    """Why a claim lost its place to a fact (`displacement.<code>` in the catalogue)."""

    RUN_STARTED = "run-started"
    OVERRUN = "overrun"  # the job before takes longer than was thought
    OUTAGE = "outage"
    CLOSURE = "closure"


@dataclass(frozen=True, slots=True, order=True)
class Interval:
    """A half-open stretch of time [start, end), both aware UTC.

    :raises ValueError: if it is naive or does not grow.
    """

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.start.utcoffset() != timedelta(0) or self.end.utcoffset() != timedelta(0):
            raise ValueError("an interval is aware UTC")
        if self.end <= self.start:
            raise ValueError("an interval ends after it starts")

    @property
    def length(self) -> timedelta:
        """Elapsed time; exact, since both ends are UTC."""
        return self.end - self.start

    def overlaps(self, other: Interval) -> bool:
        """Return whether any instant is in both."""
        return self.start < other.end and other.start < self.end


def free_intervals(taken: Iterable[Interval], within: Interval) -> Iterator[Interval]:
    """Yield the gaps that *taken* leaves in *within*, in order; *taken* may overlap."""
    start = within.start
    for one in sorted(taken):
        if one.end <= start or one.start >= within.end:
            continue
        if one.start > start:
            yield Interval(start, one.start)
        start = max(start, one.end)
    if start < within.end:
        yield Interval(start, within.end)


def local_day(day: date, zone: ZoneInfo) -> Interval:
    """Return the day of a lab's wall clock; 23 or 25 hours long when the clock is changed.

    >>> local_day(date(2026, 3, 29), ZoneInfo("Europe/Berlin")).length
    datetime.timedelta(seconds=82800)
    """
    return Interval(
        datetime.combine(day, time.min, zone).astimezone(UTC),
        datetime.combine(day + timedelta(days=1), time.min, zone).astimezone(UTC),
    )


def round_up(instant: datetime, step: timedelta, zone: ZoneInfo) -> datetime:
    """Return the first instant from *instant* on that is a whole *step* on the wall clock.

    >>> noon = datetime(2026, 1, 2, 12, 1, tzinfo=UTC)
    >>> round_up(noon, timedelta(minutes=15), ZoneInfo("Asia/Kathmandu")).minute
    15
    """
    offset = instant.astimezone(zone).utcoffset()
    assert offset is not None  # a zone always has one
    wall = instant.replace(tzinfo=None) + offset
    past = (wall - datetime.combine(wall, time.min)) % step
    return instant if not past else instant + (step - past)


STEP = timedelta(minutes=15)  # proposals begin on the quarter hour


def slots(
    taken: Iterable[Interval], within: Interval, length: timedelta, zone: ZoneInfo
) -> Iterator[Interval]:
    """Yield free slots of one length, each after the one before, on quarter hours of the clock."""
    for free in free_intervals(taken, within):
        start = round_up(free.start, STEP, zone)
        while start + length <= free.end:
            yield Interval(start, start + length)
            start = round_up(start + length, STEP, zone)
