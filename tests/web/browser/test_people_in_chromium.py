"""From the invitation to the first booking, by a phone; and a child's terms on both screens.

A person's time is counted in what they do: 10 s to read a page, 1 s a tap, 0.4 s a letter typed.
"""

from __future__ import annotations

import re

import pytest

from jobs.domain.people import Role
from jobs.services.joining import InviteWish
from jobs.services.standings import TermsWish
from tests.web.browser.test_pages_in_chromium import complaints, look, sign_in, wait

pytestmark = pytest.mark.browser

READ_S, TAP_S, LETTER_S, BOUND_S = 10.0, 1.0, 0.4, 180.0


class Hand:
    """A person at a phone, and how long what they do takes."""

    def __init__(self, driver) -> None:
        self.driver = driver
        self.seconds = READ_S  # the first page

    def type(self, name: str, text: str) -> None:
        self.driver.find_element("name", name).send_keys(text)
        self.seconds += TAP_S + LETTER_S * len(text)

    def tap(self, xpath: str, then: str) -> None:
        """Tap what is there, and read the page that comes."""
        button = self.driver.find_element("xpath", xpath)
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", button)
        button.click()
        wait(self.driver).until(lambda driver: re.search(then, driver.current_url))
        self.seconds += TAP_S + READ_S


@pytest.mark.timeout(240)
def test_a_member_books_within_three_minutes_of_the_invitation(phone, serve, lab, axe, libraries):
    url = serve(lab.app())
    otto = lab.people["otto"]
    token = lab.services.joining.invite(otto, InviteWish(Role.MEMBER, "Noa Lind"), lab.now)
    look(phone, axe, f"{url}/join/{token}", 390)
    noa = Hand(phone)
    assert phone.find_element("name", "name").get_attribute("value") == "Noa Lind"
    noa.type("login", "noa")
    noa.type("password", "three small words")
    noa.tap("//button[normalize-space()='Join']", r"/\?said=joined")
    noa.tap("//nav//a[contains(., 'Book')]", r"/book$")
    noa.tap("//a[contains(@class, 'offer')]", r"/machines/[a-z-]+/book\?")
    noa.tap("//main//form[@method='post']//button[contains(@class, 'main')]", r"said=booked")
    assert lab.services.people.by_login("noa") is not None
    assert phone.find_elements("css selector", "li.booking")
    assert noa.seconds <= BOUND_S, noa.seconds
    assert complaints(phone) == []


@pytest.mark.timeout(240)
@pytest.mark.parametrize("screen", ["phone", "desk"])
def test_a_childs_page_and_those_around_it(lab, serve, request, axe, libraries, screen):
    driver = request.getfixturevalue(screen)
    width = {"phone": 390, "desk": 1280}[screen]
    otto, gus = lab.people["otto"], lab.people["gus"].person_id
    terms = TermsWish(
        ends_at=lab.now.replace(month=6),
        sponsor="mia",
        machines=["ender", "saw"],
        is_minor=True,
        guardian="Ilse Roth",
        guardian_reach="next door",
        has_consent=True,
    )
    lab.services.standings.set(otto, gus, terms, lab.now)
    lab.services.badges.give(otto, gus, "04A32F91", lab.now)
    url = serve(lab.app())
    sign_in(driver, url, lab)
    for path in (f"/people/{gus}", "/people", "/privacy", f"/people/{gus}/leave"):
        look(driver, axe, url + path, width)
    assert complaints(driver) == []
