"""The lab of the matrix, opened once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.web.conftest import Browser
from tests.web.who_may.house import Rewind, open_house
from tests.web.who_may.matrix import KEYS, PERSONS, House, listen


@pytest.fixture(scope="module")
def house(furnished, tmp_path_factory) -> Iterator[House]:
    """Everything that there is in a lab, and everybody who may ask for it."""
    said: list[str] = []
    with pytest.MonkeyPatch.context() as patch, ExitStack() as loops:
        listen(patch, said)
        for lab in open_house(furnished, tmp_path_factory.mktemp("house")):
            app = lab.app()
            browsers = {}
            for who in PERSONS:
                browser = Browser(lab, app)
                browsers[who] = browser.sign_in(who) if who != "nobody" else browser
            for who in KEYS:
                browser = browsers[who] = Browser(lab, app)
                secret = lab.jobs[f"secret-{who.removeprefix('key-')}"]
                browser.http.headers["Authorization"] = f"Bearer {secret}"
            browsers["ada"].api("PUT", "/day-sheets/2026-03-10")
            # One loop for each of them, not one for each request: thousands follow.
            for browser in browsers.values():
                loops.enter_context(browser.http)
            yield House(lab, app, browsers, Rewind(lab), said)
