"""A board is asked by another unit: the wish in a file, the answer beside it."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from drivers.errors import PortError
from drivers.probing import main
from drivers.simulators import PtyMachine
from node.asking import BoardAsker


def unit(run: Path) -> threading.Thread:
    """Do what `fabnode-probe.path` and its service do, once."""

    def wait_and_serve() -> None:
        wanted = run / "probe.wanted"
        for _ in range(500):
            if wanted.exists():
                argv = [sys.executable, "-m", "drivers.probing", "--wanted", str(wanted)]
                subprocess.run(argv, check=True, timeout=50)
                return
            time.sleep(0.02)

    thread = threading.Thread(target=wait_and_serve, daemon=True)
    thread.start()
    return thread


def test_a_wish_is_answered_with_what_the_board_says(tmp_path):
    with PtyMachine("grbl-1.1") as machine:
        thread = unit(tmp_path)
        found = BoardAsker(tmp_path)(str(machine.port))
        thread.join(10)
    assert found.dialect == "grbl"
    assert not (tmp_path / "probe.wanted").exists()


def test_what_went_wrong_is_the_same_error_as_at_home(tmp_path):
    thread = unit(tmp_path)
    with pytest.raises(PortError, match=r"port\.not_found"):
        BoardAsker(tmp_path)("/dev/nowhere")
    thread.join(10)


def test_a_wish_that_nobody_takes_is_withdrawn(tmp_path):
    (tmp_path / "probe.answer").write_text(json.dumps({"ok": True, "id": "of another wish"}))
    with pytest.raises(PortError, match=r"port\.probe_hung"):
        BoardAsker(tmp_path, patience=0.5)("/dev/ttyUSB0")
    assert not (tmp_path / "probe.wanted").exists()
    assert main(["--wanted", str(tmp_path / "probe.wanted")]) == 0
