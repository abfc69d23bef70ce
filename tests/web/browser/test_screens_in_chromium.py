"""Screens at machines: a display and a telephone, a wall, a kiosk with a reader and with gloves."""

from __future__ import annotations

from datetime import timedelta

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from jobs.services.at_kiosk import DeviceKind
from tests.web.browser.conftest import sized
from tests.web.browser.test_pages_in_chromium import look, sign_in, wait

pytestmark = pytest.mark.browser

BADGE, PIN = "04A1B2C3", "402917"
SMALL = """return [...document.querySelectorAll("button, a.button, a.tile, summary, main input")]
  .filter(one => one.type !== "checkbox" && one.type !== "hidden" && one.offsetParent !== null)
  .filter(one => Math.min(...["width", "height"].map(of => one.getBoundingClientRect()[of])) < 60)
  .map(one => one.outerHTML.slice(0, 120))"""
LATER = (
    """const at = performance.now.bind(performance); performance.now = () => at() + arguments[0];"""
)


@pytest.fixture
def tablet(chromium):
    """1024 by 600 pixels."""
    yield from sized(chromium, 1024, 600)


def pair(driver, url, lab, kind, *slugs):
    """Set a browser up as a device, by the code that an admin reads out."""
    _, code = lab.services.devices.make(lab.people["ada"], kind, "Tablet", slugs, lab.now)
    driver.get(f"{url}/display?set-up")
    driver.find_element(By.NAME, "code").send_keys(code.lower(), Keys.ENTER)
    wait(driver).until(lambda page: page.find_elements(By.CSS_SELECTOR, "#shown, .kiosk"))


def digits(driver) -> str:
    return driver.find_element(By.ID, "digits").text


def test_what_a_display_shows_is_typed_on_a_telephone(serve, lab, tablet, axe):
    url = serve(lab.app())
    start = lab.now + timedelta(hours=1)
    mia = lab.people["mia"]
    lab.services.bookings.book(mia, "router", start, start + timedelta(hours=1), lab.now)
    pair(tablet, url, lab, DeviceKind.DISPLAY, "router")
    look(tablet, axe, f"{url}/display", 1024)
    shown = digits(tablet)
    box = tablet.find_element(By.ID, "digits").rect
    assert box["height"] > 120, "read from across the room"
    height = tablet.execute_script("return document.documentElement.scrollHeight")
    assert height <= 600, "all of it at once"
    sign_in(tablet, url, lab, "mia")
    tablet.get(f"{url}/machines/router")
    field = tablet.find_element(By.ID, "f-code-router")
    field.send_keys(shown, Keys.ENTER)
    wait(tablet).until(lambda page: "You are here, by its display" in page.page_source)


def test_a_display_renews_itself_and_hides_its_number_when_the_node_is_away(serve, lab, tablet):
    url = serve(lab.app())
    pair(tablet, url, lab, DeviceKind.DISPLAY, "router")
    first = digits(tablet)
    lab.now += timedelta(seconds=30)
    wait(tablet).until(lambda page: digits(page) not in (first, "··· ···"))
    tablet.execute_script("window.fetch = () => Promise.reject(new Error('away'));")
    tablet.execute_script(LATER, 60_000)
    wait(tablet).until(lambda page: digits(page) == "··· ···")
    lost = tablet.find_element(By.ID, "lost")
    assert lost.is_displayed()
    assert "does not answer" in lost.text


@pytest.mark.parametrize("size", ["phone", "tablet", "desk"])
def test_a_wall_is_read_from_afar(request, serve, lab, axe, size):
    driver = request.getfixturevalue(size)
    url = serve(lab.app())
    pair(driver, url, lab, DeviceKind.WALL)
    look(driver, axe, f"{url}/display", {"phone": 390, "tablet": 1024, "desk": 1280}[size])
    assert len(driver.find_elements(By.CSS_SELECTOR, ".tile")) == 5


def test_a_round_at_the_kiosk_with_a_reader_and_with_gloves(serve, lab, tablet, axe):
    url = serve(lab.app())
    mia = lab.people["mia"]
    lab.services.badges.give(lab.people["otto"], mia.person_id, BADGE, lab.now)
    lab.services.machines.set_to_check(lab.people["otto"], "ender", lab.now)
    pair(tablet, url, lab, DeviceKind.KIOSK, "ender", "router")
    look(tablet, axe, f"{url}/kiosk", 1024)
    assert tablet.execute_script(SMALL) == []
    tablet.find_element(By.CSS_SELECTOR, "a.tile[href$='/ender']").click()  # the first tap
    tablet.find_element(By.TAG_NAME, "h1").click()  # nothing has the focus
    tablet.find_element(By.TAG_NAME, "body").send_keys(BADGE, Keys.ENTER)
    active = tablet.switch_to.active_element
    assert active.get_attribute("id") == "f-pin", "the reader's Enter sends nothing yet"
    assert tablet.find_element(By.ID, "f-badge").get_property("value") == BADGE
    for digit in PIN:
        tablet.find_element(By.CSS_SELECTOR, f"[data-digit='{digit}']").click()
    tablet.find_element(By.CSS_SELECTOR, ".who .main").click()
    wait(tablet).until(lambda page: page.find_elements(By.ID, "leave"))
    look(tablet, axe, f"{url}/kiosk/machines/ender", 1024)
    assert tablet.execute_script(SMALL) == []
    arm = tablet.find_element(By.CSS_SELECTOR, "input[name=do][value=arm] + button")
    arm.click()  # the third tap
    wait(tablet).until(lambda page: "said=armed" in page.current_url)
    assert lab.services.machines.get("ender", lab.now, None).armed.person_name == "Mia"
    assert not tablet.find_elements(By.ID, "leave"), "forgotten"


def test_a_kiosk_counts_down_and_forgets(serve, lab, phone, axe):
    url = serve(lab.app())
    mia = lab.people["mia"]
    lab.services.badges.give(lab.people["otto"], mia.person_id, BADGE, lab.now)
    pair(phone, url, lab, DeviceKind.KIOSK, "ender")
    phone.find_element(By.ID, "f-badge").send_keys(BADGE)
    phone.find_element(By.ID, "f-pin").send_keys(PIN, Keys.ENTER)
    wait(phone).until(lambda page: page.find_elements(By.ID, "leave"))
    look(phone, axe, f"{url}/kiosk/machines/ender", 390)
    wait(phone).until(lambda page: "forgotten in 4" in page.find_element(By.ID, "idle").text)
    phone.execute_script(LATER, 60_000)
    wait(phone).until(lambda page: not page.find_elements(By.ID, "leave"))
    wait(phone).until(lambda page: "Who are you?" in page.page_source)
