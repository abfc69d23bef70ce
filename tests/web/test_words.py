from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from jobs.services.live import LiveState


def show(lab, slug, **values):
    lab.workshop.live.put(slug, replace(lab.workshop.live.get(slug), **values))


def test_a_machines_code_is_said_as_a_sentence_on_every_page(browse, lab, read):
    show(lab, "ender", message="machine.waits_for_person")
    mia = browse("mia")
    for path in ("/", "/machines/ender"):
        page = mia.get(path).text
        assert "The machine waits for a person. Go to it" in read(page)
        assert "machine.waits_for_person" not in read(page)
    machine = mia.api("GET", "/machines/ender").json()
    assert machine["message"] == "machine.waits_for_person"
    assert machine["message_text"].startswith("The machine waits for a person.")


def test_the_fields_of_a_code_are_said_too(browse, lab, read):
    show(lab, "ender", message="port.refused (port=/dev/ender, problem=not allowed, sorry)")
    page = read(browse("mia").get("/").text)
    assert "The port /dev/ender cannot be opened (not allowed, sorry)." in page


@pytest.mark.parametrize(
    "text",
    [
        '<img src=x onerror="alert(1)">',
        "machine.nothing-we-know <script>alert(1)</script>",
        "port.refused (port=<script>alert(1)</script>, problem=</p>)",
        "echo: %(text)s %s %d {{ 7*7 }}",
        "⟦\u202e\0\x1b[2J",
    ],
)
def test_what_a_machine_says_is_text_whatever_it_says(browse, lab, read, text):
    show(lab, "ender", message=text, firmware=text)
    mia = browse("mia")
    for path in ("/", "/machines/ender", "/stop", "/queue"):
        answer = mia.get(path)
        assert answer.status_code == 200
        assert "<img" not in answer.text
        assert "<script>" not in answer.text
        assert "49" not in read(answer.text).partition("fabnode")[0] or "{{" not in text
    page = mia.get("/machines/ender").text
    if "<script>" in text:
        assert "&lt;script&gt;" in page
    if not text.startswith("port."):
        assert "The machine says:" in page
        assert "⟨" not in page


def test_heaters_have_names_and_the_nozzle_comes_first(browse, lab, read):
    heaters = {"B": (60.0, 60.0), "T0": (210.0, 0.0), "T1": (30.0, 0.0), "C": (40.0, 0.0)}
    show(lab, "ender", temperatures={**heaters, "<i>X": (1.0, 0.0)})
    page = browse("mia").get("/machines/ender").text
    said = read(page)
    assert "Nozzle 1 210 °C Nozzle 2 30 °C Bed 60 / 60 °C Chamber 40 °C <i>X 1 °C" in said
    assert "<i>" not in page
    show(lab, "ender", temperatures={"T": (21.0, 0.0), "B": (22.0, 0.0)})
    assert "Nozzle 21 °C Bed 22 °C" in read(browse("mia").get("/").text)


def test_a_mill_says_whether_its_spindle_turns(browse, lab, read):
    mia = browse("mia")
    for path in ("/", "/machines/router"):
        assert "Spindle standing" in read(mia.get(path).text)
    assert "Spindle" not in read(mia.get("/machines/ender").text)
    show(lab, "router", spindle_on=True)
    for path in ("/", "/machines/router"):
        assert "Spindle turning" in read(mia.get(path).text)
    lab.workshop.live.put("router", LiveState())
    assert "Spindle" not in read(mia.get("/").text)


def test_a_machine_worked_by_hand_is_found_ready_by_a_button(browse, lab, read):
    lab.services.machines.set_to_check(lab.people["mia"], "old-printer", lab.now)
    mia = browse("mia")
    page = mia.get("/machines/old-printer").text
    assert "I have looked: it is ready" in page
    assert 'action="/machines/old-printer/checked"' in page
    assert browse("gus").post("/machines/old-printer/checked").status_code == 403
    answer = mia.post("/machines/old-printer/checked")
    assert answer.headers["location"] == "/machines/old-printer?said=checked"
    assert not lab.services.machines.get("old-printer", lab.now, None).to_check
    assert "I have looked" not in mia.get("/machines/old-printer").text
    lab.services.machines.set_to_check(lab.people["mia"], "ender", lab.now)
    assert 'action="/machines/ender/checked"' not in mia.get("/machines/ender").text
    assert mia.api("POST", "/machines/ender/checked").status_code == 409


def test_health_warns_where_the_sandbox_is_weak(browse, lab, read, monkeypatch):
    assert "allows no namespaces" not in read(browse("ada").get("/health").text)
    weak = replace(lab.health(), sandbox_namespaces=False)
    monkeypatch.setattr(lab, "health", lambda: weak)
    from tests.web.conftest import Browser

    with Browser(lab, lab.app()).sign_in("ada").http as http:
        page = http.get("/health").text
    assert "This system allows no namespaces, so files" in read(page)
    assert 'class="notice warn"' in page


def test_what_an_unheard_machine_said_last_is_not_shown_as_now(browse, lab, read):
    mia = browse("mia")
    for path in ("/", "/machines/ender"):
        assert "Nozzle 24 °C" in read(mia.get(path).text)
    lab.workshop.live.offline("ender")
    lab.workshop.live.offline("prusa")
    for path in ("/", "/machines/ender"):
        assert "°C" not in read(mia.get(path).text).partition("About this machine")[0]
    assert "X 1.0" not in read(mia.get("/machines/ender").text)


def test_the_end_of_a_run_names_its_day_only_if_that_is_not_today(lab):
    sentences = lab.app().state.web.renderer.sentences
    assert sentences.ends(lab.now + timedelta(hours=3), lab.now) == "13:07"
    assert sentences.ends(lab.now + timedelta(hours=14), lab.now) == "Thu 5 Mar 00:07"


def test_a_machine_without_a_reach_names_none(browse, read):
    mia = browse("mia")
    assert "Reach" not in read(mia.get("/machines/saw").text)
    assert "Reach 220 × 220 × 250 mm" in read(mia.get("/machines/ender").text)


def test_a_part_that_a_machine_lacks_is_an_empty_field(browse, lab):
    otto = browse("otto")
    page = otto.get("/machines/ender/edit").text
    fields = dict(re.findall(r'name="(\w+)" type="text" value="([^"]*)"', page))
    assert fields["spindle_max_rpm"] == ""
    assert fields["nozzle_max_c"] == "260"
    before = lab.services.machines.get("ender", lab.now, None).limits
    otto.post("/machines/ender/edit", {**fields, "kind": "fdm", "control": "serial"})
    assert lab.services.machines.get("ender", lab.now, None).limits == before
