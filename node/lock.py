"""One node a data folder: a lock that dies with its process."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from jobs.domain.errors import UnavailableError


class HomeLock:
    """Holds the data folder until it is released or the process ends.

    :raises UnavailableError: `node.already-running`, with the other's process id.
    """

    def __init__(self, home: Path) -> None:
        path = home / "run" / "node.lock"
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            pid = os.read(self._handle, 16).decode(errors="replace").strip() or "?"
            os.close(self._handle)
            raise UnavailableError("node.already-running", home=str(home), pid=pid) from error
        os.ftruncate(self._handle, 0)
        os.write(self._handle, f"{os.getpid()}\n".encode())

    def release(self) -> None:
        """Let another node have the folder."""
        os.close(self._handle)
