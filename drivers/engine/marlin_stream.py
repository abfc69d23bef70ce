"""The short way of a Marlin's program: moves are answered, moves follow, and all else rests.

Nothing is decided here that the long way (`receive`, then `data_to_send`) would decide otherwise:
both leave the same bytes and the same memory (`tests/drivers/engine/test_marlin_stream.py`).
"""

from __future__ import annotations

from drivers.engine.marlin_pause import MarlinPausing
from drivers.snapshot import Phase

_OKS_MAX = 16  # answers in one piece that are looked for
_OKS = {end * count: count for end in (b"ok\n", b"ok\r\n") for count in range(1, _OKS_MAX + 1)}


class MarlinStreaming(MarlinPausing):
    """Knows when the short way may be gone, and goes it."""

    _rings_at = 0.0  # when a clock other than that of the next answer runs out [s]

    def stream(self, data: bytes, now: float) -> bytes | None:
        """Return what follows *data* if it only says that moves are done; None: ask `receive`."""
        count = _OKS.get(data, 0)
        if not count or now >= self._rings_at:
            return None
        if self._extras or self._phase is not Phase.STREAMING:
            return None  # somebody has asked for something else
        place = self._window.moves_answered(count)
        if place < 0:
            return None
        self._heard_at = now
        self._acked = place + 1
        for _ in range(count):
            self._time_answer(now)
        out = self._send_moves(b"", now)
        if now >= self._count_at:
            self._count_rate(now)
        if not self.is_smooth:
            self._look_whether_smooth()
        return out

    def _look_whether_smooth(self) -> None:
        """Set `is_smooth`: every line that can be sent now has been."""
        self.is_smooth = (
            self._streams()
            and self._window.has_only_moves
            and bool(self._ahead)
            and self._ahead[0].is_plain
            and not (self._window.beside or self._off_due)
            and not (self._extras or self._raw or self._urgent or self._events or self._partial)
            and not (self._clean or self._forced or self._guarded or self._link.is_narrow)
            and not (self._ok_is_of_resend or self._numbers_told or self._prompting.open)
            and not (self._strikes or self._same_resends or self._asked)
            and self._starved_since is None
        )
        clocks = [at for name, at in self._timers.items() if name != "answer"]
        self._rings_at = min(clocks, default=float("inf"))
