"""The command as a person types it: in this process where it is quick, else in one of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from node.cli import main


@dataclass(frozen=True)
class Said:
    """What a command has said, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one JSON object on stdout."""
        found = json.loads(self.out)
        assert isinstance(found, dict)
        assert self.out.count("\n") == 1
        return found

    @property
    def complaint(self) -> str:
        """The one sentence on stderr, nothing being on stdout."""
        assert self.out == ""
        assert self.err.startswith("fabnode: ")
        assert self.err.count("\n") == 1, self.err
        assert "⟨" not in self.err, "a sentence is missing"
        assert not re.search(r"(^|[ “(])[?]([ ”).,]|$)", self.err), "a hole"
        return self.err.removeprefix("fabnode: ").strip()


Type = Callable[..., Said]


@pytest.fixture
def fabnode(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Type:
    """Type a command on the data folder *home*."""
    monkeypatch.setenv("FABNODE_HOME", str(home))

    def typed(*words: str | Path) -> Said:
        capsys.readouterr()
        try:
            code = main([str(word) for word in words])
        except SystemExit as end:
            code = int(str(end.code))
        said = capsys.readouterr()
        return Said(code, said.out, said.err)

    return typed


class Running:
    """A command in a process of its own, its words in files so that no pipe can fill up."""

    def __init__(self, folder: Path, home: Path, *words: str | Path) -> None:
        self.home = home
        self._files = [folder / f"{len(list(folder.glob('*.said')))}-{n}.said" for n in ("o", "e")]
        with self._files[0].open("wb") as out, self._files[1].open("wb") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "node", *map(str, words)],
                env={**os.environ, "FABNODE_HOME": str(home)},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )

    @property
    def out(self) -> str:
        return self._files[0].read_text()

    def wait(self, timeout_s: float = 30.0) -> Said:
        code = self.process.wait(timeout_s)
        return Said(code, *(file.read_text() for file in self._files))

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait_until(self, true: Callable[[], bool], timeout_s: float = 20.0) -> None:
        until = time.monotonic() + timeout_s
        while not true():
            assert self.process.poll() is None, self.wait()
            assert time.monotonic() < until, "waited in vain"
            time.sleep(0.02)


@pytest.fixture
def start(home: Path, tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Start a command in a process of its own; what is left of it dies with the test."""
    started: list[Running] = []

    def begin(*words: str | Path) -> Running:
        started.append(Running(tmp_path, home, *words))
        return started[-1]

    yield begin
    for each in started:
        if each.process.poll() is None:
            each.process.kill()
        each.process.wait(10)


@pytest.fixture
def quick_home(home: Path) -> Path:
    """A data folder whose own profiles do not wait for a bootloader, which no pty has."""
    own = home / "firmware_profiles"
    own.mkdir()
    for name in ("marlin-2", "grbl-1.1", "farmbot"):
        text = (resources.files("firmware_profiles") / f"{name}.toml").read_text("utf-8")
        lines = [
            "boot_wait_s = 0.3" if line.startswith("boot_wait_s") else line
            for line in text.splitlines()
        ]
        (own / f"{name}.toml").write_text("\n".join(lines))
    return home


@pytest.fixture
def printer(tmp_path: Path) -> Path:
    """The file of a small printer."""
    path = tmp_path / "printer.toml"
    path.write_text(PRINTER)
    return path


PRINTER = """\
kind = "fdm"
profile = "marlin-2"
port = "/dev/serial/by-id/usb-none"
envelope_mm = [50.0, 50.0, 50.0]
nozzle_max_c = 260.0
bed_max_c = 90.0
nozzle_mm = 0.4
filament_mm = 1.75
"""
