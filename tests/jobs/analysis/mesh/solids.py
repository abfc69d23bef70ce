"""Solids whose numbers are known by formula, and how they are written to files."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np

from jobs.analysis.arrays import Floats
from jobs.analysis.mesh.surface import Surface, joined

BOX_FACES = np.array([
    (0, 1, 3), (0, 3, 2), (4, 6, 7), (4, 7, 5), (0, 4, 5), (0, 5, 1), (2, 3, 7), (2, 7, 6),
    (0, 2, 6), (0, 6, 4), (1, 5, 7), (1, 7, 3),
])  # fmt: skip


def box(x: float = 20.0, y: float = 10.0, z: float = 5.0, at: Floats | None = None) -> Surface:
    """A box with a corner at *at*."""
    corners = np.array([[a, b, c] for a in (0, x) for b in (0, y) for c in (0, z)], float)
    return joined(corners + (0 if at is None else at), BOX_FACES)


def swept(place: Callable[[Floats, Floats], Floats], rows: int, columns: int) -> Surface:
    """A surface over a grid that closes both ways; *place* gives shape (n, 3) for u, v in 0-1."""
    u, v = (np.arange(rows + 1) % rows) / rows, (np.arange(columns + 1) % columns) / columns
    grid = place(np.repeat(u, columns + 1), np.tile(v, rows + 1)).reshape(rows + 1, columns + 1, 3)
    a, b, c, d = grid[:-1, :-1], grid[1:, :-1], grid[1:, 1:], grid[:-1, 1:]
    corners = np.stack((a, b, c, a, c, d), axis=2).reshape(-1, 3)
    surface = joined(np.round(corners, 9))
    apart = np.sort(surface.faces, axis=1)
    return Surface(surface.vertices, surface.faces[(np.diff(apart, axis=1) != 0).all(axis=1)])


def torus(large: float, small: float, rows: int = 120, columns: int = 60) -> Surface:
    """A ring whose tube has radius *small*."""

    def place(u: Floats, v: Floats) -> Floats:
        a, b = 2 * np.pi * u, 2 * np.pi * v
        out = large + small * np.cos(b)
        return np.stack((out * np.cos(a), out * np.sin(a), small * np.sin(b)), axis=1)

    return swept(place, rows, columns)


def tube(outer: float, wall: float, height: float, rows: int = 180) -> Surface:
    """An upright pipe."""
    profile = np.array([
        [outer, 0.0], [outer, height], [outer - wall, height], [outer - wall, 0.0]
    ])  # fmt: skip

    def place(u: Floats, v: Floats) -> Floats:
        a = 2 * np.pi * u
        at = profile[np.round(v * 4).astype(int) % 4]
        return np.stack((at[:, 0] * np.cos(a), at[:, 0] * np.sin(a), at[:, 1]), axis=1)

    return swept(place, rows, 4)


def sphere(radius: float, rows: int = 96, columns: int = 48) -> Surface:
    """A ball of rings; its poles are single corners."""

    def ring(number: int) -> Floats:
        b = np.pi * number / columns
        a = 2 * np.pi * np.arange(rows) / rows
        out = radius * np.sin(b)
        z = np.full(rows, -radius * np.cos(b))
        return np.stack((out * np.cos(a), out * np.sin(a), z), axis=1)

    rings = np.array([ring(number) for number in range(columns + 1)])
    rings[0, :, :2] = rings[-1, :, :2] = 0.0
    a, b = rings[:-1], np.roll(rings, -1, axis=1)[:-1]
    c, d = np.roll(rings, -1, axis=1)[1:], rings[1:]
    corners = np.stack((a, b, c, a, c, d), axis=2).reshape(-1, 3)
    surface = joined(np.round(corners, 9))
    apart = np.sort(surface.faces, axis=1)
    return Surface(surface.vertices, surface.faces[(np.diff(apart, axis=1) != 0).all(axis=1)])


def together(*surfaces: Surface) -> Surface:
    """Several surfaces as one file has them."""
    return joined(np.concatenate([one.corners.reshape(-1, 3) for one in surfaces]))


def inward(surface: Surface) -> Surface:
    """The same, inside out."""
    return Surface(surface.vertices, surface.faces[:, ::-1])


def save(path: Path, surface: Surface, scale: float = 1.0) -> Path:
    """Write a binary STL, apart from the code under test."""
    records = b"".join(
        struct.pack("<12fH", 0, 0, 0, *(corner * scale).ravel(), 0) for corner in surface.corners
    )
    path.write_bytes(b"a test".ljust(80) + struct.pack("<I", len(surface.faces)) + records)
    return path
