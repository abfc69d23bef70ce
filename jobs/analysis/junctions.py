"""How fast a corner may be taken, by the rule of the firmware."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from jobs.analysis.arrays import Floats
from jobs.analysis.blocks import Column

# A corner this close to straight, or to a full turn back, is taken as just that.
# Source: gnea/grbl:grbl/planner.c and Marlin:src/module/planner.cpp, 0.999999.
_STRAIGHT = 0.999999
# Short moves at blunt corners are limited as if they were an arc.
# Source: Marlin JD_HANDLE_SMALL_SEGMENTS: moves under 1 mm, angles above 135°.
_SMALL = 1.0
_BLUNT = -0.7071067812
# Marlin keeps the safe speed of a corner if the shared one is not clearly faster.
_CLEARLY = 0.99

Vector = Sequence[Floats]  # one array of shape (n,) for each axis


def by_deviation(
    unit: Vector,
    nominal: Floats,
    limits: tuple[Floats | None, Sequence[Column]],
    deviation: Column,
    length: Floats | None,
) -> Floats:
    """Return the square of the largest speed into each move but the first, by junction deviation.

    :param unit: direction of each move, an array of shape (n,) for each axis; Marlin's has the
        extruder as a fourth axis.
    :param nominal: speed asked for, shape (n,) [mm/s].
    :param limits: acceleration of each move, shape (n,), which Grbl leaves out (None), and of
        each axis.
    :param deviation: how far the corner may be cut [mm].
    :param length: of the moves [mm], for Marlin's rule on short ones; None for Grbl.
    :returns: shape (n - 1,) [mm²/s²].

    Source: gnea/grbl:grbl/planner.c, plan_buffer_line; Marlin's rule is the same with a rule
    for short moves on top.
    """
    own, axes = limits
    cosine = np.zeros(len(nominal) - 1)
    turns = []
    square = np.zeros(len(nominal) - 1)
    for direction in unit:
        before, here = direction[:-1], direction[1:]
        cosine -= before * here
        turn = here - before
        square += turn * turn
        turns.append(np.abs(turn, out=turn))
    size = np.sqrt(square, out=square)
    acceleration = np.full(len(size), np.inf) if own is None else own[1:]
    for turn, axis in zip(turns, axes, strict=False):
        if not isinstance(axis, float) or axis < np.inf:
            reach = np.maximum(turn, 1e-12, out=turn)
            most = (axis if isinstance(axis, float) else axis[1:]) * size
            acceleration = np.minimum(acceleration, most / reach)
    half_sine = np.sqrt(np.maximum(0.5 - 0.5 * cosine, 0.0))
    cut = deviation if isinstance(deviation, float) else deviation[1:]
    allowed = acceleration * cut * half_sine / np.maximum(1.0 - half_sine, 1e-12)
    if length is not None:
        small = np.flatnonzero((cosine < _BLUNT) & (length[1:] < _SMALL))
        angle = np.arccos(np.clip(-cosine[small], -1.0, 1.0))
        arc = length[1:][small] * acceleration[small] / np.maximum(angle, 1e-6)
        allowed[small] = np.minimum(allowed[small], arc)
    allowed[cosine > _STRAIGHT] = 0.0
    allowed[cosine < -_STRAIGHT] = np.inf
    slower = np.minimum(nominal[:-1], nominal[1:])
    slower *= slower
    return np.minimum(allowed, slower, out=allowed)


def by_jerk(unit: Vector, nominal: Floats, jerk: Sequence[Column]) -> Floats:
    """Return the square of the largest speed into each move but the first, by classic jerk.

    :param unit: what each axis goes of one mm of each move, an array of shape (n,) for each.
    :param nominal: speed asked for, shape (n,) [mm/s].
    :param jerk: largest sudden change of speed of each axis [mm/s].
    :returns: shape (n - 1,) [mm²/s²].

    Source: Marlin:src/module/planner.cpp, HAS_CLASSIC_JERK. Only the speed of the move before
    is scaled to the slower of both: so has the firmware it.
    """
    held = [pair for pair in zip(unit, jerk, strict=False) if not np.all(np.isinf(pair[1]))]
    safe = nominal.copy()
    for direction, limit in held:
        over = np.abs(direction) * nominal / limit
        np.minimum(safe, nominal / np.maximum(over, 1.0), out=safe)
    shared = np.minimum(nominal[:-1], nominal[1:])
    factor = np.ones(len(shared))
    for direction, limit in held:
        leave = direction[:-1] * shared * factor
        enter = direction[1:] * nominal[1:] * factor
        change = np.where(
            leave * enter >= 0.0,
            np.abs(leave - enter),
            np.maximum(np.abs(leave), np.abs(enter)),
        )
        bound = limit if isinstance(limit, float) else limit[1:]
        factor *= np.where(change > bound, bound / np.maximum(change, 1e-12), 1.0)
    speed = shared * factor
    # Where both could as well begin and end at standstill, the machine does just that.
    stops = np.minimum(safe[:-1], safe[1:]) > _CLEARLY * speed
    speed = np.where(stops, np.minimum(safe[1:], shared), speed)
    speed *= speed
    return speed
