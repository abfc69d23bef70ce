"""What strangers and other sites try. The table in README.md names the class of each."""

from __future__ import annotations

import re
import time
from datetime import timedelta

import pytest

from jobs.domain.errors import InvalidError
from tests.web.conftest import PASSWORD, PROGRAM, Browser, words
from tests.web.test_hardening import routes
from web.app import create_app
from web.context import WebSettings
from web.guesses import _OF_ALL, _OF_NETWORK, Guesses


def at(lab, **changes):
    """A browser at a lab whose node is set up otherwise."""
    settings = WebSettings("Test lab", "0.1.0", lab.workshop.zone, **changes)
    return Browser(lab, create_app(lab.services, settings, lab.health, clock=lab.clock))


# Names that are not ours (DNS rebinding)


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8080", "fab.local.evil.example", ""]
)
def test_a_node_that_is_called_by_a_strangers_name_answers_nothing(browse, host):
    mia = browse("mia")
    for method, path in (("GET", "/"), ("GET", "/api/v1/queue"), ("POST", "/stop"), ("GET", "/x")):
        answer = mia.http.request(method, path, headers={"Host": host})
        assert answer.status_code == 421, path
        assert "Mia" not in answer.text
    assert mia.lab.gateway.calls == []


@pytest.mark.parametrize(
    "host",
    ["192.0.2.7:8080", "[2001:db8::1]:8080", "fabnode", "fab.local", "fab.lan:80", "FAB.home.arpa"],
)
def test_names_that_only_a_house_gives_out_are_the_nodes(browse, host):
    assert browse("mia").get("/", headers={"Host": host}).status_code == 200


def test_a_name_of_the_world_is_the_nodes_once_the_lab_says_so(lab):
    browser = at(lab, hosts=frozenset({"fab.example.org"}))
    known = browser.get("/sign-in", headers={"Host": "fab.example.org"})
    assert known.status_code == 200
    refused = browser.get("/sign-in", headers={"Host": "other.example.org"})
    assert "add it to hosts in node.toml" in words(refused.text)
    browser.http.close()


# Headers of proxies

FORWARDED = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}


def guess_from(browser, address, count, login="nobody"):
    return [
        browser.http.post(
            "/sign-in",
            data={"login": f"{login}{number}", "password": "wrong wrong"},
            headers={"X-Forwarded-For": address},
        ).status_code
        for number in range(count)
    ]


def test_only_a_proxy_that_the_lab_names_says_whence_somebody_comes(lab, monkeypatch):
    """Else whoever writes another address on each guess would never be slowed down."""
    import web.guesses

    monkeypatch.setattr(web.guesses, "_OF_NETWORK", 3)
    for proxies, last in (((), 429), (("testclient",), 401), (("192.0.2.1",), 429)):
        browser = at(lab, proxies=proxies)
        codes = [guess_from(browser, f"198.51.{n}.7", 1, f"p{n}-")[0] for n in range(4)]
        assert codes[-1] == last, proxies
        browser.http.close()


def test_what_is_behind_a_named_proxy_is_told_apart_by_network(lab, monkeypatch):
    import web.guesses

    monkeypatch.setattr(web.guesses, "_OF_NETWORK", 3)
    browser = at(lab, proxies=("testclient",))
    assert guess_from(browser, "198.51.100.7", 4) == [401, 401, 401, 429]
    assert guess_from(browser, "198.51.100.200", 1, "same-network") == [429]
    assert guess_from(browser, "203.0.113.1", 1, "other-network") == [401]
    # A proxy passes on what a client claims: only the last word is its own.
    both = "203.0.113.1, 198.51.100.9"
    assert guess_from(browser, both, 1, "claims") == [429]
    browser.http.close()


# Limits on guessing that lock nobody out


def test_too_many_wrong_passwords_end_the_way_by_password_alone(lab, browse, monkeypatch):
    import web.guesses

    monkeypatch.setattr(web.guesses, "_OF_NETWORK", 3)
    signed_in = browse("mia")
    browser = browse()
    for number in range(3):
        browser.http.post("/sign-in", data={"login": f"x{number}", "password": "wrong wrong"})
    right = browser.http.post("/sign-in", data={"login": "otto", "password": PASSWORD})
    assert right.status_code == 429
    assert "sign-in link or a passkey works at once" in words(right.text)
    assert signed_in.get("/").status_code == 200
    browse("otto")  # by a link
    lab.now += timedelta(minutes=10)
    browse().sign_in("otto", PASSWORD)


def test_counts_are_bounded_and_forgotten(lab):
    guesses = Guesses()
    for number in range(3 * _OF_ALL):
        guesses.wrong(f"10.{number % 256}.{number // 256 % 256}.1", lab.now)
    with pytest.raises(InvalidError):
        guesses.check("192.0.2.1", lab.now)
    assert len(guesses._at) == _OF_ALL
    assert sum(guesses._counts.values()) == _OF_ALL
    guesses.check("192.0.2.1", lab.now + timedelta(minutes=10))
    assert guesses._counts == {}
    for _ in range(_OF_NETWORK):
        guesses.wrong("192.0.2.1", lab.now)
    with pytest.raises(InvalidError):
        guesses.check("192.0.2.99", lab.now)
    guesses.check("192.0.3.1", lab.now)


# Who is there, told by answers or by time


def test_an_unknown_login_and_a_wrong_password_get_the_same_page(browse):
    page = [
        browse().http.post("/sign-in", data={"login": login, "password": "wrong wrong"})
        for login in ("mia", "nobody-here")
    ]
    assert page[0].status_code == page[1].status_code == 401
    assert page[0].text.replace("mia", "nobody-here") == page[1].text
    assert page[0].headers.keys() == page[1].headers.keys()


def test_signing_in_costs_the_same_work_whether_one_is_here_or_not(lab):
    """Work of this thread and not time: other people's load is no matter. Medians, in turns."""
    people, spent = lab.services.people, {"mia": [], "nobody-here": [], "locked": []}
    ada, mia = lab.people["ada"], lab.people["mia"]
    made = people.create("locked", "L", mia.role, password=PASSWORD, actor=ada, now=lab.now)
    people.disable(ada, made.id, lab.now)
    for _ in range(7):
        for login, seen in spent.items():
            lab.now += timedelta(minutes=1)
            began = time.thread_time()
            with pytest.raises(InvalidError):
                people.prove(login, "wrong wrong wrong", lab.now)
            seen.append(time.thread_time() - began)
    median = {login: sorted(seen)[len(seen) // 2] for login, seen in spent.items()}
    assert max(median.values()) < 1.5 * min(median.values()), median
    # And it is the hash that costs: without it both would be alike as well.
    assert min(median.values()) > 0.01


@pytest.mark.parametrize(
    "path", ["/me/sign-ins/{}/end", "/me/passkeys/{}/remove", "/me/keys/{}/revoke"]
)
def test_what_is_another_persons_is_not_there_for_one(browse, lab, path):
    """One answer for what is another's and for what does not exist."""
    key_id, _ = lab.services.people.make_api_key(lab.people["otto"], "x", lab.now)
    browse("otto")
    (theirs, *_) = lab.services.people.sign_ins(lab.people["otto"].person_id, lab.now)
    mia = browse("mia")
    for known in (key_id, theirs.id, "0" * 16):
        assert mia.post(path.format(known)).status_code in (403, 404)
    assert len(lab.services.people.sign_ins(lab.people["otto"].person_id, lab.now)) >= 1
    assert lab.services.people.api_keys(lab.people["otto"])[0].revoked_at is None


# A token that was there before (session fixation)


def test_no_token_that_a_browser_brings_becomes_its_sign_in(browse, lab):
    for known in ("x" * 43, browse("gus").http.cookies["fabnode"]):
        browser = browse()
        browser.http.cookies.set("fabnode", known)
        answer = browser.http.post("/sign-in", data={"login": "mia", "password": PASSWORD})
        given = re.search(r"fabnode=([^;]+)", answer.headers["set-cookie"])[1]
        assert given != known


def test_a_new_password_gives_a_new_token(browse, lab):
    mia = browse().sign_in("mia", PASSWORD)
    before = mia.http.cookies["fabnode"]
    mia.post("/me/password", {"old": PASSWORD, "password": "a new long password"})
    assert mia.http.cookies["fabnode"] != before
    old = browse()
    old.http.cookies.set("fabnode", before)
    assert old.get("/").status_code == 303


# Other sites (CSRF, CORS, frames)

WITHOUT_TOKEN = {
    "/sign-in",  # the guard against other sites is theirs: nobody is signed in
    "/sign-in/code",
    "/sign-in/link/{token}",
    "/sign-in/passkey",
    "/sign-in/passkey/options",
    "/join",
    "/join/{token}",
    "/m/{slug}/api/files/local",  # a key alone counts there
    "/api/v1/uploads",
    "/display/pair",  # a screen that nobody is signed in at yet: it shows a number, no more
}


def test_no_form_of_any_route_is_taken_without_its_token(browse, lab):
    """Generated from the router: a new route is tried the day it is written."""
    ada = browse("ada")
    tried = 0
    for method, path in routes(ada.http.app):
        if method in ("GET", "HEAD") or path in WITHOUT_TOKEN:
            continue
        filled = re.sub(r"\{\w+\}", "ender", path)
        for headers in ({}, {"X-CSRF-Token": "guessed"}):
            answer = ada.http.request(method, filled, headers=headers, data={"csrf": "guessed"})
            # A kiosk's own door asks for the kiosk first; a body that is none is refused before.
            assert answer.status_code in (303, 401, 403, 404, 422), (method, path)
            if answer.status_code == 303:
                assert answer.headers["location"].startswith("/sign-in"), (method, path)
            assert answer.status_code != 422 or path.startswith("/api/"), (method, path)
            tried += 1
    assert tried > 200
    assert lab.gateway.calls == []


def test_another_site_reaches_no_route_whatever_it_sends(browse, lab):
    ada = browse("ada")
    evil = {"Origin": "https://evil.example", "X-CSRF-Token": ada.csrf}
    for method, path in routes(ada.http.app):
        if method in ("GET", "HEAD"):
            continue
        filled = re.sub(r"\{\w+\}", "ender", path)
        answer = ada.http.request(method, filled, headers=evil, data={"csrf": ada.csrf})
        assert answer.status_code == 403, (method, path)
    assert lab.gateway.calls == []


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://testserver"])
def test_no_other_site_may_read_an_answer(browse, origin):
    ada = browse("ada")
    for path in ("/", "/api/v1/people", "/events", "/api/v1/openapi.json", "/static/style.css"):
        if path == "/events":
            continue  # a stream does not end here: its headers are the same middleware's
        answer = ada.get(path, headers={"Origin": origin})
        assert not [one for one in answer.headers if one.startswith("access-control")], path
        asked = ada.http.options(
            path, headers={"Origin": origin, "Access-Control-Request-Method": "POST"}
        )
        assert not [one for one in asked.headers if one.startswith("access-control")], path


def test_no_page_stands_in_another_sites_frame(ada, pages):
    for path in (*pages, "/sign-in"):
        headers = ada.get(path).headers
        assert headers["x-frame-options"] == "DENY", path
        assert "frame-ancestors 'none'" in headers["content-security-policy"]


# Files that a browser might take for something else


def test_what_people_bring_is_never_shown_as_a_page(browse, lab):
    """A program that is HTML, saved again: an attachment of no type."""
    mia = browse("mia")
    evil = b"<html><script>alert(1)</script>\n" + PROGRAM
    files = {"file": ("a.html.gcode", PROGRAM + b"; <script>alert(1)</script>\n")}
    job = mia.post("/jobs/new", {"machine": "old-printer"}, files=files)
    while lab.services.preparation.prepare_next(lab.clock):
        pass
    path = job.headers["location"].partition("?")[0]
    answer = mia.get(f"{path}/program?machine=old-printer")
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["x-content-type-options"] == "nosniff"
    refused = mia.post("/jobs/new", {"machine": "ender"}, files={"file": ("a.gcode", evil)})
    assert refused.status_code in (303, 422)
    assert "<script>alert" not in refused.text


# Events


def test_events_are_for_who_may_look_and_say_nothing_of_people(browse, lab):
    """The stream carries machines, and no name of anybody."""
    import json

    from web.live import machine_json

    assert browse().get("/events").status_code == 401
    web = browse("gus").http.app.state.web
    board = lab.services.machines.board(lab.now, None)
    text = json.dumps([machine_json(web.renderer.sentences, one, lab.now) for one in board])
    for actor in lab.people.values():
        assert actor.person_id not in text
        assert actor.name not in text


# Markup in what is new here


EVIL = "\"><script>alert(1)</script>{{ 7*'7' }}"


def test_names_of_keys_computers_and_files_are_text(browse, lab):
    ada = browse("ada")
    made = ada.post("/me/keys", {"name": EVIL, "scope-read": "1"}).text
    page = ada.post("/workstations", {"name": EVIL}).text
    key = re.search(r"fabw_[\w-]+", page)[0]
    sent = browse().http.post(
        "/m/ender/api/files/local",
        headers={"X-Api-Key": key},
        files={"file": (f"{EVIL}.gcode", PROGRAM)},
    )
    assert sent.headers["content-type"] == "application/json"
    lab.now += timedelta(minutes=31)
    asked = ada.post("/me/keys", {"name": EVIL}).text
    agent = {"User-Agent": f"Firefox/1 {EVIL} Linux"}
    browse().http.post("/sign-in", data={"login": "ada", "password": PASSWORD}, headers=agent)
    for text in (made, page, asked, ada.get("/unclaimed").text, ada.get("/me/sign-in").text):
        assert "<script>alert" not in text
        assert "7777777" not in text
    strange = ada.get("/", headers={"Host": "evil<script>alert(1)</script>"})
    assert "<script>alert" not in strange.text


@pytest.mark.parametrize("evil", ["//evil.example", "https://evil.example", "/\\evil.example"])
def test_proving_leads_back_into_the_house_only(browse, lab, evil):
    mia = browse().sign_in("mia", PASSWORD)
    assert mia.post("/prove", {"proof": PASSWORD, "next": evil}).headers["location"] == "/"
    lab.now += timedelta(minutes=31)
    page = mia.post("/me/keys", {"name": "x"}, headers={"Referer": f"http://x{evil}"}).text
    assert "evil.example" not in page


@pytest.mark.parametrize(
    "name", ["../../../evil.gcode", "..\\evil.gcode", "/etc/evil.gcode", "\x00"]
)
def test_a_file_of_a_shared_computer_lands_under_no_name_of_its_own(browse, lab, tmp_path, name):
    _, key = lab.services.workstations.make(lab.people["otto"], "Corner", lab.now)
    before = {one for one in tmp_path.rglob("*") if "evil" in one.name}
    browse().http.post(
        "/m/..%2f..%2fetc/api/files/local",
        headers={"X-Api-Key": key},
        files={"file": (name, PROGRAM)},
    )
    browse().http.post(
        "/api/v1/uploads", headers={"X-Api-Key": key}, files={"file": (name, PROGRAM)}
    )
    folder = lab.workshop.work_dir / "unclaimed"
    assert {one for one in tmp_path.rglob("*") if "evil" in one.name} == before
    assert all(re.fullmatch(r"[0-9a-f-]{36}", one.name) for one in folder.iterdir())
