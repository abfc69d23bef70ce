"""The node's own computer: does its power supply hold?

A Raspberry Pi whose supply sags loses bytes, files and its USB ports; it says so in one file.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

# Source: Raspberry Pi documentation, `vcgencmd get_throttled`, the bits of its word.
_NOW, _SINCE_START = 1 << 0, 1 << 16
_FILES = (
    "sys/devices/platform/soc/soc:firmware/get_throttled",
    "sys/devices/platform/soc@107c000000/soc@107c000000:firmware/get_throttled",
)
_LONGEST = 32


@dataclass(frozen=True, slots=True)
class Supply:
    """What the computer says of its power supply.

    :param is_low: the voltage is too low at this moment.
    :param was_low: it was, since the computer started.
    """

    is_low: bool = False
    was_low: bool = False


def supply(devices: Path) -> Supply:
    """Return how the power supply is; of a computer that does not tell, that nothing is wrong.

    :param devices: the folder that holds `sys`.
    """
    for name in _FILES:
        try:
            with (devices / name).open("rb") as file:
                word = int(file.read(_LONGEST).strip() or b"0", 16)
        except (OSError, ValueError):
            continue
        return Supply(bool(word & _NOW), bool(word & _SINCE_START))
    return Supply()
