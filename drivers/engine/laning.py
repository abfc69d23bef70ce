"""When an engine's express lane is clear, and what its memory is after one."""

from __future__ import annotations

import math
from abc import ABC
from collections import deque

from drivers.engine.cursor import AHEAD, Cursor
from drivers.express import Heard, Lane
from drivers.flow import Line
from drivers.profile import FirmwareProfile
from drivers.snapshot import Event, Phase

_STRETCH = 4  # of a first lane; one that was followed to its end is made longer


class Laning(Cursor, ABC):
    """Knows what must rest for a lane, and takes in what came of it."""

    def __init__(self, profile: FirmwareProfile, now: float) -> None:
        super().__init__(profile)
        self._phase = Phase.CONNECTING
        self._events: list[Event] = []
        self._partial = b""
        self._timers: dict[str, float] = {}
        self._urgent = bytearray()
        self._extras: deque[Line] = deque()
        self._stretch = _STRETCH  # moves that a lane is made for
        self._heard_at = now

    def lane(self) -> Lane | None:
        """Return the express lane if the program streams and all else rests.

        It says what `receive`, `urgent_to_send` and `data_to_send` would, and nothing else may be
        asked of the engine before it is given back to `land`.
        """
        return None

    def land(self, lane: Lane, heard: list[Heard]) -> None:
        """Take in what a lane has sent and *heard*: what the long way would have left in memory."""
        if not heard:
            return
        self._heard_at, self._partial = heard[-1].at, lane.tail
        if not lane.answers:
            return
        self._count_lane(lane, heard)
        self._acked, self._cursor = lane.acked, lane.sent
        self._stretch = max(_STRETCH, min(2 * lane.answers, AHEAD))
        moves = [self._ahead.popleft() for _ in range(lane.gone)]
        for line in moves:
            self._note_taken(line)
        self._landed(lane, heard, moves)

    def _count_lane(self, lane: Lane, heard: list[Heard]) -> None:
        """Count lines a second as at each answer."""
        answers = 0
        for wake in heard:
            answers += wake.answers
            if wake.answers and wake.at >= self._count_at:
                self._acked = lane.reach[answers][0]
                self._count_rate(wake.at)

    def _landed(self, lane: Lane, heard: list[Heard], moves: list[Line]) -> None:
        """Count what a lane has *heard*, and the *moves* that it has sent."""
        raise NotImplementedError

    @property
    def _is_clear(self) -> bool:
        """Tell whether the program streams, a move comes next, and nothing else is at hand."""
        return (
            self._phase is Phase.STREAMING
            and not (self._extras or self._urgent or self._events or self._partial)
            and self._starved_since is None
            and bool(self._ahead)
            and self._ahead[0].is_plain
        )

    def _lane_until(self) -> float:
        """Return when a clock runs out [s]; that of the next answer only runs longer."""
        return min(self._timers.values(), default=math.inf)
