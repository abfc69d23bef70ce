"""Small pictures of strangers, taken apart to bare pixels."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]  # rows, columns, RGBA

LARGEST_PX = 1024  # of either side
_MOST_PX = 500_000
_MOST_QOI_PX = 300_000  # these are read one by one
_PNG = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # of a PNG's colour types, 8 bits each
_JPEG_KEPT = frozenset({0xC0, 0xC1, 0xC2, 0xC4, 0xDB, 0xDD})  # what a decoder needs, no more
_MOST_SEGMENTS = 200


class PictureError(ValueError):
    """No picture, or not one that may be shown."""


def sniff(data: bytes) -> str:
    """Return `png`, `jpg` or `qoi` by the first bytes; "" for anything else."""
    if data.startswith(_PNG):
        return "png"
    if data.startswith(b"\xff\xd8\xff"):
        return "jpg"
    return "qoi" if data.startswith(b"qoif") else ""


def read_png(data: bytes) -> Pixels:
    """Return the pixels of a PNG of 8 bits a channel, not interlaced.

    :raises PictureError: for anything else, anything broken and anything too large.

    Source: PNG specification, third edition.
    """
    head, body, palette, alpha = b"", [], b"", b""
    at = len(_PNG)
    while at + 12 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        part = data[at + 8 : at + 8 + size]
        check = data[at + 8 + size : at + 12 + size]
        if len(check) < 4 or zlib.crc32(kind + part) != int.from_bytes(check, "big"):
            raise PictureError("chunk")
        at += 12 + size
        if kind == b"IHDR" and not head:
            head = part
        elif kind == b"PLTE":
            palette = part
        elif kind == b"tRNS":
            alpha = part
        elif kind == b"IDAT":
            body.append(part)
        elif kind == b"IEND":
            break
    if len(head) != 13:
        raise PictureError("header")
    width, height, bits, color, *methods = struct.unpack(">IIBBBBB", head)
    _check_size(width, height)
    if bits != 8 or color not in _CHANNELS or any(methods):
        raise PictureError("kind")
    channels = _CHANNELS[color]
    raw = _inflated(b"".join(body), height * (1 + width * channels))
    plain = _unfiltered(raw, width, height, channels)
    return _as_rgba(plain, color, palette, alpha)


def _check_size(width: int, height: int) -> None:
    fits = 0 < width <= LARGEST_PX and 0 < height <= LARGEST_PX
    if not fits or width * height > _MOST_PX:
        raise PictureError("size")


def _inflated(body: bytes, wanted: int) -> bytes:
    """Return exactly so many bytes: a bomb is never unpacked further."""
    inflate = zlib.decompressobj()
    try:
        raw = inflate.decompress(body, wanted)
    except zlib.error as error:
        raise PictureError("data") from error
    if len(raw) != wanted:
        raise PictureError("data")
    return raw


def _unfiltered(raw: bytes, width: int, height: int, channels: int) -> Pixels:
    stride = width * channels
    rows = np.frombuffer(raw, np.uint8).reshape(height, 1 + stride)
    done = np.zeros((height, stride), np.uint8)
    above = np.zeros(stride, np.uint8)
    for number, row in enumerate(rows):
        kind, line = int(row[0]), row[1:]
        if kind == 0:
            above = line
        elif kind == 2:
            above = line + above
        elif kind == 1:
            sums = line.reshape(width, channels).cumsum(axis=0, dtype=np.uint64)
            above = sums.astype(np.uint8).reshape(stride)
        elif kind in (3, 4):
            above = _by_neighbours(line.tolist(), above.tolist(), channels, paeth=kind == 4)
        else:
            raise PictureError("filter")
        done[number] = above
    return done.reshape(height, width, channels)


def _by_neighbours(line: list[int], above: list[int], channels: int, *, paeth: bool) -> Pixels:
    """Undo the two filters that look left and up at once."""
    left = [0] * channels
    corner = [0] * channels
    for at, value in enumerate(line):
        channel = at % channels
        a, b, c = left[channel], above[at], corner[channel]
        if paeth:
            p = a + b - c
            to_a, to_b, to_c = abs(p - a), abs(p - b), abs(p - c)
            guess = a if to_a <= to_b and to_a <= to_c else b if to_b <= to_c else c
        else:
            guess = (a + b) // 2
        left[channel] = line[at] = (value + guess) & 255
        corner[channel] = b
    return np.array(line, np.uint8)


def _as_rgba(plain: Pixels, color: int, palette: bytes, alpha: bytes) -> Pixels:
    height, width = plain.shape[:2]
    pixels = np.full((height, width, 4), 255, np.uint8)
    if color == 3:
        table = np.full((256, 4), 255, np.uint8)
        count = min(len(palette) // 3, 256)
        table[:count, :3] = np.frombuffer(palette[: count * 3], np.uint8).reshape(count, 3)
        table[: len(alpha[:256]), 3] = np.frombuffer(alpha[:256], np.uint8)
        if plain.size and int(plain.max()) >= count:
            raise PictureError("palette")
        result: Pixels = table[plain[:, :, 0]]
        return result
    if color in (0, 4):
        pixels[:, :, :3] = plain[:, :, :1]
    else:
        pixels[:, :, :3] = plain[:, :, :3]
    if color in (4, 6):
        pixels[:, :, 3] = plain[:, :, -1]
    return pixels


def read_qoi(data: bytes) -> Pixels:
    """Return the pixels of a QOI picture.

    :raises PictureError: for anything broken or too large.

    Source: The Quite OK Image Format specification 1.0.
    """
    if len(data) < 14:
        raise PictureError("header")
    width, height = struct.unpack_from(">II", data, 4)
    _check_size(width, height)
    if width * height > _MOST_QOI_PX:
        raise PictureError("size")
    out = bytearray()
    seen = [(0, 0, 0, 0)] * 64
    red, green, blue, alpha = 0, 0, 0, 255
    at, wanted = 14, width * height * 4
    while len(out) < wanted:
        run = 1
        try:
            tag = data[at]
            at += 1
            if tag == 0xFE:
                red, green, blue = data[at : at + 3]
                at += 3
            elif tag == 0xFF:
                red, green, blue, alpha = data[at : at + 4]
                at += 4
            elif tag < 0x40:
                red, green, blue, alpha = seen[tag]
            elif tag < 0x80:
                red += ((tag >> 4) & 3) - 2
                green += ((tag >> 2) & 3) - 2
                blue += (tag & 3) - 2
            elif tag < 0xC0:
                more = data[at]
                at += 1
                by = (tag & 63) - 32
                red += by + (more >> 4) - 8
                green += by
                blue += by + (more & 15) - 8
            else:
                run = (tag & 63) + 1
        except (IndexError, ValueError) as error:
            raise PictureError("data") from error
        red, green, blue = red & 255, green & 255, blue & 255
        one = (red, green, blue, alpha)
        seen[(red * 3 + green * 5 + blue * 7 + alpha * 11) % 64] = one
        out += bytes(one) * run
    return np.frombuffer(bytes(out[:wanted]), np.uint8).reshape(height, width, 4)


def bare_jpeg(data: bytes) -> tuple[bytes, int, int]:
    """Return a JPEG of nothing but its tables and its scan, its width and its height.

    Comments, profiles, previews and whatever else a file can carry along are left out, and so
    is all that follows the picture. Its pixels are for the browser to make.

    :raises PictureError: for anything broken, too large, or not 8 bits a channel.

    Source: ITU-T T.81, annex B.
    """
    kept = [b"\xff\xd8"]
    at, size = 2, (0, 0)
    for _ in range(_MOST_SEGMENTS):
        if len(data) < at + 4 or data[at] != 0xFF:
            raise PictureError("segment")
        mark = data[at + 1]
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        part = data[at : at + 2 + length]
        if length < 2 or len(part) != 2 + length:
            raise PictureError("segment")
        at += 2 + length
        if mark in (0xC0, 0xC1, 0xC2):
            if length < 11 or part[4] != 8 or part[9] not in (1, 3) or size != (0, 0):
                raise PictureError("kind")
            size = int.from_bytes(part[7:9], "big"), int.from_bytes(part[5:7], "big")
            _check_size(*size)
        if mark in _JPEG_KEPT:
            kept.append(part)
        elif mark == 0xDA:
            end = data.rfind(b"\xff\xd9")
            if end < at or size == (0, 0):
                raise PictureError("scan")
            # A progressive picture has tables between its scans; none of them carries a text.
            if b"\xff\xfe" in data[at:end] or _carries_along(data[at:end]):
                raise PictureError("scan")
            return b"".join([*kept, part, data[at:end], b"\xff\xd9"]), *size
        elif not 0xE0 <= mark <= 0xFE:
            raise PictureError("segment")
    raise PictureError("segment")


def _carries_along(scan: bytes) -> bool:
    """Tell whether between the scans stands anything but tables, restarts and stuffed bytes."""
    at = scan.find(b"\xff")
    allowed = {0x00, 0xC4, 0xDA, 0xDB, 0xDD, 0xFF, *range(0xD0, 0xD8)}
    while 0 <= at < len(scan) - 1:
        if scan[at + 1] not in allowed:
            return True
        at = scan.find(b"\xff", at + 1)
    return False
