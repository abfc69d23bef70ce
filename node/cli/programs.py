"""What a program's report says to a person at the console: one screen, the most wanted first."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from node.cli.words import out, text

_LABEL = 11  # characters of the first column
_AXES = "XYZ"


@dataclass(frozen=True, slots=True)
class Promised:
    """How long the program will take on one machine [s], and how many runs that rests on."""

    machine: str
    p50_s: float
    p90_s: float
    runs: int

    def to_json(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {
            "machine": self.machine,
            "p50_s": round(self.p50_s, 1),
            "p90_s": round(self.p90_s, 1),
            "runs": self.runs,
        }


def say_program(
    name: str, report: Mapping[str, object], promises: Sequence[Promised], *, is_clean: bool
) -> None:
    """Say what a program makes, how long that takes, of what, how hot, where, and who wrote it.

    :param is_clean: nothing was found that a person should know.
    """
    out(_head(name, report))
    for label, sentence in _rows(report, promises):
        out(f"{text(label):<{_LABEL}} {sentence}")
    if is_clean:
        out(f"{text('cli.program.findings'):<{_LABEL}} {text('cli.program.clean')}")


def _head(name: str, report: Mapping[str, object]) -> str:
    lines, layers = _number(report, "lines"), _number(report, "layer_count")
    kind = "print" if layers else "cut" if _number(report, "cut_mm") else "other"
    dialect = str(report.get("dialect"))
    return text(
        f"cli.program.{kind}", name=name, lines=f"{lines:,.0f}", layers=int(layers), dialect=dialect
    )


def _rows(report: Mapping[str, object], promises: Sequence[Promised]) -> Iterator[tuple[str, str]]:
    for one in promises:
        span = text("page.promise.span", p50=duration(one.p50_s), p90=duration(one.p90_s))
        code = {0: "page.promise.none", 1: "page.promise.one"}.get(one.runs, "page.promise.rests")
        rests = text(code, runs=one.runs)
        yield "cli.program.on", f"{one.machine}: {span} ({rests})"
    parts = [
        text(f"cli.program.{part}", time=duration(_number(report, key)))
        for part, key in (
            *(("motion", "time_s"), ("heating", "heatup_s"), ("homing", "homing_s")),
            *(("dwell", "dwell_s"), ("spindle", "spindle_on_s")),
        )
        if _number(report, key) >= 1.0
    ]
    if parts:
        yield "cli.program.time", ", ".join(parts)
    if filament := "; ".join(_filament(report)):
        yield "cli.program.material", filament
    if heat := ", ".join(_heat(report)):
        yield "cli.program.heat", heat
    for label, key in (("place", "extruding"), ("place", "cutting"), ("reach", "all")):
        if place := _place(report, key):
            yield f"cli.program.{label}", place
    if slicer := "; ".join(_slicer(report)):
        yield "cli.program.slicer", slicer
    pictures = report.get("thumbnails")
    if isinstance(pictures, list) and pictures:
        sizes = (f"{one.get('width_px')} × {one.get('height_px')}" for one in pictures)
        yield "cli.program.pictures", ", ".join(sizes)


def _filament(report: Mapping[str, object]) -> Iterator[str]:
    """Yield length and mass for each tool that pushes any; mass where the slicer gave one."""
    lengths, masses = report.get("filament_mm"), report.get("filament_g")
    several = isinstance(lengths, list) and len(lengths) > 1
    slicer = report.get("slicer")
    tools = slicer.get("tools") if isinstance(slicer, Mapping) else None
    for tool, length in enumerate(lengths if isinstance(lengths, list) else ()):
        if length <= 0.0:
            continue
        said = tools[tool] if isinstance(tools, list) and tool < len(tools) else {}
        mass = masses[tool] if isinstance(masses, list) else said.get("filament_g")
        material = " ".join(str(said[key]) for key in ("material", "color") if key in said)
        amount = text("cli.program.metres", value=f"{length / 1000.0:.2f}")
        if mass:
            amount += ", " + text("cli.program.grams", value=f"{mass:.1f}")
        tail = f" {material}" if material else ""
        yield (f"T{tool}: " if several else "") + amount + tail


def _heat(report: Mapping[str, object]) -> Iterator[str]:
    for part, key in (
        ("nozzle", "max_nozzle_c"),
        ("bed", "max_bed_c"),
        ("chamber", "max_chamber_c"),
        ("spindle-speed", "spindle_max_rpm"),
    ):
        if value := _number(report, key):
            yield text(f"cli.program.{part}", value=f"{value:,.0f}")


def _place(report: Mapping[str, object], key: str) -> str:
    every = report.get("bounds_mm")
    bounds = every.get(key) if isinstance(every, Mapping) else None
    if not isinstance(bounds, Mapping):
        return ""
    spans = zip(_AXES, bounds["min"], bounds["max"], strict=True)
    box = ", ".join(f"{axis} {low:.2f} … {high:.2f}" for axis, low, high in spans)
    return text("cli.program.box", value=box)


def _slicer(report: Mapping[str, object]) -> Iterator[str]:
    slicer = report.get("slicer")
    if not isinstance(slicer, Mapping):
        return
    yield f"{slicer.get('name')} {slicer.get('version')}".strip()
    for code, key in (("for", "printer"), ("profile", "profile")):
        if value := slicer.get(key):
            yield text(f"cli.program.{code}", value=str(value))
    for code, key in (("layer", "layer_mm"), ("nozzle-mm", "nozzle_mm")):
        if value := _number(slicer, key):
            yield text(f"cli.program.{code}", value=f"{value:g}")
    if seconds := _number(slicer, "time_s"):
        yield text("cli.program.says", time=duration(seconds))


def duration(seconds: float) -> str:
    """Return a length of time in the two units that matter."""
    minutes = math.floor(seconds + 30) // 60
    if seconds < 60:
        return text("page.duration.seconds", seconds=int(seconds))
    if minutes < 60:
        return text("page.duration.minutes", minutes=minutes)
    if minutes < 48 * 60:
        hours, rest = divmod(minutes, 60)
        return text("page.duration.hours", hours=hours, minutes=f"{rest:02d}")
    days, hours = divmod((minutes + 30) // 60, 24)
    return text("page.duration.days", days=days, hours=hours)


def _number(values: Mapping[str, object], key: str) -> float:
    value = values.get(key)
    return float(value) if isinstance(value, int | float) else 0.0
