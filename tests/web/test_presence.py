"""Being at a machine, by pages and API: the number on the display, the screens, the kiosk."""

from __future__ import annotations

import io
import re
from datetime import timedelta

import pytest

from jobs.domain.modules import Module
from jobs.services.at_kiosk import DeviceKind
from jobs.services.live import LiveState
from jobs.services.workshop import LiveOffsets
from tests.there import display_at
from tests.web.conftest import PROGRAM, Browser
from tests.web.test_hardening import SAFE_FOR_STRANGERS, routes

BADGE, PIN = "04A1B2C3", "402917"
MILLED = b"G21 G90 G94\nM3 S8000\nG1 X10 Y10 F300\nM5\nM30\n"


def code_at(lab, slug: str) -> str:
    chief = lab.people["ada"]
    here = [one for one in lab.services.devices.list(chief) if one.name == f"Display {slug}"]
    device = here[0] if here else display_at(lab.services, chief, slug, lab.now)
    return lab.services.devices.shown(device, lab.now).code


def wrong(code: str) -> str:
    return str((int(code) + 1) % 10**6).zfill(6)


def paired(lab, app, kind: DeviceKind, *slugs: str) -> Browser:
    """Return a browser that is a device of the house and nobody's."""
    _, code = lab.services.devices.make(lab.people["ada"], kind, "Screen", slugs, lab.now)
    screen = Browser(lab, app)
    answer = screen.http.post("/display/pair", data={"code": code})
    assert answer.headers["location"] == "/display"
    return screen


@pytest.fixture
def app(lab):
    return lab.app()


@pytest.fixture
def kiosk(lab, app):
    """A tablet at the printer and the router; Mia carries a badge that was never used."""
    lab.services.badges.give(lab.people["otto"], lab.people["mia"].person_id, BADGE, lab.now)
    screen = paired(lab, app, DeviceKind.KIOSK, "ender", "router", "old-printer")
    yield screen
    screen.http.close()


def come(kiosk: Browser, **given: str):
    """Say who one is at a kiosk."""
    return kiosk.http.post("/kiosk/identify", data={"badge": BADGE, "pin": PIN, **given})


def do(kiosk: Browser, slug: str, what: str, **given: str):
    """Press a button of a machine's page, with the token that the page carries."""
    page = kiosk.get(f"/kiosk/machines/{slug}").text
    found = re.search(r'name="csrf" value="([^"]+)"', page)
    token = found[1] if found else ""
    data = {"csrf": token, "do": what, **given}
    return kiosk.http.post(f"/kiosk/machines/{slug}", data=data)


def waiting(lab, login="mia", slug="ender", data=PROGRAM):
    name = "part.gcode" if slug != "router" else "part.nc"
    job = lab.services.queue.submit(
        lab.people[login], name=name, data=io.BytesIO(data), machine_slug=slug, now=lab.now
    )
    while lab.services.preparation.prepare_next(lab.clock):
        pass
    return job


# The number, typed on a telephone


def test_a_person_types_the_number_on_the_machines_page(browse, lab, read):
    shown = code_at(lab, "router")
    mia = browse("mia")
    page = mia.get("/machines/router").text
    assert "you have to stand here" in read(page)
    refused = mia.post("/machines/router/arm")
    assert refused.status_code == 409
    assert 'href="/machines/router#there"' in refused.text
    bad = mia.post("/machines/router/presence", {"code": wrong(shown)})
    assert bad.status_code == 422
    assert "not the number on the display" in read(bad.text)
    good = mia.post("/machines/router/presence", {"code": f"{shown[:3]} {shown[3:]}"})
    assert good.headers["location"] == "/machines/router?said=present"
    assert "You are here, by its display, until 10:17" in read(mia.get("/machines/router").text)
    assert mia.post("/machines/router/arm").status_code == 303
    assert mia.post("/machines/router/presence", {"leave": "1"}).status_code == 303
    assert "you have to stand here" in read(mia.get("/machines/router").text)


def test_who_types_it_on_the_checklist_comes_back_to_it(browse, lab):
    zero = {"G54": (-250.0, -150.0, -30.0), "G92": (0.0, 0.0, 0.0), "TLO": (0.0,)}
    lab.gateway.told = LiveOffsets(zero, ("G54",), {}, homed=True, can_home=True)
    job = waiting(lab, slug="router", data=MILLED)
    shown, path = code_at(lab, "router"), f"/machines/router/cycle?job={job.id}"
    mia = browse("mia")
    assert f'name="next" value="{path}"' in mia.get(path).text
    typed = mia.post("/machines/router/presence", {"code": shown, "next": path})
    assert typed.headers["location"] == f"{path}&said=present"
    away = mia.post("/machines/router/presence", {"leave": "1", "next": "//evil.example"})
    assert away.headers["location"] == "/?said=left"


def test_the_api_takes_the_number_from_a_person_and_from_no_key(browse, lab):
    shown = code_at(lab, "router")
    mia = browse("mia")
    asked = mia.api("GET", "/machines/router/presence").json()
    assert (asked["asked"], asked["here_until"]) == (["badge", "code", "kiosk"], None)
    _, key = lab.services.people.make_api_key(lab.people["mia"], "script", lab.now)
    bearer = {"Authorization": f"Bearer {key}"}
    program = browse().http
    for path, body in (
        ("presence", {"code": shown}),
        ("arm", {}),
        ("act", {"act": "home"}),
        ("power", {"on": True}),
    ):
        answer = program.post(f"/api/v1/machines/router/{path}", json=body, headers=bearer)
        assert answer.status_code == 409, path
        assert "key-not-present" in [one["reason"] for one in answer.json()["reasons"]], path
    here = mia.api("POST", "/machines/router/presence", json={"code": shown}).json()
    assert here["here_until"] == "2026-03-04T09:17:00Z"
    assert mia.api("POST", "/machines/router/arm").status_code == 200
    assert mia.api("DELETE", "/machines/router/presence").status_code == 204
    answer = mia.api("POST", "/machines/router/arm")
    (reason,) = answer.json()["reasons"]
    assert (reason["reason"], reason["ways"][0]["way"]) == ("not-present", "type-code")


def test_too_many_wrong_numbers_close_the_way_for_a_while(browse, lab, read):
    shown = code_at(lab, "router")
    mia = browse("mia")
    for _ in range(5):
        mia.post("/machines/router/presence", {"code": wrong(shown)})
    answer = mia.post("/machines/router/presence", {"code": shown})
    assert answer.status_code in (422, 429)
    assert "too many wrong numbers" in read(answer.text)


# Screens


def test_a_display_shows_its_machine_and_number_and_nothing_of_people(lab, app, read):
    start = lab.now + timedelta(hours=2)
    mia = lab.people["mia"]
    lab.services.bookings.book(mia, "router", start, start + timedelta(hours=1), lab.now, "hooks")
    screen = paired(lab, app, DeviceKind.DISPLAY, "router")
    answer = screen.get("/display")
    page = read(answer.text)
    assert "Router" in page
    assert "12:07" in page
    assert "Mia" not in page
    assert "hooks" not in page
    (shown,) = re.findall(r'id="digits"[^>]*>(\d{3} \d{3})<', answer.text)
    browser = Browser(lab, app).sign_in("mia")
    assert browser.post("/machines/router/presence", {"code": shown}).status_code == 303
    assert "max-age=34560000" in answer.headers["set-cookie"].lower(), "given anew each time"
    assert answer.headers["cache-control"] == "no-store"
    lab.now += timedelta(seconds=30)
    assert shown not in screen.get("/display").text
    screen.http.close()


def test_a_wall_shows_all_machines_and_no_number(lab, app, read):
    screen = paired(lab, app, DeviceKind.WALL)
    page = screen.get("/display").text
    for name in ("Ender by the window", "Router", "Band saw"):
        assert name in read(page)
    assert "digits" not in page
    assert not re.search(r"\b\d{3} \d{3}\b", read(page))
    screen.http.close()


@pytest.mark.parametrize("kind", list(DeviceKind))
def test_a_device_opens_its_own_pages_and_nothing_else(lab, app, kind):
    lab.services.modules.choose(lab.people["ada"], set(Module), lab.now)
    screen = paired(lab, app, kind, "router")
    tried = 0
    for method, path in routes(app):
        if path in SAFE_FOR_STRANGERS:
            continue
        answer = screen.http.request(method, re.sub(r"\{\w+\}", "router", path))
        to_sign_in = answer.headers.get("location", "").startswith("/sign-in?next=")
        assert answer.status_code == 401 or to_sign_in, (method, path, answer.status_code)
        tried += 1
    assert tried > 100
    if kind is not DeviceKind.KIOSK:
        for path in (
            "/kiosk/identify",
            "/kiosk/house",
            "/kiosk/machines/router",
            "/kiosk/machines/router/stop",
        ):
            assert screen.http.post(path).status_code == 404, path
    assert lab.gateway.calls == []
    screen.http.close()


def test_a_screen_that_is_revoked_shows_nothing_any_more(lab, app, browse, read):
    screen = paired(lab, app, DeviceKind.DISPLAY, "router")
    ada = browse("ada")
    assert "last seen" in read(ada.get("/devices").text)
    (device,) = lab.services.devices.list(lab.people["ada"])
    assert ada.post(f"/devices/{device.id}/revoke").status_code == 303
    page = screen.get("/display").text
    assert "Set this screen up" in page
    assert "digits" not in page
    screen.http.close()


def test_an_admin_makes_a_device_and_reads_its_code_once(browse, lab, read):
    ada = browse("ada")
    given = {"kind": "kiosk", "name": "Tablet", "at-router": "on", "at-ender": "on"}
    page = read(ada.post("/devices", given).text)
    code = re.search(r"\b[A-Z2-9]{5}-[A-Z2-9]{5}\b", page)[0]
    assert code not in ada.get("/devices").text
    assert ada.post("/devices", {**given, "kind": "display"}).status_code == 422
    assert browse("otto").post("/devices", given).status_code == 403
    assert browse("otto").get("/devices").status_code == 403
    wrong_code = browse().http.post("/display/pair", data={"code": "AAAAA-AAAAA"})
    assert wrong_code.status_code == 422
    assert "does not open a device" in read(wrong_code.text)
    made = ada.api("POST", "/devices", json={"kind": "wall", "name": "Wall"})
    assert made.status_code == 201
    assert len(ada.api("GET", "/devices").json()) == 2
    _, key = lab.services.people.make_api_key(lab.people["ada"], "script", lab.now)
    answer = browse().http.get("/api/v1/devices", headers={"Authorization": f"Bearer {key}"})
    assert answer.status_code == 403


def test_settings_of_kiosks_are_bounded(browse, lab):
    ada = browse("ada")
    for idle in ("14", "301", "x", ""):
        assert ada.post("/devices/settings", {"idle_s": idle}).status_code == 422
    given = {"idle_s": "30", "badge_start": ";", "badge_end": "Enter", "alone": "on"}
    assert ada.post("/devices/settings", given).status_code == 303
    assert lab.services.devices.settings() == (30, True)
    assert lab.services.devices.badge_keys() == (";", "Enter")


# The kiosk


def test_a_first_badge_chooses_its_pin_and_the_machine_is_armed(kiosk, lab, read):
    asked = come(kiosk, pin="", at="ender")
    assert asked.status_code == 422
    assert "Choose a PIN" in read(asked.text)
    answer = come(kiosk, at="ender")
    assert answer.headers["location"] == "/kiosk/machines/ender"
    page = read(kiosk.get("/kiosk/machines/ender").text)
    assert "Mia" in page
    armed = do(kiosk, "ender", "arm")
    assert armed.headers["location"] == "/kiosk?said=armed"
    assert lab.services.machines.get("ender", lab.now, None).armed.person_name == "Mia"
    home = read(kiosk.get("/kiosk").text)
    assert "Who are you?" in home
    assert "Mia" not in home, "forgotten once it is done"
    lab.now += timedelta(minutes=6)
    assert come(kiosk, pin="402918").status_code == 422
    assert come(kiosk).status_code == 303


def test_who_is_at_the_kiosk_counts_as_being_at_its_machine_for_that_one_thing(kiosk, lab):
    come(kiosk)
    assert do(kiosk, "router", "arm").status_code == 303
    browser = Browser(lab, kiosk.http.app).sign_in("mia")
    assert browser.api("POST", "/machines/router/act", json={"act": "home"}).status_code == 409
    view = browser.api("GET", "/machines/router/presence").json()
    assert view["here_until"] is None
    assert view["kiosks"] == ["Screen"]


def test_people_check_in_and_out_at_the_house_by_the_kiosk(kiosk, lab, read):
    def press(csrf: str | None = None):
        page = kiosk.get("/kiosk").text
        token = re.search(r'name="csrf" value="([^"]+)"', page)
        do = re.search(r'name="do" value="([^"]+)"', page)
        data = {"csrf": csrf or token.group(1), "do": do.group(1)}
        return kiosk.http.post("/kiosk/house", data=data)

    assert kiosk.http.post("/kiosk/house", data={"do": "come"}).headers["location"] == "/kiosk"
    come(kiosk)
    assert press(csrf="of another page").status_code == 403
    assert press().headers["location"] == "/kiosk?said=came-in"
    assert lab.services.visits.look(lab.people["mia"], lab.now).mine is not None
    assert "I leave" not in kiosk.get("/kiosk").text, "it forgets whom"
    come(kiosk)
    assert "You are checked in" in read(kiosk.get("/kiosk").text)
    assert press().headers["location"] == "/kiosk?said=went-out"
    assert lab.services.visits.look(lab.people["mia"], lab.now).count == 0
    lab.services.modules.choose(lab.people["ada"], set(Module) - {Module.HOUSE}, lab.now)
    come(kiosk)
    assert "/kiosk/house" not in kiosk.get("/kiosk").text


def test_a_login_and_the_pin_will_do_and_nothing_tells_who_there_is(kiosk, lab, read):
    come(kiosk)
    kiosk.http.post("/kiosk/leave")
    assert come(kiosk, badge="", login="mia").status_code == 303
    kiosk.http.post("/kiosk/leave")
    said = {
        read(come(kiosk, **given).text).partition("Who are you")[0]
        for given in (
            {"badge": "", "login": "nobody", "pin": "918273"},
            {"badge": "FFFF0000", "pin": "918273"},
            {"badge": "!", "pin": "918273"},
            {"badge": "", "login": "mia", "pin": "918273"},
        )
    }
    assert len(said) == 1, said


def test_wrong_pins_lock_a_person_out_for_a_while(kiosk, lab, read):
    come(kiosk)
    kiosk.http.post("/kiosk/leave")
    for _ in range(3):
        assert come(kiosk, pin="918273").status_code == 422
    assert come(kiosk).status_code == 422, "the right one, too late"
    lab.now += timedelta(minutes=6)
    assert come(kiosk).status_code == 303


def test_a_kiosk_forgets_whom_when_nothing_is_touched(kiosk, lab, read):
    come(kiosk)
    assert "Mia" in read(kiosk.get("/kiosk").text)
    lab.now += timedelta(seconds=44)
    assert "Mia" in read(kiosk.get("/kiosk").text), "a touch"
    lab.now += timedelta(seconds=44)
    assert "Mia" in read(kiosk.get("/kiosk").text)
    lab.now += timedelta(seconds=45)
    assert "Mia" not in read(kiosk.get("/kiosk").text)
    assert do(kiosk, "ender", "arm").headers["location"] == "/kiosk/machines/ender"
    assert lab.services.machines.get("ender", lab.now, None).armed is None
    come(kiosk)
    for _ in range(20):
        lab.now += timedelta(seconds=31)
        last = read(kiosk.get("/kiosk").text)
    assert "Mia" not in last, "nobody stays for ever"


def test_a_machine_of_another_room_is_not_there(kiosk, lab):
    come(kiosk)
    assert kiosk.get("/kiosk/machines/prusa").status_code == 404
    assert do(kiosk, "prusa", "arm").status_code in (403, 404)
    assert lab.services.machines.get("prusa", lab.now, None).armed is None
    kiosk.http.post("/kiosk/machines/prusa/stop")
    assert lab.gateway.calls == []


def test_a_form_of_another_page_does_nothing(kiosk, lab):
    come(kiosk)
    answer = kiosk.http.post("/kiosk/machines/ender", data={"do": "arm", "csrf": "x"})
    assert answer.status_code == 403
    foreign = {"Origin": "https://evil.example"}
    answer = kiosk.http.post("/kiosk/machines/ender/stop", headers=foreign)
    assert answer.status_code == 403
    assert lab.gateway.calls == []


def test_anybody_at_the_kiosk_stops_a_machine_unasked(kiosk, lab):
    page = kiosk.get("/kiosk/machines/ender").text
    assert 'action="/kiosk/machines/ender/stop"' in page
    assert kiosk.http.post("/kiosk/machines/ender/stop").status_code == 303
    assert lab.gateway.calls == [("stop", "ender")]


def test_a_job_that_waits_is_started(kiosk, lab, read):
    job = waiting(lab)
    come(kiosk)
    assert job.title in read(kiosk.get("/kiosk/machines/ender").text)
    answer = do(kiosk, "ender", "start", job=job.id)
    assert answer.headers["location"] == "/kiosk?said=started"
    assert lab.gateway.calls == [("start", "ender")]


def test_a_mill_is_started_by_its_checklist(kiosk, lab, read):
    zero = {"G54": (-250.0, -150.0, -30.0), "G92": (0.0, 0.0, 0.0), "TLO": (0.0,)}
    reach = {"X": (-300.0, 0.0), "Y": (-200.0, 0.0), "Z": (-60.0, 0.0)}
    lab.gateway.told = LiveOffsets(zero, ("G54",), reach, homed=True, can_home=True)
    job = waiting(lab, slug="router", data=MILLED)
    come(kiosk)
    page = kiosk.get(f"/kiosk/machines/router?job={job.id}").text
    ticks = re.findall(r'type="checkbox" name="([a-z]+)"', page)
    assert ticks == ["stock", "tool", "offset", "extraction"]
    half = do(kiosk, "router", "start", job=job.id, stock="yes")
    assert half.status_code == 422
    assert "Not confirmed" in half.text
    answer = do(kiosk, "router", "start", job=job.id, **dict.fromkeys(ticks, "yes"))
    assert answer.headers["location"] == "/kiosk?said=started"
    assert lab.gateway.calls[-1] == ("start", "router")


def test_one_comes_for_a_booking_and_gives_the_rest_back(kiosk, lab, read):
    mia, now = lab.people["mia"], lab.now
    made = lab.services.bookings.book(mia, "ender", now, now + timedelta(hours=2), now)
    come(kiosk)
    page = read(kiosk.get("/kiosk/machines/ender").text)
    assert "I am here for 10:07" in page
    assert do(kiosk, "ender", "check-in", booking=made.id).status_code == 303
    assert lab.services.bookings.one(mia, made.id).checked_in
    lab.now += timedelta(seconds=40)
    assert do(kiosk, "ender", "end", booking=made.id).status_code == 303
    (free, *_) = lab.services.bookings.proposals("ender", timedelta(hours=1), lab.now, mia)
    assert free.start < now + timedelta(hours=1)


def test_a_free_hour_is_booked_and_a_fault_reported(kiosk, lab, read):
    come(kiosk)
    page = kiosk.get("/kiosk/machines/ender").text
    start = re.search(r'name="start" value="([^"]+)"', page)[1]
    assert do(kiosk, "ender", "book", start=start).headers["location"].endswith("?said=booked")
    assert do(kiosk, "ender", "book", start="soon").status_code == 422
    answer = do(kiosk, "ender", "fault", severity="limits", text="The fan rattles")
    assert answer.headers["location"].endswith("?said=reported")
    (fault,) = lab.services.faults.list(lab.people["mia"], "ender")
    assert (fault.text, fault.person_name) == ("The fan rattles", "Mia")
    assert do(kiosk, "ender", "fault", severity="limits").status_code == 422
    assert do(kiosk, "ender", "fly").status_code == 422


def test_a_bed_is_cleared_in_the_words_of_who_took_it_off(kiosk, lab, read):
    lab.workshop.live.put("ender", LiveState(phase="idle", connected=True))
    lab.services.machines.set_to_check(lab.people["otto"], "ender", lab.now)
    come(kiosk)
    assert "warped" in read(kiosk.get("/kiosk/machines/ender").text).lower()
    answer = do(kiosk, "ender", "clear", outcome="failed", cause="warped")
    assert answer.headers["location"] == "/kiosk?said=cleared"
    assert not lab.services.machines.get("ender", lab.now, None).to_check
