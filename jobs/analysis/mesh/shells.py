"""Which way the triangles of a surface face, shell by shell, and which of them are wrong."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from jobs.analysis.arrays import Bools, Floats, Ints
from jobs.analysis.mesh.surface import Edges, Surface, volumes

# More shells than these are no cavities of an honest part, and each look costs a pass.
_MOST_LOOKS = 64
# Runs along no edge of anything that people draw.
_ASKEW = np.array([0.5361, 0.3217, 0.7804])


def shells_of(edges: Edges, triangles: int) -> tuple[int, Ints, Bools]:
    """Return the shells, the shell of each triangle, and which triangles run against theirs.

    A shell hangs together by edges that exactly two triangles share. Of the two ways to turn
    all of a shell alike, the one that more of its triangles have is taken for right. A surface
    with one side only (Möbius) has no right way; nothing of it is called wrong.
    """
    pairs = np.flatnonzero(edges.uses == 2)
    starts = np.concatenate(([0], np.cumsum(edges.uses)))[pairs]
    one, other = edges.face[starts], edges.face[starts + 1]
    same = edges.forward[starts] == edges.forward[starts + 1]  # they run against each other
    # Each triangle stands here twice: as it is, and turned over.
    rows = np.concatenate((one, one + triangles))
    columns = np.concatenate(
        (np.where(same, other + triangles, other), np.where(same, other, other + triangles))
    )
    graph = coo_array(
        (np.ones(len(rows), np.int8), (rows, columns)), shape=(2 * triangles, 2 * triangles)
    )
    _, labels = connected_components(graph, directed=False)
    as_is, turned = labels[:triangles].astype(np.int64), labels[triangles:].astype(np.int64)
    likes = np.bincount(as_is, minlength=int(labels.max(initial=0)) + 1)
    wrong = (likes[as_is] < likes[turned]) | ((likes[as_is] == likes[turned]) & (as_is > turned))
    _, shell = np.unique(np.minimum(as_is, turned), return_inverse=True)
    return int(shell.max(initial=-1)) + 1, shell.astype(np.int64), wrong


def closed_shells(edges: Edges, shell: Ints, count: int) -> Bools:
    """Return which shells have no open edge, shape (count,)."""
    is_closed = np.ones(count, bool)
    is_closed[shell[edges.face[(edges.uses % 2 == 1)[edges.group]]]] = False
    return is_closed


def inside_out(surface: Surface, shell: Ints, count: int, closed: Bools) -> tuple[Bools, Bools]:
    """Return which shells are inside out, and which are cavities; both shape (count,).

    A closed shell that encloses less than nothing is a cavity where it lies within the solid,
    else it is inside out.
    """
    signed = np.bincount(shell, volumes_about(surface, shell, count), minlength=count)
    negative = closed & (signed < 0)
    cavities = np.zeros(count, bool)
    solid = np.isin(shell, np.flatnonzero(closed & (signed > 0)))
    if solid.any():
        for number in np.flatnonzero(negative)[:_MOST_LOOKS]:
            first = int(np.argmax(shell == number))
            start = surface.corners[first].mean(axis=0)
            cavities[number] = turns_around(start, surface.corners[solid]) > 0
    return negative & ~cavities, cavities


def volumes_about(surface: Surface, shell: Ints, count: int) -> Floats:
    """Return each triangle's signed volume seen from the middle of its own shell, shape (t,)."""
    if count == 1:
        return volumes(surface)
    corners = surface.corners
    uses = np.maximum(np.bincount(shell, minlength=count), 1)
    middles = np.stack(
        [
            np.bincount(shell, corners[:, :, axis].mean(axis=1), minlength=count) / uses
            for axis in range(3)
        ],
        axis=1,
    )
    corners = corners - middles[shell][:, None, :]
    across = np.cross(corners[:, 1], corners[:, 2])
    return np.asarray(np.einsum("ij,ij->i", corners[:, 0], across) / 6.0)


def turns_around(start: Floats, corners: Floats) -> int:
    """Return how often closed triangles of shape (t, 3, 3) lie around a place: 0 is outside."""
    one, other = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    across = np.cross(_ASKEW, other)
    size = np.einsum("ij,ij->i", one, across)
    with np.errstate(divide="ignore", invalid="ignore"):
        from_corner = start - corners[:, 0]
        u = np.einsum("ij,ij->i", from_corner, across) / size
        side = np.cross(from_corner, one)
        v = side @ _ASKEW / size
        far = np.einsum("ij,ij->i", other, side) / size
        hit = (u >= 0) & (v >= 0) & (u + v <= 1) & (far > 0)
    # Möller and Trumbore; *size* is negative where the ray leaves a solid.
    return int(np.sum(np.where(size[hit] < 0, 1, -1)))
