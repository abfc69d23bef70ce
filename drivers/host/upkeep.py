"""One machine under watch: its session while there is a port, and what comes of it by itself."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace

from drivers.acts import CALMING
from drivers.errors import DriverError, HostError
from drivers.heat import HeatAlarm
from drivers.host.account import Account
from drivers.host.asking import Asking
from drivers.host.config import HostConfig
from drivers.host.debt import Debt
from drivers.host.guard import Guard
from drivers.host.power import Power
from drivers.host.programs import StoredProgram
from drivers.host.recording import Recorder
from drivers.host.seam import MachineSession, OpenSession, Told
from drivers.host.vigil import INTERLOCK, Vigil
from drivers.host.watching import Watching
from drivers.journal import Journal
from drivers.session import Clock, Wait
from drivers.snapshot import Phase, Snapshot, TemperatureRead
from drivers.wire import Do, HostEvent

RETRY_FIRST_S = 0.5
RETRY_LAST_S = 10.0
LOOK_EVERY_S = 0.2  # while a program streams and nothing else happens
ALONE_MAX_S = 1800.0  # how long a controller that works on alone may be out of reach
HELD = frozenset({"Hold", "Door"})
MAX_TEXT = 400  # characters of one text from a machine; what it says is not trusted

# Kinds of events that end a run, and those worth keeping until the node has them.
ENDS = frozenset({"finished", "cancelled", "stopped", "failed"})
STATE = frozenset({"run_started", "progress", "temperature_read", "resent"})  # told as state
_BUSY = frozenset({Phase.STREAMING, Phase.PAUSED, Phase.CANCELLING})
FACTS = ENDS | {"paused", "resumed", "attention", "prompted", "replied"}

log = logging.getLogger(__name__)


class Upkeep:
    """Keeps a session open while there is a port, and looks at all that happens there.

    :param tell: hears every event once; facts carry their number.
    :param clock_us: wall time [µs since 1970, UTC].
    :param left: the program of the run that an earlier process left open.
    """

    def __init__(
        self,
        config: HostConfig,
        journal: Journal,
        open_session: OpenSession,
        tell: Callable[[HostEvent], None],
        clock_us: Callable[[], int],
        left: StoredProgram | None = None,
    ) -> None:
        self._config = config
        self._journal = journal
        self._open_session = open_session
        self._account = Account(config, journal, tell, clock_us)
        self._session: MachineSession | None = None
        self._heard: list[Told] = []
        self._stopped_by = ""
        self._awaits_look = False  # stopped by a person; not forgotten with the session
        self.asking = Asking()
        self._is_sent_away = False  # the machine asked for its port to be closed
        self._last = Snapshot(phase=Phase.CONNECTING)
        self._guard = Guard(config)
        self._power = Power(config, self._account.say)
        self._vigil = Vigil(config)
        self._recorder = Recorder(config.machine, config.state_dir / "wire")
        self._look_at = 0.0  # until then `stream` is enough
        self._clock = 0.0  # of the last `tick`
        self._is_only_streaming = False
        self._retry_at = 0.0
        self._retry_s = RETRY_FIRST_S
        self._watching = Watching(config, self._account.say)
        self._alone_since: float | None = None  # since when a run goes on out of our sight
        self._debt = Debt(config.machine, config.state_dir)
        if self._debt.is_due:
            self._power.drop("gap")  # what an earlier process was asked for, or could not do
        if journal.open_run is not None:
            self.interrupt("host-died", left)

    @property
    def session(self) -> MachineSession | None:
        """The session, while there is a port."""
        return self._session

    @property
    def run(self) -> str:
        """The open run, "" if there is none."""
        return self._account.run

    @property
    def running_program(self) -> str:
        """Hash of the program that must stay on disk, "" if none."""
        program = self._account.program
        return program.sha256 if program is not None else ""

    @property
    def _is_stopped(self) -> bool:
        """Tell whether it was stopped, or has failed, and nobody has looked since."""
        return self._last.stopped or self._awaits_look

    @property
    def is_idle(self) -> bool:
        """Nobody would miss this host now."""
        return not self.run and self._last.phase not in _BUSY

    def deadline(self) -> float | None:
        """Return when `tick` must be called [s, monotonic]."""
        times = (self.wire_deadline(), self.watch_deadline())
        return min((at for at in times if at is not None), default=None)

    def wire_deadline(self) -> float | None:
        """Return the part of `deadline` that every line may change [s]."""
        return self._session.deadline() if self._session is not None else None

    def watch_deadline(self) -> float | None:
        """Return the part of `deadline` that stays as it is while `stream` says True [s]."""
        times = [self._power.deadline(), self._vigil.deadline(self._last.phase, self._clock)]
        if self._session is None:
            times.append(self._retry_at)
        else:
            times.append(self._guard.deadline())
            if self._last.phase is Phase.STREAMING:
                times.append(self._look_at)
        return min((at for at in times if at is not None), default=None)

    def snapshot(self, now: float) -> Snapshot:
        """Return what the machine is doing, without a port what it last did."""
        if self._session is not None:
            self._last = self._session.snapshot(now)
        state = replace(
            self._last,
            run=self.run,
            power=self._power.is_on,
            plugs=self._power.plugs,
            plugs_said=self._power.said,
            power_off_s=self._power.off_in(now),
            stopped=self._is_stopped,
        )
        if self._is_stopped:
            state = replace(state, acts=tuple(act for act in state.acts if act in CALMING))
        state = self._guard.dressed(state, now)
        vigil = self._vigil.dressed(now, is_running=bool(self.run))
        state = replace(state, **vigil)  # type: ignore[arg-type]
        return self._watching.dress(state)

    def tick(self, now: float) -> None:
        """Move bytes and time, look at all that came of it; open the port if that is due."""
        self._clock = now
        self._tick_power(now)
        self._vigil.look(self._last, now, is_running=bool(self.run))
        if self._session is None:
            if now >= self._retry_at:
                self._connect(now)
            self._wait_for_return(now)
            return
        self._look_at = now + LOOK_EVERY_S
        self._try(self._move_and_look, self._session, now)

    def stream(self, now: float) -> bool:
        """Move bytes while a program streams; False if `tick` is to follow.

        Nine wake-ups in ten bring one answer to one move, and all there is to do besides is to
        note how far the run has come. The rest is looked at `LOOK_EVERY_S`, at every event and
        when the phase changes.
        """
        session = self._session
        if session is None or now >= self._look_at or self._last.phase is not Phase.STREAMING:
            return False
        self._is_only_streaming = False
        self._try(self._move, session, now)
        return self._is_only_streaming

    def express(self, wait: Wait, clock: Clock, until: float) -> bool:
        """Stream for as long as only plain answers come; False if `tick` is to follow.

        What `stream` would do at each of them; see `drivers.session.Session.express`.
        """
        session = self._session
        if session is None or self._last.phase is not Phase.STREAMING:
            return True
        self._is_only_streaming = True

        def go(session: MachineSession, now: float) -> None:
            del now
            if session.express(wait, clock, until, self._account.expect):
                self._note_reached(session)

        self._try(go, session, clock())
        return self._is_only_streaming

    def _try(
        self, do: Callable[[MachineSession, float], None], session: MachineSession, now: float
    ) -> None:
        """Do something with the session; what goes wrong there ends the run, not the host."""
        try:
            do(session, now)
        except (DriverError, OSError) as error:
            self._is_only_streaming = False
            self.lose_port(error, now)
        except Exception:
            # Whatever it was, the worst answer is to die with the heat on: what ran is
            # interrupted, and we come back to switch off as after a lost port.
            log.exception("%s: the session broke", self._config.machine)
            self._is_only_streaming = False
            program = self._account.program
            self.disconnect(now)
            self._heard.clear()
            self.interrupt("host-error", program)

    def _move(self, session: MachineSession, now: float) -> None:
        session.ready(now)
        self._note_reached(session)

    def _note_reached(self, session: MachineSession) -> None:
        """Note how far the run has come, and whether it just goes on."""
        phase, acked, sent = session.reached()
        self._account.note_progress(acked, sent)
        goes_on = phase is Phase.STREAMING and not self._heard and not session.wants_write
        self._is_only_streaming = goes_on

    def _move_and_look(self, session: MachineSession, now: float) -> None:
        session.ready(now)
        self._last = session.snapshot(now)
        self._find_again(session, now)
        self._account.note_progress(self._last.acked, self._last.sent)
        self._feel(now)
        self._take_in_rest()
        self._supervise(now)
        self._keep_vigil(now)
        self._recorder.tick(session, now, is_running=bool(self.run))
        self._look(now)
        if self._is_sent_away:
            self._is_sent_away = False
            self.lose_port(HostError("host.sent_away"), now)
            self._retry_at = now + RETRY_LAST_S

    def interrupt(self, reason: str, program: StoredProgram | None) -> None:
        """Record that nobody can say how far the open run came; heat off is due from here on.

        :param program: to read the modal state from; None while a machine needs watching,
            for that reading takes its time.
        """
        if not self.run:
            return
        self._power.drop(reason)
        self._debt.owe()
        self.asking.forget()
        self._account.interrupt(reason, program)

    def lose_port(self, error: Exception, now: float) -> None:
        """The port has gone: what ran is interrupted, and we come back only to look."""
        log.warning("%s: port lost: %s", self._config.machine, error)
        works_alone = self._session is not None and self._session.works_alone
        self.disconnect(now)
        self._take_in_rest()
        if not (works_alone and self.run):
            self.interrupt("port-lost", self._account.program)
        elif self._alone_since is None:
            self._alone_since = now

    def _find_again(self, session: MachineSession, now: float) -> None:
        """Back at a controller that went on alone: take its run up again, or give it up."""
        if self._alone_since is None or not self._last.connected:
            return
        self._alone_since = None
        program = self._account.program
        if self.run and (program is None or not session.adopt(program, now, self.run)):
            self.interrupt("port-lost", program)
            return
        if self._debt.is_due:
            session.stop(now)  # somebody asked for it while the controller was out of reach
        self._last = session.snapshot(now)

    def _wait_for_return(self, now: float) -> None:
        if self._alone_since is not None and now - self._alone_since > ALONE_MAX_S:
            self._alone_since = None
            self.interrupt("port-lost", self._account.program)

    def disconnect(self, now: float, *, resets: bool = False) -> None:
        """Close the port; it is opened again after a moment.

        :param resets: the board is to start anew, as a halted one must.
        """
        self._recorder.end(self._session)
        if self._session is not None:
            if resets:
                self._session.reset_on_close()
            self._session.close()
            self._session = None
        self._power.drop("port")
        self._guard.forget()
        if resets:
            self._guard.forgive()
            self._awaits_look = False
        self._last = replace(self._last, phase=Phase.CONNECTING, connected=False)
        if resets:
            # A board without mains never answers, and to give them back somebody has to look first.
            self._last = replace(self._last, stopped=False)
        self._retry_s = RETRY_FIRST_S
        self._retry_at = now + self._retry_s

    def _connect(self, now: float) -> None:
        try:
            port = self._watching.find_port(now)
            self._session = self._open_session(replace(self._config, port=port), self._hear, now)
        except (DriverError, OSError) as error:
            if self._last.message != str(error):
                log.warning("%s: no port: %s", self._config.machine, error)
            self._last = replace(self._last, message=str(error))
            self._retry_at = now + self._retry_s
            self._retry_s = min(2 * self._retry_s, RETRY_LAST_S)
            return
        self._last = replace(self._last, message="")
        self.tick(now)

    def _tick_power(self, now: float) -> None:
        """Keep the power on; a run that loses it is ended in good order, not driven on."""
        why = self._power.tick(self._last, now, is_running=bool(self.run))
        if not why or not self.run or self._session is None:
            return
        log.error("%s: run %s has lost its power: %s", self._config.machine, self.run, why)
        try:
            if self._session.cancel(now):
                self.asking.note(Do.CANCEL, "power")
        except (DriverError, OSError) as error:
            self.lose_port(error, now)

    def _feel(self, now: float) -> None:
        for event in self._heard:
            if isinstance(event, TemperatureRead):
                self._guard.hear(event.temperatures, self._last, now)

    def _supervise(self, now: float) -> None:
        """Act on what the guard finds."""
        if (alarm := self._guard.alarm(self._last, now)) is not None:
            self._stop_for(alarm, now)
            return
        is_used = bool(self.run) or self._watching.is_left_alone(now)
        if self._guard.heat_is_forgotten(self._last, now, is_running=is_used):
            self._send_switch_off(now)
            log.warning("%s: heat was on without a run and is switched off", self._config.machine)
            self._account.say("heat_off", {})

    def _keep_vigil(self, now: float) -> None:
        """Hold what runs, and darken it, while nobody is there or an input is not good."""
        if not self.run:
            self._vigil.end()
            return
        assert self._session is not None
        phase = self._last.phase
        if self._vigil.is_overdue(phase, now):
            self._stop_with("vigil", "machine.does_not_hold", {}, now)
            return
        why = self._vigil.judge(phase, now, has_power=self._power.is_on is not False)
        if not why:
            return
        is_news = not self._vigil.withheld
        self._vigil.hold(why, now)
        if self._session.pause(now):
            self.asking.note(Do.PAUSE, why)
        if not is_news:
            return
        # After the bytes of the hold, which nothing may delay.
        self._power.drop(why)
        what = ", ".join(self._vigil.bad)[:MAX_TEXT] if why == INTERLOCK else ""
        log.warning("%s: run %s is held: %s %s", self._config.machine, self.run, why, what)
        fields = {"code": f"machine.held_{why}", "text": what}
        self._account.fact("attention", fields, ends=False)

    def _stop_for(self, alarm: HeatAlarm, now: float) -> None:
        """Emergency stop because of a heater."""
        log.error("%s: stopped because of a heater: %s", self._config.machine, alarm)
        # Its own switch may have failed.
        self._stop_with("heater", alarm.code, alarm.fields(), now)

    def _stop_with(self, by: str, code: str, more: Mapping[str, object], now: float) -> None:
        """Emergency stop of our own; first the wire, then the record."""
        assert self._session is not None
        self._stopped_by = f"{by}-watch"
        self._session.stop(now)
        self._power.drop(by, mains=True)
        self._debt.owe()
        fields: dict[str, object] = {"code": code, **more}
        fields |= self._account.end_fields(self._last) | self._power.energy()
        self._account.fact("failed", fields, ends=True)
        self._last = self._session.snapshot(now)
        self._take_in_rest()

    def _send_switch_off(self, now: float) -> None:
        assert self._session is not None
        for line in self._config.profile.switch_off:
            self._session.command(line.encode("ascii"), now)

    def _look(self, now: float) -> None:
        assert self._session is not None
        run = self.run
        # Mostly it says so already, and a copy of all that it says would be made at every line.
        state = self._last if self._last.run == run else replace(self._last, run=run)
        self._watching.look(self._session, state, now, is_due=self._debt.is_due)
        is_idle = self._last.phase is Phase.IDLE and not self.run
        if self._debt.is_due and is_idle and self._watching.has_own_board:
            if self._last.controller.partition(":")[0] in HELD:
                # It takes no line while it holds, and its spindle turns; a reset moves nothing.
                self._stopped_by = "gap"
                self._session.stop(now)
                return
            self._switch_off(now)

    def _switch_off(self, now: float) -> None:
        """Send what makes the machine safe, nothing that moves."""
        self._send_switch_off(now)
        self._watching.ours(now)
        self._debt.pay()
        log.warning("%s: switched heat and spindle off after a gap", self._config.machine)
        self._account.say("switched_off", {})

    def _hear(self, event: Told) -> None:
        # The engine speaks while bytes are moved, and a disk must not come between a
        # stop and the wire: it is written down when the bytes have gone.
        self._heard.append(event)

    def _take_in_rest(self) -> None:
        heard, self._heard = self._heard, []
        for event in heard:
            self._take_in(event)

    def _take_in(self, event: Told) -> None:
        kind = event.kind
        if kind in STATE:
            return
        if kind == "attention" and event.to_json().get("code") == "machine.booted":
            self._watching.booted()
        fields = {key: _bounded(value) for key, value in event.to_json().items() if key != "kind"}
        if kind == "stopped":
            fields["by"], self._stopped_by = self._stopped_by, ""
        if by := self.asking.who(kind):
            fields["by"] = by
        if kind in ENDS:
            self.asking.forget()
            fields |= self._account.end_fields(self._last) | self._power.energy()
        if kind in ("failed", "stopped"):
            self._power.drop(kind)
        elif kind in ENDS:
            self._power.rest(kind)
        if kind == "attention" and fields.get("code") == "machine.asks_disconnect":
            self._is_sent_away = True
        if kind == "prompted" and not self._account.may_repeat():
            return  # a firmware that asks at every line must not fill the journal
        if kind in FACTS:
            self._account.fact(kind, fields, ends=kind in ENDS)
        elif self._account.may_repeat():
            self._account.say(kind, fields, of_run=True)


def _bounded(value: object) -> object:
    if isinstance(value, list):
        return [_bounded(one) for one in value]
    return value[:MAX_TEXT] if isinstance(value, str) else value
