"""Which firmware a program was written for, from what it says and what it does."""

from __future__ import annotations

import numpy as np

from jobs.analysis.arrays import Bools, Ints
from jobs.analysis.slicers import flavor
from jobs.analysis.words import Words

_MARLIN_FLAVORS = ("marlin", "reprap", "klipper", "repetier", "smoothie", "teacup", "sprinter")
# Commands that only one of the families has; Grbl stops with an error at the others.
_MARLIN_M = (82, 83, 84, 104, 105, 106, 107, 109, 140, 190, 201, 203, 204, 205, 220, 221, 400, 900)
_GRBL_G = (40, 43.1, 49, 61, 91.1, 93, 94)
_GRBL_M = (2, 8, 30)
_SPINDLE_M = (3, 4, 5)
FARMBOT = "farmbot"  # read by a module of its own
# Its commands on pins and settings; after an F that is a feedrate there is no P.
_FARMBOT_F = (20, 21, 22, 23, 41, 42, 43, 44, 61)


_MOST_NUMBERS = 2_000


class Guess:
    r"""Tells the dialect from all words fed so far.

    >>> from jobs.analysis.words import read_words
    >>> guess = Guess()
    >>> guess.add(read_words(b"G1X1\n"))
    >>> guess.tell("")
    'unknown'
    >>> guess.add(read_words(b"X\nGG\n"))
    >>> guess.tell("")
    'unknown'
    >>> guess.add(read_words(b"M104S200\n"))
    >>> guess.tell("")
    'marlin'
    """

    def __init__(self, *, spindle_tells: bool = True) -> None:
        """Begin with nothing.

        :param spindle_tells: a spindle speaks for Grbl; not where the machine has one
            anyway, for a mill may have any firmware.
        """
        self.lines = 0
        self._spindle_tells = spindle_tells
        self._gs: set[float] = set()
        self._ms: set[float] = set()
        self._extrudes = self._is_modal = self._is_farm = False

    def add(self, words: Words) -> None:
        """Take the words of some lines."""
        self.lines += words.lines
        heads = words.heads()
        self._is_farm = self._is_farm or _has_farm_commands(words, heads)
        for letter, seen in (("G", self._gs), ("M", self._ms)):
            if len(seen) < _MOST_NUMBERS:
                value = words.of(letter).value
                # G0 and G1, which come by the million, tell nothing.
                seen.update(np.unique(value[value > 1.0]).tolist())
        self._extrudes = self._extrudes or len(words.of("E").line) > 0
        self._is_modal = self._is_modal or _has_modal_lines(words, heads)

    def tell(self, named: str) -> str:
        """Return `marlin`, `grbl`, `farmbot`, or `unknown` when nothing tells.

        :param named: the dialect that a comment names, or nothing.
        """
        if self._is_farm:
            return FARMBOT
        if named:
            return named
        marlin = len(self._ms.intersection(_MARLIN_M)) + 2 * self._extrudes
        spindle = bool(self._ms.intersection(_SPINDLE_M)) and not self._extrudes
        spindle = spindle and self._spindle_tells
        grbl = len(self._gs.intersection(_GRBL_G)) + len(self._ms.intersection(_GRBL_M))
        # Several commands in a line, and axes without one: Marlin obeys neither.
        grbl += 2 * spindle + 2 * self._is_modal
        if marlin == grbl:
            return "unknown"
        return "marlin" if marlin > grbl else "grbl"


def flavored(ends: bytes) -> str:
    """Return the dialect that a slicer's comment names, or nothing."""
    named = flavor(ends)
    if named.startswith(_MARLIN_FLAVORS):
        return "marlin"
    return "grbl" if named.startswith(("grbl", "mach3", "machinekit")) else ""


def _has_modal_lines(words: Words, heads: Ints) -> bool:
    first = words.letter[heads]
    leading = np.count_nonzero((first == ord("G")) | (first == ord("M")))
    letter = words.letter
    commands = (letter == ord("G")) | (letter == ord("M"))
    axes = heads[np.isin(first, np.frombuffer(b"XYZ", np.uint8))]
    # A letter without a number says nothing in any dialect.
    return bool(
        (np.count_nonzero(commands) > leading and _numbered(words, commands) > leading)
        or not np.isnan(words.value[axes]).all()
    )


def _numbered(words: Words, chosen: Bools) -> int:
    return int(np.count_nonzero(~np.isnan(words.value[chosen])))


def _has_farm_commands(words: Words, heads: Ints) -> bool:
    own = heads[words.letter[heads] == ord("F")]
    own = own[np.isin(words.value[own], _FARMBOT_F)]
    after = own[own < len(words.line) - 1] + 1
    behind = words.line[after] == words.line[after - 1]
    return bool((behind & (words.letter[after] == ord("P"))).any())
