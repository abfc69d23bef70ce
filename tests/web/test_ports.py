"""The page of a new machine names what is plugged in, and asks a board when a person says so."""

from __future__ import annotations

import html
import re
import subprocess
import threading
import time
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest

from drivers.probe import Probed
from drivers.simulators.usb import Plug, UsbSide
from jobs.services.ports import Ports

FOUND = Probed(115_200, "grbl", "Grbl 1.1h", "1.1h", "", "", "1.1h.20190825:router", ("ok",))


@pytest.fixture
def asking():
    """What a question to a port waits for; nothing, unless a test says so."""
    said = threading.Event()
    said.set()
    yield said
    said.set()


@pytest.fixture
def computer(lab, tmp_path, asking):
    root = tmp_path / "computer"
    (root / "dev").mkdir(parents=True)
    (root / "dev/ttyUSB0").touch()
    UsbSide(root, Plug("1a86", "7523", "", "1-1.2")).plug_in("ttyUSB0")
    workshop = replace(lab.workshop, devices=root)

    def ask(port):
        assert asking.wait(30)
        return FOUND

    lab.services = replace(lab.services, ports=Ports(workshop, ask))
    return f"{root}/dev/serial/by-path/pci-0-usb-0:1-1.2:1.0-port0"


@pytest.fixture
def otto(computer, browse):
    return browse("otto")


def test_what_is_plugged_in_is_named_with_a_guess_and_a_warning(otto, computer, read):
    page = otto.get("/machines/new").text
    said = read(page)
    assert "What is plugged in" in said
    assert computer in said
    assert "1a86:7523" in said
    assert "likely firmware (a guess)" in said
    assert "may restart the board" in said
    link = re.search(r'href="(/machines/new\?port=[^"]+)"', page)
    assert link is not None
    filled = otto.get(html.unescape(link[1]).partition("#")[0]).text
    assert f'value="{computer}"' in filled


def test_a_chosen_board_is_asked_and_its_answer_fills_the_form(otto, computer, read):
    answer = otto.post("/ports/probe", {"port": computer})
    assert answer.status_code == 303
    for _ in range(200):
        page = otto.get(answer.headers["location"]).text
        if "Grbl 1.1h" in page:
            break
        assert 'http-equiv="refresh"' in page
        time.sleep(0.01)
    assert "Profile and baud rate are filled in below" in read(page)
    assert 'http-equiv="refresh"' not in page
    assert re.search(r'<option value="grbl-1.1"[^>]* selected>', page)
    assert re.search(r'name="baud"[^>]*value="115200"', page)
    assert re.search(r'name="kind" value="mill"', page)


def test_a_port_in_use_names_who_has_it_but_not_our_own_question(otto, computer, read, asking):
    asking.clear()
    answer = otto.post("/ports/probe", {"port": computer})
    device = Path(computer.partition("/dev/")[0], "dev/ttyUSB0")
    with device.open("rb") as port:
        other = subprocess.Popen(["sleep", "60"], stdin=port)  # as the asking process has it
    try:
        page = read(otto.get(answer.headers["location"]).text)
        assert "The board is asked at several rates" in page
        assert "In use by" not in page
        assert "Ask the board who it is" not in page
        asking.set()
        page = read(otto.get("/machines/new").text)
        assert f"In use by sleep (process {other.pid})" in page
        assert "Ask the board who it is" not in page
    finally:
        other.kill()
        other.wait()


def test_a_port_that_is_none_is_refused_and_a_member_sees_none(otto, browse, read):
    answer = otto.post("/ports/probe", {"port": "/dev/sda"})
    assert answer.status_code == 422
    assert "There is no port /dev/sda now" in read(answer.text)
    assert browse("mia").post("/ports/probe", {"port": "/dev/sda"}).status_code == 403
    assert browse("mia").api("GET", "/ports").status_code == 403


def test_the_api_lists_and_asks(otto, computer):
    (port,) = otto.api("GET", "/ports").json()
    assert (port["port"], port["usb_position"], port["machine"]) == (
        computer,
        "0000:00:14.0/1.2:1.0",
        "",
    )
    assert otto.api("GET", f"/ports/probe?port={quote(computer)}").json() is None
    assert otto.api("POST", "/ports/probe", json={"port": computer}).status_code == 202
    for _ in range(200):
        told = otto.api("GET", f"/ports/probe?port={quote(computer)}").json()
        if told["state"] == "done":
            break
        time.sleep(0.01)
    assert (told["profile"], told["baud"], told["firmware"]) == ("grbl-1.1", 115200, "Grbl 1.1h")
