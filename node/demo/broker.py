"""A Mosquitto of the demo's own: a free loopback port, its own folder, an unprivileged user."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import time
from pathlib import Path

from node.demo.api import DemoError

_PATH = "/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin"


def free_port() -> int:
    """Return a loopback port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Broker:
    """One Mosquitto; `start` and `stop` as often as one likes, its port and memory stay.

    :param folder: of its own; made here.
    """

    def __init__(self, folder: Path, port: int | None = None) -> None:
        self.port = port or free_port()
        self._folder = folder
        self._child: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "mosquitto.conf").write_text(
            f"listener {self.port} 127.0.0.1\n"
            "allow_anonymous true\n"
            "persistence true\n"
            f"persistence_location {folder}/\n"
            "max_queued_messages 100000\n"
            f"{_user_line()}",
            encoding="utf-8",
        )

    @staticmethod
    def program() -> str | None:
        """Return where Mosquitto is, None where it is not installed."""
        return shutil.which("mosquitto", path=_PATH)

    def start(self) -> None:
        """Start it and wait until it listens.

        :raises DemoError: if it does not within ten seconds.
        """
        program = self.program()
        if program is None:
            raise DemoError("demo.no-mosquitto")
        if os.geteuid() == 0:
            _give_away(self._folder)
        with (self._folder / "mosquitto.log").open("ab") as out:
            self._child = subprocess.Popen(
                [program, "-c", str(self._folder / "mosquitto.conf")],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), 0.5).close()
            except OSError:
                if self._child.poll() is not None:
                    break
                time.sleep(0.05)
            else:
                return
        self.stop()
        raise DemoError("demo.no-broker", log=str(self._folder / "mosquitto.log"))

    def stop(self) -> None:
        """End it, as an outage would."""
        if self._child is not None:
            self._child.terminate()
            try:
                self._child.wait(5)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()
            self._child = None


def _unprivileged() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam("mosquitto")
    except KeyError:
        return pwd.getpwnam("nobody")


def _user_line() -> str:
    return f"user {_unprivileged().pw_name}\n" if os.geteuid() == 0 else ""


def _give_away(folder: Path) -> None:
    """Let the unprivileged user reach and own the broker's folder, and nothing above it."""
    user = _unprivileged()
    for path in (folder, *folder.iterdir()):
        os.chown(path, user.pw_uid, user.pw_gid)
    for parent in folder.parents:
        mode = parent.stat().st_mode
        if parent.stat().st_uid == os.geteuid() and not mode & 0o001 and parent != Path("/root"):
            parent.chmod(mode | 0o001)
        if parent == Path("/") or parent.name == "tmp":
            return
