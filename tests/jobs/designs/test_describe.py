"""What the worker tells the node of a design: ours, and the real ones of the commons."""

import subprocess
import sys
from pathlib import Path

import pytest

from jobs.designs import Library, describe, example_folder
from jobs.designs.sources import SOURCES, FolderSource, Release
from jobs.services.workers import Task, run_worker

COMMONS = Path(__file__).parents[4] / "shared" / "commons"


def told(release: Release, library: Library) -> dict:
    """Describe a release as the node does it: in a worker."""
    answer = run_worker(
        Task.MANIFEST,
        {"manifest": release.manifest.path, "files": release.paths},
        {"manifest": library.path(release.manifest.stored.sha256)},
    )
    assert answer.ok, answer.detail
    return dict(answer.result)


def test_our_own_design_has_no_problem(tmp_path):
    library = Library(tmp_path)
    about = told(FolderSource(example_folder()).fetch(".", library), library)
    assert about["problems"] == []
    assert about["design"]["title"] == "Bench comb"
    assert about["licence"]["expression"] == "CERN-OHL-P-2.0"
    assert [each["path"] for each in about["makeable"]] == ["bench-comb.stl", "plywood-tag.nc"]


@pytest.mark.parametrize(
    ("design", "licence_class", "makeable", "problems"),
    [
        (
            "switch-mounting-plate",
            "share-alike",
            ["Build_Files/3D_Printing_Files/Switch_Plate_GoPro_Compatible.stl"],
            {"blanks", "is-folder"},
        ),
        (
            "losh-dummy",
            "share-alike",
            ["3DParts/ClampRing/ClampRing.stl"],
            {"bad-readiness", "unknown-key"},
        ),
        ("otto-diy", "share-alike", 13, {"bad-language", "not-spdx"}),
        ("door-knob", "share-alike", 10, {"not-spdx"}),
        ("nimble", "share-alike", 31, set()),
    ],
)
@pytest.mark.corpus
@pytest.mark.skipif(not COMMONS.is_dir(), reason="../shared/commons is not here")
def test_real_designs_give_what_can_be_made_and_what_is_wrong(
    tmp_path, design, licence_class, makeable, problems
):
    library = Library(tmp_path)
    about = told(FolderSource(COMMONS).fetch(design, library), library)
    paths = [each["path"] for each in about["makeable"]]
    assert paths == makeable or len(paths) == makeable
    assert about["licence"]["class"] == licence_class
    assert {each["problem"] for each in about["problems"]} == problems


@pytest.mark.corpus
@pytest.mark.skipif(not COMMONS.is_dir(), reason="../shared/commons is not here")
def test_the_commons_lists_its_five_designs():
    assert [each.id for each in SOURCES["folder"](str(COMMONS)).list()] == [
        "door-knob",
        "losh-dummy",
        "nimble",
        "otto-diy",
        "switch-mounting-plate",
    ]


def test_a_manifest_that_says_nothing_is_still_described():
    about = describe(b"", "okh.toml", ["a.stl"])
    assert about["problems"]
    assert [each["path"] for each in about["makeable"]] == ["a.stl"]
    assert about["licence"]["class"] == "unknown"


def test_the_node_may_use_designs_and_recipes_without_heavy_imports():
    code = (
        "import sys, jobs.designs, jobs.designs.sources, jobs.designs.licence, jobs.slicing;"
        "print([m for m in ('numpy', 'trimesh', 'yaml', 'license_expression')"
        " if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
