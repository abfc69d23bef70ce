"""From a stranger's file to a surface: sizes and counts are checked before anything is loaded."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

from jobs.analysis.arrays import Floats, Ints
from jobs.analysis.mesh.step import StepError, read_step
from jobs.analysis.mesh.surface import Surface, joined
from jobs.analysis.mesh.threemf import PackageError, read_package
from jobs.analysis.sniff import STL_HEADER, STL_TRIANGLE, FileKind, sniff
from jobs.domain.preflight import Finding, FindingCode, Severity

MOST_TRIANGLES: Final = 2_000_000
LARGEST_MESH_BYTES: Final = 256 * 1024 * 1024
# Beyond this no machine and no honest model is, and cubes of it stay finite [mm].
_FARTHEST: Final = 1e9
# Names in other alphabets say nothing about a shape, and their encoding is anyone's guess.
_ASCII: Final = bytes(range(128)) + b"?" * 128
# What a foreign parser raises at a stranger's bytes.
_PARSER_ERRORS = (ValueError, LookupError, TypeError, AttributeError, OSError, ArithmeticError)


class MeshError(Exception):
    """The file gives no mesh; carries the finding."""

    def __init__(self, finding: Finding) -> None:
        self.finding = finding
        super().__init__(finding.code)


def read_surface(path: Path, kind: FileKind) -> Surface:
    """Return the surface that a file holds, in mm, equal corners made one.

    :raises MeshError: too large, no mesh, damaged, dangerous.
    """
    size = path.stat().st_size
    if size > LARGEST_MESH_BYTES:
        raise _refusal(FindingCode.TOO_LARGE, bytes=size, limit_bytes=LARGEST_MESH_BYTES)
    readers: dict[FileKind, Callable[[Path], Surface]] = {
        FileKind.STL: _read_stl,
        FileKind.STL_ASCII: lambda path: _read_text(path, "stl_ascii", b"endfacet"),
        FileKind.OBJ: lambda path: _read_text(path, "obj", b"\nf "),
        FileKind.THREE_MF: _read_3mf,
        FileKind.STEP: _read_step,
    }
    if kind not in readers:
        raise _refusal(FindingCode.UNREADABLE, reason="not-a-mesh")
    surface = readers[kind](path)
    if len(surface.faces) == 0:
        raise _refusal(FindingCode.UNREADABLE, reason="no-triangles")
    return surface


def as_sliceable(path: Path) -> Path:
    """Return a file that every slicer reads: a STEP file's surface is written beside it as STL.

    What cannot be read is left to the slicer to refuse.
    """
    if sniff(path) is not FileKind.STEP:
        return path
    try:
        surface = read_surface(path, FileKind.STEP)
    except MeshError:
        return path
    beside = path.with_suffix(".stl")
    write_stl(surface, beside)
    return beside


def write_stl(surface: Surface, path: Path) -> None:
    """Write a surface as a binary STL [mm]."""
    records = np.zeros(
        len(surface.faces),
        np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("colour", "<u2")]),
    )
    records["corners"] = surface.corners
    with path.open("wb") as file:
        file.write(b"fabnode: binary STL, mm".ljust(80))
        file.write(struct.pack("<I", len(records)))
        file.write(records.tobytes())


def _read_stl(path: Path) -> Surface:
    """Read a binary STL; its header is believed only where the file's size agrees."""
    data = path.read_bytes()
    if len(data) < STL_HEADER:
        raise _refusal(FindingCode.UNREADABLE, reason="truncated")
    count = int(struct.unpack_from("<I", data, 80)[0])
    if count > MOST_TRIANGLES:
        raise _refusal(FindingCode.TOO_MANY_TRIANGLES, triangles=count, limit=MOST_TRIANGLES)
    if len(data) < STL_HEADER + STL_TRIANGLE * count:
        raise _refusal(FindingCode.UNREADABLE, reason="truncated")
    record = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("colour", "<u2")])
    corners = np.frombuffer(data, record, count, STL_HEADER)["corners"].astype(np.float64)
    return _checked(corners.reshape(-1, 3))


def _read_text(path: Path, file_type: str, triangle: bytes) -> Surface:
    # Half a second and 60 MB that other files never need.
    import trimesh

    data = path.read_bytes()
    if (count := data.count(triangle)) > MOST_TRIANGLES:
        raise _refusal(FindingCode.TOO_MANY_TRIANGLES, triangles=count, limit=MOST_TRIANGLES)
    try:
        # No resolver: a file cannot make us open others.
        mesh = trimesh.load_mesh(
            trimesh.util.wrap_as_stream(data.translate(_ASCII)),
            file_type=file_type,
            process=False,
        )
    except _PARSER_ERRORS as error:
        raise _refusal(FindingCode.UNREADABLE, reason=type(error).__name__) from error
    if not isinstance(mesh, trimesh.Trimesh):
        raise _refusal(FindingCode.UNREADABLE, reason="no-triangles")
    return _checked(np.asarray(mesh.vertices, np.float64), np.asarray(mesh.faces, np.int64))


def _read_3mf(path: Path) -> Surface:
    try:
        vertices, triangles = read_package(path, MOST_TRIANGLES)
    except PackageError as error:
        raise _refusal(FindingCode.UNREADABLE, reason=error.reason) from error
    return _checked(vertices, triangles)


def _read_step(path: Path) -> Surface:
    try:
        vertices, triangles = read_step(path, MOST_TRIANGLES)
    except StepError as error:
        raise _refusal(error.code, **error.fields) from error
    return _checked(vertices, triangles)


def _checked(points: Floats, faces: Ints | None = None) -> Surface:
    # Compared so that a NaN fails too.
    if not (np.abs(points) <= _FARTHEST).all():
        raise _refusal(FindingCode.UNREADABLE, reason="not-a-number")
    if faces is not None and len(faces) and not 0 <= faces.min() <= faces.max() < len(points):
        raise _refusal(FindingCode.UNREADABLE, reason="bad-triangle")
    return joined(points, faces)


def _refusal(code: FindingCode, **fields: str | int | float) -> MeshError:
    return MeshError(Finding(code, Severity.BLOCK, None, fields))
