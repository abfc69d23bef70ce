"""Pieces: the runs of lines in which a program of any size flows through the analysis."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from jobs.analysis.arrays import Floats, Ints
from jobs.analysis.blocks import Blocks
from jobs.analysis.motion import Moves
from jobs.analysis.stream import Feature
from jobs.analysis.words import Words


@dataclass(frozen=True, slots=True)
class Piece:
    """Consecutive lines of the stream, and what they do.

    Line numbers inside a piece (`words.line`, `moves.line`, the rows of every column) count from
    0 at the piece's own first line. Modes, places and settings were carried in from the piece
    before, so every value here is that of the whole program; where the cuts lie means nothing.

    :param first_line: index of the piece's first line in the whole stream.
    :param stream: the lines as they will be sent, newline after each.
    :param source_line: 1-based line of the upload for each stream line, shape (n,).
    :param blocks: the words as columns, and the modes in force at each line.
    :param moves: every straight piece of motion.
    :param upload: the lines of the upload that these were made from, comments and all, each with
        a newline; a piece may consist of comments alone.
    :param upload_line: 1-based number of the first of them.
    :param features: what a slicer's comments name the lines, in order; a name holds until the
        next, in the pieces that follow too.
    """

    first_line: int
    stream: bytes
    source_line: npt.NDArray[np.uint32]
    blocks: Blocks
    moves: Moves
    upload: bytes
    upload_line: int
    features: tuple[Feature, ...]

    def __len__(self) -> int:
        return len(self.source_line)

    @property
    def ends(self) -> Ints:
        """Where each line's newline stands in `stream`, shape (n,)."""
        return self.blocks.words.ends

    @property
    def words(self) -> Words:
        """The words of the lines."""
        return self.blocks.words

    def source(self, line: int | np.integer) -> int:
        """Return the 1-based line of the upload that a line of the piece came from."""
        return int(self.source_line[int(line)])

    def text(self, line: int | np.integer) -> bytes:
        """Return a line as it will be sent, without its newline."""
        at = int(line)
        return self.stream[int(self.ends[at - 1]) + 1 if at else 0 : int(self.ends[at])]


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds of consecutive lines of the stream, shapes (n,).

    :param first_line: index in the whole stream.
    :param motion: planned motion, firmware retractions included.
    :param dwell: G4.
    :param heating: waits for a temperature, estimated.
    :param homing: homing moves, estimated.
    """

    first_line: int
    motion: Floats
    dwell: Floats
    heating: Floats
    homing: Floats

    def __len__(self) -> int:
        return len(self.motion)

    def total(self) -> Floats:
        """Return all of it for each line."""
        return self.motion + self.dwell + self.heating + self.homing


class Reader:
    """What takes a program in, piece by piece, and holds no more of it than its own sums.

    The result may not depend on where the pieces are cut: a reader carries what it needs.
    """

    def feed(self, piece: Piece) -> None:
        """Take the next piece."""
        raise NotImplementedError

    def settle(self, times: Times) -> None:
        """Take the seconds of the next lines; every line comes once, in order.

        The planner looks ahead, so the last moves of a piece are timed only when more moves,
        a halt or the program's end is known: times run behind the pieces, never before them,
        and are cut elsewhere. All have come when the program has ended.
        """
