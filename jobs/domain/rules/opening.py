"""Opening hours of a week on the lab's wall clock, and the stretches of UTC they open.

They are written as on a door, a part of OpenStreetMap's `opening_hours`:
`Mo-Fr 09:00-21:00; Sa,Su 10:00-16:00`, also past midnight: `Fr 18:00-02:00`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from jobs.domain.calendar import Interval
from jobs.domain.errors import InvalidError

DAYS: Final = ("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su")
_DAY_MIN: Final = 24 * 60
_SPAN: Final = re.compile(r"(\d{1,2}):(\d\d)\s*[-\N{EN DASH}]\s*(\d{1,2}):(\d\d)")
_RULE: Final = re.compile(r"([A-Za-z ,\-\N{EN DASH}]+?)\s+([\d:,\s\-\N{EN DASH}]+)")
_MOST: Final = 8  # spans of one day
_SECOND: Final = timedelta(seconds=1)

Spans = tuple[tuple[int, int], ...]  # minutes from midnight; an end beyond 1440 is tomorrow


@dataclass(frozen=True, slots=True)
class Opening:
    """When it is open: for each day from Monday, spans in minutes of the wall clock."""

    week: tuple[Spans, ...]

    @classmethod
    def read(cls, text: str) -> Opening:
        """Read what is written on a door.

        >>> str(Opening.read("sa,su 10-16".replace("10-16", "10:00-16:00")))
        'Sa,Su 10:00-16:00'
        >>> Opening.read("Fr 18:00-02:00").week[4]
        ((1080, 1560),)
        """
        week: list[list[tuple[int, int]]] = [[] for _ in DAYS]
        parts = [part.strip() for part in text[:500].split(";") if part.strip()]
        for part in parts:
            found = _RULE.fullmatch(part)
            if found is None:
                raise InvalidError("rule.opening", field="value", part=part[:40])
            spans = list(_spans(found[2], part))
            for day in _days(found[1], part):
                week[day].extend(spans)
                if len(week[day]) > _MOST:
                    raise InvalidError("rule.opening", field="value", part=part[:40])
        if not parts:
            raise InvalidError("rule.opening", field="value", part="")
        return cls(tuple(tuple(sorted(set(spans))) for spans in week))

    def __str__(self) -> str:
        """Return it in its one spelling."""
        said: list[str] = []
        for spans in dict.fromkeys(one for one in self.week if one):
            days = [day for day, own in enumerate(self.week) if own == spans]
            hours = ",".join(f"{_clock(start)}-{_clock(end)}" for start, end in spans)
            said.append(f"{_said_days(days)} {hours}")
        return "; ".join(said)


ALWAYS: Final = Opening((((0, _DAY_MIN),),) * 7)


def open_stretches(opening: Opening, first: date, last: date, zone: ZoneInfo) -> list[Interval]:
    """Return when it is open from one local day to another, both included, in order.

    Stretches that meet are one, so that a night between two open days is no gap.
    """
    found: list[Interval] = []
    day = first
    while day <= last:
        for start_min, end_min in opening.week[day.weekday()]:
            start = wall_instant(day, start_min, zone)
            # What is open until half past two is so until the second half past two.
            end = wall_instant(day, end_min, zone, late=True)
            if end <= start:
                continue
            if found and start <= found[-1].end:
                found[-1] = Interval(found[-1].start, max(found[-1].end, end))
            else:
                found.append(Interval(start, end))
        day += timedelta(days=1)
    return found


def wall_instant(day: date, minute: int, zone: ZoneInfo, *, late: bool = False) -> datetime:
    """Return the instant of a minute of a local day.

    A time that the clocks skip is the instant at which they skip; one that comes twice is the
    first, or with *late* the second.

    :param minute: from midnight of the wall clock; beyond 1440 it is of the days after.

    >>> berlin = ZoneInfo("Europe/Berlin")
    >>> wall_instant(date(2026, 3, 29), 150, berlin).isoformat()
    '2026-03-29T01:00:00+00:00'
    >>> [wall_instant(date(2026, 10, 25), 150, berlin, late=late).hour for late in (False, True)]
    [0, 1]
    """
    day += timedelta(days=minute // _DAY_MIN)
    wall = datetime.combine(day, time(*divmod(minute % _DAY_MIN, 60)))
    first = wall.replace(tzinfo=zone).astimezone(UTC)
    second = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    if first.astimezone(zone).replace(tzinfo=None) == wall:
        return second if late and second > first else first
    # In the gap the two readings lie around the change: find it.
    low, high = second, first
    while high - low > _SECOND:
        middle = low + (high - low) / 2
        if middle.astimezone(zone).replace(tzinfo=None) < wall:
            low = middle
        else:
            high = middle
    return high.replace(microsecond=0)


def _spans(text: str, part: str) -> Iterator[tuple[int, int]]:
    for piece in text.split(","):
        found = _SPAN.fullmatch(piece.strip())
        if found is None:
            raise InvalidError("rule.opening", field="value", part=part[:40])
        h1, m1, h2, m2 = (int(one) for one in found.groups())
        start, end = h1 * 60 + m1, h2 * 60 + m2
        if m1 > 59 or m2 > 59 or start >= _DAY_MIN or end > _DAY_MIN or start == end:
            raise InvalidError("rule.opening", field="value", part=part[:40])
        yield start, end if end > start else end + _DAY_MIN


def _days(text: str, part: str) -> Iterator[int]:
    known = {name.lower(): number for number, name in enumerate(DAYS)}
    for piece in text.replace("\N{EN DASH}", "-").split(","):
        ends = [known.get(one.strip().lower()[:2]) for one in piece.split("-")]
        if len(ends) > 2 or None in ends:
            raise InvalidError("rule.opening", field="value", part=part[:40])
        first, last = ends[0], ends[-1]
        assert first is not None
        assert last is not None
        yield first
        day = first
        while day != last:
            day = (day + 1) % 7
            yield day


def _clock(minute: int) -> str:
    minute = minute if minute <= _DAY_MIN else minute - _DAY_MIN
    return f"{minute // 60:02d}:{minute % 60:02d}"


def _said_days(days: list[int]) -> str:
    runs: list[list[int]] = []
    for day in days:
        if runs and day == runs[-1][-1] + 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    return ",".join(
        DAYS[run[0]]
        if len(run) == 1
        else f"{DAYS[run[0]]}{',' if len(run) == 2 else '-'}{DAYS[run[-1]]}"
        for run in runs
    )
