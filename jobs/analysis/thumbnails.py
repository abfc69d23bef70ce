"""The pictures that slicers put into comments: found, decoded, checked and written anew."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from pathlib import Path

from jobs.analysis.piece import Piece, Reader, Times
from jobs.analysis.pixels import PictureError, bare_jpeg, read_png, read_qoi, sniff

MOST = 6
LARGEST_BYTES = 512 * 1024  # of one as it is written, before it is decoded
_MOST_PIXELS = 1_000_000  # of all together, about: some are taken apart one by one
_WITHIN_BYTES = 4 * 1024 * 1024  # of the upload's beginning: pictures come before the moves
# "; thumbnail begin 220x124 1234", "; thumbnail_JPG begin …", and Creality's
# "; png begin 200*200 3456 3 25 1800"; the size is what the slicer claims, and not used.
_BEGIN = re.compile(rb"(?i);\s*(?:thumbnail(?:_[a-z]{3,4})?|png|jpg|jpeg|qoi) begin\b")
_END = re.compile(rb"(?i);\s*(?:thumbnail(?:_[a-z]{3,4})?|png|jpg|jpeg|qoi) end\b")


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """One picture as it may be served.

    :param was: the format it had in the file: `png`, `jpg` or `qoi`.
    :param data: a PNG or JPEG that holds nothing but its pixels.
    """

    width: int
    height: int
    was: str
    data: bytes

    @property
    def suffix(self) -> str:
        """`png` or `jpg`: what it is now."""
        return "jpg" if self.was == "jpg" else "png"


class Thumbnails(Reader):
    """Collects the pictures of a program's beginning; what is no picture is left out."""

    def __init__(self) -> None:
        self.found: list[Thumbnail] = []
        self.refused = 0
        self._seen = 0
        self._open: list[bytes] | None = None
        self._size = 0
        self._pixels = _MOST_PIXELS

    def feed(self, piece: Piece) -> None:
        """Take the next piece."""
        if self._seen >= _WITHIN_BYTES or len(self.found) + self.refused >= MOST:
            return
        self._seen += len(piece.upload)
        if self._open is None and not _BEGIN.search(piece.upload):
            return
        for line in piece.upload.splitlines():
            self._take(line.strip())

    def settle(self, times: Times) -> None:
        """Take the seconds of the next lines: pictures have none."""

    def _take(self, line: bytes) -> None:
        if self._open is None:
            if len(self.found) + self.refused < MOST and _BEGIN.match(line):
                self._open, self._size = [], 0
            return
        if not line.startswith(b";") or _END.match(line):
            self._close(b"".join(self._open), whole=line.startswith(b";"))
            self._open = None
            return
        text = line.lstrip(b"; \t")
        self._size += len(text)
        if self._size <= LARGEST_BYTES * 4 // 3:
            self._open.append(text)

    def _close(self, text: bytes, *, whole: bool) -> None:
        if not whole or self._size > LARGEST_BYTES * 4 // 3 or self._pixels <= 0:
            self.refused += 1
            return
        try:
            one = decoded(base64.b64decode(text, validate=True))
        except (PictureError, binascii.Error):
            self.refused += 1
            return
        self._pixels -= one.width * one.height
        self.found.append(one)

    def table(self) -> list[dict[str, object]]:
        """Return what is known of each, the units in the names."""
        return [
            {
                "width_px": one.width,
                "height_px": one.height,
                "format": one.suffix,
                "was": one.was,
                "bytes": len(one.data),
            }
            for one in self.found
        ]

    def write(self, folder: Path) -> list[str]:
        """Write each into a file of its own; return their names in order."""
        names = [
            f"thumbnail-{number}.{one.suffix}" for number, one in enumerate(self.found, start=1)
        ]
        for name, one in zip(names, self.found, strict=True):
            (folder / name).write_bytes(one.data)
        return names


def decoded(data: bytes) -> Thumbnail:
    """Return a picture made anew from a stranger's bytes, whatever they call themselves.

    :raises PictureError: for anything that is none, is broken or too large.
    """
    was = sniff(data)
    if was == "jpg":
        bare, width, height = bare_jpeg(data)
        return Thumbnail(width, height, was, bare)
    if was not in ("png", "qoi"):
        raise PictureError("format")
    pixels = read_png(data) if was == "png" else read_qoi(data)
    # Whoever draws brings meshes along, which a program without pictures need not wait for.
    from jobs.analysis.pictures.png import png

    return Thumbnail(pixels.shape[1], pixels.shape[0], was, png(pixels))
