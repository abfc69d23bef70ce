"""PNG files from numpy pictures; nothing else of an imaging library is needed here.

Source: PNG (W3C recommendation, third edition), chapters 5 and 11.
"""

from __future__ import annotations

import struct
import zlib
from typing import Final

import numpy as np

from jobs.analysis.arrays import Bytes

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPE: Final = {3: 2, 4: 6}  # channels: RGB, RGB with alpha
_SUB: Final = 1  # each byte less the one of the pixel before it: flat areas become zeros
_LEVEL: Final = 6


def png(picture: Bytes) -> bytes:
    """Return a picture of shape (height, width, 3 or 4) as a PNG file."""
    height, width, channels = picture.shape
    rows = np.empty((height, 1 + width * channels), np.uint8)
    rows[:, 0] = _SUB
    rows[:, 1 : 1 + channels] = picture[:, 0]
    rows[:, 1 + channels :] = (picture[:, 1:] - picture[:, :-1]).reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, _COLOUR_TYPE[channels], 0, 0, 0)
    data = zlib.compress(rows.tobytes(), _LEVEL)
    return _SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    check = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)
