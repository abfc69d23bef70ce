"""The G-code that Grbl 1.1 understands: one line becomes a checked block or an error number.

Written from Grbl's list of supported commands and error codes
(`gnea/grbl:doc/csv/error_codes_en_US.csv`, `doc/markdown/commands.md`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_WORD = re.compile(r"([A-Z])([-+]?(?:\d+\.?\d*|\.\d+))?")

# Modal groups of RS274/NGC; a line may hold one word of each.
_GROUPS: dict[str, dict[float, str]] = {
    "G": {
        **dict.fromkeys((4, 10, 28, 28.1, 30, 30.1, 53, 92, 92.1), "non-modal"),
        **dict.fromkeys((0, 1, 2, 3, 38.2, 38.3, 38.4, 38.5, 80), "motion"),
        **dict.fromkeys((17, 18, 19), "plane"),
        **dict.fromkeys((90, 91), "distance"),
        91.1: "arc-distance",
        **dict.fromkeys((93, 94), "feed"),
        **dict.fromkeys((20, 21), "units"),
        40: "cutter",
        **dict.fromkeys((43.1, 49), "length"),
        **dict.fromkeys((54, 55, 56, 57, 58, 59), "system"),
        61: "path",
    },
    "M": {
        **dict.fromkeys((0, 1, 2, 30), "flow"),
        **dict.fromkeys((3, 4, 5), "spindle"),
        **dict.fromkeys((8, 9), "coolant"),
    },
}
_TAKES_AXES = {10, 28, 30, 92, 0, 1, 2, 3, 38.2, 38.3, 38.4, 38.5, 43.1, 49}
_MOTIONS = {0, 1, 2, 3, 38.2, 38.3, 38.4, 38.5}
_NEVER_NEGATIVE = "FNPST"

LETTER, NUMBER, NEGATIVE, UNSUPPORTED, GROUP = 1, 2, 4, 20, 21
NO_FEED, NOT_INTEGER, AXIS_CONFLICT, REPEATED = 22, 23, 24, 25
NO_AXES, LINE_NUMBER, MISSING, UNUSED_AXES, NO_PLANE = 26, 27, 28, 31, 32
BAD_TARGET, BAD_RADIUS, NO_OFFSET, UNUSED = 33, 34, 35, 36


@dataclass(slots=True)
class Modes:
    """The parser's memory from line to line."""

    motion: float = 0
    plane: int = 17
    units: int = 21
    distance: int = 90
    feed_mode: int = 94
    system: int = 54
    spindle: int = 5
    coolant: int = 9
    flow: int = 0
    tool: int = 0
    feed: float = 0.0  # [mm/min]
    speed: float = 0.0  # [1/min]


@dataclass(slots=True)
class Line:
    """One line, read and checked for form."""

    groups: dict[str, float] = field(default_factory=dict)
    values: dict[str, float] = field(default_factory=dict)
    axis_command: float | None = None

    @property
    def axes(self) -> list[str]:
        return [name for name in "XYZ" if name in self.values]


def read(text: str) -> Line | int:
    """Read a line without blanks and comments; an error number if it is malformed.

    >>> read("G1X1Y2F100").values
    {'X': 1.0, 'Y': 2.0, 'F': 100.0}
    >>> read("1"), read("GX"), read("G1X1X2"), read("G0G1X1"), read("G5"), read("F-1")
    (1, 2, 25, 24, 20, 4)
    """
    line = Line()
    at = 0
    while at < len(text):
        found = _WORD.match(text, at)
        if found is None:
            return LETTER
        letter, number = found.groups()
        if number is None:
            return NUMBER
        at = found.end()
        error = _add(line, letter, float(number))
        if error:
            return error
    return line


def _add(line: Line, letter: str, value: float) -> int:
    if letter in _GROUPS:
        code = round(value, 2)
        group = _GROUPS[letter].get(code)
        if group is None:
            whole = int(code) in _GROUPS[letter] and code != int(code)
            return NOT_INTEGER if whole and int(code) not in (28, 30, 92, 38) else UNSUPPORTED
        if letter == "G" and code in _TAKES_AXES:
            if line.axis_command is not None:
                return AXIS_CONFLICT
            line.axis_command = code
        if group in line.groups:
            return GROUP
        line.groups[group] = code
        return 0
    if letter not in "FIJKLNPRSTXYZ":
        return UNSUPPORTED
    if letter in line.values:
        return REPEATED
    if value < 0 and letter in _NEVER_NEGATIVE:
        return NEGATIVE
    line.values[letter] = value
    return 0


def refusal(line: Line, modes: Modes) -> int:
    """Error number of a well-formed line that cannot be done; 0 if it can.

    >>> refusal(read("G1X1"), Modes()), refusal(read("G1"), Modes()), refusal(read("G4"), Modes())
    (22, 0, 28)
    """
    values, special = line.values, line.groups.get("non-modal")
    if values.get("N", 0) > 10_000_000:
        return LINE_NUMBER
    if special == 4 and "P" not in values:
        return MISSING
    if special in (10, 92) and not line.axes:
        return NO_AXES
    if special == 10 and not {"L", "P"} <= set(values):
        return MISSING
    if special == 10 and values["L"] not in (2, 20):
        return UNSUPPORTED
    moves = line.axis_command is None or line.axis_command in _MOTIONS
    motion = line.groups.get("motion", modes.motion)
    if special in (10, 28, 30, 92):
        moves = False
    if line.groups.get("length") == 43.1 and line.axes != ["Z"]:
        return 37
    if moves and line.axes and motion == 80:
        return UNUSED_AXES
    error = _motion_refusal(line, modes, motion) if moves else 0
    return error or _leftover(line, moves=moves, motion=motion)


def _motion_refusal(line: Line, modes: Modes, motion: float) -> int:
    values = line.values
    explicit = "motion" in line.groups
    if not line.axes:
        return (
            NO_PLANE
            if explicit and motion in (2, 3)
            else (NO_AXES if explicit and motion > 38 else 0)
        )
    if motion not in (0, 80) and not values.get("F", modes.feed):
        return NO_FEED
    if motion in (2, 3):
        in_plane = {17: "XY", 18: "XZ", 19: "YZ"}[int(line.groups.get("plane", modes.plane))]
        if not set(in_plane) & set(line.axes):
            return NO_PLANE
        if "R" not in values:
            offsets = {"X": "I", "Y": "J", "Z": "K"}
            if not any(offsets[name] in values for name in in_plane):
                return NO_OFFSET
    return 0


def _leftover(line: Line, *, moves: bool, motion: float) -> int:
    """Grbl refuses words that nothing on the line uses."""
    used = set("FNSTXYZ")
    special = line.groups.get("non-modal")
    if special in (4, 10):
        used |= set("PL")
    if moves and line.axes and motion in (2, 3):
        used |= set("IJKR")
    return UNUSED if set(line.values) - used else 0
