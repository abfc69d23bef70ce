"""A simulated Duet: a damaged line is dropped without a word, and no number is compared.

Written from `src/GCodes/GCodeBuffer/StringParser.cpp`, `GCodes/GCodeInput.cpp` and
`GCodes::HandleReply` of RepRapFirmware 3 as documentation. Its USB port answers as Marlin
does (`M555 P2`); `M575 P0 S1` has it drop lines without a checksum.
"""

from __future__ import annotations

import re

from drivers.simulators.faults import Faults
from drivers.simulators.firmware import NEVER, Board, MainProgram, Pause, Record
from drivers.simulators.marlin_commands import Execution, MarlinCommands
from drivers.simulators.plant import Vector

BOOT_S = 1.0
LINE_S = 0.0002
BUSY_S = 2.0

_NUMBER = re.compile(r"\s*[Nn](\d*)\s*")
_CODE = re.compile(r"\s*([GMT])\s*(\d+)")
_ABOUT = (
    "FIRMWARE_NAME: RepRapFirmware for Duet 2 WiFi/Ethernet FIRMWARE_VERSION: 3.5.4"
    " ELECTRONICS: Duet WiFi 1.02 or later FIRMWARE_DATE: 2024-11-24 10:47:10\n"
)
_STOPPED = "Emergency Stop! Reset the controller to continue.\n"


class RepRapFirmwareSimulator(MarlinCommands):
    """RepRapFirmware 3.5 on a Duet 2, by its USB port."""

    name = "reprapfirmware"
    urgent = re.compile(rb"[\r\n]")

    def __init__(self, board: Board, faults: Faults, record: Record, now: float = 0.0) -> None:
        self._lines: list[str] = []
        self._watched = bytearray()
        super().__init__(board, faults, record, now)

    def reset(self, now: float) -> None:
        """Do nothing: who opens its USB port restarts nothing."""
        self.advance(now)

    def _boot(self) -> None:
        super()._boot()
        self._power_on()
        self._keepalive = BUSY_S
        self._lines.clear()
        self._watched.clear()
        self._needs_checksum = self._is_stopped = self._hears = False
        self._said, self._is_ignored = "", False

    def _main_program(self) -> MainProgram:
        yield Pause(until=self.now + BOOT_S)
        self._hears = True
        yield from self._serve()

    def _serve(self) -> MainProgram:
        while True:
            yield Pause(ready=lambda: bool(self._lines), idle=True)
            line = self._checked(self._lines.pop(0))
            yield self._busy(LINE_S)
            if line is None:
                continue
            self.timers["busy"] = self.now + (self._keepalive or NEVER)
            yield from self._spell()
            self._said, self._is_ignored = "", False
            answer = yield from self._obey(line)
            self.timers.pop("busy", None)
            refused = self._is_ignored or self._said.startswith("Error")
            befalls = [] if refused else self._count(line)
            self._reply(f"{self._said}ok{answer}\n")
            if not self._restarts(befalls):
                self._befall_heat(befalls)
                if "thermistor" in befalls:
                    self._alarm()

    def _obey(self, line: str) -> Execution:
        found = _CODE.match(line)
        word = found.group(1) + found.group(2) if found else ""
        match word:
            case "M999":
                self.record.add(self.now, "reset")
                self._boot()
            case "M409":
                state = "halted" if self._is_stopped else "idle"
                self._said = f'{{"key":"state.status","flags":"","result":"{state}"}}\n'
            case _ if self._is_stopped and word not in ("M105", "M114", "M115"):
                self._is_ignored = True
            case "M115":
                self._said = _ABOUT
            case "M575":
                self._needs_checksum = "S1" in line
            case "M555" | "M110" | "M108":
                pass
            case _:
                return (yield from self._execute(line))
        return ""

    def _checked(self, text: str) -> str | None:
        """The bare line; None if it was dropped."""
        found = _NUMBER.match(text)
        if found is None:
            if self._needs_checksum:
                self.record.add(self.now, "dropped", line=text)
                return None
            return text.partition(";")[0].strip() or None
        body, star, check = text.partition("*")
        total = 0
        for byte in body.encode("latin-1"):
            total ^= byte
        claimed = re.match(r"\d{1,3}(?!\d)", check)
        if (star and (claimed is None or int(claimed.group()) != total)) or (
            not star and self._needs_checksum
        ):
            self.record.add(self.now, "dropped", line=text)
            return None
        return body[found.end() :].partition(";")[0].strip() or None

    def _alarm(self) -> None:
        self._say("Error: Heater fault on heater 1, temperature reading fault\n")
        self._stop()

    def _stop(self) -> None:
        self._all_off()
        self._waits_for_heat = False
        self._is_stopped = True
        self.record.add(self.now, "killed")
        self._say(_STOPPED)
        if self._hears:
            self.timers.pop("busy", None)
            self._lines.clear()
            self.ring.data.clear()
            self._restart(self._serve())

    # Bytes.

    def _arrive(self, data: bytes) -> bytes:
        if not self._hears:
            return b""
        for part in re.split(rb"(?<=[\r\n])", data):
            self._watched += part
            if part.endswith((b"\n", b"\r")):
                line = bytes(self._watched).strip().upper()
                self._watched.clear()
                if line == b"M112":
                    self.record.add(self.now, "emergency", word="M112")
                    self._stop()
                    return b""
                if line == b"M108":
                    self.record.add(self.now, "emergency", word="M108")
                    self._waits_for_heat = self._waits_for_user = False
        return data

    def _pump(self) -> None:
        data = self.ring.data
        while (end := data.find(b"\n")) >= 0 and not self._lines:
            text = bytes(data[:end]).decode("latin-1").strip()
            del data[: end + 1]
            if text:
                self._lines.append(text)

    def _tick(self, timer: str) -> None:
        if timer == "busy" and self._keepalive:
            self._say(
                f"{self._temperatures().strip()}\n"
                if self._waits_for_heat
                else "echo:busy: processing\n"
            )
            self.timers["busy"] = self.now + self._keepalive

    # What its commands say and refuse.

    def _temperatures(self) -> str:
        nozzle, bed = self.nozzle, self.bed
        return (
            f" T:{nozzle.temperature(self.now):.1f} /{nozzle.target:.1f}"
            f" B:{bed.temperature(self.now):.1f} /{bed.target:.1f}"
        )

    def _tell_heating(self, left: str) -> None:
        """Say nothing: the busy timer does."""

    def _unknown(self, text: str) -> None:
        self._said = f"Error: Bad command: {text}\n"

    def _report_position(self) -> None:
        """Say nothing: homing reports no place here."""

    def _tell(self, code: int) -> None:
        if code == 114:
            x, y, z, e = (a + b for a, b in zip(self.planner.end, self._shift, strict=True))
            self._said = f"X:{x:.3f} Y:{y:.3f} Z:{z:.3f} E:{e:.3f} Count 0 0 0 Machine 0 0 0\n"

    def _plan(self, target: Vector) -> MainProgram:
        moved = [axis for axis in range(3) if target[axis] != self.planner.end[axis]]
        if any(not self._homed[axis] for axis in moved):
            self._said = "Error: G0/G1: insufficient axes homed\n"
            return
        yield from super()._plan(target)
