"""Where a program stands: its next lines at hand, how many are done, and how fast it goes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from drivers.dialects import DIALECTS, suspect
from drivers.flow import Line, Part, Program
from drivers.profile import FirmwareProfile

# Lines made ready at once: from the second on the processor is warm. A lane of so many lasts from
# one look at the machine to the next at 115,200 baud.
AHEAD = 72
_RATE_WINDOW = 5.0  # over which lines per second are counted [s]
_RATE_STEP = 0.5  # between two counts [s]


class Cursor:
    """Reads a program ahead, as lines that know what they are."""

    def __init__(self, profile: FirmwareProfile) -> None:
        self._profile = profile
        self._program: Program | None = None
        self._ahead: deque[Line] = deque()  # the next lines of the program, ready to go
        self._cursor = 0
        self._acked = 0
        self._starvation = 0.0
        self._starved_since: float | None = None
        self._rate: deque[tuple[float, int]] = deque()
        self._count_at = 0.0  # when the next of them is due [s]
        self._dialect = DIALECTS[profile.dialect]
        self._may_wait = suspect(profile.waits)
        self._may_last = suspect(profile.expected_s)
        moves = b"G0X0 G1X0"
        waits = self._may_wait.search(moves) or self._may_last.search(moves)
        self._is_plain = (lambda _: False) if waits else self._dialect.is_plain

    def _line(self, text: bytes, part: Part, index: int = -1) -> Line:
        waits = self._may_wait.search(text) is not None and (
            self._dialect.first_of(text, self._profile.waits) is not None
        )
        return Line(text, part, index, waits)

    def _lines(self, texts: Iterable[str]) -> list[Line]:
        return [self._line(text.encode("ascii", "ignore"), Part.EXTRA) for text in texts]

    def _next_of_program(self) -> Line | None:
        """Return the next line of the program without taking it."""
        if not self._ahead and self._program is not None:
            self._read_ahead(self._program)
        return self._ahead[0] if self._ahead else None

    def _read_ahead(self, program: Program) -> None:
        """Have so many of the next lines at hand as are made ready at once."""
        index, end = self._ahead[-1].place + 1 if self._ahead else self._cursor, len(program)
        is_plain = self._is_plain
        while index < end and len(self._ahead) < AHEAD:
            text = program.line(index)
            if is_plain(text) and len(text) < self._profile.max_line_bytes:
                self._ahead.append(Line(text, Part.PROGRAM, index, is_plain=True))
            elif text:  # an empty line gets no answer, so it is never sent
                self._ahead.append(self._line(text, Part.PROGRAM, index))
            index += 1
        if not self._ahead:
            self._cursor = end

    def _take_of_program(self) -> Line:
        line = self._ahead.popleft()
        self._cursor = line.place + 1
        self._note_taken(line)
        return line

    def _note_taken(self, line: Line) -> None:
        """Learn from a line of the program that is about to leave."""

    def _line_answered(self, line: Line) -> None:
        if line.place >= 0:
            self._acked = line.place + 1

    def _expected_time(self, line: Line | None) -> float:
        """Return how much longer than usual *line* may take [s]."""
        if line is None or line.is_plain:
            return 0.0
        usual = self._dialect.dwell(line.text)
        if self._may_last.search(line.text) is not None:
            known = self._profile.expected_s
            times = [known[word] for word in self._dialect.commands(line.text) if word in known]
            usual = max([usual, *times])
        return usual

    def _source_line(self) -> int:
        if self._program is None or not self._acked:
            return 0
        return self._program.source_line(min(self._acked, len(self._program)) - 1)

    def _mark_starving(self, starving: bool, now: float) -> None:
        if starving and self._starved_since is None:
            self._starved_since = now
        elif not starving and self._starved_since is not None:
            self._starvation += now - self._starved_since
            self._starved_since = None

    def _count_rate(self, now: float) -> None:
        self._count_at = now + _RATE_STEP
        self._rate.append((now, self._acked))
        while len(self._rate) > 2 and now - self._rate[0][0] > _RATE_WINDOW:
            self._rate.popleft()
