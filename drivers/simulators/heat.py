"""A heater with inertia, its controller and its thermometer."""

from __future__ import annotations

import math

STEP = 0.25  # of the simulation [s]


class Heater:
    """A heated mass that loses heat to the room, read through a slower thermometer.

    :param rise: how far above the room full power would bring it in the end [K].
    :param inertia: time constant of the mass [s].
    :param lag: time constant of the thermometer [s].
    :param maximum: targets above it are cut [°C].
    """

    def __init__(
        self, rise: float, inertia: float, lag: float, maximum: float, room: float = 21.9
    ) -> None:
        self._rise, self._inertia, self._lag, self._room = rise, inertia, lag, room
        self.maximum = maximum
        self.target = 0.0
        self.power = 0.0  # duty, 0 to 1
        self.fault = ""  # "heater": no warmth arrives; "stuck": it reads the same; "runaway"
        self._mass = self._read = room
        self._at = 0.0

    def set_target(self, target: float, now: float) -> None:
        self.advance(now)
        self.target = min(max(target, 0.0), self.maximum)

    def advance(self, now: float) -> None:
        """Let time pass up to `now`."""
        gap = now - self._at
        is_off = not self.target and not self.fault
        if gap > STEP and is_off and abs(self._mass - self._room) < 0.05:
            self._at = now
            self.power = 0.0
            return
        keep, follow = math.exp(-STEP / self._inertia), math.exp(-STEP / self._lag)
        while self._at + STEP <= now:
            self._at += STEP
            self.power = self._duty()
            if self.fault == "runaway":
                self.power = 1.0  # its transistor has failed, and nothing opens the circuit
            arrives = 0.0 if self.fault == "heater" else self.power
            end = self._room + self._rise * arrives
            self._mass = end + (self._mass - end) * keep
            if self.fault != "stuck":
                self._read = self._mass + (self._read - self._mass) * follow

    def _duty(self) -> float:
        """Full power far below the target, what holds it plus a share of the error near it."""
        if not self.target:
            return 0.0
        error = self.target - self._read
        if error > 8.0:
            return 1.0
        holding = (self.target - self._room) / self._rise
        return min(max(holding + 0.08 * error, 0.0), 1.0)

    def temperature(self, now: float) -> float:
        """What the thermometer says [°C]."""
        self.advance(now)
        return self._read
