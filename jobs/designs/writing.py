"""A design as a manifest for others: OKH 2.4 (TOML) and Open Hardware Manager's JSON, strictly.

What the specification demands and the design does not say is a problem, never a placeholder.
Source: the 2.4 template of iop-alliance/OpenKnowHow (`res/sample_data/okh-TEMPLATE.toml`) and the
manifest of helpfulengineering/supply-graph-ai (`docs-site/docs/reference/okh-and-okw.md`).
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import urlsplit

from jobs.designs.licence import judge
from jobs.designs.manifest import LANGUAGE, Design, NamedFile, Part
from jobs.designs.problems import ManifestProblem, ProblemCode, Problems

OKH_VERSION: Final = "2.4"
_OHM_VERSION: Final = "OKH-LOSHv1.0"  # what its own manifests carry
_DEMANDED: Final = {  # field of a design: how OKH and how OHM call it
    "title": ("name", "title"),
    "version": ("version", "version"),
    "licence": ("license", "license"),
    "licensor": ("licensor", "licensor"),
    "description": ("function", "function"),
    "repo": ("repo", ""),
    "language": ("", "documentation_language"),
}
_OKH_FILES: Final = {
    "readme": "readme",
    "bom": "bom",
    "making-instructions": "manufacturing-instructions",
    "operating-instructions": "user-manual",
    "design-files": "source",
    "manufacturing-files": "export",
}
_OHM_DOCUMENTS: Final = {
    "manufacturing-files": "manufacturing_files",
    "design-files": "design_files",
    "making-instructions": "making_instructions",
    "operating-instructions": "operating_instructions",
}
# Parts of a design have a name of their own for OHM, the same each time it is written.
_PARTS: Final = uuid.UUID("6f1f8c1e-3a0e-5d0c-9c57-0f5a0c1f8f10")


@dataclass(frozen=True, slots=True)
class Written:
    """A manifest, or what keeps it from being one; `left_out` is what the dialect has no place for.

    :param text: "" where there are problems.
    """

    text: str
    problems: tuple[ManifestProblem, ...] = ()
    left_out: tuple[str, ...] = ()


def to_okh(design: Design) -> Written:
    """Return *design* as `okh.toml` of version 2.4."""
    import tomli_w

    problems = _problems(design, 0)
    if problems:
        return Written("", problems)
    by_role = _by_role(design.files)
    tree: dict[str, object] = {"okhv": OKH_VERSION, "name": design.title, "repo": design.repo}
    tree["license"] = judge(design.licence).expression
    tree["licensor"] = design.licensor
    tree["function"] = design.description
    tree["version"] = design.version
    tree |= _said("documentation-language", design.language)
    tree |= _said("organization", design.organization)
    forks = [one.web for one in design.relations if one.kind == "fork-of"]
    tree |= _said("fork-of", forks[0] if forks else "")
    for kind, value in design.readiness.items():
        tree[f"{kind}-readiness-level"] = value
    for role, key in _OKH_FILES.items():
        # Without parts, `source` and `export` at the top would be read as a part's.
        if role in by_role and (design.parts or key not in ("source", "export")):
            tree[key] = _one_or_many([file.path for file in by_role[role]])
    if design.images:
        tree["image"] = [{"location": path} for path in design.images]
    if design.parts:
        tree["part"] = [_okh_part(part) for part in design.parts]
    return Written(tomli_w.dumps(tree), (), tuple(_left_out_by_okh(design)))


def to_ohm(design: Design) -> Written:
    """Return *design* as `okh-manifest.json`: keys sorted, UTF-8, two blanks for each level."""
    problems = _problems(design, 1)
    if problems:
        return Written("", problems)
    licences = dict(design.licences) or {"hardware": design.licence}
    tree: dict[str, object] = {
        "okhv": _OHM_VERSION,
        "title": design.title,
        "version": design.version,
        "license": {of: judge(text).expression for of, text in licences.items()},
        "licensor": design.licensor,
        "documentation_language": design.language,
        "function": design.description,
    }
    for key, value in (
        ("repo", design.repo),
        ("organization", design.organization),
        ("keywords", list(design.keywords)),
        ("image", design.images[0] if design.images else ""),
    ):
        tree |= _said(key, value)
    for kind, value in design.readiness.items():
        tree[f"{kind}_readiness_level"] = value
    by_role = _by_role(design.files)
    for role, key in _OHM_DOCUMENTS.items():
        if role in by_role:
            tree[key] = [_document(role, file) for file in by_role[role]]
    for role in ("bom", "readme"):
        if role in by_role:
            tree[role] = by_role[role][0].path
    if design.parts:
        tree["parts"] = [_ohm_part(part, number) for number, part in enumerate(design.parts)]
    tree |= _ohm_relations(design)
    text = json.dumps(tree, ensure_ascii=False, indent=2, sort_keys=True) + "\n"
    return Written(text, (), tuple(_left_out_by_ohm(design)))


def _problems(design: Design, dialect: int) -> tuple[ManifestProblem, ...]:
    found = Problems()
    for name, keys in _DEMANDED.items():
        if keys[dialect] and not getattr(design, name):
            found.add(keys[dialect], ProblemCode.MISSING)
    licences = design.licences if dialect and design.licences else {"": design.licence}
    for of, text in licences.items():
        judged = judge(text)
        if text and (judged.guessed or not judged.expression):
            found.add(f"license.{of}" if of else "license", ProblemCode.NOT_SPDX, text)
    if design.language and not LANGUAGE.fullmatch(design.language):
        found.add("documentation-language", ProblemCode.BAD_LANGUAGE, design.language)
    for path in _paths(design):
        if not _is_safe(path):
            found.add("path", ProblemCode.UNSAFE_PATH, path)
    return found.all()


def _paths(design: Design) -> Iterator[str]:
    yield from design.images
    yield from (file.path for file in design.files)
    for part in design.parts:
        yield from (*part.exports, *part.sources, *part.images)


def _is_safe(path: str) -> bool:
    """Tell whether a path is an address on the web, or leads nowhere but into the design."""
    if urlsplit(path).scheme in ("http", "https"):
        return True
    steps = PurePosixPath(path)
    return bool(path) and not steps.is_absolute() and ".." not in steps.parts and ":" not in path


def _by_role(files: Sequence[NamedFile]) -> dict[str, list[NamedFile]]:
    found: dict[str, list[NamedFile]] = {}
    for file in files:
        found.setdefault(file.role, []).append(file)
    return found


def _said(key: str, value: object) -> dict[str, object]:
    return {key: value} if value else {}


def _one_or_many(values: Sequence[str]) -> str | list[str]:
    return values[0] if len(values) == 1 else list(values)


def _okh_part(part: Part) -> dict[str, object]:
    tree: dict[str, object] = {"name": part.name}
    tree |= _said("tsdc", part.process) | _said("material", part.material)
    tree |= _said("source", list(part.sources)) | _said("export", list(part.exports))
    tree |= _said("image", list(part.images))
    if part.mass_g is not None:
        tree["mass"] = part.mass_g
    if part.size_mm is not None:
        tree["outer-dimensions"] = _dimensions(part.size_mm)
    return tree


def _ohm_part(part: Part, number: int) -> dict[str, object]:
    tree: dict[str, object] = {
        "id": str(uuid.uuid5(_PARTS, f"{number} {part.name}")),
        "name": part.name,
        "source": list(part.sources),
        "export": list(part.exports),
        "tsdc": [part.process] if part.process else [],
    }
    tree |= _said("material", part.material) | _said("image", "".join(part.images[:1]))
    if part.mass_g is not None:
        tree["mass"] = part.mass_g
    if part.size_mm is not None:
        tree["outer_dimensions"] = _dimensions(part.size_mm)
    return tree


def _dimensions(size_mm: tuple[float, float, float]) -> dict[str, float]:
    return dict(zip(("width", "height", "depth"), size_mm, strict=True))


def _document(role: str, file: NamedFile) -> Mapping[str, object]:
    title = file.title or PurePosixPath(urlsplit(file.path).path).name or file.path
    return {"title": title, "path": file.path, "type": role, "metadata": {}}


def _ohm_relations(design: Design) -> dict[str, object]:
    tree: dict[str, object] = {}
    for one in design.relations:
        if one.kind == "fork-of":
            continue
        said = _said("title", one.title) | _said("manifest", one.manifest) | _said("web", one.web)
        if one.kind == "sub-parts":
            tree.setdefault("sub_parts", [])
            tree["sub_parts"] = [*_list(tree["sub_parts"]), said]
        else:
            tree.setdefault(one.kind.replace("-", "_"), said)
    return tree


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _left_out_by_okh(design: Design) -> Iterator[str]:
    """Yield what version 2.4 has no word for."""
    if design.keywords:
        yield "keywords"
    if len(design.licences) > 1 or (design.licences and "hardware" not in design.licences):
        yield "licences"
    if any(file.title for file in design.files):
        yield "files.title"
    own = {"design-files", "manufacturing-files"} & {file.role for file in design.files}
    if own and not design.parts:
        yield "files"
    forks = sum(one.kind == "fork-of" for one in design.relations)
    if len(design.relations) > min(forks, 1):
        yield "relations"


def _left_out_by_ohm(design: Design) -> Iterator[str]:
    """Yield what the network's manifest has no word for."""
    if len(design.images) > 1 or any(len(part.images) > 1 for part in design.parts):
        yield "images"
    if any(one.kind == "fork-of" for one in design.relations):
        yield "relations"
    one_only = [file.role for file in design.files if file.role in ("bom", "readme")]
    if len(one_only) > len(set(one_only)):
        yield "files"
