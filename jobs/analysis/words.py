"""Words: the letters and numbers of a stream, read all at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from jobs.analysis.arrays import Bools, Bytes, Floats, Ints
from jobs.analysis.stream import chunks

# Longer numbers say nothing that a machine can do, and a stranger could send megabytes of them.
NUMBER_BYTES = 32
# Beyond this no axis, feedrate or spindle exists; sums of squares stay exact below.
LARGEST = 1e9

_DIGIT, _SIGN, _DOT, _LETTER, _NEWLINE, _OTHER = range(6)
_PAD = b"0" * 8


def _classes() -> bytes:
    table = bytearray([_OTHER]) * 256
    for byte in b"0123456789":
        table[byte] = _DIGIT
    for byte in b"+-":
        table[byte] = _SIGN
    for byte in range(ord("A"), ord("Z") + 1):
        table[byte] = _LETTER
    table[ord(".")] = _DOT
    table[ord("\n")] = _NEWLINE
    return bytes(table)


_CLASSES = _classes()
_U64 = np.uint64
# Of the eight bytes before the end of a number, the digits that belong to it, by its length;
# the low half of an ASCII digit is its value, and taking it borrows nothing from a neighbour.
_KEPT = np.array([0x0F0F0F0F0F0F0F0F & (-1 << 8 * (8 - n)) for n in range(9)], _U64)
_POWERS = 10.0 ** np.arange(9)


@dataclass(frozen=True, slots=True)
class Words:
    """Each word of the stream, in order, shapes (n,).

    :param line: index of the stream line.
    :param letter: its letter as a byte.
    :param value: its number; NaN where the letter stands alone, as in `G28 X`.
    :param odd: stream lines that are not made of words; none of their words is here.
    :param lines: how many lines the stream has.
    """

    line: Ints
    letter: Bytes
    value: Floats
    odd: Ints
    lines: int


def read_words(stream: bytes) -> Words:
    r"""Read every word of a stream. Never raises, whatever the bytes.

    >>> words = read_words(b"G1X-10.5\nG28X\n$H\n")
    >>> bytes(words.letter), words.value.tolist(), words.line.tolist(), words.odd.tolist()
    (b'GXGX', [1.0, -10.5, 28.0, nan], [0, 0, 1, 1], [2])
    """
    parts: list[tuple[Ints, Bytes, Floats, Ints]] = []
    lines = 0
    for chunk in chunks(stream):
        line, letter, value, odd, count = _chunk_words(chunk)
        parts.append((line + lines, letter, value, odd + lines))
        lines += count
    if not parts:
        none = np.zeros(0, np.int64)
        return Words(none, np.zeros(0, np.uint8), np.zeros(0), none, 0)
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    return Words(columns[0], columns[1], columns[2], columns[3], lines)


def _chunk_words(chunk: bytes) -> tuple[Ints, Bytes, Floats, Ints, int]:
    """Return line, letter, value, odd lines and the number of lines of one chunk."""
    # Eight bytes in front let every number be read as the eight bytes before its end.
    padded = _PAD + chunk
    raw = np.frombuffer(padded, np.uint8)
    classes = np.frombuffer(padded.translate(_CLASSES), np.uint8)
    marks = np.flatnonzero(classes >= _DOT)
    kind = classes[marks]
    newline = kind == _NEWLINE
    line_of = np.cumsum(newline) - newline
    count = int(line_of[-1]) + 1 if len(marks) else 0
    # Two more ends let the last word look beyond itself.
    after = np.concatenate((marks[1:], [marks[-1], marks[-1]]))
    at = np.flatnonzero(kind == _LETTER)
    start = marks[at] + 1
    middle = after[at]
    dotted = kind[np.minimum(at + 1, len(kind) - 1)] == _DOT
    end = np.where(dotted, after[at + 1], middle)
    signed = classes[start] == _SIGN
    value, bad = _numbers(padded, raw, (start + signed, middle, end), dotted)
    value[signed & (raw[start] == ord("-"))] *= -1.0
    alone = start == end
    value[alone] = np.nan
    odd = _odd_lines(classes, marks, kind, line_of)
    line = line_of[at]
    odd = np.union1d(odd, line[bad & ~alone])
    letter = raw[marks[at]]
    if len(odd):
        kept = ~np.isin(line, odd)
        line, letter, value = line[kept], letter[kept], value[kept]
    return line, letter, value, odd, count


def _numbers(
    padded: bytes, raw: Bytes, places: tuple[Ints, Ints, Ints], dotted: Bools
) -> tuple[Floats, Bools]:
    """Return the unsigned numbers and which of them are none.

    :param places: first digit, the dot or the end, the end; shapes (n,).
    """
    first, middle, end = places
    whole_length = middle - first
    part_start = np.where(dotted, middle + 1, end)
    part_length = end - part_start
    eights = np.ndarray((len(raw) - 7,), np.dtype("<u8"), buffer=padded, strides=(1,))
    whole = _digits(eights[middle - 8], np.minimum(whole_length, 8))
    part = _digits(eights[end - 8], np.minimum(part_length, 8))
    scale = _POWERS[np.minimum(part_length, 8)]
    value = (whole * scale + part) / scale
    bad = whole_length + part_length <= 0
    for index in np.flatnonzero((whole_length > 8) | (part_length > 8)).tolist():
        text = padded[first[index] : end[index]]
        # A sign inside is found by `_odd_lines`; here it must only not raise.
        digits = text.replace(b".", b"", 1).isdigit() and len(text) <= NUMBER_BYTES
        value[index] = float(text) if digits else np.inf
    bad |= ~(value <= LARGEST)
    return value, bad


def _digits(eight: npt.NDArray[np.uint64], length: Ints) -> Floats:
    """Return the numbers that the last `length` of eight ASCII digits spell.

    Neighbours are joined to pairs, pairs to fours, fours to eights, all bytes at once.
    """
    value = eight & _KEPT[np.maximum(length, 0)]
    value = (value * _U64(10) + (value >> _U64(8))) & _U64(0x00FF00FF00FF00FF)
    value = (value * _U64(100) + (value >> _U64(16))) & _U64(0x0000FFFF0000FFFF)
    value = (value * _U64(10000) + (value >> _U64(32))) & _U64(0x00000000FFFFFFFF)
    return value.astype(np.float64)


def _odd_lines(classes: Bytes, marks: Ints, kind: Bytes, line_of: Ints) -> Ints:
    """Return the lines with a byte, a sign, a dot or a beginning that no word has."""
    before = np.concatenate((np.array([_NEWLINE], np.uint8), kind[:-1]))
    strange = (kind == _OTHER) | ((kind == _DOT) & (before != _LETTER))
    newlines = marks[kind == _NEWLINE]
    starts = np.concatenate(([len(_PAD)], newlines[:-1] + 1))
    headless = np.flatnonzero(classes[starts] != _LETTER)
    signs = np.flatnonzero(classes == _SIGN)
    stray = signs[classes[signs - 1] != _LETTER]
    found = [line_of[strange], headless, np.searchsorted(newlines, stray)]
    return np.unique(np.concatenate(found))
