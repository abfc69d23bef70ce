"""One machine: what a node may ask of it, on top of what happens there by itself."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace

from drivers.acts import CALMING, Act, Order, heat_of
from drivers.errors import DriverError, HostError
from drivers.host.programs import StoredProgram
from drivers.host.seam import MachineSession
from drivers.host.upkeep import MAX_TEXT, Upkeep
from drivers.snapshot import LOCKED, Phase

AT_REST = frozenset({"", "Idle", "Alarm"})  # of a controller that has words for its state

log = logging.getLogger(__name__)


class Machine(Upkeep):
    """Does what it is asked for, or says why not."""

    def start(
        self, run: str, program: StoredProgram, fields: Mapping[str, object], now: float
    ) -> None:
        """Begin a run; on disk before the first byte leaves.

        :raises HostError: if it may not begin.
        """
        if self.run == run:
            return  # asked again by a node that missed the answer
        session = self._refuse_start(run)
        self._account.begin(run, program, fields)
        self._guard.forgive()
        self._vigil.begin(now)
        self._power.begin_run()
        self._recorder.begin(run, session)
        try:
            if not session.start(program, now, run):
                # It was idle a moment ago; what came between will be told by itself.
                self._account.fact("failed", {"code": "machine.not_idle"}, ends=True)
        except (DriverError, OSError) as error:
            self.lose_port(error, now)
        self.tick(now)

    def _refuse_start(self, run: str) -> MachineSession:
        """Say why *run* may not begin; return the session in which it may.

        :raises HostError: if it may not.
        """
        if self._journal.last_run == run:
            raise HostError("host.run_over", run=run)
        if self.run:
            raise HostError("host.busy", run=self.run)
        if self._session is None or not self._last.connected:
            raise HostError("host.not_connected", port=self._config.port)
        self._watching.refuse()
        self._power.refuse()
        self._vigil.refuse()
        if self._debt.is_due:
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
        return self._session

    def stop(self, by: str, now: float) -> None:
        """Stop now; the bytes have left when this returns, the record comes after.

        :raises HostError: if there is no port to send them to.
        """
        self._awaits_look = True
        if self._session is None:
            self._power.drop(by[:MAX_TEXT], mains=True)
            self._debt.owe()
            raise HostError("host.not_connected", port=self._config.port)
        self._stopped_by = by[:MAX_TEXT]
        try:
            self._session.stop(now)
        except (DriverError, OSError) as error:
            self._power.drop(self._stopped_by, mains=True)
            self.lose_port(error, now)
            self._debt.owe()
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
        if order.act is Act.HEAT:
            self._refuse_heat(order.heater, order.target)
        if order.act is Act.RESUME and self.run:
            self.refuse_to_go_on()
        try:
            self._watching.ours(now)
            code = self._session.act(order, self._config.reach(), now)
        except (DriverError, OSError) as error:
            self.lose_port(error, now)
            raise HostError("host.not_connected", port=self._config.port) from error
        if code:
            phase = str(self.snapshot(now).phase)
            raise HostError(code, word=order.act.value, phase=phase)
        if order.act is Act.RESUME and self.run:
            self.went_on(now)
        self.asking.note(order.act, by)
        log.info("%s: %s by %s", self._config.machine, order.to_json(), by[:MAX_TEXT])
        told = {**order.to_json(), "by": by[:MAX_TEXT]}
        self._account.say("acted", told, of_run=True)
        self.tick(now)

    def power(self, on: bool, by: str, now: float) -> None:
        """Begin or end the heartbeat that holds the machine's relay; a person asked.

        :raises HostError: if there is none, or a stop was not looked at yet.
        """
        last = replace(self._last, stopped=self._is_stopped)
        self._power.switch(on, by[:MAX_TEXT], last, now)
        self._tick_power(now)

    def power_rest(self, by: str, seconds: float, below_c: float, now: float) -> None:
        """Have the power go off once the machine has cooled; a run that begins comes first.

        :raises HostError: `host.no_heartbeat` if there is nothing to switch, `host.busy` in a run.
        """
        if self.run:
            raise HostError("host.busy", run=self.run)
        self._power.rest_later(by[:MAX_TEXT], seconds, below_c, now)
        if self._session is not None and self._last.phase is Phase.IDLE and self._last.connected:
            self._send_switch_off(now)  # what is heated does not cool

    def refuse_button(self, choice: int, now: float) -> None:
        """Refuse a prompt's button whose command may not be sent now.

        :raises HostError: `host.look_first`, or `host.too_hot`.
        """
        state = self.snapshot(now)
        commands = state.prompt.commands if state.prompt else ()
        if not 0 <= choice < len(commands):
            return  # it sends nothing of its own
        if state.stopped:
            raise HostError("host.look_first", machine=self._config.machine)
        heater, target = heat_of(commands[choice])
        if heater:
            self._refuse_heat(heater, target)

    def _refuse_heat(self, heater: str, target: float) -> None:
        """Refuse more heat than the lab allows this machine.

        :raises HostError: `host.too_hot`.
        """
        if target > (hottest := self._config.hottest(heater)):
            raise HostError("host.too_hot", limit_c=hottest, heater=heater)

    def refuse_to_go_on(self) -> None:
        """Refuse to go on without power, or while an input is not good.

        :raises HostError: `host.no_power`, or `host.interlock`.
        """
        self._power.refuse()
        self._vigil.refuse()

    def went_on(self, now: float) -> None:
        """Note that a person at the machine has had it go on."""
        self._vigil.begin(now)

    def present(self, by: str, now: float) -> None:
        """Take a person's word that they are at the machine.

        :raises HostError: `host.not_now` if nothing waits for it, or it comes too late.
        """
        if not self.run or not self._vigil.renew(now):
            phase = self._vigil.withheld or str(self._last.phase)
            raise HostError("host.not_now", word="present", phase=phase)
        log.info("%s: %s is there", self._config.machine, by[:MAX_TEXT])

    def keep_heat(self, by: str, seconds: float, now: float) -> bool:
        """Let a person have heat on without a run; False if there is none to be switched off."""
        kept = self._guard.keep(by[:MAX_TEXT], seconds, now)
        if kept:
            log.info("%s: heat is kept on for %.0f s by %s", self._config.machine, seconds, by)
        return kept

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
        self._vigil.close()
        self._power.close()
