"""Who goes first, as a sum that anybody can add up: each part has a name, a number and a reason.

One point is worth one hour of waiting, so every part says how many hours it is worth. Nothing
but waiting grows without end: whoever waits comes to the front in the end.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Final

from jobs.domain.errors import InvalidError
from jobs.domain.people import Role

HOUR: Final = 3600.0
_MOST_POINTS: Final = 1000.0


class PartName(StrEnum):
    """What a priority is made of; the sentence of each is `priority.<name>`."""

    WAITING = "waiting"  # hours
    SHARE = "share"  # used_h, percent
    DEADLINE = "deadline"  # slack_h
    CHANGEOVER = "changeover"  # count
    NIGHT = "night"  # idle_h
    ROLE = "role"  # role


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a priority [points], and the numbers that its sentence names."""

    name: PartName
    points: float
    fields: Mapping[str, str | int | float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Weights:
    """What counts how much [points]; a lab sets its own.

    :param waiting: for each hour of waiting; above 0, or nobody's turn would ever come.
    :param share: for who has used no machine lately; half of it for who used just their share.
    :param half_life_days: after which machine time that was used counts half.
    :param deadline: once a deadline can only just be kept.
    :param deadline_from_h: slack at which a deadline begins to count [h].
    :param changeover: lost for each thing that a person would have to change first.
    :param night: lost for each hour that the machine would stand still with its part done and
        nobody there to take it off.
    :param roles: for whom the lab lets go first; nobody by default.

    The defaults of changeover and night were chosen with `tests/bench/bench_scheduling.py --tune`.
    """

    waiting: float = 1.0
    share: float = 12.0
    half_life_days: float = 7.0
    deadline: float = 12.0
    deadline_from_h: float = 48.0
    changeover: float = 10.0
    night: float = 3.0
    roles: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {**asdict(self), "roles": dict(self.roles)}

    @classmethod
    def from_json(cls, values: Mapping[str, object]) -> Weights:
        """Read what a lab decided; what is missing is as by default.

        :raises InvalidError: `weights.unknown` or `weights.value`, naming the key.
        """
        known = {one.name for one in fields(cls)}
        found: dict[str, float] = {}
        roles: dict[str, float] = {}
        for key, value in values.items():
            if key not in known:
                raise InvalidError("weights.unknown", field=key[:40], key=key[:40])
            if key == "roles":
                roles = _roles(value)
                continue
            found[key] = _points(key, value)
        for key in ("waiting", "half_life_days", "deadline_from_h"):
            if key in found and found[key] < 0.1:
                raise InvalidError("weights.value", field=key, key=key, low=0.1, high=_MOST_POINTS)
        return cls(**found, roles=roles)


def _roles(value: object) -> dict[str, float]:
    if not isinstance(value, Mapping):
        raise InvalidError("weights.value", field="roles", key="roles", low=0, high=_MOST_POINTS)
    known = {role.value for role in Role}
    for name in value:
        if name not in known:
            raise InvalidError("weights.unknown", field="roles", key=str(name)[:40])
    return {str(name): _points("roles", points) for name, points in value.items()}


def _points(key: str, value: object) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0.0 <= float(value) <= _MOST_POINTS:  # type: ignore[arg-type]
        raise InvalidError("weights.value", field=key, key=key, low=0, high=_MOST_POINTS)
    return float(value)  # type: ignore[arg-type]


def decayed(stretches: Iterable[tuple[float, float]], now: float, half_life: float) -> float:
    """Return used machine time, in which an hour one half-life ago counts half an hour [s].

    :param stretches: start and end of each use [s]; what lies ahead of now does not count.

    >>> round(decayed([(-7200.0, -3600.0)], 0.0, 1e12)), decayed([], 0.0, 1.0)
    (3600, 0.0)
    """
    rate = math.log(2.0) / half_life
    total = 0.0
    for start, end in stretches:
        end = min(end, now)
        if start < end:
            total += (math.exp(rate * (end - now)) - math.exp(rate * (start - now))) / rate
    return total


def effective_usage(own: float, parent: float, share: float, siblings: float) -> float:
    """Return usage as it counts for a member of a group, in shares of all usage.

    :param own: what the member used.
    :param parent: what counts for the group that they are in.
    :param share: of the member.
    :param siblings: sum of the shares in the group, the member's included.

    *Source:* SchedMD/slurm:doc/html/classic_fair_share.shtml, "effective usage".
    """
    return own + (parent - own) * share / siblings


def share_factor(usage: float, share: float) -> float:
    """Return 1 for who used nothing, 0.5 for who used just their share, near 0 for who used all.

    :param usage: effective, of all usage, 0-1.
    :param share: what is the person's, 0-1.

    *Source:* SchedMD/slurm:doc/html/classic_fair_share.shtml, F = 2^(-U/S).

    >>> share_factor(0.0, 0.25), share_factor(0.25, 0.25)
    (1.0, 0.5)
    """
    return float(2.0 ** (-usage / share)) if share > 0.0 else 0.0


@dataclass(frozen=True, slots=True)
class Use:
    """What somebody used lately, and what that makes of their turn.

    :param used: decayed [s].
    :param percent: of what all used.
    """

    used: float = 0.0
    percent: float = 0.0
    factor: float = 1.0


NO_USE: Final = Use()


def uses(used: Mapping[str, float], people: Iterable[str]) -> Mapping[str, Use]:
    """Return each person's use; all have the same share.

    :param used: decayed machine time by person [s].
    :param people: who waits; they and who used something share the machines.
    """
    everybody = {*used, *people}
    total = sum(used.values())
    found: dict[str, Use] = {}
    for person in everybody:
        own = used.get(person, 0.0) / total if total > 0.0 else 0.0
        factor = share_factor(own, 1.0 / len(everybody))
        found[person] = Use(used.get(person, 0.0), 100.0 * own, factor)
    return found


def waiting_part(waited: float, weights: Weights) -> Part:
    """Return what waiting is worth.

    :param waited: [s].
    """
    hours = max(waited, 0.0) / HOUR
    return Part(PartName.WAITING, weights.waiting * hours, {"hours": round(hours, 1)})


def share_part(use: Use, weights: Weights) -> Part:
    """Return what having used little is worth."""
    fields = {"used_h": round(use.used / HOUR, 1), "percent": round(use.percent)}
    return Part(PartName.SHARE, weights.share * use.factor, fields)


def deadline_part(slack: float | None, weights: Weights) -> Part:
    """Return what a deadline is worth: more the less time is left, never more than its weight.

    :param slack: from its expected end to the deadline, if it began now [s]; None without one.
    """
    if slack is None:
        return Part(PartName.DEADLINE, 0.0)
    hours = slack / HOUR
    nearness = min(max(1.0 - hours / weights.deadline_from_h, 0.0), 1.0)
    return Part(PartName.DEADLINE, weights.deadline * nearness, {"slack_h": round(hours, 1)})


def changeover_part(count: int, weights: Weights) -> Part:
    """Return what having to change something costs."""
    return Part(PartName.CHANGEOVER, -weights.changeover * count, {"count": count})


def night_part(idle: float, weights: Weights) -> Part:
    """Return what a part costs that is done when nobody is there.

    :param idle: until somebody is [s].
    """
    hours = idle / HOUR
    return Part(PartName.NIGHT, -weights.night * hours, {"idle_h": round(hours, 1)})


def role_part(role: Role, weights: Weights) -> Part:
    """Return what a role is worth in this lab."""
    return Part(PartName.ROLE, weights.roles.get(role.value, 0.0), {"role": role.value})


def total(parts: Sequence[Part]) -> float:
    """Return the priority: the sum of its parts [points]."""
    return sum(part.points for part in parts)
