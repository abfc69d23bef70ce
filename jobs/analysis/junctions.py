"""How fast a corner may be taken, by the rule of the firmware."""

from __future__ import annotations

import numpy as np

from jobs.analysis.arrays import Floats, least_of_axes

# A corner this close to straight, or to a full turn back, is taken as just that.
# Source: gnea/grbl:grbl/planner.c and Marlin:src/module/planner.cpp, 0.999999.
_STRAIGHT = 0.999999
# Short moves at blunt corners are limited as if they were an arc.
# Source: Marlin JD_HANDLE_SMALL_SEGMENTS: moves under 1 mm, angles above 135°.
_SMALL = 1.0
_BLUNT = np.radians(135.0)


def by_deviation(
    unit: Floats,
    nominal: Floats,
    limits: tuple[Floats | None, Floats],
    deviation: float,
    length: Floats | None,
) -> Floats:
    """Return the square of the largest speed into each move, by junction deviation.

    :param unit: direction of each move, shape (n, k); Marlin's has the extruder as a fourth axis.
    :param nominal: speed asked for, shape (n,) [mm/s].
    :param limits: acceleration of each move, shape (n,), which Grbl leaves out (None), and of
        each axis, shape (n, k) or (k,).
    :param deviation: how far the corner may be cut [mm].
    :param length: of the moves [mm], for Marlin's rule on short ones; None for Grbl.
    :returns: shape (n,) [mm²/s²]; the first is 0.

    Source: gnea/grbl:grbl/planner.c, plan_buffer_line; Marlin 2.1.2:src/module/planner.cpp has
    the same rule with `JD_HANDLE_SMALL_SEGMENTS` on top.
    """
    own, axis = limits
    result = np.zeros(len(nominal))
    if len(nominal) < 2:
        return result
    before, here = unit[:-1], unit[1:]
    cosine = -np.einsum("ij,ij->i", before, here)
    turn = here - before
    size = np.sqrt(np.einsum("ij,ij->i", turn, turn))
    turn = np.abs(turn) / np.maximum(size, 1e-12)[:, None]
    reach = np.maximum(turn, 1e-9)
    acceleration = least_of_axes((axis[1:] if axis.ndim == 2 else axis) / reach)
    if own is not None:
        acceleration = np.minimum(own[1:], acceleration)
    half_sine = np.sqrt(np.clip(0.5 * (1.0 - cosine), 0.0, 1.0))
    allowed = acceleration * deviation * half_sine / np.maximum(1.0 - half_sine, 1e-12)
    if length is not None:
        allowed = _as_arc(allowed, cosine, length[1:], acceleration)
    allowed[cosine > _STRAIGHT] = 0.0
    allowed[cosine < -_STRAIGHT] = np.inf
    result[1:] = np.minimum(allowed, np.minimum(nominal[:-1], nominal[1:]) ** 2)
    return result


def _as_arc(allowed: Floats, cosine: Floats, length: Floats, acceleration: Floats) -> Floats:
    angle = np.arccos(np.clip(cosine, -1.0, 1.0))
    small = (length < _SMALL) & (angle > _BLUNT)
    arc = length * acceleration / np.maximum(np.pi - angle, 1e-6)
    return np.where(small, np.minimum(allowed, arc), allowed)


def by_jerk(unit: Floats, nominal: Floats, jerk: Floats) -> Floats:
    """Return the square of the largest speed into each move, by classic jerk.

    :param unit: what each axis goes of one mm of each move, shape (n, k).
    :param nominal: speed asked for, shape (n,) [mm/s].
    :param jerk: largest sudden change of speed of each axis, shape (k,) or (n, k) [mm/s].
    :returns: shape (n,) [mm²/s²].

    The faster of two moves counts with its full speed where it is entered, with that of the
    slower where it is left: so has the firmware it.

    Source: Marlin 2.1.2:src/module/planner.cpp, "Adapted from Průša MKS firmware".
    """
    safe = nominal.copy()
    for axis in range(unit.shape[1]):
        limit = jerk[axis] if jerk.ndim == 1 else jerk[:, axis]
        speed = np.abs(unit[:, axis]) * safe
        safe *= np.where(speed > limit, limit / np.maximum(speed, 1e-12), 1.0)
    result: Floats = safe**2
    if len(nominal) < 2:
        return result
    slower = np.minimum(nominal[:-1], nominal[1:])
    factor = np.ones(len(slower))
    for axis in range(unit.shape[1]):
        leave = unit[:-1, axis] * slower * factor
        enter = unit[1:, axis] * nominal[1:] * factor
        change = np.where(
            leave * enter > 0.0,
            np.abs(leave - enter),
            np.maximum(np.abs(leave), np.abs(enter)),
        )
        limit = jerk[axis] if jerk.ndim == 1 else jerk[1:, axis]
        factor *= np.where(change > limit, limit / np.maximum(change, 1e-12), 1.0)
    allowed = slower * factor
    # Where both could as well begin and end at standstill, the machine does just that.
    stops = np.minimum(safe[:-1], safe[1:]) > 0.99 * allowed
    result[1:] = np.where(stops, np.minimum(safe[1:], slower), allowed) ** 2
    return result
