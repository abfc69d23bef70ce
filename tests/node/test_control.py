"""The node's ear for commands that changed the database."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from jobs.domain.errors import InvalidError
from node.control import Listener, nudge


def test_a_nudge_is_heard_and_without_a_node_it_is_not(home: Path) -> None:
    (home / "run").mkdir(parents=True, exist_ok=True)
    assert not nudge(home)
    heard = threading.Event()
    listener = Listener(home, heard.set)
    listener.start()
    try:
        assert nudge(home)
        assert heard.wait(10)
    finally:
        listener.stop()
    assert not nudge(home)


def test_a_folder_whose_sockets_can_have_no_name_is_refused_with_the_room_there_is(
    tmp_path: Path,
) -> None:
    home = tmp_path / ("long" * 25)
    with pytest.raises(InvalidError) as refused:
        Listener(home, lambda: None)
    assert refused.value.code == "node.home-too-long"
    assert int(str(refused.value.fields["longest"])) + len("/run/node.sock") == 107
