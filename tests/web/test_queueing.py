"""The queue explained: why a place, when, what is asked for, and jobs that belong together."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from datetime import timedelta

import pytest

from jobs.domain.job import JobState
from jobs.domain.modules import Module
from jobs.store.waiting import JobAsk
from tests.there import stand_at
from tests.web.conftest import PROGRAM

LASER = {"slug": "beam", "name": "Laser", "kind": "laser", "profile": "grbl-1.1"}


def queued(lab, name="hook.gcode", who="mia", machine=None, extra=b"", kind="fdm"):
    """A job of *who* that was prepared."""
    job = lab.services.queue.submit(
        lab.people[who],
        name=name,
        data=io.BytesIO(PROGRAM + extra),
        kind=kind,
        machine_slug=machine,
        now=lab.now,
    )
    while lab.services.preparation.prepare_next(lab.clock):
        pass
    return job.id


def job_of(lab, job_id):
    return lab.services.queue.get(job_id, lab.now, lab.people["mia"]).job


# Whose turn it is


def test_a_job_says_why_it_stands_where_it_stands_and_when_it_is_expected(browse, lab, read):
    queued(lab, who="otto", extra=b"G4 P1\n")
    mine = queued(lab, extra=b"G4 P2\n")
    lab.now += timedelta(hours=3)
    lab.services.foresight.tick(lab.now)
    mia = browse("mia")
    page = read(mia.get(f"/jobs/{mine}").text)
    assert "Place in the queue: 2" in page
    assert "It has waited 3 h. +3 " in page
    assert "Its owner used 0 h of the machines lately" in page
    assert "It has no deadline. +0 " in page
    assert "Nothing has to be changed for it first. +0" in page
    assert re.search(r"Together \+15\b", page)
    assert "Expected to start Wed 4 Mar 13:" in page
    assert re.search(r"Expected to be done Wed 4 Mar 13:\d\d \(nine times in ten by", page)
    assert "Together +15" in read(mia.get("/queue").text)
    found = mia.api("GET", f"/jobs/{mine}").json()["job"]
    parts = {one["part"]: one["points"] for one in found["place"]["parts"]}
    assert sum(parts.values()) == pytest.approx(found["place"]["points"])
    assert parts["waiting"] == pytest.approx(3)
    assert found["foreseen"]["end_p50"] < found["foreseen"]["end_p90"]


def test_the_weights_are_explained_to_all_and_an_admins_to_change(browse, lab, read):
    mia, ada = browse("mia"), browse("ada")
    page = read(mia.get("/queue/order").text)
    assert "An hour of waiting: 1 Grows without end" in page
    assert "All weights are as usual." in page
    assert "Order of the queue" in read(mia.get("/house").text)
    form = {**dict.fromkeys(("waiting", "share", "half_life_days", "deadline"), "2")}
    form |= {"deadline_from_h": "48", "changeover": "0", "night": "3,5", "role-trainer": "4"}
    assert mia.post("/queue/order", form).status_code == 403
    assert ada.post("/queue/order", form).status_code == 303
    held = lab.services.weighing.get().weights
    assert (held.waiting, held.night, held.changeover, held.roles) == (2, 3.5, 0, {"trainer": 4})
    page = read(mia.get("/queue/order").text)
    assert "Decided by Ada , Wed 4 Mar 10:07 ." in page
    assert "Who goes first, trainer: 4" in page
    wrong = ada.post("/queue/order", {**form, "waiting": "0"})
    assert (wrong.status_code, "One point is worth one hour" in wrong.text) == (422, True)
    assert ada.post("/queue/order", {"default": "1"}).status_code == 303
    assert lab.services.weighing.get().weights.waiting == 1


def test_the_api_tells_and_takes_weights(browse):
    mia, ada = browse("mia"), browse("ada")
    found = mia.api("GET", "/queue/weights").json()
    assert found["weights"].keys() == found["why"].keys()
    assert mia.api("PUT", "/queue/weights", json={}).status_code == 403
    assert ada.api("PUT", "/queue/weights", json={"luck": 1}).status_code == 422
    told = ada.api("PUT", "/queue/weights", json={"changeover": 1}).json()
    assert (told["weights"]["changeover"], told["by"]) == (1, "Ada")


# What it asks for


def test_the_form_asks_for_a_kind_and_a_material_and_not_for_one_machine(browse, lab, read):
    mia = browse("mia")
    wish = {"kind": "fdm", "material-0": "PETG", "nozzle_mm": "0.6", "plate": "glass"}
    wish |= {"size_x_mm": "210", "size_y_mm": "210", "size_z_mm": "5"}
    wish |= {"deadline": "2026-03-05T18:00", "colour-0": "red"}
    files = {"file": ("a.gcode", PROGRAM)}
    answer = mia.post("/jobs/new", wish, files=files)
    job_id = answer.headers["location"].partition("?")[0].rpartition("/")[2]
    while lab.services.preparation.prepare_next(lab.clock):
        pass
    found = mia.api("GET", f"/jobs/{job_id}/asks").json()
    assert [(one["tool"], one["material"], one["colour"]) for one in found["asks"]["tools"]] == [
        (1, "PETG", "red")
    ]
    assert (found["asks"]["nozzle_mm"], found["asks"]["plate"]) == (0.6, "glass")
    assert found["deadline"] == "2026-03-05T17:00:00Z"
    page = read(mia.get(f"/jobs/{job_id}").text)
    assert "Kind of machine 3D printer" in page
    assert "At least this size 210 × 210 × 5 mm" in page
    assert "Needed by Thu 5 Mar 18:00" in page
    assert job_of(lab, job_id).machine_slug is None
    for field, value in (("nozzle_mm", "9"), ("deadline", "2026-03-01T10:00"), ("deadline", "x")):
        files = {"file": ("a.gcode", PROGRAM)}
        assert mia.post("/jobs/new", {**wish, field: value}, files=files).status_code == 422


def test_a_machine_that_is_too_small_never_gets_the_job(browse, lab):
    mia = browse("mia")
    job_id = queued(lab, machine="ender")
    mia.api("PUT", f"/jobs/{job_id}/asks", json={"size_mm": [300, 100, 10]})
    (waits,) = mia.api("GET", f"/jobs/{job_id}").json()["waits_for"]
    (small,) = [one["detail"] for one in waits["reasons"] if one["reason"] == "too-small"]
    assert small.startswith("This machine reaches 220 × 220 × 250 mm, but the job asks for 300 ×")
    lab.services.dispatch.arm(lab.people["otto"], "ender", lab.now)
    assert lab.services.dispatch.tick(lab.now) == []
    assert job_of(lab, job_id).place is None
    mia.api("PUT", f"/jobs/{job_id}/asks", json={"size_mm": [100, 220, 10]})
    assert len(lab.services.dispatch.tick(lab.now)) == 1


def test_a_tool_is_shown_beside_its_slot_and_a_mismatch_leads_to_what_is_loaded(browse, lab, read):
    mia, now = browse("mia"), lab.now
    job_id = queued(lab, machine="ender")
    say = lab.services.loading.say_slot
    say(lab.people["otto"], "ender", 0, now, material="PLA", left_g=300)
    say(lab.people["otto"], "ender", 2, now, material="PETG", left_g=300)
    form = {"material-0": "PETG", "nozzle_mm": "", "plate": ""}
    assert mia.post(f"/jobs/{job_id}/asks", form).status_code == 303
    html = mia.get(f"/jobs/{job_id}").text
    page = read(html)
    assert "Tool 1: PETG" in page
    assert "Slot 1: PLA · 300 g does not fit" in page
    assert "Slot 3 holds what it asks for. The program draws from slot 1" in page
    assert "Slot 1 holds PLA, but the job asks for PETG." in page
    assert re.search(r'href="/machines/ender/loaded">Load PETG', html)
    (machine,) = mia.api("GET", f"/jobs/{job_id}/asks").json()["machines"]
    assert (machine["tools"][0]["mismatches"], machine["tools"][0]["elsewhere"]) == (
        ["other-material"],
        3,
    )
    assert mia.post(f"/jobs/{job_id}/asks", {"nozzle_mm": "7"}).status_code == 422
    assert browse("gus").post(f"/jobs/{job_id}/asks", form).status_code == 403


def test_what_a_program_says_itself_stays_its_own_word(browse, lab):
    said = b"; generated by PrusaSlicer 2.7.1+linux-x64\n"
    said += b"; filament_type = PLA\n; nozzle_diameter = 0.4\n; filament used [g] = 3.2\n"
    job_id = queued(lab, extra=said)
    asked = lab.services.asking.view(job_id).asks
    assert ([one.material for one in asked.tools], asked.nozzle_mm) == (["PLA"], 0.4)
    browse("mia").post(f"/jobs/{job_id}/asks", {"material-0": "PLA", "nozzle_mm": "0.4"})
    with lab.workshop.database.read() as session:
        row = session.get_one(JobAsk, job_id)
        assert (row.tools, row.nozzle_um) == ([], None)


def test_a_laser_job_says_its_material_and_is_refused_what_is_not_listed(browse, lab, read):
    ada = browse("ada")
    machine = {**LASER, "port": "/dev/beam", "envelope_mm": [400, 300, 50]}
    machine |= {"spindle_max_rpm": 1000, "simulated": True, "materials": ["birch"]}
    assert ada.api("POST", "/machines", json=machine).status_code == 201
    live = lab.workshop.live.get("router")
    lab.workshop.live.put("beam", replace(live, controller="Idle"))
    cut = b"G21 G90 G94\nM4 S500\nG1 X10 Y10 F300\nM5\nM30\n"
    mia = browse("mia")
    answer = mia.post("/jobs/new", {"kind": "laser"}, files={"file": ("box.nc", cut)})
    path = answer.headers["location"].partition("?")[0]
    while lab.services.preparation.prepare_next(lab.clock):
        pass
    page = read(mia.get(path).text)
    assert "Say which material is to be cut or engraved" in page
    assert "Nobody has said which material is to be burnt" in page
    mia.post(f"{path}/asks", {"material-0": "felt"})
    assert "felt is not in the list" in read(mia.get(path).text)
    mia.post(f"{path}/asks", {"material-0": "birch"})
    page = read(mia.get(path).text)
    assert "Needs: birch" in page
    assert "Nobody has said which material is to be burnt" not in page


def test_a_job_for_one_machine_is_let_to_any_of_its_kind_and_checked_again(browse, lab):
    mia = browse("mia")
    job_id = queued(lab, machine="ender")
    assert mia.post(f"/jobs/{job_id}/machine", {"machine": ""}).status_code == 303
    assert job_of(lab, job_id).state is JobState.PREPARING
    while lab.services.preparation.prepare_next(lab.clock):
        pass
    waits = mia.api("GET", f"/jobs/{job_id}").json()["waits_for"]
    assert [one["machine"] for one in waits] == ["ender", "old-printer", "prusa"]
    assert mia.post(f"/jobs/{job_id}/machine", {"machine": "router"}).status_code == 422
    lab.services.queue.hold(lab.people["mia"], job_id, lab.now)
    moved = mia.api("PUT", f"/jobs/{job_id}/machine", json={"machine": "prusa"})
    assert moved.status_code == 204
    job = job_of(lab, job_id)
    assert (job.state, job.machine_slug) == (JobState.HELD, "prusa")
    assert browse("gus").post(f"/jobs/{job_id}/machine", {"machine": ""}).status_code == 403


# Only made ready


def test_mill_and_laser_jobs_are_only_made_ready_and_never_start_by_themselves(browse, lab, read):
    milled = b"G21 G90 G94\nM3 S8000\nG1 X10 Y10 F300\nM5\nM30\n"
    job = lab.services.queue.submit(
        lab.people["mia"], name="pocket.nc", data=io.BytesIO(milled), kind="mill", now=lab.now
    )
    while lab.services.preparation.prepare_next(lab.clock):
        pass
    lab.services.foresight.tick(lab.now)
    stand_at(lab.services, lab.people["otto"], "router", lab.now)
    lab.services.dispatch.arm(lab.people["otto"], "router", lab.now)
    assert lab.services.dispatch.tick(lab.now) == []
    assert job_of(lab, job.id).state is JobState.WAITING
    mia = browse("mia")
    said = "Made ready: somebody who stands at the machine starts it and stays with it."
    for path in (f"/jobs/{job.id}", "/queue"):
        page = read(mia.get(path).text)
        assert said in page
        assert "Expected to start" not in page
    assert f"/machines/router/cycle?job={job.id}" in mia.get("/machines/router").text
    assert mia.api("GET", f"/jobs/{job.id}").json()["job"]["made_ready"] is True


# Jobs that belong together


def test_copies_are_one_group_that_is_followed_held_and_released_as_one(browse, lab, read):
    mia = browse("mia")
    job_id = queued(lab)
    assert mia.post(f"/jobs/{job_id}/copies", {"count": "2"}).status_code == 303
    while lab.services.preparation.prepare_next(lab.clock):
        pass
    group = job_of(lab, job_id).group
    assert (group.done, group.total) == (0, 3)
    path = f"/queue/groups/{group.id}"
    assert f'href="{path}"' in mia.get(f"/jobs/{job_id}").text
    assert "0 of 3 done" in read(mia.get("/queue").text)
    assert mia.post(path, {"do": "hold"}).status_code == 303
    jobs = lab.services.queue.of_group(group.id, lab.now, None)
    assert {one.state for one in jobs} == {JobState.HELD}
    assert "Release all that are held" in read(mia.get(path).text)
    assert mia.post(path, {"do": "release"}).status_code == 303
    jobs = lab.services.queue.of_group(group.id, lab.now, None)
    assert {one.state for one in jobs} == {JobState.WAITING}
    assert mia.post(path, {"do": "burn"}).status_code == 422
    for count in ("0", "51", "x"):
        answer = mia.post(f"/jobs/{job_id}/copies", {"count": count})
        assert (answer.status_code, "from 1 to 50" in answer.text) == (422, True)
    assert browse("gus").post(path, {"do": "hold"}).status_code == 403
    assert mia.post(f"/jobs/{job_id}/leave-group").status_code == 303
    assert job_of(lab, job_id).group is None


def test_parts_are_put_together_by_their_numbers(browse, lab, read):
    one, two = queued(lab), queued(lab, extra=b"G4 P1\n")
    numbers = f"#{job_of(lab, one).number}, {job_of(lab, two).number}"
    mia = browse("mia")
    answer = mia.post("/queue/groups", {"title": "A robot", "jobs": numbers})
    path = answer.headers["location"].partition("?")[0]
    page = read(mia.get(path).text)
    assert "A robot" in page
    assert "0 of 2 done" in page
    assert mia.post("/queue/groups", {"title": "x", "jobs": "one"}).status_code == 422
    assert mia.get("/queue/groups/nowhere").status_code == 404


def test_a_job_waits_for_others_and_says_so_on_both_pages(browse, lab, read):
    mia = browse("mia")
    first, then = queued(lab), queued(lab, extra=b"G4 P1\n")
    number = job_of(lab, first).number
    assert mia.post(f"/jobs/{then}/after", {"after": str(number)}).status_code == 303
    page = read(mia.get(f"/jobs/{then}").text)
    assert "Has to wait for" in page
    assert f"Job {number} has to be done first" in page
    assert "Waits for this one" in read(mia.get(f"/jobs/{first}").text)
    wrong = mia.post(f"/jobs/{then}/after", {"after": "999"})
    assert (wrong.status_code, "There is no job 999." in wrong.text) == (422, True)
    assert mia.post(f"/jobs/{then}/after", {"after": ""}).status_code == 303
    assert "Has to wait for" not in read(mia.get(f"/jobs/{then}").text)


def test_the_api_does_the_same_with_groups_and_order(browse, lab):
    mia = browse("mia")
    one, two = queued(lab), queued(lab, extra=b"G4 P1\n")
    number = job_of(lab, one).number
    linked = mia.api("PUT", f"/jobs/{two}/after", json={"jobs": [number]}).json()
    assert [each["number"] for each in linked["after"]] == [number]
    made = mia.api("POST", f"/jobs/{one}/copies", json={"count": 1})
    assert (made.status_code, made.json()["group"]["total"]) == (201, 2)
    group = made.json()["group"]["id"]
    held = mia.api("POST", f"/queue/groups/{group}/hold").json()
    assert {each["state"] for each in held["jobs"]} == {"held"}
    assert mia.api("POST", f"/queue/groups/{group}/release").status_code == 200
    assert mia.api("DELETE", f"/jobs/{one}/group").status_code == 204
    assert mia.api("GET", f"/queue/groups/{group}").json()["total"] == 1
    wish = {"title": "Both", "jobs": [number, job_of(lab, two).number]}
    assert mia.api("POST", "/queue/groups", json=wish).json()["title"] == "Both"


# Again, and why


def test_a_failed_job_is_tried_again_with_a_cause_that_is_kept(browse, lab, read):
    mia = browse("mia")
    job_id = queued(lab, machine="ender")
    lab.services.dispatch.arm(lab.people["otto"], "ender", lab.now)
    (run,) = lab.services.dispatch.tick(lab.now)
    facts = {"run": run, "at_us": int(lab.now.timestamp() * 1e6)}
    lab.services.runs.apply("ender", {**facts, "seq": 1, "kind": "run_started"}, lab.now)
    failed = {"seq": 2, "kind": "failed", "reason": "port-lost"}
    lab.services.runs.apply("ender", {**facts, **failed}, lab.now)
    page = read(mia.get(f"/jobs/{job_id}").text)
    assert "What went wrong?" in page
    assert mia.post(f"/jobs/{job_id}/retry").status_code == 422
    assert mia.post(f"/jobs/{job_id}/retry", {"cause": "clogged"}).status_code == 303
    assert "Tried again Nozzle clogged Mia , Wed 4 Mar" in read(mia.get(f"/jobs/{job_id}").text)
    (kept,) = mia.api("GET", f"/jobs/{job_id}/asks").json()["retries"]
    assert (kept["cause"], kept["by"]) == ("clogged", "Mia")


# Without the queue


def test_without_the_queue_there_are_no_places_and_what_stands_in_the_way_stays(browse, lab, read):
    mia = browse("mia")
    job_id = queued(lab, machine="ender")
    lab.services.batches.copies(lab.people["mia"], job_id, 1, lab.now)
    group = job_of(lab, job_id).group.id
    rest = [one for one in Module if one is not Module.QUEUE]
    lab.services.modules.choose(lab.people["ada"], rest, lab.now)
    for path in ("/queue", "/queue/order", f"/queue/groups/{group}"):
        assert mia.get(path).status_code == 404, path
    for path in ("/queue/weights", f"/queue/groups/{group}"):
        assert mia.api("GET", path).status_code == 404, path
    assert "Order of the queue" not in read(mia.get("/house").text)
    html = mia.get(f"/jobs/{job_id}").text
    assert "Place in the queue" not in read(html)
    assert 'href="/queue' not in html
    # What may stand against a start can be put right all the same.
    assert mia.post(f"/jobs/{job_id}/asks", {"material-0": "PLA"}).status_code == 303
    assert mia.get("/machines/ender/loaded").status_code == 200


def test_a_job_that_would_wait_for_ever_says_so_and_offers_the_ways_out(browse, lab, read):
    first, second = queued(lab, extra=b"G4 P1\n"), queued(lab, extra=b"G4 P2\n")
    mia = browse("mia")
    number = job_of(lab, first).number
    mia.post(f"/jobs/{second}/after", {"after": str(number)})
    mia.post(f"/jobs/{first}/cancel")
    page = mia.get(f"/jobs/{second}").text
    assert f"Job {number} was cancelled, so this one would wait for ever." in read(page)
    assert "wait for it no more, or give yours up" in read(mia.get("/notices").text)
    assert f'action="/jobs/{second}/cancel"' in page
    drop = page[page.index("Job ", page.index('id="links"')) :]
    assert re.search(rf'action="/jobs/{second}/after".*?name="after" value=""', drop, re.S)
    mia.post(f"/jobs/{second}/after", {"after": ""})
    assert "would wait for ever" not in read(mia.get(f"/jobs/{second}").text)
