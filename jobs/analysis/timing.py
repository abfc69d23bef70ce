"""Time: what the planner, the dwells, the heating and the homing of a program take."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np

from jobs.analysis.arrays import Floats, Ints
from jobs.analysis.blocks import PROBES, Blocks, Column
from jobs.analysis.commands import (
    HALTING_ENDS,
    SYNC_G,
    SYNC_G_GRBL,
    SYNC_M,
    SYNC_M_GRBL,
)
from jobs.analysis.junctions import by_deviation, by_jerk
from jobs.analysis.limits import USUAL, Limits, read_limits
from jobs.analysis.motion import Moves
from jobs.analysis.piece import Times
from jobs.analysis.places import AXES
from jobs.analysis.planner import MINIMUM_SPEED, entry_speeds_squared, move_times
from jobs.domain.machine import MachineLimits

# Marlin moves at this speed until a program gives one (DEFAULT_FEEDRATE, 1,500 mm/min) [mm/s].
_FEEDRATE_AT_START = 25.0
# Heat-up of a common printer [°C/s]: a 40 W cartridge, a 200 W bed, a chamber's heater. A
# machine's own past jobs correct the promise; the guess only has to be of the right size.
_HEATERS = ((1090, 1.6), (1900, 0.45), (1910, 0.05))
ROOM_C = 21.0
_LONGEST_HEATING_C = 500.0
# Of the planner's places one always stays empty, and one holds the move that runs. Marlin has
# settled by then how fast that one ends, before the place of the one before is filled.
# Source: gnea/grbl:grbl/planner.c, Marlin 2.1.2:src/module/planner.cpp, BLOCK_BUFFER_SIZE.
_NOT_SEEN_GRBL, _NOT_SEEN_MARLIN = 2, 3
# Homing of one axis of a desktop printer, fast touch and slow touch [s].
_HOMING_AXIS = 6.0
_LONGEST_DWELL = 1e6
# Less than any step of any motor: rounding, not a way [mm].
_NO_LENGTH = 1e-6
_MOST_LINES_AT_ONCE = 1 << 16
_MOTION = 0  # the first of the columns of `Times`


@dataclass(frozen=True, slots=True)
class _Chain:
    """Moves as the planner sees them, shapes (m,).

    :param line: index of the line in the whole stream.
    :param junction: square of the largest speed into each [mm²/s²].
    """

    line: Ints
    length: Floats
    nominal: Floats
    acceleration: Floats
    junction: Floats

    def __len__(self) -> int:
        return len(self.line)

    def then(self, other: _Chain) -> _Chain:
        """Return this chain with another behind it."""
        if len(self) == 0:
            return other
        pairs = zip(self._columns(), other._columns(), strict=True)
        return _Chain(*(np.concatenate(pair) for pair in pairs))  # type: ignore[arg-type]

    def part(self, span: slice) -> _Chain:
        """Return some of the moves."""
        return _Chain(*(column[span] for column in self._columns()))  # type: ignore[arg-type]

    def _columns(self) -> tuple[Ints | Floats, ...]:
        return self.line, self.length, self.nominal, self.acceleration, self.junction


_EMPTY = _Chain(np.zeros(0, np.int64), *(np.zeros(0) for _ in range(4)))


@dataclass(frozen=True, slots=True)
class _Before:
    """The last move of a piece, which makes a corner with the first of the next."""

    unit: tuple[float, ...]
    nominal: float
    jerk: tuple[float, ...]


class Planner:
    """Plans a program's moves as the firmware will, piece by piece.

    A move's time is settled once as many moves behind it are known as the planner sees, or a
    command that waits for the machine to stand, or the end.
    """

    def __init__(self, machine: MachineLimits, dialect: str) -> None:
        self._machine = machine
        not_seen = _NOT_SEEN_MARLIN if dialect == "marlin" else _NOT_SEEN_GRBL
        self._seen = max(machine.planner_blocks - not_seen, 1)
        self._open = _EMPTY
        self._reached = 0.0
        # Of the last move, unless a standstill follows it: direction, speed, jerk of the axes.
        self._last: _Before | None = None

    def feed(self, first_line: int, blocks: Blocks, moves: Moves) -> tuple[Ints, Floats]:
        """Return lines, in the whole stream, and seconds of the moves that are settled now."""
        halts = _halts(blocks)
        made, stands = self._chain(first_line, blocks, moves, halts)
        chain = self._open.then(made)
        if stands:
            self._last = None
        return self._settle(chain, len(chain) if stands else max(len(chain) - self._seen, 0))

    def finish(self) -> tuple[Ints, Floats]:
        """Return the last moves: the program ends in a standstill."""
        return self._settle(self._open, len(self._open))

    def first_open(self) -> int | None:
        """Return the line, in the whole stream, of the first move that is not settled."""
        return int(self._open.line[0]) if len(self._open) else None

    def _settle(self, chain: _Chain, count: int) -> tuple[Ints, Floats]:
        if count == 0:
            self._open = chain
            return chain.line[:0], chain.length[:0]
        # What lies behind the last move that is settled is planned too, for its entry is known.
        capacity = 2.0 * chain.acceleration * chain.length
        entry = entry_speeds_squared(chain.junction, capacity, self._seen, self._reached)
        seconds = move_times(chain.length, chain.nominal, chain.acceleration, entry)
        self._open = chain.part(slice(count, None))
        self._reached = float(entry[count - 1] + capacity[count - 1])
        return chain.line[:count], seconds[:count]

    def _chain(
        self, first_line: int, blocks: Blocks, moves: Moves, halts: Ints
    ) -> tuple[_Chain, bool]:
        """Return the moves that have a length, and whether the machine stands after them."""
        way = [moves.end[:, axis] - moves.start[:, axis] for axis in range(3)]
        travelled = length = moves.travelled()
        if extruders := not blocks.modal and bool(moves.extruded.any()):
            length = np.where(travelled > _NO_LENGTH, travelled, np.abs(moves.extruded))
        at = np.flatnonzero(length > _NO_LENGTH)
        stands_before = bool(blocks.n) and halts[-1] > 0
        if len(at) == 0:
            read_limits(blocks, self._machine, moves.line[:0])
            return _EMPTY, stands_before
        pick = slice(None) if len(at) == len(length) else at
        line, length, travelled = moves.line[pick], length[pick], travelled[pick]
        unit = [np.nan_to_num(one[pick], copy=False) / length for one in way]
        pushed = moves.extruded[pick]
        if extruders:
            unit.append(pushed / length)
        limits = read_limits(blocks, self._machine, line)
        nominal, own = _speeds(moves, pick, unit, limits, (travelled, pushed))
        # The first corner is the one behind the last move of the piece before.
        corner = self._corners(blocks, unit, nominal, own, length, limits)
        stops = halts[line]
        corner[1:][stops[1:] > stops[:-1]] = 0.0
        if stops[0] > 0 or self._last is None:
            corner[0] = 0.0
        jerk = tuple(_last_of(one) for one in limits.jerk or ())
        self._last = _Before(tuple(float(one[-1]) for one in unit), float(nominal[-1]), jerk)
        chain = _Chain(line + first_line, length, nominal, own, corner)
        return chain, bool(halts[-1] > stops[-1])

    def _corners(
        self,
        blocks: Blocks,
        unit: list[Floats],
        nominal: Floats,
        own: Floats,
        length: Floats,
        limits: Limits,
    ) -> Floats:
        last = self._last or _Before((), 0.0, ())
        if len(last.unit) > len(unit):
            unit = [*unit, np.zeros(len(nominal))]
        directions = [
            np.append(was, one) for was, one in zip_longest(last.unit, unit, fillvalue=0.0)
        ]
        speeds, count = np.append(last.nominal, nominal), len(nominal)
        if limits.jerk is not None:
            jerk = [_led(one, count, was) for one, was in zip_longest(limits.jerk, last.jerk)]
            return by_jerk(directions, speeds, jerk)
        axes = [_led(one, count) for one in limits.acceleration]
        deviation = _led(limits.deviation, count)
        if blocks.modal:
            return by_deviation(directions, speeds, (None, axes), deviation, None)
        if len(directions) > len(AXES) and directions[-1].any():
            # Marlin takes the filament for a direction like any other.
            size = np.sqrt(sum((one * one for one in directions), np.zeros(len(speeds))))
            directions = [one / np.maximum(size, 1e-12) for one in directions]
        own, length = np.append(0.0, own), np.append(0.0, length)
        return by_deviation(directions, speeds, (own, axes), deviation, length)


def _led(column: Column, count: int, before: float | None = None) -> Column:
    """Return a limit of so many moves with that of the move before in front.

    :param before: its value; None where none is used.
    """
    if isinstance(column, float) and before in (None, column):
        return column
    return np.append(1.0 if before is None else before, np.broadcast_to(column, count))


def _last_of(column: Column) -> float:
    return column if isinstance(column, float) else float(column[-1])


def _speeds(
    moves: Moves,
    pick: slice | Ints,
    unit: list[Floats],
    limits: Limits,
    amounts: tuple[Floats, Floats],
) -> tuple[Floats, Floats]:
    """Return speed asked for [mm/s] and acceleration [mm/s²] of each move, within all limits."""
    travelled, pushed = amounts
    alone = travelled <= _NO_LENGTH
    extrudes = pushed != 0.0
    most = np.full(len(travelled), np.inf)
    own = np.where(extrudes, limits.printing, limits.travelling)
    for direction, speed, acceleration in zip(
        unit, limits.speed, limits.acceleration, strict=False
    ):
        if np.all(np.isinf(speed)) and np.all(np.isinf(acceleration)):
            continue
        reach = np.maximum(np.abs(direction), 1e-9)
        np.minimum(most, speed / reach, out=most)
        np.minimum(own, acceleration / reach, out=own)
    if alone.any():
        # No axis holds the filament alone; it has an acceleration of its own.
        own = np.where(alone, limits.retracting, own)
    asked = moves.feedrate[pick]
    asked = np.where(asked > 0.0, asked, _FEEDRATE_AT_START)
    slowest = limits.slowest
    if not (isinstance(slowest[0], float) and isinstance(slowest[1], float)) or any(slowest):
        asked = np.maximum(asked, np.where(extrudes, slowest[0], slowest[1]))
    rapid = moves.rapid[pick]
    if rapid.any():
        asked = np.where(rapid, np.where(np.isinf(most), _FEEDRATE_AT_START, most), asked)
    return np.maximum(np.minimum(asked, most), MINIMUM_SPEED), own


def _halts(blocks: Blocks) -> Ints:
    """Return how often the planner has run empty by command, up to each line and behind it.

    Shape (n + 1,): what a line does before it moves counts at it, what it does after counts
    at the next.
    """
    commands = blocks.commands
    before = [commands.lines("G", *SYNC_G)]
    after = [commands.lines("G", *PROBES)]
    if blocks.modal:
        before.append(commands.lines("M", *SYNC_M_GRBL))
        before.append(commands.lines("G", *SYNC_G_GRBL))
        after.append(commands.lines("M", *HALTING_ENDS))
    else:
        before.append(commands.lines("M", *SYNC_M))
        before.append(commands.choose("T")[0])
    lines = np.concatenate((*before, *(one + 1 for one in after)))
    return np.cumsum(np.bincount(lines, minlength=blocks.n + 1))


class Clock:
    """Tells the seconds of each line, as soon as all moves up to it are settled."""

    def __init__(self, machine: MachineLimits | None, dialect: str) -> None:
        self._planner = Planner(machine or USUAL, dialect)
        self._told = 0
        self._lines = 0
        self._heat: dict[int, float] = {}
        self._waiting: list[tuple[Ints, Floats, int]] = []

    def feed(self, first_line: int, blocks: Blocks, moves: Moves) -> Iterator[Times]:
        """Take the next piece; return what is known of the lines so far."""
        self._lines = first_line + blocks.n
        lines, seconds = self._planner.feed(first_line, blocks, moves)
        self._note(lines, seconds, _MOTION)
        for kind, (at, amount) in enumerate((_dwell(blocks), self._heating(blocks),
                                             _homing(blocks)), _MOTION + 1):  # fmt: skip
            self._note(at + first_line, amount, kind)
        first_open = self._planner.first_open()
        return self._tell(self._lines if first_open is None else first_open)

    def finish(self) -> Iterator[Times]:
        """Return the rest."""
        self._note(*self._planner.finish(), _MOTION)
        return self._tell(self._lines)

    def _note(self, lines: Ints, seconds: Floats, kind: int) -> None:
        if len(lines):
            self._waiting.append((lines, seconds, kind))

    def _tell(self, until: int) -> Iterator[Times]:
        waiting, self._waiting = self._waiting, []
        while self._told < until:
            first = self._told
            self._told = min(until, first + _MOST_LINES_AT_ONCE)
            columns = np.zeros((4, self._told - first))
            for lines, seconds, kind in waiting:
                a, b = np.searchsorted(lines, (first, self._told)).tolist()
                if a < b:
                    columns[kind] += np.bincount(
                        lines[a:b] - first, seconds[a:b], self._told - first
                    )
            yield Times(first, *columns)
        for lines, seconds, kind in waiting:
            at = int(np.searchsorted(lines, self._told))
            self._note(lines[at:].copy(), seconds[at:].copy(), kind)

    def _heating(self, blocks: Blocks) -> tuple[Ints, Floats]:
        """Return the lines that wait for a temperature, and the estimated seconds."""
        if blocks.modal:
            return np.zeros(0, np.int64), np.zeros(0)
        found = []
        for code, rate in _HEATERS:
            lines = blocks.commands.lines("M", code)
            if len(lines) == 0:
                continue
            target = target_of(blocks, lines)
            before = np.concatenate(([self._heat.get(code, ROOM_C)], target[:-1]))
            self._heat[code] = float(target[-1])
            rise = target - np.maximum(before, ROOM_C)
            found.append((lines, np.clip(rise, 0.0, _LONGEST_HEATING_C) / rate))
        if not found:
            return np.zeros(0, np.int64), np.zeros(0)
        lines = np.concatenate([lines for lines, _ in found])
        order = np.argsort(lines, kind="stable")
        return lines[order], np.concatenate([seconds for _, seconds in found])[order]


def _dwell(blocks: Blocks) -> tuple[Ints, Floats]:
    lines = blocks.commands.lines("G", 40)
    if len(lines) == 0:
        return lines, np.zeros(0)
    pause = np.nan_to_num(blocks.column("P")[lines])
    if not blocks.modal:
        whole = blocks.column("S")[lines]
        pause = np.where(np.isnan(whole), pause / 1000.0, whole)
    return lines, np.clip(pause, 0.0, _LONGEST_DWELL)


def _homing(blocks: Blocks) -> tuple[Ints, Floats]:
    if blocks.modal:
        return np.zeros(0, np.int64), np.zeros(0)
    lines = blocks.commands.lines("G", 280)
    named = np.zeros(len(lines), np.int64)
    if len(lines):
        for letter in AXES:
            named += blocks.has(letter)[lines]
    return lines, np.where(named == 0, 3, named) * _HOMING_AXIS


def target_of(blocks: Blocks, lines: Ints) -> Floats:
    """Return the temperature that each of these lines asks for [°C]; S, else R, else 0."""
    if len(lines) == 0:
        return np.zeros(0)
    target = blocks.column("S")[lines]
    return np.nan_to_num(np.where(np.isnan(target), blocks.column("R")[lines], target))
