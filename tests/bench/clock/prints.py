"""Real parts, sliced by the real PrusaSlicer for one machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from jobs.domain.machine import MachineLimits
from jobs.slicing import load_recipe, slice_file
from jobs.slicing.sliced import Sliced

ROOT = Path(__file__).parents[3]
COMMONS = ROOT.parent / "shared" / "commons"
OWN = (ROOT / "jobs/designs/example/bench-comb.stl",)
# As a common printer has them in its own settings; PrusaSlicer's clock knows classic jerk only.
PRINTER = MachineLimits(
    (350.0, 350.0, 400.0),
    nozzle_max_c=280.0,
    bed_max_c=110.0,
    nozzle_mm=0.4,
    filament_mm=1.75,
    feed_max_mm_min=(12000.0, 12000.0, 720.0),
    acceleration_mm_s2=(1000.0, 1000.0, 200.0),
    jerk_mm_s=8.0,
    z_jerk_mm_s=0.4,
    extruder_jerk_mm_s=4.5,
    extruder_feed_max_mm_min=7200.0,
    extruder_acceleration_mm_s2=5000.0,
    retract_acceleration_mm_s2=1250.0,
)
DENSITY_G_CM3 = 1.24  # of the recipe `pla-draft`
_OTTO = "otto-diy/3Dprint"
_NIMBLE = "nimble/mechanical/Legacy/STLs"
_PARTS: Mapping[str, Sequence[str]] = {
    "losh-dummy/3DParts/ClampRing": ("ClampRing",),
    "switch-mounting-plate/Build_Files/3D_Printing_Files": ("Switch_Plate_GoPro_Compatible",),
    "door-knob/Design_Files": ("DOOR_NOB_FINAL",),
    _OTTO: (
        *("OttoDIYH_head_v06_PLUG", "switch_button_0.5", "OttoDIY_foot_V9", "OttoDIY+_foot_V9"),
        *("OttoDIY_Leg_V9", "OttoDIY+_Leg_V9", "OttoDIYH_grip_V04", "OttoDIYEYES_head_V04"),
        *("OttoDIYH_body_V04", "OttoDIY_body_V9", "OttoDIY_head_V9"),
    ),
    _NIMBLE: (
        *("usg_top", "omni_20_top", "ap_mount_for_1430_bottom", "ltap_mini_shallow"),
        *("ap_mount_for_1430_top", "generic_shelf", "keystone_patch_panel_2_units_short"),
        *("patch_panel_2_units", "stuff_shelf_thin"),
    ),
}


def parts(commons: Path | None) -> list[Path]:
    """Return the meshes that are here, our own first."""
    found = list(OWN)
    for folder, names in _PARTS.items() if commons else ():
        found += [path for name in names if (path := commons / folder / f"{name}.stl").is_file()]
    return found


def sliced(mesh: Path, folder: Path, recipe: str = "pla-draft") -> tuple[Path, Sliced]:
    """Slice one part; a program that lies in *folder* already is made anew."""
    program = folder / f"{mesh.stem}.gcode"
    return program, slice_file(mesh, load_recipe(recipe), PRINTER, program)
