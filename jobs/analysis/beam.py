"""Checks of a laser's program: a beam is lit only while it moves, and no stronger than it may be.

`M3` is constant power: lit while the machine stands, too. `M4` follows the speed and is dark at
rest. Grbl darkens both in G0. *Source:* gnea/grbl:doc/markdown/laser_mode.md.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from jobs.analysis.arrays import Bools, Floats
from jobs.analysis.blocks import Blocks
from jobs.analysis.piece import Piece
from jobs.analysis.target import Tally, Target, block, person
from jobs.domain.preflight import Finding, FindingCode

_CONSTANT, _FOLLOWING, _DARK = 30, 40, (50, 20, 300)
_NO_MOTION = 800
_DWELL = 40
_STILL = 1e-6  # [mm]


class Beam:
    """What a program would have a beam do that it must not; nothing on other machines."""

    def __init__(self, target: Target) -> None:
        self._applies = target.kind == "laser"
        self._darkens = target.dialect == "grbl"
        # The machine's key counts what S counts: turns of a spindle, or the power of a beam.
        self._limit = target.machine.spindle_max_rpm
        self._strong, self._strongest = Tally(), 0.0
        self._standing = Tally()

    def feed(self, piece: Piece) -> None:
        """Take the next piece."""
        if not self._applies or not len(piece):
            return
        lines, given = piece.blocks.given("S")
        strong = given > self._limit
        if self._limit > 0.0 and strong.any():
            self._strong.add(piece, np.unique(lines[strong]))
            self._strongest = max(self._strongest, float(given[strong].max()))
        power = piece.blocks.held("beam power", lines, given, 0.0)
        self._standing.add(piece, np.flatnonzero(self._stands(piece, power)))

    def finish(self) -> Iterator[Finding]:
        """Return at most one finding on power and one on standing."""
        if self._strong.count:
            yield block(
                FindingCode.BEAM_TOO_STRONG,
                self._strong.line,
                asked=self._strongest,
                limit=self._limit,
                count=self._strong.count,
            )
        if self._standing.count:
            # Some lasers pierce so; in wood and cloth it is how a fire begins.
            standing = self._standing
            yield person(FindingCode.BEAM_STANDS, standing.line, count=standing.count)

    def _stands(self, piece: Piece, power: Floats) -> Bools:
        """Return dwells in constant power, and feed moves that go nowhere in X and Y."""
        blocks, moves = piece.blocks, piece.moves
        stands = np.zeros(blocks.n, np.bool_)
        burns = _is_constant(blocks) & (power > 0.0) & self._may_burn(blocks)
        dwells = blocks.commands.lines("G", _DWELL)
        stands[dwells] = burns[dwells]
        way = np.abs(moves.end - moves.start)
        climbs = (way[:, 2] > _STILL) & (way[:, :2].max(axis=1, initial=0.0) <= _STILL)
        lit = moves.spindle & ~moves.rapid & (power[moves.line] > 0.0)
        stands[moves.line[lit & climbs]] = True
        return stands

    def _may_burn(self, blocks: Blocks) -> Bools:
        """Return where the motion in force is one that lights the beam."""
        if not self._darkens:
            return np.ones(blocks.n, np.bool_)
        ends = blocks.commands.lines("G", _NO_MOTION)
        lines = np.concatenate((blocks.commands.motion_line, ends))
        lights = np.concatenate((blocks.commands.motion_code > 0, np.zeros(len(ends), np.bool_)))
        order = np.argsort(lines, kind="stable")
        values = lights[order].astype(np.float64)
        return blocks.held("beam motion", lines[order], values, 0.0) > 0.0


def _is_constant(blocks: Blocks) -> Bools:
    lines, codes = blocks.commands.choose("M", _CONSTANT, _FOLLOWING, *_DARK)
    return blocks.held("beam constant", lines, (codes == _CONSTANT).astype(np.float64), 0.0) > 0.0
