"""One node a data folder."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from jobs.domain.errors import UnavailableError
from node.control import Listener, nudge
from node.lock import HomeLock


def test_a_second_node_is_refused_and_told_who_holds_the_folder(tmp_path: Path) -> None:
    lock = HomeLock(tmp_path)
    with pytest.raises(UnavailableError) as caught:
        HomeLock(tmp_path)
    lock.release()
    assert caught.value.code == "node.already-running"
    assert caught.value.fields["pid"] == str(os.getpid())
    HomeLock(tmp_path).release()


def test_a_nudge_reaches_the_running_node(tmp_path: Path) -> None:
    heard = threading.Event()
    (tmp_path / "run").mkdir()
    assert not nudge(tmp_path)
    listener = Listener(tmp_path, heard.set)
    listener.start()
    assert nudge(tmp_path)
    assert heard.wait(5)
    listener.stop()
    assert not nudge(tmp_path)
