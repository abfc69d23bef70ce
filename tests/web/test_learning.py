"""Trainings with a line, texts that are accepted, and who is in the house: pages and API."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobs.domain.instructions import Sort
from jobs.domain.people import LabMode
from jobs.domain.rules.values import Scope
from jobs.services.at_kiosk import DeviceKind
from tests.web.conftest import Browser
from web.markdown import html_of

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def announce(browser, lab, **more):
    form = {
        "title": "Saw",
        "start": (lab.now + DAY).astimezone(lab.workshop.zone).strftime("%Y-%m-%dT%H:%M"),
        "length_min": "60",
        "seats": "1",
        "grants": "machine:saw",
        "machines": "saw",
    }
    return browser.post("/trainings", {**form, **more})


def test_a_full_training_has_a_line_and_the_page_says_where_one_stands(browse, lab, read):
    ada, mia, otto = browse("ada"), browse("mia"), browse("otto")
    path = announce(ada, lab).headers["location"].partition("?")[0]
    mia.post(f"{path}/sign-up")
    assert "Wait for a seat" in read(otto.get(path).text)
    otto.post(f"{path}/wait")
    assert "You wait for a seat: number 1." in read(otto.get("/trainings").text)
    mia.post(f"{path}/sign-off")
    page = read(otto.get(path).text)
    assert "A seat is kept for you until" in page
    assert "(is asked)" in read(ada.get(path).text)
    otto.post(f"{path}/sign-up")
    assert "Give my seat back" in read(otto.get(path).text)
    one = otto.api("GET", path).json()
    assert (one["mine"], one["machines"], one["lost"], one["trainers"]) == (
        True,
        ["saw"],
        [],
        ["Ada"],
    )
    assert one["grants"] == ["machine:saw"]
    assert mia.api("POST", f"{path}/line").status_code == 204
    assert mia.api("GET", path).json()["place"] == 1


def test_every_conflict_is_told_and_what_was_typed_stays(browse, lab, read):
    mia, ada = browse("mia"), browse("ada")
    start = lab.now + DAY
    body = {"machine": "saw", "start": start.isoformat(), "end": (start + HOUR).isoformat()}
    assert mia.api("POST", "/bookings", json=body).status_code == 201
    answer = announce(ada, lab, note="Bring goggles")
    assert answer.status_code == 409
    page = read(answer.text)
    assert "is taken from" in page
    assert "Mia" not in page.partition("Announce a training")[0]
    assert 'value="Bring goggles"' in answer.text
    assert 'value="saw" checked' in answer.text
    assert "No training is announced" in page
    wish = {
        "title": "Saw",
        "start": start.isoformat(),
        "length_min": 60,
        "seats": 2,
        "grants": ["machine:saw"],
        "machines": ["saw"],
    }
    problem = ada.api("POST", "/trainings", json=wish).json()
    assert [one["reason"] for one in problem["reasons"]] == ["training-conflict"]
    weeks = ada.api("POST", "/trainings", json={**wish, "weeks": 2, "skip_conflicts": True})
    assert weeks.status_code == 201
    assert announce(ada, lab, grants="").status_code == 422
    assert announce(ada, lab, minimum="9").status_code == 422


def test_who_is_refused_takes_the_free_seat_by_one_tap(browse, lab, read):
    ada, mia = browse("ada"), browse("mia")
    lab.services.house.set(
        lab.people["ada"], Scope.read("kind:mill"), "qualification_needed", True, "", lab.now
    )
    form = {"grants": "kind:mill", "machines": ""}
    path = announce(ada, lab, **form).headers["location"].partition("?")[0]
    at = (lab.now + 2 * DAY).strftime("%Y-%m-%dT%H:%M")
    answer = mia.post("/machines/router/book", {"start": at, "length": "60"})
    assert answer.status_code == 409
    assert f'action="{path}/sign-up"' in answer.text
    assert "Take the free seat" in read(answer.text)
    assert mia.post(f"{path}/sign-up").headers["location"] == f"{path}?said=signed-up"


def test_a_withdrawal_asks_why_and_the_past_is_shown(browse, lab, read):
    ada, mia = browse("ada"), browse("mia")
    person = lab.people["mia"].person_id
    made = lab.services.qualifications.grant(
        lab.people["ada"], person, slug="router", days=None, now=lab.now
    )
    answer = ada.post(f"/qualifications/{made}/withdraw", {"person": person})
    assert answer.status_code == 422
    assert "Say why" in read(answer.text)
    ada.post(f"/qualifications/{made}/withdraw", {"person": person, "why": "left it running"})
    page = read(mia.get(f"/people/{person}").text)
    assert "Earlier" in page
    assert "left it running" in page
    [one] = mia.api("GET", "/qualifications?ended=true").json()
    assert (one["ended_how"], one["ended_by"], one["ended_why"]) == (
        "withdrawn",
        "Ada",
        "left it running",
    )


def test_a_text_is_read_accepted_and_read_again_when_it_changes(browse, lab, read):
    otto, mia = browse("otto"), browse("mia")
    path = "/instructions/machine:saw/risks"
    text = "# Saw\n\n- goggles\n- <script>alert(1)</script>\n\n[x](javascript:alert(1)) ![](/x)"
    form = {"text": text, "must_accept": "yes", "note": ""}
    assert mia.post(path, form).status_code == 403
    assert mia.get(f"{path}/edit").status_code == 403
    assert otto.post(path, form).headers["location"] == f"{path}?said=changed"
    page = mia.get(path).text
    assert "<h2>Saw</h2>" in page
    assert "<script>alert" not in page
    assert 'href="javascript' not in page
    assert '<img src="/x"' not in page
    assert "read and accept" in read(mia.get("/machines/saw").text)
    sha = mia.api("GET", path).json()["sha256"]
    assert "I, Mia, have read this and keep to it" in read(page)
    assert mia.post(f"{path}/accept", {"sha256": "0" * 64}).status_code == 409
    assert mia.post(f"{path}/accept", {"sha256": sha}).headers["location"] == (
        f"{path}?said=accepted"
    )
    assert "read and accept" not in read(mia.get("/machines/saw").text)
    assert "Mia accepted it on" in read(mia.get(path).text)
    otto.post(path, {**form, "text": text.replace("goggles", "hood"), "note": "better"})
    page = mia.get(path).text
    assert "What has changed since version 1" in read(page)
    assert "<del" in page
    assert "New: - hood" in read(page)
    assert "must be accepted again" in read(otto.get(path).text)
    assert "no longer holds" in read(mia.get(f"{path}?version=1").text)
    assert mia.get(f"{path}?version=7").status_code == 404
    assert mia.get("/instructions/machine:saw/nothing").status_code == 404
    assert mia.get("/instructions/nowhere/risks").status_code == 422
    assert otto.post(path, {**form, "text": "x" * 40_001}).status_code == 422
    body = {"text": "", "must_accept": True}
    assert otto.api("PUT", path, json=body).status_code == 204
    assert mia.api("GET", "/instructions").json() == []
    assert mia.api("POST", f"{path}/accepted", json={"sha256": sha}).status_code == 404


def test_a_start_says_where_to_accept_what_is_written(browse, lab, read):
    services, otto, mia = lab.services, lab.people["otto"], browse("mia")
    services.instructions.write(
        otto, Scope.read("kind:fdm"), Sort.RISKS, "Hot.", "", lab.now, must_accept=True
    )
    assert 'href="/instructions/kind:fdm/risks"' in mia.get("/machines/ender").text
    [one] = mia.api("GET", "/instructions?machine=ender").json()
    assert (one["scope"], one["accepted"]) == ("kind:fdm", False)


@pytest.mark.parametrize(
    "text",
    [
        '<img src=x onerror="alert(1)">',
        "[a](data:text/html,<script>)",
        "[a](vbscript:x)",
        "![a](javascript:x)",
        "<a href='javascript:x'>a</a>",
        "<!-- --><svg/onload=x>",
        "&lt;script&gt;",
        "[" * 3000,
        "> " * 3000,
        "*" * 3000,
        "| a |\n|---|\n| <b> |",
    ],
)
def test_what_people_write_is_text_whatever_they_write(text):
    html = html_of(text)
    for tag in ("<img", "<script", "<svg", '<a href="javascript', '<a href="data', "<b>", "<!--"):
        assert tag not in html


def test_who_is_in_is_shown_as_far_as_one_may_know(browse, lab, read):
    mia, otto, gus = browse("mia"), browse("otto"), browse("gus")
    assert mia.post("/house/in/come").headers["location"] == "/house/in?said=came-in"
    assert mia.post("/house/in/visitor", {"name": "Kim", "minor": "1"}).status_code == 303
    assert mia.post("/house/in/visitor", {"name": ""}).status_code == 422
    page = read(gus.get("/house/in").text)
    assert "In the house: 2" in page
    assert "Kim" not in page
    assert "Mia" not in page.partition("last change")[2]
    assert "Kim" in read(otto.get("/house/in").text)
    assert gus.post("/house/in/visitor", {"name": "Jo"}).status_code == 403
    person = {"person": lab.people["gus"].person_id}
    assert mia.post("/house/in/come", person).status_code == 403
    assert otto.post("/house/in/come", person).status_code == 303
    seen = otto.api("GET", "/house/in").json()
    assert (seen["count"], seen["visitors"], seen["minors"]) == (3, 1, 1)
    assert [one["name"] for one in seen["present"]] == ["Gus", "Kim", "Mia"]
    visit = next(one["visit"] for one in seen["present"] if not one["person"])
    assert mia.api("DELETE", f"/house/visitors/{visit}").status_code == 204
    assert mia.api("DELETE", "/house/in").status_code == 204
    made = mia.api("POST", "/house/visitors", json={"name": "Jo", "is_minor": False})
    assert made.status_code == 201
    assert gus.api("POST", "/house/in", json={}).status_code == 201  # is in already
    assert [one["name"] for one in gus.api("GET", "/house/in").json()["present"]] == ["Gus"]
    lab.now += 12 * HOUR
    lab.services.visits.tick(lab.now)
    page = read(browse("otto").get("/house/in").text)
    assert "In the house: 0" in page
    assert "Nobody said that these people left" in page
    assert "Jo" in page
    choices = {"longest_h": "8", "kept_days": "7", "display_names": "1"}
    assert browse("otto").post("/house/in/choices", choices).status_code == 403
    ada = browse("ada")
    assert ada.post("/house/in/choices", {**choices, "longest_h": "99"}).status_code == 422
    assert ada.post("/house/in/choices", choices).status_code == 303
    assert "after 8 hours" in read(ada.get("/house/in").text)


def test_a_display_on_the_wall_counts_and_names_adults_where_the_lab_chose_so(lab, read):
    ada, mia = lab.people["ada"], lab.people["mia"]
    lab.services.visits.check_in(mia, lab.now)
    lab.services.visits.visitor_in(mia, "Kim", lab.now, is_minor=True)
    _, code = lab.services.devices.make(ada, DeviceKind.WALL, "Wall", [], lab.now)
    browser = Browser(lab, lab.app())
    browser.http.post("/display/pair", data={"code": code})
    page = read(browser.http.get("/display").text)
    assert "In the house: 2" in page
    assert "minors: 1" in page
    assert "Mia" not in page
    lab.services.visits.choose(ada, {"display_names": True})
    page = read(browser.http.get("/display").text)
    assert "Mia" in page
    assert "Kim" not in page


@pytest.mark.parametrize("path", ["/house/in", "/instructions", "/api/v1/house/in"])
def test_a_house_of_one_person_has_none_of_it(browse, lab, path):
    lab.services.lab.set_mode(lab.people["ada"], LabMode.ONLY_ME, lab.now)
    assert browse("ada").get(path).status_code == 404
    assert 'href="/house/in"' not in browse("ada").get("/house").text
