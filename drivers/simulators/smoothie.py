"""A simulated Smoothieboard: `rs N5` without `ok`, `ok` before a move is planned, `!!` if halted.

Written from `src/modules/communication/{GcodeDispatch,SerialConsole}.cpp` and
`TemperatureControl.cpp` of the edge firmware of July 2023 as documentation.
"""

from __future__ import annotations

import re

from drivers.simulators.faults import Faults
from drivers.simulators.firmware import Board, MainProgram, Pause, Record
from drivers.simulators.marlin_commands import Execution, MarlinCommands, understood

BOOT_S = 0.5
LINE_S = 0.0002  # of its processor for a line

_CODE = re.compile(r"\s*([GMT])\s*(\d+)")
_NUMBER = re.compile(r"N\s*(-?\d+)")
# What it still does when it is halted.
_ALLOWED = {2, 5, 9, 30, 105, 114, 115, 119, 80, 81, 911, 503, 106, 107}
_ABOUT = (
    "FIRMWARE_NAME:Smoothieware, FIRMWARE_URL:http%3A//smoothieware.org,"
    " X-SOURCE_CODE_URL:https://github.com/Smoothieware/Smoothieware,"
    " FIRMWARE_VERSION:edge-9e5477518b, PROTOCOL_VERSION:1.0, X-GRBL_MODE:0, X-ARCS:1\n"
)


class SmoothieSimulator(MarlinCommands):
    """Smoothieware in its 3D printer mode, on a serial line."""

    name = "smoothieware"
    urgent = re.compile(rb"[\x18?]")
    newline = re.compile(rb"[\r\n\x18]")  # wakes a main program that waits

    def __init__(self, board: Board, faults: Faults, record: Record, now: float = 0.0) -> None:
        self._line = bytearray()
        super().__init__(board, faults, record, now)

    def _boot(self) -> None:
        super()._boot()
        self._power_on()
        self._line.clear()
        self._last = -1
        self._lines: list[str] = []
        self._is_halted = self._hears = self._has_answered = False

    def _main_program(self) -> MainProgram:
        yield Pause(until=self.now + BOOT_S)
        self._hears = True
        self._say("Smoothie\r\nok\r\n")
        yield from self._serve()

    def _serve(self) -> MainProgram:
        while True:
            yield Pause(ready=lambda: bool(self._lines), idle=True)
            text = self._lines.pop(0)
            yield self._busy(LINE_S)
            line = self._checked(text)
            if line is None:
                continue
            yield from self._spell()
            self._has_answered = False
            yield from self._obey(line)

    def _obey(self, line: str) -> MainProgram:
        found = _CODE.match(line)
        if found is None:
            self._reply("ok - ignored\n" if line else "ok\n")
            return
        letter, code = found.group(1), int(found.group(2))
        if self._is_halted and not (letter == "M" and code in {*_ALLOWED, 999}):
            self._reply("!!\n")
            return
        if letter == "G" and code == 1:
            self._answer("")  # before it is planned
        answer = yield from self._execute(line)
        befalls = self._count(line, number=self._last)
        if not self._has_answered and not (self._is_halted and code == 112):
            self._answer(answer)
        if not self._restarts(befalls):
            self._befall_heat(befalls)
            if "thermistor" in befalls:
                self._alarm()

    def _answer(self, rest: str) -> None:
        self._has_answered = True
        self._reply(f"ok{rest}\n")

    def _alarm(self) -> None:
        self._say(
            "ERROR: MINTEMP or MAXTEMP triggered on T. Check your temperature sensors!\n"
            "HALT asserted - reset or M999 required\n"
        )
        self._halt()

    def _halt(self) -> None:
        self._all_off()
        self._waits_for_heat = False
        self._is_halted = True
        self.record.add(self.now, "killed")
        if self._hears:
            self._restart(self._serve())

    def _checked(self, text: str) -> str | None:
        """The bare line; None if it was refused, or set the number."""
        number = self._last + 1
        body, star, check = text.partition("*")
        wrong = False
        if text.startswith("N"):
            found = _NUMBER.match(text)
            number = int(found.group(1)) if found else 0
            if re.search(r"M\s*110(?!\d)", body):
                self._last = number
                self._reply("ok\n")
                return None
            total = 0
            for byte in body.encode("latin-1"):
                total ^= byte
            claimed = re.match(r"\s*(\d+)", check)
            wrong = bool(star) and total != (int(claimed.group(1)) if claimed else 0)
        if wrong or number != self._last + 1:
            self.record.add(self.now, "refused", wanted=self._last + 1)
            for _ in range(self.faults.resends):
                self._say(f"rs N{self._last + 1}\n")
            return None
        if text[:1] not in "GMTSN":
            return ""  # it answers "ok" to whatever is none of its own
        if text.startswith("N"):
            self._last = number
            body = body.lstrip("N0123456789.,- ")
        # Words are of capital letters; a small one is none.
        return understood(re.sub(r"[a-z]\s*[-+.\d]*", "", body))

    # Bytes.

    def _arrive(self, data: bytes) -> bytes:
        if not self._hears:
            return b""
        if b"\x18" in data:
            self.record.add(self.now, "emergency", word="^X")
            self._line.clear()
            self._lines.clear()
            self.ring.data.clear()
            self._halt()
            self._say("HALTED, M999 or $X to exit HALT state\r\n")
            data = data.rpartition(b"\x18")[2]
        return data.replace(b"?", b"")

    def _pump(self) -> None:
        data = self.ring.data
        while (end := data.find(b"\n")) >= 0 and not self._lines:
            self._lines.append(bytes(data[:end]).decode("latin-1").rstrip("\r"))
            del data[: end + 1]

    def _tick(self, timer: str) -> None:
        """Let no timer matter: it reports nothing by itself but a wait for heat."""

    # What its commands say.

    def _temperatures(self) -> str:
        return "".join(
            f" {name}:{heater.temperature(self.now):.1f} /{heater.target:.1f}"
            f" @{round(heater.power * 255)}"
            for name, heater in (("T", self.nozzle), ("B", self.bed))
        )

    def _execute(self, text: str) -> Execution:
        found = _CODE.match(text)
        match found.group(1) + found.group(2) if found else "":
            case "M115":
                self._say(_ABOUT)
            case "M114":
                x, y, z = (a + b for a, b in zip(self.planner.end[:3], self._shift, strict=False))
                return f" C: X:{x:.4f} Y:{y:.4f} Z:{z:.4f}"
            case "M112":
                self._all_off()
                self._is_halted = True
                self.record.add(self.now, "killed")
                self._say(
                    "ok Emergency Stop Requested - reset or M999 required to exit HALT state\n"
                )
            case "M999":
                if self._is_halted:
                    self._say(
                        "WARNING: After HALT you should HOME as position is currently unknown\n"
                    )
                self._is_halted = False
            case _:
                return (yield from super()._execute(text))
        return ""

    def _unknown(self, text: str) -> None:
        """Say nothing: it answers ok to what it does not know."""

    def _tell_heating(self, left: str) -> None:  # noqa: ARG002 (the seam's shape)
        self._say(f"{self._temperatures().strip()}\n")

    def _report_position(self) -> None:
        """Say nothing: homing reports no place here."""
