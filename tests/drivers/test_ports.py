"""Ports by what is plugged in: named, guessed at, found again, and never opened."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from drivers.identity import Identity
from drivers.ports import find_ports, identity_of, locate
from drivers.profile import load_profile
from drivers.simulators.ptys import _watch
from drivers.simulators.usb import Plug, UsbSide

CH340 = Plug("1a86", "7523", position="1-1.2")
TWIN = Plug("1a86", "7523", position="1-1.3")
PRUSA = Plug("2c99", "0002", "CZPX1234", "1-1.4", "Prusa_i3_MK3")


def plug_in(root: Path, plug: Plug, tty: str) -> UsbSide:
    (root / "dev").mkdir(exist_ok=True)
    (root / "dev" / tty).touch()
    side = UsbSide(root, plug)
    side.plug_in(tty)
    return side


def pull_out(root: Path, side: UsbSide, tty: str) -> None:
    side.pull_out()
    (root / "dev" / tty).unlink()


def test_a_port_is_told_with_all_that_its_usb_side_says_and_a_guess(tmp_path):
    plug_in(tmp_path, PRUSA, "ttyACM0")
    (port,) = find_ports([load_profile("marlin-2"), load_profile("grbl-1.1")], tmp_path)
    assert port.to_json() == {
        "port": f"{tmp_path}/dev/serial/by-id/usb-2c99_Prusa_i3_MK3_CZPX1234-if00-port0",
        "device": f"{tmp_path}/dev/ttyACM0",
        "by_id": f"{tmp_path}/dev/serial/by-id/usb-2c99_Prusa_i3_MK3_CZPX1234-if00-port0",
        "by_path": f"{tmp_path}/dev/serial/by-path/pci-0-usb-0:1-1.4:1.0-port0",
        "usb": "2c99:0002",
        "serial_number": "CZPX1234",
        "usb_position": "0000:00:14.0/1.4:1.0",
        "description": "Prusa_i3_MK3",
        "profiles": ["marlin-2"],
        "holder": None,
    }


def test_boards_without_a_serial_number_are_named_by_their_socket(tmp_path):
    """Both have the same name by-id, and it leads to whichever came first."""
    plug_in(tmp_path, CH340, "ttyUSB0")
    plug_in(tmp_path, TWIN, "ttyUSB1")
    ports = [port.port for port in find_ports((), tmp_path)]
    assert ports == [
        f"{tmp_path}/dev/serial/by-path/pci-0-usb-0:1-1.2:1.0-port0",
        f"{tmp_path}/dev/serial/by-path/pci-0-usb-0:1-1.3:1.0-port0",
    ]


def test_a_name_without_hardware_behind_it_is_no_port(tmp_path):
    for name, kind in (("ttyS0", "4"), ("ttyS1", "0")):
        (tmp_path / "dev").mkdir(exist_ok=True)
        (tmp_path / "dev" / name).touch()
        folder = tmp_path / "sys/class/tty" / name
        folder.mkdir(parents=True)
        (folder / "type").write_text(kind + "\n")
    assert [port.device for port in find_ports((), tmp_path)] == [f"{tmp_path}/dev/ttyS0"]


def test_listing_opens_nothing(tmp_path):
    plug_in(tmp_path, CH340, "ttyUSB0")
    watch = _watch(str(tmp_path / "dev/ttyUSB0"))
    if watch is None:
        pytest.skip("this kernel does not tell who opens a file")
    assert len(find_ports((), tmp_path)) == 1
    with pytest.raises(BlockingIOError):
        os.read(watch, 1000)
    (tmp_path / "dev/ttyUSB0").open("rb").close()
    assert os.read(watch, 1000), "an opening would have been seen"
    os.close(watch)


def test_a_board_is_found_again_under_another_name(tmp_path):
    side = plug_in(tmp_path, CH340, "ttyUSB0")
    port = f"{tmp_path}/dev/ttyUSB0"
    known = identity_of(port, tmp_path)
    assert known == Identity("1a86:7523", "", "0000:00:14.0/1.2:1.0")
    assert locate(port, known, tmp_path) == port
    pull_out(tmp_path, side, "ttyUSB0")
    assert locate(port, known, tmp_path) == port, "nowhere: the opening will say so"
    plug_in(tmp_path, CH340, "ttyUSB1")
    assert locate(port, known, tmp_path) == f"{tmp_path}/dev/ttyUSB1"


def test_a_serial_number_is_followed_to_any_socket(tmp_path):
    known = Identity("2c99:0002", "CZPX1234", "0000:00:14.0/1.1:1.0")
    plug_in(tmp_path, PRUSA, "ttyACM3")
    assert locate("/dev/ttyACM0", known, tmp_path) == f"{tmp_path}/dev/ttyACM3"


def test_a_restart_that_counts_the_buses_otherwise_changes_no_socket(tmp_path):
    for folder, bus in (("before", 1), ("after", 3)):
        (tmp_path / folder).mkdir()
        plug_in(tmp_path / folder, Plug("1a86", "7523", position=f"{bus}-1.2"), "ttyUSB0")
    before, after = (find_ports((), tmp_path / name)[0].identity for name in ("before", "after"))
    assert before == after
    assert before.position == "0000:00:14.0/1.2:1.0"


def test_two_equal_boards_that_changed_their_names_are_kept_apart(tmp_path):
    """The kernel gave the names the other way round; the sockets did not move."""
    plug_in(tmp_path, TWIN, "ttyUSB0")
    plug_in(tmp_path, CH340, "ttyUSB1")
    known = Identity("1a86:7523", "", "0000:00:14.0/1.2:1.0")
    assert locate(f"{tmp_path}/dev/ttyUSB0", known, tmp_path) == f"{tmp_path}/dev/ttyUSB1"


def test_another_board_in_its_place_is_not_taken_for_it(tmp_path):
    plug_in(tmp_path, TWIN, "ttyUSB0")
    known = Identity("1a86:7523", "", "0000:00:14.0/1.2:1.0")
    assert locate(f"{tmp_path}/dev/ttyUSB0", known, tmp_path) == ""


def test_ports_are_listed_where_no_dev_is_to_be_seen(tmp_path):
    """The node's own service has no /dev; udev's memory has the names."""
    plug_in(tmp_path, PRUSA, "ttyACM0")
    seen = find_ports((), tmp_path)
    shutil.rmtree(tmp_path / "dev")
    (tmp_path / "sys/class/tty/ttyACM0/dev").write_text("166:0\n")
    memory = tmp_path / "run/udev/data/c166:0"
    memory.parent.mkdir(parents=True)
    by_id = "serial/by-id/usb-2c99_Prusa_i3_MK3_CZPX1234-if00-port0"
    by_path = "serial/by-path/pci-0-usb-0:1-1.4:1.0-port0"
    memory.write_text(f"S:{by_path}\nS:{by_id}\nE:ID_BUS=usb\n")
    assert find_ports((), tmp_path) == seen


def test_a_link_by_id_is_read_as_the_port_it_leads_to(tmp_path):
    plug_in(tmp_path, PRUSA, "ttyACM0")
    (port,) = find_ports((), tmp_path)
    assert identity_of(port.by_id, tmp_path).serial == "CZPX1234"
    assert identity_of("/dev/null", tmp_path) == Identity()
