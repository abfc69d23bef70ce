"""Care of machines on the pages and in the API: clearing, faults, contests, lists, the QR page."""

from __future__ import annotations

import io
import os
import re
from datetime import UTC, date, datetime, timedelta

import pytest
from PIL import Image

from jobs.domain.care import Moment
from jobs.services.photos import photo_folder
from tests.web.conftest import run_one_job


@pytest.fixture
def done(lab):
    """(job, run) of Mia's that has finished on the old printer."""
    run_one_job(lab)
    job = lab.jobs["done"]
    return job, lab.services.queue.get(job, lab.now, lab.people["mia"]).attempts[0].id


def photo() -> io.BytesIO:
    data = io.BytesIO()
    Image.new("RGB", (64, 48), "red").save(data, "PNG")
    data.seek(0)
    return data


def test_clearing_takes_three_taps_on_a_phone(browse, lab, done, read):
    otto, mia = browse("otto"), browse("mia")
    assert "/machines/old-printer/clear" in otto.get("/machines/old-printer").text
    asked = read(otto.get("/machines/old-printer/clear").text)
    assert "Mia" in asked
    answer = otto.http.post(
        "/machines/old-printer/clear",
        data={"csrf": otto.csrf, "outcome": "good", "shelf": "B 3"},
        files={"photo": ("p.png", photo(), "image/png")},
    )
    assert answer.headers["location"] == "/machines/old-printer?said=cleared"
    assert "B 3" in read(mia.get("/notices").text)
    (said,) = lab.services.clearing.of_job(done[0])
    shown = mia.get(f"/clearings/{said.id}/photo")
    assert shown.headers["content-type"] == "image/jpeg"


def test_a_failure_without_a_cause_keeps_what_was_typed(browse, done, read):
    otto = browse("otto")
    answer = otto.post("/machines/old-printer/clear", {"outcome": "failed", "shelf": "C 9"})
    assert answer.status_code == 422
    assert "Say why it failed" in read(answer.text)
    assert 'value="C 9"' in answer.text
    wish = {"outcome": "failed", "cause": "warped"}
    assert otto.api("POST", "/machines/old-printer/clearing", json=wish).status_code == 201


def test_a_result_is_contested_from_the_jobs_page_and_decided_by_another(browse, done):
    mia, otto = browse("mia"), browse("otto")
    about = f"attempt:{done[1]}"
    assert f"/contests?about={about}" in mia.get(f"/jobs/{done[0]}").text
    assert mia.post("/contests", {"about": about, "note": "It was good"}).status_code == 303
    again = mia.api("POST", "/contests", json={"about": about, "note": "It was"})
    assert again.json()["reasons"][0]["reason"] == "contested"
    (open_one,) = otto.api("GET", "/contests").json()
    assert open_one["may_decide"]
    path = f"/contests/{open_one['id']}/decide"
    assert mia.post(path, {"decision": "upheld", "reason": "x"}).status_code == 403
    assert otto.post(path, {"decision": "upheld", "reason": "Looked at it"}).status_code == 303
    assert mia.api("GET", "/contests").json()[0]["state"] == "upheld"


def test_a_fault_closes_the_machine_and_shows_itself_until_it_is_mended(browse, lab, read):
    mia, otto = browse("mia"), browse("otto")
    answer = mia.http.post(
        "/machines/prusa/fault",
        data={"csrf": mia.csrf, "severity": "danger", "text": "It smells burnt"},
        files={"photo": ("p.png", photo(), "image/png")},
    )
    assert answer.status_code == 303
    assert "Dangerous: It smells burnt" in read(otto.get("/machines/prusa").text)
    assert lab.services.machines.get("prusa", lab.now, None).state.value == "maintenance"
    (fault,) = otto.api("GET", "/faults").json()
    assert otto.get(f"/faults/{fault['id']}/photo").status_code == 200
    assert otto.post(f"/faults/{fault['id']}/mend", {"resolution": "New cable"}).status_code == 303
    assert "Dangerous: It smells burnt" not in read(mia.get("/machines/prusa").text)
    assert "New cable" in read(mia.get("/machines/prusa/history").text)


def test_a_photo_of_a_near_miss_is_shown_to_admins_alone_and_goes_in_time(browse, lab, read):
    mia, otto, ada = browse("mia"), browse("otto"), browse("ada")
    told = {"csrf": mia.csrf, "text": "A cable lay across the door", "unnamed": "yes"}
    files = {"photo": ("p.png", photo(), "image/png")}
    assert mia.http.post("/near-misses", data=told, files=files).status_code == 303
    (one,) = ada.api("GET", "/near-misses").json()
    assert (one["has_photo"], one["person_name"]) == (True, "")
    place = f"/near-misses/{one['id']}/photo"
    assert f'src="{place}"' in ada.get("/near-misses").text
    assert ada.get(place).headers["content-type"] == "image/jpeg"
    path = photo_folder(lab.workshop)
    assert [who.get(place).status_code for who in (mia, otto)] == [403, 403]
    wrong = {"photo": ("p.png", io.BytesIO(b"no picture"), "image/png")}
    answer = mia.http.post("/near-misses", data=told, files=wrong)
    assert (answer.status_code, "A cable lay across" in answer.text) == (422, True)
    os.utime(*path.glob("*.jpg"), (0, 0))
    lab.services.sweep.tick(lab.now + timedelta(days=91))
    assert list(path.glob("*.jpg")) == []
    assert not lab.services.faults.near_misses(lab.people["ada"])[0].has_photo


def test_what_is_wrong_in_a_form_is_named_and_kept(browse, read):
    mia = browse("mia")
    answer = mia.post("/machines/prusa/fault", {"severity": "awful", "text": "Hm"})
    assert answer.status_code == 422
    assert "Say how bad it is" in read(answer.text)
    assert ">Hm</textarea>" in answer.text
    otto = browse("otto")
    wrong = {"machine": "ender", "name": "Oil", "every_h": "1", "every_m": "1"}
    assert "Give one amount" in read(otto.post("/service", wrong).text)


def test_the_code_of_a_machine_leads_to_its_page(browse, read):
    page = browse("mia").get("/machines/prusa/qr")
    assert "<svg" in page.text
    assert "http://testserver/machines/prusa" in read(page.text)


def test_near_misses_lists_and_counters_by_the_api(browse, lab):
    mia, otto, ada = browse("mia"), browse("otto"), browse("ada")
    told = {"text": "Nearly", "machine": "saw", "unnamed": True}
    assert mia.api("POST", "/near-misses", json=told).status_code == 204
    assert otto.api("GET", "/near-misses").status_code == 403
    (one,) = ada.api("GET", "/near-misses").json()
    assert one["person_name"] == ""
    wish = {"moment": "opening", "items": ["Air on"]}
    assert otto.api("PUT", "/checklists", json=wish).status_code == 204
    (asked,) = mia.api("GET", "/checklists").json()
    answer = {"ticked": [], "note": "no air"}
    path = f"/checklists/{asked['id']}/answers"
    assert mia.api("POST", path, json=answer).status_code == 204
    assert otto.api("GET", "/checklists/answers").json()[0]["missing"] == ["Air on"]
    counter = {"machine": "ender", "name": "Oil", "every_h": 10}
    made = otto.api("POST", "/service", json=counter).json()["id"]
    assert otto.api("POST", f"/service/{made}/done", json={"text": ""}).status_code == 204
    assert otto.api("DELETE", f"/service/{made}").status_code == 204
    assert lab.services.faults.list(lab.people["mia"]) == []


def test_a_lab_says_how_long_it_keeps_photos(browse, read):
    mia, otto = browse("mia"), browse("otto")
    assert "kept for 90 days" in read(mia.get("/machines/prusa/fault").text)
    assert mia.post("/photos", {"days": "7"}).status_code == 403
    assert otto.post("/photos", {"days": "x"}).status_code == 422
    assert otto.post("/photos", {"days": "7"}).status_code == 303
    assert "kept for 7 days" in read(mia.get("/machines/prusa/clear").text)


def test_contested_use_asks_who_decides_what_counts_instead(browse, lab, done, read):
    mia, ada = browse("mia"), browse("ada")
    about = f"use:{done[1]}"
    assert f"/contests?about={about}" in mia.get(f"/jobs/{done[0]}").text
    assert mia.post("/contests", {"about": about, "note": "Half of it"}).status_code == 303
    page = ada.get("/contests").text
    assert "Minutes of the machine" in read(page)
    (one,) = ada.api("GET", "/contests").json()
    wish = {"decision": "upheld", "reason": "Yes", "minutes": "2.5"}
    assert ada.post(f"/contests/{one['id']}/decide", wish).status_code == 303
    assert lab.services.contests.list(lab.people["mia"])[0].state == "upheld"


def test_staff_plan_an_outage_on_the_labs_clock_and_it_shows_on_the_calendar(browse, lab, read):
    otto, mia = browse("otto"), browse("mia")
    wish = {"machine": "prusa", "start": "2026-03-05T09:00", "end": "2026-03-05T11:00"}
    assert mia.post("/outages", wish).status_code == 403
    assert otto.post("/outages", wish | {"note": "New belts"}).status_code == 303
    (day,) = lab.services.bookings.week("prusa", date(2026, 3, 5), None, lab.now)[3:4]
    (out,) = day.allocations
    assert out.interval.start == datetime(2026, 3, 5, 8, tzinfo=UTC)
    assert "New belts" in read(mia.get("/machines/prusa?date=2026-03-05").text)
    backwards = wish | {"end": "2026-03-05T08:00"}
    assert otto.post("/outages", backwards).status_code == 422
    assert otto.post("/outages", wish | {"start": "soon"}).status_code == 422
    whole = {"start": "2026-03-07T08:00:00Z", "end": "2026-03-07T09:00:00Z"}
    closed = otto.api("POST", "/outages", json=whole)
    assert len(closed.json()) == len(lab.services.machines.board(lab.now, None))


def test_a_start_waits_for_the_list_with_one_reason_on_page_and_api(browse, lab, read):
    run_one_job(lab)
    lab.now += timedelta(minutes=1)
    mia, otto = browse("mia"), browse("otto")
    job = lab.jobs["by-hand"]
    wish = {"machine": "old-printer", "moment": "before-use", "items": "Bed clean\nNo smell"}
    assert otto.post("/checklists", wish).status_code == 303
    (asked,) = mia.api("GET", "/checklists?machine=old-printer").json()
    assert (asked["done_at"], asked["items"]) == (None, ["Bed clean", "No smell"])
    for page in (mia.get("/machines/old-printer"), mia.get(f"/jobs/{job}")):
        assert f'href="/checklists/{asked["id"]}"' in page.text
    start = {"machine": "old-printer"}
    refused = mia.api("POST", f"/jobs/{job}/started", json=start)
    assert refused.status_code == 409
    (reason,) = refused.json()["reasons"]
    assert reason["reason"] == "before-use"
    assert reason["ways"][0]["ref"] == asked["id"]
    page = mia.post(f"/jobs/{job}/by-hand", {"what": "started", **start})
    assert page.status_code == 409
    assert reason["detail"] in read(page.text)
    ticks = {"item-0": "yes", "item-1": "yes", "item-99999": "yes", "item-x": "yes"}
    done = mia.post(f"/checklists/{asked['id']}", ticks)
    assert done.headers["location"] == "/machines/old-printer?said=kept"
    assert "Gone through" in read(mia.get("/machines/old-printer").text)
    assert mia.api("POST", f"/jobs/{job}/started", json=start).status_code == 200
    after = "Bed wiped"
    lab.services.checklists.write(
        lab.people["otto"], "old-printer", Moment.AFTER_USE, after, lab.now
    )
    assert after in read(otto.get("/machines/old-printer/clear").text)


def test_who_opens_the_lab_finds_its_list_on_the_front_page(browse, read):
    otto, mia = browse("otto"), browse("mia")
    otto.api("PUT", "/checklists", json={"moment": "opening", "items": ["Air on"]})
    assert "Opening the lab not gone through today" in read(otto.get("/").text)
    assert "Opening the lab" not in read(mia.get("/").text)
    (asked,) = otto.api("GET", "/checklists").json()
    otto.post(f"/checklists/{asked['id']}", {"item-0": "yes"})
    assert re.search("Opening the lab Gone through .*10:07 · Otto", read(otto.get("/").text))


def test_a_machine_that_takes_no_job_shows_both_its_lists(browse, lab, read):
    otto, mia = browse("otto"), browse("mia")
    for moment in ("before-use", "after-use"):
        wish = {"machine": "saw", "moment": moment, "items": ["Guard down"]}
        assert otto.api("PUT", "/checklists", json=wish).status_code == 204
    page = mia.get("/machines/saw")
    for one in mia.api("GET", "/checklists?machine=saw").json():
        assert f'href="/checklists/{one["id"]}"' in page.text
    assert "Go through the list before you use it" in read(page.text)
