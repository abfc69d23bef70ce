"""Which requests for a line again are believed, and what is sent then."""

from __future__ import annotations

from drivers.engine.base import RUNNING
from drivers.engine.marlin_wire import ASK, MarlinWire
from drivers.flow import Line
from drivers.snapshot import Phase, Resent

_RESEND_GRACE = 0.03  # for stale lines in converters and drivers [s]
_ECHO = 0.1  # during which one Resend may be said more than once [s]
_RESENDS_MAX = 20  # of the same line


class MarlinResends(MarlinWire):
    """Acts on requests for a line again."""

    def _resend(self, number: int, taken: int | None, now: float) -> None:
        self._ok_is_of_resend = self._profile.resend_ok
        if self._phase in (Phase.FAULT, Phase.STOPPED):
            self._forget_ring()  # thrown away with the line, and never answered
            return
        if taken is not None and taken + 1 != number:
            # One of the two numbers was damaged on the way; the next one will tell.
            self._doubt(now)
            return
        if taken is None and not self._is_credible(number):
            self._doubt(now)
            return
        if self._has_restarted(number, taken):
            self._window.flushed()
            self._fail("machine.reset", self._acked - 1, f"Resend: {number}", now)
            return
        if self._phase is Phase.IDLE and number < self._window.first:
            # It has restarted while nothing ran: what it asks for is done, a whole run maybe.
            self._phase = Phase.CONNECTING
            self._connected = False
            self._hello(now)
            return
        if number == self._resent and now < self._resent_at + _ECHO:
            self._doubt(now)  # an echo of the same refusal, or the repeated line was lost as well
            return
        self._same_resends += 1
        self._resent, self._resent_at = number, now
        stale = self._window.resend(number)
        if stale is None:
            self._unknown_resend(number, now)
            return
        self._timers.pop("doubt", None)
        self._link.resends += 1
        self._link.narrowed(True, now)
        if self._link.is_bad(self._cursor) and not self._link.was_told:
            self._link.was_told = True
            self._message = self._message or "machine.bad_link"
            self._note("machine.bad_link", f"{self._link.resends} of {self._cursor}")
        if self._phase is Phase.CANCELLING:
            self._window.drop_program(self._poll_line)
        again = self._window.again
        if again is not None and again.place >= 0:
            self._acked = min(self._acked, again.place)
        self._events.append(Resent(self._file_line(again)))
        if self._same_resends > _RESENDS_MAX:
            index = again.place if again is not None else -1
            self._fail("machine.resend_loop", index, f"Resend: {number}", now)
            return
        self._clean = True
        self._window.ask_last(self._token() if self._echoes else ASK)
        if stale:
            # Stale lines still arrive and are refused one by one. Let them pass, or the
            # firmware throws the repeated line away together with them.
            wire_time = stale * 10.0 / self._profile.baud
            self._after("hold", _RESEND_GRACE + wire_time, now)
            self._hold_until = self._timers["hold"]

    def _is_credible(self, number: int) -> bool:
        """Tell whether a request that stands alone may be true.

        One for a line that was answered already must come twice: going back to it for a
        damaged digit would give old lines new numbers, and have them executed again.
        """
        again, self._asked_back = number == self._asked_back, number
        return again or number >= self._window.first

    def _has_restarted(self, number: int, taken: int | None) -> bool:
        """Tell whether it counts from the beginning, or behind what it has answered by name.

        It has restarted without a word, and would do again what it has done.
        """
        if self._phase not in RUNNING:
            return False
        if not self._acked:
            return taken is not None and number <= self._done_before_run
        return taken == 0 or (taken is None and (number == 1 or number <= self._proven))

    def _unknown_resend(self, number: int, now: float) -> None:
        if self._same_resends < 3:
            self._doubt(now)
        elif self._phase in RUNNING:
            self._fail("machine.reset", self._acked - 1, f"Resend: {number}", now)
        else:
            self._phase = Phase.CONNECTING
            self._hello(now)

    def _file_line(self, line: Line | None) -> int:
        if line is None or line.place < 0 or self._program is None:
            return 0
        return self._program.source_line(line.place)
