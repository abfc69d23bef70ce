"""A simulated USB side: a folder with the /dev and /sys entries of a board that is plugged in.

*Source:* Linux Documentation/ABI/testing/sysfs-bus-usb and sysfs-class-tty; the link names are
those of udev's 60-serial.rules.
"""

from __future__ import annotations

import contextlib
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from drivers.errors import SimulatorError

_CONTROLLER = "0000:00:14.0"
_PLUG = re.compile(
    r"([0-9a-fA-F]{4}):([0-9a-fA-F]{4})(?::([\w.-]{0,40}))?(?::(\d{1,3}-\d{1,3}(?:\.\d{1,3}){0,6})?)?",
    re.ASCII,
)
_NUMBER = re.compile(r"\d+$")


@dataclass(frozen=True, slots=True)
class Plug:
    """What a USB chip says of itself, and the socket it sits in.

    :param position: the kernel's name of the socket, such as `1-1.2`.
    """

    vendor: str
    product: str
    serial: str = ""
    position: str = "1-1"
    name: str = "USB_Serial"

    @classmethod
    def read(cls, text: str) -> Plug:
        """Read `VENDOR:PRODUCT[:SERIAL[:POSITION]]`.

        :raises SimulatorError: if it is anything else.

        >>> Plug.read("1a86:7523::1-1.2").position
        '1-1.2'
        """
        found = _PLUG.fullmatch(text)
        if found is None:
            raise SimulatorError("simulator.plug", text=text[:80])
        vendor, product, serial, position = found.groups("")
        return cls(vendor.lower(), product.lower(), serial, position or "1-1")


class UsbSide:
    """The entries of one board under a folder that stands for `/`."""

    def __init__(self, root: Path, plug: Plug) -> None:
        self._root = root
        self._plug = plug
        self._links: list[Path] = []
        self._entry: Path | None = None
        self._device: Path | None = None

    def plug_in(self, tty: str) -> None:
        """Make the entries of the board as the serial port *tty*."""
        plug = self._plug
        bus = plug.position.partition("-")[0]
        self._device = self._root / f"sys/devices/{_CONTROLLER}/usb{bus}" / plug.position
        interface = self._device / f"{plug.position}:1.0"
        (interface / tty).mkdir(parents=True, exist_ok=True)
        facts = {"idVendor": plug.vendor, "idProduct": plug.product, "product": plug.name}
        if plug.serial:
            facts["serial"] = plug.serial
        for name, text in facts.items():
            (self._device / name).write_text(text + "\n")
        (interface / "bInterfaceNumber").write_text("00\n")
        self._entry = self._root / "sys/class/tty" / tty
        self._entry.mkdir(parents=True, exist_ok=True)
        (self._entry / "device").symlink_to(interface / tty)
        ids = "_".join(part for part in (plug.vendor, plug.name, plug.serial) if part)
        self._link("by-id", f"usb-{ids}-if00-port0", tty)
        self._link("by-path", f"pci-0-usb-0:{plug.position}:1.0-port0", tty)

    def pull_out(self) -> None:
        """Take the entries away, as far as they are still ours."""
        for link in self._links:
            with contextlib.suppress(OSError):
                link.unlink()
        self._links.clear()
        for folder in (self._entry, self._device):
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)
        self._entry = self._device = None

    def _link(self, kind: str, name: str, tty: str) -> None:
        folder = self._root / "dev/serial" / kind
        folder.mkdir(parents=True, exist_ok=True)
        link = folder / name
        with contextlib.suppress(FileExistsError):
            link.symlink_to(Path("../..") / tty)
            self._links.append(link)


def next_name(tty: str) -> str:
    """Return the name that a port gets while its old one is still held.

    >>> next_name("ttyUSB0"), next_name("port")
    ('ttyUSB1', 'port1')
    """
    found = _NUMBER.search(tty)
    return tty[: found.start()] + str(int(found[0]) + 1) if found else tty + "1"
