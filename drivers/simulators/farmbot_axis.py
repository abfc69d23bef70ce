"""How an axis of a FarmBot moves: each for itself, its speed rising with the steps it has made.

Written from `src/MovementAxis.cpp` (calculateSpeed) and `src/Config.h` as documentation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ramp:
    """One axis on its way.

    :param start: where it begins [steps].
    :param end: where it ends [steps].
    :param slow: speed at both ends [steps/s].
    :param fast: highest speed [steps/s].
    :param ramp: within how many steps it reaches that.
    """

    start: int
    end: int
    slow: float
    fast: float
    ramp: float

    @property
    def _rise(self) -> float:
        return (self.fast - self.slow) / self.ramp if self.fast > self.slow else 0.0

    @property
    def _half(self) -> float:
        """Steps that it speeds up for, and slows down for."""
        return min(self.ramp, abs(self.end - self.start) / 2)

    @property
    def _ramp_time(self) -> float:
        if not self._rise:
            return self._half / self.slow
        # Speed grows linearly with the way, hence exponentially with time.
        return math.log1p(self._rise * self._half / self.slow) / self._rise

    @property
    def _peak(self) -> float:
        return self.slow + self._rise * self._half

    def time(self) -> float:
        """Duration [s].

        >>> Ramp(0, 0, 50, 400, 300).time(), Ramp(0, 100, 50, 50, 300).time()
        (0.0, 2.0)
        """
        cruise = abs(self.end - self.start) - 2 * self._half
        return 2 * self._ramp_time + cruise / self._peak

    def at(self, elapsed: float) -> int:
        """Where it is after *elapsed* seconds [steps].

        >>> axis = Ramp(0, -2000, 50, 400, 300)
        >>> axis.at(0.0), axis.at(axis.time() / 2), axis.at(99.0)
        (0, -1000, -2000)
        """
        total = self.time()
        length = abs(self.end - self.start)
        if elapsed >= total:
            return self.end
        if elapsed <= self._ramp_time:
            way = self._sped(elapsed)
        elif total - elapsed <= self._ramp_time:
            way = length - self._sped(total - elapsed)
        else:
            way = self._half + (elapsed - self._ramp_time) * self._peak
        return self.start + round(math.copysign(way, self.end - self.start))

    def _sped(self, elapsed: float) -> float:
        if not self._rise:
            return self.slow * elapsed
        return self.slow / self._rise * math.expm1(self._rise * elapsed)
