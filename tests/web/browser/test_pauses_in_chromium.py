"""Prompts, tool changes, the start checklist and going on from a line: on a phone and a desk."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from jobs.services.live import LivePrompt
from jobs.services.workshop import LiveOffsets
from tests.web.browser.test_pages_in_chromium import look, sign_in
from tests.web.test_cycle import MILLED, REACH
from tests.web.test_resuming import PROGRAM as LAYERS

pytestmark = pytest.mark.browser


def interrupted(lab) -> str:
    services, mia = lab.services, lab.people["mia"]
    job = services.queue.submit(
        mia, name="part.gcode", data=io.BytesIO(LAYERS), machine_slug="ender", now=lab.now
    )
    services.preparation.prepare_next(lambda: lab.now)
    services.dispatch.arm(mia, "ender", lab.now)
    (run,) = services.dispatch.tick(lab.now)
    at_us = round(lab.now.timestamp() * 1e6)
    extent = {"acked": 40, "sent": 44, "total": 59, "source_line": 40, "planner_blocks": 16}
    event = {"run": run, "seq": 2, "at_us": at_us, "kind": "interrupted", "reason": "port-lost"}
    services.runs.apply("ender", {**event, **extent}, lab.now)
    return str(job.id)


def milled(lab) -> str:
    offsets = {"G54": (-250.0, -350.0, -40.0), "G92": (0.0, 0.0, 0.0), "TLO": (0.0,)}
    lab.gateway.told = LiveOffsets(offsets, ("G54",), REACH, homed=True, can_home=True)
    mia = lab.people["mia"]
    job = lab.services.queue.submit(
        mia, name="pocket.nc", data=io.BytesIO(MILLED), machine_slug="router", now=lab.now
    )
    lab.services.preparation.prepare_next(lambda: lab.now)
    return str(job.id)


@pytest.mark.parametrize("size", ["phone", "desk"])
def test_whoever_stands_at_a_machine_can_read_and_press_all_of_it(
    request, serve, lab, axe, libraries, size
):
    driver = request.getfixturevalue(size)
    width = {"phone": 390, "desk": 1280}[size]
    job, mill_job = interrupted(lab), milled(lab)
    text = "Insert filament PLA-" + "x" * 120
    choices = ("Purge more", "Continue with a rather long answer of many words")
    sends = ("LOAD_FILAMENT LENGTH=50", "SET_GCODE_VARIABLE_OF_A_MACRO_WITH_A_LONG_NAME VALUE=1")
    asked = LivePrompt(3, text, choices, sends)
    for slug, more in (
        ("prusa", {"prompt": asked, "notice": "n" * 200, "step": "parked"}),
        ("router", {"step": "tool-change", "tool": 2}),
    ):
        lab.workshop.live.put(slug, replace(lab.workshop.live.get(slug), **more))
    url = serve(lab.app())
    sign_in(driver, url, lab, "otto")
    for path in (
        *("/machines/prusa", "/machines/router", f"/jobs/{job}", f"/jobs/{job}/resume"),
        f"/machines/router/cycle?job={mill_job}",
    ):
        look(driver, axe, url + path, width)
    driver.get(f"{url}/jobs/{job}/resume")
    button = driver.find_element(By.CSS_SELECTOR, "main form button.main")
    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", button)
    button.click()
    shown = WebDriverWait(driver, 20).until(
        lambda page: page.find_elements(By.CSS_SELECTOR, "pre.lines"), "the plan is not shown"
    )
    assert "G28XY" in shown[0].text
    assert driver.execute_script("return document.documentElement.scrollWidth") <= width
