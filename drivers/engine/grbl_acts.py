"""What a person may have a Grbl do by hand: overrides, jog, home, unlock, hold and reset."""

from __future__ import annotations

import re
from enum import Enum, auto

from drivers.acts import Act, Order, Reach, length, outside
from drivers.dialects import grbl
from drivers.engine.base import UNHOMED_JOG, StreamEngine
from drivers.flow import CharacterCounting, Line, Part
from drivers.profile import FirmwareProfile, Flow
from drivers.snapshot import PauseStep, Phase

# These touch the EEPROM, which closes the interrupts: a byte that comes meanwhile is lost.
# A jog does not. Source: gnea/grbl:doc/markdown/interface.md, "EEPROM Issues".
_EEPROM = re.compile(rb"\$(?!J=)|G\s*(?:10|28|30|5[4-9])(?!\d)", re.IGNORECASE)
# Would act at once, wherever it stands; the stream file has none, a single command could.
_REALTIME = bytes((*b"?!~\x18", *range(0x80, 0x100)))
_PLAIN = {"status": "?", "hold": "!", "resume": "~", "reset": "\x18"}
AHEAD = 1.0  # of jogs that are on their way [s]; all of them end at a jog cancel
POLL_HAND = 0.2  # between two `?` while a person has it move [s]
_STEP_WAIT = 0.5  # for a report to show a step of an override [s]
_CRITICAL = frozenset({1, 2})  # a limit was met: it says nothing more before a reset
_KEEPS_PLACE = frozenset({2, 4, 5})  # soft limit and probe: the machine knows where it is
# What people read of the settings. Source: gnea/grbl:doc/csv/setting_codes_en_US.csv
_SWITCHES = {20: "soft_limits", 21: "hard_limits", 22: "homing"}
_AMOUNTS = {
    30: "spindle_max_rpm",
    **{100 + n: f"steps_{axis}_per_mm" for n, axis in enumerate("xyz")},
    **{110 + n: f"feed_max_{axis}_mm_min" for n, axis in enumerate("xyz")},
    **{120 + n: f"acceleration_{axis}_mm_s2" for n, axis in enumerate("xyz")},
    **{130 + n: f"travel_{axis}_mm" for n, axis in enumerate("xyz")},
}
# Settings: homing, homing directions, laser mode, travel of X, Y, Z.
_HOMING, _DIRECTIONS, _LASER, _FASTEST, _TRAVEL = 22, 23, 32, 110, 130
_STEPS = {"feed": (10, 200), "spindle": (10, 200), "rapid": (25, 100)}

_LIVE = frozenset({Act.FEED, Act.RAPID, Act.SPINDLE})
_IN_STATE = {
    "Idle": _LIVE | {Act.JOG, Act.HOME, Act.ZERO, Act.RESET, Act.OFF},
    "Jog": _LIVE | {Act.JOG, Act.JOG_CANCEL},
    "Run": _LIVE | {Act.HOLD},
    "Hold:0": _LIVE | {Act.RESUME, Act.RESET, Act.SPINDLE_TOGGLE},
    "Hold": _LIVE | {Act.RESUME, Act.RESET, Act.SPINDLE_TOGGLE},  # one without sub-states
    "Door:0": frozenset({Act.RESUME, Act.RESET}),
    "Door:1": frozenset({Act.RESET}),
    "Tool": frozenset({Act.RESUME, Act.RESET}),
    "Alarm": frozenset({Act.UNLOCK, Act.HOME, Act.RESET}),
    "Check": frozenset({Act.RESET}),
    "Sleep": frozenset({Act.RESET}),
    # Hold:1 and Door:2-3 pass by themselves, and a reset before would lose the position.
    "Hold:1": _LIVE,
}
_NEEDS = {
    Act.JOG_CANCEL: "jog_cancel",
    Act.FEED: "feed_100",
    Act.RAPID: "rapid_100",
    Act.SPINDLE: "spindle_100",
    Act.SPINDLE_TOGGLE: "spindle_toggle",
}


class Step(Enum):
    """How far a procedure has come."""

    NOTHING = auto()
    HELLO = auto()  # waits for any sign of life
    ASKED = auto()  # waits for the answer to $I
    HOLDING = auto()  # waits for the standstill
    RESETTING = auto()  # waits for the banner
    OFF = auto()  # waits for the answers to the switch-off list


class GrblActs(StreamEngine):
    """The realtime lane of a Grbl, and what its settings say."""

    def __init__(self, profile: FirmwareProfile, now: float) -> None:
        super().__init__(profile, now)
        one = profile.flow is Flow.SEND_RESPONSE
        self._flow = CharacterCounting(profile.rx_bytes, 1 if one else 1_000_000)
        self._step = Step.NOTHING
        self._state = ""
        self._paused_said = False
        self._unheard = 0  # hellos without an answer
        self._critical = False
        self._settings: dict[int, float] = {}
        self._letters = ""  # of its build, from [OPT:
        self._rings: list[int] = []  # sizes told since the last hello [bytes]
        self._wanted: dict[str, int] = {}  # overrides on their way [percent]
        self._stepped: dict[str, tuple[int, float]] = {}  # what was shown when a step went out
        self._jogs = 0  # unanswered
        self._cancels_jog = False
        self._status_byte = self._byte("status")
        self._may = frozenset(
            act for act in Act if act not in _NEEDS or _NEEDS[act] in profile.realtime
        )

    def _byte(self, word: str) -> bytes:
        return self._profile.realtime.get(word, _PLAIN.get(word, "")).encode("latin-1")

    def _line(self, text: bytes, part: Part, index: int = -1) -> Line:
        text = text.translate(None, _REALTIME)
        return Line(text, part, index, _EEPROM.search(text) is not None)

    # -- what is legal ----------------------------------------------------------------------

    def acts(self) -> frozenset[Act]:
        """Return what a person may have the machine do in its present state."""
        return self._legal() & self._may

    def _legal(self) -> frozenset[Act]:
        if self._phase is Phase.STREAMING:
            if self._controller in ("Hold:0", "Door:0", "Tool"):
                return _LIVE | {Act.RESUME}
            return _LIVE | {Act.HOLD}
        if self._phase is Phase.PAUSED and self._pause_step == PauseStep.TOOL_CHANGE:
            if self._jogs or self._state == "Jog":
                return _LIVE | {Act.JOG, Act.JOG_CANCEL}
            return _LIVE | {Act.JOG, Act.ZERO, Act.RESUME} if self._state == "Idle" else _LIVE
        if self._phase is Phase.PAUSED:
            held = (
                {Act.RESUME, Act.SPINDLE_TOGGLE} if self._controller == "Hold:0" else {Act.RESUME}
            )
            return _LIVE | held if self._paused_said else _LIVE
        if self._phase is Phase.CONNECTING and self._unheard >= 5:
            # A board in alarm after a limit is mute until its reset, and so is one that homes.
            return frozenset({Act.RESET})
        if self._phase is not Phase.IDLE or not self._connected:
            return frozenset()
        if self._critical:
            return frozenset({Act.RESET})
        legal = _IN_STATE.get(self._controller) or _IN_STATE.get(self._state) or frozenset()
        if not self._settings.get(_HOMING, 1.0):
            legal -= {Act.HOME}
        if self._jogs:
            legal = (legal | {Act.JOG_CANCEL}) - {Act.HOME, Act.RESET, Act.OFF}
        return legal

    # -- acts -------------------------------------------------------------------------------

    def _act(self, order: Order, reach: Reach, now: float) -> str:
        match order.act:
            case Act.HOLD if self._phase is Phase.STREAMING:
                self.pause(now)
            case Act.HOLD:
                self._urgent += self._byte("hold")
            case Act.RESUME if self._phase is Phase.PAUSED:
                if not self.resume(now):
                    return "host.not_at_place" if self._way_back() else "host.not_now"
            case Act.RESUME:
                self._cycle_start()
            case Act.FEED | Act.RAPID | Act.SPINDLE:
                self._wanted[order.act.value] = order.percent
                if self._overrides:
                    self._step_overrides(now)
                else:
                    self._ask_all()
            case Act.SPINDLE_TOGGLE:
                self._urgent += self._byte("spindle_toggle")
            case Act.JOG:
                return self._jog(order, reach, now)
            case Act.JOG_CANCEL:
                self._cancels_jog = True
                self._urgent += self._byte("jog_cancel")
                self._jog_until = now
            case Act.HOME:
                return self._home(order, now)
            case Act.ZERO:
                words = " ".join(f"{axis}0" for axis in order.axes or ("Z",))
                self._extras.append(self._line(f"G10 L20 P0 {words}".encode(), Part.EXTRA))
            case Act.UNLOCK:
                self._extras.append(self._line(b"$X", Part.EXTRA))
            case Act.RESET:
                self._reset_by_hand(now)
            case Act.OFF:
                self._extras.extend(self._lines(self._profile.switch_off))
            case _:
                return "host.not_now"
        self._soon(now)
        return ""

    def _home(self, order: Order, now: float) -> str:
        if not order.axes:
            self._homed = False
            self._extras.extend(self._lines(self._profile.homing))
        elif not self._settings_told.get("homes_axes"):
            return "host.not_now"
        else:
            # What the others know of their place is not touched.
            axes = (axis for axis in "ZXY" if axis in order.axes)
            self._extras.extend(self._lines(f"$H{axis}" for axis in axes))
        self._soon(now)
        return ""

    def _cycle_start(self) -> None:
        if self._state == "Tool":
            self._urgent += self._byte("tool_done")
        self._urgent += self._byte("resume")

    def _reset_by_hand(self, now: float) -> None:
        self._flow.clear()
        self._extras.clear()
        self._jogs = 0
        self._wanted.clear()
        self._critical = False
        self._controller = ""
        self.flush_first = True
        self._urgent += self._byte("reset")
        # Its banner begins the conversation anew; a firmware without one is asked.
        self._phase = Phase.CONNECTING
        self._connected = False
        self._step = Step.HELLO
        self._timers.clear()
        self._after("hello", 1.0, now)

    def _jog(self, order: Order, reach: Reach, now: float) -> str:
        reach = self._travel() or reach
        if self._homed:
            if outside(order, self._position, reach):
                return "host.out_of_reach"
        elif max(abs(by) for by in order.axes.values()) > UNHOMED_JOG:
            return "host.not_homed"
        if self._jogs or self._jog_until > now + AHEAD:
            return "host.too_far_ahead"
        way = " ".join(f"{axis}{by:.3f}" for axis, by in order.axes.items() if by)
        line = f"$J=G91 G21 {way} F{order.feedrate * 60.0:.0f}"
        self._extras.append(self._line(line.encode(), Part.EXTRA))
        self._jogs += 1
        self._cancels_jog = False
        self._jog_until = max(self._jog_until, now) + self._jog_time(order)
        self._soon(now)
        return ""

    def _jog_time(self, order: Order) -> float:
        """Return how long a jog takes [s]; no axis goes faster than its setting."""
        slowest = length(order) / order.feedrate
        for number, axis in enumerate("XYZ"):
            fastest = self._settings.get(_FASTEST + number, 0.0) / 60.0
            if fastest > 0.0:
                slowest = max(slowest, abs(order.axes.get(axis, 0.0)) / fastest)
        return slowest

    def _firmware_reach(self) -> Reach:
        return self._travel()

    def _travel(self) -> Reach:
        """Return where the firmware itself would let it go.

        *Source:* gnea/grbl:grbl/system.c, `system_check_travel_limits`.
        """
        reach = {}
        for number, axis in enumerate("XYZ"):
            travel = self._settings.get(_TRAVEL + number, 0.0)
            if travel <= 0.0:
                return {}
            # Built with its origin at the switch, it counts away from it.
            directions = int(self._settings.get(_DIRECTIONS, 0.0))
            upward = "Z" in self._letters and directions >> number & 1
            reach[axis] = (0.0, travel) if upward else (-travel, 0.0)
        return reach

    # -- what comes back --------------------------------------------------------------------

    def _take_status(self, status: grbl.Status, now: float) -> None:
        self._state = status.state
        detail = "" if status.detail is None else f":{status.detail}"
        self._pins = status.pins
        self._controller = status.state if status.state == "Alarm" else status.state + detail
        self._critical = False  # it speaks
        if status.is_homed is not None:
            self._homed = status.is_homed
        if len(status.overrides) == 3:
            feed, rapid, spindle = status.overrides
            self._overrides = {"feed": feed, "rapid": rapid, "spindle": spindle}
        if self._wanted and len(status.overrides) == 3:
            self._step_overrides(now)
        if self._cancels_jog and status.state == "Jog":
            self._urgent += self._byte("jog_cancel")
        elif status.state != "Jog" and not self._jogs:
            self._cancels_jog = False

    def _step_overrides(self, now: float) -> None:
        """Go one step nearer to what is wanted, and ask.

        Grbl keeps a flag for each step, so two that come together count once: the next goes
        out only when a report shows the last, or does not for so long that it was lost.
        """
        for name, wanted in list(self._wanted.items()):
            low, high = _STEPS[name]
            wanted = min(max(wanted, low), high)
            shown = self._overrides[name]
            before, at = self._stepped.get(name, (-1, now))
            off = wanted - shown
            if shown == before and now - at < _STEP_WAIT:
                continue
            self._stepped[name] = (shown, now)
            if not off:
                del self._wanted[name], self._stepped[name]
            elif name == "rapid" or wanted == 100:
                self._urgent += self._byte(f"{name}_{wanted}")
            else:
                size = 10 if abs(off) > 5 else 1
                self._urgent += self._byte(f"{name}_{'up' if off > 0 else 'down'}_{size}")
        if self._wanted:
            self._soon(now)

    def _ask_all(self) -> None:
        self._urgent += self._byte("full_status") or self._status_byte

    def _take_setting(self, setting: grbl.Setting) -> None:
        number, value = setting.number, setting.value
        self._settings[number] = value
        if number in _SWITCHES:
            self._settings_told = {**self._settings_told, _SWITCHES[number]: value > 0}
        elif number in _AMOUNTS:
            self._settings_told = {**self._settings_told, _AMOUNTS[number]: value}
        if setting.number == _LASER:
            self._laser = setting.value > 0

    def _take_options(self, options: grbl.Options) -> None:
        self._letters = options.letters
        # A build with HOMING_SINGLE_AXIS_COMMANDS. Source: gnea/grbl:doc/csv/build_option_codes.
        self._settings_told = {**self._settings_told, "homes_axes": "H" in options.letters}
        if not options.rx_bytes:
            return
        told = max(options.rx_bytes - 1, 16)
        # Nothing on this line has a checksum: less is believed at once, more than the
        # profile only from two equal answers.
        twice = self._rings[-1:] == [told]
        self._rings.append(told)
        self._flow.rx_bytes = told if twice else min(self._profile.rx_bytes, told)

    def _jog_answered(self, line: Line) -> None:
        if not line.text.startswith(b"$J="):
            return
        self._jogs = max(self._jogs - 1, 0)
        self._state = "Jog"  # until a report says that it is over
        if self._cancels_jog:
            # The cancel came before this line was read, so it was not of it.
            self._urgent += self._byte("jog_cancel")

    def _take_alarm(self, code: int) -> None:
        self._state = self._controller = "Alarm"
        self._critical = code in _CRITICAL
        self._jogs = 0
        self._cancels_jog = False
        if code not in _KEEPS_PLACE:
            self._homed = False

    def _soon(self, now: float) -> None:
        """Look at it soon: a person waits to see what it does."""
        self._after("poll", 0.02 if self._wanted else 0.05, now)
