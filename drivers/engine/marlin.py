"""The engine for Marlin and its kin: what a person asks of it, and what is due with time."""

from __future__ import annotations

from drivers.engine.base import RUNNING
from drivers.engine.marlin_replies import RECOVER
from drivers.engine.marlin_stream import MarlinStreaming
from drivers.engine.marlin_wire import HELLO_LATE, NUDGE, Goal
from drivers.flow import Part
from drivers.snapshot import Phase

_STRIKES_MAX = 8  # questions without an answer although something is heard
_SURELY_READ = 2.0  # no board looks away for so long: it has filled its command queue [s]
_STOP_AGAIN = 1.0  # until M112 is repeated to a firmware that talks on [s]


class MarlinEngine(MarlinStreaming):
    """Stream to a Marlin."""

    def connect(self, now: float) -> None:
        """Begin the conversation anew; a running program fails."""
        self._window.flushed()  # whatever was in it: the port was opened anew
        self._forget_ring()
        self._connect_again(now)

    def _connect_again(self, now: float) -> None:
        self._fail("machine.reconnected", -1, "", now)
        self._phase = Phase.CONNECTING
        self._connected = False
        self._timers.clear()
        self._reset_wire()
        self._hello_at = None
        self._after("hello", self._profile.boot_wait_s, now)

    def _begin(self, now: float) -> None:
        super()._begin(now)
        self._end_jog()
        self._done_before_run = self._window.first - 1
        self._homed = False
        self._homed_axes.clear()
        self._goal = Goal.NOTHING

    def _go_on(self, now: float) -> None:
        self._gone_on(now)

    def _wind_down(self, now: float) -> None:
        # Its surplus answer does no harm, for the procedure ends with an M105.
        self._break_wait()
        self._forget_pause()
        self._prompting.close()
        self._window.drop_program(self._poll_line)
        park = self._profile.park if self._homed else ()
        lines = self._lines([*park, *self._profile.switch_off])
        self._procedure(Goal.CANCEL, lines, now)

    def _emergency(self, now: float) -> None:
        self._reset_wire()
        self._stop_at_once()
        # Should the stop be lost on the way, these are not.
        self._switch_off_when_it_fits(breaks=False)
        self._stops, self._stopped_at = 1, now
        self._after("stopped", _STOP_AGAIN, now)

    def _make_safe(self, now: float) -> None:
        self._reset_wire()
        self._connected = False
        self._owes_off = True
        self._switch_off_when_it_fits(breaks=True)
        self._after("recover", RECOVER, now)

    def _ring(self, name: str, now: float) -> None:
        match name:
            case "hello":
                self._hello_again(now)
            case "recover":
                self._phase = Phase.CONNECTING
                self._hello(now)
            case "greeted":
                self._greeted(now)
            case "poll":
                self._poll(now)
            case "answer":
                self._unanswered(now)
            case "doubt":
                self._unanswered(now, strikes=0)
            case "cancel":
                self._nudge(now)
            case "stopped":
                self._stop_again(now)
            case _:
                if not self._ring_pause(name, now):
                    super()._ring(name, now)

    def _hello_again(self, now: float) -> None:
        if self._hello_at is not None and self._heard_at > self._hello_at:
            late = self._hello_at + HELLO_LATE
            if now < late:
                self._after("hello", late - now, now)
                return
        self._hello(now)

    def _poll(self, now: float) -> None:
        self._after("poll", self._profile.poll_s, now)
        quiet = now - self._heard_at > 2.0 * self._profile.poll_s
        is_quiet = not self._window.unanswered and not self._extras and not self._steps
        if self._asks_settings and self._phase is Phase.IDLE and is_quiet:
            # It tells them for half a second and hears little meanwhile: not while it moves.
            self._asks_settings = False
            self._extras.append(self._line(self._profile.ask_settings.encode(), Part.EXTRA))
        elif not self._extras and (not self._reports_itself or quiet):
            self._extras.append(self._poll_line)

    def _unanswered(self, now: float, strikes: int = 1) -> None:
        """Ask what became of the lines; an M105 behind them also brings lost ones to light.

        :param strikes: 0 if something was heard that makes one doubt; the clock runs on then.
        """
        window = self._window
        if not window.unanswered:
            return
        # Answers heard before that to an M105; where echoes count, they tell nothing.
        read = 0 if self._echoes else self._early
        if strikes:
            self._asked += 1
            self._after("answer", self._late_after(), now)
        if now > self._patience_until:
            self._strikes += strikes
            silent = now - self._heard_at >= self._profile.silence_s
            if silent and self._strikes >= 3:
                self._strikes = max(self._strikes, _STRIKES_MAX)
            if self._strikes > _STRIKES_MAX:
                self._lost(now)
                return
        elif self._has_asked(read):
            return  # asked already, and a stop or M108 must find room in the command queue
        # What has to be sent again is a question, too, and must keep its number.
        question = window.again or self._question()
        # Behind a question without answer only as a last resort, for it may take none at all (also
        # where it reports: bytes can be held up on their way); the very last one goes out in any
        # case, for what it may overrun is as good as lost.
        is_last = self._strikes >= _STRIKES_MAX
        taken_at = max(self._taken_at, self._answered_at)
        first = not window.is_asking and now - taken_at >= _SURELY_READ
        taken = first or self._strikes >= _STRIKES_MAX - 1
        if is_last or window.may_ask(question, taken=taken, read=read):
            self._clean = True
            self._forced = question

    def _has_asked(self, read: int) -> bool:
        """Tell whether a question is on its way and the command queue has no place for another."""
        window = self._window
        waiting = window.unanswered - read
        return window.is_asking and waiting >= self._lines_max + (not window.oldest_alone)

    def _lost(self, now: float) -> None:
        if self._phase is Phase.CANCELLING:
            self._unconfirmed(now)
        elif self._phase in RUNNING:
            oldest = self._window.oldest
            index = oldest.place if oldest is not None else -1
            self._fail("machine.silent", index, "", now)
        elif self._phase in (Phase.IDLE, Phase.CONNECTING):
            if self._connected:
                self._note("machine.silent")
            self._connect_again(now)

    def _nudge(self, now: float) -> None:
        """A cancel is not confirmed yet."""
        if now >= self._give_up_at:
            self._unconfirmed(now)
            return
        self._break_wait()
        self._after("cancel", NUDGE, now)

    def _unconfirmed(self, now: float) -> None:
        # Nobody can tell whether the heaters are off, and a person wanted an end.
        self._fail("machine.cancel_unconfirmed", -1, "", now)
        self._stop_at_once()

    def _stop_again(self, now: float) -> None:
        if self._heard_at > self._stopped_at + _STOP_AGAIN / 4 and self._stops < 5:
            if self._sees_stop or self._window.has_room(0):
                self._stop_at_once()
            self._stops, self._stopped_at = self._stops + 1, now
            self._after("stopped", _STOP_AGAIN, now)
