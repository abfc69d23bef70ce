"""Signing in by another house's word, against a real provider process that can also lie."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from jobs.domain.people import Role
from jobs.services.outside import Provider
from tests.web.conftest import PASSWORD, Browser, words
from tests.web.security.provider import CLIENT, SECRET
from web.app import create_app
from web.context import WebSettings

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    """The address of a provider that runs as its own process."""
    process = subprocess.Popen(
        [sys.executable, str(HERE / "provider.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
    process.stdin.close()
    process.wait(30)
    process.stdout.close()


@pytest.fixture
def open_door(lab, issuer):
    """`open_door(sign_up=True)` is a browser at a lab that works with the provider."""
    lab.now = datetime.now(UTC)
    opened = []

    def build(login: str = "", **changes) -> Browser:
        known = {
            "issuer": issuer,
            "client_id": CLIENT,
            "client_secret": SECRET,
            "name": "House of Ids",
            "sign_up": True,
        }
        provider = Provider(**(known | changes))
        settings = WebSettings("Test lab", "0.1.0", lab.workshop.zone, provider=provider)
        browser = Browser(lab, create_app(lab.services, settings, lab.health, clock=lab.clock))
        opened.append(browser)
        return browser.sign_in(login) if login else browser

    yield build
    for browser in opened:
        browser.http.close()


def there(address: str, who: str, twist: str = "", sub: str = "") -> str:
    """Sign in at the provider; return the path to which it sends the browser back."""
    said = {"as": who, "twist": twist, "sub": sub}
    url = httpx.URL(address).copy_merge_params({key: text for key, text in said.items() if text})
    answer = httpx.get(url, follow_redirects=False, trust_env=False)
    back = urlsplit(answer.headers["location"])
    assert back.netloc == "testserver"
    return f"{back.path}?{back.query}"


def enter(browser: Browser, who: str, twist: str = "", sub: str = ""):
    answer = browser.get("/sign-in/outside?next=/queue")
    assert answer.status_code == 303
    return browser.get(there(answer.headers["location"], who, twist, sub))


def signs_in(answer) -> bool:
    return any("fabnode=" in one for one in answer.headers.get_list("set-cookie"))


def test_the_way_there_carries_state_nonce_and_a_challenge(open_door):
    browser = open_door()
    assert "House of Ids" in browser.get("/sign-in").text
    asked = parse_qs(urlsplit(browser.get("/sign-in/outside").headers["location"]).query)
    assert asked["code_challenge_method"] == ["S256"]
    assert min(len(asked[one][0]) for one in ("state", "nonce", "code_challenge")) >= 43
    assert asked["redirect_uri"] == ["http://testserver/sign-in/outside/back"]
    again = parse_qs(urlsplit(browser.get("/sign-in/outside").headers["location"]).query)
    assert {again[one][0] for one in ("state", "nonce", "code_challenge")}.isdisjoint(
        {asked[one][0] for one in ("state", "nonce", "code_challenge")}
    )


@pytest.mark.parametrize("twist", ["", "curve"])
def test_somebody_new_comes_in_and_is_the_same_next_time(open_door, lab, twist):
    browser = open_door()
    answer = enter(browser, "kim", twist)
    assert answer.status_code == 303, words(answer.text)
    assert answer.headers["location"] == "/queue"
    me = browser.get("/api/v1/people/me").json()
    assert (me["name"], me["role"]) == ("Kim", "member")
    other = open_door()
    enter(other, "kim")
    assert other.get("/api/v1/people/me").json()["person_id"] == me["person_id"]


@pytest.mark.parametrize(
    "twist",
    ["nonce", "audience", "issuer", "expired", "key", "hmac", "none", "parties"],
)
def test_a_word_that_does_not_hold_lets_nobody_in(open_door, lab, twist):
    browser = open_door()
    answer = enter(browser, "eve", twist)
    assert answer.status_code == 422
    assert "did not let you in" in words(answer.text)
    assert not signs_in(answer)
    assert lab.services.people.by_login("eve") is None


def test_a_name_or_an_address_there_is_nobody_here(open_door, lab):
    """`mia` at the provider is not our Mia; neither is who has her e-mail address."""
    browser = open_door()
    enter(browser, "mia")
    me = browser.get("/api/v1/people/me").json()
    assert me["person_id"] != lab.people["mia"].person_id
    assert lab.services.people.get(me["person_id"]).login == "mia-2"


def test_a_lab_that_lets_nobody_sign_up_says_so(open_door, lab):
    answer = enter(open_door(sign_up=False), "kim")
    assert answer.status_code == 422
    assert "this lab does not yet" in words(answer.text)


def test_groups_give_roles_never_above_what_the_lab_allows(open_door, lab):
    roles = {"all": Role.MEMBER, "staff": Role.ADMIN}
    rules = {"roles": roles, "highest": Role.OPERATOR, "otherwise": None}
    boss = open_door(**rules)
    assert enter(boss, "boss").status_code == 303  # whose groups only the user's page tells
    assert boss.get("/api/v1/people/me").json()["role"] == "operator"
    stray = enter(open_door(**rules), "stray")
    assert "names no group" in words(stray.text)
    assert not signs_in(stray)


def test_another_browser_cannot_come_back_for_somebody(open_door):
    """Neither with a state that was not theirs, nor twice, nor with one that was made up."""
    one = open_door()
    other = Browser(one.lab, one.http.app)
    way = one.get("/sign-in/outside").headers["location"]
    back = there(way, "kim")
    for browser in (other, one):
        # Taken by whoever comes first, good or not: a second try begins anew.
        answer = browser.get(back)
        assert answer.status_code == 422
        assert not signs_in(answer)
    other.http.close()
    for state in ("", "made-up"):
        assert not signs_in(one.get(f"/sign-in/outside/back?state={state}&code=x"))


def test_a_code_that_came_late_is_not_taken(open_door, lab):
    browser = open_door()
    back = there(browser.get("/sign-in/outside").headers["location"], "kim")
    lab.now += timedelta(minutes=6)
    assert "took too long" in words(browser.get(back).text)


def test_a_provider_that_names_itself_otherwise_on_the_way_back_is_not_believed(open_door):
    browser = open_door()
    back = there(browser.get("/sign-in/outside").headers["location"], "kim")
    mixed = back.replace("iss=http", "iss=https")
    assert not signs_in(browser.get(mixed))


def test_one_ties_the_account_after_proving_who_one_is_and_comes_in_by_it(open_door, lab):
    browser = open_door("mia")
    lab.now += timedelta(minutes=31)
    assert browser.post("/me/outside", {"what": "tie"}).status_code == 403
    page = browser.post("/me/outside", {"what": "tie", "proof": PASSWORD})
    assert page.status_code == 200
    import html
    import re

    address = html.unescape(re.search(r'href="(http://127[^"]+)"', page.text)[1])
    lab.now = datetime.now(UTC)
    assert browser.get(there(address, "mimi")).headers["location"].startswith("/me/sign-in")
    later = open_door()
    enter(later, "mimi")
    assert later.get("/api/v1/people/me").json()["person_id"] == lab.people["mia"].person_id
    # It is hers now: another member cannot have it as well.
    otto = open_door("otto")
    page = otto.post("/me/outside", {"what": "tie"})
    address = html.unescape(re.search(r'href="(http://127[^"]+)"', page.text)[1])
    assert "tied to another person" in words(otto.get(there(address, "mimi")).text)


def test_a_link_that_a_stranger_has_begun_ties_nothing(open_door, lab):
    """An errand of Otto's, come back in Mia's browser, gives her account to nobody."""
    import html
    import re

    otto = open_door("otto")
    mia = Browser(lab, otto.http.app).sign_in("mia")
    page = otto.post("/me/outside", {"what": "tie"}).text
    back = there(html.unescape(re.search(r'href="(http://127[^"]+)"', page)[1]), "evil")
    mia.http.cookies.set("fabnode-errand", otto.http.cookies["fabnode-errand"], path="/")
    mia.get(back)
    assert not lab.services.outside.is_linked(lab.people["mia"].person_id)
    mia.http.close()


def test_proving_by_another_house_wants_a_sign_in_of_this_minute(open_door, lab):
    browser = open_door()
    enter(browser, "kim")
    lab.now += timedelta(minutes=11)
    browser.csrf = browser.get("/api/v1/people/me").json()["csrf"]
    refused = browser.post("/me/keys", {"name": "x", "scope-read": "1"})
    assert refused.status_code == 403
    assert "/prove/outside" in refused.text
    lab.now = datetime.now(UTC) + timedelta(minutes=0)
    for twist, who, ok in (("long-ago", "kim", False), ("", "lee", False), ("", "kim", True)):
        way = browser.get("/prove/outside?next=/me/sign-in").headers["location"]
        assert parse_qs(urlsplit(way).query)["max_age"] == ["0"]
        answer = browser.get(there(way, who, twist))
        assert (answer.status_code == 303) is ok, (twist, who)


def test_with_the_provider_away_the_password_still_works(open_door, lab):
    browser = open_door(issuer="http://127.0.0.1:9")
    answer = browser.get("/sign-in/outside")
    assert answer.status_code == 503
    assert "does not answer" in words(answer.text)
    browser.sign_in("mia", PASSWORD)
    assert browser.get("/").status_code == 200


def test_where_there_is_no_provider_nothing_of_it_is_imported(lab):
    """A lab without one never carries Authlib."""
    code = (
        "import sys, web.app, node.runtime;"
        "sys.exit(any(n.split('.')[0] in ('authlib', 'joserfc', 'webauthn') for n in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=120).returncode == 0
