from __future__ import annotations

import re
from datetime import timedelta

import pytest

from jobs.domain.modules import Module
from jobs.domain.people import LabMode, Role


def test_every_page_asks_a_stranger_to_sign_in(browse, lab, pages):
    lab.services.modules.choose(lab.people["ada"], set(Module), lab.now)
    stranger = browse()
    for path in pages:
        if path in ("/nowhere",):
            continue
        answer = stranger.get(path)
        assert answer.status_code == 303, path
        assert answer.headers["location"].startswith("/sign-in?next=")


def test_signing_in_leads_back_to_where_one_wanted_to_go(browse):
    browser = browse()
    where = browser.get("/machines/ender?length=30").headers["location"]
    page = browser.get(where).text
    assert 'value="/machines/ender?length=30"' in page
    answer = browser.post(
        "/sign-in",
        {"login": "mia", "password": "correct horse battery", "next": "/machines/ender?length=30"},
    )
    assert answer.headers["location"] == "/machines/ender?length=30"


@pytest.mark.parametrize("evil", ["//evil.example/", "https://evil.example", "/\\evil.example"])
def test_signing_in_never_leads_out_of_the_house(browse, evil):
    answer = browse().post(
        "/sign-in", {"login": "mia", "password": "correct horse battery", "next": evil}
    )
    assert answer.headers["location"] == "/"


def test_a_wrong_password_gets_one_sentence_and_keeps_the_name(browse, read):
    answer = browse().post("/sign-in", {"login": "mia", "password": "wrong"})
    assert answer.status_code == 401
    assert 'value="mia"' in answer.text
    assert "⟨" not in read(answer.text)
    assert "set-cookie" not in answer.headers


def test_guessing_is_slowed_down(browse):
    browser = browse()
    codes = [
        browser.post("/sign-in", {"login": "mia", "password": f"wrong {n}"}).status_code
        for n in range(7)
    ]
    assert codes[0] == 401
    assert codes[-1] == 429


def test_the_cookie_is_for_http_only_and_under_tls_for_this_host_only(lab):
    from fastapi.testclient import TestClient

    form = {"login": "mia", "password": "correct horse battery"}
    for secure in (False, True):
        with TestClient(lab.app(secure=secure), follow_redirects=False) as http:
            cookie = http.post("/sign-in", data=form).headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        assert cookie.startswith("__Host-fabnode=") is secure
        assert ("Secure" in cookie) is secure


def test_signing_out_ends_the_sign_in_on_the_server(browse):
    browser = browse("mia")
    token = browser.http.cookies["fabnode"]
    assert browser.post("/sign-out").status_code == 303
    browser.http.cookies.set("fabnode", token)
    assert browser.get("/").status_code == 303


def test_a_link_signs_in_once_and_only_by_its_button(browse, lab):
    person = lab.people["mia"].person_id
    token = lab.services.people.make_link(person, lab.now)
    browser = browse()
    for _ in range(2):  # a mail program peeks
        assert browser.get(f"/sign-in/link/{token}").status_code == 200
    answer = browser.http.post(f"/sign-in/link/{token}")
    assert answer.headers["location"] == "/me"
    assert browse().http.post(f"/sign-in/link/{token}").status_code in (401, 404, 409, 422)


def test_who_came_by_a_link_sets_a_password_without_the_old_one(browse, lab):
    token = lab.services.people.make_link(lab.people["mia"].person_id, lab.now)
    browser = browse()
    browser.http.post(f"/sign-in/link/{token}")
    browser.csrf = browser.get("/api/v1/people/me").json()["csrf"]
    assert 'name="old"' not in browser.get("/me/sign-in").text
    answer = browser.post("/me/password", {"password": "a new long password"})
    assert answer.status_code == 303
    browse().sign_in("mia", "a new long password")
    # The link has done its work: the next change needs the password.
    assert browser.post("/me/password", {"password": "yet another one"}).status_code == 422


def test_a_link_is_worth_a_new_password_for_half_an_hour_only(browse, lab):
    token = lab.services.people.make_link(lab.people["mia"].person_id, lab.now)
    browser = browse()
    browser.http.post(f"/sign-in/link/{token}")
    browser.csrf = browser.get("/api/v1/people/me").json()["csrf"]
    lab.now += timedelta(minutes=31)
    assert browser.post("/me/password", {"password": "a new long password"}).status_code == 422


def test_the_first_run_asks_for_a_password_and_for_whom_the_node_is(empty_lab, read):
    from fastapi.testclient import TestClient

    lab = empty_lab
    ada = lab.services.people.create(
        "ada", "Ada", Role.ADMIN, password=None, actor=None, now=lab.now
    )
    token = lab.services.people.make_link(ada.id, lab.now)
    with TestClient(lab.app(), follow_redirects=False) as http:
        assert http.post(f"/sign-in/link/{token}").headers["location"] == "/first-run"
        assert http.get("/").headers["location"] == "/first-run"
        page = http.get("/first-run").text
        csrf = re.search(r'name="csrf" value="([^"]+)"', page)[1]
        short = http.post("/first-run", data={"csrf": csrf, "mode": "only-me", "password": "short"})
        assert short.status_code == 422
        assert lab.services.lab.mode() is LabMode.UNSET
        done = http.post(
            "/first-run", data={"csrf": csrf, "mode": "only-me", "password": "long enough for me"}
        )
        assert done.status_code == 303
        assert lab.services.lab.mode() is LabMode.ONLY_ME
        board = http.get("/").text
        assert 'href="/book"' not in board
        assert 'href="/bookings"' not in board
        assert "nothing to book" in read(http.get("/book").text)
    assert lab.services.people.sign_in("ada", "long enough for me", lab.now)


def test_a_key_is_shown_once_and_works_without_a_cookie(browse):
    browser = browse("mia")
    assert browser.post("/me/keys", {"name": "slicer"}).status_code == 422  # for nothing at all
    page = browser.post("/me/keys", {"name": "slicer", "scope-read": "1"}).text
    secret = re.search(r"fab_[\w-]+", page)[0]
    assert secret not in browser.get("/me/sign-in").text
    program = browse()
    headers = {"Authorization": f"Bearer {secret}"}
    assert program.get("/api/v1/people/me", headers=headers).json()["name"] == "Mia"
    # No browser sends a key by itself, so no token is asked for.
    assert program.http.post("/api/v1/stop", headers=headers).status_code == 200
    # Nor does a key open a page, or make itself another.
    assert program.get("/", headers=headers).status_code == 303
    made = program.http.post("/me/keys", data={"name": "second"}, headers=headers)
    assert made.status_code == 303
    assert "/sign-in" in made.headers["location"]
    key = re.search(r'action="(/me/keys/[^"]+/revoke)"', browser.get("/me/sign-in").text)[1]
    assert browser.post(key).status_code == 303
    assert program.get("/api/v1/people/me", headers=headers).status_code == 401


def test_an_admin_may_change_their_mind_about_sharing(browse):
    ada, mia = browse("ada"), browse("mia")
    assert 'name="mode"' not in mia.get("/me").text
    assert mia.post("/me/mode", {"mode": "only-me"}).status_code == 403
    assert ada.post("/me/mode", {"mode": "nobody"}).status_code == 422
    assert ada.post("/me/mode", {"mode": "only-me"}).status_code == 303
    assert 'href="/book"' not in mia.get("/").text
