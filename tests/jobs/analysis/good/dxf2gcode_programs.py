"""Make the programs in `dxf2gcode.tar.xz`: our drawings, cut by dxf2gcode with its own posts.

dxf2gcode brings Qt, hence its programs are kept and not made by each test. To make them again
(Debian 12: `apt install dxf2gcode`), with the folder to write to:

    python3 tests/jobs/analysis/good/dxf2gcode_programs.py /tmp/dxf2gcode

and `python -m tests.jobs.analysis.good.kept dxf2gcode /tmp/dxf2gcode` packs them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from math import cos, pi, sin
from pathlib import Path

Entity = tuple[str, dict[int, float]]

# What a person changes in the settings for a machine: of itself it writes for LinuxCNC, with a
# G64 that no Grbl knows.
POSTS: dict[str, dict[str, str]] = {
    "grblhal": {"code_begin": "G17 (XY plane) G40 (Cancel radius comp.) G49 (Cancel length comp.)"},
    "grbl": {
        "code_begin": "G17 (XY plane)",
        "tool_change": "M5%nl(Tool %tool_nr)%nlS%speed%nl",
        "pre_shape_cut": "M3%nl",
        "post_shape_cut": "M5%nl",
    },
    "grbl_lines": {
        "code_begin": "G17",
        "tool_change": "S%speed%nl",
        "export_arcs_as_lines": "True",
        "use_line_nrs": "True",
        "post_decimal_zero_padding": "False",
        "pre_shape_cut": "M3%nlG4 P2%nl",
        "post_shape_cut": "M5%nl",
    },
}


# Drawings: entities of DXF with their group codes [mm, degrees]


def _line(x: float, y: float, to_x: float, to_y: float) -> Entity:
    return "LINE", {10: x, 20: y, 11: to_x, 21: to_y}


def _circle(x: float, y: float, radius: float) -> Entity:
    return "CIRCLE", {10: x, 20: y, 40: radius}


def _arc(x: float, y: float, radius: float, start: float, end: float) -> Entity:
    return "ARC", {10: x, 20: y, 40: radius, 50: start, 51: end}


def _chain(points: list[tuple[float, float]]) -> list[Entity]:
    return [_line(*a, *b) for a, b in zip(points, points[1:] + points[:1], strict=True)]


def _rounded(width: float, height: float, r: float) -> list[Entity]:
    return [
        _line(r, 0, width - r, 0), _arc(width - r, r, r, 270, 360),
        _line(width, r, width, height - r), _arc(width - r, height - r, r, 0, 90),
        _line(width - r, height, r, height), _arc(r, height - r, r, 90, 180),
        _line(0, height - r, 0, r), _arc(r, r, r, 180, 270),
    ]  # fmt: skip


MILL = "MILL: 1 T: 1 Md: -6 Sd: -1.5 F: 600 Fz: 200"
SHALLOW = "MILL: 2 T: 1 Md: -1 Sd: -0.5 F: 500 Fz: 150"
DRILL = "DRILL: 3 T: 2 Md: -7 Sd: -7 Fz: 120"
Drawing = dict[str, list[Entity]]


def _plate() -> Drawing:
    holes = [_circle(x, y, 1.6) for x in (10, 70) for y in (10, 40)]
    return {MILL: _rounded(80, 50, 8), DRILL: holes}


def _ring() -> Drawing:
    return {MILL: [_circle(40, 40, 35), _circle(40, 40, 20)], SHALLOW: [_circle(40, 40, 27)]}


def _star() -> Drawing:
    points = [
        (50 + r * cos(pi * k / 7), 50 + r * sin(pi * k / 7)) for k, r in enumerate([45.0, 22.0] * 7)
    ]
    return {SHALLOW: _chain(points), DRILL: [_circle(50, 50, 2)]}


def _sign() -> Drawing:
    waves: list[Entity] = []
    for row in range(4):
        points = [(15 + 2.0 * k, 20 + 15 * row + 4 * sin(k / 3)) for k in range(80)]
        waves += [_line(*a, *b) for a, b in pairwise(points)]
    return {SHALLOW: waves, MILL: _rounded(190, 85, 12)}


def _slots() -> Drawing:
    slots: list[Entity] = []
    for at in range(5):
        x = 15 + 20 * at
        slots += [
            _line(x, 20, x, 60), _arc(x + 3, 60, 3, 0, 180),
            _line(x + 6, 60, x + 6, 20), _arc(x + 3, 20, 3, 180, 360),
        ]  # fmt: skip
    return {MILL: slots, SHALLOW: _rounded(120, 80, 4)}


DRAWINGS: dict[str, Callable[[], Drawing]] = {
    "plate": _plate, "ring": _ring, "star": _star, "sign": _sign, "slots": _slots,
}  # fmt: skip


def dxf(drawing: Drawing) -> str:
    """Return a drawing as DXF (the sections that a reader needs, each entity on its layer)."""
    lines: list[str] = ["0", "SECTION", "2", "HEADER", "9", "$ACADVER", "1", "AC1009",
                        "9", "$INSUNITS", "70", "4", "9", "$MEASUREMENT", "70", "1",
                        "0", "ENDSEC", "0", "SECTION", "2", "TABLES",
                        "0", "TABLE", "2", "LAYER", "70", str(len(drawing))]  # fmt: skip
    for layer in drawing:
        lines += ["0", "LAYER", "2", layer, "70", "0", "62", "7", "6", "CONTINUOUS"]
    lines += ["0", "ENDTAB", "0", "ENDSEC", "0", "SECTION", "2", "BLOCKS", "0", "ENDSEC",
              "0", "SECTION", "2", "ENTITIES"]  # fmt: skip
    for layer, entities in drawing.items():
        for kind, values in entities:
            lines += ["0", kind, "8", layer]
            for code, value in values.items():
                lines += [str(code), f"{value:.6f}"]
    return "\n".join([*lines, "0", "ENDSEC", "0", "EOF", ""])


# dxf2gcode itself

# Debian 12's dxf2gcode gives a label of its (hidden) canvas a fraction as the size of its font,
# which Python since 3.10 refuses; what it writes does not depend on it.
_LAUNCH = """
import runpy, sys
from PyQt5 import QtGui

class Font(QtGui.QFont):
    def __init__(self, *given):
        super().__init__(*(int(one) if isinstance(one, float) else one for one in given))

QtGui.QFont = Font
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def _run(home: Path, source: str, target: Path) -> None:
    program = shutil.which("dxf2gcode") or sys.exit("No dxf2gcode here: apt install dxf2gcode")
    environment = {**os.environ, "HOME": str(home), "QT_QPA_PLATFORM": "offscreen"}
    command = ["/usr/bin/python3", "-c", _LAUNCH, program, "-q", "-e", str(target), source]
    # It names the drawing in the program as it was called: hence in its folder, by its name.
    subprocess.run(
        command, cwd=home, env=environment, capture_output=True, timeout=120, check=False
    )
    if not target.exists():
        sys.exit(f"dxf2gcode made no {target.name}")


def _set(home: Path, changes: dict[str, str]) -> None:
    """Change settings of the post as a person does in its window, or in the file behind it."""
    (path,) = home.glob(".config/dxf2gcode/postpro_config/*.cfg")
    out = []
    for line in path.read_text().splitlines():
        name = line.split("=")[0].strip()
        indent = line[: len(line) - len(line.lstrip())]
        out.append(f"{indent}{name} = {changes[name]}" if name in changes else line)
    path.write_text("\n".join(out) + "\n")


def main(folder: Path) -> None:
    """Make every drawing with every post."""
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    for machine, changes in POSTS.items():
        home = folder / f".{machine}"
        home.mkdir(exist_ok=True)
        for name, drawing in DRAWINGS.items():
            source = f"{name}.dxf"
            (home / source).write_text(dxf(drawing()))
            target = folder / f"{name}-{machine}.ngc"
            if not list(home.glob(".config/dxf2gcode/postpro_config/*.cfg")):
                _run(home, source, target)  # its first run writes its settings
                _set(home, changes)
            _run(home, source, target)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
