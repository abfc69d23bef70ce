"""The lines that a FarmBot takes: words apart, one command, and no byte that acts by itself."""

from __future__ import annotations

import re

_COMMENT = re.compile(rb"\([^)]*(?:\)|$)|;.*")
_UNSENDABLE = bytes(byte for byte in range(256) if byte != 9 and not 32 <= byte < 127)
_QUEUE_NUMBER = re.compile(rb"\s*[Qq]\s*\d+")
_HEAD = re.compile(rb"([A-Za-z])\s*0*(\d+)")
_WORD = re.compile(rb"[A-Z][-+]?(?:\d+\.?\d*|\.\d+)")
_WHOLE = re.compile(rb"(?:[A-DF-Z][-+]?(?:\d+\.?\d*|\.\d+))+")
_AXES = (b"X", b"Y", b"Z")


def bare(line: bytes) -> bytes:
    r"""Return what the firmware needs of *line*, without newline; empty if there is nothing.

    Comments and Q numbers go (the host counts for itself), and all that is no text. `E` and `@`
    stay, for a program that holds them is to be refused and not to be changed.

    >>> bare(b"G00 X1 Y2 ; there\r\n"), bare(b"F41P8V1M0Q17"), bare(b"; nothing")
    (b'G00 X1 Y2', b'F41P8V1M0', b'')
    """
    line = _COMMENT.sub(b"", line)
    line = line.translate(None, _UNSENDABLE).replace(b"\t", b" ")
    return _QUEUE_NUMBER.sub(b"", line).strip()


def commands(line: bytes) -> list[str]:
    """Return the command of a bare line, and `E` or `@` wherever they stand.

    >>> commands(b"G00 X1"), commands(b"F09"), commands(b"G0 X1 E5"), commands(b"@")
    (['G0'], ['F9'], ['G0', 'E'], ['@'])
    """
    head = _HEAD.match(line)
    found = [head[1].decode().upper() + (head[2].decode() or "0")] if head else []
    found += ["E"] if b"E" in line.upper() else []
    return found + (["@"] if b"@" in line else [])


def dwell(line: bytes) -> float:
    """Return how long a bare line makes it wait by its own words [s]: F44 counts T in ms.

    >>> dwell(b"F44P8V1W0T1500M0"), dwell(b"G00 X1")
    (1.5, 0.0)
    """
    return _value(line, b"T") / 1000.0 if commands(line)[:1] == ["F44"] else 0.0


def spaced(line: bytes) -> bytes | None:
    """Return a bare line as the firmware can read it; None if it is none.

    A stream file has no blanks, and the firmware finds words by nothing else.

    >>> spaced(b"g00x1.5y-2"), spaced(b"F11"), spaced(b"G00 X1 E5"), spaced(b"hello")
    (b'G00 X1.5 Y-2', b'F11', None, None)
    """
    close = line.upper().replace(b" ", b"")
    if _WHOLE.fullmatch(close) is None:
        return None
    return b" ".join(_WORD.findall(close))


def destination(line: bytes) -> dict[str, float] | None:
    """Return where a bare line brings the axes [mm]; None if it is no move.

    An axis that is not named goes to 0, as in src/Command.h.

    >>> destination(b"G00 X10 Z-5"), destination(b"G28"), destination(b"F41 P8 V1 M0")
    ({'X': 10.0, 'Y': 0.0, 'Z': -5.0}, {'X': 0.0, 'Y': 0.0, 'Z': 0.0}, None)
    """
    if commands(line)[:1] not in (["G0"], ["G1"], ["G28"]):
        return None
    return {axis.decode(): _value(line, axis) for axis in _AXES}


def _value(line: bytes, letter: bytes) -> float:
    for word in _WORD.findall(line.upper().replace(b" ", b"")):
        if word[:1] == letter:
            return float(word[1:])
    return 0.0
