"""A FarmBot's program from the upload to the last valve, and its gantry moved by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from drivers.simulators import PtyMachine

if TYPE_CHECKING:
    from tests.journeys.conftest import Lab

pytestmark = [pytest.mark.journey, pytest.mark.broker, pytest.mark.timeout(240)]

HERE = "/machines/farm"
WATER = b"""; water two plants
F13 Q1
F12 Q2
F11 Q3
G00 X100 Y40 Z0 Q4
G00 X100 Y40 Z-20 Q5
F44 P8 V1 W0 T1500 M0 Q6
G00 X100 Y40 Z0 Q7
G28 Q8
"""
OBEYED = ["F13", "F12", "F11", "G00X100Y40Z0", "G00X100Y40Z-20", "F44P8V1W0T1500M0"]
OBEYED += ["G00X100Y40Z0", "G28"]


def executed(board: PtyMachine) -> list[str]:
    text = Path(board.log).read_text(encoding="utf-8")
    facts = [json.loads(line) for line in text.splitlines() if line.endswith("}")]
    lines = [fact["line"].partition(" Q")[0] for fact in facts if fact["kind"] == "executed"]
    return [line.replace(" ", "") for line in lines]


def test_a_robot_is_moved_by_hand_and_waters_once_an_operator_has_allowed_it(
    lone_lab: Lab,
) -> None:
    lab = lone_lab
    with PtyMachine("farmbot", speed=20.0) as board:
        machine = {"slug": "farm", "name": "Farm", "kind": "garden", "profile": "farmbot"}
        machine |= {"port": str(board.port), "envelope_mm": [2500, 1200, 400], "simulated": True}
        lab.operator.post("/machines", machine | {"origin_mm": [0, 0, -400]})
        lab.operator.wait(HERE, lambda one: "jog" in one["acts"], 60)
        lab.stand_at("farm")
        jog = {"act": "jog", "axes_mm": {"X": 8.0}, "feedrate_mm_s": 20.0}
        lab.operator.post(f"{HERE}/act", jog)
        lab.operator.wait(HERE, lambda one: one["position_mm"][0] == 8.0, 60)
        lab.operator.wait(HERE, lambda one: one["state"] == "idle", 60)

        job = lab.submit(WATER, machine="farm", name="water.gcode")
        (plan,) = lab.job(job)["preflights"]
        assert [(one["code"], one["severity"]) for one in plan["findings"]] == [
            ("pin-switched", "person")
        ]
        lab.arm("farm")
        assert lab.job(job)["job"]["state"] == "waiting"
        chosen = [{"code": one["code"], "line": one["line"]} for one in plan["findings"]]
        wish = {"preflight": plan["id"], "reason": "the tap is open", "findings": chosen}
        lab.operator.post(f"/jobs/{job}/waive", wish)
        lab.wait_for_job(job, "done", timeout_s=90)
        assert [line for line in executed(board) if line in OBEYED][-len(OBEYED) :] == OBEYED

        bad = lab.submit(WATER + b"G00 X3000\n", machine="farm", name="far.gcode")
        (plan,) = lab.job(bad)["preflights"]
        assert plan["verdict"] == "block"
