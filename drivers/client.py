"""The node's side of a machine host's socket."""

from __future__ import annotations

import base64
import hashlib
import socket
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from drivers.acts import Order
from drivers.errors import HostError, WireError
from drivers.sealing import seal
from drivers.snapshot import Snapshot
from drivers.stopping import connected
from drivers.wire import (
    CHUNK_BYTES,
    FROZEN,
    PROTOCOL,
    Do,
    Framer,
    Hello,
    HostEvent,
    encode,
    object_of,
    whole_of,
)

Pushed = HostEvent | Snapshot

MAX_PUSHED = 10_000  # waiting for `receive`; more means that nobody reads


class HostClient:
    """One connection to one machine host. Not for two threads at once.

    :raises HostError: from every method, `host.unreachable` when the host has gone, else the
        host's own refusal.
    """

    def __init__(self, connection: socket.socket, hello: Hello, timeout: float) -> None:
        self._socket = connection
        self._timeout = timeout
        self._framer = Framer()
        self._pushed: deque[Pushed] = deque()
        self._answers: dict[int, dict[str, object]] = {}
        self._last_id = 0
        self._greeted = False
        self.hello = hello  # what the host said of itself

    @classmethod
    def connect(cls, socket_path: Path, software: str, timeout: float = 5.0) -> HostClient:
        """Greet the host and hear its greeting.

        :param software: name and version of the caller, for the host's log.
        :param timeout: longest wait for any one answer [s].
        """
        connection = connected(socket_path, timeout)
        client = cls(connection, Hello(0, "", ""), timeout)
        try:
            greeting = Hello(PROTOCOL, software, "")
            client._send({"id": 0, "do": Do.HELLO, **greeting.to_json()})
            client._greet()
        except HostError:
            connection.close()
            raise
        return client

    def __enter__(self) -> HostClient:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def fileno(self) -> int:
        """Return the socket's number, for a selector."""
        return self._socket.fileno()

    def close(self) -> None:
        """Hang up; the machine goes on."""
        self._socket.close()

    def load(self, stream_path: Path, index_path: Path) -> str:
        """Carry a program to the host; return the SHA-256 it is known by. Again costs nothing.

        :param stream_path: the stream file, one block a line.
        :param index_path: uint32 little-endian per stream line, its line in the uploaded file.
        """
        with stream_path.open("rb") as stream, index_path.open("rb") as index:
            program = hashlib.file_digest(stream, "sha256").hexdigest()
            sizes = {"stream_bytes": stream.tell(), "index_bytes": index.seek(0, 2)}
            if self._ask(Do.LOAD_BEGIN, program=program, **sizes).get("loaded") is True:
                return program
            for part, file in (("stream", stream), ("index", index)):
                file.seek(0)
                while chunk := file.read(CHUNK_BYTES):
                    data = base64.b64encode(chunk).decode()
                    self._ask(Do.LOAD_CHUNK, program=program, part=part, data=data)
            self._ask(Do.LOAD_END, program=program)
        return program

    def start(
        self,
        run: str,
        program: str,
        preflight: Mapping[str, object],
        arming: Mapping[str, object] | None = None,
        seal_key: str = "",
    ) -> None:
        """Begin a run.

        :param run: UUID of the attempt.
        :param program: what `load` returned.
        :param preflight: `id`, `stream_sha256`, `limits_sha256`, `verdict` and, where that is
            `person`, `waivers` of the record.
        :param arming: who said that the machine is clear; kept in the first fact.
        :param seal_key: of the host; "" where it asks for no seal.
        """
        order: dict[str, object] = {
            "run": run,
            "program": program,
            "preflight": dict(preflight),
            "arming": dict(arming) if arming is not None else None,
        }
        sealed = {"seal": seal(seal_key, self.hello.machine, order)} if seal_key else {}
        self._ask(Do.START, **order, **sealed)

    def pause(self, by: str = "") -> None:
        """Hold the run where it can be held, and park.

        :param by: who asked, for the record.
        """
        self._ask(Do.PAUSE, by=by)

    def resume(self, by: str = "") -> None:
        """Go on with a paused run."""
        self._ask(Do.RESUME, by=by)

    def cancel(self, by: str = "") -> None:
        """End the run in good order: heat and spindle off."""
        self._ask(Do.CANCEL, by=by)

    def answer(self, prompt: int, choice: int, by: str) -> None:
        """Answer what the machine asks.

        :param prompt: the number of the prompt that was read.
        :param choice: which of its choices, from 0.
        """
        self._ask(Do.ANSWER, prompt=prompt, choice=choice, by=by)

    def offsets(self, patience: float = 3.0) -> Snapshot:
        """Have the controller tell its work offsets now, and return the state with them.

        :param patience: longest wait for its answer [s].
        :raises HostError: `host.not_now` if it is not idle, `host.no_offsets` if it says nothing.
        """
        before = self.state().offsets_seq
        self._ask(Do.OFFSETS)
        until = time.monotonic() + patience
        while time.monotonic() < until:
            state = self.state()
            if state.offsets_seq > before:
                return state
            time.sleep(0.05)
        raise HostError("host.no_offsets", machine=self.hello.machine)

    def stop(self, by: str) -> None:
        """Stop the machine now.

        :param by: who asked, for the record.
        """
        self._ask(Do.STOP, by=by)

    def command(self, line: str) -> None:
        """Have one extra line sent, between those of the program."""
        self._ask(Do.COMMAND, line=line)

    def power(self, on: bool, by: str) -> None:
        """Begin or end the heartbeat that holds the machine's relay.

        :param by: who asked, for the record.
        """
        self._ask(Do.POWER, on=on, by=by)

    def power_rest(self, by: str, seconds: int, below_c: float) -> None:
        """Have the plug of the mains go off by itself, once nothing runs and it has cooled.

        :param seconds: the least that it waits.
        :param below_c: what every heater must be below; 0: no matter.
        """
        self._ask(Do.POWER_REST, by=by, seconds=seconds, below_c=round(below_c))

    def present(self, by: str) -> None:
        """Say that a person is at the machine: what burns may go on for another while."""
        self._ask(Do.PRESENT, by=by)

    def keep_heat(self, by: str, seconds: int) -> None:
        """Have heat stay on without a run for a while.

        :param by: who asked, for all to see.
        """
        self._ask(Do.KEEP_HEAT, by=by, seconds=seconds)

    def act(self, order: Order, by: str) -> None:
        """Have the machine do something besides a program.

        :param by: who asked, for the record.
        """
        self._ask(Do.ACT, order=order.to_json(), by=by)

    def identify(self) -> None:
        """Have the machine beep or show a text, so that a person sees which one it is."""
        self._ask(Do.IDENTIFY)

    def own_board(self, by: str) -> None:
        """Take the board that is there for the machine's own: a person has looked."""
        self._ask(Do.OWN_BOARD, by=by)

    def release(self, by: str) -> None:
        """Say that nobody uses the machine by hand: a person has looked."""
        self._ask(Do.RELEASE, by=by)

    def reconnect(self) -> None:
        """Close the port and open it again, as after a stop once the machine was inspected."""
        self._ask(Do.RECONNECT)

    def retire(self) -> None:
        """Have the host exit, which it does only if no run is open."""
        self._ask(Do.RETIRE)

    def state(self) -> Snapshot:
        """Return what the machine is doing now."""
        return _snapshot(object_of(self._ask(Do.STATE), "state"))

    def subscribe(self, run: str = "", after: int = 0) -> None:
        """Ask for the facts that are not acknowledged, and for all that comes.

        :param run: with *after*, facts of that run which the caller already has.
        """
        self._ask(Do.EVENTS, run=run, after=after)

    def ack(self, run: str, seq: int) -> None:
        """Say that the facts of *run* up to *seq* are safe here; the host forgets them."""
        self._ask(Do.ACK, run=run, seq=seq)

    def receive(self, timeout: float) -> list[Pushed]:
        """Return what the host has told, waiting for the first of it at most *timeout* [s]."""
        deadline = time.monotonic() + timeout
        while not self._pushed and (left := deadline - time.monotonic()) > 0:
            self._read(left)
        if not self._pushed:
            self._read(0.0)
        told = list(self._pushed)
        self._pushed.clear()
        return told

    def _ask(self, do: Do, **fields: object) -> dict[str, object]:
        # This protocol and the one before are spoken; of any other only the frozen words.
        if do not in FROZEN and self.hello.protocol not in (PROTOCOL, PROTOCOL - 1):
            raise HostError("host.protocol", protocol=self.hello.protocol, wanted=PROTOCOL)
        self._last_id += 1
        number = self._last_id
        self._send({"id": number, "do": do, **fields})
        deadline = time.monotonic() + self._timeout
        while number not in self._answers:
            left = deadline - time.monotonic()
            if left <= 0:
                raise HostError("host.unreachable", machine=self.hello.machine)
            self._read(left)
        answer = self._answers.pop(number)
        if answer.get("ok") is not True:
            raise refusal(answer)
        return answer

    def _send(self, message: Mapping[str, object]) -> None:
        try:
            line = encode(message)
            self._socket.settimeout(self._timeout)
            self._socket.sendall(line)
        except WireError as error:
            raise HostError("host.protocol", reason=error.code) from error
        except OSError as error:
            raise HostError("host.unreachable", machine=self.hello.machine) from error

    def _read(self, timeout: float) -> None:
        """Take in what has come, waiting for the first byte at most *timeout* [s]."""
        try:
            self._socket.settimeout(timeout)
            data = self._socket.recv(1 << 16)
        except (TimeoutError, BlockingIOError):
            return
        except OSError as error:
            raise HostError("host.unreachable", machine=self.hello.machine) from error
        if not data:
            raise HostError("host.unreachable", machine=self.hello.machine)
        self._sort(data)

    def _sort(self, data: bytes) -> None:
        try:
            for message in self._framer.feed(data):
                if "re" in message:
                    self._answers[whole_of(message, "re")] = message
                elif "event" in message:
                    self._pushed.append(HostEvent.from_json(object_of(message, "event")))
                elif "state" in message:
                    self._pushed.append(_snapshot(object_of(message, "state")))
                elif "hello" in message:
                    self.hello = Hello.from_json(object_of(message, "hello"))
                    self._greeted = True
        except WireError as error:
            raise HostError("host.protocol", reason=error.code) from error
        if self._framer.broken is not None:
            raise HostError("host.protocol", reason=self._framer.broken.code)
        if len(self._pushed) > MAX_PUSHED:
            raise HostError("host.protocol", reason="unread")

    def _greet(self) -> None:
        deadline = time.monotonic() + self._timeout
        while not self._greeted or 0 not in self._answers:
            left = deadline - time.monotonic()
            if left <= 0:
                raise HostError("host.unreachable", machine=self.hello.machine)
            self._read(left)
        self._answers.pop(0)


def refusal(answer: Mapping[str, object]) -> HostError:
    """Return a host's refusal as the error it stands for."""
    fields = answer.get("fields")
    code = answer.get("code")
    plain = fields.items() if isinstance(fields, dict) else ()
    return HostError(
        code if isinstance(code, str) else "host.refused",
        **{str(key): value for key, value in plain if isinstance(value, str | int | float)},
    )


def _snapshot(values: dict[str, object]) -> Snapshot:
    try:
        return Snapshot.from_json(values)
    except (KeyError, TypeError, ValueError) as error:
        raise WireError("wire.bad_value", key="state", wanted="snapshot") from error
