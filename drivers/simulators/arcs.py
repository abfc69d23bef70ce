"""Arcs as firmware takes them: a chain of short chords."""

from __future__ import annotations

import math
from collections.abc import Callable

from drivers.simulators.plant import Vector


def chords(
    start: Vector,
    target: Vector,
    centre: tuple[float, float],
    radius: float | None,
    *,
    clockwise: bool,
    count: Callable[[float, float], int],
) -> list[Vector]:
    """Points of an arc in the plane of the first two axes, other axes rising evenly.

    :param centre: of the arc, relative to the start [mm]; not used if a radius is given.
    :param radius: [mm]; negative for the longer way.
    :param count: of chords that the firmware makes of a radius [mm] and a sweep [rad].
    :returns: the points after the start, the target last; empty if there is no such arc.

    >>> chords((0.0, 0.0), (2.0, 0.0), (1.0, 0.0), None, clockwise=True, count=lambda r, s: 2)
    [(1.0, 1.0), (2.0, 0.0)]
    """
    dx, dy = target[0] - start[0], target[1] - start[1]
    if radius is not None:
        reach = 4 * radius**2 - dx**2 - dy**2
        if reach < -1e-6 or not (dx or dy):
            return []
        h = -math.sqrt(max(reach, 0.0)) / math.hypot(dx, dy)
        if not clockwise:
            h = -h
        if radius < 0:
            h = -h
        centre = ((dx - dy * h) / 2, (dy + dx * h) / 2)
    r = math.hypot(*centre)
    if r < 1e-6:
        return []
    cx, cy = start[0] + centre[0], start[1] + centre[1]
    begin = math.atan2(-centre[1], -centre[0])
    sweep = math.atan2(target[1] - cy, target[0] - cx) - begin
    if clockwise:
        sweep = sweep - 2 * math.pi if sweep >= -1e-9 else sweep
    elif sweep <= 1e-9:
        sweep += 2 * math.pi
    pieces = max(count(r, sweep), 1)
    points = []
    for i in range(1, pieces):
        angle = begin + sweep * i / pieces
        rest = (s + (t - s) * i / pieces for s, t in zip(start[2:], target[2:], strict=True))
        points.append(
            (round(cx + r * math.cos(angle), 6), round(cy + r * math.sin(angle), 6), *rest)
        )
    return [*points, target]


def marlin_pieces(radius: float, sweep: float) -> int:
    """How many chords an arc becomes: 1 mm each, and 72 for a whole circle at least.

    Source: Marlin 2.1.2:Configuration_adv.h, MIN_ and MAX_ARC_SEGMENT_MM, MIN_CIRCLE_SEGMENTS.

    >>> marlin_pieces(20.0, 2 * math.pi), marlin_pieces(5.0, math.pi), marlin_pieces(0.5, math.pi)
    (126, 36, 15)
    """
    length = radius * abs(sweep)
    fewest = math.ceil(72 * abs(sweep) / (2 * math.pi) - 1e-9)
    count = max(math.floor(length), fewest, 1)
    if length / count > 1.0:
        return math.ceil(length)
    return max(math.floor(length / 0.1), 1) if length / count < 0.1 else count
