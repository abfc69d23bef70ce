"""The main job with every real part: commons, slicer, preflight, pty, ledger, broker."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from jobs.domain.job import StepName
from node.demo import wishes
from node.demo.api import DemoError
from node.demo.lab import commons_folder
from node.demo.story import tell

if TYPE_CHECKING:
    from tests.journeys.conftest import Lab

pytestmark = [pytest.mark.journey, pytest.mark.broker, pytest.mark.timeout(240)]

Make = Callable[[int], bytes]


@pytest.fixture
def lab(lone_lab: Lab) -> Lab:
    return lone_lab


@pytest.mark.slicer
@pytest.mark.skipif(shutil.which("prusa-slicer") is None, reason="PrusaSlicer is missing")
def test_our_own_design_becomes_a_part_a_record_and_a_message(lab: Lab) -> None:
    (made,) = tell(lab.demo, wishes()[:1], say=lambda _: None, speed=120)
    assert made.state == "done"
    assert made.announced
    assert 1 < made.grams < 20
    assert made.lines > 500
    detail = lab.job(made.job_id)
    (record,) = detail["records"]
    assert record["body"]["simulated"] is True
    assert {event["action"] for event in record["body"]["events"]} >= {"cite", "use", "consume"}
    assert [step["state"] for step in detail["steps"]] == ["done"] * len(StepName)


@pytest.mark.corpus
@pytest.mark.slicer
@pytest.mark.skipif(shutil.which("prusa-slicer") is None, reason="PrusaSlicer is missing")
@pytest.mark.skipif(commons_folder() is None, reason="../shared/commons is absent")
def test_real_designs_with_dirty_manifests_become_parts(lab: Lab) -> None:
    made = tell(lab.demo, wishes()[1:], say=lambda _: None, speed=120)
    assert [(each.state, each.announced) for each in made] == [("done", True)] * 2
    assert made[0].licence == "CC-BY-SA-4.0"
    assert made[1].licence == "CERN-OHL-S-2.0"


def test_without_arming_nothing_starts(lab: Lab, program: Make) -> None:
    job = lab.submit(program(5))
    time.sleep(3)
    detail = lab.job(job)
    assert detail["job"]["state"] == "waiting"
    reasons = {reason["reason"] for wait in detail["waits_for"] for reason in wait["reasons"]}
    assert "not-armed" in reasons


def test_one_arming_allows_exactly_one_start(lab: Lab, program: Make) -> None:
    first, second = lab.submit(program(5)), lab.submit(program(5))
    lab.arm()
    lab.wait_for_job(first, "done")
    time.sleep(2)
    assert lab.job(second)["job"]["state"] == "waiting"
    lab.arm()
    lab.wait_for_job(second, "done")


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("G1 X900 F3000", "outside-envelope"),
        ("M104 S400", "nozzle-too-hot"),
        ("M502", "settings-reset"),
        ("M997", "firmware-update"),
    ],
)
def test_preflight_blocks_and_names_the_line(lab: Lab, line: str, code: str) -> None:
    text = f"G21\nG90\nG28\n{line}\n".encode()
    detail = lab.job(lab.submit(text))
    assert detail["job"]["state"] == "held"
    found = [(f["code"], f["line"]) for p in detail["preflights"] for f in p["findings"]]
    assert (code, 4) in found


def test_a_router_program_is_not_for_a_printer(lab: Lab) -> None:
    text = b"G21\nG90\nM3 S12000\nG0 Z5\nG1 X10 F300\nM5\n"
    detail = lab.job(lab.submit(text))
    assert detail["job"]["state"] == "held"


def test_a_mill_starts_only_by_a_person_at_it(lab: Lab) -> None:
    halt = b"M0 (Is it clamped? Go on!)\n"
    text = b"G21\nG90\nG54\n" + halt + b"M3 S12000\nG4 P1\nG0 Z-5\nG1 X-50 Y-50 F900\nG0 Z-1\nM5\n"
    job = lab.submit(text, "router", "tag.nc")
    assert lab.job(job)["job"]["state"] == "waiting", lab.job(job)["preflights"]
    lab.arm("router")
    time.sleep(2.5)
    assert lab.job(job)["job"]["state"] == "waiting"
    checklist = ["stock", "tool", "offset", "extraction"]
    for confirmed in ([], checklist[:3]):
        with pytest.raises(DemoError):
            lab.operator.post("/machines/router/start", {"job_id": job, "confirmed": confirmed})
    stands = lab.operator.get("/machines/router/start-check", job_id=job)
    assert (stands["reasons"], stands["zero_mm"]) == ([], {"G54": [0.0, 0.0, 0.0]})
    lab.operator.post("/machines/router/start", {"job_id": job, "confirmed": checklist})
    asked = lab.operator.wait("/machines/router", lambda one: one["prompt"], 45, 0.1)["prompt"]
    assert asked["text"] == "Is it clamped Go on"
    assert not any("M3" in line for line in lab.executed("router"))
    lab.operator.post("/machines/router/answer", {"prompt": asked["number"]})
    lab.wait_for_job(job, "done")
    assert "M0" in lab.executed("router")
    assert any("S12000" in line for line in lab.executed("router"))


def test_cancel_ends_safely_with_heat_off(lab: Lab, program: Make) -> None:
    job = lab.submit(program(900))
    lab.arm()
    lab.wait_for_line(job, 30)
    lab.operator.post(f"/jobs/{job}/cancel")
    lab.wait_for_job(job, "cancelled")
    assert {"M104S0", "M140S0"} <= set(lab.executed("printer-1")[-12:])
    with pytest.raises(DemoError):
        lab.operator.post(f"/jobs/{job}/cancel")
