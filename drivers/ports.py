"""Find a machine's port by what is plugged in, never by a ttyUSB number."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from serial.tools import list_ports

from drivers.profile import FirmwareProfile

_BY_ID = Path("/dev/serial/by-id")


@dataclass(frozen=True, slots=True)
class FoundPort:
    """A serial port that is there now.

    :param port: its name that stays the same when plugged in again, where there is one.
    :param device: its name of today.
    :param usb: vendor and product, as `2c99:0002`; empty for other buses.
    :param profiles: names of the profiles whose boards often look like this.
    """

    port: str
    device: str
    usb: str
    serial_number: str
    description: str
    profiles: tuple[str, ...]

    def to_json(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {
            "port": self.port,
            "device": self.device,
            "usb": self.usb,
            "serial_number": self.serial_number,
            "description": self.description,
            "profiles": list(self.profiles),
        }


def find_ports(profiles: Iterable[FirmwareProfile]) -> list[FoundPort]:
    """Return the ports of this computer, those on USB first.

    :param profiles: the profiles to guess from; a guess only, as one USB chip serves many.
    """
    known = list(profiles)
    stable = _stable_names()
    found = []
    for each in list_ports.comports():
        usb = f"{each.vid:04x}:{each.pid:04x}" if each.vid and each.pid else ""
        device = str(each.device)
        found.append(
            FoundPort(
                stable.get(device, device),
                device,
                usb,
                each.serial_number or "",
                each.description if each.description != "n/a" else "",
                tuple(profile.name for profile in known if usb and usb in profile.usb),
            )
        )
    return sorted(found, key=lambda port: (not port.usb, port.port))


def _stable_names(folder: Path = _BY_ID) -> dict[str, str]:
    """Return today's device of each name under by-id."""
    if not folder.is_dir():
        return {}
    return {str(link.resolve()): str(link) for link in sorted(folder.iterdir())}
