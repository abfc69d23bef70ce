"""The firmware's look-ahead planner, over all moves at once instead of one by one."""

from __future__ import annotations

import numpy as np

from jobs.analysis.arrays import Floats

# Slower than this no firmware plans a move that has a length.
# Source: MINIMUM_PLANNER_SPEED [mm/s] of Marlin; Grbl's MINIMUM_FEED_RATE is 1 mm/min.
MINIMUM_SPEED = 0.05


def entry_speeds_squared(junction: Floats, capacity: Floats, blocks: int) -> Floats:
    """Return the square of the speed at which each move is entered.

    :param junction: square of the largest speed at each move's beginning, shape (n,) [mm²/s²].
    :param capacity: what a move can change of it, 2·acceleration·length, shape (n,) [mm²/s²].
    :param blocks: moves that the firmware looks ahead; behind them it assumes a standstill.

    The sequential rules `u[i] = min(junction[i], u[i+1] + c[i])`, backward within the window,
    and `v[i] = min(u[i], v[i-1] + c[i-1])`, forward, are minima once the running sum of `c` is
    added: of what follows, found by doubling the window, and of all that went before.

    >>> entry_speeds_squared(np.array([0.0, 100.0, 100.0]), np.array([60.0, 50.0, 20.0]), 16)
    array([ 0., 60., 20.])
    >>> entry_speeds_squared(np.array([0.0, 100.0, 100.0]), np.array([60.0, 50.0, 20.0]), 1)
    array([ 0., 50., 20.])
    """
    n = len(junction)
    if n == 0:
        return np.zeros(0)
    travelled = np.concatenate(([0.0], np.cumsum(capacity)))
    ahead = _window_minimum(junction + travelled[:-1], blocks)
    # Behind the window stands a halt; behind the last move stands one in any case.
    halt = travelled[np.minimum(np.arange(n) + blocks, n)]
    backward = np.minimum(ahead, halt) - travelled[:-1]
    forward = np.minimum.accumulate(backward - travelled[:-1]) + travelled[:-1]
    entry: Floats = np.maximum(np.minimum(forward, junction), 0.0)
    return entry


def _window_minimum(values: Floats, width: int) -> Floats:
    """Return the minimum of each value and the `width - 1` that follow, in log2 passes."""
    least = values
    reach = 1
    while reach < width:
        step = min(reach, width - reach)
        shifted = np.minimum(least[:-step], least[step:]) if step < len(least) else least[:0]
        # The last values have fewer that follow; what they see already is all there is.
        least = np.concatenate((shifted, _tail(least, len(least) - len(shifted))))
        reach += step
    return least


def _tail(least: Floats, count: int) -> Floats:
    tail = least[len(least) - count :]
    return np.minimum.accumulate(tail[::-1])[::-1]


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
    leave_squared = np.append(entry_squared[1:], 0.0) if len(length) else entry_squared
    peak_squared = np.minimum(
        nominal**2, (entry_squared + leave_squared) / 2.0 + acceleration * length
    )
    # Rounding may leave the ends a hair above the peak.
    peak_squared = np.maximum(peak_squared, np.maximum(entry_squared, leave_squared))
    peak = np.maximum(np.sqrt(peak_squared), MINIMUM_SPEED)
    ramps = 2.0 * peak - np.sqrt(entry_squared) - np.sqrt(leave_squared)
    ramp_length = (2.0 * peak_squared - entry_squared - leave_squared) / (2.0 * acceleration)
    return np.maximum(ramps, 0.0) / acceleration + np.maximum(length - ramp_length, 0.0) / peak
