"""Which of a design's files can be made, whatever way the manifest points at them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, ConfigDict

from jobs.designs.manifest import Design
from jobs.designs.problems import ManifestProblem, ProblemCode, Problems

MESH_ENDINGS: Final = (".stl", ".3mf", ".step", ".stp")
PROGRAM_ENDINGS: Final = (".gcode", ".nc", ".ngc", ".gco")
_MAKEABLE: Final = MESH_ENDINGS + PROGRAM_ENDINGS


class Evidence(StrEnum):
    """Why we think that a file is meant to be made."""

    PART = "part"  # a part's export
    MANUFACTURING = "manufacturing-files"
    FOUND = "found"  # nothing named it: it lies among the files


class Makeable(BaseModel):
    """A file ready to make: path in the design, the part's name, and why."""

    model_config = ConfigDict(frozen=True)

    path: str
    name: str
    evidence: Evidence
    is_mesh: bool


def makeable_files(
    design: Design, files: Sequence[str]
) -> tuple[tuple[Makeable, ...], tuple[ManifestProblem, ...]]:
    """Return the meshes and programs of a design, best evidence first, and what was odd.

    :param files: all paths of the design, relative, with `/`.
    """
    problems = Problems()
    places = _Places(files)
    found: dict[str, Makeable] = {}
    for name, path, field, evidence in _named(design):
        for hit in places.resolve(path, field, problems):
            found.setdefault(hit, _makeable(hit, name, evidence))
    if not found:
        for path in sorted(files):
            if path.lower().endswith(MESH_ENDINGS):
                found[path] = _makeable(path, "", Evidence.FOUND)
    return tuple(found.values()), problems.all()


def _makeable(path: str, name: str, evidence: Evidence) -> Makeable:
    is_mesh = path.lower().endswith(MESH_ENDINGS)
    return Makeable(
        path=path, name=name or PurePosixPath(path).stem, evidence=evidence, is_mesh=is_mesh
    )


def _named(design: Design) -> Iterator[tuple[str, str, str, Evidence]]:
    for number, part in enumerate(design.parts, 1):
        for path in part.exports:
            yield part.name, path, f"part[{number}].export", Evidence.PART
    for file in design.files:
        if file.role == Evidence.MANUFACTURING:
            # A title names the folder as often as the part, so the file's own name is taken.
            yield "", file.path, file.role, Evidence.MANUFACTURING


class _Places:
    """The files and folders of a design, to look up what a manifest may mean."""

    def __init__(self, files: Sequence[str]) -> None:
        self._files = {path.lower(): path for path in sorted(files)}
        self._folders = {
            str(parent).lower() for path in files for parent in PurePosixPath(path).parents
        } - {"."}

    def resolve(self, path: str, field: str, problems: Problems) -> list[str]:
        """Return the files that *path* means: a path, an address, or a folder of either."""
        steps = _steps(path)
        if ".." in steps:
            problems.add(field, ProblemCode.UNSAFE_PATH, path)
            return []
        is_address = "://" in path
        # An address has the host's own steps before ours: the longest tail that fits is meant.
        for start in range(len(steps) if is_address else 1):
            tail = "/".join(steps[start:]).lower()
            if tail in self._files:
                return [self._files[tail]] if tail.endswith(_MAKEABLE) else []
            if tail in self._folders:
                problems.add(field, ProblemCode.IS_FOLDER, path)
                return self._below(tail)
        if path.lower().endswith(_MAKEABLE) or not re.search(r"\.\w{1,5}$", path):
            problems.add(field, ProblemCode.NOT_THERE, path)
        return []

    def _below(self, folder: str) -> list[str]:
        return [
            path
            for lower, path in self._files.items()
            if lower.startswith(folder + "/") and lower.endswith(_MAKEABLE)
        ]


def _steps(path: str) -> list[str]:
    """Split a path or an address into its steps, `%20` read.

    >>> _steps("https://example.org/x/My%20Parts/a.stl?raw=true")
    ['x', 'My Parts', 'a.stl']
    """
    plain = path.strip()
    if "://" in plain:
        try:
            plain = urlsplit(plain).path
        except ValueError:
            return []
    return [step for step in unquote(plain).replace("\\", "/").split("/") if step not in {"", "."}]
