"""Keep-out boxes against every move, in machine coordinates, however the file is cut."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.analysis.keepout import Moment, Way, crossing, judge_way
from jobs.analysis.program import prepare_program
from jobs.analysis.reading import Program
from jobs.domain.machine import MachineLimits
from jobs.domain.placing import Box

NAN = float("nan")
REACH = Box((-300.0, -200.0, -60.0), (0.0, 0.0, 0.0))
MILL = MachineLimits((300.0, 200.0, 60.0), origin_mm=(-300.0, -200.0, -60.0))
G54, G55 = (-250.0, -150.0, -40.0), (-100.0, -150.0, -40.0)
CLAMP = Box((-205.0, -155.0, -60.0), (-195.0, -145.0, -20.0))  # about X 50 Y 0, to Z 20, in G54

places = st.tuples(*[st.integers(-9, 9).map(float)] * 3)


def moment(at=(-300.0, -200.0, 0.0), stored=None, before=G54):
    zeros = np.array([G54, G55, *[(NAN,) * 3] * 7])
    known = {code: np.array(place) for code, place in (stored or {}).items()}
    return Moment(zeros, np.array(before), known, np.array(at))


def found(program: str, *, box=CLAMP, chunk=1 << 19, **how):
    way = Way(moment(**how), REACH, [box])
    Program(BytesIO(program.encode()), MILL, "grbl", chunk).read([way])
    told = way.told()
    return [one["line"] for one in told["keep_outs"]], [
        (one["axis"], one["line"], one["at_mm"]) for one in told["outside"]
    ]


@settings(max_examples=300, deadline=None)
@given(start=places, end=places, corners=st.tuples(places, places))
def test_a_move_goes_through_a_box_if_some_point_of_it_is_inside(start, end, corners):
    low, high = (tuple(f(*pair) for pair in zip(*corners, strict=True)) for f in (min, max))
    box = Box(low, high)
    quick = bool(crossing(np.array([start]), np.array([end]), box)[0])
    assert quick == box.crossed(start, end)
    shares = np.linspace(0.0, 1.0, 400)[:, None]
    points = np.array(start) + shares * (np.array(end) - np.array(start))
    if (((points > np.array(low) + 0.01) & (points < np.array(high) - 0.01)).all(axis=1)).any():
        assert quick
    if quick:
        # No point is deeper than the slack outside the box all the way.
        near = ((points > np.array(low) - 0.1) & (points < np.array(high) + 0.1)).all(axis=1)
        assert near.any()


def test_a_place_that_nobody_knows_may_be_anywhere():
    start, end = np.array([[NAN, 0.0, 0.0]] * 2), np.array([[5.0, 0.0, 0.0], [5.0, 9.0, 0.0]])
    assert crossing(start, end, Box((-9.0, -1.0, -1.0), (-8.0, 1.0, 1.0))).tolist() == [True, True]
    assert crossing(start, end, Box((-9.0, 2.0, 2.0), (-8.0, 3.0, 3.0))).tolist() == [False, False]


def test_what_goes_around_a_box_is_free_though_its_bounds_are_not():
    around = "G21 G90\nG0 Z40\nG0 X0 Y40\nG1 Z0 F300\nG1 X90 F300\nG1 Y-40\nG0 Z40\n"
    assert found(around) == ([], [])
    through = around.replace("G1 Y-40", "G1 X0 Y-40")
    assert found(through) == ([6], [])


def test_a_rapid_over_it_is_free_and_one_at_its_height_is_not():
    assert found("G21 G90\nG0 Z20.1\nG0 X0 Y0\nG0 X90 Y0\n") == ([], [])
    assert found("G21 G90\nG0 Z40\nG0 X0 Y0\nG0 Z19\nG0 X90 Y0\n") == ([5], [])


def test_moves_in_machine_coordinates_are_looked_at_and_lead_on_from_where_they_end():
    up = "G21 G90\nG53 G0 Z0\nG53 G0 X-250 Y-150\n"
    assert found(up) == ([], [])
    assert found(up + "G53 G0 Z-30\nG53 G0 X-150\n") == ([5], [])
    # Z is that of G53 until the program names it again.
    assert found(up + "G53 G0 Z-30\nG0 X90\n") == ([5], [])
    assert found(up + "G53 G0 Z-10\nG0 X90\n") == ([], [])
    assert found(up + "G53 G0 Z-10\nG91\nG0 Z-10.1\nG0 X99\n") == ([7], [])
    assert found(up + "G53 G0 Z-10\nG91\nG0 Z-9.9\nG0 X99\n") == ([], [])


def test_a_move_in_machine_coordinates_beyond_the_machine_is_named():
    assert found("G21 G90\nG53 G0 Z0\nG53 G0 X5\n") == ([], [("X", 3, 5.0)])
    assert found("G20 G90\nG53 G0 Z-3\n")[1] == [("Z", 2, -76.2)]


def test_each_work_offset_has_its_own_zero_and_changing_it_moves_nothing():
    lines = "G21 G90\nG0 Z25\nG55\nG0 X-100 Y0\nG0 Z15\n"
    assert found(lines) == ([5], [])
    assert found(lines.replace("G55\n", "\n")) == ([], [])
    assert found("G21 G90\nG0 Z40\nG0 X50 Y0\nG55\nG0 Z15\n") == ([5], [])


def test_until_the_program_names_a_work_offset_the_one_in_force_counts():
    lines = "G21 G90\nG0 Z40\nG0 X-100 Y0\nG0 Z15\n"
    assert found(lines, before=G55) == ([4], [])
    assert found(lines, before=G54) == ([], [])
    assert found(lines.replace("G90", "G90 G54"), before=G55) == ([], [])


def test_an_arc_is_followed_along_its_way():
    arc = "G21 G90\nG0 Z40\nG0 X30 Y0\nG0 Z0\n{} X70 Y0 I20 J0 F300\n"
    small = Box((-202.0, -132.0, -60.0), (-198.0, -128.0, -20.0))  # about X 50 Y 20
    assert found(arc.format("G2"), box=small) == ([5], [])
    assert found(arc.format("G3"), box=small) == ([], [])


def test_the_way_to_a_stored_place_is_one_too():
    home = "G21 G90\nG0 Z40\nG0 X0 Y0\nG0 Z0\nG28\n"
    assert found(home, stored={280: (-150.0, -150.0, -40.0)}) == ([5], [])
    assert found(home, stored={280: (-250.0, -150.0, 0.0)}) == ([], [])
    assert found(home) == ([5], []), "nobody knows where it leads"
    # Only Z goes there, and nobody knows how high the next move is.
    assert found(home.replace("G28", "G91 G28 Z0") + "G90\nG0 X90\n")[0] == [7]


def test_the_first_move_begins_where_the_machine_stands():
    first = "G21 G90\nG0 X90 Y0 Z0\n"
    assert found(first, at=(-250.0, -150.0, -40.0)) == ([2], [])
    assert found(first, at=(-160.0, -10.0, -40.0)) == ([], [])


@pytest.mark.parametrize("chunk", [1, 7, 40])
def test_the_verdict_does_not_depend_on_where_the_file_is_cut(chunk):
    lines = ["G21 G90", "G53 G0 Z0", "G0 X0 Y0", "G55", "G91"]
    lines += [f"G1 X{(n * 7) % 5 - 2} Y{n % 3 - 1} Z-{n % 2} F300" for n in range(60)]
    lines += ["G90", "G54", "G53 G0 Z-30", "G0 X90 Y0", "G28 Z0", "G0 X0"]
    program = "\n".join(lines) + "\n"
    assert found(program, chunk=chunk) == found(program)


def test_lines_are_named_as_in_the_upload(tmp_path):
    upload = b"; a comment\nG21 G90\n\n(more)\nG0 Z0\nG0 X0 Y0\nG0 X90\n"
    path = tmp_path / "part.nc"
    path.write_bytes(upload)
    limits = MachineLimits(
        MILL.envelope_mm, origin_mm=MILL.origin_mm, keep_out_mm=(*CLAMP.low, *CLAMP.high)
    )
    prepare_program(path, tmp_path, limits, "grbl", [], None, "mill")
    files = tmp_path / "stream", tmp_path / "index.u32"
    told = judge_way(*files, limits, "grbl", moment(at=(-250.0, -150.0, 0.0)), REACH)
    assert [(one["number"], one["line"]) for one in told["keep_outs"]] == [(1, 7)]


def test_a_printers_moves_are_held_against_its_boxes_when_it_is_examined(tmp_path):
    path = tmp_path / "part.gcode"
    path.write_bytes(b"G28\nG90\nM82\nG1 X10 Y10 Z5 F6000\nG1 X90 Y10\nG1 X90 Y90\nG1 X10 Y90\n")
    limits = MachineLimits((220.0, 220.0, 250.0), keep_out_mm=(40.0, 80.0, 0.0, 60.0, 99.0, 9.0))
    (tmp_path / "out").mkdir()
    said = prepare_program(path, tmp_path / "out", limits, "marlin", [], None, "fdm")
    boxed = [one for one in said["findings"] if one["code"] == "in-keep-out"]
    assert [(one["line"], one["severity"], one["fields"]["number"]) for one in boxed] == [
        (7, "block", 1)
    ]
