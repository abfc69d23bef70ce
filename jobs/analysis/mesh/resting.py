"""How a part may lie: what hangs over in each way, and which way is best for a printer.

An overhang is skin that looks down steeper than an angle from upright; what lies on the bed is
none. Bridges are not told from overhangs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from jobs.analysis.arrays import Floats
from jobs.analysis.mesh.surface import Surface, normals_and_areas

_FLAT_MM = 0.2  # a first layer: what is no higher lies on the bed
_MOST_SIDES = 12
_HELD = 0.01  # of the skin: on less of it nothing stands
_LIKE = 0.02  # of the skin: two ways whose overhangs differ by less are alike
_STEEP, _STEEPER = np.sin(np.radians(45.0)), np.sin(np.radians(60.0))


@dataclass(frozen=True, slots=True)
class Rest:
    """One way to lie.

    :param down: which way of the file looks down, unit vector.
    :param overhang_45: skin that looks down steeper than 45° from upright [mm²].
    :param overhang_60: the same, 60°.
    :param contact: skin on the bed [mm²].
    :param height: of the part then [mm].
    """

    down: tuple[float, float, float]
    overhang_45: float
    overhang_60: float
    contact: float
    height: float

    def to_json(self) -> dict[str, object]:
        """Return plain JSON values, units in the names."""
        return {
            "down": [round(part, 4) + 0.0 for part in self.down],
            "overhang_45_mm2": round(self.overhang_45, 2),
            "overhang_60_mm2": round(self.overhang_60, 2),
            "contact_mm2": round(self.contact, 2),
            "height_mm": round(self.height, 3),
        }


def rests_of(surface: Surface) -> tuple[Rest, Rest]:
    """Return how it lies in the file, and the best way of the axes' six and of its flat sides.

    Best is what overhangs least, of those the one that is held by most skin on the bed.
    """
    normals, areas = normals_and_areas(surface)
    as_is = _rest(surface, normals, areas, np.array([0.0, 0.0, -1.0]))
    axes = np.concatenate((-np.eye(3)[::-1], np.eye(3)))
    rests = [as_is]
    rests += [
        _rest(surface, normals, areas, down)
        for down in np.concatenate((axes[1:], _flat_sides(normals, areas)))
    ]
    total = float(areas.sum())

    def rank(rest: Rest) -> tuple[bool, int, bool, float]:
        # Upright as drawn wins among the alike: its author thought of it so.
        overhang = round(rest.overhang_45 / (total * _LIKE)) if total else 0
        return rest.contact < total * _HELD, overhang, rest is not as_is, rest.height

    return as_is, min(rests, key=rank)


def _rest(surface: Surface, normals: Floats, areas: Floats, down: Floats) -> Rest:
    vertices, faces = surface.vertices, surface.faces
    depth = vertices @ down
    lowest = float(depth.max())
    is_low = depth > lowest - _FLAT_MM
    lies = is_low[faces[:, 0]] & is_low[faces[:, 1]] & is_low[faces[:, 2]]
    looks_down = normals @ down
    # A hair more, so that skin at exactly the angle counts as printable.
    steep = (looks_down > _STEEP + 1e-6) & ~lies
    steeper = (looks_down > _STEEPER + 1e-6) & ~lies
    held = lies & (looks_down > _STEEPER)
    return Rest(
        (float(down[0]), float(down[1]), float(down[2])),
        float(areas[steep].sum()),
        float(areas[steeper].sum()),
        float(areas[held].sum()),
        lowest - float(depth.min()),
    )


def _flat_sides(normals: Floats, areas: Floats) -> Floats:
    """Return where the part's largest flat sides look, shape (k, 3).

    One that lies within a hollow is no side to lie on: nothing touches the bed there.
    """
    # Faces of one side look the same way but for the last digits.
    code = np.round(normals, 3) @ np.array([1.0, 1e4, 1e8])
    _, first, side = np.unique(code, return_index=True, return_inverse=True)
    largest = np.argsort(-np.bincount(side, areas), kind="stable")[:_MOST_SIDES]
    found = normals[first[largest]]
    return np.asarray(found[(found != 0).any(axis=1)])
