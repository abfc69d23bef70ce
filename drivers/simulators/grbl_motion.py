"""What G-code does to a simulated Grbl router: motion, offsets, spindle, probe, program end."""

from __future__ import annotations

import math

from drivers.simulators.arcs import chords
from drivers.simulators.firmware import MainProgram, Pause
from drivers.simulators.grbl_blocks import BAD_RADIUS, BAD_TARGET, Line, Modes, read, refusal
from drivers.simulators.grbl_frame import INCH, Execution, GrblFrame, Mode
from drivers.simulators.plant import Vector

PROBE_DEPTH = 5.0  # the probe touches so far below the place of power on [mm]
MOST_PIECES = 5000  # of an arc; a real board would go on for hours


class GrblMotion(GrblFrame):
    """The G-code side of the router."""

    def _gcode(self, text: str) -> Execution:
        line = read(text)
        if isinstance(line, int):
            return line
        error = refusal(line, self.modes)
        if error:
            return error
        inverse = line.groups.get("feed", self.modes.feed_mode) == 93
        feeds = bool(line.axes) and line.groups.get("motion", self.modes.motion) in (1, 2, 3)
        if inverse and feeds and "F" not in line.values:
            return 22
        points = self._points(line)
        if isinstance(points, int):
            return points
        self._set_modes(line)
        if self.mode is Mode.CHECK:
            if points:
                self.planner.settle(points[-1])
            return 0
        yield from self._spindle(line)
        if line.groups.get("non-modal") == 4:
            yield from self._dwell(line.values["P"])
        yield from self._offsets(line)
        yield from self._motion(line, points)
        if "flow" in line.groups:
            yield from self._flow(int(line.groups["flow"]))
        return 0

    def _scale(self, line: Line) -> float:
        return INCH if line.groups.get("units", self.modes.units) == 20 else 1.0

    def _target(self, line: Line) -> Vector:
        """Where the line's axis words lead, in machine coordinates."""
        scale = self._scale(line)
        absolute = line.groups.get("distance", self.modes.distance) == 90
        system = self._systems[int(line.groups.get("system", self.modes.system))]
        is_machine = line.groups.get("non-modal") == 53
        target = list(self.planner.end)
        for axis, name in enumerate("XYZ"):
            if name not in line.values:
                continue
            value = line.values[name] * scale
            if is_machine:
                target[axis] = value
            elif absolute:
                length = self._tool_length if axis == 2 else 0.0
                target[axis] = value + system[axis] + self._g92[axis] + length
            else:
                target[axis] += value
        return tuple(target)

    def _points(self, line: Line) -> list[Vector] | int:
        """The places that the line's motion goes through; an error number if impossible."""
        special = line.groups.get("non-modal")
        if not line.axes or special in (10, 92, 28, 30) or "length" in line.groups:
            return []
        motion = line.groups.get("motion", self.modes.motion)
        target = self._target(line)
        if motion not in (2, 3):
            return [target]
        return self._arc(line, target, clockwise=motion == 2)

    def _arc(self, line: Line, target: Vector, *, clockwise: bool) -> list[Vector] | int:
        plane = int(line.groups.get("plane", self.modes.plane))
        order = {17: (0, 1, 2), 18: (2, 0, 1), 19: (1, 2, 0)}[plane]
        scale = self._scale(line)
        start = self.planner.end
        offsets = [line.values.get(name, 0.0) * scale for name in "IJK"]
        centre = (offsets[order[0]], offsets[order[1]])
        radius = line.values["R"] * scale if "R" in line.values else None
        turned_start = tuple(start[axis] for axis in order)
        turned_end = tuple(target[axis] for axis in order)
        if radius is None:
            from_centre = (
                turned_end[0] - turned_start[0] - centre[0],
                turned_end[1] - turned_start[1] - centre[1],
            )
            r0 = (centre[0] ** 2 + centre[1] ** 2) ** 0.5
            r1 = (from_centre[0] ** 2 + from_centre[1] ** 2) ** 0.5
            if abs(r0 - r1) > 0.005 and abs(r0 - r1) > max(0.5, 0.001 * r0):
                return BAD_TARGET
        points = chords(
            turned_start, turned_end, centre, radius, clockwise=clockwise, count=self._arc_pieces
        )
        if not points:
            return BAD_RADIUS if radius is not None else BAD_TARGET
        back = [order.index(axis) for axis in range(3)]
        return [tuple(point[i] for i in back) for point in points]

    def _arc_pieces(self, radius: float, sweep: float) -> int:
        """How many chords keep within the arc tolerance, `$12`.

        Source: gnea/grbl:grbl/motion_control.c, mc_arc.
        """
        tolerance = self.settings[12]
        sagitta = max(tolerance * (2 * radius - tolerance), 1e-12)
        pieces = math.floor(abs(0.5 * sweep * radius) / math.sqrt(sagitta))
        return min(max(pieces, 1), MOST_PIECES)

    def _set_modes(self, line: Line) -> None:
        m, groups, values = self.modes, line.groups, line.values
        scale = self._scale(line)
        m.units = int(groups.get("units", m.units))
        m.distance = int(groups.get("distance", m.distance))
        m.plane = int(groups.get("plane", m.plane))
        feed_mode = int(groups.get("feed", m.feed_mode))
        if feed_mode != m.feed_mode:
            m.feed_mode, m.feed = feed_mode, 0.0
        if "F" in values:
            m.feed = values["F"] * (scale if m.feed_mode == 94 else 1.0)
        m.tool = int(values.get("T", m.tool))
        m.motion = groups.get("motion", m.motion)
        if "system" in groups and int(groups["system"]) != m.system:
            m.system = int(groups["system"])
            self._tell_offset()
        if groups.get("length") == 49:
            self._tool_length = 0.0
        elif "length" in groups:
            self._tool_length = values["Z"] * scale

    def _tell_offset(self) -> None:
        """The next status report carries the new work offset."""
        self._wco_countdown = 0

    def _spindle(self, line: Line) -> MainProgram:
        m = self.modes
        spindle = int(line.groups.get("spindle", m.spindle))
        coolant = int(line.groups.get("coolant", m.coolant))
        speed = min(line.values.get("S", m.speed), self.settings[30])
        if (spindle, coolant, speed) == (m.spindle, m.coolant, m.speed):
            return
        if not self.settings[32]:  # laser mode changes power without a stop
            yield from self._settle()
        if (spindle, speed) != (m.spindle, m.speed):
            self.record.add(self.now, "spindle", word=f"M{spindle}", speed_rpm=speed)
        m.spindle, m.coolant, m.speed = spindle, coolant, speed

    def _dwell(self, seconds: float) -> MainProgram:
        yield from self._settle()
        if seconds:
            yield Pause(until=self.now + seconds, ready=lambda: False)

    def _offsets(self, line: Line) -> MainProgram:
        special, values = line.groups.get("non-modal"), line.values
        scale = self._scale(line)
        if special == 10:
            number = 53 + int(values["P"]) if values["P"] else self.modes.system
            at = list(self._systems.get(number, (0.0, 0.0, 0.0)))
            for axis, name in enumerate("XYZ"):
                if name in values:
                    value = values[name] * scale
                    at[axis] = (
                        value
                        if values["L"] == 2
                        else (
                            self.planner.end[axis]
                            - self._g92[axis]
                            - value
                            - (self._tool_length if axis == 2 else 0.0)
                        )
                    )
            yield from self._settle()
            self._systems[number] = (at[0], at[1], at[2])
            yield from self._write_eeprom()
            self._tell_offset()
        elif special == 92:
            shift = list(self._g92)
            offset = self._offset()
            for axis, name in enumerate("XYZ"):
                if name in values:
                    base = offset[axis] - self._g92[axis]
                    shift[axis] = self.planner.end[axis] - base - values[name] * scale
            self._g92 = (shift[0], shift[1], shift[2])
            self._tell_offset()
        elif special == 92.1:
            self._g92 = (0.0, 0.0, 0.0)
            self._tell_offset()
        elif special in (28.1, 30.1):
            yield from self._settle()
            x, y, z = self.planner.end
            self._stored[int(special)] = (x, y, z)
            yield from self._write_eeprom()

    # Motion.

    def _motion(self, line: Line, points: list[Vector]) -> MainProgram:
        special = line.groups.get("non-modal")
        if special in (28, 30):
            if line.axes:
                yield from self._plan(self._target(line), is_rapid=True)
            target = list(self.planner.end)
            for axis, name in enumerate("XYZ"):
                if name in line.values or not line.axes:
                    target[axis] = self._stored[int(special)][axis]
            yield from self._plan(tuple(target), is_rapid=True)
            return
        motion = self.modes.motion
        if motion > 38 and points:
            yield from self._seek_contact(points[-1], motion)
            return
        for point in points:
            yield from self._plan(point, is_rapid=motion == 0)

    def _seek_contact(self, target: Vector, motion: float) -> MainProgram:
        """Move until the probe touches; the plane is where the workpiece is imagined."""
        yield from self._settle()
        start = self.planner.end
        plane = -PROBE_DEPTH + self.board.envelope[2] / 2 - self._off[2]
        touches = start[2] > plane >= target[2]
        end = target
        if touches:
            share = (start[2] - plane) / (start[2] - target[2])
            x, y, z = (s + (t - s) * share for s, t in zip(start, target, strict=True))
            end = (x, y, z)
        yield from self._plan(end)
        yield from self._settle()
        self._probe = (end, touches)
        if not touches and motion in (38.2, 38.4):
            self.mode = Mode.ALARM
            self._say("ALARM:5\r\n")
            self.record.add(self.now, "alarm", alarm=5)
        self._say(f"[PRB:{self._triple(end)}:{int(touches)}]\r\n")

    def _flow(self, code: int) -> MainProgram:
        yield from self._settle()
        if code == 0:
            self._hold(Mode.HOLD)
            yield Pause(ready=lambda: self.mode is not Mode.HOLD)
        elif code in (2, 30):
            old = self.modes
            self.modes = Modes(feed=old.feed, tool=old.tool, units=old.units, speed=old.speed)
            self.modes.motion = 1
            self.record.add(self.now, "program-end")
            self._say("[MSG:Pgm End]\r\n")
