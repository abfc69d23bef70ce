"""What is wrong with a manifest, as values: dirty data is the normal case in the commons."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict

_VALUE_CHARS = 200


class ProblemCode(StrEnum):
    """Every problem a manifest can have; the catalogue has a sentence for each."""

    TOO_LARGE = "too-large"
    NOT_UTF8 = "not-utf8"
    UNPARSABLE = "unparsable"  # value: the parser's words
    TOO_DEEP = "too-deep"
    TOO_MANY = "too-many"  # values or list items; the rest was left out
    TOO_LONG = "too-long"  # a text was cut
    ALIAS = "alias"  # YAML aliases are not followed
    DUPLICATE = "duplicate"  # the last value counts
    MISSING = "missing"
    TEMPLATE_LEFT = "template-left"  # "[value]" was never filled in
    WRONG_TYPE = "wrong-type"
    BLANKS = "blanks"  # around an address or path; removed
    UNKNOWN_KEY = "unknown-key"  # value: the nearest right one
    BAD_LANGUAGE = "bad-language"
    BAD_READINESS = "bad-readiness"
    BAD_NUMBER = "bad-number"
    UNSAFE_PATH = "unsafe-path"  # leads out of the design; not followed
    NOT_SPDX = "not-spdx"  # value: what was written
    IS_FOLDER = "is-folder"  # a folder stands where a file is meant; its files were taken
    NOT_THERE = "not-there"  # the file is not among the design's files


class ManifestProblem(BaseModel):
    """One problem: where, what, and the value as written (at most 200 characters)."""

    model_config = ConfigDict(frozen=True)

    field: str
    problem: ProblemCode
    value: str = ""


class Problems:
    """Collects problems, at most a hundred: a hostile file must not fill a page."""

    def __init__(self) -> None:
        self._found: list[ManifestProblem] = []

    def add(self, field: str, problem: ProblemCode, value: str = "") -> None:
        """Note one problem; the same one twice is one."""
        new = ManifestProblem(field=field[:100], problem=problem, value=value[:_VALUE_CHARS])
        if len(self._found) < 100 and new not in self._found:
            self._found.append(new)

    def all(self) -> tuple[ManifestProblem, ...]:
        """Return what was found, in order."""
        return tuple(self._found)
