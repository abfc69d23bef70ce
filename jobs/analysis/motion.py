"""Motion: where every move begins and ends, and what it extrudes or cuts."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from jobs.analysis.arcs import Arcs, read_arcs
from jobs.analysis.arrays import Bools, Floats, Ints, hold
from jobs.analysis.blocks import (
    CLOCKWISE,
    COUNTER,
    FEED_PER_MINUTE,
    FEED_PER_TURN,
    INVERSE_TIME,
    RAPID,
    Blocks,
)
from jobs.analysis.extrusion import Extrusion, Retracted, Retractions
from jobs.analysis.places import AXES, Places
from jobs.domain.machine import MachineLimits


@dataclass(frozen=True, slots=True)
class Moves:
    """Every straight piece of motion in order, arcs cut as the firmware cuts them, shapes (m,).

    Places are those of the machine as far as the program tells: G92 and tool lengths are
    counted in, work offsets (G54 to G59.3) are not known and taken as one zero.

    :param line: index in the piece of the line each belongs to, ascending.
    :param start: where it begins, shape (m, 3) [mm]; NaN where that cannot be known.
    :param end: where it ends, shape (m, 3) [mm].
    :param extruded: filament pushed, below 0 pulled back [mm].
    :param feedrate: speed asked for [mm/s], with M220 and G93 to G95; 0 where none was given.
    :param rapid: as fast as the axes can: G0 of a machine that has rapids, firmware's own lifts.
    :param spindle: the spindle or laser is on.
    :param tool: number of the extruder or cutter.
    :param machine: moves in machine coordinates (G53).
    :param work: the work offset in force: 0 for G54 … 5 for G59, 6 to 8 for G59.1 to G59.3.
    :param impossible: lines of arcs that cannot be.
    """

    line: Ints
    start: Floats
    end: Floats
    extruded: Floats
    feedrate: Floats
    rapid: Bools
    spindle: Bools
    tool: Ints
    machine: Bools
    work: Ints
    impossible: Ints

    def __len__(self) -> int:
        return len(self.line)

    def travelled(self) -> Floats:
        """Return the length of each move [mm]; 0 where it cannot be known."""
        square = np.zeros(len(self.line))
        for axis in range(3):
            way = self.end[:, axis] - self.start[:, axis]
            way *= way
            square += way
        if np.isnan(square).any():
            ways = np.nan_to_num(self.end - self.start)
            square = np.einsum("ij,ij->i", ways, ways)
        return np.sqrt(square)

    def printing(self) -> Bools:
        """Return which moves push filament while they travel."""
        moved: Bools = self.end[:, 0] != self.start[:, 0]
        for axis in (1, 2):
            moved |= self.end[:, axis] != self.start[:, axis]
        moved &= self.extruded > 0.0
        return moved

    def cutting(self) -> Bools:
        """Return which moves are at a feedrate with the spindle or laser on."""
        cuts: Bools = self.spindle & ~self.rapid
        return cuts


class Motion:
    """Follows every coordinate through a program, piece by piece."""

    def __init__(self, machine: MachineLimits | None) -> None:
        self._places = Places(machine)
        self._extrusion = Extrusion()
        self._retractions = Retractions()
        self._speed, self._kept_speed = 100.0, 100.0

    def feed(self, blocks: Blocks) -> Moves:
        """Return the moves of the next piece."""
        moving = _moving(blocks)
        homes = _ways_home(blocks)
        lifted = self._retractions.lifted
        retracted = self._retractions.feed(blocks)
        at = np.flatnonzero(moving)
        if len(homes) or len(retracted.line):
            at = np.union1d(np.union1d(at, homes), retracted.line)
        start, end = self._places.feed(blocks, moving, at, homes)
        motion = blocks.motion[at]
        rapid = motion == RAPID if blocks.modal else np.zeros(len(at), np.bool_)
        if len(homes):
            rapid |= np.isin(at, homes)
        in_machine = np.zeros(blocks.n, np.bool_)
        in_machine[blocks.commands.lines("G", 530)] = True
        moves = Moves(
            line=at,
            start=start,
            end=end,
            extruded=self._extrusion.feed(blocks, moving)[at],
            feedrate=self._feedrate(blocks)[at],
            rapid=rapid,
            spindle=blocks.spindle[at],
            tool=blocks.tool[at],
            machine=in_machine[at],
            work=blocks.work[at],
            impossible=at[:0],
        )
        curved = (motion == CLOCKWISE) | (motion == COUNTER)
        if curved.any():
            moves = _cut(moves, read_arcs(blocks, at, start, end, curved))
        if blocks.modal:
            moves = _in_feed_mode(blocks, moves)
        if len(retracted.line) or lifted:
            moves = _with_retractions(blocks.n, moves, retracted, lifted)
        return moves

    def _feedrate(self, blocks: Blocks) -> Floats:
        """Return the feedrate in force at each line, shape (n,) [mm/s]; 0 until one is given."""
        lines, values = blocks.given("F")
        taken = values > 0.0
        if not blocks.modal:
            # `M203 F` and the like are no feedrates: only a motion sets it.
            taken &= blocks.motion[lines] >= 0
        lines, values = lines[taken], values[taken] / 60.0
        values = values * (blocks.scale if isinstance(blocks.scale, float) else blocks.scale[lines])
        given = blocks.held("feedrate", lines, values, 0.0)
        before = self._speed
        lines, _ = blocks.commands.choose("M", 2200)
        if len(lines) == 0:
            return given if before == 100.0 else given * (before / 100.0)
        shares = blocks.column("S")[lines].tolist()
        keeps, returns = (blocks.has(letter)[lines].tolist() for letter in "BR")
        after = []
        for share, keep, back in zip(shares, keeps, returns, strict=True):
            self._kept_speed = self._speed if keep else self._kept_speed
            self._speed = self._kept_speed if back else self._speed
            self._speed = self._speed if np.isnan(share) else max(share, 0.0)
            after.append(self._speed)
        return given * (hold(blocks.n, lines, np.array(after), before) / 100.0)


def _moving(blocks: Blocks) -> Bools:
    """Return which lines move an axis, or an extruder."""
    named = np.zeros(blocks.n, np.bool_)
    for letter in "XYZE":
        named[blocks.given(letter)[0]] = True
    curved = (blocks.motion == CLOCKWISE) | (blocks.motion == COUNTER)
    if curved.any():
        # A circle may come back to where it began without naming an axis.
        for letter in "IJK":
            lines = blocks.given(letter)[0]
            named[lines[curved[lines]]] = True
    moving: Bools = named & (blocks.motion >= 0)
    return moving


def _ways_home(blocks: Blocks) -> Ints:
    """Return Grbl's homing lines that name a place to pass."""
    if not blocks.modal:
        return np.zeros(0, np.int64)
    lines = blocks.commands.lines("G", 280, 300)
    named = np.zeros(len(lines), np.bool_)
    for letter in AXES:
        named |= ~np.isnan(blocks.column(letter)[lines]) if len(lines) else named
    return lines[named]


def _in_feed_mode(blocks: Blocks, moves: Moves) -> Moves:
    """Return the moves with the F of G93, one over minutes, and of G95, a way for each turn."""
    turning = np.flatnonzero(blocks.has("S"))
    turns = blocks.setting("spindle speed", turning, blocks.column("S")[turning], 0.0, 0.0)
    mode = blocks.feed_mode[moves.line]
    if (mode == FEED_PER_MINUTE).all():
        return moves
    turns = turns if isinstance(turns, float) else turns[moves.line]
    whole = np.bincount(moves.line, moves.travelled(), blocks.n)[moves.line]
    # In inverse time a feedrate belongs to its line alone.
    inverse = np.nan_to_num(blocks.column("F")[moves.line]) / 60.0 * whole
    feedrate = np.where(mode == FEED_PER_TURN, moves.feedrate * turns, moves.feedrate)
    return replace(moves, feedrate=np.where(mode == INVERSE_TIME, inverse, feedrate))


def _rows(moves: Moves, rows: Ints) -> Moves:
    """Return some of the moves."""
    columns = {
        one.name: getattr(moves, one.name)[rows]
        for one in fields(moves)
        if one.name != "impossible"
    }
    return Moves(**columns, impossible=moves.impossible)


def _cut(moves: Moves, arcs: Arcs) -> Moves:
    """Return the moves with each arc replaced by its pieces."""
    pieces = np.ones(len(moves.line), np.int64)
    pieces[arcs.move] = arcs.pieces
    of = np.repeat(np.arange(len(pieces)), pieces)
    last = np.cumsum(pieces) - 1
    inner = np.ones(len(of), np.bool_)
    inner[last] = False
    made = _rows(moves, of)
    made.end[inner] = arcs.points()
    made.start[1:] = made.end[:-1]
    made.start[last - pieces + 1] = moves.start
    return replace(
        made,
        extruded=made.extruded / pieces[of],
        impossible=moves.line[arcs.move[arcs.impossible]],
    )


def _with_retractions(n: int, moves: Moves, made: Retracted, lifted: float) -> Moves:
    """Return the moves with those of G10 and G11, and all in the height they lift Z to.

    :param lifted: how high Z already stands above the program's [mm].
    """
    rows = np.searchsorted(moves.line, made.line)
    moves.extruded[rows] = made.extruded
    moves.feedrate[rows] = made.feedrate
    height = hold(n, made.line, lifted + np.cumsum(made.lift), lifted)[moves.line]
    moves.start[:, 2] += height
    moves.end[:, 2] += height
    lifts = np.flatnonzero(made.lift)
    if len(lifts) == 0:
        return moves
    lift, at = made.lift[lifts], rows[lifts]
    # Up after pulling back, down before pushing: the lift is the second row or the first.
    up = lift > 0.0
    order = np.argsort(
        np.concatenate((np.arange(len(moves)) * 3, at * 3 + np.where(up, 1, -1))), kind="stable"
    )
    result = _rows(moves, np.concatenate((np.arange(len(moves)), at))[order])
    lower = moves.end[at, 2] - np.maximum(lift, 0.0)
    mine = np.flatnonzero(order >= len(moves))
    result.extruded[mine] = result.feedrate[mine] = 0.0
    result.rapid[mine] = True
    result.start[mine, 2] = np.where(up, lower, moves.start[at, 2] - lift)
    # Before it rises the nozzle stands lower while the filament is pulled.
    result.start[mine[up] - 1, 2] = result.end[mine[up] - 1, 2] = lower[up]
    return result
