"""What a lab decides: every value of its rules, with its unit, bounds and generous default."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final

from jobs.domain.errors import InvalidError
from jobs.domain.people import Role, is_at_least
from jobs.domain.presence import PresenceBy
from jobs.domain.rules.opening import ALWAYS, Opening

Value = int | bool | str | None


class Unit(StrEnum):
    """What a value is, and so how it is asked for and said."""

    MINUTES = "minutes"
    HOURS = "hours"
    DAYS = "days"
    COUNT = "count"
    YES_NO = "yes-no"
    OPENING = "opening"  # `Mo-Fr 09:00-21:00; Sa 10:00-16:00`
    COVERS = "covers"  # whole, start
    BINDS = "binds"  # start, both
    PRESENCE = "presence"  # a word of `PresenceBy`
    PLACE = "place"  # `DE` or `DE-BY`: country and region, ISO 3166


class Level(StrEnum):
    """For what a value is set; the most specific one wins."""

    DEFAULT = "default"
    LAB = "lab"
    KIND = "kind"
    MACHINE = "machine"


@dataclass(frozen=True, slots=True)
class Scope:
    """What a value is set for: `lab`, `kind:fdm`, `machine:<slug>`."""

    level: Level
    of: str = ""

    @classmethod
    def read(cls, text: str) -> Scope:
        """Read one as people and the API write it.

        >>> str(Scope.read("kind:fdm")), Scope.read("lab").level.value
        ('kind:fdm', 'lab')
        """
        word, _, of = text.partition(":")
        is_lab = text == Level.LAB.value
        if not is_lab and (
            word not in (Level.KIND.value, Level.MACHINE.value)
            or not re.fullmatch(r"[a-z0-9-]{1,32}", of)
        ):
            raise InvalidError("rule.scope", field="scope", scope=text[:60])
        return cls(Level(word), of)

    def __str__(self) -> str:
        """Return it as it is written."""
        return f"{self.level.value}:{self.of}" if self.of else self.level.value


LAB: Final = Scope(Level.LAB)


@dataclass(frozen=True, slots=True)
class Spec:
    """One value: `rule.value.<key>`, `rule.off.<key>` and `rule.why.<key>` say it.

    :param optional: whether it may be off.
    :param lab_only: whether only the lab as a whole has one.
    """

    key: str
    unit: Unit
    low: int = 0
    high: int = 0
    optional: bool = False
    lab_only: bool = False


SPECS: Final[Sequence[Spec]] = (
    Spec("qualification_needed", Unit.YES_NO),
    Spec("disuse_days", Unit.DAYS, 7, 3660, optional=True),
    Spec("unused_days", Unit.DAYS, 1, 3660, optional=True),
    Spec("qualification_remind_days", Unit.DAYS, 1, 90, optional=True),
    Spec("accept_binds", Unit.BINDS),
    Spec("horizon_days", Unit.DAYS, 1, 366),
    Spec("horizon_trainer_days", Unit.DAYS, 1, 366),
    Spec("horizon_staff_days", Unit.DAYS, 1, 366),
    Spec("shortest_min", Unit.MINUTES, 1, 24 * 60),
    Spec("longest_min", Unit.MINUTES, 5, 28 * 24 * 60),
    Spec("day_quota_min", Unit.MINUTES, 5, 25 * 60, optional=True),
    Spec("week_quota_min", Unit.MINUTES, 5, 7 * 24 * 60, optional=True),
    Spec("most_bookings", Unit.COUNT, 1, 1000, optional=True),
    Spec("gap_min", Unit.MINUTES, 1, 7 * 24 * 60, optional=True),
    Spec("buffer_min", Unit.MINUTES, 1, 24 * 60, optional=True),
    Spec("opening", Unit.OPENING, optional=True),
    Spec("opening_covers", Unit.COVERS),
    Spec("opening_binds_starts", Unit.YES_NO),
    Spec("holidays", Unit.PLACE, optional=True, lab_only=True),
    Spec("people_needed", Unit.COUNT, 2, 20, optional=True),
    Spec("owing_most", Unit.COUNT, 0, 100_000, optional=True),
    Spec("material_needed", Unit.YES_NO),
    Spec("approval_needed", Unit.YES_NO),
    Spec("approval_hours", Unit.HOURS, 1, 28 * 24),
    Spec("presence_by", Unit.PRESENCE, optional=True),
    Spec("presence_min", Unit.MINUTES, 1, 30),
)
_BY_KEY: Final = {spec.key: spec for spec in SPECS}


@dataclass(frozen=True, slots=True)
class Values:
    """The values that hold for one machine.

    :param levels: where each was decided; a quota counts as far as it was set: a lab's own all
        bookings of a person, a machine's those on that machine.
    """

    qualification_needed: bool = False
    disuse_days: int | None = None
    unused_days: int | None = None
    qualification_remind_days: int | None = 14
    accept_binds: str = "start"
    horizon_days: int = 60
    horizon_trainer_days: int = 60
    horizon_staff_days: int = 366
    shortest_min: int = 10
    longest_min: int = 72 * 60
    day_quota_min: int | None = None
    week_quota_min: int | None = None
    most_bookings: int | None = None
    gap_min: int | None = None
    buffer_min: int | None = None
    opening: str | None = None
    opening_covers: str = "whole"
    opening_binds_starts: bool = False
    holidays: str | None = None
    people_needed: int | None = None
    owing_most: int | None = None  # whole units of the lab's currency
    material_needed: bool = True
    approval_needed: bool = False
    approval_hours: int = 48
    presence_by: str | None = None
    presence_min: int = 10
    levels: Mapping[str, Level] = field(default_factory=dict)

    @property
    def shortest(self) -> timedelta:
        """Return the length of the shortest booking."""
        return timedelta(minutes=self.shortest_min)

    @property
    def longest(self) -> timedelta:
        """Return the length of the longest booking."""
        return timedelta(minutes=self.longest_min)

    @property
    def buffer(self) -> timedelta:
        """Return how long a machine stays free between two people; nothing unless a lab says so."""
        return timedelta(minutes=self.buffer_min or 0)

    def horizon(self, role: Role) -> timedelta:
        """Return how far ahead a person of that role may book."""
        if is_at_least(role, Role.OPERATOR):
            return timedelta(days=self.horizon_staff_days)
        is_trainer = is_at_least(role, Role.TRAINER)
        return timedelta(days=self.horizon_trainer_days if is_trainer else self.horizon_days)

    @property
    def hours(self) -> Opening:
        """Return the opening hours of a week."""
        return Opening.read(self.opening) if self.opening else ALWAYS

    def level(self, key: str) -> Level:
        """Return where a value was decided."""
        return self.levels.get(key, Level.DEFAULT)

    def value(self, key: str) -> Value:
        """Return one value by its key."""
        found: Value = getattr(self, spec_of(key).key)
        return found


DEFAULTS: Final = Values()


def spec_of(key: str) -> Spec:
    """Return what a key means.

    :raises InvalidError: if no rule has such a value.
    """
    spec = _BY_KEY.get(key)
    if spec is None:
        raise InvalidError("rule.unknown", field="rule", rule=key[:40])
    return spec


def checked(spec: Spec, value: object, scope: Scope = LAB) -> Value:
    """Return a value as it is kept, or say what is wrong with it.

    >>> checked(spec_of("longest_min"), "240"), checked(spec_of("gap_min"), "")
    (240, None)
    >>> checked(spec_of("opening"), "mo-fr 9:00-17:00")
    'Mo-Fr 09:00-17:00'
    """
    if spec.lab_only and scope.level is not Level.LAB:
        raise InvalidError("rule.lab-only", field="scope", rule=spec.key)
    text = value.strip() if isinstance(value, str) else value
    if text is None or text == "":
        if not spec.optional:
            raise InvalidError("rule.value-needed", field="value", rule=spec.key)
        return None
    match spec.unit:
        case Unit.YES_NO:
            return _yes_no(text)
        case Unit.OPENING:
            return str(Opening.read(_text(text)))
        case Unit.COVERS:
            if text not in ("whole", "start"):
                raise InvalidError("rule.covers", field="value")
            return str(text)
        case Unit.BINDS:
            if text not in ("start", "both"):
                raise InvalidError("rule.binds", field="value")
            return str(text)
        case Unit.PRESENCE:
            if text not in [one.value for one in PresenceBy]:
                raise InvalidError("rule.presence", field="value")
            return str(text)
        case Unit.PLACE:
            place = _text(text).upper()
            if not re.fullmatch(r"[A-Z]{2}(-[A-Z0-9]{1,3})?", place):
                raise InvalidError("rule.place", field="value", place=place[:20])
            return place
        case _:
            return _whole(spec, text)


def resolved(lab: object, kind: object, machine: object) -> Values:
    """Return the values that hold, of what the database has for lab, kind and machine.

    What it has and nobody knows any more is left out; a value out of its bounds is not believed.
    """
    found: dict[str, Any] = {}
    levels: dict[str, Level] = {}
    known = {one.name for one in fields(Values)}
    for level, own in ((Level.LAB, lab), (Level.KIND, kind), (Level.MACHINE, machine)):
        if not isinstance(own, Mapping):
            continue
        for key in own.keys() & known & _BY_KEY.keys():
            try:
                found[key] = checked(_BY_KEY[key], own[key], Scope(level))
            except InvalidError:
                continue
            levels[key] = level
    return Values(**found, levels=levels)


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > 500:
        raise InvalidError("rule.text", field="value")
    return value


def _yes_no(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if value not in ("true", "false"):
        raise InvalidError("rule.yes-no", field="value")
    return value == "true"


def _whole(spec: Spec, value: object) -> int:
    number = int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value
    if not isinstance(number, int) or isinstance(number, bool):
        raise InvalidError("rule.number", field="value", low=spec.low, high=spec.high)
    if not spec.low <= number <= spec.high:
        raise InvalidError("rule.bounds", field="value", low=spec.low, high=spec.high)
    return number
