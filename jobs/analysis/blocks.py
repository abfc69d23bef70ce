"""Blocks: what each line of the stream commands, and the modes it is obeyed in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from jobs.analysis.arrays import Bools, Floats, Ints, hold, hold_given
from jobs.analysis.commands import NOT_MOTION
from jobs.analysis.words import Words

INCH = 25.4
_MOTIONS = (0, 10, 20, 30, 382, 383, 384, 385)
# G80 ends a canned cycle: the axis words after it have no motion to obey.
_NO_MOTION = 800
_RELATIVE_E, _ABSOLUTE_E = 830, 820


@dataclass(frozen=True, slots=True)
class Commands:
    """Every G, M and T word that the firmware obeys, in order, shapes (k,).

    :param line: index of the stream line.
    :param letter: `G`, `M` or `T` as a byte.
    :param code: ten times the number, so that 921 is G92.1; -1 without a number.
    """

    line: Ints
    letter: Ints
    code: Ints

    def lines(self, letter: str, *codes: int) -> Ints:
        """Return the lines that hold one of these commands, each once, ascending."""
        return np.unique(self.line[self._chosen(letter, codes)])

    def choose(self, letter: str, *codes: int) -> tuple[Ints, Ints]:
        """Return lines and codes of these commands; the last of a line stands last."""
        chosen = self._chosen(letter, codes)
        return self.line[chosen], self.code[chosen]

    def _chosen(self, letter: str, codes: tuple[int, ...]) -> Bools:
        own: Bools = self.letter == ord(letter)
        if codes:
            own &= np.isin(self.code, codes)
        return own


class Blocks:
    """The lines of a stream as columns, and the modes in force at each.

    A column holds one letter's numbers, shape (n,), NaN where the line has none.

    :param dialect: in Marlin the first word of a line alone is a command; in Grbl all are, and
        a motion stays in force until the next.
    """

    def __init__(self, words: Words, dialect: str) -> None:
        self.words = words
        self.n = words.lines
        self.modal = dialect != "marlin"
        self._columns: dict[str, Floats] = {}
        self.commands = self._read_commands()
        self.inches = self._switch("G", 200, 210)
        self.scale: Floats | float = np.where(self.inches, INCH, 1.0) if self.inches.any() else 1.0
        self.relative = self._switch("G", 910, 900)
        self.motion = self._read_motion()

    def column(self, letter: str) -> Floats:
        """Return a letter's numbers as they are written, NaN where there are none."""
        if letter not in self._columns:
            own = self.words.letter == ord(letter)
            column = np.full(self.n, np.nan)
            column[self.words.line[own]] = self.words.value[own]
            self._columns[letter] = column
        return self._columns[letter]

    def has(self, letter: str) -> Bools:
        """Return which lines have the letter, with or without a number."""
        found = np.zeros(self.n, np.bool_)
        found[self.words.line[self.words.letter == ord(letter)]] = True
        return found

    def length(self, letter: str) -> Floats:
        """Return a letter's numbers as lengths [mm], whatever the unit in force."""
        return self.column(letter) * self.scale

    def held(self, letter: str, lines: Ints, initial: float) -> Floats:
        """Return a number that some commands set, in force at each line."""
        values = self.column(letter)[lines]
        given = ~np.isnan(values)
        return hold(self.n, lines[given], values[given], initial)

    def feedrate(self) -> Floats:
        """Return the feedrate in force [mm/s]; 0 until one is given."""
        column = self.length("F")
        if not self.modal:
            # `M203 F` and the like are no feedrates: only a motion sets it.
            column = np.where(np.isnan(self.motion), np.nan, column)
        given = hold_given(np.where(column > 0.0, column, np.nan), 0.0) / 60.0
        lines = self.commands.lines("M", 2200)
        return given * (self.held("S", lines, 100.0) / 100.0) if len(lines) else given

    def extruder_relative(self) -> Bools:
        """Return where E counts from the last move; G90 and G91 set it too, as in Marlin."""
        lines, codes = self.commands.choose("M", _ABSOLUTE_E, _RELATIVE_E)
        more, modes = self.commands.choose("G", 900, 910)
        lines, codes = np.concatenate((lines, more)), np.concatenate((codes, modes))
        order = np.argsort(lines, kind="stable")
        values = np.isin(codes[order], (_RELATIVE_E, 910)).astype(np.float64)
        return hold(self.n, lines[order], values, 0.0) > 0.0

    def _switch(self, letter: str, on: int, off: int) -> Bools:
        lines, codes = self.commands.choose(letter, on, off)
        return hold(self.n, lines, (codes == on).astype(np.float64), 0.0) > 0.0

    def _read_commands(self) -> Commands:
        words = self.words
        letters = (words.letter == ord("G")) | (words.letter == ord("M"))
        letters |= words.letter == ord("T")
        if not self.modal:
            letters &= np.diff(words.line, prepend=-1) > 0
        at = np.flatnonzero(letters)
        value = words.value[at]
        code = np.where(np.isnan(value), -1.0, np.clip(value, -1.0, 99999.0))
        return Commands(
            words.line[at],
            words.letter[at].astype(np.int64),
            np.rint(code * 10.0).astype(np.int64),
        )

    def _read_motion(self) -> Floats:
        """Return the motion each line obeys as ten times its number, NaN where none."""
        lines, codes = self.commands.choose("G", *_MOTIONS, _NO_MOTION)
        named = np.full(self.n, np.nan)
        named[lines] = np.where(codes == _NO_MOTION, np.nan, codes)
        if not self.modal:
            return named
        values = named[lines]
        # Grbl begins in G0.
        motion = hold(self.n, lines, values, 0.0)
        motion[self.commands.lines("G", *NOT_MOTION)] = np.nan
        motion[self.words.odd] = np.nan
        return motion
