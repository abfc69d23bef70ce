"""Make the bench comb: a plate for the edge of a bench or shelf that holds cables and test leads.

    python make.py            writes bench-comb.stl beside this file

Standard library only. Change the numbers of `Comb`, run it, print the result.
"""

from __future__ import annotations

import math
import struct
import sys
from dataclasses import dataclass
from pathlib import Path

Point = tuple[float, float]


@dataclass(frozen=True)
class Comb:
    """The measures of the comb; all in mm.

    The back half lies on the bench and is screwed down, the front half looks over the edge.
    A slot narrows at its mouth, so that a cable has to be pushed in and does not fall out.
    """

    slots: int = 4
    pitch: float = 14.0  # from slot to slot
    slot: float = 6.0  # diameter of the seat: the thickest cable
    mouth: float = 4.4  # width of the way in
    slot_depth: float = 12.0  # from the front edge to the middle of the seat
    lead_in: float = 1.2  # how much the mouth opens to the front, on each side
    shelf: float = 16.0  # depth of the part that is screwed down
    screw: float = 4.2  # diameter of the holes, for 4 mm wood screws
    corner: float = 4.0
    thickness: float = 4.0

    @property
    def width(self) -> float:
        """Along the edge of the bench."""
        return self.slots * self.pitch

    @property
    def depth(self) -> float:
        """Across the edge."""
        return self.shelf + self.slot_depth + self.slot / 2


def outline(comb: Comb) -> list[Point]:
    """Return the outer edge, counter-clockwise from above; the front edge is y = 0."""
    width, depth, corner = comb.width, comb.depth, comb.corner
    front_corner = 2.0
    points = _arc((front_corner, front_corner), front_corner, 180.0, 270.0, 4)
    for number in range(comb.slots):
        points += _slot(comb, (number + 0.5) * comb.pitch)
    points += _arc((width - front_corner, front_corner), front_corner, 270.0, 360.0, 4)
    points += _arc((width - corner, depth - corner), corner, 0.0, 90.0, 8)
    points += _arc((corner, depth - corner), corner, 90.0, 180.0, 8)
    return points


def holes(comb: Comb) -> list[list[Point]]:
    """Return the two screw holes, clockwise from above."""
    y = comb.depth - comb.shelf / 2
    inset = comb.corner + comb.screw
    return [_arc((x, y), comb.screw / 2, 360.0, 0.0, 24)[:-1] for x in (inset, comb.width - inset)]


def _slot(comb: Comb, x: float) -> list[Point]:
    """Into one slot, around its seat and out again."""
    half, radius = comb.mouth / 2, comb.slot / 2
    reach = math.degrees(math.asin(half / radius))  # where the mouth meets the seat
    seat = _arc((x, comb.slot_depth), radius, 270.0 - reach, -90.0 + reach, 20)
    return [
        _point(x - half - comb.lead_in, 0.0),
        _point(x - half, 2.0 * comb.lead_in),
        *seat,
        _point(x + half, 2.0 * comb.lead_in),
        _point(x + half + comb.lead_in, 0.0),
    ]


def _arc(middle: Point, radius: float, start: float, end: float, steps: int) -> list[Point]:
    """Return steps + 1 points from angle *start* to *end* [degrees]."""
    angles = [math.radians(start + (end - start) * step / steps) for step in range(steps + 1)]
    return [
        _point(middle[0] + radius * math.cos(a), middle[1] + radius * math.sin(a)) for a in angles
    ]


def _point(x: float, y: float) -> Point:
    # A tenth of a micrometre, so that the last digits of sin and cos make no difference.
    return (round(x, 4), round(y, 4))


def bridged(outer: list[Point], inner: list[list[Point]]) -> list[Point]:
    """Return one ring: each hole is joined to the outer edge by a seam walked twice.

    The rightmost hole first; its rightmost point is joined to the nearest point that it sees.
    """
    ring = list(outer)
    for hole in sorted(inner, key=lambda points: max(points), reverse=True):
        at = hole.index(max(hole))
        seen = min(
            (i for i in range(len(ring)) if _sees(hole[at], ring[i], ring, inner)),
            key=lambda i: (math.dist(ring[i], hole[at]), i),
        )
        ring = [*ring[: seen + 1], *hole[at:], *hole[: at + 1], *ring[seen:]]
    return ring


def _sees(a: Point, b: Point, ring: list[Point], inner: list[list[Point]]) -> bool:
    edges = [(loop[i - 1], loop[i]) for loop in [ring, *inner] for i in range(len(loop))]
    return not any(
        _turn(a, b, p) * _turn(a, b, q) < 0 and _turn(p, q, a) * _turn(p, q, b) < 0
        for p, q in edges
        if a not in (p, q) and b not in (p, q)
    )


def triangulated(ring: list[Point]) -> list[tuple[Point, Point, Point]]:
    """Cut ears off a counter-clockwise ring until nothing is left.

    Of the ears there are, the one with the shortest new edge: fewer needles.
    """
    left = list(range(len(ring)))
    triangles: list[tuple[Point, Point, Point]] = []
    while len(left) > 3:
        ears = [i for i in range(len(left)) if _is_ear(ring, left, i)]
        best = min(
            ears, key=lambda i: (math.dist(ring[left[i - 1]], ring[left[(i + 1) % len(left)]]), i)
        )
        triangles.append(
            (ring[left[best - 1]], ring[left[best]], ring[left[(best + 1) % len(left)]])
        )
        del left[best]
    triangles.append((ring[left[0]], ring[left[1]], ring[left[2]]))
    return triangles


def _is_ear(ring: list[Point], left: list[int], i: int) -> bool:
    a, b, c = ring[left[i - 1]], ring[left[i]], ring[left[(i + 1) % len(left)]]
    if _turn(a, b, c) <= 0:
        return False
    return not any(
        _turn(a, b, p) >= 0 and _turn(b, c, p) >= 0 and _turn(c, a, p) >= 0
        for p in (ring[k] for k in left)
        if p not in (a, b, c)
    )


def _turn(a: Point, b: Point, c: Point) -> float:
    """Positive if a, b, c turn to the left."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def stl(comb: Comb) -> bytes:
    """Return the comb as a binary STL, watertight, lying flat at z = 0."""
    outer, inner = outline(comb), holes(comb)
    top = comb.thickness
    facets: list[tuple[tuple[float, float, float], ...]] = []
    for a, b, c in triangulated(bridged(outer, inner)):
        facets.append(((*a, top), (*b, top), (*c, top)))
        facets.append(((*c, 0.0), (*b, 0.0), (*a, 0.0)))
    for loop in [outer, *inner]:
        for a, b in zip(loop, [*loop[1:], loop[0]], strict=True):
            facets.append(((*a, 0.0), (*b, 0.0), (*b, top)))
            facets.append(((*a, 0.0), (*b, top), (*a, top)))
    header = b"Bench comb, fabnode project, CERN-OHL-P-2.0"
    body = b"".join(
        struct.pack("<12fH", *_normal(facet), *(x for corner in facet for x in corner), 0)
        for facet in facets
    )
    return header.ljust(80, b" ") + struct.pack("<I", len(facets)) + body


def _normal(facet: tuple[tuple[float, float, float], ...]) -> tuple[float, float, float]:
    (ax, ay, az), (bx, by, bz), (cx, cy, cz) = facet
    ux, uy, uz, vx, vy, vz = bx - ax, by - ay, bz - az, cx - ax, cy - ay, cz - az
    x, y, z = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
    length = math.sqrt(x * x + y * y + z * z)
    return (round(x / length, 4), round(y / length, 4), round(z / length, 4))


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("bench-comb.stl")
    target.write_bytes(stl(Comb()))
