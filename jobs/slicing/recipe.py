"""Slicer settings under one name and version: what turns an export into a program."""

from __future__ import annotations

import difflib
import math
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from importlib import resources
from pathlib import Path

from jobs.domain.errors import InvalidError

_REQUIRED = ("name", "version", "slicer", "material")


class RecipeError(InvalidError):
    """A recipe file is wrong; `field` names the key, `fields` the nearest right one."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """The settings of one material at one quality; the unit is in each name, as in the file.

    :param infill: share of the inside that is filled, 0 to 1.
    :param nozzle_mm: 0 takes the machine's nozzle.
    """

    name: str
    version: str
    slicer: str  # a key of SLICERS
    material: str
    kind: str = "fdm"
    density_g_cm3: float = 1.24
    nozzle_c: int = 210
    nozzle_first_c: int = 215
    bed_c: int = 60
    nozzle_mm: float = 0.0
    layer_height_mm: float = 0.2
    first_layer_mm: float = 0.2
    infill: float = 0.15
    perimeters: int = 2
    solid_layers: int = 3  # each at the top and at the bottom
    speed_mm_s: float = 60.0
    outer_speed_mm_s: float = 40.0
    first_speed_mm_s: float = 20.0
    travel_mm_s: float = 150.0
    retract_mm: float = 0.8
    retract_mm_s: float = 35.0
    fan: float = 1.0  # 0 to 1
    skirt_loops: int = 1
    brim_mm: float = 0.0
    supports: bool = False

    def to_json(self) -> dict[str, object]:
        """Return plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, object]) -> Recipe:
        """Read and check the values of a recipe.

        :raises RecipeError: for an unknown key, a missing one, a wrong type or a wrong number.
        """
        known = {field.name: str(field.type) for field in fields(cls)}
        for key in values:
            if key not in known:
                nearest = difflib.get_close_matches(key, known, n=1, cutoff=0.0)[0]
                raise RecipeError("recipe.unknown_key", field=key, nearest=nearest)
        for key in _REQUIRED:
            if key not in values:
                raise RecipeError("recipe.missing_key", field=key)
        checked = {key: _typed(key, value, known[key]) for key, value in values.items()}
        recipe = cls(**checked)  # type: ignore[arg-type]
        recipe._check()
        return recipe

    def _check(self) -> None:
        values = self.to_json()
        for field, (low, high) in _RANGES.items():
            value = values[field]
            assert isinstance(value, int | float)
            if not low <= value <= high:
                raise RecipeError(
                    "recipe.out_of_range", field=field, value=value, low=low, high=high
                )


# What an FDM machine can sensibly be asked; outside lies a slip of the unit or of the keyboard.
_RANGES: Mapping[str, tuple[float, float]] = {
    "density_g_cm3": (0.1, 10.0),
    "nozzle_c": (0, 500),
    "nozzle_first_c": (0, 500),
    "bed_c": (0, 200),
    "nozzle_mm": (0.0, 2.0),
    "layer_height_mm": (0.02, 2.0),
    "first_layer_mm": (0.02, 2.0),
    "infill": (0.0, 1.0),
    "perimeters": (1, 20),
    "solid_layers": (0, 50),
    "speed_mm_s": (1.0, 1000.0),
    "outer_speed_mm_s": (1.0, 1000.0),
    "first_speed_mm_s": (1.0, 1000.0),
    "travel_mm_s": (1.0, 1000.0),
    "retract_mm": (0.0, 20.0),
    "retract_mm_s": (1.0, 200.0),
    "fan": (0.0, 1.0),
    "skirt_loops": (0, 20),
    "brim_mm": (0.0, 50.0),
}


def _typed(key: str, value: object, wanted: str) -> str | int | float | bool:
    match wanted, value:
        case "bool", bool():
            return value
        case _, bool():
            pass
        case "str", str():
            return value
        case "int", int():
            return value
        case "float", int() | float() if math.isfinite(value):
            return float(value)
    raise RecipeError("recipe.bad_value", field=key, wanted=wanted)


def recipe_names(folder: Path | None = None) -> list[str]:
    """Return the names of the recipes of the package and of *folder*."""
    packaged = {
        Path(entry.name).stem
        for entry in (resources.files("jobs.slicing") / "recipes").iterdir()
        if entry.name.endswith(".toml")
    }
    own = {path.stem for path in folder.glob("*.toml")} if folder else set()
    return sorted(packaged | own)


def load_recipe(name: str, folder: Path | None = None) -> Recipe:
    """Return the recipe *name*; a file in *folder* wins over the package's.

    :raises RecipeError: if there is none of that name, or its file is wrong.
    """
    if name not in recipe_names(folder):
        raise RecipeError(
            "recipe.unknown", field="recipe", name=name, known=", ".join(recipe_names(folder))
        )
    own = folder / f"{name}.toml" if folder else None
    if own is not None and own.is_file():
        text = own.read_text(encoding="utf-8")
    else:
        packaged = resources.files("jobs.slicing") / "recipes" / f"{name}.toml"
        text = packaged.read_text(encoding="utf-8")
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(
            "recipe.unreadable", field="recipe", name=name, reason=str(error)
        ) from error
    return Recipe.from_json({"name": name, **values})
