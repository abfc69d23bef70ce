"""`fabnode send` over a real pty to a simulated machine."""

from __future__ import annotations

import errno
import io
import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from drivers.simulators import PtyMachine
from drivers.snapshot import Phase, Snapshot
from node.cli.sending import _bar

SPEED = 60.0
LONG = "".join(f"G1 X{n % 100} F600\n" for n in range(3000))
HOT = f"M140 S60\nM104 S200\nG28\n{LONG}"
CUT = f"G21\nG90\nM3 S1000\n{LONG}"


def facts(machine: PtyMachine, kind: str) -> list[dict[str, object]]:
    lines = machine.log.read_text().splitlines()
    return [fact for line in lines if (fact := json.loads(line))["kind"] == kind]


def executed(machine: PtyMachine) -> list[str]:
    return [str(fact["line"]) for fact in facts(machine, "executed")]


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "part.gcode"
    path.write_text("G21\nG90 ; absolute\n\n" + "".join(f"G1 X{n % 9} F3000\n" for n in range(40)))
    return path


@pytest.mark.parametrize("profile", ["marlin-2", "grbl-1.1"])
def test_a_file_is_sent_and_one_json_object_says_so(fabnode, quick_home, program, profile):
    with PtyMachine(profile, speed=SPEED) as machine:
        said = fabnode("send", program, "--port", machine.port, "--profile", profile, "--json")
        machine.stop()
        lines = executed(machine)
    assert (said.code, said.err) == (0, "")
    assert set(said.json) == {"lines", "time_s", "resends", "result"}
    assert (said.json["lines"], said.json["resends"]) == (42, 0)
    assert said.json["result"] == "done"
    assert 0 < said.json["time_s"] < 30
    assert sum(line.startswith("G1") for line in lines) == 40


def test_without_json_it_is_one_sentence(fabnode, quick_home, program):
    with PtyMachine("marlin-2", speed=SPEED) as machine:
        said = fabnode("send", program, "--port", machine.port, "--profile", "marlin-2")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("Done: 42 lines in ")


def interrupted(start, quick_home, path: Path, profile: str, number: signal.Signals):
    """Send, and be told to end in mid-program; how it ended, and what the machine did then."""
    with PtyMachine(profile, speed=SPEED) as machine:
        sending = start("send", path, "--port", machine.port, "--profile", profile, "--json")
        sending.wait_until(lambda: sum("G1" in line for line in executed(machine)) > 5)
        told = len(executed(machine))
        sending.signal(number)
        said = sending.wait()
        machine.stop()
        return said, executed(machine)[told:]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_print_that_is_told_to_end_ends_with_the_heat_off(start, quick_home, tmp_path, number):
    path = tmp_path / "hot.gcode"
    path.write_text(HOT)
    said, after = interrupted(start, quick_home, path, "marlin-2", number)
    assert said.code == 130
    assert said.json["result"] == "cancelled"
    assert 5 < said.json["lines"] < 3000
    assert said.err == ""
    assert "M104 S0" in after
    assert "M140 S0" in after


def test_a_milling_that_is_told_to_end_ends_with_the_spindle_off(start, quick_home, tmp_path):
    path = tmp_path / "cut.nc"
    path.write_text(CUT)
    with PtyMachine("grbl-1.1", speed=SPEED) as machine:
        sending = start("send", path, "--port", machine.port, "--profile", "grbl-1.1", "--json")
        sending.wait_until(lambda: sum("G1" in line for line in executed(machine)) > 5)
        sending.signal(signal.SIGINT)
        said = sending.wait()
        machine.stop()
        done = machine.log.read_text()
    assert (said.code, said.json["result"]) == (130, "cancelled")
    assert "M3S1000" in done.replace(" ", "")
    assert spindle_is_off(done), done[-2000:]


def spindle_is_off(log: str) -> bool:
    """Whether the last word on the spindle is off: by M5, or by a reset, which stops all."""
    spoken = [
        fact
        for line in log.splitlines()
        if (fact := json.loads(line))["kind"] == "reset"
        or str(fact.get("line", "")).startswith(("M3", "M5"))
    ]
    return spoken[-1]["kind"] == "reset" or str(spoken[-1]["line"]).startswith("M5")


def test_a_terminal_that_goes_away_does_not_leave_the_heat_on(quick_home, tmp_path):
    path = tmp_path / "hot.gcode"
    path.write_text(HOT)
    with PtyMachine("marlin-2", speed=SPEED) as machine:
        screen, end = pty.openpty()
        words = ["send", path, "--port", machine.port, "--profile", "marlin-2"]
        sending = subprocess.Popen(
            [sys.executable, "-m", "node", *map(str, words)],
            env={**os.environ, "FABNODE_HOME": str(quick_home), "TERM": "xterm"},
            stdin=end,
            stdout=end,
            stderr=end,
            start_new_session=True,
        )
        os.close(end)
        wait_until(lambda: sum("G1" in line for line in executed(machine)) > 5)
        # A terminal that is closed makes every later word to it an error, then hangs up.
        os.close(screen)
        time.sleep(0.3)
        sending.send_signal(signal.SIGHUP)
        sending.wait(30)
        machine.stop()
        lines = executed(machine)
    assert "M104 S0" in lines
    assert "M140 S0" in lines
    assert len(lines) < 3000


class LostTerminal(io.StringIO):
    """Still says that it is a terminal when it goes away between the question and the word."""

    is_lost = False

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if self.is_lost:
            raise OSError(errno.EIO, "Input/output error")
        return super().write(text)


def test_a_bar_that_cannot_be_drawn_does_not_end_the_sending(monkeypatch):
    screen = LostTerminal()
    monkeypatch.setattr(sys, "stderr", screen)
    with _bar(silent=False) as (show, _):
        show(Snapshot(Phase.STREAMING, acked=3, total=9))
        screen.is_lost = True
        show(Snapshot(Phase.STREAMING, acked=4, total=9))
    assert "3/9" in screen.getvalue()


def wait_until(true: Callable[[], bool], timeout_s: float = 20.0) -> None:
    until = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("profile", "text", "words"),
    [
        ("marlin-2", "G28\n; the next line writes the EEPROM\nM500\n", "Line 3 holds M500"),
        ("grbl-1.1", "G21\n$100=5\n", "Line 2 holds $"),
    ],
)
def test_a_forbidden_command_is_refused_before_the_first_byte(
    fabnode, quick_home, tmp_path, profile, text, words
):
    path = tmp_path / "bad.gcode"
    path.write_text(text)
    with PtyMachine(profile, speed=SPEED) as machine:
        said = fabnode("send", path, "--port", machine.port, "--profile", profile, "--json")
        machine.stop()
        assert executed(machine) == []
    assert said.code == 1
    assert said.complaint.startswith(words)


def test_unchecked_sends_what_the_profile_forbids(fabnode, quick_home, tmp_path):
    path = tmp_path / "bad.gcode"
    path.write_text("G21\nM500\n")
    with PtyMachine("marlin-2", speed=SPEED) as machine:
        words = ("--port", machine.port, "--profile", "marlin-2", "--json", "--unchecked")
        said = fabnode("send", path, *words)
        machine.stop()
        assert "M500" in executed(machine)
    assert (said.code, said.json["result"]) == (0, "done")


def test_a_machine_that_restarts_is_said_with_the_line(fabnode, quick_home, program):
    fault = ["--fault", "reset-at-line=20"]
    with PtyMachine("marlin-2", speed=SPEED, arguments=fault) as machine:
        said = fabnode("send", program, "--port", machine.port, "--profile", "marlin-2", "--json")
    assert (said.code, said.json["result"]) == (1, "failed")
    assert "has restarted in the middle" in said.err
    assert said.err.count("\n") == 1


def test_a_pulled_cable_is_an_interruption_that_names_the_port(fabnode, quick_home, program):
    fault = ["--fault", "unplug-at-line=20"]
    with PtyMachine("marlin-2", speed=SPEED, arguments=fault) as machine:
        port = machine.port
        said = fabnode("send", program, "--port", port, "--profile", "marlin-2", "--json")
    assert (said.code, said.json["result"]) == (1, "interrupted")
    assert f"The machine at {port} has gone away" in said.err


def test_a_port_that_another_program_holds_is_said(start, fabnode, quick_home, program, tmp_path):
    path = tmp_path / "long.gcode"
    path.write_text(LONG)
    with PtyMachine("marlin-2", speed=SPEED) as machine:
        words = ("--port", machine.port, "--profile", "marlin-2", "--json")
        sending = start("send", path, *words)
        sending.wait_until(lambda: len(executed(machine)) > 5)
        said = fabnode("send", program, *words)
        sending.signal(signal.SIGINT)
        assert sending.wait().json["result"] == "cancelled"
    assert said.code == 1
    assert "is in use by fabnode (process " in said.complaint


def test_a_heater_that_misbehaves_is_named_with_its_numbers(fabnode, quick_home, tmp_path):
    path = tmp_path / "hot.gcode"
    path.write_text(HOT)
    fault = ["--fault", "runaway-at-line=5"]
    with PtyMachine("marlin-2", speed=SPEED, arguments=fault) as machine:
        said = fabnode("send", path, "--port", machine.port, "--profile", "marlin-2", "--json")
        machine.stop()
        assert "M112" in machine.log.read_text()
    assert (said.code, said.json["result"]) == (1, "failed")
    assert "Nozzle was too hot: " in said.err
    assert "wanted 200 °C" in said.err
