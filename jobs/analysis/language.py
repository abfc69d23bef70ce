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
from jobs.analysis.examined import Examined, block
from jobs.domain.preflight import Finding, FindingCode, Severity

_MOST_ODD_LINES = 200_000
_HEAD = re.compile(rb"\$?[A-Z_]*(?:[0-9]{1,6}(?:\.[0-9])?)?")
_PLAIN = re.compile(rb"([GMT])0*([0-9]{1,6}(?:\.[1-9])?)")
# Marlin's commands that take words for people or names, and do nothing with them but show them.
_TEXTS = frozenset({"M0", "M1", "M117", "M118", "M486"} | {f"M862.{n}" for n in range(1, 7)})


def commands(examined: Examined) -> Iterator[Finding]:
    """Forbidden commands, and those that the firmware does not have."""
    known = KNOWN[examined.wanted]
    always = UNTRACEABLE_GRBL if examined.wanted == "grbl" else UNTRACEABLE
    rules = [_rule(entry) for entry in (*examined.forbidden, *always)]
    for name, lines in _by_command(examined).items():
        code = None
        for command, words in rules:
            hit = lines if _matches(command, name) else lines[:0]
            for letter, value in words:
                if len(hit):
                    hit = hit[examined.program.blocks.column(letter)[hit] == value]
            if len(hit):
                code, lines = FindingCode.FORBIDDEN_COMMAND, hit
                break
        is_tool = name[0] == "T" and name[1:].isdecimal() and int(name[1:]) < 256
        if code is None and name == "M6" and examined.wanted == "grbl":
            # The host stops before it; a Grbl would refuse it.
            fields: dict[str, str | int | float] = {"count": len(lines)}
            line = examined.source(lines[0])
            yield Finding(FindingCode.TOOL_CHANGE, Severity.NOTE, line, fields)
            continue
        if code is None and not is_tool and name not in known:
            code = FindingCode.UNKNOWN_COMMAND
        if code is not None:
            yield block(code, examined.source(lines[0]), command=name, count=len(lines))


def _rule(entry: str) -> tuple[str, list[tuple[str, float]]]:
    """Return a forbidden entry as its command and the words that must stand with it.

    >>> _rule("M302 P1")
    ('M302', [('P', 1.0)])
    """
    command, *words = entry.upper().split()
    return command, [(word[0], float(word[1:] or 0)) for word in words]


def _matches(rule: str, name: str) -> bool:
    return name.startswith("$") if rule == "$" else name == rule


def _by_command(examined: Examined) -> dict[str, Ints]:
    """Return the lines of every command there is, by its name, ascending."""
    commands = examined.program.blocks.commands
    key = commands.letter * 2_000_000 + commands.code
    order = np.argsort(key, kind="stable")
    keys, first = np.unique(key[order], return_index=True)
    groups = np.split(commands.line[order], first[1:]) if len(keys) else []
    named: dict[str, list[Ints]] = {}
    for value, lines in zip(keys.tolist(), groups, strict=True):
        letter, code = divmod(value, 2_000_000)
        whole = code < 1_999_990
        # `G` without a number sorts with the letter before; it is nobody's command.
        name = name_of(chr(letter), code) if whole else chr(letter + 1)
        named.setdefault(name, []).append(lines)
    for name, lines in _strange_heads(examined).items():
        named.setdefault(name, []).append(lines)
    return {name: np.sort(np.concatenate(lines)) for name, lines in named.items()}


def _strange_heads(examined: Examined) -> dict[str, Ints]:
    """Return the commands of lines that are no words, and Marlin's lines without a command."""
    blocks = examined.program.blocks
    heads: dict[str, list[int]] = {}
    for line, text in _odd_texts(examined):
        if name := _head_name(text):
            heads.setdefault(name, []).append(line)
    if not blocks.modal:
        words = blocks.words
        head = np.diff(words.line, prepend=-1) > 0
        bare = head & ~np.isin(words.letter, np.frombuffer(MARLIN_HEADS, np.uint8))
        for letter in np.unique(words.letter[bare]).tolist():
            lines = words.line[bare & (words.letter == letter)]
            heads.setdefault(chr(letter), []).extend(lines.tolist())
    return {name: np.array(lines) for name, lines in heads.items()}


def _head_name(text: bytes) -> str:
    if plain := _PLAIN.match(text):
        return (plain[1] + plain[2]).decode("ascii")
    head = _HEAD.match(text)
    return head[0].decode("ascii")[:32] if head else ""


def _odd_texts(examined: Examined) -> Iterator[tuple[int, bytes]]:
    odd = examined.program.blocks.words.odd
    if len(odd) == 0:
        return
    data = examined.stream.data
    ends = np.flatnonzero(np.frombuffer(data, np.uint8) == ord("\n"))
    for line in odd[:_MOST_ODD_LINES].tolist():
        yield line, data[int(ends[line - 1]) + 1 if line else 0 : int(ends[line])]


def malformed(examined: Examined) -> Iterator[Finding]:
    """Lines that are no words, and words that contradict each other in one line."""
    realtime: dict[int, list[int]] = {}
    broken: list[int] = []
    for line, text in _odd_texts(examined):
        name = _head_name(text)
        hidden = [byte for byte in text if byte > 126 or byte in b"\x18!~?" or byte < 32]
        if hidden and name not in _TEXTS:
            realtime.setdefault(hidden[0], []).append(line)
        elif name not in _TEXTS and (_PLAIN.match(text) or not name):
            broken.append(line)
    for byte, lines in sorted(realtime.items())[:8]:
        yield block(
            FindingCode.REALTIME_BYTE,
            examined.source(lines[0]),
            byte=f"0x{byte:02X}",
            count=len(lines),
        )
    # What nobody has looked at may not pass.
    broken.extend(examined.program.blocks.words.odd[_MOST_ODD_LINES:].tolist())
    bad = np.union1d(np.array(broken, np.int64), _contradictions(examined))
    if len(bad):
        yield block(FindingCode.MALFORMED_LINE, examined.source(bad[0]), count=len(bad))


def _contradictions(examined: Examined) -> Ints:
    """Return lines that give a letter twice, an impossible arc, or in Marlin a second command."""
    blocks = examined.program.blocks
    words = blocks.words
    bad: list[Ints] = [examined.program.moves.impossible]
    for letter in b"XYZEFIJKRPSB":
        lines = words.line[words.letter == letter]
        bad.append(lines[1:][np.diff(lines) == 0])
    if not blocks.modal:
        head = np.diff(words.line, prepend=-1) > 0
        texts = blocks.commands.lines("M", 0, 10, 4860)
        bad = [np.setdiff1d(lines, texts) for lines in bad]
        bad.append(words.line[~head & ((words.letter == ord("G")) | (words.letter == ord("M")))])
    return np.unique(np.concatenate(bad))


def long_lines(examined: Examined) -> Iterator[Finding]:
    limit = LINE_BYTES[examined.wanted]
    ends = np.flatnonzero(np.frombuffer(examined.stream.data, np.uint8) == ord("\n"))
    size = np.diff(ends, prepend=-1) - 1
    long = np.flatnonzero(size > limit)
    if len(long):
        yield block(
            FindingCode.LINE_TOO_LONG,
            examined.source(long[0]),
            bytes=int(size[long].max()),
            limit_bytes=limit,
            count=len(long),
        )
