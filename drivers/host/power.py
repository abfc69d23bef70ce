"""The heartbeat of one machine: a person begins it, and all that is out of order ends it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from drivers.errors import HostError
from drivers.host.config import HostConfig
from drivers.pulse import Pulse
from drivers.snapshot import Phase, Snapshot

_OUT_OF_ORDER = frozenset({Phase.STOPPED, Phase.FAULT})

log = logging.getLogger(__name__)


class Power:
    """Keeps the line of `HostConfig.heartbeat` beating; does nothing where there is none.

    :param tell: hears of each change, with who asked or why.
    """

    def __init__(self, config: HostConfig, tell: Callable[[str, Mapping[str, object]], None]):
        self._config = config
        self._tell = tell
        self._pulse: Pulse | None = None
        if config.heartbeat:
            try:
                self._open()  # at once: a line that was left high must fall
            except HostError:
                log.exception("%s: no heartbeat", config.machine)

    @property
    def is_on(self) -> bool | None:
        """Tell whether it beats; None where there is no heartbeat."""
        if not self._config.heartbeat:
            return None
        return self._pulse is not None and self._pulse.is_on

    def refuse(self) -> None:
        """Refuse a start that would find its spindle, beam or heaters without power.

        :raises HostError: `host.no_power`.
        """
        if self.is_on is False:
            raise HostError("host.no_power", machine=self._config.machine)

    def switch(self, on: bool, by: str, last: Snapshot, now: float) -> None:
        """Do what a person asked.

        :raises HostError: if there is no line, or a stop was not looked at yet.
        """
        if not self._config.heartbeat:
            raise HostError("host.no_heartbeat", target="", reason="none")
        if not on:
            self.drop(by)
            return
        if last.stopped or last.phase in _OUT_OF_ORDER:
            raise HostError("host.not_now", word="power", phase=str(last.phase))
        pulse = self._pulse or self._open()
        if not pulse.is_on:
            pulse.start(now)
            log.info("%s: power on by %s", self._config.machine, by)
            self._tell("power", {"on": True, "by": by})

    def tick(self, last: Snapshot, now: float) -> None:
        """Beat if that is due and all is in order."""
        if self._pulse is None or not self._pulse.is_on:
            return
        if last.stopped or last.phase in _OUT_OF_ORDER:
            self.drop("stopped")
            return
        try:
            self._pulse.tick(now)
        except HostError:
            log.exception("%s: the heartbeat has ended", self._config.machine)
            self._tell("power", {"on": False, "by": "line"})

    def drop(self, why: str) -> None:
        """Let the relay fall; only a person lets it rise again."""
        if self._pulse is None or not self._pulse.is_on:
            return
        self._pulse.drop()
        log.warning("%s: power off: %s", self._config.machine, why)
        self._tell("power", {"on": False, "by": why})

    def deadline(self) -> float | None:
        """Return when `tick` must be called [s]."""
        return self._pulse.deadline() if self._pulse is not None else None

    def close(self) -> None:
        """Drop and let go of the line."""
        if self._pulse is not None:
            self._pulse.close()
            self._pulse = None

    def _open(self) -> Pulse:
        self._pulse = Pulse(self._config.heartbeat)
        return self._pulse
