"""One line of a GPIO chip as an output or an input, by the kernel's character device.

`/sys/class/gpio` is gone from current kernels of the Raspberry Pi; `/dev/gpiochip*` is what
stays. The kernel gives the line up when its descriptor is closed, also by the death of a process.

*Source:* linux/include/uapi/linux/gpio.h, second version of the interface (Linux 5.10).
"""

from __future__ import annotations

import fcntl
import os
import struct
from pathlib import Path

# struct gpio_v2_line_request: offsets[64], consumer[32], config (flags, num_attrs, padding[5],
# attrs[10] of 24 bytes), num_lines, event_buffer_size, padding[5], fd.
_REQUEST = struct.Struct("=64I32sQI20x240xII20xi")
_VALUES = struct.Struct("=QQ")  # struct gpio_v2_line_values: bits, mask
_FD_AT = _REQUEST.size - 4
_INPUT, _OUTPUT, _PULL_UP = 1 << 2, 1 << 3, 1 << 8
_MAGIC = 0xB4


def _read_write(number: int, size: int) -> int:
    """Return the number of an ioctl that hands a struct in and out (_IOWR of asm-generic)."""
    return (3 << 30) | (size << 16) | (_MAGIC << 8) | number


GET_LINE = _read_write(0x07, _REQUEST.size)
GET_VALUES = _read_write(0x0E, _VALUES.size)
SET_VALUES = _read_write(0x0F, _VALUES.size)


class GpioLine:
    """An output that begins low.

    :param chip: its device, such as `/dev/gpiochip0`.
    :param offset: of the line on that chip.
    :raises OSError: if it cannot be had: no chip, no such line, no right, or taken.
    """

    def __init__(self, chip: Path, offset: int) -> None:
        self._file = _open(chip, line_request(offset))

    def write(self, *, high: bool) -> None:
        """Set the line.

        :raises OSError: if the chip has gone.
        """
        fcntl.ioctl(self._file, SET_VALUES, bytearray(line_values(high=high)), True)

    def close(self) -> None:
        """Let go of the line."""
        os.close(self._file)


class GpioInput:
    """An input that a resistor of the computer pulls high: a broken wire reads 1.

    :param chip: its device, such as `/dev/gpiochip0`.
    :param offset: of the line on that chip.
    :raises OSError: if it cannot be had: no chip, no such line, no right, or taken.
    """

    def __init__(self, chip: Path, offset: int) -> None:
        self._file = _open(chip, input_request(offset))

    def read(self) -> bool:
        """Return whether the line is high.

        :raises OSError: if the chip has gone.
        """
        values = bytearray(_VALUES.pack(0, 1))
        fcntl.ioctl(self._file, GET_VALUES, values, True)
        return bool(_VALUES.unpack(values)[0] & 1)

    def close(self) -> None:
        """Let go of the line."""
        os.close(self._file)


def _open(chip: Path, wanted: bytes) -> int:
    device = os.open(chip, os.O_RDWR | os.O_CLOEXEC)
    try:
        request = bytearray(wanted)
        fcntl.ioctl(device, GET_LINE, request, True)
    finally:
        os.close(device)
    file: int = struct.unpack_from("=i", request, _FD_AT)[0]
    os.set_inheritable(file, False)
    return file


def line_request(offset: int) -> bytes:
    """Return the request for one output line; without an attribute it begins low."""
    offsets = [offset, *[0] * 63]
    return _REQUEST.pack(*offsets, b"fabnode heartbeat", _OUTPUT, 0, 1, 0, 0)


def input_request(offset: int) -> bytes:
    """Return the request for one input line."""
    offsets = [offset, *[0] * 63]
    return _REQUEST.pack(*offsets, b"fabnode interlock", _INPUT | _PULL_UP, 0, 1, 0, 0)


def line_values(*, high: bool) -> bytes:
    """Return the value of the one line of a request."""
    return _VALUES.pack(int(high), 1)
