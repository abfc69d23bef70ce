"""Where a program begins to make something: what comes before is the start of every run."""

from __future__ import annotations

import numpy as np

from jobs.analysis.piece import Piece, Reader, Times


class Beginning(Reader):
    """Finds the first extrusion or cut, and adds up what comes before it.

    That is heating, homing and the way there; nothing where nothing is made.
    """

    def __init__(self) -> None:
        self._line: int | None = None
        self._seconds = 0.0

    def feed(self, piece: Piece) -> None:
        """Take the next piece."""
        if self._line is not None:
            return
        moves = piece.moves
        at = np.flatnonzero(moves.printing() | moves.cutting())
        if len(at):
            self._line = piece.first_line + int(moves.line[at[0]])

    def settle(self, times: Times) -> None:
        """Take the seconds of the next lines; they never run before the pieces."""
        before = len(times) if self._line is None else self._line - times.first_line
        if before > 0:
            self._seconds += float(times.total()[:before].sum())

    def told(self) -> tuple[int, float]:
        """Return how many stream lines come before, and what they take [s]."""
        return (self._line, self._seconds) if self._line is not None else (0, 0.0)
