"""Going through layers in a real browser: by the slider, by the keyboard, in the dark."""

from __future__ import annotations

import io

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.web.browser.test_pages_in_chromium import complaints, look, sign_in, wait
from tests.web.test_pictures import PRINT

pytestmark = pytest.mark.browser


@pytest.mark.timeout(240)
def test_the_slider_swaps_the_picture_and_keeps_the_keyboard(lab, serve, phone, axe, libraries):
    job = lab.services.queue.submit(
        lab.people["mia"], name="a.gcode", data=io.BytesIO(PRINT), machine_slug="ender", now=lab.now
    ).id
    while lab.services.preparation.prepare_next(lab.clock):
        pass
    url = serve(lab.app())
    sign_in(phone, url, lab)
    path = f"/jobs/{job}/toolpath?machine=ender"
    look(phone, axe, f"{url}{path}", 390)
    phone.get(f"{url}{path}")
    slider = phone.find_element(By.ID, "layer")
    wait(phone).until(lambda driver: _drawn(driver, "Layer 1 of 2"))
    assert not phone.find_element(By.CSS_SELECTOR, ".slider button").is_displayed()
    slider.send_keys(Keys.ARROW_RIGHT)
    wait(phone).until(lambda driver: _drawn(driver, "Layer 2 of 2"))
    assert "layer=2" in phone.current_url
    assert phone.switch_to.active_element == slider
    assert complaints(phone) == []


def _drawn(driver, heading: str) -> bool:
    """The picture of a layer has come, beside its heading."""
    return bool(
        driver.execute_script(
            "const image = document.querySelector('#layer-view img');"
            "return image && image.complete && image.naturalWidth === 800 &&"
            " document.querySelector('#path-h').textContent.includes(arguments[0])",
            heading,
        )
    )
