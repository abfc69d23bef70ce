"""Extrusion: the filament that E words push, and what the firmware retracts by itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from jobs.analysis.arrays import Bools, Floats, Ints, hold, previous, track
from jobs.analysis.blocks import Blocks

# Source: Marlin Configuration_adv.h, FWRETRACT: RETRACT_LENGTH [mm], RETRACT_FEEDRATE,
# RETRACT_RECOVER_FEEDRATE [mm/s]; no height and no extra length.
_LENGTH, _FEEDRATE, _RECOVER_FEEDRATE = 3.0, 45.0, 8.0
# A lift below this is none to Marlin [mm].
_LEAST_LIFT = 0.01
_USUAL_DIAMETER = 1.75


class Extrusion:
    """Follows E through M82, M83, G92 and what scales it: M221 and M200."""

    def __init__(self) -> None:
        self._place = 0.0
        self._flow: dict[int, float] = {}
        self._diameter: dict[int, float] = {}
        self._volumetric = False
        self._factor = 1.0

    def feed(self, blocks: Blocks, moving: Bools) -> Floats:
        """Return the filament that each line pushes, shape (n,) [mm]."""
        pushed = np.zeros(blocks.n)
        factor = self._factors(blocks)
        lines, value = blocks.given("E")
        resets = np.zeros(blocks.n, np.bool_)
        resets[blocks.commands.lines("G", 920)] = True
        own = moving[lines] | resets[lines]
        if not own.all():
            lines, value = lines[own], value[own]
        if len(lines) == 0:
            return pushed
        if not isinstance(blocks.scale, float):
            value = value * blocks.scale[lines]
        elif blocks.scale != 1.0:
            value = value * blocks.scale
        reset = resets[lines]
        steps = blocks.relative_e[lines] & ~reset
        place = track(~steps, value, np.where(steps, value, 0.0), self._place)
        amount = np.where(steps, value, place - previous(place, self._place))
        self._place = float(place[-1])
        amount[reset] = 0.0
        pushed[lines] = amount if isinstance(factor, float) else amount * factor[lines]
        if isinstance(factor, float) and factor != 1.0:
            pushed *= factor
        return pushed

    def _factors(self, blocks: Blocks) -> Floats | float:
        """Return filament length for each unit of E, shape (n,) or one number for all."""
        commands = blocks.commands
        lines, codes = commands.choose("M", 2000, 2210)
        if len(lines) == 0 and not self._flow and not self._volumetric:
            return 1.0
        before = self._factor
        tools, _ = commands.choose("T")
        turns = np.unique(np.concatenate((lines, tools))).tolist()
        code_of = dict(zip(lines.tolist(), codes.tolist(), strict=True))
        values = []
        for line in turns:
            self._turn(blocks, line, code_of.get(line, 0))
            values.append(self._of(int(blocks.tool[line])))
        if not values:
            return before
        self._factor = values[-1]
        return hold(blocks.n, np.array(turns), np.array(values), before)

    def _turn(self, blocks: Blocks, line: int, code: int) -> None:
        named = blocks.column("T")[line]
        tool = int(blocks.tool[line]) if np.isnan(named) else int(min(max(named, 0.0), 255.0))
        share, diameter = blocks.column("S")[line], blocks.length("D")[line]
        if code == 2210 and not np.isnan(share):
            self._flow[tool] = share / 100.0
        elif code == 2000 and not (np.isnan(share) and np.isnan(diameter)):
            if diameter > 0.0:
                self._diameter[tool] = diameter
            on = self._volumetric or diameter > 0.0 if np.isnan(share) else share > 0.0
            self._volumetric = bool(on) and diameter != 0.0

    def _of(self, tool: int) -> float:
        factor = self._flow.get(tool, 1.0)
        if self._volumetric:
            factor /= np.pi / 4.0 * self._diameter.get(tool, _USUAL_DIAMETER) ** 2
        return float(factor)


@dataclass(frozen=True, slots=True)
class Retracted:
    """What G10 and G11 do, shapes (k,); a lift of Z is a move of its own before or after.

    :param line: lines that do something, ascending.
    :param extruded: filament pushed, below 0 pulled back [mm].
    :param feedrate: [mm/s].
    :param lift: how much higher Z stands after the line than before [mm].
    """

    line: Ints
    extruded: Floats
    feedrate: Floats
    lift: Floats


class Retractions:
    """Marlin's firmware retraction: G10, G11 and their settings M207, M208.

    Source: MarlinFirmware/Marlin:Marlin/src/feature/fwretract.cpp; doubled ones are ignored.
    """

    def __init__(self) -> None:
        self._length, self._feedrate, self._lift = _LENGTH, _FEEDRATE, 0.0
        self._extra, self._recover_feedrate = 0.0, _RECOVER_FEEDRATE
        self._pulled: dict[int, float] = {}
        self.lifted = 0.0

    def feed(self, blocks: Blocks) -> Retracted:
        """Return the retractions of the next piece."""
        rows: list[tuple[int, float, float, float]] = []
        lines: Ints = np.zeros(0, np.int64)
        if not blocks.modal:
            lines, codes = blocks.commands.choose("G", 100, 110)
            more, settings = blocks.commands.choose("M", 2070, 2080)
            codes = np.concatenate((codes, settings))
            lines = np.concatenate((lines, more))
        if len(lines) == 0:
            none = np.zeros(0)
            return Retracted(lines, none, none, none)
        order = np.argsort(lines)
        tools = blocks.tool[lines]
        for at in order.tolist():
            line, code, tool = int(lines[at]), int(codes[at]), int(tools[at])
            if code >= 2070:
                self._set(blocks, line, code)
            elif code == 100 and tool not in self._pulled:
                rows.append((line, -self._length, self._feedrate, self._raise()))
                self._pulled[tool] = self._length
            elif code == 110 and tool in self._pulled:
                amount = self._pulled.pop(tool) + self._extra
                rows.append((line, amount, self._recover_feedrate, -self.lifted))
                self.lifted = 0.0
        columns = np.array(rows, np.float64).reshape(-1, 4)
        return Retracted(columns[:, 0].astype(np.int64), *columns[:, 1:].T)

    def _raise(self) -> float:
        if self.lifted or self._lift <= _LEAST_LIFT:
            return 0.0
        self.lifted = self._lift
        return self._lift

    def _set(self, blocks: Blocks, line: int, code: int) -> None:
        amount, speed = blocks.length("S")[line], blocks.length("F")[line] / 60.0
        if code == 2070:
            height = blocks.length("Z")[line]
            self._length = self._length if np.isnan(amount) else abs(float(amount))
            self._feedrate = self._feedrate if np.isnan(speed) else abs(float(speed))
            self._lift = self._lift if np.isnan(height) else float(height)
            return
        self._extra = self._extra if np.isnan(amount) else float(amount)
        self._recover_feedrate = self._recover_feedrate if np.isnan(speed) else abs(float(speed))
