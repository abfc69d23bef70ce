"""Who has a port open, told without opening it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from drivers.errors import PortError
from drivers.holders import Holder, describe, holders
from drivers.simulators import PtyMachine
from drivers.transport import open_transport


def process(proc: Path, pid: int, *words: str, opens: Path | None = None, comm: str = "") -> None:
    folder = proc / str(pid)
    (folder / "fd").mkdir(parents=True)
    (folder / "cmdline").write_text("".join(f"{word}\0" for word in words))
    (folder / "comm").write_text(comm + "\n")
    if opens is not None:
        (folder / "fd/3").symlink_to(opens)


@pytest.mark.parametrize(
    ("words", "name", "machine"),
    [
        (
            ("/opt/oprint/python3", "/opt/oprint/octoprint", "serve"),
            "OctoPrint",
            "",
        ),
        (("/usr/sbin/ModemManager",), "ModemManager", ""),
        (("/sbin/brltty", "-E"), "brltty", ""),
        (("python3", "/home/pi/klipper/klippy/klippy.py", "printer.cfg"), "Klipper", ""),
        (("python", "-m", "drivers.host", "/srv/machines/anna/host.json"), "fabnode", "anna"),
        (("python3", "-u", "my_sender.py"), "my_sender.py", ""),
        ((), "kworker", ""),
    ],
)
def test_a_process_is_called_what_people_call_it(tmp_path, words, name, machine):
    process(tmp_path, 7, *words, comm="kworker")
    assert describe(7, tmp_path) == Holder(7, name, machine)


def test_the_holder_of_a_port_is_seen_by_its_open_file(tmp_path):
    port, other = tmp_path / "ttyUSB0", tmp_path / "ttyUSB1"
    port.touch()
    other.touch()
    link = tmp_path / "usb-board"
    link.symlink_to(port)
    process(tmp_path / "proc", 42, "/usr/sbin/ModemManager", opens=port)
    found = holders([str(link), str(other)], tmp_path / "proc", tmp_path / "locks")
    assert found == {str(link): Holder(42, "ModemManager")}


def test_a_process_whose_files_are_hidden_is_seen_by_its_lock(tmp_path):
    port = tmp_path / "ttyUSB0"
    port.touch()
    there = port.stat()
    number = f"{os.major(there.st_dev):02x}:{os.minor(there.st_dev):02x}:{there.st_ino}"
    process(tmp_path / "proc", 43, "octoprint")
    (tmp_path / "proc/locks").write_text(f"1: FLOCK  ADVISORY  WRITE 43 {number} 0 EOF\n")
    found = holders([str(port)], tmp_path / "proc", tmp_path / "locks")
    assert found == {str(port): Holder(43, "OctoPrint")}


def test_a_lock_file_counts_while_its_process_lives(tmp_path):
    port = tmp_path / "ttyUSB0"
    port.touch()
    (tmp_path / "locks").mkdir()
    (tmp_path / "locks/LCK..ttyUSB0").write_text("        44\n")
    (tmp_path / "proc").mkdir()
    assert holders([str(port)], tmp_path / "proc", tmp_path / "locks") == {}
    process(tmp_path / "proc", 44, "minicom")
    found = holders([str(port)], tmp_path / "proc", tmp_path / "locks")
    assert found == {str(port): Holder(44, "minicom")}


@pytest.mark.parametrize("text", ["00044 minicom root\n", "44\n", "   44 cu pi"])
def test_a_lock_file_may_name_its_program_too(tmp_path, text):
    """minicom writes process, program and user."""
    (tmp_path / "LCK..ttyUSB0").write_text(text)
    process(tmp_path / "proc", 44, "minicom")
    port = str(tmp_path / "ttyUSB0")
    assert holders([port], tmp_path / "proc", tmp_path) == {port: Holder(44, "minicom")}


@pytest.mark.parametrize("make", ["pipe", "circle", "folder", "huge", "words"])
def test_whatever_lies_where_a_lock_should_holds_nothing_up(tmp_path, make):
    lock, port = tmp_path / "LCK..ttyUSB0", tmp_path / "ttyUSB0"
    (tmp_path / "proc").mkdir()
    match make:
        case "pipe":
            os.mkfifo(lock)
        case "circle":
            lock.symlink_to(lock)
            port.symlink_to(port)
        case "folder":
            lock.mkdir()
        case "huge":
            lock.write_text("9" * 1_000_000)
        case _:
            lock.write_bytes(b"\xff\xfe who knows")
    assert holders([str(port)], tmp_path / "proc", tmp_path) == {}


def test_a_busy_port_names_the_process_that_holds_it():
    script = (
        "import sys; from drivers.transport import open_transport\n"
        "port = open_transport(sys.argv[1], 115200); print('open', flush=True); sys.stdin.read()"
    )
    with PtyMachine("marlin-2") as machine:
        other = subprocess.Popen(
            [sys.executable, "-c", script, str(machine.port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert other.stdout is not None
        assert other.stdin is not None
        try:
            assert other.stdout.readline() == b"open\n"
            # The simulator keeps the board's end open too; it is told by the lock all the same.
            with pytest.raises(PortError) as caught:
                open_transport(str(machine.port), 115200)
        finally:
            other.stdin.close()
            other.wait(10)
            other.stdout.close()
    assert caught.value.code == "port.busy_by"
    assert caught.value.fields["pid"] == other.pid
