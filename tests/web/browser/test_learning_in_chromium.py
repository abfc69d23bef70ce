"""A trainer's and a visitor's way through the house, on a phone."""

from __future__ import annotations

from datetime import timedelta

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support import expected_conditions as wanted

from jobs.domain.instructions import Sort
from jobs.domain.people import Role
from jobs.domain.rules.values import Scope
from tests.web.browser.test_pages_in_chromium import complaints, sign_in, wait

pytestmark = pytest.mark.browser
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SAW, ROUTER = Scope.read("machine:saw"), Scope.read("machine:router")


def press(driver, selector):
    button = wait(driver).until(wanted.presence_of_element_located((By.CSS_SELECTOR, selector)))
    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", button)
    wait(driver).until(lambda page: page.find_element(By.CSS_SELECTOR, selector).is_enabled())
    driver.find_element(By.CSS_SELECTOR, selector).click()


def text(driver):
    return driver.find_element(By.TAG_NAME, "main").text


def tick(driver, name, value):
    box = driver.find_element(By.CSS_SELECTOR, f'input[name="{name}"][value="{value}"]')
    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", box)
    box.click()


def fill(driver, name, value):
    field = driver.find_element(By.ID, f"f-{name}")
    if field.get_attribute("type") == "datetime-local":
        driver.execute_script("arguments[0].value = arguments[1]", field, value)
        return
    field.clear()
    field.send_keys(value)


@pytest.mark.timeout(180)
def test_a_trainer_plans_teaches_and_ticks_and_then_people_book(phone, serve, lab):
    services, now = lab.services, lab.now
    ada, mia = lab.people["ada"], lab.people["mia"]
    services.bookings.book(ada, "router", now + DAY, now + DAY + HOUR, now)
    for scope in (SAW, ROUTER):
        services.house.set(ada, scope, "qualification_needed", True, "", now)
    services.people.set_role(ada, lab.people["otto"].person_id, Role.OPERATOR, now)
    for slug in ("saw", "router"):
        services.qualifications.grant(
            ada, lab.people["otto"].person_id, slug=slug, days=None, now=now
        )
    start = (now + DAY).astimezone(lab.workshop.zone)
    url = serve(lab.app())

    # The trainer plans it with two machines, and hears which one is taken.
    sign_in(phone, url, lab, "otto")
    phone.get(f"{url}/trainings")
    fill(phone, "title", "Saw and router")
    for what in ("machine:saw", "machine:router"):
        tick(phone, "grants", what)
    phone.find_element(By.XPATH, "//summary[contains(., 'Keeps free')]").click()
    for slug in ("saw", "router"):
        tick(phone, "machines", slug)
    fill(phone, "start", f"{start:%Y-%m-%dT%H:%M}")
    fill(phone, "seats", "1")
    press(phone, 'form[action="/trainings"] button')
    wait(phone).until(lambda page: "is taken from" in text(page))
    assert phone.find_element(By.ID, "f-title").get_attribute("value") == "Saw and router"
    fill(phone, "start", f"{start + 2 * HOUR:%Y-%m-%dT%H:%M}")
    press(phone, 'form[action="/trainings"] button')
    wait(phone).until(wanted.url_contains("said=created"))
    path = phone.current_url.removeprefix(url).partition("?")[0]

    # A member who is refused takes the free seat where they were refused, by one tap.
    sign_in(phone, url, lab, "mia")
    at = now + 3 * DAY
    phone.get(f"{url}/machines/saw/book?start={at:%Y-%m-%dT%H:%M:%SZ}&length=60")
    press(phone, "#confirm")
    press(phone, f'form[action="{path}/sign-up"] button')
    wait(phone).until(wanted.url_contains("said=signed-up"))
    assert "you have a seat" in text(phone)

    # On the day the trainer ticks who is there.
    lab.now = now + DAY + 3 * HOUR
    sign_in(phone, url, lab, "otto")
    phone.get(f"{url}{path}")
    press(phone, f'form[action="{path}/attended"] button')
    wait(phone).until(lambda page: "was there:" in text(page))

    # Now the member books both machines.
    sign_in(phone, url, lab, "mia")
    for slug in ("saw", "router"):
        phone.get(f"{url}/machines/{slug}/book?start={at:%Y-%m-%dT%H:%M:%SZ}&length=60")
        press(phone, "#confirm")
        wait(phone).until(wanted.url_contains("/bookings?said="))
    held = services.qualifications.of_person(mia, mia.person_id, lab.now)
    assert {one.machine_slug for one in held} == {"saw", "router"}
    assert [one for one in complaints(phone) if "409" not in one] == []


@pytest.mark.timeout(180)
def test_a_visitor_is_brought_counted_and_gone_and_a_text_is_accepted(phone, serve, lab):
    services, now = lab.services, lab.now
    otto, mia = lab.people["otto"], lab.people["mia"]
    services.instructions.write(
        otto, SAW, Sort.RISKS, "# Saw\n\n- goggles on\n- no gloves", "", now, must_accept=True
    )
    url = serve(lab.app())
    sign_in(phone, url, lab, "mia")
    phone.get(f"{url}/house")
    press(phone, 'a[href="/house/in"]')
    press(phone, 'form[action="/house/in/come"] button.main')
    wait(phone).until(wanted.url_contains("said=came-in"))
    fill(phone, "name", "Jo Doe")
    tick(phone, "minor", "1")
    press(phone, 'form[action="/house/in/visitor"] button')
    wait(phone).until(lambda page: "In the house: 2" in text(page))
    assert "minors: 1" in text(phone)
    assert "host: Mia" in text(phone)

    # What is written for the machine is read and accepted from its page.
    phone.get(f"{url}/machines/saw")
    press(phone, 'a[href="/instructions/machine:saw/risks"]')
    wait(phone).until(lambda page: "no gloves" in text(page))
    press(phone, 'form[action$="/accept"] button')
    wait(phone).until(lambda page: "Mia accepted it on" in text(page))
    [one] = services.instructions.accepted(otto, SAW, Sort.RISKS)
    assert one.holds

    phone.get(f"{url}/house/in")
    press(phone, 'form[action="/house/in/visitor-gone"] button')
    wait(phone).until(lambda page: "In the house: 1" in text(page))
    press(phone, 'form[action="/house/in/go"] button.main')
    wait(phone).until(lambda page: "In the house: 0" in text(page))
    assert services.visits.look(mia, now).mine is None
    assert complaints(phone) == []
