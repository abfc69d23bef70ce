"""The control panel: only what is legal, by forms alone, and every "no" a sentence."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from drivers.acts import Act, Order


def buttons(page: str) -> dict[str, bool]:
    """Return each button of the panel by its id, and whether it can be pressed."""
    panel = page.partition('id="hand"')[2]
    found = re.findall(r'<button[^>]*id="(hand-[^"]*)"([^>]*)>', panel)
    return {name: "disabled" not in rest for name, rest in found}


def test_a_jog_by_form_reaches_the_machine_and_keeps_step_and_feed(browse, lab):
    mia = browse("mia").stand_at("router")
    given = {"way": "X-", "step": "10", "feed": "1200"}
    answer = mia.post("/machines/router/hand", given)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/machines/router?step=10&feed=1200#hand"
    order = Order(Act.JOG, axes={"X": -10.0}, feedrate=20.0)
    assert lab.gateway.acts == [("router", order, "Mia")]
    page = mia.get("/machines/router?step=10&feed=1200").text
    assert re.search(r'value="10"[^>]*checked', page)
    assert 'value="1200"' in page


def test_the_button_in_the_middle_of_the_pad_ends_the_jog(browse, lab):
    live = lab.workshop.live.get("router")
    lab.workshop.live.put("router", replace(live, controller="Jog", acts=("jog", "jog-cancel")))
    mia = browse("mia").stand_at("router")
    assert buttons(mia.get("/machines/router").text)["hand-way-end"]
    given = {"act": "jog-cancel", "step": "10", "feed": "1200"}
    assert mia.post("/machines/router/hand", given).status_code == 303
    assert lab.gateway.acts[-1][1] == Order(Act.JOG_CANCEL)


@pytest.mark.parametrize(
    ("given", "order"),
    [
        ({"act": "rapid", "percent": "25"}, Order(Act.RAPID, percent=25)),
        ({"act": "feed", "by": "10"}, Order(Act.FEED, percent=110)),
        ({"act": "home"}, Order(Act.HOME)),
        ({"act": "zero", "axes": "XY"}, Order(Act.ZERO, axes={"X": 0.0, "Y": 0.0})),
        (
            {"act": "heat", "heater": "bed", "target_c": "60"},
            Order(Act.HEAT, heater="bed", target=60.0),
        ),
    ],
)
def test_each_form_becomes_its_order(browse, lab, given, order):
    assert browse("mia").post("/machines/ender/hand", given).status_code == 303
    assert lab.gateway.acts[-1][1] == order


def test_only_what_is_legal_now_can_be_pressed(browse, lab):
    live = lab.workshop.live.get("router")
    lab.workshop.live.put("router", replace(live, controller="Hold:0", acts=("reset", "resume")))
    shown = buttons(browse("mia").stand_at("router").get("/machines/router").text)
    assert shown["hand-resume-"]
    assert shown["hand-reset-"]
    assert not shown["hand-home-"]
    assert not shown["hand-way-1"]


@pytest.mark.parametrize(
    ("state", "query", "is_open"),
    [
        ({}, "", False),
        ({}, "?hand=open", True),
        ({}, "?step=10", True),
        ({"acts": ("unlock",)}, "", True),
        ({"acts": ("jog-cancel",)}, "", True),
        ({"acts": ("resume", "reset")}, "", True),
        ({"step": "tool-change"}, "", True),
    ],
)
def test_the_panel_is_folded_until_something_is_only_done_there(browse, lab, state, query, is_open):
    live = lab.workshop.live.get("router")
    lab.workshop.live.put("router", replace(live, **state))
    page = browse("mia").stand_at("router").get(f"/machines/router{query}").text
    fold = re.search(r'<details[^>]*id="by-hand"([^>]*)>', page)[1]
    assert fold.rstrip().endswith("open") == is_open


def test_what_was_done_by_hand_leaves_the_panel_open_without_javascript(browse, lab):
    answer = browse("mia").stand_at("router").post("/machines/router/hand", {"act": "home"})
    assert answer.headers["location"] == "/machines/router?hand=open#hand"


def test_a_refusal_is_a_sentence_in_the_panel_with_and_without_htmx(browse, lab, read):
    lab.gateway.refuses[("act", "router")] = "host.out_of_reach"
    mia = browse("mia").stand_at("router")
    given = {"act": "jog", "way": "Z+", "step": "1", "feed": "600"}
    plain = mia.post("/machines/router/hand", given)
    assert plain.status_code == 503
    swapped = mia.post("/machines/router/hand", given, headers={"HX-Request": "true"})
    assert swapped.status_code == 200
    for answer in (plain, swapped):
        assert "The machine cannot reach that place." in read(answer.text)


def test_what_was_done_is_listed_with_the_name(browse, lab, read):
    browse("mia").stand_at("router").post(
        "/machines/router/hand", {"act": "spindle", "percent": "90"}
    )
    assert "Mia Spindle speed 90 %" in read(browse("otto").get("/machines/router").text)


def test_a_person_who_may_not_move_it_reads_why_and_has_no_pad(browse, lab, day, read):
    gus = browse("gus")
    page = gus.get("/machines/router").text
    assert "You may look, but not move this machine now." in read(page)
    assert "hand-way-1" not in page


@pytest.mark.parametrize("bad", [{"act": "jog", "way": "X+", "step": "x"}, {"act": "fly"}, {}])
def test_a_form_that_makes_no_sense_is_answered_with_a_sentence(browse, lab, bad, read):
    answer = browse("mia").post("/machines/router/hand", bad)
    assert answer.status_code == 422
    assert "Traceback" not in answer.text
    assert not lab.gateway.acts


def test_the_api_acts_and_tells_what_is_possible(browse, lab):
    mia = browse("mia").stand_at("router")
    seen = mia.api("GET", "/machines/router/acts").json()
    assert "jog" in seen["acts"]
    assert seen["reasons"] == []
    wish = {"act": "jog", "axes_mm": {"X": 2}, "feedrate_mm_s": 10}
    answer = mia.api("POST", "/machines/router/act", json=wish)
    assert answer.status_code == 200, answer.text
    assert answer.json()["overrides_percent"] == {"feed": 100, "rapid": 50, "spindle": 90}
    assert lab.gateway.acts[-1][1] == Order(Act.JOG, axes={"X": 2.0}, feedrate=10.0)
    assert mia.api("GET", "/machines/router/acts").json()["done"][0]["person_name"] == "Mia"
    wrong = mia.api("POST", "/machines/router/act", json={"act": "feed", "percent": 900})
    assert (wrong.status_code, wrong.json()["field"]) == (422, "percent")


def test_a_stranger_has_nothing_done(lab, browse):
    answer = browse().http.post("/machines/router/hand", data={"act": "home"})
    assert answer.status_code in (303, 401, 403)
    assert not lab.gateway.acts


# How parts are switched


def test_the_stop_page_says_in_large_type_that_a_spindle_switched_by_hand_still_turns(browse, lab):
    mia = browse("mia")
    sentence = "The spindle still turns after a stop. Switch it off by hand."
    assert mia.get("/stop").text.count(f'<p class="turns">{sentence}</p>') == 1
    stopped = mia.post("/machines/router/stop").text
    alert = stopped.partition('role="alert"')[2].partition("</div>")[0]
    assert sentence in alert
    other = mia.post("/machines/ender/stop").text
    assert sentence not in other.partition('role="alert"')[2].partition("</div>")[0]


def test_an_operator_says_how_parts_are_switched_and_takes_it_back(browse, lab):
    otto = browse("otto")
    page = otto.get("/machines/router/edit").text
    assert re.search(r'<option value="by-hand" selected>', page)
    given = {"name": "Router", "kind": "mill", "control": "serial", "profile": "grbl-1.1"}
    given |= {"port": "/dev/router", "spindle_switch": "", "mains_switch": "plug"}
    assert otto.post("/machines/router/edit", given).status_code == 303
    switches = otto.api("GET", "/machines/router").json()["switches"]
    assert switches == {"mains_switch": "plug"}
    wrong = otto.post("/machines/router/edit", given | {"beam_switch": "magic"})
    assert wrong.status_code == 422


def test_a_machine_file_names_switches_and_a_typo_is_refused(browse, lab):
    otto = browse("otto")
    mill = {"slug": "mill-2", "kind": "mill", "profile": "grbl-1.1", "port": "/dev/m2"}
    mill |= {"envelope_mm": [1, 1, 1], "spindle_switch": "relay"}
    assert otto.api("POST", "/machines", json=mill).status_code == 201
    wrong = otto.api("POST", "/machines", json=mill | {"slug": "x", "spindle_switch": "hand"})
    assert (wrong.status_code, wrong.json()["field"]) == (422, "spindle_switch")


def test_one_axis_can_be_homed_where_the_firmware_says_so(browse, lab):
    mia = browse("mia")
    assert 'value="X"' not in mia.get("/machines/router").text
    live = lab.workshop.live
    live.put("ender", replace(live.get("ender"), told={"homes_axes": True}))
    page = mia.get("/machines/ender").text
    assert re.findall(r">(Home [XYZ])<", page) == ["Home X", "Home Y", "Home Z"]
    mia.post("/machines/ender/hand", {"act": "home", "axes": "Z"})
    assert lab.gateway.acts[-1] == ("ender", Order(Act.HOME, axes={"Z": 0.0}), "Mia")
