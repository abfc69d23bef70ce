"""A program's rest, made fit to begin in its middle: the state before a line, said anew.

Nothing here decides that anything runs: the result is a stream file like any other, which goes
through the same checks, and whose first lines a person reads before they are sent.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from drivers.engine.bookmark import Bookmark
from drivers.gcode import words
from jobs.analysis.dialect import FARMBOT
from jobs.analysis.piece import Piece, Reader
from jobs.analysis.program import prepare_program
from jobs.analysis.reading import Program
from jobs.analysis.spans import layer_starts
from jobs.analysis.stream import spaced
from jobs.analysis.streamed import StreamLines
from jobs.domain.machine import MachineLimits
from jobs.domain.preflight import Finding, FindingCode, Severity

FOLLOWING = 12  # lines of the program itself that are shown after the new ones
CLEAR_MM = 5.0  # above the part on the way [mm]
PRIME_MM, RETRACT_MM = 15.0, 1.0  # of filament
SPIN_UP_S = 4.0

Lines32 = npt.NDArray[np.uint32]  # lines of the upload
_NO_LINES: Lines32 = np.zeros(0, np.uint32)
_INDEX_BYTES = 1 << 20  # of an index that are written anew at once
_HEAT = re.compile(rb"M(104|109|140|190)(?!\d)")
_TOOL = re.compile(rb"T(\d+)")
_TARGET = re.compile(rb"[SR]([-+]?(?:\d+\.?\d*|\.\d+))")
_GROUPS = {
    "motion": {0.0, 1.0, 2.0, 3.0},
    "plane": {17.0, 18.0, 19.0},
    "units": {20.0, 21.0},
    "offset": {54.0, 55.0, 56.0, 57.0, 58.0, 59.0},
    "distance": {90.0, 91.0},
    "feed": {93.0, 94.0},
}


@dataclass(frozen=True, slots=True)
class Wish:
    """Where to begin.

    :param line: 1-based line of the upload; 0 if a layer is meant.
    :param layer: 1-based, in the order they are made; 0 if a line is meant.
    :param height_mm: where the nozzle stands now, in the program's zero; None: where the
        program last had it.
    """

    line: int = 0
    layer: int = 0
    height_mm: float | None = None


@dataclass(slots=True)
class _Mill:
    """What the lines of a Grbl program have set; numbers of G words by group."""

    modes: dict[str, float] = field(default_factory=dict)
    spindle: int = 0  # 3, 4, or 0 for off
    speed: float = 0.0
    feed: float = 0.0
    coolant: set[int] = field(default_factory=set)
    tool: int = 0

    def take(self, line: bytes) -> None:
        """Take one line into account."""
        for letter, number in words(line):
            match letter:
                case "G":
                    for group, members in _GROUPS.items():
                        if number in members:
                            self.modes[group] = number
                case "M" if number in (3.0, 4.0, 5.0):
                    self.spindle = int(number) % 5
                case "M" if number in (7.0, 8.0):
                    self.coolant.add(int(number))
                case "M" if number == 9.0:
                    self.coolant.clear()
                case "S":
                    self.speed = number
                case "F":
                    self.feed = number
                case "T":
                    self.tool = int(number)
                case _:
                    pass


def resume_program(
    stream_path: Path,
    index_path: Path,
    out_dir: Path,
    wish: Wish,
    machine: MachineLimits,
    dialect: str,
    forbidden: Sequence[str],
    density_g_cm3: float | None,
    kind: str,
    family: str = "",
    macros: Sequence[str] = (),
) -> dict[str, object]:
    """Write the rest of a program with what must come before it, and examine the whole.

    Writes the files of `prepare_program`; lines that are new have 0 in `index.u32`.

    :param stream_path: the stream of the interrupted program.
    :param index_path: its index.
    :returns: what `prepare_program` returns, and `preamble` and `following` (lines of text),
        `from_line` (of the upload), `rest_lines`, `layer_count`. Where no state can be told,
        the preamble is empty, nothing is written, and a finding says why.
    """
    index: Lines32 = np.memmap(index_path, "<u4", "r") if index_path.stat().st_size else _NO_LINES
    layers = _Layers(wish.layer)
    _read(stream_path, machine, dialect, layers)
    at = layers.found if wish.layer else _at_line(wish.line, index)
    with StreamLines(stream_path) as lines:
        if at is None or not 0 < at < len(lines):
            return _refused(FindingCode.RESUME_NO_LINE, wish.line)
        if dialect == FARMBOT:
            # Which pins were on and where it stands is nothing that its lines would tell again.
            return _refused(FindingCode.RESUME_NO_PLACE, int(index[at]))
        if dialect == "marlin":
            preamble = _print_preamble(lines, at, wish, machine)
        else:
            ways = _Ways(at)
            _read(stream_path, machine, dialect, ways)
            preamble = _mill_preamble(lines, at, ways, kind)
        if preamble is None:
            return _refused(FindingCode.RESUME_NO_PLACE, int(index[at]))
        preamble = [spaced(line) for line in preamble]
        out_dir.mkdir(parents=True, exist_ok=True)
        made = out_dir / "resumed.gcode"
        # Examined as if the nozzle had been driven to where a person says that it stands: to
        # the checks a G92 from a place that nobody knows would shift all that follows.
        _write(made, [line.replace(b"G92Z", b"G1F600Z") for line in preamble], lines, at)
        result = prepare_program(
            made, out_dir, machine, dialect, forbidden, density_g_cm3, kind, family, macros
        )
        _write(made, preamble, lines, at)
        if result["stream_lines"] != len(preamble) + len(lines) - at:
            return _refused(FindingCode.RESUME_NO_LINE, int(index[at]))
        if (out_dir / "stream").exists():
            shutil.copyfile(made, out_dir / "stream")
            with made.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            result |= {"stream_sha256": digest, "stream_bytes": made.stat().st_size}
        _true_lines(out_dir / "index.u32", result, index[at:], len(preamble))
        following = lines.span(at, at + FOLLOWING)
        return {
            **result,
            "preamble": [line.decode("ascii", "replace") for line in preamble],
            "following": [line.decode("ascii", "replace") for line in following],
            "from_line": int(index[at]),
            "rest_lines": len(lines) - at,
            "layer_count": layers.count,
            "tool": _tool_at(lines, at),
        }


def _read(path: Path, machine: MachineLimits, dialect: str, reader: Reader) -> None:
    with path.open("rb") as file:
        Program(file, machine, dialect).read([reader])


def _write(path: Path, preamble: Sequence[bytes], lines: StreamLines, at: int) -> None:
    with path.open("wb") as file:
        file.writelines(line + b"\n" for line in preamble)
        lines.copy_rest(at, file)


def _tool_at(lines: StreamLines, at: int) -> int:
    tool = 0
    for line in lines.span(0, at):
        if line[:1] in b"TGM" and b"T" in line and (found := _TOOL.search(line)):
            tool = int(found[1])
    return tool


class _Layers(Reader):
    """How many layers there are, and where one of them begins.

    :param wanted: its number, from 1, as made; 0: none.
    :param found: the stream line, from 0, of its first extruding move; None: there is none.
    """

    def __init__(self, wanted: int) -> None:
        self._wanted = wanted
        self.count = 0
        self.found: int | None = None
        self._height = float("nan")

    def feed(self, piece: Piece) -> None:
        """Take the next piece."""
        heights, lines = layer_starts(piece, self._height)
        if not len(lines):
            return
        self._height = float(heights[-1])
        if self.count < self._wanted <= self.count + len(lines):
            self.found = int(lines[self._wanted - self.count - 1]) + piece.first_line
        self.count += len(lines)


class _Ways(Reader):
    """Where the tool stands before a line of the stream, and the highest place of all.

    :param at: the line, from 0.
    :param place: [mm], NaN where it is not known; None if nothing moves before.
    :param highest: [mm]; None if nothing ever says how high.
    """

    def __init__(self, at: int) -> None:
        self._at = at
        self.place: tuple[float, float, float] | None = None
        self.highest: float | None = None

    def feed(self, piece: Piece) -> None:
        """Take the next piece."""
        moves = piece.moves
        before = np.flatnonzero((moves.line + piece.first_line < self._at) & ~moves.machine)
        if len(before):
            x, y, z = (float(value) for value in moves.end[before[-1]])
            self.place = x, y, z
        heights = moves.end[~moves.machine, 2]
        heights = heights[~np.isnan(heights)]
        if len(heights):
            highest = float(heights.max())
            self.highest = highest if self.highest is None else max(self.highest, highest)


def _at_line(line: int, index: Lines32) -> int | None:
    found = int(np.searchsorted(index, line))
    return found if found < len(index) else None


def _print_preamble(
    lines: StreamLines, at: int, wish: Wish, machine: MachineLimits
) -> list[bytes] | None:
    """Heat, free the nozzle upwards, home X and Y, prime, go over the place, go down."""
    mark = Bookmark()
    heat: dict[str, float] = {}
    for number, line in enumerate(lines.span(0, at)):
        mark.take(number, line, lines)
        if line[:1] == b"M" and (found := _HEAT.match(line)):
            _note_heat(heat, found[1], line, mark.tool)
    said = mark.settle(lines, at)
    if not {"X", "Y", "Z"} <= set(said):
        return None
    height = said["Z"] if wish.height_mm is None else wish.height_mm
    top = machine.origin_mm[2] + machine.envelope_mm[2]
    clear = min(max(height, said["Z"]) + CLEAR_MM, top)
    # The nozzle may be frozen into the part: it is hot before anything moves. Z is never homed,
    # for the part may be where it would go: a person says where the nozzle stands.
    made = [
        *_heating(heat),
        *([f"T{mark.tool}"] if mark.tool else []),
        *("G21", "G90", "M83"),
        f"G92 Z{_text(height)}",
        f"G1 Z{_text(clear)} F600",
        "G28 X Y",
        *([mark.fan.decode("ascii", "replace")] if mark.fan else []),
        f"G1 E{_text(PRIME_MM)} F150",
        f"G1 E-{_text(RETRACT_MM)} F1800",
        f"G1 X{_text(said['X'])} Y{_text(said['Y'])} F6000",
        f"G1 Z{_text(said['Z'])} F600",
        f"G1 E{_text(RETRACT_MM)} F1800",
        f"G92 E{_text(said.get('E', 0.0))}",
        "G20" if mark.inches else "G21",
        *mark.modes,
    ]
    if mark.feedrate_mm_min:
        made.append(f"G1 F{_text(mark.feedrate_mm_min / (25.4 if mark.inches else 1.0))}")
    return [line.replace(" ", "").encode("ascii") for line in made]


def _note_heat(heat: dict[str, float], code: bytes, line: bytes, tool: int) -> None:
    if (target := _TARGET.search(line)) is None:
        return
    if code in (b"140", b"190"):
        heat["B"] = float(target[1])
        return
    named = _TOOL.search(line)
    heat[f"T{int(named[1]) if named else tool}"] = float(target[1])


def _heating(heat: dict[str, float]) -> list[str]:
    """Return lines that begin to heat all, and then wait for all."""
    bed = heat.get("B", 0.0)
    tools = {name: target for name, target in heat.items() if name != "B" and target}
    one = list(tools) == ["T0"]
    words = [("" if one else f" {name}") + f" S{_text(target)}" for name, target in tools.items()]
    return [
        *([f"M140 S{_text(bed)}"] if bed else []),
        *(f"M104{word}" for word in words),
        *([f"M190 S{_text(bed)}"] if bed else []),
        *(f"M109{word}" for word in words),
    ]


def _mill_preamble(lines: StreamLines, at: int, ways: _Ways, kind: str) -> list[bytes] | None:
    """Up to the highest place of the program, spindle on, over the place, down at the feedrate."""
    state = _Mill()
    for line in lines.span(0, at):
        state.take(line)
    if ways.place is None:
        return None
    x, y, z = ways.place
    if np.isnan(x) or np.isnan(y):
        return None
    modes = state.modes
    made = ["G21", "G90", "G94", f"G{modes.get('offset', 54.0):.0f}"]
    moves_z = ways.highest is not None and not np.isnan(z) and kind != "laser"
    spindle = [f"M{state.spindle} S{_text(state.speed)}"] if state.spindle else []
    if moves_z and ways.highest is not None:
        made.append(f"G0 Z{_text(ways.highest)}")
        made += [*spindle, *([f"G4 P{_text(SPIN_UP_S)}"] if spindle else [])]
    made += [f"M{number}" for number in sorted(state.coolant)]
    made.append(f"G0 X{_text(x)} Y{_text(y)}")
    unit = 25.4 if modes.get("units") == 20.0 else 1.0
    if moves_z:
        feed = state.feed * unit or 100.0
        made.append(f"G1 Z{_text(z)} F{_text(feed)}")
    elif spindle:
        made += spindle  # a beam is lit over its place, not on the way there
    made.append(f"G{modes.get('plane', 17.0):.0f}")
    made += [f"G{modes[name]:.0f}" for name in ("units", "distance", "feed") if name in modes]
    motion = modes.get("motion", 0.0)
    # An arc as the mode in force would read the next places without a centre.
    made.append(f"G{motion if motion < 2.0 else 1.0:.0f}")
    if state.feed:
        made.append(f"F{_text(state.feed)}")
    return [line.replace(" ", "").encode("ascii") for line in made]


def _true_lines(path: Path, result: dict[str, object], rest: Lines32, new: int) -> None:
    """Have the index name lines of the upload, and findings too."""
    if not path.exists():
        return
    digest = hashlib.sha256()
    with path.open("r+b") as file:
        while data := file.read(_INDEX_BYTES):
            made = np.frombuffer(data, "<u4").astype(np.int64) - 1 - new  # of the program's rest
            true = np.where(made < 0, 0, rest[np.clip(made, 0, len(rest) - 1)])
            file.seek(-len(data), os.SEEK_CUR)
            index = true.astype("<u4").tobytes()
            file.write(index)
            digest.update(index)
    result["index_sha256"] = digest.hexdigest()
    found = result["findings"]
    for finding in found if isinstance(found, list) else ():
        line = finding.get("line")
        if isinstance(line, int) and 0 < line <= new + len(rest):
            finding["line"] = int(rest[line - 1 - new]) if line > new else None


def _refused(code: FindingCode, line: int) -> dict[str, object]:
    finding = Finding(code, Severity.BLOCK, line or None)
    return {
        **{"report": None, "findings": [finding.to_json()], "verdict": "block"},
        **{"preamble": [], "following": [], "from_line": line, "rest_lines": 0, "layer_count": 0},
        "tool": 0,
    }


def _text(value: float) -> str:
    """Return a number as firmware reads it.

    >>> _text(210.0), _text(0.125), _text(-0.0)
    ('210', '0.125', '0')
    """
    return f"{value:.5f}".rstrip("0").rstrip(".").replace("-0", "0", value == 0)
