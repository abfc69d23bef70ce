"""`fabnode inspect` of a mesh: what it is, whether it fits, and a repaired copy beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.jobs.analysis.mesh.solids import box, save

SMALL = """kind = "fdm"
profile = "marlin-2"
port = "/dev/none"
envelope_mm = [15, 15, 25]
nozzle_max_c = 250
bed_max_c = 100
nozzle_mm = 0.4
filament_mm = 1.75
"""


def _part(folder: Path) -> Path:
    """A box of 20 × 10 × 5 without one of its triangles."""
    part = box(20, 10, 5)
    gone = np.arange(len(part.faces)) > 0
    return save(folder / "part.stl", type(part)(part.vertices, part.faces[gone]))


def test_a_mesh_is_described_held_against_a_machine_and_repaired(fabnode, tmp_path):
    part = _part(tmp_path)
    before = part.read_bytes()
    machine = tmp_path / "small.toml"
    machine.write_text(SMALL)
    copy = tmp_path / "copy.stl"
    said = fabnode(
        "inspect", part, "--material", "pla", "--machine", machine, "--repaired", copy, "--json"
    )
    told = said.json
    assert said.code == 0
    assert told["size_mm"] == [20.0, 10.0, 5.0]
    assert (told["watertight"], told["repair"]["filled_holes"]) == (False, 1)
    assert told["material"] == "pla"
    (fit,) = told["fits"]
    assert (fit["as_is"], fit["fits"], fit["orientations"]) == (False, True, 8)
    assert told["repaired"]["watertight"]
    assert {one["code"] for one in told["findings"]} == {"not-watertight", "fits-turned"}
    assert part.read_bytes() == before

    whole = fabnode("inspect", copy, "--material", "PLA")
    assert whole.code == 0
    assert "Size: 20 × 10 × 5 mm" in whole.out
    assert "Watertight." in whole.out
    assert "Mass, all solid: 1.24 g" in whole.out


def test_what_cannot_be_done_is_said(fabnode, tmp_path):
    part = _part(tmp_path)
    unknown = fabnode("inspect", part, "--material", "unobtainium")
    assert unknown.code == 1
    assert "PETG" in unknown.complaint
    same = fabnode("inspect", part, "--repaired", part)
    assert same.code == 1
    assert "stays as it is" in same.complaint
    text = tmp_path / "letter.txt"
    text.write_text("Dear machine, please make a hook.\n")
    none = fabnode("inspect", text, "--repaired", tmp_path / "copy.stl")
    assert none.code == 1
    assert "no mesh that can be read" in none.complaint
    nowhere = fabnode("inspect", part, "--repaired", tmp_path / "no" / "copy.stl")
    assert nowhere.code == 1
    assert "cannot be written" in nowhere.complaint
