"""The shortest way to stop a machine: from whoever asks straight to its host's socket."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable
from pathlib import Path

from drivers.errors import HostError
from drivers.wire import Do, Framer, encode

CROWD_S = 0.5  # to get in at one door before the next machine's turn to be stopped


def stop_now(socket_path: Path, by: str, timeout: float = 2.0) -> bool:
    """Stop a machine over a connection of its own; True when the host has obeyed.

    Says nothing but *stop*, so that it works with a host of any age and state.
    """
    return stop_all([socket_path], by, timeout)[socket_path]


def stop_all(socket_paths: Iterable[Path], by: str, timeout: float = 2.0) -> dict[Path, bool]:
    """Stop many machines; tell of each whether its host has obeyed.

    All are asked before any is waited for: a host that hangs must not shield the next machine.

    :param timeout: of the whole [s].
    """
    deadline = time.monotonic() + timeout
    asked: dict[Path, socket.socket | None] = {}
    for path in socket_paths:
        asked[path] = _ask_to_stop(path, by, min(timeout, CROWD_S))
    obeyed = {}
    for path, connection in asked.items():
        obeyed[path] = connection is not None and _has_obeyed(connection, deadline)
        if connection is not None:
            connection.close()
    return obeyed


def _ask_to_stop(socket_path: Path, by: str, timeout: float) -> socket.socket | None:
    try:
        connection = connected(socket_path, timeout)
    except HostError:
        return None
    try:
        connection.sendall(encode({"id": 1, "do": Do.STOP, "by": by}))
    except OSError:
        connection.close()
        return None
    return connection


def _has_obeyed(connection: socket.socket, deadline: float) -> bool:
    framer = Framer()
    # A host that has answered already is believed, even if an earlier one used up the time.
    while (left := max(deadline - time.monotonic(), 0.01)) and framer.broken is None:
        connection.settimeout(left)
        try:
            data = connection.recv(1 << 16)
        except OSError:
            return False
        if not data:
            return False
        for message in framer.feed(data):
            if message.get("re") == 1:
                return message.get("ok") is True
    return False


def connected(socket_path: Path, timeout: float) -> socket.socket:
    """Return a connection to a host.

    :param timeout: how long a crowd at its door may take [s].
    :raises HostError: `host.unreachable`.
    """
    deadline = time.monotonic() + timeout
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(timeout)
    while True:
        try:
            connection.connect(str(socket_path))
        except BlockingIOError as error:
            # A crowd waits at the door: unlike TCP, a Unix socket does not queue us.
            if time.monotonic() < deadline:
                time.sleep(0.002)
                continue
            connection.close()
            raise HostError("host.unreachable", machine=socket_path.stem) from error
        except OSError as error:
            connection.close()
            raise HostError("host.unreachable", machine=socket_path.stem) from error
        return connection
