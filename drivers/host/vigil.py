"""Whether a run may go on though its machine is in order: somebody is there, inputs are good.

The clock of a dead man's handle runs here and not in the node: a node that has died renews
nothing, and the beam goes off all the same. Nothing here lets anything go on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from drivers.errors import HostError
from drivers.host.config import HostConfig
from drivers.interlock import Interlocks
from drivers.snapshot import Phase, Snapshot

PRESENCE: Final = "presence"
INTERLOCK: Final = "interlock"
HOLD_PATIENCE_S: Final = 10.0  # for a hold that was ordered; then it is stopped
_RUNS: Final = Phase.STREAMING


class Vigil:
    """The conditions under which one machine's beam may burn; most machines have none."""

    def __init__(self, config: HostConfig) -> None:
        self._machine = config.machine
        self._every = config.presence_s
        self._wrong = ""
        try:
            self._inputs = Interlocks(config.interlocks, config.plug_logins, config.broker)
        except HostError as error:
            # What cannot be read is not good: nothing starts until somebody mends the name.
            self._inputs = Interlocks((), {}, None)
            self._wrong = str(error.fields.get("interlock") or error.fields.get("plug") or "?")
        self._due: float | None = None
        self._held_at: float | None = None
        self.withheld = ""  # why the run was held; only a person at the machine ends that

    @property
    def bad(self) -> tuple[str, ...]:
        """Names of the inputs that are not good."""
        return (self._wrong,) if self._wrong else self._inputs.bad

    def refuse(self) -> None:
        """Refuse to begin or to go on while an input is not good.

        :raises HostError: `host.interlock`.
        """
        if self.bad:
            raise HostError("host.interlock", machine=self._machine, inputs=", ".join(self.bad))

    def begin(self, now: float) -> None:
        """A run begins or goes on because a person at the machine wants it."""
        self._due = now + self._every if self._every else None
        self.withheld, self._held_at = "", None

    def end(self) -> None:
        """The run is over."""
        self._due, self.withheld, self._held_at = None, "", None

    def renew(self, now: float) -> bool:
        """Take a person's word that they are there; False if it comes too late, or nothing runs."""
        if not self._every or self.withheld or self._due is None:
            return False
        self._due = now + self._every
        return True

    def look(self, state: Snapshot, now: float, *, is_running: bool) -> None:
        """Read the inputs."""
        self._inputs.look(state, now, is_running=is_running)

    def judge(self, phase: Phase, now: float, *, has_power: bool) -> str:
        """Return why what runs must be held now; "" to go on."""
        if phase is not _RUNS:
            # Dark already: the clock begins anew when a person goes on.
            self._due = self._held_at = None
            return ""
        if self.withheld and (self._held_at is not None or not has_power):
            return self.withheld
        if self._due is None and not self.bad:
            self.begin(now)  # by the machine's own cycle start: a hand is at it
        if self.bad:
            return INTERLOCK
        return PRESENCE if self._due is not None and now >= self._due else ""

    def hold(self, why: str, now: float) -> None:
        """Note that the run is held for *why* from now on."""
        self.withheld = self.withheld or why
        self._due = None
        self._held_at = now if self._held_at is None else self._held_at

    def is_overdue(self, phase: Phase, now: float) -> bool:
        """Tell whether a hold that was ordered does not come."""
        held = self._held_at
        return phase is _RUNS and held is not None and now - held > HOLD_PATIENCE_S

    def dressed(self, now: float, *, is_running: bool) -> Mapping[str, object]:
        """Return what `Snapshot` says of it."""
        left = None
        if is_running and self._due is not None:
            left = max(0.0, self._due - now)
        standing = dict(self._inputs.standing)
        if self._wrong:
            standing[self._wrong] = "unknown"
        return {
            "presence_every_s": self._every,
            "presence_left_s": left,
            "withheld": self.withheld if is_running else "",
            "interlocks": standing,
        }

    def deadline(self, phase: Phase, now: float) -> float | None:
        """Return when `look` and `judge` must be called [s]."""
        times = [self._inputs.deadline(now)]
        if phase is _RUNS:
            times.append(self._due)
            if self._held_at is not None:
                times.append(self._held_at + HOLD_PATIENCE_S)
        return min((at for at in times if at is not None), default=None)

    def close(self) -> None:
        """Let go of the inputs."""
        self._inputs.close()
