"""All that a manifest tells, as one JSON object: what the worker sends to the node."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path


def describe(manifest: bytes, name: str, files: Sequence[str]) -> dict[str, object]:
    """Read a manifest and say what can be made of the design, and under which licence.

    :param name: the manifest's path in the design.
    :param files: all paths of the design, relative, with `/`.
    :returns: `design` (as `manifest.Design`), `makeable` (as `printable.Makeable`), `licence` (as
        `LicenceJudgement`), `problems` (all of them, as `ManifestProblem`).
    """
    # Inside, because the node imports this package for its library and must stay small.
    from jobs.designs.licence import judge
    from jobs.designs.manifest import read_manifest
    from jobs.designs.printable import makeable_files
    from jobs.designs.problems import ManifestProblem, ProblemCode

    design = read_manifest(manifest, name)
    makeable, odd = makeable_files(design, files)
    licence = judge(design.licence)
    written = {f"license.{of}": text for of, text in design.licences.items()}
    problems = [*design.problems, *odd]
    for field, text in (written or {"license": design.licence}).items():
        read = judge(text)
        if text and (read.guessed or not read.expression):
            problems.append(
                ManifestProblem(field=field, problem=ProblemCode.NOT_SPDX, value=text[:200])
            )
    return {
        "design": design.model_dump(mode="json", exclude={"problems"}),
        "makeable": [each.model_dump(mode="json") for each in makeable],
        "licence": licence.to_json(),
        "problems": [each.model_dump(mode="json") for each in problems],
    }


def example_folder() -> Path:
    """Return the folder of the design that the project brings along."""
    return Path(str(resources.files("jobs.designs") / "example"))
