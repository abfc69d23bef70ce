"""A tool change on a Grbl that knows no M6: stop before it, make it safe, wait for a person.

The M6 never goes on the wire. Everything before it is made; then the spindle rises and stops,
and the pause says which tool comes next. A person changes it, may jog and touch off, and says
*go on*: up again, back over the place, spindle on as before, a while to spin up, down, the modes
as they were, and the program goes on.

A machine that has not homed knows no height that is free, and a beam none that matters: these do
not drive across. They go on only from over the place, to which a person has jogged them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from drivers.dialects import grbl
from drivers.engine.grbl_acts import GrblActs, Step
from drivers.flow import Line, Part
from drivers.profile import FirmwareProfile
from drivers.snapshot import Paused, PauseStep, Phase, Resumed

_M6 = re.compile(rb"M\s*0*6(?![\d.])", re.IGNORECASE)
_T = re.compile(rb"T\s*(\d+)", re.IGNORECASE)
_NEAR = 0.05  # from the place where the program left it: jogs round to steps [mm]


@dataclass(slots=True)
class _Change:
    """One tool change on its way.

    :param modes: the words of `$G` before it, by letter and number.
    :param place: X, Y, Z in machine coordinates before it [mm].
    :param work_z: Z in work coordinates before it, as the program counts [mm].
    """

    tool: int
    modes: tuple[str, ...] = ()
    place: dict[str, float] = field(default_factory=dict)
    work_z: float | None = None
    is_ready: bool = False  # a person may change it
    lines: frozenset[bytes] = frozenset()  # of ours, none of which may be refused


class GrblTools(GrblActs):
    """Holds a program before its M6, unless the firmware changes tools itself."""

    def __init__(self, profile: FirmwareProfile, now: float) -> None:
        super().__init__(profile, now)
        self._change: _Change | None = None
        self._offset: tuple[float, ...] = (0.0, 0.0, 0.0)
        self._ours: frozenset[bytes] = frozenset()

    def _is_change(self, line: Line | None) -> bool:
        """Tell whether the program may not go beyond *line* yet."""
        return (
            line is not None
            and line.part is Part.PROGRAM
            and b"M" in line.text
            and not self._profile.changes_tools
            and _M6.search(line.text) is not None
        )

    def _begin_change(self, line: Line) -> None:
        """All before it is made and the machine stands: ask how things are."""
        named = _T.search(line.text)
        self._change = _Change(int(named[1]) if named else -1)
        self._extras.append(self._line(b"$G", Part.LAST))

    def _take_modes(self, modes: grbl.Modes) -> None:
        self._modes_told = modes.words
        if self._change is None or self._change.modes:
            return
        self._change.modes = modes.words
        if self._change.tool < 0:
            told = [word[1:] for word in modes.words if word[:1] == "T"]
            self._change.tool = int(told[0]) if told and told[0].isdecimal() else 0

    def _change_answered(self, line: Line, now: float) -> None:
        """Act on the answer to the last line of a step."""
        change = self._change
        if change is None or line.part is not Part.LAST or self._step is not Step.NOTHING:
            return
        if not change.lines:
            self._retract(change)
        elif not change.is_ready:
            change.is_ready = True
            self._tool = change.tool
            self._phase = Phase.PAUSED
            self._paused_said = True
            self._pause_step = PauseStep.TOOL_CHANGE
            self._message = "machine.tool_change"
            self._events.append(Paused("tool-change"))
            self._soon(now)

    def _retract(self, change: _Change) -> None:
        change.place = dict(self._position)
        if "Z" in self._position:
            change.work_z = self._work_z()
        up = self._profile.park if self._drives_back else ()
        self._send_ours(change, [*up, "M5", "M9", "G4 P0.01"])

    def _send_ours(self, change: _Change, texts: Sequence[str]) -> None:
        *lines, last = (text.encode("ascii") for text in texts)
        self._ours = change.lines = frozenset((*lines, last))
        self._extras.extend(self._line(line, Part.EXTRA) for line in lines)
        self._extras.append(self._line(last, Part.LAST))

    @property
    def _drives_back(self) -> bool:
        return self._homed and not self._laser

    def _way_back(self) -> Mapping[str, float]:
        """Return how far a person has to jog each axis before it may go on [mm]."""
        change = self._change
        if change is None or not change.is_ready or self._drives_back:
            return {}
        ways = {
            axis: change.place[axis] - self._position[axis]
            for axis in "XY"
            if axis in change.place and axis in self._position
        }
        return {axis: way for axis, way in ways.items() if abs(way) > _NEAR}

    def _resume_change(self, change: _Change, now: float) -> bool:
        """Go on with the new tool; False if it would go on from another place."""
        if self._way_back() or self._state == "Jog" or self._jogs:
            return False
        self._send_ours(change, self._back(change))
        self._drop_change_word()
        self._change = None
        self._tool = 0
        self._pause_step = self._message = ""
        self._phase = Phase.STREAMING
        self._events.append(Resumed())
        self._soon(now)
        return True

    def _back(self, change: _Change) -> list[str]:
        words = set(change.modes)
        lines = ["G21 G90"]
        place = change.place
        # The same height in the program's own zero, which the new tool was touched off to.
        height = "" if change.work_z is None or self._laser else f"G0 Z{change.work_z:.3f}"
        if self._drives_back and {"X", "Y"} <= set(place):
            lines += [*self._profile.park, f"G53 G0 X{place['X']:.3f} Y{place['Y']:.3f}"]
        elif height and change.work_z is not None and self._work_z() < change.work_z:
            # From a touched surface: up before it turns.
            lines.append(height)
        speed = next((word for word in change.modes if word[:1] == "S"), "S0")
        turns = next((word for word in ("M3", "M4") if word in words), "")
        if turns:
            lines.append(f"{turns} {speed}")
        if turns and not self._laser:
            lines.append(f"G4 P{self._profile.spin_up_s:g}")  # a beam would burn there
        lines += [word for word in ("M7", "M8") if word in words]
        lines += [height] if height else []
        feed = next((word for word in change.modes if word[:1] == "F"), "")
        lines += [feed] if feed and float(feed[1:] or 0) > 0 else []
        lines += [word for word in ("G20", "G91", "G93") if word in words]
        motion = next((word for word in ("G0", "G1") if word in words), "G1")
        return [*lines, motion]

    def _work_z(self) -> float:
        return self._position.get("Z", 0.0) - self._offset[2]

    def _drop_change_word(self) -> None:
        """Take the M6 out of its line: what else stands there is sent."""
        line = self._next_of_program()
        assert line is not None
        rest = _M6.sub(b"", line.text).strip()
        if rest:
            self._ahead[0] = line._replace(text=rest)
            return
        self._take_of_program()
        self._acked = self._cursor

    def _program_over(self) -> None:
        self._forget_change()
        super()._program_over()

    def _forget_change(self) -> None:
        self._change = None
        self._ours = frozenset()
        self._tool = 0
        self._pause_step = ""
