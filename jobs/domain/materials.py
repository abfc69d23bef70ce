"""How heavy materials are, a table that a lab may add to; and how hot a nozzle may be for them."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Final

from jobs.domain.errors import InvalidError

FILE: Final = "materials.toml"
_HEAVIEST: Final = 25.0  # g/cm³: nothing a lab works with is heavier


def load_materials(own: Path | None = None) -> Mapping[str, float]:
    """Return density [g/cm³] by material.

    :param own: the lab's own table, which adds to ours and wins; may be missing.
    :raises InvalidError: `materials.unreadable` or `materials.density`, naming the entry.
    """
    table = _read((resources.files("jobs.domain") / FILE).read_text(encoding="utf-8"), FILE)
    if own is not None and own.is_file():
        try:
            text = own.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidError("materials.unreadable", file=str(own), reason=str(error)) from error
        table |= _read(text, str(own))
    return table


def density_of(material: str, table: Mapping[str, float]) -> float:
    """Return a material's density [g/cm³]; upper and lower case are one.

    :raises InvalidError: `materials.unknown`, with what is known.

    >>> density_of("pla", {"PLA": 1.24})
    1.24
    """
    for name, density in table.items():
        if name.casefold() == material.casefold():
            return density
    known = ", ".join(sorted(table, key=str.casefold))
    raise InvalidError("materials.unknown", field="material", material=material, known=known)


def nozzle_most(materials: Iterable[str]) -> float | None:
    """Return the hottest that a nozzle may be for any of some filaments [°C].

    :param materials: as slicers call them; None comes back where one of them is not known.

    >>> nozzle_most(["pla", "PETG"]), nozzle_most(["PLA", "unobtainium"]), nozzle_most([])
    (290.0, None, None)
    """
    text = (resources.files("jobs.domain") / FILE).read_text(encoding="utf-8")
    table = {
        name.upper(): float(most) for name, most in tomllib.loads(text)["nozzle_max_c"].items()
    }
    found = [table.get(material.strip().upper(), 0.0) for material in materials]
    return max(found) if found and all(found) else None


def _read(text: str, file: str) -> dict[str, float]:
    try:
        table = tomllib.loads(text).get("density_g_cm3", {})
    except tomllib.TOMLDecodeError as error:
        raise InvalidError("materials.unreadable", file=file, reason=str(error)) from error
    if not isinstance(table, dict):
        raise InvalidError("materials.unreadable", file=file, reason="density_g_cm3")
    for name, density in table.items():
        is_number = isinstance(density, int | float) and not isinstance(density, bool)
        if not is_number or not 0 < density <= _HEAVIEST:
            raise InvalidError("materials.density", file=file, material=name, limit_g_cm3=_HEAVIEST)
    return {str(name): float(density) for name, density in table.items()}
