"""The lines of a piece that are no words after a command, read once for all checks."""

from __future__ import annotations

import numpy as np

from jobs.analysis.arrays import Ints
from jobs.analysis.commands import MARLIN_HEADS
from jobs.analysis.heads import OddLine, read_odd
from jobs.analysis.piece import Piece
from jobs.domain.preflight import FindingCode
from jobs.domain.rulebook import RuleBook

# What nobody has looked at may not pass: further lines of this kind are malformed unread.
_MOST = 200_000


class Odd:
    """Reads them, as long as there are not too many.

    :param unread: those of the present piece that were too many.
    """

    def __init__(self, rules: RuleBook) -> None:
        self._keeps_words = rules.words is FindingCode.MACRO
        self._left = _MOST
        self._upload_line = 0
        self._found: list[tuple[int, OddLine]] = []
        self.unread: Ints = np.zeros(0, np.int64)

    def lines(self, piece: Piece) -> list[tuple[int, OddLine]]:
        """Return line and reading of each that is to be looked at, ascending."""
        # A piece of comments alone begins at the same line of the stream as the next.
        if piece.upload_line != self._upload_line:
            self._upload_line = piece.upload_line
            odd = np.union1d(piece.words.odd, _headless(piece))
            looked, self.unread = odd[: self._left], odd[self._left :]
            self._left -= len(looked)
            self._found = [(line, self._read(piece.text(line))) for line in looked.tolist()]
        return self._found

    def _read(self, text: bytes) -> OddLine:
        if not self._keeps_words:
            # The blanks that `stream.spaced` has put in belong to no name.
            text = text.replace(b" E", b"E").replace(b"0 X", b"0X")
        return read_odd(text)


def _headless(piece: Piece) -> Ints:
    """Return the lines of Marlin that begin with no command: a bare axis, or a whole word."""
    if piece.blocks.modal:
        return np.zeros(0, np.int64)
    words = piece.words
    head = words.heads()
    bare = head[~np.isin(words.letter[head], np.frombuffer(MARLIN_HEADS, np.uint8))]
    return words.line[bare]
