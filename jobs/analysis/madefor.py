"""What its slicer says a program was made for, beside the machine it shall run on."""

from __future__ import annotations

import re
from collections.abc import Iterator

from jobs.analysis.remarks import clean
from jobs.analysis.slicers import flavor
from jobs.analysis.target import Target, person
from jobs.domain.preflight import Finding, FindingCode

# PrusaSlicer, SuperSlicer, OrcaSlicer, Slic3r write a list, one number for each extruder.
_NOZZLE = re.compile(rb"(?im)^; nozzle_diameter = ([0-9., ]+)$")
_FILAMENT = re.compile(rb"(?im)^; filament_diameter = ([0-9., ]+)$")
_MODEL = re.compile(rb"(?im)^; printer_model = ([^\r\n]{1,80})\r?$")
_NOZZLE_SLACK, _FILAMENT_SLACK = 0.011, 0.2  # a filament's diameter is measured, a nozzle's named


def made_for(ends: bytes, target: Target) -> Iterator[Finding]:
    """Return findings on another nozzle, filament, model or firmware.

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
    model = _MODEL.search(ends)
    if machine.model and model:
        said = clean(model[1].decode("utf-8", "replace"))
        if said and _bare(said) != _bare(machine.model):
            yield person(FindingCode.WRONG_MODEL, found=said, wanted=machine.model)
    named = flavor(ends).partition("(")[0]
    if named and named not in target.rules.flavors and target.rules.flavors:
        yield person(FindingCode.WRONG_DIALECT, found=named[:32], wanted=target.rules.title)


def _bare(name: str) -> str:
    """Return a model's name as it is compared: makers write it with blanks and without.

    >>> _bare("Original Prusa MK4") == _bare("original-prusa mk4"), _bare("MK3") == _bare("MK3S")
    (True, False)
    """
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def _numbers(pattern: re.Pattern[bytes], ends: bytes) -> list[float]:
    found = pattern.search(ends)
    texts = re.findall(r"[0-9]{1,4}(?:\.[0-9]{1,6})?", found[1].decode("ascii")) if found else []
    return [float(text) for text in texts[:16] if float(text) > 0.0]
