"""Planned time beside a simulated machine's motion, line for line the same program."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO

from drivers.simulators.machines import Wishes
from drivers.simulators.rehearsal import rehearse
from jobs.analysis.piece import Piece, Reader, Times
from jobs.analysis.reading import Program
from jobs.domain.machine import MachineLimits

ROUTER = MachineLimits(
    (300.0, 400.0, 80.0),
    spindle_max_rpm=24000.0,
    feed_max_mm_min=(5000.0, 5000.0, 2000.0),
    acceleration_mm_s2=(250.0, 250.0, 150.0),
    junction_deviation_mm=0.01,
)


def printed(data: bytes, limits: MachineLimits) -> tuple[float, float]:
    """Return planned and simulated seconds of motion on a Marlin printer with these limits."""
    options = ("classic-jerk",) if limits.jerk_mm_s else ()
    blocks = limits.planner_blocks - 1  # one place of the ring stays empty
    wishes = Wishes(envelope=limits.envelope_mm, options=options, planner_blocks=blocks)
    lines = [*_settings(limits), *data.decode("ascii", "replace").splitlines()]
    told = rehearse("marlin-2", lines, wishes)
    assert not told.refused, told.refused
    return _planned(data, limits, "marlin"), told.moved_s


def milled(data: bytes, limits: MachineLimits = ROUTER) -> tuple[float, float]:
    """Return planned and simulated seconds of motion on a Grbl router with these limits."""
    numbers = (*limits.feed_max_mm_min, *limits.acceleration_mm_s2)
    settings = dict(zip((110, 111, 112, 120, 121, 122), numbers, strict=True))
    settings[11] = limits.junction_deviation_mm
    named = {str(number): value for number, value in settings.items()}
    wishes = Wishes(envelope=limits.envelope_mm, settings=named)
    told = rehearse("grbl-1.1", data.decode("ascii").splitlines(), wishes)
    assert not told.refused, told.refused
    return _planned(data, limits, "grbl"), told.moved_s


class _Seconds(Reader):
    """Adds up the planned motion."""

    motion = 0.0

    def feed(self, piece: Piece) -> None:
        """Take the next piece: only its times count."""

    def settle(self, times: Times) -> None:
        self.motion += float(times.motion.sum())


def _planned(data: bytes, limits: MachineLimits, dialect: str) -> float:
    seconds = _Seconds()
    Program(BytesIO(data), limits, dialect).read([seconds])
    return seconds.motion


def error(planned: float, wanted: float) -> float:
    """Return how far a plan is off, as a share of what is true."""
    return planned / wanted - 1.0


def without_jerk(limits: MachineLimits) -> MachineLimits:
    """Return the same machine with a firmware that knows junction deviation."""
    return replace(limits, jerk_mm_s=0.0)


def _settings(limits: MachineLimits) -> Sequence[str]:
    """Return the lines that give the simulated printer the machine's limits."""
    x, y, z = (value / 60.0 for value in limits.feed_max_mm_min)
    ax, ay, az = limits.acceleration_mm_s2
    corner = (
        f"M205 X{limits.jerk_mm_s} Y{limits.jerk_mm_s} Z{limits.z_jerk_mm_s}"
        f" E{limits.extruder_jerk_mm_s}"
        if limits.jerk_mm_s
        else f"M205 J{limits.junction_deviation_mm}"
    )
    return (
        f"M203 X{x} Y{y} Z{z} E{limits.extruder_feed_max_mm_min / 60.0}",
        f"M201 X{ax} Y{ay} Z{az} E{limits.extruder_acceleration_mm_s2}",
        f"M204 P{limits.print_acceleration_mm_s2 or ax} T{limits.travel_acceleration_mm_s2 or ax}"
        f" R{limits.retract_acceleration_mm_s2 or ax}",
        corner,
    )
