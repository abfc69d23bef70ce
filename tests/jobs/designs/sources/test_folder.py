"""A folder is a commons, and nothing outside it is ever read."""

import os
from pathlib import Path

import pytest

from jobs.designs.library import Library
from jobs.designs.sources import SOURCES, FolderSource
from jobs.designs.sources.folder import FolderLimits
from jobs.domain.errors import InvalidError, NotFoundError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "stick"
    for path, text in {
        "hook/okh.toml": 'name = "Hook"',
        "hook/README.md": "hook",
        "hook/parts/okh-peg.toml": 'name = "Peg"',
        "hook/parts/peg.stl": "solid peg",
        "hook/.git/config": "secret",
        "hook/__pycache__/x.pyc": "x",
        "shelf/small/my.okh.yml": "title: Shelf",
        "empty/notes.txt": "nothing",
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return root


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path / "library")


def test_each_folder_with_a_manifest_is_a_design_and_its_parts_are_not(root):
    found = SOURCES["folder"](str(root)).list()
    assert [(each.id, each.manifest) for each in found] == [
        ("hook", "okh.toml"),
        ("shelf/small", "my.okh.yml"),
    ]


def test_a_folder_that_is_itself_a_design(root, library):
    source = FolderSource.open(str(root / "hook"))
    assert [each.id for each in source.list()] == ["."]
    assert source.fetch(".", library).manifest.path == "okh.toml"


def test_a_design_is_brought_in_with_all_its_plain_files(root, library):
    release = FolderSource(root).fetch("hook", library)
    assert release.manifest.path == "okh.toml"
    assert release.paths == ["README.md", "okh.toml", "parts/okh-peg.toml", "parts/peg.stl"]
    for file in release.files:
        assert (
            library.path(file.stored.sha256).read_bytes()
            == (root / "hook" / file.path).read_bytes()
        )


def test_a_release_keeps_its_name_until_something_changes(root, library):
    first = FolderSource(root).fetch("hook", library).sha256
    assert FolderSource(root).fetch("hook", library).sha256 == first
    (root / "hook/parts/peg.stl").write_text("solid peg2")
    second = FolderSource(root).fetch("hook", library).sha256
    (root / "hook/parts/peg.stl").rename(root / "hook/parts/pin.stl")
    assert len({first, second, FolderSource(root).fetch("hook", library).sha256}) == 3


@pytest.mark.parametrize("design_id", ["..", "../..", "/etc", "hook/../..", "link", "link/in", "x"])
def test_no_id_leads_out_of_the_folder(root, library, tmp_path, design_id):
    outside = tmp_path / "outside" / "in"
    outside.mkdir(parents=True)
    (outside / "okh.toml").write_text("name = 'secret'")
    (tmp_path / "okh.toml").write_text("name = 'secret'")
    (root / "link").symlink_to(tmp_path / "outside")
    assert len(FolderSource(root).list()) == 2
    with pytest.raises(NotFoundError):
        FolderSource(root).fetch(design_id, library)


def test_links_and_pipes_inside_a_design_are_left_out(root, library, tmp_path):
    (tmp_path / "secret").write_text("s3cret")
    (root / "hook/a-link.stl").symlink_to(tmp_path / "secret")
    os.mkfifo(root / "hook/a-pipe")
    release = FolderSource(root).fetch("hook", library)
    assert release.skipped == ("a-link.stl", "a-pipe")
    assert len(release.files) == 4


def test_a_manifest_that_is_a_link_is_none(root, library):
    (root / "empty/okh.toml").symlink_to(root / "hook/okh.toml")
    assert len(FolderSource(root).list()) == 2
    with pytest.raises(InvalidError, match="no_manifest"):
        FolderSource(root).fetch("empty", library)


@pytest.mark.parametrize(
    "limits",
    [FolderLimits(files=3), FolderLimits(file_bytes=5), FolderLimits(design_bytes=20)],
)
def test_too_much_is_refused(root, library, limits):
    with pytest.raises(InvalidError, match="too_large"):
        FolderSource(root, limits).fetch("hook", library)


def test_a_source_that_is_no_folder_is_not_found(root):
    with pytest.raises(NotFoundError):
        FolderSource.open(str(root / "hook/okh.toml"))
