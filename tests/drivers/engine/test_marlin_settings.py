"""What a Marlin keeps is asked for once, while it is idle, and never believed unasked."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from drivers.profile import load_profile
from drivers.snapshot import Phase


def _neighbour() -> ModuleType:
    # The tests are no package, so a neighbour is loaded by its path.
    spec = importlib.util.spec_from_file_location("plant", Path(__file__).with_name("plant.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PLANT = _neighbour()
STEPS = "M92 X80.00 Y80.00 Z400.00 E500.00"
PID = "M301 P22.20 I1.08 D114.00"


def asked(bench) -> int:
    return bench.executed().count("M503")


def settings(bench) -> tuple[str, ...]:
    return bench.engine.snapshot(bench.now).settings


@pytest.mark.parametrize("firmware", ["marlin-2", "marlin-1", "prusa-mk3", "prusa-buddy"])
def test_an_idle_board_is_asked_once_and_tells(firmware):
    bench = PLANT.Plant(firmware=firmware)
    bench.until("connected")
    assert settings(bench) == ()
    bench.run_for(60.0)
    assert asked(bench) == 1
    assert {STEPS, PID} <= set(settings(bench))
    assert len(settings(bench)) == 6
    assert bench.engine.snapshot(bench.now).phase is Phase.IDLE


def test_a_board_is_not_asked_between_the_lines_of_a_program():
    bench = PLANT.Plant()
    bench.until("connected")
    lines = [b"G28", *(b"G1 X%d F3000" % (n % 50) for n in range(60)), b"M118 echo:  M92 X1.00"]
    assert bench.engine.start(PLANT.Lines(lines), bench.now, "run")
    bench.until("finished")
    assert asked(bench) == 0
    assert settings(bench) == ()  # what a program has it say is not told
    bench.run_for(10.0)
    assert asked(bench) == 1
    assert STEPS in settings(bench)


def test_what_a_person_asks_for_later_takes_its_place():
    bench = PLANT.Plant()
    bench.until("connected")
    bench.run_for(10.0)
    assert bench.engine.command(b"M301 P30 I2 D100", bench.now)
    assert bench.engine.command(b"M503", bench.now)
    bench.run_for(10.0)
    assert [line for line in settings(bench) if line.startswith("M301")] == [
        "M301 P30.00 I2.00 D100.00"
    ]
    assert len(settings(bench)) == 6


def test_a_profile_that_names_no_question_asks_none():
    bench = PLANT.Plant(profile=replace(load_profile("marlin-2"), ask_settings=""))
    bench.until("connected")
    bench.run_for(30.0)
    assert asked(bench) == 0
    assert settings(bench) == ()


def test_a_board_that_never_ends_to_tell_fills_nothing():
    bench = PLANT.Plant()
    many = "".join(f"echo:  M421 I{n} J0 Z0.{n:03d}{'0' * 200}\n" for n in range(500))
    bench.board._settings = lambda: many
    bench.until("connected")
    bench.run_for(30.0)
    told = settings(bench)
    assert len(told) == 40
    assert max(map(len, told)) == 80
