"""Flow control of a Marlin and its kin: numbered lines, several at a time, and resends."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from drivers.beside import Beside
from drivers.express import Lane, Move
from drivers.flow.lines import ASKS, Line, Part, Sent
from drivers.flow.numbering import Numbering


class NumberedWindow(Numbering):
    """Numbered lines with checksum, several at a time, and the way back after a resend.

    The unanswered bytes never exceed `rx_bytes`, so nothing overflows even if the firmware
    has taken nothing from its ring yet; only lines for which there is surely a place in its
    command queue (`place`) do not count. It answers in order but mostly without a number, and
    an answer can be lost; two kinds of answer correct the count: one with a number
    (ADVANCED_OK), and one that only M105 can get.

    :param rx_bytes: usable receive buffer [bytes].
    :param lines_max: most unanswered lines; one less than the firmware's command queue, so
        that it always reads on and a stop behind them is seen at once.
    :param slots: lines that the firmware takes out of the ring at once, whatever it executes;
        0 if it leaves them there.
    :param numbered, gap, lead: as `Numbering` has them.
    :param kept: bytes of the ring that stay free for the emergency stop.

    *Source:* MarlinFirmware/Marlin:Marlin/src/gcode/queue.cpp; `manage_inactivity` in
    Marlin/src/MarlinCore.cpp, which reads the ring also while a command waits.
    """

    # Room for one M105 when the answers to all else were lost, where lines stay in the ring.
    RESERVE = 20
    _KEPT = 64  # answered lines kept for a resend that reaches behind its answer
    _WIDEN_FIRST, _WIDEN_LAST = 32, 512

    def __init__(
        self,
        rx_bytes: int,
        lines_max: int,
        slots: int = 0,
        *,
        numbered: bool = True,
        gap: bytes = b"",
        lead: bytes = b" ",
        kept: int = 0,
    ) -> None:
        super().__init__(numbered=numbered, gap=gap, lead=lead)
        self._rx_bytes = rx_bytes
        self._kept_free = kept
        self._slots = slots
        reserve = kept if slots > 1 else kept + self.RESERVE
        self._budget = max(rx_bytes - reserve, rx_bytes // 2)
        self.beside = Beside()
        self._sent: deque[Sent] = deque()
        self._again: deque[Line] = deque()
        self._widen_after = self._WIDEN_FIRST
        self.lines_max = lines_max
        self.unanswered = 0
        self.bytes = 0
        self.narrow = False
        self._good = 0
        self._alone = 0  # number of the last line that nothing may follow before its answer
        self._placed = 0  # number of the last line that has a place outside the RX buffer

    @property
    def oldest(self) -> Line | None:
        """The line whose answer comes next."""
        return self._sent[-self.unanswered].line if self.unanswered else None

    @property
    def oldest_alone(self) -> bool:
        """Tell whether the firmware is at a command that holds up all that follows."""
        return bool(self.unanswered) and self._sent[-self.unanswered].line.alone

    @property
    def first(self) -> int:
        """The number of the line whose answer comes next; of the next line if none is owed."""
        return self.next - self.unanswered

    @property
    def is_asking(self) -> bool:
        """Tell whether a question is on its way."""
        return any(part in (*ASKS, Part.PLACE) for part in self._unanswered_parts())

    @property
    def asks_next(self) -> bool:
        """Tell whether the next answer is one to M105."""
        beside = self.beside.asks_next(self.first)
        oldest = self.oldest
        return (oldest is None or oldest.part in ASKS) if beside is None else beside

    @property
    def only_asks(self) -> bool:
        """Tell whether nothing is unanswered but M105 of no further meaning."""
        return all(part is Part.ASK for part in self._unanswered_parts())

    @property
    def again(self) -> Line | None:
        """The line that must go out before any other."""
        return self._again[0] if self._again else None

    def restart(self, *, merges: bool = True) -> None:
        """Begin to count anew, as after `M110 N0`; what is unanswered stands beside from now on.

        :param merges: an answer to M105 is known by its temperatures.
        """
        start = len(self._sent) - self.unanswered
        left = [self._sent[at] for at in range(start, len(self._sent))]
        self.beside.strand(
            (entry.number, entry.size, merges and entry.line.part in ASKS) for entry in left
        )
        self._sent.clear()
        self._again.clear()
        self.next, self.unanswered, self.bytes, self._alone, self._placed = 1, 0, 0, 0, 0

    def drop_program(self, instead: Line) -> None:
        """Put *instead* in the place of program lines to be sent again: nobody wants them now.

        Their numbers stay taken, for the firmware may have had those lines all the same.
        """
        self._again = deque(instead if line.part is Part.PROGRAM else line for line in self._again)

    @property
    def is_full(self) -> bool:
        """Tell whether no line may go, whatever its length."""
        return self.unanswered >= self.lines_max and not self.narrow

    def may_send(self, line: Line) -> bool:
        """Tell whether *line* fits beside what is unanswered."""
        if not self.unanswered and not self.beside.bytes:
            return True
        if self.narrow:
            # Lines known to be accepted may still be unanswered; they are out of the buffer.
            return not self.bytes and self.has_room(len(self._wire(line)))
        if self.unanswered >= self.lines_max or self._alone >= self.first:
            return False
        size = len(self._wire(line)) + self.beside.bytes
        return self.bytes + size <= self._budget or self._fits_beyond(size)

    def send_moves(self, ahead: deque[Line]) -> tuple[list[Line], bytes]:
        """Take plain moves from the left of *ahead* while they fit; return them and their bytes.

        What `may_send` and `send` do, for nine lines in ten, at a fraction of the cost: all that
        is ahead is made ready for the wire at once, while the processor is warm.
        """
        taken: list[Line] = []
        wires: list[bytes] = []
        if self.narrow or self._again or self._alone >= self.next - self.unanswered:
            return taken, b""
        ready, sent, beside = self._ready, self._sent, self.beside.bytes
        while ahead and self.unanswered < self.lines_max:
            if not ready or ready[0][0].number != self.next or ready[0][0].line is not ahead[0]:
                self._make_ready(ahead, len(ahead))
                if not ready:
                    break
            entry, wire = ready[0]
            size = entry.size
            fits = self.bytes + beside + size <= self._budget or not (self.unanswered or beside)
            if not fits and not self._fits_beyond(beside + size):
                break
            ready.popleft()
            taken.append(ahead.popleft())
            wires.append(wire)
            sent.append(entry)
            self.next += 1
            self.unanswered += 1
            self.bytes += size
        return taken, b"".join(wires)

    def place(self, number: int) -> None:
        """Note that lines up to *number* find a place in the command queue as they come."""
        self._placed = max(self._placed, number)

    def may_ask(self, line: Line, *, taken: bool, read: int = 0) -> bool:
        """Tell whether *line* fits behind lines of which the firmware has had time to take.

        :param taken: it has, even if an earlier question has no answer yet; else it may be
            stalled, and take none.
        :param read: answers that were heard and belong to some of what is unanswered.
        """
        start = len(self._sent) - self.unanswered
        gone = sum(self._sent[at].size for at in range(start, min(start + read, len(self._sent))))
        size = self._size_at_most(line) - gone
        return self.has_room(size, taken=taken)

    def has_room(self, size: int, *, taken: bool = False) -> bool:
        """Tell whether *size* bytes fit into the ring, and the emergency stop behind them.

        :param taken: the firmware has had time to fill its command queue.
        """
        room = self._rx_bytes - self._kept_free - size
        if self.bytes + self.beside.bytes <= room:
            return True
        # Empty lines take no place of the queue; what is answered may.
        beyond = self.beside.bytes + self._beyond_queue()
        return taken and not self.beside.owes_answers and beyond <= room

    def keep_free(self, kept: int) -> None:
        """Keep room in the ring for an emergency stop of *kept* bytes."""
        self._budget += self._kept_free - kept
        self._kept_free = kept

    def send(self, line: Line) -> bytes:
        """Return the bytes of *line* under the next number, and count them."""
        if self._again and self._again[0] is line:
            self._again.popleft()
        wire = self._wire(line)
        self._sent.append(Sent(self.next, len(wire), line))
        if line.alone:
            self._alone = self.next
        self.next += 1
        self.unanswered += 1
        self.bytes += len(wire)
        return wire

    def answered(self) -> Line | None:
        """Return the line that an answer without number belongs to; None if nothing is owed."""
        if not self.unanswered:
            return None
        entry = self._sent[-self.unanswered]
        self.unanswered -= 1
        self.bytes = max(0, self.bytes - entry.size) if self.unanswered else 0
        self._good += 1
        self._forget_old()
        if self.narrow and self._good >= self._widen_after:
            self.narrow = False
            self._widen_after = max(self._WIDEN_FIRST, self._widen_after // 2)
        return entry.line

    def lane(self, ahead: Sequence[Line], count: int, until: float) -> Lane | None:
        """Return what follows the next answers if the moves *ahead* do; None if more is owed.

        :param count: of the moves ahead that are made ready, at most.
        :param until: when the lane ends [s].
        """
        if self.narrow or self._again or self.beside or self._placed >= self.first:
            return None
        owed = [self._sent[-back] for back in range(self.unanswered, 0, -1)]
        if not owed or not all(entry.line.is_plain for entry in owed):
            return None
        self._make_ready(ahead, count)
        moves = [Move(entry.size, entry.line.place, b"") for entry in owed]
        moves += [Move(entry.size, entry.line.place, wire) for entry, wire in self._ready]
        return Lane(moves, len(owed), self._budget, self.lines_max, until)

    def land(self, lane: Lane) -> None:
        """Count what a lane has heard and sent."""
        answers, gone = lane.answers, lane.gone
        self._sent.extend(self._ready.popleft()[0] for _ in range(gone))
        self.next += gone
        self.unanswered += gone - answers
        self.bytes = sum(self._sent[-back].size for back in range(1, self.unanswered + 1))
        self._good += answers
        self._forget_old()

    def answered_through(self, number: int) -> list[Line]:
        """Return all unanswered lines up to *number*, which was answered by name."""
        if not self.first <= number < self.next:
            return []
        self.beside.read_before(number)
        return self._take(number - self.first + 1)

    def answered_ask(self) -> list[Line] | None:
        """Return all unanswered lines up to the oldest M105; None if there is none."""
        if self.beside and self.beside.answered_ask():
            return None
        for number, line in self._owed():
            if line.part in ASKS:
                return self.answered_through(number)
        return None

    def answered_before(self, text: bytes, *, only_asks: bool) -> list[Line]:
        """Return all unanswered lines before the oldest of that *text*, whose answer was heard.

        :param only_asks: none if anything but M105 is among them.
        """
        number = self.number_of(text)
        before = [line.part for at, line in self._owed() if at < number]
        if not number or (only_asks and any(part is not Part.ASK for part in before)):
            return []
        self.beside.read_before(number)
        return self._take(number - self.first)

    def number_of(self, text: bytes) -> int:
        """Return the number of the oldest unanswered line of that *text*; 0 if there is none."""
        return next((number for number, line in self._owed() if line.text == text), 0)

    def resend(self, number: int) -> int | None:
        """Go back: *number* and what followed it will be sent again, under those numbers.

        Each number keeps its line, questions and all. A request may be older than it looks,
        and a line under another number than before would be lost or executed twice.

        :returns: bytes that may still be on their way and will be refused; None if no such
            line is known.
        """
        if number > self.next or number < self.next - len(self._sent):
            return None
        again: list[Line] = []
        stale = 0
        while self._sent and self._sent[-1].number >= number:
            entry = self._sent.pop()
            stale += entry.size
            again.append(entry.line)
            if self.unanswered:
                self.unanswered -= 1
            first_size = entry.size
        if stale:
            stale -= first_size  # the refused line itself has been read
        self._again.extendleft(again)
        self.next = number
        if self._alone >= number:
            self._alone = 0
        self._placed = 0  # what was told is no more true; the next answer tells anew
        # What is still unanswered was accepted, so it has left the receive buffer.
        self.beside.drop_from(number)
        self.flushed()
        if not self.narrow:
            self._widen_after = min(self._widen_after * 2, self._WIDEN_LAST)
        self.narrow = True
        self._good = 0
        return stale

    def flushed(self) -> None:
        """Count no bytes more: the firmware has read its ring or thrown it away."""
        self._sent = deque(Sent(entry.number, 0, entry.line) for entry in self._sent)
        self.bytes = 0
        self.beside.flushed()

    def insist(self, line: Line) -> None:
        """Put *line* before all that was not sent yet."""
        self._again.append(line)

    def ask_last(self, line: Line) -> None:
        """Put *line* behind what is sent again, unless the same waits there."""
        if not (self._again and self._again[-1].part in ASKS):
            self._again.append(line)

    def waiting(self) -> list[Line]:
        """Return the lines whose answers are owed, the oldest first."""
        return [line for _, line in self._owed()]

    def _owed(self) -> list[tuple[int, Line]]:
        start = len(self._sent) - self.unanswered
        return [self._sent[at][::2] for at in range(start, len(self._sent))]

    def _unanswered_parts(self) -> list[Part]:
        return [line.part for _, line in self._owed()]

    def _take(self, count: int) -> list[Line]:
        return [line for _ in range(count) if (line := self.answered()) is not None]

    def _forget_old(self) -> None:
        """Keep no more answered lines than a resend may reach back to."""
        while len(self._sent) - self.unanswered > self._KEPT:
            self._sent.popleft()

    def _fits_beyond(self, size: int) -> bool:
        """Tell whether the places of the command queue leave room for so many bytes."""
        if self.next <= self._placed:
            return True
        return self._placed >= self.first and self._beyond_places() + size <= self._budget

    def _beyond_queue(self) -> int:
        """Return how many bytes its command queue cannot hold, if nothing else is in it [bytes]."""
        first = len(self._sent) - self.unanswered + self._slots
        return sum(self._sent[at].size for at in range(first, len(self._sent)))

    def _beyond_places(self) -> int:
        """Return how many unanswered bytes may be in the RX buffer [bytes]."""
        count = self.next - 1 - max(self._placed, self.first - 1)
        return sum(self._sent[-back].size for back in range(1, count + 1))
