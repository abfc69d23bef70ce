"""What the examination of a program or mesh found, as values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from jobs.domain.people import Role

# More than ten million lines. The memory of the analysis does not grow with them, but time and
# disk do. No larger file is taken in.
LARGEST_PROGRAM_BYTES: Final = 512 * 1024 * 1024
TEXT_MOST: Final = 120  # characters of a line that a finding shows


class Severity(StrEnum):
    """How much a finding weighs."""

    NOTE = "note"  # good to know
    PERSON = "person"  # runs only when a named person has written down why it may
    BLOCK = "block"  # never runs: a danger that nobody can take upon themselves


class FindingCode(StrEnum):
    """Every finding there is; the catalogue has one sentence for each (`finding.<code>`).

    Findings on lines carry `count` too: how often it came; `line` is the first.
    """

    # what the program has the machine do

    OUTSIDE_ENVELOPE = "outside-envelope"  # axis, at_mm, low_mm, high_mm
    IN_KEEP_OUT = "in-keep-out"  # number
    NOZZLE_TOO_HOT = "nozzle-too-hot"  # asked_c, limit_c
    MATERIAL_TOO_HOT = "material-too-hot"  # material, asked_c, limit_c
    BED_TOO_HOT = "bed-too-hot"  # asked_c, limit_c
    SPINDLE_TOO_FAST = "spindle-too-fast"  # asked_rpm, limit_rpm
    BEAM_TOO_STRONG = "beam-too-strong"  # asked, limit
    BEAM_STANDS = "beam-stands"  # count
    PIN_LEFT_ON = "pin-left-on"  # command
    MOVES_UNHOMED = "moves-unhomed"  # count
    FORBIDDEN_COMMAND = "forbidden-command"  # command
    UNKNOWN_COMMAND = "unknown-command"  # command
    WRONG_DIALECT = "wrong-dialect"  # found, wanted
    WRONG_KIND = "wrong-kind"  # found, wanted
    NOT_EXAMINED = "not-examined"  # dialect
    REALTIME_BYTE = "realtime-byte"  # byte
    MALFORMED_LINE = "malformed-line"  # count
    ARC_IMPOSSIBLE = "arc-impossible"  # count
    CUT_SHORT = "cut-short"
    LINE_TOO_LONG = "line-too-long"  # bytes, limit_bytes
    NOT_TEXT = "not-text"  # at_byte
    BINARY_GCODE = "binary-gcode"
    WIDE_TEXT = "wide-text"
    EMPTY = "empty"
    TOO_LARGE = "too-large"  # bytes, limit_bytes
    COLD_EXTRUSION = "cold-extrusion"
    HEAT_LEFT_ON = "heat-left-on"
    SPINDLE_LEFT_ON = "spindle-left-on"
    UNITS_MISSING = "units-missing"
    NO_FEEDRATE = "no-feedrate"
    TOO_MANY_TRIANGLES = "too-many-triangles"  # triangles, limit
    UNREADABLE = "unreadable"  # reason
    STEP_NOT_READ = "step-not-read"
    NOT_WATERTIGHT = "not-watertight"  # holes, open_edges
    BRANCHING_EDGES = "branching-edges"  # count
    INVERTED_FACES = "inverted-faces"  # count
    DUPLICATE_FACES = "duplicate-faces"  # count
    THIN_WALLS = "thin-walls"  # thinnest_mm, nozzle_mm, percent
    OVERHANGS = "overhangs"  # overhang_cm2, best_cm2
    OVERHANGS_BETTER = "overhangs-better"  # overhang_cm2, best_cm2, down
    UNITS_SUSPICIOUS = "units-suspicious"  # size_mm
    UNITS_LIKELY = "units-likely"  # size_mm, unit, then_mm
    FITS_TURNED = "fits-turned"  # machine, up, turn_deg
    DOES_NOT_FIT = "does-not-fit"  # size_mm, envelope_mm
    LICENCE_FORBIDS = "licence-forbids"  # licence, purpose
    LICENCE_UNCLEAR = "licence-unclear"  # licence
    MANIFEST_PROBLEM = "manifest-problem"  # field, problem
    WORKER_DIED = "worker-died"  # reason: memory, cpu, wall, output, signal
    SLICER_FAILED = "slicer-failed"  # reason
    TOOL_CHANGE = "tool-change"  # count
    # what the machine would keep, or be made to do beside the part
    SETTING_STORED = "setting-stored"  # command, setting, new, old
    SETTING_CHANGED = "setting-changed"  # command
    SETTINGS_RESET = "settings-reset"  # command
    LIMITS_SET = "limits-set"  # command
    LIMITS_ABOVE = "limits-above"  # command, axis, asked, limit
    FIRMWARE_UPDATE = "firmware-update"  # command
    HIDDEN_PROGRAM = "hidden-program"  # command
    NOT_FOLLOWED = "not-followed"  # command
    HEAT_GUARD = "heat-guard"  # command
    HEAT_UNSAID = "heat-unsaid"  # command
    HEAT_UNLIMITED = "heat-unlimited"  # command, asked_c
    COLD_ALLOWED = "cold-allowed"  # command
    FAKE_REPLY = "fake-reply"  # command
    PIN_SWITCHED = "pin-switched"  # command
    POWER_SWITCHED = "power-switched"  # command
    MACRO = "macro"  # command
    TOO_MANY_FINDINGS = "too-many-findings"  # count
    INCHES = "inches"  # command
    PUSHES_MUCH = "pushes-much"  # mm
    EXTRUDER_MODE = "extruder-mode"
    # what it was made for
    WRONG_NOZZLE = "wrong-nozzle"  # found_mm, wanted_mm
    WRONG_FILAMENT = "wrong-filament"  # found_mm, wanted_mm
    WRONG_MODEL = "wrong-model"  # found, wanted
    # of tools that are to draw from other slots
    SLOTS_FIXED = "slots-fixed"  # command
    SLOTS_UNNAMED = "slots-unnamed"  # command
    SLOTS_HEAT = "slots-heat"  # command
    # of a laser
    MATERIAL_HALOGENATED = "material-halogenated"  # material
    MATERIAL_NOT_LISTED = "material-not-listed"  # material, listed
    MATERIAL_UNSAID = "material-unsaid"  # listed
    RESUME_NO_LINE = "resume-no-line"
    RESUME_NO_PLACE = "resume-no-place"


# Settings that a machine keeps when the program is long over.
OWNERS: Final = frozenset({FindingCode.SETTING_STORED})


class Verdict(StrEnum):
    """May it run?"""

    PASS = "pass"
    PERSON = "person"  # when a person has waved every such finding through
    BLOCK = "block"


@dataclass(frozen=True, slots=True)
class Finding:
    """One result of one check.

    :param line: 1-based line of the uploaded file, where there is one.
    :param fields: values of the sentence, units in the names.
    :param text: that line as it may be shown, at most 120 characters; "" without a line.
    """

    code: FindingCode
    severity: Severity
    line: int | None = None
    fields: Mapping[str, str | int | float] = field(default_factory=dict)
    text: str = ""

    @property
    def key(self) -> tuple[str, int | None]:
        """Return what a person's word about this finding names: its code and its line."""
        return self.code.value, self.line

    @property
    def waived_by(self) -> Role | None:
        """Return the role that it takes to wave it through; None if nobody can.

        What stays in a machine after the program is for the machine's owner to decide.
        """
        if self.severity is not Severity.PERSON:
            return None
        return Role.ADMIN if self.code in OWNERS else Role.OPERATOR

    def to_json(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {
            "code": self.code.value,
            "severity": self.severity.value,
            "line": self.line,
            "text": self.text,
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
            str(values.get("text") or ""),
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
    return Verdict.PERSON if Severity.PERSON in severities else Verdict.PASS
