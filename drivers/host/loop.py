"""The host's one loop: the port, the socket, the signals and the clock."""

from __future__ import annotations

import logging
import select
import selectors
import signal
import socket
import time
from types import FrameType

from drivers.host.config import HostConfig
from drivers.host.desk import Desk
from drivers.host.machine import Machine
from drivers.host.programs import ProgramStore
from drivers.host.seam import OpenSession
from drivers.host.server import MAX_CONNECTIONS, Connection, Server
from drivers.journal import Journal
from drivers.notify import notify, watchdog_s
from drivers.wire import PROTOCOL, Hello, HostEvent

STATE_EVERY_S = 0.2
LONGEST_SLEEP_S = 5.0
GRACE_S = 10.0  # for a run to be cancelled in good order after SIGTERM

log = logging.getLogger(__name__)

Ready = list[tuple[selectors.SelectorKey, int]]


class Host:
    """One machine host, from its first open file to its last.

    :param open_session: opens the port and begins to observe.
    :raises DriverError: if the journal or the socket cannot be had.
    """

    def __init__(self, config: HostConfig, open_session: OpenSession) -> None:
        self._config = config
        self._software = config.software
        # The port is waited for beside all others and not among them: at nine wake-ups in ten it
        # is the only one.
        self._selector = selectors.EpollSelector()
        self._poll = select.poll()
        self._poll.register(self._selector.fileno(), select.POLLIN)
        self._journal = Journal(config.state_dir)
        if self._journal.discarded_bytes:
            log.warning(
                "%s: the journal's last %d bytes were damaged and are gone",
                config.machine,
                self._journal.discarded_bytes,
            )
        opened = self._journal.open_run
        keep = str(opened.fields.get("program", "")) if opened is not None else ""
        self._programs = ProgramStore(config.state_dir / "programs", keep)
        self._server = Server(config.socket, self._selector)
        left = self._programs.recall(keep) if keep else None
        self._machine = Machine(config, self._journal, open_session, self._tell, _wall_us, left)
        if left is not None:
            left.close()
        self._desk = Desk(config, self._machine, self._journal, self._programs, self._retire)
        self._chores_at = 0.0  # when more is to be done than to move bytes
        self._port = -1  # the port's file number, as it is watched
        self._port_events = 0
        self._told_state: dict[str, object] = {}
        self._tell_state_at = 0.0
        self._watched_s = watchdog_s()
        self._alive_at = 0.0
        self._told_to_go = False
        self._leaving_by: float | None = None  # when patience with SIGTERM ends

    def run(self) -> None:
        """Serve until retired or told to go by a signal."""
        waker, wakened = socket.socketpair()
        waker.setblocking(False)
        wakened.setblocking(False)
        self._selector.register(wakened, selectors.EVENT_READ, None)
        before = signal.signal(signal.SIGTERM, self._on_signal)
        before_int = signal.signal(signal.SIGINT, self._on_signal)
        before_fd = signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
        try:
            while not self._may_leave():
                self._pass(wakened)
        finally:
            signal.set_wakeup_fd(before_fd)
            signal.signal(signal.SIGTERM, before)
            signal.signal(signal.SIGINT, before_int)
            self._selector.unregister(wakened)
            waker.close()
            wakened.close()
            self._close()

    def _pass(self, wakened: socket.socket) -> None:
        now = time.monotonic()
        if now < self._chores_at and self._port_events == select.POLLIN:
            if not self._machine.express(self._poll.poll, time.monotonic, self._chores_at):
                self._chores_at = 0.0
            now = time.monotonic()
        due = self._machine.wire_deadline()
        wake_at = self._chores_at if due is None else min(due, self._chores_at)
        ready = self._poll.poll(1000.0 * max(0.0, wake_at - now))
        now = time.monotonic()
        if now < self._chores_at and self._is_only_of_wire(ready) and self._machine.stream(now):
            return
        self._do_chores(self._selector.select(0.0), wakened, now)
        self._chores_at = self._chores_due(now)

    def _is_only_of_wire(self, ready: list[tuple[int, int]]) -> bool:
        """Tell whether nobody but the machine has spoken, and its port waits for nothing else."""
        if self._port_events != select.POLLIN:
            return False
        return not ready or ready == [(self._port, select.POLLIN)]

    def _do_chores(self, ready: Ready, wakened: socket.socket, now: float) -> None:
        for key, events in ready:
            if isinstance(key.data, Connection):
                self._serve(key.data, events, now)
            elif key.fileobj is wakened:
                wakened.recv(4096)
        # After those who have spoken, and few enough that each of them is heard once
        # before the next crowd can push it out.
        if any(key.data is self._server for key, _ in ready):
            self._greet()
        if self._told_to_go:
            self._give_up(now)
        self._machine.tick(now)
        self._watch_port()
        self._tell_state(now)
        self._server.settle()
        self._sync(now)
        if self._watched_s is not None and now >= self._alive_at:
            self._alive_at = now + self._watched_s
            notify("WATCHDOG=1")

    def _sync(self, now: float) -> None:
        try:
            self._journal.sync(now)
        except OSError:
            # A dying card must not end the run that it can no longer record.
            log.exception("%s: the journal cannot be brought to the disk", self._config.machine)

    def _chores_due(self, now: float) -> float:
        """Return when there is something to do although nobody has spoken [s]."""
        times = [now + LONGEST_SLEEP_S]
        if (due := self._machine.watch_deadline()) is not None:
            times.append(due)
        if self._leaving_by is not None:
            times.append(self._leaving_by)
        if (due := self._journal.deadline()) is not None:
            times.append(due)
        if self._watched_s is not None:
            times.append(max(self._alive_at, now))
        if self._server.listeners:
            times.append(max(self._tell_state_at, now))
        return min(times)

    def _serve(self, peer: Connection, events: int, now: float) -> None:
        if events & selectors.EVENT_WRITE:
            peer.flush()
        if events & selectors.EVENT_READ and not peer.closed:
            messages = peer.read()
            self._server.heard(peer)
            for message in messages:
                self._desk.answer(peer, message, now)

    def _greet(self) -> None:
        hello = Hello(PROTOCOL, self._software, self._config.machine, self._machine.run)
        for _ in range(MAX_CONNECTIONS // 2):
            peer = self._server.accept()
            if peer is None:
                return
            peer.push({"hello": hello.to_json()})

    def _watch_port(self) -> None:
        """Have the port watched for what the session wants: its port changes when it is lost."""
        session = self._machine.session
        port = session.fileno() if session is not None else -1
        wanted = 0
        if session is not None:
            wanted = select.POLLIN | (select.POLLOUT if session.wants_write else 0)
        if (port, wanted) == (self._port, self._port_events):
            return
        if self._port >= 0:
            self._poll.unregister(self._port)
        if port >= 0:
            self._poll.register(port, wanted)
        self._port, self._port_events = port, wanted

    def _tell(self, event: HostEvent) -> None:
        for peer in self._server.listeners:
            peer.push({"event": event.to_json()})

    def _tell_state(self, now: float) -> None:
        if now < self._tell_state_at or not self._server.listeners:
            return
        self._tell_state_at = now + STATE_EVERY_S
        state = self._machine.snapshot(now).to_json()
        if state != self._told_state:
            self._told_state = state
            for peer in self._server.listeners:
                peer.push({"state": state})

    def _retire(self) -> None:
        self._leaving_by = time.monotonic()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        # Only noted here: a signal comes between any two steps, also inside the session.
        del number, frame
        self._told_to_go = True

    def _give_up(self, now: float) -> None:
        if self._leaving_by is None:
            log.warning("%s: told to go by a signal", self._config.machine)
            self._leaving_by = now + GRACE_S
            self._machine.give_up(now)

    def _may_leave(self) -> bool:
        if self._leaving_by is None:
            return False
        return self._machine.is_idle or time.monotonic() >= self._leaving_by

    def _close(self) -> None:
        now = time.monotonic()
        self._machine.leave(now)
        self._server.settle()
        self._server.close()
        self._programs.close()
        self._journal.close()
        self._selector.close()


def _wall_us() -> int:
    return time.time_ns() // 1000
