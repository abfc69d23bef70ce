"""What a serial receiver makes of bytes that were sent at another rate than its own."""

from __future__ import annotations

import fcntl
import math
import struct

_TCGETS2 = 0x802C542A  # struct termios2 of 44 bytes, its last two words are the rates


def baud_of(descriptor: int) -> int:
    """Return the rate that a terminal was set to [bit/s], custom ones included; 0 if unknown.

    *Source:* Linux include/uapi/asm-generic/termbits.h.
    """
    try:
        answer = fcntl.ioctl(descriptor, _TCGETS2, b"\0" * 44)
    except OSError:
        return 0
    return int(struct.unpack("IIIIB19sII", answer)[7])


def misread(data: bytes, sent: int, read: int) -> bytes:
    r"""Return what a receiver at *read* bit/s hears of *data* sent at *sent* bit/s.

    Each bit is looked at in its middle after the falling edge of a start bit; where the stop
    bit is missing the byte counts all the same, as most chips do, and the next one begins at
    the next falling edge.

    >>> misread(b"ok\n", 115200, 115200), misread(b"start\n", 115200, 250000) != b"start\n"
    (b'ok\n', True)
    """
    if sent == read or not sent or not read:
        return data
    levels: list[int] = []
    for byte in data:
        levels += [0, *(byte >> bit & 1 for bit in range(8)), 1]
    ratio = sent / read  # bits of the sender in one bit of the receiver
    heard = bytearray()
    edge = _falling(levels, 0)
    while edge is not None:
        value = 0
        for bit in range(8):
            value |= _level(levels, edge + (bit + 1.5) * ratio) << bit
        heard.append(value)
        edge = _falling(levels, max(math.ceil(edge + 9.5 * ratio), edge + 1))
    return bytes(heard)


def _falling(levels: list[int], at: int) -> int | None:
    """Return where the line next goes from rest to a start bit, not before *at*."""
    for place in range(at, len(levels)):
        if levels[place] == 0 and (place == 0 or levels[place - 1] == 1):
            return place
    return None


def _level(levels: list[int], at: float) -> int:
    place = int(at)
    return levels[place] if place < len(levels) else 1
