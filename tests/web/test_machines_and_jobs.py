from __future__ import annotations

import asyncio
import hashlib
import re
import threading
from dataclasses import replace
from datetime import date

import httpx
import pytest

from jobs.domain.job import JobState
from tests.web.conftest import PROGRAM, Browser, run_one_job

STL = b"solid empty\nendsolid empty\n"


def test_a_member_says_that_the_bed_is_clear_and_takes_it_back(browse, lab, read):
    browser = browse("mia")
    answer = browser.post("/machines/ender/arm")
    assert answer.headers["location"] == "/machines/ender?said=armed"
    page = read(browser.get(answer.headers["location"]).text)
    assert "Noted: the machine is clear." in page
    assert "Clear, said Mia" in page
    browser.post("/machines/ender/disarm")
    assert lab.services.machines.get("ender", lab.now, None).armed is None


def test_a_guest_may_not_arm_but_may_stop(browse, lab):
    guest = browse("gus")
    assert guest.post("/machines/ender/arm").status_code in (403, 409)
    assert guest.post("/machines/ender/stop").status_code == 200
    assert guest.post("/stop").status_code == 200
    stops = [slug for verb, slug in lab.gateway.calls if verb == "stop"]
    assert stops[0] == "ender"
    assert sorted(stops[1:]) == ["ender", "prusa", "router"]


def test_a_stop_that_did_not_get_through_is_said_loudly(browse, lab, read):
    lab.gateway.refuses[("stop", "prusa")] = "host.unreachable"
    lab.gateway.refuses[("stop", "ender")] = "host.unreachable"
    page = browse("mia").post("/stop").text
    assert "Prusa The stop did NOT get through" in read(page)
    assert "Use the hardware stop. Hardware stop: red switch at the left of the shelf" in read(page)
    assert "Router The stop was sent." in read(page)
    assert 'role="alert"' in page
    answer = browse("mia").api("POST", "/stop").json()
    assert {one["machine"]: one["refused"] for one in answer}["prusa"] == "host.unreachable"


def test_stop_does_not_wait_behind_forty_slow_pages(lab):
    gate = threading.Event()
    entered = threading.Semaphore(0)

    class SlowQueue:
        def list(self, *_: object) -> list[object]:
            entered.release()
            gate.wait(20)
            return []

    token, _ = lab.services.people.redeem(
        lab.services.people.make_link(lab.people["mia"].person_id, lab.now), lab.now
    )
    lab.services = replace(lab.services, queue=SlowQueue())
    app = lab.app()

    async def crowd() -> int:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://testserver", cookies={"fabnode": token}
        ) as http:
            csrf = (await http.get("/api/v1/people/me")).json()["csrf"]
            slow = [asyncio.create_task(http.get("/api/v1/queue")) for _ in range(60)]
            for _ in range(40):
                while not entered.acquire(blocking=False):
                    await asyncio.sleep(0.005)
            try:
                answer = await asyncio.wait_for(
                    http.post("/api/v1/stop", headers={"X-CSRF-Token": csrf}), 5
                )
            finally:
                gate.set()
                await asyncio.gather(*slow)
            return answer.status_code

    assert asyncio.run(crowd()) == 200
    assert ("stop", "ender") in lab.gateway.calls


def test_a_file_is_queued_by_an_ordinary_form(browse, lab, read):
    browser = browse("mia")
    program = b"G28\nG1 X10 F600\n"
    answer = browser.post(
        "/jobs/new",
        {"machine": "ender", "title": "Hook"},
        files={"file": ("hook.gcode", program)},
    )
    assert answer.status_code == 303, read(answer.text)
    page = read(browser.get(answer.headers["location"]).text)
    assert "Hook" in page
    assert "Sent in. The checks have begun." in page
    assert "Hook" in browser.get("/queue").text


def test_a_form_without_a_file_says_what_is_missing(browse):
    answer = browse("mia").post("/jobs/new", {"title": "Hook"}, files={})
    assert answer.status_code == 422
    assert "file" in re.search(r'role="alert"[^>]*>([^<]+)', answer.text)[1]
    assert 'value="Hook"' in answer.text


def test_what_no_machine_understands_is_one_sentence_and_the_form_stays(browse, read):
    answer = browse("mia").post(
        "/jobs/new", {"title": "Cat"}, files={"file": ("cat.jpg", b"\xff\xd8\xff\xe0" + b"\0" * 99)}
    )
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
    assert "⟨" not in answer.text
    assert 'value="Cat"' in answer.text


def test_a_job_is_held_released_and_cancelled_by_its_owner_only(browse, lab):
    mia, gus = browse("mia"), browse("gus")
    path = (
        mia.post(
            "/jobs/new", {"machine": "ender"}, files={"file": ("a.gcode", b"G28\nG1 X1 F60\n")}
        )
        .headers["location"]
        .partition("?")[0]
    )
    assert gus.post(f"{path}/cancel").status_code in (403, 409)
    while lab.services.preparation.prepare_next(lab.clock):
        pass
    assert mia.post(f"{path}/hold").status_code == 303
    assert mia.post(f"{path}/release").status_code == 303
    assert mia.post(f"{path}/cancel").status_code == 303
    job = lab.services.queue.get(path.rpartition("/")[2], lab.now, None).job
    assert job.state is JobState.CANCELLED
    # Twice is refused with a sentence, not broken.
    assert mia.post(f"{path}/cancel").status_code == 409


def test_work_by_hand_is_begun_and_finished_on_the_jobs_page(browse, lab, read):
    mia = browse("mia")
    data = b"G28\nM104 S200\nM109 S200\nG1 X10 Y10 F600 E1\nM104 S0\n"
    path = (
        mia.post("/jobs/new", {"machine": "old-printer"}, files={"file": ("a.gcode", data)})
        .headers["location"]
        .partition("?")[0]
    )
    while lab.services.preparation.prepare_next(lab.clock):
        pass
    page = mia.get(path).text
    assert "I started it on" in read(page)
    (sheet,) = re.findall(r'href="([^"]+/sheet[^"]*)"', page)
    read_sheet = read(mia.get(sheet).text)
    assert "Old printer" in read_sheet
    assert hashlib.sha256(data).hexdigest() in read_sheet
    (file,) = re.findall(r'href="([^"]+/program[^"]*)" download', mia.get(sheet).text)
    carried = mia.get(file)
    assert carried.content == data, "what was examined is what is carried over"
    name = carried.headers["content-disposition"].removeprefix("attachment; ")
    assert re.fullmatch(r'filename="job-\d+-a\.gcode"', name)
    assert name.split('"')[1] in read_sheet
    values = dict(re.findall(r'name="(what|machine)" value="([^"]+)"', page))
    assert mia.post(f"{path}/by-hand", values).status_code == 303
    assert sheet in mia.get(path).text, "a card may be lost while it runs"
    assert mia.get(file).content == data
    assert "It is finished" in read(mia.get(path).text)
    assert mia.post(f"{path}/by-hand", {"what": "dance"}).status_code == 422
    assert mia.post(f"{path}/by-hand", {"what": "finished"}).status_code == 303
    page = mia.get(path).text
    assert "/sheet" not in page
    assert mia.get(file).status_code == 409
    page = read(page)
    assert "Record 1" in page
    assert "The chain holds" in read(mia.get("/ledger").text)


def test_a_job_sheet_hands_out_the_checked_file(browse, day, ada, read):
    job = f"/jobs/{day.jobs['by-hand']}"
    page = ada.get(job).text
    assert "Job sheet and file for Old printer Carry the file to the machine" in read(page)
    address = re.search(r'href="([^"]+/program\?machine=old-printer)"', page)[1]
    answer = ada.get(address)
    assert answer.content == PROGRAM + b"G4 P3\n"
    assert answer.headers["content-disposition"] == 'attachment; filename="job-5-fourth.gcode"'
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["x-content-type-options"] == "nosniff"
    for job in ("waiting", "running", "held"):
        assert "Job sheet" not in read(ada.get(f"/jobs/{day.jobs[job]}").text)
    assert ada.get(f"/jobs/{day.jobs['held']}/program?machine=prusa").status_code == 409


def test_a_file_for_the_job_sheet_is_not_for_everybody(browse, lab):
    run_one_job(lab)
    address = f"/jobs/{lab.jobs['by-hand']}/program?machine=old-printer"
    assert browse("mia").get(address).status_code == 200
    assert browse("gus").get(address).status_code == 403
    assert browse().get(address).status_code == 303


def test_nobody_guesses_how_far_a_run_by_hand_is(browse, lab, read):
    run_one_job(lab)
    mia = lab.people["mia"]
    lab.services.queue.by_hand(mia, lab.jobs["by-hand"], "started", "old-printer", lab.now)
    browser = browse("mia")
    for path in ("/machines/old-printer", f"/jobs/{lab.jobs['by-hand']}"):
        page = browser.get(path).text
        assert "fourth.gcode" in page
        assert "<progress" not in page
        assert "Ends about" not in page
    for path in ("/", "/queue"):
        assert browser.get(path).text.count("<progress") == 1  # that of the machine on a cable
    job = browser.get(f"/jobs/{lab.jobs['done']}").text
    assert " resends ·" not in read(job)


def test_a_held_job_offers_what_letting_it_go_does(browse, lab, read):
    run_one_job(lab)
    browser = browse("mia")
    page = read(browser.get(f"/jobs/{lab.jobs['held']}").text)
    assert "Check it again" in page
    assert "Release" not in page
    browser.post(f"/jobs/{lab.jobs['waiting']}/hold")
    page = read(browser.get(f"/jobs/{lab.jobs['waiting']}").text)
    assert "Release" in page
    assert "Check it again" not in page


def test_a_run_is_steered_only_while_its_machine_follows(browse, lab, read):
    run_one_job(lab)
    browser = browse("mia")
    paths = ("/machines/ender", f"/jobs/{lab.jobs['running']}")
    for path in paths:
        assert "Pause" in read(browser.get(path).text)
    state = lab.workshop.live.get("ender")
    for broken in (replace(state, phase="stopped", stopped=True), replace(state, connected=False)):
        lab.workshop.live.put("ender", broken)
        for path in paths:
            page = read(browser.get(path).text)
            assert "Pause" not in page
            assert "Stop now" in page


def test_findings_name_the_line_and_say_what_to_do(ada, day, read):
    page = read(ada.get(f"/jobs/{day.jobs['held']}").text)
    assert "line 10" in page
    assert "M112" in page


def test_a_waiting_job_says_everything_it_waits_for(ada, day, read):
    page = read(ada.get(f"/jobs/{day.jobs['waiting']}").text)
    assert "What it waits for" in page
    assert "Nobody has said that the machine is clear." in page


def test_an_operator_adds_changes_and_retires_a_machine(browse, lab, read):
    otto = browse("otto")
    form = {
        "slug": "mk4", "name": "MK4", "kind": "fdm", "control": "serial", "profile": "marlin-2",
        "port": "/dev/mk4", "envelope_x_mm": "250", "envelope_y_mm": "210",
        "envelope_z_mm": "220,5", "nozzle_max_c": "290",
    }  # fmt: skip
    assert otto.post("/machines/new", form).status_code == 303
    limits = lab.services.machines.get("mk4", lab.now, None).limits
    assert limits.envelope_mm == (250.0, 210.0, 220.5)
    bad = otto.post("/machines/new", {**form, "slug": "mk5", "nozzle_max_c": "hot"})
    assert bad.status_code == 422
    assert "must be a number" in read(bad.text)
    assert 'value="hot"' in bad.text
    edited = otto.post("/machines/mk4/edit", {**form, "name": "MK4 left"})
    assert edited.status_code == 303
    assert "MK4 left" in otto.get("/").text
    assert otto.post("/machines/mk4/retire").status_code == 303
    assert "MK4 left" not in otto.get("/").text


def test_a_model_and_a_list_of_materials_are_said_and_taken_back(browse, lab):
    otto = browse("otto")

    def limits(**form: str):
        assert otto.post("/machines/router/edit", {"name": "Router", **form}).status_code == 303
        return lab.services.machines.get("router", lab.now, None).limits

    said = limits(model="K40", materials=" birch ply , cork,, ")
    assert (said.model, said.materials) == ("K40", ("birch ply", "cork"))
    page = otto.get("/machines/router/edit").text
    assert 'value="birch ply, cork"' in page
    taken = limits(model="", materials="")
    assert (taken.model, taken.materials) == ("", ())


def test_the_edit_form_gives_back_what_is_known(browse, lab):
    otto = browse("otto")
    before = lab.services.machines.get("router", lab.now, None)
    page = otto.get("/machines/router/edit").text
    fields = dict(re.findall(r'<input id="f-[^"]+" name="([^"]+)"[^>]*?value="([^"]*)"', page))
    for name, options in re.findall(r'<select[^>]* name="([^"]+)"[^>]*>(.*?)</select>', page, re.S):
        chosen = re.search(r'<option value="([^"]*)" selected', options)
        fields[name] = chosen[1] if chosen else ""
    assert otto.post("/machines/router/edit", fields).status_code == 303
    assert lab.services.machines.get("router", lab.now, None) == before


def test_members_do_not_manage_machines_or_people(browse):
    mia = browse("mia")
    for path in ("/machines/new", "/machines/ender/edit", "/people"):
        assert mia.get(path).status_code == 403, path
    assert mia.post("/machines/ender/retire").status_code == 403
    assert mia.api("GET", "/people").status_code == 403


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/machines/ender?date=2026-13-40", 422),
        ("/machines/ender?date=0001-01-01", 422),
        ("/machines/ender?length=abc", 422),
        ("/machines/ender?length=-999999999", 200),
        ("/machines/ender/book?start=9999-12-31T23:59", 422),
        ("/machines/ender/book?start=2026-03-29T02:30", 422),
        ("/machines/ender/book?start=%00", 422),
        ("/machines/..%2f..", 404),
        ("/jobs/not-an-id", 404),
        ("/designs/not-an-id", 404),
        ("/designs?source=nowhere", 404),
    ],
)
def test_nonsense_in_an_address_gets_one_sentence(browse, read, path, status):
    answer = browse("ada").get(path)
    assert answer.status_code == status
    assert "⟨" not in read(answer.text)


def test_a_member_books_in_two_taps_and_gives_it_back(browse, lab, read):
    mia = browse("mia")
    offer = re.search(r'class="button offer" href="([^"]+)"', mia.get("/machines/prusa").text)[1]
    confirm = mia.get(offer.replace("&amp;", "&")).text  # the first tap
    fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]+)"', confirm))
    assert mia.http.post("/machines/prusa/book", data=fields).status_code == 303  # the second
    page = mia.get("/bookings?said=booked").text
    assert "Booked. It is yours." in read(page)
    assert "Prusa" in page
    # Somebody else wants the same: every reason, and what is free instead.
    otto = browse("otto")
    taken = otto.http.post("/machines/prusa/book", data={**fields, "csrf": otto.csrf})
    assert taken.status_code == 409
    assert "Free instead" in read(taken.text)
    cancel = re.search(r'action="(/bookings/[^"]+/cancel)"', page)[1]
    assert browse("gus").post(cancel).status_code in (403, 409)
    assert mia.post(cancel).status_code == 303
    assert lab.services.bookings.day("prusa", date(2026, 3, 4), None, lab.now).allocations == []


def test_the_wall_clock_of_a_form_is_the_labs(lab):
    from web.app import create_app  # noqa: F401 - the app builds the zone's clockwork
    from web.context import web_of
    from web.pages.calendar import instant

    class Request:
        app = lab.app()

    web = web_of(Request)
    assert instant(web, "2026-07-01T10:00").isoformat() == "2026-07-01T08:00:00+00:00"
    assert instant(web, "2026-12-01T10:00").isoformat() == "2026-12-01T09:00:00+00:00"
    assert instant(web, "2026-12-01T10:00:00+05:00").isoformat() == "2026-12-01T05:00:00+00:00"


def test_a_day_of_25_hours_is_drawn_as_long_as_it_is(browse):
    page = browse("mia").get("/machines/prusa/calendar?date=2026-10-25").text
    lengths = re.findall(r'class="column" viewBox="0 0 40 ([\d.]+)"', page)
    assert [float(one) for one in lengths] == [1440.0] * 6 + [1500.0]


def test_a_stopped_machine_asks_for_somebody_to_look_at_it(browse, lab, read):
    mia = browse("mia")
    assert "I have looked: make it ready" not in mia.get("/machines/ender").text
    state = lab.workshop.live.get("ender")
    lab.workshop.live.put("ender", replace(state, phase="stopped", stopped=True))
    page = mia.get("/machines/ender").text
    assert "I have looked: make it ready" in page
    assert 'action="/machines/ender/arm"' not in page
    assert mia.post("/machines/ender/arm").status_code == 409
    assert browse("gus").post("/machines/ender/inspected").status_code == 403
    assert mia.post("/machines/ender/inspected").status_code == 303
    assert lab.gateway.calls == [("reconnect", "ender")]


def test_a_paused_run_says_so_on_its_jobs_page(browse, lab):
    run_one_job(lab)
    live = lab.workshop.live
    live.put("ender", replace(live.get("ender"), phase="paused", step="parked"))
    fact = {"run": lab.gateway.orders[-1].run, "at_us": int(lab.now.timestamp() * 1e6)}
    lab.services.runs.apply("ender", {**fact, "seq": 2, "kind": "paused"}, lab.now)
    page = browse("mia").get(f"/jobs/{lab.jobs['running']}").text
    head = page[page.index('id="job"') : page.index('id="run-h"')]
    assert 'data-state="paused"' in head
    assert ">paused<" in head
    assert ': paused"' in page[page.index("data-word=") :].partition(">")[0]  # said aloud


@pytest.mark.parametrize(
    ("broker", "said"),
    [
        ("none", "kept here, for no broker is set up"),
        ("away", "kept until the broker can be reached"),
        ("connected", "under way"),
    ],
)
def test_a_jobs_last_word_says_for_what_it_waits(lab, read, monkeypatch, broker, said):
    run_one_job(lab)
    health = replace(lab.health(), broker=broker)
    monkeypatch.setattr(lab, "health", lambda: health)
    with Browser(lab, lab.app()).sign_in("mia").http as http:
        page = read(http.get(f"/jobs/{lab.jobs['done']}").text)
    assert f"Tell the network {said}" in page


@pytest.mark.parametrize(
    ("query", "order"),
    [
        ("", ("now", "book", "by-hand", "calendar")),
        ("?step=10", ("now", "by-hand", "book", "calendar")),
    ],
    ids=["folded", "unfolded"],
)
def test_what_is_done_by_hand_comes_before_booking_while_it_is_unfolded(browse, query, order):
    page = browse("mia").get(f"/machines/ender{query}").text
    places = [page.index(f'id="{one}"') for one in order]
    assert places == sorted(places)


def test_a_firmware_is_chosen_from_those_that_are_known(browse, lab, read):
    page = browse("ada").get("/machines/new").text
    chosen = page[page.index('id="f-profile"') : page.index('id="f-port"')]
    assert 'value="grbl-1.1"' in chosen
    assert "(fluidnc)" in chosen
    assert chosen.count("<option") > 12
    kept = browse("ada").get("/machines/ender/edit").text
    assert re.search(r'<option value="marlin-2"[^>]* selected>', kept)


def test_staff_plan_a_run_on_the_labs_clock_and_its_owner_sees_when(browse, lab, read):
    run_one_job(lab)
    mia, otto = browse("mia"), browse("otto")
    job = lab.jobs["waiting"]
    wish = {"machine": "ender", "start": "2026-03-04T20:00"}
    assert mia.post(f"/jobs/{job}/plan", wish).status_code == 403
    assert otto.post(f"/jobs/{job}/plan", wish | {"start": "soon"}).status_code == 422
    assert otto.post(f"/jobs/{job}/plan", wish).headers["location"].endswith("said=planned")
    assert "Planned start" in read(mia.get(f"/jobs/{job}").text)
    assert "Plan it for" not in read(mia.get(f"/jobs/{job}").text)
    assert mia.api("GET", f"/jobs/{job}/plan").json()["start"] == "2026-03-04T19:00:00Z"
    past = {"machine": "ender", "start": "2026-03-04T08:00:00Z"}
    (reason,) = otto.api("PUT", f"/jobs/{job}/plan", json=past).json()["reasons"]
    assert reason["reason"] == "in-the-past"
    assert otto.api(
        "PUT", f"/jobs/{job}/plan", json=past | {"start": "2026-03-04T21:00:00Z"}
    ).json()
    assert otto.post(f"/jobs/{job}/plan", {"do": "withdraw"}).status_code == 303
    assert mia.api("GET", f"/jobs/{job}/plan").json() is None
    assert otto.api("DELETE", f"/jobs/{job}/plan").status_code == 404
