"""Flow control of a Grbl: unanswered characters are counted."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from drivers.express import Lane, Move
from drivers.flow.lines import Line


class CharacterCounting:
    """Keep the controller's receive buffer full and never overflow it.

    The controller answers every line once, in order, and frees that line's bytes when it
    does; a queue of line lengths is all the host needs to know.

    :param rx_bytes: usable receive buffer [bytes].
    :param lines_max: most unanswered lines; 1 is send-response.

    *Source:* gnea/grbl:doc/markdown/interface.md, "Character-Counting".
    """

    def __init__(self, rx_bytes: int, lines_max: int = 1_000_000) -> None:
        self.rx_bytes = rx_bytes
        self._lines_max = lines_max
        self._unanswered: deque[Line] = deque()
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._unanswered)

    @property
    def oldest(self) -> Line | None:
        """The line whose answer comes next."""
        return self._unanswered[0] if self._unanswered else None

    def may_send(self, line: Line) -> bool:
        """Tell whether *line* fits beside what is unanswered."""
        if not self._unanswered:
            # An empty buffer admits any line: refusing an overlong one here would stall
            # the job in silence. Preflight rejects it; the controller would too.
            return True
        return (
            not line.alone
            and not self._unanswered[-1].alone
            and len(self._unanswered) < self._lines_max
            and self.bytes + len(line.text) + 1 <= self.rx_bytes
        )

    def send(self, line: Line) -> bytes:
        """Return the bytes of *line* and count them."""
        self._unanswered.append(line)
        self.bytes += len(line.text) + 1
        return line.text + b"\n"

    def answered(self) -> Line | None:
        """Return the line that an answer belongs to; None if nothing was owed."""
        if not self._unanswered:
            return None
        line = self._unanswered.popleft()
        self.bytes -= len(line.text) + 1
        return line

    def lane(self, ahead: Sequence[Line], until: float) -> Lane | None:
        """Return what follows the next answers if the moves *ahead* do; None if more is owed."""
        owed = self._unanswered
        if not owed or not all(line.is_plain for line in owed):
            return None
        moves = [
            Move(len(line.text) + 1, line.place, line.text + b"\n") for line in (*owed, *ahead)
        ]
        return Lane(moves, len(owed), self.rx_bytes, self._lines_max, until)

    def land(self, lane: Lane, moves: Sequence[Line]) -> None:
        """Count what a lane has heard, and that *moves* have left."""
        self._unanswered.extend(moves)
        for _ in range(lane.answers):
            self._unanswered.popleft()
        self.bytes = sum(len(line.text) + 1 for line in self._unanswered)

    def clear(self) -> None:
        """Forget all: the controller has thrown its buffer away."""
        self._unanswered.clear()
        self.bytes = 0
