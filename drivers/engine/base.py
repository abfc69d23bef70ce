"""What all engines share: lines out of bytes, the program's cursor, timers, the snapshot."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

from drivers.acts import Act, Order, Reach
from drivers.engine.laning import Laning
from drivers.engine.prompting import Prompting
from drivers.flow import Line, Part, Program
from drivers.profile import FirmwareProfile
from drivers.quality import LinkQuality
from drivers.snapshot import (
    Attention,
    Event,
    Failed,
    Paused,
    Phase,
    Reached,
    Resumed,
    RunStarted,
    Snapshot,
    Stopped,
)

_LINE_MAX = 4096  # longest line a firmware may say [bytes]; beyond it is noise
_EXTRAS_MAX = 64  # commands that may wait between program lines
_NONE: frozenset[Act] = frozenset()
UNHOMED_JOG = 10.0  # longest, while nobody knows where the machine stands [mm]

RUNNING = frozenset({Phase.STREAMING, Phase.PAUSED, Phase.CANCELLING})


class StreamEngine(Laning):
    """One conversation with one firmware.

    Commands (`start`, `pause`, …) take effect at once; their events come with the next
    `receive`. A command that does not fit the phase is ignored and returns False.

    :param now: monotonic time [s], here and in every method.
    """

    #: The caller empties its output queue before it writes `urgent_to_send`.
    flush_first = False

    def __init__(self, profile: FirmwareProfile, now: float) -> None:
        super().__init__(profile, now)
        self.reach: Reach = {}  # of the machine; the caller says so where it knows
        self._run = ""
        self._firmware = ""
        self._board: dict[str, str] = {}
        self._connected = False
        self._temperatures: dict[str, tuple[float, float]] = {}
        self._position: dict[str, float] = {}
        self._spindle_on = False
        self._link = LinkQuality()
        self._began_at = now
        self._message = ""
        self._notice = ""
        self._prompting = Prompting()
        self._pause_step = ""
        self._tool = 0
        self._offsets: dict[str, tuple[float, ...]] = {}
        self._offsets_seq = 0
        self._modes_told: tuple[str, ...] = ()
        self._stopped = False
        self._controller = ""
        self._pins = ""
        self._overrides: dict[str, int] = {}
        self._homed = False
        self._homed_axes: set[str] = set()
        self._laser: bool | None = None
        self._settings_told: dict[str, bool | float] = {}
        self._kept_settings: tuple[str, ...] = ()
        self._jog_until = 0.0  # when what was jogged so far is done, by its feedrate

    @property
    def phase(self) -> Phase:
        """Where the conversation stands."""
        return self._phase

    # -- bytes and time ---------------------------------------------------------------------

    def receive(self, data: bytes, now: float) -> list[Event]:
        """Return what *data* means, however the port cut it. Empty: only time passed."""
        acked = self._acked
        if data:
            self._heard_at = now
            *lines, self._partial = (self._partial + data).split(b"\n")
            if len(self._partial) > _LINE_MAX:
                self._partial = b""
            for line in lines:
                if line := line.strip(b"\r \t\0"):
                    self._hear(line, now)
        if self._timers and min(self._timers.values()) <= now:
            self._ring_all(now)
        if self._acked != acked and now >= self._count_at:
            self._count_rate(now)
        events, self._events = self._events, []
        return events

    def _ring_all(self, now: float) -> None:
        for name in [name for name, due in self._timers.items() if due <= now]:
            if self._timers.get(name, now + 1.0) <= now:
                del self._timers[name]
                self._ring(name, now)

    @abstractmethod
    def data_to_send(self, now: float) -> bytes:
        """Return bytes of the ordinary lane that fit the firmware; the caller writes all."""

    def urgent_to_send(self, now: float) -> bytes:  # noqa: ARG002 (the seam's shape)
        """Return bytes that overtake all others; see `flush_first`."""
        self.flush_first = False
        if not self._urgent:
            return b""
        out = bytes(self._urgent)
        self._urgent.clear()
        return out

    def deadline(self) -> float | None:
        """Return when `receive(b"", now)` must be called, whatever was heard [s]."""
        return min(self._timers.values(), default=None)

    # -- commands ---------------------------------------------------------------------------

    @abstractmethod
    def connect(self, now: float) -> None:
        """Begin the conversation anew; a running program fails."""

    def start(self, program: Program, now: float, run: str = "") -> bool:
        """Begin to stream; only an idle machine may."""
        if self._phase is not Phase.IDLE or not len(program):
            return False
        self._program, self._run = program, run
        self._cursor = self._acked = 0
        self._link, self._began_at = LinkQuality(), now
        self._message, self._stopped = "", False
        self._ahead.clear()
        self._position = {}
        self._starvation, self._starved_since = 0.0, None
        self._rate.clear()
        self._count_at = now
        self._phase = Phase.STREAMING
        self._events.append(RunStarted(len(program)))
        self._begin(now)
        return True

    def pause(self, now: float) -> bool:
        """Bring the machine to a standstill between two moves, or within one if it can."""
        if self._phase is not Phase.STREAMING:
            return False
        self._phase = Phase.PAUSED
        self._halt(now)
        return True

    def resume(self, now: float) -> bool:
        """Go on after a pause; also answers a machine that waits for its button."""
        if self._phase is not Phase.PAUSED:
            return False
        self._phase = Phase.STREAMING
        self._message = ""
        self._events.append(Resumed())
        self._go_on(now)
        return True

    def cancel(self, now: float) -> bool:
        """Drop the rest of the program and switch everything off, in an orderly way."""
        if self._phase not in (Phase.STREAMING, Phase.PAUSED):
            return False
        self._phase = Phase.CANCELLING
        self._ahead.clear()
        self._extras.clear()
        self._wind_down(now)
        return True

    def stop(self, now: float) -> bool:
        """Emergency stop, in any phase. The machine needs a person's eyes afterwards."""
        self._phase = Phase.STOPPED
        self._stopped = True
        self._connected = False
        self._program_over()
        self._timers.clear()
        self._urgent[:] = b""
        self.flush_first = True
        self._events.append(Stopped())
        self._emergency(now)
        return True

    def command(self, line: bytes, now: float) -> bool:  # noqa: ARG002 (the seam's shape)
        """Send one bare line between program lines."""
        if not self._connected or not line or len(self._extras) >= _EXTRAS_MAX:
            return False
        self._extras.append(self._line(line, Part.EXTRA))
        return True

    def acts(self) -> frozenset[Act]:
        """Return what a person may have the machine do in its present state."""
        return _NONE

    def act(self, order: Order, reach: Reach, now: float) -> str:
        """Have the machine do something besides a program.

        :param reach: of the machine as the lab knows it; what the firmware tells goes before.
        :returns: "" if it was taken, else the code of the "no".
        """
        if order.act not in self.acts():
            return "host.not_now"
        return self._act(order, reach, now)

    def _act(self, order: Order, reach: Reach, now: float) -> str:  # noqa: ARG002 (the seam)
        return "host.not_now"

    def answer(self, number: int, choice: int, now: float) -> bool:  # noqa: ARG002 (the seam's shape)
        """Carry a person's answer to a prompt; False if that prompt is not open.

        :param choice: which of its choices, from 0; 0 for *go on* where it offers none.
        """
        return False

    def read_offsets(self, now: float) -> bool:  # noqa: ARG002 (the seam's shape)
        """Ask an idle controller for its offsets; `Snapshot.offsets_seq` grows with the answer."""
        return False

    def reached(self) -> Reached:
        """Return how far the program has come."""
        return Reached(self._phase, self._acked, self._cursor)

    def snapshot(self, now: float) -> Snapshot:
        """Return the state at this instant."""
        starved = now - self._starved_since if self._starved_since is not None else 0.0
        return Snapshot(
            phase=self._phase,
            firmware=self._firmware,
            connected=self._connected,
            temperatures=dict(self._temperatures),
            position=dict(self._position),
            spindle_on=self._spindle_on,
            acked=self._acked,
            sent=self._cursor,
            total=len(self._program) if self._program else 0,
            resends=self._link.resends,
            lines_s=self._lines_per_second(now),
            source_line=self._source_line(),
            run=self._run,
            message=self._message,
            stopped=self._stopped,
            starvation_s=self._starvation + starved,
            controller=self._controller,
            pins=self._pins,
            board=dict(self._board),
            overrides=dict(self._overrides),
            acts=tuple(sorted(self.acts())),
            homed=self._homed,
            laser=self._laser,
            told=self._settings_told,
            settings=self._kept_settings,
            damaged=self._link.damaged,
            lost=self._link.lost,
            narrow_s=self._link.narrow_time(now),
            quality=self._link.score(self._cursor, self._began_at, now),
            at_work=self._at_work(),
            excused_s=self._excused(now),
            prompt=self._prompting.open,
            notice=self._notice,
            step=self._pause_step,
            tool=self._tool,
            back=self._way_back(),
            offsets=dict(self._offsets),
            offsets_seq=self._offsets_seq,
            modes=self._modes_told,
            reach=dict(self._firmware_reach()),
        )

    def _firmware_reach(self) -> Reach:
        return {}

    def _way_back(self) -> Mapping[str, float]:
        """Return how far a person has to jog each axis before it may go on [mm]."""
        return {}

    # -- what a dialect does ----------------------------------------------------------------

    @abstractmethod
    def _hear(self, line: bytes, now: float) -> None:
        """Act on one received line."""

    @abstractmethod
    def _ring(self, name: str, now: float) -> None:
        """Act on a timer that has run out."""

    @abstractmethod
    def _begin(self, now: float) -> None:
        """Do what comes before the first line."""

    @abstractmethod
    def _halt(self, now: float) -> None:
        """Begin to pause; ends with `_paused`."""

    @abstractmethod
    def _go_on(self, now: float) -> None:
        """Resume the motion."""

    @abstractmethod
    def _wind_down(self, now: float) -> None:
        """Begin to cancel."""

    @abstractmethod
    def _emergency(self, now: float) -> None:
        """Fill the urgent lane."""

    # -- helpers of the dialects ------------------------------------------------------------

    def _after(self, name: str, delay: float, now: float) -> None:
        self._timers[name] = now + delay

    def _too_long(self, line: Line, now: float) -> bool:
        """Fail the program if the firmware would cut *line*."""
        if line.is_plain or len(line.text) < self._profile.max_line_bytes:
            return False
        self._fail("program.line_too_long", line.place, "", now)
        return True

    def _at_work(self) -> str:
        """Return the word of a long command whose answer is owed, "" if there is none."""
        return ""

    def _excused(self, now: float) -> float:  # noqa: ARG002 (the seam's shape)
        """Return for how long no report of temperatures could be expected [s]."""
        return 0.0

    def _paused(self) -> None:
        self._events.append(Paused())

    def _over(self, event: Event) -> None:
        """End the program with *event*; the machine is idle."""
        self._events.append(event)
        self._program_over()
        self._phase = Phase.IDLE

    def _program_over(self) -> None:
        self._extras.clear()
        self._ahead.clear()
        if self._starved_since is not None:
            self._starvation += max(0.0, self._heard_at - self._starved_since)
            self._starved_since = None

    def _fail(self, code: str, index: int, text: str, now: float) -> None:
        """Give the program up; `_make_safe` then does what can be done.

        :param index: the program line to blame, -1 for none.
        """
        if self._phase not in RUNNING:
            return
        line = self._program.source_line(index) if self._program and index >= 0 else 0
        self._phase = Phase.FAULT
        self._stopped = True
        self._message = code
        self._program_over()
        self._timers.clear()
        self._events.append(Failed(code, line, text))
        # What still waits on this side of the wire is of a program that has ended.
        self.flush_first = True
        self._make_safe(now)

    @abstractmethod
    def _make_safe(self, now: float) -> None:
        """Switch off what can be after a failure, and find back to a conversation."""

    def _looks_damaged(self, text: str) -> bool:
        """Count a reply of no sense if it looks damaged; many firmwares also just talk."""
        damaged = len(text) < 5 or "\ufffd" in text or not text.isprintable()
        if damaged and self._phase in RUNNING:
            self._link.damaged += 1
        return damaged

    def _note(self, code: str, text: str = "") -> None:
        self._events.append(Attention(code, text))

    def _lines_per_second(self, now: float) -> float:
        if self._phase is not Phase.STREAMING or not self._rate:
            return 0.0
        since, acked = self._rate[0]
        return (self._acked - acked) / (now - since) if now > since else 0.0
