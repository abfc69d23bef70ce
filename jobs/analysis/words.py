"""Words: the letters and numbers of a stream, read all at once."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from jobs.analysis.arrays import Bools, Bytes, Floats, Ints

# Longer numbers say nothing that a machine can do, and a stranger could send megabytes of them.
NUMBER_BYTES = 32
# Beyond this no axis, feedrate or spindle exists; sums of squares stay exact below.
LARGEST = 1e9

_DIGIT, _SIGN, _DOT, _LETTER, _NEWLINE, _OTHER, _BLANK = range(7)
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
    table[ord(" ")] = _BLANK  # ends a number, as `make_stream` puts it
    return bytes(table)


_CLASSES = _classes()
_U64 = np.uint64
# Of the eight bytes before the end of a number, the digits that belong to it, by its length;
# the low half of an ASCII digit is its value, and taking it borrows nothing from a neighbour.
_KEPT = [0x0F0F0F0F0F0F0F0F & (-1 << 8 * (8 - n)) for n in range(9)]
_LONG = 9  # the length of every number that does not fit into eight bytes


def _shapes() -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64], Floats]:
    """Return what to keep and what to shift of eight bytes, and what to divide by.

    The index is ten times the number's length with its dot, plus one and the digits behind the
    dot where it has one. A shape without digits is divided by NaN.
    """
    stay = np.zeros(100, _U64)
    move = np.zeros(100, _U64)
    divisor = np.full(100, np.nan)
    for length in range(9):
        stay[10 * length] = _KEPT[length]
        divisor[10 * length] = 1.0 if length else np.nan
        for part in range(length):
            # The digits before the dot go up by one byte, over the dot.
            index = 10 * length + 1 + part
            stay[index] = _KEPT[part]
            move[index] = _KEPT[length] & ~_KEPT[part + 1]
            divisor[index] = 10.0**part if length > 1 else np.nan
    return stay, move, divisor


_STAY, _MOVE, _DIVISOR = _shapes()


@dataclass(frozen=True, slots=True)
class LetterWords:
    """The words of one letter, in order, shapes (k,)."""

    line: Ints
    value: Floats


@dataclass(frozen=True, slots=True)
class Words:
    """Each word of some lines, in order, shapes (n,).

    :param line: index of the line.
    :param letter: its letter as a byte.
    :param value: its number; NaN where the letter stands alone, as in `G28 X`.
    :param odd: lines that are not made of words; none of their words is here.
    :param ends: where each line's newline stands, shape (lines,).
    """

    line: Ints
    letter: Bytes
    value: Floats
    odd: Ints
    ends: Ints
    _letters: dict[str, LetterWords] = field(default_factory=dict)

    @property
    def lines(self) -> int:
        """How many lines there are."""
        return len(self.ends)

    def of(self, letter: str) -> LetterWords:
        """Return the words of one letter."""
        if letter not in self._letters:
            at = np.flatnonzero(self.letter == ord(letter))
            self._letters[letter] = LetterWords(self.line[at], self.value[at])
        return self._letters[letter]

    def heads(self) -> Ints:
        """Return the index of the first word of each line that has words, shape (k,)."""
        if len(self.line) == 0:
            return self.line
        first = np.empty(len(self.line), np.bool_)
        first[0] = True
        np.not_equal(self.line[1:], self.line[:-1], out=first[1:])
        return np.flatnonzero(first)


def read_words(stream: bytes) -> Words:
    r"""Read every word of some lines. Never raises, whatever the bytes.

    >>> words = read_words(b"G1X-10.5\nG28X\n$H\n")
    >>> bytes(words.letter), words.value.tolist(), words.line.tolist(), words.odd.tolist()
    (b'GXGX', [1.0, -10.5, 28.0, nan], [0, 0, 1, 1], [2])
    """
    if not stream.endswith(b"\n"):
        if not stream:
            none = np.zeros(0, np.int64)
            return Words(none, np.zeros(0, np.uint8), np.zeros(0), none, none)
        stream += b"\n"
    # Eight bytes in front let every number be read as the eight bytes before its end.
    padded = _PAD + stream
    raw = np.frombuffer(padded, np.uint8)
    classes = np.frombuffer(padded.translate(_CLASSES), np.uint8)
    marks = np.flatnonzero(classes >= _DOT)
    kind = classes[marks]
    at = np.flatnonzero(kind == _LETTER)
    breaks = np.flatnonzero(kind == _NEWLINE)
    per_line = np.diff(np.searchsorted(at, breaks), prepend=0)
    line = np.repeat(np.arange(len(breaks)), per_line)
    letter_at = marks[at]
    letter = raw[letter_at]
    # The last mark is a newline, so that every letter has one behind it, and every dot too.
    behind = at + 1
    middle = marks[behind]
    dotted = kind[behind] == _DOT
    end = marks[behind + dotted]
    start = letter_at + 1
    signed = classes[start] == _SIGN
    first = start + signed
    value = _numbers(padded, raw, (first, middle, end), dotted)
    value[signed & (raw[start] == ord("-"))] *= -1.0
    wrong = np.flatnonzero(~(np.abs(value) <= LARGEST))
    alone = start[wrong] == end[wrong]
    value[wrong] = np.nan
    newlines = marks[breaks]
    odd = np.union1d(
        _odd_lines(classes, marks, kind, newlines, int(dotted.sum()), int(signed.sum())),
        line[wrong[~alone]],
    )
    if len(odd):
        kept = ~np.isin(line, odd)
        line, letter, value = line[kept], letter[kept], value[kept]
    return Words(line, letter, value, odd, newlines - len(_PAD))


def _numbers(padded: bytes, raw: Bytes, places: tuple[Ints, Ints, Ints], dotted: Bools) -> Floats:
    """Return the unsigned numbers; NaN or infinite where there is none.

    :param places: first digit, the dot or the end, the end; shapes (n,).
    """
    first, middle, end = places
    length = end - first
    shape = 10 * np.minimum(length, _LONG)
    # A dot adds one, and one for each digit behind it: that is the way from the dot to the end.
    shape += np.minimum(np.where(dotted, end - middle, 0), _LONG)
    eights = np.ndarray((len(raw) - 7,), np.dtype("<u8"), buffer=padded, strides=(1,))
    digits = eights[end - 8]
    value = _digits((digits & _STAY[shape]) | ((digits & _MOVE[shape]) << _U64(8)))
    value /= _DIVISOR[shape]
    long = np.flatnonzero(length > 8)
    if len(long):
        value[long] = _long_numbers(
            padded, eights, (first[long], middle[long], end[long]), dotted[long]
        )
    return value


def _long_numbers(
    padded: bytes,
    eights: npt.NDArray[np.uint64],
    places: tuple[Ints, Ints, Ints],
    dotted: Bools,
) -> Floats:
    """Return numbers of more than eight bytes, read in two halves around their dot."""
    first, middle, end = places
    whole_length = middle - first
    part_length = np.where(dotted, end - middle - 1, 0)
    kept = np.array(_KEPT, _U64)
    whole = _digits(eights[middle - 8] & kept[np.minimum(whole_length, 8)])
    part = _digits(eights[end - 8] & kept[np.minimum(part_length, 8)])
    scale = 10.0 ** np.arange(9)[np.minimum(part_length, 8)]
    value = (whole * scale + part) / scale
    for index in np.flatnonzero((whole_length > 8) | (part_length > 8)).tolist():
        text = padded[first[index] : end[index]]
        # A sign inside is found by `_odd_lines`; here it must only not raise.
        digits = len(text) <= NUMBER_BYTES and text.replace(b".", b"", 1).isdigit()
        value[index] = float(text) if digits else np.inf
    return value


def _digits(eight: npt.NDArray[np.uint64]) -> Floats:
    """Return the numbers that eight digits of four bits in eight bytes spell, first digit first.

    Neighbours are joined to pairs, pairs to fours, fours to eights, all bytes at once.
    """
    eight *= _U64(10 << 8 | 1)
    eight >>= _U64(8)
    eight &= _U64(0x00FF00FF00FF00FF)
    eight *= _U64(100 << 16 | 1)
    eight >>= _U64(16)
    eight &= _U64(0x0000FFFF0000FFFF)
    eight *= _U64(10000 << 32 | 1)
    eight >>= _U64(32)
    return eight.astype(np.float64)


def _odd_lines(
    classes: Bytes, marks: Ints, kind: Bytes, newlines: Ints, dots: int, signs: int
) -> Ints:
    """Return the lines with a byte, a sign, a dot or a beginning that no word has.

    :param dots: how many numbers have a dot, `signs` a sign: any more stand where none may.
    """
    found: list[Ints] = []
    starts = np.concatenate(([len(_PAD)], newlines[:-1] + 1))
    headless = classes[starts] != _LETTER
    if headless.any():
        found.append(np.flatnonzero(headless))
    strange = kind == _OTHER
    if np.count_nonzero(kind == _DOT) != dots:
        before = np.concatenate((np.array([_NEWLINE], np.uint8), kind[:-1]))
        strange |= (kind == _DOT) & (before != _LETTER)
    if strange.any():
        found.append(np.searchsorted(newlines, marks[strange]))
    if np.count_nonzero(classes == _SIGN) != signs:
        at = np.flatnonzero(classes == _SIGN)
        found.append(np.searchsorted(newlines, at[classes[at - 1] != _LETTER]))
    return np.unique(np.concatenate(found)) if found else np.zeros(0, np.int64)
