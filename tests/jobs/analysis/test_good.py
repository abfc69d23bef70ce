"""No good program is blocked or held on the machine that it was made for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from drivers.profile import load_profile
from jobs.analysis.program import prepare_program
from jobs.services.targets import target_for
from tests.jobs.analysis.good.cams import cams
from tests.jobs.analysis.good.kept import CAMS, kept
from tests.jobs.analysis.good.slicers import SLICERS, Made, available

QUICK = 5  # programs of each slicer in `make test`; `make soak` takes all of them


def _findings(made: Made, folder: Path) -> list[dict[str, object]]:
    """Make a program, and return what would keep it from starting."""
    program = folder / "part.gcode"
    made.make(program)
    target = target_for(made.kind, made.limits, load_profile(made.profile))
    result = prepare_program(
        program, folder / "out", made.limits, target.dialect, target.forbidden, 1.24, made.kind,
        target.family, target.macros,
    )  # fmt: skip
    assert int(str(result["stream_lines"])) > 20, made.name
    findings = result["findings"]
    assert isinstance(findings, list)
    return [one for one in findings if one["severity"] != "note"]


@pytest.mark.parametrize("made", [*kept(), *cams()], ids=lambda made: made.name)
def test_a_program_of_a_cam_passes_on_its_machine(made, tmp_path):
    assert _findings(made, tmp_path) == []


def test_two_real_cams_and_three_slicers_make_a_hundred_programs():
    """So many does `make soak` try; `make test` tries all of the CAMs' and some of the slicers'."""
    sliced = sum(len(list(programs())) for _, programs in SLICERS.values())
    assert len(CAMS) >= 2
    assert len(SLICERS) >= 3
    assert sliced + len(list(kept())) >= 100


def _some(slicer: str) -> list[Made]:
    every = list(SLICERS[slicer][1]())
    return every if "FABNODE_SOAK" in os.environ else every[:: -(-len(every) // QUICK)]


@pytest.mark.slicer
@pytest.mark.parametrize("slicer", SLICERS)
def test_a_program_of_a_real_slicer_passes_on_the_printer_it_is_for(slicer, tmp_path):
    if not available(slicer):
        pytest.skip(f"no {slicer} here")
    held = {}
    for number, made in enumerate(_some(slicer)):
        folder = tmp_path / str(number)
        folder.mkdir()
        if found := _findings(made, folder):
            held[made.name] = found
    assert held == {}
