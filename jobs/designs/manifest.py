"""What a design says of itself: every dialect of Open Know-How into one `Design`.

A tolerant reader: OKH v1 (YAML), OKH-LOSH and OKH 2.x (TOML), Open Hardware Manager's JSON. What
is wrong becomes a `ManifestProblem`; nothing raises. Fields and dialects as in the specifications
iop-alliance/open-knowledge-framework:OpenKnowHow, OPEN-NEXT/OKH-LOSH and the 2.4 template.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Final

from pydantic import BaseModel, ConfigDict

from jobs.designs.documents import Node, read_document
from jobs.designs.problems import ManifestProblem, ProblemCode, Problems

_TEXT_CHARS: Final = 10_000
_LIST_ITEMS: Final = 500
LANGUAGE: Final = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_READINESS: Final = {
    "technology-readiness-level": re.compile(r"OTRL-[1-6]"),
    "documentation-readiness-level": re.compile(r"ODRL-[1-4]\*?"),
}
_REQUIRED: Final = {
    "okh-v1": ("title", "description", "license"),
    "losh": ("name", "version", "license", "licensor", "function", "repo"),
    "okh-2": ("name", "version", "license", "licensor", "function", "repo"),
    "ohm": ("title", "version", "license", "licensor", "function"),
}
# What a file is for, and how the dialects spell it.
_ROLES: Final = {
    "manufacturing-files": ("manufacturing-files",),
    "design-files": ("design-files",),
    "making-instructions": ("making-instructions", "manufacturing-instructions"),
    "operating-instructions": ("operating-instructions", "user-manual"),
    "bom": ("bom",),
    "readme": ("readme",),
}
_RELATIONS: Final = {
    "derivative-of": ("derivative-of",),
    "variant-of": ("variant-of",),
    "sub-parts": ("sub-parts", "sub"),
}
_DIMENSIONS: Final = ("width", "height", "depth")


class Dialect(StrEnum):
    """Which of the forms in use a manifest has."""

    V1 = "okh-v1"
    LOSH = "losh"
    OKH_2 = "okh-2"
    OHM = "ohm"
    UNKNOWN = "unknown"


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True)


class Part(_Value):
    """One thing to make; paths as the manifest gives them, stripped."""

    name: str
    process: str = ""  # TsDC: 3DP, CNC, LAS …
    material: str = ""
    exports: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    mass_g: float | None = None
    size_mm: tuple[float, float, float] | None = None  # width, height, depth as the manifest says


class NamedFile(_Value):
    """A file or folder that the manifest names, with the role it gives it."""

    role: str
    path: str
    title: str = ""


class Relation(_Value):
    """Another design that this one comes from or is made of.

    :param kind: `fork-of`, `derivative-of`, `variant-of` or `sub-parts`, as the manifests say.
    """

    kind: str
    title: str = ""
    manifest: str = ""
    web: str = ""


class Design(_Value):
    """A design of the commons, from whichever manifest.

    :param licence: the expression that governs making the thing, as written; the hardware's
        where the manifest has several, else the documentation's.
    """

    dialect: Dialect = Dialect.UNKNOWN
    title: str = ""
    version: str = ""
    description: str = ""
    licence: str = ""
    licences: Mapping[str, str] = {}  # hardware, documentation, software: OKH v1's three
    licensor: str = ""
    organization: str = ""
    repo: str = ""
    language: str = ""
    keywords: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()
    files: tuple[NamedFile, ...] = ()
    images: tuple[str, ...] = ()
    relations: tuple[Relation, ...] = ()
    readiness: Mapping[str, str] = {}  # `technology` and `documentation`: OTRL-n, ODRL-n
    problems: tuple[ManifestProblem, ...] = ()


def read_manifest(data: bytes, name: str = "okh.toml") -> Design:
    r"""Return the design that *data* describes; whatever is wrong is among its problems.

    >>> read_manifest(b'okhv = "2.4"\nname = "Hook"\nversion = "1.10"').version
    '1.10'
    >>> read_manifest(bytes(8)).dialect
    <Dialect.UNKNOWN: 'unknown'>
    """
    problems = Problems()
    tree = read_document(data, name, problems)
    reader = _Reader({_kebab(key): value for key, value in tree.items()}, problems)
    return reader.design(_dialect(tree))


def _kebab(key: str) -> str:
    return key.strip().lower().replace("_", "-")


def _dialect(tree: Mapping[str, Node]) -> Dialect:
    okhv = str(tree.get("okhv", ""))
    if "title" in tree and (okhv or "documentation_language" in tree):
        return Dialect.OHM
    if okhv:
        return Dialect.LOSH if "losh" in okhv.lower() else Dialect.OKH_2
    return Dialect.V1 if "title" in tree or "okh-manifest-version" in tree else Dialect.UNKNOWN


class _Reader:
    """Takes what it needs from one mapping and notes what is not as it should be."""

    def __init__(self, tree: Mapping[str, Node], problems: Problems, where: str = "") -> None:
        self._tree = tree
        self._problems = problems
        self._where = where

    def design(self, dialect: Dialect) -> Design:
        for key in _REQUIRED.get(dialect, ()):
            if self._tree.get(key, "") in ("", [], {}):
                self._note(key, ProblemCode.MISSING)
        licences = self._licences()
        licence = next(
            (licences[k] for k in ("", "hardware", "documentation") if k in licences), ""
        )
        self._check_words()
        return Design(
            dialect=dialect,
            title=self.text("title", "name"),
            version=self.text("version"),
            description=self.text("description", "function", "intended-use"),
            licence=licence,
            licences={key: value for key, value in licences.items() if key},
            licensor=self._person("licensor"),
            organization=self._person("organization") or self._person("organisation"),
            repo=self.path("repo", "project-link", "documentation-home"),
            language=self.text("documentation-language", "manifest-language"),
            keywords=self.texts("keywords"),
            parts=tuple(self._parts()),
            files=tuple(self._files()),
            images=self._images(),
            relations=tuple(self._relations()),
            readiness=self._readiness(),
            problems=self._problems.all(),
        )

    def text(self, *keys: str) -> str:
        """Return the first of *keys* that holds a text."""
        for key in keys:
            value = self._tree.get(key, "")
            if not isinstance(value, str):
                self._note(key, ProblemCode.WRONG_TYPE, type(value).__name__)
            elif value.strip():
                return self._clean(key, value).strip()
        return ""

    def path(self, *keys: str) -> str:
        """Return a text without blanks around it; they break addresses."""
        for key in keys:
            value = self._tree.get(key)
            if isinstance(value, str) and value != value.strip():
                self._note(key, ProblemCode.BLANKS, value)
        return self.text(*keys)

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of texts; one text counts as a list of one."""
        value = self._tree.get(key, "")
        items = value if isinstance(value, list) else [value]
        if len(items) > _LIST_ITEMS:
            self._note(key, ProblemCode.TOO_MANY, str(len(items)))
        found: list[str] = []
        for item in items[:_LIST_ITEMS]:
            if not isinstance(item, str):
                self._note(key, ProblemCode.WRONG_TYPE, type(item).__name__)
            elif cleaned := self._clean(key, item).strip():
                found.append(cleaned)
        return tuple(found)

    def _clean(self, key: str, value: str) -> str:
        if re.fullmatch(r"\s*\[[a-z -]*\](-\[[a-z -]*\])?\s*", value):
            self._note(key, ProblemCode.TEMPLATE_LEFT, value)
            return ""
        if len(value) > _TEXT_CHARS:
            self._note(key, ProblemCode.TOO_LONG, str(len(value)))
        return value[:_TEXT_CHARS]

    def _note(self, key: str, problem: ProblemCode, value: str = "") -> None:
        self._problems.add(f"{self._where}{key}", problem, value)

    def _below(self, key: str, value: Mapping[str, Node]) -> _Reader:
        where = f"{self._where}{key}."
        return _Reader({_kebab(k): v for k, v in value.items()}, self._problems, where)

    def _mappings(self, *keys: str) -> Iterator[tuple[str, _Reader]]:
        """Yield a reader for each mapping under *keys*, alone or in a list."""
        for key in keys:
            value = self._tree.get(key, [])
            items = [value] if isinstance(value, dict) else value
            if not isinstance(items, list):
                self._note(key, ProblemCode.WRONG_TYPE, "text")
                continue
            if len(items) > _LIST_ITEMS:
                self._note(key, ProblemCode.TOO_MANY, str(len(items)))
            for number, item in enumerate(items[:_LIST_ITEMS], 1):
                if isinstance(item, dict):
                    yield key, self._below(f"{key}[{number}]", item)
                elif isinstance(item, str) and item.strip():
                    yield key, self._below(f"{key}[{number}]", {"path": item})

    def _licences(self) -> dict[str, str]:
        """Return the licences by what they cover; "" is the whole."""
        value = self._tree.get("license", "")
        if isinstance(value, dict):
            below = self._below("license", value)
            names = ("hardware", "documentation", "software")
            return {name: text for name in names if (text := below.text(name))}
        text = self.text("license")
        return {"": text} if text else {}

    def _person(self, key: str) -> str:
        value = self._tree.get(key, "")
        if isinstance(value, str):
            return self.text(key)
        names = [below.text("name", "path") for _, below in self._mappings(key)]
        return ", ".join(name for name in names if name)

    def _check_words(self) -> None:
        for key in ("documentation-language", "manifest-language"):
            value = self.text(key)
            if value and not LANGUAGE.fullmatch(value):
                self._note(key, ProblemCode.BAD_LANGUAGE, value)
        for key in ("archive-download", "documentation-home", "bom"):
            self.path(key)

    def _readiness(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for key, pattern in _READINESS.items():
            if not (value := self.text(key)):
                continue
            if pattern.fullmatch(value):
                found[key.partition("-")[0]] = value
            else:
                self._note(key, ProblemCode.BAD_READINESS, value)
        return found

    def _relations(self) -> Iterator[Relation]:
        if web := self.path("fork-of"):
            yield Relation(kind="fork-of", web=web)
        # `sub` is how the first manifests spelt it.
        for kind, keys in _RELATIONS.items():
            for _, below in self._mappings(*keys):
                title, manifest = below.text("title", "name"), below.path("manifest", "path")
                if title or manifest or below.text("web"):
                    yield Relation(
                        kind=kind, title=title, manifest=manifest, web=below.path("web", "url")
                    )

    def _has_parts(self) -> bool:
        return any(self._tree.get(key) for key in ("part", "parts"))

    def _parts(self) -> Iterator[Part]:
        for _, below in self._mappings("part", "parts"):
            yield below.part()
        # A part in a manifest of its own has its export at the top.
        if not self._has_parts() and ("export" in self._tree or "source" in self._tree):
            yield self.part()

    def part(self) -> Part:
        return Part(
            name=self.text("name", "title", "path"),
            process=next(iter(self.texts("tsdc")), ""),
            material=self.text("material"),
            exports=self.texts("export"),
            sources=self.texts("source"),
            images=self._images(),
            mass_g=self.number("mass"),
            size_mm=self._size(),
        )

    def _size(self) -> tuple[float, float, float] | None:
        value = self._tree.get("outer-dimensions")
        if value is None:
            return None
        if not isinstance(value, dict):
            self._note("outer-dimensions", ProblemCode.WRONG_TYPE, str(value))
            return None
        for key in value:
            if _kebab(key) not in _DIMENSIONS:
                nearest = difflib.get_close_matches(_kebab(key), _DIMENSIONS, n=1, cutoff=0.6)
                self._note(f"outer-dimensions.{key}", ProblemCode.UNKNOWN_KEY, "".join(nearest))
        below = self._below("outer-dimensions", value)
        width, height, depth = (below.number(key) for key in _DIMENSIONS)
        if width is None or height is None or depth is None:
            return None
        return (width, height, depth)

    def number(self, key: str) -> float | None:
        """Return a number that a length or a mass can have."""
        value = self.text(key)
        if not value:
            return None
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not (math.isfinite(number) and 0.0 <= number < 1e9):
            self._note(key, ProblemCode.BAD_NUMBER, value)
            return None
        return number

    def _images(self) -> tuple[str, ...]:
        value = self._tree.get("image", "")
        if isinstance(value, list) and any(isinstance(item, dict) for item in value):
            found = [below.text("location", "path") for _, below in self._mappings("image")]
            return tuple(path for path in found if path)
        self.path("image")
        return self.texts("image")

    def _files(self) -> Iterator[NamedFile]:
        for role, key in ((role, key) for role, keys in _ROLES.items() for key in keys):
            if isinstance(self._tree.get(key), str):
                if path := self.path(key):
                    yield NamedFile(role=role, path=path)
                continue
            for _, below in self._mappings(key):
                if path := below.path("path", "location"):
                    yield NamedFile(role=role, path=path, title=below.text("title"))
        # Of the whole thing, beside the files of its parts.
        for role, key in (("design-files", "source"), ("manufacturing-files", "export")):
            for path in self.texts(key) if self._has_parts() else ():
                yield NamedFile(role=role, path=path)
