"""A member's day on a phone: a real browser before a whole simulated lab."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from selenium import webdriver
from selenium.common.exceptions import (
    ElementClickInterceptedException,
    NoSuchElementException,
    StaleElementReferenceException,
    TimeoutException,
)
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from web.context import STATIC

if TYPE_CHECKING:
    from tests.journeys.conftest import Lab

pytestmark = [
    pytest.mark.journey,
    pytest.mark.browser,
    pytest.mark.broker,
    pytest.mark.timeout(180),
]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")
TEXT = "return document.querySelector(arguments[0])?.innerText ?? null"
NOT_YET = (
    ElementClickInterceptedException,
    NoSuchElementException,
    StaleElementReferenceException,
)


class Phone:
    """A person with a phone: reads what is on the screen and taps what it says."""

    def __init__(self, driver: webdriver.Chrome, address: str) -> None:
        self.driver = driver
        self.address = address

    def open(self, path: str) -> None:
        """Open a page."""
        self.driver.get(self.address + path)

    def main(self) -> str:
        """The words of the page."""
        return self.shows("main")

    def until(self, is_so: Callable[[], object], what: str, seconds: float = 20) -> None:
        """Wait; the old part of a page may go while it is read."""
        wait = WebDriverWait(self.driver, seconds, 0.1, ignored_exceptions=NOT_YET)
        try:
            wait.until(lambda _: is_so())
        except TimeoutException:
            pytest.fail(f"{what}\nat {self.driver.current_url} it says:\n{self.main()}")

    def read(self, words: str, seconds: float = 20) -> None:
        """Wait until the page says something."""
        self.until(lambda: words in self.main(), f"the page does not say: {words}", seconds)

    def press(self, element: WebElement) -> None:
        """Tap one thing, out from under the bars at the top and at the bottom."""
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
        element.click()

    def tap(self, label: str, within: str = "main") -> None:
        """Tap the button or link that says so."""

        def tapped() -> bool:
            place = self.driver.find_element(By.CSS_SELECTOR, within)
            for one in place.find_elements(By.CSS_SELECTOR, "button, a, summary"):
                if one.is_displayed() and one.text.strip().startswith(label):
                    self.press(one)
                    return True
            return False

        self.until(tapped, f"nothing to tap says: {label}")

    def fill(self, field: str, text: str) -> None:
        """Write into a field."""
        self.until(
            lambda: self.driver.find_element(By.ID, f"f-{field}") is not None, f"no field {field}"
        )
        self.driver.find_element(By.ID, f"f-{field}").send_keys(text)

    def choose(self, field: str, value: str) -> None:
        """Choose from a list."""
        css = f"#f-{field} option[value='{value}']"
        self.driver.find_element(By.CSS_SELECTOR, css).click()

    def shows(self, css: str) -> str:
        """The text of one part of the page, read in the page: a new one may come meanwhile."""
        text = self.driver.execute_script(TEXT, css)
        if text is None:
            raise NoSuchElementException(css)
        return str(text).strip()

    def complaints(self) -> list[str]:
        """What the console says: errors, and all that the page's policy refused."""
        return [
            entry["message"]
            for entry in self.driver.get_log("browser")
            if entry["level"] in ("SEVERE", "WARNING")
        ]


@pytest.fixture
def phone(lab: Lab, tmp_path: Path) -> Iterator[Phone]:
    if not CHROMIUM or not DRIVER:
        pytest.skip("chromium and chromium-driver are not installed")
    if not (STATIC / "vendor" / "htmx.min.js").is_file():
        pytest.skip("the browser libraries are not there: make web")
    options = Options()
    options.binary_location = CHROMIUM
    for flag in (
        "--headless=new",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-dev-shm-usage",
        "--lang=en-GB",
        f"--user-data-dir={tmp_path / 'chromium'}",
        *(["--no-sandbox"] if os.geteuid() == 0 else []),
    ):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER, log_output=os.devnull))
    try:
        driver.set_page_load_timeout(20)
        driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True},
        )
        yield Phone(driver, lab.demo.address)
    finally:
        driver.quit()


def sign_in_for_the_first_time(phone: Phone, link: str) -> None:
    phone.open(f"/sign-in/link/{link}")
    phone.tap("Sign in")
    phone.until(lambda: "/first-run" in phone.driver.current_url, "no first run")
    phone.fill("password", "a long one of my own")
    phone.driver.find_element(By.CSS_SELECTOR, "main form button").click()
    phone.read("Printer 1")


def send_in(phone: Phone, file: Path, machine: str) -> str:
    """Upload a program for a machine; return the job's address."""
    phone.tap("Make", "nav.tabs")
    phone.fill("file", str(file))
    phone.tap("Colour, nozzle")
    phone.choose("machine", machine)
    phone.tap("Send it in")
    phone.read("Sent in. The checks have begun.")
    return phone.driver.current_url.partition("?")[0].removeprefix(phone.address)


def mark(phone: Phone) -> Callable[[], bool]:
    """Return whether the page is still the very one that it was."""
    phone.driver.execute_script("window.isTheSamePage = true")
    return lambda: phone.driver.execute_script("return window.isTheSamePage === true") is True


def clear_the_bed(phone: Phone, lab: Lab, machine: str = "printer-1") -> None:
    code = lab.operator.code_at(machine)  # a display is set up there
    phone.open(f"/machines/{machine}")
    if phone.driver.find_elements(By.ID, f"f-code-{machine}"):
        phone.fill(f"code-{machine}", code)
        phone.tap("I am here")
        phone.read("You are here, by its display")
    phone.tap("Bed is clear")
    phone.read("Noted: the machine is clear.")


def test_a_members_day_on_a_phone(
    lab: Lab, phone: Phone, program: Callable[[int], bytes], tmp_path: Path
) -> None:
    sign_in_for_the_first_time(phone, lab.demo.keys.admin_link)

    # A booking in two taps.
    phone.open("/machines/printer-2")
    phone.until(
        lambda: phone.press(phone.driver.find_element(By.CSS_SELECTOR, "a.offer")) is None,
        "no offer",
    )
    phone.tap("Book it")
    phone.read("Booked. It is yours.")
    assert len(phone.driver.find_elements(By.CSS_SELECTOR, "main .booking")) == 1

    # A job of our own, from file to record.
    file = tmp_path / "tower.gcode"
    file.write_bytes(program(700))  # longer than a page waits between two renewals of a part
    job = send_in(phone, file, "printer-1")
    phone.read("Nothing found.")  # the preflight came by itself
    phone.read("Nobody has said that the machine is clear.")
    phone.open("/machines/printer-1")
    clear_the_bed(phone, lab)
    is_same = mark(phone)
    phone.until(lambda: phone.shows("#machine .pill") == "running", "it does not begin")
    seen: set[str] = set()
    heat: set[str] = set()

    def watched() -> bool:
        seen.add(phone.shows("#machine [data-f=percent]"))
        heat.add(phone.shows("#machine .temps"))
        return len(seen) > 3 and len(heat) > 2

    phone.until(watched, f"nothing changes: {seen} {heat}", 30)
    assert all("Nozzle" in words and "Bed" in words for words in heat)
    phone.until(lambda: phone.shows("#machine .pill") == "to check", "it does not end", 40)
    assert is_same(), "all of that without the page being loaded again"
    phone.open(job)
    phone.read("Record 1")
    assert phone.shows("#job > .head .pill") == "done"

    # A second one is stopped, and looked at.
    file.write_bytes(program(900))
    job = send_in(phone, file, "printer-1")
    phone.read("Nothing found.")
    phone.open("/machines/printer-1")
    clear_the_bed(phone, lab)
    phone.until(lambda: re.match(r"[1-9]", phone.shows("#machine [data-f=percent]")), "no start")
    phone.tap("Stop now")
    phone.read("The stop was sent.")
    phone.open("/machines/printer-1")
    phone.tap("I have looked")
    phone.read("Its port is being opened anew.")
    phone.read("Is the bed empty and clean?")
    phone.open(job)
    phone.read("A person stopped the machine.")
    assert phone.complaints() == []
