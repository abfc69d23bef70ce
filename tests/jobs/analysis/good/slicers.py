"""Programs by real slicers, each with the machine that it was made for.

PrusaSlicer runs with its own vendors' profiles for real printers, Slic3r and CuraEngine with a
range of settings; the parts are small ones of ours. One call makes one program, so a test may
make a few and a campaign all of them.
"""

from __future__ import annotations

import json
import re
import shutil
import struct
import subprocess
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import cos, pi, sin
from pathlib import Path

from jobs.domain.machine import MachineLimits

HERE = Path(__file__).parent
VENDORS = Path("/usr/share/PrusaSlicer/profiles")
PLA = MachineLimits(
    (200.0, 200.0, 180.0), nozzle_max_c=260.0, bed_max_c=100.0, nozzle_mm=0.4, filament_mm=1.75
)
Point = tuple[float, float, float]
Make = Callable[[Path], None]


@dataclass(frozen=True, slots=True)
class Made:
    """One program to make, and the machine it is for."""

    name: str
    kind: str
    profile: str
    limits: MachineLimits
    make: Make


# Parts


def _prism(corners: Sequence[tuple[float, float]], height: float) -> bytes:
    """Return the STL of an upright prism over a convex outline that runs anticlockwise."""
    triangles: list[tuple[Point, Point, Point]] = []
    last = len(corners)
    low = [(x, y, 0.0) for x, y in corners]
    high = [(x, y, height) for x, y in corners]
    for at in range(last):
        then = (at + 1) % last
        triangles.append((low[at], low[then], high[then]))
        triangles.append((low[at], high[then], high[at]))
    for at in range(1, last - 1):
        triangles.append((high[0], high[at], high[at + 1]))
        triangles.append((low[0], low[at + 1], low[at]))
    body = b"".join(
        struct.pack("<12fH", 0, 0, 0, *first, *second, *third, 0)
        for first, second, third in triangles
    )
    return b"\0" * 80 + struct.pack("<I", len(triangles)) + body


def _round(radius: float, sides: int) -> list[tuple[float, float]]:
    return [(radius * cos(2 * pi * k / sides), radius * sin(2 * pi * k / sides))
            for k in range(sides)]  # fmt: skip


PARTS: Mapping[str, bytes] = {
    "plate": _prism([(0, 0), (22, 0), (22, 14), (0, 14)], 1.2),
    "puck": _prism(_round(8, 40), 2.0),
    "wedge": _prism([(0, 0), (18, 0), (6, 15)], 3.0),
    "pin": _prism(_round(2.2, 12), 5.0),
}


def _run(command: Sequence[str], folder: Path) -> None:
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, errors="replace", timeout=300,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, (command, done.stdout[-500:], done.stderr[-500:])


def _part(name: str, folder: Path) -> Path:
    path = folder / f"{name}.stl"
    path.write_bytes(PARTS[name])
    return path


# PrusaSlicer, by its vendors' own profiles

# Vendor, printer, our profile for its firmware; how far each reaches is in the vendor's file.
PRINTERS = (
    ("PrusaResearch", "Original Prusa i3 MK3S & MK3S+", "prusa-mk3"),
    ("PrusaResearch", "Original Prusa i3 MK3", "prusa-mk3"),
    ("PrusaResearch", "Original Prusa i3 MK2S", "prusa-mk3"),
    ("PrusaResearch", "Original Prusa i3 MK2.5S", "prusa-mk3"),
    ("PrusaResearch", "Original Prusa i3 MK3S & MK3S+ 0.6 nozzle", "prusa-mk3"),
    ("PrusaResearch", "Original Prusa MINI & MINI+", "prusa-buddy"),
    ("PrusaResearch", "Original Prusa MINI & MINI+ 0.25 nozzle", "prusa-buddy"),
    ("Creality", "Creality Ender-3 (0.4 mm nozzle)", "marlin-1"),
    ("Creality", "Creality Ender-3 BLTouch (0.4 mm nozzle)", "marlin-2"),
    ("Creality", "Creality Ender-3 V2 (0.4 mm nozzle)", "marlin-2"),
    ("Creality", "Creality Ender-5 (0.4 mm nozzle)", "marlin-1"),
    ("Creality", "Creality CR-10 (0.4 mm nozzle)", "marlin-1"),
    ("Creality", "Creality CR-20 (0.4 mm nozzle)", "marlin-1"),
    ("Anycubic", "Anycubic i3 Mega", "marlin-1"),
    ("Elegoo", "Elegoo Neptune-1", "marlin-1"),
    ("Elegoo", "Elegoo Neptune-2", "marlin-2"),
    ("Elegoo", "Elegoo Neptune-3", "marlin-2"),
    ("Zonestar", "Zonestar Z5X", "marlin-1"),
    ("BIBO", "BIBO2 Touch E1 right only extrusion", "marlin-1"),
    ("INAT", "Proton X Rail", "marlin-1"),
)
_RECIPES = ({"fill_density": "20%"}, {"fill_density": "0%", "gcode_comments": "1"})


def prusaslicer() -> Iterator[Made]:
    """Every printer with two recipes."""
    for vendor, printer, profile in PRINTERS:
        for number, recipe in enumerate(_RECIPES):
            part = tuple(PARTS)[(len(printer) + number) % len(PARTS)]
            values = vendor_settings(vendor, printer)
            if not values:
                continue
            name = f"prusaslicer: {printer}, {part}, {number}"
            limits = _limits(values)
            yield Made(name, "fdm", profile, limits, _prusa(values, recipe, part, limits))


def _prusa(
    values: Mapping[str, str], recipe: Mapping[str, str], part: str, limits: MachineLimits
) -> Make:
    def make(program: Path) -> None:
        ini = program.parent / "printer.ini"
        all_of = {**values, **recipe, "post_process": "", "thumbnails": ""}
        ini.write_text("".join(f"{key} = {value}\n" for key, value in all_of.items()))
        x, y = (limits.origin_mm[axis] + limits.envelope_mm[axis] / 2 for axis in (0, 1))
        _run(
            ["prusa-slicer", "--export-gcode", "--loglevel=1", f"--load={ini}",
             f"--center={x:g},{y:g}", f"--output={program}", str(_part(part, program.parent))],
            program.parent,
        )  # fmt: skip

    return make


def vendor_settings(vendor: str, printer: str) -> dict[str, str]:
    """Return the settings of a printer with its default print and filament; {} if unknown."""
    sections = _vendor(vendor)
    values = _resolved(sections, "printer", printer)
    if not values:
        return {}
    chosen = {"first_layer_height": "0.15", "layer_height": "0.1"}
    for kind, key in (("print", "default_print_profile"), ("filament", "default_filament_profile")):
        name = values.get(key, "").split(";")[0].strip().strip('"')
        chosen |= _resolved(sections, kind, name)
    chosen |= values
    keep = re.compile(r"compatible_|default_|inherits|printer_vendor|renamed_from|alias")
    return {key: value for key, value in chosen.items() if not keep.match(key)}


@cache
def _vendor(vendor: str) -> dict[str, dict[str, str]]:
    path = VENDORS / f"{vendor}.ini"
    sections: dict[str, dict[str, str]] = {}
    if not path.is_file():
        return sections
    section: dict[str, str] = {}
    for line in path.read_text("utf-8", "replace").splitlines():
        if head := re.fullmatch(r"\[(.+?)\]\s*", line):
            section = sections.setdefault(head[1], {})
        elif "=" in line and not line.lstrip().startswith(("#", ";")):
            key, _, value = line.partition("=")
            section[key.strip()] = value.strip()
    return sections


def _resolved(sections: Mapping[str, Mapping[str, str]], kind: str, name: str) -> dict[str, str]:
    section = sections.get(f"{kind}:{name}")
    if section is None:
        return {}
    values: dict[str, str] = {}
    for parent in section.get("inherits", "").split(";"):
        values |= _resolved(sections, kind, parent.strip().strip('"'))
    return values | {key: value for key, value in section.items() if key != "inherits"}


def _limits(values: Mapping[str, str]) -> MachineLimits:
    """Return what the vendor says of the printer, and room for the lines before the part."""
    corners = [
        pair.split("x") for pair in values.get("bed_shape", "0x0,200x0,200x200,0x200").split(",")
    ]
    xs, ys = ([float(pair[axis]) for pair in corners] for axis in (0, 1))
    # Real printers wipe a little beside the bed: Prusa's at Y-3, others at X-2.
    low = (min(xs) - 5.0, min(ys) - 5.0, -1.0)
    high = (max(xs) + 12.0, max(ys) + 12.0, float(values.get("max_print_height", "250")) + 5.0)
    nozzle = float(values.get("nozzle_diameter", "0.4").split(",")[0])
    return MachineLimits(
        tuple(top - bottom for top, bottom in zip(high, low, strict=True)),
        origin_mm=low,
        nozzle_max_c=285.0,
        bed_max_c=120.0,
        nozzle_mm=nozzle,
        filament_mm=float(values.get("filament_diameter", "1.75").split(",")[0]),
    )


# Slic3r

_SLIC3R = (
    ("reprap", "marlin-2", {}),
    ("reprap", "marlin-1", {"use-relative-e-distances": ""}),
    ("repetier", "repetier", {}),
    ("smoothie", "smoothieware", {"infill-only-where-needed": ""}),
    ("teacup", "marlin-1", {"retract-lift": "0.4"}),
    ("reprap", "reprapfirmware", {"use-firmware-retraction": ""}),
    ("reprap", "klipper", {"gcode-comments": ""}),
    ("reprap", "prusa-mk3", {"spiral-vase": "", "top-solid-layers": "0", "fill-density": "0"}),
    ("reprap", "prusa-buddy", {"skirts": "3", "brim-width": "3"}),
)


def slic3r() -> Iterator[Made]:
    """Every flavour and option with every part."""
    for number, (flavor, profile, options) in enumerate(_SLIC3R):
        for part in PARTS:
            if "spiral-vase" in options and part == "pin":
                continue
            name = f"slic3r: {flavor} for {profile}, {part}, {number}"
            yield Made(name, "fdm", profile, PLA, _slic3r(flavor, options, part))


def _slic3r(flavor: str, options: Mapping[str, str], part: str) -> Make:
    def make(program: Path) -> None:
        words = {
            "gcode-flavor": flavor, "output": str(program), "print-center": "100,100",
            "nozzle-diameter": "0.4", "filament-diameter": "1.75", "temperature": "205",
            "first-layer-temperature": "210", "bed-temperature": "60",
            "first-layer-bed-temperature": "60", **options,
        }  # fmt: skip
        flat = [word for key, value in words.items() for word in (f"--{key}", value) if word]
        ini = program.parent / "slic3r.ini"
        ini.write_text("start_gcode = G28 ; home\\nG1 Z5 F5000\n"
                       "end_gcode = M104 S0\\nM140 S0\\nG28 X0\\nM84\n")  # fmt: skip
        _run(["slic3r", "--load", str(ini), *flat, str(_part(part, program.parent))],
             program.parent)  # fmt: skip

    return make


# CuraEngine

_CURA: tuple[tuple[str, dict[str, object]], ...] = (
    ("marlin-2", {}),
    ("marlin-1", {"cool_min_layer_time": 10}),
    ("klipper", {"adhesion_type": "brim"}),
    ("prusa-mk3", {"acceleration_enabled": True, "jerk_enabled": True}),
    ("prusa-buddy", {"retraction_hop_enabled": True, "retraction_hop": 0.4}),
    ("repetier", {"machine_gcode_flavor": "Repetier"}),
    ("reprapfirmware", {"machine_gcode_flavor": "RepRap (RepRap)"}),
    ("smoothieware", {"infill_pattern": "lines", "layer_height": 0.3}),
    ("marlin-2", {"magic_spiralize": True}),
)


def cura() -> Iterator[Made]:
    """Every set of settings with every part."""
    for number, (profile, settings) in enumerate(_CURA):
        for part in PARTS:
            name = f"cura: {profile}, {part}, {number}"
            yield Made(name, "fdm", profile, PLA, _cura(settings, part))


def _cura(settings: Mapping[str, object], part: str) -> Make:
    def make(program: Path) -> None:
        values = {**tomllib.loads((HERE / "cura.toml").read_text()), **settings}
        tree = {
            key: {"label": key, "type": "str", "description": "", "default_value": value}
            for key, value in values.items()
        }
        all_of = {"all": {"label": "all", "type": "category", "description": "", "children": tree}}
        machine = {"type": "machine", "machine_extruder_trains": {"0": "extruder"}}
        extruder = {"type": "extruder", "machine": "machine", "position": "0"}
        for name, metadata in (("machine", machine), ("extruder", extruder)):
            definition = {"version": 2, "name": name, "metadata": metadata, "settings": all_of}
            (program.parent / f"{name}.def.json").write_text(json.dumps(definition))
        _run(["CuraEngine", "slice", "-j", "machine.def.json", "-o", str(program), "-e0",
              "-l", str(_part(part, program.parent))], program.parent)  # fmt: skip

    return make


SLICERS: Mapping[str, tuple[str, Callable[[], Iterator[Made]]]] = {
    "PrusaSlicer": ("prusa-slicer", prusaslicer),
    "Slic3r": ("slic3r", slic3r),
    "CuraEngine": ("CuraEngine", cura),
}


def available(slicer: str) -> bool:
    """Tell whether the slicer is on the path."""
    return shutil.which(SLICERS[slicer][0]) is not None
