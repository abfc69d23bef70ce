"""What a node may ask of a host, and the answer to each request."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping

from drivers.acts import Order
from drivers.dialects import DIALECTS
from drivers.errors import DriverError, HostError, WireError
from drivers.host.config import HostConfig
from drivers.host.machine import Machine
from drivers.host.programs import ProgramStore
from drivers.host.seam import MachineSession
from drivers.host.server import Connection
from drivers.journal import Journal
from drivers.sealing import is_sealed
from drivers.wire import FROZEN, PROTOCOL, Do, Hello, object_of, text_of, whole_of

MAX_COMMAND_BYTES = 96
MAX_START_BYTES = 2048  # of what a start says besides; a journal's fact must hold it
# Lines that may move, and heat that stays: not while a stop stands that nobody has looked at.
_LOOK_FIRST = frozenset({Do.COMMAND, Do.KEEP_HEAT})

log = logging.getLogger(__name__)

Message = Mapping[str, object]


def _may_run(preflight: Message) -> bool:
    """Tell whether the record lets it run: nothing found, or every finding let stand by a person.

    What a node of the release before calls a warning stopped nothing.
    """
    if preflight.get("verdict") == "person":
        waivers = preflight.get("waivers")
        return isinstance(waivers, list) and bool(waivers)
    return preflight.get("verdict") in ("pass", "warn")


class Desk:
    """Answers requests, one at a time, without waiting for anything.

    :param retire: called when a node lets this host go.
    """

    def __init__(
        self,
        config: HostConfig,
        machine: Machine,
        journal: Journal,
        programs: ProgramStore,
        retire: Callable[[], None],
    ) -> None:
        self._config = config
        self._machine = machine
        self._journal = journal
        self._programs = programs
        self._retire = retire

    def answer(self, peer: Connection, message: Message, now: float) -> None:
        """Do what a message asks, and say how it went."""
        number = message.get("id")
        try:
            extra = self._do(peer, message, now)
            reply: dict[str, object] = {"re": number, "ok": True, **extra}
        except DriverError as error:
            reply = {"re": number, "ok": False, "code": error.code, "fields": dict(error.fields)}
        except OSError as error:
            reason = error.strerror or str(error)
            reply = {"re": number, "ok": False, "code": "host.disk", "fields": {"reason": reason}}
        peer.push(reply)
        # Told after the answer, so that "asked" and "told" keep their order on one socket.
        if reply["ok"] is True and message.get("do") == Do.EVENTS:
            self._tell_missed(peer, message)
            peer.push({"state": self._machine.snapshot(now).to_json()})

    def _do(self, peer: Connection, message: Message, now: float) -> dict[str, object]:
        word = text_of(message, "do")
        try:
            do = Do(word)
        except ValueError as error:
            raise WireError("wire.unknown_word", word=word[:40]) from error
        # A node speaks its own protocol and the one before, so a newer one adapts to us;
        # with any other age only the frozen words mean the same on both sides.
        if do not in FROZEN and peer.protocol not in (PROTOCOL, PROTOCOL + 1):
            raise HostError("host.protocol", protocol=peer.protocol, wanted=PROTOCOL)
        match do:
            case Do.STOP:
                by = message.get("by")
                self._machine.stop(by if isinstance(by, str) else "unnamed", now)
            case Do.HELLO:
                greeting = Hello.from_json(message)
                peer.protocol = greeting.protocol
                log.info("%s: %s attached", self._config.machine, greeting.software[:80])
            case Do.STATE:
                return {"state": self._machine.snapshot(now).to_json()}
            case Do.EVENTS:
                peer.listens = True
            case Do.ACK:
                self._ack(text_of(message, "run"), whole_of(message, "seq"))
            case Do.RETIRE:
                if not self._machine.is_idle:
                    raise HostError("host.busy", run=self._machine.run)
                self._retire()
            case Do.START:
                self._start(message, now)
            case Do.ACT:
                by = message.get("by")
                order = Order.from_json(object_of(message, "order"))
                self._machine.act(order, by if isinstance(by, str) else "unnamed", now)
            case Do.POWER:
                self._machine.power(message.get("on") is True, text_of(message, "by"), now)
            case Do.POWER_REST:
                times = whole_of(message, "seconds"), whole_of(message, "below_c")
                self._machine.power_rest(text_of(message, "by"), *times, now)
            case Do.PRESENT:
                self._machine.present(text_of(message, "by"), now)
            case Do.OWN_BOARD:
                self._machine.own_board(text_of(message, "by"), now)
            case Do.RELEASE:
                self._machine.release(text_of(message, "by"), now)
            case Do.LOAD_BEGIN | Do.LOAD_CHUNK | Do.LOAD_END:
                return self._load(do, message)
            case _:
                self._steer(do, message, now)
        return {}

    def _ack(self, run: str, seq: int) -> None:
        try:
            self._journal.ack(run, seq)
        except OSError:
            # Forgotten in memory all the same; at worst the fact is told once more after
            # a restart, and the node knows it by its number.
            log.exception("%s: an acknowledgement cannot be written", self._config.machine)

    def _load(self, do: Do, message: Message) -> dict[str, object]:
        program = text_of(message, "program")
        if do is Do.LOAD_CHUNK:
            self._programs.take(program, text_of(message, "part"), text_of(message, "data"))
        elif do is Do.LOAD_END:
            self._programs.end(program, self._machine.running_program)
        else:
            sizes = whole_of(message, "stream_bytes"), whole_of(message, "index_bytes")
            return {"loaded": self._programs.begin(program, *sizes)}
        return {}

    def _start(self, message: Message, now: float) -> None:
        program = self._programs.get(text_of(message, "program"))
        if program is None:
            raise HostError("host.unknown_program", program=text_of(message, "program"))
        preflight = message.get("preflight")
        if not isinstance(preflight, dict) or preflight.get("stream_sha256") != program.sha256:
            raise HostError("host.no_preflight", program=program.sha256)
        if not _may_run(preflight):
            verdict = str(preflight.get("verdict"))[:16]
            raise HostError("host.no_preflight", program=program.sha256, verdict=verdict)
        if preflight.get("limits_sha256") != self._config.limits_sha256:
            raise HostError("host.limits_changed", machine=self._config.machine)
        self._demand_seal(message, program.sha256)
        known = {"preflight": preflight.get("id"), "arming": message.get("arming")}
        if len(json.dumps(known)) > MAX_START_BYTES:
            raise HostError("host.bad_arming", limit_bytes=MAX_START_BYTES)
        fields = {"program": program.sha256, "total": len(program), **known}
        self._machine.start(text_of(message, "run"), program, fields, now)

    def _demand_seal(self, message: Message, program: str) -> None:
        """Refuse an order that the node did not seal for this machine."""
        key = self._config.seal_key
        order = {name: message.get(name) for name in ("run", "program", "preflight", "arming")}
        if key and not is_sealed(key, self._config.machine, order, message.get("seal")):
            raise HostError("host.not_sealed", program=program)

    def _steer(self, do: Do, message: Message, now: float) -> None:
        session = self._machine.session
        if session is None:
            raise HostError("host.not_connected", port=self._config.port)
        accepted = True
        if do in _LOOK_FIRST and self._machine.snapshot(now).stopped:
            raise HostError("host.look_first", machine=self._config.machine)
        if do is Do.ANSWER:
            self._machine.refuse_button(whole_of(message, "choice"), now)
        if do is Do.RESUME or (do is Do.ANSWER and self._machine.snapshot(now).tool):
            self._machine.refuse_to_go_on()
        if do is Do.PAUSE:
            accepted = session.pause(now)
        elif do is Do.RESUME:
            accepted = session.resume(now)
            if accepted:
                self._machine.went_on(now)
        elif do is Do.CANCEL:
            accepted = session.cancel(now)
        elif do is Do.OFFSETS:
            accepted = session.read_offsets(now)
        elif do is Do.ANSWER:
            prompt, choice = whole_of(message, "prompt"), whole_of(message, "choice")
            accepted = session.answer(prompt, choice, now)
        elif do is Do.COMMAND:
            accepted = session.command(self._line(message), now)
        elif do is Do.KEEP_HEAT:
            by, seconds = text_of(message, "by"), whole_of(message, "seconds")
            accepted = self._machine.keep_heat(by, seconds, now)
        elif do is Do.IDENTIFY:
            accepted = self._identify(session, now)
        elif do is Do.RECONNECT:
            if self._machine.run:
                raise HostError("host.busy", run=self._machine.run)
            self._machine.disconnect(now, resets=True)
        if not accepted:
            state = self._machine.snapshot(now)
            code = "host.not_at_place" if do is Do.RESUME and state.back else "host.not_now"
            raise HostError(code, word=str(do), phase=str(state.phase))
        who = message.get("by")
        self._machine.asking.note(do, who if isinstance(who, str) else "")
        self._machine.ours(now)
        self._machine.tick(now)

    def _identify(self, session: MachineSession, now: float) -> bool:
        lines = self._config.profile.identify
        if not lines:
            raise HostError("host.cannot_identify", machine=self._config.machine)
        if self._machine.run:
            raise HostError("host.busy", run=self._machine.run)
        return all(session.command(line.encode("ascii", "replace"), now) for line in lines)

    def _line(self, message: Message) -> bytes:
        """Return the line to send.

        :raises HostError: if it is not one plain line, or its command is forbidden.
        """
        text = text_of(message, "line").strip()
        line = text.encode("ascii", "replace")
        dialect = DIALECTS[self._config.profile.dialect]
        if not 0 < len(line) <= MAX_COMMAND_BYTES or dialect.bare(line).decode() != text:
            raise HostError("host.bad_command", line=text[:MAX_COMMAND_BYTES])
        profile = self._config.profile
        for word in dialect.commands(line):
            if word in profile.forbidden or (
                # "$" forbids settings; homing and, after an alarm, unlocking are a person's to ask.
                "$" in profile.forbidden
                and word.startswith("$")
                and word not in (*profile.homing, "$X")
            ):
                raise HostError("host.forbidden", command=word)
        return line

    def _tell_missed(self, peer: Connection, message: Message) -> None:
        run, after = message.get("run"), message.get("after")
        known = (run, after) if isinstance(run, str) and isinstance(after, int) else ("", 0)
        for fact in self._journal.facts(*known):
            peer.push({"event": fact.to_json()})
