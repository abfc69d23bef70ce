"""What is loaded and what may run alone: said on pages and in the API, by a name."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobs.domain.loading import Doubt
from jobs.domain.unattended import Unattended
from jobs.services.loaded import doubt


def test_whoever_changes_a_spool_says_so_and_the_machine_shows_it_with_their_name(
    browse, lab, read
):
    mia = browse("mia")
    spool = {"place": "slot", "number": "1", "material": "PETG", "colour": "red"}
    answer = mia.post("/machines/ender/loaded", {**spool, "left_g": "812,5", "lot": "L7"})
    assert answer.headers["location"] == "/machines/ender/loaded?said=loaded"
    mia.post("/machines/ender/loaded", {"place": "tool", "number": "1", "nozzle_mm": "0.6"})
    mia.post("/machines/ender/loaded", {"place": "plate", "plate": "glass"})
    page = read(browse("otto").get("/machines/ender").text)
    assert "Slot 1: PETG · red · about 812 g left · spool L7 Mia , Wed 4 Mar 10:07" in page
    assert "Nozzle of tool 1: 0.6 mm Mia" in page
    assert "Plate: glass Mia" in page


def test_a_wrong_word_is_told_on_the_form_which_stays_as_it_was(browse, lab):
    wrong = {"place": "slot", "number": "1", "material": "PLA", "left_g": "-4"}
    answer = browse("mia").post("/machines/ender/loaded", wrong)
    assert answer.status_code == 422
    assert 'value="-4"' in answer.text
    assert "Weigh it and take the empty spool off" in answer.text
    for bad in ({"place": "slot", "number": "0"}, {"place": "roof"}, {"place": "tool"}):
        assert browse("mia").post("/machines/ender/loaded", bad).status_code == 422
    assert not lab.services.loading.view("ender").slots


def test_a_doubt_is_shown_until_somebody_confirms_what_is_written(browse, lab, read):
    mia, now = lab.people["mia"], lab.now
    lab.services.loading.say_slot(mia, "ender", 0, now, material="PLA", left_g=100)
    machine_id = lab.services.machines.get("ender", now, None).id
    with lab.workshop.database.write() as session:
        doubt(session, machine_id, Doubt.BROKEN_OFF, now)
    otto = browse("otto")
    assert "a run broke off, so what is left is a guess" in read(otto.get("/machines/ender").text)
    lab.now = now + timedelta(hours=1)
    assert otto.post("/machines/ender/loaded/confirm").status_code == 303
    page = read(otto.get("/machines/ender").text)
    assert "a guess" not in page
    assert "about 100 g left Otto , Wed 4 Mar 11:07" in page


def test_the_api_says_the_same_and_keeps_a_history(browse):
    mia = browse("mia")
    said = mia.api("PUT", "/machines/ender/loaded/slot/2", json={"material": "PLA", "left_g": 5})
    assert [(one["place"], one["number"], one["material"], one["by"]) for one in said.json()] == [
        ("slot", 2, "PLA", "Mia")
    ]
    mia.api("PUT", "/machines/ender/loaded/slot/2", json={"material": "TPU"})
    mia.api("PUT", "/machines/ender/loaded/tool/1", json={"nozzle_mm": 0.8})
    mia.api("PUT", "/machines/ender/loaded/plate/1", json={"plate": "smooth"})
    found = mia.api("GET", "/machines/ender/loaded").json()
    assert [one["place"] for one in found] == ["slot", "tool", "plate"]
    past = mia.api("GET", "/machines/ender/loaded/history").json()
    old = [one for one in past if one["until"]]
    assert [(one["text"], one["by"]) for one in old] == [("PLA · 5 g", "Mia")]
    assert mia.api("POST", "/machines/ender/loaded/confirm").status_code == 200
    assert mia.api("PUT", "/machines/ender/loaded/slot/17", json={}).status_code == 422
    assert mia.api("PUT", "/machines/ender/loaded/tool/1", json={}).status_code == 422
    assert mia.api("PUT", "/machines/ender/loaded/slot/1", json={"x": 1}).status_code == 422


@pytest.mark.parametrize("path", ["/machines/ender/loaded", "/machines/ender/loaded/confirm"])
def test_a_guest_says_nothing_of_what_is_loaded(browse, path):
    gus = browse("gus")
    spool = {"place": "slot", "number": "1", "material": "PLA"}
    assert gus.post(path, spool).status_code == 403
    page = gus.get("/machines/ender/loaded")
    assert page.status_code == 200
    assert "/machines/ender/loaded" not in page.text.partition("<main")[2]


def test_operators_agree_on_what_runs_alone_and_members_read_it(browse, lab, read):
    otto, mia = browse("otto"), browse("mia")
    form = {"unattended": "overnight", "longest_h": "2.5", "materials": "PLA, PETG"}
    assert otto.post("/machines/ender/terms", {**form, "must_fit": "1"}).status_code == 303
    terms = lab.services.terms.get("ender")
    assert (terms.longest, terms.materials, terms.must_fit) == (9000.0, ("PLA", "PETG"), True)
    page = read(mia.get("/machines/ender/terms").text)
    assert "Runs of at most (hours): 2.5" in page
    assert "Agreed by Otto , Wed 4 Mar 10:07" in page
    assert "After closing too, under the conditions below" in read(mia.get("/machines/ender").text)
    assert mia.post("/machines/ender/terms", form).status_code == 403
    wrong = otto.post("/machines/ender/terms", {"unattended": "overnight", "longest_h": "x"})
    assert (wrong.status_code, 'value="x"' in wrong.text) == (422, True)
    assert otto.post("/machines/ender/terms", {"unattended": "always"}).status_code == 422


def test_the_api_agrees_on_terms_too(browse, lab):
    otto, mia = browse("otto"), browse("mia")
    wish = {"unattended": "never"}
    assert mia.api("PUT", "/machines/ender/terms", json=wish).status_code == 403
    agreed = otto.api("PUT", "/machines/ender/terms", json=wish).json()
    assert (agreed["unattended"], agreed["by"]) == ("never", "Otto")
    assert lab.services.terms.get("ender").unattended is Unattended.NEVER
    assert mia.api("GET", "/machines/prusa/terms").json()["by"] is None
