"""A simulated machine behind a pty behaves like one behind a USB serial chip."""

from __future__ import annotations

import array
import fcntl
import json
import os
import select
import signal
import termios
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from drivers.profile import load_profile
from drivers.simulators import FAULTS, SIMULATORS, PtyMachine, SimulatorError, simulate
from drivers.simulators.__main__ import main

TIOCGEXCL = 0x80045440


@contextmanager
def opened(port: Path, *, drops_dtr: bool = True) -> Iterator[int]:
    """A host's view of the port, in raw mode."""
    fd = os.open(port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        tty.setraw(fd)
        flags = termios.tcgetattr(fd)
        flags[2] = flags[2] | termios.HUPCL if drops_dtr else flags[2] & ~termios.HUPCL
        termios.tcsetattr(fd, termios.TCSANOW, flags)
        yield fd
    finally:
        os.close(fd)


def heard(fd: int, wanted: bytes, seconds: float = 5.0) -> bytes:
    """What comes until `wanted` has come or the time is over."""
    until = time.monotonic() + seconds
    data = b""
    while wanted not in data and (left := until - time.monotonic()) > 0:
        if select.select([fd], [], [], left)[0]:
            data += os.read(fd, 4096)
    return data


HELLO = {"grbl": b"for help]\r\n", "marlin": b"start\n", "farmbot": b"STARTUP COMPLETE\r\n"}
HELLO["smoothieware"] = b"Smoothie\r\n"


# No line of their ports resets these.
BOARDS = [name for name in SIMULATORS if name not in ("klipper", "reprapfirmware")]


@pytest.mark.parametrize("profile", BOARDS)
def test_opening_the_port_boots_the_board(profile: str) -> None:
    hello = HELLO.get(profile, HELLO[load_profile(profile).dialect])
    with PtyMachine(profile, speed=50.0) as machine, opened(machine.port) as fd:
        assert hello in heard(fd, hello)


def test_a_host_that_comes_back_finds_the_board_as_it_left_it() -> None:
    with PtyMachine("marlin-2", speed=50.0) as machine:
        with opened(machine.port, drops_dtr=False) as fd:
            assert b"PlannerBufferBytes" in heard(fd, b"PlannerBufferBytes: 1168\n")
            os.write(fd, b"M104 S99\n")
            assert heard(fd, b"ok\n").endswith(b"ok\n")
        time.sleep(0.1)
        with opened(machine.port) as fd:
            os.write(fd, b"M105\n")
            assert b" /99.00 B:" in heard(fd, b"B@:0\n")
        time.sleep(0.1)
        with opened(machine.port) as fd:
            assert b"start\n" in heard(fd, b"start\n"), "DTR fell, so the board restarts"


def test_an_exclusive_host_that_died_leaves_the_port_to_the_next() -> None:
    with PtyMachine("marlin-2", speed=50.0) as machine:
        with opened(machine.port) as fd:
            fcntl.ioctl(fd, termios.TIOCEXCL)
            heard(fd, b"start\n")
        time.sleep(0.2)
        with opened(machine.port) as fd:
            exclusive = array.array("i", [-1])
            fcntl.ioctl(fd, TIOCGEXCL, exclusive)
            assert exclusive[0] == 0


def test_the_record_names_each_executed_line_once_and_the_link_goes_away() -> None:
    with PtyMachine("grbl-1.1", speed=100.0) as machine:
        with opened(machine.port) as fd:
            heard(fd, b"help]\r\n")
            for i in range(20):
                os.write(fd, b"G1X%dF5000\n" % i)
                assert b"ok" in heard(fd, b"ok\r\n")
        machine.stop()
        facts = [json.loads(line) for line in machine.log.read_text().splitlines()]
        executed = [fact["line"] for fact in facts if fact["kind"] == "executed"]
        assert executed == [f"G1X{i}F5000" for i in range(20)]
        assert not machine.port.is_symlink()


def test_an_unplugged_machine_hangs_up() -> None:
    fault = ["--fault", "unplug-at-line=2"]
    with (
        PtyMachine("marlin-2", speed=50.0, arguments=fault) as machine,
        opened(machine.port) as fd,
    ):
        heard(fd, b"1168\n")
        os.write(fd, b"G4 P0\nG4 P0\n")
        until = time.monotonic() + 5.0
        while machine.port.is_symlink() and time.monotonic() < until:
            time.sleep(0.02)
        with pytest.raises(OSError, match="Input/output error"):
            os.write(fd, b"G4 P0\n")


def test_an_idle_machine_uses_no_processor() -> None:
    with PtyMachine("marlin-2", speed=100.0) as machine, opened(machine.port) as fd:
        heard(fd, b"1168\n")
        stat = Path(f"/proc/{machine.pid}/stat")
        before = sum(map(int, stat.read_text().split()[13:15]))
        time.sleep(0.5)
        assert sum(map(int, stat.read_text().split()[13:15])) - before <= 1


def test_sigint_ends_it_in_order() -> None:
    with PtyMachine("marlin-2") as machine:
        os.kill(machine.pid, signal.SIGINT)
        until = time.monotonic() + 5.0
        while machine.port.is_symlink() and time.monotonic() < until:
            time.sleep(0.02)
        assert not machine.port.is_symlink()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["--fault", "lost-okay=1"],
            "simulator.unknown-fault-near (name=lost-okay, nearest=lost-ok)",
        ),
        (["--fault", "lost-ok=2"], "simulator.fault-chance (fault=lost-ok=2)"),
        (["--fault", "lost-ok"], "simulator.fault-number (fault=lost-ok)"),
        (["--fault", "reset-at-line=0.5"], "simulator.fault-count (fault=reset-at-line=0.5)"),
        (["--with", "wings"], "simulator.unknown-option (machine=marlin-2, option=wings"),
        (["--speed", "0"], "simulator.speed"),
    ],
)
def test_a_wrong_wish_is_one_sentence(
    arguments: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["marlin-2", "--link", str(tmp_path / "port"), *arguments]) == 1
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1


def test_an_unknown_machine_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(
        SimulatorError, match=r"simulator\.unknown-machine .*marlin-3.*known=marlin-2"
    ):
        simulate("marlin-3", tmp_path / "port")


def test_help_names_every_fault(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    said = capsys.readouterr().out.replace("\n", "").replace(" ", "")
    assert all(f"{name}=" in said for name in FAULTS)
