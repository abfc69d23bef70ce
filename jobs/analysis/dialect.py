"""Which firmware a program was written for, from what it says and what it does."""

from __future__ import annotations

import numpy as np

from jobs.analysis.slicers import flavor
from jobs.analysis.words import Words

_MARLIN_FLAVORS = ("marlin", "reprap", "klipper", "repetier", "smoothie", "teacup", "sprinter")
# Commands that only one of the families has; Grbl stops with an error at the others.
_MARLIN_M = (82, 83, 84, 104, 105, 106, 107, 109, 140, 190, 201, 203, 204, 205, 220, 221, 400, 900)
_GRBL_G = (40, 43.1, 49, 61, 91.1, 93, 94)
_GRBL_M = (2, 8, 30)
_SPINDLE_M = (3, 4, 5)
FARMBOT = "farmbot"  # it can be told from the others, and no more
# Its commands on pins and settings; after an F that is a feedrate there is no P.
_FARMBOT_F = (20, 21, 22, 23, 41, 42, 43, 44, 61)


def guess_dialect(data: bytes, words: Words) -> str:
    r"""Return `marlin`, `grbl`, `farmbot`, or `unknown` when nothing tells.

    >>> from jobs.analysis.words import read_words
    >>> guess_dialect(b"", read_words(b"M104S200\n")), guess_dialect(b"", read_words(b"G1X1\n"))
    ('marlin', 'unknown')
    """
    if _has_farm_commands(words):
        return FARMBOT
    named = flavor(data)
    if named.startswith(_MARLIN_FLAVORS):
        return "marlin"
    if named.startswith(("grbl", "mach3", "machinekit")):
        return "grbl"
    gs = set(np.unique(words.value[words.letter == ord("G")]).tolist())
    ms = set(np.unique(words.value[words.letter == ord("M")]).tolist())
    extrudes = bool((words.letter == ord("E")).any())
    marlin = len(ms.intersection(_MARLIN_M)) + 2 * extrudes
    spindle = bool(ms.intersection(_SPINDLE_M)) and not extrudes
    grbl = len(gs.intersection(_GRBL_G)) + len(ms.intersection(_GRBL_M)) + 2 * spindle
    # Several commands in a line, and axes without one: Marlin obeys neither.
    grbl += 2 * _has_modal_lines(words)
    if marlin == grbl:
        return "unknown"
    return "marlin" if marlin > grbl else "grbl"


def _has_modal_lines(words: Words) -> bool:
    head = np.diff(words.line, prepend=-1) > 0
    command = (words.letter == ord("G")) | (words.letter == ord("M"))
    bare = head & np.isin(words.letter, np.frombuffer(b"XYZ", np.uint8))
    return bool((command & ~head).any() or bare.any())


def _has_farm_commands(words: Words) -> bool:
    head = np.diff(words.line, prepend=-1) > 0
    command = head & (words.letter == ord("F")) & np.isin(words.value, _FARMBOT_F)
    after = np.flatnonzero(command[:-1]) + 1
    return bool((~head[after] & (words.letter[after] == ord("P"))).any())
