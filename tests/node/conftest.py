"""A data folder with a database, and a real Mosquitto on a free loopback port."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jobs.services.live import LiveBoard
from jobs.services.workshop import Workshop
from node.config import NodeConfig
from node.demo.broker import Broker
from node.runtime import build_workshop, prepare_home
from node.supervisor import Layout, Supervisor


@pytest.fixture(scope="session")
def migrated_home(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    home = tmp_path_factory.mktemp("migrated")
    prepare_home(home, NodeConfig())
    return (home / "fabnode.db").read_bytes()


@pytest.fixture
def home(tmp_path: Path, migrated_home: bytes) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "fabnode.db").write_bytes(migrated_home)
    return folder


@pytest.fixture
def open_workshop() -> Iterator[Callable[[Path], Workshop]]:
    """Open the books of a data folder as the node does, without any machine."""
    opened: list[Workshop] = []

    def build(home: Path) -> Workshop:
        live = LiveBoard()
        supervisor = Supervisor(Layout(home, "test", spawn=False), live, list)
        opened.append(build_workshop(home, NodeConfig(), live, supervisor))
        return opened[-1]

    yield build
    for workshop in opened:
        workshop.database.close()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    if Broker.program() is None:
        pytest.skip("mosquitto is not installed")
    broker = Broker(tmp_path / "broker")
    broker.start()
    yield broker
    broker.stop()
