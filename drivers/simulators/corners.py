"""How fast a firmware takes a corner, move by move, from its own planner's rules."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

STRAIGHT = 0.999999
SMALL, BLUNT = 1.0, -math.sqrt(0.5)  # Marlin: under 1 mm and flatter than an octagon's corner


@dataclass(frozen=True, slots=True)
class Way:
    """One move as a corner sees it.

    :param shares: what each axis goes of one mm of the move, E last.
    :param length: [mm].
    :param speed: nominal [mm/s].
    :param acceleration: of the move [mm/s²].
    """

    shares: Sequence[float]
    length: float
    speed: float
    acceleration: float


def least_share(limits: Sequence[float], shares: Sequence[float], most: float) -> float:
    """What a path may do where no axis may do more than its limit.

    >>> least_share((100.0, 10.0), (0.6, 0.8), 50.0)
    12.5
    """
    for limit, share in zip(limits, shares, strict=True):
        if share and most * abs(share) > limit:
            most = limit / abs(share)
    return most


def grbl(before: Way, here: Way, limits: Sequence[float], deviation: float) -> float:
    """Squared speed of a corner in Grbl, whose moves' own acceleration plays no part.

    Source: gnea/grbl:grbl/planner.c, plan_buffer_line.
    """
    return _by_deviation(before.shares, here.shares, limits, math.inf, deviation)[0]


def marlin(before: Way, here: Way, limits: Sequence[float], deviation: float) -> float:
    """Squared speed of a corner in Marlin with junction deviation; E is a direction like X.

    Source: Marlin 2.1.2:src/module/planner.cpp, _populate_block, JD_HANDLE_SMALL_SEGMENTS.
    """
    allowed, cosine, acceleration = _by_deviation(
        _unit(before), _unit(here), limits, here.acceleration, deviation
    )
    if here.length < SMALL and cosine < BLUNT and allowed > 0.0:
        theta = math.acos(-max(cosine, -STRAIGHT))
        allowed = min(allowed, here.length * acceleration / theta)
    return allowed


def _unit(way: Way) -> Sequence[float]:
    if len(way.shares) < 4 or not way.shares[3]:
        return way.shares
    size = math.hypot(*way.shares)
    return [share / size for share in way.shares]


def _by_deviation(
    before: Sequence[float],
    here: Sequence[float],
    limits: Sequence[float],
    most: float,
    deviation: float,
) -> tuple[float, float, float]:
    """Squared speed, cosine (1: straight back) and the acceleration across the corner."""
    cosine = -sum(b * h for b, h in zip(before, here, strict=True))
    if cosine > STRAIGHT:
        return 0.0, cosine, 0.0
    turn = [h - b for b, h in zip(before, here, strict=True)]
    size = math.hypot(*turn)
    if cosine < -STRAIGHT or size == 0.0:
        return 1e12, cosine, least_share(limits, here, most)
    acceleration = least_share(limits, [part / size for part in turn], most)
    half = math.sqrt(max((1.0 - cosine) / 2.0, 0.0))
    return acceleration * deviation * half / (1.0 - half), cosine, acceleration


def safe_speed(here: Way, jerk: Sequence[float]) -> float:
    """Speed from which a move may begin or end at once, by classic jerk [mm/s]."""
    return least_share(jerk, here.shares, here.speed)


def classic(before: Way, here: Way, jerk: Sequence[float]) -> float:
    """Squared speed of a corner by Marlin's classic jerk.

    A faster move after a slower one is entered as if at its own full speed.

    Source: Marlin 2.1.2:src/module/planner.cpp, "Adapted from Průša MKS firmware".
    """
    slower = min(before.speed, here.speed)
    factor = 1.0
    for axis, limit in enumerate(jerk):
        leave = before.shares[axis] * slower * factor
        enter = here.shares[axis] * here.speed * factor
        change = abs(leave - enter) if leave * enter > 0.0 else max(abs(leave), abs(enter))
        if change > limit:
            factor *= limit / change
    speed = slower * factor
    safe = safe_speed(here, jerk)
    if min(safe, safe_speed(before, jerk)) > 0.99 * speed:
        speed = min(safe, slower)  # it would stop anyway: better begin anew
    return speed**2
