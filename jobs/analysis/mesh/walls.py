"""How thick the walls of a part are: rays from its skin inward, until they come out again.

A bounded number of rays is sent from chosen places, area by area, and walks a grid of cells,
so that each ray meets a few triangles only. Only where it comes out of a face that lies nearly
across its way is there a wall; beside an edge there is none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from jobs.analysis.arrays import Bools, Floats, Ints
from jobs.analysis.mesh.surface import Surface, normals_and_areas

RAYS = 4_000
# Cosine between the ray and the face that it leaves by: opposite walls, drafted ones too.
_OPPOSITE = 0.9
# One in so many places may be a freak of the drawing; the next one counts.
_FREAKS = 4
_SEED = 20_160_229
_MOST_CELLS = 96  # along one axis
_MOST_ENTRIES = 6_000_000  # triangles in cells, all cells together
_MOST_TESTS = 40_000_000
_BATCH = 1_000_000  # triangles tested at once


@dataclass(frozen=True, slots=True)
class Walls:
    """What the rays met.

    :param thickness: of each place with a wall [mm], ascending, shape (k,).
    :param rays: how many rays ended within the work allowed.
    """

    thickness: Floats
    rays: int

    @property
    def thinnest(self) -> float | None:
        """Return the thinnest wall [mm], a few freaks left out; None where there is no wall."""
        if not len(self.thickness):
            return None
        return float(self.thickness[min(_FREAKS, len(self.thickness) - 1)])

    def share_below(self, limit: float) -> float:
        """Return the part of the skin, 0-1, behind which the wall is thinner than *limit* [mm]."""
        return float(np.searchsorted(self.thickness, limit)) / max(self.rays, 1)


@dataclass(frozen=True, slots=True)
class _Grid:
    """Triangles by the cells that they may touch."""

    origin: Floats  # (3,)
    size: Floats  # of a cell, (3,)
    cells: Ints  # along each axis, (3,)
    starts: Ints  # of each cell in *entries*
    entries: Ints  # triangles


def walls_of(surface: Surface, rays: int = RAYS) -> Walls:
    """Measure walls at places spread evenly over the skin; the same surface gives the same."""
    normals, areas = normals_and_areas(surface)
    total = float(areas.sum())
    if total <= 0.0:
        return Walls(np.empty(0), 0)
    random = np.random.default_rng(_SEED)
    # One place in each equal share of the area: every wall gets its part of the rays.
    at = (np.arange(rays) + random.random(rays)) / rays * total
    chosen = np.minimum(np.searchsorted(np.cumsum(areas), at), len(areas) - 1)
    chosen = chosen[areas[chosen] > 0]
    corners = surface.corners
    starts = _places(corners[chosen], random)
    ways = -normals[chosen]
    far, by = _follow(corners, starts, ways, chosen)
    ended = by >= 0
    across = np.einsum("ij,ij->i", ways, normals[np.maximum(by, 0)]) >= _OPPOSITE
    return Walls(np.sort(far[ended & across]), int(np.sum(by >= -1)))


def _places(corners: Floats, random: np.random.Generator) -> Floats:
    """Return one place in each triangle, evenly by chance; shape (n, 3)."""
    root, other = np.sqrt(random.random(len(corners))), random.random(len(corners))
    weights = np.stack((1 - root, root * (1 - other), root * other), axis=1)
    return np.asarray(np.einsum("ij,ijk->ik", weights, corners))


def _grid(corners: Floats) -> _Grid:
    low, high = corners.min(axis=1), corners.max(axis=1)
    origin = low.min(axis=0)
    span = np.maximum(high.max(axis=0) - origin, 1e-9)
    wanted = float(np.clip((2.0 * len(corners)) ** (1 / 3), 1, _MOST_CELLS))
    while True:
        edge = float(span.max()) / wanted
        cells = np.clip(np.ceil(span / edge), 1, _MOST_CELLS).astype(np.int64)
        size = span / cells
        first = np.clip(((low - origin) / size).astype(np.int64), 0, cells - 1)
        last = np.clip(((high - origin) / size).astype(np.int64), 0, cells - 1)
        counts = (last - first + 1).prod(axis=1)
        if counts.sum() <= _MOST_ENTRIES or wanted <= 1:
            break
        wanted = max(1.0, wanted / 2)
    triangle = np.repeat(np.arange(len(corners)), counts)
    # The how-manieth cell of its triangle each entry is, counted along z, then y, then x.
    within = np.arange(len(triangle)) - np.repeat(np.cumsum(counts) - counts, counts)
    spans = (last - first + 1)[triangle]
    along_x = within // (spans[:, 1] * spans[:, 2]) + first[triangle, 0]
    along_y = within // spans[:, 2] % spans[:, 1] + first[triangle, 1]
    along_z = within % spans[:, 2] + first[triangle, 2]
    cell = (along_x * cells[1] + along_y) * cells[2] + along_z
    order = np.argsort(cell, kind="stable")
    starts = np.searchsorted(cell[order], np.arange(int(cells.prod()) + 1))
    return _Grid(origin, size, cells, starts, triangle[order])


def _follow(corners: Floats, starts: Floats, ways: Floats, own: Ints) -> tuple[Floats, Ints]:
    """Return how far each ray goes and by which triangle it leaves.

    A triangle of -1 says that it left by none, -2 that the work allowed was used up.

    :param own: the triangle each ray starts from.
    """
    grid = _grid(corners)
    count = len(starts)
    far, by = np.full(count, np.inf), np.full(count, -2, np.int64)
    cell = np.clip(((starts - grid.origin) / grid.size).astype(np.int64), 0, grid.cells - 1)
    step = np.where(ways > 0, 1, -1)
    with np.errstate(divide="ignore", invalid="ignore"):
        wall = grid.origin + (cell + (ways > 0)) * grid.size
        next_wall = np.where(ways != 0, (wall - starts) / ways, np.inf)
        each = np.where(ways != 0, grid.size / np.abs(ways), np.inf)
    active = np.arange(count)
    tests = 0
    for _ in range(int(grid.cells.sum()) + 1):
        if not len(active) or tests > _MOST_TESTS:
            break
        tests += _meet(corners, grid, starts, ways, own, active, cell, far, by)
        leaves = next_wall[active].min(axis=1)
        is_over = far[active] <= leaves
        active = active[~is_over]
        axis = next_wall[active].argmin(axis=1)
        cell[active, axis] += step[active, axis]
        next_wall[active, axis] += each[active, axis]
        at = cell[active, axis]
        out = (at < 0) | (at >= grid.cells[axis])
        gone = active[out]
        by[gone] = np.maximum(by[gone], -1)
        active = active[~out]
    return far, by


def _meet(
    corners: Floats,
    grid: _Grid,
    starts: Floats,
    ways: Floats,
    own: Ints,
    active: Ints,
    cell: Ints,
    far: Floats,
    by: Ints,
) -> int:
    """Test the active rays against the triangles of the cells they are in; return how many."""
    here = cell[active]
    number = (here[:, 0] * grid.cells[1] + here[:, 1]) * grid.cells[2] + here[:, 2]
    first, counts = grid.starts[number], grid.starts[number + 1] - grid.starts[number]
    tests = 0
    before = np.cumsum(counts) - counts
    # Rays in batches that fit in memory whatever a cell holds.
    for lot in np.split(np.arange(len(active)), np.flatnonzero(np.diff(before // _BATCH)) + 1):
        lengths = np.minimum(counts[lot], _BATCH)
        ray = np.repeat(active[lot], lengths)
        offset = np.arange(len(ray)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        triangle = grid.entries[np.repeat(first[lot], lengths) + offset]
        tests += len(ray)
        distance = _distances(corners[triangle], starts[ray], ways[ray])
        good = (distance > 0) & (triangle != own[ray])
        ray, triangle, distance = ray[good], triangle[good], distance[good]
        order = np.argsort(-distance, kind="stable")
        ray, triangle, distance = ray[order], triangle[order], distance[order]
        nearer = distance < far[ray]
        # Of several to the same ray the last, nearest one is written.
        far[ray[nearer]] = distance[nearer]
        by[ray[nearer]] = triangle[nearer]
    return tests


def _distances(corners: Floats, starts: Floats, ways: Floats) -> Floats:
    """Return how far each ray is from leaving by its triangle; 0 where it does not.

    Source: T. Möller, B. Trumbore, Fast, minimum storage ray/triangle intersection, 1997.
    """
    one, other = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    across = np.cross(ways, other)
    size = np.einsum("ij,ij->i", one, across)
    from_corner = starts - corners[:, 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        u = np.einsum("ij,ij->i", from_corner, across) / size
        side = np.cross(from_corner, one)
        v = np.einsum("ij,ij->i", ways, side) / size
        far = np.einsum("ij,ij->i", other, side) / size
        # Only outward: neighbours that the ray started beside look across it or against it.
        hit: Bools = (size < 0) & (u >= 0) & (v >= 0) & (u + v <= 1)
    return np.where(hit & (far > 1e-7), far, 0.0)
