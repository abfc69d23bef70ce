from __future__ import annotations

import io
import json
import time
from dataclasses import replace
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support import expected_conditions as wanted
from selenium.webdriver.support.ui import WebDriverWait

from tests.there import display_at
from tests.web.conftest import PROGRAM, run_one_job
from tests.web.test_pictures import PRINT

pytestmark = pytest.mark.browser

WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
STYLED = """return document.readyState === "complete"
    && [...document.styleSheets].some(sheet => sheet.href && sheet.cssRules.length > 0)"""
RUN_AXE = """
const done = arguments[arguments.length - 1];
axe.run(document, {runOnly: arguments[0]})
  .then(result => done(result.violations.map(one =>
    one.id + ": " + one.nodes.map(node => node.html.slice(0, 160)).join(" | "))));
"""


def wait(driver):
    """Wait for what htmx or a link is still bringing: the old part may go while it is read."""
    gone = (NoSuchElementException, StaleElementReferenceException)
    return WebDriverWait(driver, 15, ignored_exceptions=gone)


def sign_in(driver, url, lab, login="ada"):
    driver.get(f"{url}/static/icon.svg")
    person = lab.people[login].person_id
    token, _ = lab.services.people.redeem(lab.services.people.make_link(person, lab.now), lab.now)
    driver.add_cookie({"name": "fabnode", "value": token, "path": "/"})


def stand_at(driver, url, lab, slug):
    """Type the number of a machine's display on its page, as whoever is signed in."""
    driver.get(f"{url}/machines/{slug}")
    display = display_at(lab.services, lab.people["ada"], slug, lab.now)
    shown = lab.services.devices.shown(display, lab.now)
    driver.get(f"{url}/machines/{slug}")
    field = driver.find_element(By.ID, f"f-code-{slug}")
    field.send_keys(shown.code)
    field.submit()
    wait(driver).until(lambda page: "said=present" in page.current_url)


def complaints(driver):
    """Return what the console says, apart from pages that are not there on purpose."""
    return [
        entry["message"]
        for entry in driver.get_log("browser")
        if entry["level"] in ("SEVERE", "WARNING") and "404" not in entry["message"]
    ]


def look(driver, axe, address, screen_px, rules=WCAG):
    driver.get(address)
    # On a busy machine a page is handed over before its style sheet has been applied.
    WebDriverWait(driver, 20).until(lambda page: page.execute_script(STYLED), f"{address}: style")
    # A phone's window grows with what is too wide, so the screen is the measure.
    width = driver.execute_script("return document.documentElement.scrollWidth")
    assert width <= screen_px, f"{address} scrolls sideways"
    # Beside the page, not in it: the page's own policy lets no inline script in.
    driver.execute_script(axe)
    assert driver.execute_async_script(RUN_AXE, rules) == [], address
    small = driver.execute_script(
        """return [...document.querySelectorAll(`button, input:not([type=hidden]), select, summary,
             .tabs a, .foot a, a.button, a.chip`)]
           .filter(one => one.type !== "radio" && one.offsetParent !== null)
           .filter(one => (one.closest("label.choice") || one).getBoundingClientRect().height < 44)
           .map(one => one.outerHTML.slice(0, 120))"""
    )
    assert small == [], address
    broken = driver.execute_script(
        """const found = [];
           for (const one of document.querySelectorAll("h1, h2, h3, .button, .chip")) {
             if (!one.checkVisibility()) continue;
             const texts = document.createTreeWalker(one, NodeFilter.SHOW_TEXT);
             while (texts.nextNode()) {
               for (const word of texts.currentNode.data.matchAll(/\\p{L}+/gu)) {
                 const range = document.createRange();
                 range.setStart(texts.currentNode, word.index);
                 range.setEnd(texts.currentNode, word.index + word[0].length);
                 if (range.getClientRects().length > 1) found.push(word[0]);
               }
             }
           }
           return found"""
    )
    assert broken == [], f"{address} breaks words"


@pytest.mark.timeout(240)
def test_every_page_is_accessible_and_fits_a_phone(phone, serve, day, pages, axe):
    url = serve(day.app())
    for path in ("/sign-in", "/sign-in/link/x", "/join"):
        look(phone, axe, url + path, 390)
    sign_in(phone, url, day)
    for path in pages:
        look(phone, axe, url + path, 390)
    assert complaints(phone) == []


@pytest.mark.timeout(240)
def test_every_page_can_be_read_in_the_dark_on_a_desk(desk, serve, day, pages, axe):
    url = serve(day.app())
    dark = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    desk.execute_cdp_cmd("Emulation.setEmulatedMedia", dark)
    try:
        sign_in(desk, url, day)
        for path in pages:
            look(desk, axe, url + path, 1280, ["color-contrast"])
    finally:
        desk.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert complaints(desk) == []


def test_a_member_books_in_two_taps_on_a_phone(phone, serve, lab):
    url = serve(lab.app())
    sign_in(phone, url, lab, "mia")
    phone.get(f"{url}/machines/prusa")
    offer = phone.find_element(By.CSS_SELECTOR, "a.offer")
    assert is_in_sight(phone, offer), "seen without a scroll"
    offer.click()
    wait(phone).until(wanted.element_to_be_clickable((By.ID, "confirm"))).click()
    wait(phone).until(wanted.url_contains("/bookings?said=booked"))
    assert "Booked. It is yours." in phone.find_element(By.TAG_NAME, "main").text
    assert len(lab.services.bookings.mine(lab.people["mia"], lab.now)) == 1
    assert complaints(phone) == []


def test_a_running_machine_is_stopped_without_a_scroll_on_a_phone(phone, serve, lab, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("tests.web.conftest.PROGRAM", PRINT)
        run_one_job(lab)
    live = lab.workshop.live
    live.put("ender", replace(live.get("ender"), position_mm=(110.5, 20.25, 0.3)))
    url = serve(lab.app())
    sign_in(phone, url, lab, "mia")
    phone.get(f"{url}/machines/ender?said=armed")
    assert phone.find_element(By.CSS_SELECTOR, "main img").is_displayed()
    assert phone.find_element(By.CSS_SELECTOR, "main [data-f=position]").is_displayed()
    stop = phone.find_element(By.CSS_SELECTOR, "main .button.danger")
    assert is_in_sight(phone, stop)
    stop.click()
    wait(phone).until(wanted.url_contains("/stop"))


def test_the_bars_of_a_phone_hide_nothing_that_has_the_focus(phone, serve, lab):
    url = serve(lab.app())
    sign_in(phone, url, lab, "mia")
    phone.get(f"{url}/machines/prusa")
    for turn in (Keys.TAB, Keys.SHIFT + Keys.TAB):
        met = 0
        for _ in range(60):
            phone.switch_to.active_element.send_keys(turn)
            active = phone.switch_to.active_element
            if active.tag_name == "body":
                break
            if phone.execute_script("return arguments[0].closest('main') !== null", active):
                met += 1
                assert is_in_sight(phone, active), active.get_attribute("outerHTML")
        assert met > 10


def is_in_sight(driver, element):
    """Return whether all of an element is on the screen and not below the bars."""
    return driver.execute_script(
        """const box = arguments[0].getBoundingClientRect()
           const at = (y) => arguments[0].contains(
             document.elementFromPoint(box.x + box.width / 2, y))
           return at(box.top + 2) && at(box.bottom - 2)""",
        element,
    )


def test_a_person_with_a_keyboard_only_signs_in_and_books(desk, serve, lab):
    url = serve(lab.app())
    desk.get(f"{url}/machines/prusa")
    keys = Keys
    active = lambda: desk.switch_to.active_element  # noqa: E731

    def tab_to(condition, limit=60):
        for _ in range(limit):
            if condition(active()):
                return active()
            active().send_keys(keys.TAB)
        raise AssertionError("the keyboard does not get there")

    tab_to(lambda one: one.get_attribute("name") == "login").send_keys("mia")
    tab_to(lambda one: one.get_attribute("name") == "password").send_keys(
        "correct horse battery", keys.ENTER
    )
    wait(desk).until(wanted.url_contains("/machines/prusa"))
    skip = tab_to(lambda one: "skip" in (one.get_attribute("class") or ""))
    skip.send_keys(keys.ENTER)
    assert active().get_attribute("id") == "main"
    offer = tab_to(lambda one: "offer" in (one.get_attribute("class") or ""))
    outline = offer.value_of_css_property("outline-style")
    assert outline == "solid", "one sees where the keyboard is"
    offer.send_keys(keys.ENTER)
    wait(desk).until(wanted.presence_of_element_located((By.ID, "confirm")))
    tab_to(lambda one: one.get_attribute("id") == "confirm").send_keys(keys.ENTER)
    wait(desk).until(wanted.url_contains("said=booked"))


def test_the_stop_in_the_header_stops_everything_without_javascript(phone, serve, lab):
    url = serve(lab.app())
    sign_in(phone, url, lab, "gus")
    phone.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        phone.get(f"{url}/queue")
        phone.find_element(By.CSS_SELECTOR, "details.stop > summary").click()
        phone.find_element(By.CSS_SELECTOR, "details.stop form button").click()
        wait(phone).until(wanted.url_contains("/stop"))
        assert "The stop was sent." in phone.find_element(By.TAG_NAME, "main").text
    finally:
        phone.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    stopped = sorted(slug for verb, slug in lab.gateway.calls if verb == "stop")
    assert stopped == ["ender", "prusa", "router"]


def test_temperatures_change_in_place_and_a_new_state_is_said(desk, serve, lab):
    url = serve(lab.app())
    sign_in(desk, url, lab, "mia")
    desk.get(f"{url}/")
    nozzle = desk.find_element(By.CSS_SELECTOR, "[data-machine=ender] [data-t=nozzle]")
    assert nozzle.text == "24 °C"
    state = lab.workshop.live.get("ender")
    hot = replace(state, temperatures={"nozzle": (120.0, 210.0), "bed": (22.0, 0.0)})
    lab.workshop.live.put("ender", hot)
    wait(desk).until(lambda _: nozzle.text == "120 / 210 °C")
    lab.workshop.live.offline("ender")
    wait(desk).until(
        lambda driver: (
            "offline" in driver.find_element(By.CSS_SELECTOR, "[data-machine=ender] .pill").text
        )
    )
    word = desk.find_element(By.ID, "live-word")
    assert word.get_attribute("aria-live") == "polite"
    assert word.get_attribute("textContent") == "Ender by the window: offline"
    assert complaints(desk) == []


def test_a_page_whose_structure_changed_fetches_itself_again(desk, serve, lab, libraries):
    url = serve(lab.app())
    sign_in(desk, url, lab, "mia")
    desk.get(f"{url}/machines/ender")
    assert "Bed is clear" in desk.find_element(By.ID, "machine").text
    lab.services.dispatch.arm(lab.people["otto"], "ender", lab.now)
    lab.workshop.live.touch()
    wait(desk).until(
        lambda driver: "Clear, said Otto" in driver.find_element(By.ID, "machine").text
    )
    assert complaints(desk) == []


def test_the_calendar_turns_without_leaving_the_page(desk, serve, lab, libraries):
    url = serve(lab.app())
    sign_in(desk, url, lab, "mia")
    desk.get(f"{url}/machines/prusa")
    before = desk.find_element(By.TAG_NAME, "h1")
    day = (lab.now + timedelta(days=1)).date().isoformat()
    desk.find_element(By.CSS_SELECTOR, f"#calendar a[href*='date={day}']").click()
    wait(desk).until(
        lambda driver: (
            driver.find_element(By.CSS_SELECTOR, "#calendar h3").text == "Thursday 5 March"
        )
    )
    assert before.text == "Prusa"  # the same heading is still there
    assert urlsplit(desk.current_url).path == "/machines/prusa"
    assert complaints(desk) == []


def test_a_file_that_is_too_large_is_said_before_it_travels(phone, serve, lab, tmp_path):
    url = serve(lab.app())
    sign_in(phone, url, lab, "mia")
    phone.get(f"{url}/jobs/new")
    large = tmp_path / "large.stl"
    large.write_bytes(b"\0" * (3 * 1024 * 1024))
    field = phone.find_element(By.ID, "f-file")
    field.send_keys(str(large))
    deadline = time.monotonic() + 10
    while not field.get_property("validationMessage"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert "2 MB" in json.dumps(field.get_property("validationMessage"))


def test_a_jobs_page_follows_its_checks_though_no_machine_stirs(phone, serve, lab, libraries):
    url = serve(lab.app())
    sign_in(phone, url, lab, "mia")
    job = lab.services.queue.submit(
        lab.people["mia"],
        name="square.gcode",
        data=io.BytesIO(PROGRAM),
        kind="fdm",
        machine_slug="ender",
        title=None,
        recipe=None,
        now=lab.now,
    )
    phone.get(f"{url}/jobs/{job.id}")
    time.sleep(1.0)  # the stream is open, and has told all it knows
    lab.services.preparation.prepare_next(lab.clock)
    wait(phone).until(lambda driver: "Nothing found." in driver.find_element(By.ID, "job").text)
    word = phone.find_element(By.ID, "live-word")
    wait(phone).until(lambda _: word.get_attribute("textContent") == "square.gcode: waiting")
    assert complaints(phone) == []


@pytest.mark.parametrize("screen", ["phone", "desk"])
def test_nothing_lies_over_the_stop_sheet(request, screen, serve, lab):
    driver = request.getfixturevalue(screen)
    url = serve(lab.app())
    sign_in(driver, url, lab, "mia")
    driver.get(f"{url}/machines/ender")
    driver.execute_script("scrollTo(0, 500)")
    driver.find_element(By.CSS_SELECTOR, "details.stop > summary").click()
    covered = driver.execute_script(
        """return [...document.querySelectorAll(".sheet button, .sheet a")].filter(one => {
             const box = one.getBoundingClientRect();
             return [[2, 8], [box.width / 2, box.height / 2]].some(([x, y]) =>
               !one.contains(document.elementFromPoint(box.x + x, box.y + y)));
           }).map(one => one.textContent.trim())"""
    )
    assert covered == []


def test_one_machine_is_stopped_from_any_page_without_javascript(phone, serve, lab):
    url = serve(lab.app())
    sign_in(phone, url, lab, "gus")
    phone.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        phone.get(f"{url}/me")
        phone.find_element(By.CSS_SELECTOR, "details.stop > summary").click()
        phone.find_element(By.CSS_SELECTOR, "details.stop form[action*='/router/'] button").click()
        wait(phone).until(wanted.url_contains("/machines/router/stop"))
        assert "Router The stop was sent." in phone.find_element(By.TAG_NAME, "main").text
    finally:
        phone.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    assert [slug for verb, slug in lab.gateway.calls if verb == "stop"] == ["router"]


def test_a_tap_beside_the_stop_sheet_closes_it(phone, serve, lab):
    url = serve(lab.app())
    sign_in(phone, url, lab, "mia")
    phone.get(f"{url}/queue")
    sheet = phone.find_element(By.CSS_SELECTOR, "details.stop")
    sheet.find_element(By.TAG_NAME, "summary").click()
    sheet.find_element(By.TAG_NAME, "p").click()
    assert sheet.get_property("open")
    phone.execute_script("document.querySelector('.foot').click()")
    assert not sheet.get_property("open")


def test_the_queue_follows_a_run_without_fetching_itself(phone, serve, lab):
    run_one_job(lab)
    url = serve(lab.app())
    sign_in(phone, url, lab, "mia")
    phone.get(f"{url}/queue")
    part = phone.find_element(By.ID, "queue")
    percent = part.find_element(By.CSS_SELECTOR, "[data-f=percent]")
    before = percent.text
    state = lab.workshop.live.get("ender")
    lab.workshop.live.put("ender", replace(state, acked=3))
    wait(phone).until(lambda _: percent.text != before)
    assert part.find_elements(By.CSS_SELECTOR, "progress")[0].get_property("value") < 0.9
    assert complaints(phone) == []


def test_the_end_of_a_run_moves_with_its_progress(phone, serve, lab):
    run_one_job(lab)
    url = serve(lab.app())
    sign_in(phone, url, lab, "mia")
    phone.get(f"{url}/")
    end = phone.find_element(By.CSS_SELECTOR, "[data-machine=ender] time[data-f=ends]")
    told = end.get_attribute("datetime")
    state = lab.workshop.live.get("ender")
    lab.workshop.live.put("ender", replace(state, acked=1))
    wait(phone).until(lambda _: end.get_attribute("datetime") != told)
    assert end.get_attribute("datetime").startswith("2026-03-04T09:1")
    assert end.text.startswith("10:1"), "in the lab's zone"


def test_a_page_that_hears_nothing_says_so(phone, serve, lab):
    app = lab.app()
    url = serve(app)
    sign_in(phone, url, lab, "mia")
    phone.get(f"{url}/")
    away = phone.find_element(By.ID, "away")
    assert not away.is_displayed()
    assert away.get_attribute("role") == "status"
    app.state.web.streams.close()
    wait(phone).until(lambda _: away.is_displayed())
    assert away.text == "The node is not heard just now, so what you see here may be old."
    app.state.web.streams.closing = False
    phone.execute_script("dispatchEvent(new Event('pageshow'))")
    wait(phone).until(lambda _: not away.is_displayed())


def test_a_page_is_live_again_after_the_back_button(phone, serve, lab):
    url = serve(lab.app())
    sign_in(phone, url, lab, "mia")
    phone.get(f"{url}/")
    phone.find_element(By.CSS_SELECTOR, ".tabs a[href='/queue']").click()
    wait(phone).until(wanted.url_contains("/queue"))
    phone.back()
    wait(phone).until(lambda driver: urlsplit(driver.current_url).path == "/")
    # A browser that keeps pages gives this one back as it was left: with its stream closed.
    phone.execute_script(
        "for (const name of ['pagehide', 'pageshow']) dispatchEvent(new Event(name))"
    )
    state = lab.workshop.live.get("ender")
    lab.workshop.live.put("ender", replace(state, temperatures={"nozzle": (77.0, 0.0)}))
    nozzle = (By.CSS_SELECTOR, "[data-machine=ender] [data-t=nozzle]")
    wait(phone).until(lambda driver: driver.find_element(*nozzle).text == "77 °C")


def test_the_main_things_are_done_without_javascript(phone, serve, lab, tmp_path):
    url = serve(lab.app())
    file = tmp_path / "square.gcode"
    file.write_bytes(PROGRAM)
    find = lambda css: phone.find_element(By.CSS_SELECTOR, css)  # noqa: E731
    phone.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        phone.get(f"{url}/machines/prusa")
        find("#f-login").send_keys("mia")
        find("#f-password").send_keys("correct horse battery", Keys.ENTER)
        wait(phone).until(wanted.url_contains("/machines/prusa"))
        day = (lab.now + timedelta(days=1)).date().isoformat()
        find(f"#calendar a[href*='date={day}']").click()
        wait(phone).until(wanted.url_contains(f"date={day}"))
        find(".agenda .button").click()
        wait(phone).until(wanted.presence_of_element_located((By.ID, "confirm"))).click()
        wait(phone).until(wanted.url_contains("said=booked"))
        phone.get(f"{url}/machines/ender/wait?start={day}T13:00&length=60")
        find("#f-length").send_keys(Keys.ENTER)
        wait(phone).until(wanted.url_contains("said=waits"))
        find("form[action$='/take'] button").send_keys(Keys.ENTER)
        wait(phone).until(wanted.url_contains("said=booked"))
        phone.get(f"{url}/jobs/new")
        find("#f-file").send_keys(str(file))
        find("main .button.main").send_keys(Keys.ENTER)
        wait(phone).until(wanted.url_contains("said=queued"))
        assert "square.gcode" in find("h1").text
        phone.get(f"{url}/machines/ender")
        find("form[action$='/arm'] button").click()
        wait(phone).until(wanted.url_contains("said=armed"))
        assert "Clear, said Mia" in find("main").text
    finally:
        phone.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    booked = lab.services.bookings.mine(lab.people["mia"], lab.now)
    assert {one.machine_slug for one in booked} == {"ender", "prusa"}
    assert lab.services.machines.get("ender", lab.now, None).armed is not None
