"""A simulated Repetier-Firmware: `ok` when a line is queued, `skip` for one it has, `wait`.

Written from `src/ArduinoAVR/Repetier/gcode.cpp` of release 1.0.x as documentation: one place
in the command buffer, `ok` with the line's number, checksums verified with and without a
number, an emergency parser that reads ahead.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from drivers.simulators.faults import Faults
from drivers.simulators.firmware import NEVER, Board, MainProgram, Pause, Record
from drivers.simulators.marlin_commands import Execution, MarlinCommands, understood

LONGEST = 95  # characters of a line (MAX_CMD_SIZE - 1); a longer one is asked for again
BOOTLOADER_S = 0.8  # bytes that come meanwhile are lost
PARSE_S = 0.0008  # processor time of a line
SKIPPED = 14  # lines thrown away behind a refused one without another word
NEAR = 40  # how far back a number counts as seen already
PARTIAL_S = 0.2  # an unfinished line, or a wait for a repeated one, is asked for again
IDLE_S = 1.0  # between two "wait"

_NUMBER = re.compile(r"[Nn]\s*(-?\d+)")
_CODE = re.compile(r"[Mm]\s*(\d+)")
_FATAL = (
    "fatal:Heater/sensor error - Printer stopped and heaters disabled due to this error."
    " Fix error and restart with M999.\n"
)


@dataclass(frozen=True, slots=True)
class Queued:
    """The line in the command buffer."""

    text: str
    number: int | None


class RepetierSimulator(MarlinCommands):
    """Repetier-Firmware 1.0.4.

    Options: `plain-ok`, no number behind `ok`; `forced-checksum`, a line without one is
    refused. The stock firmware takes it, and so takes a line whose end a flipped bit has
    turned into a comment.
    """

    name = "repetier"
    urgent = re.compile(rb"[\r\n]")  # it reads ahead for M108 and M112

    def __init__(self, board: Board, faults: Faults, record: Record, now: float = 0.0) -> None:
        self._buffer: Queued | None = None
        super().__init__(board, faults, record, now)

    def _boot(self) -> None:
        super()._boot()
        self._power_on()
        self._buffer = None
        self._line = bytearray()
        self._watched = bytearray()
        self._in_comment = False
        self._last = self._actual = 0
        self._to_skip = -1  # lines to throw away before the next Resend; -1: none is awaited
        self._quiet_since = self.now
        self._is_fatal = False
        self._hears = False

    def _main_program(self) -> MainProgram:
        yield Pause(until=self.now + BOOTLOADER_S)
        self._hears = True
        self._say("start\nInfo:External Reset\nFree RAM:3344\n")
        self._listen()
        yield from self._serve()

    def _serve(self) -> MainProgram:
        while True:
            yield Pause(ready=self._has_work, idle=True)
            line = self._buffer
            assert line is not None
            self.timers.pop("quiet", None)
            self._busy_text = "processing"
            self.timers["busy"] = self.now + (self._keepalive or NEVER)
            yield self._busy(PARSE_S)
            yield from self._spell()
            yield from self._execute(line.text)
            self.timers.pop("busy", None)
            befalls = self._count(line.text, number=line.number)
            self._buffer = None
            self._listen()
            if not self._restarts(befalls):
                self._befall_heat(befalls)
                if "thermistor" in befalls:
                    self._alarm()

    def _has_work(self) -> bool:
        return self._buffer is not None

    def _alarm(self) -> None:
        """A thermometer reads nonsense: everything off, until M999."""
        self._all_off()
        self._is_fatal = True
        self._say(_FATAL * 2)
        self.record.add(self.now, "killed")
        if self._hears:
            self._buffer = None
            self.timers.pop("busy", None)
            self._restart(self._serve())
            self._listen()

    # Bytes.

    def _listen(self) -> None:
        """Count silence anew."""
        self._quiet_since = self.now
        if self._hears:
            self.timers["quiet"] = self.now + PARTIAL_S

    def _arrive(self, data: bytes) -> bytes:
        if not self._hears:
            return b""
        for part in re.split(rb"(?<=[\r\n])", data):
            self._watched += part
            if part.endswith((b"\n", b"\r")):
                self._look_ahead(bytes(self._watched).strip())
                self._watched.clear()
            else:
                del self._watched[LONGEST:]
        return data if not self.is_silent else b""

    def _look_ahead(self, line: bytes) -> None:
        text = line.partition(b";")[0].decode("latin-1")
        found = _CODE.search(text)
        if found is None or not _sums_up(text):
            return
        if found.group(1) == "108":
            self.record.add(self.now, "emergency", word="M108")
            self._waits_for_heat = self._waits_for_user = False
        elif found.group(1) == "112":
            self.record.add(self.now, "emergency", word="M112")
            self._all_off()
            self.record.add(self.now, "killed")
            self.is_silent = True

    def _pump(self) -> None:
        data = self.ring.data
        while data and self._buffer is None and not self.is_silent:
            self._listen()
            byte = data.pop(0)
            if byte in b"\r\n\0":
                self._in_comment = False
                if self._line:
                    text = bytes(self._line).decode("latin-1")
                    self._line.clear()
                    self._take(text)
                continue
            self._in_comment = self._in_comment or byte == 0x3B
            if not self._in_comment:
                self._line.append(byte)
            if len(self._line) > LONGEST:
                self._request()

    def _take(self, text: str) -> None:
        """Check one complete line and put it into the buffer."""
        found = _NUMBER.search(text)
        number = int(found.group(1)) if found else None
        if number is not None:
            self._actual = number
        if not _sums_up(text):
            self._say("Error:Wrong checksum\n")
            self._request()
            return
        code = _CODE.search(text)
        if "forced-checksum" in self.board.options and not self._is_checked(text, code):
            self._say("Error:Missing checksum\n")
            self._request()
            return
        if code and code.group(1) == "110":
            self._last = self._actual
            self._to_skip = -1
            self._ok("")
            return
        if number is not None and (number - self._last - 1) & 0xFFFF:
            self._out_of_order(number)
            return
        if number is not None:
            self._last = number
        bare = re.sub(r"^\s*[Nn]\s*-?\d+\s*", "", text).partition("*")[0].strip()
        if self._is_fatal and not (code and code.group(1) == "999"):
            self._say(_FATAL)
        else:
            self._buffer = Queued(understood(bare), number)
        self._to_skip = -1
        self._ok("" if "plain-ok" in self.board.options else f" {self._actual}")

    def _is_checked(self, text: str, code: re.Match[str] | None) -> bool:
        """Tell whether a line has a checksum before any comment, or needs none."""
        return "*" in re.split(r"[(%]", text)[0] or (code is not None and code.group(1) == "110")

    def _out_of_order(self, number: int) -> None:
        if 0 <= (self._last - number) & 0xFFFF < NEAR:
            self._skip(number)
        elif self._to_skip < 0:
            self._say(f"Error:expected line {self._last + 1} got {number}\n")
            self._request()
        else:
            self._to_skip -= 1
            self._skip(number)

    def _skip(self, number: int) -> None:
        self.record.add(self.now, "skipped", number=number)
        self._say(f"skip {number}\n")
        self._ok("")

    def _request(self) -> None:
        """Throw away what has come and ask for the next line."""
        self.ring.data.clear()
        self._line.clear()
        self._to_skip = SKIPPED
        self.record.add(self.now, "refused", wanted=self._last + 1)
        for _ in range(self.faults.resends):
            self._say(f"\r\nResend:{self._last + 1}\n")
            if not self.faults.loses_resend_ok():
                self._ok("")

    def _ok(self, rest: str) -> None:
        self._reply(f"ok{rest}\n")

    def _tick(self, timer: str) -> None:
        if timer == "busy" and self._keepalive:
            self._say(f"busy:{'heating' if self._waits_for_heat else self._busy_text}\n")
            self.timers["busy"] = self.now + self._keepalive
        elif timer == "report" and self._report_s:
            self._say(f"{self._temperatures()}\n")
            self.timers["report"] = self.now + 1.0
        elif timer == "quiet" and self._buffer is None:
            self._be_quiet()

    def _be_quiet(self) -> None:
        if self._to_skip >= 0 or self._line:
            self._request()
            self._listen()
        elif self.now - self._quiet_since > IDLE_S:
            self._say("wait\n")
            self._listen()
        else:
            self.timers["quiet"] = self._quiet_since + IDLE_S + 0.001

    # What its commands say.

    def _temperatures(self) -> str:
        nozzle, bed = self.nozzle, self.bed
        return (
            f"T:{nozzle.temperature(self.now):.2f} /{nozzle.target:.0f}"
            f" B:{bed.temperature(self.now):.2f} /{bed.target:.0f}"
            f" B@:{round(bed.power * 255)} @:{round(nozzle.power * 255)}"
        )

    def _execute(self, text: str) -> Execution:
        code = _CODE.match(text)
        match code.group(1) if code else "":
            case "105":
                self._say(f"{self._temperatures()}\n")
            case "115":
                self._say(
                    "FIRMWARE_NAME:Repetier_1.0.4 COMPILED:Aug  3 2022"
                    " FIRMWARE_URL:https://github.com/repetier/Repetier-Firmware/"
                    " PROTOCOL_VERSION:1.0 MACHINE_TYPE:Mendel EXTRUDER_COUNT:1"
                    " REPETIER_PROTOCOL:3\n"
                    "Cap:PROGRESS:1\nCap:AUTOREPORT_TEMP:1\nCap:EEPROM:1\n"
                    "Cap:PAUSESTOP:1\nCap:PREHEAT:1\nCap:EMERGENCY_PARSER:1\n"
                    "Printed filament:0.00m Printing time:0 days 0 hours 0 min\n"
                    "PrinterMode:FFF\n"
                )
            case "118":
                words = text.partition("118")[2].split()
                self._say(f"Echo:{words[0] if words else ''}\n")
            case "999":
                self._is_fatal = False
                self._say("info:Continue from fatal state\n")
            case "108" | "112":
                pass  # obeyed when it was read ahead
            case _:
                return (yield from super()._execute(text))
        return ""

    def _unknown(self, text: str) -> None:
        self._say(f"Unknown command:{text}\n")

    def _tell_heating(self, left: str) -> None:  # noqa: ARG002 (the seam's shape)
        self._say(f"{self._temperatures()}\n")

    def _report_position(self) -> None:
        x, y, z, e = (a + b for a, b in zip(self.planner.end, self._shift, strict=True))
        self._say(f"X:{x:.2f} Y:{y:.2f} Z:{z:.3f} E:{e:.4f}\n")


def _sums_up(text: str) -> bool:
    """Tell whether each checksum of a line is right; it may come without any.

    Two lines whose newline got lost have two, and the second one covers the first.
    """
    start = 0
    for star in re.finditer(r"\*", text):
        total = 0
        for byte in text[start : star.start()].encode("latin-1"):
            total ^= byte
        claimed = re.match(r"\s*(\d+)", text[star.end() :])
        if claimed is None or int(claimed.group(1)) & 0xFF != total:
            return False
        start = star.start()
    return True
