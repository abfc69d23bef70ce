"""Uses, power and beams on pages and in the API, without JavaScript."""

from __future__ import annotations

import pytest

from jobs.store.power import MachineUse
from tests.there import stand_at
from tests.web.conftest import add_beams


@pytest.fixture
def beams(lab):
    add_beams(lab)
    return lab


def test_every_page_of_them_is_shown_to_everybody(beams, browse, read):
    for login in ("ada", "mia", "gus"):
        browser = browse(login)
        for path in ("cutter", "cutter/here", "glower", "lathe", "grinder", "ender/here"):
            answer = browser.get(f"/machines/{path}")
            assert answer.status_code == 200, (login, path, answer.text[-2000:])
    assert "340 W" in read(browse("mia").get("/machines/lathe").text)


def test_one_large_button_says_that_its_person_is_there(beams, browse, read):
    mia = browse("mia")
    stand_at(beams.services, beams.people["otto"], "cutter", beams.now)
    page = browse("otto").get("/machines/cutter/here").text
    assert "huge" in page
    assert "Say within 0:42 that you are here." in read(page)
    assert 'data-alarm="yes"' in page  # less than a minute is left
    assert 'http-equiv="refresh"' in page  # and without JavaScript it is asked anew
    assert "huge" not in mia.get("/machines/cutter/here").text  # it is not hers
    otto = browse("otto")
    answer = otto.post("/machines/cutter/present", {"back": "here"})
    assert answer.status_code == 409  # another browser of his: that one has proved nothing
    assert ("present Otto", "cutter") not in beams.gateway.calls


def test_a_program_with_a_key_is_at_no_machine(beams, browse):
    _, secret = beams.services.people.make_api_key(beams.people["mia"], "robot", beams.now)
    nobody = browse()
    key = {"Authorization": f"Bearer {secret}", "X-Api-Key": secret}
    for path in ("cutter/present", "grinder/use", "glower/no-fire"):
        answer = nobody.http.post(f"/api/v1/machines/{path}", headers=key, json={})
        assert answer.status_code == 409, (path, answer.text)
        assert "key-not-present" in answer.text or "fire-watch" in answer.text


def test_a_use_is_ended_on_the_page_and_its_reasons_are_said(beams, browse, read):
    mia = browse("mia")
    page = read(mia.get("/machines/lathe").text)
    assert "End my use" in page
    answer = browse("gus").post("/machines/lathe/use/end")
    assert answer.status_code == 409
    assert mia.post("/machines/lathe/use/end").status_code == 303
    with beams.workshop.database.read() as session:
        ended = [row.end_reason for row in session.query(MachineUse)]
    assert sorted(ended) == ["person", "person"]
    state = mia.api("GET", "/machines/lathe/use").json()
    assert state["use"] is None
    assert [one["reason"] for one in state["reasons"]] == ["not-present"]
    assert "Find the display" in page or state["reasons"][0]["detail"]


def test_an_operators_override_needs_a_reason(beams, browse):
    otto = browse("otto")
    answer = otto.api("POST", "/machines/grinder/override", json={"on": False, "why": ""})
    assert answer.status_code == 422
    answer = otto.api("POST", "/machines/grinder/override", json={"on": False, "why": "It smells"})
    assert answer.status_code == 204
    assert beams.gateway.calls[-1] == ("power False Otto", "grinder")
    answer = browse("mia").api("POST", "/machines/grinder/override", json={"on": True, "why": "x"})
    assert answer.status_code == 403


def test_a_stop_reaches_a_machine_that_hangs_on_a_plug_alone(beams, browse):
    page = browse("mia").get("/stop").text
    assert "/machines/lathe/stop" in page
    assert "/machines/saw/stop" not in page
    browse("mia").api("POST", "/machines/lathe/stop")
    assert beams.gateway.calls[-1] == ("stop", "lathe")


@pytest.mark.parametrize(
    ("key", "value", "status"),
    [
        ("presence_min", 3, 201),
        ("presence_min", 60, 422),
        ("presence_min", 0.1, 422),
        ("fire_watch_min", 61, 422),
        ("cool_down_c", 10, 422),
        ("busy_w", 20, 201),
        ("interlocks", ["door", "gpiochip:/dev/gpiochip0/17=0"], 201),
        ("interlocks", ["lid"], 422),
        ("interlocks", ["tasmota:8.8.8.8>20"], 422),
        ("interlocks", "door", 422),
    ],
)
def test_what_watches_a_beam_has_bounds(lab, browse, key, value, status):
    laser = {"slug": "l", "kind": "laser", "profile": "grbl-1.1", "port": "/dev/l"}
    wish = laser | {"envelope_mm": [300, 200, 60], key: value}
    answer = browse("ada").api("POST", "/machines", json=wish)
    assert answer.status_code == status, answer.text
    if status == 422:
        assert answer.json()["field"] == key


@pytest.mark.parametrize(
    ("plug", "status"),
    [
        ("tasmota-mqtt:saw", 201),
        ("shelly-mqtt:saw/1", 201),
        ("tasmota:192.168.1.9", 201),
        ("tasmota-mqtt:../saw", 422),
        ("tasmota:8.8.8.8", 422),
    ],
)
def test_the_mains_of_any_machine_may_hang_on_a_plug_of_this_house(lab, browse, plug, status):
    wish = {"slug": "s", "kind": "saw", "control": "none", "mains_switch": "plug"}
    answer = browse("ada").api("POST", "/machines", json=wish | {"mains_plug": plug})
    assert answer.status_code == status, answer.text
    bad = wish | {"spindle_switch": "plug", "spindle_plug": plug, "slug": "t"}
    assert browse("ada").api("POST", "/machines", json=bad).status_code == 422
