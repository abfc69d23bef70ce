"""Limits: what holds a move back at its line, from the machine and the program's own settings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from jobs.analysis.arrays import Ints
from jobs.analysis.blocks import Blocks, Column
from jobs.domain.machine import MachineLimits

# What a machine of each kind bears when nobody has said; only the guess of a time depends on it.
USUAL = MachineLimits(envelope_mm=(1e6, 1e6, 1e6), origin_mm=(-5e5, -5e5, -5e5))
_AXES = "XYZE"
_LEAST = 1e-3


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits at some lines: shape (m,) each, or one number for all of them.

    :param speed: of X, Y, Z and the extruder [mm/s].
    :param acceleration: of the same [mm/s²].
    :param jerk: of the same [mm/s]; None: the firmware uses junction deviation.
    :param deviation: how far a corner may be cut [mm].
    :param printing: acceleration along moves that push or pull filament [mm/s²].
    :param travelling: along all other moves.
    :param retracting: of the extruder alone.
    :param slowest: least speed while printing, and while travelling [mm/s].
    """

    speed: tuple[Column, ...]
    acceleration: tuple[Column, ...]
    jerk: tuple[Column, ...] | None
    deviation: Column
    printing: Column
    travelling: Column
    retracting: Column
    slowest: tuple[Column, Column]


def read_limits(blocks: Blocks, machine: MachineLimits, line: Ints) -> Limits:
    """Return the limits at these lines; Marlin's M201 to M205 count from where they stand.

    What the program says replaces what the machine has, as in the firmware.
    """
    inf = np.inf
    as_x = machine.acceleration_mm_s2[0]
    speeds = (
        *(speed / 60.0 for speed in machine.feed_max_mm_min),
        machine.extruder_feed_max_mm_min / 60.0 or inf,
    )
    accelerations = (*machine.acceleration_mm_s2, machine.extruder_acceleration_mm_s2 or inf)
    x_y = machine.jerk_mm_s
    jerks = (x_y, x_y, machine.z_jerk_mm_s or x_y, machine.extruder_jerk_mm_s or inf)
    if blocks.modal:
        return Limits(
            speeds, accelerations, jerks if machine.jerk_mm_s > 0.0 else None,
            machine.junction_deviation_mm, inf, inf, inf, (0.0, 0.0),
        )  # fmt: skip
    read = _Settings(blocks, line)
    jerk = read.axes("M205", 2050, jerks)
    return Limits(
        speed=read.axes("M203", 2030, speeds),
        acceleration=read.axes("M201", 2010, accelerations),
        jerk=jerk if machine.jerk_mm_s > 0.0 else None,
        deviation=read.one("M205 J", 2050, "J", machine.junction_deviation_mm),
        # S is the older word for both; a letter of its own that follows has the last word.
        printing=read.either("M204 P", "P", machine.print_acceleration_mm_s2 or as_x),
        travelling=read.either("M204 T", "T", machine.travel_acceleration_mm_s2 or as_x),
        retracting=read.one("M204 R", 2040, "R", machine.retract_acceleration_mm_s2 or as_x),
        slowest=(read.one("M205 S", 2050, "S", 0.0), read.one("M205 T", 2050, "T", 0.0)),
    )


class _Settings:
    """The settings of a piece, seen from some of its lines."""

    def __init__(self, blocks: Blocks, line: Ints) -> None:
        self._blocks, self._line = blocks, line

    def axes(self, name: str, code: int, initial: tuple[float, ...]) -> tuple[Column, ...]:
        return tuple(
            self.one(f"{name} {letter}", code, letter, before)
            for letter, before in zip(_AXES, initial, strict=True)
        )

    def one(self, name: str, code: int, letter: str, initial: float) -> Column:
        lines = self._blocks.commands.lines("M", code)
        value = self._blocks.length(letter)[lines] if len(lines) else np.zeros(0)
        return self._at(self._blocks.setting(name, lines, value, initial, _LEAST))

    def either(self, name: str, letter: str, initial: float) -> Column:
        blocks = self._blocks
        lines = blocks.commands.lines("M", 2040)
        value = np.zeros(0)
        if len(lines):
            own, both = (blocks.length(each)[lines] for each in (letter, "S"))
            value = np.where(own > 0.0, own, both)
        return self._at(blocks.setting(name, lines, value, initial, _LEAST))

    def _at(self, column: Column) -> Column:
        return column if isinstance(column, float) else column[self._line]
