"""Files are kept once, whole and under their hash, or not at all."""

import hashlib
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.designs.library import Library, release_hash
from jobs.domain.errors import InvalidError, NotFoundError


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path)


def test_what_goes_in_comes_out_under_its_hash(library):
    stored = library.put_bytes(b"solid")
    assert stored.sha256 == hashlib.sha256(b"solid").hexdigest()
    assert stored.size_bytes == 5
    assert library.path(stored.sha256).read_bytes() == b"solid"
    assert library.has(stored.sha256)


def test_a_kept_file_is_read_only_and_stored_once(library, tmp_path):
    first = library.path(library.put_bytes(b"same").sha256)
    inode = first.stat().st_ino
    again = library.path(library.put_bytes(b"same").sha256)
    assert again.stat().st_ino == inode
    assert again.stat().st_mode & 0o777 == 0o444
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [first]


def test_too_much_is_refused_and_leaves_nothing(library, tmp_path):
    with pytest.raises(InvalidError) as refusal:
        library.put_stream(io.BytesIO(bytes(1001)), 1000)
    assert (refusal.value.code, refusal.value.fields["limit_bytes"]) == ("file.too_large", 1000)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    assert library.put_stream(io.BytesIO(bytes(1000)), 1000).size_bytes == 1000


def test_a_source_that_breaks_leaves_nothing(library, tmp_path):
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError("the stick was pulled")

    with pytest.raises(OSError, match="pulled"):
        library.put_stream(Broken(), 1000)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "A" * 64, "0" * 63, "0" * 64 + "\n"])
def test_a_name_that_is_no_hash_is_unknown(library, name):
    with pytest.raises(NotFoundError):
        library.path(name)


def test_a_name_never_leads_out_of_the_library(tmp_path):
    library = Library(tmp_path / "node" / "library")
    (tmp_path / "secret").write_text("s3cret")
    assert not [name for name in ("../../secret", "../secret") if reaches(library, name)]


def reaches(library: Library, name: str) -> bool:
    try:
        return library.has(name)
    except NotFoundError:
        return False


def test_an_unknown_hash_is_not_found(library):
    assert not library.has("0" * 64)
    with pytest.raises(NotFoundError):
        library.path("0" * 64)


def test_sweeping_removes_what_a_crash_left(library, tmp_path):
    kept = library.put_bytes(b"kept").sha256
    (tmp_path / "incoming" / "half").write_bytes(b"ha")
    assert library.sweep() == 1
    assert library.sweep() == 0
    assert library.has(kept)


def test_a_path_cannot_pretend_to_be_two_files():
    two = release_hash("aa", [("a", "11"), ("b", "22")])
    for path in ("a22 b", "a\n22 1 b", "a\n22 b"):
        assert release_hash("aa", [(path, "11")]) != two


FILES = st.dictionaries(st.text(min_size=1, max_size=8), st.sampled_from(["00", "11"]), max_size=5)


@given(one=FILES, other=FILES)
def test_a_release_always_has_its_own_hash(one, other):
    """Also for paths with blanks and line ends in them."""
    same = release_hash("aa", one.items()) == release_hash("aa", other.items())
    assert same == (one == other)
    assert release_hash("aa", one.items()) != release_hash("bb", one.items())
