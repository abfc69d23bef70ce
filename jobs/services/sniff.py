"""What an upload is, told by its first bytes; its name is only a hint for people."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from pathlib import Path

from jobs.domain.job import InputKind

_HEAD = 16 * 1024
_STL_HEADER, _STL_TRIANGLE = 84, 50  # bytes of a binary STL
# A FarmBot's commands begin with F, which is a feedrate elsewhere.
_BLOCK = re.compile(rb"^\s*(?:N\d+\s*)?(?:[GMT]\d+(?:\.\d+)?|F\d\d)(?=[\sA-Z(;*]|$)", re.IGNORECASE)
_MODAL = re.compile(rb"^\s*(?:[XYZEFS][-+]?[\d.]+\s*)+$", re.IGNORECASE)
_REMARK = re.compile(rb"^\s*(?:;.*|\(.*\)|%)?\s*$")
_OBJ = re.compile(rb"^(?:v|vn|vt|f|o|g|s|usemtl|mtllib)\s+\S|^#|^\s*$")
_VERTEX = re.compile(rb"^v\s+[-+\d.]", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Sniffed:
    """What a file is, and the ending under which tools know such files."""

    kind: InputKind
    suffix: str


def sniff(path: Path) -> Sniffed | None:
    """Return what the file is; None if it is nothing that we make things from."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
        size = file.seek(0, 2)
    if head.startswith(b"PK\x03\x04"):
        return Sniffed(InputKind.MESH, ".3mf")  # the worker says so if it is another archive
    if len(head) >= _STL_HEADER:
        (triangles,) = struct.unpack_from("<I", head, 80)
        # A header that promises more than the file holds is a finding, not another format.
        is_binary = b"\0" in head[:_HEAD] and not head.lstrip().startswith(b"%")
        if size == _STL_HEADER + _STL_TRIANGLE * triangles or (
            is_binary and triangles > 0 and head[:5].lower() == b"solid"
        ):
            return Sniffed(InputKind.MESH, ".stl")
    if b"\0" in head:
        is_stl = size > _STL_HEADER and (size - _STL_HEADER) % _STL_TRIANGLE == 0
        return Sniffed(InputKind.MESH, ".stl") if is_stl else None
    if head.lstrip()[:5].lower() == b"solid" and b"facet" in head.lower():
        return Sniffed(InputKind.MESH, ".stl")
    if head.lstrip().startswith(b"ISO-10303-21"):
        return Sniffed(InputKind.MESH, ".step")
    lines = head.split(b"\n")
    whole = lines[:-1] if size > len(head) else lines
    if _VERTEX.search(head) and all(_OBJ.match(line) for line in whole):
        return Sniffed(InputKind.MESH, ".obj")
    return Sniffed(InputKind.PROGRAM, ".gcode") if _is_program(whole) else None


def _is_program(lines: list[bytes]) -> bool:
    """Most lines that say anything are blocks; slicers put pages of remarks first."""
    spoken = [line for line in lines if not _REMARK.match(line)]
    if not spoken:
        return any(line.lstrip().startswith(b";") for line in lines)
    blocks = sum(1 for line in spoken if _BLOCK.match(line) or _MODAL.match(line))
    return blocks * 2 > len(spoken)
