"""Simulated Marlin boards: how lines are taken, numbered, checked, queued and answered.

Written from `Marlin/src/gcode/queue.cpp` as documentation and from what unmodified
Marlin 2.1.2 and 1.1 were seen to answer; what the commands do is in `marlin_commands`.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass

from drivers.simulators.faults import Faults
from drivers.simulators.firmware import NEVER, Board, MainProgram, Pause, Record
from drivers.simulators.marlin_commands import Execution, MarlinCommands
from drivers.simulators.marlin_texts import BUDDY, MARLIN_1, MARLIN_2, PRUSA_MK3, Texts

LONGEST = 95  # characters of a line; the rest is cut without a word (MAX_CMD_SIZE - 1)
BOOTLOADER_S = 0.8  # bytes that come meanwhile are lost
SETUP_S = 0.4
KILL_S = 0.1  # from the last word of a board that restarts after a kill
PARSE_S, CHECK_S = 0.0006, 0.0003  # processor time of a line, and more if it is numbered

_EMERGENCY = re.compile(rb"\s*(?:N[-0-9 ]*)?M(108|112|410|876\s*S\d)")


@dataclass(frozen=True, slots=True)
class Queued:
    """A line that waits for execution."""

    text: str
    number: int | None


class MarlinSimulator(MarlinCommands):
    """Marlin 2.1.2; options `emergency-parser`, `advanced-ok`, `prompts`."""

    texts: Texts = MARLIN_2
    is_quiet_on_repeats = True
    places = 4  # of its queue, the command being executed included (BUFSIZE)
    name = "marlin-2"

    def __init__(self, board: Board, faults: Faults, record: Record, now: float = 0.0) -> None:
        self._queue: deque[Queued] = deque()
        self.urgent = self.newline if "emergency-parser" in board.options else None
        super().__init__(board, faults, record, now)

    def _boot(self) -> None:
        super()._boot()
        self._power_on()
        self._queue.clear()
        self._line = bytearray()
        self._watched = bytearray()
        self._last = 0
        self._hears = False

    def _main_program(self) -> MainProgram:
        yield Pause(until=self.now + BOOTLOADER_S)
        self._hears = True
        self._say("start\n")
        yield Pause(until=self.now + SETUP_S)
        self._say(self.texts.banner)
        while True:
            yield Pause(ready=self._has_work, idle=True)
            line = self._queue[0]
            self._busy_text = "processing"
            self.timers["busy"] = self.now + (self._keepalive or NEVER)
            yield self._busy(PARSE_S + (CHECK_S if line.number is not None else 0.0))
            yield from self._spell()
            answer = yield from self._execute(line.text)
            self.timers.pop("busy", None)
            befalls = self._count(line.text, number=line.number)
            self._answer(line, answer)
            if self._queue:
                self._queue.popleft()
            self._befall(befalls)

    def _has_work(self) -> bool:
        return bool(self._queue)

    def _befall(self, befalls: list[str]) -> None:
        if self._restarts(befalls):
            return
        if "thermistor" in befalls:
            self._alarm()
        self._befall_heat(befalls)

    def _alarm(self) -> None:
        self._say("Error:MINTEMP triggered, system stopped! Heater_ID: E0\n")
        self._kill("")

    def _answer(self, line: Queued, answer: str) -> None:
        if answer or "advanced-ok" not in self.board.options:
            self._reply(f"ok{answer}\n")
            return
        number = f" N{line.number}" if line.number is not None else ""
        self._reply(f"ok{number} P{self.planner.free} B{self.places - len(self._queue)}\n")

    # Bytes.

    def _arrive(self, data: bytes) -> bytes:
        if not self._hears:
            return b""
        if "emergency-parser" in self.board.options:
            for part in re.split(rb"(?<=[\r\n])", data):
                self._watched += part
                if part.endswith((b"\n", b"\r")):
                    found = _EMERGENCY.match(bytes(self._watched))
                    self._watched.clear()
                    if found:
                        self._emergency(found.group(1).decode())
                else:
                    del self._watched[64:]
        return data if self._hears else b""

    def _emergency(self, code: str) -> None:
        self.record.add(self.now, "emergency", word=f"M{code}")
        match code:
            case "108":
                self._waits_for_heat = self._waits_for_user = False
            case "112":
                self._kill("echo:M112 Shutdown\n")
            case "410":
                self._quickstop()
            case _:
                self._respond(int(code[-1]))

    def _kill(self, text: str) -> None:
        """Everything off, say so, and answer nothing until a reset."""
        self._all_off()
        self._say(f"{text}Error:Printer halted. kill() called!\n")
        self.record.add(self.now, "killed")
        self.is_silent = True

    def _pump(self) -> None:
        data = self.ring.data
        while data and len(self._queue) < self.places and not self.is_silent:
            end = self.newline.search(data)
            if end is None:
                self._line += data
                data.clear()
                del self._line[LONGEST * 4 :]
                return
            self._line += data[: end.start()]
            del data[: end.end()]
            text = bytes(self._line).decode("latin-1").partition(";")[0][:LONGEST]
            self._line.clear()
            if text:
                self._take(text.lstrip(" "))

    def _take(self, text: str) -> None:
        """Check one complete line and queue it."""
        number: int | None = None
        if text.startswith("N"):
            number = self._checked(text)
            if number is None:
                return
            self._last = number
            bare = re.sub(r"^N\s*[-0-9]*\s*", "", text)
            text = bare
        elif "emergency-parser" not in self.board.options and text.startswith("M"):
            early = re.match(r"M(10[0-9]|11[0-9]|41[0-9])", text)
            code = {"8": "108", "2": "112", "0": "410"}.get(text[3:4], "")
            if early and early.group(1) == code:
                self._emergency(code)
        text = text.partition("*")[0].rstrip(" ")
        self._queue.append(Queued(text, number))

    def _checked(self, text: str) -> int | None:
        """The number of a numbered line; None if it was refused or is an echo."""
        sets_number = "M110" in text
        at = text.find("N", 4) if sets_number else -1
        found = re.match(r"\s*([-+]?\d+)", text[(at if at > 0 else 0) + 1 :])
        number = int(found.group(1)) if found else 0
        if number != self._last + 1 and not sets_number:
            if self.is_quiet_on_repeats and self._last - 1 <= number <= self._last:
                return None
            self._refuse("Line Number is not Last Line Number+1")
            return None
        body, star, check = text.rpartition("*")
        if not star:
            self._refuse("No Checksum with line number")
            return None
        total = 0
        for byte in body.encode("latin-1"):
            total ^= byte
        claimed = re.match(r"\s*(\d+)", check)
        if claimed is None or int(claimed.group(1)) != total:
            self._refuse("checksum mismatch")
            return None
        return number

    def _refuse(self, why: str) -> None:
        self.ring.data.clear()
        self._line.clear()
        self.record.add(self.now, "refused", why=why, wanted=self._last + 1)
        self._say(f"Error:{why}, Last Line: {self._last}\n")
        for _ in range(self.faults.resends):
            self._say(f"Resend: {self._last + 1}\n")
            if not self.faults.loses_resend_ok():
                self._reply("ok\n")


class Marlin1Simulator(MarlinSimulator):
    """Marlin 1.1, which asks again even for a line that it has, and takes no checksum alone.

    *Source:* MarlinFirmware/Marlin 1.1.x:Marlin/Marlin_main.cpp, get_serial_commands.
    """

    texts = MARLIN_1
    is_quiet_on_repeats = False
    name = "marlin-1"

    def _take(self, text: str) -> None:
        if "*" in text and not text.startswith("N"):
            # Neither flushed nor asked for again: the number of the next line will tell.
            self.record.add(self.now, "refused", why="no number", wanted=self._last + 1)
            self._say(f"Error:No Line Number with checksum, Last Line: {self._last}\n")
        else:
            super()._take(text)


class BuddySimulator(MarlinSimulator):
    """Prusa's Buddy firmware: a Marlin 2 that asks again even for a line that it has."""

    texts = BUDDY
    is_quiet_on_repeats = False
    places = 8
    name = "prusa-buddy"


class PrusaMk3Simulator(Marlin1Simulator):
    """Prusa-Firmware 3: no M108, a checksum needs its number, and a kill restarts the board.

    *Source:* prusa3d/Prusa-Firmware:Firmware/{cmdqueue,Marlin_main}.cpp, 3.13.
    """

    texts = PRUSA_MK3
    name = "prusa-mk3"

    def _take(self, text: str) -> None:
        if "*" in text and not text.startswith("N"):
            self._refuse("No Line Number with checksum")
        else:
            super()._take(text)

    def _emergency(self, code: str) -> None:
        if code == "112":
            super()._emergency(code)

    def _kill(self, text: str) -> None:
        self._all_off()
        self._say(f"Error:Printer halted. kill() called!\n{text}")
        self.record.add(self.now, "killed")
        self._hears = False
        self._queue.clear()
        self.timers.clear()
        self._restart(self._die())

    def _die(self) -> MainProgram:
        yield Pause(until=self.now + KILL_S)
        self.record.add(self.now, "reset")
        self._boot()
        yield Pause()  # of a program that has ended

    def _execute(self, text: str) -> Execution:
        if re.match(r"M(?:108|410)(?!\d)", text):
            self._unknown(text)
            return ""
        return (yield from super()._execute(text))

    def _unknown(self, text: str) -> None:
        self._say(f"Unknown {text[:1]} code: {text.split(' ')[0]}\n")
