"""PrusaSlicer as a subprocess: a recipe and a machine become its ini file and arguments.

Written for Debian 12's 2.5.0 and kept to keys that later ones still know. Values of a file come
from `prusa-slicer --help-fff`. A 3MF can carry settings of its own, among them scripts to run
after slicing, so anything that is no STL is first reduced to bare triangles.
"""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from jobs.domain.machine import MachineLimits
from jobs.slicing.recipe import Recipe
from jobs.slicing.sliced import Sliced, SlicingError, filament_mass_g

COMMAND: Final = "prusa-slicer"
_START: Final = (
    "G21",
    "G90",
    "M82",
    "M140 S[first_layer_bed_temperature]",
    "M104 S[first_layer_temperature]",
    "G28",
    "M190 S[first_layer_bed_temperature]",
    "M109 S[first_layer_temperature]",
    "G92 E0",
)
# Up and away from the part, then cold: the same words as the profiles' switch-off lists.
_END: Final = (
    "M104 S0",
    "M140 S0",
    "M107",
    "G1 Z{min(max_layer_z + 10, max_print_height)} F600",
    "M84",
)


def is_installed() -> bool:
    """Tell whether `prusa-slicer` is on the path."""
    return shutil.which(COMMAND) is not None


def slice_mesh(mesh: Path, recipe: Recipe, limits: MachineLimits, program: Path) -> Sliced:
    """Slice *mesh* into *program*, centred on the machine's bed.

    :raises SlicingError: not-installed, killed, failed (with the slicer's last words).
    """
    if not is_installed():
        raise SlicingError("not-installed", COMMAND)
    with tempfile.TemporaryDirectory(prefix="slice-") as work:
        if mesh.suffix.lower() != ".stl":
            bare = Path(work, "bare.stl")
            _run([COMMAND, "--export-stl", "--output", str(bare), str(mesh)], bare)
            mesh = bare
        ini = Path(work, "slicer.ini")
        ini.write_text(ini_text(recipe, limits), encoding="utf-8")
        _run(arguments(ini, mesh, program, limits), program)
    return _read_footer(program, recipe, limits)


def arguments(ini: Path, mesh: Path, program: Path, limits: MachineLimits) -> list[str]:
    """Return the command line that makes *program* of *mesh*."""
    x, y = (limits.origin_mm[axis] + limits.envelope_mm[axis] / 2 for axis in (0, 1))
    return [
        COMMAND,
        "--export-gcode",
        "--loglevel=1",
        f"--load={ini}",
        f"--center={x:g},{y:g}",
        f"--output={program}",
        str(mesh),
    ]


def ini_text(recipe: Recipe, limits: MachineLimits) -> str:
    """Return the slicer's settings as its ini file, one `key = value` a line."""
    return "".join(f"{key} = {value}\n" for key, value in settings(recipe, limits).items())


def settings(recipe: Recipe, limits: MachineLimits) -> Mapping[str, str]:
    """Return PrusaSlicer's keys and values; speeds mm/s, lengths mm, temperatures °C."""
    (x0, y0, _), (dx, dy, dz) = limits.origin_mm, limits.envelope_mm
    corners = ((x0, y0), (x0 + dx, y0), (x0 + dx, y0 + dy), (x0, y0 + dy))
    nozzle = recipe.nozzle_mm or limits.nozzle_mm or 0.4
    values: dict[str, str | float] = {
        "printer_technology": "FFF",
        "gcode_flavor": "marlin2",
        "gcode_comments": 0,
        "post_process": "",
        "thumbnails": "",
        # M201-M205 would change the machine's own limits, which preflight rightly refuses.
        "machine_limits_usage": "time_estimate_only",
        "bed_shape": ",".join(f"{x:g}x{y:g}" for x, y in corners),
        "max_print_height": dz,
        "nozzle_diameter": nozzle,
        "filament_diameter": limits.filament_mm or 1.75,
        "filament_density": recipe.density_g_cm3,
        "filament_type": recipe.material,
        "temperature": recipe.nozzle_c,
        "first_layer_temperature": recipe.nozzle_first_c,
        "bed_temperature": recipe.bed_c,
        "first_layer_bed_temperature": recipe.bed_c,
        "layer_height": recipe.layer_height_mm,
        "first_layer_height": recipe.first_layer_mm,
        "perimeters": recipe.perimeters,
        "top_solid_layers": recipe.solid_layers,
        "bottom_solid_layers": recipe.solid_layers,
        "fill_density": f"{recipe.infill * 100:g}%",
        "fill_pattern": "grid" if recipe.infill < 1 else "rectilinear",
        "skirts": recipe.skirt_loops,
        "brim_width": recipe.brim_mm,
        "support_material": int(recipe.supports),
        "retract_length": recipe.retract_mm,
        "retract_speed": recipe.retract_mm_s,
        "use_relative_e_distances": 0,
        "start_gcode": "\\n".join(_START),
        "end_gcode": "\\n".join(_END),
        **_speeds(recipe),
        **_fan(recipe),
        **_machine(limits),
    }
    return {
        key: f"{value:g}" if isinstance(value, float) else str(value)
        for key, value in values.items()
    }


def _speeds(recipe: Recipe) -> dict[str, float]:
    return {
        "perimeter_speed": recipe.speed_mm_s,
        "external_perimeter_speed": recipe.outer_speed_mm_s,
        "small_perimeter_speed": recipe.outer_speed_mm_s,
        "infill_speed": recipe.speed_mm_s,
        "solid_infill_speed": recipe.speed_mm_s,
        "top_solid_infill_speed": recipe.outer_speed_mm_s,
        "bridge_speed": recipe.outer_speed_mm_s,
        "gap_fill_speed": recipe.outer_speed_mm_s,
        "first_layer_speed": recipe.first_speed_mm_s,
        "travel_speed": recipe.travel_mm_s,
    }


def _fan(recipe: Recipe) -> dict[str, float | str]:
    percent = str(round(recipe.fan * 100))
    return {
        "cooling": int(recipe.fan > 0),
        "min_fan_speed": percent,
        "max_fan_speed": percent,
        "bridge_fan_speed": percent,
        "disable_fan_first_layers": 1,
    }


def _machine(limits: MachineLimits) -> dict[str, str]:
    """The machine's numbers for the slicer's clock; it wants a normal and a silent mode of each."""
    values: dict[str, float] = {}
    for axis, feed, acceleration in zip(
        "xyz", limits.feed_max_mm_min, limits.acceleration_mm_s2, strict=True
    ):
        values[f"machine_max_feedrate_{axis}"] = feed / 60.0
        values[f"machine_max_acceleration_{axis}"] = acceleration
        values[f"machine_max_jerk_{axis}"] = limits.jerk_mm_s or 8.0
    values["machine_max_jerk_z"] = limits.z_jerk_mm_s or limits.jerk_mm_s or 8.0
    for name, limit in (
        ("feedrate_e", limits.extruder_feed_max_mm_min / 60.0),
        ("acceleration_e", limits.extruder_acceleration_mm_s2),
        ("jerk_e", limits.extruder_jerk_mm_s),
    ):
        if limit:
            values[f"machine_max_{name}"] = limit
    for use, limit in (
        ("extruding", limits.print_acceleration_mm_s2),
        ("travel", limits.travel_acceleration_mm_s2),
        ("retracting", limits.retract_acceleration_mm_s2),
    ):
        values[f"machine_max_acceleration_{use}"] = limit or limits.acceleration_mm_s2[0]
    return {key: f"{value:g},{value:g}" for key, value in values.items()}


def _run(command: Sequence[str], made: Path) -> None:
    """Run the slicer; its time is limited by the worker that we are in."""
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    words = done.stdout.decode("utf-8", "replace").strip().splitlines()
    said = words[-1] if words else ""
    if done.returncode < 0:
        raise SlicingError("killed", signal.Signals(-done.returncode).name)
    # It ends with 0 also after some of its errors; the file is the proof.
    if done.returncode != 0 or not made.is_file() or made.stat().st_size == 0:
        raise SlicingError("failed", said)


_TIME: Final = re.compile(r"; estimated printing time \(normal mode\) = (.+)")
_FILAMENT: Final = re.compile(r"; filament used \[mm\] = ([0-9.]+)")
_SPAN: Final = re.compile(r"(\d+)([dhms])")
_SECONDS: Final = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_FOOTER_BYTES: Final = 65536  # the slicer writes its whole configuration at the end


def _read_footer(program: Path, recipe: Recipe, limits: MachineLimits) -> Sliced:
    size = program.stat().st_size
    with program.open("rb") as file:
        file.seek(max(0, size - _FOOTER_BYTES))
        text = file.read().decode("utf-8", "replace")
    filament = _FILAMENT.search(text)
    length = float(filament.group(1)) if filament else 0.0
    if length <= 0:
        raise SlicingError("failed", "the program extrudes nothing")
    time = _TIME.search(text)
    return Sliced(
        slicer="prusaslicer",
        recipe=recipe.name,
        recipe_version=recipe.version,
        bytes=size,
        filament_mm=length,
        mass_g=filament_mass_g(length, limits.filament_mm or 1.75, recipe.density_g_cm3),
        time_s=_seconds(time.group(1)) if time else None,
    )


def _seconds(text: str) -> float:
    """Read the slicer's way to write a time.

    >>> _seconds("1h 2m 3s")
    3723.0
    """
    return float(sum(int(n) * _SECONDS[unit] for n, unit in _SPAN.findall(text)))
