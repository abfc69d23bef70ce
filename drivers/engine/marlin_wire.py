"""The wire of a Marlin: the window, its procedures, and how long an answer may take."""

from __future__ import annotations

import re
from collections import deque
from enum import Enum, auto

from drivers.dialects.marlin_texts import Texts
from drivers.engine.base import StreamEngine
from drivers.flow import Line, NumberedWindow, Part
from drivers.profile import FirmwareProfile, Flow, OkMeans
from drivers.snapshot import Phase

ASK = Line(b"M105", Part.ASK)
ECHO = b"M118 S"  # with a number of its own; Repetier says "Echo:S<n>" when it executes it
# Answered otherwise than M105, so it tells whether those before it are still to be answered.
WHERE = Line(b"M114", Part.PLACE)
_FINAL = Line(b"M114", Part.PLACE, -2)  # before the end of what must not seem over too early
POLL = Line(b"M105", Part.EXTRA)  # of no meaning for the count
GUARD = Line(b"M105", Part.EXTRA, alone=True)  # its `ok` shows that what waited is over
NUDGE = 5.0  # between two M108 while a cancel waits [s]
_CHUNK = 4096  # most bytes handed out at a time
_HELLO_HOLD = 0.1  # for M110 to be executed [s]
_HELLO_AGAIN = 3.0  # patience with a board that does not say hello [s]
# With one that has said something since: its answers are late, and each further hello would
# make their order a riddle.
HELLO_LATE = 12.0
NO_BUSY = 120.0  # patience with one that says no busy line: a long slow move delays an ok [s]
PLANNED = 60.0  # and with its next command that waits, for each planned move [s]
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
            lead=b" " if profile.number_gap else b"",
            kept=0 if profile.stop_overtakes else len(profile.emergency) + 1,
        )
        self._answer_s = profile.answer_s  # longer while it says no busy line, or seldom one
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
        self._asks_settings = False  # once it is idle
        self._settings_question: Line | None = None  # of what it told of them
        self._hello_at: float | None = None  # of the last one to this board since it has booted
        self._done_before_run = 0  # number of the last line that was answered before it
        self._off_due: deque[bytes] = deque()  # what makes it safe and waits for room in its ring
        self._taken_at = now  # it has answered a line or was busy with one
        self._risked_at = float("inf")  # when the last of these went out [s]
        self._knocks = 0  # hellos for which there may have been no room, since it took a line
        self._hellos = self._bare = 0
        self._early = 0  # plain answers while an M105 was owed, of lines not proven yet
        self._procedures = 0
        self._give_up_at = self._give_up_last = 0.0
        self._stopped_at = 0.0
        self._patience_until = 0.0
        self._answered_at = now
        self._unasked_at = now  # a report of temperatures came by itself
        self._asked = 0
        self._pace = 0.05  # smoothed time from answer to answer [s]
        self._merges = not self._is_taken_only  # the answer to M105 is one line, "ok T:…"
        self._echoes = False  # told what is done by M118, for its `ok` has neither number nor look
        self._tokens = 0
        self._places: deque[bool] = deque()  # of each M114 without its answer: is it the final one?
        self._place_told = self._place_wanted = False
        self._untold = 0  # ends of a procedure without a place, although it was asked for
        self._guarded: Line | None = None  # waits in the firmware although it was answered
        self._busy_seen = False
        self._emergency_parser = False
        self._numbers_told = 0  # how often an `ok` named its line
        self._proven = 0  # highest number that was answered by name
        self._places_told = 0  # free places in its command queue, as it told last
        self._stops = 0
        self._owes_off = False  # a failure was not followed by a confirmed switch-off yet

    @property
    def _sees_stop(self) -> bool:
        """Tell whether an emergency stop is obeyed on arrival, even where its ring is full."""
        return self._emergency_parser or self._profile.stop_overtakes

    @property
    def _tells_numbers(self) -> bool:
        """Tell whether an `ok` names its line; one alone may be a damaged text."""
        return self._numbers_told > 1

    def data_to_send(self, now: float) -> bytes:
        """Return bytes of the ordinary lane that fit the firmware; the caller writes all."""
        if self._off_due:
            self._raw += self._off_that_fits()
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
        return out

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
        return self._send_one_by_one(out, now)

    def _send_one_by_one(self, out: bytes, now: float) -> bytes:
        """Return *out* and the lines that may follow it, each looked at by itself."""
        parts = [out]
        size = len(out)
        while size < _CHUNK and (line := self._next(now)) is not None:
            if self._clean and not self._profile.empty_ok:
                parts.append(self._aside(b"\n", answers=False))
            wire = self._window.send(line)
            self._clean = False
            parts.append(wire)
            size += len(wire)
        return b"".join(parts)

    def _next(self, now: float) -> Line | None:
        """Take the line that may go out now, if any."""
        window = self._window
        if self._forced is not None:
            line, self._forced = self._forced, None
            return self._noted(line)
        if window.is_full:
            return None
        if (again := window.again) is not None:
            return again if window.may_send(again) else None
        if self._extras:
            return self._noted(self._extras.popleft()) if window.may_send(self._extras[0]) else None
        if not self._streams():
            return None
        fetched = self._next_of_program()
        if fetched is None:
            self._procedure(Goal.FINISH, [self._line(b"M400", Part.EXTRA)], now)
            return self._next(now)
        if not window.may_send(fetched) or self._too_long(fetched, now):
            return None
        return self._take_of_program()

    def _noted(self, line: Line) -> Line:
        """Note a question for the place; a repeated line was noted when it first went."""
        if line.text == WHERE.text and line is not self._window.again:
            self._places.append(line is _FINAL)
        return line

    def _procedure(self, goal: Goal, lines: list[Line], now: float) -> None:
        """Send *lines* after all else, and come to `_reached` when they are done."""
        self._goal = goal
        self._extras.extend(lines)
        if self._is_taken_only and not self._echoes:
            self._extras.extend([GUARD] * (self._queue_places - 1))
        if self._merges and goal in (Goal.FINISH, Goal.CANCEL):
            # "ok T:" may be heard once too often: said twice, or an ok joined to a report.
            self._place_told = False
            self._extras.append(_FINAL)
        self._extras.append(self._last())
        if goal is Goal.CANCEL and "cancel" not in self._timers:
            self._give_up_at = now + self._profile.cancel_s
            # Busy or not: beyond what the command at hand may take, somebody is left waiting.
            self._give_up_last = self._give_up_at + self._expected_time(self._window.oldest)
            self._after("cancel", NUDGE, now)

    def _last(self) -> Line:
        # Told apart by a number of its own: that of a pause given up must not end a program.
        self._procedures += 1
        place = -1 - self._procedures
        return self._token(Part.LAST, place) if self._echoes else Line(b"M105", Part.LAST, place)

    def _token(self, part: Part = Part.ASK, place: int = -1) -> Line:
        """Return a line whose echo, told from all others, proves it and all before it done."""
        self._tokens += 1
        return Line(b"%s%d" % (ECHO, self._tokens), part, place, alone=True)

    @property
    def _poll_line(self) -> Line:
        """What asks for temperatures, in passing."""
        return POLL if self._echoes else ASK

    def _question(self) -> Line:
        """Return what to ask so that a doubtful count is cured."""
        if self._echoes:
            return self._token()
        if self._is_taken_only:
            return ASK
        # One answer may have been lost: then that to another M105 would be taken for it.
        doubtful = self._place_wanted or self._window.only_asks or self._goal is Goal.HELLO
        return WHERE if doubtful and not self._window.number_of(WHERE.text) else ASK

    def _hello(self, now: float) -> None:
        due, self._off_due = self._off_due, deque()
        if (self._hello_at or now) < self._taken_at <= now - self._answer_s:
            # It has answered since the last one, and is at nothing: a place not told is lost.
            self._places.clear()
        self._reset_wire()
        # Numbered 0 and checksummed: boot noise before it cannot change its meaning.
        first = b"\nN0 M110 N0*125\n" if self._profile.numbered else b"\n"
        texts = [self._profile.uncounted(text) for text in self._profile.hello]
        if not self._may_knock(len(first) + sum(map(len, texts)), now):
            self._off_due = due
            self._after("hello", _HELLO_AGAIN, now)
            return
        # Their answers are not waited for; that to M105 proves them.
        self._raw += self._aside(first, answers=self._profile.numbered or self._profile.empty_ok)
        for text in texts:
            self._raw += self._aside(text)
        self._reports_itself = False
        self._goal = Goal.HELLO
        # Two plain answers to each hello: this one does not say "ok T:" to M105.
        self._merges = self._merges and not (self._hellos > 1 and self._bare >= 2 * self._hellos)
        self._guarded = None
        self._echoes = self._is_taken_only  # until it has shown that its `ok` tells a number
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

    def _may_knock(self, size: int, now: float) -> bool:
        """Tell whether a hello may go out: it fits, or waiting for room would be in vain.

        A board that has answered nothing for so long has lost its answers or its memory, or it
        hangs. Only the last one can lose bytes of a hello, which has a number and a checksum: what
        is left of it is refused, whatever it is joined to. Hence no more than this is risked.
        """
        if self._window.has_room(size):
            return True
        if self._risked_at < self._taken_at <= now - self._answer_s:
            # It has answered since the last one, and is at nothing: the rest it has forgotten.
            self._forget_ring()
            return True
        patience = self._profile.silence_s if self._knocks else self._answer_s
        if now < max(self._taken_at, self._answered_at, self._hello_at or 0.0) + patience:
            return False
        self._knocks += 1
        self._risked_at = now
        return True

    def _forget_ring(self) -> None:
        """Count nothing more that went out beside the window or before it began anew."""
        self._window.beside.clear()
        self._places.clear()
        self._risked_at = float("inf")

    def _reset_wire(self) -> None:
        self._window.restart(merges=self._merges)
        self._off_due.clear()
        self._done_before_run = 0
        self._extras.clear()
        self._raw.clear()
        self._goal = Goal.NOTHING
        self._forced = None
        self._hold_until = 0.0
        self._strikes = self._same_resends = self._early = 0
        self._last_taken = None
        self._asked_back = self._resent = -1
        self._numbers_told = self._proven = self._places_told = 0
        self._ok_is_of_resend = False
        self._places = deque([False] * len(self._places))
        self._place_wanted = False

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
            self._learn_pace(now)
            self._await_answer(now)
        else:
            self._place_wanted = False  # nothing is owed, so no count can be behind
            self._timers.pop("answer", None)
        self._answered_at = now

    def _learn_pace(self, now: float) -> None:
        # One stall must not teach patience; a slow stretch of the program may.
        took = min(now - self._answered_at, 2.0 * self._pace + 0.01)
        self._pace += (took - self._pace) / 8.0

    def _await_answer(self, now: float) -> None:
        """Count the time to the next answer anew."""
        expected = self._expected_time(self._guarded or self._window.oldest)
        if expected and self._answer_s >= NO_BUSY:
            expected = max(expected, PLANNED * self._profile.planner_blocks)
        self._patience_until = now + self._answer_s + expected
        self._asked = 0
        self._timers["answer"] = now + self._late_after()

    def _late_after(self) -> float:
        usual = max(_RTO * self._pace, _RTO_MIN) * 2.0 ** min(self._asked, 8)
        return min(usual, self._profile.answer_s)

    def _aside(self, wire: bytes, *, answers: bool = True) -> bytes:
        """Return *wire*, a line past all that waits, and count its bytes."""
        window = self._window
        window.beside.add(len(wire), window.next, answers=answers)
        return wire

    def _switch_off_when_it_fits(self, *, breaks: bool) -> None:
        """Have the lines that make it safe go out, each as soon as the ring has room for it.

        They have neither number nor checksum, so that they are obeyed whatever the firmware
        counts; of such a line no part may get lost: the rest could mean something else.

        :param breaks: a command that waits is ended first.
        """
        lines = [self._profile.uncounted(text) for text in self._profile.switch_off]
        if breaks and self._profile.break_wait:
            lines.insert(0, self._profile.break_wait.encode("latin-1"))
        self._off_due = deque([b"\n" + line if not at else line for at, line in enumerate(lines)])

    def _off_that_fits(self) -> bytes:
        out = b""
        while self._off_due and self._window.has_room(len(self._off_due[0])):
            out += self._aside(self._off_due.popleft())
        return out

    def _stop_at_once(self) -> None:
        """Put the emergency stop on the wire; the window has kept room for it."""
        self._urgent += self._aside(
            b"\n" + self._profile.emergency.encode("latin-1"), answers=False
        )

    def _break_wait(self) -> None:
        """End a command that waits; raw, for a firmware may know it only at a line's start."""
        wire = b"\n" + self._profile.break_wait.encode("latin-1")
        # Half of one would be joined to what follows, and M1 waits for a person.
        if self._profile.break_wait and self._window.has_room(len(wire)):
            self._raw += self._aside(wire, answers=self._profile.resends)

    def _doubt(self, now: float) -> None:
        """Something may have been lost: ask soon rather than wait for the deadline."""
        if self._window.unanswered and "doubt" not in self._timers:
            self._after("doubt", 0.1, now)
