"""A machine left to itself, or not: hours in simulated time on every simulated firmware."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from drivers.errors import HostError
from drivers.profile import load_profile
from drivers.simulators import SIMULATORS, Wishes
from drivers.snapshot import Phase
from tests.drivers.virtual import Lab

MOVES = {
    "marlin": ["G28", "M104 S60", *(f"G1 X{10 + n % 9} F3000" for n in range(30)), "M104 S0"],
    "grbl": ["G21", "G90", *(f"G1 X{n % 9} F3000" for n in range(30))],
    "farmbot": ["G00 X10 Y0 Z0 A100 B100 C100", "G00 X0 Y0 Z0 A100 B100 C100"],
}


@pytest.fixture
def folder():
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@pytest.mark.parametrize("name", sorted(SIMULATORS))
def test_a_machine_that_nobody_touches_is_never_taken_for_used(folder, name):
    """Neither while it idles, nor after a run of ours, nor after the port was opened anew."""
    lab = Lab(folder, name)
    lab.wait(600.0)
    assert lab.state.in_use == ""
    assert lab.state.differs == ()
    lab.run(MOVES[load_profile(name).dialect])
    lab.wait(600.0)
    assert lab.state.in_use == ""
    lab.machine.disconnect(lab.now, resets=True)
    lab.until(lambda: lab.state.phase is Phase.IDLE, 60.0)
    lab.wait(60.0)
    assert (lab.state.in_use, lab.state.differs) == ("", ())
    assert {"in_use", "in_use_over"}.isdisjoint(lab.kinds)
    lab.close()


@pytest.mark.parametrize("name", ["marlin-1", "marlin-2", "grbl-1.1", "grblhal", "farmbot"])
def test_a_board_that_restarts_though_nobody_asked_is_in_use(folder, name):
    lab = Lab(folder, name)
    lab.wait(30.0)
    lab.board.reset(lab.now)
    lab.until(lambda: lab.state.in_use == "boot", 10.0)
    lab.until(lambda: lab.state.phase is Phase.IDLE, 60.0)
    with pytest.raises(HostError, match=r"host\.in_use"):
        lab.start(["G21"])
    lab.wait(1900.0)
    assert lab.state.in_use == "", "cold and still for half an hour"
    assert lab.kinds.count("in_use") == lab.kinds.count("in_use_over") == 1
    lab.close()


def test_a_nozzle_heated_at_the_display_is_seen_and_a_person_frees_the_machine(folder):
    lab = Lab(folder, wishes=Wishes(faults=("hand-at-line=5",)))
    lab.until(lambda: lab.state.in_use == "heat", 60.0)
    lab.wait(900.0)
    assert lab.state.in_use == "heat"
    lab.machine.release("eva", lab.now)
    assert lab.run(MOVES["marlin"])["kind"] == "finished"
    lab.close()


def test_a_stop_that_a_person_gave_is_no_use_by_hand(folder):
    lab = Lab(folder)
    lab.start(MOVES["marlin"])
    lab.wait(3.0)
    lab.machine.stop("eva", lab.now)
    lab.wait(5.0)
    lab.machine.disconnect(lab.now, resets=True)
    lab.until(lambda: lab.state.phase is Phase.IDLE, 60.0)
    lab.wait(120.0)
    assert lab.state.in_use == ""
    lab.close()


@pytest.mark.parametrize("name", ["marlin-2", "grbl-1.1"])
def test_what_a_firmware_tells_of_its_board_is_learned(folder, name):
    lab = Lab(folder, name)
    told = {"marlin-2": "machine_type", "grbl-1.1": "info"}[name]
    assert lab.state.identity[told]
    lab.close()
