"""Ports, another board and hands at a machine, as a phone and a desk show them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from drivers.errors import PortError
from drivers.probe import Probed
from drivers.simulators.usb import Plug, UsbSide
from jobs.services.ports import Ports
from tests.web.browser.test_pages_in_chromium import complaints, look, sign_in, wait

pytestmark = pytest.mark.browser

FOUND = Probed(250_000, "marlin", "Marlin 2.1.2 (Github)", "2.1.2", "0f0f-1111", "Ender-3")
PLUGS = (
    ("ttyUSB0", Plug("1a86", "7523", "", "1-1.2")),
    ("ttyACM0", Plug("2c99", "000d", "CZPX1234X004XK12345", "1-1.4.3", "Original_Prusa_MK4")),
)


@pytest.fixture
def computer(lab, tmp_path):
    root = tmp_path / "computer"
    (root / "dev").mkdir(parents=True)
    for tty, plug in PLUGS:
        (root / "dev" / tty).touch()
        UsbSide(root, plug).plug_in(tty)

    def ask(port: str) -> Probed:
        if "1a86" in port or "1-1.2" in port:
            return FOUND
        raise PortError("port.silent", port=port)

    lab.services = replace(lab.services, ports=Ports(replace(lab.workshop, devices=root), ask))
    live = lab.workshop.live
    identity = {
        "usb": "1a86:7523",
        "position": "0000:00:14.0/1.3:1.0",
        "uuid": "bbbb",
        "machine_type": "E3",
    }
    live.put("ender", replace(live.get("ender"), in_use="motion", identity=identity))
    live.put("prusa", replace(live.get("prusa"), differs=("uuid", "position"), identity=identity))
    lab.services.runs.apply("ender", {"kind": "in_use", "why": "motion"}, lab.now)
    return lab


@pytest.mark.timeout(120)
@pytest.mark.parametrize("screen", ["phone", "desk"])
def test_finding_a_machine_is_seen_and_reached_on_each_screen(
    computer, serve, request, axe, libraries, screen
):
    driver = request.getfixturevalue(screen)
    width = {"phone": 390, "desk": 1280}[screen]
    url = serve(computer.app())
    sign_in(driver, url, computer)
    look(driver, axe, f"{url}/machines/new", width)
    for row in ("1-1.2", "CZPX"):
        ask = (
            f"//li[contains(., '{row}')]//form[@action='/ports/probe']//button"
            "[normalize-space()='Ask the board who it is']"
        )
        driver.get(f"{url}/machines/new")
        button = driver.find_element("xpath", ask)
        driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", button)
        button.click()
        seen = {"1-1.2": "Marlin 2.1.2", "CZPX": "Nothing was heard"}[row]
        wait(driver).until(lambda d, seen=seen: seen in d.find_element("id", "probe").text)
        look(driver, axe, driver.current_url, width)
    look(driver, axe, f"{url}/machines/ender", width)
    assert "In use by hand" in driver.find_element("tag name", "main").text
    look(driver, axe, f"{url}/machines/prusa", width)
    assert "another board" in driver.find_element("tag name", "main").text
    assert complaints(driver) == []
