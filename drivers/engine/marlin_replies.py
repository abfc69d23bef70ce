"""What a Marlin says, and what follows from it."""

from __future__ import annotations

from abc import abstractmethod
from typing import assert_never

from drivers.dialects import marlin
from drivers.dialects.actions import Action
from drivers.engine.base import RUNNING
from drivers.engine.marlin_wire import ASK, NUDGE, Goal, MarlinWire
from drivers.flow import Line, Part
from drivers.profile import Flow
from drivers.snapshot import (
    Cancelled,
    Connected,
    Finished,
    Phase,
    Resent,
    Said,
    TemperatureRead,
)

RECOVER = 2.0  # from a failure to the next hello [s]
_SETTLE = 0.3  # quiet after a boot banner before the first word to it [s]
_RESEND_GRACE = 0.03  # for stale lines in converters and drivers [s]
_RESENDS_MAX = 20  # of the same line


class MarlinReplies(MarlinWire):
    """Acts on each line that was received."""

    def _hear(self, line: bytes, now: float) -> None:
        if line == b"ok" and not self._ok_is_of_resend:
            self._answered(now)
            return
        reply = marlin.parse(line.decode("ascii", "replace"))
        resent, self._ok_is_of_resend = self._ok_is_of_resend, False
        taken, self._last_taken = self._last_taken, None
        match reply:
            case marlin.Ok():
                if not (resent and reply == marlin.Ok()):
                    self._ok(reply, now)
            case marlin.Resend():
                self._resend(reply.number, taken, now)
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
                # In mid-program it is old before anyone has read it.
                self._position = {} if self._phase is Phase.STREAMING else dict(reply.axes)
            case marlin.UnknownCommand():
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
        oldest = self._window.oldest
        if oldest is None:
            return
        if oldest.part in (Part.ASK, Part.LAST) and self._merges:
            # Not the answer to M105, so one too many: of M110, of M108, of a garbled line.
            self._bare += 1
            return
        self._window.answered()
        self._settled([oldest], now)

    def _ok(self, reply: marlin.Ok, now: float) -> None:
        if reply.temperatures:
            self._measured(reply.temperatures)
            self._ask_heard_at = now
            lines = self._window.answered_ask()
            if lines is not None:
                self._settled(lines, now)
                if self._window.only_asks:
                    self._doubt(now)
                return
            if self._merges:
                return  # of an M105 given up
        if reply.number is not None:
            self._settled(self._window.answered_through(reply.number), now)
            return
        self._answered(now)

    def _settled(self, lines: list[Line], now: float) -> None:
        """Act on answered lines."""
        for line in lines:
            if line.place >= 0:
                self._acked = line.place + 1
            if line.part is not Part.ASK:
                self._same_resends = 0
            if line.text.startswith(b"G28"):
                self._homed = True
            elif line.text.startswith((b"M84", b"M18")):
                self._homed = False
        self._strikes = 0
        if self._window.unanswered:
            # One stall must not teach patience; a slow stretch of the program may.
            took = min(now - self._answered_at, 2.0 * self._pace + 0.01)
            self._pace += (took - self._pace) / 8.0
            self._await_answer(now)
        else:
            self._timers.pop("answer", None)
        self._answered_at = now
        if lines and lines[-1].place == -1 - self._procedures and lines[-1].part is Part.LAST:
            self._reached(now)

    def _reached(self, now: float) -> None:
        """Act on the end of a procedure: all lines before its M105 are done."""
        goal, self._goal = self._goal, Goal.NOTHING
        match goal:
            case Goal.HELLO:
                self._connected = True
                self._phase = Phase.IDLE
                self._hellos = self._bare = 0
                self._timers.pop("hello", None)
                self._events.append(Connected(self._firmware))
                self._after("poll", self._profile.poll_s, now)
                if self._reports_itself:
                    self._extras.append(Line(b"M155 S%d" % max(1, round(self._profile.poll_s))))
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

    def _resend(self, number: int, taken: int | None, now: float) -> None:
        self._ok_is_of_resend = True
        if self._phase in (Phase.FAULT, Phase.STOPPED):
            return
        if taken is not None and taken + 1 != number:
            # One of the two numbers was damaged on the way; the next one will tell.
            self._doubt(now)
            return
        if taken == 0 and self._phase in RUNNING and self._acked > 0:
            # It counts from the beginning although it has answered lines of this program: it
            # has restarted without a word, and would do again what it has done.
            self._fail("machine.reset", self._acked - 1, f"Resend: {number}", now)
            return
        self._same_resends += 1
        stale = self._window.resend(number)
        if stale is None:
            self._unknown_resend(number, now)
            return
        self._timers.pop("doubt", None)
        self._resends += 1
        if self._phase is Phase.CANCELLING:
            self._window.drop_program()
        again = self._window.again
        if again is not None and again.place >= 0:
            self._acked = min(self._acked, again.place)
        self._events.append(Resent(self._file_line(again)))
        if self._same_resends > _RESENDS_MAX:
            index = again.place if again is not None else -1
            self._fail("machine.resend_loop", index, f"Resend: {number}", now)
            return
        self._clean = True
        self._window.ask_first(ASK)
        if stale:
            # Stale lines still arrive and are refused one by one. Let them pass, or the
            # firmware throws the repeated line away together with them.
            wire_time = stale * 10.0 / self._profile.baud
            self._hold_until = now + _RESEND_GRACE + wire_time
            self._after("hold", _RESEND_GRACE + wire_time, now)

    def _unknown_resend(self, number: int, now: float) -> None:
        if self._same_resends < 3:
            self._doubt(now)
        elif self._phase in RUNNING:
            self._fail("machine.reset", -1, f"Resend: {number}", now)
        else:
            self._phase = Phase.CONNECTING
            self._hello(now)

    def _file_line(self, line: Line | None) -> int:
        if line is None or line.place < 0 or self._program is None:
            return 0
        return self._program.source_line(line.place)

    def _measured(self, temperatures: marlin.Temperatures) -> None:
        self._temperatures |= temperatures
        self._events.append(TemperatureRead(dict(temperatures)))

    def _busy(self, reply: marlin.Busy, now: float) -> None:
        self._busy_seen = True
        self._strikes = 0
        self._patience_until = max(self._patience_until, now + 2.0 * self._profile.answer_s)
        self._give_up_at = max(self._give_up_at, now + self._profile.answer_s + NUDGE)
        if reply.for_person and self._message != "machine.waits_for_person":
            self._message = "machine.waits_for_person"
            self._note("machine.waits_for_person")

    def _started(self, now: float) -> None:
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
        # Only a reset helps, and its banner will tell.
        self._phase = Phase.STOPPED
        self._stopped = True
        self._timers.clear()

    def _capability(self, reply: marlin.Capability) -> None:
        if reply.name == "AUTOREPORT_TEMP":
            self._reports_itself = reply.present
        elif reply.name == "EMERGENCY_PARSER" and self._profile.flow is Flow.NUMBERED_WINDOW:
            self._emergency_parser = reply.present
            # It sees a stop even behind a full command queue.
            self._window.lines_max = 1_000 if reply.present else self._lines_max

    def _said(self, text: str, now: float) -> None:
        self._events.append(Said(text))
        if len(text) < 5 or text.startswith(("ok", "o", "k")):
            self._doubt(now)  # probably a damaged ok
