"""How the conversation with a Grbl begins and ends: hello, feed hold, reset, switch-off list."""

from __future__ import annotations

from drivers.engine.grbl_acts import Step
from drivers.engine.grbl_halts import GrblHalts
from drivers.flow import Line, Part
from drivers.profile import FirmwareProfile
from drivers.snapshot import Cancelled, Connected, Phase

POLL_IDLE = 1.0  # between two `?` while nothing runs [s]
POLL_HOLD = 0.1  # between two `?` while it comes to a standstill [s]
_BANNER_WAIT = 3.0  # after a reset [s]
NO_BANNER = 0.5  # after a reset, until a state proves it as well: FluidNC may say no banner [s]
_PARK_WAIT = 20.0  # more for the way up [s]
_OFF_WAIT = 3.0  # for the answers to the switch-off list [s]
_RECOVER = 2.0  # from a stop or failure to the next conversation [s]


class GrblEnds(GrblHalts):
    """Finds a controller, and leaves it at rest with all switched off."""

    def __init__(self, profile: FirmwareProfile, now: float) -> None:
        super().__init__(profile, now)
        self._reset_at = now
        self._after_reset: Cancelled | None = None

    def _hello(self, now: float) -> None:
        """Ask for a sign of life; a controller that came up without a reset has no banner."""
        self._forget()
        self._step = Step.HELLO
        self._unheard += 1
        self._ask_all()
        self._after("hello", POLL_IDLE, now)

    def _forget(self) -> None:
        self._flow.clear()
        self._extras.clear()
        self._urgent.clear()
        self._rings.clear()
        self._wanted.clear()
        self._jogs = 0
        self._after_reset = None
        self._timers.pop("answer", None)

    def _introduce(self, now: float) -> None:
        """It is alive: ask who it is, if it may answer that now."""
        if self._state in ("Idle", "Alarm", "Check", ""):
            self._step = Step.ASKED
            # The empty line ends whatever noise stands in its line buffer. Asked twice: a size
            # that grows is believed only then.
            asks = (self._line(line, Part.EXTRA) for line in (b"$I", b"$$"))
            self._extras.extend((Line(b""), *asks, self._line(b"$I", Part.LAST)))
            self._after("hello", _BANNER_WAIT, now)
        else:
            self._ready(now)

    def _ready(self, now: float) -> None:
        self._step = Step.NOTHING
        self._timers.pop("hello", None)
        self._connected = True
        self._unheard = 0
        self._phase = Phase.IDLE
        self._events.append(Connected(self._firmware))
        self._after("poll", POLL_IDLE, now)

    def _wind_down(self, now: float) -> None:
        self._forget_change()
        self._after_reset = Cancelled()
        self._hold_then_reset(now)

    def _hold_then_reset(self, now: float) -> None:
        """Come to a standstill, then reset: so the position is kept."""
        self._step = Step.HOLDING
        self._urgent[:0] = self._byte("hold")
        self._urgent += self._status_byte
        self._timers.pop("answer", None)
        self._after("poll", POLL_HOLD, now)
        self._after("hold", self._profile.cancel_s, now)

    def _reset(self, now: float) -> None:
        self._step = Step.RESETTING
        self._flow.clear()
        self._extras.clear()
        # What is left of the program on this side of the wire would be made after it.
        self.flush_first = True
        self._urgent += self._byte("reset")
        self._timers.clear()
        self._await_banner(now)

    def _await_banner(self, now: float) -> None:
        self._critical = False
        self._jogs = 0
        self._wanted.clear()
        self._reset_at = now
        self._after("banner", _BANNER_WAIT, now)
        self._after("poll", NO_BANNER, now)

    def _switch_off(self, now: float) -> None:
        self._step = Step.OFF
        self._timers.pop("banner", None)
        self._timers.pop("poll", None)
        self._extras.extend(self._lines(self._profile.switch_off))
        if self._phase is Phase.CANCELLING and self._homed and not self._laser:
            self._extras.extend(self._lines(self._profile.park))
        self._after("off", _OFF_WAIT + (_PARK_WAIT if self._homed else 0.0), now)

    def _made_safe(self, now: float) -> None:
        self._step = Step.NOTHING
        self._timers.pop("off", None)
        if self._phase is Phase.CANCELLING and self._after_reset is not None:
            self._over(self._after_reset)
            self._after_reset = None
            self._after("poll", POLL_IDLE, now)
        else:
            self._after("recover", _RECOVER, now)

    def _emergency(self, now: float) -> None:
        self._forget()
        self._step = Step.RESETTING
        self._urgent += self._profile.emergency.encode("latin-1")
        self._await_banner(now)

    def _make_safe(self, now: float) -> None:
        self._connected = False
        if self._state in ("Alarm", "Reset"):
            self._reset(now)
        else:
            self._hold_then_reset(now)
