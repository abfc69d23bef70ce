"""The supervisor and real machine hosts, of its own release and of earlier ones."""

from __future__ import annotations

import hashlib
import struct
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from importlib import resources
from pathlib import Path

import psutil
import pytest

from drivers.client import HostClient
from drivers.errors import HostError
from drivers.host.config import read_host_config
from drivers.replay import read_log, replay
from drivers.simulators import PtyMachine
from drivers.wire import PROTOCOL
from jobs.domain.machine import MachineLimits
from jobs.services.live import LiveBoard
from jobs.services.machines import HostNeed
from jobs.services.workshop import StartOrder
from node.supervisor import Hearing, Layout, Supervisor

LIMITS = MachineLimits((220.0, 220.0, 250.0), nozzle_max_c=260.0, bed_max_c=110.0, nozzle_mm=0.4)


def wait_for(is_so: Callable[[], bool], timeout_s: float = 30.0) -> None:
    until = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.02)


@dataclass
class Node:
    """One node process's side: a supervisor, what it heard, and what its pages show."""

    supervisor: Supervisor
    live: LiveBoard
    heard: list[Mapping[str, object]] = field(default_factory=list)
    attached: list[str | None] = field(default_factory=list)
    children: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def open(self) -> Node:
        self.supervisor.open(Hearing(self._apply, self._attach))
        return self

    def _apply(self, _slug: str, event: Mapping[str, object], _now: datetime) -> None:
        self.heard.append(event)

    def _attach(self, _slug: str, run: str | None, _now: datetime) -> None:
        self.attached.append(run)

    def leave(self) -> None:
        """End as a process does: its hosts go on."""
        # Python warns of a child that nobody waits for, so somebody keeps it.
        self.children += [k._child for k in self.supervisor._keepers.values() if k._child]
        self.supervisor.close()

    def facts(self, run: str) -> list[tuple[object, object]]:
        return [(e["kind"], e["seq"]) for e in self.heard if e.get("run") == run and e["seq"]]


class House:
    """A data folder with one simulated printer."""

    def __init__(self, home: Path, machine: PtyMachine) -> None:
        self.home = home
        self.machine = machine
        port, sha256 = str(machine.port), LIMITS.sha256()
        self.needs = [HostNeed("mk1", "fdm", port, None, "marlin-2", LIMITS, sha256, True)]
        self.nodes: list[Node] = []
        own = home / "firmware_profiles"
        own.mkdir()
        text = (resources.files("firmware_profiles") / "marlin-2.toml").read_text("utf-8")
        lines = text.splitlines()  # no pty waits for a bootloader
        quick = ["boot_wait_s = 0.3" if one.startswith("boot_wait_s") else one for one in lines]
        (own / "marlin-2.toml").write_text("\n".join(quick))

    def node(self, software: str, *, spawn: bool = True) -> Node:
        live = LiveBoard()
        layout = Layout(self.home, software, spawn=spawn)
        self.nodes.append(Node(Supervisor(layout, live, lambda: self.needs), live))
        return self.nodes[-1].open()

    def order(self, run: str, moves: int) -> StartOrder:
        lines = [f"G1 X{n % 90}.{n % 7} F6000" for n in range(moves)]
        stream, index = self.home / f"{run}.stream", self.home / f"{run}.index"
        stream.write_text("".join(f"{line}\n" for line in lines))
        index.write_bytes(struct.pack(f"<{moves}I", *range(1, moves + 1)))
        sha256 = hashlib.sha256(stream.read_bytes()).hexdigest()
        return StartOrder(run, stream, index, sha256, "p", LIMITS.sha256(), "pass", "a")

    def software(self) -> str:
        """What the host that listens now says it is; "" while there is none."""
        try:
            with HostClient.connect(self.home / "run" / "mk1.sock", "test") as client:
                return client.hello.software
        except HostError:
            return ""

    def hosts(self) -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter(["cmdline"]):
            words = process.info["cmdline"] or []
            if "drivers.host" in words and str(self.home) in words[-1]:
                found.append(process)
        return found

    def close(self) -> None:
        for node in self.nodes:
            node.leave()
        left = self.hosts()
        for process in left:
            process.kill()
        for child in (one for node in self.nodes for one in node.children):
            child.wait(10)


@pytest.fixture
def house() -> Iterator[House]:
    # A socket's name must be short.
    with tempfile.TemporaryDirectory() as name, PtyMachine("marlin-2", speed=20.0) as machine:
        house = House(Path(name), machine)
        yield house
        house.close()


def idle(node: Node) -> bool:
    return node.live.get("mk1").phase == "idle"


@pytest.mark.parametrize("newer_by", [0, 1])
def test_an_upgraded_node_steers_the_host_it_finds_and_replaces_it_only_when_idle(
    house: House, newer_by: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = house.node("fabnode 1")
    wait_for(lambda: idle(old))
    assert old.supervisor.start("mk1", house.order("r1", 900)) is None
    wait_for(lambda: old.live.get("mk1").acked > 5)
    old.leave()
    (host,) = house.hosts()

    # From here on this process is a node of the next release, and the host is of the one before.
    monkeypatch.setattr("drivers.client.PROTOCOL", PROTOCOL + newer_by)
    new = house.node("fabnode 2")
    wait_for(lambda: new.live.get("mk1").run == "r1")
    assert new.attached == ["r1"]
    assert new.supervisor.pause("mk1", "ada") is None
    wait_for(lambda: new.live.get("mk1").phase == "paused")
    time.sleep(1.5)  # who let a host go that holds a run would have done so by now
    assert [one.pid for one in house.hosts()] == [host.pid]
    assert new.supervisor.resume("mk1", "ada") is None
    wait_for(lambda: ("finished", 4) in new.facts("r1"))
    kinds = [kind for kind, _ in old.facts("r1") + new.facts("r1")]
    assert kinds == ["run_started", "paused", "resumed", "finished"]

    wait_for(lambda: house.software() == "fabnode 2")
    wait_for(lambda: idle(new))
    assert new.supervisor.start("mk1", house.order("r2", 20)) is None
    wait_for(lambda: new.facts("r2") == [("run_started", 1), ("finished", 2)])


def test_a_node_two_protocols_newer_watches_stops_and_takes_the_records_over(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = house.node("fabnode 1")
    wait_for(lambda: idle(old))
    assert old.supervisor.start("mk1", house.order("r1", 900)) is None
    wait_for(lambda: old.live.get("mk1").acked > 5)
    old.leave()

    monkeypatch.setattr("drivers.client.PROTOCOL", PROTOCOL + 2)
    new = house.node("fabnode 3")
    wait_for(lambda: new.live.get("mk1").run == "r1")
    assert new.supervisor.pause("mk1", "ada") == "host.protocol"
    assert new.supervisor.start("mk1", house.order("r2", 20)) == "host.protocol"
    assert new.supervisor.stop("mk1", "eva") is None
    wait_for(lambda: new.facts("r1")[-1:] == [("stopped", 2)])
    wait_for(lambda: house.software() == "fabnode 3")


def test_a_client_of_the_socket_that_is_not_the_node_begins_nothing(house: House) -> None:
    node = house.node("fabnode 1")
    wait_for(lambda: idle(node))
    config = house.home / "machines" / "mk1" / "host.json"
    assert config.stat().st_mode & 0o777 == 0o600, "it holds the key"
    order = house.order("r1", 20)
    record = {"id": "p", "limits_sha256": LIMITS.sha256(), "verdict": "pass"}
    with HostClient.connect(house.home / "run" / "mk1.sock", "mallory") as client:
        program = client.load(order.stream, order.index)
        with pytest.raises(HostError, match=r"host\.not_sealed"):
            client.start("r1", program, {**record, "stream_sha256": program}, {"id": "a"})
    changed = replace(order, limits_sha256="0" * 64)
    assert node.supervisor.start("mk1", changed) == "host.limits_changed"
    order.stream.write_text("G1 X5\n" * 20)
    assert node.supervisor.start("mk1", order) == "host.no_preflight", "another stream"
    assert node.facts("r1") == []


def test_a_run_needs_nothing_of_the_nodes_disk_once_it_has_begun(house: House) -> None:
    node = house.node("fabnode 1")
    wait_for(lambda: idle(node))
    order = house.order("r1", 300)
    assert node.supervisor.start("mk1", order) is None
    order.stream.unlink()
    order.index.unlink()
    wait_for(lambda: node.facts("r1") == [("run_started", 1), ("finished", 2)])
    moved = [one for one in house.machine.log.read_text().splitlines() if '"G1' in one]
    assert len([one for one in moved if '"executed"' in one]) == 300


def test_a_host_is_told_of_its_line_and_its_log_of_a_real_run_replays(house: House) -> None:
    line = house.home / "line"
    line.write_text("1\n")
    house.needs = [replace(house.needs[0], heartbeat=f"file:{line}", idle_heat_off_s=900.0)]
    node = house.node("fabnode 1")
    wait_for(lambda: idle(node))
    config = read_host_config(house.home / "machines" / "mk1" / "host.json")
    assert config.profile.idle_heat_off_s == 900.0
    order = house.order("r1", 300)
    assert node.supervisor.start("mk1", order) == "host.no_power"
    assert node.supervisor.keep_heat("mk1", "eva", 60) == "host.not_now"
    assert node.supervisor.power("mk1", "eva", on=True) is None
    wait_for(lambda: node.live.get("mk1").power is True)
    assert node.supervisor.start("mk1", order) is None
    wait_for(lambda: ("finished", 2) in node.facts("r1"))
    time.sleep(4.0)  # the log comes to the disk about once a second, if anything is said
    pieces = node.supervisor.wire_log("mk1", "r1")
    done = replay(read_log(pieces), order.stream.read_bytes())
    assert done.difference is None, str(done.difference)
    assert done.last.acked == 300
    assert node.supervisor.wire_log("mk1", "r2") == []
    assert node.supervisor.power("mk1", "eva", on=False) is None
    assert line.read_text() == "0\n"


def test_with_systemd_hosts_are_asked_for_by_name_and_never_started_here(house: House) -> None:
    node = house.node("fabnode 1", spawn=False)
    wanted = house.home / "run" / "hosts.wanted"
    assert wanted.read_text() == "mk1\n"
    assert (house.home / "machines" / "mk1" / "host.json").is_file()
    time.sleep(1.0)
    assert house.hosts() == []
    house.needs = []
    node.supervisor.machines_changed()
    assert wanted.read_text() == ""
    assert not (house.home / "machines" / "mk1" / "host.json").exists()
