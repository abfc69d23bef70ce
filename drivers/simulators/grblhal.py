"""A simulated grblHAL router: what it adds to Grbl's bytes, states and reports.

Written from grblHAL's wiki ("Changes from grbl 1.1", "For sender developers") and `grblHAL/core`:
`grbl.h` for the bytes, `report.c` for the reports, `stream.c` for what a tool change does.
"""

from __future__ import annotations

import re

from drivers.simulators.firmware import Pause
from drivers.simulators.grbl import GrblSimulator
from drivers.simulators.grbl_frame import Execution, Mode

_ALTERNATES = {0x80: 0x3F, 0x81: 0x7E, 0x82: 0x21}
_TOOL_CHANGE = re.compile(r"M0*6(?!\d)")


class GrblHalSimulator(GrblSimulator):
    """grblHAL 1.1f with a ring of 1024 bytes and a manual tool change."""

    name = "grblhal"
    urgent = re.compile(rb"[?!~\x18\x19\x80-\xff]")
    newline = re.compile(rb"[\r\n?!~\x18\x19\x80-\xff]")
    immediate = b"?!~\x19"
    banner = "\r\nGrblHAL 1.1f ['$' or '$HELP' for help]\r\n"
    longest = 256
    build_info = (
        "[VER:1.1f.20241222:]\r\n[OPT:VNMSL,35,1024,3,0]\r\n"
        "[NEWOPT:ENUMS,RT+,HOME,TC]\r\n[FIRMWARE:grblHAL]\r\n"
    )
    _acknowledged = False
    _is_full = False  # the next report

    def _meaning(self, byte: int) -> int:
        return _ALTERNATES.get(byte, byte)

    def _realtime(self, byte: int) -> None:
        match byte:
            case 0x19:
                self._stop()
            case 0x83:
                self._say(f"[GC:{self._modal_words()}]\r\n")
            case 0x87:
                self._wco_countdown = 0
                self._is_full = True
                super()._realtime(0x3F)
            case 0xA3:
                self._acknowledged = self.mode is Mode.TOOL
            case _:
                super()._realtime(byte)

    def _status(self) -> str:
        report = super()._status()
        if self._is_full and "|Ov:" not in report:
            report = report.replace(">", f"|{'|'.join(self._overrides_told())}>")
        self._is_full = False
        return report

    def _stop(self) -> None:
        """0x19: everything ends where it is, as at a reset, yet without its banner."""
        was_moving = self.planner.is_moving
        self._sync(self.planner.abort(self.now))
        self.ring.data.clear()
        self.record.add(self.now, "stop")
        if self.mode is not Mode.ALARM:
            self.mode = Mode.ALARM if was_moving else Mode.NORMAL
        self._fresh()
        self._restart(self._loop())

    def _cycle_start(self) -> None:
        if self.mode is Mode.TOOL and self._acknowledged:
            self.mode, self._acknowledged = Mode.NORMAL, False
            return
        super()._cycle_start()

    def _obey(self, text: str) -> Execution:
        if text.startswith("$") or not _TOOL_CHANGE.search(text):
            return (yield from super()._obey(text))
        error = yield from super()._obey(_TOOL_CHANGE.sub("", text))
        if not error and self.mode is Mode.NORMAL:
            yield from self._settle()
            self.mode = Mode.TOOL
            self.record.add(self.now, "tool", number=self.modes.tool)
            yield Pause(ready=lambda: self.mode is not Mode.TOOL)
        return error
