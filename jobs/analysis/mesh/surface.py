"""A surface of triangles as numpy columns: its edges, its pieces, what it encloses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from jobs.analysis.arrays import Bools, Floats, Ints


@dataclass(frozen=True, slots=True)
class Surface:
    """Triangles that share corners.

    :param vertices: corners [mm], shape (v, 3).
    :param faces: their rows in *vertices*, shape (t, 3); seen from outside they run left.
    """

    vertices: Floats
    faces: Ints

    @property
    def corners(self) -> Floats:
        """Return the places of each triangle's corners, shape (t, 3, 3)."""
        return np.asarray(self.vertices[self.faces])

    @property
    def bounds(self) -> Floats:
        """Return the lowest and the highest corner of the box around it, shape (2, 3)."""
        return np.array([self.vertices.min(axis=0), self.vertices.max(axis=0)])


@dataclass(frozen=True, slots=True)
class Edges:
    """Every side of every triangle, those between the same two corners beside each other.

    :param face: the triangle it belongs to, shape (3 t,).
    :param forward: whether the triangle runs along it from the lower to the higher corner.
    :param group: number of the edge it lies on, ascending, shape (3 t,).
    :param uses: how many triangles share each edge, shape (e,).
    :param turn: runs forward less runs backward on each edge, shape (e,); 0 if balanced.
    :param ends: the two corners of each edge, lower first, shape (e, 2).
    """

    face: Ints
    forward: Bools
    group: Ints
    uses: Ints
    turn: Ints
    ends: Ints

    @property
    def watertight(self) -> bool:
        """Tell whether no edge is left open: each is shared by an even number of triangles."""
        return len(self.uses) > 0 and not (self.uses % 2).any()

    def of_faces(self, chosen: Bools) -> Ints:
        """Return the edges of some triangles, chosen by a mask of shape (t,)."""
        return np.unique(self.group[chosen[self.face]])


def edges_of(faces: Ints) -> Edges:
    """Return the edges of triangles of shape (t, 3)."""
    starts = faces.ravel()
    stops = faces[:, (1, 2, 0)].ravel()
    low, high = np.minimum(starts, stops), np.maximum(starts, stops)
    key = low * (int(faces.max(initial=0)) + 1) + high
    order = np.argsort(key, kind="stable")
    sorted_key = key[order]
    is_first = np.ones(len(key), bool)
    is_first[1:] = sorted_key[1:] != sorted_key[:-1]
    firsts = np.flatnonzero(is_first)
    forward = (starts < stops)[order]
    ends = np.stack((low[order][firsts], high[order][firsts]), axis=1)
    if not len(firsts):
        return Edges(order // 3, forward, order, firsts, firsts, ends)
    turn = np.add.reduceat(np.where(forward, 1, -1), firsts)
    uses = np.diff(np.append(firsts, len(key)))
    return Edges(order // 3, forward, np.cumsum(is_first) - 1, uses, turn, ends)


def joined(points: Floats, faces: Ints | None = None) -> Surface:
    """Return a surface whose equal corners are one, and without corners that nothing uses.

    :param points: shape (v, 3); without *faces* three in a row are a triangle.
    """
    if faces is None:
        faces = np.arange(len(points), dtype=np.int64).reshape(-1, 3)
    # Adding zero makes −0 and 0 one place.
    codes = [np.unique(points[:, axis] + 0.0, return_inverse=True)[1] for axis in range(3)]
    plane = codes[0].astype(np.int64) * (int(codes[1].max(initial=0)) + 1) + codes[1]
    plane = np.unique(plane, return_inverse=True)[1].astype(np.int64)
    key = plane * (int(codes[2].max(initial=0)) + 1) + codes[2]
    used = np.zeros(len(points), bool)
    used[faces] = True
    _, first, inverse = np.unique(key[used], return_index=True, return_inverse=True)
    place = np.zeros(len(points), np.int64)
    place[used] = inverse
    return Surface(points[used][first] + 0.0, place[faces])


def pieces_of(surface: Surface) -> tuple[int, Ints]:
    """Return how many pieces hang together by their corners, and the piece of each triangle."""
    faces, size = surface.faces, len(surface.vertices)
    rows = np.concatenate((faces[:, 0], faces[:, 1]))
    columns = np.concatenate((faces[:, 1], faces[:, 2]))
    graph = coo_array((np.ones(len(rows), np.int8), (rows, columns)), shape=(size, size))
    count, labels = connected_components(graph, directed=False)
    return int(count), labels.astype(np.int64)[faces[:, 0]]


def normals_and_areas(surface: Surface) -> tuple[Floats, Floats]:
    """Return unit normals, shape (t, 3), zero where there is no area, and areas [mm²]."""
    corners = surface.corners
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    length = np.sqrt(np.einsum("ij,ij->i", across, across))
    with np.errstate(invalid="ignore", divide="ignore"):
        normals = np.where(length[:, None] > 0, across / length[:, None], 0.0)
    return normals, length / 2.0


def volumes(surface: Surface) -> Floats:
    """Return the signed volume under each triangle [mm³], seen from the middle; shape (t,).

    Their sum is the volume inside where the surface is closed.
    """
    corners = surface.corners - surface.bounds.mean(axis=0)
    across = np.cross(corners[:, 1], corners[:, 2])
    return np.asarray(np.einsum("ij,ij->i", corners[:, 0], across) / 6.0)
