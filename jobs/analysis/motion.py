"""Motion: where every move begins and ends, and what it extrudes or cuts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from jobs.analysis.arcs import Arcs, read_arcs
from jobs.analysis.arrays import Bools, Floats, Ints, hold, previous, track
from jobs.analysis.blocks import Blocks
from jobs.domain.machine import MachineLimits

AXES = "XYZ"
_FIRMWARE_ARC = (20, 30)


@dataclass(frozen=True, slots=True)
class Moves:
    """Every straight piece of motion in order, arcs cut as the firmware cuts them, shapes (m,).

    :param line: stream line each belongs to.
    :param start: where it begins, shape (m, 3) [mm]; NaN where that cannot be known.
    :param end: where it ends, shape (m, 3) [mm].
    :param extruded: filament pushed, below 0 pulled back [mm].
    :param feedrate: speed asked for [mm/s]; 0 where none was given.
    :param rapid: G0 of a machine that has rapids.
    :param spindle: the spindle turns.
    :param tool: number of the extruder or cutter.
    :param machine: moves in machine coordinates (G53).
    :param impossible: stream lines of arcs that cannot be.
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
    impossible: Ints

    def travelled(self) -> Floats:
        """Return the length of each move [mm]; 0 where it cannot be known."""
        way = np.nan_to_num(self.end - self.start)
        length: Floats = np.sqrt(np.einsum("ij,ij->i", way, way))
        return length


def read_moves(blocks: Blocks, machine: MachineLimits | None) -> Moves:
    """Follow every coordinate through the program."""
    moving = _moving(blocks)
    before, after = _positions(blocks, moving, machine)
    extruded = _extruded(blocks, moving)
    at = np.flatnonzero(moving)
    start, end = before[at], after[at]
    feedrate = blocks.feedrate()
    rapid = blocks.motion[at] == 0 if blocks.modal else np.zeros(len(at), np.bool_)
    in_machine = np.zeros(blocks.n, np.bool_)
    in_machine[blocks.commands.lines("G", 530)] = True
    moves = Moves(
        line=at,
        start=start,
        end=end,
        extruded=extruded[at],
        feedrate=feedrate[at],
        rapid=rapid,
        spindle=spindle_on(blocks)[at],
        tool=_tools(blocks)[at],
        machine=in_machine[at],
        impossible=at[:0],
    )
    curved = np.isin(blocks.motion[at], _FIRMWARE_ARC)
    if not curved.any():
        return moves
    return _cut(moves, read_arcs(blocks, at, start, end, curved))


def spindle_on(blocks: Blocks) -> Bools:
    """Return where the spindle or laser is on: after M3 or M4, until M5 or the program's end."""
    lines, codes = blocks.commands.choose("M", 30, 40, 50, 20, 300)
    values = np.isin(codes, (30, 40)).astype(np.float64)
    return hold(blocks.n, lines, values, 0.0) > 0.0


def _moving(blocks: Blocks) -> Bools:
    axes = ~np.isnan(blocks.column("X"))
    for letter in "YZ" if blocks.modal else "YZE":
        axes = axes | ~np.isnan(blocks.column(letter))
    if blocks.modal:
        axes |= np.isin(blocks.motion, _FIRMWARE_ARC) & ~np.isnan(blocks.column("I"))
        axes |= ~np.isnan(blocks.column("E"))
    moving: Bools = axes & ~np.isnan(blocks.motion)
    return moving


def _positions(
    blocks: Blocks, moving: Bools, machine: MachineLimits | None
) -> tuple[Floats, Floats]:
    """Return where each line begins and ends in the machine's own coordinates, shapes (n, 3)."""
    commands = blocks.commands
    shifts = commands.lines("G", 920)
    unshifts = commands.lines("G", 921)
    homes = commands.lines("G", 280, 300)
    in_machine = np.zeros(blocks.n, np.bool_)
    in_machine[commands.lines("G", 530)] = True
    named_home = np.zeros(blocks.n, np.bool_)
    for letter in AXES:
        named_home |= blocks.has(letter)
    before = np.empty((blocks.n, 3))
    after = np.empty((blocks.n, 3))
    for index, letter in enumerate(AXES):
        value = blocks.length(letter)
        given = ~np.isnan(value)
        home = _home(machine, index) if not blocks.modal else np.nan
        set_at = moving & given & ~blocks.relative
        step = np.where(moving & given & blocks.relative, value, 0.0)
        set_to = np.where(in_machine, np.nan, value)
        shifted = np.zeros(blocks.n, np.bool_)
        shifted[shifts] = given[shifts]
        homed = np.zeros(blocks.n, np.bool_)
        homed[homes] = blocks.has(letter)[homes] | ~named_home[homes]
        set_to[homed] = home
        set_at |= shifted | homed
        step[set_at] = 0.0
        place = track(set_at, set_to, step, 0.0)
        was = previous(place, 0.0)
        offset = _offset(blocks, (shifted, homed, unshifts), np.where(shifted, was - value, 0.0))
        if letter == "Z" and blocks.modal:
            offset = offset + _tool_length(blocks)
        after[:, index] = place + offset
        before[:, index] = previous(after[:, index], 0.0)
    return before, after


def _offset(blocks: Blocks, events: tuple[Bools, Bools, Ints], change: Floats) -> Floats:
    """Return what G92 has added up to; homing and G92.1 take it away."""
    shifted, homed, unshifts = events
    if not shifted.any():
        return np.zeros(blocks.n)
    change = np.nan_to_num(change)
    cleared = homed.copy() if not blocks.modal else np.zeros(blocks.n, np.bool_)
    cleared[unshifts] = True
    return track(cleared, np.zeros(blocks.n), change, 0.0)


def _tool_length(blocks: Blocks) -> Floats:
    lines, codes = blocks.commands.choose("G", 431, 490)
    values = np.where(codes == 431, np.nan_to_num(blocks.length("Z")[lines]), 0.0)
    return hold(blocks.n, lines, values, 0.0)


def _home(machine: MachineLimits | None, axis: int) -> float:
    if machine is None:
        return 0.0
    low = machine.origin_mm[axis]
    return min(max(0.0, low), low + machine.envelope_mm[axis])


def _extruded(blocks: Blocks, moving: Bools) -> Floats:
    value = blocks.length("E")
    given = ~np.isnan(value)
    if not given.any():
        return np.zeros(blocks.n)
    relative = blocks.extruder_relative()
    reset = np.zeros(blocks.n, np.bool_)
    shifts = blocks.commands.lines("G", 920)
    reset[shifts] = given[shifts]
    set_at = (moving & given & ~relative) | reset
    step = np.where(moving & given & relative, value, 0.0)
    place = track(set_at, value, step, 0.0)
    pushed = np.where(moving & given, place - previous(place, 0.0), 0.0)
    lines = blocks.commands.lines("M", 2210)
    return pushed * (blocks.held("S", lines, 100.0) / 100.0) if len(lines) else pushed


def _tools(blocks: Blocks) -> Ints:
    lines, codes = blocks.commands.choose("T")
    return hold(blocks.n, lines, np.clip(codes // 10, 0, 255).astype(np.float64), 0.0).astype(
        np.int64
    )


def _cut(moves: Moves, arcs: Arcs) -> Moves:
    """Return the moves with each arc replaced by its pieces."""
    pieces = np.ones(len(moves.line), np.int64)
    pieces[arcs.move] = arcs.pieces
    of = np.repeat(np.arange(len(pieces)), pieces)
    end = moves.end[of]
    last = np.cumsum(pieces) - 1
    inner = np.ones(len(of), np.bool_)
    inner[last] = False
    end[inner] = arcs.points()
    start = np.concatenate((np.zeros((1, 3)), end[:-1]))
    first = last - pieces + 1
    start[first] = moves.start
    share = 1.0 / pieces[of]
    return Moves(
        line=moves.line[of],
        start=start,
        end=end,
        extruded=moves.extruded[of] * share,
        feedrate=moves.feedrate[of],
        rapid=moves.rapid[of],
        spindle=moves.spindle[of],
        tool=moves.tool[of],
        machine=moves.machine[of],
        impossible=moves.line[arcs.move[arcs.impossible]],
    )
