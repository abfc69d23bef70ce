"""One machine under watch: its session while there is a port, its open run, and what is due."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace

from drivers.acts import CALMING, Act, Order
from drivers.dialects import DIALECTS
from drivers.errors import DriverError, HostError
from drivers.heat import HeatAlarm
from drivers.host.asking import Asking
from drivers.host.config import HostConfig
from drivers.host.guard import Guard
from drivers.host.power import Power
from drivers.host.programs import StoredProgram
from drivers.host.recording import Recorder
from drivers.host.seam import MachineSession, OpenSession, Told
from drivers.host.watching import Watching
from drivers.journal import Journal, Progress
from drivers.snapshot import LOCKED, Phase, Snapshot, TemperatureRead
from drivers.wire import Do, HostEvent

RETRY_FIRST_S = 0.5
RETRY_LAST_S = 10.0
REPLAY_S = 1.0  # for the modal state of an interrupted run; heat waits as long for its end
LOOK_EVERY_S = 0.2  # while a program streams and nothing else happens
ALONE_MAX_S = 1800.0  # how long a controller that works on alone may be out of reach
TALK_PER_S = 20  # of the machine's own texts
AT_REST = frozenset({"", "Idle", "Alarm"})  # of a controller that has words for its state
HELD = frozenset({"Hold", "Door"})
MAX_TEXT = 400  # characters of one text from a machine; what it says is not trusted

# Kinds of events that end a run, and those worth keeping until the node has them.
ENDS = frozenset({"finished", "cancelled", "stopped", "failed"})
STATE = frozenset({"run_started", "progress", "temperature_read", "resent"})  # told as state
_BUSY = frozenset({Phase.STREAMING, Phase.PAUSED, Phase.CANCELLING})
FACTS = ENDS | {"paused", "resumed", "attention", "prompted", "replied"}

log = logging.getLogger(__name__)


class Machine:
    """Keeps a session open while there is a port, and keeps the journal true.

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
        self._tell = tell
        self._clock_us = clock_us
        self._session: MachineSession | None = None
        self._program: StoredProgram | None = None
        self._heard: list[Told] = []
        self._stopped_by = ""
        self._awaits_look = False  # stopped by a person; not forgotten with the session
        self.asking = Asking()
        self._is_sent_away = False  # the machine asked for its port to be closed
        self._talk_second = self._talked = 0
        self._last = Snapshot(phase=Phase.CONNECTING)
        self._guard = Guard(config)
        self._power = Power(config, self._tell_now)
        self._recorder = Recorder(config.machine, config.state_dir / "wire")
        self._look_at = 0.0  # until then `stream` is enough
        self._is_only_streaming = False
        self._retry_at = 0.0
        self._retry_s = RETRY_FIRST_S
        self._watching = Watching(config, self._tell_now)
        self._alone_since: float | None = None  # since when a run goes on out of our sight
        # A file, because switching off may have to wait for the port longer than we live.
        self._due_file = config.state_dir / "switch-off-due"
        self._is_due = self._due_file.exists()
        if self._is_due:
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
        return self._journal.open_run.run if self._journal.open_run is not None else ""

    @property
    def running_program(self) -> str:
        """Hash of the program that must stay on disk, "" if none."""
        return self._program.sha256 if self._program is not None else ""

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
        times = [self._power.deadline()]
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
            stopped=self._is_stopped,
        )
        if self._is_stopped:
            state = replace(state, acts=tuple(act for act in state.acts if act in CALMING))
        state = self._guard.dressed(state, now)
        return self._watching.dress(state)

    def tick(self, now: float) -> None:
        """Move bytes and time, look at all that came of it; open the port if that is due."""
        self._tick_power(now)
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
        self._try(self._move, session, now)
        return self._is_only_streaming

    def _try(
        self, do: Callable[[MachineSession, float], None], session: MachineSession, now: float
    ) -> None:
        """Do something with the session; what goes wrong there ends the run, not the host."""
        try:
            do(session, now)
        except (DriverError, OSError) as error:
            self.lose_port(error, now)
        except Exception:
            # Whatever it was, the worst answer is to die with the heat on: what ran is
            # interrupted, and we come back to switch off as after a lost port.
            log.exception("%s: the session broke", self._config.machine)
            program, self._program = self._program, None
            self.disconnect(now)
            self._heard.clear()
            self.interrupt("host-error", program)

    def _move(self, session: MachineSession, now: float) -> None:
        self._is_only_streaming = False
        session.ready(now)
        phase, acked, sent = session.reached()
        self._note_progress(acked, sent)
        goes_on = phase is Phase.STREAMING and not self._heard and not session.wants_write
        self._is_only_streaming = goes_on

    def _move_and_look(self, session: MachineSession, now: float) -> None:
        session.ready(now)
        self._last = session.snapshot(now)
        self._find_again(session, now)
        self._note_progress(self._last.acked, self._last.sent)
        self._feel(now)
        self._take_in_rest()
        self._supervise(now)
        self._recorder.tick(session, now, is_running=bool(self.run))
        self._look(now)
        if self._is_sent_away:
            self._is_sent_away = False
            self.lose_port(HostError("host.sent_away"), now)
            self._retry_at = now + RETRY_LAST_S

    def start(
        self, run: str, program: StoredProgram, fields: Mapping[str, object], now: float
    ) -> None:
        """Begin a run; on disk before the first byte leaves.

        :raises HostError: if it may not begin.
        """
        if self.run == run:
            return  # asked again by a node that missed the answer
        if self._journal.last_run == run:
            raise HostError("host.run_over", run=run)
        if self.run:
            raise HostError("host.busy", run=self.run)
        if self._session is None or not self._last.connected:
            raise HostError("host.not_connected", port=self._config.port)
        self._watching.refuse()
        self._power.refuse()
        if self._is_due:
            raise HostError("host.open_run", run=self._journal.last_run)
        if self._last.phase is not Phase.IDLE:
            raise HostError("host.busy", phase=str(self._last.phase))
        if self._is_stopped:
            # A board may be back in seconds, and this start may have been asked for before.
            raise HostError("host.busy", phase=str(Phase.STOPPED))
        if self._last.controller == LOCKED:
            raise HostError("host.locked", machine=self._config.machine)
        if self._last.controller.partition(":")[0] not in AT_REST:
            # Grbl answers every line with an error while it jogs, and none while it holds.
            raise HostError("host.busy", phase=self._last.controller)
        if self._journal.is_full:
            raise HostError("host.journal_full", machine=self._config.machine)
        try:
            fact = self._journal.begin(run, "run_started", fields, self._clock_us())
        except (OSError, ValueError) as error:
            raise HostError("host.no_journal", reason=str(error)) from error
        log.info("%s: run %s starts, %d lines", self._config.machine, run, len(program))
        self._tell(fact)
        self._program = program
        self._guard.forgive()
        self._recorder.begin(run, self._session)
        try:
            if not self._session.start(program, now, run):
                # It was idle a moment ago; what came between will be told by itself.
                self._tell_fact("failed", {"code": "machine.not_idle"}, ends=True)
        except (DriverError, OSError) as error:
            self.lose_port(error, now)
        self.tick(now)

    def stop(self, by: str, now: float) -> None:
        """Stop now; the bytes have left when this returns, the record comes after.

        :raises HostError: if there is no port to send them to.
        """
        self._awaits_look = True
        if self._session is None:
            self._power.drop(by[:MAX_TEXT], mains=True)
            self._owe_switch_off()
            raise HostError("host.not_connected", port=self._config.port)
        self._stopped_by = by[:MAX_TEXT]
        try:
            self._session.stop(now)
        except (DriverError, OSError) as error:
            self._power.drop(self._stopped_by, mains=True)
            self.lose_port(error, now)
            self._owe_switch_off()
            raise HostError("host.not_connected", port=self._config.port) from error
        # After the bytes of the stop, which nothing may delay; and before all that is written.
        self._power.drop(self._stopped_by, mains=True)
        self.tick(now)
        log.warning("%s: stopped by %s", self._config.machine, self._stopped_by)

    def act(self, order: Order, by: str, now: float) -> None:
        """Have the machine do something besides a program, and tell who asked.

        :raises HostError: if it may not do that now, or cannot.
        """
        if self._session is None:
            raise HostError("host.not_connected", port=self._config.port)
        if self._is_stopped and order.act not in CALMING:
            raise HostError("host.look_first", machine=self._config.machine)
        if order.act is Act.HEAT and order.target > self._config.hottest(order.heater):
            hottest = self._config.hottest(order.heater)
            raise HostError("host.too_hot", limit_c=hottest, heater=order.heater)
        try:
            self._watching.ours(now)
            code = self._session.act(order, self._config.reach(), now)
        except (DriverError, OSError) as error:
            self.lose_port(error, now)
            raise HostError("host.not_connected", port=self._config.port) from error
        if code:
            phase = str(self.snapshot(now).phase)
            raise HostError(code, word=order.act.value, phase=phase)
        self.asking.note(order.act, by)
        log.info("%s: %s by %s", self._config.machine, order.to_json(), by[:MAX_TEXT])
        told = {**order.to_json(), "by": by[:MAX_TEXT]}
        self._tell(HostEvent(self.run, 0, self._clock_us(), "acted", told))
        self.tick(now)

    def own_board(self, by: str, now: float) -> None:
        """Take the board that is there for the machine's own: a person has looked."""
        self._watching.own_board(by[:MAX_TEXT])
        self._retry_at = min(self._retry_at, now)
        self.tick(now)

    def release(self, by: str, now: float) -> None:
        """Take a person's word that nobody uses the machine by hand."""
        self._watching.release(by[:MAX_TEXT], now)

    def ours(self, now: float) -> None:
        """Note that what the machine does next was asked for through us."""
        self._watching.ours(now)

    def interrupt(self, reason: str, program: StoredProgram | None) -> None:
        """Record that nobody can say how far the open run came; heat off is due from here on.

        :param program: to read the modal state from; None while a machine needs watching,
            for that reading takes its time.
        """
        progress = self._journal.progress
        if progress is None:
            return
        self._power.drop(reason)
        self._owe_switch_off()
        self.asking.forget()
        log.error("%s: run %s is interrupted: %s", self._config.machine, progress.run, reason)
        fields: dict[str, object] = {**_extent(progress), "reason": reason}
        # So many acknowledged moves may not have been made: what is said is a lower bound.
        fields["planner_blocks"] = self._config.profile.planner_blocks
        lines = program or self._program
        if lines is not None and progress.sent:
            fields["sent_line"] = lines.source_line(min(progress.sent, len(lines)) - 1)
        if program is not None and DIALECTS[self._config.profile.dialect].is_gcode:
            modal = program.modal_after(progress.acked, REPLAY_S)
            if modal is not None:
                fields["modal"] = modal.to_json()
        self._program = None
        self._tell_fact("interrupted", fields, ends=True)

    def lose_port(self, error: Exception, now: float) -> None:
        """The port has gone: what ran is interrupted, and we come back only to look."""
        log.warning("%s: port lost: %s", self._config.machine, error)
        works_alone = self._session is not None and self._session.works_alone
        self.disconnect(now)
        self._take_in_rest()
        if not (works_alone and self.run):
            self.interrupt("port-lost", self._program)
        elif self._alone_since is None:
            self._alone_since = now

    def _find_again(self, session: MachineSession, now: float) -> None:
        """Back at a controller that went on alone: take its run up again, or give it up."""
        if self._alone_since is None or not self._last.connected:
            return
        self._alone_since = None
        if self.run and (self._program is None or not session.adopt(self._program, now, self.run)):
            self.interrupt("port-lost", self._program)
            return
        if self._is_due:
            session.stop(now)  # somebody asked for it while the controller was out of reach
        self._last = session.snapshot(now)

    def _wait_for_return(self, now: float) -> None:
        if self._alone_since is not None and now - self._alone_since > ALONE_MAX_S:
            self._alone_since = None
            self.interrupt("port-lost", self._program)

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

    def give_up(self, now: float) -> None:
        """Begin to end what runs, for the host has been told to go."""
        if not self.run:
            return
        self.interrupt("told-to-go", None)
        if self._session is not None:
            self._session.cancel(now)

    def leave(self, now: float) -> None:
        """Let go of the port; what still moves is stopped first."""
        if self._session is not None and not self.is_idle:
            self._session.stop(now)
            self.tick(now)
        self.disconnect(now)
        self._power.close()

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

    def power(self, on: bool, by: str, now: float) -> None:
        """Begin or end the heartbeat that holds the machine's relay; a person asked.

        :raises HostError: if there is none, or a stop was not looked at yet.
        """
        last = replace(self._last, stopped=self._is_stopped)
        self._power.switch(on, by[:MAX_TEXT], last, now)
        self._tick_power(now)

    def refuse_unpowered(self) -> None:
        """Refuse to go on while spindle, beam or heaters have no power.

        :raises HostError: `host.no_power`.
        """
        self._power.refuse()

    def _tick_power(self, now: float) -> None:
        """Keep the power on; a run that loses it is ended in good order, not driven on."""
        why = self._power.tick(self._last, now)
        if not why or not self.run or self._session is None:
            return
        log.error("%s: run %s has lost its power: %s", self._config.machine, self.run, why)
        try:
            if self._session.cancel(now):
                self.asking.note(Do.CANCEL, "power")
        except (DriverError, OSError) as error:
            self.lose_port(error, now)

    def keep_heat(self, by: str, seconds: float, now: float) -> bool:
        """Let a person have heat on without a run; False if there is none to be switched off."""
        kept = self._guard.keep(by[:MAX_TEXT], seconds, now)
        if kept:
            log.info("%s: heat is kept on for %.0f s by %s", self._config.machine, seconds, by)
        return kept

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
            self._tell(HostEvent("", 0, self._clock_us(), "heat_off"))

    def _stop_for(self, alarm: HeatAlarm, now: float) -> None:
        """Emergency stop because of a heater; first the wire, then the record."""
        assert self._session is not None
        self._stopped_by = "heater-watch"
        self._session.stop(now)
        self._power.drop("heater", mains=True)  # its own switch may have failed
        log.error("%s: stopped because of a heater: %s", self._config.machine, alarm)
        self._owe_switch_off()
        fields: dict[str, object] = {"code": alarm.code, **alarm.fields()}
        self._tell_fact("failed", fields | self._end_fields(), ends=True)
        self._program = None
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
        self._watching.look(self._session, state, now, is_due=self._is_due)
        is_idle = self._last.phase is Phase.IDLE and not self.run
        if self._is_due and is_idle and self._watching.has_own_board:
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
        self._is_due = False
        self._due_file.unlink(missing_ok=True)
        log.warning("%s: switched heat and spindle off after a gap", self._config.machine)
        self._tell_now("switched_off", {})

    def _tell_now(self, kind: str, fields: Mapping[str, object]) -> None:
        self._tell(HostEvent("", 0, self._clock_us(), kind, fields))

    def _owe_switch_off(self) -> None:
        self._is_due = True
        try:
            self._due_file.touch()
        except OSError:
            log.exception("%s: cannot note that heat is to be switched off", self._config.machine)

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
            fields |= self._end_fields()
            self._program = None
        if kind in ("failed", "stopped"):
            self._power.drop(kind)
        elif kind in ENDS:
            self._power.rest(kind)
        if kind == "attention" and fields.get("code") == "machine.asks_disconnect":
            self._is_sent_away = True
        if kind == "prompted" and not self._may_repeat(self._clock_us()):
            return  # a firmware that asks at every line must not fill the journal
        if kind in FACTS:
            self._tell_fact(kind, fields, ends=kind in ENDS)
        elif self._may_repeat(at_us := self._clock_us()):
            self._tell(HostEvent(self.run, 0, at_us, kind, fields))

    def _end_fields(self) -> dict[str, object]:
        """Return what every end of a run says; nothing outside a run."""
        progress = self._journal.progress
        if progress is None:
            return {}
        last = self._last
        return {
            **_extent(progress),
            "resends": last.resends,
            "starvation_s": round(last.starvation_s, 3),
            "damaged": last.damaged,
            "lost_answers": last.lost,
            "narrow_s": round(last.narrow_s, 1),
            "quality": last.quality,
        }

    def _may_repeat(self, at_us: int) -> bool:
        """Tell whether what is not kept may be told now: some firmwares talk at every line."""
        second = at_us // 1_000_000
        if second != self._talk_second:
            self._talk_second, self._talked = second, 0
        self._talked += 1
        return self._talked <= TALK_PER_S

    def _tell_fact(self, kind: str, fields: Mapping[str, object], *, ends: bool) -> None:
        at_us = self._clock_us()
        fact = HostEvent(self.run, 0, at_us, kind, fields)
        try:
            fact = self._journal.record(kind, fields, at_us, ends=ends) or fact
        except OSError:
            # The machine goes on: a full disk must not cost the job as well. The fact is
            # kept in memory and told; only a crash before its acknowledgement loses it.
            log.exception("%s: the journal cannot be written", self._config.machine)
        self._tell(fact)

    def _note_progress(self, acked: int, sent: int) -> None:
        old, program = self._journal.progress, self._program
        if old is None or program is None or (old.acked == acked and old.sent == sent):
            return
        total = len(program)
        acked = min(acked, total)
        line = program.source_line(acked - 1) if acked else 0
        offset = program.offset(acked)
        progress = Progress(old.run, acked, sent, total, line, offset, self._clock_us())
        try:
            self._journal.advance(progress)
        except OSError:
            log.exception("%s: progress cannot be written", self._config.machine)


def _extent(progress: Progress) -> dict[str, object]:
    return {
        "acked": progress.acked,
        "sent": progress.sent,
        "total": progress.total,
        "source_line": progress.source_line,
        "offset_bytes": progress.offset_bytes,
    }


def _bounded(value: object) -> object:
    if isinstance(value, list):
        return [_bounded(one) for one in value]
    return value[:MAX_TEXT] if isinstance(value, str) else value
