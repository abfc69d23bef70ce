"""The plugs of one machine: which of its parts hang on which, and when they go off."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping

from drivers.errors import HostError
from drivers.host.config import HostConfig
from drivers.plug import is_plug, parse_plug
from drivers.plug_switch import PlugSaid, PlugSwitch, PlugWord

HEARTBEAT = "heartbeat"  # the part of a plug that is renewed while the host lives
CUTTING = ("spindle", "beam")  # what must not go on once nobody wants it
_MAY_BE_ON = frozenset({PlugWord.ON, PlugWord.TURNING_ON, PlugWord.UNKNOWN})
_LEAVE_S = 1.5  # for plugs to confirm when the host leaves
_LEAVE_STEP_S = 0.02

log = logging.getLogger(__name__)

Tell = Callable[[str, Mapping[str, object]], None]


class Plugs:
    """Switches what machine data says hangs on a plug; one plug may serve several parts.

    :param tell: hears of each change that a plug has confirmed.
    :raises HostError: `host.bad_plug`.
    """

    def __init__(self, config: HostConfig, tell: Tell) -> None:
        self._machine = config.machine
        self._tell = tell
        specs = dict(config.plugs)
        if is_plug(config.heartbeat):
            specs[HEARTBEAT] = config.heartbeat
        plugs = {part: parse_plug(spec) for part, spec in sorted(specs.items())}
        held = plugs.get(HEARTBEAT)
        switches = {
            plug: PlugSwitch(
                plug,
                config.plug_logins.get(plug.door),
                holds=plug == held,
                broker=config.broker,
            )
            for plug in plugs.values()
        }
        self._parts = {part: switches[plug] for part, plug in plugs.items()}
        self._makers = {part: plug.maker.value for part, plug in plugs.items()}
        self._wall = time.time() - time.monotonic()
        self._switches = tuple(switches.values())
        self._told: dict[str, PlugWord] = {}

    @property
    def are_on(self) -> bool:
        """Tell whether each is on by a person's wish, and says so; True without any."""
        return all(switch.is_on for switch in self._switches)

    @property
    def words(self) -> dict[str, str]:
        """How each part's plug stands."""
        return {part: switch.word.value for part, switch in self._parts.items()}

    @property
    def said(self) -> dict[str, dict[str, object]]:
        """What each part's plug has said last, when, and what it measures."""
        return {part: told(switch.said, self._wall) for part, switch in self._parts.items()}

    def metered(self) -> tuple[str, str, float] | None:
        """Return what the plug of the mains, or else of one part, has counted.

        :returns: part, maker and count [Wh]; None if none of them counts.
        """
        for part in ("mains", *sorted(self._parts)):
            switch = self._parts.get(part)
            if switch is not None and switch.said.wh is not None:
                return part, self._makers[part], switch.said.wh
        return None

    def on(self) -> None:
        """Switch on what is not on already; a named person has asked."""
        for switch in self._switches:
            if not switch.is_on:
                switch.on()

    def off(self) -> None:
        """Switch all off, whatever they last said."""
        for switch in self._switches:
            switch.off()

    def cut(self) -> bool:
        """Switch off the heartbeat and what cuts, but not the mains; False if nothing was on.

        The mains are left to a person and to *stop*: they may be what cools a nozzle.
        """
        return self._off_those((HEARTBEAT, *CUTTING))

    def rest(self) -> bool:
        """Switch off what cuts, for a run is over or a tool is changed; False if nothing was on."""
        return self._off_those(CUTTING)

    def tick(self, now: float) -> HostError | None:
        """Move all on; return why one is lost that was wanted."""
        lost: HostError | None = None
        for switch in self._switches:
            if now >= switch.deadline():
                switch.tick(now)
            lost = switch.take_loss() or lost
        self._tell_changes()
        return lost

    def deadline(self) -> float | None:
        """Return when `tick` must be called [s]."""
        return min((switch.deadline() for switch in self._switches), default=None)

    def close(self) -> None:
        """Switch off what a person has switched on; its confirmation is waited for, briefly."""
        until = time.monotonic() + _LEAVE_S
        leaving = [switch for switch in self._switches if not switch.is_at_rest]
        for switch in leaving:
            switch.off()
        while (now := time.monotonic()) < until:
            for switch in leaving:
                switch.tick(now)
            if all(switch.word is PlugWord.OFF for switch in leaving):
                break
            time.sleep(_LEAVE_STEP_S)
        self._tell_changes()
        for switch in self._switches:
            switch.close()

    def _off_those(self, parts: Iterable[str]) -> bool:
        chosen = {id(self._parts[part]): self._parts[part] for part in parts if part in self._parts}
        words = [(switch, switch.word) for switch in chosen.values()]
        for switch, word in words:
            if word in _MAY_BE_ON:
                switch.off()
        return any(word in _MAY_BE_ON and word is not PlugWord.UNKNOWN for _, word in words)

    def _tell_changes(self) -> None:
        for part, switch in self._parts.items():
            word = switch.word
            if self._told.get(part) is word:
                continue
            self._told[part] = word
            why = str(switch.trouble) if switch.trouble is not None else ""
            log.info("%s: the plug of %s: %s %s", self._machine, part, word, why)
            self._tell("plug", {"part": part, "word": word.value, "why": why})


def told(said: PlugSaid, wall: float) -> dict[str, object]:
    """Return what a plug said, as JSON values, by the clock on the wall.

    :param wall: what to add to steady seconds [s].
    """
    if not said.raw:
        return {}
    return {
        "raw": said.raw,
        "at_us": 1_000_000 * round(said.at + wall),
        "watts": None if said.watts is None else round(said.watts, 1),
        "wh": None if said.wh is None else round(said.wh, 1),
    }
