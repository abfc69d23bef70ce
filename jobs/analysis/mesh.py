"""Meshes: size, volume, tightness and whether a machine is large enough, from a stranger's file."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from jobs.analysis.arrays import Floats, Ints
from jobs.analysis.sniff import STL_HEADER, STL_TRIANGLE, FileKind, sniff
from jobs.analysis.threemf import PackageError, read_package
from jobs.domain.machine import MachineLimits
from jobs.domain.preflight import Finding, FindingCode, Severity

if TYPE_CHECKING:
    import trimesh

MOST_TRIANGLES = 2_000_000
LARGEST_MESH_BYTES = 256 * 1024 * 1024
# Inch and metre models read as millimetres are this small, micrometre ones this large [mm].
_TOO_SMALL, _TOO_LARGE = 5.0, 2_000.0


# What a foreign parser raises at a stranger's bytes.
# Beyond this no machine and no honest model is, and cubes of it stay finite [mm].
_FARTHEST = 1e9
# Names in other alphabets say nothing about a shape, and their encoding is anyone's guess.
_ASCII = bytes(range(128)) + b"?" * 128
_PARSER_ERRORS = (ValueError, LookupError, TypeError, AttributeError, OSError, ArithmeticError)


class _MeshError(Exception):
    """The file gives no mesh; carries the finding."""

    def __init__(self, finding: Finding) -> None:
        self.finding = finding
        super().__init__(finding.code)


def inspect_mesh(path: Path, machine: MachineLimits | None = None) -> dict[str, object]:
    """Return what a mesh is, as JSON values with `findings`. Never raises for its content.

    Sizes and counts are checked before anything is loaded. Without a readable mesh the numbers
    are null.

    :param machine: to see whether it fits, lying as the file has it.
    """
    kind = sniff(path)
    report: dict[str, object] = {
        "kind": "mesh", "format": kind.value, "triangles": None, "watertight": None,
        "bodies": None, "volume_mm3": None, "size_mm": None, "bounds_mm": None,
        "units_suspicious": False,
    }  # fmt: skip
    try:
        mesh = _load(path, kind)
    except _MeshError as error:
        report["findings"] = [error.finding.to_json()]
        return report
    size = mesh.extents
    report |= {
        "triangles": len(mesh.faces),
        "watertight": bool(mesh.is_watertight),
        "bodies": int(mesh.body_count),
        "volume_mm3": _volume(mesh),
        "size_mm": _rounded(size),
        "bounds_mm": {"min": _rounded(mesh.bounds[0]), "max": _rounded(mesh.bounds[1])},
        "units_suspicious": not _TOO_SMALL <= float(size.max()) <= _TOO_LARGE,
    }
    report["findings"] = [finding.to_json() for finding in _findings(mesh, size, machine)]
    return report


def _findings(
    mesh: trimesh.Trimesh, size: Floats, machine: MachineLimits | None
) -> list[Finding]:  # fmt: skip
    findings = []
    if not mesh.is_watertight:
        findings.append(Finding(FindingCode.NOT_WATERTIGHT, Severity.NOTE))
    if not _TOO_SMALL <= float(size.max()) <= _TOO_LARGE:
        largest = {"size_mm": round(float(size.max()), 3)}
        findings.append(Finding(FindingCode.UNITS_SUSPICIOUS, Severity.NOTE, None, largest))
    if machine is not None and (size > np.array(machine.envelope_mm)).any():
        fields = {"size_mm": _written(size), "envelope_mm": _written(machine.envelope_mm)}
        findings.append(Finding(FindingCode.DOES_NOT_FIT, Severity.BLOCK, None, fields))
    return findings


def _load(path: Path, kind: FileKind) -> trimesh.Trimesh:
    size = path.stat().st_size
    if size > LARGEST_MESH_BYTES:
        raise _refusal(FindingCode.TOO_LARGE, bytes=size, limit_bytes=LARGEST_MESH_BYTES)
    readers: dict[FileKind, Callable[[Path], trimesh.Trimesh]] = {
        FileKind.STL: _read_stl,
        FileKind.STL_ASCII: lambda path: _read_text(path, "stl_ascii", b"endfacet"),
        FileKind.OBJ: lambda path: _read_text(path, "obj", b"\nf "),
        FileKind.THREE_MF: _read_3mf,
    }
    if kind not in readers:
        raise _refusal(FindingCode.UNREADABLE, reason="not-a-mesh")
    mesh = readers[kind](path)
    if len(mesh.faces) == 0:
        raise _refusal(FindingCode.UNREADABLE, reason="no-triangles")
    _check_places(mesh.vertices)
    return mesh


def _read_stl(path: Path) -> trimesh.Trimesh:
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
    return _joined(corners.reshape(-1, 3), np.arange(count * 3).reshape(-1, 3))


def _read_text(path: Path, file_type: str, triangle: bytes) -> trimesh.Trimesh:
    import trimesh

    data = path.read_bytes()
    if (count := data.count(triangle)) > MOST_TRIANGLES:
        raise _refusal(FindingCode.TOO_MANY_TRIANGLES, triangles=count, limit=MOST_TRIANGLES)
    try:
        # No resolver: a file cannot make us open others.
        mesh = trimesh.load_mesh(
            trimesh.util.wrap_as_stream(data.translate(_ASCII)), file_type=file_type
        )
    except _PARSER_ERRORS as error:
        raise _refusal(FindingCode.UNREADABLE, reason=type(error).__name__) from error
    if not isinstance(mesh, trimesh.Trimesh):
        raise _refusal(FindingCode.UNREADABLE, reason="no-triangles")
    return mesh


def _read_3mf(path: Path) -> trimesh.Trimesh:
    try:
        vertices, triangles = read_package(path, MOST_TRIANGLES)
    except PackageError as error:
        raise _refusal(FindingCode.UNREADABLE, reason=error.reason) from error
    return _joined(vertices, triangles)


def _joined(vertices: Floats, triangles: Ints) -> trimesh.Trimesh:
    """Return a mesh with equal corners made one."""
    # Half a second and 60 MB that a worker which reads a program never needs.
    import trimesh

    _check_places(vertices)
    return trimesh.Trimesh(vertices=vertices, faces=triangles, process=True)


def _check_places(vertices: Floats) -> None:
    # Compared so that a NaN fails too.
    if not (np.abs(vertices) <= _FARTHEST).all():
        raise _refusal(FindingCode.UNREADABLE, reason="not-a-number")


def _volume(mesh: trimesh.Trimesh) -> float:
    """Return the volume inside [mm³]: the sum of the tetrahedra from one corner to each triangle.

    Only meaningful where the mesh is watertight.
    """
    corners = np.asarray(mesh.triangles) - mesh.bounds[0]
    across = np.cross(corners[:, 1], corners[:, 2])
    return round(abs(float(np.einsum("ij,ij->", corners[:, 0], across))) / 6.0, 3)


def _refusal(code: FindingCode, **fields: str | int | float) -> _MeshError:
    return _MeshError(Finding(code, Severity.BLOCK, None, fields))


def _rounded(values: Floats) -> list[float]:
    return [round(float(value), 4) + 0.0 for value in values]


def _written(values: Floats | tuple[float, ...]) -> str:
    return " × ".join(f"{float(value):g}" for value in values)
