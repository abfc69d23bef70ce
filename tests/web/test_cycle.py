"""The start checklist of a mill on its page and over the API."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest

from jobs.services.live import LiveWatch
from jobs.services.workshop import LiveOffsets

MILLED = b"G21 G90 G94\n(T3 - ball nose)\nT3\nM3 S8000\nG1 X10 Y10 F300\nM5\nM30\n"
REACH = {"X": (-300.0, 0.0), "Y": (-400.0, 0.0), "Z": (-80.0, 0.0)}


def told(zero=(-250.0, -350.0, -40.0)):
    offsets = {"G54": zero, "G92": (0.0, 0.0, 0.0), "TLO": (0.0,)}
    return LiveOffsets(offsets, ("G54",), REACH, homed=True, can_home=True)


@pytest.fixture
def job(lab) -> str:
    lab.gateway.told = told()
    made = lab.services.queue.submit(
        lab.people["mia"],
        name="pocket.nc",
        data=io.BytesIO(MILLED),
        machine_slug="router",
        now=lab.now,
    )
    lab.services.preparation.prepare_next(lambda: lab.now)
    return made.id


def test_a_person_ticks_the_list_and_starts(browse, lab, read, job):
    mia = browse("mia").stand_at("router")
    path = f"/machines/router/cycle?job={job}"
    assert path.replace("&", "&amp;") in mia.get("/machines/router").text
    page = read(mia.get(path).text)
    assert "T3 ball nose" in page
    assert "The machine is homed." in page
    half = mia.post("/machines/router/cycle", {"job": job, "stock": "yes", "tool": "yes"})
    assert half.status_code == 409
    assert half.text.count("Not confirmed") == 2
    assert 'name="stock" value="yes" checked' in half.text
    ticks = dict.fromkeys(("stock", "tool", "offset", "extraction"), "yes")
    answer = mia.post("/machines/router/cycle", {"job": job, **ticks})
    assert answer.headers["location"] == "/machines/router?said=started"
    assert lab.gateway.calls[-1] == ("start", "router")


def test_without_the_list_a_mill_does_not_start(browse, lab, job):
    mia = browse("mia")
    mia.post("/machines/router/arm")
    assert mia.post("/machines/router/start", {"job": job}).status_code == 409
    assert mia.api("POST", "/machines/router/start", json={"job_id": job}).status_code == 409
    assert ("start", "router") not in lab.gateway.calls


def test_the_outline_moves_only_if_the_way_is_said_to_be_free(browse, lab, job):
    mia = browse("mia").stand_at("router")
    assert mia.post("/machines/router/cycle/trace", {"job": job}).status_code == 409
    assert not [verb for verb, _ in lab.gateway.calls if verb.startswith("trace")]
    answer = mia.post("/machines/router/cycle/trace", {"job": job, "free": "yes"})
    assert answer.status_code == 303
    assert [verb for verb, _ in lab.gateway.calls if verb.startswith("trace")]


def test_the_api_says_what_speaks_against_it_now(browse, lab, job):
    lab.gateway.told = told((-5.0, -350.0, -40.0))
    mia = browse("mia").stand_at("router")
    check = mia.api("GET", f"/machines/router/start-check?job_id={job}").json()
    assert [one["reason"] for one in check["reasons"]] == ["outside-now"]
    everything = ["stock", "tool", "offset", "extraction"]
    wish = {"job_id": job, "confirmed": everything}
    answer = mia.api("POST", "/machines/router/start", json=wish)
    assert answer.status_code == 409
    assert [one["reason"] for one in answer.json()["reasons"]] == ["outside-now"]


def test_a_laser_is_asked_for_its_own_things_and_speaks_of_a_beam(browse, lab, read):
    otto = browse("otto").stand_at("router")
    given = {"name": "Router", "kind": "laser", "control": "serial", "profile": "grbl-1.1"}
    assert otto.post("/machines/router/edit", given | {"port": "/dev/router"}).status_code == 303
    live = lab.workshop.live.get("router")
    lit = replace(live, laser=True, spindle_on=True, controller="Run", overrides={"spindle": 90})
    lab.workshop.live.put("router", lit)
    lab.gateway.told = told()
    made = lab.services.queue.submit(
        lab.people["mia"],
        name="sign.nc",
        data=io.BytesIO(b"G21 G90 G94\nM4 S500\nG1 X10 Y10 F300\nM5\nM30\n"),
        machine_slug="router",
        now=lab.now,
    )
    lab.services.preparation.prepare_next(lambda: lab.now)
    otto.post(f"/jobs/{made.id}/asks", {"material-0": "birch"})
    page = read(otto.get("/machines/router").text)
    assert "Beam on" in page
    assert "Beam power" in page
    assert "Full power of the beam S12,000" in page
    for word in ("Spindle turning", "Spindle speed", "Fastest spindle"):
        assert word not in page
    lab.workshop.live.put("router", replace(live, laser=True, watch=LiveWatch(every_s=300.0)))
    check = otto.get(f"/machines/router/cycle?job={made.id}").text
    assert re.findall(r'type="checkbox" name="([a-z]+)"', check) == [
        *("free", "material", "air", "lid", "offset")
    ]
    assert "The beam stays off." in check
    ticks = dict.fromkeys(("material", "air", "lid", "offset"), "yes")
    answer = otto.post("/machines/router/cycle", {"job": made.id, **ticks})
    assert answer.headers["location"] == "/machines/router?said=started"
