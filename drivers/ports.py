"""Find a machine's port by what is plugged in, never by a ttyUSB number, and open nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from drivers.holders import Holder, holders
from drivers.identity import Identity, port_matches
from drivers.profile import FirmwareProfile

ROOT = Path("/")
_NAMES = ("ttyUSB*", "ttyACM*", "ttyXRUSB*", "ttyAMA*", "ttyS*", "rfcomm*")
_BUS = re.compile(r"usb\d+")
_NO_UART = "0"  # of /sys/class/tty/ttyS*/type: a name without hardware behind it


@dataclass(frozen=True, slots=True)
class FoundPort:
    """A serial port that is there now.

    :param port: its name that stays the same when plugged in again, where there is one.
    :param device: its name of today.
    :param by_id: its link by vendor, product and serial number, "" without one.
    :param by_path: its link by USB socket, "" without one.
    :param profiles: names of the profiles whose boards often look like this: a guess.
    :param holder: who has it open, as far as can be seen.
    """

    port: str
    device: str
    identity: Identity
    description: str = ""
    by_id: str = ""
    by_path: str = ""
    profiles: tuple[str, ...] = ()
    holder: Holder | None = field(default=None, compare=False)

    def to_json(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {
            "port": self.port,
            "device": self.device,
            "by_id": self.by_id,
            "by_path": self.by_path,
            "usb": self.identity.usb,
            "serial_number": self.identity.serial,
            "usb_position": self.identity.position,
            "description": self.description,
            "profiles": list(self.profiles),
            "holder": self.holder.to_json() if self.holder else None,
        }


def find_ports(
    profiles: Iterable[FirmwareProfile] = (), root: Path = ROOT, *, look_for_holders: bool = True
) -> list[FoundPort]:
    """Return the ports of this computer, those on USB first.

    Everything is read from /dev, /sys and /proc: opening a port may reset a board.

    :param profiles: the profiles to guess from; a guess only, as one USB chip serves many.
    :param root: the folder that holds `dev` and `sys`.
    """
    known = list(profiles)
    by_id = _links(root / "dev/serial/by-id")
    by_path = _links(root / "dev/serial/by-path")
    found = []
    for device in _devices(root):
        identity, description = _usb(root, device.name)
        named = by_id.get(device.name) or _udev_link(root, device.name, "by-id")
        placed = by_path.get(device.name) or _udev_link(root, device.name, "by-path")
        # Two boards without a serial number share one name by-id: it leads to either of them.
        stable = named if identity.serial or not placed else placed
        guesses = tuple(one.name for one in known if identity.usb and identity.usb in one.usb)
        port = stable or str(device)
        found.append(FoundPort(port, str(device), identity, description, named, placed, guesses))
    if look_for_holders:
        found = _with_holders(found)
    return sorted(found, key=lambda each: (not each.identity.usb, each.port))


def identity_of(port: str, root: Path = ROOT) -> Identity:
    """Return what is known of *port* without opening it: its USB side."""
    path = Path(port)
    names = [path.name] if path.parent == root / "dev" else []
    if path.is_symlink():
        names.append(path.readlink().name)  # by-id and by-path lead to ../../ttyUSB0
    for name in (*names, path.resolve().name):
        identity, _ = _usb(root, name)
        if identity.usb:
            return identity
    return Identity()


def locate(port: str, known: Identity | None, root: Path = ROOT) -> str:
    """Return where the board *known* is today; *port* where it cannot be told.

    :param port: where it is configured to be.
    :returns: "" if the board at *port* is another one, and ours is nowhere.
    """
    if known is None or not known.usb:
        return port
    if Path(port).exists() and port_matches(known, identity_of(port, root)):
        return port
    found = [
        each.device
        for each in find_ports((), root, look_for_holders=False)
        if port_matches(known, each.identity)
    ]
    if len(found) == 1:
        return found[0]
    return "" if Path(port).exists() else port


def _devices(root: Path) -> Sequence[Path]:
    """Return every port by its name of today; a service may see no /dev of its own."""
    names = {path.name for pattern in _NAMES for path in (root / "dev").glob(pattern)}
    names |= {
        path.name
        for pattern in _NAMES
        for path in (root / "sys/class/tty").glob(pattern)
        if (path / "device").exists()
    }
    return [root / "dev" / name for name in sorted(names) if not _is_empty(root, name)]


def _is_empty(root: Path, name: str) -> bool:
    return name.startswith("ttyS") and _text(root / "sys/class/tty" / name / "type") == _NO_UART


def _links(folder: Path) -> dict[str, str]:
    """Return the link of each of today's names in a folder of /dev/serial."""
    if not folder.is_dir():
        return {}
    links = [link for link in sorted(folder.iterdir()) if link.is_symlink() and link.exists()]
    # Of several the first: newer versions of udev add a second one by path.
    return {link.readlink().name: str(link) for link in reversed(links)}


def _udev_link(root: Path, name: str, kind: str) -> str:
    """Return a link of /dev/serial as udev remembers it, "" if it knows none.

    *Source:* systemd src/libsystemd/sd-device/device-private.c, the `S:` lines of its database.
    """
    number = _text(root / "sys/class/tty" / name / "dev")
    try:
        lines = (root / f"run/udev/data/c{number}").read_text("utf-8", "replace").splitlines()
    except OSError:
        return ""
    links = sorted(line[2:] for line in lines if line.startswith(f"S:serial/{kind}/"))
    return f"{root / 'dev' / links[0]}" if links else ""


def _usb(root: Path, name: str) -> tuple[Identity, str]:
    """Return what the kernel says of the USB device behind a tty, and its description."""
    at = root / "sys/class/tty" / name / "device"
    if not at.exists():
        return Identity(), ""
    folder = at.resolve()
    interface = ""
    for _ in range(5):  # tty, interface, device; a port driver may stand between
        if (folder / "bInterfaceNumber").is_file():
            interface = folder.name
        if (folder / "idVendor").is_file():
            usb = f"{_text(folder / 'idVendor')}:{_text(folder / 'idProduct')}".lower()
            words = (_text(folder / "manufacturer"), _text(folder / "product"))
            place = _socket(folder, interface or folder.name)
            serial = _text(folder / "serial")
            return Identity(usb, serial, place), " ".join(word for word in words if word)
        folder = folder.parent
    return Identity(), ""


def _socket(device: Path, place: str) -> str:
    """Return where a device is plugged in, in words that a restart does not change.

    :param place: the kernel's name, such as `1-1.2:1.0`: bus, way through the hubs, interface.
    """
    _, _, way = place.partition("-")
    bus = next((one for one in device.parents if _BUS.fullmatch(one.name)), None)
    return f"{bus.parent.name}/{way}" if bus is not None and way else place


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8", "replace").strip()[:100]
    except OSError:
        return ""


def _with_holders(found: list[FoundPort]) -> list[FoundPort]:
    held = holders([each.device for each in found])
    return [
        FoundPort(
            each.port,
            each.device,
            each.identity,
            each.description,
            each.by_id,
            each.by_path,
            each.profiles,
            held.get(each.device),
        )
        for each in found
    ]
