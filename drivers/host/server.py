"""The host's Unix socket: a few connections, each bounded, none of them waited for."""

from __future__ import annotations

import selectors
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from drivers.errors import HostError, WireError
from drivers.wire import Framer, encode

MAX_CONNECTIONS = 16
MAX_OUTGOING_BYTES = 1 << 20  # more than all facts a journal keeps; a slower reader is dropped
BACKLOG = 128
READ_BYTES = 1 << 16  # of one connection in one pass, so that none holds up the wire


@dataclass(eq=False, slots=True)
class Connection:
    """One peer.

    :param protocol: what it said it speaks; 0 before its greeting.
    :param listens: it asked to be told what happens.
    :param closed: it has gone or was dropped.
    """

    socket: socket.socket
    framer: Framer = field(default_factory=Framer)
    outgoing: bytearray = field(default_factory=bytearray)
    protocol: int = 0
    listens: bool = False
    closed: bool = False

    def read(self) -> list[dict[str, object]]:
        """Return the messages that have come; sets `closed` when there will be no more."""
        try:
            data = self.socket.recv(READ_BYTES)
        except BlockingIOError:
            return []
        except OSError:
            data = b""
        if not data:
            self.closed = True
            return []
        messages = self.framer.feed(data)
        self.closed = self.framer.broken is not None
        return messages

    def push(self, message: Mapping[str, object]) -> None:
        """Send a message, now if the socket takes it, else soon; a slow reader is dropped."""
        if self.closed:
            return
        try:
            self.outgoing += encode(message)
        except WireError:
            # Only what a machine said can be too long here, and facts are cut before.
            return
        self.flush()
        if len(self.outgoing) > MAX_OUTGOING_BYTES:
            self.closed = True

    def flush(self) -> None:
        """Send what the socket takes."""
        try:
            while self.outgoing:
                del self.outgoing[: self.socket.send(self.outgoing)]
        except BlockingIOError:
            return
        except OSError:
            self.closed = True


class Server:
    """Listens, and keeps at most `MAX_CONNECTIONS` connections in the selector.

    :raises HostError: if the socket cannot be made.
    """

    def __init__(self, path: Path, selector: selectors.BaseSelector) -> None:
        self._path = path
        self._selector = selector
        self._connections: dict[Connection, None] = {}  # in the order they were last heard
        # The lock on the state folder is held: whoever left this name has died.
        path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._listener.bind(str(path))
            path.chmod(0o660)  # before listen: nobody connects to a door that is still open
            self._listener.listen(BACKLOG)
        except OSError as error:
            self._listener.close()
            raise HostError("host.no_socket", socket=str(path), reason=str(error)) from error
        self._listener.setblocking(False)
        selector.register(self._listener, selectors.EVENT_READ, self)

    @property
    def listeners(self) -> list[Connection]:
        """Those who asked to be told."""
        return [connection for connection in self._connections if connection.listens]

    def accept(self) -> Connection | None:
        """Take in one newcomer. When full, the one unheard for longest makes room:

        the newcomer may be somebody who wants to stop the machine.
        """
        try:
            peer, _ = self._listener.accept()
        except OSError:
            return None
        peer.setblocking(False)
        if len(self._connections) >= MAX_CONNECTIONS:
            self.drop(next(iter(self._connections)))
        connection = Connection(peer)
        self._connections[connection] = None
        self._selector.register(peer, selectors.EVENT_READ, connection)
        return connection

    def heard(self, connection: Connection) -> None:
        """Note that a peer has spoken."""
        if connection in self._connections:
            self._connections[connection] = self._connections.pop(connection)

    def settle(self) -> None:
        """After a pass: let go of the closed, watch those with bytes left for room to write."""
        for connection in list(self._connections):
            if connection.closed:
                self.drop(connection)
                continue
            wanted = selectors.EVENT_READ
            if connection.outgoing:
                wanted |= selectors.EVENT_WRITE
            if self._selector.get_key(connection.socket).events != wanted:
                self._selector.modify(connection.socket, wanted, connection)

    def drop(self, connection: Connection) -> None:
        """Hang up on one peer."""
        connection.closed = True
        del self._connections[connection]
        self._selector.unregister(connection.socket)
        connection.socket.close()

    def close(self) -> None:
        """Hang up on all and take the socket away."""
        for connection in list(self._connections):
            self.drop(connection)
        self._selector.unregister(self._listener)
        self._listener.close()
        self._path.unlink(missing_ok=True)
