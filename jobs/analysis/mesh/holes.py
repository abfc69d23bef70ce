"""Holes of a surface: found along its open edges, closed with flat triangles where that is safe."""

from __future__ import annotations

import numpy as np

from jobs.analysis.arrays import Bools, Floats, Ints
from jobs.analysis.mesh.surface import Edges, Surface

MOST_OPEN_EDGES = 20_000
_LONGEST_RIM = 1_000
# A rim bent further than this out of its plane, as part of its width, has no flat lid.
_BENT = 0.1


def open_rims(edges: Edges) -> list[Ints]:
    """Return the closed rims of holes, each a row of corners in the sense that closes it.

    Where rims touch in a corner they are taken apart there. Loose ends are left out.
    """
    open_edges = edges.uses == 1
    if int(open_edges.sum()) > MOST_OPEN_EDGES:
        return []
    on_rim = open_edges[edges.group]
    ends = edges.ends[edges.group[on_rim]]
    # The lid runs against the triangle that is there.
    forward = edges.forward[on_rim]
    starts = np.where(forward, ends[:, 1], ends[:, 0])
    stops = np.where(forward, ends[:, 0], ends[:, 1])
    ways: dict[int, list[int]] = {}
    for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
        ways.setdefault(start, []).append(stop)
    rims: list[Ints] = []
    while ways:
        rims += _walk(ways, next(iter(ways)))
    return rims


def _walk(ways: dict[int, list[int]], start: int) -> list[Ints]:
    """Go along open edges from a corner until they end, and return each ring passed."""
    rims: list[Ints] = []
    path, at = [start], {start: 0}
    while True:
        here = path[-1]
        onward = ways.get(here)
        if not onward:
            ways.pop(here, None)
            return rims
        there = onward.pop()
        if not onward:
            del ways[here]
        if there in at:
            ring = path[at[there] :]
            rims.append(np.array(ring, np.int64))
            for corner in ring[1:]:
                del at[corner]
            del path[at[there] + 1 :]
            continue
        at[there] = len(path)
        path.append(there)


def lid(surface: Surface, rim: Ints) -> Ints | None:
    """Return triangles that close a rim, shape (n - 2, 3); None where no flat lid fits."""
    if not 3 <= len(rim) <= _LONGEST_RIM:
        return None
    places = surface.vertices[rim]
    onward = np.roll(places, -1, axis=0)
    # Newell's normal: the sum of what each side spans with the middle.
    normal = np.cross(places - places.mean(axis=0), onward - places.mean(axis=0)).sum(axis=0)
    length = float(np.linalg.norm(normal))
    width = float(np.ptp(places, axis=0).max())
    if length <= 1e-12 * width * width:
        return None
    normal /= length
    if np.ptp(places @ normal) > _BENT * width:
        return None
    beside = np.cross(normal, np.eye(3)[int(np.argmin(np.abs(normal)))])
    beside /= np.linalg.norm(beside)
    flat = np.stack((places @ beside, places @ np.cross(normal, beside)), axis=1)
    ears = clip_ears(flat)
    return None if ears is None else rim[ears]


def clip_ears(polygon: Floats) -> Ints | None:
    """Return the triangles of a simple polygon that runs left; None if it crosses itself.

    :param polygon: shape (n, 2).
    :returns: shape (n - 2, 3), each running left.

    >>> clip_ears(np.array([[0.0, 0.0], [2.0, 0.0], [2.0, 1.0], [0.0, 1.0]])).shape
    (2, 3)
    """
    left = list(range(len(polygon)))
    found: list[tuple[int, int, int]] = []
    at = tried = 0
    while len(left) > 3:
        if tried > len(left):
            return None
        n = len(left)
        before, here, after = left[(at - 1) % n], left[at % n], left[(at + 1) % n]
        if _is_ear(polygon, left, before, here, after):
            found.append((before, here, after))
            del left[at % n]
            # Two further along, so that the lid is no fan of slivers from one corner.
            at, tried = at % n + 1, 0
        else:
            at, tried = at + 1, tried + 1
    a, b, c = (polygon[corner] for corner in left)
    if _turn(a, b, c[None])[0] < 0:
        return None
    found.append((left[0], left[1], left[2]))
    return np.array(found, np.int64)


def _is_ear(polygon: Floats, left: list[int], before: int, here: int, after: int) -> bool:
    a, b, c = polygon[before], polygon[here], polygon[after]
    if _turn(a, b, c[None])[0] <= 0:
        return False
    rest = polygon[left]
    inside: Bools = (_turn(a, b, rest) >= 0) & (_turn(b, c, rest) >= 0) & (_turn(c, a, rest) >= 0)
    # Its own corners lie on it, and so may others at the very same places.
    same = ((rest == a) | (rest == b) | (rest == c)).all(axis=1)
    return not (inside & ~same).any()


def _turn(a: Floats, b: Floats, points: Floats) -> Floats:
    """Return twice the area of a, b and each point; above 0 where the point lies left."""
    return np.asarray((b[0] - a[0]) * (points[:, 1] - a[1]) - (b[1] - a[1]) * (points[:, 0] - a[0]))
