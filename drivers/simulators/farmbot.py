"""A simulated FarmBot: lines are read back, executed one at a time, and all else is thrown away.

Written from FarmBot's firmware 6.6.23 as documentation: README.md for the codes,
`src/farmbot_arduino_controller.cpp` for the loop, `src/GCodeProcessor.cpp` for a command's life,
`src/Movement.cpp` for moves. What the commands do is in `farmbot_commands`.
"""

from __future__ import annotations

import re

from drivers.simulators.farmbot_commands import MOVES, FarmBotCommands
from drivers.simulators.faults import Faults
from drivers.simulators.firmware import Board, MainProgram, Pause, Record

LONGEST = 99  # bytes after which a line is taken as it is (INCOMING_CMD_BUF_SIZE - 1)
BOOTLOADER_S = 1.0  # bytes that come meanwhile are lost
SETUP_S = 0.1
PARSE_S = 0.0005
REPORT_S, REPORT_FAST_S = 5.0, 0.5  # between idle reports: RAMPS and Express; Genesis 1.4 and up
_UNTOUCHED_BY_LOCK = ("F09", "F20", "F21", "F22", "F81", "F82", "F83")
_KNOWN = frozenset(
    {
        "G00", "G01", "G28", "F09", "F11", "F12", "F13", "F14", "F15", "F16", "F20", "F21", "F22",
        "F31", "F32", "F41", "F42", "F43", "F44", "F61", "F81", "F82", "F83", "F84",
    }
)  # fmt: skip
_WITHOUT_HANDLER = ("G01", "F31", "F32")
_SHORT = {"G0": "G00", "G1": "G01", "F9": "F09"}


class FarmBotSimulator(FarmBotCommands):
    """FarmBot 6.6.23 on a RAMPS board; option `fast-reports`: the newer Farmduino."""

    name = "farmbot"
    urgent = re.compile(rb"[Ee@]")
    newline = re.compile(rb"[\nEe@]")

    def __init__(self, board: Board, faults: Faults, record: Record, now: float = 0.0) -> None:
        self._line = bytearray()
        self._whole: str | None = None
        self._hears = False
        self._acted_at = now
        super().__init__(board, faults, record, now)

    def _boot(self) -> None:
        super()._boot()
        self._power_on()
        self._line.clear()
        self._whole = None
        self._hears = False

    def _main_program(self) -> MainProgram:
        yield Pause(until=self.now + BOOTLOADER_S)
        self._hears = True
        for text in ("Serial connection started", "Set input/output", "Read parameters"):
            self._say(f"R99 {text}\r\n")
            yield Pause(until=self.now + SETUP_S)
        self._list_parameters()
        for text in ("Load movement settings", "Set motor enables off", "Start pin guard"):
            self._say(f"R99 {text}\r\n")
        self._say("R99 Start interrupt\r\nR99 Check homing on boot\r\n")
        self._say("R99 ARDUINO STARTUP COMPLETE\r\n")
        self._acted_at = self.now
        period = REPORT_FAST_S if "fast-reports" in self.board.options else REPORT_S
        while True:
            yield Pause(until=self._acted_at + period, ready=self._has_work, idle=True)
            if self._lock_due:
                self._engage_lock()
            if self._whole is not None:
                text, self._whole = self._whole, None
                yield from self._obey(text)
            elif self.now >= self._acted_at + period:
                self._report_idle()
                self._acted_at = self.now

    def _has_work(self) -> bool:
        return self._whole is not None or self._lock_due

    def _report_idle(self) -> None:
        self._say(f"{'R87' if self.is_locked else 'R00'} Q{self._q}\r\n")
        self._say(self._place_report())
        self._say(f"R84 X0.00 Y0.00 Z0.00 Q{self._q}\r\n")
        self._say(self._ends_report())
        if self.parameters[2] != 1:
            self._say(f"R88 Q{self._q}\r\n")

    # Bytes.

    def _arrive(self, data: bytes) -> bytes:
        return data if self._hears else b""

    def _pump(self) -> None:
        """Read as the loop reads: a line at most, or in a move nothing but `E` and `@`."""
        ring = self.ring.data
        while ring and self._whole is None:
            byte = ring.pop(0)
            if self._is_moving:
                if byte in b"Ee@" and not self._stopped_by:
                    self._stopped_by = "@" if byte == 0x40 else "E"
                continue
            self._acted_at = self.now
            if byte in b"Ee":
                self._lock_due = True
                continue
            if byte != 10:
                self._line.append(byte)
            if byte == 10 or len(self._line) >= LONGEST - 1:
                text = self._line.decode("latin-1")
                self._line.clear()
                if text:
                    self._whole = text

    # A command's life.

    def _obey(self, text: str) -> MainProgram:
        self._say(f"R08 *{text}*\r\n")
        yield self._busy(PARSE_S)
        words = re.split(r"[ \r\n]+", text.strip(" \r\n"))
        head = _SHORT.get(words[0], words[0])
        values = _values(words) if head[:1] in ("G", "F") else {}
        self._q = int(values.get("Q", 0))
        if refusal := self._refusal(head):
            self.record.add(self.now, "refused", line=text, why=refusal)
            self._reply(f"{refusal} Q{self._q}\r\n")
            return
        self._say(f"R01 Q{self._q}\r\n")
        yield from self._spell()
        error = yield from self._attempts(head, values)
        # Whatever came meanwhile is thrown away.
        self.ring.data.clear()
        if error and head in MOVES and self.parameters[4] == 1:
            self._lock_due = True
        befalls = self._count(_without_q(text), number=self._q)
        self._reply(f"R03 V{error} Q{self._q}\r\n" if error else f"R02 Q{self._q}\r\n")
        self._q = 0
        self._acted_at = self.now
        self._restarts(befalls)

    def _refusal(self, head: str) -> str:
        """Return the report of a command that is not begun; empty if it is."""
        if self.is_locked and head not in _UNTOUCHED_BY_LOCK:
            return "R87"
        if head in MOVES and self.parameters[2] != 1:
            return "R88"
        if head not in _KNOWN or head in _WITHOUT_HANDLER:
            return "R09"
        return ""


def _values(words: list[str]) -> dict[str, float]:
    """Return the number of each letter; what is no number counts as 0, as C's atof has it."""
    values: dict[str, float] = {}
    for word in words:
        if word[:1] in "XYZABCSPVWTMQ":
            number = re.match(r"[-+]?(?:\d+\.?\d*|\.\d+)", word[1:])
            values[word[:1]] = float(number[0]) if number else 0.0
    return values


def _without_q(text: str) -> str:
    return " ".join(word for word in text.split() if not word.startswith("Q"))
