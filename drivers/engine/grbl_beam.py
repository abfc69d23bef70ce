"""A beam of a Grbl is dark while the machine stands in a pause, whoever built it.

In laser mode Grbl puts its spindle stop on a hold by itself (DISABLE_LASER_DURING_HOLD, on in the
delivered build); with a constant power (M3) a build without it burns on where it stands. So a
held beam is looked at, and stopped by the same override, which a cycle start takes back. The byte
for it is a toggle: it may go only where two reports have shown that the beam is on.
"""

from __future__ import annotations

from drivers.dialects import grbl
from drivers.engine.grbl_tools import GrblTools
from drivers.profile import FirmwareProfile

_SURE = 2  # reports at a standstill that show it, before anything is done about it


class GrblBeam(GrblTools):
    """Looks at the beam of a held laser."""

    def __init__(self, profile: FirmwareProfile, now: float) -> None:
        super().__init__(profile, now)
        self._lit = 0  # reports in a row
        self._is_darkened = False  # the override was sent in this pause

    def _look_at_beam(self, status: grbl.Status, now: float) -> None:
        """Take in a report of a machine that is paused."""
        if not self._laser or status.state != "Hold" or status.detail not in (0, None):
            self._lit = 0
            self._is_darkened = self._is_darkened and status.state == "Hold"
            return
        if status.spindle is None:
            return
        self._lit = self._lit + 1 if status.spindle > 0 else 0
        if self._lit < _SURE:
            if self._lit:
                self._after("poll", 0.0, now)
            return
        self._lit = 0
        if self._is_darkened or not self._byte("spindle_toggle"):
            self._fail("machine.beam_stays_on", self._acked - 1, status.state, now)
            return
        self._is_darkened = True
        self._urgent += self._byte("spindle_toggle")
        self._after("poll", 0.1, now)
