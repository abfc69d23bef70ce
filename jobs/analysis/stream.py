"""The stream file: the bare lines that a host sends, made from an upload.

Everything that follows judges the stream, not the upload: what is not in the stream cannot
reach a machine, whatever it was disguised as.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from io import BytesIO
from operator import methodcaller
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from jobs.analysis.arrays import Bools, Bytes

# Large enough to hide the cost of a call, small enough to stay in the processor's cache.
CHUNK_BYTES = 1 << 20
# No slicer writes longer lines; what is beyond is not kept, so that memory stays bounded.
LONGEST_LINE_BYTES = 1 << 20
# A display shows 20 to 40 characters; a longer text would be cut in the firmware without a word.
TEXT_BYTES = 60
LONGEST_MARK = 40

_COUNT_LINES = methodcaller("count", b"\n")
# A parenthesis that is never closed hides the rest of its line, as in grbl/protocol.c.
_COMMENTS = re.compile(rb"(;[^\n]*|\([^)\n]*\)?)")
# PrusaSlicer, OrcaSlicer, Cura; Bambu Studio; Simplify3D.
_FEATURE = re.compile(rb";(?:TYPE:| ?FEATURE: ?| feature )([^\n]*)")
_FEATURE_HEADS = (b";TYPE:", b";FEATURE:", b"; FEATURE:", b"; feature ")
_TEXT = re.compile(rb"(?im)^[ \t]*(?:N[0-9]+[ \t]*)?M(117|118)(?![0-9.])([^\n]*)")
# A halt for a person, how long it lasts at most, and the words for them behind it.
_HALT = re.compile(
    rb"(?im)^[ \t]*(?:N[0-9]+[ \t]*)?(M0*[01])(?![0-9.])"
    rb"((?:[ \t]*[PS][ \t]*[0-9]+(?:\.[0-9]*)?(?![0-9A-Z]))*)[ \t]*([^\n]*)"
)
_HALT_WORDS = re.compile(rb"(?m)^(M0*[01](?: [PS][0-9.]+)*) ([^\n]+)")
_LAST_COMMENT = re.compile(rb"\(([^)]*)\)?[ \t]*(?:;.*)?|;(.*)")
_UNREADABLE = re.compile(rb"[^ -~]|[*%]")
_FENCE = b"\x01"  # stands for the parentheses of a halt's words until all comments are gone
# A line that begins with a word of more letters than one: Klipper's own commands and macros.
_NAMED = re.compile(rb"(?im)^[ \t]*(?:N[0-9]+[ \t]*)?([A-Z_]{2}[^\n]*)")
_NUMBER = re.compile(rb"(?m)^N[0-9]+")
_CHECKSUM = re.compile(rb"(?m)^(N[0-9]+[^\n*]*)\*[^\n]*")
_UPPER = bytes.maketrans(b"abcdefghijklmnopqrstuvwxyz", b"ABCDEFGHIJKLMNOPQRSTUVWXYZ")
# Firmware skips blanks; `%` marks a tape's ends for controls that no dialect here has.
_SKIPPED = b" \t%"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Feature:
    """What a slicer's comment names the lines that follow.

    :param line: index in its run of the first stream line behind it; may be the run's length.
    :param name: printable ASCII, at most `LONGEST_MARK` characters.
    """

    line: int
    name: str


@dataclass(frozen=True, slots=True)
class Stream:
    """A run of bare lines and where each came from.

    :param data: one block a line, newline after each, no comments and no blank lines.
    :param source_line: 1-based line of the upload for each stream line, shape (n,).
    :param source_lines: how many lines the upload has up to the end of the run.
    :param features: in order.
    :param upload: the lines of the upload that the run was made from, each with a newline.
    :param halts: some of its lines halt for a person and hold words for them.
    """

    data: bytes
    source_line: npt.NDArray[np.uint32]
    source_lines: int
    features: tuple[Feature, ...] = ()
    upload: bytes = b""
    halts: bool = False

    def __len__(self) -> int:
        return len(self.source_line)


class Lines:
    """The lines of an upload of any size, in chunks that end where a line ends.

    Every line ends in a newline, whatever ended it before; a byte order mark goes.

    :param overlong: 1-based number of the first line of which only `LONGEST_LINE_BYTES` were
        kept; 0 while there is none.
    :param given: how many lines the chunks given so far have.
    """

    def __init__(self, file: BinaryIO, chunk_bytes: int = CHUNK_BYTES) -> None:
        self._file = file
        self._chunk_bytes = chunk_bytes
        self.overlong = self.given = 0

    def __iter__(self) -> Iterator[bytes]:
        rest = b""
        skipping = False
        first = True
        while read := self._file.read(self._chunk_bytes):
            if first and read.startswith(_BYTE_ORDER_MARK):
                read = read[len(_BYTE_ORDER_MARK) :]
            first = False
            if skipping:
                ends = [at for at in (read.find(b"\n"), read.find(b"\r")) if at >= 0]
                if not ends:
                    continue
                # The kept beginning of the line still waits in `rest`.
                read = read[min(ends) :]
                skipping = False
            whole = rest + read if rest else read
            at = _line_end(whole)
            chunk, rest = _with_newlines(whole[:at]), whole[at:]
            if chunk:
                count = chunk.count(b"\n")
                yield chunk
                self.given += count
            if len(rest) > LONGEST_LINE_BYTES:
                rest = rest[:LONGEST_LINE_BYTES].rstrip(b"\r")
                skipping = True
                self.overlong = self.overlong or self.given + 1
        if rest:
            chunk = _with_newlines(rest)
            yield chunk if chunk.endswith(b"\n") else chunk + b"\n"


def _line_end(data: bytes) -> int:
    """Return where the last whole line ends, 0 without any.

    A return at the very end may be half of a pair, so it ends no line yet.
    """
    newline = data.rfind(b"\n")
    return max(newline, data.rfind(b"\r", newline + 1, max(len(data) - 1, 0))) + 1


def _with_newlines(data: bytes) -> bytes:
    if b"\r" not in data:
        return data
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def bare_runs(
    chunks: Iterable[bytes], dialect: str = "", *, keeps_words: bool = False
) -> Iterator[Stream]:
    """Return the bare lines of each chunk of an upload.

    Comments, blanks, line numbers with their checksums and empty lines go; letters become
    capitals, except in the texts of M117 and M118, and in what a halt (M0, M1) has for the person:
    in `marlin` the text behind it, in `grbl` its comment, in parentheses. One blank
    stays before an E, and before an X behind a zero: some firmwares read the number before it with
    C's strtod, to which `X1E3` is a thousand and `Y0X10` a hexadecimal sixteen.

    :param chunks: whole lines, as `Lines` gives them.
    :param dialect: of the machine; in one that is not known a halt keeps no words.
    :param keeps_words: lines that begin with a word, such as `SET_PIN PIN=x`, stay as they are.
    """
    done = 0
    for chunk in chunks:
        run = _bare_run(chunk, done, dialect, keeps_words)
        done = run.source_lines
        yield run


def _bare_run(chunk: bytes, lines_before: int, dialect: str, keeps_words: bool) -> Stream:
    bare, named = _without_comments(chunk)
    squeezed = b"" if keeps_words else _squeezed(bare)
    halts = False
    if keeps_words:
        squeezed = _around(_NAMED, bare, _kept_words, _around_texts)
    elif _may_hold_text(squeezed):
        fenced = chunk if dialect != "grbl" else _HALT.sub(_fenced, chunk)
        bare = bare if fenced is chunk else _without_comments(fenced)[0]
        squeezed = _around_texts(bare)
        if dialect:
            kept = partial(_kept_halt, dialect=dialect)
            squeezed = _around(_HALT, bare, kept, _around_texts)
        halts = bool(dialect) and _HALT_WORDS.search(squeezed) is not None
    ends = np.flatnonzero(np.frombuffer(squeezed, np.uint8) == 10)
    filled = np.diff(ends, prepend=-1) > 1
    count = len(ends)
    if filled.all():
        line = np.arange(lines_before + 1, lines_before + count + 1, dtype=np.uint32)
    else:
        line = (np.flatnonzero(filled) + (lines_before + 1)).astype(np.uint32)
        squeezed = _without_blanks(squeezed, ends, filled)
    features: tuple[Feature, ...] = ()
    if named:
        at = np.searchsorted(line, np.array([number for number, _ in named]) + lines_before + 1)
        features = tuple(map(Feature, at.tolist(), (name for _, name in named)))
    return Stream(squeezed, line, lines_before + count, features, chunk, halts)


def without_words(run: Stream) -> bytes:
    r"""Return the lines of a run without the comments of its halts, each as long as it is.

    What follows a halt without parentheses is read, for some firmwares do so, too.

    >>> [run] = bare_runs([b"m0 (Flip it!)\nG1X1\n"], "grbl")
    >>> run.data, without_words(run)
    (b'M0 (Flip it)\nG1X1\n', b'M0          \nG1X1\n')
    """
    if not run.halts:
        return run.data
    return _HALT_WORDS.sub(_unsaid, run.data)


def _unsaid(found: re.Match[bytes]) -> bytes:
    words = b"" if found[2].startswith(b"(") else found[2].translate(_UPPER, _SKIPPED)
    return (found[1] + words).ljust(len(found[0]))


def make_stream(data: bytes, *, keeps_words: bool = False) -> Stream:
    r"""Return the bare lines of a whole upload.

    >>> stream = make_stream(b"; hello\ng1 x10 (there) y2\n\nN3 M105*38\n")
    >>> stream.data, stream.source_line.tolist()
    (b'G1X10Y2\nM105\n', [2, 4])
    >>> make_stream(b"G1 X10 E5\nset_pin pin=x value=1 ; on\n", keeps_words=True).data
    b'G1X10 E5\nset_pin pin=x value=1\n'
    """
    runs = list(bare_runs(Lines(BytesIO(data)), keeps_words=keeps_words))
    origins = [run.source_line for run in runs]
    source_line = np.concatenate(origins) if origins else np.zeros(0, np.uint32)
    source_lines = runs[-1].source_lines if runs else 0
    return Stream(b"".join(run.data for run in runs), source_line, source_lines)


def _without_comments(chunk: bytes) -> tuple[bytes, list[tuple[int, str]]]:
    """Return the chunk without comments, and line (from 0) and name of each feature."""
    if b"(" in chunk:
        parts = _COMMENTS.split(chunk)
        found = _named(parts[::2], parts[1::2])
        return b"".join(parts[::2]), found
    parts, comments = [], []
    done = 0
    # Comments are rare among blocks, and to look for the next takes less than to split at all.
    while (at := chunk.find(b";", done)) >= 0:
        parts.append(chunk[done:at])
        done = chunk.find(b"\n", at)
        done = done if done >= 0 else len(chunk)
        comments.append(chunk[at:done])
    if not parts:
        return chunk, []
    parts.append(chunk[done:])
    return b"".join(parts), _named(parts, comments)


def _named(parts: list[bytes], comments: list[bytes]) -> list[tuple[int, str]]:
    """Return line (from 0) and name of each feature.

    :param parts: what stands before each comment, and behind the last.
    """
    at = [index for index, one in enumerate(comments) if one.startswith(_FEATURE_HEADS)]
    if not at:
        return []
    lines = np.cumsum(np.fromiter(map(_COUNT_LINES, parts), np.int64, len(parts)))[at]
    names = (_feature(comments[index]) for index in at)
    return [(line, name) for line, name in zip(lines.tolist(), names, strict=True) if name]


@lru_cache(maxsize=256)
def _feature(comment: bytes) -> str:
    """Return what a slicer's comment names, nothing where it names nothing."""
    found = _FEATURE.match(comment)
    text = found[1][: 4 * LONGEST_MARK] if found else b""
    printable = bytes(byte for byte in text if 32 <= byte < 127)
    return printable.decode("ascii").strip()[:LONGEST_MARK].strip()


def _may_hold_text(squeezed: bytes) -> bool:
    """Return whether M117, M118, M0 or M1 stands anywhere; a search for them would take longer."""
    raw = np.frombuffer(squeezed + b"\n\n\n", np.uint8)
    at = np.flatnonzero(raw == ord("M"))
    first, second, third = raw[at + 1], raw[at + 2], raw[at + 3]
    one = (first == ord("1")) & (second == ord("1"))
    tells = one & ((third == ord("7")) | (third == ord("8")))
    # M0, M1, M00, M01; any with more zeros is looked for.
    short = ((first == ord("0")) | (first == ord("1"))) & ~_is_digit(second)
    padded = (first == ord("0")) & ((second == ord("1")) & ~_is_digit(third))
    halts = short | padded | ((first == ord("0")) & (second == ord("0")))
    return bool((tells | halts).any())


def _is_digit(bytes_: Bytes) -> Bools:
    return (bytes_ >= ord("0")) & (bytes_ <= ord("9"))


def _fenced(found: re.Match[bytes]) -> bytes:
    """Return a halt whose comment is fenced, so that it stays when all comments go."""
    # A comment in the middle of a line says nothing of the halt, and what follows is obeyed.
    said = _LAST_COMMENT.fullmatch(found[3])
    if said is None:
        return found[0]
    return found[1] + found[2] + _FENCE + (said[1] or said[2] or b"").translate(None, b"();")


def _kept_halt(found: re.Match[bytes], dialect: str) -> bytes:
    said = found[3]
    if fenced := said.startswith(_FENCE):
        # A realtime byte acts wherever it stands.
        said = bytes(b if 32 <= b < 127 and b not in b"!?~%()*" else 32 for b in said)
    elif dialect == "grbl" or _UNREADABLE.search(said):
        return _squeezed(found[0])  # it obeys what stands there
    # Blanks around the values, for what stands behind them is no part of their numbers.
    values = re.findall(rb"[PS][0-9.]+", _squeezed(found[2]))
    head = b" ".join([_squeezed(found[1]), *values])
    text = b" ".join(said.split())[:TEXT_BYTES].strip()
    if not text:
        return head
    return head + (b" (%s)" % text if fenced else b" " + text)


def _around_texts(bare: bytes) -> bytes:
    """Return the chunk squeezed, but with the texts for people left readable."""
    return _around(_TEXT, bare, _kept_text, _squeezed)


def _around(
    pattern: re.Pattern[bytes],
    bare: bytes,
    kept: Callable[[re.Match[bytes]], bytes],
    between: Callable[[bytes], bytes],
) -> bytes:
    """Return the chunk with the lines that a pattern finds as `kept` has them, else `between`."""
    parts: list[bytes] = []
    done = 0
    for found in pattern.finditer(bare):
        parts.append(between(bare[done : found.start()]))
        parts.append(kept(found))
        done = found.end()
    parts.append(between(bare[done:]))
    return b"".join(parts)


def _kept_text(found: re.Match[bytes]) -> bytes:
    text = bytes(byte for byte in found[2].partition(b"*")[0] if 32 <= byte < 127)
    return b"M" + found[1] + b" " + text.strip()[:TEXT_BYTES]


def _kept_words(found: re.Match[bytes]) -> bytes:
    # What is no text in it stays for the checks to find.
    return found[1].strip(b" \t")


def _squeezed(bare: bytes) -> bytes:
    bare = bare.translate(_UPPER, _SKIPPED)
    if b"*" in bare:
        bare = _CHECKSUM.sub(rb"\1", bare)
    if b"N" in bare:
        bare = _NUMBER.sub(b"", bare)
    return spaced(bare)


def spaced(bare: bytes) -> bytes:
    r"""Return bare lines with the blanks that no firmware misreads; see `bare_runs`.

    >>> spaced(b"G1X10E5\nE5\nG0Y0X3\n")
    b'G1X10 E5\nE5\nG0Y0 X3\n'
    """
    if b"E" in bare:
        # A line may begin with an E, but hardly ever does: to look takes less than to replace.
        begins = bare.startswith(b"E") or _has_pair(bare, b"\nE")
        bare = bare.replace(b"E", b" E")
        if begins:
            bare = bare.replace(b"\n E", b"\nE").removeprefix(b" ")
    return bare.replace(b"0X", b"0 X") if _has_pair(bare, b"0X") else bare


def _has_pair(data: bytes, pair: bytes) -> bool:
    """Return whether two bytes stand side by side; ten times as fast as `in` where they do not.

    >>> _has_pair(b"G0X1", b"0X"), _has_pair(b"G0", b"0X"), _has_pair(b"", b"0X")
    (True, False, False)
    """
    raw = np.frombuffer(data, np.uint8)
    return bool(((raw[:-1] == pair[0]) & (raw[1:] == pair[1])).any())


def _without_blanks(
    data: bytes, ends: npt.NDArray[np.int64], filled: npt.NDArray[np.bool_]
) -> bytes:
    """Return the lines that hold something; runs of them are copied whole."""
    turns = np.flatnonzero(np.diff(filled, prepend=False, append=False))
    starts = np.concatenate(([0], ends + 1))
    edges = starts[turns].tolist()
    return b"".join([data[a:b] for a, b in zip(edges[::2], edges[1::2], strict=True)])
