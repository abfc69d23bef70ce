"""A simulated FluidNC router: an ESP32 that talks between its answers and has macros on bytes.

Written from `bdring/FluidNC`: `RealtimeCmd.h` for the bytes, `Report.cpp` for the reports;
bdring/FluidNC#1300 for the banner.
"""

from __future__ import annotations

from drivers.simulators.firmware import MainProgram
from drivers.simulators.grbl import GrblSimulator

_MACROS = range(0x87, 0x8B)
_EVERY = 7  # answers between two remarks


class FluidNcSimulator(GrblSimulator):
    """FluidNC 3.7 with 256 bytes a channel."""

    name = "fluidnc"
    banner = "\r\nGrbl 3.7 [FluidNC v3.7.18 (esp32-wifi) '$' for help]\r\n"
    longest = 255
    build_info = "[VER:3.7 FluidNC v3.7.18:]\r\n[OPT:PHS]\r\n[MSG:INFO: Machine: Router]\r\n"
    _remarks = 0

    def _meaning(self, byte: int) -> int:
        if byte in _MACROS:
            self.record.add(self.now, "macro", number=byte - _MACROS.start)
        return byte

    def _acknowledge(self, text: str, error: int) -> None:
        self._remarks += 1
        if self._remarks % _EVERY == 0:
            self._say(f"[MSG:INFO: Channel auto report interval set to {self._remarks} ms]\r\n")
        super()._acknowledge(text, error)

    def _session(self) -> MainProgram:
        """Only a real reset is followed by the banner; 0x18 just ends what was."""
        if self._was_soft:
            self._was_soft = False
            return self._loop()
        return super()._session()

    _was_soft = False

    def _soft_reset(self) -> None:
        self._was_soft = True
        super()._soft_reset()

    def _boot(self) -> None:
        self._was_soft = False
        super()._boot()
