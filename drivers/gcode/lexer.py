"""Words, bare lines and checksums of G-code."""

from __future__ import annotations

import re
from functools import reduce
from operator import xor

# `? ! ~` act in Grbl wherever they stand, even in a comment; so do all bytes from 0x80 up.
REALTIME_BYTES = frozenset(b"?!~\x18") | frozenset(range(0x80, 0x100))

_UNUSUAL = re.compile(rb"[^\x20-\x7e]|[;(*?!~%]|^ *[Nn]\d")
_COMMENT = re.compile(rb"\([^)]*(?:\)|$)|;.*")
_NUMBER_AND_CHECKSUM = re.compile(rb"^ *[Nn]\d+ *|\*\d* *$")
_UNSENDABLE = bytes(sorted(REALTIME_BYTES | frozenset(range(0x20)) - {0x09} | {0x7F}))
_WORD = re.compile(rb"([A-Za-z])\s*([-+]?(?:\d+\.?\d*|\.\d+))")
_COMMAND = re.compile(rb"([GMTgmt])\s*0*(\d+(?:\.\d+)?)")
_HALT = re.compile(rb"[Mm] *0*[01](?: *[PpSs] *\d+(?:\.\d*)?)*")
_HALT_AND_COMMENT = re.compile(rb"\(([^)]*)(?:\)|$)|;(.*)", re.DOTALL)
_WORDS_MAX = 60  # of a halt; a board reads 80 bytes of a line at least
_MOVE = re.compile(rb"G[01](?: *[XYZEF][-+.\d]+)+")
_DWELL = re.compile(rb"[Gg]\s*0*4(?![\d.])")
# What follows these is text for people, where "G1" or "S3" is no word.
_TEXT_COMMAND = re.compile(rb"[Mm]\s*0*(?:117|118|16|23|28|30|32|928|486|550|587)(?!\d)")


def bare(line: bytes) -> bytes:
    r"""Return what a firmware needs of *line*, without newline; empty if there is nothing.

    Comments, old line numbers and checksums go (the host numbers for itself), and with them
    every byte that a firmware would take as a realtime command.

    >>> bare(b"N10 G1 X1 ; wall!\r\n"), bare(b"(all of it"), bare(b"G1 (fast) Y2*71")
    (b'G1 X1', b'', b'G1  Y2')
    >>> bare(b"%"), bare(b"M117 50% ok?")
    (b'', b'M117 50% ok')
    """
    line = line.strip()
    if _UNUSUAL.search(line) is None:
        return line
    line = _COMMENT.sub(b"", line)
    line = line.translate(None, _UNSENDABLE).replace(b"\t", b" ")
    line = _NUMBER_AND_CHECKSUM.sub(b"", line).strip()
    return b"" if line == b"%" else line


def words(line: bytes) -> list[tuple[str, float]]:
    """Return the words of a bare line: upper-case letter and number.

    >>> words(b"g1 X-1.5y.5 F 1200")
    [('G', 1.0), ('X', -1.5), ('Y', 0.5), ('F', 1200.0)]
    """
    line = _spoken(line)
    return [(letter.decode().upper(), float(number)) for letter, number in _WORD.findall(line)]


def commands(line: bytes) -> list[str]:
    """Return the command words of a bare line; a `$` line is one command up to its `=`.

    >>> commands(b"g90 G01 X5 m03 S100"), commands(b"$100=250"), commands(b"M117 G1 it is")
    (['G90', 'G1', 'M3'], ['$100'], ['M117'])
    """
    if line.startswith((b"$", b"[")):
        return [line.partition(b"=")[0].decode("ascii", "replace").upper()]
    line = _spoken(line)
    return [
        letter.decode().upper() + (number.decode().lstrip("0") or "0")
        for letter, number in _COMMAND.findall(line)
    ]


def _spoken(line: bytes) -> bytes:
    """Return a bare line without what is only for people: texts, and the words of a halt."""
    if text := _TEXT_COMMAND.match(line):
        return text.group()
    return _COMMENT.sub(b"", line) if b"(" in line else line


def bare_but_words(line: bytes) -> bytes:
    r"""Return what a Grbl needs of *line*, as `bare`, but a halt alone keeps its comment.

    In parentheses, for the host to show and not to send; at most 60 characters.

    >>> bare_but_words(b"N5 m0 (Flip it!)\r\n"), bare_but_words(b"M1 ; put it in (now)")
    (b'm0 (Flip it)', b'M1 (put it in now)')
    >>> bare_but_words(b"M0 (a) G1 X5"), bare_but_words(b"G1 X5 (b)"), bare_but_words(b"M0 ;")
    (b'M0  G1 X5', b'G1 X5', b'M0')
    """
    text = bare(line)
    found = _HALT_AND_COMMENT.search(line) if _HALT.fullmatch(text) else None
    if found is None:
        return text
    words = (found[1] or found[2] or b"").translate(None, _UNSENDABLE + b"()").split()
    said = b" ".join(words)[:_WORDS_MAX].strip()
    return text + b" (" + said + b")" if said else text


def is_move(line: bytes) -> bool:
    """Tell whether a bare line is one straight move and nothing else.

    >>> is_move(b"G1 X1.5 Y-.5 E0.01"), is_move(b"G1X1G4P1"), is_move(b"G10 L2 X0"), is_move(b"G1")
    (True, False, False, False)
    """
    return _MOVE.fullmatch(line) is not None


def tight(line: bytes) -> bytes:
    """Return a bare move without the blanks that no firmware needs; any other line as it is.

    One stays before an E, and before an X behind a zero: some firmwares read the number before
    it with C's strtod, to which `X1E3` is a thousand and `Y0X10` a hexadecimal sixteen.

    >>> tight(b"G1 X10 Y.5 E3"), tight(b"G0 Y0 X3"), tight(b"M117 G1 X5")
    (b'G1X10Y.5 E3', b'G0Y0 X3', b'M117 G1 X5')
    """
    if not is_move(line):
        return line
    return line.replace(b" ", b"").replace(b"E", b" E").replace(b"0X", b"0 X")


def dwell(line: bytes, unit_of_p: float) -> float:
    """Return how long a bare line waits by a G4 of its own [s]; S is seconds everywhere.

    :param unit_of_p: of its P word [s]: Marlin counts milliseconds, Grbl seconds.

    >>> dwell(b"G4P500", 0.001), dwell(b"G4 P2.5", 1.0), dwell(b"G4 S3", 0.001), dwell(b"G1 P9", 1)
    (0.5, 2.5, 3.0, 0.0)
    """
    if _DWELL.search(line) is None:
        return 0.0
    given = dict(words(line))
    return given.get("S", given.get("P", 0.0) * unit_of_p)


def checksum(body: bytes) -> int:
    """Return the exclusive or of all bytes, as Marlin, Repetier and RepRap count it.

    >>> checksum(b"N3 M105")
    36
    """
    # Folded as one number: a third of the time that going through the bytes takes.
    value = int.from_bytes(body, "little")
    half = 1 << max(value.bit_length() - 1, 8).bit_length() - 1
    while half >= 8:
        value ^= value >> half
        half >>= 1
    return value & 0xFF


def _adds_nothing(check: int, tail: bytes) -> bool:
    """Tell whether a line XORs to 0 with its tail, if its newline is lost or one bit off."""
    rest = reduce(xor, tail.rstrip(b"\n"), check)
    return rest == 0 or (rest ^ 0x0A).bit_count() == 1


def _tail(check: int) -> bytes:
    plain, blank = b"*%d\n" % check, b" *%d\n" % (check ^ 0x20)
    ways = (plain, b"*%02d\n" % check, b"*%03d\n" % check, blank, b" *%03d\n" % (check ^ 0x20))
    return next(way for way in ways if not _adds_nothing(check, way))


_TAILS = tuple(_tail(check) for check in range(256))


def numbered(number: int, line: bytes, gap: bytes = b"", lead: bytes = b" ") -> bytes:
    r"""Return *line* as a numbered line with checksum and newline.

    :param gap: goes before the checksum.
    :param lead: goes before the line.

    >>> numbered(4, b"M105"), numbered(4, b"M105", b" "), numbered(2, b"G1", lead=b"")
    (b'N4 M105*35\n', b'N4 M105  *35\n', b'N2G1*10\n')

    If the newline got lost or damaged, the next line's checksum would be verified over both;
    a few checksums add nothing to it, and the next line would pass as part of this one.
    They are written in another way.

    >>> numbered(2, b"M105"), numbered(3, b"M105", b" ")
    (b'N2 M105*037\n', b'N3 M105  *036\n')
    """
    body = b"N%d%s%s%s" % (number, lead, line, gap)
    return body + _TAILS[checksum(body)]
