"""What Marlin's commands do to a simulated printer."""

from __future__ import annotations

import math
import re
from collections.abc import Generator
from dataclasses import replace

from drivers.simulators.arcs import chords, marlin_pieces
from drivers.simulators.firmware import Firmware, Pause
from drivers.simulators.heat import Heater
from drivers.simulators.marlin_texts import Texts
from drivers.simulators.plant import Limits, Vector

MOVE_S, REPORT_S = 0.0047, 0.005  # processor time of a move and of a report with decimals
FIRST_MOVE_S = 0.1  # a lone first move waits for company
RESIDENCY_S, WINDOW, HYSTERESIS = 10.0, 1.0, 3.0  # how long and how near a target counts
COLD = 170.0  # no extrusion below it [°C]
STEPS = (80.0, 80.0, 400.0)  # per mm

Words = dict[str, float | None]
Execution = Generator[Pause, None, str]  # returns what follows "ok"

_COMMAND = re.compile(r"([GMT])\s*(\d+)(?:\.(\d+))?")
_WORD = re.compile(r"([A-Z])\s*([-+]?(?:\d+\.?\d*|\.\d+))?", re.IGNORECASE)


class MarlinCommands(Firmware):
    """The printer behind the line: axes, heaters, fan and the modes of the language."""

    texts: Texts
    _last: int  # number of the last numbered line

    def _power_on(self) -> None:
        envelope = self.board.envelope
        # Somebody has pushed the carriage somewhere; Marlin believes it to be at zero.
        self._off = (envelope[0] / 2, envelope[1] / 2, min(20.0, envelope[2] / 2))
        self._homed = [False, False, False]
        self._shift = [0.0, 0.0, 0.0, 0.0]  # G92
        self._relative = [False, False, False, False]
        self._feed = 25.0
        self._feed_percent = self._flow_percent = 1.0
        self._keepalive = 2.0
        self._busy_text = "processing"
        self._waits_for_heat = self._waits_for_user = False
        self._prompt = ""  # what the host was asked, until it has answered
        self._purges_more = False
        self._cold_allowed = False
        self._pid = [22.2, 1.08, 114.0]
        self._endstops = True
        self._report_s = 0.0
        planner = self.planner
        planner.acceleration = planner.travel_acceleration = planner.retract_acceleration = 3000.0
        self.fan = 0.0
        # A reset does not cool what is hot.
        if not hasattr(self, "nozzle"):
            self.nozzle = Heater(rise=400.0, inertia=118.0, lag=2.0, maximum=260.0)
            self.bed = Heater(rise=100.0, inertia=280.0, lag=3.0, maximum=140.0)
        self._heaters_off()

    @property
    def limits(self) -> Limits:
        jerk = (10.0, 10.0, 0.3, 5.0) if "classic-jerk" in self.board.options else ()
        speed, acceleration = (300.0, 300.0, 5.0, 25.0), (3000.0, 3000.0, 100.0, 10000.0)
        return Limits(speed, acceleration, jerk=jerk, is_marlin=True)

    def _place(self, target: Vector) -> Vector:
        return tuple(t + off for t, off in zip(target, self._off, strict=False))

    def _heaters_off(self) -> None:
        self.nozzle.set_target(0.0, self.now)
        self.bed.set_target(0.0, self.now)

    def _all_off(self) -> None:
        self._heaters_off()
        self.fan = 0.0
        self.planner.abort(self.now)

    def _quickstop(self) -> None:
        self.planner.abort(self.now)

    def _befall_heat(self, befalls: list[str]) -> None:
        if "hand" in befalls:
            self.nozzle.set_target(200.0, self.now)
        for word in ("heater", "stuck", "runaway"):
            if word in befalls:
                # As on a board built without thermal protection: nobody on it notices.
                self.nozzle.advance(self.now)
                self.nozzle.fault = word

    def _tick(self, timer: str) -> None:
        if timer == "busy" and self._keepalive:
            self._say(f"echo:busy: {self._busy_text}\n")
            self.timers["busy"] = self.now + self._keepalive
        elif timer == "report" and self._report_s:
            self._say(f"{self._temperatures()}\n")
            self.timers["report"] = self.now + self._report_s

    def _temperatures(self) -> str:
        nozzle, bed = self.nozzle, self.bed
        return (
            f" T:{nozzle.temperature(self.now):.2f} /{nozzle.target:.2f}"
            f" B:{bed.temperature(self.now):.2f} /{bed.target:.2f}"
            f" @:{round(nozzle.power * 127)} B@:{round(bed.power * 127)}"
        )

    # Execution.

    def _execute(self, text: str) -> Execution:
        found = _COMMAND.match(text)
        if found is None:
            self._unknown(text)
            return ""
        letter, code = found.group(1), int(found.group(2))
        words: Words = {
            name.upper(): float(value) if value else None
            for name, value in _WORD.findall(text[found.end() :])
        }
        match letter, code:
            case "G", 0 | 1:
                yield from self._move(words)
            case "G", 2 | 3:
                yield from self._arc(words, clockwise=code == 2)
            case "G", 4:
                yield from self._dwell(words)
            case "G", 28:
                yield from self._home(words)
            case "G", _ if self._mode(code, words):
                pass
            case "M", 105:
                yield self._busy(REPORT_S)
                return self._temperatures()
            case "M", 109 | 190:
                yield from self._heat(self.nozzle if code == 109 else self.bed, words)
            case "M", 0 | 1:
                yield from self._ask_user(text[found.end() :].strip(), words)
            case "M", 600:
                yield from self._change_filament()
            case "M", 400:
                yield from self._settle()
            case "M", 17 | 18 | 84:
                yield from self._settle()
            case "M", 114 | 115:
                yield self._busy(REPORT_S)
                self._tell(code)
            case "M", _ if self._set(code, words) or self._tune(code, words):
                pass
            case "M", 117 | 118:
                if code == 118:
                    self._say(text[found.end() :].strip() + "\n")
            case "T", 0:
                pass
            case _:
                self._unknown(text)
        return ""

    def _unknown(self, text: str) -> None:
        self._say(f'echo:Unknown command: "{text}"\n')

    def _tell_heating(self, left: str) -> None:
        self._say(f"{self._temperatures()} W:{left}\n")

    def _settle(self) -> Generator[Pause, None, None]:
        """Wait until nothing moves."""
        if not self.planner.is_idle:
            self.planner.release(self.now)
            yield Pause(ready=lambda: self.planner.is_idle, idle=True)

    def _move(self, words: Words) -> Generator[Pause, None, None]:
        target = self._target(words)
        if words.get("F"):
            self._feed = (words["F"] or 0.0) / 60.0
        yield from self._plan(target)

    def _target(self, words: Words) -> Vector:
        target = list(self.planner.end)
        for axis, name in enumerate("XYZE"):
            value = words.get(name)
            if value is None:
                continue
            if self._relative[axis]:
                target[axis] += value * (self._flow_percent if axis == 3 else 1.0)
            else:
                target[axis] = value - self._shift[axis]
        return self._clamped(target)

    def _clamped(self, target: list[float]) -> Vector:
        if not self._endstops:
            return tuple(target)
        for axis, reach in enumerate(self.board.envelope):
            if self._homed[axis] and not 0.0 <= target[axis] <= reach:
                self.record.add(self.now, "clamped", axis="XYZ"[axis], asked_mm=target[axis])
                target[axis] = min(max(target[axis], 0.0), reach)
        return tuple(target)

    def _plan(self, target: Vector) -> Generator[Pause, None, None]:
        planner = self.planner
        extrudes = target[3] != planner.end[3] and not self._cold_allowed
        if extrudes and self.nozzle.temperature(self.now) < COLD:
            self._say("echo: cold extrusion prevented\n")
            self.record.add(self.now, "cold-extrusion")
            # The firmware believes that the filament has moved.
            planner.settle((*planner.end[:3], target[3]))
        if not planner.free:
            yield Pause(ready=lambda: planner.free > 0, idle=True)
        yield self._busy(MOVE_S)
        was_idle = planner.is_idle
        if planner.add(target, self._feed * self._feed_percent):
            if was_idle:
                planner.release(self.now + FIRST_MOVE_S)
            elif len(planner) >= 3:
                planner.release(self.now)

    def _arc(self, words: Words, *, clockwise: bool) -> Generator[Pause, None, None]:
        if words.get("F"):
            self._feed = (words["F"] or 0.0) / 60.0
        start, target = self.planner.end, self._target(words)
        centre = (words.get("I") or 0.0, words.get("J") or 0.0)
        radius = words.get("R")
        points = chords(start, target, centre, radius, clockwise=clockwise, count=marlin_pieces)
        if not points:
            self._say("echo:bad arc\n")
        for point in points:
            yield from self._plan(point)

    def _dwell(self, words: Words) -> Generator[Pause, None, None]:
        yield from self._settle()
        seconds = (words.get("P") or 0.0) / 1000.0 or (words.get("S") or 0.0)
        if seconds:
            yield Pause(until=self.now + seconds, ready=lambda: False, idle=True)

    def _home(self, words: Words) -> Generator[Pause, None, None]:
        yield from self._settle()
        axes = [a for a, name in enumerate("XYZ") if name in words] or [0, 1, 2]
        end = list(self.planner.end)
        off = list(self._off)
        for axis in axes:
            distance = max(end[axis] + off[axis], 0.0)
            seconds = distance / 50.0 + 0.5 if axis < 2 else distance / 4.0 + 4.0
            yield Pause(until=self.now + seconds, ready=lambda: False, idle=True)
            end[axis] = off[axis] = self._shift[axis] = 0.0
            self._homed[axis] = True
        self._off = (off[0], off[1], off[2])
        self.planner.settle(tuple(end))
        self.record.add(self.now, "homed", axes="".join("XYZ"[a] for a in axes))
        self._report_position()

    def _heat(self, heater: Heater, words: Words) -> Generator[Pause, None, None]:
        cools = words.get("R") is not None
        target = words.get("R") if cools else words.get("S")
        if target is not None:
            heater.set_target(target, self.now)
        yield from self._settle()
        self._waits_for_heat = True
        since: float | None = None
        told = self.now
        while self._waits_for_heat and heater.target:
            error = heater.target - heater.temperature(self.now)
            if error < -WINDOW and not cools and since is None:
                break
            if since is None and abs(error) <= WINDOW:
                since = self.now
            elif since is not None and abs(error) > HYSTERESIS:
                since = None
            if since is not None and self.now - since >= RESIDENCY_S:
                break
            if self.now >= told:
                told += 1.0
                left = "?" if since is None else f"{RESIDENCY_S - self.now + since:.0f}"
                self._tell_heating(left)
            yield Pause(until=self.now + 0.25, ready=lambda: not self._waits_for_heat, idle=True)
        self._waits_for_heat = False

    def _ask_user(self, message: str, words: Words) -> Generator[Pause, None, None]:
        yield from self._settle()
        seconds = (words.get("P") or 0.0) / 1000.0 or (words.get("S") or 0.0)
        yield from self._wait_for_user(message or "Click to Resume...", ("Continue",), seconds)

    def _wait_for_user(
        self, text: str, buttons: tuple[str, ...], seconds: float = 0.0, reason: str = "continue"
    ) -> Generator[Pause, None, None]:
        self._busy_text = "paused for user"
        self._waits_for_user = True
        if "prompts" in self.board.options:
            self._prompt = reason
            self._say(f"//action:prompt_begin {text}\n")
            for button in buttons:
                self._say(f"//action:prompt_button {button}\n")
            self._say("//action:prompt_show\n")
        until = self.now + seconds if seconds else None
        yield Pause(until=until, ready=lambda: not self._waits_for_user, idle=True)
        self._waits_for_user = False
        self._busy_text = "processing"

    def _change_filament(self) -> Generator[Pause, None, None]:
        """M600: away from the part, out with the old, wait, purge as often as one likes, back."""
        yield from self._settle()
        self.record.add(self.now, "filament-change")
        if "prompts" in self.board.options:
            self._say("//action:paused\n")
        yield Pause(until=self.now + 2.0, ready=lambda: False, idle=True)
        yield from self._wait_for_user("Nozzle Parked", ("Continue",))
        self._purges_more = "prompts" in self.board.options
        while self._purges_more:
            yield Pause(until=self.now + 1.0, ready=lambda: False, idle=True)
            self.record.add(self.now, "purged")
            self._purges_more = False
            yield from self._wait_for_user("Paused", ("PurgeMore", "Continue"), reason="purge")
        if "prompts" in self.board.options:
            self._say("//action:resumed\n")
            self._say("//action:prompt_end\n")

    def _respond(self, choice: int) -> None:
        """M876: the host's answer to what it was asked."""
        prompt, self._prompt = self._prompt, ""
        if prompt:
            self.record.add(self.now, "responded", choice=choice)
            self._purges_more = prompt == "purge" and choice == 0
            self._waits_for_user = False

    def _mode(self, code: int, words: Words) -> bool:
        """Modes of the language. False: not such a command."""
        match code:
            case 20 | 21:
                pass
            case 90 | 91:
                self._relative = [code == 91] * 4
            case 92:
                given = [axis for axis, name in enumerate("XYZE") if name in words]
                for axis in given or [0, 1, 2, 3]:
                    value = words.get("XYZE"[axis]) or 0.0
                    self._shift[axis] = value - self.planner.end[axis]
            case _:
                return False
        return True

    def _set(self, code: int, words: Words) -> bool:
        """Commands that switch something at once. False: not such a command."""
        amount = words.get("S")
        match code:
            case 82 | 83:
                self._relative[3] = code == 83
            case 104 | 140:
                heater = self.nozzle if code == 104 else self.bed
                if amount is not None:
                    heater.set_target(amount, self.now)
            case 106 | 107:
                self.fan = 0.0 if code == 107 else (255.0 if amount is None else amount) / 255.0
            case 108:
                self._waits_for_heat = self._waits_for_user = False
            case 110:
                if words.get("N") is not None:
                    self._last = int(words["N"] or 0)
            case 112:
                self._all_off()
            case 113:
                if amount is not None:
                    self._keepalive = amount
            case 155:
                self._report_s = amount or 0.0
                self.timers.pop("report", None)
                if self._report_s:
                    self.timers["report"] = self.now + self._report_s
            case 211:
                if amount is not None:
                    self._endstops = bool(amount)
            case 302:
                if "P" in words:
                    self._cold_allowed = bool(words["P"])
                elif amount is not None:
                    self._cold_allowed = amount == 0
            case 410:
                self._quickstop()
            case 876 if "prompts" in self.board.options:
                self._respond(int(amount or 0))
            case _:
                return False
        return True

    def _tune(self, code: int, words: Words) -> bool:
        """Speeds, accelerations and settings. False: not such a command."""
        limits = self.planner.limits
        match code:
            case 201 | 203:
                old = limits.acceleration if code == 201 else limits.speed
                given = (words.get(name) for name in "XYZE")
                new = tuple(o if g is None else g for o, g in zip(old, given, strict=True))
                self.planner.limits = (
                    replace(limits, acceleration=new) if code == 201 else replace(limits, speed=new)
                )
            case 204:
                both, planner = words.get("S"), self.planner
                planner.acceleration = words.get("P") or both or planner.acceleration
                planner.travel_acceleration = words.get("T") or both or planner.travel_acceleration
                planner.retract_acceleration = words.get("R") or planner.retract_acceleration
            case 205:
                self._set_corners(words)
            case 220:
                self._feed_percent = (words.get("S") or 100.0) / 100.0
            case 221:
                self._flow_percent = (words.get("S") or 100.0) / 100.0
            case 500 | 501 | 502:
                self.record.add(self.now, "settings", word=f"M{code}")
                self._say(
                    "echo:Hardcoded Default Settings Loaded\n"
                    if code == 502
                    else "Error:EEPROM disabled\n"
                )
            case 301:
                given = (words.get(name) for name in "PID")
                self._pid = [o if g is None else g for o, g in zip(self._pid, given, strict=True)]
            case 503:
                self._say(self._settings())
            case 20 | 21 | 31 | 42 | 73 | 75 | 76 | 77 | 85 | 92 | 119 | 200 | 206 | 304 | 900:
                pass
            case _:
                return False
        return True

    def _set_corners(self, words: Words) -> None:
        """M205: which of its numbers there are depends on how the firmware was built."""
        limits = self.planner.limits
        if limits.jerk:
            given = (words.get(name) for name in "XYZE")
            jerk = tuple(o if g is None else g for o, g in zip(limits.jerk, given, strict=True))
            self.planner.limits = replace(limits, jerk=jerk)
        elif words.get("J"):
            deviation = words["J"] or limits.junction_deviation
            self.planner.limits = replace(limits, junction_deviation=deviation)

    def _tell(self, code: int) -> None:
        if code == 115:
            self._say(self.texts.about(self.board.options))
        else:
            self._report_position()

    def _settings(self) -> str:
        """The answer to M503: a line for each group, and what it is about before it.

        *Source:* MarlinFirmware/Marlin 1.1.x:Marlin/configuration_store.cpp,
        2.1.x:Marlin/src/module/settings.cpp.
        """
        limits, planner = self.planner.limits, self.planner
        named = (
            ("Steps per unit", 92, "XYZE", (*STEPS, 500.0)),
            ("Maximum feedrates (units/s)", 203, "XYZE", limits.speed),
            ("Maximum Acceleration (units/s2)", 201, "XYZE", limits.acceleration),
            (
                "Acceleration (units/s2)",
                204,
                "PRT",
                (planner.acceleration, planner.retract_acceleration, planner.travel_acceleration),
            ),
            ("Home offset", 206, "XYZ", (0.0, 0.0, 0.0)),
            ("PID settings", 301, "PID", tuple(self._pid)),
        )
        mark = "echo:; " if self.texts.has_capabilities else "echo:"
        return "".join(
            f"{mark}{about}:\necho:  M{code}"
            + "".join(f" {letter}{value:.2f}" for letter, value in zip(letters, of, strict=True))
            + "\n"
            for about, code, letters, of in named
        )

    def _report_position(self) -> None:
        end = [e + s for e, s in zip(self.planner.end, self._shift, strict=True)]
        here = self.planner.position(self.now)
        steps = [math.floor(h * s + 0.5) for h, s in zip(here, STEPS, strict=False)]
        self._say(
            f"X:{end[0]:.2f} Y:{end[1]:.2f} Z:{end[2]:.2f} E:{end[3]:.2f}"
            f" Count X:{steps[0]} Y:{steps[1]} Z:{steps[2]}\n"
        )


def understood(text: str) -> str:
    """What a parser of words makes of a line: letters with numbers, whatever else stands between.

    >>> understood("G1 X5 F6000  44")
    'G1 X5 F6000'
    """
    if re.match(r"\s*[Mm]\s*(?:20|23|28|29|30|32|36|117|118|531)(?!\d)", text):
        return text
    text = re.split(r"[(%;]", text)[0]
    return " ".join(f"{letter.upper()}{number}" for letter, number in _WORD.findall(text))
