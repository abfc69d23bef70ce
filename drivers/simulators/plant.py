"""The moving part of a simulated machine: a look-ahead planner and the carriage it drives."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

from drivers.simulators import corners
from drivers.simulators.corners import Way, least_share

Vector = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Limits:
    """What the machine's axes can do.

    :param speed: per axis [mm/s].
    :param acceleration: per axis [mm/s²].
    :param junction_deviation: [mm]; used unless `jerk` is given.
    :param jerk: per axis [mm/s], Marlin's classic jerk; empty for junction deviation.
    :param is_marlin: corners and the move that runs as Marlin has them; else as Grbl does.
    """

    speed: Vector
    acceleration: Vector
    junction_deviation: float = 0.013
    jerk: Vector = ()
    is_marlin: bool = False


@dataclass(slots=True)
class Block:
    """One planned straight move; squared speeds, so that ramps add."""

    start: Vector
    target: Vector
    length: float
    speed: float
    programmed: float
    acceleration: float
    junction2: float  # highest squared entry speed that the corner allows
    entry2: float = 0.0
    exit2: float = 0.0
    is_rapid: bool = False
    is_stopping: bool = False  # part of a feed hold: its speeds are no longer planned

    def peak(self) -> float:
        """Highest speed on the way [mm/s].

        >>> Block((0.0,), (10.0,), 10.0, 100.0, 100.0, 1000.0, 0.0).peak()
        100.0
        """
        reach2 = self.acceleration * self.length + (self.entry2 + self.exit2) / 2
        return math.sqrt(max(min(self.speed**2, reach2), self.entry2, self.exit2))

    def time(self) -> float:
        """Duration of the trapezoid [s].

        >>> Block((0.0,), (10.0,), 10.0, 100.0, 100.0, 1000.0, 0.0).time()
        0.2
        """
        peak, a = self.peak(), self.acceleration
        ramps = (2 * peak**2 - self.entry2 - self.exit2) / (2 * a)
        cruise = max(self.length - ramps, 0.0)
        return (2 * peak - math.sqrt(self.entry2) - math.sqrt(self.exit2)) / a + cruise / peak

    def at(self, elapsed: float) -> tuple[float, float]:
        """Distance [mm] and speed [mm/s] after `elapsed` seconds."""
        peak, a = self.peak(), self.acceleration
        entry, leave = math.sqrt(self.entry2), math.sqrt(self.exit2)
        up, down = (peak - entry) / a, (peak - leave) / a
        left = self.time() - elapsed
        if left <= 0:
            return self.length, leave
        if elapsed < up:
            return elapsed * (entry + a * elapsed / 2), entry + a * elapsed
        if left < down:
            return self.length - left * (leave + a * left / 2), leave + a * left
        return up * (entry + peak) / 2 + (elapsed - up) * peak, peak

    def point(self, distance: float) -> Vector:
        """Where the tool is after `distance` mm of this block."""
        share = min(distance / self.length, 1.0)
        return tuple(s + (e - s) * share for s, e in zip(self.start, self.target, strict=True))


class Planner:
    """A bounded queue of moves with look-ahead over those that have not begun.

    A move that has begun keeps its exit speed in Marlin; Grbl may still raise it and plans the
    rest of the move anew (`st_update_plan_block_parameters`).

    Source: gnea/grbl:grbl/planner.c and Marlin 2.1.2:src/module/planner.cpp.
    """

    def __init__(self, limits: Limits, capacity: int) -> None:
        self.limits = limits
        self.capacity = capacity
        self.end: Vector = tuple(0.0 for _ in limits.speed)  # where the last planned move ends
        self.feed_override = self.rapid_override = 1.0
        # Limits along the path [mm/s²]: with filament, without, and of filament alone.
        self.acceleration = self.travel_acceleration = self.retract_acceleration = math.inf
        self.moved_s = 0.0  # time in motion so far
        self.is_holding = False
        self.is_held = False
        self.done: list[Vector] = []  # targets reached since the owner looked
        self._blocks: deque[Block] = deque()
        self._began: float | None = None
        self._ends = 0.0
        self._start_at: float | None = None
        self._now = 0.0
        self._last: Way | None = None  # the newest move, for the corner after it

    def __len__(self) -> int:
        return len(self._blocks)

    @property
    def free(self) -> int:
        return self.capacity - len(self._blocks)

    @property
    def is_idle(self) -> bool:
        return not self._blocks

    @property
    def is_moving(self) -> bool:
        return self._began is not None

    def settle(self, position: Vector) -> None:
        """Say where the carriage is, with nothing planned."""
        self.end = position

    def add(self, target: Vector, speed: float, *, is_rapid: bool = False) -> bool:
        """Plan a straight move at `speed` mm/s. False: it has no length, nothing is planned."""
        delta = tuple(t - s for t, s in zip(target, self.end, strict=True))
        length = math.hypot(*delta[:3]) or math.hypot(*delta[3:])
        if length < 1e-6:
            self.end = target
            return False
        shares = tuple(d / length for d in delta)
        capped = max(least_share(self.limits.speed, shares, speed), 0.01)
        acceleration = self._acceleration_of(shares)
        block = Block(
            self.end, target, length, capped, capped, acceleration, 0.0, is_rapid=is_rapid
        )
        block.speed = self._overridden(block)
        here = Way(shares, length, block.speed, acceleration)
        block.junction2 = min(self._corner2(here), block.speed**2)
        if self._blocks:
            block.junction2 = min(block.junction2, self._blocks[-1].speed ** 2)
        self._blocks.append(block)
        self._last = here
        self.end = target
        self._replan()
        return True

    def _acceleration_of(self, shares: Vector) -> float:
        """What the path and its axes allow; filament alone has a limit of its own in Marlin."""
        if not any(shares[:3]) and self.retract_acceleration < math.inf:
            return self.retract_acceleration
        prints = len(shares) < 4 or bool(shares[3])
        most = self.acceleration if prints else self.travel_acceleration
        return least_share(self.limits.acceleration, shares, most)

    def _corner2(self, here: Way) -> float:
        """Squared speed at which the corner before this move may be taken."""
        limits, before = self.limits, self._last
        if not self._blocks or before is None:
            return corners.safe_speed(here, limits.jerk) ** 2 if limits.jerk else 0.0
        if limits.jerk:
            return corners.classic(before, here, limits.jerk)
        rule = corners.marlin if limits.is_marlin else corners.grbl
        return rule(before, here, limits.acceleration, limits.junction_deviation)

    def _replan(self) -> None:
        """Raise speeds as far as braking to a standstill at the end of the queue allows."""
        blocks = self._blocks
        first = 1 if self._began is not None else 0
        while first < len(blocks) and blocks[first].is_stopping:
            first += 1
        exit2 = 0.0
        for i in range(len(blocks) - 1, first - 1, -1):
            block = blocks[i]
            block.exit2 = exit2
            exit2 = min(block.junction2, exit2 + 2 * block.acceleration * block.length)
            block.entry2 = exit2
        if first == 1 and len(blocks) > 1 and not self.limits.is_marlin:
            self._raise_running(exit2)
        entry2 = blocks[first - 1].exit2 if first else self._standing2()
        for i in range(first, len(blocks)):
            block = blocks[i]
            block.entry2 = min(block.entry2, entry2)
            reach2 = block.entry2 + 2 * block.acceleration * block.length
            block.exit2 = entry2 = min(block.exit2, reach2)

    def _standing2(self) -> float:
        """Squared speed to which the first move may jump from standstill."""
        return self._blocks[0].junction2 if self._blocks and self.limits.jerk else 0.0

    def _raise_running(self, exit2: float) -> None:
        """Let the move that runs leave faster, from where and how fast it is now."""
        block = self._blocks[0]
        if self._began is None or self.is_holding or exit2 <= block.exit2 + 1e-9:
            return
        travelled, speed = block.at(self._now - self._began)
        if block.length - travelled < 1e-9:
            return
        rest = replace(
            block,
            start=block.point(travelled),
            length=block.length - travelled,
            entry2=speed**2,
        )
        rest.exit2 = max(min(exit2, rest.entry2 + 2 * rest.acceleration * rest.length), block.exit2)
        self._blocks[0] = rest
        self.moved_s += self._now - self._began
        self._began = self._now
        self._ends = self._now + rest.time()

    def release(self, at: float) -> None:
        """Let the queue start at `at`, unless it runs, waits to start or is held."""
        if self._blocks and self._began is None and not self.is_holding and not self.is_held:
            self._start_at = at if self._start_at is None else min(at, self._start_at)

    def next_event(self) -> float | None:
        """When `advance` has something to do [s]."""
        return self._ends if self._began is not None else self._start_at

    def advance(self, now: float) -> None:
        """Run the moves up to `now`."""
        self._now = now
        if self._start_at is not None and self._start_at <= now:
            self._begin(self._start_at)
        while self._began is not None and self._ends <= now:
            finished = self._blocks.popleft()
            self.moved_s += self._ends - self._began
            self.done.append(finished.target)
            stopped = finished.is_stopping and finished.exit2 == 0.0
            if stopped:
                self.is_holding, self.is_held = False, True
            if stopped or not self._blocks:
                self._began = None
                self._replan()
            else:
                self._begin(self._ends)

    def _begin(self, at: float) -> None:
        self._start_at = None
        self._began = at
        self._ends = at + self._blocks[0].time()

    def position(self, now: float) -> Vector:
        """Where the tool is at `now`."""
        if not self._blocks:
            return self.end
        if self._began is None:
            return self._blocks[0].start
        return self._blocks[0].point(self._blocks[0].at(now - self._began)[0])

    def speed(self, now: float) -> float:
        """How fast the tool moves at `now` [mm/s]."""
        return 0.0 if self._began is None else self._blocks[0].at(now - self._began)[1]

    def hold(self, now: float) -> None:
        """Brake along the path and stay there, the rest still planned (a feed hold)."""
        self._start_at = None
        if self._began is None:
            self.is_held = True
            return
        if self.is_holding:
            return
        block = self._blocks[0]
        travelled, speed = block.at(now - self._began)
        self.moved_s += now - self._began
        self.is_holding = True
        if block.length - travelled < 1e-6:
            rest = [block]
        else:
            middle = block.point(travelled)
            rest = [replace(block, start=middle, length=block.length - travelled)]
        rest += list(self._blocks)[1:]
        self._blocks = deque(self._braked(rest, speed**2))
        self._replan()
        self._begin(now)

    @staticmethod
    def _braked(rest: Sequence[Block], speed2: float) -> list[Block]:
        """Turn the head of the path into a ramp down to standstill."""
        done: list[Block] = []
        for i, block in enumerate(rest):
            stop = speed2 / (2 * block.acceleration)
            if stop >= block.length - 1e-9 and i + 1 < len(rest):
                leave2 = min(speed2 - 2 * block.acceleration * block.length, block.exit2)
                leave2 = max(leave2, 0.0)
                done.append(replace(block, entry2=speed2, exit2=leave2, is_stopping=True))
                speed2 = leave2
                if speed2 == 0.0:
                    return [*done, *rest[i + 1 :]]
                continue
            stop = min(max(stop, 1e-9), block.length)
            middle = block.point(stop)
            done.append(
                replace(
                    block, target=middle, length=stop, entry2=speed2, exit2=0.0, is_stopping=True
                )
            )
            if block.length - stop > 1e-6:
                left = block.length - stop
                done.append(replace(block, start=middle, length=left, junction2=0.0))
            return [*done, *rest[i + 1 :]]
        return done

    def resume(self, now: float) -> None:
        """Go on after a hold."""
        self.is_held = False
        for block in self._blocks:
            block.is_stopping = False
        self._replan()
        self.release(now)

    def _overridden(self, block: Block) -> float:
        factor = self.rapid_override if block.is_rapid else self.feed_override
        return max(block.programmed * factor, 0.01)

    def set_overrides(self, feed: float, rapid: float) -> None:
        """Scale the speed of what has not begun."""
        self.feed_override, self.rapid_override = feed, rapid
        for i, block in enumerate(self._blocks):
            if i or self._began is None:
                block.speed = self._overridden(block)
                block.junction2 = min(block.junction2, block.speed**2)
        self._replan()

    def abort(self, now: float) -> Vector:
        """Throw everything away at once; the place where the tool stopped."""
        here = self.position(now)
        self._blocks.clear()
        self._began = self._start_at = None
        self._last = None
        self.is_holding = self.is_held = False
        self.end = here
        return here
