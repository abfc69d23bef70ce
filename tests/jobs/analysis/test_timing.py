"""Planned time equals that of the simulated machines, whose planner runs move by move."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from drivers.simulators.plant import Limits, Planner
from jobs.analysis.program import inspect_program
from jobs.domain.machine import MachineLimits
from tests.jobs.analysis import whole

MACHINE = MachineLimits((220.0, 220.0, 250.0), nozzle_max_c=260.0, filament_mm=1.75)


def _simulated(program: whole.Whole, limits: MachineLimits) -> float:
    """Run the moves on the plant, whose queue is always kept full; return its seconds."""
    speed = tuple(value / 60.0 for value in limits.feed_max_mm_min)
    planner = Planner(
        Limits(speed, limits.acceleration_mm_s2, limits.junction_deviation_mm),
        limits.planner_blocks - 1,  # one place of the ring stays empty
    )
    now = 0.0
    for end, feedrate in zip(
        program.moves("end").tolist(), program.moves("feedrate").tolist(), strict=True
    ):
        while planner.free == 0:
            now = _step(planner, now)
        planner.add(tuple(end), feedrate)
    while not planner.is_idle:
        now = _step(planner, now)
    return now


def _step(planner: Planner, now: float) -> float:
    planner.release(now)
    event = planner.next_event()
    assert event is not None
    planner.advance(event)
    return event


def _spiral(step: float) -> bytes:
    points = [(i * step, 20 + i * step / 50) for i in range(1_500)]
    lines = [f"G1 X{r * math.cos(a / r):.3f} Y{r * math.sin(a / r):.3f}" for a, r in points]
    return "\n".join(["G21 G90", "G1 F6000 X20", *lines]).encode()


def _scribble(seed: int) -> bytes:
    chance = np.random.default_rng(seed)
    lines = [
        f"G1 X{x:.2f} Y{y:.2f} Z{z:.3f} F{feed}"
        for x, y, z, feed in zip(
            np.cumsum(chance.normal(0, 3, 600)) + 100,
            np.cumsum(chance.normal(0, 3, 600)) + 100,
            np.cumsum(chance.uniform(0, 0.01, 600)),
            chance.integers(300, 9000, 600),
            strict=True,
        )
    ]
    return "\n".join(["G21 G90", *lines]).encode()


@pytest.mark.parametrize("blocks", [4, 16, 32])
@pytest.mark.parametrize("step", [0.05, 0.3, 2.0])
def test_a_spiral_takes_as_long_as_on_the_simulated_machine(step: float, blocks: int) -> None:
    limits = replace(MACHINE, planner_blocks=blocks)
    program = whole.read(_spiral(step), limits, "grbl")
    assert program.times("motion").sum() == pytest.approx(_simulated(program, limits), rel=1e-3)


@pytest.mark.parametrize("seed", range(5))
def test_a_scribble_takes_as_long_as_on_the_simulated_machine(seed: int) -> None:
    program = whole.read(_scribble(seed), MACHINE, "grbl")
    assert program.times("motion").sum() == pytest.approx(_simulated(program, MACHINE), rel=0.03)


@pytest.mark.parametrize("arc", ["G2 X60 Y20 I20", "G3 X60 Y20 R-25", "G2 X20 Y20 I10 J5"])
def test_an_arc_takes_as_long_as_its_chords_on_the_simulated_machine(arc: str) -> None:
    data = f"G21 G90\nG1 X20 Y20 F3000\n{arc}\nG1 X90 Y20".encode()
    program = whole.read(data, MACHINE, "grbl")
    assert program.times("motion").sum() == pytest.approx(_simulated(program, MACHINE), rel=0.01)


def _seconds(text: str, limits: MachineLimits = MACHINE) -> float:
    value = inspect_program(text.encode(), limits)["time_s"]
    assert isinstance(value, float)
    return value


def test_the_program_s_own_limits_count() -> None:
    move = "G1 X100 F12000\nG1 X0\n"
    usual = _seconds("M104 S0\n" + move)
    assert _seconds("M104 S0\nM204 S200\n" + move) > usual * 1.5
    assert _seconds("M104 S0\nM201 X200\n" + move) > usual * 1.5
    assert _seconds("M104 S0\nM203 X20\n" + move) == pytest.approx(10.0, rel=0.05)
    assert _seconds("M104 S0\nM220 S50\nG1 X100 F6000\n") > _seconds("M104 S0\nG1 X100 F6000\n")


def test_classic_jerk_lets_a_corner_be_taken_faster() -> None:
    corner = "M104 S0\nG1 X50 F6000\nG1 Y50\n"
    stiff = replace(MACHINE, jerk_mm_s=0.1)
    loose = replace(MACHINE, jerk_mm_s=20.0)
    assert _seconds(corner, loose) < _seconds(corner, stiff)
    assert _seconds("M104 S0\nM205 X0.1 Y0.1\n" + corner, loose) == _seconds(corner, stiff)


def test_a_wait_in_between_makes_the_machine_stop() -> None:
    through = _seconds("M104 S0\nG1 X50 F6000\nG1 X100\n")
    assert _seconds("M104 S0\nG1 X50 F6000\nM400\nG1 X100\n") == pytest.approx(through + 0.1)
    assert _seconds("M104 S0\nG1 X50 F6000\nM106 S255\nG1 X100\n") == pytest.approx(through)


def test_heating_and_homing_are_counted_apart_from_motion() -> None:
    report = inspect_program(b"M190 S60\nG28\nM109 S200\nM109 S210\n", MACHINE)
    assert report["time_s"] == 0.0
    assert report["homing_s"] == 18.0
    assert report["heatup_s"] == pytest.approx((60 - 21) / 0.45 + (210 - 21) / 1.6, abs=0.1)
