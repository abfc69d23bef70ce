"""Real parts from the open commons, and the same part as STEP and as STL."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jobs.analysis import inspect_file
from jobs.analysis.mesh import Machine, Wish
from jobs.analysis.mesh.reading import as_sliceable
from jobs.analysis.sniff import FileKind, sniff
from jobs.domain.machine import MachineLimits

COMMONS = Path(__file__).parents[5] / "shared" / "commons"
PRINTER = Machine("a", "A", MachineLimits((220.0, 220.0, 250.0), nozzle_mm=0.4))

pytestmark = [
    pytest.mark.corpus,
    pytest.mark.skipif(not COMMONS.is_dir(), reason="../shared/commons is not here"),
]


def _told(path: str) -> dict[str, Any]:
    return inspect_file(COMMONS / path, wish=lambda: Wish([PRINTER], ("PLA", 1.24)))


def _codes(report: dict[str, Any]) -> list[str]:
    return [finding["code"] for finding in report["findings"]]


@pytest.mark.parametrize(
    ("path", "size", "wall"),
    [
        ("otto-diy/3Dprint/OttoDIY_head_V9.stl", [67.6, 64.4, 37.0], 0.5),
        ("nimble/mechanical/Legacy/STLs/bottom_3mm.stl", [155.0, 157.0, 6.0], 3.0),
        ("nimble/mechanical/Legacy/STLs/rpi_4b_shelf.stl", [155.0, 115.0, 28.0], 1.0),
        ("losh-dummy/3DParts/ClampRing/ClampRing.stl", [56.0, 56.0, 30.0], 9.5),
    ],
)
def test_good_parts_are_good_and_their_walls_are_those_of_the_drawing(
    path: str, size: list[float], wall: float
) -> None:
    report = _told(path)
    assert report["watertight"]
    assert report["repair"] is None
    assert report["size_mm"] == pytest.approx(size, abs=0.01)
    assert report["walls"]["thinnest_mm"] == pytest.approx(wall, abs=0.02)
    assert not {"does-not-fit", "units-likely", "inverted-faces"} & set(_codes(report))


def test_a_part_that_was_cut_open_is_offered_closed() -> None:
    report = _told("door-knob/Design_Files/solid_door_handle_arthritis-Cut.3mf")
    assert "not-watertight" in _codes(report)
    assert (report["defects"]["holes"], report["defects"]["open_edges"]) == (4, 60)
    assert report["repair"]["filled_holes"] == 4
    assert report["repair"]["watertight"]
    assert report["repair"]["volume_after_mm3"] > report["repair"]["volume_before_mm3"]


def test_walls_without_thickness_go_and_nothing_comes_open() -> None:
    report = _told("nimble/mechanical/Legacy/STLs/nuc_shelf_tall.stl")
    assert "duplicate-faces" in _codes(report)
    assert report["repair"]["watertight"]
    assert report["repair"]["volume_after_mm3"] == pytest.approx(report["volume_mm3"], rel=1e-6)


def test_a_rail_longer_than_the_bed_does_not_fit_across_it_either() -> None:
    report = _told("nimble/mechanical/Legacy/STLs/rack_leg_21_units.stl")
    assert "does-not-fit" in _codes(report)
    large = Machine("b", "B", MachineLimits((230.0, 230.0, 250.0)))
    path = COMMONS / "nimble/mechanical/Legacy/STLs/rack_leg_21_units.stl"
    (fit,) = inspect_file(path, wish=lambda: Wish([large]))["fits"]  # type: ignore[misc]
    assert (fit["fits"], fit["orientations"]) == (True, 0)
    assert 40 < fit["turn_deg"] % 90 < 50


def test_a_step_file_is_the_same_part_as_its_stl(tmp_path: Path) -> None:
    pytest.importorskip("cascadio")
    folder = "switch-mounting-plate"
    step = _told(f"{folder}/switch_plate.step")
    stl = _told(f"{folder}/Build_Files/3D_Printing_Files/Switch_Plate_GoPro_Compatible.stl")
    assert step["format"] == "step"
    assert step["watertight"]
    assert step["size_mm"] == pytest.approx(stl["size_mm"], abs=0.02)
    assert step["volume_mm3"] == pytest.approx(stl["volume_mm3"], rel=0.001)
    assert step["walls"]["thinnest_mm"] == pytest.approx(1.6, abs=0.01)
    upload = tmp_path / "input.step"
    upload.write_bytes((COMMONS / folder / "switch_plate.step").read_bytes())
    assert sniff(as_sliceable(upload)) is FileKind.STL
