"""What the examination of a program or mesh found, as values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Severity(StrEnum):
    """How much a finding weighs."""

    NOTE = "note"
    WARN = "warn"
    BLOCK = "block"


class FindingCode(StrEnum):
    """Every finding there is; the catalogue has one sentence for each (`finding.<code>`).

    Findings on lines carry `count` too: how often it came; `line` is the first.
    """

    OUTSIDE_ENVELOPE = "outside-envelope"  # axis, at_mm, low_mm, high_mm
    NOZZLE_TOO_HOT = "nozzle-too-hot"  # asked_c, limit_c
    BED_TOO_HOT = "bed-too-hot"  # asked_c, limit_c
    SPINDLE_TOO_FAST = "spindle-too-fast"  # asked_rpm, limit_rpm
    FORBIDDEN_COMMAND = "forbidden-command"  # command
    UNKNOWN_COMMAND = "unknown-command"  # command
    WRONG_DIALECT = "wrong-dialect"  # found, wanted
    WRONG_KIND = "wrong-kind"  # found, wanted
    NOT_EXAMINED = "not-examined"  # dialect
    REALTIME_BYTE = "realtime-byte"  # byte
    MALFORMED_LINE = "malformed-line"  # count
    LINE_TOO_LONG = "line-too-long"  # bytes, limit_bytes
    NOT_TEXT = "not-text"
    EMPTY = "empty"
    TOO_LARGE = "too-large"  # bytes, limit_bytes
    COLD_EXTRUSION = "cold-extrusion"
    HEAT_LEFT_ON = "heat-left-on"
    SPINDLE_LEFT_ON = "spindle-left-on"
    UNITS_MISSING = "units-missing"
    NO_FEEDRATE = "no-feedrate"
    TOO_MANY_TRIANGLES = "too-many-triangles"  # triangles, limit
    UNREADABLE = "unreadable"  # reason
    NOT_WATERTIGHT = "not-watertight"
    UNITS_SUSPICIOUS = "units-suspicious"  # size_mm
    DOES_NOT_FIT = "does-not-fit"  # size_mm, envelope_mm
    LICENCE_FORBIDS = "licence-forbids"  # licence, purpose
    LICENCE_UNCLEAR = "licence-unclear"  # licence
    MANIFEST_PROBLEM = "manifest-problem"  # field, problem
    WORKER_DIED = "worker-died"  # reason: memory, cpu, wall, output, signal
    SLICER_FAILED = "slicer-failed"  # reason
    TOOL_CHANGE = "tool-change"  # count
    RESUME_NO_LINE = "resume-no-line"
    RESUME_NO_PLACE = "resume-no-place"


class Verdict(StrEnum):
    """May it run?"""

    PASS = "pass"
    WARN = "warn"
    BLOCK = "block"


@dataclass(frozen=True, slots=True)
class Finding:
    """One result of one check.

    :param line: 1-based line of the uploaded file, where there is one.
    :param fields: values of the sentence, units in the names.
    """

    code: FindingCode
    severity: Severity
    line: int | None = None
    fields: Mapping[str, str | int | float] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {
            "code": self.code.value,
            "severity": self.severity.value,
            "line": self.line,
            "fields": dict(self.fields),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, object]) -> Finding:
        """Read what `to_json` wrote."""
        line = values.get("line")
        raw = values.get("fields") or {}
        assert isinstance(raw, Mapping)
        return cls(
            FindingCode(str(values["code"])),
            Severity(str(values["severity"])),
            line if isinstance(line, int) else None,
            dict(raw),
        )


def verdict(findings: Iterable[Finding]) -> Verdict:
    """Return the gravest of the findings as a verdict.

    >>> verdict([])
    <Verdict.PASS: 'pass'>
    >>> verdict([Finding(FindingCode.EMPTY, Severity.BLOCK)])
    <Verdict.BLOCK: 'block'>
    """
    severities = {finding.severity for finding in findings}
    if Severity.BLOCK in severities:
        return Verdict.BLOCK
    return Verdict.WARN if Severity.WARN in severities else Verdict.PASS
