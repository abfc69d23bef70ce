"""What a slicer gives back, and how it says no."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

from jobs.domain.errors import JobsError


class SlicingError(JobsError):
    """The slicer made no program; `reason` is a stable word, `detail` its own."""

    def __init__(self, reason: str, detail: str = "") -> None:
        self.reason = reason
        self.detail = detail
        super().__init__(f"slicing.{reason}", detail=detail)

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}" if self.detail else self.reason


@dataclass(frozen=True, slots=True)
class Sliced:
    """A program that was made of a mesh.

    :param time_s: the slicer's own estimate; ours comes from `jobs.analysis`. None: none given.
    :param mass_g: filament times the recipe's density.
    """

    slicer: str
    recipe: str
    recipe_version: str
    bytes: int
    filament_mm: float
    mass_g: float
    time_s: float | None

    def to_json(self) -> dict[str, object]:
        """Return plain JSON values."""
        return asdict(self)


def filament_mass_g(length_mm: float, diameter_mm: float, density_g_cm3: float) -> float:
    """Return the mass of a length of filament [g].

    >>> round(filament_mass_g(1000.0, 1.75, 1.24), 2)
    2.98
    """
    return length_mm * math.pi * diameter_mm**2 / 4.0 * density_g_cm3 / 1000.0
