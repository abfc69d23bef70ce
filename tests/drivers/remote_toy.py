"""A controller that takes whole files over a socket, and the session that speaks to it.

The shape of Moonraker, PrusaLink and their like, and no more: one JSON object a line in both
directions, a file in pieces after its announcement, a report of the state at every step.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable

from drivers.errors import PortError
from drivers.host.config import HostConfig
from drivers.host.seam import Told
from drivers.snapshot import (
    Cancelled,
    Connected,
    Failed,
    Finished,
    Paused,
    Phase,
    Reached,
    Resumed,
    RunStarted,
    Snapshot,
    Stopped,
    TemperatureRead,
)

PIECE = 64  # bytes of a file in one write: small, so that a file takes several turns
_PHASES = {
    "idle": Phase.IDLE,
    "receiving": Phase.STREAMING,
    "working": Phase.STREAMING,
    "paused": Phase.PAUSED,
    "stopped": Phase.STOPPED,
}


class ToyController:
    """Works on a file by itself, whoever listens; `step` lets it do some of it."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self._server.setblocking(False)
        self.address = f"127.0.0.1:{self._server.getsockname()[1]}"
        self._peer: socket.socket | None = None
        self._heard = bytearray()
        self.state, self.run, self.at, self.size = "idle", "", 0, 0
        self.end = ""  # of the last run
        self.file = bytearray()
        self.commands: list[str] = []
        self.heat = 20.0
        self.refuses_file = False

    def step(self, work: int = 0) -> None:
        """Hear what was said, work off *work* bytes, tell the state."""
        if self._peer is None:
            try:
                self._peer, _ = self._server.accept()
                self._peer.setblocking(False)
                self._peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._heard.clear()
            except OSError:
                pass  # nobody is there, or this controller is switched off
        self._hear()
        self._work(work)
        self._tell()

    @property
    def done(self) -> list[bytes]:
        return bytes(self.file[: self.at]).splitlines()

    def hang_up(self) -> None:
        if self._peer is not None:
            self._peer.close()
            self._peer = None

    def close(self) -> None:
        self.hang_up()
        self._server.close()

    def _hear(self) -> None:
        if self._peer is None:
            return
        try:
            data = self._peer.recv(1 << 16)
        except BlockingIOError:
            data = None
        if data == b"":
            self.hang_up()
            return
        self._heard += data or b""
        while self._heard:
            line, newline, rest = self._heard.partition(b"\n")
            if not newline:
                return
            self._heard = rest
            self._obey(json.loads(line))

    def _obey(self, words: dict[str, object]) -> None:
        match words["do"]:
            case "file" if not self.refuses_file:
                self.run, self.size = str(words["run"]), int(str(words["size"]))
                self.file, self.at, self.end, self.state = bytearray(), 0, "", "receiving"
            case "piece" if self.state == "receiving":
                self.file += str(words["text"]).encode()
                if len(self.file) == self.size:
                    self.state = "working"
            case "pause" if self.state == "working":
                self.state = "paused"
            case "resume" if self.state == "paused":
                self.state = "working"
            case "cancel":
                self.state, self.end, self.heat = "idle", "cancelled", 20.0
            case "stop":
                self.state, self.end, self.heat = "stopped", "stopped", 20.0
            case "restart":
                self.state = "idle"
            case "line":
                self.commands.append(str(words["line"]))

    def _work(self, work: int) -> None:
        if self.state != "working":
            return
        self.at = min(self.at + work, self.size)
        if self.at == self.size:
            self.state, self.end = "idle", "finished"

    def _tell(self) -> None:
        if self._peer is None:
            return
        words = {"state": self.state, "run": self.run, "at": self.at, "end": self.end}
        try:
            self._peer.send(json.dumps({**words, "heat": self.heat}).encode() + b"\n")
        except BlockingIOError:
            pass
        except OSError:
            self.hang_up()


class ToySession:
    """A `MachineSession` that starts a run by its whole file."""

    works_alone = True

    def __init__(self, config: HostConfig, publish: Callable[[Told], None], now: float) -> None:
        host, _, port = config.port.rpartition(":")
        try:
            self._socket = socket.create_connection((host, int(port)), timeout=2.0)
        except OSError as error:
            raise PortError("port.refused", port=config.port, problem=str(error)) from error
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._port = config.port
        self._publish = publish
        self._heard = bytearray()
        self._out = bytearray()
        self._program = None
        self._sent = 0
        self._run = ""
        self._remote: dict[str, object] = {}
        self._heat: float | None = None

    @property
    def wants_write(self) -> bool:
        return bool(self._out) or self._file_left() > 0

    def fileno(self) -> int:
        return self._socket.fileno()

    def deadline(self) -> float | None:
        return None

    def ready(self, now: float) -> None:
        self._read()
        self._write()

    def express(self, wait, clock, until: float, expect) -> bool:
        return False

    def start(self, program, now: float, run: str) -> bool:
        if self._remote.get("state") != "idle":
            return False
        self._program, self._run, self._sent = program, run, 0
        self._say(do="file", run=run, size=program.size)
        self._publish(RunStarted(len(program)))
        self.ready(now)
        return True

    def adopt(self, program, now: float, run: str) -> bool:
        if self._remote.get("run") != run:
            return False
        self._program, self._run, self._sent = program, run, program.size
        self._conclude()
        return True

    def pause(self, now: float) -> bool:
        return self._ask("pause", Phase.STREAMING)

    def resume(self, now: float) -> bool:
        return self._ask("resume", Phase.PAUSED)

    def cancel(self, now: float) -> bool:
        return self._ask("cancel", Phase.STREAMING, Phase.PAUSED)

    def stop(self, now: float) -> bool:
        self._say(do="stop")
        self._write()
        return True

    def read_offsets(self, now):
        return False

    def answer(self, number, choice, now):
        return False

    def command(self, line: bytes, now: float) -> bool:
        self._say(do="line", line=line.decode())
        return True

    def act(self, order, reach, now: float) -> str:
        return "host.not_now"

    def reached(self) -> Reached:
        at = int(str(self._remote.get("at", 0))) if self._program is not None else 0
        done = self._program.lines_before(at) if self._program is not None else 0
        return Reached(self._phase(), done, done)

    def snapshot(self, now: float) -> Snapshot:
        phase, done, _ = self.reached()
        return Snapshot(
            phase=phase,
            connected=bool(self._remote),
            acked=done,
            sent=done,
            total=len(self._program) if self._program is not None else 0,
            run=self._run,
            stopped=self._remote.get("state") == "stopped",
        )

    def record(self, log):
        pass

    def reset_on_close(self) -> None:
        self._say(do="restart")
        self._write()

    def close(self) -> None:
        self._socket.close()

    def _phase(self) -> Phase:
        if self._program is not None and self._file_left():
            return Phase.STREAMING
        return _PHASES.get(str(self._remote.get("state")), Phase.CONNECTING)

    def _ask(self, word: str, *phases: Phase) -> bool:
        if self._phase() not in phases:
            return False
        self._say(do=word)
        return True

    def _say(self, **words: object) -> None:
        self._out += json.dumps(words).encode() + b"\n"

    def _file_left(self) -> int:
        return self._program.size - self._sent if self._program is not None else 0

    def _write(self) -> None:
        for _ in range(4):
            if not self._out and self._file_left():
                piece = self._program.read(self._sent, PIECE)
                self._say(do="piece", text=piece.decode())
                self._sent += len(piece)
            if not self._out:
                return
            try:
                del self._out[: self._socket.send(self._out)]
            except BlockingIOError:
                return
            except OSError as error:
                raise PortError("port.lost", port=self._port) from error

    def _read(self) -> None:
        try:
            data = self._socket.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError as error:
            raise PortError("port.lost", port=self._port) from error
        if not data:
            raise PortError("port.lost", port=self._port)
        *lines, rest = (bytes(self._heard) + data).split(b"\n")
        self._heard[:] = rest
        for line in lines:
            self._take(json.loads(line))

    def _take(self, words: dict[str, object]) -> None:
        before, self._remote = self._remote, words
        if not before:
            self._publish(Connected("Toy"))
        heat = float(str(words["heat"]))
        if heat != self._heat:
            self._heat = heat
            self._publish(TemperatureRead({"T0": (heat, heat)}))
        if before.get("state") == "working" and words["state"] == "paused":
            self._publish(Paused())
        if before.get("state") == "paused" and words["state"] == "working":
            self._publish(Resumed())
        self._conclude()

    def _conclude(self) -> None:
        """Publish the end of the run that is watched, once."""
        if self._program is None or self._remote.get("run") != self._run or self._file_left():
            return
        ends = {"finished": Finished(), "cancelled": Cancelled(), "stopped": Stopped()}
        end = str(self._remote.get("end"))
        if not end:
            return
        self._publish(ends.get(end, Failed("machine.halted", 0, end)))
        self._program = None
