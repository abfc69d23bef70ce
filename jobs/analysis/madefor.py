"""What its slicer says a program was made for, beside the machine it shall run on."""

from __future__ import annotations

import re
from collections.abc import Iterator

from jobs.analysis.slicers import flavor
from jobs.analysis.target import Target, person
from jobs.domain.preflight import Finding, FindingCode

# PrusaSlicer, SuperSlicer, OrcaSlicer, Slic3r write a list, one number for each extruder.
_NOZZLE = re.compile(rb"(?im)^; nozzle_diameter = ([0-9., ]+)$")
_FILAMENT = re.compile(rb"(?im)^; filament_diameter = ([0-9., ]+)$")
_NOZZLE_SLACK, _FILAMENT_SLACK = 0.011, 0.2  # a filament's diameter is measured, a nozzle's named


def made_for(ends: bytes, target: Target) -> Iterator[Finding]:
    """Return findings on another nozzle, filament or firmware.

    :param ends: both ends of the upload.
    """
    machine = target.machine
    if target.kind == "fdm":
        for code, pattern, wanted, slack in (
            (FindingCode.WRONG_NOZZLE, _NOZZLE, machine.nozzle_mm, _NOZZLE_SLACK),
            (FindingCode.WRONG_FILAMENT, _FILAMENT, machine.filament_mm, _FILAMENT_SLACK),
        ):
            found = _numbers(pattern, ends)
            # A machine with several extruders may have one of the right sort among them.
            if wanted > 0.0 and found and all(abs(one - wanted) > slack for one in found):
                yield person(code, found_mm=found[0], wanted_mm=wanted)
    named = flavor(ends).partition("(")[0]
    if named and named not in target.rules.flavors and target.rules.flavors:
        yield person(FindingCode.WRONG_DIALECT, found=named[:32], wanted=target.rules.title)


def _numbers(pattern: re.Pattern[bytes], ends: bytes) -> list[float]:
    found = pattern.search(ends)
    texts = re.findall(r"[0-9]{1,4}(?:\.[0-9]{1,6})?", found[1].decode("ascii")) if found else []
    return [float(text) for text in texts[:16] if float(text) > 0.0]
