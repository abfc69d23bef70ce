"""What a host watches besides the program: heaters that misbehave, and heat that nobody uses.

Decides from what it is told; the machine acts. Nothing here switches anything on.
"""

from __future__ import annotations

from dataclasses import replace

from drivers.heat import HeatAlarm, MachineHeat, Readings
from drivers.host.config import HostConfig
from drivers.snapshot import Phase, Snapshot

KEEP_MAX_S = 7200.0  # longest time for which one person may keep heat on
OFF_AGAIN_S = 30.0  # until the switch-off list is repeated to a heater that stays on
OFF_TRIES = 3  # then a person must look


class Guard:
    """Watches the heat of one machine."""

    def __init__(self, config: HostConfig) -> None:
        self._patience = config.profile.idle_heat_off_s
        self._heat = MachineHeat(config.profile, config.limits)
        self._idle_since: float | None = None
        self._kept_until = 0.0
        self._kept_by = ""
        self._tries = 0
        self._told = ""  # code and numbers of what a person should know

    def hear(self, readings: Readings, last: Snapshot, now: float) -> None:
        """Take in a report of temperatures."""
        self._heat.hear(readings, last, now)

    def alarm(self, last: Snapshot, now: float) -> HeatAlarm | None:
        """Return once what is wrong with a heater; the machine must be stopped."""
        alarm = self._heat.alarm(last, now)
        if alarm is not None:
            self._told = str(alarm)
        return alarm

    def heat_is_forgotten(self, last: Snapshot, now: float, *, is_running: bool) -> bool:
        """Tell when heat was left on without a run for too long; again if it stays on."""
        if is_running or last.phase is not Phase.IDLE or not self._heat.is_on:
            self._idle_since = None
            if is_running or not self._heat.is_on:
                self._kept_until, self._kept_by, self._tries = 0.0, "", 0
            return False
        if self._idle_since is None:
            self._idle_since = now
        if now < self._off_at() or self._tries >= OFF_TRIES:
            return False
        self._tries += 1
        self._kept_until = now + OFF_AGAIN_S
        self._told = f"heat.switched_off (minutes={self._patience / 60:g})"
        if self._tries == OFF_TRIES:
            self._told = "heat.stays_on"
        return True

    def keep(self, by: str, seconds: float, now: float) -> bool:
        """Let a person have the heat on for a while; False if nothing would be switched off."""
        if self._idle_since is None:
            return False
        self._kept_until = now + min(max(seconds, 0.0), KEEP_MAX_S)
        self._kept_by, self._tries = by, 0
        return True

    def forgive(self) -> None:
        """A person has looked, or a run begins: what was told is told no more."""
        self._told = ""

    def forget(self) -> None:
        """Begin anew, as after the port was lost."""
        self._heat.forget()
        self._idle_since = None

    def dressed(self, last: Snapshot, now: float) -> Snapshot:
        """Return *last* with what the guard has to say."""
        if self._told and not last.message:
            last = replace(last, message=self._told)
        if self._idle_since is None or self._tries >= OFF_TRIES:
            return last
        return replace(last, heat_off_s=max(0.0, self._off_at() - now), kept_by=self._kept_by)

    def deadline(self) -> float | None:
        """Return when to ask again although nothing was heard [s]."""
        due = self._heat.deadline()
        if self._idle_since is None or self._tries >= OFF_TRIES:
            return due
        return self._off_at() if due is None else min(due, self._off_at())

    def _off_at(self) -> float:
        assert self._idle_since is not None
        return max(self._idle_since + self._patience, self._kept_until)
