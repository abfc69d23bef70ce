"""The report: bounds, material, temperatures, layers and speeds of one program."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from jobs.analysis.arrays import Bools, Floats, Ints
from jobs.analysis.blocks import Blocks
from jobs.analysis.commands import name_of
from jobs.analysis.motion import Moves
from jobs.analysis.timing import Times, target_of

LARGEST_LAYER_TABLE = 2_000
_FILAMENT = 1.75
_MOST_COMMANDS = 200
# Heights nearer than this are one layer: slicers write three decimals.
_HEIGHT_DIGITS = 3


@dataclass(frozen=True, slots=True)
class Program:
    """Everything read from one stream.

    :param dialect: `marlin`, `grbl` or `unknown`.
    :param travelled: length of each move, shape (m,) [mm].
    :param printing: moves that push filament while they travel, shape (m,).
    :param cutting: moves at a feedrate with the spindle or laser on, shape (m,).
    """

    dialect: str
    blocks: Blocks
    moves: Moves
    times: Times
    travelled: Floats
    printing: Bools
    cutting: Bools

    @classmethod
    def of(cls, dialect: str, blocks: Blocks, moves: Moves, times: Times) -> Program:
        """Put together what was read."""
        travelled = moves.travelled()
        printing = (moves.extruded > 0.0) & (travelled > 0.0)
        cutting = moves.spindle & ~moves.rapid
        return cls(dialect, blocks, moves, times, travelled, printing, cutting)


def bounds(moves: Moves, chosen: Bools, with_start: bool) -> dict[str, list[float]] | None:
    """Return the lowest and highest corner of some moves [mm], or None without any.

    An axis whose place cannot be known counts as 0.
    """
    if not chosen.any():
        return None
    ends = (moves.start, moves.end) if with_start else (moves.end,)
    low, high = np.zeros(3), np.zeros(3)
    for axis in range(3):
        places = [place[~np.isnan(place)] for place in (end[chosen, axis] for end in ends)]
        known = [place for place in places if len(place)]
        if known:
            low[axis] = min(place.min() for place in known)
            high[axis] = max(place.max() for place in known)
    return {"min": _rounded(low, 4), "max": _rounded(high, 4)}


def describe(program: Program, filament_mm: float) -> dict[str, object]:
    """Return the report's JSON values; the unit is in each name."""
    blocks, moves, times = program.blocks, program.moves, program.times
    printing = program.printing
    travelled = program.travelled
    filament = filament_by_tool(moves)
    area = np.pi / 4.0 * (filament_mm or _FILAMENT) ** 2
    layers = layer_table(program)
    ours = ~moves.machine
    return {
        "kind": "program",
        "dialect": program.dialect,
        "blocks": blocks.n,
        "time_s": round(float(times.motion.sum() + times.dwell.sum()), 3),
        "heatup_s": round(float(times.heating.sum()), 1),
        "homing_s": round(float(times.homing.sum()), 1),
        "layer_count": len(layers),
        "layers": layers[:LARGEST_LAYER_TABLE],
        "bounds_mm": {
            "all": bounds(moves, ours, False),
            "extruding": bounds(moves, ours & printing, True),
            "cutting": bounds(moves, ours & program.cutting, True),
        },
        "filament_mm": filament,
        "volume_mm3": round(sum(filament) * area, 3),
        "max_nozzle_c": hottest(blocks, 1040, 1090),
        "max_bed_c": hottest(blocks, 1400, 1900),
        "spindle_max_rpm": spindle_fastest(blocks),
        "feed_max_mm_min": round(float(moves.feedrate.max(initial=0.0)) * 60.0, 3),
        "travel_mm": round(float(travelled[~printing & ~program.cutting].sum()), 3),
        "print_mm": round(float(travelled[printing].sum()), 3),
        "cut_mm": round(float(travelled[program.cutting].sum()), 3),
        "commands": count_commands(blocks),
    }


def filament_by_tool(moves: Moves) -> list[float]:
    """Return the filament each extruder needs [mm]: the furthest that it was ever pushed."""
    if not moves.extruded.any():
        return []
    needed: list[float] = []
    for tool in range(int(moves.tool[moves.extruded != 0.0].max()) + 1):
        pushed = np.cumsum(moves.extruded[moves.tool == tool])
        needed.append(round(float(pushed.max(initial=0.0)), 3))
    return needed


def hottest(blocks: Blocks, *codes: int) -> float:
    """Return the highest temperature that some commands ask for [°C]; 0 without any."""
    if blocks.modal and not blocks.commands.lines("M", 1040, 1090, 1400, 1900).size:
        return 0.0
    return float(target_of(blocks, blocks.commands.lines("M", *codes)).max(initial=0.0))


def spindle_fastest(blocks: Blocks) -> float:
    """Return the highest spindle speed asked for [1/min]; 0 without a spindle."""
    lines = blocks.commands.lines("M", 30, 40)
    if len(lines) == 0:
        return 0.0
    speeds = blocks.column("S") if blocks.modal else blocks.column("S")[lines]
    return float(np.nan_to_num(speeds).max(initial=0.0))


def layer_table(program: Program) -> list[dict[str, float]]:
    """Return height and time of each layer in the order they are made.

    A layer lasts from its first extruding move to that of the next; what comes before the first
    belongs to no layer.
    """
    moves, printing = program.moves, program.printing
    at = np.flatnonzero(printing & (np.abs(moves.end[:, 2] - moves.start[:, 2]) < 1e-6))
    if len(at) == 0:
        return []
    height = np.round(moves.end[at, 2], _HEIGHT_DIGITS)
    first = np.flatnonzero(np.diff(height, prepend=np.nan) != 0.0)
    seconds = np.concatenate(([0.0], np.cumsum(program.times.motion + program.times.dwell)))
    line: Ints = moves.line[at[first]]
    until: Floats = seconds[np.append(line[1:], program.blocks.n)]
    spans = until - seconds[line]
    return [
        {"z_mm": float(z), "time_s": round(float(span), 3)}
        for z, span in zip(height[first][: LARGEST_LAYER_TABLE + 1], spans, strict=False)
    ]


def count_commands(blocks: Blocks) -> dict[str, int]:
    """Return how often each command is given, the most frequent first, at most 200."""
    commands = blocks.commands
    keys, counts = np.unique(commands.letter * 2_000_000 + commands.code, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:_MOST_COMMANDS]
    return {
        name_of(chr(int(keys[i] // 2_000_000)), int(keys[i] % 2_000_000)): int(counts[i])
        for i in order
        if keys[i] % 2_000_000 < 1_999_990
    }


def _rounded(values: Floats, digits: int) -> list[float]:
    return [round(float(value), digits) + 0.0 for value in values]
