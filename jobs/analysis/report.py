"""The report: bounds, material, temperatures, layers, speeds and times of one program."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from jobs.analysis.arrays import Bools, Floats, Ints
from jobs.analysis.commands import name_of
from jobs.analysis.motion import Moves
from jobs.analysis.piece import Piece, Reader, Times
from jobs.analysis.spans import Features, Layers, SpindleTime
from jobs.analysis.timing import target_of
from jobs.analysis.zeros import OFFSETS, Zero

FILAMENT_MM = 1.75
_MOST_COMMANDS = 200
# Far more different commands than there are; a stranger's further ones are not counted.
_MOST_COUNTED = 20_000
_NOZZLE, _BED, _CHAMBER = (1040, 1090), (1400, 1900), (1410, 1910)


class Report(Reader):
    """Adds up what a program does."""

    def __init__(self) -> None:
        self._bounds = {name: Bounds() for name in ("all", "extruding", "cutting")}
        self._by_offset = [Bounds() for _ in OFFSETS]
        self._zeros = [Zero(axis) for axis in range(3)]
        self._filament = Filament()
        self._layers, self._features, self._spindle = Layers(), Features(), SpindleTime()
        self._commands: dict[tuple[str, int], int] = {}
        self._blocks = 0
        self._seconds = dict.fromkeys(("motion", "dwell", "heating", "homing"), 0.0)
        self._hottest = dict.fromkeys((_NOZZLE, _BED, _CHAMBER), 0.0)
        self._spindle_fastest = self._feed_fastest = 0.0
        self._spins = False
        self._travel = self._print = self._cut = 0.0

    def feed(self, piece: Piece) -> None:
        """Take the next piece."""
        moves, blocks = piece.moves, piece.blocks
        self._blocks += len(piece)
        printing, cutting = moves.printing(), moves.cutting()
        self._measure(moves, printing, cutting)
        self._measure_from_zeros(piece)
        self._filament.add(moves)
        for reader in (self._layers, self._features, self._spindle):
            reader.feed(piece)
        for letter, code, lines in blocks.commands.groups():
            if code >= 0 and (len(self._commands) < _MOST_COUNTED or code < 10_000):
                key = letter, code
                self._commands[key] = self._commands.get(key, 0) + len(lines)
        for codes, before in self._hottest.items():
            lines = blocks.commands.lines("M", *codes)
            if len(lines):
                self._hottest[codes] = max(before, float(target_of(blocks, lines).max()))
        turning = blocks.commands.lines("M", 30, 40)
        self._spins = self._spins or len(turning) > 0
        _, speeds = blocks.given("S") if blocks.modal else (turning, blocks.column("S")[turning])
        fastest = float(np.nan_to_num(speeds).max(initial=0.0))
        self._spindle_fastest = max(self._spindle_fastest, fastest)

    def settle(self, times: Times) -> None:
        """Take the seconds of the next lines."""
        self._seconds["motion"] += float(times.motion.sum())
        self._seconds["dwell"] += float(times.dwell.sum())
        self._seconds["heating"] += float(times.heating.sum())
        self._seconds["homing"] += float(times.homing.sum())
        for reader in (self._layers, self._features, self._spindle):
            reader.settle(times)

    def finish(
        self, dialect: str, filament_mm: float, density_g_cm3: float | None
    ) -> dict[str, object]:
        """Return the report's JSON values; the unit is in each name.

        :param dialect: that the program was read as.
        :param filament_mm: its diameter; 0: the common one.
        :param density_g_cm3: of the filament; None: no mass.
        """
        filament = self._filament.needed()
        area = np.pi / 4.0 * (filament_mm or FILAMENT_MM) ** 2
        volumes = [round(length * area, 3) for length in filament]
        seconds = self._seconds
        masses = None if density_g_cm3 is None else [
            round(volume / 1000.0 * density_g_cm3, 3) for volume in volumes
        ]  # fmt: skip
        return {
            "kind": "program",
            "dialect": dialect,
            "blocks": self._blocks,
            "time_s": round(seconds["motion"] + seconds["dwell"], 3),
            "dwell_s": round(seconds["dwell"], 3),
            "heatup_s": round(seconds["heating"], 1),
            "homing_s": round(seconds["homing"], 1),
            "spindle_on_s": round(self._spindle.seconds(), 3),
            "layer_count": self._layers.count,
            "layers": self._layers.table(),
            "features": self._features.table(),
            "bounds_mm": {name: bounds.to_json() for name, bounds in self._bounds.items()},
            "offset_bounds_mm": {
                name: bounds.to_json()
                for name, bounds in zip(OFFSETS, self._by_offset, strict=True)
                if bounds.filled
            },
            "filament_mm": filament,
            "filament_mm3": volumes,
            "filament_g": masses,
            "volume_mm3": round(sum(filament) * area, 3),
            "max_nozzle_c": self._hottest[_NOZZLE],
            "max_bed_c": self._hottest[_BED],
            "max_chamber_c": self._hottest[_CHAMBER],
            "spindle_max_rpm": self._spindle_fastest if self._spins else 0.0,
            "feed_max_mm_min": round(self._feed_fastest * 60.0, 3),
            "travel_mm": round(self._travel, 3),
            "print_mm": round(self._print, 3),
            "cut_mm": round(self._cut, 3),
            "commands": self._counted(),
        }

    def _measure(self, moves: Moves, printing: Bools, cutting: Bools) -> None:
        if len(moves) == 0:
            return
        work = ~moves.machine
        everything = work.all()
        self._bounds["all"].add(moves, None if everything else work, with_start=False)
        for name, chosen in (("extruding", printing), ("cutting", cutting)):
            self._bounds[name].add(moves, chosen if everything else chosen & work, with_start=True)
        travelled = moves.travelled()
        printed, cut = float(travelled[printing].sum()), float(travelled[cutting].sum())
        both = float(travelled[printing & cutting].sum()) if cut else 0.0
        self._print += printed
        self._cut += cut
        self._travel += float(travelled.sum()) - printed - cut + both
        self._feed_fastest = max(self._feed_fastest, float(moves.feedrate.max()))

    def _measure_from_zeros(self, piece: Piece) -> None:
        """Take the ends of all moves but those in machine coordinates, each from its own zero."""
        moves = piece.moves
        rows = np.flatnonzero(~moves.machine)
        if len(rows) == 0:
            return
        for axis, zero in enumerate(self._zeros):
            ends, offset = moves.end[:, axis], zero.feed(piece)
            if isinstance(offset, int):
                self._by_offset[offset].extend(axis, ends if len(rows) == len(ends) else ends[rows])
                continue
            for own in np.unique(offset[rows]).tolist():
                self._by_offset[own].extend(axis, ends[rows[offset[rows] == own]])

    def _counted(self) -> dict[str, int]:
        """Return how often each command is given, the most frequent first, at most 200."""
        most = sorted(self._commands.items(), key=lambda item: (-item[1], item[0]))
        return {name_of(*key): count for key, count in most[:_MOST_COMMANDS]}


class Bounds:
    """The lowest and highest corner of some moves [mm].

    An axis whose place was never known counts as 0.
    """

    def __init__(self) -> None:
        self._low = [np.inf] * 3
        self._high = [-np.inf] * 3
        self.filled = False

    def add(self, moves: Moves, chosen: Bools | None, *, with_start: bool) -> None:
        """Take the ends of some moves, and their starts if asked.

        :param chosen: which of them, shape (m,); None: all.
        """
        rows: Ints | slice = slice(None) if chosen is None else np.flatnonzero(chosen)
        if isinstance(rows, np.ndarray) and len(rows) == 0:
            return
        for axis in range(3):
            self.extend(axis, moves.end[rows, axis])
            if with_start:
                self.extend(axis, moves.start[rows, axis])

    def to_json(self) -> dict[str, list[float]] | None:
        """Return both corners, None without any move."""
        if not self.filled:
            return None
        return {"min": [_rounded(one) for one in self._low],
                "max": [_rounded(one) for one in self._high]}  # fmt: skip

    def extend(self, axis: int, places: Floats) -> None:
        """Take places on one axis, NaN where one is not known; at least one."""
        self.filled = True
        low, high = float(places.min()), float(places.max())
        if np.isnan(low):
            places = places[~np.isnan(places)]
            if len(places) == 0:
                return
            low, high = float(places.min()), float(places.max())
        self._low[axis] = min(self._low[axis], low)
        self._high[axis] = max(self._high[axis], high)


def _rounded(value: float) -> float:
    return round(value, 4) + 0.0 if np.isfinite(value) else 0.0


class Filament:
    """The filament each extruder needs: the furthest that it was ever pushed."""

    def __init__(self) -> None:
        self._pushed: dict[int, float] = {}
        self._needed: dict[int, float] = {}

    def add(self, moves: Moves) -> None:
        """Take the next moves."""
        if not moves.extruded.any():
            return
        first = int(moves.tool[0])
        tools: Sequence[int] = [first]
        if (moves.tool != first).any():
            tools = np.unique(moves.tool).tolist()
        for tool in tools:
            own = moves.extruded if len(tools) == 1 else moves.extruded[moves.tool == tool]
            if not own.any():
                continue
            before = self._pushed.get(tool, 0.0)
            pushed = np.cumsum(own)
            self._needed[tool] = max(self._needed.get(tool, 0.0), before + float(pushed.max()))
            self._pushed[tool] = before + float(pushed[-1])

    def needed(self) -> list[float]:
        """Return the length by number of the tool [mm]; empty where nothing is pushed."""
        if not self._needed:
            return []
        return [round(self._needed.get(tool, 0.0), 3) for tool in range(max(self._needed) + 1)]
