"""A note in lasting memory: whole whenever its process is killed, and nobody else's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.lasting import forget, lasting
from drivers.mark import ROWS, SIZE, Mark, Progress

OWNER = b"12345678"
STEPS = st.lists(
    st.tuples(
        st.integers(0, 2**32 - 1),
        st.integers(0, 2**32 - 1),
        st.integers(0, 2**32 - 1),
        st.integers(0, 2**60),
    ),
    min_size=1,
    max_size=ROWS,
)
RUN = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=16)


TOTAL = 2**31


def told(run, step):
    acked, sent, line, at = step
    return Progress(run, acked, sent, TOTAL, line, at)


@given(run=RUN, tables=st.lists(STEPS, min_size=1, max_size=4), data=st.data())
def test_what_was_noted_last_is_found(run, tables, data):
    memory = memoryview(bytearray(SIZE))
    mark = Mark(memory, OWNER)
    assert mark.found() == (0, None)
    for turn, steps in enumerate(tables, 1):
        base = mark.expect(turn, run, TOTAL, steps)
        assert Mark(memory, OWNER).found() == (turn, told(run, steps[0]))
        step = data.draw(st.integers(0, len(steps) - 1))
        mark.word[0] = base + step
        assert Mark(memory, OWNER).found() == (turn, told(run, steps[step]))
    assert Mark(memory, b"someone.").found() == (0, None)


@given(first=STEPS, second=STEPS, third=STEPS, cut=st.floats(0, 1))
def test_killed_in_the_middle_of_a_table_leaves_the_note_before(first, second, third, cut):
    memory = bytearray(SIZE)
    mark = Mark(memoryview(memory), OWNER)
    mark.expect(1, "r1", TOTAL, first)
    mark.word[0] = mark.expect(2, "r1", TOTAL, second) + len(second) - 1
    before = bytes(memory)
    mark.expect(3, "r1", TOTAL, third)
    written = int(cut * len(before))
    torn = before[:8] + bytes(memory)[8:written] + before[max(written, 8) :]
    assert Mark(memoryview(bytearray(torn)), OWNER).found() == (2, told("r1", second[-1]))


@given(steps=STEPS, at=st.integers(0, 150), bit=st.integers(0, 7))
def test_a_bit_that_fell_over_notes_nothing_else(steps, at, bit):
    memory = bytearray(SIZE)
    Mark(memoryview(memory), OWNER).expect(1, "r1", TOTAL, steps)
    begin = memory.index(OWNER)
    memory[begin + at] ^= 1 << bit
    assert Mark(memoryview(memory), OWNER).found() in ((0, None), (1, told("r1", steps[0])))


@given(noise=st.binary(min_size=200, max_size=200), word=st.integers(0, 2**64 - 1))
def test_noise_is_no_note(noise, word):
    memory = bytearray(noise * (SIZE // 200 + 1))[:SIZE]
    memory[:8] = word.to_bytes(8, "little")
    assert Mark(memoryview(memory), OWNER).found() == (0, None)


def test_memory_lasts_until_it_is_given_back(tmp_path):
    memory = lasting(tmp_path, 64)
    assert memory is not None
    memory[:3] = b"abc"
    again = lasting(tmp_path, 64)
    assert again is not None
    assert bytes(again[:4]) == b"abc\0"
    forget(tmp_path)
    fresh = lasting(tmp_path, 64)
    assert fresh is not None
    assert not any(fresh)
    forget(tmp_path)
    forget(tmp_path)


def test_memory_of_another_size_is_begun_anew(tmp_path):
    memory = lasting(tmp_path, 64)
    assert memory is not None
    memory[:3] = b"abc"
    memory = lasting(tmp_path, 128)
    assert memory is not None
    assert not any(memory)
    forget(tmp_path)


def test_a_disk_is_no_memory(tmp_path):
    """A store onto a disk that is full or has failed would kill the process."""
    assert lasting(tmp_path, 64, place=tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def named(folder: Path) -> Path:
    assert lasting(folder, 64) is not None
    return next(
        path
        for path in Path("/dev/shm").glob("fabnode-*")
        if path.read_bytes().startswith(os.fsencode(folder))
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a file to somebody else")
def test_what_somebody_else_has_put_there_is_not_used(tmp_path):
    path = named(tmp_path)
    os.chown(path, 12345, -1)
    assert lasting(tmp_path, 64) is None
    path.unlink()


def test_a_name_that_leads_elsewhere_is_not_followed(tmp_path):
    path = named(tmp_path)
    path.unlink()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"x" * 9000)
    path.symlink_to(elsewhere)
    assert lasting(tmp_path, 64) is None
    assert elsewhere.read_bytes() == b"x" * 9000
    path.unlink()


def test_what_belonged_to_a_folder_that_is_gone_is_swept_away(tmp_path):
    folder, other = tmp_path / "a", tmp_path / "b"
    folder.mkdir()
    other.mkdir()
    path, stays = named(folder), named(other)
    folder.rmdir()
    assert lasting(tmp_path, 64) is not None
    assert not path.exists()
    assert stays.exists()
    forget(tmp_path)
    forget(other)
