"""Every way in, as a browser goes it: the second step, proving again, keys, shared computers."""

from __future__ import annotations

import base64
import re
from datetime import timedelta

import pytest

from jobs.domain.credentials import Scope
from jobs.services.second_step import WINDOW_S, code_at
from tests.web.conftest import PASSWORD, PROGRAM, words

LATER = timedelta(minutes=31)  # than any proof holds


def turn_step_on(lab, login="mia"):
    """Turn the second step on; return what makes codes, and the codes of recovery."""
    me, steps = lab.people[login].person_id, lab.services.second_steps
    secret = base64.b32decode(steps.begin(me))

    def code(windows=0):
        return code_at(secret, int(lab.now.timestamp()) // WINDOW_S + windows)

    return code, steps.confirm(me, code(), lab.now)


def cookies_of(answer):
    return [one for one in answer.headers.get_list("set-cookie") if one.startswith("fabnode=")]


def half_way(browser):
    answer = browser.http.post("/sign-in", data={"login": "mia", "password": PASSWORD})
    assert answer.status_code == 200
    return answer, re.search(r'name="half" value="([^"]+)"', answer.text)[1]


# The second step


def test_the_password_alone_is_half_a_sign_in_and_no_cookie(browse, lab):
    code, _ = turn_step_on(lab)
    lab.now += timedelta(minutes=2)
    browser = browse()
    answer, half = half_way(browser)
    assert cookies_of(answer) == []
    assert browser.get("/").status_code == 303
    wrong = browser.http.post("/sign-in/code", data={"half": half, "code": "000000"})
    assert wrong.status_code == 401
    assert cookies_of(wrong) == []
    right = browser.http.post("/sign-in/code", data={"half": half, "code": code()})
    assert right.status_code == 303
    assert len(cookies_of(right)) == 1
    again = browse().http.post("/sign-in/code", data={"half": half, "code": code(1)})
    assert again.status_code == 422  # the half was used up


def test_a_half_sign_in_ends_after_five_minutes_and_is_nobodys_else(browse, lab):
    code, _ = turn_step_on(lab)
    lab.now += timedelta(minutes=2)
    _, half = half_way(browse())
    for made_up in ("", "x" * 43, half[:-1]):
        answer = browse().http.post("/sign-in/code", data={"half": made_up, "code": code()})
        assert answer.status_code == 422
    lab.now += timedelta(minutes=6)
    late = browse().http.post("/sign-in/code", data={"half": half, "code": code()})
    assert late.status_code == 422
    assert "took too long" in words(late.text)


def test_a_link_asks_for_the_code_as_well(browse, lab):
    """Who finds a link in somebody's mail has not got their phone."""
    _, codes = turn_step_on(lab)
    token = lab.services.people.make_link(lab.people["mia"].person_id, lab.now)
    browser = browse()
    answer = browser.http.post(f"/sign-in/link/{token}")
    assert cookies_of(answer) == []
    half = re.search(r'name="half" value="([^"]+)"', answer.text)[1]
    done = browser.http.post("/sign-in/code", data={"half": half, "code": codes[0]})
    assert done.status_code == 303
    assert "recovery code" in words(browser.get("/me/sign-in").text)


def test_the_second_step_is_turned_on_by_a_first_code_and_off_after_a_proof(browse, lab):
    mia = browse("mia")
    page = mia.post("/me/second-step", {"what": "begin"}).text
    secret = base64.b32decode(
        re.search(r"<code[^>]*>([A-Z2-7 ]{39})</code>", page)[1].replace(" ", "")
    )
    wrong = mia.post("/me/second-step", {"what": "confirm", "code": "1"})
    assert wrong.status_code == 422
    code = code_at(secret, int(lab.now.timestamp()) // WINDOW_S)
    done = mia.post("/me/second-step", {"what": "confirm", "code": code}).text
    codes = re.findall(r"(?:[A-Z2-7]{4}-){3}[A-Z2-7]{4}", done)
    assert len(set(codes)) == 10
    assert codes[0] not in mia.get("/me/sign-in").text
    lab.now += LATER
    assert mia.post("/me/second-step", {"what": "off"}).status_code == 403
    off = mia.post("/me/second-step", {"what": "off", "proof": PASSWORD})
    assert off.status_code == 303
    assert not lab.services.second_steps.is_on(lab.people["mia"].person_id)


# Proving again

ASKS = (
    ("/me/keys", {"name": "x", "scope-read": "1"}),
    ("/me/pin", {"what": "draw"}),
    ("/me/second-step", {"what": "begin"}),
    ("/me/passkeys/options", {}),
    ("/me/outside", {"what": "tie"}),
    ("/workstations", {"name": "Corner"}),
    ("/people/{gus}/role", {"role": "member"}),
    ("/people/{gus}/link", {}),
    ("/people/{gus}/badge", {"number": "AAAA1111"}),
    ("/people/{gus}/second-step", {}),
)


@pytest.mark.parametrize(("path", "form"), ASKS)
def test_a_browser_that_was_left_open_changes_no_credentials(browse, lab, path, form):
    ada = browse("ada")
    path = path.replace("{gus}", lab.people["gus"].person_id)
    lab.now += LATER
    answer = ada.post(path, form)
    assert answer.status_code == 403
    assert "Is it you?" in answer.text
    assert "fab_" not in answer.text
    wrong = ada.post(path, form | {"proof": "wrong wrong wrong"})
    assert wrong.status_code == 403
    assert "password is wrong" in words(wrong.text)


def test_the_form_comes_along_but_no_secret_of_it(browse, lab):
    ada = browse("ada")
    lab.now += LATER
    page = ada.post("/me/keys", {"name": "<lamp>", "scope-read": "1", "pin": "482913"}).text
    assert 'name="name" value="&lt;lamp&gt;"' in page
    assert "482913" not in page
    assert 'action="/me/keys"' in page


def test_a_proof_changes_the_token_and_holds_ten_minutes(browse, lab):
    mia = browse("mia")
    lab.now += LATER
    before = mia.http.cookies["fabnode"]
    made = mia.post("/me/keys", {"name": "x", "scope-read": "1", "proof": PASSWORD})
    assert "fab_" in made.text
    assert mia.http.cookies["fabnode"] != before
    assert mia.post("/me/keys", {"name": "y", "scope-read": "1"}).status_code == 200
    lab.now += timedelta(minutes=10)
    assert mia.post("/me/keys", {"name": "z", "scope-read": "1"}).status_code == 403
    stale = browse()
    stale.http.cookies.set("fabnode", before)
    assert stale.get("/").status_code == 303


def test_the_api_asks_for_a_proof_too_and_no_key_has_any(browse, lab):
    mia = browse("mia")
    lab.now += LATER
    wish = {"name": "lamp", "scopes": ["read"]}
    answer = mia.api("POST", "/keys", json=wish)
    assert (answer.status_code, answer.json()["code"]) == (403, "proof-needed")
    assert mia.api("POST", "/proof", json={"password": "wrong"}).status_code == 401
    assert mia.api("POST", "/proof", json={"password": PASSWORD}).status_code == 204
    made = mia.api("POST", "/keys", json=wish).json()
    assert made["scopes"] == ["read"]
    _, secret = lab.services.people.make_api_key(lab.people["ada"], "all", lab.now)
    program = browse()
    headers = {"Authorization": f"Bearer {secret}"}
    refused = program.http.post("/api/v1/keys", json=wish, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (403, "key-not-enough")


# Keys and their scopes


@pytest.mark.parametrize(
    ("method", "path", "needed"),
    [
        ("GET", "/queue", Scope.READ),
        ("GET", "/people/me", Scope.READ),
        ("POST", "/jobs", Scope.QUEUE),
        ("POST", "/jobs/nothing/hold", Scope.QUEUE),
        ("POST", "/bookings", Scope.BOOK),
        ("DELETE", "/bookings/nothing", Scope.BOOK),
        ("POST", "/machines/ender/pause", Scope.OPERATE),
        ("POST", "/machines/ender/faults", Scope.OPERATE),
        ("POST", "/jobs/nothing/resume", Scope.OPERATE),
        ("POST", "/machines", Scope.MANAGE),
        ("PUT", "/modules", Scope.MANAGE),
        ("PUT", "/bookings/rules", Scope.MANAGE),
    ],
)
def test_a_key_does_what_it_was_made_for_and_nothing_else(browse, lab, method, path, needed):
    program = browse()

    def ask(scopes):
        _, key = lab.services.people.make_api_key(lab.people["ada"], "x", lab.now, scopes)
        headers = {"Authorization": f"Bearer {key}"}
        return program.http.request(method, f"/api/v1{path}", headers=headers)

    refused = ask(set(Scope) - {needed})
    assert (refused.status_code, refused.json()["code"]) == (403, "key-scope")
    granted = ask({needed})
    assert granted.status_code != 403 or granted.json()["code"] != "key-scope"


def test_any_key_may_stop(browse, lab):
    _, key = lab.services.people.make_api_key(lab.people["mia"], "x", lab.now, {Scope.BOOK})
    headers = {"Authorization": f"Bearer {key}"}
    for path in ("/api/v1/stop", "/api/v1/machines/ender/stop"):
        assert browse().http.post(path, headers=headers).status_code == 200


def test_a_key_that_may_not_look_hears_no_events(browse, lab):
    _, key = lab.services.people.make_api_key(lab.people["mia"], "x", lab.now, {Scope.BOOK})
    answer = browse().get("/events", headers={"Authorization": f"Bearer {key}"})
    assert answer.status_code == 403


# Sign-ins


def test_one_sees_where_one_is_signed_in_and_ends_it(browse, lab):
    agent = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
    other = browse()
    form = {"login": "mia", "password": PASSWORD}
    other.http.post("/sign-in", data=form, headers={"User-Agent": agent})
    mia = browse("mia")
    page = mia.get("/me/sign-in").text
    assert "Firefox, Linux" in page
    assert "by password" in words(page)
    found = mia.api("GET", "/sign-ins").json()
    assert other.http.cookies["fabnode"] not in str(found)
    assert [one["this"] for one in found].count(True) == 1
    (theirs,) = [one["id"] for one in found if one["device"]]
    stranger = browse("otto")
    assert stranger.api("DELETE", f"/sign-ins/{theirs}").status_code == 404
    assert mia.post(f"/me/sign-ins/{theirs}/end").status_code == 303
    assert other.get("/").status_code == 303
    assert mia.get("/").status_code == 200


# Shared computers and slicers


@pytest.fixture
def corner(lab):
    """The key of a shared computer."""
    return lab.services.workstations.make(lab.people["otto"], "Corner", lab.now)[1]


def send(browser, path, key, name="cube.gcode", data=PROGRAM):
    return browser.http.post(path, headers={"X-Api-Key": key}, files={"file": (name, data)})


def test_a_slicer_on_a_shared_computer_sends_what_a_member_claims(browse, lab, corner):
    nobody = browse()
    version = nobody.get("/m/ender/api/version", headers={"X-Api-Key": corner})
    assert version.json()["text"].startswith("OctoPrint")
    answer = send(nobody, "/m/ender/api/files/local", corner)
    assert answer.status_code == 201
    assert answer.json()["files"]["local"]["name"] == "cube.gcode"
    assert lab.services.queue.list(lab.now, lab.people["mia"]) == []
    mia = browse("mia")
    page = mia.get("/unclaimed").text
    assert "cube.gcode" in page
    assert "Corner" in page
    claim = re.search(r'action="(/unclaimed/[^"]+/claim)"', page)[1]
    job = mia.post(claim)
    assert job.headers["location"].startswith("/jobs/")
    assert browse("otto").post(claim).status_code == 404
    (mine,) = lab.services.queue.list(lab.now, lab.people["mia"])
    assert (mine.mine, mine.title) == (True, "cube.gcode")
    assert lab.gateway.calls == []  # nothing starts, whatever the slicer asked for


def test_the_key_of_a_shared_computer_opens_nothing_else(browse, lab, corner):
    nobody = browse()
    for header in ({"Authorization": f"Bearer {corner}"}, {"X-Api-Key": corner}):
        for method, path in (
            ("GET", "/api/v1/queue"),
            ("GET", "/api/v1/people/me"),
            ("POST", "/api/v1/jobs"),
            ("POST", "/api/v1/stop"),
            ("GET", "/events"),
        ):
            answer = nobody.http.request(method, path, headers=header)
            assert answer.status_code == 401, (header, path)
        assert nobody.get("/", headers=header).status_code == 303


def test_a_members_key_makes_a_job_of_theirs_from_a_slicer(browse, lab):
    _, key = lab.services.people.make_api_key(lab.people["mia"], "x", lab.now, {Scope.QUEUE})
    answer = send(browse(), "/m/ender/api/files/local", key)
    assert answer.status_code == 201
    (job,) = lab.services.queue.list(lab.now, lab.people["mia"])
    assert job.id == answer.json()["job"]
    _, key = lab.services.people.make_api_key(lab.people["mia"], "y", lab.now, {Scope.READ})
    assert send(browse(), "/m/ender/api/files/local", key).status_code == 403
    for wrong in ("", "fab_x", "fabw_x"):
        assert send(browse(), "/m/ender/api/files/local", wrong).status_code == 401
    # A cookie is no key: no other page sends files for somebody.
    mia = browse("mia")
    assert send(mia, "/m/ender/api/files/local", "").status_code == 401
    assert send(mia, "/api/v1/uploads", "").status_code == 401
