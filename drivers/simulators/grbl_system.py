"""Grbl's `$` commands: settings, homing, jogging, check mode and reports of the parser."""

from __future__ import annotations

import re
from abc import abstractmethod

from drivers.simulators.firmware import MainProgram, Pause
from drivers.simulators.grbl_blocks import read
from drivers.simulators.grbl_frame import ORIGIN, Execution, Mode
from drivers.simulators.grbl_motion import GrblMotion
from drivers.simulators.grbl_settings import INTEGERS, WHOLE, formatted
from drivers.simulators.plant import Vector

PRINT_S = 0.03
HELP = "[HLP:$$ $# $G $I $N $x=val $Nx=line $J=line $SLP $C $X $H ~ ! ? ctrl-x]\r\n"


class GrblSystem(GrblMotion):
    """The commands that are no G-code."""

    build_info = "[VER:1.1h.20190830:]\r\n[OPT:V,15,128]\r\n"
    _is_deaf: bool  # to `?`
    _really_at: Vector = ORIGIN  # in check mode, where nothing moves

    @abstractmethod
    def _soft_reset(self) -> None:
        """What 0x18 does."""

    @abstractmethod
    def _report_if_asked(self) -> None:
        """Answer a `?` that had to wait."""

    def _system(self, text: str) -> Execution:
        is_moving = self.planner.next_event() is not None
        match text:
            case "$":
                self._say(HELP)
            case "$$":
                if is_moving:
                    return 8
                yield self._busy(PRINT_S)
                for number, value in sorted(self.settings.items()):
                    self._say(f"${number}={formatted(number, value)}\r\n")
            case "$G":
                self._say(f"[GC:{self._modal_words()}]\r\n")
            case "$X":
                if self.mode is Mode.ALARM:
                    self._say("[MSG:Caution: Unlocked]\r\n")
                    self.mode = Mode.NORMAL
            case "$C":
                return self._check_mode(is_moving=is_moving)
            case _ if text.startswith("$J"):
                if self.mode is not Mode.NORMAL or (is_moving and not self._is_jogging):
                    return 8
                if not text.startswith("$J="):
                    return 3
                return (yield from self._jog(text[3:]))
            case _:
                if is_moving or self.mode not in (Mode.NORMAL, Mode.ALARM):
                    return 8
                return (yield from self._idle_system(text))
        return 0

    def _check_mode(self, *, is_moving: bool) -> int:
        if self.mode is Mode.CHECK:
            self.mode = Mode.NORMAL
            self.planner.settle(self._really_at)
            self._say("[MSG:Disabled]\r\n")
            self._soft_reset()
            return 0
        if self.mode is not Mode.NORMAL or is_moving:
            return 8
        self.mode = Mode.CHECK
        self._really_at = self.planner.end
        self._say("[MSG:Enabled]\r\n")
        return 0

    def _idle_system(self, text: str) -> Execution:
        """Commands that Grbl allows only when idle or in alarm."""
        match text:
            case "$H":
                if not self.settings[22]:
                    return 5
                yield from self._home()
            case "$I":
                self._say(self.build_info)
            case "$N":
                self._say("$N0=\r\n$N1=\r\n")
            case "$#":
                yield self._busy(PRINT_S)
                self._say(self._parameters())
            case "$SLP":
                self.mode = Mode.SLEEP
                self._say("[MSG:Sleeping]\r\n")
            case _:
                return (yield from self._store(text))
        return 0

    def _store(self, text: str) -> Execution:
        if re.fullmatch(r"\$RST=[$#*]", text):
            self.record.add(self.now, "settings", word=text)
            yield from self._write_eeprom(8)
            self._say("[MSG:Restoring defaults]\r\n")
            return 0
        found = re.match(r"\$([-+]?[\d.]+)", text)
        if found is None:
            return 3 if re.match(r"\$[A-Z]", text) else 2
        value = re.fullmatch(r"=([-+]?[\d.]+)", text[found.end() :])
        if value is None:
            return 2 if text[found.end() :] == "=" else 3
        number, amount = float(found.group(1)), float(value.group(1))
        if number not in self.settings:
            return 3
        if amount < 0:
            return 4
        if number == 0 and amount < 3:
            return 6
        if number == 20 and amount and not self.settings[22]:
            return 10
        whole = number in INTEGERS or number in WHOLE
        self.settings[int(number)] = float(int(amount)) if whole else amount
        self.planner.limits = self.limits
        self.record.add(self.now, "settings", word=text)
        yield from self._write_eeprom(2)
        return 0

    def _jog(self, text: str) -> Execution:
        line = read(text)
        if isinstance(line, int):
            return line
        if set(line.groups) - {"units", "distance"} and line.groups.get("non-modal") != 53:
            return 16
        if "F" not in line.values:
            return 22
        if not line.axes:
            return 26
        target = self._target(line)
        if self.settings[20] and self._is_outside(target):
            return 15
        scale = self._scale(line)
        yield from self._plan(target, speed=line.values["F"] * scale / 60)
        self._is_jogging = not self.planner.is_idle
        self.planner.release(self.now)
        return 0

    def _home(self) -> MainProgram:
        self.mode = Mode.HOMING
        self._is_deaf = True
        yield from self._run_homing()
        self._is_deaf = False
        self.mode = Mode.NORMAL
        self._report_if_asked()

    def _run_homing(self) -> MainProgram:
        """Seek the far corner, Z first, then touch it twice slowly and pull off."""
        s = self.settings
        seek, feed, pull = s[25] / 60, s[24] / 60, s[27]
        gaps = [
            max(reach - at, 0.0)
            for reach, at in zip(self.board.envelope, self._carriage, strict=True)
        ]
        slow = 2 * pull / feed + 2 * pull / seek
        yield Pause(until=self.now + gaps[2] / seek + slow)
        yield Pause(until=self.now + max(gaps[:2]) / seek + slow)
        x, y, z = self.board.envelope
        self._off = (x, y, z)
        self._sync((-pull, -pull, -pull))
        self.record.add(self.now, "homed", axes="XYZ")
