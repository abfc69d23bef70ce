"""Everything there is to know of a mesh before it is made, as JSON values with findings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from jobs.analysis.arrays import Floats
from jobs.analysis.mesh.fitting import Fit, Machine, fits_of, turned
from jobs.analysis.mesh.mending import Defects, cavities_of, defects_of, mended, volume_of
from jobs.analysis.mesh.reading import MeshError, read_surface, write_stl
from jobs.analysis.mesh.resting import Rest, rests_of
from jobs.analysis.mesh.surface import Surface, edges_of, normals_and_areas, pieces_of
from jobs.analysis.mesh.units import guesses_of, is_suspicious
from jobs.analysis.mesh.walls import Walls, walls_of
from jobs.analysis.sniff import FileKind, sniff
from jobs.domain.preflight import Finding, FindingCode, Severity

DEFAULT_NOZZLE_MM = 0.4
# Thin skin that is worth a word: one part in two hundred of it.
_THIN_SHARE = 0.005
# Overhang that is worth a word: [mm²], and as a part of the skin where no other way is better.
_OVERHANG_MM2 = 100.0
_OVERHANG_SHARE = 0.15
_BETTER = 0.5


@dataclass(frozen=True, slots=True)
class Wish:
    """What a mesh is to be held against.

    :param machines: each is asked whether the part fits; findings come only if none does.
    :param material: its name and density [g/cm³], for the mass of the solid part.
    """

    machines: Sequence[Machine] = ()
    material: tuple[str, float] | None = None

    @property
    def nozzle(self) -> float:
        """Return the finest nozzle there is [mm]."""
        known = [one.limits.nozzle_mm for one in self.machines if one.limits.nozzle_mm > 0]
        return min(known, default=DEFAULT_NOZZLE_MM)


@dataclass(slots=True)
class _Told:
    """A report under way."""

    values: dict[str, object]
    findings: list[Finding] = field(default_factory=list)

    def note(self, code: FindingCode, **fields: str | int | float) -> None:
        self.findings.append(Finding(code, Severity.NOTE, None, fields))

    def block(self, code: FindingCode, **fields: str | int | float) -> None:
        self.findings.append(Finding(code, Severity.BLOCK, None, fields))


def inspect_mesh(path: Path, wish: Wish | None = None) -> dict[str, object]:
    """Return what a mesh is, as JSON values with `findings`. Never raises for its content.

    Sizes and counts are checked before anything is loaded. Without a readable mesh the numbers
    are null.
    """
    kind = sniff(path)
    told = _Told({
        "kind": "mesh", "format": kind.value, "triangles": None, "watertight": None,
        "bodies": None, "volume_mm3": None, "size_mm": None, "bounds_mm": None,
        "units_suspicious": False,
    })  # fmt: skip
    try:
        surface = read_surface(path, kind)
    except MeshError as error:
        told.findings.append(error.finding)
    else:
        _tell(told, surface, wish or Wish(), has_units=kind in (FileKind.THREE_MF, FileKind.STEP))
    return {**told.values, "findings": [finding.to_json() for finding in told.findings]}


def copy_mesh(
    path: Path, out: Path, *, scale: float = 1.0, up: str = "+z", turn: float = 0.0
) -> dict[str, object]:
    """Write `copy.stl` of a mesh into a folder: repaired, scaled, turned.

    :param scale: 25.4 for a file that was drawn in inches.
    :param up: the axis of the file that shall look up, and *turn* [°] about it, as `fits` says.
    :returns: `repair`, what was changed, as `inspect_mesh` offers it; null with `findings` where
        nothing can be read.
    """
    try:
        surface = read_surface(path, sniff(path))
    except MeshError as error:
        return {"repair": None, "findings": [error.finding.to_json()]}
    copy, offer = _repair(Surface(surface.vertices * scale, surface.faces))
    write_stl(turned(copy, up, turn), out / "copy.stl")
    return {"repair": {**offer, "scale": scale, "up": up, "turn_deg": turn}, "findings": []}


def _tell(told: _Told, surface: Surface, wish: Wish, *, has_units: bool) -> None:
    edges = edges_of(surface.faces)
    _, areas = normals_and_areas(surface)
    defects = defects_of(surface, edges, areas)
    cavities = cavities_of(surface, edges)
    bounds = surface.bounds
    size: Floats = bounds[1] - bounds[0]
    volume = volume_of(surface)
    told.values |= {
        "triangles": len(surface.faces),
        "watertight": edges.watertight,
        "bodies": pieces_of(surface)[0] - cavities,
        "cavities": cavities,
        "volume_mm3": round(volume, 3),
        "area_mm2": round(float(areas.sum()), 3),
        "size_mm": _rounded(size),
        "bounds_mm": {"min": _rounded(bounds[0]), "max": _rounded(bounds[1])},
        "defects": asdict(defects),
    }
    if wish.material is not None:
        name, density = wish.material
        told.values |= {"material": name, "mass_solid_g": round(volume / 1000.0 * density, 3)}
    _tell_repair(told, surface, defects, watertight=edges.watertight)
    _tell_units(told, float(size.max()), has_units=has_units)
    _tell_fit(told, surface, wish, size)
    _tell_walls(told, walls_of(surface), wish.nozzle)
    _tell_rest(told, *rests_of(surface), float(areas.sum()))


def _repair(surface: Surface) -> tuple[Surface, dict[str, object]]:
    """Return a repaired copy, and what was changed in plain JSON values."""
    copy, changes = mended(surface)
    edges = edges_of(copy.faces)
    return copy, {
        **asdict(changes),
        "triangles": len(copy.faces),
        "watertight": edges.watertight,
        "volume_before_mm3": round(volume_of(surface), 3),
        "volume_after_mm3": round(volume_of(copy), 3),
    }


def _tell_repair(told: _Told, surface: Surface, defects: Defects, *, watertight: bool) -> None:
    """Say what is wrong, and offer the repair that would help."""
    told.values["repair"] = None
    if defects.open_edges:
        told.note(FindingCode.NOT_WATERTIGHT, holes=defects.holes, open_edges=defects.open_edges)
    elif not watertight or defects.branching_edges:
        told.note(FindingCode.BRANCHING_EDGES, count=defects.branching_edges)
    if defects.inverted_faces:
        told.note(FindingCode.INVERTED_FACES, count=defects.inverted_faces)
    if defects.duplicate_faces:
        told.note(FindingCode.DUPLICATE_FACES, count=defects.duplicate_faces)
    if not (defects.open_edges or defects.inverted_faces or defects.duplicate_faces):
        return
    copy, offer = _repair(surface)
    if len(copy.faces) and any(
        offer[key] for key in ("merged_vertices", "removed_duplicates", "flipped_faces",
                               "filled_holes", "removed_collapsed")
    ):  # fmt: skip
        told.values["repair"] = offer


def _tell_units(told: _Told, longest: float, *, has_units: bool) -> None:
    told.values["units_suspicious"] = is_suspicious(longest)
    guesses = [] if has_units else guesses_of(longest)
    told.values["units_guesses"] = [
        {"unit": guess.unit, "size_mm": round(guess.size, 3)} for guess in guesses
    ]
    if not is_suspicious(longest):
        return
    fields: dict[str, str | int | float] = {"size_mm": round(longest, 4)}
    if guesses:
        fields |= {"unit": guesses[0].unit, "then_mm": round(guesses[0].size, 1)}
        told.note(FindingCode.UNITS_LIKELY, **fields)
    else:
        told.note(FindingCode.UNITS_SUSPICIOUS, **fields)


def _tell_fit(told: _Told, surface: Surface, wish: Wish, size: Floats) -> None:
    fits = fits_of(surface, wish.machines)
    told.values["fits"] = [fit.to_json() for fit in fits]
    fits = [fit for fit in fits if fit.machine.wanted]
    if not fits:
        return
    if not any(fit.fits for fit in fits):
        largest = max(fits, key=lambda fit: float(np.prod(fit.machine.limits.envelope_mm)))
        told.block(
            FindingCode.DOES_NOT_FIT,
            size_mm=_written(size),
            envelope_mm=_written(np.array(largest.machine.limits.envelope_mm)),
        )
    elif not any(fit.as_is for fit in fits):
        best = next(fit for fit in fits if fit.fits)
        told.note(FindingCode.FITS_TURNED, **_turn_of(best))


def _turn_of(fit: Fit) -> dict[str, str | int | float]:
    return {"machine": fit.machine.name, "up": fit.up.upper(), "turn_deg": round(fit.turn, 2)}


def _tell_walls(told: _Told, walls: Walls, nozzle: float) -> None:
    thinnest = walls.thinnest
    if thinnest is None:
        told.values["walls"] = None
        return
    share = walls.share_below(nozzle)
    told.values["walls"] = {
        "thinnest_mm": round(thinnest, 3),
        "median_mm": round(float(np.median(walls.thickness)), 3),
        "nozzle_mm": nozzle,
        "below_nozzle": round(share, 4),
        "rays": walls.rays,
    }
    if share >= _THIN_SHARE and not told.values["units_suspicious"]:
        told.note(
            FindingCode.THIN_WALLS,
            thinnest_mm=round(thinnest, 2),
            nozzle_mm=nozzle,
            percent=round(share * 100, 1),
        )


def _tell_rest(told: _Told, as_is: Rest, best: Rest, area: float) -> None:
    told.values["resting"] = {"as_is": as_is.to_json(), "best": best.to_json()}
    if as_is.overhang_45 < _OVERHANG_MM2:
        return
    fields = {
        "overhang_cm2": round(as_is.overhang_45 / 100, 1),
        "best_cm2": round(best.overhang_45 / 100, 1),
    }
    if best.overhang_45 < as_is.overhang_45 * _BETTER:
        told.note(FindingCode.OVERHANGS_BETTER, down=_way(best.down), **fields)
    elif as_is.overhang_60 > area * _OVERHANG_SHARE:
        told.note(FindingCode.OVERHANGS, **fields)


def _way(down: tuple[float, float, float]) -> str:
    """Return a direction as people write it: `-Y`, or three numbers for one askew."""
    axis = int(np.argmax(np.abs(down)))
    if abs(down[axis]) > 0.999:
        return ("+" if down[axis] > 0 else "−") + "XYZ"[axis]
    return " ".join(f"{part:.2f}" for part in down)


def _rounded(values: Floats) -> list[float]:
    return [round(float(value), 4) + 0.0 for value in values]


def _written(values: Floats) -> str:
    return " × ".join(f"{float(value):g}" for value in values)
