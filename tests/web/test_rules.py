"""The rules of the house on pages and in the API, without JavaScript, and everywhere the same."""

from __future__ import annotations

import io
import re
from datetime import timedelta

import pytest

from jobs.domain.people import LabMode
from jobs.domain.rules.values import LAB, SPECS, Scope
from tests.web.conftest import PROGRAM
from web.pages.rules import GROUPS

HOUR = timedelta(hours=1)


def rule(lab, key, value, scope="lab"):
    lab.services.house.set(lab.people["ada"], Scope.read(scope), key, value, "", lab.now)


def body(lab, slug="ender", hours=2, days=0):
    start = lab.now.replace(minute=0) + timedelta(days=days, hours=1)
    end = start + hours * HOUR
    return {"machine": slug, "start": start.isoformat(), "end": end.isoformat()}


def test_every_value_stands_on_the_page_once():
    keys = [key for _, found in GROUPS for key in found]
    assert sorted(keys) == sorted(spec.key for spec in SPECS)


def test_a_booking_is_refused_for_the_same_reasons_by_page_api_and_check(browse, lab, read):
    rule(lab, "longest_min", 60)
    rule(lab, "horizon_days", 1)
    rule(lab, "opening", "Su 10:00-11:00")
    rule(lab, "qualification_needed", True, "kind:fdm")
    mia, wish = browse("mia"), body(lab, days=2)
    asked = mia.api("POST", "/bookings", json=wish)
    assert asked.status_code == 409
    reasons = asked.json()["reasons"]
    assert [one["reason"] for one in reasons] == [
        "not-qualified", "too-long", "too-far-ahead", "closed-then",
    ]  # fmt: skip
    assert mia.api("POST", "/bookings/check", json=wish).json()["reasons"] == reasons
    form = {"start": wish["start"], "length": "120"}
    page = mia.post("/machines/ender/book", form)
    assert page.status_code == 409
    said = read(page.text)
    for one in reasons:
        assert one["detail"] in said
        for way in one["ways"]:
            assert way["way"] == "ask-staff" or way["detail"] in said, way
        assert f"/proposals/new?rule={one['rule']}&amp;machine=ender" in page.text
    assert lab.services.bookings.mine(lab.people["mia"], lab.now) == []


def test_a_start_is_refused_for_the_same_reasons_by_page_api_and_dispatcher(browse, lab, read):
    services, mia = lab.services, lab.people["mia"]
    job = services.queue.submit(
        mia, name="a.gcode", data=io.BytesIO(PROGRAM), machine_slug="ender", now=lab.now
    ).id
    services.preparation.prepare_next(lab.clock)
    rule(lab, "qualification_needed", True, "kind:fdm")
    rule(lab, "people_needed", 2)
    services.dispatch.arm(mia, "ender", lab.now)
    services.dispatch.tick(lab.now)
    assert not lab.gateway.orders  # the dispatcher's "no"
    dispatcher = [one.reason.value for one in services.wondering.start(job, "ender", lab.now)]
    assert dispatcher == ["not-qualified", "needs-others"]
    browser = browse("mia")
    waits = browser.api("GET", f"/jobs/{job}").json()["waits_for"]
    [here] = [one for one in waits if one["machine"] == "ender"]
    assert [one["reason"] for one in here["reasons"]] == dispatcher
    started = browser.api("POST", "/machines/ender/start", json={"job_id": job})
    assert [one["reason"] for one in started.json()["reasons"]] == dispatcher
    said = read(browser.get(f"/jobs/{job}").text)
    for one in here["reasons"]:
        assert one["detail"] in said
    # What staff let pass is passed for the dispatcher too; who must be there must be there.
    otto = browse("otto")
    word = {"machine": "ender", "reason": "taught by hand"}
    assert browser.post(f"/jobs/{job}/let-start", word).status_code == 403
    assert f'action="/jobs/{job}/let-start"' in otto.get(f"/jobs/{job}").text
    otto.post(f"/jobs/{job}/let-start", word)
    left = [one.reason.value for one in services.wondering.start(job, "ender", lab.now)]
    assert left == ["needs-others"]
    services.house.unset(lab.people["ada"], LAB, "people_needed", "", lab.now)
    services.dispatch.tick(lab.now)
    assert len(lab.gateway.orders) == 1
    assert "taught by hand" in read(otto.get("/approvals").text)


def test_everybody_reads_the_rules_and_an_admin_changes_them_on_the_page(browse, lab, read):
    mia, ada = browse("mia"), browse("ada")
    page = mia.get("/rules").text
    assert "A booking is at most 3 days long." in read(page)
    assert 'name="reason"' not in page
    change = {"scope": "lab", "rule": "longest_min", "value": "240", "reason": "crowded"}
    assert mia.post("/rules", change).status_code == 403
    assert ada.post("/rules", change).headers["location"] == "/rules?scope=lab&said=changed"
    said = read(mia.get("/rules").text)
    assert "A booking is at most 4 h long." in said
    assert "Longest booking: from nothing of its own to 4 h crowded" in said
    bad = ada.post("/rules", {**change, "value": "four"})
    assert bad.status_code == 422
    assert "Write a whole number from 5 to 40320." in read(bad.text)
    assert 'value="four"' in bad.text
    ada.post("/rules", {**change, "unset": "1"})
    assert "A booking is at most 3 days long." in read(mia.get("/rules").text)
    assert mia.get("/rules?scope=machine:nowhere").status_code == 404
    assert mia.get("/rules?scope=%3Cscript%3E").status_code == 422


def test_the_api_reads_and_sets_rules(browse, lab):
    ada, mia = browse("ada"), browse("mia")
    put = {"value": "mo-fr 9:00-17:00", "reason": "door"}
    assert mia.api("PUT", "/rules/lab/opening", json=put).status_code == 403
    assert ada.api("PUT", "/rules/lab/opening", json=put).status_code == 204
    found = {
        one["rule"]: one for one in mia.api("GET", "/rules?scope=machine:ender").json()["rules"]
    }
    assert found["opening"]["value"] == "Mo-Fr 09:00-17:00"
    assert (found["opening"]["level"], found["opening"]["own"]) == ("lab", False)
    [change] = mia.api("GET", "/rules/history").json()
    assert (change["old"], change["new"], change["person"]) == ([], ["Mo-Fr 09:00-17:00"], "Ada")
    bad = ada.api("PUT", "/rules/lab/opening", json={"value": "always"})
    assert (bad.status_code, bad.json()["field"]) == (422, "value")
    assert ada.api("PUT", "/rules/lab/opening", json={"unset": True}).status_code == 204
    scopes = mia.api("GET", "/rules/scopes").json()
    assert {"scope": "machine:saw", "name": "Band saw", "own": 0} in scopes


def test_a_proposal_goes_its_way_on_the_pages(browse, lab, read):
    mia, otto, ada = browse("mia"), browse("otto"), browse("ada")
    asked = mia.get("/proposals/new?rule=longest_min&machine=ender")
    assert "A booking is at most 3 days long." in read(asked.text)
    wish = {"rule": "longest_min", "scope": "lab", "value": "5760"}
    empty = mia.post("/proposals", wish)
    assert empty.status_code == 422
    assert 'value="5760"' in empty.text
    made = mia.post("/proposals", {**wish, "why": "My print takes\nfour days."}).headers["location"]
    path = made.partition("?")[0]
    assert browse("gus").post(f"{path}/comment", {"text": "I too"}).status_code == 403
    otto.post(f"{path}/comment", {"text": "<b>Mine</b> too"})
    page = ada.get(path).text
    assert "&lt;b&gt;Mine&lt;/b&gt; too" in page
    assert "4 days" in read(page)
    assert otto.post(f"{path}/decide", {"decision": "accept", "reason": "yes"}).status_code == 403
    decision = {"decision": "accept", "reason": "Try it.", "review_on": "2026-04-01"}
    assert ada.post(f"{path}/decide", {**decision, "review_on": "soon"}).status_code == 422
    assert ada.post(f"{path}/decide", decision).status_code == 303
    assert "accepted" in read(mia.get("/proposals").text)
    assert "A booking is at most 4 days long." in read(mia.get("/rules").text)
    lab.now += timedelta(days=40)
    assert "1 to look at again" in read(browse("ada").get("/rules").text)
    again = browse("ada")
    again.post(f"{path}/reviewed", {"review_on": ""})
    assert "to look at again" not in read(again.get("/rules").text)


def test_a_proposal_goes_its_way_in_the_api(browse, lab):
    mia, ada = browse("mia"), browse("ada")
    wish = {"rule": "gap_min", "scope": "kind:fdm", "value": 30, "why": "No chains, please."}
    made = mia.api("POST", "/proposals", json=wish)
    assert made.status_code == 201
    path = f"/proposals/{made.json()['id']}"
    assert mia.api("POST", f"{path}/comments", json={"text": "Please."}).status_code == 204
    decision = {"accepted": True, "reason": "Good.", "review_on": "2026-05-01"}
    assert mia.api("POST", f"{path}/decision", json=decision).status_code == 403
    assert ada.api("POST", f"{path}/decision", json=decision).status_code == 204
    found = mia.api("GET", path).json()
    assert (found["state"], found["current"], found["review_on"]) == ("accepted", 30, "2026-05-01")
    assert [one["text"] for one in found["comments"]] == ["Please."]
    assert mia.api("DELETE", path).status_code == 409
    assert ada.api("POST", f"{path}/reviewed", json={}).status_code == 204
    assert [one["id"] for one in mia.api("GET", "/proposals").json()] == [found["id"]]


def test_a_question_to_staff_on_the_pages(browse, lab, read):
    rule(lab, "longest_min", 60)
    rule(lab, "approval_needed", True, "machine:saw")
    mia, otto = browse("mia"), browse("otto")
    start = (lab.now.replace(minute=0) + 3 * HOUR).isoformat()
    form = {"start": start, "length": "60"}
    assert mia.post("/machines/saw/book", form).headers["location"] == "/bookings?said=asked"
    refused = mia.post("/machines/ender/book", {"start": start, "length": "120"})
    assert "Ask for an exception" in read(refused.text)
    gus = browse("gus")  # a guest asks a person, not a form
    assert "Ask for an exception" not in gus.post("/machines/ender/book", form).text
    asked = {"start": start, "length": "120", "ask": "1", "why": "a <long> print"}
    assert mia.post("/machines/ender/book", asked).headers["location"].endswith("said=asked")
    assert "staff have not answered yet" in read(mia.get("/bookings").text)
    assert mia.get("/approvals").status_code == 403
    page = otto.get("/approvals").text
    assert "a &lt;long&gt; print" in page
    first, second = re.findall(r'action="(/approvals/[^"]+)"', page)
    assert otto.post(first, {"decision": "decline", "reason": ""}).status_code == 422
    assert otto.post(first, {"decision": "decline", "reason": "come by first"}).status_code == 303
    assert otto.post(second, {"decision": "grant"}).status_code == 303
    assert otto.post(second, {"decision": "grant"}).status_code == 409
    kinds = {one.kind.value for one in lab.services.bookings.mine(lab.people["mia"], lab.now)}
    assert kinds == {"reservation"}
    # An operator lets it pass at once, in writing.
    late = (lab.now.replace(minute=0) + 8 * HOUR).isoformat()
    own = {"start": late, "length": "120"}
    assert "Why this is an exception" in read(otto.post("/machines/ender/book", own).text)
    done = otto.post("/machines/ender/book", {**own, "why": "open day"})
    assert done.headers["location"] == "/bookings?said=booked"
    assert "open day" in read(otto.get("/approvals").text)


def test_a_question_to_staff_in_the_api(browse, lab):
    rule(lab, "longest_min", 60)
    mia, otto = browse("mia"), browse("otto")
    asked = mia.api("POST", "/bookings", json={**body(lab), "ask": True, "why": "long print"})
    assert (asked.status_code, asked.json()["kind"]) == (201, "hold")
    assert mia.api("GET", "/approvals").status_code == 403
    [waiting] = otto.api("GET", "/approvals").json()
    assert (waiting["machine"], waiting["reasons"]) == ("ender", ["too-long"])
    path = f"/approvals/{waiting['id']}"
    assert otto.api("POST", path, json={"granted": True}).status_code == 204
    assert [one["kind"] for one in mia.api("GET", "/bookings").json()] == ["reservation"]
    late = {**body(lab, days=1), "why": "open day"}
    assert otto.api("POST", "/bookings", json=late).json()["kind"] == "reservation"


def test_a_training_from_its_announcement_to_the_machine(browse, lab, read):
    rule(lab, "qualification_needed", True, "kind:mill")
    ada, mia = browse("ada"), browse("mia")
    assert "You are not qualified for it yet." in read(mia.get("/machines/router").text)
    start = (lab.now + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M")
    form = {
        "title": "Router",
        "grants": "kind:mill",
        "start": start,
        "length_min": "90",
        "seats": "1",
    }
    assert mia.post("/trainings", form).status_code == 403
    assert ada.post("/trainings", {**form, "seats": "none"}).status_code == 422
    path = ada.post("/trainings", {**form, "days": "365"}).headers["location"].partition("?")[0]
    assert mia.post(f"{path}/sign-up").headers["location"] == f"{path}?said=signed-up"
    assert browse("otto").post(f"{path}/sign-up").status_code == 409
    assert "Otto" not in mia.get(path).text
    lab.now += timedelta(days=1, hours=2)
    ada, mia = browse("ada"), browse("mia")
    ada.post(f"{path}/attended", {"person": lab.people["mia"].person_id})
    assert "You are qualified for it until 5 Mar 2027" in read(mia.get("/machines/router").text)
    own = f"/people/{lab.people['mia'].person_id}"
    assert "by Ada" in read(mia.get(own).text)
    assert mia.get(f"/people/{lab.people['otto'].person_id}").status_code == 403
    assert mia.get("/machines/router/qualified").status_code == 403
    assert "Mia" in read(ada.get("/machines/router/qualified").text)
    [held] = mia.api("GET", "/qualifications").json()
    assert (held["kind"], held["holds"]) == ("mill", True)
    ada.post(f"/qualifications/{held['id']}/withdraw", {"machine": "router", "why": "broke it"})
    assert mia.api("GET", "/qualifications").json() == []
    ada.post(
        "/machines/router/qualified",
        {"person": lab.people["mia"].person_id, "what": "machine:router", "days": "30"},
    )
    [held] = mia.api("GET", "/qualifications").json()
    assert (held["machine"], held["kind"]) == ("router", "")


def test_trainings_and_qualifications_in_the_api(browse, lab):
    ada, mia = browse("ada"), browse("mia")
    start = (lab.now + HOUR).isoformat()
    wish = {"title": "Saw", "start": start, "length_min": 60, "seats": 2, "grants": ["machine:saw"]}
    path = f"/trainings/{ada.api('POST', '/trainings', json=wish).json()['id']}"
    assert mia.api("POST", f"{path}/seat").status_code == 204
    assert mia.api("GET", path).json()["people"] == []
    assert [one["person"] for one in ada.api("GET", path).json()["people"]] == ["Mia"]
    assert mia.api("DELETE", f"{path}/seat").status_code == 204
    assert mia.api("GET", "/trainings").json()[0]["free"] == 2
    wish = {"person": lab.people["mia"].person_id, "machine": "saw", "days": 7}
    assert mia.api("POST", "/qualifications", json=wish).status_code == 403
    made = ada.api("POST", "/qualifications", json=wish).json()["id"]
    assert mia.api("GET", "/qualifications").json()[0]["id"] == made
    assert ada.api("GET", "/qualifications?machine=saw").json()[0]["person"] == "Mia"
    assert ada.api("DELETE", f"/qualifications/{made}?why=left").status_code == 204
    assert ada.api("DELETE", path).status_code == 204
    assert mia.api("POST", f"{path}/seat").status_code == 409


@pytest.mark.parametrize(
    "path",
    ["/rules", "/proposals", "/proposals/new?rule=gap_min", "/approvals", "/trainings",
     "/people/me", "/machines/router/qualified", "/api/v1/rules", "/api/v1/trainings"],
)  # fmt: skip
def test_a_node_of_one_person_has_none_of_it(browse, lab, path):
    ada = browse("ada")
    assert '"/rules' in ada.get("/house").text
    lab.services.lab.set_mode(lab.people["ada"], LabMode.ONLY_ME, lab.now)
    assert ada.get(path).status_code == 404
    for shown in ("/", "/house", "/me", "/people", "/machines/router"):
        text = ada.get(shown).text
        for link in (
            '"/rules',
            '"/trainings',
            '"/approvals',
            '"/people/' + lab.people["ada"].person_id + '"',
        ):
            assert link not in text, (shown, link)
