"""What a file is, by its content: names lie, and `.g` is BRL-CAD as often as G-code."""

from __future__ import annotations

import re
import struct
import zipfile
from enum import StrEnum
from pathlib import Path

STL_HEADER = 84
STL_TRIANGLE = 50
BGCODE = b"GCDE"
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
HEAD_BYTES = 65_536
_MOST_LINES = 400
_GCODE = re.compile(
    rb"(?i)\s*(?:N\d+\s*)?(?:[GMT]\d+(?:\.\d)?(?![\w.-]*[g-z_])|[XYZF]-?\d|\$|%|\()"
)

_NO_TEXT = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f]")


class FileKind(StrEnum):
    """What can be told apart."""

    PROGRAM = "program"
    STL = "stl"
    STL_ASCII = "stl-ascii"
    THREE_MF = "3mf"
    OBJ = "obj"
    STEP = "step"
    UNKNOWN = "unknown"


def sniff(path: Path) -> FileKind:
    """Return what a file is. Never raises for its content."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if head.startswith((BGCODE, *UTF_16)):
        return FileKind.PROGRAM  # which says how it must be written instead
    if head.startswith(b"PK\x03\x04"):
        return FileKind.THREE_MF if _holds_model(path) else FileKind.UNKNOWN
    if _is_binary_stl(head, path.stat().st_size):
        return FileKind.STL
    if b"\x00" in head:
        return FileKind.STL if path.suffix.lower() == ".stl" else FileKind.UNKNOWN
    if head.lstrip().startswith(b"solid") and (b"facet" in head or b"endsolid" in head):
        return FileKind.STL_ASCII
    if head.lstrip().startswith(b"ISO-10303-21"):
        return FileKind.STEP
    return _text_kind(head)


def first_no_text(head: bytes) -> int | None:
    r"""Return where a text would not go on: a control character, or what is no UTF-8.

    >>> first_no_text(b"G1 X1\n\x00"), first_no_text(b"caf\xe9"), first_no_text(b"G1\r\n\tX1")
    (6, 3, None)
    """
    found = _NO_TEXT.search(head)
    control = found.start() if found else None
    try:
        head[:control].decode()
    except UnicodeDecodeError as error:
        # What the end of the head cuts through is no error of the file.
        if error.start < HEAD_BYTES - 4:
            return error.start
    return control


def first_no_command(head: bytes) -> int | None:
    r"""Return the first line (1-based) that is neither G-code nor a comment.

    >>> first_no_command(b"; a\nG28\nDear lab,\n")
    3
    """
    for line, text in enumerate(head.splitlines(), 1):
        told = text.strip()
        if told and not told.startswith((b"#", b";", b"(")) and not _GCODE.match(told):
            return line
    return None


def _is_binary_stl(head: bytes, size: int) -> bool:
    if len(head) < STL_HEADER:
        return False
    triangles = struct.unpack_from("<I", head, 80)[0]
    return triangles > 0 and size == STL_HEADER + STL_TRIANGLE * int(triangles)


def _holds_model(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.lower().endswith(".model") for name in archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return False


def _text_kind(head: bytes) -> FileKind:
    """Tell OBJ from G-code by their lines; comments say nothing."""
    lines = [line.strip() for line in head.splitlines()[:_MOST_LINES]]
    told = [line for line in lines if line and not line.startswith((b"#", b";", b"("))]
    if not told:
        # A thumbnail can fill the whole head; only programs have such comments.
        return FileKind.PROGRAM if head.lstrip().startswith((b";", b"(")) else FileKind.UNKNOWN
    vertices = sum(line.startswith((b"v ", b"vn ", b"vt ", b"f ")) for line in told)
    if vertices * 2 > len(told):
        return FileKind.OBJ
    commands = sum(_GCODE.match(line) is not None for line in told)
    return FileKind.PROGRAM if commands * 2 > len(told) else FileKind.UNKNOWN
