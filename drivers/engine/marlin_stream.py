"""The express lane of a Marlin's program: moves are answered, moves follow, and all else rests.

Nothing is decided here that the long way (`receive`, then `data_to_send`) would decide otherwise:
both leave the same bytes and the same memory (`tests/drivers/engine/test_express.py`).
"""

from __future__ import annotations

from drivers.engine.marlin_pause import MarlinPausing
from drivers.express import Heard, Lane
from drivers.flow import Line


class MarlinStreaming(MarlinPausing):
    """Knows when the lane is clear, and takes in what came of it."""

    def lane(self) -> Lane | None:
        """Return the express lane if the program streams and all else rests."""
        if self._program is None or not self._is_clear or not self._rests():
            return None
        if len(self._ahead) < self._stretch:
            self._read_ahead(self._program)
        return self._window.lane(self._ahead, self._stretch, self._lane_until())

    def _rests(self) -> bool:
        """Tell whether no plain answer would mean anything but that a move is done."""
        return (
            self._streams()
            and not (self._off_due or self._raw or self._clean or self._forced or self._guarded)
            and not (self._ok_is_of_resend or self._numbers_told or self._place_wanted)
            and self._prompting.open is None
            and not (self._strikes or self._same_resends or self._asked or self._link.is_narrow)
        )

    def _landed(self, lane: Lane, heard: list[Heard], moves: list[Line]) -> None:  # noqa: ARG002 (the window has them)
        owed = self._window.unanswered
        self._window.land(lane)
        for wake in heard:
            for _ in range(wake.answers):
                owed -= 1
                if owed:
                    self._learn_pace(wake.at)
                self._answered_at = wake.at
            owed = wake.owed
        self._await_answer(self._answered_at)
