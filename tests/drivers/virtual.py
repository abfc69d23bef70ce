"""A machine host on a simulated board, both in simulated time: hours pass in a moment."""

from __future__ import annotations

import select
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from drivers.errors import PortError
from drivers.host.config import HostConfig
from drivers.host.machine import Machine
from drivers.journal import Journal
from drivers.plug import is_plug
from drivers.plug_http import STEP_S
from drivers.plug_login import Login
from drivers.profile import load_profile
from drivers.session import Session
from drivers.simulators import Firmware, Wishes, build
from drivers.snapshot import Phase

_AHEAD = 1 << 16
_MOMENT = 0.002  # for a server of this process to answer [s]
_STEP = 1e-4  # so that time always passes [s]


class BoardWire:
    """The transport between a session and a simulated board."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        lab.board.reset(lab.now)  # opening raises DTR

    def fileno(self) -> int:
        return -1

    def read(self) -> bytes:
        if self._lab.board.is_unplugged:
            raise PortError("port.lost", port="simulated")
        said, self._lab.said = self._lab.said, b""
        return said or self._lab.board.read(self._lab.now)

    def write(self, data: bytes) -> int:
        self._lab.board.write(data, self._lab.now)
        self._lab.wrote.append((self._lab.now, data))
        return len(data)

    def queued(self) -> int:
        return _AHEAD - self._lab.board.room(_AHEAD)

    def set_baud(self, baud: int) -> None:
        pass

    def discard_output(self) -> None:
        pass

    def reset_on_close(self) -> None:
        pass

    def close(self) -> None:
        pass


class Program:
    """Lines as a host has them on disk."""

    sha256 = "0" * 64

    def __init__(self, lines: list[str]) -> None:
        self._lines = [line.encode() for line in lines]

    def __len__(self) -> int:
        return len(self._lines)

    def line(self, index: int) -> bytes:
        return self._lines[index]

    def source_line(self, index: int) -> int:
        return index + 1

    def places(self, first: int, count: int) -> list[tuple[int, int]]:
        return [(done, self.offset(done)) for done in range(first, first + count)]

    def offset(self, index: int) -> int:
        return sum(len(line) + 1 for line in self._lines[:index])

    def modal_after(self, lines: int, budget_s: float) -> None:
        return None


class Lab:
    """One host and one board.

    :param profile: changes of the firmware profile's keys.
    """

    def __init__(
        self,
        folder: Path,
        name: str = "marlin-2",
        *,
        wishes: Wishes | None = None,
        limits: dict[str, object] | None = None,
        heartbeat: str = "",
        plugs: dict[str, str] | None = None,
        plug_logins: dict[str, Login] | None = None,
        kind: str = "fdm",
        presence_s: int = 0,
        interlocks: tuple[str, ...] = (),
        **profile: object,
    ) -> None:
        self.now = 0.0
        self.board: Firmware = build(name, wishes or Wishes())
        self.wrote: list[tuple[float, bytes]] = []
        self.said = b""  # by the board, and not read yet
        self.shortened = 0  # wake-ups on the express lane
        self.events: list[dict[str, object]] = []
        self.config = HostConfig(
            machine="anna",
            kind=kind,
            presence_s=presence_s,
            interlocks=interlocks,
            port="simulated",
            baud=self.board.board.baud,
            profile=replace(load_profile(name), **profile),  # type: ignore[arg-type]
            limits_sha256="limits",
            socket=folder / "s",
            state_dir=folder,
            heartbeat=heartbeat,
            plugs=plugs or {},
            plug_logins=plug_logins or {},
            limits=limits or {"nozzle_max_c": 260.0, "bed_max_c": 110.0},
        )
        self.journal = Journal(folder)
        self.machine = Machine(
            self.config,
            self.journal,
            lambda config, publish, now: Session(BoardWire(self), config.profile, publish),
            lambda event: self.events.append(event.to_json()),
            lambda: int(self.now * 1e6),
        )
        self.until(lambda: self.state.phase is Phase.IDLE, 60.0)
        self.wait(3.0)

    @property
    def state(self):
        return self.machine.snapshot(self.now)

    @property
    def kinds(self) -> list[object]:
        return [event["kind"] for event in self.events]

    def start(self, lines: list[str], run: str = "r1") -> None:
        self.machine.start(run, Program(lines), {}, self.now)  # type: ignore[arg-type]

    def run(self, lines: list[str], patience: float = 3600.0, run: str = "r1") -> dict[str, object]:
        """Run a program to its end; return the fact that ended it."""
        seen = len(self.events)
        self.start(lines, run)
        self.until(lambda: not self.machine.run, patience)
        ends = {"finished", "failed", "cancelled", "stopped", "interrupted"}
        return next(event for event in self.events[seen:] if event["kind"] in ends)

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.until(lambda: False, seconds, strict=False)

    def until(self, done, patience: float, *, strict: bool = True) -> None:
        """Let time pass until *done*; it must come within *patience* [s]."""
        end = self.now + patience
        for _ in range(2_000_000):
            if not self.machine.stream(self.now):
                self.machine.tick(self.now)
            if done():
                return
            if self.now >= end:
                break
            due = [at for at in (self.machine.deadline(), self.board.deadline()) if at is not None]
            self._let_plugs_answer(min(due, default=end))
            self.now = min(max(min(due, default=end), self.now + _STEP), end)
        assert not strict, f"not within {patience} s: {self.state}"

    def go_express(self, look: Callable[[], None]) -> None:
        """Stream as a host's loop does while nobody but the board speaks.

        :param look: called before each wait.
        """
        until = self.machine.watch_deadline()

        def poll(milliseconds: float) -> list[tuple[int, int]]:
            look()
            return self._poll(milliseconds)

        if until is not None and not self.machine.express(poll, lambda: self.now, until):
            self.machine.tick(self.now)

    def _poll(self, milliseconds: float) -> list[tuple[int, int]]:
        end = self.now + milliseconds / 1000.0
        for _ in range(1_000):
            self.said = self.board.read(self.now)
            if self.said or self.board.is_unplugged or self.now >= end:
                break
            due = self.board.deadline()
            self.now = min(max(end if due is None else due, self.now + _STEP), end)
        self.shortened += bool(self.said)
        return [(-1, select.POLLIN)] if self.said or self.board.is_unplugged else []

    def _let_plugs_answer(self, due: float) -> None:
        """Plugs are real servers: while one is asked, time passes in both worlds."""
        has_plugs = bool(self.config.plugs) or is_plug(self.config.heartbeat)
        if has_plugs and 0 < due - self.now < 2 * STEP_S:
            time.sleep(_MOMENT)

    def sent(self, since: float = 0.0) -> bytes:
        """Return what was written to the board from an instant on."""
        return b"".join(data for at, data in self.wrote if at >= since)

    def close(self) -> None:
        self.journal.close()
