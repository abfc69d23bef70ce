"""A simulated Klipper behind its pseudo-terminal: no banner, no numbers, no busy line.

Written from `klippy/gcode.py` as documentation and from what release 0.13 was seen to
answer: numbers and checksums are cut off and not looked at, an empty line gets `ok`, errors
come as `!!` with an `ok` behind, a shutdown lasts until FIRMWARE_RESTART.
"""

from __future__ import annotations

import re

from drivers.simulators.faults import Faults
from drivers.simulators.firmware import Board, MainProgram, Pause, Record
from drivers.simulators.marlin_commands import COLD, Execution, MarlinCommands
from drivers.simulators.plant import Vector

RESTART_S = 2.0  # from FIRMWARE_RESTART until it is ready
LINE_S = 0.00013  # of a host's processor for a line
PENDING = 20  # lines that wait, from which on M112 is found only in its turn
READY = ("M105", "M110", "M112", "M115", "FIRMWARE_RESTART", "RESTART", "STATUS", "ECHO", "M21")

_NUMBER = re.compile(r"^\s*[Nn]\s*\d+\s*")
_M112 = re.compile(r"^(?:[nN][0-9]+)?\s*[mM]112(?:\s|$)")
_TYPE = re.compile(r"\bTYPE=(\w+)", re.IGNORECASE)
_MESSAGE = re.compile(r"\bMSG=(?:\"(?P<quoted>[^\"]*)\"|(?P<bare>\S+))", re.IGNORECASE)
_HOW_TO = (
    "Once the underlying issue is corrected, use the\n"
    '"FIRMWARE_RESTART" command to reset the firmware, reload the\n'
    "config, and restart the host software.\n"
    "Printer is shutdown\n"
)


class KlipperSimulator(MarlinCommands):
    """Klipper 0.13 with a Cartesian printer."""

    name = "klipper"
    urgent = re.compile(rb"\n")

    def __init__(self, board: Board, faults: Faults, record: Record, now: float = 0.0) -> None:
        self._pending: list[str] = []
        self._works = False
        self._is_refused = self._is_paused = False
        self._line = bytearray()
        super().__init__(board, faults, record, now)

    def reset(self, now: float) -> None:
        """Do nothing: who opens a pseudo-terminal restarts nothing."""
        self.advance(now)

    def _boot(self) -> None:
        super()._boot()
        self._power_on()
        self._pending.clear()
        self._line.clear()
        self._trouble = ""
        self._works = self._is_paused = False

    def _main_program(self) -> MainProgram:
        yield Pause(until=self.now)
        self._say("// Klipper state: Ready\n")
        yield from self._serve()

    def _serve(self) -> MainProgram:
        while True:
            yield Pause(ready=self._has_work, idle=True)
            line = self._pending[0]
            yield self._busy(LINE_S)
            text = _NUMBER.sub("", line.partition(";")[0]).partition("*")[0].strip()
            self._is_refused = False
            self._works = True
            yield from self._spell()
            answer = yield from self._obey(text)
            self._works = False
            if self._is_refused:
                self.record.add(self.now, "refused", line=text)
            befalls = self._count(text) if text and not self._is_refused else []
            self._reply(f"ok{answer}\n")
            if self._pending:
                self._pending.pop(0)
            if "reset" in befalls:
                self._restart_all()
            elif not self._restarts(befalls):
                self._befall_heat(befalls)
                if "thermistor" in befalls:
                    self._alarm()

    def _alarm(self) -> None:
        self._shut_down("MCU 'mcu' shutdown: ADC out of range")

    def _has_work(self) -> bool:
        return bool(self._pending)

    def _obey(self, text: str) -> Execution:
        """Execute a line; what follows its `ok`."""
        word = text.split(" ")[0].upper()
        if word == "M105":
            return " T:0" if self._trouble else f" {self._temperatures()}"
        if self._trouble and word not in READY:
            self._error(self._trouble + "\n" + _HOW_TO)
            return ""
        match word:
            case "M115":
                return " FIRMWARE_NAME:Klipper FIRMWARE_VERSION:v0.13.0-85-g6cd174208"
            case "FIRMWARE_RESTART" | "RESTART":
                self._restart_all()
            case "STATUS" if self._trouble:
                self._error(f"{self._trouble}\n{_HOW_TO}Klipper state: Not ready")
            case "STATUS":
                self._say("// Klipper state: Ready\n")
            case "M112":
                self._works = False  # it is no error of its own
                self._shut_down("Shutdown due to M112 command")
            case "RESPOND":
                self._relay(text)
            case "PAUSE" | "RESUME" | "CANCEL_PRINT":
                self._turn(word)
            case "" | "M110":
                pass
            case "M17" | "M18" | "M84":
                yield from self._settle()
                self._homed = [False, False, False]
            case "M108" | "M155" | "M113" | "M410" | "M211" | "M0" | "M1":
                self._unknown(text)
            case _:
                return (yield from self._execute(text))
        return ""

    def _relay(self, text: str) -> None:
        """Say what a macro or program wants said (klippy/extras/respond.py)."""
        told = _MESSAGE.search(text)
        prefix = {"COMMAND": "// ", "ERROR": "!! "}.get(
            (_TYPE.search(text) or ["", ""])[1].upper(), "echo: "
        )
        message = (told["quoted"] or told["bare"] or "") if told else ""
        self._say(f"{prefix}{message}\n")

    def _turn(self, word: str) -> None:
        """Have the host hold or end what it prints (klippy/extras/pause_resume.py)."""
        if word == "RESUME" and not self._is_paused:
            self._error("Print is not paused, resume aborted")
            return
        if word == "PAUSE" and self._is_paused:
            self._say("// Print already paused\n")
            return
        self._is_paused = word == "PAUSE"
        told = {"PAUSE": "paused", "RESUME": "resumed", "CANCEL_PRINT": "cancel"}[word]
        self._say(f"// action:{told}\n")

    def _restart_all(self) -> None:
        """Start the whole of it anew; the pseudo-terminal stays."""
        self.record.add(self.now, "reset")
        self._all_off()
        self._power_on()
        self._trouble = "Printer is not ready"
        self._say("// Klipper state: Disconnect\n")
        self.timers["ready"] = self.now + RESTART_S

    def _shut_down(self, why: str) -> None:
        if self._trouble:
            return
        self.record.add(self.now, "killed", why=why)
        self._all_off()
        self._waits_for_heat = False
        self._trouble = why
        self._say("// Klipper state: Shutdown\n")
        if self._works:
            # Whatever it was at ends with an error.
            self._works = False
            self._pending.pop(0)
            self._error(f"{why}\n{_HOW_TO}")
            self._reply("ok\n")
            self._restart(self._serve())

    def _error(self, text: str) -> None:
        self._is_refused = True
        lines = text.strip().split("\n")
        if len(lines) > 1:
            self._say("".join(f"// {line}\n" for line in lines))
        self._say(f"!! {lines[0]}\n")

    # Bytes.

    def _arrive(self, data: bytes) -> bytes:
        text = (bytes(self._line) + bytes(self.ring.data) + data).decode("latin-1")
        pending = len(self._pending) + text.count("\n")
        if pending < PENDING and any(_M112.match(line) for line in text.split("\n")[:-1]):
            self.record.add(self.now, "emergency", word="M112")
            self._shut_down("Shutdown due to M112 command")
        return data

    def _pump(self) -> None:
        data = self.ring.data
        while (end := data.find(b"\n")) >= 0 and len(self._pending) < PENDING:
            self._line += data[:end]
            del data[: end + 1]
            self._pending.append(bytes(self._line).decode("latin-1").strip())
            self._line.clear()

    def _tick(self, timer: str) -> None:
        if timer == "ready":
            self._trouble = ""
            self._say("// Klipper state: Ready\n")

    # What its commands say and refuse.

    def _temperatures(self) -> str:
        nozzle, bed = self.nozzle, self.bed
        return (
            f"B:{bed.temperature(self.now):.1f} /{bed.target:.1f}"
            f" T0:{nozzle.temperature(self.now):.1f} /{nozzle.target:.1f}"
        )

    def _tell_heating(self, left: str) -> None:  # noqa: ARG002 (the seam's shape)
        self._say(f"{self._temperatures()}\n")

    def _unknown(self, text: str) -> None:
        self._say(f'// Unknown command:"{text.split(" ")[0]}"\n')

    def _tell(self, code: int) -> None:
        if code == 114:
            end = [a + b for a, b in zip(self.planner.end, self._shift, strict=True)]
            self._say(f"X:{end[0]:.3f} Y:{end[1]:.3f} Z:{end[2]:.3f} E:{end[3]:.3f}\n")

    def _report_position(self) -> None:
        """Say nothing: homing reports no place here."""

    def _clamped(self, target: list[float]) -> Vector:
        return tuple(target)  # out of range is refused, not bent

    def _plan(self, target: Vector) -> MainProgram:
        end = self.planner.end
        place = " ".join(f"{value:.3f}" for value in target[:3]) + f" [{target[3]:.3f}]"
        moved = [axis for axis in range(3) if target[axis] != end[axis]]
        if any(not self._homed[axis] for axis in moved):
            self._error(f"Must home axis first: {place}")
            return
        if any(not 0.0 <= target[axis] <= self.board.envelope[axis] for axis in moved):
            self._error(f"Move out of range: {place}")
            return
        cold = self.nozzle.temperature(self.now) < COLD
        if target[3] != end[3] and not self._cold_allowed and cold:
            self._error("Extrude below minimum temp\nSee the 'min_extrude_temp' config option")
            self.record.add(self.now, "cold-extrusion")
            return
        yield from super()._plan(target)
