"""A repaired copy of a surface, and in numbers what was changed; the original is never touched."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from jobs.analysis.arrays import Bools, Floats, Ints
from jobs.analysis.mesh.holes import lid, open_rims
from jobs.analysis.mesh.shells import closed_shells, inside_out, shells_of
from jobs.analysis.mesh.surface import Edges, Surface, edges_of, joined, volumes

# Corners this near, beside an open edge, were meant to be one: files round to a few digits.
_NEAR = 1e-4  # of the diagonal
_NEAREST_MM = 0.005
_NEIGHBOURS = 6
_MOST_RIM_CORNERS = 200_000


@dataclass(frozen=True, slots=True)
class Changes:
    """What a repair did; all zero where there was nothing to do."""

    merged_vertices: int = 0
    removed_collapsed: int = 0  # triangles that had become a line or a point
    removed_duplicates: int = 0
    flipped_faces: int = 0
    filled_holes: int = 0
    added_faces: int = 0

    def __bool__(self) -> bool:
        return any(asdict(self).values())


@dataclass(frozen=True, slots=True)
class Defects:
    """What is wrong with a surface as it stands.

    :param open_edges: edges that belong to one triangle only.
    :param holes: rims they make.
    :param branching_edges: edges that more than two triangles share.
    :param inverted_faces: triangles that look the wrong way.
    :param degenerate_faces: triangles without area.
    :param duplicate_faces: triangles that are there twice.
    """

    open_edges: int
    holes: int
    branching_edges: int
    inverted_faces: int
    degenerate_faces: int
    duplicate_faces: int


def defects_of(surface: Surface, edges: Edges, areas: Floats) -> Defects:
    """Count what is wrong.

    :param areas: of the triangles [mm²], shape (t,).
    """
    wrong, _ = _wrong_faces(surface, edges)
    return Defects(
        open_edges=int(np.sum(edges.uses == 1)),
        holes=len(open_rims(edges)),
        branching_edges=int(np.sum(edges.uses > 2)),
        inverted_faces=int(wrong.sum()),
        degenerate_faces=int(np.sum(_collapsed(surface.faces) | (areas <= 0.0))),
        duplicate_faces=int(_doubled(surface.faces).sum()),
    )


def cavities_of(surface: Surface, edges: Edges) -> int:
    """Return how many hollows lie wholly within."""
    return int(_wrong_faces(surface, edges)[1])


def volume_of(surface: Surface) -> float:
    """Return the volume inside [mm³]; only meaningful where it is closed."""
    return abs(float(volumes(surface).sum()))


def mended(surface: Surface) -> tuple[Surface, Changes]:
    """Return a repaired copy and what was changed.

    In this order: corners beside open edges that lie on each other become one, triangles that
    collapsed and those that are there twice go, holes with a flat rim are closed, and triangles
    are turned to look outward. Surfaces that cut through each other are left as they are.
    """
    surface, merged = _merged(surface)
    collapsed = _collapsed(surface.faces)
    surface = Surface(surface.vertices, surface.faces[~collapsed])
    doubled = _doubled(surface.faces)
    surface = Surface(surface.vertices, surface.faces[~doubled])
    # Rims run rightly only where neighbours agree; which of both sides is outside waits for lids.
    surface, aligned = _aligned(surface)
    surface, holes, added = _closed(surface)
    wrong, _ = _wrong_faces(surface, edges_of(surface.faces))
    turned = np.zeros(len(wrong), bool)
    turned[: len(aligned)] = aligned
    turned ^= wrong
    surface = joined(surface.vertices, _turned(surface.faces, wrong))
    return surface, Changes(
        merged_vertices=merged,
        removed_collapsed=int(collapsed.sum()),
        removed_duplicates=int(doubled.sum()),
        flipped_faces=int(turned[: len(aligned)].sum()),
        filled_holes=holes,
        added_faces=added,
    )


def _merged(surface: Surface) -> tuple[Surface, int]:
    """Make corners on open edges one where they lie on each other; return how many went."""
    edges = edges_of(surface.faces)
    rim = np.unique(edges.ends[edges.uses == 1])
    if not 2 <= len(rim) <= _MOST_RIM_CORNERS:
        return surface, 0
    places = surface.vertices[rim]
    near = min(_NEAREST_MM, _NEAR * float(np.linalg.norm(np.ptp(surface.bounds, axis=0))))
    _, neighbours = cKDTree(places).query(
        places, k=min(_NEIGHBOURS, len(rim)), distance_upper_bound=near
    )
    rows = np.repeat(np.arange(len(rim)), neighbours.shape[1])
    columns = neighbours.ravel()
    found = columns < len(rim)
    graph = coo_array(
        (np.ones(int(found.sum()), np.int8), (rows[found], columns[found])),
        shape=(len(rim), len(rim)),
    )
    count, labels = connected_components(graph, directed=False)
    if count == len(rim):
        return surface, 0
    _, first = np.unique(labels, return_index=True)
    stands_for = np.arange(len(surface.vertices))
    stands_for[rim] = rim[first[labels]]
    merged = Surface(surface.vertices, stands_for[surface.faces])
    return merged, len(rim) - int(count)


def _collapsed(faces: Ints) -> Bools:
    return np.asarray(
        (faces[:, 0] == faces[:, 1]) | (faces[:, 1] == faces[:, 2]) | (faces[:, 0] == faces[:, 2])
    )


def _doubled(faces: Ints) -> Bools:
    """Return which triangles are there already, shape (t,).

    A pair that looks both ways is a wall of no thickness, and both of it go where nothing else
    would come open.
    """
    size = int(faces.max(initial=0)) + 1
    low, middle, high = np.sort(faces, axis=1).T
    pair = np.unique(low * size + middle, return_inverse=True)[1].astype(np.int64)
    order = np.lexsort((high, pair))
    key = np.stack((pair[order], high[order]), axis=1)
    again = np.zeros(len(faces), bool)
    again[1:] = (key[1:] == key[:-1]).all(axis=1)
    doubled = np.zeros(len(faces), bool)
    doubled[order] = again
    if again.any():
        walls = _thin_walls(faces, order, again)
        # Of a whole that is there twice, once outside in, one must stay.
        if (doubled | walls).sum() * 2 < len(faces):
            doubled |= walls
    return doubled


def _thin_walls(faces: Ints, order: Ints, again: Bools) -> Bools:
    """Return which triangles are half of a wall of no thickness, with no open edge about it."""
    seconds = np.flatnonzero(again)
    seconds = seconds[~again[seconds - 1] & ~np.append(again, False)[seconds + 1]]
    one, other = order[seconds - 1], order[seconds]
    edges = edges_of(faces)
    is_even = np.ones(len(faces), bool)
    is_even[edges.face[(edges.uses % 2 == 1)[edges.group]]] = False
    is_wall = is_even[one] & (_runs_up(faces[one]) != _runs_up(faces[other]))
    walls = np.zeros(len(faces), bool)
    walls[one[is_wall]] = walls[other[is_wall]] = True
    return walls


def _runs_up(faces: Ints) -> Bools:
    """Tell of each triangle whether its corners run as their sorted numbers do, or against."""
    rank = np.argsort(np.argsort(faces, axis=1), axis=1)
    return np.asarray((rank[:, 1] - rank[:, 0]) % 3 == 1)


def _aligned(surface: Surface) -> tuple[Surface, Bools]:
    edges = edges_of(surface.faces)
    _, _, wrong = shells_of(edges, len(surface.faces))
    return Surface(surface.vertices, _turned(surface.faces, wrong)), wrong


def _closed(surface: Surface) -> tuple[Surface, int, int]:
    """Close what holes can be closed; return how many, and with how many triangles."""
    rims = open_rims(edges_of(surface.faces))
    lids = [made for rim in rims if (made := lid(surface, rim)) is not None]
    if not lids:
        return surface, 0, 0
    faces = np.concatenate((surface.faces, *lids))
    return Surface(surface.vertices, faces), len(lids), len(faces) - len(surface.faces)


def _wrong_faces(surface: Surface, edges: Edges) -> tuple[Bools, int]:
    """Return which triangles look the wrong way, and how many cavities there are."""
    count, shell, wrong = shells_of(edges, len(surface.faces))
    aligned = Surface(surface.vertices, _turned(surface.faces, wrong))
    inverted, cavities = inside_out(aligned, shell, count, closed_shells(edges, shell, count))
    return wrong ^ inverted[shell], int(cavities.sum())


def _turned(faces: Ints, which: Bools) -> Ints:
    return np.where(which[:, None], faces[:, ::-1], faces)
