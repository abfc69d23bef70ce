"""A real headless Chromium before a real server on the loopback interface."""

from __future__ import annotations

import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

from web.context import STATIC

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    if not CHROMIUM or not DRIVER:
        pytest.skip("chromium and chromium-driver are not installed")
    options = Options()
    options.binary_location = CHROMIUM
    profile = tmp_path_factory.mktemp("chromium")
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
        f"--user-data-dir={profile}",
        *(["--no-sandbox"] if os.geteuid() == 0 else []),
    ):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = Service(DRIVER, log_output=os.devnull)
    driver = webdriver.Chrome(options=options, service=service)
    driver.set_page_load_timeout(20)
    yield driver
    driver.quit()


class Server:
    """Uvicorn in a thread, on a free port."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        config = uvicorn.Config(
            app, log_level="critical", lifespan="off", timeout_graceful_shutdown=2
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True
        )

    def __enter__(self) -> Server:
        self._thread.start()
        deadline = time.monotonic() + 10
        while not self._server.started:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return self

    def __exit__(self, *_: object) -> None:
        self._app.state.web.streams.close()
        self._server.should_exit = True
        self._thread.join(10)
        self._socket.close()


@pytest.fixture
def serve() -> Iterator[Callable[[FastAPI], str]]:
    """`serve(app)` returns its address."""
    running: list[Server] = []

    def start(app: FastAPI) -> str:
        server = Server(app)
        server.__enter__()
        running.append(server)
        return server.url

    yield start
    for server in running:
        server.__exit__()


@pytest.fixture
def phone(chromium: webdriver.Chrome) -> Iterator[webdriver.Chrome]:
    """390 by 844 pixels, signed out, with an empty console."""
    yield from sized(chromium, 390, 844)


@pytest.fixture
def desk(chromium: webdriver.Chrome) -> Iterator[webdriver.Chrome]:
    yield from sized(chromium, 1280, 900)


def sized(chromium: webdriver.Chrome, width: int, height: int) -> Iterator[webdriver.Chrome]:
    chromium.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600},
    )
    chromium.get_log("browser")
    yield chromium
    chromium.get("about:blank")
    chromium.execute_cdp_cmd("Network.clearBrowserCookies", {})


@pytest.fixture(scope="session")
def axe() -> str:
    file = Path(__file__).parents[3] / "node_modules" / "axe-core" / "axe.min.js"
    if not file.is_file():
        pytest.skip("axe-core is not installed: make web")
    return file.read_text()


@pytest.fixture
def libraries() -> None:
    """Skip what needs htmx where `make web` has not run."""
    if not (STATIC / "vendor" / "htmx.min.js").is_file():
        pytest.skip("the browser libraries are not there: make web")
