"""Whether a machine is large enough for a part, and how the part must lie for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations, product

import numpy as np

from jobs.analysis.arrays import Floats
from jobs.analysis.mesh.surface import Surface
from jobs.domain.machine import MachineLimits

_STEPS, _STEPS_OF_MANY = 720, 180  # turns tried, half a circle
_MANY = 100_000  # corners
_HAIR = 1e-6  # mm: a part of exactly the envelope's size fits
_BATCH = 10_000  # corners at once


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine to hold a part against.

    :param wanted: it may make the part; the others are looked at for a person to know.
    """

    slug: str
    name: str
    limits: MachineLimits
    wanted: bool = True

    @classmethod
    def from_json(cls, values: Mapping[str, object]) -> Machine:
        """Read `slug`, `name`, `limits` and `wanted`."""
        limits = values["limits"]
        assert isinstance(limits, Mapping)
        wanted = values.get("wanted") is not False
        return cls(
            str(values["slug"]), str(values["name"]), MachineLimits.from_json(limits), wanted
        )


@dataclass(frozen=True, slots=True)
class Fit:
    """How a part fits a machine.

    :param orientations: how many of the 24 ways along the axes fit.
    :param as_is: it fits as the file has it.
    :param up: which axis of the file looks up in the way shown, such as `+z`; "" if none fits.
    :param turn: about the upright by how much [°] in the way shown, 0 to 180.
    """

    machine: Machine
    orientations: int
    as_is: bool
    up: str = ""
    turn: float = 0.0

    @property
    def fits(self) -> bool:
        """Tell whether there is any way that fits."""
        return self.up != ""

    def to_json(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {
            "machine": self.machine.slug,
            "name": self.machine.name,
            "envelope_mm": list(self.machine.limits.envelope_mm),
            "wanted": self.machine.wanted,
            "fits": self.fits,
            "as_is": self.as_is,
            "orientations": self.orientations,
            "up": self.up or None,
            "turn_deg": round(self.turn, 2) if self.fits else None,
        }


def turned(surface: Surface, up: str, turn: float) -> Surface:
    """Return a copy that stands as a `Fit` says.

    :param up: which axis of the file shall look up, such as `-y`.
    :param turn: about the upright then [°].
    """
    matrix = next(each for each in rotations() if _axis(each) == up)
    angle = np.radians(turn)
    spin = np.array(
        [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
    )
    return Surface(surface.vertices @ (spin @ matrix).T, surface.faces)


def rotations() -> list[Floats]:
    """Return the 24 ways to turn a box onto itself, each shape (3, 3); the first turns nothing."""
    found = []
    for order in permutations(range(3)):
        for signs in product((1.0, -1.0), repeat=3):
            matrix = np.zeros((3, 3))
            matrix[range(3), order] = signs
            if np.linalg.det(matrix) > 0:
                found.append(matrix)
    return found


def fits_of(surface: Surface, machines: Sequence[Machine]) -> list[Fit]:
    """Return how a part fits each machine: along the axes, else turned about the upright."""
    if not machines:
        return []
    size = np.ptp(surface.bounds, axis=0)
    known: dict[int, Floats] = {}  # most parts fit along the axes, and nobody needs these

    def widths(axis: int) -> Floats:
        if axis not in known:
            known[axis] = _widths(surface.vertices, axis)
        return known[axis]

    return [_fit(size, widths, machine) for machine in machines]


def _fit(size: Floats, widths: Callable[[int], Floats], machine: Machine) -> Fit:
    room = np.array(machine.limits.envelope_mm) + _HAIR
    ways = [matrix for matrix in rotations() if (np.abs(matrix) @ size <= room).all()]
    as_is = bool((size <= room).all())
    if ways:
        matrix = np.eye(3) if as_is else ways[0]
        upright = int(np.argmax(np.abs(matrix[2])))
        # Along the axes it stands as it is, or turned by a quarter.
        beside = [axis for axis in range(3) if axis != upright]
        is_turned = not (size[beside] <= room[:2]).all()
        return Fit(machine, len(ways), as_is, _axis(matrix), 90.0 if is_turned else 0.0)
    for axis in (2, 1, 0):
        turn = _turn(widths(axis), size[axis], room)
        if turn is not None:
            # To bring a direction onto X means to turn against it; with Y up, Z runs backward.
            return Fit(machine, 0, False, "+" + "xyz"[axis], turn if axis == 1 else -turn % 180)
    return Fit(machine, 0, False)


def _axis(matrix: Floats) -> str:
    """Return which axis of the file a rotation brings up, such as `-y`."""
    axis = int(np.argmax(np.abs(matrix[2])))
    return ("+" if matrix[2, axis] > 0 else "-") + "xyz"[axis]


def _widths(vertices: Floats, upright: int) -> Floats:
    """Return how wide a part is at each turn about an axis, steps from 0 to 180°; shape (k,)."""
    beside = [axis for axis in range(3) if axis != upright]
    steps = _STEPS if len(vertices) <= _MANY else _STEPS_OF_MANY
    angles = np.arange(steps) / steps * np.pi
    ways = np.stack((np.cos(angles), np.sin(angles)))
    low, high = np.full(len(angles), np.inf), np.full(len(angles), -np.inf)
    for begin in range(0, len(vertices), _BATCH):
        along = vertices[begin : begin + _BATCH, beside] @ ways
        low, high = np.minimum(low, along.min(axis=0)), np.maximum(high, along.max(axis=0))
    return np.asarray(high - low)


def _turn(widths: Floats, height: float, room: Floats) -> float | None:
    """Return the least turn [°] at which it fits; None if there is none."""
    if height > room[2]:
        return None
    deep = np.roll(widths, -(len(widths) // 2))  # a quarter further on
    good = np.flatnonzero((widths <= room[0]) & (deep <= room[1]))
    return float(good[0]) * 180.0 / len(widths) if len(good) else None
