"""Extrusion gone wrong: filament pushed cold, or far more or less of it than a part takes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from jobs.analysis.heat import NOZZLE, HeatReader
from jobs.analysis.odd import Odd
from jobs.analysis.piece import Piece
from jobs.analysis.target import Tally, Target, block, person
from jobs.domain.preflight import Finding, FindingCode

# Marlin's EXTRUDE_MINTEMP [°C]: below it the firmware refuses to push.
_COLD_BELOW = 170.0
# Marlin's EXTRUDE_MAXLENGTH [mm]: what one move may push at most.
_LONGEST_PUSH = 200.0
# Filament for each mm of way: 1 is a bead of 2.4 mm², twice what a nozzle of 1.2 mm lays down.
_THICKEST = 1.0
_MOST_THICK, _MOST_THICK_MM = 10, 100.0
# A wipe pulls back on its way, too; but most moves of a print push.
_MOST_PULLING, _LEAST_MOVES = 0.4, 50
_LEAST_WAY = 0.1


class Cold:
    """Filament pushed while the last temperature asked for is too low."""

    def __init__(self, target: Target, odd: Odd) -> None:
        self._applies = target.kind == "fdm"
        self._reader = HeatReader(target.rules, NOZZLE, odd, target.macros)
        self._in_force = 0.0
        self._tally = Tally()

    def feed(self, piece: Piece) -> None:
        """Take the next piece."""
        if not self._applies:
            return
        asked = self._reader.read(piece)
        target = np.concatenate(([self._in_force], asked.target))
        self._in_force = float(target[-1])
        if (target >= _COLD_BELOW).all():
            return
        pushing = piece.moves.line[piece.moves.printing()]
        in_force = target[np.searchsorted(asked.line, pushing, side="right")]
        # What a macro may have heated is not cold.
        with np.errstate(invalid="ignore"):
            self._tally.add(piece, pushing[in_force < _COLD_BELOW])

    def finish(self) -> Iterator[Finding]:
        """Return at most one finding."""
        if self._tally.count:
            yield block(FindingCode.COLD_EXTRUSION, self._tally.line, count=self._tally.count)


class Pushes:
    """Far too much filament for the way, or filament pulled back along most of it.

    That is what M82 and M83 mixed up come to: lengths from the beginning taken for steps push
    metres, steps taken for lengths from the beginning push and pull by turns.
    """

    def __init__(self, target: Target) -> None:
        self._applies = target.kind == "fdm"
        self._long, self._thick = Tally(), Tally()
        self._longest = self._thick_mm = 0.0
        self._pulling = Tally()
        self._moves = 0

    def feed(self, piece: Piece) -> None:
        """Take the next piece."""
        moves = piece.moves
        if not self._applies or not moves.extruded.any():
            return
        pushed, way = moves.extruded, moves.travelled()
        long = pushed > _LONGEST_PUSH
        if long.any():
            self._long.add(piece, moves.line[long])
            self._longest = max(self._longest, float(pushed[long].max()))
        along = way > _LEAST_WAY
        thick = along & (pushed > way * _THICKEST)
        if thick.any():
            self._thick.add(piece, moves.line[thick])
            self._thick_mm += float(pushed[thick].sum())
        pulling = along & (pushed < 0.0)
        self._pulling.add(piece, moves.line[pulling])
        self._moves += int(np.count_nonzero(along & (pushed != 0.0)))

    def finish(self) -> Iterator[Finding]:
        """Return at most one finding of each sort."""
        is_thick = self._thick.count >= _MOST_THICK and self._thick_mm > _MOST_THICK_MM
        if self._long.count or is_thick:
            tally = self._long if self._long.count else self._thick
            mm = round(self._longest if self._long.count else self._thick_mm, 1)
            yield person(FindingCode.PUSHES_MUCH, tally.line, mm=mm, count=tally.count)
        if self._moves >= _LEAST_MOVES and self._pulling.count > _MOST_PULLING * self._moves:
            count = self._pulling.count
            yield person(FindingCode.EXTRUDER_MODE, self._pulling.line, count=count)
