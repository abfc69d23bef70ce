"""The seam between a recipe and the program that carries it out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Protocol

from jobs.domain.machine import MachineLimits
from jobs.slicing import generator, prusaslicer
from jobs.slicing.recipe import Recipe
from jobs.slicing.sliced import Sliced, SlicingError


class Slicer(Protocol):
    """Anything that makes a program of a mesh."""

    def __call__(self, mesh: Path, recipe: Recipe, limits: MachineLimits, program: Path) -> Sliced:
        """Write *program*.

        :raises SlicingError: with a reason, if it cannot be done.
        """
        ...


SLICERS: Final[Mapping[str, Slicer]] = {
    "prusaslicer": prusaslicer.slice_mesh,
    "builtin": generator.slice_prism,
}
_AVAILABLE: Final[Mapping[str, Callable[[], bool]]] = {"prusaslicer": prusaslicer.is_installed}


def slicer_available(name: str) -> bool:
    """Tell whether the slicer *name* can be run on this computer."""
    return name in SLICERS and _AVAILABLE.get(name, lambda: True)()


def slice_file(mesh: Path, recipe: Recipe, limits: MachineLimits, program: Path) -> Sliced:
    """Make *program* of *mesh* with the slicer that the recipe names.

    :raises SlicingError: with a reason, if it cannot be done.
    """
    if recipe.slicer not in SLICERS:
        raise SlicingError("no-such-slicer", recipe.slicer)
    return SLICERS[recipe.slicer](mesh, recipe, limits, program)


__all__ = ["SLICERS", "Sliced", "Slicer", "SlicingError", "slice_file", "slicer_available"]
