"""The newest word of every machine, for pages that watch; nothing here is kept on disk."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

Temperature = tuple[float, float | None]  # actual, target [°C]


@dataclass(frozen=True, slots=True)
class LivePrompt:
    """What a machine asks the person beside it; its words are not to be trusted.

    :param choices: the answers it offers; empty: there is only *go on*.
    :param commands: what each of them sends, where that is a command of its own; else empty.
    """

    number: int
    text: str
    choices: tuple[str, ...]
    commands: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LiveWatch:
    """Whether a beam may burn, as its host says.

    :param every_s: how often somebody has to say that they are there; None: its host is older and
        keeps no such clock.
    :param left_s: time until the run is held unless they say so; None: nothing burns.
    :param withheld: why the run was held: `presence` or `interlock`; "" if it was not.
    :param interlocks: how each input stands: `good`, `open` or `unknown`.
    """

    every_s: float | None = None
    left_s: float | None = None
    withheld: str = ""
    interlocks: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LivePlug:
    """What a plug said last.

    :param raw: its own words, not to be trusted; `at_us`: when [µs since 1970, UTC].
    :param watts: of what hangs on it; `wh`: by its own counter. None: it does not measure.
    """

    raw: str = ""
    at_us: int = 0
    watts: float | None = None
    wh: float | None = None

    @property
    def at(self) -> datetime | None:
        """When it was said; None: never."""
        return datetime.fromtimestamp(self.at_us / 1e6, UTC) if self.at_us else None


NO_WATCH = LiveWatch()


@dataclass(frozen=True, slots=True)
class LiveState:
    """What a machine host said last.

    :param phase: the engine's phase in its own word, or "offline" without a host.
    :param acked: stream lines the machine has acknowledged.
    :param controller: the controller's own word for its state, such as `Hold:0`.
    :param overrides: of feed, rapid, spindle or flow [percent], as far as known.
    :param acts: what its state allows by hand, in the words of `drivers.acts.Act`.
    :param told: what the firmware told of its own settings, units in the names.
    :param settings: what it keeps, as lines that would set it, such as `M92 X80.00 Y80.00`.
    :param laser: it drives a beam; None if the firmware has not told.
    :param in_use: why somebody seems to use it by hand: `heat`, `motion`, `boot`; "" if nobody.
    :param differs: what is not as learned of its own board; empty: it has its own.
    :param identity: what tells its board from others.
    :param stopped: someone stopped it; a person must look before it works again.
    :param notice: the last text that the machine wanted to be shown.
    :param step: how far a pause has come, in the engine's own word.
    :param tool: number of the tool that a tool change waits for, 0 outside one.
    :param back_mm: how far each axis is to be jogged before it goes on with that tool.
    """

    phase: str = "offline"
    connected: bool = False
    firmware: str = ""
    temperatures: Mapping[str, Temperature] = field(default_factory=dict)
    position_mm: tuple[float, ...] | None = None
    spindle_on: bool = False
    acked: int = 0
    sent: int = 0
    total: int = 0
    resends: int = 0
    quality: int = 100
    source_line: int = 0
    run: str | None = None
    stopped: bool = False
    message: str = ""
    heat_off_s: float | None = None
    heat_kept_by: str = ""
    power: bool | None = None  # all that heartbeat and plugs hold is on; None: there is none
    plugs: Mapping[str, str] = field(default_factory=dict)  # how the plug of each part stands
    plugs_said: Mapping[str, LivePlug] = field(default_factory=dict)
    power_off_s: float | None = None  # until it goes off, if it has cooled
    watch: LiveWatch = NO_WATCH
    controller: str = ""
    overrides: Mapping[str, int] = field(default_factory=dict)
    acts: tuple[str, ...] = ()
    homed: bool = False
    laser: bool | None = None
    told: Mapping[str, bool | float] = field(default_factory=dict)
    settings: tuple[str, ...] = ()
    in_use: str = ""
    differs: tuple[str, ...] = ()
    identity: Mapping[str, str] = field(default_factory=dict)
    prompt: LivePrompt | None = None
    notice: str = ""
    step: str = ""
    tool: int = 0
    back_mm: Mapping[str, float] = field(default_factory=dict)
    heard_at: datetime | None = None


class LiveBoard:
    """Latest live state by machine slug, with a version that grows at each change.

    Thread-safe: the supervisor writes, request threads and SSE tasks read.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._states: dict[str, LiveState] = {}
        self._version = 0
        self._house = 0

    @property
    def version(self) -> int:
        """Return a number that grows whenever anything changed."""
        return self._version

    @property
    def house(self) -> int:
        """Return a number that grows when more than a machine's own word changed."""
        return self._house

    def get(self, slug: str) -> LiveState:
        """Return the newest state; a machine nobody spoke of is offline."""
        with self._lock:
            return self._states.get(slug, LiveState())

    def put(self, slug: str, state: LiveState) -> None:
        """Take in a machine's newest state."""
        with self._lock:
            if self._states.get(slug) != state:
                self._states[slug] = state
                self._version += 1

    def offline(self, slug: str) -> None:
        """Say that nothing is heard of the machine's host."""
        self.put(slug, replace(self.get(slug), phase="offline", connected=False))

    def forget(self, slug: str) -> None:
        """Drop a machine that was retired."""
        with self._lock:
            self._states.pop(slug, None)
            self._version += 1

    def touch(self) -> None:
        """Say that something else on the pages changed, such as the queue."""
        with self._lock:
            self._version += 1
            self._house += 1
