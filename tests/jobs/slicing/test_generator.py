"""Our own generator prints prisms as they are, and refuses everything else."""

import math
import re
import struct

import pytest

from jobs.domain.machine import MachineLimits
from jobs.slicing import SlicingError, load_recipe, slice_file
from jobs.slicing.prism import inset

RECIPE = load_recipe("pla-builtin")


def extruded_moves(text: str) -> list[tuple[float, float, float, float]]:
    """Return x, y, z and filament [mm] of each printing move of an absolute program."""
    x = y = z = e = 0.0
    moves = []
    for line in text.splitlines():
        words = {word[0]: float(word[1:]) for word in re.findall(r"[XYZE]-?[\d.]+", line)}
        if not line.startswith(("G0", "G1")):
            continue
        x, y, z = words.get("X", x), words.get("Y", y), words.get("Z", z)
        if "X" in words and "E" in words:
            moves.append((x, y, z, words["E"] - e))
        e = words.get("E", e)
    return moves


def test_a_box_is_printed_where_and_as_large_as_it_is(box, printer, tmp_path):
    program = tmp_path / "box.gcode"
    made = slice_file(box(20.0, 30.0, 4.0), RECIPE, printer, program)
    moves = extruded_moves(program.read_text())
    half = 0.45 / 2
    for axis, size in ((0, 20.0), (1, 30.0)):
        middle = printer.envelope_mm[axis] / 2
        at = [move[axis] for move in moves]
        assert min(at) == pytest.approx(middle - size / 2 + half, abs=0.01)
        assert max(at) == pytest.approx(middle + size / 2 - half, abs=0.01)
    assert sorted({move[2] for move in moves}) == pytest.approx([0.2 * n for n in range(1, 21)])
    assert all(move[3] > 0 for move in moves)
    assert sum(move[3] for move in moves) == pytest.approx(made.filament_mm, abs=0.1)


def test_a_solid_box_takes_its_volume_of_filament(box, printer, tmp_path):
    recipe = type(RECIPE).from_json({**RECIPE.to_json(), "infill": 1.0})
    made = slice_file(box(40.0, 40.0, 4.0), recipe, printer, tmp_path / "a.gcode")
    volume = made.filament_mm * math.pi * 1.75**2 / 4
    assert volume == pytest.approx(40 * 40 * 4, rel=0.03)
    assert made.mass_g == pytest.approx(volume * 1.24 / 1000)


def test_the_same_mesh_always_gives_the_same_program(comb, printer, tmp_path):
    for name in ("a", "b"):
        slice_file(comb, RECIPE, printer, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_the_comb_stays_inside_its_outline_and_out_of_its_holes(comb, printer, tmp_path):
    slice_file(comb, RECIPE, printer, tmp_path / "a.gcode")
    moves = extruded_moves((tmp_path / "a.gcode").read_text())
    # The left screw hole: 8.2 mm from the left edge, 23 mm from the front edge.
    hole = (printer.envelope_mm[0] / 2 - 28 + 8.2, printer.envelope_mm[1] / 2 - 15.5 + 23.0)
    assert min(math.dist(move[:2], hole) for move in moves) > 2.1


def test_it_heats_before_it_prints_and_cools_after(comb, printer, tmp_path):
    slice_file(comb, RECIPE, printer, tmp_path / "a.gcode")
    lines = (tmp_path / "a.gcode").read_text().splitlines()
    first = next(number for number, line in enumerate(lines) if re.match(r"G1 .*E", line))
    assert lines.index("M109 S210") < first
    assert lines.index("G28") < first
    assert {"M104 S0", "M140 S0", "M107", "M84"} <= set(lines[-6:])
    assert max(len(line) for line in lines) < 96


@pytest.mark.parametrize(
    ("size", "reason"),
    [((20.0, 20.0, 4.0, 1.0), "not-a-prism"), ((300.0, 20.0, 4.0, 0.0), "does-not-fit")],
)
def test_what_it_cannot_do_is_refused(box, printer, tmp_path, size, reason):
    with pytest.raises(SlicingError) as refusal:
        slice_file(box(*size[:3], cut=size[3]), RECIPE, printer, tmp_path / "a.gcode")
    assert refusal.value.reason == reason


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "unreadable"),
        (b"solid x\nendsolid", "unreadable"),
        (bytes(84), "unreadable"),
        (bytes(80) + struct.pack("<I", 10_000_000), "too-many-triangles"),
        (bytes(80) + struct.pack("<I", 1) + bytes(50), "not-a-prism"),
        (bytes(80) + struct.pack("<I", 1) + b"\xff" * 50, "unreadable"),
    ],
)
def test_what_is_no_mesh_is_refused(printer: MachineLimits, tmp_path, raw, reason):
    (tmp_path / "x.stl").write_bytes(raw)
    with pytest.raises(SlicingError) as refusal:
        slice_file(tmp_path / "x.stl", RECIPE, printer, tmp_path / "a.gcode")
    assert refusal.value.reason == reason


def test_a_wall_too_thin_to_fill_is_no_crash(box, printer, tmp_path):
    made = slice_file(box(20.0, 1.0, 4.0), RECIPE, printer, tmp_path / "a.gcode")
    assert made.filament_mm > 0


def test_an_edge_that_vanishes_is_left_out():
    """A corner cut at 45 degrees is gone once the inset passes it."""
    loop = [(0.0, 0.0), (10.0, 0.0), (10.0, 9.0), (9.0, 10.0), (0.0, 10.0)]
    assert len(inset(loop, 0.5)) == 5
    assert all(0.0 < x < 10.0 and 0.0 < y < 10.0 for x, y in inset(loop, 3.0))
