"""The express lane: what follows each of the next plain answers, made ready ahead of time.

On a real cable almost every wake-up brings one answer to one move, and finds the processor cold:
what such a wake-up costs is how much code it runs through. So while a program streams and all else
rests, what each answer will let go is worked out for many at once, and a wake-up only takes
the next piece. What it means for the engine's memory is made good later, for all of them at once
(`StreamEngine.land`), before anybody asks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

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


class Step(NamedTuple):
    """What one more answer brings.

    :param out: bytes that follow it.
    :param owed: lines that are unanswered then.
    :param acked: lines of the program that are done then.
    :param sent: lines of the program that have left then.
    """

    out: bytes
    owed: int
    acked: int
    sent: int


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
    >>> lane.acked, lane.sent, lane.tail
    (2, 4, b'')
    """

    __slots__ = (
        "_owed",
        "_owed_first",
        "_steps",
        "acked",
        "heard",
        "most",
        "sent",
        "tail",
        "until",
    )

    def __init__(
        self, moves: Sequence[Move], owed: int, room: int, lines_max: int, until: float
    ) -> None:
        self.until = until
        self.most = max(room, *(move.size for move in moves))  # bytes that are ever unanswered
        self.heard: list[Heard] = []
        self.acked, self.sent = moves[0].place, moves[owed - 1].place + 1
        self.tail = b""  # the beginning of an answer
        self._owed = self._owed_first = owed
        self._steps = _steps(moves, owed, room, lines_max)

    @property
    def answers(self) -> int:
        """How many answers it has heard."""
        return sum(heard.answers for heard in self.heard)

    @property
    def gone(self) -> int:
        """How many moves have left by it."""
        return self._owed - self._owed_first + self.answers

    def take(self, data: bytes, now: float) -> bytes | None:
        """Return what follows *data*; None, and nothing has changed, if it is for the engine."""
        if now >= self.until or (known := _ANSWERS.get(self.tail + data)) is None or not data:
            return None
        count, tail = known
        steps = self._steps
        if count == 1 and steps:
            out, owed, self.acked, self.sent = steps.pop()
        elif not count:
            out, owed = b"", self._owed
        elif count > len(steps) or count > self._owed:
            return None
        else:
            due = [steps.pop() for _ in range(count)]
            out = b"".join(step.out for step in due)
            owed, self.acked, self.sent = due[-1][1:]
        self.tail, self._owed = tail, owed
        self.heard.append(Heard(now, data, out, count, owed))
        return out


def _steps(moves: Sequence[Move], owed: int, room: int, lines_max: int) -> list[Step]:
    """Return what each answer brings, the last one first; no more than is certain."""
    steps: list[Step] = []
    room -= sum(move.size for move in moves[:owed])
    at = owed
    for answered in moves:
        room += answered.size
        owed -= 1
        out: list[bytes] = []
        while at < len(moves) and owed < lines_max and (moves[at].size <= room or not owed):
            size, _, wire = moves[at]
            out.append(wire)
            room -= size
            owed += 1
            at += 1
        if at == len(moves):
            break  # nobody knows whether a line behind them would go, too
        steps.append(Step(b"".join(out), owed, answered.place + 1, moves[at - 1].place + 1))
    steps.reverse()
    return steps
