"""Passkeys in a real Chromium with its virtual authenticator, at `localhost`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

pytestmark = pytest.mark.browser


@pytest.fixture
def authenticator(desk):
    """A phone's secure element, played by the browser: `authenticator(knows=False)` refuses."""
    desk.execute_cdp_cmd("WebAuthn.enable", {})
    made = desk.execute_cdp_cmd(
        "WebAuthn.addVirtualAuthenticator",
        {
            "options": {
                "protocol": "ctap2",
                "transport": "internal",
                "hasResidentKey": True,
                "hasUserVerification": True,
                "isUserVerified": True,
                "automaticPresenceSimulation": True,
            }
        },
    )["authenticatorId"]

    def verify(*, knows: bool) -> None:
        desk.execute_cdp_cmd(
            "WebAuthn.setUserVerified", {"authenticatorId": made, "isUserVerified": knows}
        )

    yield verify
    desk.execute_cdp_cmd("WebAuthn.removeVirtualAuthenticator", {"authenticatorId": made})
    desk.execute_cdp_cmd("WebAuthn.disable", {})


def sign_in(driver, url, lab, login="mia"):
    driver.get(f"{url}/static/icon.svg")
    person = lab.people[login].person_id
    token, _ = lab.services.people.redeem(lab.services.people.make_link(person, lab.now), lab.now)
    driver.add_cookie({"name": "fabnode", "value": token, "path": "/"})


def until(driver, condition, what):
    WebDriverWait(driver, 30).until(condition, what)


def passkey_form(driver, kind):
    form = driver.find_element(By.CSS_SELECTOR, f"form[data-passkey={kind}]")
    until(driver, lambda _: form.is_displayed(), "the form is shown once the script runs")
    return form


def test_a_passkey_is_made_signs_in_proves_and_is_removed(lab, desk, serve, authenticator):
    lab.now = datetime.now(UTC)
    url = serve(lab.app()).replace("127.0.0.1", "localhost")
    sign_in(desk, url, lab)
    desk.get(f"{url}/me/sign-in")
    form = passkey_form(desk, "make")
    form.find_element(By.NAME, "name").send_keys("My phone")
    form.find_element(By.TAG_NAME, "button").click()
    until(desk, lambda page: "said=changed" in page.current_url, "the passkey is kept")
    assert "My phone" in desk.page_source
    (kept,) = lab.services.passkeys.list(lab.people["mia"].person_id)
    assert (kept.rp_id, kept.used_at) == ("localhost", None)

    desk.execute_cdp_cmd("Network.clearBrowserCookies", {})
    desk.get(f"{url}/sign-in?next=/queue")
    passkey_form(desk, "use").find_element(By.TAG_NAME, "button").click()
    until(desk, lambda page: urlsplit(page.current_url).path == "/queue", "Mia is signed in")
    lab.now = datetime.now(UTC)
    (used,) = lab.services.passkeys.list(lab.people["mia"].person_id)
    assert used.used_at is not None

    # Eleven minutes later a change of credentials asks again, and the passkey answers.
    lab.now += timedelta(minutes=11)
    desk.get(f"{url}/me/sign-in")
    desk.find_element(By.CSS_SELECTOR, "a[href='/prove?next=/me/sign-in']").click()
    token = desk.get_cookie("fabnode")["value"]
    passkey_form(desk, "use").find_element(By.TAG_NAME, "button").click()
    until(desk, lambda page: urlsplit(page.current_url).path == "/me/sign-in", "it is proved")
    assert desk.get_cookie("fabnode")["value"] != token
    desk.find_element(By.CSS_SELECTOR, "form[action$='/remove'] button").click()
    until(desk, lambda page: "My phone" not in page.page_source.split("Wh")[0], "it is gone")
    assert lab.services.passkeys.list(lab.people["mia"].person_id) == []


def test_a_finger_that_is_not_known_makes_and_proves_nothing(lab, desk, serve, authenticator):
    """Where the device does not verify its person, the page says that it did not work."""
    lab.now = datetime.now(UTC)
    url = serve(lab.app()).replace("127.0.0.1", "localhost")
    sign_in(desk, url, lab)
    authenticator(knows=False)
    desk.get(f"{url}/me/sign-in")
    form = passkey_form(desk, "make")
    form.find_element(By.NAME, "name").send_keys("A stranger's")
    form.find_element(By.TAG_NAME, "button").click()
    problem = form.find_element(By.CSS_SELECTOR, "[role=alert]")
    until(desk, lambda _: problem.is_displayed(), "the page says so")
    assert lab.services.passkeys.list(lab.people["mia"].person_id) == []


def test_where_browsers_have_no_passkeys_the_page_says_why(lab, desk, serve):
    """An IP address is no name, and a plain page of the network is no secure place."""
    url = serve(lab.app())  # http://127.0.0.1:…
    sign_in(desk, url, lab)
    desk.get(f"{url}/me/sign-in")
    said = desk.find_element(By.ID, "passkeys-h").find_element(By.XPATH, "..").text
    assert "only on a page by TLS with a name" in said
    assert not desk.find_elements(By.CSS_SELECTOR, "form[data-passkey]")
