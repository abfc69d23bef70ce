"""Sharing a machine's time: offers instead of what was lost, waiting, swaps, weekly series."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

from jobs.domain.calendar import Interval
from jobs.domain.errors import InvalidError
from jobs.domain.machine import MachineLimits

MOST_WEEKS: Final = 52
SHORTEST: Final = timedelta(minutes=10)
LONGEST: Final = timedelta(hours=72)
REMIND_MIN: Final = (15, 60, 1440)  # before the start; a person chooses one
REMIND_DEFAULT: Final = 60
END_MIN: Final = (0, 5, 10, 15, 30)  # before the end; 0: not at all
END_DEFAULT: Final = 10
CHECK_IN_OPENS: Final = timedelta(minutes=15)  # before the start


class HoldFor(StrEnum):
    """Why a hold keeps time free for a person."""

    WAIT = "wait"
    OFFER = "offer"
    APPROVAL = "approval"  # until staff have decided
    PLAN = "plan"  # a job is planned to start then
    TRAINING = "training"  # it is taught on then; the person is who teaches


class OfferKind(StrEnum):
    """What a person may take instead of time that a fact took from them."""

    EQUAL = "equal"  # an equal machine at that time
    LATER = "later"  # the next slot on the same machine
    REFUND = "refund"  # nothing is owed


class OfferState(StrEnum):
    """Of an offer; of all offers for a claim one can be taken."""

    OPEN = "open"
    TAKEN = "taken"
    CLOSED = "closed"  # another one was taken
    LAPSED = "lapsed"
    LOST = "lost"  # a fact took its time as well


class WaitState(StrEnum):
    """Of a place in a machine's line."""

    WAITING = "waiting"
    HELD = "held"  # time is kept free for this person
    TAKEN = "taken"
    LAPSED = "lapsed"  # the time that was kept went to the next
    OVER = "over"  # the window has passed
    LEFT = "left"


class SwapState(StrEnum):
    """Of a wish to change bookings with somebody."""

    OPEN = "open"
    DONE = "done"
    DECLINED = "declined"
    WITHDRAWN = "withdrawn"
    LAPSED = "lapsed"


class SeriesPart(StrEnum):
    """How much of a series is given back."""

    ONE = "one"
    REST = "rest"  # this one and those after it
    ALL = "all"


@dataclass(frozen=True, slots=True)
class SharingRules:
    """The lab's own numbers [min]; 0 switches a thing off.

    :param grace_min: nobody has come so long after the start: the rest is given free; off until a
        lab wants it.
    :param wait_hold_min: how long freed time is kept for who is next in line.
    :param offer_min: how long offers for displaced time are kept.
    """

    grace_min: int = 0
    wait_hold_min: int = 30
    offer_min: int = 720

    def to_json(self) -> dict[str, int]:
        """Return plain JSON values."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_json(cls, values: Mapping[str, object]) -> SharingRules:
        """Read what `to_json` wrote; what is missing stays as it comes.

        :raises InvalidError: naming the number that cannot be.
        """
        known = cls().to_json()
        for name, value in values.items():
            least = 0 if name == "grace_min" else 1
            if name not in known or not isinstance(value, int) or isinstance(value, bool):
                raise InvalidError("sharing.minutes", field=name)
            if not least <= value <= 7 * 24 * 60:
                raise InvalidError("sharing.minutes", field=name)
            known[name] = value
        return cls(**known)


def is_equal(wanted: MachineLimits, other: MachineLimits) -> bool:
    """Return whether *other* can do what *wanted* can: as large, as hot, as fast, same nozzle."""
    reaches = all(a >= b for a, b in zip(other.envelope_mm, wanted.envelope_mm, strict=True))
    bears = (
        other.nozzle_max_c >= wanted.nozzle_max_c
        and other.bed_max_c >= wanted.bed_max_c
        and other.spindle_max_rpm >= wanted.spindle_max_rpm
    )
    fits = (other.nozzle_mm, other.filament_mm) == (wanted.nozzle_mm, wanted.filament_mm)
    return reaches and bears and fits


def checked_length(minutes: int) -> timedelta:
    """Return a length of time that a person asks for.

    :raises InvalidError: if it is shorter or longer than any booking.
    """
    length = timedelta(minutes=min(max(minutes, 0), 10_000))
    if not SHORTEST <= length <= LONGEST:
        raise InvalidError("sharing.length", field="length")
    return length


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One time of a series; None where the wall clock skips it that day."""

    day: date
    interval: Interval | None


def weekly(
    day: date, start: time, length: timedelta, weeks: int, zone: ZoneInfo
) -> Sequence[Occurrence]:
    """Return a weekly series: the same time of the wall clock, whatever it does meanwhile.

    :param length: elapsed time, so that the machine is had for as long each week.

    >>> kyiv = ZoneInfo("Europe/Kyiv")
    >>> days = weekly(date(2026, 3, 25), time(10), timedelta(hours=1), 2, kyiv)
    >>> [one.interval.start.hour for one in days]
    [8, 7]
    """
    if not 1 <= weeks <= MOST_WEEKS:
        raise InvalidError("sharing.weeks", field="weeks", most=MOST_WEEKS)
    return list(_weekly(day, start, length, weeks, zone))


def _weekly(
    day: date, start: time, length: timedelta, weeks: int, zone: ZoneInfo
) -> Iterator[Occurrence]:
    for week in range(weeks):
        on = day + timedelta(weeks=week)
        wall = datetime.combine(on, start, zone)
        at = wall.astimezone(UTC)
        is_skipped = at.astimezone(zone).replace(tzinfo=None) != wall.replace(tzinfo=None)
        yield Occurrence(on, None if is_skipped else Interval(at, at + length))
