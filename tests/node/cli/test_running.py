"""`fabnode run` and `fabnode stop`, with real processes: a node, machine hosts, simulators."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from drivers.simulators import PtyMachine

DGRAM = socket.SOCK_DGRAM
LINK = re.compile(r"http://(127\.0\.0\.1:\d+)(/sign-in/link/\S+)")


@pytest.fixture
def running(start, home):
    node = start("run", "--bind", "127.0.0.1:0")
    node.wait_until(lambda: LINK.search(node.out) is not None)
    return node


def test_a_node_prints_its_address_and_a_link_that_works(running):
    assert running.out.startswith("fabnode listens at http://127.0.0.1:")
    address, path = LINK.search(running.out).groups()
    with contextlib.closing(http.client.HTTPConnection(address, timeout=10)) as page:
        page.request("GET", path)
        assert page.getresponse().status in {200, 303}


def test_systemd_hears_when_the_node_is_ready_alive_and_ending(start, home, monkeypatch):
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX, DGRAM) as systemd:
        systemd.bind(f"{folder}/notify")
        systemd.settimeout(30)
        monkeypatch.setenv("NOTIFY_SOCKET", f"{folder}/notify")
        monkeypatch.setenv("WATCHDOG_USEC", "1000000")
        node = start("run", "--bind", "127.0.0.1:0")
        assert systemd.recv(100) == b"READY=1"
        assert LINK.search(node.out) is not None, "ready is said once the pages can be asked for"
        assert [systemd.recv(100) for _ in range(3)] == [b"WATCHDOG=1"] * 3
        node.signal(signal.SIGTERM)
        last = next(word for _ in range(5) if (word := systemd.recv(100)) != b"WATCHDOG=1")
        assert last == b"STOPPING=1"
        assert node.wait().code == 0


def test_a_second_node_on_the_folder_is_refused(running, fabnode, home):
    said = fabnode("run", "--bind", "127.0.0.1:0")
    assert said.code == 1
    assert f"A node is running in {home} already (process {running.process.pid})" in said.complaint
    assert running.process.poll() is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_node_that_is_told_to_end_does_so_quickly_and_in_order(running, number):
    address, _ = LINK.search(running.out).groups()
    with socket.create_connection(tuple(address.split(":")), timeout=10):  # a page is open
        began = time.monotonic()
        running.signal(number)
        said = running.wait()
    assert time.monotonic() - began < 10  # a second where nobody else works
    assert said.code == (0 if number == signal.SIGTERM else 130)
    assert said.err == ""
    # Gone only if `close` was reached, which is what tells the broker, too.
    assert not (running.home / "run" / "node.sock").exists()


def test_a_node_that_is_told_to_end_while_it_starts_ends(start, home):
    node = start("run", "--bind", "127.0.0.1:0")
    node.wait_until((home / "run" / "node.lock").exists)
    node.signal(signal.SIGTERM)
    said = node.wait()
    assert (said.code, said.err) == (0, "")


def test_an_address_that_is_taken_is_said(fabnode):
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        said = fabnode("run", "--bind", address)
    assert said.code == 1
    assert f"The address {address} cannot be used (Address already in use)" in said.complaint
    assert fabnode("run", "--bind", "nowhere.invalid:0").complaint.startswith("The address nowhere")


def test_a_machine_that_is_added_is_taken_up_by_the_running_node(running, fabnode, printer):
    said = fabnode("machine", "add", "mk1", "--from", printer)
    assert (said.code, said.out) == (0, "mk1 is added, and the running node has taken it up.\n")


# stop


@pytest.fixture
def hosts(start, fabnode, quick_home: Path, tmp_path: Path) -> Iterator[dict[str, PtyMachine]]:
    """Two machines with their hosts, and a node that was killed."""
    with PtyMachine("marlin-2", speed=60.0) as one, PtyMachine("grbl-1.1", speed=60.0) as two:
        machines = {"mk1": one, "router-1": two}
        for slug, kind in (("mk1", "fdm"), ("router-1", "mill")):
            path = tmp_path / f"{slug}.toml"
            profile = "marlin-2" if kind == "fdm" else "grbl-1.1"
            path.write_text(
                f'kind = "{kind}"\nprofile = "{profile}"\nport = "{machines[slug].port}"\n'
                "envelope_mm = [99.0, 99.0, 50.0]\n"
            )
            assert fabnode("machine", "add", slug, "--from", path).code == 0
        node = start("run", "--bind", "127.0.0.1:0")
        sockets = [quick_home / "run" / f"{slug}.sock" for slug in machines]
        node.wait_until(lambda: all(answers(path) for path in sockets))
        children = psutil.Process(node.process.pid).children()
        node.process.kill()
        node.process.wait(10)
        yield machines
        for child in children:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        psutil.wait_procs(children, 10)


def answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


def wait_for_text(path: Path, text: str) -> None:
    until = time.monotonic() + 10
    while text not in path.read_text():
        assert time.monotonic() < until, path.read_text()[-1000:]
        time.sleep(0.02)


def test_all_machines_stop_with_the_node_dead(hosts, fabnode):
    said = fabnode("stop", "--all")
    assert (said.code, said.err) == (0, "")
    assert said.out == "mk1 is stopped.\nrouter-1 is stopped.\n"
    wait_for_text(hosts["mk1"].log, "M112")


def test_one_machine_stops_and_the_other_does_not(hosts, fabnode):
    said = fabnode("stop", "mk1")
    assert (said.code, said.out) == (0, "mk1 is stopped.\n")
    wait_for_text(hosts["mk1"].log, "M112")
    wrong = fabnode("stop", "mk2")
    assert wrong.code == 1
    assert "Write one of: mk1, router-1." in wrong.complaint
    assert fabnode("stop", "../run/mk1").code == 1


def test_a_host_that_is_gone_does_not_shield_the_next(hosts, fabnode, quick_home):
    run = quick_home / "run"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(run / "a-dead-one.sock"))  # nobody listens any more
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(run / "b-deaf.sock"))
        deaf.listen()  # and never says a word
        said = fabnode("stop", "--all")
    assert said.code == 1
    assert said.out == "mk1 is stopped.\nrouter-1 is stopped.\n"
    assert said.err.count("does not answer. If the machine moves, use its own stop button") == 2


def test_without_any_host_a_stop_says_what_to_do(fabnode, home):
    for words in (["--all"], ["mk1"]):
        said = fabnode("stop", *words)
        assert said.code == 1
        assert "use its own stop button now" in said.complaint
    (home / "run").mkdir()
    (home / "run" / "node.sock").touch()
    assert fabnode("stop", "--all").code == 1
    (home / "run" / "node.sock").unlink()
    (home / "run").rmdir()
    (home / "run").touch()
    assert "Not a directory" in fabnode("stop", "--all").complaint


def test_a_user_without_a_name_may_stop(hosts, fabnode, monkeypatch):
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 54321)
    assert fabnode("stop", "--all").code == 0


def test_a_stop_loads_nothing_that_it_does_not_need(home):
    """Neither the pages nor the database; the sentences only once the machines are told."""
    code = (
        "import sys, drivers.stopping\n"
        "def stop_all(sockets, by):\n"
        "    print(*sorted(sys.modules))\n"
        "    return {}\n"
        "drivers.stopping.stop_all = stop_all\n"
        "import node.cli\n"
        "node.cli.main(['stop', '--all'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "FABNODE_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    loaded = done.stdout.split()
    roots = {name.partition(".")[0] for name in loaded}
    heavy = {"pydantic", "sqlalchemy", "fastapi", "uvicorn", "rich", "serial", "babel", "logging"}
    assert not roots & heavy
    ours = {name for name in loaded if name.startswith(("node.", "jobs.", "web."))}
    assert ours == {
        "jobs.domain",
        "jobs.domain.errors",
        "node.cli",
        "node.cli.arguments",
        "node.cli.stopping",
        "node.home",
    }
