"""Sharing machines over the API of a running node: bookings, by-hand work, hostile files, stops."""

from __future__ import annotations

import io
import struct
import time
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import httpx
import pytest

from node.demo.api import DemoError

if TYPE_CHECKING:
    from tests.journeys.conftest import Lab

pytestmark = [pytest.mark.journey, pytest.mark.broker, pytest.mark.timeout(180)]

Make = Callable[[int], bytes]

BAND_SAW = {"slug": "band-saw", "name": "Band saw", "kind": "mill", "control": "none"}
OLD_PRINTER = {
    "slug": "old-printer",
    "name": "Old printer",
    "kind": "fdm",
    "control": "by-hand",
    "profile": "marlin-2",
    "envelope_mm": [200.0, 200.0, 200.0],
    "nozzle_max_c": 260.0,
    "bed_max_c": 100.0,
    "nozzle_mm": 0.4,
    "filament_mm": 1.75,
}


def client(lab: Lab) -> httpx.Client:
    return httpx.Client(
        base_url=f"{lab.demo.address}/api/v1",
        headers={"authorization": f"Bearer {lab.demo.keys.operator}"},
        timeout=60,
        trust_env=False,
    )


def test_of_fifty_parallel_bookings_of_one_interval_exactly_one_wins(lab: Lab) -> None:
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(days=1)
    body = {
        "machine": "printer-1",
        "start": start.isoformat(),
        "end": (start + timedelta(hours=2)).isoformat(),
    }
    with client(lab) as http, ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: http.post("/bookings", json=body), range(50)))
    codes = [answer.status_code for answer in answers]
    assert sorted(set(codes)) == [201, 409]
    assert codes.count(201) == 1
    refused = next(answer for answer in answers if answer.status_code == 409)
    assert refused.headers["content-type"].startswith("application/problem+json")
    assert [reason["reason"] for reason in refused.json()["reasons"]] == ["taken"]


def test_a_machine_by_hand_has_the_same_queue_and_the_same_record(lab: Lab, program: Make) -> None:
    lab.operator.post("/machines", OLD_PRINTER)
    text = program(5)
    job = lab.submit(text, "old-printer")
    assert lab.job(job)["job"]["state"] == "waiting"
    with client(lab) as http:
        carried = http.get(f"/jobs/{job}/program", params={"machine": "old-printer"})
    assert carried.content == text, "the file to carry over is the one that was examined"
    lab.operator.post(f"/jobs/{job}/started", {"machine": "old-printer"})
    assert lab.job(job)["job"]["state"] == "running"
    lab.operator.post(f"/jobs/{job}/finished", {"machine": "old-printer"})
    detail = lab.wait_for_job(job, "done")
    (record,) = detail["records"]
    assert record["body"]["machine"]["slug"] == "old-printer"
    assert lab.operator.get("/records/verify")["ok"]


def test_a_machine_without_control_can_be_booked_but_takes_no_job(lab: Lab, program: Make) -> None:
    lab.operator.post("/machines", {**BAND_SAW, "envelope_mm": [300.0, 300.0, 300.0]})
    start = datetime.now(UTC) + timedelta(hours=2)
    body = {"machine": "band-saw", "start": start.isoformat()}
    body["end"] = (start + timedelta(hours=1)).isoformat()
    assert lab.operator.post("/bookings", body)["machine"] == "band-saw"
    with pytest.raises(DemoError):
        lab.submit(program(5), "band-saw")


def ten_million_triangles() -> bytes:
    return b"\0" * 80 + struct.pack("<I", 10_000_000) + b"\0" * 500


def zip_bomb() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("3D/3dmodel.model", b"\0" * 300_000_000)
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("part.stl", ten_million_triangles),
        ("part.3mf", zip_bomb),
        ("part.stl", lambda: b"solid nothing\nfacet garbage\n"),
    ],
)
def test_a_hostile_file_is_a_finding_and_the_node_goes_on(
    lab: Lab, name: str, make: Callable[[], bytes]
) -> None:
    fields = {"machine": "printer-1", "purpose": "own"}
    job = lab.operator.upload(name, make(), fields)
    detail = lab.wait_for_job(job["id"], "held", "failed")
    findings = detail["findings"] + [f for p in detail["preflights"] for f in p["findings"]]
    assert any(finding["severity"] == "block" for finding in findings)
    assert all(finding["detail"] for finding in findings)
    assert lab.operator.get("/health")["ok"]


def test_stop_over_the_api_stops_at_once_and_needs_no_ownership(lab: Lab, program: Make) -> None:
    job = lab.submit(program(900))
    lab.arm()
    lab.wait_for_line(job, 30)
    before = time.monotonic()
    lab.operator.post("/stop")
    took = time.monotonic() - before
    assert took < 3
    time.sleep(0.5)
    made = len(lab.executed("printer-1"))
    time.sleep(1.5)
    assert len(lab.executed("printer-1")) <= made + 2
    detail = lab.wait_for_job(job, "failed", "cancelled", "held")
    assert len(detail["records"]) == 1
    assert lab.operator.get("/machines/printer-1")["stopped"]


def test_after_a_stop_a_person_makes_the_machine_ready_again(lab: Lab, program: Make) -> None:
    job = lab.submit(program(300))
    lab.arm()
    lab.wait_for_line(job, 20)
    lab.operator.post("/machines/printer-1/stop")
    lab.wait_for_job(job, "failed", "cancelled", "held")
    second = lab.submit(program(5))
    lab.stand_at()
    lab.operator.post("/machines/printer-1/inspected")
    lab.arm()
    lab.wait_for_job(second, "done")
