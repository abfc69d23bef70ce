"""Our own design: its files are what its script makes, and it can be made."""

import math
import runpy
import struct
from collections import Counter

import pytest

from jobs.designs import example_folder
from jobs.slicing.plywood import Tag, tag_program

MAKE = runpy.run_path(str(example_folder() / "make.py"))


def test_the_script_makes_the_mesh_byte_for_byte():
    assert MAKE["stl"](MAKE["Comb"]()) == (example_folder() / "bench-comb.stl").read_bytes()


def test_the_generator_makes_the_tag_s_program_byte_for_byte():
    assert tag_program(Tag()) == (example_folder() / "plywood-tag.nc").read_text()


def test_the_mesh_is_small_enough_to_be_committed():
    assert (example_folder() / "bench-comb.stl").stat().st_size <= 60_000


@pytest.mark.parametrize(
    "changes", [{}, {"slots": 1, "pitch": 30.0}, {"slots": 6}, {"slot": 9.0, "mouth": 6.0}]
)
def test_every_comb_is_watertight_and_has_the_volume_of_its_outline(changes):
    comb = MAKE["Comb"](**changes)
    raw = MAKE["stl"](comb)
    facets = [values[3:12] for values in struct.iter_unpack("<12fH", raw[84:])]
    edges: Counter = Counter()
    volume = 0.0
    for f in facets:
        a, b, c = f[0:3], f[3:6], f[6:9]
        edges.update([(a, b), (b, c), (c, a)])
        volume += (
            a[0] * (b[1] * c[2] - b[2] * c[1])
            - a[1] * (b[0] * c[2] - b[2] * c[0])
            + a[2] * (b[0] * c[1] - b[1] * c[0])
        ) / 6
    assert set(edges.values()) == {1}
    assert all((end, start) in edges for start, end in edges)
    area = sum(area_of(loop) for loop in [MAKE["outline"](comb), *MAKE["holes"](comb)])
    assert math.isclose(volume, area * comb.thickness, rel_tol=1e-4)


def area_of(loop: list[tuple[float, float]]) -> float:
    return (
        sum(a[0] * b[1] - a[1] * b[0] for a, b in zip(loop, [*loop[1:], loop[0]], strict=True)) / 2
    )


def test_a_cable_does_not_fall_out_and_the_screws_find_wood():
    comb = MAKE["Comb"]()
    assert comb.mouth < comb.slot
    assert comb.pitch - comb.slot >= 4.0
    assert comb.slot_depth + comb.slot / 2 < comb.depth - comb.shelf / 2 - comb.screw / 2
