"""`fabnode send` and `fabnode check` with a machine that speaks no G-code of the usual kind."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from drivers.simulators import PtyMachine

SPEED = 40.0
ROW = "".join(f"G00 X{60 * n % 900} Y{20 * n % 300} Z0\nF44 P8 V1 W0 T400 M0\n" for n in range(12))
ASKED = ("F82", "F83", "F21", "F42", "F09")


def facts(machine: PtyMachine, kind: str) -> list[dict[str, object]]:
    lines = machine.log.read_text().splitlines()
    return [fact for line in lines if (fact := json.loads(line))["kind"] == kind]


def executed(machine: PtyMachine) -> list[str]:
    lines = [str(fact["line"]) for fact in facts(machine, "executed")]
    return [line for line in lines if not line.startswith(ASKED)]


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "row.farm"
    path.write_text(f"; water a row\n{ROW}")
    return path


def words(machine: PtyMachine, *more: str) -> list[object]:
    return ["--port", machine.port, "--profile", "farmbot", "--json", *more]


def test_a_row_is_watered_once_and_in_order(fabnode, quick_home, program):
    with PtyMachine("farmbot", speed=SPEED) as machine:
        said = fabnode("send", program, *words(machine))
        machine.stop()
        assert (said.code, said.err) == (0, "")
        assert (said.json["result"], said.json["lines"]) == ("done", 24)
        assert executed(machine) == ROW.splitlines()


def test_a_lost_answer_to_a_move_costs_time_but_no_line(fabnode, quick_home, program):
    with PtyMachine("farmbot", speed=SPEED, arguments=["--fault", "lost-ok-at=6"]) as machine:
        said = fabnode("send", program, *words(machine))
        machine.stop()
        assert (said.code, said.err) == (0, "")
        assert executed(machine) == ROW.splitlines()


def test_a_lost_answer_to_a_pulse_of_water_is_told_and_nothing_follows(
    fabnode, quick_home, program
):
    with PtyMachine("farmbot", speed=SPEED, arguments=["--fault", "lost-ok-at=5"]) as machine:
        said = fabnode("send", program, *words(machine))
        machine.stop()
        assert said.code == 1
        assert "line 3" in said.err.lower()
        assert executed(machine) == ROW.splitlines()[:2]


def test_ctrl_c_ends_the_move_and_turns_the_water_off(start, quick_home, tmp_path):
    path = tmp_path / "far.farm"
    path.write_text("F41 P8 V1 M0\nG00 X2400 Y0 Z0\nG00 X0 Y0 Z0\n" * 20)
    with PtyMachine("farmbot", speed=2.0) as machine:
        sending = start("send", path, *words(machine))
        sending.wait_until(lambda: "F41 P8 V1 M0" in executed(machine))
        sending.signal(signal.SIGINT)
        said = sending.wait()
        machine.stop()
        pins = facts(machine, "pin")
        assert (said.code, said.json["result"]) == (130, "cancelled")
        assert (pins[-1]["pin"], {pin["value"] for pin in pins[-3:]}) == (10, {0})
        assert not facts(machine, "locked")


def test_a_board_that_restarts_ends_it_at_its_line(fabnode, quick_home, program):
    with PtyMachine("farmbot", speed=SPEED, arguments=["--fault", "reset-at-line=8"]) as machine:
        said = fabnode("send", program, *words(machine))
        machine.stop()
        done = executed(machine)
        assert (said.code, said.json["result"]) == (1, "failed")
        assert "restarted" in said.err
        assert done == ROW.splitlines()[: len(done)]
        assert len(done) < 10


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("G00 X1 Y1 Z1\nF22 P2 V1\n", "Line 2 holds F22"),
        ("g00 x1 ; fine\n@\n", "Line 2 holds @"),
    ],
)
def test_what_may_not_run_is_refused_before_the_first_byte(
    fabnode, quick_home, tmp_path, text, complaint
):
    path = tmp_path / "bad.farm"
    path.write_text(text)
    with PtyMachine("farmbot", speed=SPEED) as machine:
        said = fabnode("send", path, *words(machine))
        machine.stop()
        assert said.code == 1
        assert said.complaint.startswith(complaint)
        assert executed(machine) == []


def test_settings_that_nobody_approved_are_named_in_one_sentence(fabnode, quick_home, program):
    with PtyMachine("farmbot", speed=SPEED, arguments=["--set", "2=0"]) as machine:
        said = fabnode("send", program, *words(machine))
        machine.stop()
        assert said.code == 1
        assert "settings are approved" in said.err
        assert executed(machine) == []


def test_a_check_says_what_a_person_must_allow_and_what_nobody_can(fabnode, program, tmp_path):
    machine = tmp_path / "garden.toml"
    machine.write_text(
        'kind = "garden"\nprofile = "farmbot"\nport = "/dev/serial/by-id/usb-none"\n'
        "envelope_mm = [2500, 1200, 400]\norigin_mm = [0, 0, -400]\n"
    )
    said = fabnode("check", program, "--machine", machine, "--json")
    assert (said.code, said.json["verdict"]) == (0, "person")
    assert {one["code"] for one in said.json["findings"]} >= {"pin-switched"}
    far = tmp_path / "far.farm"
    far.write_text("F11\nF12\nF13\nG00 X2600\n")
    said = fabnode("check", far, "--machine", machine, "--json")
    assert said.code == 1
    assert [one["code"] for one in said.json["findings"]] == ["outside-envelope"]
