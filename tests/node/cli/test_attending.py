"""The person at the terminal of `fabnode send`: what is asked is shown, and a key answers it."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from drivers.acts import Act
from drivers.simulators import PtyMachine
from drivers.snapshot import Phase, Prompt, Snapshot
from node.cli.attending import Attendant

SPEED = 60.0
WAITS = Snapshot(Phase.STREAMING, connected=True)
CHANGE = replace(WAITS, phase=Phase.PAUSED, step="tool-change", tool=2)


class Session:
    """Notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[object] = []
        self.takes = True

    def resume(self, now: float) -> bool:
        self.asked.append("resume")
        return self.takes

    def answer(self, number: int, choice: int, now: float) -> bool:
        self.asked.append((number, choice))
        return self.takes

    def act(self, order, reach, now: float) -> str:
        self.asked.append((order.act, dict(order.axes)))
        return "" if self.takes else "host.not_now"


class Desk:
    """An attendant with keys in its pocket."""

    def __init__(self, keys: str | None = "", patience: float = 600.0) -> None:
        self.told: list[str] = []
        self.session = Session()
        self.keys = keys
        key = None if keys is None else self.press
        self.attendant = Attendant(self.told.append, key, patience)

    def press(self) -> str:
        first, self.keys = (self.keys or "")[:1], (self.keys or "")[1:]
        return first

    def look(self, state: Snapshot, now: float = 0.0) -> str:
        return self.attendant.look(state, self.session, now)


def asks(text="Filament?", choices=("Purge", "Go on"), number=4):
    return replace(WAITS, prompt=Prompt(number, text, choices))


def test_a_prompt_is_shown_once_and_its_choices_have_keys():
    desk = Desk("x92")
    for _ in range(4):
        assert desk.look(asks()) == ""
    assert desk.session.asked == [(4, 1)]
    assert desk.told == [
        "The machine asks: Filament?",
        "Press 1 for: Purge",
        "Press 2 for: Go on",
    ]
    desk.look(asks("Again?", (), number=5))
    assert desk.told[3:] == [
        "The machine asks: Again?",
        "Press g to go on, Ctrl-C to end the program.",
    ]


def test_a_choice_that_sends_a_command_says_which():
    desk = Desk("1")
    prompt = Prompt(4, "Filament?", ("Go on",), ("RESUME",))
    desk.look(replace(WAITS, prompt=prompt))
    assert desk.session.asked == [(4, 0)]
    assert desk.told[-1] == "Press 1 for: Go on (sends RESUME)"


def test_a_prompt_without_words_is_gone_on_with_by_a_key():
    desk = Desk("1g")
    desk.look(asks("", ()))
    assert desk.session.asked == []
    desk.look(asks("", ()))
    assert desk.session.asked == [(4, 0)]
    assert desk.told[0].startswith("The machine waits for a person and does not say for what.")


def test_nothing_is_asked_where_nothing_waits_and_no_key_does_anything_then():
    desk = Desk("g1u0X")
    for phase in Phase:
        assert desk.look(Snapshot(phase, connected=True, step="halting")) == ""
    assert (desk.told, desk.session.asked) == ([], [])


def test_with_nobody_there_it_is_said_once_and_the_program_ends_in_time():
    desk = Desk(None, patience=600.0)
    assert desk.look(asks(), 0.0) == ""
    assert desk.look(asks(), 599.0) == ""
    assert desk.told[-1].startswith("No key can be pressed here. Answer at the machine itself wi")
    assert sum(line.startswith("No key") for line in desk.told) == 1
    assert desk.look(WAITS, 599.5) == "", "answered at the machine"
    assert desk.look(asks(number=5), 700.0) == ""
    assert desk.look(asks(number=5), 1300.0) == "machine.nobody_answered"
    assert desk.session.asked == []


def test_a_tool_change_that_nobody_can_answer_ends_at_once():
    desk = Desk(None)
    assert desk.look(CHANGE) == "machine.nobody_answered"


def test_a_tool_change_is_jogged_touched_off_and_gone_on_with_by_keys():
    desk = Desk("Zxs0g")
    for _ in range(5):
        desk.look(CHANGE)
    assert desk.session.asked == [
        *((Act.JOG, {"Z": 1.0}), (Act.JOG, {"X": -1.0}), (Act.ZERO, {"Z": 0.0})),
        "resume",
    ]
    assert desk.told[0] == "The spindle is off. Put in tool T2, jog down and set zero with it."
    assert desk.told[-1] == "One key now jogs 10 mm."


def test_a_machine_that_does_not_drive_back_says_how_far_it_is_to_be_jogged():
    desk = Desk("g")
    desk.session.takes = False
    desk.look(replace(CHANGE, back={"X": -8.0}))
    assert desk.told[-2:] == [
        "Jog X by -8.00 mm first.",
        "The machine does not drive back by itself after this tool change: jog it over the place "
        "where the program left it, then go on.",
    ]


def test_a_second_hold_is_told_and_waited_for_anew():
    desk, held = Desk(None, patience=60.0), replace(WAITS, message="machine.held", acts=("resume",))
    for now in (0.0, 100.0):
        assert desk.look(held, now) == ""
        assert desk.look(WAITS, now + 50.0) == ""
    assert sum(line.startswith("No key") for line in desk.told) == 2


def test_a_hold_a_pause_and_a_lock_each_have_their_key():
    desk = Desk("ggu")
    desk.look(replace(WAITS, message="machine.held", acts=("resume",)))
    desk.look(replace(WAITS, phase=Phase.PAUSED, step="parked"))
    desk.look(replace(WAITS, phase=Phase.IDLE, controller="Locked"))
    assert desk.session.asked == [(Act.RESUME, {}), "resume", (Act.UNLOCK, {})]


# -- on a real terminal -----------------------------------------------------------------------

TAKE_TERMINAL = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
RUN = TAKE_TERMINAL + "os.execv(sys.executable, [sys.executable, '-m', 'node', *sys.argv[1:]])"


class Terminal:
    """`fabnode` in the foreground of a terminal of its own."""

    def __init__(self, home: Path, *words: object) -> None:
        self.screen, self.end = pty.openpty()
        self.before = termios.tcgetattr(self.end)
        self.shown = b""
        os.set_blocking(self.screen, False)
        self.process = subprocess.Popen(
            [sys.executable, "-c", RUN, *map(str, words)],
            env={**os.environ, "FABNODE_HOME": str(home), "COLUMNS": "200"},
            stdin=self.end,
            stdout=self.end,
            stderr=self.end,
            start_new_session=True,
        )

    def until(self, true: Callable[[str], bool], timeout_s: float = 50.0) -> None:
        until = time.monotonic() + timeout_s
        while not true(self.shown.decode(errors="replace")):
            assert time.monotonic() < until, self.shown
            try:
                self.shown += os.read(self.screen, 65536)
            except OSError:
                time.sleep(0.02)

    def press(self, keys: str) -> None:
        os.write(self.screen, keys.encode())

    def wait(self) -> int:
        self.until(lambda _: self.process.poll() is not None)
        return self.process.returncode

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        for end in (self.screen, self.end):
            os.close(end)


@pytest.fixture
def terminal(quick_home):
    opened: list[Terminal] = []

    def begin(*words: object) -> Terminal:
        opened.append(Terminal(quick_home, *words))
        return opened[-1]

    yield begin
    for one in opened:
        one.close()


def executed(machine: PtyMachine) -> list[str]:
    facts = [json.loads(line) for line in machine.log.read_text().splitlines()]
    return [str(fact["line"]) for fact in facts if fact["kind"] == "executed"]


def test_m0_waits_for_a_key_and_the_terminal_is_as_before(terminal, tmp_path):
    path = tmp_path / "part.gcode"
    path.write_text("G28\nG1 X5 F6000\nM0 Turn the plate\nG1 X9\n")
    with PtyMachine("marlin-2", speed=SPEED) as machine:
        sending = terminal("send", path, "--port", machine.port, "--profile", "marlin-2")
        sending.until(lambda shown: "The machine asks: Turn the plate" in shown)
        assert "G1X9" not in executed(machine)
        sending.press("g")
        assert sending.wait() == 0
        machine.stop()
        assert "G1X9" in executed(machine)
    assert termios.tcgetattr(sending.end) == sending.before


def test_a_program_that_reads_json_answers_nothing_and_the_program_ends_safely(
    start, quick_home, tmp_path
):
    path = tmp_path / "part.nc"
    path.write_text("G21\nM3 S1000\nG1 X5 F600\nT2\nM6\nG1 X9\n")
    with PtyMachine("grbl-1.1", speed=SPEED) as machine:
        sending = start("send", path, "--port", machine.port, "--profile", "grbl-1.1", "--json")
        said = sending.wait()
        machine.stop()
        assert "G1X9" not in executed(machine)
    assert (said.code, said.json["result"]) == (1, "failed")
    assert "nobody answered" in said.err
    assert "Put in tool T2" in said.err
