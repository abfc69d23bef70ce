"""The wire form of lines: number, checksum, and moves made ready while the processor is warm."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import islice

from drivers.flow.lines import Line, Sent
from drivers.gcode import numbered


class Numbering:
    """Gives each line its number and its bytes.

    :param numbered: False for a firmware that would not look at numbers and checksums; the
        lines are counted all the same.
    :param gap: goes before each checksum.
    :param lead: goes behind each number.
    """

    def __init__(self, *, numbered: bool, gap: bytes, lead: bytes) -> None:
        self._numbered = numbered
        self._gap = gap
        self._lead = lead
        self.next = 1  # the number of the next line
        self._made: tuple[int, Line, bytes] | None = None  # the next line, ready for the wire
        self._ready: deque[tuple[Sent, bytes]] = deque()  # moves that come next, if no other line

    def _make_ready(self, ahead: Sequence[Line], count: int) -> None:
        """Number *count* moves that *ahead* begins with, for the case that nothing comes between.

        What is ready already, and still comes next, stays.
        """
        ready = self._ready
        if ready and (ready[0][0].number != self.next or ready[0][0].line is not ahead[0]):
            ready.clear()
        first = self.next + len(ready)
        for number, line in enumerate(islice(ahead, len(ready), count), first):
            if not line.is_plain:
                break
            wire = self._encoded(number, line.text)
            ready.append((Sent(number, len(wire), line), wire))

    def _wire(self, line: Line) -> bytes:
        made = self._made
        if made is None or made[0] != self.next or made[1] is not line:
            made = self._made = (self.next, line, self._encoded(self.next, line.text))
        return made[2]

    def _encoded(self, number: int, text: bytes) -> bytes:
        return numbered(number, text, self._gap, self._lead) if self._numbered else text + b"\n"

    def _size_at_most(self, line: Line) -> int:
        # "N", two blanks, "*", three digits of checksum, newline, and one newline before.
        return len(line.text) + len(str(self.next)) + 9
