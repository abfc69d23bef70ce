"""The express lane: what follows each of the next plain answers, made ready ahead of time.

On a real cable almost every wake-up brings one answer to one move, and finds the processor cold:
what such a wake-up costs is how much code it runs through. So while a program streams and all else
rests, what each answer will let go is worked out for many at once, and a wake-up only takes
the next piece. What it means for the engine's memory is made good later, for all of them at once
(`StreamEngine.land`), before anybody asks.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

STEPS = 120  # answers that are looked ahead, at most
_OKS_MAX = 16  # answers in one piece that are looked for
#: What may be heard, and what it says: so many answers, and the beginning of one more.
_ANSWERS = {
    ok * count + ok[:cut]: (count, ok[:cut])
    for ok in (b"ok\n", b"ok\r\n")
    for count in range(_OKS_MAX + 1)
    for cut in range(len(ok))
}


class Move(NamedTuple):
    """A move on its way, or about to be.

    :param place: its index in the program.
    :param wire: its bytes.
    """

    size: int
    place: int
    wire: bytes


class Heard(NamedTuple):
    """One wake-up of a lane.

    :param answers: how many it brought.
    :param owed: lines that were unanswered after it.
    """

    at: float
    data: bytes
    out: bytes
    answers: int
    owed: int


class Lane:
    r"""What follows the next answers, if nothing else is heard.

    :param moves: those that are owed, the oldest first, and those that come next.
    :param owed: how many of them have left.
    :param room: bytes that may be unanswered; one line alone may be longer.
    :param lines_max: lines that may be unanswered.
    :param until: when a clock of the engine runs out [s].

    >>> lane = Lane([Move(3, n, b"G%d\n" % n) for n in range(5)], 2, 6, 9, until=9.0)
    >>> lane.take(b"ok\no", 1.0), lane.take(b"k\n", 1.1), lane.take(b"wait\n", 1.2)
    (b'G2\n', b'G3\n', None)
    >>> lane.answers, lane.reach[lane.answers], lane.tail
    (2, (2, 4), b'')
    """

    __slots__ = ("_outs", "_owed", "_taken", "answers", "most", "reach", "tail", "until")

    def __init__(
        self, moves: Sequence[Move], owed: int, room: int, lines_max: int, until: float
    ) -> None:
        self.until = until
        self.most = max(room, *(move.size for move in moves))  # bytes that are ever unanswered
        self.answers = 0  # that it has heard
        self.tail = b""  # the beginning of one more
        # Lines of the program that are done, and that have left: now, and after each answer.
        self.reach = [(moves[0].place, moves[owed - 1].place + 1)]
        self._taken: list[tuple[float, bytes, int]] = []  # when, what, and how many answers by then
        # Bytes that follow each answer, and lines that are unanswered: now, and after it.
        self._outs: list[bytes] = []
        self._owed = [owed]
        self._work_out(moves, owed, room, lines_max)

    @property
    def acked(self) -> int:
        """Lines of the program that are done."""
        return self.reach[self.answers][0]

    @property
    def sent(self) -> int:
        """Lines of the program that have left."""
        return self.reach[self.answers][1]

    @property
    def gone(self) -> int:
        """How many moves have left by it."""
        return self._owed[self.answers] - self._owed[0] + self.answers

    def take(self, data: bytes, now: float) -> bytes | None:
        """Return what follows *data*; None, and nothing has changed, if it is for the engine."""
        known = _ANSWERS.get(self.tail + data)
        if known is None or now >= self.until or not data:
            return None
        count, tail = known
        outs, at = self._outs, self.answers
        if count == 1 and at < len(outs):
            out = outs[at]
        elif not count:
            out = b""
        elif count > len(outs) - at or count > self._owed[at]:
            return None
        else:
            out = b"".join(outs[at : at + count])
        self.answers = at = at + count
        self.tail = tail
        self._taken.append((now, data, at))
        return out

    def heard(self) -> list[Heard]:
        """Return what came of each wake-up."""
        heard: list[Heard] = []
        before = 0
        for at, data, answers in self._taken:
            out = b"".join(self._outs[before:answers])
            heard.append(Heard(at, data, out, answers - before, self._owed[answers]))
            before = answers
        return heard

    def _work_out(self, moves: Sequence[Move], owed: int, room: int, lines_max: int) -> None:
        """Find what each answer brings; no more than is certain."""
        room -= sum(move.size for move in moves[:owed])
        at, count = owed, len(moves)
        for size, place, _ in islice(moves, STEPS):
            room += size
            owed -= 1
            out = b""
            while at < count and owed < lines_max and (moves[at][0] <= room or not owed):
                out += moves[at][2]
                room -= moves[at][0]
                owed += 1
                at += 1
            if at == count:
                break  # nobody knows whether a line behind them would go, too
            self._outs.append(out)
            self._owed.append(owed)
            self.reach.append((place + 1, moves[at - 1][1] + 1))
