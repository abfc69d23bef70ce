"""What a program shall run on, and the protocol of everything that speaks against it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from jobs.analysis.arrays import Ints
from jobs.analysis.piece import Piece
from jobs.domain.machine import MachineLimits
from jobs.domain.preflight import Finding, FindingCode, Severity
from jobs.domain.rulebook import RuleBook


@dataclass(frozen=True, slots=True)
class Target:
    """The machine that a program is held against.

    :param dialect: of the machine, or what was guessed where none is given.
    :param kind: `fdm`, `mill`, ….
    :param forbidden: commands as words, such as `M500`, `$` or `M302 P1`, besides those that
        the rules know.
    :param rules: of its firmware's family.
    :param macros: commands of its own that the lab vouches for.
    :param filaments: what the slicer says that the program is for, such as `PLA`.
    """

    dialect: str
    kind: str
    forbidden: Sequence[str]
    machine: MachineLimits
    rules: RuleBook
    macros: Sequence[str] = ()
    filaments: Sequence[str] = ()


class Check(Protocol):
    """One thing that may speak against a program; fed like any `Reader`, never timed.

    At most one finding for each command or axis, with the first line and how often it came, so
    that a million bad lines make one sentence; memory is bounded whatever a program holds.
    """

    def feed(self, piece: Piece) -> None:
        """Take the next piece."""

    def finish(self) -> Iterator[Finding]:
        """Return what was found, when all pieces have been fed."""


@dataclass(slots=True)
class Tally:
    """Where something was first, as 1-based line of the upload, and how often it came."""

    line: int = 0
    count: int = 0

    def add(self, piece: Piece, lines: Ints) -> None:
        """Count these lines of a piece, ascending."""
        if len(lines):
            self.line = self.line or piece.source(lines[0])
            self.count += len(lines)


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
