"""PrusaSlicer is asked for exactly what recipe and machine say."""

import json
import re
import zipfile

import pytest

from jobs.services.workers import Failure, Task, run_worker
from jobs.slicing import SlicingError, load_recipe, prusaslicer, slice_file, slicer_available
from jobs.slicing.prusaslicer import settings

RECIPE = load_recipe("pla-standard")
installed = pytest.mark.skipif(not slicer_available("prusaslicer"), reason="no prusa-slicer here")


def test_settings_come_from_recipe_and_machine(printer):
    found = settings(RECIPE, printer)
    assert found["bed_shape"] == "0x0,220x0,220x210,0x210"
    assert found["max_print_height"] == "250"
    assert found["fill_density"] == "15%"
    assert found["temperature"] == "210"
    assert found["machine_max_feedrate_x"] == "200,200"
    assert found["post_process"] == ""


def test_no_setting_breaks_its_line(printer):
    text = prusaslicer.ini_text(RECIPE, printer)
    assert all(re.fullmatch(r"[a-z0-9_]+ = .*", line) for line in text.splitlines())


def test_a_missing_slicer_is_a_reason(printer, comb, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not slicer_available("prusaslicer")
    with pytest.raises(SlicingError) as refusal:
        slice_file(comb, RECIPE, printer, tmp_path / "a.gcode")
    assert refusal.value.reason == "not-installed"


def test_an_unknown_slicer_is_a_reason(printer, comb, tmp_path):
    recipe = type(RECIPE).from_json({**RECIPE.to_json(), "slicer": "knife"})
    with pytest.raises(SlicingError, match="no-such-slicer"):
        slice_file(comb, recipe, printer, tmp_path / "a.gcode")
    assert not slicer_available("knife")


@pytest.mark.slicer
@installed
def test_the_comb_is_sliced_in_a_worker(printer, comb, tmp_path):
    answer = run_worker(
        Task.SLICE,
        {"recipe": RECIPE.to_json(), "limits": printer.to_json()},
        {"bench-comb.stl": comb},
        outputs=tmp_path,
    )
    assert answer.ok, answer.detail
    assert json.loads(json.dumps(answer.result))["slicer"] == "prusaslicer"
    assert 3.0 < float(str(answer.result["mass_g"])) < 5.0
    assert 10 * 60 < float(str(answer.result["time_s"])) < 30 * 60
    text = answer.outputs["program.gcode"].read_text()
    assert "M109 S215" in text
    assert not re.findall(r"^M(?:20[1-5]|50[0-2]|92)\b", text, re.MULTILINE)
    at = [float(x) for x in re.findall(r"^G1 X([\d.]+)", text, re.MULTILINE)]
    assert 0 < min(at) < printer.envelope_mm[0] / 2 < max(at) < printer.envelope_mm[0]


@pytest.mark.slicer
@installed
@pytest.mark.parametrize("raw", [b"", b"solid x", bytes(80) + b"\xff" * 4, b"PK\x03\x04junk"])
def test_a_broken_mesh_is_the_slicer_s_no(printer, tmp_path, raw):
    (tmp_path / "bad.stl").write_bytes(raw)
    answer = run_worker(
        Task.SLICE,
        {"recipe": RECIPE.to_json(), "limits": printer.to_json()},
        {"bad.stl": tmp_path / "bad.stl"},
    )
    assert answer.failure is Failure.SLICER


MODEL = """<?xml version="1.0" encoding="UTF-8"?>
<model unit="millimeter" xmlns="http://schemas.microsoft.com/3dmanufacturing/core/2015/02">
<resources><object id="1" type="model"><mesh><vertices>
<vertex x="0" y="0" z="0"/><vertex x="20" y="0" z="0"/><vertex x="0" y="20" z="0"/>
<vertex x="0" y="0" z="20"/></vertices><triangles>
<triangle v1="0" v2="2" v3="1"/><triangle v1="0" v2="1" v3="3"/>
<triangle v1="0" v2="3" v3="2"/><triangle v1="1" v2="2" v3="3"/>
</triangles></mesh></object></resources><build><item objectid="1"/></build></model>"""
TYPES = """<?xml version="1.0" encoding="UTF-8"?>
<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">
<Default Extension="model" ContentType="application/vnd.ms-package.3dmanufacturing-3dmodel+xml"/>
</Types>"""


@pytest.mark.slicer
@installed
def test_settings_inside_a_3mf_are_never_used(printer, tmp_path):
    """Neither its start code nor its script that runs after slicing."""
    proof = tmp_path / "proof"
    mesh = tmp_path / "trap.3mf"
    with zipfile.ZipFile(mesh, "w") as archive:
        archive.writestr("[Content_Types].xml", TYPES)
        archive.writestr("3D/3dmodel.model", MODEL)
        archive.writestr(
            "Metadata/Slic3r_PE.config",
            f"; start_gcode = M500\n; end_gcode = M500\n; post_process = /usr/bin/touch {proof};\n"
            "; layer_gcode = M500\n",
        )
    slice_file(mesh, RECIPE, printer, tmp_path / "a.gcode")
    text = (tmp_path / "a.gcode").read_text()
    assert not proof.exists()
    assert "M500" not in text
