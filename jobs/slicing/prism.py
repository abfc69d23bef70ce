"""Outlines of a prism from its triangles: all that our own generator understands of a mesh."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from jobs.slicing.sliced import SlicingError

Point = tuple[float, float]
Loop = list[Point]

_HEADER_BYTES: Final = 84  # binary STL: 80 free bytes and the number of triangles
_TRIANGLE: Final = struct.Struct("<12fH")
_MAX_TRIANGLES: Final = 20_000  # pure Python; a second or so
_SAME_MM: Final = 1e-3


@dataclass(frozen=True, slots=True)
class Prism:
    """A shape with the same outline at every height.

    :param loops: closed outlines; the body lies to the left of each.
    """

    loops: list[Loop]
    height: float


def read_prism(path: Path) -> Prism:
    """Read a binary STL whose vertices lie in two level planes.

    :raises SlicingError: unreadable, too-many-triangles or not-a-prism.
    """
    raw = path.read_bytes()
    count = struct.unpack_from("<I", raw, 80)[0] if len(raw) >= _HEADER_BYTES else -1
    if count > _MAX_TRIANGLES:
        raise SlicingError("too-many-triangles", str(count))
    if len(raw) != _HEADER_BYTES + count * _TRIANGLE.size:
        raise SlicingError("unreadable", "no binary STL")
    corners = [
        [values[at : at + 3] for at in (3, 6, 9)]
        for values in _TRIANGLE.iter_unpack(raw[_HEADER_BYTES:])
    ]
    levels = [corner[2] for triangle in corners for corner in triangle]
    if not levels or not all(math.isfinite(x) for t in corners for c in t for x in c):
        raise SlicingError("unreadable", "no finite triangle")
    low, high = min(levels), max(levels)
    if high - low < _SAME_MM or any(_SAME_MM < z - low < high - low - _SAME_MM for z in levels):
        raise SlicingError("not-a-prism")
    bottom = [t for t in corners if all(c[2] - low <= _SAME_MM for c in t)]
    return Prism(_boundary(bottom), high - low)


def _boundary(triangles: Sequence[Sequence[Sequence[float]]]) -> list[Loop]:
    """Chain the edges that only one triangle has, turned so that the body is on the left."""
    edges = {
        (_key(triangle[i]), _key(triangle[(i + 1) % 3])) for triangle in triangles for i in range(3)
    }
    # The bottom is seen from below, so its edges run clockwise from above: turn each.
    onward: dict[Point, Point] = {}
    for start, end in edges:
        if (end, start) not in edges:
            if end in onward:
                raise SlicingError("not-a-prism", "outlines touch")
            onward[end] = start
    loops: list[Loop] = []
    while onward:
        first = min(onward)  # the same order on every run
        loop = [first]
        at = onward.pop(first)
        while at != first:
            loop.append(at)
            if at not in onward:
                raise SlicingError("not-a-prism", "an outline is open")
            at = onward.pop(at)
        loops.append(loop)
    if not loops:
        raise SlicingError("not-a-prism", "no bottom")
    return loops


def _key(corner: Sequence[float]) -> Point:
    return (round(corner[0], 3), round(corner[1], 3))


def inset(loop: Loop, distance: float) -> Loop:
    """Return *loop* moved to its left by *distance*, corners mitred, edges that vanish left out.

    Good for outlines whose features are wider than twice the distance; nothing is checked.

    >>> inset([(0.0, 0.0), (4.0, 0.0), (4.0, 4.0), (0.0, 4.0)], 1.0)
    [(1.0, 1.0), (3.0, 1.0), (3.0, 3.0), (1.0, 3.0)]
    """
    count = len(loop)
    normals = [_left(loop[i], loop[(i + 1) % count]) for i in range(count)]
    moved: Loop = []
    for i, (x, y) in enumerate(loop):
        (ax, ay), (bx, by) = normals[i - 1], normals[i]
        # Never longer than three times the way: a needle's corner is cut off.
        scale = distance / max(1.0 + ax * bx + ay * by, 0.2)
        moved.append((x + (ax + bx) * scale, y + (ay + by) * scale))
    return [
        moved[i] for i in range(count) if _runs_on(loop, moved, i) or _runs_on(loop, moved, i - 1)
    ]


def _runs_on(loop: Loop, moved: Loop, i: int) -> bool:
    """Tell whether edge *i* still has its direction."""
    j = (i + 1) % len(loop)
    ox, oy = loop[j][0] - loop[i][0], loop[j][1] - loop[i][1]
    mx, my = moved[j][0] - moved[i][0], moved[j][1] - moved[i][1]
    return ox * mx + oy * my > 0.0


def _left(start: Point, end: Point) -> Point:
    dx, dy = end[0] - start[0], end[1] - start[1]
    length = math.hypot(dx, dy)
    return (-dy / length, dx / length)


def hatch(loops: Sequence[Loop], spacing: float, angle: float) -> list[tuple[Point, Point]]:
    """Return the strokes that fill what *loops* enclose, even-odd, there and back again.

    :param angle: of the strokes [rad].

    >>> hatch([[(0.0, 0.0), (2.0, 0.0), (2.0, 2.0), (0.0, 2.0)]], 1.0, 0.0)
    [((0.0, 0.5), (2.0, 0.5)), ((2.0, 1.5), (0.0, 1.5))]
    """
    cos, sin = math.cos(angle), math.sin(angle)
    turned = [[(x * cos + y * sin, y * cos - x * sin) for x, y in loop] for loop in loops]
    levels = [y for loop in turned for _, y in loop]
    strokes: list[tuple[Point, Point]] = []
    for row in range(math.floor(min(levels) / spacing), math.ceil(max(levels) / spacing)):
        y = (row + 0.5) * spacing
        cuts = sorted(x for loop in turned for x in _crossings(loop, y))
        pairs = list(zip(cuts[::2], cuts[1::2], strict=False))
        if row % 2:
            pairs = [(b, a) for a, b in reversed(pairs)]
        strokes += [
            ((a * cos - y * sin, a * sin + y * cos), (b * cos - y * sin, b * sin + y * cos))
            for a, b in pairs
        ]
    return strokes


def _crossings(loop: Loop, y: float) -> list[float]:
    found: list[float] = []
    for i, (bx, by) in enumerate(loop):
        ax, ay = loop[i - 1]
        if (ay <= y) != (by <= y):
            found.append(ax + (bx - ax) * (y - ay) / (by - ay))
    return found
