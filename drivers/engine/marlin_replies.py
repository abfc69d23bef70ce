"""What a Marlin says, and what follows from it."""

from __future__ import annotations

import re
from abc import abstractmethod
from typing import assert_never

from drivers.dialects import marlin
from drivers.dialects.actions import Action
from drivers.engine.base import RUNNING
from drivers.engine.marlin_telling import MarlinTelling
from drivers.engine.marlin_wire import ECHO, GUARD, NUDGE, WHERE, Goal
from drivers.flow import Line, Part
from drivers.snapshot import (
    Cancelled,
    Connected,
    Finished,
    Phase,
    Said,
)

_ECHOED = re.compile(r"(?:Echo:|N\d+ M118 +)S(\d+)(?:\.0*)?")  # 0.92 does not know M118
RECOVER = 2.0  # from a failure to the next hello [s]
_UNTOLD_MAX = 3  # the place asked for at an end in vain: then it is believed without
_SETTLE = 0.3  # quiet after a boot banner before the first word to it [s]


class MarlinReplies(MarlinTelling):
    """Acts on each line that was received."""

    def _hear(self, line: bytes, now: float) -> None:
        if line == b"ok" and not self._ok_is_of_resend and self._numbers_told < 2:
            self._answered(now)
            return
        text = line.decode("ascii", "replace")
        while text.startswith("ok") and (first := marlin.joined(text)):
            # The newline between two answers was lost: each counts.
            self._hear(first.encode("ascii", "replace"), now)
            text = text[len(first) :]
        reply = marlin.parse(text, self._texts)
        resent, self._ok_is_of_resend = self._ok_is_of_resend, False
        taken, self._last_taken = self._last_taken, None
        match reply:
            case marlin.Ok():
                if not (resent and reply == marlin.Ok()):
                    self._ok(reply, now)
            case marlin.Resend():
                self._resend(reply.number, taken, now)
            case marlin.Skipped():
                self._skipped(reply.number, now)
            case marlin.Refused():
                self._refused(reply.text, now)
            case marlin.LineError():
                self._last_taken = reply.last
                self._doubt(now)  # in case that the Resend itself gets lost
            case marlin.Measured():
                self._unasked_at = now
                self._measured(reply.temperatures)
            case marlin.Busy():
                self._busy(reply, now)
            case marlin.Waiting():
                self._doubt(now)
            case marlin.Started():
                self._started(now)
            case marlin.Halted():
                self._halted(reply.text)
            case marlin.Firmware():
                self._firmware = reply.name
                self._board = {"uuid": reply.uuid, "machine_type": reply.machine_type}
            case marlin.Capability():
                self._capability(reply)
            case marlin.Position():
                self._placed(reply.axes)
                self._told_place(now)
            case marlin.Setting():
                self._told_setting(reply.line)
                self._said(reply.text, now)
            case marlin.UnknownCommand():
                if not self._echoed(reply.command, now):
                    self._note("machine.unknown_command", reply.command)
            case marlin.Complaint():
                self._note("machine.complaint", reply.text)
                self._doubt(now)
            case Action():
                self._asked_by_machine(reply, now)
            case marlin.Said():
                self._said(reply.text, now)
            case _:
                assert_never(reply)

    @abstractmethod
    def _asked_by_machine(self, action: Action, now: float) -> None:
        """Do what the machine asks of its host, or show what it asks the person."""

    @abstractmethod
    def _halted_for_pause(self, now: float) -> None:
        """Act on the end of all motion before a pause."""

    @abstractmethod
    def _parked(self, now: float) -> None:
        """Act on the end of the way to the parking place."""

    @abstractmethod
    def _gone_on(self, now: float) -> None:
        """Act on the end of the way back."""

    def _answered(self, now: float) -> None:
        window = self._window
        if window.beside and window.beside.answered(window.first):
            self._taken_at, self._knocks = now, 0
            return
        oldest = window.oldest
        if oldest is None:
            return
        asks = not oldest.is_plain and oldest.part in (Part.ASK, Part.LAST)
        if asks and (self._merges or self._echoes):
            # Not the answer to M105, so one too many (of M110, of M108, of a garbled line), or
            # that of a line behind an M105 whose own was lost.
            if self._goal is Goal.HELLO:
                self._bare += 1
            else:
                self._early += 1
            return
        window.answered()
        self._settled([oldest], now)

    def _ok(self, reply: marlin.Ok, now: float) -> None:
        self._taken_at = now
        if reply.temperatures:
            self._measured(reply.temperatures)
            if self._is_taken_only:
                self._doubt(now)  # an answer that has lost its newline before a report
                return
            if self._reports_itself and not self._window.asks_next:
                # Just an ok that has lost its newline before a report, or others were lost: to
                # be told apart by a question with an answer that is nothing of the kind.
                self._answered(now)
                self._place_wanted = bool(self._window.unanswered)
                self._doubt(now)
                return
            lines = self._window.answered_ask()
            if lines is not None:
                self._count_lost(len(lines) - 1)
                self._expect_owed_places()
                if not self._profile.resends and len(lines) > 1:
                    self._lost_answers(lines, now)
                    return
                self._settled(lines, now)
                if self._window.only_asks:
                    # Perhaps it was that to the M105 behind, and the one to this was lost.
                    self._place_wanted = bool(self._window.unanswered)
                    self._doubt(now)
                return
            if self._merges:
                return  # of an M105 given up
        if reply.firmware:
            self._firmware = reply.firmware
        if reply.axes:
            self._placed(reply.axes)
            self._told_place(now)
        if reply.number is not None:
            lines = self._window.answered_through(reply.number)
            if not lines and self._window.beside:
                self._window.beside.answered(self._window.first)
            self._count_lost(max(len(lines) - 1, 0))
            self._numbers_told += bool(lines)
            self._proven = max(self._proven, reply.number if lines else 0)
            if lines and self._profile.fills_queue:
                self._told_places(reply.number, reply.slots_free or 0)
            self._settled(lines, now)
            return
        if self._tells_numbers:
            self._doubt(now)  # of a line without number, or the answer was damaged
            return
        self._answered(now)

    def _count_lost(self, proven: int) -> None:
        """Count the answers of *proven* lines, which an answer of a later line shows to be done.

        What was heard while an M105 was owed is not lost, only nobody knew whose it was.
        """
        self._link.lost += max(proven - self._early, 0)
        self._early = max(self._early - proven, 0) if self._window.unanswered else 0

    def _told_places(self, number: int, free: int) -> None:
        """Learn which lines find a place in the command queue as they come."""
        # The answered line still has its place when it is told, so there is one more; it stays
        # free where a stop must come into the queue to be seen. An answer has no checksum: what
        # is told twice is believed.
        sure, self._places_told = min(free, self._places_told), free
        self._window.place(number + sure + self._emergency_parser)

    def _settled(self, lines: list[Line], now: float) -> None:
        """Act on answered lines."""
        for line in lines:
            if line.place >= 0:
                self._acked = line.place + 1
            if line.part is not Part.ASK:
                self._same_resends = 0
            if not line.is_plain or self._prompting.open is not None:
                self._note_done(line)
        self._strikes = 0
        if self._link.is_narrow:
            self._link.narrowed(self._window.narrow, now)
        self._time_answer(now)
        if self._goal is not Goal.NOTHING:
            last = -1 - self._procedures
            if any(line.place == last and line.part is Part.LAST for line in lines):
                self._reached(now)

    def _note_done(self, line: Line) -> None:
        """Learn from an answered line; not asked about plain moves while no prompt is open."""
        if line.part is Part.PLACE:
            self._expect_owed_places()
        if line.text.startswith(b"G28"):
            named = {axis for axis in "XYZ" if axis in line.text[3:].decode("ascii", "ignore")}
            self._homed_axes |= named or set("XYZ")
            self._homed = len(self._homed_axes) == 3
        elif line.text.startswith((b"M84", b"M18")):
            self._homed = False
            self._homed_axes.clear()
        elif line.text.startswith(b"M113"):
            self._note_busy_pace(line.text)
        if self._is_taken_only:
            self._guard(line)

    def _greeted(self, now: float) -> None:
        """Be ready for work: the firmware has answered all that it was asked."""
        self._echoes = self._is_taken_only and not self._tells_numbers
        if self._echoes:
            # Surplus answers would let lines go before their time; what an M118 echoes tells.
            self._window.lines_max = 1
        self._connected = True
        self._owes_off = False
        self._phase = Phase.IDLE
        self._hellos = self._bare = self._knocks = 0
        self._timers.pop("hello", None)
        self._forget_ring()
        self._kept_settings, self._asks_settings = (), bool(self._profile.ask_settings)
        self._events.append(Connected(self._firmware))
        self._after("poll", self._profile.poll_s, now)
        if self._reports_itself:
            self._extras.append(Line(b"M155 S%d" % max(1, round(self._profile.poll_s))))

    def _guard(self, line: Line) -> None:
        """Let nothing follow a command that waits before it is over, not only taken."""
        if line is GUARD or line.text.startswith(ECHO):
            self._guarded = None
        elif line.alone:
            self._guarded = line
            if self._echoes:
                self._window.insist(self._token())
                return
            for _ in range(self._queue_places):
                self._window.insist(GUARD)

    def _lost_answers(self, lines: list[Line], now: float) -> None:
        """Act on lines without answer before an answered M105, which nobody will resend.

        Either the line was lost or its answer was; for a line of the program that ends it.
        """
        lost = [line for line in lines[:-1] if line.part is not Part.ASK]
        for line in lost:
            if line.part is Part.PROGRAM and self._phase in RUNNING:
                if self._phase is not Phase.CANCELLING:
                    self._fail("machine.line_in_doubt", line.place, "", now)
                    return
            elif line.part is Part.EXTRA and not line.text.startswith((b"G0", b"G1")):
                self._extras.appendleft(line)
                self._note("machine.answer_lost")
        self._settled([line for line in lines if line not in lost], now)

    def _refused(self, text: str, now: float) -> None:
        """A line was not executed: what follows in the program would be another one."""
        oldest = self._window.oldest
        runs = self._phase in (Phase.STREAMING, Phase.PAUSED)
        if runs and oldest is not None and oldest.place >= 0:
            self._fail("machine.refused", oldest.place, text, now)
        else:
            self._note("machine.complaint", text)

    def _reached(self, now: float) -> None:
        """Act on the end of a procedure: all lines before its M105 are done."""
        goal, self._goal = self._goal, Goal.NOTHING
        if self._merges and goal in (Goal.FINISH, Goal.CANCEL) and not self._place_told:
            self._untold += 1
            if self._untold < _UNTOLD_MAX:
                self._procedure(goal, [], now)
                return
        self._untold = 0
        match goal:
            case Goal.HELLO if self._is_taken_only or self._hellos > 1:
                # Answers that nobody waited for would be taken for those of later lines.
                self._timers.pop("hello", None)
                self._after("greeted", _SETTLE * self._hellos, now)
            case Goal.HELLO:
                self._greeted(now)
            case Goal.FINISH:
                self._acked = len(self._program) if self._program else 0
                self._over(Finished())
            case Goal.PAUSE:
                self._goal = Goal.PAUSE
                self._halted_for_pause(now)
            case Goal.PARK:
                self._parked(now)
            case Goal.RETURN:
                self._gone_on(now)
            case Goal.CANCEL:
                self._timers.pop("cancel", None)
                self._over(Cancelled())
            case Goal.NOTHING:
                pass
            case _:
                assert_never(goal)

    def _skipped(self, number: int, now: float) -> None:
        """A copy came too often, or behind a refused line; its `ok` counts for nothing."""
        self._ok_is_of_resend = True
        if number <= self._proven:  # else it may wait for a line before this one
            self._settled(self._window.answered_through(number), now)
        self._doubt(now)

    def _told_place(self, now: float) -> None:
        """Act on the answer to an M114, in their order: what stands before it is done."""
        if not self._places:
            return  # nobody asked: some firmwares tell it after homing
        owed = sum(line.text == WHERE.text for line in self._window.waiting())
        is_older = len(self._places) > owed  # of before the numbers began anew, or one was lost
        self._place_wanted = False
        self._place_told = self._places.popleft() or self._place_told
        # Where nothing is asked for again, a line may just as well be lost.
        if is_older:
            return
        only_asks = not self._profile.resends and self._goal is not Goal.HELLO
        if lines := self._window.answered_before(WHERE.text, only_asks=only_asks):
            self._count_lost(len(lines))
            self._settled(lines, now)

    def _expect_owed_places(self) -> None:
        """An M105 or M114 was answered: what stood before has told its place, or never will."""
        owed = sum(line.text == WHERE.text for line in self._window.waiting())
        while len(self._places) > owed:
            self._places.popleft()

    def _echoed(self, text: str, now: float) -> bool:
        """Act on what a firmware says to M118, or to one that it does not know."""
        found = _ECHOED.fullmatch(text) if self._echoes else None
        if found is None:
            return False
        number = self._window.number_of(b"%s%d" % (ECHO, int(found[1])))
        self._settled(self._window.answered_through(number), now)
        return True

    def _busy(self, reply: marlin.Busy, now: float) -> None:
        self._busy_seen = True
        self._strikes = 0
        self._taken_at = now
        self._patience_until = max(self._patience_until, now + 2.0 * self._answer_s)
        later = max(self._give_up_at, now + self._answer_s + NUDGE)
        self._give_up_at = min(later, self._give_up_last)
        if reply.for_person and self._message != "machine.waits_for_person":
            self._message = "machine.waits_for_person"
            self._note("machine.waits_for_person")

    def _started(self, now: float) -> None:
        self._answer_s = self._profile.answer_s
        self._window.flushed()
        self._window.restart()
        self._forget_ring()
        if self._phase in RUNNING:
            self._fail("machine.reset", self._acked - 1, "start", now)
        elif self._phase in (Phase.STOPPED, Phase.FAULT):
            self._timers.clear()
            self._after("recover", RECOVER, now)
        else:
            if self._phase is Phase.IDLE:
                self._note("machine.booted", "start")
            self._phase = Phase.CONNECTING
            self._connected = False
            self._reset_wire()
            self._hello_at = None
            self._after("hello", _SETTLE, now)

    def _halted(self, text: str) -> None:
        self._stops = 0
        self._timers.pop("stopped", None)
        if self._phase in (Phase.STOPPED, Phase.FAULT):
            return
        if self._phase in RUNNING:
            self._fail("machine.halted", self._acked - 1, text, self._heard_at)
        else:
            self._note("machine.halted", text)
            self._connected = False
            self._reset_wire()
        # Only a reset helps, and its banner will tell.
        self._phase = Phase.STOPPED
        self._stopped = True
        self._timers.clear()

    def _said(self, text: str, now: float) -> None:
        if self._echoed(text, now):
            return
        self._events.append(Said(text))
        if self._looks_damaged(text) or text.startswith(("ok", "o", "k")):
            self._doubt(now)  # probably a damaged ok
