"""Limits of the axes that a program sets for its own time, beside what the machine bears."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields

import numpy as np

from jobs.analysis.arrays import Ints
from jobs.analysis.heads import named_values
from jobs.analysis.odd import Odd
from jobs.analysis.piece import Piece
from jobs.analysis.places import AXES
from jobs.analysis.target import Tally, Target, note, person
from jobs.domain.machine import MachineLimits
from jobs.domain.preflight import Finding, FindingCode

# What a machine bears that does not say: no printer or router of a lab is as fast.
_FASTEST, _SHARPEST = 1_000.0, 50_000.0  # [mm/s], [mm/s²]
_SLACK = 1.001
_USUAL = {one.name: one.default for one in fields(MachineLimits)}
_KLIPPER = {"VELOCITY": "feedrate_mm_s", "ACCEL": "acceleration_mm_s2"}


class Limits:
    """One note that limits are set, and a finding where one is above the machine's own."""

    def __init__(self, target: Target, odd: Odd) -> None:
        rules, machine = target.rules, target.machine
        feeds = _own(machine.feed_max_mm_min, "feed_max_mm_min", _FASTEST * 60.0)
        sharp = _own(machine.acceleration_mm_s2, "acceleration_mm_s2", _SHARPEST)
        self._most = {
            "feedrate_mm_min": feeds,
            "feedrate_mm_s": [one / 60.0 for one in feeds],
            "acceleration_mm_s2": sharp,
        }
        self._commands = {
            (command[0], round(float(command[1:]) * 10)): (command, quantity)
            for quantity, commands in rules.limits.items()
            for command in commands
        }
        self._has_words = rules.words is FindingCode.MACRO
        self._odd = odd
        self._set: dict[str, Tally] = {}
        self._above: dict[tuple[str, str], tuple[Tally, float, float]] = {}

    def feed(self, piece: Piece) -> None:
        """Take the next piece."""
        for (letter, code), (command, quantity) in self._commands.items():
            lines = piece.blocks.commands.lines(letter, code)
            if len(lines) == 0:
                continue
            self._set.setdefault(command, Tally()).add(piece, lines)
            if quantity not in self._most:
                continue
            for axis, limit in zip(AXES, self._most[quantity], strict=True):
                asked = piece.blocks.column(axis)[lines]
                above = asked > limit * _SLACK
                if above.any():
                    self._see(piece, command, axis, lines[above], float(asked[above].max()), limit)
        if self._has_words:
            self._feed_words(piece)

    def _feed_words(self, piece: Piece) -> None:
        for line, odd in self._odd.lines(piece):
            if odd.name != "SET_VELOCITY_LIMIT":
                continue
            self._set.setdefault(odd.name, Tally()).add(piece, np.array([line]))
            named = named_values(odd.rest) or {}
            for key, quantity in _KLIPPER.items():
                limit = max(self._most[quantity])
                try:
                    asked = float(named.get(key, "0"))
                except ValueError:
                    asked = float("inf")
                if not asked <= limit * _SLACK:
                    self._see(piece, odd.name, key, np.array([line]), min(asked, 1e9), limit)

    def _see(
        self, piece: Piece, command: str, axis: str, lines: Ints, asked: float, limit: float
    ) -> None:
        tally, most, _ = self._above.get((command, axis), (Tally(), 0.0, 0.0))
        tally.add(piece, lines)
        self._above[command, axis] = (tally, max(most, asked), limit)

    def finish(self) -> Iterator[Finding]:
        """Return at most one note, and one finding for each axis."""
        for (command, axis), (tally, asked, limit) in self._above.items():
            yield person(
                FindingCode.LIMITS_ABOVE,
                tally.line,
                command=command,
                axis=axis,
                asked=asked,
                limit=round(limit, 3),
                count=tally.count,
            )
        within = sorted(self._set.keys() - {command for command, _ in self._above})
        if within:
            line = min(self._set[command].line for command in within)
            yield note(FindingCode.LIMITS_SET, line, command=", ".join(within))


def _own(values: Sequence[float], name: str, otherwise: float) -> list[float]:
    """Return what the machine bears on each axis; what nobody has said is no limit."""
    if tuple(values) == _USUAL[name]:
        return [otherwise] * 3
    return list(values)
