"""The tag is cut through, held by tabs, and the cutter stays where it is told."""

import re

from hypothesis import given
from hypothesis import strategies as st

from jobs.slicing.plywood import Tag, tag_program

TAGS = st.builds(
    Tag,
    width=st.floats(40, 200),
    height=st.floats(30, 100),
    thickness=st.floats(1.5, 12),
    step_down=st.floats(0.3, 3),
)


def levels(text: str) -> list[float]:
    return [float(z) for z in re.findall(r"Z(-?[\d.]+)", text)]


@given(TAGS)
def test_no_pass_is_ever_deeper_than_the_step_and_the_last_goes_through(tag):
    depths = sorted({z for z in levels(tag_program(tag)) if z < 0}, reverse=True)
    for above, below in zip([0.0, *depths], depths, strict=False):
        assert above - below <= tag.step_down + 0.002
    assert abs(depths[-1] + tag.thickness + tag.through) < 0.002


@given(TAGS)
def test_the_cutter_never_leaves_the_blank_and_never_travels_in_the_wood(tag):
    z = 0.0
    for line in tag_program(tag).splitlines():
        words = dict(re.findall(r"([XYZ])(-?[\d.]+)", "" if line.startswith("(") else line))
        z = float(words.get("Z", z))
        for axis, size in (("X", tag.width), ("Y", tag.height)):
            if axis in words:
                assert 0 <= float(words[axis]) <= size + 2 * tag.margin
        if line.startswith("G0") and "X" in words:
            assert z >= 1.0


def test_the_spindle_starts_before_the_first_cut_and_stops_at_the_end():
    lines = tag_program(Tag()).splitlines()
    first = next(n for n, line in enumerate(lines) if line.startswith("G1 "))
    assert lines.index("M3 S12000") < first
    assert lines[-3:] == ["M5", "G0 X0.000 Y0.000", "M2"]


def test_two_tabs_stand_in_the_last_pass():
    text = tag_program(Tag())
    assert text.count("G1 Z-2.000") == 4  # two sides in each of the two passes below the tab
