"""A program beside the machine that shall run it, as every check sees it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from jobs.analysis.report import Program
from jobs.analysis.stream import Stream
from jobs.domain.machine import MachineLimits
from jobs.domain.preflight import Finding, FindingCode, Severity


@dataclass(frozen=True, slots=True)
class Examined:
    """A program beside what it shall run on.

    :param wanted: the dialect of the machine, or what was guessed where none is given.
    :param kind: `fdm`, `mill`, ….
    :param forbidden: commands as words, such as `M500`, `$` or `M302 P1`.
    """

    stream: Stream
    program: Program
    guessed: str
    wanted: str
    kind: str
    forbidden: Sequence[str]
    machine: MachineLimits

    def source(self, line: int | np.integer) -> int:
        """Return the 1-based line of the upload."""
        return int(self.stream.source_line[int(line)])


def block(code: FindingCode, line: int | None = None, **fields: str | int | float) -> Finding:
    """Return a finding that stops the program from running.

    :param line: 1-based line of the upload.
    """
    return Finding(code, Severity.BLOCK, line, fields)


def person(code: FindingCode, line: int | None = None, **fields: str | int | float) -> Finding:
    """Return a finding that a person must wave through before the program runs."""
    return Finding(code, Severity.PERSON, line, fields)


def note(code: FindingCode, line: int | None = None, **fields: str | int | float) -> Finding:
    """Return a finding that is only good to know."""
    return Finding(code, Severity.NOTE, line, fields)
