"""Ports on the page of a new machine: told without opening, asked only when chosen."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from drivers.errors import PortError
from drivers.probe import Probed
from drivers.simulators.usb import Plug, UsbSide
from jobs.domain.errors import InvalidError, NotAllowedError
from jobs.services.ports import Ports
from jobs.store.tables import Machine

FOUND = Probed(250_000, "marlin", "Marlin 2.1.2", "2.1.2", "aaaa", "Ender-3", "", ("start",))


def plug_in(root: Path, plug: Plug, tty: str) -> None:
    (root / "dev").mkdir(exist_ok=True)
    (root / "dev" / tty).touch()
    UsbSide(root, plug).plug_in(tty)


@pytest.fixture
def computer(workshop, tmp_path):
    """A computer with a Prusa and a CH340 plugged in."""
    root = tmp_path / "computer"
    root.mkdir()
    plug_in(root, Plug("2c99", "000d", "CZPX", "1-1.1", "Prusa_MK4"), "ttyACM0")
    plug_in(root, Plug("1a86", "7523", "", "1-1.2"), "ttyUSB0")
    return replace(workshop, devices=root)


def wait(ports: Ports, actor, port: str):
    for _ in range(1000):
        answer = ports.probed(actor, port)
        if answer is not None and answer.state != "asking":
            return answer
        time.sleep(0.01)
    raise AssertionError("no answer")


def test_ports_are_told_with_a_guess_and_whose_they_are(computer, operator, printer):
    prusa, cheap = sorted(Ports(computer).list(operator), key=lambda one: one.device)
    assert (prusa.serial_number, prusa.description) == ("CZPX", "Prusa_MK4")
    assert "marlin-2" in cheap.profiles
    assert "grbl-1.1" in cheap.profiles
    with computer.database.write() as session:
        session.get_one(Machine, printer).port = cheap.device
    prusa, cheap = sorted(Ports(computer).list(operator), key=lambda one: one.device)
    assert (prusa.machine, cheap.machine) == ("", "ender")


def test_a_chosen_board_is_asked_while_nobody_waits(computer, operator):
    gate = threading.Event()
    asked: list[str] = []

    def ask(port: str) -> Probed:
        asked.append(port)
        gate.wait(20)
        return FOUND

    ports = Ports(computer, ask)
    port = ports.list(operator)[0].port
    assert ports.probed(operator, port) is None
    ports.probe(operator, port)
    ports.probe(operator, port)
    assert ports.probed(operator, port).state == "asking"
    gate.set()
    answer = wait(ports, operator, port)
    assert (answer.state, answer.profile, answer.baud) == ("done", "marlin-2", 250_000)
    assert (answer.uuid, answer.machine_type) == ("aaaa", "Ender-3")
    assert asked == [port], "one question at a time"


def test_a_board_that_says_nothing_is_one_sentence(computer, operator):
    def ask(port: str) -> Probed:
        raise PortError("port.silent", port=port)

    ports = Ports(computer, ask)
    port = ports.list(operator)[0].port
    ports.probe(operator, port)
    answer = wait(ports, operator, port)
    assert (answer.state, answer.code, answer.fields) == ("failed", "port.silent", {"port": port})


def test_a_port_of_ours_or_none_is_not_asked(computer, operator, printer):
    def ask(port: str) -> Probed:
        raise AssertionError("opened")

    ports = Ports(computer, ask)
    with computer.database.write() as session:
        session.get_one(Machine, printer).port = str(computer.devices / "dev/ttyUSB0")
    ours = next(one.port for one in ports.list(operator) if one.machine)
    with pytest.raises(InvalidError) as error:
        ports.probe(operator, ours)
    assert error.value.code == "port.of-machine"
    with pytest.raises(InvalidError) as error:
        ports.probe(operator, "/etc/passwd")
    assert error.value.code == "port.unknown"


def test_only_an_operator_sees_and_asks(computer, member):
    ports = Ports(computer)
    with pytest.raises(NotAllowedError):
        ports.list(member)
    with pytest.raises(NotAllowedError):
        ports.probe(member, "/dev/ttyUSB0")
    with pytest.raises(NotAllowedError):
        ports.probed(member, "/dev/ttyUSB0")
