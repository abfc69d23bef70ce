"""Checks of the language: what the firmware must not, cannot or would not rightly understand."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from jobs.analysis.arrays import Ints
from jobs.analysis.commands import name_of
from jobs.analysis.heads import OddLine, named_values
from jobs.analysis.odd import Odd
from jobs.analysis.piece import Piece
from jobs.analysis.ruling import Ruling
from jobs.analysis.target import Tally, Target, block
from jobs.domain.preflight import Finding, FindingCode
from jobs.domain.rulebook import RuleBook

_NO_NUMBERS, _MOST_NO_NUMBERS = (b"NAN", b"INF"), 1000
# Marlin's commands that take words for people or names, and do nothing with them but show them.
_TEXTS = frozenset(
    {"M0", "M1", "M115", "M117", "M118", "M486"} | {f"M862.{n}" for n in range(1, 7)}
)
# What M500 would keep of what a program has set before it.
_SETTINGS = frozenset(
    f"M{number}" for number in (92, 200, 201, 203, 204, 205, 206, 218, 301, 304, 306, 851, 900, 906)
)
_BETWEEN = re.compile(r"(?<=[0-9.])(?=[A-Z])")  # a stream line has lost its blanks
_ECHO = re.compile(r"\s*((?:[AEP][0-9]+\s*)*)(?:S?\")?(.*)")
# What a firmware says of itself; said by a program, the host would believe it.
_REPLY = re.compile(
    r"\s*(?:ok\b|rs\b|resend|start|error|!!|//|[tbc]\d?\s*:|x\s*:|echo:|wait|busy|done|skip|fatal"
    r"|halt|cap:|firmware|grbl|alarm|\[|<|klipper|smoothie|reprap|marlin)",
    re.IGNORECASE,
)


class Commands:
    """What the rules of the firmware's family say of each command."""

    def __init__(self, target: Target, odd: Odd) -> None:
        self._ruling = Ruling(target.rules, target.macros, target.forbidden)
        self._allowed = target.rules.letters
        self._odd = odd
        self._fakes = Tally()

    def feed(self, piece: Piece) -> None:
        """Take the next piece."""
        blocks = piece.blocks
        found = _by_command(piece, self._allowed)
        for name, lines in sorted(found.items(), key=lambda item: int(item[1][0])):
            if name in _SETTINGS:
                text = piece.text(lines[-1]).decode("latin-1")
                self._ruling.give(name, _BETWEEN.sub(" ", text))
            sources = piece.source_line[lines].astype(np.int64)
            self._ruling.words(name, sources, lines, blocks.column, blocks.has)
        for line, odd in self._odd.lines(piece):
            if odd.name:
                named = named_values(odd.rest) or {}
                self._ruling.text(odd.name, piece.source(line), odd.text, named)
            if odd.name == "M118" and _fakes_reply(odd.rest):
                self._fakes.add(piece, np.array([line]))

    def finish(self) -> Iterator[Finding]:
        """Return at most one finding for each command and rule."""
        yield from self._ruling.findings()
        if self._fakes.count:
            count = self._fakes.count
            yield block(FindingCode.FAKE_REPLY, self._fakes.line, command="M118", count=count)


def _fakes_reply(text: str) -> bool:
    """Tell whether M118 would make the firmware say what only it may say.

    >>> _fakes_reply(" Layer 3"), _fakes_reply(" ok"), _fakes_reply(" A1 action:pause")
    (False, True, True)
    """
    found = _ECHO.match(text)
    assert found is not None  # it may be empty
    options = found[1].upper()
    if "A1" in options:
        return True  # "//action:…" is an order to the host
    return _REPLY.match(("echo:" if "E1" in options else "") + found[2]) is not None


def _by_command(piece: Piece, allowed: str) -> dict[str, Ints]:
    """Return the lines of every command in a piece, by its name, ascending.

    :param allowed: letters that the firmware has; another is a command that it has not.
    """
    named: dict[str, list[Ints]] = {}
    for letter, code, lines in piece.blocks.commands.groups():
        # A letter without a number is nobody's command.
        name = name_of(letter, code) if code >= 0 else letter
        named.setdefault(name, []).append(lines)
    if allowed:
        for byte in np.unique(piece.words.letter).tolist():
            if (letter := chr(byte)) not in allowed:
                named.setdefault(letter, []).append(piece.words.of(letter).line)
    return {
        name: lines[0] if len(lines) == 1 else np.sort(np.concatenate(lines))
        for name, lines in named.items()
    }


class Malformed:
    """Lines that are no words, and words that contradict each other in one line."""

    def __init__(self, target: Target, odd: Odd) -> None:
        self._rules = target.rules
        self._odd = odd
        self._realtime: dict[int, Tally] = {}
        self._broken, self._arcs = Tally(), Tally()

    def feed(self, piece: Piece) -> None:
        """Take the next piece."""
        realtime: dict[int, list[int]] = {}
        broken: list[int] = []
        for line, odd in self._odd.lines(piece):
            is_text = odd.name in _TEXTS
            hidden = _hidden(piece.text(line), self._rules, is_text=is_text)
            if hidden:
                realtime.setdefault(hidden[0], []).append(line)
            elif not is_text and _is_broken(odd, self._rules):
                broken.append(line)
        for byte, lines in realtime.items():
            self._realtime.setdefault(byte, Tally()).add(piece, np.array(lines))
        bad = [
            np.array(broken, np.int64),
            self._odd.unread,
            _contradictions(piece),
            _no_numbers(piece),
        ]
        self._broken.add(piece, np.unique(np.concatenate(bad)))
        self._arcs.add(piece, np.unique(piece.moves.impossible))

    def finish(self) -> Iterator[Finding]:
        """Return one finding for each hidden byte, at most eight, for broken lines, and arcs."""
        for byte, tally in sorted(self._realtime.items())[:8]:
            yield block(
                FindingCode.REALTIME_BYTE, tally.line, byte=f"0x{byte:02X}", count=tally.count
            )
        if self._broken.count:
            yield block(FindingCode.MALFORMED_LINE, self._broken.line, count=self._broken.count)
        if self._arcs.count:
            yield block(FindingCode.ARC_IMPOSSIBLE, self._arcs.line, count=self._arcs.count)


def _hidden(text: bytes, rules: RuleBook, *, is_text: bool) -> list[int]:
    """Return the bytes of a line that the firmware would obey wherever they stand."""
    acting = rules.realtime
    if is_text:
        return [byte for byte in text if byte in acting]
    # No line but a text has any use for what is no printable ASCII.
    return [byte for byte in text if byte > 126 or byte < 32 or byte in acting]


def _is_broken(odd: OddLine, rules: RuleBook) -> bool:
    """Tell whether a line is neither letters and numbers nor anything that has a name."""
    if odd.is_plain or not odd.name:
        return True
    if len(odd.name) == 1:
        return False  # a command that no firmware has, and said as such
    is_word = odd.name[0] not in "$["
    return is_word and rules.words is FindingCode.MACRO and named_values(odd.rest) is None


def _contradictions(piece: Piece) -> Ints:
    """Return lines that contradict themselves.

    A letter twice, a motion's letter without a number, in Marlin a second command. In Grbl
    every letter has a number.
    """
    blocks = piece.blocks
    bad: list[Ints] = []
    alone = piece.words.line[np.isnan(piece.words.value)]
    bad.append(alone if blocks.modal else alone[blocks.motion[alone] >= 0])
    letters = "ABCDEFHIJKLPQRSUVWXYZ" if not blocks.modal else "ABCEFHIJKLPQRSTUVWXYZ"
    bad.extend(words.line[1:][np.diff(words.line) == 0] for words in blocks.letters(letters))
    if not blocks.modal:
        texts = blocks.commands.lines("M", 0, 10, 4860)
        bad = [np.setdiff1d(lines, texts) for lines in bad]
        bad.append(blocks.second_commands())
    return np.unique(np.concatenate(bad))


def _no_numbers(piece: Piece) -> Ints:
    """Return lines with what C's strtod takes for a number although it has no digit."""
    found: list[int] = []
    # Both have an N without a number, which few programs have; to search takes ten times as long.
    if not np.isnan(piece.words.of("N").value).any():
        return np.zeros(0, np.int64)
    for word in _NO_NUMBERS:
        at = piece.stream.find(word)
        while at >= 0 and len(found) < _MOST_NO_NUMBERS:
            found.append(int(np.searchsorted(piece.ends, at)))
            at = piece.stream.find(word, at + 1)
    lines = np.unique(np.array(found, np.int64))
    return np.setdiff1d(lines, piece.words.odd)


class NoNumbers:
    """Lines with a number that is none, such as `XNaN`, whatever machine the program is for."""

    def __init__(self) -> None:
        self._tally = Tally()

    def feed(self, piece: Piece) -> None:
        """Take the next piece."""
        self._tally.add(piece, _no_numbers(piece))

    def finish(self) -> Iterator[Finding]:
        """Return at most one finding."""
        if self._tally.count:
            yield block(FindingCode.MALFORMED_LINE, self._tally.line, count=self._tally.count)


class LongLines:
    """Lines that the firmware would cut."""

    def __init__(self, target: Target) -> None:
        self._limit = target.rules.line_bytes
        self._tally = Tally()
        self._longest = 0

    def feed(self, piece: Piece) -> None:
        """Take the next piece."""
        size = np.diff(piece.ends, prepend=-1) - 1
        long = np.flatnonzero(size > self._limit)
        if len(long):
            self._tally.add(piece, long)
            self._longest = max(self._longest, int(size[long].max()))

    def finish(self) -> Iterator[Finding]:
        """Return at most one finding."""
        if self._tally.count:
            yield block(
                FindingCode.LINE_TOO_LONG,
                self._tally.line,
                bytes=self._longest,
                limit_bytes=self._limit,
                count=self._tally.count,
            )
