"""Time: what the planner, the dwells, the heating and the homing of a program take."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from jobs.analysis.arrays import Bools, Floats, Ints, hold, least_of_axes
from jobs.analysis.blocks import Blocks
from jobs.analysis.commands import SYNC_G, SYNC_M
from jobs.analysis.junctions import by_deviation, by_jerk
from jobs.analysis.motion import AXES, Moves
from jobs.analysis.planner import MINIMUM_SPEED, entry_speeds_squared, move_times
from jobs.domain.machine import MachineLimits

# What a machine of each kind bears when nobody has said; only the guess of a time depends on it.
USUAL = MachineLimits(envelope_mm=(1e6, 1e6, 1e6), origin_mm=(-5e5, -5e5, -5e5))
# Marlin moves at this speed until a program gives one (DEFAULT_FEEDRATE, 1,500 mm/min) [mm/s].
_FEEDRATE_AT_START = 25.0
# Heat-up of a common printer [°C/s]: a 40 W cartridge, a 200 W bed. A machine's own past jobs
# correct the promise; the guess only has to be of the right size.
_NOZZLE_RATE, _BED_RATE = 1.6, 0.45
ROOM_C = 21.0
_AXES_AND_EXTRUDER = "XYZE"
# Of the planner's places one always stays empty, and one holds the move that runs. Marlin has
# settled by then how fast that one ends, before the place of the one before is filled.
# Source: gnea/grbl:grbl/planner.c, Marlin 2.1.2:src/module/planner.cpp, BLOCK_BUFFER_SIZE.
_NOT_SEEN_GRBL, _NOT_SEEN_MARLIN = 2, 3
# Homing of one axis of a desktop printer, fast touch and slow touch [s].
_HOMING_AXIS = 6.0
# A firmware retraction of 3 mm at 45 mm/s (RETRACT_LENGTH, RETRACT_FEEDRATE of Marlin) [s].
_RETRACTION = 3.0 / 45.0


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds of each stream line, shapes (n,).

    :param motion: planned motion.
    :param dwell: G4 and firmware retraction.
    :param heating: waits for a temperature, estimated.
    :param homing: homing moves, estimated.

    """

    motion: Floats
    dwell: Floats
    heating: Floats
    homing: Floats

    def total(self) -> Floats:
        """Return all of it for each line."""
        return self.motion + self.dwell + self.heating + self.homing


def read_times(blocks: Blocks, moves: Moves, machine: MachineLimits | None) -> Times:
    """Plan the moves as the firmware will, and add what it waits for."""
    seconds = plan(blocks, moves, machine or USUAL)
    motion: Floats = np.bincount(moves.line, seconds, blocks.n).astype(np.float64)
    return Times(motion, _dwell(blocks), _heating(blocks), _homing(blocks))


def plan(blocks: Blocks, moves: Moves, limits: MachineLimits) -> Floats:
    """Return the planned seconds of each move, shape (m,)."""
    way = np.nan_to_num(moves.end - moves.start)
    travelled = moves.travelled()
    length = np.where(travelled > 0.0, travelled, np.abs(moves.extruded))
    at = np.flatnonzero(length > 0.0)
    seconds = np.zeros(len(length))
    if len(at) == 0:
        return seconds
    length = length[at]
    way = way[at] if blocks.modal else np.column_stack((way[at], moves.extruded[at]))
    unit = way / length[:, None]
    line = moves.line[at]
    axes = way.shape[1]
    fastest = _axis_limit(
        blocks,
        line,
        (2030,),
        _with_extruder(
            np.array(limits.feed_max_mm_min) / 60.0, limits.extruder_feed_max_mm_min / 60.0
        )[:axes],
    )
    axis = _axis_limit(
        blocks,
        line,
        (2010,),
        _with_extruder(np.array(limits.acceleration_mm_s2), limits.extruder_acceleration_mm_s2)[
            :axes
        ],
    )
    reach = np.maximum(np.abs(unit), 1e-9)
    bounded = travelled[at] > 0.0
    most = least_of_axes(fastest / reach)
    nominal = np.minimum(_asked(blocks, moves, at, length), most)
    nominal = np.where(moves.rapid[at], np.where(bounded, most, _FEEDRATE_AT_START), nominal)
    nominal = np.maximum(nominal, MINIMUM_SPEED)
    # No axis holds the filament alone; it has an acceleration of its own.
    own = np.where(bounded, least_of_axes(axis / reach), np.inf)
    own = np.minimum(own, _asked_acceleration(blocks, moves, at, bounded, limits))
    jerk = _jerk(blocks, limits)
    if jerk is not None:
        junction = by_jerk(unit, nominal, jerk[:axes])
    elif blocks.modal:
        junction = by_deviation(unit, nominal, (None, axis), _deviation(blocks, limits), None)
    else:
        # Marlin takes the filament for a direction like any other.
        pushing = np.flatnonzero(moves.extruded[at])
        size = np.sqrt(np.einsum("ij,ij->i", unit[pushing], unit[pushing]))
        unit[pushing] /= size[:, None]
        deviation = _deviation(blocks, limits)
        junction = by_deviation(unit, nominal, (own, axis), deviation, length)
    halts = _halts(blocks)
    junction[1:][halts[line[1:]] > halts[line[:-1]]] = 0.0
    capacity = 2.0 * own * length
    not_seen = _NOT_SEEN_GRBL if blocks.modal else _NOT_SEEN_MARLIN
    entry = entry_speeds_squared(junction, capacity, max(limits.planner_blocks - not_seen, 1))
    seconds[at] = move_times(length, nominal, own, entry)
    return seconds


def _with_extruder(axes: Floats, extruder: float) -> Floats:
    """Return limits of X, Y, Z and the extruder; where nobody has said, it has none."""
    return np.append(axes, extruder or np.inf)


def _asked(blocks: Blocks, moves: Moves, at: Ints, length: Floats) -> Floats:
    asked = moves.feedrate[at]
    lines, codes = blocks.commands.choose("G", 930, 940)
    if 930 in codes:
        line = moves.line[at]
        inverse = hold(blocks.n, lines, (codes == 930).astype(np.float64), 0.0)[line] > 0.0
        whole = np.bincount(line, weights=length, minlength=blocks.n)[line]
        scale = blocks.scale if isinstance(blocks.scale, float) else blocks.scale[line]
        asked = np.where(inverse, asked / scale * whole, asked)
    return np.where(asked > 0.0, asked, _FEEDRATE_AT_START)


def _axis_limit(blocks: Blocks, line: Ints, codes: tuple[int, ...], limit: Floats) -> Floats:
    """Return a limit of each axis, shape (k,), or (m, k) where the program changes it."""
    lines = blocks.commands.lines("M", *codes) if not blocks.modal else line[:0]
    if len(lines) == 0:
        return limit
    columns = [
        np.maximum(blocks.held(letter, lines, float(limit[index])), 1e-3)[line]
        for index, letter in enumerate(_AXES_AND_EXTRUDER[: len(limit)])
    ]
    return np.stack(columns, axis=1)


def _asked_acceleration(
    blocks: Blocks, moves: Moves, at: Ints, bounded: Bools, limits: MachineLimits
) -> Floats | float:
    """Return the limit along the path: of printing, of travel, of the filament alone."""
    if blocks.modal:
        return np.inf
    as_x = float(limits.acceleration_mm_s2[0])
    initial = (
        limits.print_acceleration_mm_s2 or as_x,
        limits.travel_acceleration_mm_s2 or as_x,
        limits.retract_acceleration_mm_s2 or as_x,
    )
    printing = moves.extruded[at] != 0.0
    lines = blocks.commands.lines("M", 2040)
    if len(lines) == 0:
        return np.where(bounded, np.where(printing, *initial[:2]), initial[2])
    line = moves.line[at]
    both = blocks.column("S")[lines]
    asked = []
    for letter, first in zip("PTR", initial, strict=True):
        own = blocks.column(letter)[lines]
        value = own if letter == "R" else np.where(np.isnan(own), both, own)
        given = ~np.isnan(value) & (value > 0.0)
        asked.append(hold(blocks.n, lines[given], value[given], first)[line])
    return np.where(bounded, np.where(printing, asked[0], asked[1]), asked[2])


def _jerk(blocks: Blocks, limits: MachineLimits) -> Floats | None:
    """Return the classic jerk of each axis [mm/s]; None: the firmware uses junction deviation.

    The program's first setting counts for all of it; slicers give one at the start.
    """
    if limits.jerk_mm_s <= 0.0:
        return None
    x_y = limits.jerk_mm_s
    jerk = np.array([x_y, x_y, limits.z_jerk_mm_s or x_y, limits.extruder_jerk_mm_s or np.inf])
    lines = blocks.commands.lines("M", 2050) if not blocks.modal else np.zeros(0, np.int64)
    for index, letter in enumerate(_AXES_AND_EXTRUDER):
        given = blocks.column(letter)[lines]
        given = given[given > 0.0]
        jerk[index] = given[0] if len(given) else jerk[index]
    return jerk


def _deviation(blocks: Blocks, limits: MachineLimits) -> float:
    lines = blocks.commands.lines("M", 2050) if not blocks.modal else np.zeros(0, np.int64)
    given = blocks.column("J")[lines]
    given = given[given > 0.0]
    return float(given[0]) if len(given) else limits.junction_deviation_mm


def _halts(blocks: Blocks) -> Ints:
    """Return how often the planner has run empty by command, up to each line."""
    lines = np.concatenate(
        (blocks.commands.lines("G", *SYNC_G), blocks.commands.lines("M", *SYNC_M))
    )
    return np.cumsum(np.bincount(lines, minlength=blocks.n))


def _dwell(blocks: Blocks) -> Floats:
    seconds = np.zeros(blocks.n)
    lines = blocks.commands.lines("G", 40)
    pause = np.nan_to_num(blocks.column("P")[lines])
    if not blocks.modal:
        whole = blocks.column("S")[lines]
        pause = np.where(np.isnan(whole), pause / 1000.0, whole)
        seconds[blocks.commands.lines("G", 100, 110)] = _RETRACTION
    seconds[lines] = np.clip(pause, 0.0, 1e6)
    return seconds


def _heating(blocks: Blocks) -> Floats:
    """Return the estimated wait of each line for the nozzle or the bed."""
    seconds = np.zeros(blocks.n)
    if blocks.modal:
        return seconds
    for code, rate in ((1090, _NOZZLE_RATE), (1900, _BED_RATE)):
        lines = blocks.commands.lines("M", code)
        target = target_of(blocks, lines)
        from_c = np.maximum(np.concatenate(([ROOM_C], target[:-1])), ROOM_C)
        seconds[lines] = np.clip(target - from_c, 0.0, 500.0) / rate
    return seconds


def target_of(blocks: Blocks, lines: Ints) -> Floats:
    """Return the temperature that each of these lines asks for [°C]; S, else R, else 0."""
    target = blocks.column("S")[lines]
    return np.nan_to_num(np.where(np.isnan(target), blocks.column("R")[lines], target))


def _homing(blocks: Blocks) -> Floats:
    seconds = np.zeros(blocks.n)
    lines = blocks.commands.lines("G", 280)
    named = sum((blocks.has(letter)[lines].astype(np.int64) for letter in AXES), np.int64(0))
    seconds[lines] = np.where(named == 0, 3, named) * _HOMING_AXIS
    return seconds if not blocks.modal else np.zeros(blocks.n)
