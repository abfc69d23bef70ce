"""The lines of an upload that findings speak of, as they may be shown to people."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from jobs.domain.preflight import TEXT_MOST, Finding

_CHUNK = 1 << 20
_MOST = 4 * TEXT_MOST  # bytes of a line that are looked at


def with_texts(path: Path, findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings, each with the text of its line."""
    texts = read_lines(path, {one.line for one in findings if one.line is not None})
    return [
        one if one.line is None or one.text else replace(one, text=texts.get(one.line, ""))
        for one in findings
    ]


def read_lines(path: Path, wanted: Collection[int]) -> dict[int, str]:
    """Return some lines of a file, at most 120 characters of each, without anything to obey.

    A line ends as in the stream: with LF, CR LF or a CR alone.

    :param wanted: 1-based numbers.
    """
    left = sorted(set(wanted))
    texts: dict[int, str] = {}
    line, kept, was_cr = 1, bytearray(), False
    with path.open("rb") as file:
        while left and (chunk := file.read(_CHUNK)):
            if was_cr and chunk[:1] == b"\n":
                chunk = chunk[1:]
            was_cr = chunk[-1:] == b"\r"
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            ends = np.flatnonzero(np.frombuffer(chunk, np.uint8) == ord("\n"))
            while left and left[0] < line + len(ends):
                nth = left[0] - line
                start = int(ends[nth - 1]) + 1 if nth else 0
                part = chunk[start : min(int(ends[nth]), start + _MOST)]
                texts[left.pop(0)] = shown(bytes(kept + part) if nth == 0 else part)
            if len(ends):
                kept.clear()
            start = int(ends[-1]) + 1 if len(ends) else 0
            line += len(ends)
            if left and line == left[0] and len(kept) < _MOST:
                kept += chunk[start : start + _MOST]
    if left and left[0] == line and kept:
        texts[line] = shown(bytes(kept))
    return texts


def shown(line: bytes) -> str:
    r"""Return a line as it may stand on a page or terminal.

    >>> shown(b"G1 X1 \x18\x1b[2J; caf\xc3\xa9"), shown(b"x" * 200)[-3:]
    ('G1 X1 \\x18\\x1b[2J; café', 'xx…')
    """
    text = line[:_MOST].decode("utf-8", "backslashreplace")
    plain = "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    ).strip()
    return plain if len(plain) <= TEXT_MOST else plain[: TEXT_MOST - 1] + "…"
