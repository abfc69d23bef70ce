"""3MF packages: checked before they are opened, read without any entity or link.

Source: 3MF Core Specification 1.3, chapters 3 and 4, and the production extension's `p:path`.
"""

from __future__ import annotations

import stat
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO
from xml.etree.ElementTree import Element, ParseError, iterparse

import numpy as np

from jobs.analysis.arrays import Floats, Ints

MOST_ENTRIES = 1_000
LARGEST_UNPACKED = 512 * 1024 * 1024
LARGEST_ENTRY = 400 * 1024 * 1024
_ARCHIVES = (".zip", ".3mf", ".7z", ".gz", ".tar", ".rar", ".xz", ".bz2")
# Deflate cannot honestly press XML of numbers much below a tenth.
LARGEST_RATIO = 100.0
_SMALL = 64 * 1024
_DEEPEST = 8
_UNITS = {
    "micron": 0.001, "millimeter": 1.0, "centimeter": 10.0, "inch": 25.4, "foot": 304.8,
    "meter": 1000.0,
}  # fmt: skip


class PackageError(Exception):
    """The package is none, or is dangerous; carries a word why."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


@dataclass(slots=True)
class _Object:
    """One object: its own triangles, and others placed in it."""

    vertices: list[tuple[float, float, float]] = field(default_factory=list)
    triangles: list[tuple[int, int, int]] = field(default_factory=list)
    parts: list[tuple[str, str, Floats]] = field(default_factory=list)
    _arrays: tuple[Floats, Ints] | None = None

    def arrays(self) -> tuple[Floats, Ints]:
        """Return vertices and triangles as columns; made once, however often it is placed.

        :raises PackageError: a triangle names a corner that is not there.
        """
        if self._arrays is None:
            vertices = np.array(self.vertices).reshape(-1, 3)
            triangles = np.array(self.triangles, np.int64).reshape(-1, 3)
            if triangles.min(initial=0) < 0 or triangles.max(initial=-1) >= len(vertices):
                raise PackageError("bad-triangle")
            self._arrays = vertices, triangles
        return self._arrays


@dataclass(slots=True)
class _Placed:
    """What is built so far, and how many triangles that is."""

    parts: list[tuple[Floats, Ints]] = field(default_factory=list)
    triangles: int = 0


def check_archive(path: Path) -> None:
    """Look at a package's table before anything is unpacked.

    :raises PackageError: too many entries, too much, too tightly packed, or names that climb.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise PackageError("not-a-zip") from error
    if len(entries) > MOST_ENTRIES:
        raise PackageError("too-many-entries")
    total = 0
    for entry in entries:
        total += entry.file_size
        name = entry.filename
        if name.startswith("/") or "\\" in name or ".." in name.split("/"):
            raise PackageError("unsafe-name")
        if entry.flag_bits & 1:
            raise PackageError("encrypted")
        if stat.S_ISLNK(entry.external_attr >> 16) or name.lower().endswith(_ARCHIVES):
            raise PackageError("unsafe-entry")
        if entry.file_size > LARGEST_ENTRY:
            raise PackageError("zip-bomb")
        packed = max(entry.compress_size, 1)
        if entry.file_size > _SMALL and entry.file_size / packed > LARGEST_RATIO:
            raise PackageError("zip-bomb")
    if total > LARGEST_UNPACKED:
        raise PackageError("zip-bomb")


def read_package(path: Path, most_triangles: int) -> tuple[Floats, Ints]:
    """Return vertices [mm], shape (v, 3), and triangles, shape (t, 3), as placed to be built.

    :raises PackageError: see `check_archive`; also unreadable XML or too many triangles.
    """
    check_archive(path)
    objects: dict[tuple[str, str], _Object] = {}
    items: list[tuple[str, str, Floats]] = []
    try:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.lower().endswith(".model"):
                    with archive.open(name) as file:
                        items += _read_model(file, "/" + name, objects, most_triangles)
    except (zipfile.BadZipFile, OSError, ParseError, NotImplementedError, EOFError) as error:
        raise PackageError("unreadable-model") from error
    except (ValueError, KeyError) as error:
        raise PackageError("bad-model") from error
    everything = _Placed()
    for model, key, matrix in items:
        _place(objects, (model, key), matrix, everything, most_triangles, 0)
    placed = everything.parts
    if not placed:
        raise PackageError("nothing-to-build")
    offsets = np.cumsum([0] + [len(vertices) for vertices, _ in placed])
    triangles = [part + offset for (_, part), offset in zip(placed, offsets, strict=False)]
    return np.concatenate([vertices for vertices, _ in placed]), np.concatenate(triangles)


def _read_model(
    file: IO[bytes], name: str, objects: dict[tuple[str, str], _Object], most: int
) -> list[tuple[str, str, Floats]]:
    items: list[tuple[str, str, Floats]] = []
    scale, current, read = 1.0, _Object(), 0
    for event, element in iterparse(_NoDoctype(file), events=("start", "end")):
        tag = element.tag.rpartition("}")[2]
        if event == "start":
            if tag == "model":
                scale = _UNITS.get(element.get("unit", "millimeter"), 1.0)
            elif tag == "object":
                current = objects.setdefault((name, element.get("id", "")), _Object())
            continue
        if tag == "vertex":
            at = [float(element.attrib[axis]) * scale for axis in ("x", "y", "z")]
            current.vertices.append((at[0], at[1], at[2]))
        elif tag == "triangle":
            corner = [int(element.attrib[key]) for key in ("v1", "v2", "v3")]
            current.triangles.append((corner[0], corner[1], corner[2]))
            read += 1
            if read > most:
                raise PackageError("too-many-triangles")
        elif tag == "component":
            current.parts.append(_reference(element, name, scale))
        elif tag == "item":
            items.append(_reference(element, name, scale))
        element.clear()
    return items


def _reference(element: Element, model: str, scale: float) -> tuple[str, str, Floats]:
    """Return model, object id and placement [mm] of a component or build item."""
    for key, value in element.attrib.items():
        if key.endswith("}path"):
            model = value
    matrix = _matrix(element.get("transform", ""))
    matrix[3] *= scale
    return model, element.get("objectid", ""), matrix


def _matrix(text: str) -> Floats:
    """Return the 4 × 3 matrix of a transform; rows are x, y, z and the way."""
    if not text:
        return np.vstack((np.eye(3), np.zeros(3)))
    values = np.array([float(part) for part in text.split()[:13]])
    if len(values) != 12 or not np.isfinite(values).all():
        raise PackageError("bad-transform")
    return values.reshape(4, 3)


def _place(
    objects: dict[tuple[str, str], _Object],
    key: tuple[str, str],
    matrix: Floats,
    placed: _Placed,
    most: int,
    depth: int,
) -> None:
    if depth > _DEEPEST:
        raise PackageError("too-deep")
    found = objects.get(key)
    if found is None:
        raise PackageError("missing-object")
    if found.triangles:
        vertices, triangles = found.arrays()
        placed.parts.append((vertices @ matrix[:3] + matrix[3], triangles))
        placed.triangles += len(triangles)
        if placed.triangles > most:
            raise PackageError("too-many-triangles")
    for model, part, own in found.parts:
        joined = np.vstack((own[:3] @ matrix[:3], own[3] @ matrix[:3] + matrix[3]))
        _place(objects, (model, part), joined, placed, most, depth + 1)
        if len(placed.parts) > MOST_ENTRIES * 10:
            raise PackageError("too-many-parts")


class _NoDoctype:
    """A model's bytes; entities need a document type, and no 3MF has one."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._last = b""

    def read(self, size: int = -1) -> bytes:
        """Return more bytes.

        :raises PackageError: at a document type.
        """
        data = self._file.read(size)
        if b"<!DOCTYPE" in self._last + data or b"<!ENTITY" in self._last + data:
            raise PackageError("document-type")
        self._last = data[-16:]
        return data
