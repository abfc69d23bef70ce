"""What the rest of `drivers` must know of a firmware family, besides what its engine does."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Dialect:
    """One family's grammar; engine, host and sender ask it instead of knowing G-code.

    :param parse: names a received line; total.
    :param bare: returns what the firmware needs of a program's line, empty if nothing.
    :param commands: returns the command words of a bare line, as a profile writes them.
    :param is_plain: tells that a bare line is nothing but a move, as nine in ten are, which the
        firmware answers as soon as it is planned; False is always right.
    :param dwell: returns how long a bare line makes the machine wait by its own words [s].
    :param is_gcode: a line means what G-code means: `drivers.gcode.ModalState` can read it.
    """

    parse: Callable[[str], object]
    bare: Callable[[bytes], bytes]
    commands: Callable[[bytes], list[str]]
    dwell: Callable[[bytes], float]
    is_plain: Callable[[bytes], bool]
    is_gcode: bool = True

    def first_of(self, line: bytes, words: Iterable[str]) -> str | None:
        """Return the first command of a bare *line* that is among *words*.

        An entry `$` means every command that begins with it.
        """
        chosen = frozenset(words)
        for word in self.commands(line):
            if word in chosen or (word[:1] == "$" and "$" in chosen):
                return word
        return None


def suspect(words: Iterable[str]) -> re.Pattern[bytes]:
    r"""Return a pattern that finds every line in which one of the commands *words* may stand.

    It only sorts out the many lines that are harmless, at a tenth of the cost of reading them.

    >>> pattern = suspect(["M109", "G38.2", "$H"])
    >>> [bool(pattern.search(line)) for line in (b"m0109S210", b"G90G38.2Z-9", b"$H", b"G1 X9")]
    [True, True, True, False]
    """
    codes: dict[str, set[str]] = {}
    bare: set[str] = set()
    for word in words:
        number = word[1:].partition(".")[0].partition(" ")[0]
        if word[:1].isalpha() and number.isdecimal():
            codes.setdefault(word[:1], set()).add(number.lstrip("0"))
        elif word:
            bare.add(word[:1])
    parts = [
        rb"[%s]\s*0*(?:%s)(?!\d)"
        % ((letter.upper() + letter.lower()).encode(), "|".join(sorted(numbers)).encode())
        for letter, numbers in codes.items()
    ]
    parts += [re.escape(first.upper().encode()) for first in sorted(bare)]
    parts += [re.escape(first.lower().encode()) for first in sorted(bare) if first.isalpha()]
    return re.compile(b"|".join(parts) or rb"(?!)")
