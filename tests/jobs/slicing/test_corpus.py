"""Real meshes of the commons are sliced, and our own generator knows what is not for it."""

from pathlib import Path

import pytest

from jobs.services.workers import Failure, Task, WorkerResult, run_worker
from jobs.slicing import load_recipe, slicer_available

COMMONS = Path(__file__).parents[4] / "shared" / "commons"
PLATE = COMMONS / "switch-mounting-plate/Build_Files/3D_Printing_Files"
MESHES = [
    PLATE / "Switch_Plate_GoPro_Compatible.stl",
    COMMONS / "losh-dummy/3DParts/ClampRing/ClampRing.stl",
    COMMONS / "door-knob/Design_Files/solid_door_handle_arthritis-Cut002 (Meshed).3mf",
]
pytestmark = [
    pytest.mark.corpus,
    pytest.mark.skipif(not COMMONS.is_dir(), reason="../shared/commons is not here"),
]


def sliced(mesh: Path, recipe: str, printer, folder: Path) -> WorkerResult:
    request = {"recipe": load_recipe(recipe).to_json(), "limits": printer.to_json()}
    return run_worker(Task.SLICE, request, {mesh.name: mesh}, outputs=folder)


@pytest.mark.slicer
@pytest.mark.skipif(not slicer_available("prusaslicer"), reason="no prusa-slicer here")
@pytest.mark.parametrize("mesh", MESHES, ids=lambda mesh: mesh.name)
def test_a_real_mesh_is_sliced_in_a_worker(mesh, printer, tmp_path):
    answer = sliced(mesh, "pla-draft", printer, tmp_path)
    assert answer.ok, answer.detail
    assert float(str(answer.result["mass_g"])) > 1.0
    assert answer.outputs["program.gcode"].stat().st_size > 10_000


def test_our_own_generator_refuses_what_is_no_prism(printer, tmp_path):
    answer = sliced(MESHES[0], "pla-builtin", printer, tmp_path)
    assert answer.failure is Failure.SLICER
    assert answer.detail.startswith("not-a-prism")
