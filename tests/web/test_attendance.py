"""At the machine: whose hands, which board, which one is it."""

from __future__ import annotations

from dataclasses import replace

import pytest


def live(lab, **changes):
    lab.workshop.live.put("ender", replace(lab.workshop.live.get("ender"), **changes))


@pytest.mark.parametrize("why", ["heat", "motion", "boot"])
def test_a_machine_in_use_by_hand_says_so_and_takes_a_persons_word(browse, lab, read, why):
    live(lab, in_use=why)
    browser = browse("mia")
    page = read(browser.get("/machines/ender").text)
    assert "In use by hand:" in page
    assert "needs attention" in page
    assert "I have looked: nobody uses it" in page
    assert "The bed is clear" not in page
    answer = browser.post("/machines/ender/free")
    assert answer.headers["location"] == "/machines/ender?said=freed"
    assert ("release", "ender") in lab.gateway.calls
    live(lab, in_use="")
    page = read(browser.get("/machines/ender").text)
    assert "What happened here" in page
    assert "said to be free · Mia" in page


def test_another_board_is_told_with_what_differs_and_an_operator_confirms(browse, lab, read):
    identity = {"usb": "1a86:7523", "position": "0000:00:14.0/1.3:1.0", "uuid": "bbbb"}
    live(lab, differs=("uuid", "position"), identity=identity)
    page = read(browse("mia").get("/machines/ender").text)
    assert "This is another board than before" in page
    assert "It differs in: number in the firmware, USB socket." in page
    assert "0000:00:14.0/1.3:1.0" in page
    assert "An operator can confirm it here." in page
    assert browse("mia").post("/machines/ender/own-board").status_code in (403, 409)
    answer = browse("otto").post("/machines/ender/own-board")
    assert answer.headers["location"] == "/machines/ender?said=own-board"
    assert ("own-board", "ender") in lab.gateway.calls


def test_identify_says_what_to_look_for_or_that_it_cannot(browse, lab, read):
    browser = browse("mia")
    answer = browser.post("/machines/ender/identify")
    assert answer.headers["location"] == "/machines/ender?said=identified"
    lab.gateway.refuses[("identify", "router")] = "host.cannot_identify"
    answer = browser.post("/machines/router/identify")
    assert answer.status_code == 503
    assert "can neither beep nor show a text" in read(answer.text)


def test_the_api_has_the_same(browse, lab):
    live(lab, in_use="motion", identity={"usb": "1a86:7523"})
    browser = browse("otto")
    told = browser.api("GET", "/machines/ender").json()
    assert (told["in_use"], told["differs"], told["identity"]) == (
        "motion",
        [],
        {"usb": "1a86:7523"},
    )
    for verb in ("free", "own-board", "identify"):
        assert browser.api("POST", f"/machines/ender/{verb}").status_code == 200
    assert [verb for verb, _ in lab.gateway.calls] == ["release", "own-board", "identify"]
