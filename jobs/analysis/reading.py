"""Reading: a program of any size led through the analysis, piece by piece."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import BinaryIO

import numpy as np

from jobs.analysis.arrays import Ints
from jobs.analysis.blocks import Blocks, Carried
from jobs.analysis.dialect import Guess, flavored
from jobs.analysis.motion import Motion
from jobs.analysis.piece import Piece, Reader, Times
from jobs.analysis.stream import CHUNK_BYTES, Feature, Lines, Stream, bare_runs, without_words
from jobs.analysis.target import Check
from jobs.analysis.timing import Clock
from jobs.analysis.words import Words, read_words
from jobs.domain.machine import MachineLimits

DIALECTS = ("marlin", "grbl")
# Slicers write about themselves at both ends; thumbnails make the beginning long.
_END_BYTES = 200_000
# So many runs are kept while the beginning tells nothing: about 8 MiB.
_MOST_EARLY = 8
# An arc is cut into up to five hundred pieces: fewer lines at once bound the memory of those.
_MOST_ARCS = 4_000
# Without a machine the dialect is told from this many lines, or from more while nothing tells.
_TELLING_LINES = 4_000
# What honest text is made of; any byte beyond is looked at.
_PLAIN = b"\t\n\r" + bytes(range(32, 127))
# Control characters, and those realtime commands of Grbl, grblHAL and FluidNC that are no part
# of a character of UTF-8 (a byte that is none reads as U+DC80 and up).
_HIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\udc80-\udca5]")
_MOST_HIDDEN = 8  # different bytes


@dataclass(frozen=True, slots=True)
class Told:
    """What is known of an upload besides what its readers have found.

    :param dialect: that it was read as: `marlin`, `grbl`, `unknown`.
    :param guessed: what the whole of it seems to be written in.
    :param head: its first bytes, up to 200,000.
    :param tail: its last bytes, likewise; of a short upload both are the whole.
    :param source_lines: how many lines it has.
    :param lines: how many lines its stream has.
    :param stream_bytes: how many bytes these are.
    :param hidden: by byte that is in a text only to do harm: first line, from 1, and count.
    :param overlong: 1-based number of the first line that is too long to be read whole; 0: none.
    """

    dialect: str
    guessed: str
    head: bytes
    tail: bytes
    source_lines: int
    lines: int
    stream_bytes: int
    hidden: dict[int, tuple[int, int]]
    overlong: int

    @property
    def ends(self) -> bytes:
        """Both ends of the upload, for what slicers say about themselves."""
        return _joined(self.head, self.tail)


class Program:
    """A program, read once from a binary file, whatever its size."""

    def __init__(
        self, file: BinaryIO, machine: MachineLimits | None, dialect: str = "",
        chunk_bytes: int = CHUNK_BYTES, *, keeps_words: bool = False, spindle_tells: bool = True,
        renumber: Callable[[Stream], Stream] | None = None,
    ) -> None:  # fmt: skip
        """Begin to read.

        :param file: seekable, at its beginning.
        :param machine: whose speeds and accelerations to plan with; None: a common one's.
        :param dialect: of the machine it is read for; empty: as the program tells.
        :param keeps_words: lines of words, such as Klipper's, stay as they are.
        :param spindle_tells: see `Guess`.
        :param renumber: writes each run anew before anything reads it; see `Renumbering`.
        """
        self._machine = machine
        self._ends = _Ends(file)
        self._lines = Lines(file, chunk_bytes)
        self._hidden: dict[int, tuple[int, int]] = {}
        self._guess = Guess(spindle_tells=spindle_tells)
        known = dialect if dialect in DIALECTS else ""
        runs: Iterator[Stream] = bare_runs(
            self._watched(self._lines), known, keeps_words=keeps_words
        )
        self._runs = map(renumber, runs) if renumber else runs
        self._early: deque[Stream] = deque()
        self._read_lines = self._read_bytes = 0
        self._source_lines = 0
        self.dialect = dialect if dialect in DIALECTS else self._tell()

    @property
    def ends(self) -> bytes:
        """Both ends of the upload, before any of it has been read."""
        return _joined(self._ends.head, self._ends.tail)

    def read(self, readers: Sequence[Reader], checks: Sequence[Check] = ()) -> Told:
        """Feed every piece to every reader, and the seconds of its lines as they settle.

        :param readers: without any, nothing is timed, which is most of the work.
        :param checks: fed likewise, but not timed.
        """
        carried: Carried = {}
        motion = Motion(self._machine)
        clock = Clock(self._machine, self.dialect) if readers else None
        for run in chain(_emptied(self._early), self._runs):
            for part, words in _parts(run):
                self._guess.add(words)
                blocks = Blocks(words, self.dialect, carried)
                moves = motion.feed(blocks)
                piece = Piece(
                    self._read_lines, part.data, part.source_line, blocks, moves,
                    part.upload, self._source_lines + 1, part.features,
                )  # fmt: skip
                self._source_lines = part.source_lines
                self._read_lines += len(part)
                self._read_bytes += len(part.data)
                for reader in readers:
                    reader.feed(piece)
                for check in checks:
                    check.feed(piece)
                if clock is not None:
                    _settle(readers, clock.feed(piece.first_line, blocks, moves))
        if clock is not None:
            _settle(readers, clock.finish())
        return self._told()

    def _tell(self) -> str:
        """Return the dialect that the beginning tells, or more of it while nothing tells."""
        named = self._ends.named
        guess = Guess()
        for run in self._runs:
            self._early.append(run)
            guess.add(read_words(run.data))
            told = guess.tell(named)
            if guess.lines >= _TELLING_LINES and told != "unknown":
                return told
            if len(self._early) > _MOST_EARLY:
                return told
        return guess.tell(named)

    def _watched(self, lines: Lines) -> Iterator[bytes]:
        """Look for hidden bytes in what the stream may not show."""
        for chunk in lines:
            if chunk.translate(None, _PLAIN):
                self._look_for_hidden(chunk, lines.given)
            yield chunk

    def _look_for_hidden(self, chunk: bytes, lines_before: int) -> None:
        text = chunk.decode("utf-8", "surrogateescape")
        for found in _HIDDEN.finditer(text):
            byte = ord(found[0]) & 0xFF
            first, count = self._hidden.get(byte, (0, 0))
            if not first and len(self._hidden) >= _MOST_HIDDEN:
                continue
            first = first or lines_before + text.count("\n", 0, found.start()) + 1
            self._hidden[byte] = (first, count + 1)

    def _told(self) -> Told:
        return Told(
            self.dialect,
            self._guess.tell(self._ends.named),
            self._ends.head,
            self._ends.tail,
            self._source_lines,
            self._read_lines,
            self._read_bytes,
            self._hidden,
            self._lines.overlong,
        )


def _settle(readers: Sequence[Reader], spans: Iterable[Times]) -> None:
    for times in spans:
        for reader in readers:
            reader.settle(times)


def _emptied(runs: deque[Stream]) -> Iterator[Stream]:
    while runs:
        yield runs.popleft()


def _joined(head: bytes, tail: bytes) -> bytes:
    return head if head == tail else head + b"\n" + tail


class _Ends:
    """The first and the last bytes of a file, which is left at its beginning."""

    def __init__(self, file: BinaryIO) -> None:
        size = file.seek(0, 2)
        file.seek(0)
        self.head = file.read(_END_BYTES)
        file.seek(max(size - _END_BYTES, 0))
        self.tail = file.read(_END_BYTES)
        file.seek(0)
        self.named = flavored(self.head) or flavored(self.tail)


def _parts(run: Stream) -> Iterator[tuple[Stream, Words]]:
    """Return a run whole, or cut where it has so many arcs that their pieces would fill memory."""
    words = read_words(without_words(run))
    if sum(len(words.of(letter).line) for letter in "IJKR") <= _MOST_ARCS:
        yield run, words
        return
    del words
    ends = _line_ends(run.data)
    raw_ends = _line_ends(run.upload)
    lines_before = run.source_lines - len(raw_ends) + 1
    begun = 0
    for first in range(0, len(run), _MOST_ARCS):
        until = min(first + _MOST_ARCS, len(run))
        last = until == len(run)
        data = run.data[int(ends[first - 1]) if first else 0 : int(ends[until - 1])]
        source_lines = run.source_lines if last else int(run.source_line[until - 1])
        begin, begun = begun, int(raw_ends[source_lines - lines_before])
        features = tuple(
            Feature(one.line - first, one.name)
            for one in run.features
            if first <= one.line < until or (last and one.line == until)
        )
        upload = run.upload[begin:begun]
        source = run.source_line[first:until]
        part = Stream(data, source, source_lines, features, upload, run.halts)
        yield part, read_words(without_words(part))


def _line_ends(lines: bytes) -> Ints:
    """Return where each line ends, behind its newline."""
    return np.flatnonzero(np.frombuffer(lines, np.uint8) == ord("\n")) + 1
