"""Which board is which: what is learned of one, and whether another sits in its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

# What Marlin says where nobody has given the board a number of its own.
# Source: MarlinFirmware/Marlin:Marlin/src/inc/Version.h and Conditionals, DEFAULT_MACHINE_UUID.
SHARED_UUIDS = frozenset(
    {"cede2a2f-41a2-4748-9b12-c55c62f367ff", "00000000-0000-0000-0000-000000000000"}
)


@dataclass(frozen=True, slots=True)
class Identity:
    """What tells one board from another; "" where it is not known.

    :param usb: vendor and product, `1a86:7523`.
    :param serial: the USB serial number; many cheap chips have none.
    :param position: the USB socket: its controller, the way through its hubs and the interface,
        `0000:00:14.0/1.2:1.0`. The number of the bus is not in it: it may differ at each boot.
    :param uuid: what the firmware calls this board.
    :param machine_type: what the firmware calls the machine.
    :param info: the line of Grbl's `$I` with its version and the owner's own text.
    """

    usb: str = ""
    serial: str = ""
    position: str = ""
    uuid: str = ""
    machine_type: str = ""
    info: str = ""

    @property
    def is_told_by_serial(self) -> bool:
        """Tell whether the USB side alone is enough."""
        return bool(self.usb and self.serial)

    @property
    def is_told_by_firmware(self) -> bool:
        """Tell whether the firmware has a number that no other board has."""
        return bool(self.uuid) and self.uuid.lower() not in SHARED_UUIDS

    def with_board(self, board: Mapping[str, str]) -> Identity:
        """Return this with what the firmware says of itself."""
        return replace(
            self,
            uuid=board.get("uuid", ""),
            machine_type=board.get("machine_type", ""),
            info=board.get("info", ""),
        )

    def to_json(self) -> dict[str, str]:
        """Return plain JSON values, the known ones only."""
        named = {
            "usb": self.usb,
            "serial": self.serial,
            "position": self.position,
            "uuid": self.uuid,
            "machine_type": self.machine_type,
            "info": self.info,
        }
        return {name: value for name, value in named.items() if value}

    @classmethod
    def from_json(cls, values: Mapping[str, object]) -> Identity:
        """Read what `to_json` wrote; what is not a text is left out."""
        known = {each.name for each in fields(cls)}
        return cls(
            **{key: text for key, text in values.items() if key in known and isinstance(text, str)}
        )


def port_matches(known: Identity, seen: Identity) -> bool:
    """Tell whether a port looks like the one a board was learned at, before it is opened.

    A serial number decides; without one the USB socket does.

    >>> ch340 = Identity("1a86:7523", "", "0000:00:14.0/1.2:1.0")
    >>> twin = Identity("1a86:7523", "", "0000:00:14.0/1.3:1.0")
    >>> port_matches(ch340, ch340), port_matches(ch340, twin)
    (True, False)
    """
    if (known.usb, known.serial) != (seen.usb, seen.serial):
        return False
    return known.is_told_by_serial or known.position == seen.position


def differences(known: Identity, seen: Identity) -> tuple[str, ...]:
    """Return the names of what speaks against *seen* being the board *known*; none: it is it.

    A board whose firmware has a number of its own may sit in another socket.

    >>> differences(Identity(uuid="a"), Identity(uuid="b"))
    ('uuid',)
    """
    names = [
        name
        for name in ("usb", "serial", "uuid", "machine_type", "info")
        if known.to_json().get(name, "") != seen.to_json().get(name, "")
    ]
    is_the_same = known.is_told_by_serial or (known.is_told_by_firmware and not names)
    if known.position != seen.position and not is_the_same:
        names.append("position")
    return tuple(names)
