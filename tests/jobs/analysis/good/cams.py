"""Programs as CAM programs write them: pockets, contours and holes in the manner of each post.

Written from what the posts' output looks like; each is for a router that stands before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import cos, pi, sin
from pathlib import Path

from jobs.domain.machine import MachineLimits
from tests.jobs.analysis.good.slicers import Made

ROUTER = MachineLimits((400.0, 300.0, 90.0), spindle_max_rpm=24_000.0)
SAFE = 5.0
Line = list[str]


@dataclass(frozen=True, slots=True)
class Part:
    """A plate to be cut.

    :param pocket: width and height of a pocket at the origin's side.
    :param rounded: radius of the outline's corners, cut with arcs.
    :param holes: places to drill.
    """

    name: str
    width: float
    height: float
    depth: float
    rounded: float
    pocket: tuple[float, float]
    holes: tuple[tuple[float, float], ...]


PARTS = (
    Part("bracket", 80, 50, 6, 8, (30, 20), ((10, 10), (70, 10), (10, 40), (70, 40))),
    Part("sign", 220, 90, 3, 12, (180, 50), ((15, 45), (205, 45))),
    Part("coaster", 95, 95, 4, 20, (60, 60), ()),
    Part("panel", 300, 200, 18, 5, (100, 40), tuple((20.0 + 40 * n, 180.0) for n in range(7))),
    Part("gauge", 40, 12, 2, 2, (20, 4), ((36, 6),)),
)


def _outline(part: Part) -> list[tuple[str, float, float, float, float]]:
    """Return the outline clockwise from the middle of its left side: (G, X, Y, I, J)."""
    w, h, r = part.width, part.height, part.rounded
    return [
        ("1", 0, h - r, 0, 0), ("2", r, h, r, 0), ("1", w - r, h, 0, 0), ("2", w, h - r, 0, -r),
        ("1", w, r, 0, 0), ("2", w - r, 0, -r, 0), ("1", r, 0, 0, 0), ("2", 0, r, 0, r),
        ("1", 0, h / 2, 0, 0),
    ]  # fmt: skip


def _depths(depth: float, step: float) -> list[float]:
    count = -(-depth // step)
    return [-depth * (n + 1) / count for n in range(int(count))]


def freecad(part: Part) -> str:
    """As FreeCAD's post for Grbl: a comment for each operation, every word on every line."""
    out = [
        "(Exported by FreeCAD)", "(Post Processor: grbl_post)", "(Output Time:2026-01-02 10:11:12)",
        "(Begin preamble)", "G17 G90", "G21", "(Begin operation: Fixture)",
        "(Path: Fixture)", "G54",
        "(Finish operation: Fixture)", "(Begin operation: TC: 3mm Endmill)", "(TC: 3mm Endmill)",
        "( M6 T1 )", "M3 S12000",
        "(Finish operation: TC: 3mm Endmill)", "(Begin operation: Profile)",
        "(Compensated Tool Path. Diameter: 3.0)", f"G0 Z{SAFE:.3f}",
        f"G0 X0.000 Y{part.height / 2:.3f}",
    ]  # fmt: skip
    for z in _depths(part.depth, 1.5):
        out.append(f"G1 X0.000 Y{part.height / 2:.3f} Z{z:.3f} F300.000")
        for g, x, y, i, j in _outline(part):
            arc = f" I{i:.3f} J{j:.3f} K0.000" if g == "2" else ""
            out.append(f"G{g} X{x:.3f} Y{y:.3f} Z{z:.3f}{arc} F800.000")
    out += [f"G0 Z{SAFE:.3f}", "(Finish operation: Profile)", "(Begin operation: Drilling)"]
    for x, y in part.holes:
        out += [f"G0 X{x:.3f} Y{y:.3f} Z{SAFE:.3f}", f"G1 Z{-part.depth:.3f} F120.000",
                f"G0 Z{SAFE:.3f}"]  # fmt: skip
    out += ["(Finish operation: Drilling)", "(Begin postamble)", "M5", "G17 G90", "M2"]
    return "\n".join(out) + "\n"


def carbide(part: Part) -> str:
    """As Carbide Create: no blanks, modal words left out, the tool changed by hand."""
    out = [
        "(Design File: part.c2d)", f"(stockMin:0.00mm, 0.00mm, -{part.depth:.2f}mm)",
        f"(stockMax:{part.width:.2f}mm, {part.height:.2f}mm, 0.00mm)", "(STOCK/BLOCK,1,1,1)", "G90",
        "G21", "(Move to safe Z to avoid workholding)", "G53G0Z-5.000", "(Toolpath:- Pocket 1 -)",
        "()", "(TOOL/MILL,3.17, 0.00, 0.00, 0.00)", "M6T201", "M03S18000",
        "(PREPOSITION FOR RAPID PLUNGE)", "G0X5.000Y5.000", "Z0.610",
    ]  # fmt: skip
    width, height = part.pocket
    for z in _depths(min(part.depth, 3.0), 0.75):
        out.append(f"G1Z{z:.3f}F304.8")
        inset = 0.0
        while inset < min(width, height) / 2 - 1:
            for x, y in ((inset, inset), (width - inset, inset), (width - inset, height - inset),
                         (inset, height - inset), (inset, inset)):  # fmt: skip
                out.append(f"X{5 + x:.3f}Y{5 + y:.3f}" + ("F1524.0" if inset == 0.0 else ""))
            inset += 1.4
        out += ["G0Z5.000", "X5.000Y5.000", "Z0.610"]
    out += ["G0Z5.000", "M05", "M02"]
    return "\n".join(out) + "\n"


def fusion(part: Part) -> str:
    """As Fusion's post for Grbl: shortest numbers, modal words, home by G28 in between."""

    def f(value: float) -> str:
        text = f"{value:.4f}".rstrip("0")
        return text.replace("-0.", "-.") if text.startswith("-0.") else text

    out = [
        "%", "(1001)", f"(T1 D=3.175 CR=0. - ZMIN=-{part.depth}. - flat end mill)",
        "G90 G94", "G17",
        "G21", "G28 G91 Z0.", "G90", "", "(2D CONTOUR1)", "T1", "S12000 M3", "G54", "M8",
        f"G0 X-8. Y{f(part.height / 2)}", "Z15.", "G1 Z5. F333.3",
    ]  # fmt: skip
    for z in _depths(part.depth, 2.0):
        out += [f"Z{f(z)}", f"X0. Y{f(part.height / 2)} F1000."]
        last = "1"
        for g, x, y, i, j in _outline(part):
            head = f"G{g} " if g != last else ""
            arc = f" I{f(i)} J{f(j)}" if g == "2" else ""
            out.append(f"{head}X{f(x)} Y{f(y)}{arc}")
            last = g
        out.append(f"X-8. Y{f(part.height / 2)}")
    out += ["G0 Z15.", "M9", "M5", "G28 G91 Z0.", "G90", "G28 G91 X0. Y0.", "G90", "M30", "%"]
    return "\n".join(out) + "\n"


def kirimoto(part: Part) -> str:
    """As Kiri:Moto: comments behind a semicolon, everything on each line, helical entries."""
    out = [
        "; Generated by Kiri:Moto 3.9.1", "; Wed Jan 07 2026", "; Bed left:0 right:400",
        "G21 ; set units to MM (required)", "G90 ; absolute position mode (required)",
        "; --- contour",
        "M6 T1 ; change tool to 'end 1/8'", "M3 S8000 ; spindle on", "G0 Z10.000",
    ]  # fmt: skip
    radius = min(part.pocket) / 2
    cx, cy = part.width / 2, part.height / 2
    out.append(f"G0 X{cx + radius:.3f} Y{cy:.3f}")
    out.append("G1 Z0.500 F250")
    turns, pieces = len(_depths(part.depth, 1.0)), 36
    for step in range(turns * pieces + pieces + 1):
        z = max(0.5 - (part.depth + 0.5) * step / (turns * pieces), -part.depth)
        angle = 2 * pi * step / pieces
        out.append(
            f"G1 X{cx + radius * cos(angle):.3f} Y{cy + radius * sin(angle):.3f} Z{z:.3f} F1000"
        )
    for x, y in part.holes:
        out += ["G0 Z10.000", f"G0 X{x:.3f} Y{y:.3f}", f"G1 Z{-part.depth:.3f} F80", "G4 P0.25"]
    out += ["G0 Z10.000", "M5 ; spindle off", "M30 ; program end"]
    return "\n".join(out) + "\n"


def circuit(part: Part) -> str:
    """As tools that mill circuits: comments behind each word, inches, a dwell for the spindle."""
    out = [
        "( pcb2gcode 2.5.0 )", "( Software-independent Gcode )", "",
        "G94 ( Inches per minute feed rate. )", "G20 ( Units == INCHES. )", "",
        "G90 ( Absolute coordinates. )", "G00 S20000 ( RPM spindle speed. )",
        "( G64 P0.00079 set maximum deviation from commanded toolpath )",
        "G01 F10.00000 ( Feedrate. )", "", "M3 ( Spindle on clockwise. )",
        "G04 P1.00000 ( Wait for spindle to get up to speed )", "", "G00 Z0.12000 ( retract )",
    ]  # fmt: skip
    for row in range(6):
        y = row * part.height / 25.4 / 6
        out += [
            f"G00 X0.00000 Y{y:.5f} ( rapid move to begin. )",
            "G01 Z-0.00400 F8.00000 ( plunge. )",
            "G01 F10.00000",
        ]
        out += [f"X{part.width / 25.4 * n / 9:.5f} Y{y + 0.02 * (n % 2):.5f}" for n in range(10)]
        out.append("G00 Z0.12000 ( retract )")
    out += ["", "G00 Z1.000 ( retract )", "", "M5 ( Spindle off. )", "G04 P1.000000",
            "M9 ( Coolant off. )", "M2 ( Program end. )"]  # fmt: skip
    return "\n".join(out) + "\n"


CAMS: dict[str, Callable[[Part], str]] = {
    "FreeCAD": freecad,
    "Carbide Create": carbide,
    "Fusion": fusion,
    "Kiri:Moto": kirimoto,
    "pcb2gcode": circuit,
}
_PROFILES = ("grbl-1.1", "grblhal", "fluidnc")


def cams() -> Iterator[Made]:
    """Every part by every CAM program, for each family of Grbl in turn."""
    for number, (cam, post) in enumerate(CAMS.items()):
        for at, part in enumerate(PARTS):
            profile = _PROFILES[(number + at) % len(_PROFILES)]
            text = post(part)
            yield Made(f"{cam}: {part.name} for {profile}", "mill", profile, ROUTER, _write(text))


def _write(text: str) -> Callable[[Path], None]:
    def make(program: Path) -> None:
        program.write_text(text)

    return make
