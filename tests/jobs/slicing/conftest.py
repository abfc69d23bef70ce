"""A printer, our own mesh, and boxes to slice."""

import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from jobs.designs import example_folder
from jobs.domain.machine import MachineLimits


@pytest.fixture
def printer() -> MachineLimits:
    return MachineLimits(
        envelope_mm=(220.0, 210.0, 250.0),
        nozzle_max_c=260.0,
        bed_max_c=110.0,
        nozzle_mm=0.4,
        filament_mm=1.75,
    )


@pytest.fixture
def comb() -> Path:
    return example_folder() / "bench-comb.stl"


@pytest.fixture
def box(tmp_path: Path) -> Callable[..., Path]:
    """Return a maker of boxes; *cut* lowers one corner of the top."""

    def make(x: float = 20.0, y: float = 20.0, z: float = 4.0, *, cut: float = 0.0) -> Path:
        corners = [(i & 1, i >> 1 & 1, i >> 2) for i in range(8)]
        points = [(a * x, b * y, c * z) for a, b, c in corners]
        points[7] = (x, y, z - cut)
        quads = [(0, 2, 3, 1), (4, 5, 7, 6), (0, 1, 5, 4), (2, 6, 7, 3), (0, 4, 6, 2), (1, 3, 7, 5)]
        triangles = [(q[0], q[i], q[i + 1]) for q in quads for i in (1, 2)]
        body = b"".join(
            struct.pack("<12fH", 0, 0, 0, *(v for i in t for v in points[i]), 0) for t in triangles
        )
        path = tmp_path / "box.stl"
        path.write_bytes(bytes(80) + struct.pack("<I", len(triangles)) + body)
        return path

    return make
