"""A laser in a pause is dark: by its firmware, by us, or else it is stopped."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from drivers.profile import load_profile
from drivers.snapshot import Failed, Phase

PROFILE = load_profile("grbl-1.1")
BURN = [
    *(b"G21G90G54", b"M3S600", b"G1F600"),
    *(b"X%dY%d" % (50 * (n % 2), n) for n in range(80)),
    *(b"M5", b"G0X0Y0"),
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


def burning(*options, laser=1.0, profile=PROFILE, firmware="grbl-1.1"):
    plant = PLANT.Plant(
        *options, firmware=firmware, profile=profile, room=None, settings={"32": laser, "22": 0.0}
    )
    plant.until("connected")
    assert plant.engine.start(PLANT.Lines(BURN), plant.now, "run")
    plant.run_for(8.0)
    assert plant.engine.phase is Phase.STREAMING
    return plant


def words(plant) -> list[str]:
    return [str(fact["word"]) for fact in plant.board.record.of("spindle")]


@pytest.mark.parametrize("options", [(), ("keeps-beam",)])
@pytest.mark.parametrize("firmware", ["grbl-1.1", "fluidnc", "grblhal"])
def test_the_beam_is_dark_in_a_pause_and_lit_when_it_goes_on(firmware, options):
    plant = burning(*options, firmware=firmware, profile=load_profile(firmware))
    assert words(plant) == ["M3"]
    plant.engine.pause(plant.now)
    plant.until("paused")
    plant.run_for(5.0)
    assert words(plant) == ["M3", "M5"]
    plant.run_for(30.0)
    assert words(plant) == ["M3", "M5"]  # a toggle too many would light it again
    plant.engine.resume(plant.now)
    plant.until("finished")
    assert words(plant) == ["M3", "M5", "M3", "M5"]
    plant.run_for(5.0)
    assert plant.executed()[-1].replace(" ", "") == "G0X0Y0"


def test_each_pause_is_looked_at_anew():
    plant = burning("keeps-beam")
    for _ in range(2):
        plant.engine.pause(plant.now)
        plant.until("paused")
        plant.run_for(3.0)
        assert words(plant)[-1] == "M5"
        plant.engine.resume(plant.now)
        plant.run_for(3.0)
        assert words(plant)[-1] == "M3"


@pytest.mark.parametrize("toggle", ["", "?"], ids=["unknown", "without effect"])
def test_a_beam_that_cannot_be_stopped_in_a_pause_ends_the_run(toggle):
    bytes_ = {name: byte for name, byte in PROFILE.realtime.items() if name != "spindle_toggle"}
    bytes_ |= {"spindle_toggle": toggle} if toggle else {}
    plant = burning("keeps-beam", profile=replace(PROFILE, realtime=bytes_))
    plant.engine.pause(plant.now)
    for _ in range(20_000):
        if any(isinstance(event, Failed) for event in plant.events):
            break
        plant.turn()
    failed = next(event for event in plant.events if isinstance(event, Failed))
    assert failed.code == "machine.beam_stays_on"
    plant.run_for(10.0)
    assert plant.board.modes.spindle == 5


def test_a_spindle_turns_on_in_a_pause():
    """It must not stop in the material: only a beam is put out."""
    plant = burning("keeps-beam", laser=0.0)
    plant.engine.pause(plant.now)
    plant.until("paused")
    plant.run_for(10.0)
    assert words(plant) == ["M3"]
