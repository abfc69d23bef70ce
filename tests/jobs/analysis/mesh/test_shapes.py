"""Numbers of solids whose formulas are known: volume, walls, overhang, bodies, cavities, fit."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.analysis.mesh import Machine, Wish, inspect_mesh
from jobs.analysis.mesh.fitting import fits_of, rotations, turned
from jobs.analysis.mesh.mending import volume_of
from jobs.analysis.mesh.resting import rests_of
from jobs.analysis.mesh.surface import Surface, edges_of, normals_and_areas, pieces_of
from jobs.analysis.mesh.walls import walls_of
from jobs.domain.machine import MachineLimits
from tests.jobs.analysis.mesh.solids import box, inward, save, sphere, together, torus, tube


def _machine(*envelope: float, slug: str = "a", nozzle: float = 0.4) -> Machine:
    return Machine(slug, slug.upper(), MachineLimits(envelope, nozzle_mm=nozzle))  # type: ignore[arg-type]


def _codes(report: dict[str, Any]) -> list[str]:
    return [finding["code"] for finding in report["findings"]]


@pytest.mark.parametrize(
    ("surface", "volume", "area", "off"),
    [
        (box(20, 10, 5), 1000.0, 700.0, 1e-9),
        (sphere(10.0), 4 / 3 * math.pi * 1000, 4 * math.pi * 100, 0.003),
        (torus(20.0, 5.0), 2 * math.pi**2 * 20 * 25, 4 * math.pi**2 * 20 * 5, 0.003),
        (tube(10.0, 2.0, 30.0), math.pi * (100 - 64) * 30,
         2 * math.pi * 18 * 30 + 2 * math.pi * 36, 0.001),
    ],
    ids=["box", "sphere", "torus", "tube"],
)  # fmt: skip
def test_volume_and_skin_are_those_of_the_formula(
    surface: Surface, volume: float, area: float, off: float
) -> None:
    assert edges_of(surface.faces).watertight
    assert volume_of(surface) == pytest.approx(volume, rel=off)
    assert normals_and_areas(surface)[1].sum() == pytest.approx(area, rel=off)
    assert pieces_of(surface)[0] == 1


@pytest.mark.parametrize(
    ("surface", "wall", "off"),
    [
        (box(20, 10, 5), 5.0, 1e-6),
        (tube(10.0, 0.3, 30.0), 0.3, 0.005),
        (tube(30.0, 2.0, 30.0), 2.0, 0.02),
        (sphere(10.0), 20.0, 0.1),
        (torus(20.0, 5.0), 10.0, 0.1),
    ],
    ids=["box", "thin tube", "tube", "sphere", "torus"],
)
def test_the_thinnest_wall_is_the_known_one(surface: Surface, wall: float, off: float) -> None:
    walls = walls_of(surface)
    assert walls.rays == 4_000
    assert walls.thinnest == pytest.approx(wall, abs=off)


def test_a_wall_is_as_thick_in_a_fine_mesh_as_in_a_coarse_one() -> None:
    fine = walls_of(tube(10.0, 0.8, 30.0, rows=3_000))
    assert fine.thinnest == pytest.approx(0.8, abs=0.001)
    assert fine.rays == 4_000


def test_a_wall_thinner_than_the_finest_nozzle_is_said_with_its_share(tmp_path: Path) -> None:
    path = save(tmp_path / "a.stl", tube(10.0, 0.3, 30.0))
    machines = [
        _machine(100, 100, 100, slug=slug, nozzle=n) for slug, n in (("a", 0.6), ("b", 0.4))
    ]
    report = inspect_mesh(path, Wish(machines))
    assert _codes(report) == ["thin-walls"]
    (found,) = report["findings"]  # type: ignore[misc]
    assert found["fields"]["thinnest_mm"] == 0.3
    assert found["fields"]["nozzle_mm"] == 0.4
    assert found["fields"]["percent"] > 90
    assert _codes(inspect_mesh(path, Wish([_machine(99, 99, 99, nozzle=0.25)]))) == []


def test_a_hollow_ball_is_one_body_with_a_cavity(tmp_path: Path) -> None:
    hollow = together(sphere(20.0), inward(sphere(15.0)))
    report = inspect_mesh(save(tmp_path / "a.stl", hollow))
    assert (report["bodies"], report["cavities"]) == (1, 1)
    assert report["volume_mm3"] == pytest.approx(4 / 3 * math.pi * (8000 - 3375), rel=0.003)
    assert report["defects"]["inverted_faces"] == 0  # type: ignore[index]
    assert report["walls"]["thinnest_mm"] == pytest.approx(5.0, abs=0.05)  # type: ignore[index]


def test_two_balls_side_by_side_are_two_bodies(tmp_path: Path) -> None:
    other = sphere(5.0)
    moved = Surface(other.vertices + np.array([40.0, 0, 0]), other.faces)
    report = inspect_mesh(save(tmp_path / "a.stl", together(sphere(5.0), moved)))
    assert (report["bodies"], report["cavities"], report["watertight"]) == (2, 0, True)


def test_the_mass_is_that_of_the_solid_part(tmp_path: Path) -> None:
    report = inspect_mesh(save(tmp_path / "a.stl", box(20, 10, 5)), Wish((), ("PLA", 1.24)))
    assert (report["material"], report["mass_solid_g"]) == ("PLA", 1.24)


def test_a_table_hangs_over_until_it_lies_on_its_top() -> None:
    """A plate of 40 × 40 × 4 on a leg of 10 × 10 × 30: 1,500 mm² hang over."""
    table = together(
        box(40, 40, 4, at=np.array([0, 0, 30.0])), box(10, 10, 30, at=np.array([15.0, 15, 0]))
    )
    as_is, best = rests_of(table)
    # The leg's top and the plate's underside lie on each other; both are skin of the file.
    assert as_is.overhang_45 == pytest.approx(1600.0)
    assert as_is.contact == pytest.approx(100.0)
    assert best.overhang_45 == pytest.approx(0.0, abs=101)
    assert best.down == (0.0, 0.0, 1.0)
    assert best.contact == pytest.approx(1600.0)


@pytest.mark.parametrize(("lean", "hangs_45", "hangs_60"), [(40, 0, 0), (50, 1, 0), (65, 1, 1)])
def test_skin_hangs_over_by_its_angle_from_upright(lean: int, hangs_45: int, hangs_60: int) -> None:
    """A slab that leans by an angle: its lower side hangs over by that angle."""
    slab = box(20, 2, 30)
    a = math.radians(lean)
    lean_x = np.array([[1, 0, 0], [0, math.cos(a), math.sin(a)], [0, -math.sin(a), math.cos(a)]])
    as_is, _ = rests_of(Surface(slab.vertices @ lean_x, slab.faces))
    assert (as_is.overhang_45 > 500) is bool(hangs_45)
    assert (as_is.overhang_60 > 500) is bool(hangs_60)


def test_there_are_24_ways_to_turn_a_part_along_the_axes() -> None:
    found = {tuple(matrix.ravel()) for matrix in rotations()}
    assert len(found) == 24
    assert all(np.linalg.det(matrix) == pytest.approx(1.0) for matrix in rotations())


@pytest.mark.parametrize(
    ("size", "room", "as_is", "ways", "fits"),
    [
        ((20, 10, 5), (20, 10, 5), True, 4, True),
        ((20, 10, 5), (50, 50, 50), True, 24, True),
        ((10, 20, 5), (20, 10, 5), False, 4, True),
        ((5, 10, 20), (20, 10, 5), False, 4, True),
        ((130, 2, 5), (100, 100, 50), False, 0, True),  # across the bed only
        ((5, 130, 2), (100, 100, 50), False, 0, True),
        ((2, 5, 130), (100, 100, 50), False, 0, True),
        ((150, 2, 5), (100, 100, 50), False, 0, False),
        ((60, 60, 60), (100, 100, 50), False, 0, False),
    ],
)
def test_a_part_fits_where_some_way_to_lay_it_does(
    size: tuple[float, ...], room: tuple[float, ...], as_is: bool, ways: int, fits: bool
) -> None:
    (fit,) = fits_of(box(*size), [_machine(*room)])
    assert (fit.as_is, fit.orientations, fit.fits) == (as_is, ways, fits)


@given(st.tuples(*[st.floats(1.0, 160.0)] * 3), st.tuples(*[st.floats(20.0, 120.0)] * 3))
def test_the_way_that_is_named_always_fits(
    size: tuple[float, float, float], room: tuple[float, float, float]
) -> None:
    """For any box and any machine: turned as told, the part is no larger than the machine."""
    surface = box(*size)
    (fit,) = fits_of(surface, [_machine(*room)])
    if fit.fits:
        way = turned(surface, fit.up, fit.turn)
        assert (np.ptp(way.bounds, axis=0) <= np.array(room) + 1e-5).all()
        assert volume_of(way) == pytest.approx(math.prod(size))
    else:
        assert not any((np.abs(m) @ np.array(size) <= room).all() for m in rotations())


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0), (2, 0, 1), (1, 0, 2), (0, 2, 1)])
def test_a_rod_that_lies_askew_is_turned_the_right_way(order: tuple[int, int, int]) -> None:
    """A rod of 125 mm, 20° from an axis, fits a bed of 100 mm only across: 25° more, not less."""
    rod = box(125, 2, 5)
    a = math.radians(20)
    askew = rod.vertices @ np.array(
        [[math.cos(a), math.sin(a), 0], [-math.sin(a), math.cos(a), 0], [0, 0, 1]]
    )
    part = Surface(askew[:, list(order)], rod.faces)
    (fit,) = fits_of(part, [_machine(100, 100, 6)])
    assert fit.fits
    assert (np.ptp(turned(part, fit.up, fit.turn).bounds, axis=0) <= [100, 100, 6]).all()


def test_findings_speak_of_the_machines_that_may_make_it(tmp_path: Path) -> None:
    path = save(tmp_path / "a.stl", box(130, 2, 5))
    small, large = _machine(100, 100, 100), _machine(300, 300, 300, slug="b")
    assert _codes(inspect_mesh(path, Wish([small, large]))) == []
    assert _codes(inspect_mesh(path, Wish([small]))) == ["fits-turned"]
    other = Machine("b", "B", large.limits, wanted=False)
    report: dict[str, Any] = inspect_mesh(path, Wish([small, other]))
    assert _codes(report) == ["fits-turned"]
    assert [fit["fits"] for fit in report["fits"]] == [True, True]
    assert _codes(
        inspect_mesh(save(tmp_path / "b.stl", box(90, 90, 120)), Wish([_machine(99, 99, 99)]))
    ) == ["does-not-fit"]


@pytest.mark.parametrize(
    ("scale", "unit", "then"),
    [(1 / 25.4, "inch", 60.0), (1 / 1000, "metre", 60.0), (1000.0, "micrometre", 60.0)],
)
def test_a_part_in_another_unit_is_suspected(
    tmp_path: Path, scale: float, unit: str, then: float
) -> None:
    report: dict[str, Any] = inspect_mesh(save(tmp_path / "a.stl", box(60, 40, 30), scale))
    assert report["units_suspicious"]
    found = next(one for one in report["findings"] if one["code"] == "units-likely")
    assert (found["fields"]["unit"], found["fields"]["then_mm"]) == (unit, then)
    assert report["units_guesses"][0] == {"unit": unit, "size_mm": pytest.approx(then, rel=1e-4)}


@pytest.mark.parametrize("longest", [5.0, 60.0, 1900.0])
def test_a_part_of_a_likely_size_is_not_suspected(tmp_path: Path, longest: float) -> None:
    report = inspect_mesh(save(tmp_path / "a.stl", box(longest, 4, 3)))
    assert not report["units_suspicious"]
