"""Our own small program generator, so that work goes on where no slicer is installed.

It prints prisms only (the same outline at every height, a binary STL standing on its bottom),
without supports, bridges or thin walls: outlines narrower than twice the perimeters come out wrong.
Everything else is a refusal with a reason, never a bad program.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from jobs.domain.machine import MachineLimits
from jobs.slicing.prism import Loop, Point, Prism, hatch, inset, read_prism
from jobs.slicing.recipe import Recipe
from jobs.slicing.sliced import Sliced, SlicingError, filament_mass_g

_WIDTH_PER_NOZZLE: Final = 1.125  # extrusion width over nozzle, as slicers choose it
_TRAVEL_WITH_RETRACT_MM: Final = 2.0
_OVERLAP: Final = 0.25  # of a width: how far the filling runs into the innermost perimeter


def slice_prism(mesh: Path, recipe: Recipe, limits: MachineLimits, program: Path) -> Sliced:
    """Write *program* for a prism, centred on the machine's bed.

    :raises SlicingError: unreadable, too-many-triangles, not-a-prism or does-not-fit.
    """
    prism = _centred(read_prism(mesh), limits)
    writer = _Writer(recipe, limits.filament_mm or 1.75)
    writer.start()
    layers = 1 + max(0, round((prism.height - recipe.first_layer_mm) / recipe.layer_height_mm))
    for layer in range(layers):
        _print_layer(writer, prism, recipe, limits, layer, layers)
    writer.end(min(prism.height + 10.0, limits.envelope_mm[2]))
    text = "\n".join(writer.lines) + "\n"
    program.write_text(text, encoding="ascii")
    length = writer.extruded
    return Sliced(
        slicer="builtin",
        recipe=recipe.name,
        recipe_version=recipe.version,
        bytes=len(text),
        filament_mm=length,
        mass_g=filament_mass_g(length, writer.filament, recipe.density_g_cm3),
        time_s=None,
    )


def _centred(prism: Prism, limits: MachineLimits) -> Prism:
    xs, ys = zip(*(point for loop in prism.loops for point in loop), strict=True)
    size = (max(xs) - min(xs), max(ys) - min(ys), prism.height)
    if any(part > room for part, room in zip(size, limits.envelope_mm, strict=True)):
        raise SlicingError("does-not-fit", " x ".join(f"{part:.1f}" for part in size))
    dx, dy = (
        limits.origin_mm[axis] + limits.envelope_mm[axis] / 2 - (min(at) + max(at)) / 2
        for axis, at in enumerate((xs, ys))
    )
    return Prism([[(x + dx, y + dy) for x, y in loop] for loop in prism.loops], prism.height)


def _print_layer(
    writer: _Writer, prism: Prism, recipe: Recipe, limits: MachineLimits, layer: int, layers: int
) -> None:
    height = recipe.layer_height_mm if layer else recipe.first_layer_mm
    width = (recipe.nozzle_mm or limits.nozzle_mm or 0.4) * _WIDTH_PER_NOZZLE
    # A flat thread with round sides; threads lie closer than their width, so that no gap is left.
    spacing = width - height * (1.0 - math.pi / 4.0)
    writer.bead = spacing * height
    writer.layer(recipe.first_layer_mm + layer * recipe.layer_height_mm, layer)
    for number in reversed(range(recipe.perimeters)):  # the visible one last
        speed = recipe.speed_mm_s if number else recipe.outer_speed_mm_s
        for loop in prism.loops:
            writer.loop(inset(loop, width / 2.0 + number * spacing), speed)
    is_solid = layer < recipe.solid_layers or layer >= layers - recipe.solid_layers
    share = 1.0 if is_solid else recipe.infill
    depth = width / 2.0 + (recipe.perimeters - _OVERLAP) * spacing
    inner = [each for loop in prism.loops if (each := inset(loop, depth))]
    if share > 0 and inner:
        angle = math.radians(45.0 if layer % 2 else 135.0)
        for start, end in hatch(inner, spacing / share, angle):
            writer.stroke(start, end, recipe.speed_mm_s)


@dataclass(slots=True)
class _Writer:
    """Lines of G-code, absolute, with the filament counted."""

    recipe: Recipe
    filament: float
    bead: float = 0.0  # cross-section of the thread [mm²]
    lines: list[str] = field(default_factory=list)
    extruded: float = 0.0
    at: Point = (math.inf, math.inf)
    speed_limit: float = math.inf

    def start(self) -> None:
        recipe = self.recipe
        self.lines += [
            f"; made by fabnode, recipe {recipe.name} version {recipe.version}",
            *("G21", "G90", "M82"),
            *(f"M140 S{recipe.bed_c}", f"M104 S{recipe.nozzle_first_c}", "G28"),
            *(f"M190 S{recipe.bed_c}", f"M109 S{recipe.nozzle_first_c}", "G92 E0"),
        ]

    def layer(self, z: float, number: int) -> None:
        self.speed_limit = math.inf if number else self.recipe.first_speed_mm_s
        self.lines += [f";LAYER:{number}", f"G0 Z{z:.3f} F600"]
        if number == 1:
            self.lines += [f"M104 S{self.recipe.nozzle_c}", f"M106 S{round(self.recipe.fan * 255)}"]

    def loop(self, loop: Loop, speed: float) -> None:
        if loop:
            self._travel(loop[0])
            for point in [*loop[1:], loop[0]]:
                self._draw(point, speed)

    def stroke(self, start: Point, end: Point, speed: float) -> None:
        self._travel(start)
        self._draw(end, speed)

    def end(self, z: float) -> None:
        self.lines += ["M104 S0", "M140 S0", "M107", f"G0 Z{z:.3f} F600", "M84"]

    def _travel(self, to: Point) -> None:
        recipe = self.recipe
        far = math.dist(self.at, to) > _TRAVEL_WITH_RETRACT_MM and self.extruded > 0
        back = f"F{recipe.retract_mm_s * 60:.0f}"
        if far:
            self.lines.append(f"G1 E{self.extruded - recipe.retract_mm:.5f} {back}")
        self.lines.append(f"G0 X{to[0]:.3f} Y{to[1]:.3f} F{recipe.travel_mm_s * 60:.0f}")
        if far:
            self.lines.append(f"G1 E{self.extruded:.5f} {back}")
        self.at = to

    def _draw(self, to: Point, speed: float) -> None:
        self.extruded += math.dist(self.at, to) * self.bead / (math.pi * self.filament**2 / 4.0)
        feed = min(speed, self.speed_limit) * 60
        self.lines.append(f"G1 X{to[0]:.3f} Y{to[1]:.3f} E{self.extruded:.5f} F{feed:.0f}")
        self.at = to
