"""What a person may have a Marlin do by hand: jog, home, heat, overrides, and break a wait."""

from __future__ import annotations

import math
from collections import deque
from itertools import pairwise

from drivers.acts import Act, Order, Reach, length, outside
from drivers.engine.base import UNHOMED_JOG
from drivers.engine.marlin_replies import MarlinReplies
from drivers.engine.marlin_wire import Goal
from drivers.flow import Line, Part
from drivers.profile import FirmwareProfile
from drivers.snapshot import Phase

STEP_TIME = 0.25  # of one step of a jog [s]
_STEPS_AHEAD = 2  # on their way; a cancel leaves these to be driven
_SWITCHES = {
    **{b"G90": ("relative", False), b"G91": ("relative", True)},
    **{b"M82": ("e-relative", False), b"M83": ("e-relative", True)},
    **{b"G20": ("inches", True), b"G21": ("inches", False)},
}
_OVERRIDES = {b"M220": "feed", b"M221": "flow"}
_WORD = {Act.FEED: "M220", Act.FLOW: "M221"}
_HEATERS = {"nozzle": "M104", "bed": "M140"}
_LIVE = frozenset({Act.FEED, Act.FLOW})


class MarlinActs(MarlinReplies):
    """A jog is cut into short relative steps, a few of them ahead, so that a cancel is felt."""

    def __init__(self, profile: FirmwareProfile, now: float) -> None:
        super().__init__(profile, now)
        self._steps: deque[dict[str, float]] = deque()
        self._feedrate = 0.0
        self._modes = {"relative": False, "e-relative": False, "inches": False}
        self._settings_told = {"homes_axes": True}

    # -- what is legal ----------------------------------------------------------------------

    def acts(self) -> frozenset[Act]:
        """Return what a person may have the machine do in its present state."""
        match self._phase:
            case Phase.STREAMING:
                if self._message == "machine.waits_for_person":
                    return _LIVE | {Act.RESUME}
                oldest = self._window.oldest
                waits = oldest is not None and oldest.alone and not oldest.text.startswith(b"G")
                may_skip = waits and self._profile.break_wait
                return _LIVE | ({Act.HOLD, Act.SKIP_WAIT} if may_skip else {Act.HOLD})
            case Phase.PAUSED:
                return _LIVE | {Act.RESUME} | self._heating()
            case Phase.IDLE if self._connected:
                return _LIVE | self._heating() | self._by_hand()
        return frozenset()

    def _heating(self) -> set[Act]:
        return {Act.HEAT} if self._profile.heats else set()

    def _by_hand(self) -> set[Act]:
        quick = {Act.QUICK_STOP} if self._emergency_parser else set()
        if self._steps:
            return {Act.JOG_CANCEL} | quick
        if self._is_moving_by_hand():
            return quick
        return {Act.JOG, Act.HOME, Act.OFF}

    def _is_moving_by_hand(self) -> bool:
        """Tell whether a move by hand, or where it has led, is still unanswered."""
        owed = (*self._extras, *self._window.waiting())
        return any(line.text.startswith((b"G", b"M114", b"M410")) for line in owed)

    # -- acts -------------------------------------------------------------------------------

    def _act(self, order: Order, reach: Reach, now: float) -> str:
        match order.act:
            case Act.HOLD:
                self.pause(now)
            case Act.RESUME:
                self.resume(now)
            case Act.FEED | Act.FLOW:
                self._say(f"{_WORD[order.act]} S{order.percent}")
            case Act.HEAT:
                self._say(f"{_HEATERS[order.heater]} S{order.target:.0f}")
            case Act.OFF:
                self._extras.extend(self._lines(self._profile.switch_off))
            case Act.HOME:
                self._homed = False
                self._homed_axes -= set(order.axes or "XYZ")
                self._position = {}
                axes = "".join(f" {axis}" for axis in "XYZ" if axis in order.axes)
                self._say(f"G28{axes}", "M114")
            case Act.SKIP_WAIT:
                self._break_wait()
            case Act.QUICK_STOP:
                self._steps.clear()
                self._extras.clear()
                self._say("M410", "M114")
            case Act.JOG:
                return self._jog(order, reach, now)
            case Act.JOG_CANCEL:
                self._end_jog()
            case _:
                return "host.not_now"
        return ""

    def _jog(self, order: Order, reach: Reach, now: float) -> str:
        if self._homed and set(order.axes) <= set(self._position):
            if outside(order, self._position, reach):
                return "host.out_of_reach"
        elif max(abs(by) for by in order.axes.values()) > UNHOMED_JOG:
            return "host.not_homed"
        count = max(1, math.ceil(length(order) / (order.feedrate * STEP_TIME)))
        # Rounded places, not rounded steps: so the sum is what was asked for.
        places = [
            {axis: round(by * part / count, 3) for axis, by in order.axes.items()}
            for part in range(count + 1)
        ]
        self._steps.extend(
            {axis: b[axis] - a[axis] for axis in b if b[axis] != a[axis]}
            for a, b in pairwise(places)
        )
        self._feedrate = order.feedrate
        self._position = {}  # until M114 tells it
        for _ in range(_STEPS_AHEAD):
            self._step()
        self._after("jog", STEP_TIME, now)
        return ""

    def _reset_wire(self) -> None:
        self._steps.clear()  # of a jog that ended with the conversation, or with a stop
        self._timers.pop("jog", None)
        super()._reset_wire()

    def _step(self) -> None:
        """Send one step; each leaves the modes as it found them, whatever comes after."""
        if not self._steps:
            return
        by = " ".join(f"{axis}{amount:.3f}" for axis, amount in self._steps.popleft().items())
        modes = self._modes
        before = ["G21"] if modes["inches"] else []
        after = [] if modes["relative"] else ["G90", "M83" if modes["e-relative"] else ""]
        after += ["G20"] if modes["inches"] else []
        self._say(*before, "G91", f"G1 {by} F{self._feedrate * 60.0:.0f}", *after)
        if not self._steps:
            self._say("M114")

    def _end_jog(self) -> None:
        if self._steps:
            self._steps.clear()
            self._timers.pop("jog", None)
            self._say("M410" if self._emergency_parser else "", "M114")

    def _say(self, *texts: str) -> None:
        self._extras.extend(self._lines(text for text in texts if text))

    # -- what comes back --------------------------------------------------------------------

    def _ring(self, name: str, now: float) -> None:
        if name == "jog" and self._phase is Phase.IDLE and self._goal is Goal.NOTHING:
            self._step()
            if self._steps:
                self._after("jog", STEP_TIME, now)

    def _note_done(self, line: Line) -> None:
        # A step of a jog, which is none of the program's, leaves what it found.
        if line.text in _SWITCHES and line.part is Part.PROGRAM:
            name, on = _SWITCHES[line.text]
            self._modes[name] = on
            if name == "relative":
                self._modes["e-relative"] = on  # both words set the extruder too
        elif line.text[:4] in _OVERRIDES:
            self._note_override(line.text)
        super()._note_done(line)

    def _note_override(self, text: bytes) -> None:
        for word in text.split()[1:]:
            if word[:1] in b"Ss" and word[1:].isdigit():
                self._overrides[_OVERRIDES[text[:4]]] = int(word[1:])

    def _started(self, now: float) -> None:
        self._homed = False
        self._homed_axes.clear()
        self._steps.clear()
        self._modes = dict.fromkeys(self._modes, False)
        self._overrides = {"feed": 100, "flow": 100}
        super()._started(now)
