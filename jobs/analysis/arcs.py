"""Arcs: G2 and G3 in centre and radius form, cut into straight pieces as firmware does."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from jobs.analysis.arrays import Bools, Floats, Ints
from jobs.analysis.blocks import Blocks

# Source: gnea/grbl:grbl/defaults.h, DEFAULT_ARC_TOLERANCE [mm].
_TOLERANCE = 0.002
# Source: Marlin 2.1.2:Configuration_adv.h, MIN_ and MAX_ARC_SEGMENT_MM, MIN_CIRCLE_SEGMENTS.
_SHORTEST, _LONGEST, _FEWEST = 0.1, 1.0, 72
# A stranger's arc may be a light year long; beyond this the pieces only get longer.
MOST_PIECES = 500
# In firmware a smaller angle than this is a full circle (ARC_ANGULAR_TRAVEL_EPSILON).
_NO_ANGLE = 5e-7
# How far the two ends may differ in their distance from the centre [mm, share of the radius].
# Source: gnea/grbl:grbl/gcode.c, "Check if radius is within tolerance": error 33.
_SAME_RADIUS, _SAME_SHARE, _FAR_OFF = 0.005, 0.001, 0.5
# The plane's two axes and the one across it, for G17, G18, G19.
_PLANES = np.array([[0, 1, 2], [2, 0, 1], [1, 2, 0]])
_OFFSETS = np.array([[0, 1], [2, 0], [1, 2]])


@dataclass(frozen=True, slots=True)
class Arcs:
    """Arcs of a program, shapes (k,).

    :param move: index of the move each is.
    :param pieces: straight pieces it is cut into.
    :param centre: in the plane, shape (k, 2) [mm].
    :param angles: first angle and signed way, shape (k, 2) [rad].
    :param axes: the plane's axes and the one across, shape (k, 3).
    :param impossible: no circle goes through both ends as the line says.
    """

    move: Ints
    pieces: Ints
    centre: Floats
    radius: Floats
    angles: Floats
    axes: Ints
    start: Floats
    end: Floats
    impossible: Bools

    def points(self) -> Floats:
        """Return the points between the pieces, ends left out, shape (sum(pieces - 1), 3)."""
        inner = self.pieces - 1
        of = np.repeat(np.arange(len(inner)), inner)
        first = np.cumsum(inner) - inner
        share = (np.arange(len(of)) - first[of] + 1) / self.pieces[of]
        angle = self.angles[of, 0] + self.angles[of, 1] * share
        points = np.empty((len(of), 3))
        rows = np.arange(len(of))
        axes = self.axes[of]
        points[rows, axes[:, 0]] = self.centre[of, 0] + self.radius[of] * np.cos(angle)
        points[rows, axes[:, 1]] = self.centre[of, 1] + self.radius[of] * np.sin(angle)
        low = self.start[of, axes[:, 2]]
        points[rows, axes[:, 2]] = low + (self.end[of, axes[:, 2]] - low) * share
        return points


def read_arcs(blocks: Blocks, line: Ints, start: Floats, end: Floats, curved: Bools) -> Arcs:
    """Find centre, radius and angle of each arc; those that make no sense become straight.

    :param line: stream line of each move, shape (m,).
    :param start: shape (m, 3) [mm]; `end` likewise.
    :param curved: which moves are arcs, shape (m,).
    """
    move = np.flatnonzero(curved)
    at = line[move]
    plane = blocks.plane[at] - 17
    axes = _PLANES[plane]
    rows = np.arange(len(move))[:, None]
    begin, finish = start[move][rows, axes[:, :2]], end[move][rows, axes[:, :2]]
    clockwise = blocks.motion[at] == 20
    offsets = np.stack([blocks.length(letter)[at] for letter in "IJK"], axis=1)
    offset = offsets[rows, _OFFSETS[plane]]
    absolute = blocks.centre_absolute[at][:, None]
    offset = np.nan_to_num(np.where(absolute, offset - begin, offset))
    by_radius = blocks.length("R")[at]
    with np.errstate(invalid="ignore", divide="ignore"):
        radial = _offset_of(finish - begin, by_radius, clockwise)
    offset = np.where(np.isnan(by_radius)[:, None], offset, radial)
    centre = begin + offset
    radius = np.hypot(offset[:, 0], offset[:, 1])
    first = np.arctan2(-offset[:, 1], -offset[:, 0])
    way = np.arctan2(finish[:, 1] - centre[:, 1], finish[:, 0] - centre[:, 0]) - first
    way = np.where(clockwise, -(-way % (2 * np.pi)), way % (2 * np.pi))
    full = np.abs(way) < _NO_ANGLE
    way[full] = np.where(clockwise[full], -2 * np.pi, 2 * np.pi)
    pieces = _pieces(radius, way, blocks.modal)
    pieces[~np.isfinite(radius + way)] = 1
    apart = np.hypot(*(finish - begin).T)
    impossible = _impossible(np.hypot(*(finish - centre).T), radius, blocks.modal)
    impossible |= np.abs(by_radius) * 2.0 < apart - _SAME_RADIUS
    return Arcs(
        move=move,
        pieces=pieces,
        centre=centre,
        radius=radius,
        angles=np.stack((first, way), axis=1),
        axes=axes,
        start=start[move],
        end=end[move],
        impossible=impossible,
    )


def _offset_of(way: Floats, radius: Floats, clockwise: Bools) -> Floats:
    """Return the centre's offset of an arc in radius form, shape (k, 2).

    Source: gnea/grbl:grbl/gcode.c, "Arc Radius Mode"; a negative radius takes the longer way.
    """
    square = way[:, 0] ** 2 + way[:, 1] ** 2
    height = np.sqrt(np.maximum(4.0 * radius**2 - square, 0.0)) / np.sqrt(square)
    height = np.where(clockwise, -height, height)
    height = np.where(radius < 0.0, -height, height)
    x = 0.5 * (way[:, 0] - way[:, 1] * height)
    y = 0.5 * (way[:, 1] + way[:, 0] * height)
    return np.stack((x, y), axis=1)


def _impossible(end_radius: Floats, radius: Floats, grbl: bool) -> Bools:
    """Return arcs without a centre, and for Grbl those whose ends lie on two circles."""
    none: Bools = ~(radius >= 1e-9)
    if not grbl:
        return none
    off = np.abs(end_radius - radius)
    far: Bools = (off > _SAME_RADIUS) & ((off > _FAR_OFF) | (off > _SAME_SHARE * radius))
    return none | far


def _pieces(radius: Floats, way: Floats, grbl: bool) -> Ints:
    """Return into how many pieces each arc is cut.

    Source: gnea/grbl:grbl/motion_control.c, mc_arc; Marlin:src/gcode/motion/G2_G3.cpp, plan_arc.
    """
    length = np.nan_to_num(radius * np.abs(way))
    if grbl:
        sagitta = np.maximum(_TOLERANCE * (2.0 * radius - _TOLERANCE), 1e-12)
        wanted = 0.5 * length / np.sqrt(np.nan_to_num(sagitta, nan=1.0))
    else:
        share = np.nan_to_num(np.abs(way)) / (2.0 * np.pi)
        fewest = np.ceil(_FEWEST * share - 1e-9)
        usual = np.maximum(np.floor(length / _LONGEST), np.maximum(fewest, 1.0))
        piece = length / usual
        wanted = np.where(piece > _LONGEST, np.ceil(length / _LONGEST), usual)
        wanted = np.where(piece < _SHORTEST, np.floor(length / _SHORTEST), wanted)
    pieces: Ints = np.clip(wanted, 1, MOST_PIECES).astype(np.int64)
    return pieces
