"""The wire of a Marlin: the window, its procedures, and how long an answer may take."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterable
from enum import Enum, auto

from drivers.dialects.marlin_texts import Texts
from drivers.engine.base import StreamEngine
from drivers.flow import Line, NumberedWindow, Part
from drivers.profile import FirmwareProfile, Flow, OkMeans
from drivers.snapshot import Phase

ASK = Line(b"M105", Part.ASK)
GUARD = Line(b"M105", Part.EXTRA, alone=True)  # its `ok` shows that what waited is over
NUDGE = 5.0  # between two M108 while a cancel waits [s]
_SPARE = 3  # questions before the last one of a procedure, against answers counted twice
_CHUNK = 4096  # most bytes handed out at a time
_HELLO_HOLD = 0.1  # for M110 to be executed [s]
_HELLO_AGAIN = 3.0  # patience with a board that does not say hello [s]
# With one that has said something since: its answers are late, and each further hello would
# make their order a riddle.
HELLO_LATE = 12.0
_RTO = 8.0  # times the usual pace until an answer counts as late
_RTO_MIN = 0.3  # shortest time until then [s]


class Goal(Enum):
    """What the M105 that ends a procedure stands for."""

    NOTHING = auto()
    HELLO = auto()
    FINISH = auto()
    PAUSE = auto()  # what was sent is made
    PARK = auto()
    RETURN = auto()
    CANCEL = auto()


class MarlinWire(StreamEngine):
    """What goes out and what is owed.

    The answer to M105 is known by its look and comes in order, so it proves that all before
    it is done; every procedure ends with one, and a doubtful count is cured by one.
    """

    def __init__(self, profile: FirmwareProfile, now: float) -> None:
        super().__init__(profile, now)
        one = profile.flow is Flow.SEND_RESPONSE
        self._lines_max = 1 if one else max(profile.command_queue - 1, 1)
        if profile.stop_overtakes and not one:
            self._lines_max = 1_000
        gap = b" " if profile.checksum_gap else b""
        self._window = NumberedWindow(
            profile.rx_bytes,
            self._lines_max,
            0 if one else profile.command_queue,
            numbered=profile.numbered,
            gap=gap,
        )
        self._texts = Texts(re.compile(profile.banner), profile.fatal, profile.refusal)
        self._is_taken_only = profile.ok_means is OkMeans.TAKEN
        self._queue_places = max(profile.command_queue, 1)
        self._raw = bytearray()
        self._goal = Goal.NOTHING
        self._forced: Line | None = None
        self._clean = False  # begin the next line with a newline
        self._hold_until = 0.0
        self._strikes = 0
        self._same_resends = 0
        self._last_taken: int | None = None
        self._asked_back = -1  # the number of the last Resend that stood alone
        self._resent, self._resent_at = -1, now  # the last one that was obeyed
        self._ok_is_of_resend = False
        self._reports_itself = False
        self._hello_at: float | None = None  # of the last one to this board since it has booted
        self._done_before_run = 0  # number of the last line that was answered before it
        self._nudge_size = len(profile.break_wait) + 1
        self._nudged = 0  # bytes to end a wait that may still be in its buffer
        self._hellos = self._bare = 0
        self._procedures = 0
        self._give_up_at = self._give_up_last = 0.0
        self._stopped_at = 0.0
        self._patience_until = 0.0
        self._answered_at = now
        self._unasked_at = now  # a report of temperatures came by itself
        self._asked = 0
        self._asked_at = self._ask_heard_at = now
        self._pace = 0.05  # smoothed time from answer to answer [s]
        self._merges = not self._is_taken_only  # the answer to M105 is one line, "ok T:…"
        self._guarded: Line | None = None  # waits in the firmware although it was answered
        self._busy_seen = False
        self._emergency_parser = False
        self._numbers_told = 0  # how often an `ok` named its line
        self._proven = 0  # highest number that was answered by name
        self._places_told = 0  # free places in its command queue, as it told last
        self._stops = 0
        self._owes_off = False  # a failure was not followed by a confirmed switch-off yet

    @property
    def _tells_numbers(self) -> bool:
        """Tell whether an `ok` names its line; one alone may be a damaged text."""
        return self._numbers_told > 1

    def data_to_send(self, now: float) -> bytes:
        """Return bytes of the ordinary lane that fit the firmware; the caller writes all."""
        out = bytes(self._raw)
        self._raw.clear()
        if now < self._hold_until:
            return out
        window = self._window
        was_owed = window.unanswered
        if self._extras or self._clean or self._forced or window.narrow or not self._streams():
            out = self._send_one_by_one(out, now)
        else:
            out = self._send_moves(out, now)
        if not was_owed and window.unanswered:
            self._await_answer(now)
        if (self._starved_since is not None or not window.unanswered) and self._streams():
            self._mark_starving(not window.unanswered, now)
        self._look_whether_smooth()
        return out

    @abstractmethod
    def _look_whether_smooth(self) -> None:
        """Set `is_smooth`: every line that can be sent now has been."""

    def _streams(self) -> bool:
        """Tell whether the program goes on, and nothing else is being done."""
        return self._phase is Phase.STREAMING and self._goal is Goal.NOTHING

    def _send_moves(self, out: bytes, now: float) -> bytes:
        """Return *out* and what may follow it while the program is all there is to send."""
        ahead = self._ahead
        moves, wire = self._window.send_moves(ahead)
        while moves:
            for line in moves:
                self._note_taken(line)
            self._cursor = moves[-1].place + 1
            out += wire
            if ahead or self._program is None:
                break
            self._read_ahead(self._program)
            moves, wire = self._window.send_moves(ahead)
        if ahead and ahead[0].is_plain and (moves or self._window.again is None):
            return out  # it finds no room, and nothing else is waiting
        self.is_smooth = False
        return self._send_one_by_one(out, now)

    def _send_one_by_one(self, out: bytes, now: float) -> bytes:
        """Return *out* and the lines that may follow it, each looked at by itself."""
        parts = [out]
        size = len(out)
        while size < _CHUNK and (line := self._next(now)) is not None:
            wire = self._window.send(line)
            if line.part is Part.ASK:
                self._asked_at = now
            if self._clean and not self._profile.empty_ok:
                wire = b"\n" + wire
            self._clean = False
            parts.append(wire)
            size += len(wire)
        return b"".join(parts)

    def _next(self, now: float) -> Line | None:
        """Take the line that may go out now, if any."""
        window = self._window
        if self._forced is not None:
            line, self._forced = self._forced, None
            return line
        if window.is_full:
            return None
        if (again := window.again) is not None:
            return again if window.may_send(again) else None
        if self._extras:
            return self._extras.popleft() if window.may_send(self._extras[0]) else None
        if not self._streams():
            return None
        fetched = self._next_of_program()
        if fetched is None:
            self._procedure(Goal.FINISH, [self._line(b"M400", Part.EXTRA)], now)
            return self._next(now)
        if not window.may_send(fetched) or self._too_long(fetched, now):
            return None
        return self._take_of_program()

    def _procedure(self, goal: Goal, lines: list[Line], now: float) -> None:
        """Send *lines* after all else, and come to `_reached` when they are done."""
        self._goal = goal
        self._extras.extend(lines)
        if self._is_taken_only:
            # Where the count of answers may be wrong, some more than it takes.
            spare = 0 if self._tells_numbers else _SPARE
            self._extras.extend([GUARD] * (self._queue_places - 1 + spare))
        self._extras.append(self._last())
        if goal is Goal.CANCEL:
            self._give_up_at = now + self._profile.cancel_s
            # Busy or not: beyond what the command at hand may take, somebody is left waiting.
            self._give_up_last = self._give_up_at + self._expected_time(self._window.oldest)
            self._after("cancel", NUDGE, now)

    def _last(self) -> Line:
        # Told apart by a number of its own: that of a pause given up must not end a program.
        self._procedures += 1
        return Line(b"M105", Part.LAST, -1 - self._procedures)

    def _hello(self, now: float) -> None:
        self._reset_wire()
        self._raw += b"\n"
        if self._profile.numbered:
            # Numbered 0 and checksummed: boot noise before it cannot change its meaning.
            self._raw += b"N0 M110 N0*125\n"
        # Their answers are not waited for; that to M105 proves them.
        self._send_raw(self._profile.hello)
        self._reports_itself = False
        self._goal = Goal.HELLO
        # Two plain answers to each hello: this one does not say "ok T:" to M105.
        self._merges = self._merges and not (self._hellos > 1 and self._bare >= 2 * self._hellos)
        self._guarded = None
        self._hellos += 1
        self._hello_at = now
        if self._owes_off:
            self._extras.extend(self._lines(self._profile.switch_off))
        self._extras.extend((Line(b"M115"), self._last()))
        if self._profile.numbered:
            # Marlin sets the number again when it executes M110, whatever it has taken since.
            self._after("hold", _HELLO_HOLD, now)
            self._hold_until = self._timers["hold"]
        # More and more seldom: one that is at work only collects what it cannot answer yet.
        self._after("hello", _HELLO_AGAIN * min(self._hellos, 4), now)

    def _reset_wire(self) -> None:
        self._window.restart()
        self._done_before_run = 0
        self._extras.clear()
        self._raw.clear()
        self._goal = Goal.NOTHING
        self._forced = None
        self._hold_until = 0.0
        self._strikes = self._same_resends = 0
        self._last_taken = None
        self._asked_back = self._resent = -1
        self._numbers_told = self._proven = self._places_told = 0
        self._ok_is_of_resend = False

    def _at_work(self) -> str:
        oldest = self._window.oldest
        if oldest is None or self._may_last.search(oldest.text) is None:
            return ""
        known = self._profile.expected_s
        return next((word for word in self._dialect.commands(oldest.text) if word in known), "")

    def _excused(self, now: float) -> float:
        # Asked behind a long command it cannot answer. One that has reported by itself since
        # then does not wait for questions, and is held to it.
        if not self._window.unanswered or self._unasked_at > self._answered_at:
            return 0.0
        return now - self._answered_at

    def _time_answer(self, now: float) -> None:
        """Learn from an answer how long one takes, and count the time to the next one anew."""
        if self._window.unanswered:
            # One stall must not teach patience; a slow stretch of the program may.
            took = min(now - self._answered_at, 2.0 * self._pace + 0.01)
            self._pace += (took - self._pace) / 8.0
            self._await_answer(now)
        else:
            self._timers.pop("answer", None)
        self._answered_at = now

    def _await_answer(self, now: float) -> None:
        """Count the time to the next answer anew."""
        expected = 0.0
        if not self.is_smooth:  # else it is a move
            expected = self._expected_time(self._guarded or self._window.oldest)
        self._patience_until = now + self._profile.answer_s + expected
        self._asked = 0
        self._timers["answer"] = now + self._late_after()

    def _late_after(self) -> float:
        usual = max(_RTO * self._pace, _RTO_MIN) * 2.0 ** min(self._asked, 8)
        return min(usual, self._profile.answer_s)

    def _send_raw(self, texts: Iterable[str]) -> None:
        """Send lines that nobody counts, past all that waits."""
        self._raw += b"".join(self._profile.uncounted(text) for text in texts)

    def _break_wait(self) -> None:
        """End a command that waits; raw, for a firmware may know it only at a line's start."""
        if self._profile.break_wait:
            self._raw += b"\n" + self._profile.break_wait.encode("latin-1")

    def _doubt(self, now: float) -> None:
        """Something may have been lost: ask soon rather than wait for the deadline."""
        if self._window.unanswered and "doubt" not in self._timers:
            self._after("doubt", 0.1, now)
