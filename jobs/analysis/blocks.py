"""Blocks: what each line of a piece commands, and the modes it is obeyed in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from jobs.analysis.arrays import Bools, Floats, Ints, hold
from jobs.analysis.commands import NOT_MOTION
from jobs.analysis.words import LetterWords, Words

INCH = 25.4
# Motions as ten times their number; probing is straight motion too.
RAPID, STRAIGHT, CLOCKWISE, COUNTER = 0, 10, 20, 30
PROBES = (382, 383, 384, 385)
_G, _M, _T = ord("G"), ord("M"), ord("T")
# G80 ends a canned cycle: the axis words after it have no motion to obey.
_NO_MOTION = 800
_WORK_OFFSETS = (540, 550, 560, 570, 580, 590, 591, 592, 593)
_PLANES = (170, 180, 190)
FEED_PER_MINUTE, INVERSE_TIME, FEED_PER_TURN = 940, 930, 950
_MOST_TOOLS = 255

Carried = dict[str, float]
# A setting that no line of a piece touches is one number for all of them.
Column = Floats | float


class Commands:
    """Every G, M and T word that the firmware obeys, in order.

    :param line: index of the line in the piece, shape (k,).
    :param letter: `G`, `M` or `T` as a byte, shape (k,).
    :param value: its number, shape (k,); NaN without one.

    Codes are ten times the number, so that 921 is G92.1; -1 stands for no number.
    """

    def __init__(self, line: Ints, letter: Ints, value: Floats) -> None:
        # G0 to G3 come by the million and all else by the dozen: only that is sorted.
        plain = (value == 1.0) | (value == 0.0) | (value == 2.0) | (value == 3.0)
        plain &= letter == _G
        self.motion_line = line[plain]
        self.motion_code = (value[plain] * 10.0).astype(np.int64)
        rare = np.flatnonzero(~plain)
        code = np.where(np.isnan(value[rare]), -0.1, np.clip(value[rare], -0.1, 99999.0))
        self._line = line[rare]
        self._code = np.rint(code * 10.0).astype(np.int64)
        key = letter[rare] * 2_000_000 + self._code
        self._places: dict[int, Ints] = {}
        if len(rare):
            order = np.argsort(key, kind="stable")
            keys, first = np.unique(key[order], return_index=True)
            self._places = dict(zip(keys.tolist(), np.split(order, first[1:]), strict=True))

    def lines(self, letter: str, *codes: int) -> Ints:
        """Return the lines that hold one of these commands, each once, ascending."""
        found = [self._line[self._place(letter, code)] for code in codes]
        if letter == "G":
            found += [
                self.motion_line[self.motion_code == code] for code in codes if code in _PLAIN
            ]
        found = [lines for lines in found if len(lines)]
        if not found:
            return _NONE
        # Nearly always it is one command, each on a line of its own.
        if len(found) == 1 and (np.diff(found[0]) > 0).all():
            return found[0]
        return np.unique(np.concatenate(found))

    def choose(self, letter: str, *codes: int) -> tuple[Ints, Ints]:
        """Return lines and codes of these commands, but for G0 to G3, as they stand.

        :param codes: none for every command of that letter.
        """
        if codes:
            places = [self._place(letter, code) for code in codes]
        else:
            low = ord(letter) * 2_000_000 - 1
            chosen = (key for key in self._places if low <= key < low + 2_000_000)
            places = [self._places[key] for key in chosen]
        places = [place for place in places if len(place)]
        if not places:
            return _NONE, _NONE
        at = places[0] if len(places) == 1 else np.sort(np.concatenate(places))
        return self._line[at], self._code[at]

    def groups(self) -> Iterator[tuple[str, int, Ints]]:
        """Return letter, code and lines of every command there is, lines ascending."""
        for key, places in self._places.items():
            letter, code = divmod(key + 1, 2_000_000)
            yield chr(letter), code - 1, self._line[places]
        for code in _PLAIN:
            lines = self.motion_line[self.motion_code == code]
            if len(lines):
                yield "G", code, lines

    def _place(self, letter: str, code: int) -> Ints:
        return self._places.get(ord(letter) * 2_000_000 + code, _NONE)


_NONE = np.zeros(0, np.int64)
_PLAIN = (RAPID, STRAIGHT, CLOCKWISE, COUNTER)


class Blocks:
    """The lines of a piece as columns, and the modes in force at each.

    A column holds one letter's numbers, shape (n,), NaN where a line has none.

    :param dialect: in Marlin the first word of a line alone is a command; in every other all
        are, and a motion stays in force until the next.
    :param carried: the modes the piece begins in, by name; left as those it ends in.

    Each mode is an array of shape (n,), in force at its line: `inches`, `relative`,
    `relative_e`, `spindle` (truth values), `motion` (ten times the number, -1 for none),
    `plane` (17 to 19), `work` (0 for G54 … 5 for G59, 6 to 8 for G59.1 to G59.3), `tool`,
    `feed_mode` (ten times the number of G93 to G95), `centre_absolute` (G90.1).
    """

    def __init__(self, words: Words, dialect: str, carried: Carried) -> None:
        self.words = words
        self.n = words.lines
        self.modal = dialect != "marlin"
        self._carried = carried
        self._columns: dict[str, Floats] = {}
        self._heads = words.heads()
        self.commands = self._read_commands()
        self.inches = self._switch("inches", 200, 210)
        self.scale: Column = np.where(self.inches, INCH, 1.0) if self.inches.any() else 1.0
        self.relative = self._switch("relative", 910, 900)
        self.centre_absolute = self._switch("centre absolute", 901, 911)
        self.relative_e = self._extruder_relative()
        self.motion = self._read_motion()
        self.plane = self._chosen("plane", _PLANES) // 10
        self.work = np.searchsorted(_WORK_OFFSETS, self._chosen("work", _WORK_OFFSETS))
        modes = (FEED_PER_MINUTE, INVERSE_TIME, FEED_PER_TURN)
        self.feed_mode = self._chosen("feed mode", modes)
        self.tool = self._read_tool()
        lines, codes = self.commands.choose("M", 30, 40, 50, 20, 300)
        on = np.isin(codes, (30, 40)).astype(np.float64)
        self.spindle: Bools = self.held("spindle", lines, on, 0.0) > 0.0

    def column(self, letter: str) -> Floats:
        """Return a letter's numbers as they are written, NaN where there are none."""
        if letter not in self._columns:
            own = self.words.of(letter)
            column = np.full(self.n, np.nan)
            column[own.line] = own.value
            self._columns[letter] = column
        return self._columns[letter]

    def given(self, letter: str) -> tuple[Ints, Floats]:
        """Return the lines where a letter stands with a number, ascending, and the numbers.

        Where a line has it twice the last counts.
        """
        own = self.words.of(letter)
        line, value = own.line, own.value
        kept = ~np.isnan(value)
        kept[:-1] &= line[1:] != line[:-1]
        return (line, value) if kept.all() else (line[kept], value[kept])

    def has(self, letter: str) -> Bools:
        """Return which lines have the letter, with or without a number."""
        found = np.zeros(self.n, np.bool_)
        found[self.words.of(letter).line] = True
        return found

    def length(self, letter: str) -> Floats:
        """Return a letter's numbers as lengths [mm], whatever the unit in force."""
        column = self.column(letter)
        return column if isinstance(self.scale, float) else column * self.scale

    def held(self, name: str, lines: Ints, values: Floats, initial: float) -> Floats:
        """Return what is in force at each line, shape (n,), and carry it into the next piece.

        :param lines: where it changes, ascending, to `values`; it counts from that line on.
        :param initial: what the whole program begins with.
        """
        before = self._carried.get(name, initial)
        if len(values):
            self._carried[name] = float(values[-1])
        return hold(self.n, lines, values, before)

    def setting(
        self, name: str, lines: Ints, values: Floats, initial: float, least: float
    ) -> Column:
        """Return a number in force that some lines set.

        :param values: what they set it to; NaN and what is below `least` is not taken.
        :returns: shape (n,), or one number where no line of the piece sets it.
        """
        taken = values >= least
        if not taken.any():
            return self._carried.get(name, initial)
        return self.held(name, lines[taken], values[taken], initial)

    def letters(self, letters: Iterable[str]) -> Iterator[LetterWords]:
        """Return the words of each of these letters."""
        return (self.words.of(letter) for letter in letters)

    def second_commands(self) -> Ints:
        """Return the lines with a G or M word behind the first word, ascending."""
        after = np.ones(len(self.words.line), np.bool_)
        after[self._heads] = False
        after &= (self.words.letter == _G) | (self.words.letter == _M)
        return np.unique(self.words.line[after])

    def _switch(self, name: str, on: int, off: int) -> Bools:
        lines, codes = self.commands.choose("G", on, off)
        return self.held(name, lines, (codes == on).astype(np.float64), 0.0) > 0.0

    def _chosen(self, name: str, codes: tuple[int, ...]) -> Ints:
        lines, chosen = self.commands.choose("G", *codes)
        values = chosen.astype(np.float64)
        return self.held(name, lines, values, float(codes[0])).astype(np.int64)

    def _extruder_relative(self) -> Bools:
        """Return where E counts from the last move; G90 and G91 set it too, as in Marlin."""
        lines, codes = self.commands.choose("M", 820, 830)
        more, modes = self.commands.choose("G", 900, 910)
        lines, codes = np.concatenate((lines, more)), np.concatenate((codes, modes))
        order = np.argsort(lines, kind="stable")
        values = np.isin(codes[order], (830, 910)).astype(np.float64)
        return self.held("relative E", lines[order], values, 0.0) > 0.0

    def _read_tool(self) -> Ints:
        lines, codes = self.commands.choose("T")
        values = np.clip(codes // 10, 0, _MOST_TOOLS).astype(np.float64)
        given = codes >= 0
        return self.held("tool", lines[given], values[given], 0.0).astype(np.int64)

    def _read_commands(self) -> Commands:
        words = self.words
        if self.modal:
            letter = words.letter
            at = np.flatnonzero((letter == _G) | (letter == _M) | (letter == _T))
        else:
            letter = words.letter[self._heads]
            at = self._heads[(letter == _G) | (letter == _M) | (letter == _T)]
            at = self._with_chained(at)
        return Commands(words.line[at], words.letter[at].astype(np.int64), words.value[at])

    def _with_chained(self, at: Ints) -> Ints:
        """Add what stands behind Marlin's G53, which obeys the rest of its line."""
        words = self.words
        g53 = at[(words.value[at] == 53.0) & (words.letter[at] == _G)]
        if len(g53) == 0:
            return at
        behind = np.minimum(g53 + 1, len(words.line) - 1)
        chained = (words.line[behind] == words.line[g53]) & (words.letter[behind] == _G)
        return np.union1d(at, behind[chained])

    def _read_motion(self) -> Ints:
        """Return the motion each line obeys as ten times its number, -1 where none."""
        commands = self.commands
        lines, codes = commands.choose("G", *PROBES, *_PLAIN, _NO_MOTION)
        lines = np.concatenate((commands.motion_line, lines))
        codes = np.concatenate((commands.motion_code, codes))
        if not self.modal:
            motion = np.full(self.n, -1)
            motion[lines] = np.where(codes == _NO_MOTION, -1, codes)
            return motion
        order = np.argsort(lines, kind="stable")
        values = np.where(codes == _NO_MOTION, -1, codes).astype(np.float64)[order]
        motion = self.held("motion", lines[order], values, 0.0).astype(
            np.int64
        )  # Grbl begins in G0
        motion[commands.lines("G", *NOT_MOTION)] = -1
        motion[self.words.odd] = -1
        return motion
