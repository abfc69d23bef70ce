"""Zeros: which work offset each place on an axis counts from."""

from __future__ import annotations

import numpy as np

from jobs.analysis.arrays import Ints, hold
from jobs.analysis.piece import Piece
from jobs.analysis.places import AXES

OFFSETS = ("G54", "G55", "G56", "G57", "G58", "G59", "G59.1", "G59.2", "G59.3")


class Zero:
    """Follows one axis from zero to zero, piece by piece.

    Behind a G55 the axis still stands where it was sent to from the zero of G54, and every step
    leads on from there, until the program names a place on it anew.
    """

    def __init__(self, axis: int) -> None:
        self._letter = AXES[axis]
        self._said = -1  # in which offset a place was named last; -1: none was

    def feed(self, piece: Piece) -> Ints | int:
        """Return the offset that the end of each move counts from, shape (m,), or that of all.

        Where no place was ever named it is the one in force.
        """
        moves = piece.moves
        if len(moves) == 0:
            return 0
        first = int(moves.work[0])
        if self._said in (-1, first) and bool((moves.work == first).all()):
            if self._said < 0 and len(self._naming(piece)):
                self._said = first
            return first
        naming = self._naming(piece)
        said = hold(len(moves), naming, moves.work[naming].astype(np.float64), float(self._said))
        self._said = int(said[-1])
        return np.where(said < 0.0, moves.work, said).astype(np.int64)

    def _naming(self, piece: Piece) -> Ints:
        """Return which moves go to a place that their line names."""
        line = piece.moves.line
        named = piece.blocks.has(self._letter)[line] & ~piece.blocks.relative[line]
        return np.flatnonzero(named)
