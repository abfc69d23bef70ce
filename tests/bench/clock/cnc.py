"""Five router programs in the manner of CAM: outline, pocket, holes, relief, engraving."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping

from jobs.slicing.plywood import Tag, tag_program

_HEAD = ("G21", "G90", "G17", "G94", "G54", "G0 Z5.000", "M3 S12000", "G4 P1")
_FOOT = ("G0 Z5.000", "M5", "G0 X0.000 Y0.000", "M2")


def programs() -> Mapping[str, str]:
    """Return the programs by name."""
    return {
        "plywood-tag": tag_program(Tag()),
        "pocket": _joined(_pocket()),
        "holes": _joined(_holes()),
        "relief": _joined(_relief()),
        "engraving": _joined(_engraving()),
    }


def _joined(lines: Iterator[str]) -> str:
    return "\n".join([*_HEAD, *lines, *_FOOT]) + "\n"


def _pocket() -> Iterator[str]:
    """A round-cornered pocket from inside out, in arcs and straight lines, with a helix down."""
    for depth in range(1, 6):
        yield "G0 X50 Y40"
        yield "G0 Z1"
        yield "G1 X52 F900"
        yield f"G3 X52 Y40 I-2 J0 Z{-depth} F400"
        for offset in range(2, 28, 2):
            r = offset / 2
            low_x, low_y, high_x, high_y = 50 - offset, 40 - offset, 50 + offset, 40 + offset
            yield f"G1 X{low_x + r} Y{low_y} F900"
            yield f"G1 X{high_x - r}"
            yield f"G3 X{high_x} Y{low_y + r} R{r}"
            yield f"G1 Y{high_y - r}"
            yield f"G3 X{high_x - r} Y{high_y} I{-r} J0"
            yield f"G1 X{low_x + r}"
            yield f"G3 X{low_x} Y{high_y - r} R{r}"
            yield f"G1 Y{low_y + r}"
            yield f"G3 X{low_x + r} Y{low_y} I{r} J0"


def _holes() -> Iterator[str]:
    """A field of holes in pecks, as a canned cycle is written out."""
    for row in range(8):
        for column in range(10):
            yield f"G0 X{10 + 15 * column} Y{10 + 15 * row}"
            yield "G0 Z1"
            for peck in range(1, 4):
                yield f"G1 Z{-2 * peck} F150"
                yield "G0 Z1"
                yield f"G0 Z{-2 * peck + 0.5}"
            yield "G0 Z5"


def _relief() -> Iterator[str]:
    """A surface in rows of short pieces, up and down: nothing but look-ahead."""
    for row in range(40):
        y = row * 1.5
        xs = [0.25 * step for step in range(321)]
        yield f"G1 X{xs[0 if row % 2 == 0 else -1]:.3f} Y{y:.3f} Z-1.0 F1500"
        for x in xs if row % 2 == 0 else reversed(xs):
            z = -2.0 + 1.2 * math.sin(x / 6.0) * math.cos(y / 9.0)
            yield f"G1 X{x:.3f} Z{z:.3f}"


def _engraving() -> Iterator[str]:
    """Scribbled curves with many corners, lifted between strokes."""
    chance = random.Random(4)
    for stroke in range(60):
        x, y, angle = chance.uniform(10, 140), chance.uniform(10, 90), chance.uniform(0, 6.28)
        yield f"G0 X{x:.3f} Y{y:.3f}"
        yield "G1 Z-0.2 F300"
        for _ in range(40):
            angle += chance.gauss(0.0, 0.25 if stroke % 2 else 0.05)
            step = chance.uniform(0.1, 1.5)
            x, y = x + step * math.cos(angle), y + step * math.sin(angle)
            yield f"G1 X{x:.3f} Y{y:.3f} F1200"
        yield "G0 Z2"
