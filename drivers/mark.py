"""How far a run is, noted at every answer by one store into memory that outlives the process.

What the next answers will bring is known before they come: it is written into a table, checked,
and then one word says which row holds. Two tables take turns, so that whatever a process was about
when it was killed, the word names a whole one. The word is stored by one instruction.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple, Protocol

MAX_RUN_BYTES = 64  # of a run's name, UTF-8
ROWS = 128  # of a table, at most
_ROW_BITS = 8

_WORD = struct.Struct("<Q")  # turn and row
_HEAD = struct.Struct("<8sQB64sII")
_ROW = struct.Struct("<IIIQ")
_CRC_BYTES = 4
_TABLE_BYTES = 4096
_FIRST = 64  # where the first table begins
SIZE = _FIRST + 2 * _TABLE_BYTES


class Word(Protocol):
    """One number at place 0, that may be set."""

    def __getitem__(self, at: int, /) -> int: ...
    def __setitem__(self, at: int, value: int, /) -> None: ...


class Progress(NamedTuple):
    """How far a run has come.

    Acknowledged is not executed: the firmware may hold some moves in its planner.

    :param acked: stream lines that the firmware has acknowledged.
    :param sent: stream lines that have left, acknowledged or not.
    :param total: stream lines of the program.
    :param source_line: 1-based line of the uploaded file of the last acknowledged line; 0: none.
    :param offset_bytes: where the first line that is not acknowledged begins in the stream.
    """

    run: str
    acked: int = 0
    sent: int = 0
    total: int = 0
    source_line: int = 0
    offset_bytes: int = 0


#: Of a `Progress`: acked, sent, source_line and offset_bytes.
Step = tuple[int, int, int, int]


class Mark:
    """The note of one machine.

    :param memory: of `SIZE` bytes; zeros, or as another process left it.
    :param owner: eight bytes that say whose it is: what is another's counts for nothing.
    """

    def __init__(self, memory: memoryview, owner: bytes) -> None:
        self._memory = memory
        self._owner = owner
        self.word: Word = memory[: _WORD.size].cast("Q")

    def found(self) -> tuple[int, Progress | None]:
        """Return what an earlier process noted last, with its turn; (0, None) if nothing."""
        turn, row = self.word[0] >> _ROW_BITS, self.word[0] & ((1 << _ROW_BITS) - 1)
        table = self._table(turn)
        owner, written, length, run, total, rows = _HEAD.unpack_from(table)
        end = _HEAD.size + rows * _ROW.size
        if owner != self._owner or written != turn or not row < rows <= ROWS:
            return 0, None
        if _crc(table[:end]) != bytes(table[end : end + _CRC_BYTES]):
            return 0, None
        acked, sent, line, offset = _ROW.unpack_from(table, _HEAD.size + row * _ROW.size)
        name = run[:length].decode(errors="replace")
        return turn, Progress(name, acked, sent, total, line, offset)

    def expect(self, turn: int, run: str, total: int, steps: Sequence[Step]) -> int:
        """Note the first of *steps*; the number returned, and n, stored in `word` notes the nth.

        :param turn: greater than any before.
        :param steps: at most `ROWS`.
        """
        name, rows = run.encode(), len(steps)
        body = _HEAD.pack(self._owner, turn, len(name), name, total, rows)
        body += struct.pack(f"<{rows * 'IIIQ'}", *chain.from_iterable(steps))
        body += _crc(body)
        self._table(turn)[: len(body)] = body
        base = turn << _ROW_BITS
        self.word[0] = base
        return base

    def _table(self, turn: int) -> memoryview:
        begin = _FIRST + turn % 2 * _TABLE_BYTES
        return self._memory[begin : begin + _TABLE_BYTES]


def _crc(data: bytes | memoryview) -> bytes:
    return zlib.crc32(data).to_bytes(_CRC_BYTES, "little")
