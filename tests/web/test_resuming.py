"""Going on with an interrupted job on its page and over the API: choose, read, confirm."""

from __future__ import annotations

import io
import re

import pytest

from jobs.domain.job import JobState

HEAD = ["G28", "M140 S60", "M104 S200", "M109 S200", "G21", "G90", "M83"]
BODY = [
    line
    for layer in range(1, 11)
    for line in (
        f"G1 Z{layer * 0.2:.1f} F600",
        *(f"G1 X{x} Y{y} E1.5 F1800" for x, y in ((20, 20), (60, 20), (60, 60), (20, 60))),
    )
]
PROGRAM = "\n".join([*HEAD, *BODY, "M104 S0", "M140 S0", ""]).encode()


@pytest.fixture
def interrupted(lab) -> str:
    """Mia's job on `ender`, whose wire was lost after 40 lines."""
    services, mia = lab.services, lab.people["mia"]
    job = services.queue.submit(
        mia, name="part.gcode", data=io.BytesIO(PROGRAM), machine_slug="ender", now=lab.now
    )
    services.preparation.prepare_next(lambda: lab.now)
    services.dispatch.arm(mia, "ender", lab.now)
    (run,) = services.dispatch.tick(lab.now)
    at_us = round(lab.now.timestamp() * 1e6)
    extent = {"acked": 40, "sent": 44, "total": 59, "source_line": 40, "planner_blocks": 16}
    event = {"run": run, "seq": 2, "at_us": at_us, "kind": "interrupted", "reason": "port-lost"}
    services.runs.apply("ender", {**event, **extent}, lab.now)
    return job.id


def test_a_person_chooses_a_line_reads_what_is_sent_and_confirms_it(browse, lab, read, interrupted):
    mia = browse("mia")
    path = f"/jobs/{interrupted}/resume"
    assert path in mia.get(f"/jobs/{interrupted}").text
    assert 'value="25"' in mia.get(path).text
    assert "Everything before line 25 of the file was surely made." in read(mia.get(path).text)
    shown = mia.post(path, {"line": "25", "layer": "0", "height_mm": "0.8"}).text
    for line in ("M109S200", "G92Z0.8", "G28XY", "G1X60Y20 E1.5F1800"):
        assert line in shown
    assert "no finished job on this machine yet" in shown  # a promise, not the plan alone
    digest = re.search(r'name="stream_sha256" value="([0-9a-f]{64})"', shown)[1]
    form = {"line": "25", "layer": "0", "height_mm": "0.8", "stream_sha256": digest}
    answer = mia.post(f"{path}/confirm", form)
    assert answer.headers["location"] == f"/jobs/{interrupted}?said=resume-planned"
    job = lab.services.queue.get(interrupted, lab.now, lab.people["mia"]).job
    assert job.state is JobState.WAITING
    assert mia.get(path).status_code == 409  # it is no longer interrupted


def test_the_api_does_the_same_and_refuses_what_was_not_read(browse, lab, interrupted):
    mia = browse("mia")
    path = f"/jobs/{interrupted}"
    plan = mia.api("POST", f"{path}/resume-plan", json={"layer": 4}).json()
    assert plan["machine"] == "ender"
    assert "G28XY" in plan["preamble"]
    promise = plan["promise"]
    assert plan["planned_s"] / 2 < promise["p50_s"] < promise["p90_s"] < plan["planned_s"] * 3
    assert promise["runs"] == 0
    other = {"layer": 5, "stream_sha256": plan["stream_sha256"]}
    answer = mia.api("POST", f"{path}/resume", json=other)
    assert answer.status_code == 409
    assert "resume-changed" in answer.text
    same = {"layer": 4, "stream_sha256": plan["stream_sha256"]}
    assert mia.api("POST", f"{path}/resume", json=same).json()["job"]["state"] == "waiting"


def test_a_height_that_is_no_number_is_refused(browse, interrupted):
    path = f"/jobs/{interrupted}/resume"
    assert browse("mia").post(path, {"line": "25", "height_mm": "nan"}).status_code == 422
    assert browse("mia").post(path, {"line": "-1"}).status_code == 422
