"""A router program of our own: a name tag of thin plywood, with a hole, held by tabs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tag:
    """The tag and how it is cut; lengths mm, feedrates mm/min, speed 1/min.

    The work zero is the lower left corner of the blank, on its top; the tag lies *margin* inside.
    """

    width: float = 60.0
    height: float = 30.0
    corner: float = 5.0
    hole: float = 6.0  # diameter
    thickness: float = 3.0
    cutter: float = 3.0  # diameter
    step_down: float = 1.1
    through: float = 0.2  # below the sheet: into the spoil board
    tab_width: float = 6.0
    tab_height: float = 1.0
    margin: float = 5.0  # of the blank around the tag, more than the cutter
    feed_mm_min: float = 800.0
    plunge_mm_min: float = 200.0
    spindle_rpm: int = 12000
    safe: float = 5.0


def tag_program(tag: Tag) -> str:
    """Return the program: the hole first, then the outline in passes that leave two tabs."""
    return "\n".join([*_head(tag), *_hole(tag), *_outline(tag), *_foot(tag)]) + "\n"


def _head(tag: Tag) -> Iterator[str]:
    yield f"(plywood tag {tag.width:g} x {tag.height:g} x {tag.thickness:g} mm, made by fabnode)"
    blank = (tag.width + 2 * tag.margin, tag.height + 2 * tag.margin)
    yield f"(cutter {tag.cutter:g} mm, blank {blank[0]:g} x {blank[1]:g} mm)"
    yield "(work zero: lower left corner of the blank, on its top)"
    yield from ("G21", "G90", "G17", "G94", "G54")
    yield f"G0 Z{tag.safe:.3f}"
    yield f"M3 S{tag.spindle_rpm}"
    yield "G4 P2"  # the spindle needs its time to reach its speed


def _foot(tag: Tag) -> Iterator[str]:
    yield f"G0 Z{tag.safe:.3f}"
    yield "M5"
    yield "G0 X0.000 Y0.000"
    yield "M2"


def _depths(tag: Tag) -> list[float]:
    """Return the level of each pass, below zero; the last one goes through the sheet.

    >>> _depths(Tag(thickness=2.0, step_down=1.0, through=0.5))
    [-0.833, -1.667, -2.5]
    """
    full = tag.thickness + tag.through
    passes = max(1, -int(-full // tag.step_down))
    return [-round(full * (number + 1) / passes, 3) for number in range(passes)]


def _at(tag: Tag, x: float, y: float) -> str:
    """Return the words for a point that is measured from the tag's own corner."""
    return f"X{x + tag.margin:.3f} Y{y + tag.margin:.3f}"


def _hole(tag: Tag) -> Iterator[str]:
    x, y = tag.corner + tag.hole / 2, tag.height / 2
    radius = (tag.hole - tag.cutter) / 2
    yield f"G0 {_at(tag, x + radius, y)}"
    yield "G0 Z1.000"
    for z in _depths(tag):
        yield f"G1 Z{z:.3f} F{tag.plunge_mm_min:.0f}"
        yield f"G3 {_at(tag, x + radius, y)} I{-radius:.3f} J0.000 F{tag.feed_mm_min:.0f}"
    yield f"G0 Z{tag.safe:.3f}"


def _outline(tag: Tag) -> Iterator[str]:
    """Once around for each pass, clockwise (climb milling), starting on the left side."""
    away = tag.cutter / 2
    yield f"G0 {_at(tag, -away, tag.height / 2)}"
    yield "G0 Z1.000"
    tab_z = tag.tab_height - tag.thickness
    for z in _depths(tag):
        yield f"G1 Z{z:.3f} F{tag.plunge_mm_min:.0f}"
        yield from _around(tag, away, z, tab_z)


def _around(tag: Tag, away: float, z: float, tab_z: float) -> Iterator[str]:
    left, right, low, high = -away, tag.width + away, -away, tag.height + away
    corner, turn = tag.corner, tag.corner + away
    yield f"G1 {_at(tag, left, tag.height - corner)} F{tag.feed_mm_min:.0f}"
    yield f"G2 {_at(tag, corner, high)} I{turn:.3f} J0.000"
    yield from _side(tag, high, 1.0, z, tab_z)
    yield f"G1 {_at(tag, tag.width - corner, high)}"
    yield f"G2 {_at(tag, right, tag.height - corner)} I0.000 J{-turn:.3f}"
    yield f"G1 {_at(tag, right, corner)}"
    yield f"G2 {_at(tag, tag.width - corner, low)} I{-turn:.3f} J0.000"
    yield from _side(tag, low, -1.0, z, tab_z)
    yield f"G1 {_at(tag, corner, low)}"
    yield f"G2 {_at(tag, left, corner)} I0.000 J{turn:.3f}"
    yield f"G1 {_at(tag, left, tag.height / 2)}"


def _side(tag: Tag, y: float, direction: float, z: float, tab_z: float) -> Iterator[str]:
    """Hop over the tab in the middle of a long side, where the pass is deeper than its top."""
    if z < tab_z:
        half = direction * (tag.tab_width + tag.cutter) / 2
        middle = tag.width / 2
        yield f"G1 {_at(tag, middle - half, y)}"
        yield f"G1 Z{tab_z:.3f}"
        yield f"G1 {_at(tag, middle + half, y)}"
        yield f"G1 Z{z:.3f} F{tag.plunge_mm_min:.0f}"
        yield f"G1 F{tag.feed_mm_min:.0f}"
