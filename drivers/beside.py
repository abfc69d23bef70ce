"""What is on the wire beside the numbered window: it lies in the same ring of the firmware."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable


class Beside:
    """Lines that the window does not count, in their order between its own.

    They are those without a number (what ends a wait, switches off or says hello), and those
    of a conversation that was given up, which nobody wants any more but which may still be
    unread. Each leaves the ring with its answer, or with that of a line behind it.

    >>> beside = Beside()
    >>> beside.add(6, before=4), beside.answered(first=3), beside.bytes
    (None, False, 6)
    >>> beside.answered(first=4), beside.bytes
    (True, 0)
    """

    def __init__(self) -> None:
        # The number of the window's line that it stands before, its size [bytes], whether it
        # will be answered, and whether by temperatures. Plain values, for a wire log keeps them.
        self._lines: deque[tuple[int, int, bool, bool]] = deque()
        self.bytes = 0  # that may still be in the ring

    def __len__(self) -> int:
        return len(self._lines)

    @property
    def owes_answers(self) -> bool:
        """Tell whether one of these is to be answered, so that it takes a place like others."""
        return any(answers for _, _, answers, _ in self._lines)

    def add(self, size: int, before: int, *, answers: bool = True, asks: bool = False) -> None:
        """Count a line of *size* bytes that stands before the window's line *before*."""
        self._lines.append((before, size, answers, asks))
        self.bytes += size

    def strand(self, window: Iterable[tuple[int, int, bool]]) -> None:
        """Take over the unanswered lines of a *window* that begins anew.

        :param window: number, size and whether it asks for temperatures, of each.
        """
        mine, self._lines = self._lines, deque()
        self.bytes = 0
        for number, size, asks in window:
            while mine and mine[0][0] <= number:
                self._move(mine.popleft())
            self.add(size, 1, asks=asks)
        while mine:
            self._move(mine.popleft())

    def answered(self, first: int) -> bool:
        """Tell whether a plain answer belongs to one of these rather than to the line *first*."""
        while self._lines and self._lines[0][0] <= first:
            answers, asks = self._lines[0][2:]
            if asks:
                return True  # that has temperatures, so this is one too many
            self._drop()
            if answers:
                return True
        return False

    def asks_next(self, first: int) -> bool | None:
        """Tell whether the next answer has temperatures; None if it is that of line *first*."""
        line = next((line for line in self._lines if line[2]), None)
        return line[3] if line is not None and line[0] <= first else None

    def answered_ask(self) -> bool:
        """Tell whether an answer with temperatures belongs to one of these; it does if it can."""
        if not any(asks for *_, asks in self._lines):
            return False
        while not self._lines[0][3]:
            self._drop()
        self._drop()
        return True

    def read_before(self, number: int) -> None:
        """Forget what stands before the window's line *number*, which was answered."""
        while self._lines and self._lines[0][0] <= number:
            self._drop()

    def drop_from(self, number: int) -> None:
        """Forget what came behind the line *number*, which was refused, and all after it."""
        while self._lines and self._lines[-1][0] > number:
            self.bytes -= self._lines.pop()[1]

    def flushed(self) -> None:
        """Count no bytes more: the firmware has thrown its ring away. Answers may still come."""
        self._lines = deque((at, 0, answers, asks) for at, _, answers, asks in self._lines)
        self.bytes = 0

    def clear(self) -> None:
        """Forget all."""
        self._lines.clear()
        self.bytes = 0

    def _move(self, line: tuple[int, int, bool, bool]) -> None:
        _, size, answers, asks = line
        self.add(size, 1, answers=answers, asks=asks)

    def _drop(self) -> None:
        self.bytes -= self._lines.popleft()[1]
