"""The stream file: the bare lines that a host sends, made from an upload.

Everything that follows judges the stream, not the upload: what is not in the stream cannot
reach a machine, whatever it was disguised as.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

# Large enough to hide the cost of a call, small enough to stay in the processor's cache.
CHUNK_BYTES = 1 << 18
# A display shows 20 to 40 characters; a longer text would be cut in the firmware without a word.
TEXT_BYTES = 60

_COMMENT = re.compile(rb";[^\n]*")
# A parenthesis that is never closed hides the rest of its line, as in grbl/protocol.c.
_COMMENTS = re.compile(rb";[^\n]*|\([^)\n]*\)?")
_TEXT = re.compile(rb"(?im)^[ \t]*(?:N[0-9]+[ \t]*)?M(117|118)(?![0-9.])([^\n]*)")
_TEXT_HEADS = (b"M117", b"M118", b"m117", b"m118")
_NUMBER = re.compile(rb"(?m)^N[0-9]+")
_CHECKSUM = re.compile(rb"(?m)^(N[0-9]+[^\n*]*)\*[^\n]*")
_BLANK = re.compile(rb"\n\n+")
_UPPER = bytes.maketrans(b"abcdefghijklmnopqrstuvwxyz", b"ABCDEFGHIJKLMNOPQRSTUVWXYZ")
# Firmware skips blanks; `%` marks a tape's ends for controls that no dialect here has.
_SKIPPED = b" \t%"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Stream:
    """The bare lines and where each came from.

    :param data: one block a line, newline after each, no comments and no blank lines.
    :param source_line: 1-based line of the upload for each stream line, shape (n,).
    :param source_lines: how many lines the upload has.
    """

    data: bytes
    source_line: npt.NDArray[np.uint32]
    source_lines: int

    def __len__(self) -> int:
        return len(self.source_line)


def make_stream(data: bytes) -> Stream:
    r"""Return the bare lines of an upload.

    Comments, blanks, line numbers with their checksums and empty lines go; letters become
    capitals, except in the texts of M117 and M118.

    >>> stream = make_stream(b"; hello\ng1 x10 (there) y2\n\nN3 M105*38\n")
    >>> stream.data, stream.source_line.tolist()
    (b'G1X10Y2\nM105\n', [2, 4])
    """
    if data.startswith(_BYTE_ORDER_MARK):
        data = data[len(_BYTE_ORDER_MARK) :]
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    parts: list[bytes] = []
    origins: list[npt.NDArray[np.uint32]] = []
    line = 1
    for chunk in chunks(data):
        bare = _bare(chunk)
        ends = np.flatnonzero(np.frombuffer(bare, np.uint8) == 10)
        filled = np.flatnonzero(np.diff(ends, prepend=-1) > 1)
        origins.append((filled + line).astype(np.uint32))
        parts.append(_BLANK.sub(b"\n", bare).removeprefix(b"\n"))
        line += len(ends)
    source_line = np.concatenate(origins) if origins else np.zeros(0, np.uint32)
    return Stream(b"".join(parts), source_line, line - 1)


def chunks(data: bytes) -> Iterator[bytes]:
    """Cut after newlines into pieces of about `CHUNK_BYTES`; the last ends in a newline too."""
    start = 0
    while start < len(data):
        end = data.find(b"\n", start + CHUNK_BYTES) + 1
        if end == 0:
            tail = data[start:]
            yield tail if tail.endswith(b"\n") else tail + b"\n"
            return
        yield data[start:end]
        start = end


def _bare(chunk: bytes) -> bytes:
    """Return the chunk with as many lines as before, each bare."""
    if b"(" in chunk:
        chunk = _COMMENTS.sub(b"", chunk)
    elif b";" in chunk:
        chunk = _COMMENT.sub(b"", chunk)
    if any(text in chunk for text in _TEXT_HEADS):
        return _around_texts(chunk)
    return _squeezed(chunk)


def _around_texts(chunk: bytes) -> bytes:
    """Return the chunk squeezed, but with the texts for people left readable."""
    parts: list[bytes] = []
    done = 0
    for found in _TEXT.finditer(chunk):
        text = bytes(byte for byte in found[2].partition(b"*")[0] if 32 <= byte < 127)
        parts.append(_squeezed(chunk[done : found.start()]))
        parts.append(b"M" + found[1] + b" " + text.strip()[:TEXT_BYTES])
        done = found.end()
    parts.append(_squeezed(chunk[done:]))
    return b"".join(parts)


def _squeezed(chunk: bytes) -> bytes:
    chunk = chunk.translate(_UPPER, _SKIPPED)
    if b"*" in chunk:
        chunk = _CHECKSUM.sub(rb"\1", chunk)
    if b"N" in chunk:
        chunk = _NUMBER.sub(b"", chunk)
    return chunk
