"""The power of one machine: a person begins it, and all that is out of order ends it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from drivers.errors import HostError
from drivers.host.config import HostConfig
from drivers.host.plugs import Plugs
from drivers.plug import is_plug
from drivers.pulse import Pulse
from drivers.snapshot import Phase, Snapshot

_OUT_OF_ORDER = frozenset({Phase.STOPPED, Phase.FAULT})
REST_MOST_S = 7200.0  # that a person may ask for
COOLER_S = 5.0  # from one look how hot it is to the next
COOL_MOST_S = 3600.0  # for a machine to cool, or to say how hot it is

log = logging.getLogger(__name__)

Tell = Callable[[str, Mapping[str, object]], None]


@dataclass(frozen=True, slots=True)
class _Rest:
    """The power goes off by itself; `at` by the clock, and when it is cool enough."""

    by: str
    at: float
    below_c: float


class Power:
    """Keeps the heartbeat beating and the plugs as a person wants them; one or both or neither.

    :param tell: hears of each change, with who asked or why.
    """

    def __init__(self, config: HostConfig, tell: Tell) -> None:
        self._config = config
        self._tell = tell
        self._pulse: Pulse | None = None
        self._plugs: Plugs | None = None
        self._was_changing_tool = False
        self._rest: _Rest | None = None
        self._cooler_at = 0.0
        self._counted: tuple[str, str, float] | None = None  # when the run began
        self._line = "" if is_plug(config.heartbeat) else config.heartbeat
        try:
            if config.plugs or is_plug(config.heartbeat):
                self._plugs = Plugs(config, tell)
            if self._line:
                self._open()  # at once: a line that was left high must fall
        except HostError:
            log.exception("%s: no heartbeat", config.machine)

    @property
    def is_on(self) -> bool | None:
        """Tell whether all is on by a person's wish; None where there is nothing to switch."""
        if not self._config.heartbeat and not self._config.plugs:
            return None
        beats = not self._line or (self._pulse is not None and self._pulse.is_on)
        needs_plugs = bool(self._config.plugs) or is_plug(self._config.heartbeat)
        plugged = not needs_plugs or (self._plugs is not None and self._plugs.are_on)
        return beats and plugged

    @property
    def plugs(self) -> Mapping[str, str]:
        """How the plug of each part stands, a `PlugWord`."""
        return self._plugs.words if self._plugs is not None else {}

    @property
    def said(self) -> Mapping[str, Mapping[str, object]]:
        """What the plug of each part said last, and when."""
        return self._plugs.said if self._plugs is not None else {}

    def begin_run(self) -> None:
        """Note what the plugs have counted before a run; it needs the power."""
        self._rest = None
        self._counted = self._plugs.metered() if self._plugs is not None else None

    def energy(self) -> dict[str, object]:
        """Return what a run has taken by a plug's own counter; nothing if none counts."""
        begin, end = self._counted, self._plugs.metered() if self._plugs is not None else None
        if begin is None or end is None or begin[:2] != end[:2] or end[2] < begin[2]:
            return {}
        return {"energy_mwh": round(1000 * (end[2] - begin[2])), "energy_by": f"{end[0]}: {end[1]}"}

    def rest_later(self, by: str, seconds: float, below_c: float, now: float) -> None:
        """Switch all off in a while, if it has cooled by then; else as soon as it has.

        :raises HostError: `host.no_heartbeat` if there is nothing to switch.
        """
        if self.is_on is None:
            raise HostError("host.no_heartbeat", target="", reason="none")
        self._rest = _Rest(by, now + min(max(seconds, 0.0), REST_MOST_S), below_c)

    def off_in(self, now: float) -> float | None:
        """Return how long the power stays on at least [s]; None: nobody asked for its end."""
        return None if self._rest is None else max(0.0, self._rest.at - now)

    def refuse(self) -> None:
        """Refuse a start that would find its spindle, beam or heaters without power.

        :raises HostError: `host.no_power`.
        """
        if self.is_on is False:
            raise HostError("host.no_power", machine=self._config.machine)

    def switch(self, on: bool, by: str, last: Snapshot, now: float) -> None:
        """Do what a person asked.

        :raises HostError: if there is nothing to switch, or a stop was not looked at yet.
        """
        if self.is_on is None:
            raise HostError("host.no_heartbeat", target="", reason="none")
        if not on:
            self._rest = None
            self.drop(by, mains=True)
            return
        if last.stopped or last.phase in _OUT_OF_ORDER:
            raise HostError("host.not_now", word="power", phase=str(last.phase))
        if self._plugs is None and (self._config.plugs or not self._line):
            self._plugs = Plugs(self._config, self._tell)  # says what is wrong with them
        pulse = (self._pulse or self._open()) if self._line else None
        self._rest = None
        if self.is_on:
            return
        if pulse is not None and not pulse.is_on:
            pulse.start(now)
        if self._plugs is not None:
            self._plugs.on()
        log.info("%s: power on by %s", self._config.machine, by)
        self._tell("power", {"on": True, "by": by})

    def tick(self, last: Snapshot, now: float, *, is_running: bool = False) -> str:
        """Beat, renew and ask if that is due and all is in order.

        :returns: why power is lost that a person wanted on, "" if none is.
        """
        if self._pulse is not None and self._pulse.is_on:
            if last.stopped or last.phase in _OUT_OF_ORDER:
                self.drop("stopped")
            else:
                try:
                    self._pulse.tick(now)
                except HostError as error:
                    return self._ended("line", error)
        self._rest_if_due(last, now, is_running=is_running)
        if self._plugs is None:
            return ""
        is_changing_tool = bool(last.tool)
        if is_changing_tool and not self._was_changing_tool and self._plugs.rest():
            # Hands go to the tool now: what a plug drives must not turn, whatever M5 could do.
            self._tell("power", {"on": False, "by": "tool"})
        self._was_changing_tool = is_changing_tool
        lost = self._plugs.tick(now)
        return self._ended("plug", lost) if lost is not None else ""

    def drop(self, why: str, *, mains: bool = False) -> None:
        """Let the relay fall and what cuts go off; only a person lets it rise again.

        :param mains: a plug of the mains goes off, too, and each other, whatever it said before.
        """
        fell = self._pulse is not None and self._pulse.is_on
        if self._pulse is not None and self._pulse.is_on:
            self._pulse.drop()
        if self._plugs is not None:
            if mains:
                fell = True
                self._plugs.off()
            else:
                fell = self._plugs.cut() or fell
        if fell:
            log.warning("%s: power off: %s", self._config.machine, why)
            self._tell("power", {"on": False, "by": why})

    def rest(self, why: str) -> None:
        """Switch off what a run no longer needs; the heartbeat of a relay goes on."""
        if self._plugs is not None and self._plugs.rest():
            self._tell("power", {"on": False, "by": why})

    def deadline(self) -> float | None:
        """Return when `tick` must be called [s]."""
        times = (
            self._pulse.deadline() if self._pulse is not None else None,
            self._plugs.deadline() if self._plugs is not None else None,
            max(self._rest.at, self._cooler_at) if self._rest is not None else None,
        )
        return min((at for at in times if at is not None), default=None)

    def close(self) -> None:
        """Drop and let go of the line and the plugs."""
        if self._pulse is not None:
            self._pulse.close()
            self._pulse = None
        if self._plugs is not None:
            self._plugs.close()
            self._plugs = None

    def _rest_if_due(self, last: Snapshot, now: float, *, is_running: bool) -> None:
        rest = self._rest
        if rest is None or is_running or now < rest.at:
            return
        is_known = last.connected or not rest.below_c
        hottest = max((actual for actual, _ in last.temperatures.values()), default=0.0)
        is_cool = is_known and (not rest.below_c or hottest < rest.below_c)
        if not is_cool and now < rest.at + COOL_MOST_S:
            self._cooler_at = now + COOLER_S
            return
        self._rest = None
        self.drop(rest.by, mains=True)

    def _ended(self, what: str, error: HostError) -> str:
        log.error("%s: the power has ended: %s", self._config.machine, error)
        if self._pulse is not None:
            self._pulse.drop()
        if self._plugs is not None:
            self._plugs.cut()
        self._tell("power", {"on": False, "by": what})
        return f"{error}"

    def _open(self) -> Pulse:
        self._pulse = Pulse(self._line)
        return self._pulse
