"""Heat: what every command of a family asks of nozzle, bed and chamber, in the order it asks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from jobs.analysis.arrays import Bools, Floats, Ints
from jobs.analysis.heads import named_values
from jobs.analysis.odd import Odd
from jobs.analysis.piece import Piece
from jobs.analysis.target import Tally, Target, block, note, person
from jobs.domain.materials import nozzle_most
from jobs.domain.preflight import Finding, FindingCode
from jobs.domain.rulebook import Pattern, RuleBook

NOZZLE, BED, CHAMBER = "nozzle", "bed", "chamber"
# Klipper's own words for heat, and its names of heaters.
_WORDS = frozenset({"SET_HEATER_TEMPERATURE", "PID_CALIBRATE", "MPC_CALIBRATE"})
_HOTTEST = 1e6  # beyond any number that a file may name


@dataclass(frozen=True, slots=True)
class Asked:
    """What some lines of a piece ask one heater for, shapes (k,).

    :param line: in the piece, ascending.
    :param target: what it then holds [°C]: S, else R; NaN where a word of the machine's own may
        have set it to anything.
    :param most: the highest that the line names [°C].
    """

    line: Ints
    target: Floats
    most: Floats


class HeatReader:
    """Finds what the lines of a piece ask one heater for."""

    def __init__(self, rules: RuleBook, heater: str, odd: Odd, macros: Sequence[str] = ()) -> None:
        self._rules, self._heater, self._odd = rules, heater, odd
        self._patterns = [(_code(one), one) for one in rules.heat[heater]]
        self._has_words = rules.words is FindingCode.MACRO
        self._macros = frozenset(macros)
        self.unreadable = Tally()

    def read(self, piece: Piece) -> Asked:
        """Return them, in order."""
        blocks = piece.blocks
        lines = np.zeros(0, np.int64)
        for (letter, code), pattern in self._patterns:
            found = blocks.commands.lines(letter, code)
            if len(found):
                lines = np.union1d(lines, found[_meant(pattern, piece, found)])
        s, r, b = (blocks.column(letter)[lines] for letter in "SRB")
        said = ~np.isnan(s) | ~np.isnan(r)
        target = np.where(np.isnan(s), r, s)
        # The ceiling of M104's AUTOTEMP, which follows the feedrate, counts as well.
        most = np.fmax(np.fmax(s, r), b)
        kept = said | ~np.isnan(most)
        target = np.nan_to_num(target)
        asked = Asked(lines[kept], target[kept], np.nan_to_num(most)[kept])
        return self._with_words(piece, asked) if self._has_words else asked

    def _with_words(self, piece: Piece, asked: Asked) -> Asked:
        rows: list[tuple[int, float, float]] = []
        for line, odd in self._odd.lines(piece):
            if odd.name == "TURN_OFF_HEATERS":
                rows.append((line, 0.0, 0.0))
            elif odd.name in _WORDS:
                named = named_values(odd.rest) or {}
                if _heater(named.get("HEATER", "")) == self._heater:
                    rows.append(self._row(piece, line, named.get("TARGET", "0")))
            elif not odd.is_plain and (
                odd.name in self._macros or odd.name not in self._rules.known
            ):
                rows.append((line, float("nan"), 0.0))
        if not rows:
            return asked
        columns = np.array(rows, np.float64).T
        all_lines = np.concatenate((asked.line, columns[0].astype(np.int64)))
        order = np.argsort(all_lines, kind="stable")
        return Asked(
            all_lines[order],
            np.concatenate((asked.target, columns[1]))[order],
            np.concatenate((asked.most, columns[2]))[order],
        )

    def _row(self, piece: Piece, line: int, text: str) -> tuple[int, float, float]:
        try:
            value = float(text)  # as Klipper reads it
        except ValueError:
            value = float("nan")
        if np.isnan(value):
            self.unreadable.add(piece, np.array([line]))
            return line, 0.0, 0.0
        value = min(max(value, -_HOTTEST), _HOTTEST)
        return line, value, value


def _code(pattern: Pattern) -> tuple[str, int]:
    return pattern.command[0], round(float(pattern.command[1:]) * 10)


def _meant(pattern: Pattern, piece: Piece, lines: Ints) -> Bools:
    if not pattern.word:
        return np.ones(len(lines), np.bool_)
    value = piece.blocks.column(pattern.word)[lines]
    with np.errstate(invalid="ignore"):
        found: Bools = (value >= pattern.least) & (value < pattern.below)
    return found


def _heater(name: str) -> str:
    """Return which part a heater of Klipper's is.

    >>> _heater("extruder1"), _heater("heater_bed"), _heater("lamp")
    ('nozzle', 'bed', 'chamber')
    """
    word = name.lower()
    if word.startswith("extruder"):
        return NOZZLE
    return BED if word == "heater_bed" else CHAMBER


class Temperatures:
    """Hotter than nozzle, bed or filament bear, or of a heater that has no limit here."""

    def __init__(self, target: Target, odd: Odd) -> None:
        machine = target.machine
        self._filaments = target.filaments
        bears = nozzle_most(target.filaments) or np.inf
        self._parts = [
            (NOZZLE, FindingCode.NOZZLE_TOO_HOT, machine.nozzle_max_c),
            (NOZZLE, FindingCode.MATERIAL_TOO_HOT, bears),
            (BED, FindingCode.BED_TOO_HOT, machine.bed_max_c),
            (CHAMBER, FindingCode.HEAT_UNLIMITED, 0.0),
        ]
        heaters = (NOZZLE, BED, CHAMBER)
        self._readers = {part: HeatReader(target.rules, part, odd) for part in heaters}
        self._tallies = [Tally() for _ in self._parts]
        self._most = [0.0 for _ in self._parts]

    def feed(self, piece: Piece) -> None:
        """Take the next piece."""
        every = {part: reader.read(piece) for part, reader in self._readers.items()}
        for index, (part, _, limit) in enumerate(self._parts):
            asked = every[part]
            hot = asked.most > limit
            if hot.any():
                self._tallies[index].add(piece, asked.line[hot])
                self._most[index] = max(self._most[index], float(asked.most[hot].max()))

    def finish(self) -> Iterator[Finding]:
        """Return at most one finding for each part."""
        for (part, code, limit), tally, most in zip(
            self._parts, self._tallies, self._most, strict=True
        ):
            if tally.count and part == CHAMBER:
                yield person(code, tally.line, command=part, asked_c=most, count=tally.count)
            elif tally.count and code is FindingCode.MATERIAL_TOO_HOT:
                said = ", ".join(dict.fromkeys(self._filaments))[:60]
                count = tally.count
                yield person(
                    code, tally.line, material=said, asked_c=most, limit_c=limit, count=count
                )
            elif tally.count:
                yield block(code, tally.line, asked_c=most, limit_c=limit, count=tally.count)
        for reader in self._readers.values():
            unread = reader.unreadable
            if unread.count:
                name = "SET_HEATER_TEMPERATURE"
                yield person(FindingCode.HEAT_UNSAID, unread.line, command=name, count=unread.count)


class HeatLeftOn:
    """Nozzle or bed still hot when the program ends."""

    def __init__(self, target: Target, odd: Odd) -> None:
        parts = (NOZZLE, BED)
        self._readers = [HeatReader(target.rules, part, odd, target.macros) for part in parts]
        # Source line of the last command of each, while it asks for heat.
        self._lines: list[int | None] = [None, None]

    def feed(self, piece: Piece) -> None:
        """Take the next piece."""
        for index, reader in enumerate(self._readers):
            asked = reader.read(piece)
            if len(asked.line):
                hot = asked.target[-1] > 0.0
                self._lines[index] = piece.source(asked.line[-1]) if hot else None

    def finish(self) -> Iterator[Finding]:
        """Return at most one finding."""
        hot = [line for line in self._lines if line is not None]
        if hot:
            yield note(FindingCode.HEAT_LEFT_ON, hot[0])
