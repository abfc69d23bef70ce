"""The picture of the board in the README, made from the demo: `python tests/board_picture.py`.

Starts `fabnode demo`, or takes one that runs by its sign-in link (`… LINK`), signs in, waits until
two machines work, and writes `web/static/board.png` from a real Chromium. Needs chromium and
chromium-driver.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "web" / "static" / "board.png"
WIDTH, TALLEST = 1280, 900  # [px]
WORKING = "progress[value]:not([value='0'])"
PATIENCE_S = 600.0  # on a slow machine the demo slices for minutes
_LINK = re.compile(r"https?://\S+/sign-in/link/\S+")


def link_of(demo: subprocess.Popen[str], deadline: float) -> str:
    """Return the sign-in link that the demo prints."""
    assert demo.stdout is not None
    for line in demo.stdout:
        sys.stderr.write(line)
        if found := _LINK.search(line):
            return found[0]
        if time.monotonic() > deadline:
            break
    raise SystemExit("the demo printed no sign-in link")


def browser(profile: str) -> webdriver.Chrome:
    """Return a Chromium without a window."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    driver = shutil.which("chromedriver")
    if not chromium or not driver:
        raise SystemExit("apt install chromium chromium-driver")
    options = Options()
    options.binary_location = chromium
    for flag in (
        "--headless=new",
        "--disable-gpu",
        "--hide-scrollbars",
        "--disable-dev-shm-usage",
        "--lang=en-GB",
        f"--window-size={WIDTH},{TALLEST}",
        f"--user-data-dir={profile}",
        *(["--no-sandbox"] if os.geteuid() == 0 else []),
    ):
        options.add_argument(flag)
    return webdriver.Chrome(options=options, service=Service(driver, log_output=os.devnull))


def shoot(driver: webdriver.Chrome, link: str, deadline: float) -> None:
    """Sign in, wait until two machines work, and write the picture down to the last machine."""
    driver.set_page_load_timeout(120)
    driver.get(link)
    for button in driver.find_elements(By.CSS_SELECTOR, "main form button"):
        button.click()
        break
    board = link.partition("/sign-in/")[0] + "/"
    while time.monotonic() < deadline:
        driver.get(board)
        if len(driver.find_elements(By.CSS_SELECTOR, WORKING)) > 1:
            break
        time.sleep(2)
    last = "return document.querySelector('main').lastElementChild.getBoundingClientRect().bottom"
    tall = min(int(driver.execute_script(last)) + 40, TALLEST)
    metrics = {"width": WIDTH, "height": tall, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    driver.save_screenshot(str(PICTURE))


def pictured(link: str, deadline: float) -> None:
    """Write the picture of the lab that a link leads into."""
    with tempfile.TemporaryDirectory() as profile:
        driver = browser(profile)
        try:
            shoot(driver, link, deadline)
        finally:
            driver.quit()
    sys.stderr.write(f"{PICTURE} is made\n")


def main() -> None:
    """Make the picture."""
    deadline = time.monotonic() + PATIENCE_S
    if len(sys.argv) > 1:
        pictured(sys.argv[1], deadline)
        return
    command = [sys.executable, "-m", "node", "demo"]
    demo = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        pictured(link_of(demo, deadline), deadline)
    finally:
        demo.terminate()
        demo.wait(60)


if __name__ == "__main__":
    main()
