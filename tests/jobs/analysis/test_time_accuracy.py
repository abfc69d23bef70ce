"""Planned time is the firmware's own: whole simulated boards take as long, to the second.

The boards parse and plan by themselves, move after move; `tests/bench/bench_time.py` has the
long table.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from jobs.analysis.program import inspect_program
from jobs.slicing import slicer_available
from tests.bench.clock import cnc, compare, prints
from tests.jobs.analysis.good.kept import kept
from tests.jobs.analysis.good.slicers import Made

LIMIT = 0.03


@pytest.mark.parametrize("name", cnc.programs())
def test_a_router_takes_as_long_as_planned(name: str) -> None:
    planned, moved = compare.milled(cnc.programs()[name].encode())
    assert planned == pytest.approx(moved, rel=LIMIT)


GRBL = [made for made in kept() if made.profile in ("grbl-1.1", "fluidnc")]


@pytest.mark.parametrize("made", GRBL, ids=lambda made: made.name)
def test_a_real_cam_s_program_takes_as_long_as_planned(made: Made, tmp_path: Path) -> None:
    """The simulated Grbl takes every line of it, and is as fast to a thousandth."""
    made.make(tmp_path / "part.nc")
    planned, moved = compare.milled((tmp_path / "part.nc").read_bytes())
    assert planned == pytest.approx(moved, rel=1e-3)


ORDERS = """M83
G1 Z0.2 F600
M204 P800 T1500 R900
G1 X10 Y10 F9000
G1 E0.8 F2100
G1 X60 Y10 E2 F3600
G1 X60.4 Y10.3 E0.02
G1 X60.6 Y10.8 E0.02
G1 X60 Y60 E2
G1 E-0.8 F2100
G1 X20 Y20 Z0.6 F12000
G1 E0.8 F2100
G3 X40 Y20 I10 J0 E1 F2400
G2 X44 Y24 R4 E0.2
M203 X90 Y80
G1 X100 Y70 E3 F7200
M201 X300 E200
G1 X10 Y12 E-1 F7200
M220 S60
G1 X80 Y80 F6000
"""


@pytest.mark.parametrize("jerk", [0.0, 8.0])
@pytest.mark.parametrize("blocks", [4, 16])
def test_a_printer_s_own_commands_count_as_on_the_board(jerk: float, blocks: int) -> None:
    limits = replace(prints.PRINTER, jerk_mm_s=jerk, planner_blocks=blocks)
    data = ("M302 P1\n" + ORDERS * 5).encode()
    planned, moved = compare.printed(data, limits)
    assert planned == pytest.approx(moved, rel=1e-3)


@pytest.mark.slicer
@pytest.mark.skipif(not slicer_available("prusaslicer"), reason="no prusa-slicer here")
@pytest.mark.parametrize("mesh", prints.parts(None), ids=lambda mesh: mesh.stem)
def test_a_sliced_part_takes_as_long_as_planned_and_as_the_slicer_says(
    mesh: Path, tmp_path: Path
) -> None:
    path, made = prints.sliced(mesh, tmp_path)
    data = path.read_bytes()
    for limits in (prints.PRINTER, compare.without_jerk(prints.PRINTER)):
        planned, moved = compare.printed(data, limits)
        assert planned == pytest.approx(moved, rel=LIMIT)
    report = inspect_program(data, prints.PRINTER)
    assert report["time_s"] == pytest.approx(made.time_s, rel=0.05)
    mass = float(str(report["volume_mm3"])) / 1000.0 * prints.DENSITY_G_CM3
    assert mass == pytest.approx(made.mass_g, rel=0.005)
