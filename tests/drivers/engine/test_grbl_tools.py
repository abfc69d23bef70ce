"""A tool change on a Grbl without M6: where it stops, what a person may do, how it goes on."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from drivers.acts import Act, Order
from drivers.profile import load_profile
from drivers.snapshot import Failed, Paused, Phase

PROFILE = load_profile("grbl-1.1")
PROGRAM = [
    b"G21G90G54",
    b"M3S12000",
    b"M8",
    b"G0X10Y10",
    b"G0Z-5",
    b"G1Z-8F200",
    b"G1X30F600",
    b"G0Z-5",
    b"T2",
    b"M6",
    b"G1Y30",
    b"G1Z-8",
    b"M5",
]


def _plant() -> ModuleType:
    # The tests are no package, so a neighbour is loaded by its path.
    spec = importlib.util.spec_from_file_location("plant", Path(__file__).with_name("plant.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PLANT = _plant()


def at_change(program=PROGRAM, profile=PROFILE):
    plant = PLANT.Plant(firmware="grbl-1.1", profile=profile, room=None, settings={"22": 1.0})
    plant.until("connected")
    plant.engine.act(Order(Act.HOME), {}, plant.now)
    plant.run_for(40.0)
    plant.engine.command(b"G10L2P1X-250Y-350Z-40", plant.now)
    plant.run_for(2.0)
    assert plant.engine.start(PLANT.Lines(program), plant.now, "run")
    plant.until("paused")
    plant.run_for(1.0)
    return plant


def lines_of(plant) -> list[str]:
    return [line for line in plant.executed() if not line.startswith("$")]


def test_it_stops_before_the_m6_with_the_spindle_off_and_up() -> None:
    plant = at_change()
    snapshot = plant.engine.snapshot(plant.now)
    assert (snapshot.phase, snapshot.step, snapshot.tool) == (Phase.PAUSED, "tool-change", 2)
    done = lines_of(plant)
    assert not [line for line in done if "M6" in line]
    assert done[-5:-1] == ["G53G0Z-2", "G4P0.01", "M5", "M9"]
    assert plant.board.planner.position(plant.now)[2] == pytest.approx(-2.0)
    assert not snapshot.spindle_on
    before = len(lines_of(plant))
    plant.run_for(60.0)
    assert len(lines_of(plant)) == before


def test_the_pause_says_what_it_is_for() -> None:
    plant = PLANT.Plant(firmware="grbl-1.1", profile=PROFILE, room=None, settings={"22": 1.0})
    plant.until("connected")
    plant.engine.act(Order(Act.HOME), {}, plant.now)
    plant.run_for(40.0)
    plant.engine.start(PLANT.Lines([b"G0X5", b"T7M6", b"G0X6"]), plant.now, "run")
    plant.run_for(20.0)
    assert [event for event in plant.events if isinstance(event, Paused)] == [Paused("tool-change")]
    assert plant.engine.snapshot(plant.now).tool == 7


def test_a_person_jogs_touches_off_and_the_program_goes_on_from_its_place() -> None:
    plant = at_change()
    assert {Act.JOG, Act.ZERO, Act.RESUME} <= plant.engine.acts()
    jog = Order(Act.JOG, axes={"X": 20.0, "Z": -4.0}, feedrate=20.0)
    assert plant.engine.act(jog, {}, plant.now) == ""
    plant.run_for(10.0)
    assert plant.engine.act(Order(Act.ZERO, axes={"Z": 0.0}), {}, plant.now) == ""
    plant.run_for(3.0)
    touched = plant.board.planner.position(plant.now)
    count = len(lines_of(plant))
    assert plant.engine.resume(plant.now)
    plant.until("finished")
    back = lines_of(plant)[count:]
    assert back[0] == "G21G90"
    assert back[1:3] == ["G53G0Z-2", "G4P0.01"]
    assert back[3].startswith("G53G0X")
    assert back[4:6] == ["M3S12000", "G4P4"]
    assert back[6:10] == ["M8", "G0Z-5.000", "F600", "G0"]
    assert back[10:] == ["G1Y30", "G1Z-8", "M5"]
    # Work Z -8 with the new tool is 8 mm below where it was touched off.
    assert plant.board.planner.position(plant.now)[2] == pytest.approx(touched[2] - 8.0, abs=0.01)
    assert plant.engine.snapshot(plant.now).acked == len(PROGRAM)


def test_what_else_stands_beside_the_m6_is_still_sent() -> None:
    plant = at_change([b"G0X5", b"T3M6", b"G0X6"])
    assert plant.engine.snapshot(plant.now).tool == 3
    plant.engine.resume(plant.now)
    plant.until("finished")
    assert lines_of(plant)[-2:] == ["T3", "G0X6"]


def test_nothing_goes_on_by_itself_and_cancel_ends_it() -> None:
    plant = at_change()
    plant.run_for(600.0)
    assert plant.engine.phase is Phase.PAUSED
    assert plant.engine.cancel(plant.now)
    plant.until("cancelled")
    assert plant.engine.snapshot(plant.now).step == ""
    assert "G1Y30" not in lines_of(plant)


def test_a_machine_that_has_not_homed_is_not_moved_for_it() -> None:
    plant = PLANT.Plant(
        firmware="grbl-1.1", profile=replace(PROFILE, homing=()), room=None, settings={"22": 1.0}
    )
    plant.until("connected")
    plant.engine.act(Order(Act.UNLOCK), {}, plant.now)
    plant.run_for(3.0)
    plant.engine.start(PLANT.Lines([b"G91", b"G1X1F300", b"M6T1", b"G1X1"]), plant.now, "run")
    plant.until("paused")
    assert not [line for line in lines_of(plant) if "G53" in line]
    plant.engine.resume(plant.now)
    plant.until("finished")
    assert lines_of(plant)[-4:] == ["G91", "G1", "T1", "G1X1"]


def unhomed(program, *, laser=0.0):
    plant = PLANT.Plant(
        firmware="grbl-1.1",
        profile=replace(PROFILE, homing=()),
        room=None,
        settings={"22": 1.0, "32": laser},
    )
    plant.until("connected")
    plant.engine.act(Order(Act.UNLOCK), {}, plant.now)
    plant.run_for(3.0)
    assert plant.engine.start(PLANT.Lines(program), plant.now, "run")
    plant.until("paused")
    plant.run_for(1.0)
    return plant


def jogged(plant, **axes):
    jog = Order(Act.JOG, axes=axes, feedrate=20.0)
    assert plant.engine.act(jog, {}, plant.now) == ""
    plant.run_for(3.0)


CHANGE = [b"M3S9000", b"G0X10Y5Z3", b"M6T1", b"G0X20", b"G1Z-1F200"]


def test_a_machine_that_has_not_homed_goes_on_only_from_the_place_where_it_stopped() -> None:
    plant = unhomed(CHANGE)
    jogged(plant, X=8.0, Z=-1.0)
    jogged(plant, Y=-2.5)
    before = len(lines_of(plant))
    assert plant.engine.snapshot(plant.now).back == {"X": -8.0, "Y": 2.5}
    assert not plant.engine.resume(plant.now)
    assert plant.engine.act(Order(Act.RESUME), {}, plant.now) == "host.not_at_place"
    plant.run_for(10.0)
    assert plant.engine.phase is Phase.PAUSED
    assert len(lines_of(plant)) == before
    jogged(plant, X=-8.0, Y=2.5)
    assert plant.engine.snapshot(plant.now).back == {}
    count = len(lines_of(plant))
    assert plant.engine.resume(plant.now)
    plant.until("finished")
    # Below its height: up before the spindle turns, and nothing across.
    back = lines_of(plant)[count:]
    assert back[:4] == ["G21G90", "G0Z3.000", "M3S9000", "G4P4"]
    assert not [line for line in back if "G53" in line]
    assert back[-2:] == ["G0X20", "G1Z-1F200"]


def test_above_its_height_the_new_tool_turns_before_it_goes_down() -> None:
    plant = unhomed(CHANGE)
    jogged(plant, Z=5.0)
    count = len(lines_of(plant))
    assert plant.engine.resume(plant.now)
    plant.until("finished")
    assert lines_of(plant)[count:][:4] == ["G21G90", "M3S9000", "G4P4", "G0Z3.000"]


def test_a_beam_does_not_dwell_and_does_not_drive_back() -> None:
    plant = unhomed([b"M3S500", b"G1X9F600", b"M6T1", b"G1X12"], laser=1.0)
    jogged(plant, X=3.0)
    assert plant.engine.snapshot(plant.now).back == {"X": -3.0}
    assert not plant.engine.resume(plant.now)
    jogged(plant, X=-3.0)
    count = len(lines_of(plant))
    assert plant.engine.resume(plant.now)
    plant.until("finished")
    assert not [line for line in lines_of(plant)[count:] if "G4" in line or "Z" in line]


def test_nobody_goes_on_while_it_is_still_jogged() -> None:
    plant = at_change()
    jog = Order(Act.JOG, axes={"X": 40.0}, feedrate=10.0)
    assert plant.engine.act(jog, {}, plant.now) == ""
    plant.run_for(1.0)
    assert not plant.engine.resume(plant.now)
    assert plant.engine.act(Order(Act.RESUME), {}, plant.now) != ""


def test_a_pause_that_comes_before_the_change_is_ready_can_be_gone_on_with() -> None:
    plant = PLANT.Plant(firmware="grbl-1.1", profile=PROFILE, room=None, settings={"22": 1.0})
    plant.until("connected")
    plant.engine.act(Order(Act.HOME), {}, plant.now)
    plant.run_for(40.0)
    plant.engine.start(PLANT.Lines(PROGRAM), plant.now, "run")
    for _ in range(60_000):
        plant.turn()
        if plant.engine._change is not None and plant.engine._change.lines:
            break  # it has begun to lift the spindle
    assert plant.engine.pause(plant.now)
    plant.until("paused")
    assert plant.engine.snapshot(plant.now).step != "tool-change"
    assert plant.engine.resume(plant.now)
    for _ in range(60_000):
        plant.turn()
        if plant.engine.snapshot(plant.now).step == "tool-change":
            break
    assert plant.engine.snapshot(plant.now).tool == 2
    plant.run_for(1.0)
    assert plant.engine.resume(plant.now)
    plant.until("finished")
    assert lines_of(plant)[-3:] == ["G1Y30", "G1Z-8", "M5"]


def test_a_spindle_that_does_not_start_again_ends_the_program() -> None:
    plant = at_change()
    plant.engine.resume(plant.now)
    plant.engine.data_to_send(plant.now)
    for _ in range(4):
        plant.events += plant.engine.receive(b"ok\n", plant.now)
    plant.events += plant.engine.receive(b"error:9\n", plant.now)
    failed = [event for event in plant.events if isinstance(event, Failed)]
    assert [event.code for event in failed] == ["machine.error"]


def test_a_firmware_that_changes_tools_itself_gets_its_m6() -> None:
    plant = PLANT.Plant(
        firmware="grbl-1.1",
        profile=replace(PROFILE, changes_tools=True),
        room=None,
        settings={"22": 1.0},
    )
    plant.until("connected")
    plant.engine.act(Order(Act.HOME), {}, plant.now)
    plant.run_for(40.0)
    plant.engine.start(PLANT.Lines([b"G0X5", b"M6"]), plant.now, "run")
    plant.until("failed")  # this simulated one knows no M6, and was asked


def test_an_idle_controller_tells_its_offsets_as_they_are_now() -> None:
    plant = PLANT.Plant(firmware="grbl-1.1", profile=PROFILE, room=None, settings={"22": 1.0})
    plant.until("connected")
    assert not plant.engine.read_offsets(plant.now)  # locked: nobody knows where it is
    plant.engine.act(Order(Act.HOME), {}, plant.now)
    plant.run_for(40.0)
    plant.engine.command(b"G10L2P1X-250Y-350Z-40", plant.now)
    plant.run_for(1.0)
    assert plant.engine.read_offsets(plant.now)
    plant.run_for(1.0)
    snapshot = plant.engine.snapshot(plant.now)
    assert snapshot.offsets_seq == 1
    assert snapshot.offsets["G54"] == (-250.0, -350.0, -40.0)
    assert snapshot.offsets["G92"] == (0.0, 0.0, 0.0)
    assert snapshot.offsets["TLO"] == (0.0,)
    assert "G54" in snapshot.modes
    assert snapshot.reach == {"X": (-300.0, 0.0), "Y": (-400.0, 0.0), "Z": (-80.0, 0.0)}
    assert type(snapshot).from_json(snapshot.to_json()) == snapshot
