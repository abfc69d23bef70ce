"""A host stops a machine whose heater misbehaves, and switches off heat that nobody uses."""

import tempfile
from pathlib import Path

import pytest

from drivers.profile import load_profile
from drivers.simulators import SIMULATORS, Wishes
from drivers.snapshot import Phase
from tests.drivers.virtual import Lab

PRINT = [
    "G28",
    "M140 S60",
    "M104 S150",
    "M190 S60",
    "M109 S210",
    *(f"G1 X{n % 100} Y{n % 7} E{n} F3000" for n in range(40)),
    "M106 S255",
    *(f"G1 X{n % 100} Y{n % 7} E{n} F3000" for n in range(40)),
    "M104 S0",
    "M140 S0",
]


@pytest.fixture
def folder():
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@pytest.mark.parametrize("name", [name for name in sorted(SIMULATORS) if load_profile(name).heats])
def test_an_ordinary_print_with_a_cooling_wait_raises_no_alarm(folder, name):
    lab = Lab(folder, name)
    cooling = ["M109 S230", "M106 S255", "G4 S20", "M109 R180", "G4 S20", "M109 S215"]
    end = lab.run(["G28", "M190 S60", *cooling, *PRINT[-45:]])
    assert end["kind"] == "finished", end
    lab.wait(700.0)
    assert not lab.state.stopped
    assert "heat_off" not in lab.kinds
    lab.close()


@pytest.mark.parametrize(
    ("fault", "codes"),
    [
        ("heater-at-line=4", {"heater.slow"}),  # on the way up
        ("stuck-at-line=4", {"heater.slow"}),
        ("runaway-at-line=12", {"heater.over"}),
    ],
)
def test_a_heater_that_fails_stops_the_machine_and_the_record_says_why(folder, fault, codes):
    lab = Lab(folder, wishes=Wishes(faults=(fault,)))
    began = lab.now
    end = lab.run([*PRINT[:-2], "G4 S600", "G4 S600"])
    assert end["kind"] == "failed"
    assert end["code"] in codes
    assert end["heater"] == "T"
    assert end["target_c"] in (150.0, 210.0)
    assert "measured_c" in end
    assert {"acked", "sent", "total", "source_line"} <= set(end)
    assert b"M112" in lab.sent(began)
    assert lab.state.phase is Phase.STOPPED
    assert lab.state.stopped
    assert lab.state.message.startswith(f"{end['code']} (heater=T, ")
    assert lab.machine.run == ""
    lab.close()


def test_a_heater_that_fails_hot_is_seen_in_mid_program(folder):
    lab = Lab(folder, wishes=Wishes(faults=("heater-at-line=30",)))
    end = lab.run([*PRINT[:-2], *["G4 S10"] * 30])
    assert (end["kind"], end["code"]) == ("failed", "heater.slow")
    lab.close()


def test_reports_that_stop_while_a_heater_is_on_stop_the_machine(folder):
    lab = Lab(folder)
    lab.start(["M104 S210", *["G4 P500"] * 400])
    lab.wait(30.0)
    said = lab.board._say
    lab.board._say = lambda text: said(text if "T:" not in text else "ok\n")
    began = lab.now
    lab.until(lambda: not lab.machine.run, 30.0)
    end = next(event for event in lab.events if event["kind"] == "failed")
    assert (end["code"], end["heater"]) == ("heater.stale", "T")
    assert lab.now - began <= 15.0
    lab.close()


def test_a_firmware_that_cannot_report_during_a_long_command_is_excused(folder):
    lab = Lab(folder)
    # Neither busy lines nor reports by itself.
    lab.board._tick = lambda timer: lab.board.timers.pop(timer, None)
    assert lab.run(["M104 S210", "G28", "G4 S50", "G1 X10 F60", "M104 S0"])["kind"] == "finished"
    lab.close()


def test_heat_without_a_run_is_switched_off_and_said(folder):
    lab = Lab(folder, idle_heat_off_s=120.0)
    assert lab.run(["M104 S200", "M140 S50"])["kind"] == "finished"
    done = lab.now
    lab.wait(60.0)
    assert 50.0 <= lab.state.heat_off_s <= 65.0
    assert lab.board.nozzle.target == 200.0
    lab.until(lambda: lab.board.nozzle.target == 0.0, 80.0)
    assert 115.0 <= lab.now - done <= 130.0
    lab.wait(20.0)
    assert lab.board.bed.target == 0.0
    assert lab.kinds[-1] == "heat_off"
    assert lab.state.heat_off_s is None
    assert lab.state.message == "heat.switched_off (minutes=2)"
    assert lab.run(["G28"], run="r2")["kind"] == "finished"
    assert lab.state.message == ""
    lab.close()


def test_a_person_may_keep_heat_on_for_a_while_and_is_named(folder):
    lab = Lab(folder, idle_heat_off_s=120.0)
    assert not lab.machine.keep_heat("eva", 600.0, lab.now), "there is nothing to keep"
    lab.run(["M104 S200"])
    lab.wait(100.0)
    assert lab.machine.keep_heat("eva", 600.0, lab.now)
    lab.wait(590.0)
    assert lab.board.nozzle.target == 200.0
    assert lab.state.kept_by == "eva"
    lab.wait(30.0)
    assert lab.board.nozzle.target == 0.0
    lab.wait(60.0)
    assert lab.state.kept_by == ""
    lab.close()


def test_what_one_person_asked_for_does_not_outlast_the_next_run(folder):
    lab = Lab(folder, idle_heat_off_s=120.0)
    lab.run(["M104 S200"])
    lab.wait(10.0)
    lab.machine.keep_heat("eva", 6000.0, lab.now)
    lab.run(["M104 S210"], run="r2")
    lab.wait(130.0)
    assert lab.board.nozzle.target == 0.0
    assert lab.state.kept_by == ""
    lab.close()


def test_nobody_keeps_heat_on_for_ever(folder):
    lab = Lab(folder)
    lab.run(["M104 S200"])
    lab.wait(10.0)
    assert lab.machine.keep_heat("eva", 1e9, lab.now)
    assert lab.state.heat_off_s <= 7200.0
    lab.close()


def test_a_heater_that_stays_on_is_asked_again_and_then_a_person(folder):
    lab = Lab(folder, idle_heat_off_s=60.0)
    lab.run(["M104 S200"])
    lab.board._set = lambda code, words: code == 104 or code == 140
    lab.wait(400.0)
    assert lab.kinds.count("heat_off") == 3
    assert lab.state.message == "heat.stays_on"
    lab.close()
