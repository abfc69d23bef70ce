"""The engine for Grbl and its kin: character counting, realtime bytes, feed hold and reset."""

from __future__ import annotations

from collections import deque
from itertools import islice, takewhile
from typing import assert_never

from drivers.dialects import grbl
from drivers.engine.base import RUNNING
from drivers.engine.grbl_acts import POLL_HAND, Step
from drivers.engine.grbl_ends import NO_BANNER, POLL_HOLD, POLL_IDLE, GrblEnds
from drivers.express import Heard, Lane
from drivers.flow import Line, Part
from drivers.profile import FirmwareProfile
from drivers.snapshot import Finished, Phase, Resumed, Said

_CHUNK = 4096  # most bytes handed out at a time
_IDLE_MAX = 12  # idle reports while an answer is owed, until it counts as lost
_LOCKED = frozenset({"Alarm", "Sleep"})  # no run goes on from these without a person
_RUNNING_SURE = 2  # reports of motion in a row that a pause ends with
_LOCKED_SURE = 2  # reports of these in a row, for a report has no checksum


class GrblEngine(GrblEnds):
    """Stream to a Grbl, which has neither numbers nor checksums: one doubt ends the program."""

    def __init__(self, profile: FirmwareProfile, now: float) -> None:
        super().__init__(profile, now)
        self._idle_seen = 0
        self._locked_seen = 0
        self._running_seen = 0  # reports of motion in a pause
        self._resumes = 0  # reports without a hold until a cycle start has surely helped
        self._repeats = False  # of a cycle start that may have come too early

    # -- out --------------------------------------------------------------------------------

    def data_to_send(self, now: float) -> bytes:
        """Return bytes of the ordinary lane that fit the firmware; the caller writes all."""
        was_owed = len(self._flow)
        parts: list[bytes] = []
        size = 0
        while size < _CHUNK and (line := self._next(now)) is not None:
            wire = self._flow.send(line)
            parts.append(wire)
            size += len(wire)
        if not was_owed and parts:
            self._await_answer(now)
        if self._phase is Phase.STREAMING:
            self._mark_starving(not len(self._flow) and bool(self._ahead), now)
        return b"".join(parts)

    def _next(self, now: float) -> Line | None:
        if self._extras:
            return self._extras.popleft() if self._flow.may_send(self._extras[0]) else None
        if self._phase is not Phase.STREAMING:
            return None
        line = self._next_of_program()
        if line is None or not self._flow.may_send(line) or self._too_long(line, now):
            return None
        if self._change is not None or self._is_change(line):
            return None  # until all before it is made: see `_status_of_run`
        self._idle_seen = 0
        return self._take_of_program()

    def lane(self) -> Lane | None:
        """Return the express lane if the program streams and all else rests."""
        at_rest = self._step is Step.NOTHING and self._change is None and not self.flush_first
        if self._program is None or not at_rest or not self._is_clear:
            return None
        if len(self._ahead) < self._stretch:
            self._read_ahead(self._program)
        plain = list(takewhile(lambda line: line.is_plain, islice(self._ahead, self._stretch)))
        return self._flow.lane(plain, self._lane_until())

    def _landed(self, lane: Lane, heard: list[Heard], moves: list[Line]) -> None:
        self._flow.land(lane, moves)
        self._idle_seen = 0
        self._await_answer(next(wake.at for wake in reversed(heard) if wake.answers))

    # -- commands ---------------------------------------------------------------------------

    def connect(self, now: float) -> None:
        """Begin the conversation anew; a running program fails."""
        self._fail("machine.reconnected", -1, "", now)
        self._phase = Phase.CONNECTING
        self._connected = False
        self._timers.clear()
        self._forget()
        self._step = Step.HELLO
        self._after("hello", self._profile.boot_wait_s, now)

    def _begin(self, now: float) -> None:
        self._idle_seen = self._locked_seen = 0
        self._paused_said = False
        self._step = Step.NOTHING
        if self._state == "Alarm":
            self._extras.extend(self._lines(self._profile.homing))
        self._after("poll", 0.0, now)

    def _halt(self, now: float) -> None:
        self._resumes = 0
        self._paused_said = False
        self._urgent += self._byte("hold")
        self._mark_starving(False, now)
        self._after("poll", POLL_HOLD, now)
        self._after("hold", self._profile.cancel_s, now)

    def resume(self, now: float) -> bool:
        """Go on after a pause, or with the tool that a person has put in."""
        if self._phase is Phase.PAUSED and self._change is not None and self._change.is_ready:
            return self._resume_change(self._change, now)
        # One that is not ready yet goes on to become so.
        return super().resume(now)

    def read_offsets(self, now: float) -> bool:
        """Ask an idle controller for its offsets; `Snapshot.offsets_seq` grows with the answer."""
        if self._phase is not Phase.IDLE or self._state not in ("Idle", "Check"):
            return False
        self._offsets = {}
        self._extras.extend(self._line(line, Part.EXTRA) for line in (b"$G", b"$#"))
        self._soon(now)
        return True

    def _go_on(self, now: float) -> None:
        # Not heard while it still slows down: then repeated, once, when it stands. A hold after
        # that is somebody else's. A report may be older than the hold that it does not tell yet.
        self._resumes = 2
        self._repeats = not self._paused_said
        self._urgent += self._byte("resume")
        self._timers.pop("hold", None)
        self._idle_seen = 0
        self._await_answer(now)

    # -- in ---------------------------------------------------------------------------------

    def _hear(self, line: bytes, now: float) -> None:
        reply = grbl.OK if line == b"ok" else grbl.parse(line.decode("ascii", "replace"))
        match reply:
            case grbl.Answered():
                self._answered(reply.code, now)
            case grbl.Status():
                self._status(reply, now)
            case grbl.Started():
                self._started(reply.firmware, now)
            case grbl.Alarm():
                self._alarm(reply.code, now)
            case grbl.Options():
                self._take_options(reply)
            case grbl.Setting():
                self._take_setting(reply)
            case grbl.Version():
                self._firmware = f"Grbl {reply.text}"
                self._board = {"info": reply.text}
            case grbl.Message():
                self._note("machine.says", reply.text)
            case grbl.Modes():
                self._take_modes(reply)
            case grbl.Offset():
                self._offsets[reply.name] = reply.values
            case grbl.Said():
                self._looks_damaged(reply.text)
                self._events.append(Said(reply.text))
            case _:
                assert_never(reply)

    def _answered(self, code: int, now: float) -> None:
        line = self._flow.answered()
        if len(self._flow):
            self._await_answer(now)
        else:
            self._timers.pop("answer", None)
        if line is None:
            return
        self._jog_answered(line)
        if code and (line.place >= 0 or line.text in self._ours):
            # Without its spindle, or at another height, the program would be another one.
            self._fail("machine.error", line.place, f"error:{code}", now)
            return
        self._line_answered(line)
        self._idle_seen = 0
        self._change_answered(line, now)
        if not code and line.text == b"$#":
            self._offsets_seq += 1
        if not code and line.text == b"$H":
            self._homed = True
        if self._step is Step.ASKED and line.part is Part.LAST:
            self._ready(now)
        elif self._step is Step.OFF and not len(self._flow) and not self._extras:
            self._made_safe(now)
        elif code and self._phase is Phase.STREAMING and line.text in self._homing_lines():
            self._fail("machine.not_homed", -1, f"error:{code}", now)
        elif code and line.text and self._step is Step.NOTHING:
            self._note("machine.refused", f"{line.text.decode('ascii', 'replace')}: error:{code}")

    def _homing_lines(self) -> deque[bytes]:
        return deque(text.encode("ascii", "ignore") for text in self._profile.homing)

    def _status(self, status: grbl.Status, now: float) -> None:
        self._take_status(status, now)
        if len(status.offset) >= 3:
            self._offset = status.offset[:3]
        if len(status.position) >= 3:
            back = (0.0, 0.0, 0.0) if status.is_machine else self._offset
            spots = zip("XYZ", status.position, back, strict=False)
            self._position = {axis: value + by for axis, value, by in spots}
        if status.spindle is not None:
            self._spindle_on = status.spindle > 0
        if self._step is Step.HELLO:
            self._unheard = 0
            self._introduce(now)
        elif self._step is Step.HOLDING:
            if status.state in ("Idle", "Alarm", "Check", "Sleep", "Tool") or _at_rest(status):
                self._reset(now)
        elif self._step is Step.RESETTING:
            if now >= self._reset_at + NO_BANNER and status.state in ("Idle", "Alarm"):
                self._flow.clear()
                self._switch_off(now)
        elif self._phase in RUNNING and self._is_locked(status):
            if status.state == "Alarm":
                self._take_alarm(0)  # which one it was, was not heard
            self._fail("machine.alarm", self._acked - 1, status.state, now)
        elif self._phase is Phase.PAUSED:
            if not self._paused_said and (_at_rest(status) or status.state == "Idle"):
                self._paused_said = True
                self._timers.pop("hold", None)
                self._paused()
            self._look_at_beam(status, now)
            self._look_whether_it_runs(status, now)
        elif self._phase is Phase.STREAMING:
            self._status_of_run(status, now)

    def _look_whether_it_runs(self, status: grbl.Status, now: float) -> None:
        """Go on where a person has pressed the machine's own cycle start: it moves already."""
        runs = self._paused_said and self._change is None and status.state == "Run"
        self._running_seen = self._running_seen + 1 if runs else 0
        if self._running_seen < _RUNNING_SURE:
            return
        self._running_seen = 0
        self._phase = Phase.STREAMING
        self._message = ""
        self._events.append(Resumed())
        self._idle_seen = 0
        self._await_answer(now)

    def _is_locked(self, status: grbl.Status) -> bool:
        """Tell whether it has locked itself although its `ALARM:` was not heard.

        A report may be older than the homing that unlocks it, so one that is owed is waited for.
        """
        homes = {*self._homing_lines()}
        owed = (self._flow.oldest, *self._extras)
        if status.state not in _LOCKED or any(line and line.text in homes for line in owed):
            self._locked_seen = 0
            return False
        self._locked_seen += 1
        return self._locked_seen >= _LOCKED_SURE

    def _status_of_run(self, status: grbl.Status, now: float) -> None:
        self._look_at_halt(status)
        if status.state != "Idle":
            self._idle_seen = 0
            code = "machine.tool_change" if status.state == "Tool" else "machine.held"
            if self._resumes and status.state == "Hold":
                if status.detail == 0 and self._repeats:
                    self._repeats = False
                    self._urgent += self._byte("resume")
                elif not self._repeats:
                    self._resumes -= 1
                return
            self._resumes = max(0, self._resumes - 1)
            if status.state in ("Hold", "Door", "Tool") and self._message != code:
                self._message = code
                self._note(code, status.state)
            elif status.state == "Run":
                self._message = ""
            return
        self._idle_seen += 1
        following = self._next_of_program()
        if self._is_change(following) and following is not None:
            if not self._change and not len(self._flow) and self._idle_seen >= 2:
                self._begin_change(following)
            return
        if self._extras or following is not None:
            return
        if not len(self._flow) and self._idle_seen >= 2:
            self._acked = len(self._program) if self._program else 0
            self._over(Finished())
            self._after("poll", POLL_IDLE, now)

    def _started(self, firmware: str, now: float) -> None:
        if not self._firmware.startswith("Grbl 1.1h"):
            self._firmware = firmware
        self._spindle_on = False
        self._controller = ""
        if self._step is Step.RESETTING:
            self._state = "Reset"
            self._flow.clear()
            self._switch_off(now)
        elif self._phase in RUNNING:
            self._homed = False
            self._state = "Reset"
            self._fail("machine.reset", self._acked - 1, firmware, now)
        elif self._phase in (Phase.CONNECTING, Phase.IDLE):
            # A reset that a person asked for keeps the place; one without a cause does not.
            self._homed = self._homed and self._step is Step.HELLO
            self._critical = False
            if self._phase is Phase.IDLE:
                self._note("machine.booted", firmware)
            self._phase = Phase.CONNECTING
            self._connected = False
            self._forget()
            self._step = Step.HELLO
            self._after("hello", 0.1, now)

    def _alarm(self, code: int, now: float) -> None:
        self._take_alarm(code)
        if self._phase in RUNNING and self._step is Step.NOTHING:
            self._fail("machine.alarm", self._acked - 1, f"ALARM:{code}", now)
        elif self._step is Step.HOLDING:
            self._reset(now)
        elif self._step is Step.NOTHING and self._phase is Phase.IDLE:
            self._stopped = True
            self._note("machine.alarm", f"ALARM:{code}")

    # -- time -------------------------------------------------------------------------------

    def _await_answer(self, now: float) -> None:
        expected = self._expected_time(self._flow.oldest)
        self._timers["answer"] = now + self._profile.answer_s + expected

    def _ring(self, name: str, now: float) -> None:
        match name:
            case "hello":
                self._hello(now)
            case "poll":
                self._poll(now)
            case "answer":
                self._unanswered(now)
            case "hold":
                self._not_at_rest(now)
            case "banner":
                self._switch_off(now)
            case "off":
                self._flow.clear()
                self._extras.clear()
                self._made_safe(now)
            case "recover":
                self._phase = Phase.CONNECTING
                self._hello(now)

    def _poll(self, now: float) -> None:
        holding = self._step is Step.HOLDING or self._phase is Phase.PAUSED
        hasty = self._step is Step.RESETTING or self._wanted
        if hasty or (holding and not self._paused_said):
            every = POLL_HOLD
        elif self._phase in RUNNING:
            every = self._profile.poll_s
        elif self._jogs or self._state in ("Jog", "Run", "Hold", "Home", "Door"):
            every = POLL_HAND
        else:
            every = POLL_IDLE
        self._after("poll", every, now)
        if self._wanted:
            self._ask_all()
        else:
            self._urgent += self._status_byte
        if self._critical:
            return  # mute until its reset, which a person has to ask for
        patience = self._profile.silence_s + self._expected_time(self._flow.oldest)
        if now - self._heard_at > patience and self._step is Step.NOTHING:
            if self._phase in RUNNING:
                oldest = self._flow.oldest
                index = oldest.place if oldest is not None else -1
                self._fail("machine.silent", index, "", now)
            elif self._connected:
                self._note("machine.silent")
                self.connect(now)

    def _unanswered(self, now: float) -> None:
        """An answer is overdue; while it moves, that is only a long move."""
        if self._phase is not Phase.STREAMING:
            return
        if self._idle_seen >= _IDLE_MAX:
            oldest = self._flow.oldest
            index = oldest.place if oldest is not None else -1
            self._fail("machine.answer_lost", index, "", now)
            return
        self._after("answer", self._profile.poll_s * _IDLE_MAX, now)

    def _not_at_rest(self, now: float) -> None:
        """The standstill was not confirmed in time."""
        if self._step is Step.HOLDING:
            self._reset(now)
        elif self._phase is Phase.PAUSED and not self._paused_said:
            self._paused_said = True
            self._paused()


def _at_rest(status: grbl.Status) -> bool:
    # Door:1 stands as well, with the door still open; Door:2 and 3 move, and so does Hold:1.
    rests = (0, 1, None) if status.state == "Door" else (0, None)
    return status.state in ("Hold", "Door") and status.detail in rests
