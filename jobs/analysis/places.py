"""Places: the coordinate of each axis through G90, G91, G92, homing and tool lengths."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from math import isnan

import numpy as np

from jobs.analysis.arrays import Bools, Floats, Ints, hold, previous, track
from jobs.analysis.blocks import Blocks
from jobs.domain.machine import MachineLimits

AXES = "XYZ"
# What takes the shift of G92 away, for good or until G92.3 brings it back.
_CLEARS, _SUSPENDS, _RESTORES = 921, 922, 923
_SHIFTS, _HOMES, _LENGTHS = (920,), (280, 300), (431, 490)
# Where more lines than one in so many depend on all before, one line after another is faster.
_DENSE = 24

NOWHERE = float("nan")


class Places:
    """Follows the axes through a program, piece by piece.

    A place in the machine is the program's coordinate plus what G92 and the tool length have
    shifted it by. Work offsets are not known here and count as zero.
    """

    def __init__(self, machine: MachineLimits | None) -> None:
        self._machine = machine
        self._place = [0.0, 0.0, 0.0]
        self._offset = [0.0, 0.0, 0.0]
        self._suspended = [0.0, 0.0, 0.0]
        self._tool_length = 0.0

    def feed(self, blocks: Blocks, moving: Bools, at: Ints, homes: Ints) -> tuple[Floats, Floats]:
        """Return where lines begin and end, shapes (m, 3) [mm].

        :param moving: lines whose axis words are a motion, shape (n,).
        :param at: the lines asked for, shape (m,).
        :param homes: those that name a place to pass on the way home; Grbl's G28 and G30.
        """
        start = np.empty((len(at), 3), order="F")
        end = np.empty((len(at), 3), order="F")
        commands = blocks.commands
        codes = (*_SHIFTS, _CLEARS, _SUSPENDS, _RESTORES, *_HOMES, *_LENGTHS, 530)
        events = commands.lines("G", *codes)
        if blocks.relative.any() or self._touch_axes(blocks, events):
            before, after, shift = self._follow(blocks, moving)
            start[:], end[:] = before[at], after[at]
            if len(homes):
                _pass(blocks, homes, (start, end), np.searchsorted(at, homes), shift)
            return start, end
        for axis in range(3):
            self._follow_plain(blocks, axis, at, (start[:, axis], end[:, axis]))
        return start, end

    @staticmethod
    def _touch_axes(blocks: Blocks, events: Ints) -> bool:
        """Return whether any of these lines is more than the `G92 E0` of every layer."""
        if len(events) == 0:
            return False
        resets = blocks.commands.lines("G", *_SHIFTS)
        if len(resets) < len(events):
            return True
        return any(blocks.has(letter)[resets].any() for letter in AXES)

    def _follow_plain(
        self, blocks: Blocks, axis: int, at: Ints, out: tuple[Floats, Floats]
    ) -> None:
        """Follow one axis where every line that names it goes to a place."""
        start, end = out
        shift = self._shift(axis)
        before = self._place[axis]
        lines, values = blocks.given(AXES[axis])
        if not isinstance(blocks.scale, float):
            values = values * blocks.scale[lines]
        obeyed = blocks.motion[lines] >= 0
        if not obeyed.all():
            lines, values = lines[obeyed], values[obeyed]
        if len(values):
            self._place[axis] = float(values[-1])
        np.add(hold(blocks.n, lines, values, before)[at], shift, out=end)
        start[:1] = before + shift
        start[1:] = end[:-1]

    def _follow(self, blocks: Blocks, moving: Bools) -> tuple[Floats, Floats, Floats]:
        """Follow all axes in spans between the lines that depend on all that was before.

        A program has a handful of them; all else is done at once for a whole span.

        :returns: places before and after each line, and how far they are shifted from the
            program's coordinates, shapes (n, 3).
        """
        before = np.empty((blocks.n, 3), order="F")
        after = np.empty((blocks.n, 3), order="F")
        shift = np.empty((blocks.n, 3), order="F")
        hard = blocks.commands.lines("G", _CLEARS, _SUSPENDS, _RESTORES)
        if not blocks.modal:
            hard = np.union1d(hard, blocks.commands.lines("G", 530))
        spans = _Spans(blocks, moving)
        edges = np.unique(np.concatenate(([0], hard, [blocks.n]))).tolist()
        jumps = dict(zip(*(part.tolist() for part in _jumps(blocks)), strict=True))
        if len(edges) * _DENSE > blocks.n + 2 * _DENSE:
            self._follow_lines(spans, jumps, (before, after, shift))
            return before, after, shift
        for first, until in pairwise(edges):
            if first in jumps:
                self._jump(jumps[first])
            self._follow_span(spans, slice(first, until), (before, after, shift))
        return before, after, shift

    def _jump(self, code: int, axes: Iterable[int] = range(3)) -> None:
        """Clear, suspend or restore the shift of G92; the tool stays where it is."""
        for axis in axes:
            before = self._offset[axis]
            after = self._suspended[axis] if code == _RESTORES else 0.0
            if code != _RESTORES:
                self._suspended[axis] = before if code == _SUSPENDS else 0.0
            self._place[axis] += before - after
            self._offset[axis] = after

    def _follow_span(self, spans: _Spans, span: slice, out: tuple[Floats, Floats, Floats]) -> None:
        before, after, shift = out
        length = hold(spans.n, *spans.lengths, self._tool_length)[span] if spans.lengthens else None
        for axis in range(3):
            was_place, was_offset = self._place[axis], self._offset[axis]
            first = was_place + self._shift(axis)
            set_at, set_to, step = spans.changes(axis, span, was_offset, self._home(axis))
            lift: Floats | float = 0.0
            if axis == 2:
                lift = self._tool_length
                if length is not None:
                    # The tool stays where it is: its coordinate gives way to its length.
                    step = step - (length - previous(length, self._tool_length)) * ~set_at
                    lift = length
            place = track(set_at, set_to, step, was_place)
            offset = spans.offset(axis, span, place, (was_place, was_offset))
            shift[span, axis] = offset + lift
            after[span, axis] = place + shift[span, axis]
            before[span, axis] = previous(after[span, axis], first)
            self._place[axis] = float(place[-1])
            self._offset[axis] = float(offset[-1]) if isinstance(offset, np.ndarray) else offset
        if length is not None:
            self._tool_length = float(length[-1])

    def _follow_lines(
        self, spans: _Spans, jumps: dict[int, int], out: tuple[Floats, Floats, Floats]
    ) -> None:
        """Follow all axes one line after another: no program of use needs it, only a trap does."""
        lengths = dict(zip(*(part.tolist() for part in spans.lengths), strict=True))
        for axis in range(3):
            columns = self._follow_axis(axis, spans, jumps, lengths if axis == 2 else {})
            for column, values in zip(out, columns, strict=True):
                column[:, axis] = values
        if lengths:
            self._tool_length = next(reversed(lengths.values()))

    def _follow_axis(
        self, axis: int, spans: _Spans, jumps: dict[int, int], lengths: dict[int, float]
    ) -> tuple[list[float], list[float], list[float]]:
        before, after, shift = [0.0] * spans.n, [0.0] * spans.n, [0.0] * spans.n
        place, offset = self._place[axis], self._offset[axis]
        lift = self._tool_length if axis == 2 else 0.0
        clears, home = (False, NOWHERE) if spans.modal else (True, self._home(axis))
        for line, (value, sets, in_machine, shifts, homed, step) in enumerate(spans.rows(axis)):
            if line in jumps:
                self._place[axis], self._offset[axis] = place, offset
                self._jump(jumps[line], (axis,))
                place, offset = self._place[axis], self._offset[axis]
            before[line] = place + offset + lift
            was, longer = place, lengths.get(line, lift) - lift
            lift += longer
            if homed:
                place = home
            elif sets and in_machine:
                place = NOWHERE if spans.modal else value - offset
            elif sets:
                place = value
            else:
                place += step - longer
            if homed and clears:
                offset = 0.0
            elif shifts and not isnan(was):
                offset += was - value
            after[line] = place + offset + lift
            shift[line] = offset + lift
        self._place[axis], self._offset[axis] = place, offset
        return before, after, shift

    def _shift(self, axis: int) -> float:
        return self._offset[axis] + (self._tool_length if axis == 2 else 0.0)

    def _home(self, axis: int) -> float:
        """Return where Marlin's homing ends: the machine's zero, or what is nearest to it."""
        if self._machine is None:
            return 0.0
        low = self._machine.origin_mm[axis]
        return min(max(0.0, low), low + self._machine.envelope_mm[axis])


def _pass(
    blocks: Blocks, homes: Ints, out: tuple[Floats, Floats], rows: Ints, shift: Floats
) -> None:
    """Let a move home end at the place that it names, where it turns towards the switches."""
    start, end = out
    for axis, letter in enumerate(AXES):
        value, was = blocks.length(letter)[homes], start[rows, axis]
        reach = np.where(blocks.relative[homes], was + value, value + shift[homes, axis])
        end[rows, axis] = np.where(np.isnan(value), was, reach)


def _jumps(blocks: Blocks) -> tuple[Ints, Ints]:
    return blocks.commands.choose("G", _CLEARS, _SUSPENDS, _RESTORES)


class _Spans:
    """What the lines of a piece do to the axes besides moving them."""

    def __init__(self, blocks: Blocks, moving: Bools) -> None:
        self.n, self.modal = blocks.n, blocks.modal
        self._blocks, self._moving = blocks, moving
        commands = blocks.commands
        self._shifts = _marked(blocks.n, commands.lines("G", *_SHIFTS))
        self._homes = commands.lines("G", *(_HOMES if blocks.modal else _HOMES[:1]))
        self._in_machine = _marked(blocks.n, commands.lines("G", 530))
        named = np.zeros(len(self._homes), np.bool_)
        for letter in AXES:
            named |= blocks.has(letter)[self._homes]
        self._all = ~named
        lines, codes = commands.choose("G", *_LENGTHS)
        self.lengthens = len(lines) > 0
        long = np.nan_to_num(blocks.length("Z")[lines])
        self.lengths = (lines, np.where(codes == _LENGTHS[0], long, 0.0))

    def changes(
        self, axis: int, span: slice, offset: float, home: float
    ) -> tuple[Bools, Floats, Floats]:
        """Return which lines set a coordinate, to what, and what the others add to it."""
        blocks = self._blocks
        value = blocks.length(AXES[axis])[span]
        given = ~np.isnan(value)
        in_machine = self._in_machine[span]
        moved = self._moving[span] & given
        set_at = moved & (~blocks.relative[span] | in_machine)
        step = np.where(moved & ~set_at, value, 0.0)
        # Where the machine's zero lies in the program's coordinates a Grbl alone knows.
        set_to = np.where(in_machine, np.nan if blocks.modal else value - offset, value)
        shifted = self._shifts[span] & given
        homed = self._homed(axis)[span]
        set_to[homed] = np.nan if blocks.modal else home
        set_at |= shifted | homed
        step[set_at] = 0.0
        return set_at, set_to, step

    def rows(self, axis: int) -> Iterable[tuple[float, bool, bool, bool, bool, float]]:
        """Return of each line: the number given, whether it sets the coordinate, is in machine

        coordinates, shifts the zero, or homes; and what it adds.
        """
        value = self._blocks.length(AXES[axis])
        given = ~np.isnan(value)
        moved = self._moving & given
        sets = moved & (~self._blocks.relative | self._in_machine)
        shifts = self._shifts & given
        step = np.where(moved & ~sets, value, 0.0)
        columns = (value, sets | shifts, self._in_machine, shifts, self._homed(axis), step)
        return zip(*(column.tolist() for column in columns), strict=True)

    def offset(
        self, axis: int, span: slice, place: Floats, before: tuple[float, float]
    ) -> Floats | float:
        """Return what G92 has added up to; Marlin's homing takes it away."""
        was_place, was_offset = before
        blocks = self._blocks
        value = blocks.length(AXES[axis])[span]
        shifted = self._shifts[span] & ~np.isnan(value)
        cleared = self._homed(axis)[span] if not blocks.modal else np.zeros(len(place), np.bool_)
        if not shifted.any() and not cleared.any():
            return was_offset
        change = np.where(shifted, np.nan_to_num(previous(place, was_place) - value), 0.0)
        return track(cleared, np.zeros(len(place)), change, was_offset)

    def _homed(self, axis: int) -> Bools:
        own = self._blocks.has(AXES[axis])[self._homes] | self._all
        return _marked(self.n, self._homes[own])


def _marked(n: int, lines: Ints) -> Bools:
    marked = np.zeros(n, np.bool_)
    marked[lines] = True
    return marked
