"""A whole program's moves and times at once, however it was cut, for tests to look at."""

from __future__ import annotations

from dataclasses import dataclass, field
from io import BytesIO

import numpy as np

from jobs.analysis.piece import Piece, Reader, Times
from jobs.analysis.reading import Program, Told
from jobs.domain.machine import MachineLimits


@dataclass
class Whole(Reader):
    """Keeps every piece and all times."""

    pieces: list[Piece] = field(default_factory=list)
    settled: list[Times] = field(default_factory=list)
    told: Told | None = None

    def feed(self, piece: Piece) -> None:
        self.pieces.append(piece)

    def settle(self, times: Times) -> None:
        self.settled.append(times)

    def moves(self, name: str) -> np.ndarray:
        """Return one column of all moves; lines count from the program's first."""
        columns = [getattr(piece.moves, name) for piece in self.pieces]
        if name == "line":
            firsts = [piece.first_line for piece in self.pieces]
            columns = [column + first for column, first in zip(columns, firsts, strict=True)]
        return np.concatenate(columns) if columns else np.zeros(0)

    def times(self, name: str) -> np.ndarray:
        """Return one kind of seconds of each line."""
        columns = [getattr(times, name) for times in self.settled]
        return np.concatenate(columns) if columns else np.zeros(0)

    @property
    def total(self) -> np.ndarray:
        """Return all seconds of each line."""
        return sum(self.times(name) for name in ("motion", "dwell", "heating", "homing"))


def read(
    data: bytes, machine: MachineLimits | None, dialect: str, chunk_bytes: int = 1 << 19
) -> Whole:
    """Read a program, cut into chunks of about so many bytes."""
    whole = Whole()
    whole.told = Program(BytesIO(data), machine, dialect, chunk_bytes).read([whole])
    return whole
