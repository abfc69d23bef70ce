"""A stream file's lines by their number, without holding them all."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Self

import numpy as np

from jobs.analysis.arrays import Ints

_BLOCK = 4096  # lines; of each block only the place of its beginning is kept
_CHUNK_BYTES = 1 << 20
_KEPT = 2  # blocks: what looks back a little crosses one border


class StreamLines:
    """Lines of a stream file, from 0, each without its end; a bookmark reads them."""

    def __init__(self, path: Path) -> None:
        """Find where the lines are."""
        self._file = path.open("rb")
        self._starts, self._count, self._size = _block_starts(self._file)
        self._blocks: dict[int, list[bytes]] = {}

    def __enter__(self) -> Self:
        """Return itself; its file is closed at the end."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Close the file."""
        self._file.close()

    def __len__(self) -> int:
        """Return how many lines there are."""
        return self._count

    def line(self, index: int) -> bytes:
        """Return one line."""
        return self._block(index // _BLOCK)[index % _BLOCK]

    def source_line(self, index: int) -> int:
        """Return its own number, from 1: a stream knows no other."""
        return index + 1

    def span(self, first: int, until: int) -> Iterator[bytes]:
        """Yield some lines in order."""
        at, until = first, min(until, self._count)
        while at < until:
            low = at % _BLOCK
            part = self._block(at // _BLOCK)[low : min(low + until - at, _BLOCK)]
            yield from part
            at += len(part)

    def copy_rest(self, first: int, target: BinaryIO) -> None:
        """Write this line and all that follow, as they stand, each with its end."""
        before = sum(len(line) + 1 for line in self.span(first - first % _BLOCK, first))
        self._file.seek(int(self._starts[first // _BLOCK]) + before)
        shutil.copyfileobj(self._file, target, _CHUNK_BYTES)
        self._file.seek(self._size - 1)
        if self._file.read(1) != b"\n":
            target.write(b"\n")

    def _block(self, number: int) -> list[bytes]:
        found = self._blocks.get(number)
        if found is None:
            first, until = int(self._starts[number]), self._size
            if number + 1 < len(self._starts):
                until = int(self._starts[number + 1])
            self._file.seek(first)
            found = self._file.read(until - first).split(b"\n")
            while len(self._blocks) >= _KEPT:
                del self._blocks[next(iter(self._blocks))]
            self._blocks[number] = found
        return found


def _block_starts(file: BinaryIO) -> tuple[Ints, int, int]:
    """Return where every block of lines begins, how many lines there are, and all bytes."""
    starts, count, size = [np.zeros(1, np.int64)], 0, 0
    last = b"\n"
    while chunk := file.read(_CHUNK_BYTES):
        ends = np.flatnonzero(np.frombuffer(chunk, np.uint8) == ord("\n")) + 1
        skipped = -(count + 1) % _BLOCK
        starts.append(ends[skipped::_BLOCK] + size)
        count, size, last = count + len(ends), size + len(chunk), chunk[-1:]
    return np.concatenate(starts), count + (last != b"\n"), size
