"""The file that is meant is found, however the manifest points at it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.designs.manifest import Design, NamedFile, Part
from jobs.designs.printable import Evidence, makeable_files
from jobs.designs.problems import ProblemCode

FILES = ["okh.yml", "Build/3D Files/Plate.STL", "Build/3D Files/notes.pdf", "cad/old.stl", "tag.nc"]


def made(path: str) -> Design:
    return Design(files=(NamedFile(role="manufacturing-files", path=path),))


@pytest.mark.parametrize(
    "path",
    [
        "Build/3D Files/Plate.STL",
        "/Build/3D Files/Plate.STL",
        "./Build//3D Files/plate.stl",
        "https://example.org/owner/project/Build/3D%20Files",
        "https://example.org/owner/project/blob/main/Build/3D%20Files/Plate.STL?raw=true",
        "https://example.org/owner/project/tree/main/Build/ ",
        "Build",
    ],
)
def test_a_path_an_address_and_a_folder_all_lead_to_the_mesh(path):
    found, _ = makeable_files(made(path), FILES)
    assert [each.path for each in found] == ["Build/3D Files/Plate.STL"]
    assert found[0].evidence is Evidence.MANUFACTURING
    assert found[0].is_mesh


def test_the_export_of_a_part_comes_first_and_gives_its_name():
    part = Part(name="Old plate", exports=("cad/old.pdf", "cad/old.stl"))
    design = Design(parts=(part,), files=made("Build").files)
    found, _ = makeable_files(design, FILES)
    assert [(each.name, each.evidence) for each in found] == [
        ("Old plate", Evidence.PART),
        ("Plate", Evidence.MANUFACTURING),
    ]


def test_a_program_is_makeable_but_no_mesh():
    found, _ = makeable_files(made("tag.nc"), FILES)
    assert [(each.path, each.is_mesh) for each in found] == [("tag.nc", False)]


def test_where_nothing_is_named_every_mesh_is_offered():
    found, problems = makeable_files(Design(), FILES)
    assert [each.path for each in found] == ["Build/3D Files/Plate.STL", "cad/old.stl"]
    assert {each.evidence for each in found} == {Evidence.FOUND}
    assert problems == ()


@pytest.mark.parametrize("path", ["../../etc/x.stl", "a/../../x.stl", "https://e.org/a/../x.stl"])
def test_a_path_that_leads_out_is_never_followed(path):
    found, problems = makeable_files(made(path), ["okh.yml", "x.stl.txt"])
    assert found == ()
    assert [each.problem for each in problems] == [ProblemCode.UNSAFE_PATH]


def test_a_file_that_is_not_there_is_a_problem():
    _, problems = makeable_files(made("Build/other.stl"), FILES)
    assert [each.problem for each in problems] == [ProblemCode.NOT_THERE]


@given(path=st.text(alphabet="abX./\\:%20[]?#é ", max_size=30))
def test_any_path_always_leads_to_files_of_the_design_only(path):
    found, _ = makeable_files(made("https://" + path), FILES)
    assert {each.path for each in found} <= set(FILES)
    found, _ = makeable_files(made(path), FILES)
    assert {each.path for each in found} <= set(FILES)
