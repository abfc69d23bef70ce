"""A shaded picture of triangles: each is filled row by row, the nearest at each pixel is seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np

from jobs.analysis.arrays import Bools, Bytes, Floats, Ints
from jobs.analysis.mesh.surface import Surface, normals_and_areas

FieldT = TypeVar("FieldT", Floats, Bools)

MOST_PIXELS: Final = 24_000_000  # filled, those that are hidden later included
_BATCH: Final = 2_000_000
_FINER: Final = 2  # pixels along each side that become one
_MARGIN: Final = 0.06
# Looked at from front, right and above, as drawings are; light from the left behind the eye.
_AZIMUTH, _HEIGHT = np.radians(-55.0), np.radians(28.0)
_LIGHT: Final = np.array([-0.25, 0.75, 0.6])
_BODY: Final = np.array([78.0, 154.0, 166.0])  # readable on light and on dark ground
_EDGE: Final = 0.55
_CREASE: Final = 0.86  # cosine between neighbours from which an edge is drawn


@dataclass(frozen=True, slots=True)
class View:
    """Triangles as the eye sees them: x right, y up, z towards the eye, in pixels."""

    corners: Floats  # (t, 3, 3)
    normals: Floats  # (t, 3)


def picture_of(surface: Surface, width: int = 480, height: int = 360) -> Bytes:
    """Return a shaded picture of shape (height, width, 4) on a clear ground."""
    fine = (width * _FINER, height * _FINER)
    view = _seen(surface, fine)
    shown = _nearest(view, fine)
    colour = _shaded(view, shown)
    return halved(colour, shown >= 0)


def eye_axes() -> Floats:
    """Return right, up and towards the eye as columns, shape (3, 3)."""
    cos_a, sin_a = np.cos(_AZIMUTH), np.sin(_AZIMUTH)
    cos_h, sin_h = np.cos(_HEIGHT), np.sin(_HEIGHT)
    eye = np.array([cos_a * cos_h, sin_a * cos_h, sin_h])
    right = np.array([-sin_a, cos_a, 0.0])
    return np.stack((right, np.cross(eye, right), eye), axis=1)


def _seen(surface: Surface, size: tuple[int, int]) -> View:
    normals, areas = normals_and_areas(surface)
    axes = eye_axes()
    places = surface.vertices @ axes
    low, high = places.min(axis=0), places.max(axis=0)
    room = np.array(size) * (1 - 2 * _MARGIN)
    scale = float((room / np.maximum((high - low)[:2], 1e-9)).min())
    places = (places - (low + high) / 2) * scale + np.array([size[0] / 2, size[1] / 2, 0.0])
    facing = normals @ axes
    # Back faces too: a part with a hole shows its inside rather than nothing.
    chosen = np.flatnonzero(areas > 0)
    return View(places[surface.faces[chosen]], facing[chosen])


def _nearest(view: View, size: tuple[int, int]) -> Ints:
    """Return which triangle is seen at each pixel, shape (height, width); -1 for none."""
    width, height = size
    best = np.full(width * height, -np.inf)
    shown = np.full(width * height, -1, np.int64)
    corners = view.corners
    spans = np.ptp(corners[:, :, 1], axis=1) + 1
    area = np.abs(_flat_area(corners)) + spans
    every = max(1, int(area.sum() // MOST_PIXELS) + 1)
    chosen = np.arange(0, len(corners), every)
    lots = np.cumsum(area[chosen]) // _BATCH
    for lot in np.split(chosen, np.flatnonzero(np.diff(lots)) + 1):
        pixel, depth, triangle = _filled(corners[lot], lot, width, height)
        order = np.argsort(depth, kind="stable")
        pixel, depth, triangle = pixel[order], depth[order], triangle[order]
        nearer = depth > best[pixel]
        # Of several at one pixel the last, nearest one is written.
        best[pixel[nearer]] = depth[nearer]
        shown[pixel[nearer]] = triangle[nearer]
    return shown.reshape(height, width)[::-1]


def _flat_area(corners: Floats) -> Floats:
    one, other = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    return np.asarray((one[:, 0] * other[:, 1] - one[:, 1] * other[:, 0]) / 2)


def _filled(corners: Floats, number: Ints, width: int, height: int) -> tuple[Ints, Floats, Ints]:
    """Return pixels within triangles, how near each is, and the triangle's number."""
    low = np.clip(np.ceil(corners[:, :, 1].min(axis=1) - 0.5), 0, height).astype(np.int64)
    high = np.clip(np.ceil(corners[:, :, 1].max(axis=1) - 0.5), 0, height).astype(np.int64)
    rows = high - low
    triangle = np.repeat(np.arange(len(corners)), rows)
    y = np.arange(len(triangle)) - np.repeat(np.cumsum(rows) - rows, rows) + low[triangle]
    left, right = _span(corners[triangle], y + 0.5)
    first = np.clip(np.ceil(left - 0.5), 0, width).astype(np.int64)
    counts = np.maximum(np.clip(np.ceil(right - 0.5), 0, width).astype(np.int64) - first, 0)
    row = np.repeat(np.arange(len(counts)), counts)
    x = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts) + first[row]
    which, y = triangle[row], y[row]
    slope_x, slope_y, start = _plane(corners)
    depth = start[which] + slope_x[which] * (x + 0.5) + slope_y[which] * (y + 0.5)
    return y * width + x, depth, number[which]


def _span(corners: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Return where rows at height *y* cross the sides of their triangles."""
    left, right = np.full(len(y), np.inf), np.full(len(y), -np.inf)
    for side in range(3):
        a, b = corners[:, side], corners[:, (side + 1) % 3]
        crosses = (a[:, 1] <= y) != (b[:, 1] <= y)
        rise = np.where(crosses, b[:, 1] - a[:, 1], 1.0)
        x = a[:, 0] + (y - a[:, 1]) / rise * (b[:, 0] - a[:, 0])
        left = np.where(crosses, np.minimum(left, x), left)
        right = np.where(crosses, np.maximum(right, x), right)
    is_empty = right < left
    return np.where(is_empty, 0.0, left), np.where(is_empty, 0.0, right)


def _plane(corners: Floats) -> tuple[Floats, Floats, Floats]:
    """Return depth as slope along x, along y, and at zero, of each triangle's plane."""
    one, other = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    across = np.cross(one, other)
    upright = np.where(np.abs(across[:, 2]) < 1e-12, np.inf, across[:, 2])
    slope_x, slope_y = -across[:, 0] / upright, -across[:, 1] / upright
    start = corners[:, 0, 2] - slope_x * corners[:, 0, 0] - slope_y * corners[:, 0, 1]
    return slope_x, slope_y, start


def _shaded(view: View, shown: Ints) -> Floats:
    """Return colours of shape (height, width, 3): light by where a face looks, edges darker."""
    normals = view.normals[np.maximum(shown, 0)]
    normals = np.where(normals[..., 2:] < 0, -normals, normals)
    light = normals @ (_LIGHT / np.linalg.norm(_LIGHT))
    colour = _BODY * (0.42 + 0.68 * np.clip(light, 0, 1))[..., None]
    is_edge = np.zeros(shown.shape, bool)
    for axis in (0, 1):
        one, other = _shifted(normals, axis)
        seen, beside = _shifted(shown >= 0, axis)
        bends = ((one * other).sum(axis=-1) < _CREASE) & seen & beside
        edge = is_edge[:-1] if axis == 0 else is_edge[:, :-1]
        edge |= bends | (seen != beside)
    colour[is_edge] *= _EDGE
    return np.asarray(np.clip(colour, 0, 255))


def _shifted(field: FieldT, axis: int) -> tuple[FieldT, FieldT]:
    """Return a field and what lies beside each of its pixels."""
    return (field[:-1], field[1:]) if axis == 0 else (field[:, :-1], field[:, 1:])


def halved(colour: Floats, seen: Bools) -> Bytes:
    """Return a picture of half the size, each pixel the mean of what is seen of four.

    :param colour: shape (2 height, 2 width, 3); *seen* without the last.
    """
    height, width = seen.shape[0] // _FINER, seen.shape[1] // _FINER
    share = seen.reshape(height, _FINER, width, _FINER).mean(axis=(1, 3))
    lit = np.where(seen[..., None], colour, 0.0)
    lit = lit.reshape(height, _FINER, width, _FINER, 3).mean(axis=(1, 3))
    mean = np.divide(lit, share[..., None], out=np.zeros_like(lit), where=share[..., None] > 0)
    picture = np.concatenate((mean, share[..., None] * 255), axis=2)
    return np.asarray(np.round(picture), np.uint8)
