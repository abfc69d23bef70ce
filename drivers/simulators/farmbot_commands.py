"""What the commands of a simulated FarmBot do: moves, homing, pins, settings, reports, the lock."""

from __future__ import annotations

from collections.abc import Generator, Mapping

from drivers.simulators.farmbot_axis import Ramp
from drivers.simulators.firmware import Firmware, Pause
from drivers.simulators.plant import Limits, Vector

MOVES = frozenset({"G00", "G01", "F11", "F12", "F13", "F14", "F15", "F16"})
TELL_S = 0.1  # between two reports of a move; the firmware counts 300 turns of its loop
DEBOUNCE_MM = 10.0  # how far homing moves away before it seeks its zero again
STOPPED, TIMEOUT, ABORTED = 1, 2, 5
# The settings that matter here, as the firmware has them at first; but approved.
# Source: src/Config.h; README.md, "Arduino parameter numbers".
DEFAULTS = {
    2: 1, 3: 1, 4: 0, 5: 3, 11: 120, 12: 120, 13: 120, 41: 300, 42: 300, 43: 300, 51: 0, 52: 0,
    53: 1, 55: 5, 56: 5, 57: 25, 61: 50, 62: 50, 63: 50, 65: 50, 66: 50, 67: 50, 71: 400, 72: 400,
    73: 400, 141: 0, 142: 0, 143: 0, 145: 0, 146: 0, 147: 0,
}  # fmt: skip

Values = Mapping[str, float]
Command = Generator[Pause, None, int]  # ends with the error, 0 for none


class FarmBotCommands(Firmware):
    """Everything between R01 and R02."""

    def _power_on(self) -> None:
        stored = {int(key): int(value) for key, value in self.board.settings.items()}
        self.parameters: dict[int, int] = {**DEFAULTS, **stored}
        self.is_locked = False
        self.pins: dict[int, int] = {}
        self._steps = [0, 0, 0]
        self._q = 0
        self._lock_due = False
        self._is_moving = False
        self._stopped_by = ""

    @property
    def limits(self) -> Limits:
        # Each axis has its ramp; the planner of the other firmwares stays empty here.
        return Limits((1.0, 1.0, 1.0), (1.0, 1.0, 1.0))

    def _alarm(self) -> None:
        """The button: the lock, and the end of a move."""
        self._lock_due = True
        if self._is_moving:
            self._stopped_by = "E"

    def _tick(self, timer: str) -> None:
        """No timers here."""

    def _place(self, target: Vector) -> Vector:
        """Return the carriage's place; an axis whose home is up counts down from it."""
        return tuple(-at if self.parameters[51 + axis] else at for axis, at in enumerate(target))

    def _attempts(self, head: str, values: Values) -> Command:
        error = 0
        for attempt in range(max(self.parameters[5], 1)):
            if attempt:
                self._say(f"R07 Q{self._q}\r\n")
            error = yield from self._execute(head, values)
            if error in (0, TIMEOUT) or self._stopped_by:
                break
        self._stopped_by = ""
        return error

    def _execute(self, head: str, values: Values) -> Command:
        match head:
            case "G00":
                return (yield from self._move([values.get(axis, 0.0) for axis in "XYZ"], values))
            case "G28":
                x, y, _ = self._millimetres()
                for target in ([x, y, 0.0], [x, 0.0, 0.0], [0.0, 0.0, 0.0]):
                    error = yield from self._move(target, {})
                    if self._stopped_by:
                        return error
                return error
            case "F11" | "F12" | "F13":
                return (yield from self._home(int(head[2]) - 1))
            case "F14" | "F15" | "F16":
                return (yield from self._calibrate(int(head[2]) - 4))
            case "F44":
                yield from self._pulse(values)
            case "F41":
                self._set_pin(int(values.get("P", 0)), int(values.get("V", 0)))
            case _:
                self._quick(head, values)
        return 0

    def _quick(self, head: str, values: Values) -> None:
        number = int(values.get("P", 0))
        match head:
            case "F09":
                self.is_locked = self._lock_due = False
                self.record.add(self.now, "unlocked")
            case "F20":
                self._list_parameters()
                self._say(f"R20 Q{self._q}\r\n")
            case "F21":
                self._tell_parameter(number)
            case "F22":
                if number in self.parameters:
                    self.parameters[number] = int(values.get("V", 0))
                    self.record.add(
                        self.now, "settings", word=f"{number}={self.parameters[number]}"
                    )
                self._tell_parameter(number)
            case "F42":
                self._say(f"R41 P{number} V{self.pins.get(number, 0)} Q{self._q}\r\n")
            case "F81":
                self._say("home\r\n" + self._ends_report())
            case "F82":
                self._say(self._place_report())
            case "F83":
                self._say(f"R83 6.6.23.R.simulated Q{self._q}\r\n")
            case "F84":
                for axis, letter in enumerate("XYZ"):
                    if values.get(letter) == 1.0:
                        self._steps[axis] = 0
                        self._say(f"R99 Will zero {letter}")
                self._say(f" Q{self._q}\r\n")

    # Moves.

    def _move(self, target: list[float], values: Values, home: int = -1) -> Command:
        """Move every axis, each for itself; `home` only that one, to its end stop."""
        began = self.now
        is_jammed = "jam" in self.faults.at_line(self.executed + 1)
        ramps = [self._ramp(axis, target[axis], values, home) for axis in range(3)]
        ends = began + max(ramp.time() for ramp in ramps)
        gives_up = began + self.parameters[11]
        self._is_moving, self._stopped_by = True, ""
        tell_at, turn = began + TELL_S, 0
        error = 0
        self._say(self._ends_report())
        while not error and (is_jammed or self.now < ends):
            wake = gives_up if is_jammed else min(ends, gives_up)
            yield Pause(until=min(wake, tell_at), ready=lambda: bool(self._stopped_by), idle=True)
            if not is_jammed:
                self._steps = [ramp.at(self.now - began) for ramp in ramps]
            if self._stopped_by:
                error = self._cut()
            elif self.now >= gives_up:
                error = TIMEOUT
                self._say("R71\r\nR99 timeout X axis\r\n")
            elif self.now >= tell_at:
                if turn % 4 < 2:
                    self._say(f"R04 Q{self._q}\r\n" if not turn % 4 else self._place_report())
                tell_at, turn = tell_at + TELL_S, turn + 1
        self._is_moving = False
        self._arrived(home, error)
        return error

    def _ramp(self, axis: int, target: float, values: Values, home: int) -> Ramp:
        parameters, start = self.parameters, self._steps[axis]
        end = int(target * parameters[55 + axis])
        if home >= 0:
            end = 0 if home == axis else start
        elif parameters[141 + axis] and parameters[145 + axis]:
            most = parameters[141 + axis]
            clipped = min(max(end, -most if parameters[51 + axis] else 0), most)
            if clipped != end:
                end = clipped
                place = end // parameters[55 + axis]
                self._say(f"R1{5 + axis} {'XYZ'[axis]}{place} Q{self._q}\r\n")
        asked = values.get("ABC"[axis], 0.0)
        fast = parameters[71 + axis]
        fast = int(asked) if 0 < asked < fast else fast
        slow = min(parameters[61 + axis], fast)
        return Ramp(start, end, max(slow, 1), max(fast, 1), max(parameters[41 + axis], 1))

    def _cut(self) -> int:
        """A byte has ended the move; the motors stop where they are."""
        if self._stopped_by == "E":
            self._say(f"R87 Q{self._q}\r\nR99 emergency stop\r\n")
            self._lock_due = True
            return STOPPED
        self._say(f"R86 Q{self._q}\r\nR99 movement abort\r\n")
        return ABORTED

    def _arrived(self, home: int, error: int) -> None:
        self._say("R99 stopped\r\n")
        if home >= 0 and not error:
            self._say(f"R1{1 + home} Q{self._q}\r\n")
        self._say(self._ends_report())
        self._say(self._place_report())
        self._say(f"R84 X0.00 Y0.00 Z0.00 Q{self._q}\r\n")
        self._say(f"R99 error {error}\r\n")
        self._reached(tuple(self._millimetres()))

    def _home(self, axis: int) -> Command:
        """Go to zero, away, and back until the end stop answers."""
        away = -DEBOUNCE_MM if self.parameters[51 + axis] else DEBOUNCE_MM
        for target, home in ((0.0, -1), (away, -1), (0.0, axis)):
            place = self._millimetres()
            place[axis] = target
            yield from self._move(place, {}, home)
            if self._stopped_by:
                return ABORTED if self._stopped_by == "@" else STOPPED
        self._steps[axis] = 0
        self.record.add(self.now, "homed", axes="XYZ"[axis])
        return 0

    def _calibrate(self, axis: int) -> Command:
        """Seek both ends of an axis and note how long it is."""
        self._say("R99 == Calibration start ==\r\n")
        steps = int(self.board.envelope[axis] * self.parameters[55 + axis])
        one_way = steps / max(self.parameters[65 + axis], 1)
        self._is_moving, self._stopped_by = True, ""
        for status in (1, 2):
            self._say(f"R06 {'XYZ'[axis]}{status} Q{self._q}\r\n")
            until = self.now + one_way
            while self.now < until and not self._stopped_by:
                tell_at = min(self.now + TELL_S, until)
                yield Pause(until=tell_at, ready=lambda: bool(self._stopped_by), idle=True)
                self._say(f"R04 Q{self._q}\r\n")
        self._is_moving = False
        if self._stopped_by:
            return self._cut()
        self.parameters[141 + axis] = steps
        self._say(f"R23 P{141 + axis} V{steps:.2f} Q{self._q}\r\nR99 calibration complete\r\n")
        self._steps[axis] = 0
        return 0

    def _pulse(self, values: Values) -> Generator[Pause, None, None]:
        pin = int(values.get("P", 0))
        self._set_pin(pin, int(values.get("V", 0)))
        # The processor does nothing but wait: bytes fill its ring meanwhile.
        yield Pause(until=self.now + values.get("T", 0.0) / 1000.0)
        self._set_pin(pin, int(values.get("W", 0)))

    # Pins, the lock, reports.

    def _set_pin(self, pin: int, value: int) -> None:
        if 0 < pin <= 69:
            self.pins[pin] = value
            self.record.add(self.now, "pin", pin=pin, value=value)

    def _engage_lock(self) -> None:
        """The safe state: motors off, every pin that was set goes low."""
        self._lock_due = False
        if self.is_locked:
            return
        self.is_locked = True
        self.record.add(self.now, "locked")
        for pin in sorted(self.pins):
            self._say(f"R99 resetting digital pin{pin}\r\nR41 P{pin} V0 Q{self._q}\r\n")
            self._set_pin(pin, 0)

    def _millimetres(self) -> list[float]:
        return [steps / self.parameters[55 + axis] for axis, steps in enumerate(self._steps)]

    def _place_report(self) -> str:
        x, y, z = self._millimetres()
        return f"R82 X{x:.2f} Y{y:.2f} Z{z:.2f} Q{self._q}\r\n"

    def _ends_report(self) -> str:
        return f"R81 XA0 XB0 YA0 YB0 ZA0 ZB0 Q{self._q}\r\n"

    def _tell_parameter(self, number: int) -> None:
        if number in self.parameters:
            self._say(f"R21 P{number} V{self.parameters[number]} Q{self._q}\r\n")
        else:
            self._say("R99 Error: invalid parameter id\r\n")

    def _list_parameters(self) -> None:
        for number in self.parameters:
            self._tell_parameter(number)
