"""Whether somebody uses a machine by hand: heat or motion that we did not begin."""

from __future__ import annotations

from collections.abc import Mapping

from drivers.snapshot import LOCKED, Phase, Snapshot

QUIET_S = 1800.0  # cold and still for so long: nobody uses it; as long as an arming can last
COLD = 50.0  # no heater above it [°C]
OURS_S = 5.0  # from an order of ours until what follows is not its doing any more
AT_WORK_S = 900.0  # since its last motion by hand
_RISE = 0.5  # of a target [°C]
_MOVED = 0.01  # [mm]
# Of a controller that has words for its state.
_AT_REST = frozenset({"", "Idle", "Alarm", LOCKED})


class Hands:
    """Judges each state of a machine while no run of ours is open.

    :param reason: of an earlier process: `heat`, `motion`, `boot`, or "" for nobody.
    """

    def __init__(self, reason: str = "") -> None:
        self.reason = reason
        self._ours_until = float("-inf")
        self._targets: dict[str, float] | None = None
        self._position: Mapping[str, float] = {}
        self._quiet_since: float | None = None
        self._moved_at = float("-inf")
        self._turned = False

    def ours(self, now: float) -> None:
        """Note that we have just ordered something."""
        self._ours_until = now + OURS_S

    def booted(self, now: float) -> None:
        """Note that the board has restarted though we had nothing to do with it."""
        if now >= self._ours_until:
            self._begin("boot", now)

    def release(self, now: float) -> None:
        """Take a person's word that nobody uses it; what it does now is known."""
        self.reason = ""
        self.ours(now)

    def are_at_work(self, now: float) -> bool:
        """Tell whether somebody moves it: a print from its own card, say, needs its heat."""
        return bool(self.reason) and now - self._moved_at < AT_WORK_S

    def forget(self) -> None:
        """Begin anew with another conversation: what was there before may have changed."""
        self._targets = None
        self._position = {}
        self._turned = False

    def look(self, state: Snapshot, now: float) -> None:
        """Judge one state of the machine, between our runs or within them."""
        if state.phase is not Phase.IDLE or not state.connected or state.run:
            if state.phase in (Phase.STREAMING, Phase.PAUSED, Phase.CANCELLING):
                self.ours(now)
                self._note(state)
            return
        word = state.controller.partition(":")[0]
        is_moving = word not in _AT_REST
        # A spindle that turns is motion too, though no axis goes anywhere.
        is_moving = is_moving or (state.spindle_on and not self._turned)
        has_moved = not state.controller and _far(self._position, state.position)
        is_heating = self._has_risen(state)
        if now < self._ours_until:
            if is_moving or has_moved:
                self.ours(now)  # a long jog of ours is ours to its end
        elif is_heating:
            self._begin("heat", now)
        elif is_moving or has_moved:
            self._begin("motion", now)
        if is_moving or has_moved:
            self._moved_at = now
        self._note(state)
        at_rest = not (is_moving or has_moved or state.spindle_on or _is_warm(state))
        if not at_rest or self._quiet_since is None:
            self._quiet_since = now
        elif self.reason and now - self._quiet_since >= QUIET_S:
            self.reason = ""

    def _begin(self, reason: str, now: float) -> None:
        self._quiet_since = now
        if not self.reason:
            self.reason = reason

    def _has_risen(self, state: Snapshot) -> bool:
        before = self._targets or {}
        return any(
            target > before.get(name, 0.0) + _RISE
            for name, (_, target) in state.temperatures.items()
        )

    def _note(self, state: Snapshot) -> None:
        self._targets = {name: target for name, (_, target) in state.temperatures.items()}
        self._position = dict(state.position)
        self._turned = state.spindle_on


def _is_warm(state: Snapshot) -> bool:
    return any(target > 0 or actual >= COLD for actual, target in state.temperatures.values())


def _far(before: Mapping[str, float], after: Mapping[str, float]) -> bool:
    return any(abs(after[axis] - before[axis]) > _MOVED for axis in after if axis in before)
