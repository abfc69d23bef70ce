"""The router behind a simulated Grbl: settings, coordinates and the way into the planner."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Generator
from enum import StrEnum

from drivers.simulators.firmware import Firmware, MainProgram, Pause
from drivers.simulators.grbl_blocks import Modes
from drivers.simulators.grbl_settings import stock
from drivers.simulators.plant import Limits, Vector

Execution = Generator[Pause, None, int]  # returns the error number

MOVE_S = 0.0038
EEPROM_S = 0.044  # interrupts are off: bytes that come meanwhile are lost
INCH = 25.4
ORIGIN: Vector = (0.0, 0.0, 0.0)
CORNER = 5.0  # an unhomed carriage stands so far inside the corner of its envelope [mm]


class Mode(StrEnum):
    """What Grbl is doing, as far as it is not told by the planner."""

    NORMAL = "normal"
    ALARM = "Alarm"
    CHECK = "Check"
    HOMING = "Home"
    HOLD = "Hold"
    DOOR = "Door"
    SLEEP = "Sleep"
    TOOL = "Tool"  # grblHAL waits for a tool


class GrblFrame(Firmware):
    """What Grbl knows of its machine."""

    mode: Mode
    _is_jogging: bool
    _interrupts_off: bool
    _wco_countdown: int  # status reports until the next one with the work offset

    @abstractmethod
    def _fail(self, alarm: int) -> None:
        """A limit: stop at once, say so and wait for 0x18."""

    @abstractmethod
    def _hold(self, mode: Mode) -> None:
        """Brake and wait for cycle start."""

    def _load_settings(self) -> None:
        if hasattr(self, "settings"):
            return  # they live in the EEPROM
        self.settings: dict[int, float] = stock(self.board.envelope)
        for key, value in self.board.settings.items():
            self.settings[int(key)] = value
        self._systems: dict[int, Vector] = dict.fromkeys(range(54, 60), ORIGIN)
        self._stored = {28: (0.0, 0.0, 0.0), 30: (0.0, 0.0, 0.0)}
        self._carriage: Vector = (CORNER, CORNER, self.board.envelope[2] / 2)

    def _power_on(self) -> None:
        # Machine zero is wherever the carriage stands.
        self._off: Vector = self._carriage
        self._probe: tuple[Vector, bool] = ((0.0, 0.0, 0.0), False)

    def _modes_reset(self) -> None:
        self.modes = Modes()
        self._g92: Vector = (0.0, 0.0, 0.0)
        self._tool_length = 0.0

    @property
    def limits(self) -> Limits:
        s = self.settings
        return Limits((s[110] / 60, s[111] / 60, s[112] / 60), (s[120], s[121], s[122]), s[11])

    def _place(self, target: Vector) -> Vector:
        self._carriage = tuple(t + o for t, o in zip(target, self._off, strict=True))
        return self._carriage

    def _sync(self, here: Vector) -> None:
        self.planner.settle(here)
        self._place(here)

    def _offset(self) -> Vector:
        system = self._systems[self.modes.system]
        x, y, z = (s + g for s, g in zip(system, self._g92, strict=True))
        return x, y, z + self._tool_length

    def _triple(self, values: Vector) -> str:
        scale = INCH if self.settings[13] else 1.0
        digits = 4 if self.settings[13] else 3
        return ",".join(f"{value / scale:.{digits}f}" for value in values)

    def _modal_words(self) -> str:
        m = self.modes
        flow = f" M{m.flow}" if m.flow else ""
        return (
            f"G{m.motion:g} G{m.system} G{m.plane} G{m.units} G{m.distance} G{m.feed_mode}"
            f"{flow} M{m.spindle} M{m.coolant} T{m.tool} F{m.feed:.0f} S{m.speed:.0f}"
        )

    def _parameters(self) -> str:
        lines = [f"[G{n}:{self._triple(at)}]" for n, at in self._systems.items()]
        lines += [f"[G{n}:{self._triple(at)}]" for n, at in self._stored.items()]
        place, touched = self._probe
        lines += [
            f"[G92:{self._triple(self._g92)}]",
            f"[TLO:{self._triple((self._tool_length,))}]",
            f"[PRB:{self._triple(place)}:{int(touched)}]",
        ]
        return "".join(f"{line}\r\n" for line in lines)

    def _settle(self) -> MainProgram:
        """Wait until nothing moves and nothing is held."""
        self.planner.release(self.now)
        yield Pause(ready=lambda: self.planner.is_idle and self.mode is not Mode.HOLD)

    def _is_outside(self, target: Vector) -> bool:
        travel = (self.settings[130], self.settings[131], self.settings[132])
        return any(not -reach <= at <= 0 for at, reach in zip(target, travel, strict=True))

    def _plan(self, target: Vector, *, is_rapid: bool = False, speed: float = 0.0) -> MainProgram:
        planner = self.planner
        if self.settings[20] and self._is_outside(target):
            if planner.is_moving:
                planner.hold(self.now)
                yield Pause(ready=lambda: planner.is_held or planner.is_idle)
            self._fail(2)
            yield Pause(ready=lambda: False)
        if not planner.free:
            planner.release(self.now)
            yield Pause(ready=lambda: planner.free > 0)
        yield self._busy(MOVE_S)
        if not speed:
            speed = 1e4 if is_rapid else self._speed(target)
        planner.add(target, speed, is_rapid=is_rapid)

    def _speed(self, target: Vector) -> float:
        if self.modes.feed_mode == 94:
            return self.modes.feed / 60
        delta = math.dist(target, self.planner.end)
        return delta * self.modes.feed / 60

    def _write_eeprom(self, blocks: int = 1) -> MainProgram:
        self._interrupts_off = True
        yield self._busy(EEPROM_S * blocks)
        self._interrupts_off = False
