"""The firmware's look-ahead planner, over many moves at once instead of one by one."""

from __future__ import annotations

import numpy as np

from jobs.analysis.arrays import Floats

# Slower than this no firmware plans a move that has a length.
# Source: MINIMUM_PLANNER_SPEED [mm/s] of Marlin; Grbl's MINIMUM_FEED_RATE is 1 mm/min.
MINIMUM_SPEED = 0.05


def entry_speeds_squared(
    junction: Floats, capacity: Floats, blocks: int, reached: float = np.inf
) -> Floats:
    """Return the square of the speed at which each move is entered.

    :param junction: square of the largest speed at each move's beginning, shape (n,) [mm²/s²].
    :param capacity: what a move can change of it, 2·acceleration·length, shape (n,) [mm²/s²].
    :param blocks: moves that the firmware looks ahead; behind them it assumes a standstill.
    :param reached: what the move before the first can have sped up to [mm²/s²].

    The rule `u[i] = min(junction[i], u[i+1] + c[i])`, backward within the window, is applied
    to all moves at once, once for each move that is looked ahead: no rounding, and in the
    processor's cache as fast as minima over sums, which would have some. The rule
    `v[i] = min(u[i], v[i-1] + c[i-1])`, forward over all that went before, is such a minimum.

    >>> entry_speeds_squared(np.array([0.0, 100.0, 100.0]), np.array([60.0, 50.0, 20.0]), 16)
    array([ 0., 60., 20.])
    >>> entry_speeds_squared(np.array([0.0, 100.0, 100.0]), np.array([60.0, 50.0, 20.0]), 1)
    array([ 0., 50., 20.])
    """
    n = len(junction)
    if n == 0:
        return np.zeros(0)
    entry = np.minimum(junction, capacity)
    following = np.empty(n)
    for _ in range(min(blocks, n) - 1):
        np.add(entry[1:], capacity[:-1], out=following[:-1])
        following[-1] = capacity[-1]
        np.minimum(junction, following, out=entry)
    entry[0] = min(entry[0], reached)
    travelled = np.empty(n)
    travelled[0] = 0.0
    np.cumsum(capacity[:-1], out=travelled[1:])
    forward = np.minimum.accumulate(entry - travelled)
    forward += travelled
    # Where nothing before holds a move back, the sums may have rounded it off.
    near = forward >= entry * (1.0 - 1e-9) - 1e-9
    np.copyto(forward, entry, where=near)
    np.maximum(forward, 0.0, out=forward)
    return forward


def move_times(
    length: Floats, nominal: Floats, acceleration: Floats, entry_squared: Floats
) -> Floats:
    """Return the time of each move of a planned chain.

    :param length: shape (n,) [mm], all above 0.
    :param nominal: speed that was asked for, shape (n,) [mm/s].
    :param acceleration: shape (n,) [mm/s²].
    :param entry_squared: from `entry_speeds_squared`; the chain ends in a standstill.
    :returns: shape (n,) [s].

    Speed up to the peak, cruise, slow down to the next entry; without a cruise where the move is
    too short to reach its speed.

    >>> move_times(np.array([10.0]), np.array([100.0]), np.array([1000.0]), np.array([0.0]))
    array([0.2])
    """
    n = len(length)
    ends = np.append(entry_squared, 0.0)
    both = ends[:-1] + ends[1:]
    peak_squared = 0.5 * both
    peak_squared += acceleration * length
    np.minimum(peak_squared, nominal * nominal, out=peak_squared)
    # Rounding may leave the ends a hair above the peak.
    np.maximum(peak_squared, np.maximum(ends[:-1], ends[1:]), out=peak_squared)
    peak = np.maximum(np.sqrt(peak_squared), MINIMUM_SPEED)
    roots = np.sqrt(ends)
    ramps: Floats = 2.0 * peak - roots[:n]
    ramps -= roots[1:]
    np.maximum(ramps, 0.0, out=ramps)
    cruise = length - (peak_squared - 0.5 * both) / acceleration
    np.maximum(cruise, 0.0, out=cruise)
    ramps /= acceleration
    cruise /= peak
    ramps += cruise
    return ramps
