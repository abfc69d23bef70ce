"""`run/node.sock`: a command that changed the database nudges the running node."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

from jobs.domain.errors import InvalidError

_NAME = "node.sock"
_PATH_BYTES = 107  # of a socket's name; `sun_path` of unix(7) holds 108 with the end mark


def nudge(home: Path) -> bool:
    """Tell the node of *home* that the database changed; False where none runs."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
        try:
            out.sendto(b"changed", str(home / "run" / _NAME))
        except OSError:
            return False
    return True


class Listener:
    """Hears nudges in a thread of its own.

    :param on_change: called for each; must not raise.
    :raises InvalidError: `node.home-too-long` if a socket below *home* can have no name.
    """

    def __init__(self, home: Path, on_change: Callable[[], None]) -> None:
        self._path = home / "run" / _NAME
        spare = _PATH_BYTES - len(os.fsencode(self._path))
        if spare < 0:
            longest = len(os.fsencode(home)) + spare
            raise InvalidError("node.home-too-long", file=str(home), longest=longest)
        self._path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self._path))
        self._path.chmod(0o660)
        self._socket.settimeout(0.5)
        self._on_change = on_change
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="control", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def stop(self) -> None:
        """Stop listening, begun or not."""
        self._done.set()
        if self._thread.is_alive():
            self._thread.join(2)
        self._socket.close()
        self._path.unlink(missing_ok=True)

    def _run(self) -> None:
        while not self._done.is_set():
            try:
                self._socket.recv(64)
            except TimeoutError:
                continue
            self._on_change()
