"""What the OpenAPI description allows and does not, sent by every role: no 5xx, and nothing told.

A run of the tests sends one request for each call, as nobody and in turn as two of the roles; `make
soak` sends many, as each. Chance is Hypothesis's and derandomised: the same requests everywhere.
"""

from __future__ import annotations

import os
import warnings

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.web.conftest import Browser

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of what it is built on
    import schemathesis

ROLES = ("nobody", "gus", "mia", "otto", "ada", "key-mia", "key-ada")
EXAMPLES = 1  # of each call in a usual run
IN_SOAK = 40
PUBLIC = {"/api/v1/openapi.json"}
NEVER = ("Traceback", "$argon2", "sqlalchemy", 'File "/', "token_sha256", "pin_hash", "\x1b[")


@pytest.fixture
def visitors(lab):
    """A browser or a program for each role."""
    app = lab.app()
    opened = {}
    for role in ROLES:
        browser = opened[role] = Browser(lab, app)
        if role.startswith("key-"):
            actor = lab.people[role.removeprefix("key-")]
            _, secret = lab.services.people.make_api_key(actor, role, lab.now)
            browser.http.headers["Authorization"] = f"Bearer {secret}"
        elif role != "nobody":
            browser.sign_in(role)
    yield opened
    for browser in opened.values():
        browser.http.close()


def operations(app):
    """Every call of the description, in its order."""
    schema = schemathesis.openapi.from_dict(app.openapi())
    found = [one.ok() for one in schema.get_all_operations()]
    return sorted(found, key=lambda one: (one.path, one.method))


def send(browser: Browser, case) -> object:
    """Send a case as the browser of that role; what no HTTP client can say is not sent."""
    wish = case.as_transport_kwargs(base_url="http://testserver")
    headers = {
        key: value
        for key, value in dict(wish.get("headers") or {}).items()
        if key.lower() not in ("user-agent", "authorization", "cookie", "host")
    }
    headers["X-CSRF-Token"] = browser.csrf
    more = {key: wish[key] for key in ("json", "data", "params", "files") if wish.get(key)}
    if isinstance(more.get("data"), bytes | str):
        more["content"] = more.pop("data")
    try:
        return browser.http.request(wish["method"], wish["url"], headers=headers, **more)
    except (UnicodeError, ValueError, TypeError):
        return None  # the client's own "no": no such request leaves a computer


def check(role: str, case, answer) -> None:
    where = (role, case.method, case.path, answer.status_code)
    assert answer.status_code < 500 or answer.status_code == 503, (where, case.body, answer.text)
    assert not any(word in answer.text for word in NEVER), where
    if role == "nobody" and case.path not in PUBLIC:
        assert answer.status_code in (401, 404, 405, 413, 421), where
    if answer.status_code >= 400 and answer.headers["content-type"] != "application/json":
        assert answer.headers["content-type"].startswith(("application/problem+json", "text/html"))


def tried(operation, browsers, roles, examples: int) -> int:
    """Send *examples* requests of one call as each of *roles*; return how many were sent."""
    sent = 0

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        derandomize=True,
    )
    @given(data=st.data())
    def ask(data) -> None:
        nonlocal sent
        case = data.draw(operation.as_strategy())
        for role in roles:
            answer = send(browsers[role], case)
            if answer is not None:
                check(role, case, answer)
                sent += 1

    ask()
    return sent


@pytest.mark.timeout(300)
def test_whatever_the_description_allows_breaks_and_tells_nothing(visitors):
    calls = operations(visitors["ada"].http.app)
    sent = 0
    for number, operation in enumerate(calls):
        # In turn: each call as nobody, and as two of those who are somebody.
        somebody = ROLES[1:]
        roles = ("nobody", *(somebody[(number + n) % len(somebody)] for n in (0, 3)))
        sent += tried(operation, visitors, roles, EXAMPLES)
    assert len(calls) > 100
    assert sent > len(calls)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.skipif("FABNODE_SOAK" not in os.environ, reason="run by `make soak`")
def test_many_of_each_call_as_everybody(visitors):
    for operation in operations(visitors["ada"].http.app):
        tried(operation, visitors, ROLES, IN_SOAK)
