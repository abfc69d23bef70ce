"""A laser from checklist to plug: node, host, simulated Grbl in laser mode, a server as plug."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from drivers.simulators import PtyMachine
from node.demo.api import DemoError
from tests.drivers.plugs import Tasmota

if TYPE_CHECKING:
    from tests.journeys.conftest import Lab

pytestmark = [pytest.mark.journey, pytest.mark.broker, pytest.mark.timeout(240)]

HERE = "/machines/laser"
TICKED = ["material", "air", "lid", "offset"]


def program(lines: int) -> bytes:
    burns = [f"G1 X{20 + 60 * (n % 2)} Y{10 + n % 80} F1200 S400" for n in range(lines)]
    return "\n".join(["G21 G90 G94", "M3 S0", *burns, "M5", "G0 X0 Y0", "M2", ""]).encode()


@contextmanager
def laser(lab: Lab) -> Iterator[tuple[PtyMachine, Tasmota]]:
    """Add a laser without switches whose power hangs on a plug, for the time of a test."""
    settings = ("--set", "32=1", "--set", "30=1000")
    with PtyMachine("grbl-1.1", speed=20.0, arguments=settings) as board, Tasmota() as plug:
        machine = {"slug": "laser", "name": "Laser", "kind": "laser", "profile": "grbl-1.1"}
        machine |= {"port": str(board.port), "envelope_mm": [300, 400, 80], "simulated": True}
        machine |= {"spindle_max_rpm": 1000, "beam_switch": "plug", "beam_plug": plug.address}
        lab.operator.post("/machines", machine | {"heartbeat": plug.address})
        lab.operator.wait(HERE, lambda one: one["state"] == "idle", 60)
        yield board, plug


def told(board: PtyMachine, kind: str, key: str) -> list[str]:
    """Return what the machine itself has written down."""
    text = Path(board.log).read_text(encoding="utf-8")
    facts = [json.loads(line) for line in text.splitlines() if line.endswith("}")]
    return [fact[key].replace(" ", "") for fact in facts if fact["kind"] == kind]


def words(board: PtyMachine) -> list[str]:
    return told(board, "spindle", "word")


def wait_to_start(lab: Lab, job: str) -> None:
    """Wait until nothing speaks against a start: while it moves the machine tells no offsets."""
    for _ in range(200):
        if not lab.operator.get(f"{HERE}/start-check", job_id=job)["reasons"]:
            return
        time.sleep(0.3)
    raise AssertionError


def wait_for(lab: Lab, **wanted: Any) -> None:
    lab.operator.wait(HERE, lambda one: all(one[key] == wanted[key] for key in wanted), 60, 0.1)


def test_a_laser_is_started_by_a_person_dark_in_a_pause_and_without_power_after_a_stop(
    lone_lab: Lab,
) -> None:
    lab = lone_lab
    with laser(lab) as (board, plug):
        spot = lab.submit(
            program(3).replace(b"M5", b"G4 P2\nM5"),
            machine="laser",
            name="spot.nc",
            material="birch",
        )
        (plan,) = lab.job(spot)["preflights"]
        findings = plan["findings"]
        assert [(one["code"], one["severity"]) for one in findings] == [("beam-stands", "person")]
        with pytest.raises(DemoError, match="cannot be done now"):
            lab.operator.post(f"{HERE}/start", {"job_id": spot, "confirmed": TICKED})

        job = lab.submit(program(400), machine="laser", name="sign.nc", material="birch")
        lab.stand_at("laser")
        check = lab.operator.get(f"{HERE}/start-check", job_id=job)
        assert (check["items"], check["reasons"], check["can_trace"]) == (TICKED, [], True)
        with pytest.raises(DemoError, match="cannot be done now"):
            lab.operator.post(f"{HERE}/start", {"job_id": job, "confirmed": TICKED[:2]})
        assert lab.operator.get(HERE)["power"] is False
        assert plug.history == []

        lab.operator.post(f"{HERE}/power", {"on": True})
        wait_for(lab, power=True)
        lab.operator.post(f"{HERE}/trace", {"job_id": job, "way_is_free": True})
        far = "G0X80.000Y89.000"
        lab.operator.wait(HERE, lambda _: far in told(board, "executed", "line"), 60)
        wait_to_start(lab, job)
        assert words(board) == [], told(board, "executed", "line")

        lab.operator.post(f"{HERE}/start", {"job_id": job, "confirmed": TICKED})
        lab.wait_for_line(job, 20)
        lab.operator.post(f"{HERE}/pause")
        wait_for(lab, phase="paused", controller="Hold:0", spindle_on=False)
        assert words(board)[-1] == "M5"
        lab.operator.post(f"{HERE}/resume")
        lab.wait_for_line(job, 40)
        assert words(board)[-1] == "M3"

        lab.operator.post(f"{HERE}/stop")
        wait_for(lab, plugs={"beam": "off", "heartbeat": "off"}, stopped=True)
        time.sleep(4.0)  # longer than one renewal
        assert plug.history == [True, False]
