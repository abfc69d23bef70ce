"""Checks of the language: what the firmware must not, cannot or would not rightly understand."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from jobs.analysis.arrays import Ints
from jobs.analysis.commands import (
    KNOWN,
    LINE_BYTES,
    MARLIN_HEADS,
    UNTRACEABLE,
    UNTRACEABLE_GRBL,
    name_of,
)
from jobs.analysis.piece import Piece
from jobs.analysis.target import Tally, Target, block
from jobs.domain.preflight import Finding, FindingCode, Severity

# What nobody has looked at may not pass: further lines of this kind are malformed unread.
_MOST_ODD_LINES = 200_000
# A program has some dozen commands; further names that no firmware has are not listed.
_MOST_NAMES = 500
_HEAD = re.compile(rb"\$?[A-Z_]*(?:[0-9]{1,6}(?:\.[0-9])?)?")
_PLAIN = re.compile(rb"([GMT])0*([0-9]{1,6}(?:\.[1-9])?)")
# Marlin's commands that take words for people or names, and do nothing with them but show them.
_TEXTS = frozenset({"M0", "M1", "M117", "M118", "M486"} | {f"M862.{n}" for n in range(1, 7)})


class Commands:
    """Forbidden commands, and those that the firmware does not have."""

    def __init__(self, target: Target) -> None:
        self._dialect = target.dialect
        always = UNTRACEABLE_GRBL if target.dialect == "grbl" else UNTRACEABLE
        self._rules = [_rule(entry) for entry in (*target.forbidden, *always)]
        self._named: dict[str, Tally] = {}
        # By name and rule; the first rule that some line broke is the one to tell.
        self._broken: dict[tuple[str, int], Tally] = {}
        self._odd = _Odd()

    def feed(self, piece: Piece) -> None:
        """Take the next piece."""
        found = _by_command(piece, self._odd)
        for name, lines in sorted(found.items(), key=lambda item: int(item[1][0])):
            tally = self._named.get(name)
            if tally is None:
                if len(self._named) >= _MOST_NAMES:
                    continue
                tally = self._named[name] = Tally()
            tally.add(piece, lines)
            for index, (command, words) in enumerate(self._rules):
                if not _matches(command, name):
                    continue
                hit = lines
                for letter, value in words:
                    hit = hit[piece.blocks.column(letter)[hit] == value]
                if len(hit):
                    self._broken.setdefault((name, index), Tally()).add(piece, hit)

    def finish(self) -> Iterator[Finding]:
        """Return at most one finding for each command."""
        known = KNOWN[self._dialect]
        for name, tally in self._named.items():
            rules = (self._broken.get((name, index)) for index in range(len(self._rules)))
            broken = next((hit for hit in rules if hit is not None), None)
            is_tool = name[0] == "T" and name[1:].isdecimal() and int(name[1:]) < 256
            if broken is not None:
                code, tally = FindingCode.FORBIDDEN_COMMAND, broken
            elif name == "M6" and self._dialect == "grbl":
                # The host stops before it; a Grbl would refuse it.
                fields: dict[str, str | int | float] = {"count": tally.count}
                yield Finding(FindingCode.TOOL_CHANGE, Severity.NOTE, tally.line, fields)
                continue
            elif is_tool or name in known:
                continue
            else:
                code = FindingCode.UNKNOWN_COMMAND
            yield block(code, tally.line, command=name, count=tally.count)


def _rule(entry: str) -> tuple[str, list[tuple[str, float]]]:
    """Return a forbidden entry as its command and the words that must stand with it.

    >>> _rule("M302 P1")
    ('M302', [('P', 1.0)])
    """
    command, *words = entry.upper().split()
    return command, [(word[0], float(word[1:] or 0)) for word in words]


def _matches(rule: str, name: str) -> bool:
    return name.startswith("$") if rule == "$" else name == rule


def _by_command(piece: Piece, odd: _Odd) -> dict[str, Ints]:
    """Return the lines of every command in a piece, by its name, ascending."""
    named: dict[str, list[Ints]] = {}
    for letter, code, lines in piece.blocks.commands.groups():
        # A letter without a number is nobody's command.
        name = name_of(letter, code) if code >= 0 else letter
        named.setdefault(name, []).append(lines)
    for name, lines in _strange_heads(piece, odd).items():
        named.setdefault(name, []).append(lines)
    return {
        name: lines[0] if len(lines) == 1 else np.sort(np.concatenate(lines))
        for name, lines in named.items()
    }


def _strange_heads(piece: Piece, odd: _Odd) -> dict[str, Ints]:
    """Return the commands of lines that are no words, and Marlin's lines without a command."""
    heads: dict[str, list[int]] = {}
    for line, text in odd.texts(piece):
        if name := _head_name(text):
            heads.setdefault(name, []).append(line)
    if not piece.blocks.modal:
        words = piece.words
        head = words.heads()
        bare = head[~np.isin(words.letter[head], np.frombuffer(MARLIN_HEADS, np.uint8))]
        for letter in np.unique(words.letter[bare]).tolist():
            lines = words.line[bare[words.letter[bare] == letter]]
            heads.setdefault(chr(letter), []).extend(lines.tolist())
    return {name: np.array(lines) for name, lines in heads.items()}


def _head_name(text: bytes) -> str:
    if plain := _PLAIN.match(text):
        return (plain[1] + plain[2]).decode("ascii")
    head = _HEAD.match(text)
    return head[0].decode("ascii")[:32] if head else ""


class _Odd:
    """The lines that are not made of words, as long as there are not too many."""

    def __init__(self) -> None:
        self._left = _MOST_ODD_LINES

    def texts(self, piece: Piece) -> Iterator[tuple[int, bytes]]:
        """Return line and text of those of a piece that are to be looked at."""
        looked = piece.words.odd[: self._left]
        self._left -= len(looked)
        for line in looked.tolist():
            yield line, piece.text(line)


class Malformed:
    """Lines that are no words, and words that contradict each other in one line."""

    def __init__(self) -> None:
        self._odd = _Odd()
        self._realtime: dict[int, Tally] = {}
        self._broken = Tally()

    def feed(self, piece: Piece) -> None:
        """Take the next piece."""
        realtime: dict[int, list[int]] = {}
        broken: list[int] = []
        looked = 0
        for line, text in self._odd.texts(piece):
            looked += 1
            name = _head_name(text)
            hidden = [byte for byte in text if byte > 126 or byte in b"\x18!~?" or byte < 32]
            if hidden and name not in _TEXTS:
                realtime.setdefault(hidden[0], []).append(line)
            elif name not in _TEXTS and (_PLAIN.match(text) or not name):
                broken.append(line)
        for byte, lines in realtime.items():
            self._realtime.setdefault(byte, Tally()).add(piece, np.array(lines))
        bad = [np.array(broken, np.int64), piece.words.odd[looked:], _contradictions(piece)]
        self._broken.add(piece, np.unique(np.concatenate(bad)))

    def finish(self) -> Iterator[Finding]:
        """Return one finding for each hidden byte, at most eight, and one for broken lines."""
        for byte, tally in sorted(self._realtime.items())[:8]:
            yield block(
                FindingCode.REALTIME_BYTE, tally.line, byte=f"0x{byte:02X}", count=tally.count
            )
        if self._broken.count:
            yield block(FindingCode.MALFORMED_LINE, self._broken.line, count=self._broken.count)


def _contradictions(piece: Piece) -> Ints:
    """Return lines that contradict themselves.

    A letter twice, a motion's letter without a number, an impossible arc, in Marlin a second
    command. In Grbl every letter has a number.
    """
    blocks = piece.blocks
    bad: list[Ints] = [piece.moves.impossible]
    alone = piece.words.line[np.isnan(piece.words.value)]
    bad.append(alone if blocks.modal else alone[blocks.motion[alone] >= 0])
    bad.extend(words.line[1:][np.diff(words.line) == 0] for words in blocks.letters("XYZEFIJKRPSB"))
    if not blocks.modal:
        texts = blocks.commands.lines("M", 0, 10, 4860)
        bad = [np.setdiff1d(lines, texts) for lines in bad]
        bad.append(blocks.second_commands())
    return np.unique(np.concatenate(bad))


class LongLines:
    """Lines that the firmware would cut."""

    def __init__(self, target: Target) -> None:
        self._limit = LINE_BYTES[target.dialect]
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
