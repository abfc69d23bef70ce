"""The control panel in a real browser: by keyboard, live, on a phone."""

from __future__ import annotations

from dataclasses import replace

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.web.browser.test_pages_in_chromium import sign_in, stand_at, wait

pytestmark = pytest.mark.browser


def unfold(driver):
    """Open the panel as a keyboard does."""
    driver.find_element(By.CSS_SELECTOR, "#by-hand > summary").send_keys(Keys.ENTER)


def at(driver, name):
    return driver.find_element(By.ID, name)


def test_the_keyboard_jogs_and_keeps_its_place_in_the_panel(lab, serve, phone, libraries):
    url = serve(lab.app())
    sign_in(phone, url, lab, "mia")
    stand_at(phone, url, lab, "router")
    phone.get(f"{url}/machines/router")
    unfold(phone)
    step = phone.find_element(By.CSS_SELECTOR, 'input[name=step][value="10"]')
    phone.execute_script("arguments[0].click()", step)
    at(phone, "hand-way-4").send_keys(Keys.ENTER)
    wait(phone).until(lambda _: lab.gateway.acts)
    assert dict(lab.gateway.acts[-1][1].axes) == {"X": 10.0}
    wait(phone).until(lambda d: "Mia" in at(d, "hand").text)
    wait(phone).until(lambda d: d.switch_to.active_element.get_attribute("id") == "hand-way-4")
    assert phone.find_element(By.CSS_SELECTOR, "input[name=step]:checked").get_property(
        "value"
    ) == ("10")
    phone.switch_to.active_element.send_keys(Keys.ENTER)
    wait(phone).until(lambda _: len(lab.gateway.acts) == 2)


def test_what_becomes_illegal_cannot_be_pressed_any_more(lab, serve, desk, libraries):
    url = serve(lab.app())
    sign_in(desk, url, lab, "mia")
    stand_at(desk, url, lab, "router")
    desk.get(f"{url}/machines/router")
    unfold(desk)
    button = at(desk, "hand-home-")
    button.send_keys(Keys.NULL)
    desk.execute_script("arguments[0].focus()", button)
    assert button.get_attribute("aria-disabled") != "true"
    live = lab.workshop.live.get("router")
    lab.workshop.live.put(
        "router", replace(live, controller="Hold:1", acts=("feed",), overrides={"feed": 120})
    )
    wait(desk).until(lambda d: at(d, "hand-home-").get_attribute("aria-disabled") == "true")
    at(desk, "hand-home-").send_keys(Keys.ENTER)
    shown = desk.find_element(By.CSS_SELECTOR, '#hand [data-f="override_feed"]')
    assert shown.text == "120 %"
    assert "still slowing down" in at(desk, "by-hand").text
    assert not lab.gateway.acts
    lab.workshop.live.put("router", replace(live, acts=("home",)))
    wait(desk).until(lambda d: at(d, "hand-home-").is_enabled())
