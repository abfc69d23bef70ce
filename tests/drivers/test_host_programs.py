"""A program on disk: each line and number as it was written, with few readings."""

from __future__ import annotations

import base64
import hashlib
import struct
from pathlib import Path

import pytest

from drivers.host.programs import LINES, PAGE, PIECE_BYTES, ProgramStore, StoredProgram

COUNT = 3 * PAGE + 7


@pytest.fixture
def stored(tmp_path: Path) -> StoredProgram:
    return put(tmp_path, b"".join(b"G1 X%d%s\n" % (n, b"0" * (n % 5)) for n in range(COUNT)))


def put(tmp_path: Path, text: bytes) -> StoredProgram:
    count = text.count(b"\n")
    index = struct.pack(f"<{count}I", *(3 * n + 1 for n in range(count)))
    name = hashlib.sha256(text).hexdigest()
    store = ProgramStore(tmp_path / "programs")
    store.begin(name, len(text), len(index))
    store.take(name, "stream", base64.b64encode(text).decode())
    store.take(name, "index", base64.b64encode(index).decode())
    store.end(name, "")
    found = store.get(name)
    assert found is not None
    return found


@pytest.mark.parametrize(
    "order", [range(COUNT), range(COUNT - 1, -1, -1), range(0, COUNT, PAGE - 1)]
)
def test_each_line_is_read_in_whatever_order(stored: StoredProgram, order: range) -> None:
    for n in order:
        assert stored.line(n) == b"G1 X%d%s" % (n, b"0" * (n % 5))
        assert stored.source_line(n) == 3 * n + 1
        assert stored.lines_before(stored.offset(n)) == n
    assert stored.offset(COUNT) == stored.size


def test_what_is_not_there_is_not_made_up(stored: StoredProgram) -> None:
    with pytest.raises(IndexError):
        stored.source_line(COUNT)
    with pytest.raises(IndexError):
        stored.line(COUNT)


def test_numbers_are_read_a_page_at_a_time(stored: StoredProgram) -> None:
    stored.source_line(0)
    stored.close()
    assert stored.source_line(PAGE - 1) == 3 * PAGE - 2, "it is in memory already"
    with pytest.raises(OSError, match="descriptor"):
        stored.source_line(PAGE)


def test_lines_are_read_many_at_a_time(stored: StoredProgram) -> None:
    stored.line(0)
    stored.close()
    assert stored.line(LINES - 1).startswith(b"G1 X127")
    with pytest.raises(OSError, match="descriptor"):
        stored.line(LINES)


def test_long_lines_are_read_whole_and_their_ends_are_none_of_them(tmp_path: Path) -> None:
    lines = [b"x" * size for size in (3, 2 * PIECE_BYTES, 0, PIECE_BYTES - 1, 5, PIECE_BYTES, 1)]
    stored = put(tmp_path, b"".join(line + b"\r\n" for line in lines))
    assert [stored.line(n) for n in range(len(lines))] == lines
    assert [stored.line(n) for n in reversed(range(len(lines)))] == lines[::-1]


@pytest.mark.parametrize(("first", "count"), [(0, 1), (0, 70), (1, 1), (PAGE - 3, 9), (COUNT, 1)])
def test_where_the_program_stands_after_each_of_the_next_lines(
    stored: StoredProgram, first: int, count: int
) -> None:
    done = range(first, first + count)
    assert stored.places(first, count) == [
        (stored.source_line(n - 1) if n else 0, stored.offset(n)) for n in done
    ]
