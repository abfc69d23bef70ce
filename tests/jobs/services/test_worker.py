"""The four tasks, in real workers, on files as strangers send them."""

import json
import struct
import zipfile
from pathlib import Path

import pytest

from jobs.designs import example_folder
from jobs.domain.machine import MachineLimits
from jobs.services.worker import TASKS
from jobs.services.workers import LIMITS, Failure, Task, WorkerResult, run_worker
from jobs.slicing import load_recipe

PRINTER = MachineLimits(
    envelope_mm=(220.0, 210.0, 250.0), nozzle_max_c=260.0, bed_max_c=110.0, nozzle_mm=0.4
)
COMB = example_folder() / "bench-comb.stl"


def inspected(path: Path) -> WorkerResult:
    return run_worker(Task.INSPECT, {}, {path.name: path})


def codes(result: WorkerResult) -> set[str]:
    """Return the finding codes of a report, and of the worker itself."""
    own = result.finding()
    listed = result.result.get("findings", [])
    assert isinstance(listed, list)
    return {str(each["code"]) for each in listed} | ({own.code.value} if own else set())


def test_every_task_has_a_function_and_limits():
    assert set(TASKS) == set(Task) == set(LIMITS)


def test_a_mesh_is_inspected():
    answer = inspected(COMB)
    assert answer.ok, answer.detail
    assert "mesh" in json.dumps(answer.result)
    assert codes(answer) == set()


def test_a_program_is_inspected():
    answer = inspected(example_folder() / "plywood-tag.nc")
    assert answer.ok, answer.detail
    assert "grbl" in json.dumps(answer.result)


def test_a_header_of_ten_million_triangles_is_a_finding(tmp_path):
    (tmp_path / "liar.stl").write_bytes(bytes(80) + struct.pack("<I", 10_000_000) + bytes(500))
    assert codes(inspected(tmp_path / "liar.stl"))


def test_a_zip_bomb_is_a_finding(tmp_path):
    with (
        zipfile.ZipFile(tmp_path / "bomb.3mf", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("3D/3dmodel.model", "w", force_zip64=True) as part,
    ):
        for _ in range(300):
            part.write(bytes(1024 * 1024))
    answer = inspected(tmp_path / "bomb.3mf")
    assert codes(answer)
    assert answer.wall_s < 30


@pytest.mark.parametrize("raw", [b"", b"\x00" * 1000, b"PK\x03\x04", b"solid", b"\xff\xfe" * 99])
def test_rubbish_is_a_finding_and_never_a_crash(tmp_path, raw):
    (tmp_path / "x.stl").write_bytes(raw)
    answer = inspected(tmp_path / "x.stl")
    assert codes(answer)
    assert answer.failure is not Failure.ERROR


def test_our_own_generator_s_program_passes_preflight_in_a_worker(tmp_path):
    """From mesh to stream file where no slicer is installed."""
    recipe = load_recipe("pla-builtin")
    sliced = run_worker(
        Task.SLICE,
        {"recipe": recipe.to_json(), "limits": PRINTER.to_json()},
        {COMB.name: COMB},
        outputs=tmp_path,
    )
    assert sliced.ok, sliced.detail
    assert prepared(sliced.outputs["program.gcode"], PRINTER, "marlin", "fdm", tmp_path) == []


def test_the_tag_s_program_passes_preflight_in_a_worker(tmp_path):
    mill = MachineLimits(
        envelope_mm=(300.0, 200.0, 60.0), origin_mm=(0.0, 0.0, -40.0), spindle_max_rpm=24000.0
    )
    assert prepared(example_folder() / "plywood-tag.nc", mill, "grbl", "mill", tmp_path) == []


def prepared(
    program: Path, limits: MachineLimits, dialect: str, kind: str, folder: Path
) -> list[object]:
    """Return the findings of a preflight, and see that its files came."""
    answer = run_worker(
        Task.PREPARE,
        {
            "limits": limits.to_json(),
            "dialect": dialect,
            "kind": kind,
            "forbidden": ["M500", "M502"],
            "density_g_cm3": 1.24,
        },
        {program.name: program},
        outputs=folder,
    )
    assert answer.ok, answer.detail
    assert set(answer.outputs) >= {"stream", "index.u32", "planned.f32"}
    lines = answer.outputs["stream"].read_bytes().count(b"\n")
    assert answer.outputs["index.u32"].stat().st_size == 4 * lines
    findings = answer.result["findings"]
    assert isinstance(findings, list)
    return findings


def test_a_request_that_makes_no_sense_is_a_value():
    answer = run_worker(Task.SLICE, {"recipe": 3}, {COMB.name: COMB})
    assert answer.failure is Failure.ERROR
    answer = run_worker(Task.SLICE, {"recipe": {"name": "x"}, "limits": {}}, {COMB.name: COMB})
    assert answer.failure is Failure.ERROR
    assert "recipe.missing_key" in answer.detail
