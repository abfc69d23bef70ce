"""Inputs that must be good while a beam may burn: a lid, an extraction, a water flow.

Each is one word: `door`, the pin of a Grbl controller itself; `gpiochip:CHIP/LINE=0` or
`file:PATH=0`, a line and its good value; `PLUG>WATTS`, a metering plug that is on and draws more.

*Source:* gnea/grbl:doc/markdown/interface.md, "Pn:" and "Door"; gpio.h for lines.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from drivers.errors import HostError
from drivers.gpio import GpioInput
from drivers.mqtt import Broker
from drivers.plug import Plug, is_plug, parse_plug
from drivers.plug_login import Login
from drivers.plug_switch import PlugSwitch
from drivers.snapshot import Snapshot

DOOR: Final = "door"
EXAMPLE: Final = "door, gpiochip:/dev/gpiochip0/17=0, shelly-gen2:192.168.1.42>20"
MOST: Final = 8
STALE_S: Final = 15.0  # a plug that was not heard for so long vouches for nothing
READ_S: Final = 0.1  # from one look at a line to the next while a run is open
IDLE_S: Final = 0.5  # the same, while none is
_LINE: Final = re.compile(r"(gpiochip|file):(/[^\0=>]{1,180})=([01])")
_CHIP: Final = re.compile(r"(/.+)/(\d{1,3})")
_LONGEST: Final = 64  # bytes that are read of a file
_PLUG: Final = re.compile(r"([^>]+)>(\d{1,4})")


class Standing(StrEnum):
    """How an input stands."""

    GOOD = "good"
    OPEN = "open"  # it says itself that it is not good
    UNKNOWN = "unknown"  # it cannot be read, which is as bad


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a chip, or a file that holds `0` or `1`.

    :param offset: of the line on its chip; None for a file.
    :param good: the value at which all is in order.
    """

    path: Path
    offset: int | None
    good: int


@dataclass(frozen=True, slots=True)
class Draw:
    """A plug whose load must be at work.

    :param watts: that it must draw more than.
    """

    plug: Plug
    watts: float


Wanted = Line | Draw | None


def parse_interlock(text: str) -> Wanted:
    """Read one input; None is the controller's own door.

    :raises HostError: `host.bad_interlock`, or `host.bad_plug` for a plug's address.

    >>> parse_interlock("door"), parse_interlock("file:/tmp/lid=0").good
    (None, 0)
    >>> parse_interlock("tasmota:10.0.0.2/2>20").watts
    20.0
    """
    if text == DOOR:
        return None
    if (match := _LINE.fullmatch(text)) is not None:
        kind, place, good = match.groups()
        chip = _CHIP.fullmatch(place)
        if kind == "file":
            return Line(Path(place), None, int(good))
        if chip is not None:
            return Line(Path(chip[1]), int(chip[2]), int(good))
    elif (match := _PLUG.fullmatch(text)) is not None and is_plug(match[1]):
        return Draw(parse_plug(match[1]), float(match[2]))
    raise HostError("host.bad_interlock", interlock=text[:80], example=EXAMPLE)


class Interlocks:
    """The inputs of one machine; whatever cannot be read is not good.

    :param logins: of plugs with a password, by their door.
    :param broker: for plugs that are asked through one.
    :raises HostError: if an input is badly named.
    """

    def __init__(
        self, names: tuple[str, ...], logins: Mapping[str, Login], broker: Broker | None
    ) -> None:
        self._wanted = {name: parse_interlock(name) for name in names[:MOST]}
        self._gpio: dict[str, GpioInput] = {}
        self._plugs: dict[str, PlugSwitch] = {}
        self._read_at = float("-inf")
        self._standing: dict[str, Standing] = dict.fromkeys(self._wanted, Standing.UNKNOWN)
        for name, wanted in self._wanted.items():
            if isinstance(wanted, Draw):
                login = logins.get(wanted.plug.door)
                self._plugs[name] = PlugSwitch(wanted.plug, login, holds=False, broker=broker)

    @property
    def standing(self) -> Mapping[str, str]:
        """How each stands, by its name."""
        return {name: one.value for name, one in self._standing.items()}

    @property
    def bad(self) -> tuple[str, ...]:
        """Names of those that are not good."""
        return tuple(name for name, one in self._standing.items() if one is not Standing.GOOD)

    def look(self, state: Snapshot, now: float, *, is_running: bool) -> None:
        """Read what is due."""
        for plug in self._plugs.values():
            if now >= plug.deadline():
                plug.tick(now)
        is_due = now >= self._read_at
        for name, wanted in self._wanted.items():
            match wanted:
                case None:
                    self._standing[name] = _door(state)
                case Draw():
                    self._standing[name] = _drawn(self._plugs[name], wanted, now)
                case Line() if is_due:
                    self._standing[name] = self._read(name, wanted)
        if is_due:
            self._read_at = now + (READ_S if is_running else IDLE_S)

    def deadline(self, now: float) -> float | None:
        """Return when `look` must be called [s]; None without inputs."""
        if not self._wanted:
            return None
        # A door is told by the controller, which wakes its host itself.
        times = [plug.deadline() for plug in self._plugs.values()]
        if any(isinstance(one, Line) for one in self._wanted.values()):
            times.append(max(self._read_at, now))
        return min(times, default=None)

    def close(self) -> None:
        """Let go of lines and plugs."""
        for line in self._gpio.values():
            line.close()
        self._gpio.clear()
        for plug in self._plugs.values():
            plug.close()

    def _read(self, name: str, wanted: Line) -> Standing:
        try:
            if wanted.offset is None:
                with wanted.path.open("rb", buffering=0) as file:
                    text = (file.read(_LONGEST) or b"").strip()
                if text not in (b"0", b"1"):
                    return Standing.UNKNOWN
                value = int(text)
            else:
                if name not in self._gpio:
                    self._gpio[name] = GpioInput(wanted.path, wanted.offset)
                value = int(self._gpio[name].read())
        except OSError:
            if (line := self._gpio.pop(name, None)) is not None:
                line.close()
            return Standing.UNKNOWN
        return Standing.GOOD if value == wanted.good else Standing.OPEN


def _door(state: Snapshot) -> Standing:
    """Judge by the pin that Grbl reports, and by the state that it goes into.

    At `Door:0` it is closed again and only a cycle start is missing.
    """
    if not state.connected:
        return Standing.UNKNOWN
    word, _, detail = state.controller.partition(":")
    is_open = "D" in state.pins or (word == "Door" and detail != "0")
    return Standing.OPEN if is_open else Standing.GOOD


def _drawn(plug: PlugSwitch, wanted: Draw, now: float) -> Standing:
    said = plug.said
    if said.watts is None or now - said.watts_at > STALE_S or plug.is_closed is None:
        return Standing.UNKNOWN
    is_good = plug.is_closed and said.watts > wanted.watts
    return Standing.GOOD if is_good else Standing.OPEN
