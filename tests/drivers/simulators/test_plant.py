"""Moves take the time that physics gives them, and heat has inertia."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.simulators.heat import Heater
from drivers.simulators.plant import Limits, Planner

LIMITS = Limits((100.0, 100.0, 10.0), (1000.0, 1000.0, 100.0))
places = st.tuples(st.floats(0, 100), st.floats(0, 100), st.floats(0, 20))


def run(planner: Planner, now: float) -> float:
    for _ in range(1000):
        at = planner.next_event()
        if at is None:
            return now
        now = at
        planner.advance(now)
    raise AssertionError("the planner never came to rest")


def test_a_long_move_is_a_trapezoid() -> None:
    planner = Planner(LIMITS, 16)
    planner.add((100.0, 0.0, 0.0), 50.0)
    planner.release(0.0)
    assert run(planner, 0.0) == pytest.approx(2.0 + 0.05)


def test_an_axis_never_exceeds_its_own_speed() -> None:
    planner = Planner(LIMITS, 16)
    planner.add((0.0, 0.0, 10.0), 1000.0)
    planner.release(0.0)
    assert run(planner, 0.0) == pytest.approx(1.0 + 0.1)


def test_a_straight_line_in_pieces_takes_as_long_as_in_one() -> None:
    planner = Planner(LIMITS, 100)
    for i in range(1, 51):
        planner.add((i * 2.0, 0.0, 0.0), 50.0)
    planner.release(0.0)
    assert run(planner, 0.0) == pytest.approx(2.05)


def test_short_pieces_speed_up_no_faster_than_one_long_move() -> None:
    planner = Planner(LIMITS, 100)
    for i in range(1, 51):
        planner.add((i * 0.1, 0.0, 0.0), 100.0)
    planner.release(0.0)
    assert run(planner, 0.0) == pytest.approx(2 * math.sqrt(5.0 / 1000.0))


@given(st.lists(places, min_size=1, max_size=12), st.floats(1, 200))
def test_every_path_ends_at_its_end_and_never_jumps_in_speed(
    path: list[tuple[float, float, float]], speed: float
) -> None:
    planner = Planner(LIMITS, 16)
    length, here = 0.0, (0.0, 0.0, 0.0)
    for place in path:
        planner.add(place, speed)
        length += math.dist(place, here)
        here = place
    blocks = list(planner._blocks)
    for before, after in pairwise(blocks):
        assert before.exit2 == pytest.approx(after.entry2, abs=1e-6)
    for block in blocks:
        change = abs(block.exit2 - block.entry2)
        assert change <= 2 * block.acceleration * block.length * (1 + 1e-6) + 1e-6
        assert max(block.entry2, block.exit2) <= block.speed**2 * (1 + 1e-9)
    planner.release(0.0)
    took = run(planner, 0.0)
    assert planner.position(took) == path[-1]
    assert took >= length / speed - 1e-6 - len(path) * 1e-6 / speed


@given(st.lists(places, min_size=1, max_size=8), st.floats(0.0, 3.0), st.floats(5, 100))
def test_a_hold_brakes_on_the_path_and_a_resume_reaches_the_end(
    path: list[tuple[float, float, float]], at: float, speed: float
) -> None:
    planner = Planner(LIMITS, 16)
    for place in path:
        planner.add(place, speed)
    planner.release(0.0)
    planner.advance(at)
    before, was = planner.position(at), planner.speed(at)
    planner.hold(at)
    assert planner.position(at) == pytest.approx(before, abs=1e-6)
    assert planner.speed(at) == pytest.approx(was, abs=1e-6)
    now = run(planner, at)
    assert planner.speed(now) == 0.0
    assert math.dist(planner.position(now), before) <= was**2 / (2 * 100.0) + 1e-6
    planner.resume(now)
    now = run(planner, now)
    assert planner.position(now) == pytest.approx(planner.end, abs=1e-9)
    assert planner.end == path[-1]


def test_an_abort_stops_where_it_is() -> None:
    planner = Planner(LIMITS, 16)
    planner.add((100.0, 0.0, 0.0), 50.0)
    planner.release(0.0)
    planner.advance(1.0)
    assert planner.abort(1.0)[0] == pytest.approx(50.0 - 1.25)
    assert planner.next_event() is None


def test_a_nozzle_needs_a_minute_and_a_half_and_hardly_overshoots() -> None:
    nozzle = Heater(rise=400.0, inertia=118.0, lag=2.0, maximum=260.0)
    nozzle.set_target(215.0, 0.0)
    read = [nozzle.temperature(float(t)) for t in range(400)]
    reached = next(t for t, value in enumerate(read) if value >= 214.0)
    assert 70 < reached < 95
    assert max(read) < 217.0
    assert read[-1] == pytest.approx(215.0, abs=0.2)
    nozzle.set_target(0.0, 400.0)
    assert 100.0 < nozzle.temperature(440.0) < 200.0
    assert nozzle.temperature(4000.0) == pytest.approx(21.9, abs=0.1)


def test_a_target_above_the_maximum_is_cut() -> None:
    nozzle = Heater(rise=400.0, inertia=118.0, lag=2.0, maximum=260.0)
    nozzle.set_target(400.0, 0.0)
    assert nozzle.target == 260.0


@pytest.mark.parametrize(("is_marlin", "stops"), [(False, 0), (True, 1)])
def test_grbl_replans_the_move_that_runs_and_marlin_does_not(is_marlin: bool, stops: int) -> None:
    planner = Planner(replace(LIMITS, is_marlin=is_marlin), 16)
    planner.add((50.0, 0.0, 0.0), 50.0)
    planner.release(0.0)
    planner.advance(0.5)
    planner.add((100.0, 0.0, 0.0), 50.0)
    # A stop in between costs half a ramp down and half a ramp up: 50 ms.
    assert run(planner, 0.5) == pytest.approx(2.05 + 0.05 * stops)
    assert planner.moved_s == pytest.approx(2.05 + 0.05 * stops)


def _corner(limits: Limits, *targets: tuple[float, ...]) -> float:
    """Return how fast the last of these moves may be entered [mm/s]."""
    planner = Planner(limits, 16)
    planner.settle(tuple(0.0 for _ in limits.speed))
    for target in targets:
        planner.add(target, 100.0)
    return math.sqrt(planner._blocks[-1].junction2)


def test_a_right_angle_is_taken_by_the_firmware_s_rule() -> None:
    square = math.sqrt(0.5)
    factor = square / (1.0 - square)
    # Across the corner both axes share: their limit divided by that share.
    grbl = Limits((200.0, 200.0, 10.0), (1000.0, 500.0, 100.0), 0.02)
    got = _corner(grbl, (10.0, 0.0, 0.0), (10.0, 10.0, 0.0))
    assert got == pytest.approx(math.sqrt(500.0 / square * 0.02 * factor))
    # Marlin holds it to the move's own acceleration as well.
    marlin = replace(grbl, is_marlin=True)
    got = _corner(marlin, (10.0, 0.0, 0.0), (10.0, 10.0, 0.0))
    assert got == pytest.approx(math.sqrt(500.0 * 0.02 * factor))
    # Classic jerk: the slower axis of the two decides.
    jerk = replace(marlin, jerk=(8.0, 4.0, 0.4))
    got = _corner(jerk, (10.0, 0.0, 0.0), (10.0, 10.0, 0.0))
    assert got == pytest.approx(4.0)


def test_filament_alone_is_a_direction_and_has_its_own_acceleration() -> None:
    limits = Limits((200.0, 200.0, 10.0, 25.0), (1000.0, 1000.0, 100.0, 5000.0), is_marlin=True)
    planner = Planner(limits, 16)
    planner.settle((0.0,) * 4)
    planner.acceleration = planner.travel_acceleration = 1000.0
    planner.retract_acceleration = 700.0
    planner.add((0.0, 0.0, 0.0, 5.0), 100.0)
    planner.release(0.0)
    assert run(planner, 0.0) == pytest.approx(5.0 / 25.0 + 25.0 / 700.0)
