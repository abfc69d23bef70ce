"""The host's own copies of programs: received in chunks, named by their hash, read by line."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
import struct
import time
from array import array
from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from drivers.errors import HostError
from drivers.gcode import ModalState

MAX_STREAM_BYTES = 2 << 30  # offsets are uint32 with room to spare
PAGE = 256  # numbers read at once: lines are asked for one after another
LINES, PIECE_BYTES = 128, 16_384  # of the stream, read at once, at most
KEPT = 2  # programs: the one that runs and the one that comes next

_SHA256 = re.compile(r"[0-9a-f]{64}")
_UINT32 = struct.Struct("<I")


class _Numbers:
    """A finished file of uint32, of which one page is in memory."""

    def __init__(self, file: int) -> None:
        self._file = file
        self._first = 0
        self._page: tuple[int, ...] = ()

    def some(self, first: int, count: int) -> Sequence[int]:
        """Return *count* numbers, or as many as there are from *first* on."""
        begin = first - self._first
        if begin >= 0 and begin + count <= len(self._page):
            return self._page[begin : begin + count]
        data = os.pread(self._file, count * _UINT32.size, first * _UINT32.size)
        return struct.unpack(f"<{len(data) // _UINT32.size}I", data)

    def at(self, index: int) -> int:
        """Return a number, counted from 0.

        :raises IndexError: past the end.
        """
        place = index - self._first
        if not 0 <= place < len(self._page):
            place = index % PAGE
            self._first = index - place
            data = os.pread(self._file, PAGE * _UINT32.size, self._first * _UINT32.size)
            self._page = struct.unpack(f"<{len(data) // _UINT32.size}I", data)
        return self._page[place]


class StoredProgram:
    """A program on disk, read a line at a time so that its size costs no memory.

    The files stay open from the first byte written to the last line sent: what was hashed
    is what is streamed, whatever happens to the names in the folder.
    """

    def __init__(self, sha256: str, stream: int, index: int, offsets: int, lines: int) -> None:
        self.sha256 = sha256
        self._stream = stream
        self._files = (stream, index, offsets)
        self._index = _Numbers(index)
        self._offsets = _Numbers(offsets)  # where each line begins, and one past the last
        self._lines = lines
        self._first = 0
        self._read: list[bytes] = []  # lines from the first on

    def __len__(self) -> int:
        return self._lines

    def line(self, index: int) -> bytes:
        """Return a stream line, 0-based, without its newline."""
        place = index - self._first
        if not 0 <= place < len(self._read):
            self._first, place = index, 0
            self._read = self._lines_from(index)
        return self._read[place]

    def _lines_from(self, index: int) -> list[bytes]:
        """Read some lines at once, for they are asked for one after another."""
        offsets = self._offsets.some(index, LINES + 1)
        begin = offsets[0]
        last = max(1, bisect_right(offsets, begin + PIECE_BYTES) - 1)
        data = os.pread(self._stream, offsets[last] - begin, begin)
        cuts = pairwise(offsets[: last + 1])
        return [data[low - begin : high - begin].rstrip(b"\r\n") for low, high in cuts]

    def source_line(self, index: int) -> int:
        """Return the 1-based line of the uploaded file that a stream line came from."""
        return self._index.at(index)

    def places(self, first: int, count: int) -> list[tuple[int, int]]:
        """Return where the program stands when *first* lines are done, and one more each time.

        :returns: the source line of the last one that is done, 0 if there is none, and the offset
            of the next one [bytes].
        """
        lines = self._index.some(max(first - 1, 0), count)
        offsets = self._offsets.some(first, count)
        return list(zip(lines if first else (0, *lines), offsets, strict=False))

    def offset(self, index: int) -> int:
        """Return where a line begins in the stream [bytes]; the end for `len(self)`."""
        return self._offsets.at(index)

    @property
    def size(self) -> int:
        """How long the whole stream is [bytes]."""
        return self.offset(self._lines)

    def read(self, begin: int, size: int) -> bytes:
        """Return a piece of the stream, for a controller that takes it as a file [bytes]."""
        return os.pread(self._stream, size, begin)

    def lines_before(self, offset: int) -> int:
        """Return how many whole lines stand before *offset* [bytes]."""
        low, high = 0, self._lines
        while low < high:
            middle = (low + high + 1) // 2
            if self.offset(middle) <= offset:
                low = middle
            else:
                high = middle - 1
        return low

    def modal_after(self, lines: int, budget_s: float) -> ModalState | None:
        """Return what the first *lines* lines have set; None if reading them took too long.

        :param budget_s: longest time to spend [s].
        """
        state = ModalState()
        until = time.monotonic() + budget_s
        for index in range(min(lines, self._lines)):
            state.apply(self.line(index))
            if index % 256 == 0 and time.monotonic() > until:
                return None
        return state

    def close(self) -> None:
        """Let go of the files."""
        for file in self._files:
            os.close(file)


class Loading:
    """A program on its way in, hashed and counted as it comes."""

    def __init__(self, folder: Path, sha256: str, stream_bytes: int, index_bytes: int) -> None:
        self.sha256 = sha256
        self._wanted = {"stream": stream_bytes, "index": index_bytes}
        self._had = {"stream": 0, "index": 0}
        self._hash = hashlib.sha256()
        self._lines = 0
        self._ends_whole = True
        self._files = {
            part: _fresh(folder / f"{sha256}.{part}") for part in ("stream", "index", "offsets")
        }
        os.write(self._files["offsets"], _UINT32.pack(0))

    def take(self, part: str, text: str) -> None:
        """Write one chunk, base64.

        :raises HostError: if it is not base64, of an unknown part, or more than was announced.
        """
        try:
            data = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError) as error:
            raise HostError("host.bad_chunk", reason="base64") from error
        if part not in self._wanted or self._had[part] + len(data) > self._wanted[part]:
            raise HostError("host.bad_chunk", reason="size")
        if part == "stream":
            self._hash.update(data)
            self._note_lines(data)
        _write_all(self._files[part], data)
        self._had[part] += len(data)

    def finish(self) -> StoredProgram:
        """Return the program.

        :raises HostError: if it is not what was announced.
        """
        if not self._ends_whole:
            self._lines += 1
            _write_all(self._files["offsets"], _UINT32.pack(self._had["stream"]))
        if self._had != self._wanted or self._hash.hexdigest() != self.sha256:
            raise HostError("host.bad_program", reason="hash")
        if self._had["index"] != 4 * self._lines:
            raise HostError("host.bad_program", reason="index")
        files = self._files
        return StoredProgram(
            self.sha256, files["stream"], files["index"], files["offsets"], self._lines
        )

    def close(self) -> None:
        """Give up: let go of the files."""
        for file in self._files.values():
            os.close(file)

    def _note_lines(self, data: bytes) -> None:
        begin = self._had["stream"]
        ends = array("I")
        at = data.find(b"\n")
        while at >= 0:
            ends.append(begin + at + 1)
            at = data.find(b"\n", at + 1)
        if ends.itemsize != _UINT32.size:
            raise HostError("host.bad_program", reason="platform")
        _write_all(self._files["offsets"], ends.tobytes())
        self._lines += len(ends)
        if data:
            self._ends_whole = data.endswith(b"\n")


class ProgramStore:
    """The programs of one host. Those of an earlier process are not trusted but removed.

    :param keep: hash of the program of a run that was open when the last process died; it may
        be looked at with `recall`, but is not streamed from.
    """

    def __init__(self, folder: Path, keep: str = "") -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        self._folder = folder
        self._loading: Loading | None = None
        self._programs: dict[str, StoredProgram] = {}
        for path in folder.iterdir():
            if path.stem != keep:
                path.unlink()

    def begin(self, sha256: str, stream_bytes: int, index_bytes: int) -> bool:
        """Make ready to receive a program; True if it is here already.

        :raises HostError: if its name or size cannot be.
        :raises OSError: if the disk refuses.
        """
        if not _SHA256.fullmatch(sha256):
            raise HostError("host.bad_program", reason="name")
        if not 0 < stream_bytes <= MAX_STREAM_BYTES or not 0 < index_bytes <= 4 * stream_bytes:
            raise HostError("host.bad_program", reason="size")
        if sha256 in self._programs:
            return True
        self._give_up()
        self._loading = Loading(self._folder, sha256, stream_bytes, index_bytes)
        return False

    def take(self, sha256: str, part: str, text: str) -> None:
        """Receive one chunk of the program that was begun.

        :raises HostError: if it does not fit; the load is then over.
        :raises OSError: if the disk refuses.
        """
        loading = self._current(sha256)
        try:
            loading.take(part, text)
        except (HostError, OSError):
            self._give_up()
            raise

    def end(self, sha256: str, running: str) -> None:
        """Check the program that was begun and keep it.

        :param running: hash of the program that runs, which must stay.
        :raises HostError: if it is not what was announced; nothing of it is kept.
        """
        loading = self._current(sha256)
        try:
            program = loading.finish()
        except (HostError, OSError):
            self._give_up()
            raise
        self._loading = None
        for old in [name for name in self._programs if name != running]:
            if len(self._programs) >= KEPT:
                self._drop(old)
        self._programs[sha256] = program

    def get(self, sha256: str) -> StoredProgram | None:
        """Return a program that was received whole."""
        return self._programs.get(sha256)

    def recall(self, sha256: str) -> StoredProgram | None:
        """Return what an earlier process left of a program; the caller closes it."""
        files: list[int] = []
        try:
            for part in ("stream", "index", "offsets"):
                files.append(os.open(self._folder / f"{sha256}.{part}", os.O_RDONLY))
            lines = os.fstat(files[2]).st_size // _UINT32.size - 1
        except OSError:
            for file in files:
                os.close(file)
            return None
        return StoredProgram(sha256, files[0], files[1], files[2], lines)

    def close(self) -> None:
        """Let go of all files."""
        self._give_up()
        for program in self._programs.values():
            program.close()
        self._programs.clear()

    def _current(self, sha256: str) -> Loading:
        if self._loading is None or self._loading.sha256 != sha256:
            raise HostError("host.unknown_program", program=sha256)
        return self._loading

    def _drop(self, sha256: str) -> None:
        self._programs.pop(sha256).close()
        self._unlink(sha256)

    def _give_up(self) -> None:
        if self._loading is not None:
            self._loading.close()
            self._unlink(self._loading.sha256)
            self._loading = None

    def _unlink(self, sha256: str) -> None:
        for part in ("stream", "index", "offsets"):
            (self._folder / f"{sha256}.{part}").unlink(missing_ok=True)


def _fresh(path: Path) -> int:
    # Removed and made anew: a file that someone else holds open must not become ours.
    path.unlink(missing_ok=True)
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)


def _write_all(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]
