"""The engine for FarmBot: one command at a time, each with a number, each read back."""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from drivers.acts import Act, Order, Reach, outside
from drivers.dialects import farmbot, farmbot_lines
from drivers.dialects.farmbot import Why
from drivers.engine.base import RUNNING, UNHOMED_JOG
from drivers.engine.farmbot_wire import FarmBotWire, Owed
from drivers.flow import Line, Part, Program
from drivers.snapshot import LOCKED, Cancelled, Connected, Finished, Phase, Said, Snapshot

_SETTLE = 0.3  # after a boot line [s]
_STOP_AGAIN = 1.0  # until E is repeated: a command that only waits throws it away [s]
_RECOVER = 1.0  # from a confirmed stop to the next conversation [s]
_HELLO_AGAIN = 1.0
_HELLO_BYTES = 12  # with newlines and Q
_CONFIG_OK = 2  # the parameter that approves all others
# Refused while locked, harmless if not: so the answer tells whether a stop has arrived.
_PROOF = b"F42 P13 M0"
_UNLOCK = "F09"
_HOME = {"X": "F11", "Y": "F12", "Z": "F13"}
_HOMING = frozenset(_HOME.values())
_STEPS_PER_MM = (5.0, 5.0, 25.0)  # of the axes, as delivered
_CODES = {
    Why.INVALID: "machine.refused",
    Why.LOCKED: "machine.halted",
    Why.NOT_CONFIGURED: "machine.not_configured",
}


class FarmBotEngine(FarmBotWire):
    """Stream to a FarmBot: what is in doubt ends the program and locks the machine."""

    # -- commands ---------------------------------------------------------------------------

    def connect(self, now: float) -> None:
        """Begin the conversation anew; a running program fails."""
        self._fail("machine.reconnected", -1, "", now)
        self._phase = Phase.CONNECTING
        self._connected = False
        self._timers.clear()
        self._forget()
        self._urgent.clear()
        self._after("hello", self._profile.boot_wait_s, now)

    def _hello(self, now: float) -> None:
        self._phase = Phase.CONNECTING
        self._forget()
        if not self._fits(_HELLO_BYTES):
            self._after("hello", _HELLO_AGAIN, now)  # it will say something when it can hear
            return
        self._is_dirty = True
        self._extras.append(Line(b"F83", Part.ASK))
        self._after("watch", self._profile.poll_s, now)

    def start(self, program: Program, now: float, run: str = "") -> bool:
        """Begin to stream; a locked machine waits until a person has unlocked it."""
        return not self._is_locked and super().start(program, now, run)

    def snapshot(self, now: float) -> Snapshot:
        """Return the state at this instant."""
        state = super().snapshot(now)
        return replace(state, controller=LOCKED) if self._is_locked else state

    def _begin(self, now: float) -> None:  # noqa: ARG002 (the seam's shape)
        self._trouble = ""
        if not self._is_configured:
            self._extras.extend(self._lines(self._profile.homing))

    def _halt(self, now: float) -> None:  # noqa: ARG002 (the seam's shape)
        # It cannot stand still within a move but by losing the move.
        self._pause_due = True
        if self._owed is None and not self._extras:
            self._rest()

    def _go_on(self, now: float) -> None:  # noqa: ARG002 (the seam's shape)
        self._pause_due = False

    def _wind_down(self, now: float) -> None:
        if self._owed is not None and self._owed.line.part is Part.PROGRAM:
            self._urgent += b"@"
            self._is_dirty = True  # if the move had just ended, it stays before the next line
        self._extras.extend(self._lines(self._profile.switch_off))
        self._after("cancel", self._profile.cancel_s, now)
        if self._owed is None and not self._extras:
            self._rest()

    def _emergency(self, now: float) -> None:
        self._forget()
        self._stops = 0
        self._lock(now)

    def _make_safe(self, now: float) -> None:
        self._connected = False
        self._emergency(now)

    # -- by hand ----------------------------------------------------------------------------

    def acts(self) -> frozenset[Act]:
        """Return what a person may have the machine do in its present state."""
        if self._phase is not Phase.IDLE or not self._connected:
            return frozenset()
        if self._is_locked:
            return frozenset({Act.UNLOCK})
        if self._moves_by_hand():
            return frozenset({Act.JOG_CANCEL})
        jog = {Act.JOG} if set(self._position) >= {"X", "Y", "Z"} else set()
        return frozenset({Act.HOME, Act.OFF} | jog)

    def _moves_by_hand(self) -> bool:
        """Tell whether a jog or homing that a person asked for is under way."""
        owed = self._owed
        if owed is None or owed.line.place >= 0:
            return False
        return owed.target is not None or farmbot_lines.commands(owed.line.text)[0] in _HOMING

    def _act(self, order: Order, reach: Reach, now: float) -> str:  # noqa: ARG002 (the seam)
        match order.act:
            case Act.UNLOCK:
                lines = [_UNLOCK]
            case Act.JOG:
                return self._jog(order, reach)
            case Act.JOG_CANCEL:
                self._urgent += b"@"
                self._is_dirty = self._aborts = True
                return ""
            case Act.HOME:
                # The tool goes out of the way first.
                lines = [_HOME[axis] for axis in "ZYX" if not order.axes or axis in order.axes]
            case _:
                lines = list(self._profile.switch_off)
        self._extras.extend(self._lines(lines))
        return ""

    def _jog(self, order: Order, reach: Reach) -> str:
        """Move to a place that lies so far from here; an axis that is not named would go to 0."""
        if self._extras or self._owed is not None:
            return "host.too_far_ahead"
        if self._homed:
            if outside(order, self._position, reach):
                return "host.out_of_reach"
        elif max(abs(by) for by in order.axes.values()) > UNHOMED_JOG:
            return "host.not_homed"
        places = (f"{axis}{self._position[axis] + order.axes.get(axis, 0.0):.2f}" for axis in "XYZ")
        # Speeds in steps as the robot is delivered; they only ever slow it down.
        speeds = (
            f"{letter}{max(1, round(order.feedrate * steps))}"
            for letter, steps in zip("ABC", _STEPS_PER_MM, strict=True)
        )
        self._extras.extend(self._lines([" ".join(("G00", *places, *speeds))]))
        return ""

    def _lock(self, now: float) -> None:
        """Say E, and a command that only a locked machine refuses."""
        self._stops += 1
        self._is_dirty = True
        proof = b"%s Q%d\n" % (_PROOF, self._next_q())
        stop = self._profile.emergency.encode("latin-1") + proof
        # The first goes out whatever happens; more than its ring holds would not help.
        if self._stops == 1 or self._fits(len(stop)):
            self._urgent += self._counted(stop)
        self._after("stopped", _STOP_AGAIN, now)

    # -- in ---------------------------------------------------------------------------------

    def _hear(self, line: bytes, now: float) -> None:
        self._unheard = 0
        reply = farmbot.parse(line.decode("ascii", "replace"))
        match reply:
            case farmbot.Heard():
                self._read_back(reply.text, now)
            case farmbot.Begun() | farmbot.Running() | farmbot.Homed():
                self._sign_of_life(reply, now)
                self._note_homed()
            case farmbot.Finished():
                self._finished(reply.q, now)
            case farmbot.Failed():
                self._ended_badly(reply, now)
            case farmbot.Refused():
                self._refused(reply, now)
            case farmbot.Idle():
                self._is_locked = False
                self._idle(now)
            case farmbot.Position():
                self._position = {"X": reply.x, "Y": reply.y, "Z": reply.z}
                self._place_heard(reply.q, now)
            case farmbot.Booted():
                self._booted(reply, now)
            case _:
                self._told(reply)

    def _note_homed(self) -> None:
        if self._owed is not None and self._owed.homed:
            self._homed_axes |= set(self._owed.homed)
            self._homed = len(self._homed_axes) == 3

    def _told(
        self,
        reply: farmbot.Shortened
        | farmbot.TimedOut
        | farmbot.Parameter
        | farmbot.Version
        | farmbot.Comment
        | farmbot.Said,
    ) -> None:
        """Take in what changes nothing at once."""
        match reply:
            case farmbot.Shortened():
                self._note("machine.says", f"{reply.axis} ends at {reply.at:g} mm")
                if self._owed is not None and self._owed.target is not None:
                    self._owed.target[reply.axis] = reply.at
            case farmbot.TimedOut():
                self._trouble = f"R7{'XYZ'.index(reply.axis) + 1} "
            case farmbot.Parameter():
                if reply.number == _CONFIG_OK:
                    self._is_configured = reply.value == 1.0
            case farmbot.Version():
                self._firmware = f"FarmBot {reply.text}"
            case farmbot.Comment():
                self._events.append(Said(reply.text))
            case farmbot.Said():
                self._looks_damaged(reply.text)
                self._events.append(Said(reply.text))
            case _:
                assert_never(reply)

    def _ended_badly(self, reply: farmbot.Failed, now: float) -> None:
        owed = self._owed
        if owed is None or owed.q != reply.q:
            return
        if self._phase is Phase.CANCELLING or (self._aborts and owed.line.place < 0):
            self._aborts = False
            self._settled(owed, now)
        elif owed.line.place >= 0:
            text = f"{self._trouble}R03 V{reply.code}"
            self._fail("machine.error", owed.line.place, text, now)
        else:
            self._note("machine.refused", f"{owed.text}: R03 V{reply.code}")
            self._settled(owed, now)

    def _refused(self, reply: farmbot.Refused, now: float) -> None:
        was_locked = self._is_locked
        self._is_locked = self._is_locked or reply.why is Why.LOCKED
        if self._phase in (Phase.STOPPED, Phase.FAULT):
            if reply.why is Why.LOCKED and "recover" not in self._timers:
                self._timers.clear()
                self._after("recover", _RECOVER, now)
            return
        owed = self._owed
        if owed is not None and owed.q == reply.q and owed.q:
            if owed.line.place >= 0 and self._phase is not Phase.CANCELLING:
                code = _CODES[reply.why]
                self._fail(code, owed.line.place, f"{owed.text}: {reply.why}", now)
                return
            if owed.line.part is not Part.LAST:
                self._note("machine.refused", f"{owed.text}: {reply.why}")
            self._settled(owed, now)
        elif reply.why is Why.LOCKED and not was_locked:
            # Somebody pressed the button, or a damaged byte was an E.
            if self._phase in RUNNING:
                index = owed.line.place if owed is not None else -1
                self._fail("machine.halted", index, "R87", now)
            elif self._phase is Phase.IDLE:
                self._stopped = True
                self._note("machine.halted", "R87")

    def _booted(self, reply: farmbot.Booted, now: float) -> None:
        self._is_locked = self._is_dirty = self._homed = False
        self._homed_axes.clear()
        wait = _SETTLE if reply.is_ready else self._profile.boot_wait_s
        if self._phase in RUNNING:
            index = self._owed.line.place if self._owed is not None else self._acked - 1
            self._fail("machine.reset", index, "", now)
        elif self._phase in (Phase.STOPPED, Phase.FAULT):
            self._timers.clear()
            self._after("recover", wait, now)
        else:
            if self._phase is Phase.IDLE:
                self._note("machine.booted", "R99")
            self._connected = False
            self._phase = Phase.CONNECTING
            self._forget()
            self._timers.clear()
            self._after("hello", wait, now)

    # -- what follows -----------------------------------------------------------------------

    def _settled(self, owed: Owed, now: float) -> None:
        """A command is over; go on with what the phase wants."""
        self._owed = self._question = None
        self._timers.pop("answer", None)
        self._line_answered(owed.line)
        if farmbot_lines.commands(owed.line.text) == ["F9"]:
            self._is_locked = False
        if owed.line.part is Part.ASK:
            # The last tells whether it is locked, which it would not say by itself for seconds.
            self._extras.append(Line(b"F21 P%d" % _CONFIG_OK, Part.EXTRA))
            self._extras.append(Line(_PROOF, Part.LAST))
        elif owed.line.part is Part.LAST:
            self._ready(now)
        elif not self._extras:
            self._rest()

    def _ready(self, now: float) -> None:
        self._connected = True
        self._phase = Phase.IDLE
        self._events.append(Connected(self._firmware))
        self._after("watch", self._profile.poll_s, now)

    def _rest(self) -> None:
        """Nothing is owed and nothing waits: what was that the end of?"""
        if self._phase is Phase.CANCELLING:
            self._timers.pop("cancel", None)
            self._over(Cancelled())
        elif self._phase is Phase.PAUSED and self._pause_due:
            self._pause_due = False
            self._paused()
        elif self._phase is Phase.STREAMING and self._next_of_program() is None:
            self._acked = len(self._program) if self._program else 0
            self._over(Finished())

    # -- time -------------------------------------------------------------------------------

    def _ring(self, name: str, now: float) -> None:
        match name:
            case "hello":
                self._hello(now)
            case "answer":
                self._unanswered(now)
            case "watch":
                self._watch(now)
            case "cancel":
                self._unconfirmed(now)
            case "stopped":
                self._lock(now)
            case "recover":
                self._hello(now)

    def _watch(self, now: float) -> None:
        self._after("watch", self._profile.poll_s, now)
        owed = self._owed
        patience = self._profile.silence_s + (self._expected_time(owed.line) if owed else 0.0)
        if now - self._heard_at <= patience:
            return
        if self._phase in RUNNING:
            self._fail("machine.silent", owed.line.place if owed else -1, "", now)
        elif self._connected:
            self._note("machine.silent")
            self.connect(now)

    def _lost(self, owed: Owed, now: float) -> None:
        """Nobody can say whether a command was executed: it is not sent again."""
        if self._phase is Phase.CONNECTING:
            self._hello(now)
        elif self._phase is Phase.CANCELLING:
            self._unconfirmed(now)
        elif self._phase in RUNNING:
            self._fail("machine.answer_lost", owed.line.place, owed.text, now)
        else:
            self._note("machine.no_answer", owed.text)
            self._settled(owed, now)

    def _unconfirmed(self, now: float) -> None:
        self._fail("machine.cancel_unconfirmed", -1, "", now)

    def _garbled(self, owed: Owed, text: str, now: float) -> None:
        """It obeys another line than was sent: stop it before it has gone far."""
        if self._phase is Phase.CANCELLING:
            self._unconfirmed(now)
        elif self._phase in RUNNING:
            self._fail("machine.garbled", owed.line.place, text[:100], now)
        elif self._phase is Phase.IDLE:
            self._note("machine.garbled", text[:100])
            self.stop(now)
