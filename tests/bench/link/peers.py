"""Other hosts, each in an environment of its own, for the same file over the same link."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
import psutil

HERE = Path(__file__).parent
ENVIRONMENTS = HERE.parents[2] / ".bench"
START_S = 90.0
LONGEST_S = 300.0
KEY = "bench-on-loopback-only-0123456789"

# Nothing that asks the network or works besides: it is the sender that is measured.
OCTOPRINT = """
server:
  firstRun: false
  onlineCheck: {enabled: false}
  pluginBlacklist: {enabled: false}
api: {key: %(key)s}
plugins:
  _disabled: [softwareupdate, announcements, pluginmanager, tracking, errortracking, discovery,
    firmware_check, pi_support, file_check, backup, health_check, achievements]
serial: {port: %(port)s, additionalPorts: [%(port)s], additionalBaudrates: [1000000],
  autoconnect: false, log: false}
gcodeAnalysis: {runAt: never}
webcam: {timelapse: {type: "off"}}
"""


def environment(name: str, *requirements: str, dependencies: bool = True) -> Path:
    """Return the Python of an environment that holds *requirements*, made once.

    :raises RuntimeError: if they cannot be installed.
    """
    folder = ENVIRONMENTS / name
    python, done = folder / "bin" / "python", folder / ".done"
    if not done.exists():
        sys.stderr.write(f"installing {name} …\n")
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        command = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        command += [] if dependencies else ["--no-deps"]
        if subprocess.run([*command, *requirements], env=_own(), check=False).returncode:
            raise RuntimeError(f"{name} cannot be installed")
        done.touch()
    return python


def printrun() -> Path:
    """Return the Python of Printrun 2.2; its core needs pyserial alone."""
    return environment("printrun", "printrun==2.2.*", "pyserial", dependencies=False)


def _own() -> dict[str, str]:
    """Return an environment in which an isolated Python sees nothing of ours."""
    return {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}


def run_script(command: list[str], *, isolated: bool = False) -> dict[str, object]:
    """Run a sender that prints one JSON object; return that object."""
    env = _own() if isolated else None
    done = subprocess.run(
        command, env=env, stdout=subprocess.PIPE, text=True, timeout=LONGEST_S, check=False
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    return json.loads(lines[-1]) if lines else {"result": "failed"}


class OctoPrint:
    """OctoPrint 1.11 on a free loopback port, steered through its own API."""

    def __init__(self, folder: Path, port: Path) -> None:
        python = environment("octoprint", "OctoPrint==1.11.*")
        self._folder = folder
        self._serial = port
        base = folder / "octoprint"
        base.mkdir()
        (base / "config.yaml").write_text(OCTOPRINT % {"key": KEY, "port": port})
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            number = free.getsockname()[1]
        command = [str(python.with_name("octoprint")), "serve", "--iknowwhatimdoing"]
        command += ["--basedir", str(base), "--host", "127.0.0.1", "--port", str(number)]
        self._log = (folder / "octoprint.log").open("wb")
        self._process = subprocess.Popen(
            command, stdout=self._log, stderr=subprocess.STDOUT, env=_own() | {"NO_COLOR": "1"}
        )
        self._api = httpx.Client(
            base_url=f"http://127.0.0.1:{number}/api", headers={"X-Api-Key": KEY}, timeout=30.0
        )

    def __enter__(self) -> Self:
        self._wait(lambda: self._api.get("/version").is_success, START_S)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._api.close()
        self._process.terminate()
        try:
            self._process.wait(20.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._log.close()

    def send(self, program: Path, baud: int, lines: int) -> dict[str, object]:
        """Print *program* and return what it cost, as the scripts of the others do."""
        asked = {"command": "connect", "port": str(self._serial), "baudrate": baud}
        self._api.post("/connection", json=asked).raise_for_status()
        self._wait(lambda: self._state() == "Operational", 60.0)
        before = self._processor_s()
        with program.open("rb") as file:
            upload = {"file": (program.name, file)}
            self._api.post("/files/local", files=upload, data={"print": "true"}).raise_for_status()
        self._wait(lambda: self._state() == "Printing", 20.0)
        self._wait(lambda: self._state() != "Printing", LONGEST_S)
        used = self._processor_s() - before
        time.sleep(0.3)
        self._api.post("/connection", json={"command": "disconnect"})
        return {"result": "done", "processor_us_per_line": used / lines * 1e6}

    def _state(self) -> str:
        return str(self._api.get("/connection").json()["current"]["state"])

    def _processor_s(self) -> float:
        times = psutil.Process(self._process.pid).cpu_times()
        return times.user + times.system

    def _wait(self, is_so: Callable[[], bool], longest_s: float) -> None:
        until = time.monotonic() + longest_s
        while time.monotonic() < until:
            with suppress(httpx.TransportError):
                if is_so():
                    return
            if self._process.poll() is not None:
                break
            time.sleep(0.2)
        raise TimeoutError(f"OctoPrint: see {self._folder / 'octoprint.log'}")
