"""The planner of prefix sums and windows is the firmware's sequential one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.analysis.planner import entry_speeds_squared, move_times

_CHAINS = st.lists(
    st.tuples(st.floats(0.0, 1e5), st.floats(1e-3, 1e6)), min_size=1, max_size=60
).map(lambda pairs: (np.array([a for a, _ in pairs]), np.array([b for _, b in pairs])))


def _sequential(junction: np.ndarray, capacity: np.ndarray, blocks: int) -> np.ndarray:
    """Plan as firmware does: for each move, back from the standstill behind the last one seen."""
    n = len(junction)
    entry = np.zeros(n)
    for first in range(n):
        speed = 0.0
        for index in range(min(first + blocks, n) - 1, first - 1, -1):
            speed = min(junction[index], speed + capacity[index])
        reached = entry[first - 1] + capacity[first - 1] if first else np.inf
        entry[first] = min(speed, reached)
    return entry


@given(_CHAINS, st.integers(1, 40))
def test_windowed_minima_equal_the_sequential_loop(
    chain: tuple[np.ndarray, np.ndarray], blocks: int
) -> None:
    junction, capacity = chain
    expected = _sequential(junction, capacity, blocks)
    got = entry_speeds_squared(junction, capacity, blocks)
    assert got == pytest.approx(expected, rel=1e-6, abs=1e-3)


@given(_CHAINS, st.integers(1, 20))
def test_seeing_further_never_makes_a_chain_slower(
    chain: tuple[np.ndarray, np.ndarray], blocks: int
) -> None:
    near = entry_speeds_squared(*chain, blocks)
    far = entry_speeds_squared(*chain, blocks + 1)
    assert (far >= near - 1e-3).all()


def test_a_lone_move_is_a_trapezoid_or_a_triangle() -> None:
    def time(length: float) -> float:
        one = np.ones(1)
        return float(move_times(one * length, one * 100.0, one * 1000.0, one * 0.0)[0])

    assert time(10.0) == pytest.approx(0.2)
    assert time(1000.0) == pytest.approx(10.1)


def test_short_straight_pieces_are_slow_because_the_look_ahead_ends() -> None:
    """16 moves of 0.1 mm are 1.6 mm to stop in: 100 mm/s is never reached at 1,000 mm/s²."""
    n = 2_000
    junction = np.full(n, 1e4)
    junction[0] = 0.0
    length, acceleration = np.full(n, 0.1), np.full(n, 1000.0)
    entry = entry_speeds_squared(junction, 2.0 * acceleration * length, 16)
    seconds = move_times(length, np.full(n, 100.0), acceleration, entry).sum()
    without_limit = 200.0 / 100.0 + 0.1
    assert seconds > 1.6 * without_limit
