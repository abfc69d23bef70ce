"""What a machine asks: shown as text whatever it says, answered by who may, and never stale."""

from __future__ import annotations

from dataclasses import replace

import pytest

from jobs.services.live import LivePrompt

HOSTILE = '<img src=x onerror="alert(1)"><script>alert(2)</script>'


def ask(lab, text="Insert filament", choices=("Purge", "Continue"), **values):
    prompt = LivePrompt(7, text, choices)
    state = lab.workshop.live.get("ender")
    lab.workshop.live.put("ender", replace(state, prompt=prompt, **values))


def test_a_prompt_is_shown_with_its_choices_and_answered_by_number(browse, lab, read):
    ask(lab)
    otto = browse("otto")
    page = otto.get("/machines/ender").text
    assert "Insert filament" in read(page)
    assert "Continue" in read(page)
    answer = otto.post("/machines/ender/answer", {"prompt": "7", "choice": "1"})
    assert answer.status_code == 303
    assert lab.gateway.calls[-1] == ("answer 7 1 Otto", "ender")


def test_the_api_tells_and_takes_the_same(browse, lab):
    ask(lab, notice="Layer 3", step="parked")
    otto = browse("otto")
    machine = otto.api("GET", "/machines/ender").json()
    assert machine["prompt"] == {
        "number": 7,
        "text": "Insert filament",
        "choices": ["Purge", "Continue"],
        "commands": [],
    }
    assert machine["notice"] == "Layer 3"
    assert machine["step_text"].startswith("Paused and parked")
    assert otto.api("POST", "/machines/ender/answer", json={"prompt": 7}).status_code == 200
    assert lab.gateway.calls[-1] == ("answer 7 0 Otto", "ender")


def test_a_button_says_what_it_sends(browse, lab, read):
    prompt = LivePrompt(7, "Filament", ("Go on", "Stop"), ("RESUME", "<b>CANCEL_PRINT</b>"))
    state = lab.workshop.live.get("ender")
    lab.workshop.live.put("ender", replace(state, prompt=prompt))
    otto = browse("otto")
    markup = otto.get("/machines/ender").text
    assert "Sends: RESUME" in read(markup)
    assert "Sends: <b>CANCEL_PRINT</b>" in read(markup)
    assert "<b>CANCEL" not in markup
    assert otto.api("GET", "/machines/ender").json()["prompt"]["commands"][0] == "RESUME"


def test_a_prompt_without_words_offers_to_go_on(browse, lab, read):
    ask(lab, "", ())
    page = read(browse("otto").get("/machines/ender").text)
    assert "does not say for what" in page
    assert "Go on" in page


@pytest.mark.parametrize("where", ["text", "choice", "notice"])
def test_what_a_machine_asks_is_text_whatever_it_says(browse, lab, where):
    text = HOSTILE if where == "text" else "x"
    choices = (HOSTILE,) if where == "choice" else ("y",)
    ask(lab, text, choices, notice=HOSTILE if where == "notice" else "")
    page = browse("otto").get("/machines/ender").text
    assert "<img" not in page
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


def test_who_may_not_steer_the_run_may_not_answer_for_it(browse, lab):
    ask(lab)
    mia = browse("mia")
    calls = len(lab.gateway.calls)
    assert mia.post("/machines/ender/answer", {"prompt": "7"}).status_code == 403
    assert len(lab.gateway.calls) == calls


def test_an_answer_that_is_no_number_is_refused(browse, lab):
    ask(lab)
    answer = browse("otto").post("/machines/ender/answer", {"prompt": "7", "choice": "-1"})
    assert answer.status_code == 422


def test_a_tool_change_names_the_tool_and_says_what_comes_next(browse, lab, read):
    state = lab.workshop.live.get("router")
    lab.workshop.live.put("router", replace(state, step="tool-change", tool=2, phase="paused"))
    page = read(browse("otto").get("/machines/router").text)
    assert "Put in tool T2." in page
    assert "set zero with the new tool, then press “Go on”" in page
    assert "does not drive back" not in page


def test_a_machine_that_does_not_drive_back_says_how_far_it_is_to_be_jogged(browse, lab, read):
    state = lab.workshop.live.get("router")
    change = {"step": "tool-change", "phase": "paused", "back_mm": {"X": -8.0, "Y": 2.5}}
    lab.workshop.live.put("router", replace(state, **change))
    otto = browse("otto")
    page = read(otto.get("/machines/router").text)
    assert "does not drive back by itself" in page
    assert "X –8 mm, Y +2.5 mm" in page
    assert otto.api("GET", "/machines/router").json()["back_mm"] == {"X": -8.0, "Y": 2.5}
