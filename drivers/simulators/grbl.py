"""A simulated Grbl 1.1h router: realtime bytes, lines, states and alarms.

Written from Grbl's interface and command documentation and from what an unmodified
board was seen to answer; G-code is in `grbl_blocks` and `grbl_motion`, `$` in `grbl_system`.
"""

from __future__ import annotations

import re

from drivers.simulators.firmware import MainProgram, Pause
from drivers.simulators.grbl_frame import Execution, Mode
from drivers.simulators.grbl_system import GrblSystem

LONGEST = 79
BOOT_S = 0.3
ALARM_S = 0.5  # Grbl does nothing for so long after saying an alarm
LINE_S = 0.0008
OVERRIDE_S = 0.00005  # from an override's byte to its effect, if the main program has time

BANNER = "\r\nGrbl 1.1h ['$' for help]\r\n"
REALTIME = re.compile(rb"[?!~\x18\x80-\xff]")
_COMMENT = re.compile(r"\([^)]*\)?|;.*")


class GrblSimulator(GrblSystem):
    """Grbl 1.1h on an ATmega328p; settings by number, such as `{"22": 1}` for homing."""

    name = "grbl-1.1"
    urgent = REALTIME
    immediate = b"?!~"
    banner = BANNER
    longest = LONGEST
    newline = re.compile(rb"[\r\n?!~\x18\x80-\xff]")

    def _boot(self) -> None:
        self._load_settings()
        super()._boot()
        self._power_on()
        self.mode = Mode.ALARM if self.settings[22] else Mode.NORMAL
        self._fresh()
        self._boots = True
        self._is_door_open = False

    def _fresh(self) -> None:
        """What a reset of any sort makes of the parser and the line."""
        self._line = ""
        self._ready: str | None = None
        self._is_deaf = False
        self._is_critical = False
        self._status_asked = False
        self._interrupts_off = False
        self._is_jogging = self._cancels_jog = self._is_spindle_held = False
        self.timers.clear()
        self._wco_countdown = self._override_countdown = 0
        self._feed_override, self._rapid_override, self._spindle_override = 100, 100, 100
        self._override_flags: set[int] = set()
        self.planner.set_overrides(1.0, 1.0)
        self._modes_reset()

    @property
    def is_suspended(self) -> bool:
        return self.mode in (Mode.HOLD, Mode.DOOR, Mode.SLEEP, Mode.TOOL)

    # The main program.

    def _main_program(self) -> MainProgram:
        self._boots = True
        yield Pause(until=self.now + 0.02)
        self._say("\r\n")
        yield Pause(until=self.now + BOOT_S)
        self.ring.data.clear()
        yield from self._session()

    def _session(self) -> MainProgram:
        """From the banner on; a soft reset begins here again."""
        self._boots = False
        self._say(self.banner)
        if self.mode is Mode.ALARM:
            self._say("[MSG:'$H'|'$X' to unlock]\r\n")
        yield from self._loop()

    def _loop(self) -> MainProgram:
        """Read a line, obey, answer, for ever."""
        self._boots = False
        while True:
            if self._ready is None:
                if not self.ring.data:
                    self.planner.release(self.now)
                yield Pause(ready=self._has_line, idle=True)
            text, self._ready = self._ready or "", None
            yield self._busy(LINE_S)
            yield from self._spell()
            error = yield from self._obey(text)
            yield Pause(ready=lambda: not self.is_suspended)
            self._acknowledge(text, error)

    def _alarm(self) -> None:
        self._fail(1)

    def _has_line(self) -> bool:
        return self._ready is not None and not self.is_suspended

    def _acknowledge(self, text: str, error: int) -> None:
        self._reply("ok\r\n" if not error else f"error:{error}\r\n")
        befalls = self._count(text, error=error)
        if self._restarts(befalls):
            return
        if "limit" in befalls:
            self._fail(1)
        if "door" in befalls:
            self._open_door()

    def _obey(self, text: str) -> Execution:
        if len(text) > self.longest:
            return 11
        if not text:
            return 0
        if text.startswith("$"):
            return (yield from self._system(text))
        if self.mode is Mode.ALARM or self._is_jogging:
            return 9
        return (yield from self._gcode(text))

    def _pump(self) -> None:
        data = self.ring.data
        while data and self._ready is None and not self.is_suspended and not self._boots:
            end = re.search(rb"[\r\n]", data)
            if end is None:
                self._line += data.decode("latin-1")
                data.clear()
                return
            self._line += data[: end.start()].decode("latin-1")
            del data[: end.end()]
            bare = _COMMENT.sub("", self._line)
            self._line = ""
            self._ready = re.sub(r"[\x00-\x20/]", "", bare).upper()

    # Interrupts.

    def _elapse(self) -> None:
        super()._elapse()
        if self.planner.is_held and self._cancels_jog:
            self._sync(self.planner.abort(self.now))
            self._cancels_jog = self._is_jogging = False
        if self._is_jogging and self.planner.is_idle:
            self._is_jogging = False

    def _arrive(self, data: bytes) -> bytes:
        if self._interrupts_off:
            self.record.add(self.now, "deaf", count=len(data))
            return b""
        if not self.urgent.search(data):
            return data
        rest = bytearray()
        for byte in data:
            byte = self._meaning(byte)
            if byte == 0x18:
                self._soft_reset()
                rest.clear()
            elif byte >= 0x80 or byte in self.immediate:
                if not self._is_critical or byte == 0x3F:
                    self._realtime(byte)
            else:
                rest.append(byte)
        return bytes(rest)

    def _meaning(self, byte: int) -> int:
        """Return the Grbl byte that *byte* stands for in this firmware."""
        return byte

    def _realtime(self, byte: int) -> None:
        match byte:
            case 0x3F:
                self._status_asked = True
                self._report_if_asked()
            case 0x21:
                self._hold(Mode.HOLD)
            case 0x84:
                self._say("[MSG:Check Door]\r\n")
                self._hold(Mode.DOOR)
                self.modes.spindle = 5
            case 0x7E:
                self._cycle_start()
            case 0x85:
                if self._is_jogging:
                    self._cancel_jog()
            case _ if byte >= 0x90:
                # One flag for each step: two that come before the main program has looked
                # are one.
                self._override_flags.add(byte)
                self.timers.setdefault("overrides", self._looks_at() + OVERRIDE_S)

    def _looks_at(self) -> float:
        """When the main program looks at its flags next."""
        busy = self._pause.until if not self._pause.idle and self._pause.ready is None else None
        return self.now if busy is None else max(busy, self.now)

    def _tick(self, timer: str) -> None:
        if timer == "shut":
            self._is_door_open = False
            return
        assert timer == "overrides", timer
        for byte in sorted(self._override_flags):
            self._override(byte)
        self._override_flags.clear()

    def _hold(self, mode: Mode) -> None:
        if self.mode in (Mode.ALARM, Mode.CHECK, Mode.HOMING, Mode.SLEEP):
            return
        if self._is_jogging:
            self._cancel_jog()
            return
        self.mode = mode
        self.planner.hold(self.now)
        self.record.add(self.now, "hold")
        is_lit = self.modes.spindle != 5 and not self._is_spindle_held
        if self.settings[32] and is_lit and "keeps-beam" not in self.board.options:
            self._toggle_spindle()  # Grbl does it when the hold is complete

    def _open_door(self) -> None:
        """The door's own switch: motion ends and what turns or burns goes off."""
        self._is_door_open = True
        self.timers["shut"] = self.now + self.faults.door_s
        self.record.add(self.now, "door", open=True)
        self._hold(Mode.DOOR)

    def _cancel_jog(self) -> None:
        self._cancels_jog = True
        self.planner.hold(self.now)

    def _cycle_start(self) -> None:
        if self._is_door_open:
            return  # "can't resume until closed"
        if self.mode in (Mode.HOLD, Mode.DOOR) and self.planner.is_held:
            self.mode = Mode.NORMAL
            if self._is_spindle_held:
                self._toggle_spindle()
            self.planner.resume(self.now)
        elif self.mode is Mode.NORMAL:
            self.planner.release(self.now)

    def _override(self, byte: int) -> None:
        def step(value: int, by: int) -> int:
            return min(max(value + by, 10), 200)

        match byte:
            case 0x90 | 0x99:
                self._adjust(byte, 100)
            case 0x91 | 0x92 | 0x93 | 0x94:
                self._adjust(byte, step(self._feed_override, (10, -10, 1, -1)[byte - 0x91]))
            case 0x95 | 0x96 | 0x97:
                self._rapid_override = (100, 50, 25)[byte - 0x95]
            case 0x9A | 0x9B | 0x9C | 0x9D:
                self._adjust(byte, step(self._spindle_override, (10, -10, 1, -1)[byte - 0x9A]))
            case 0xA0:
                self.modes.coolant = 9 if self.modes.coolant == 8 else 8
            case 0x9E:
                if self.mode is Mode.HOLD and self.planner.is_held:
                    self._toggle_spindle()
            case _:
                return
        self._override_countdown = 0
        self.planner.set_overrides(self._feed_override / 100, self._rapid_override / 100)

    def _toggle_spindle(self) -> None:
        """Stop the spindle in a hold, or have it turn again."""
        self._is_spindle_held = not self._is_spindle_held
        word = "M5" if self._is_spindle_held else f"M{self.modes.spindle}"
        self.record.add(self.now, "spindle", word=word, speed_rpm=self.modes.speed)

    def _adjust(self, byte: int, value: int) -> None:
        if byte >= 0x99:
            self._spindle_override = value
        else:
            self._feed_override = value

    def _soft_reset(self) -> None:
        """0x18: everything stops; a move that was cut short loses its place."""
        was_moving = self.planner.is_moving
        was_homing = self.mode is Mode.HOMING
        was_critical = self._is_critical
        here = self.planner.abort(self.now)
        self._sync(here)
        self.ring.data.clear()
        if self.mode is not Mode.ALARM:
            lost = was_moving or was_homing
            self.mode = Mode.ALARM if lost or self.mode is Mode.SLEEP else Mode.NORMAL
        alarm = 6 if was_homing else 3 if was_moving else 0
        self.record.add(self.now, "soft-reset", alarm=alarm)
        stale = was_critical and self._ready is not None
        self._fresh()
        self._restart(self._after_reset(alarm, stale=stale))

    def _after_reset(self, alarm: int, *, stale: bool) -> MainProgram:
        self._boots = True
        if stale:
            self._say("ok\r\n")
        if alarm:
            self._say(f"ALARM:{alarm}\r\n")
            yield Pause(until=self.now + ALARM_S)
            self.ring.data.clear()
        yield from self._session()

    def _fail(self, alarm: int) -> None:
        """A limit: stop at once, say so and wait for 0x18."""
        self._sync(self.planner.abort(self.now))
        self.mode = Mode.ALARM
        self.modes.spindle = 5
        self._is_critical = True
        self._say(f"ALARM:{alarm}\r\n[MSG:Reset to continue]\r\n")
        self.record.add(self.now, "alarm", alarm=alarm)
        self._restart(self._wait_for_reset())

    def _wait_for_reset(self) -> MainProgram:
        yield Pause(ready=lambda: False)

    # Reports.

    def _report_if_asked(self) -> None:
        deaf = self._is_deaf or self._is_critical or self._boots
        if self._status_asked and not deaf:
            self._status_asked = False
            self._say(self._status())

    def _state(self) -> str:
        if self.mode is Mode.HOLD:
            return "Hold:0" if self.planner.is_held else "Hold:1"
        if self.mode is Mode.DOOR:
            if not self.planner.is_held:
                return "Door:2"
            return "Door:1" if self._is_door_open else "Door:0"
        if self.mode is not Mode.NORMAL:
            return self.mode.value
        if self._is_jogging:
            return "Jog"
        return "Run" if self.planner.next_event() is not None else "Idle"

    def _status(self) -> str:
        mask = int(self.settings[10])
        checks = self.mode is Mode.CHECK
        here = self._really_at if checks else self.planner.position(self.now)
        offset = self._offset()
        shown = here if mask & 1 else tuple(h - o for h, o in zip(here, offset, strict=True))
        state = self._state()
        parts = [state, f"{'MPos' if mask & 1 else 'WPos'}:{self._triple(shown)}"]
        if mask & 2:
            parts.append(f"Bf:{self.planner.free},{self.ring.free}")
        turns = self.modes.spindle != 5 and not self._is_spindle_held
        spindle = self.modes.speed if turns else 0.0
        parts.append(f"FS:{self.planner.speed(self.now) * 60:.0f},{spindle:.0f}")
        if self._is_door_open:
            parts.append("Pn:D")
        is_busy = state not in ("Idle", "Alarm", "Check", "Sleep")
        if self._wco_countdown > 0:
            self._wco_countdown -= 1
        else:
            self._wco_countdown = 29 if is_busy else 9
            self._override_countdown = max(self._override_countdown, 1)
            parts.append(f"WCO:{self._triple(offset)}")
        if self._override_countdown > 0:
            self._override_countdown -= 1
        else:
            self._override_countdown = 19 if is_busy else 9
            parts += self._overrides_told()
        return f"<{'|'.join(parts)}>\r\n"

    def _overrides_told(self) -> list[str]:
        overrides = (self._feed_override, self._rapid_override, self._spindle_override)
        accessories = {3: "S", 4: "C"}.get(self.modes.spindle, "")
        accessories += "F" if self.modes.coolant == 8 else ""
        told = ["Ov:" + ",".join(map(str, overrides))]
        return [*told, f"A:{accessories}"] if accessories else told
