"""FarmBot's programs, line by line: where they go, what they switch, and what they would keep.

A line is one command with its words; it can be followed without knowing the robot, for G00 names
places in mm in the robot's own coordinates, and an axis that it does not name goes to 0. Its
speeds A, B and C (steps a second) only ever slow an axis down: the firmware takes the smaller of
them and its own. *Source:* FarmBot/farmbot-arduino-firmware 6.6: README.md, src/Command.cpp,
src/GCodeProcessor.cpp, src/Movement.cpp.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from drivers.dialects import farmbot_lines
from jobs.analysis.outcome import without_stream
from jobs.analysis.report import Report
from jobs.analysis.target import block, note, person
from jobs.domain.machine import MachineLimits
from jobs.domain.preflight import Finding, FindingCode, Severity

DIALECT: Final = "farmbot"
LARGEST_BYTES: Final = 4 * 1024 * 1024  # ten thousand times a day's program
_LINE_BYTES: Final = 50  # without Q and newline: with them it fits the board's ring
_MOST_FINDINGS: Final = 100
_SLACK: Final = 0.01  # [mm]
_FURTHEST: Final = 1e9  # of any number: what lies beyond is wrong all the same
_AXES: Final = "XYZ"
_HOMES: Final = {"F11": "X", "F12": "Y", "F13": "Z", "G28": _AXES}
_ASKS: Final = frozenset({"F21", "F31", "F42", "F81", "F82", "F83"})  # nothing comes of them
_PINS: Final = frozenset({"F41", "F43", "F44", "F61"})
# Unlocking and the lock itself, calibration, a list as long as a minute, the status of the host.
_FORBIDDEN: Final = frozenset({"E", "@", "F9", "F14", "F15", "F16", "F20", "F23", "F32"})
_PLACES: Final = frozenset(range(51, 58))  # parameters: home direction, steps per mm
_STEPS_PER_MM: Final = (5.0, 5.0, 25.0)  # as delivered
_COMMAND_S: Final = 0.1  # there and back, for each
_HOMING_S: Final = 10.0  # away from its end and back, for each axis


@dataclass(slots=True)
class _Seen:
    """Where something was first, as line of the upload, and how often."""

    line: int
    count: int = 0
    fields: dict[str, str | int | float] = field(default_factory=dict)


class _Follow:
    """A program as far as it has been read."""

    def __init__(self, machine: MachineLimits) -> None:
        self._machine = machine
        self._place: dict[str, float] = {}
        self._homed: set[str] = set()
        self._is_lost = False  # a setting that places depend on was written
        self._pins: dict[int, tuple[str, int]] = {}  # on: by which command, in which line
        self._seen: dict[tuple[FindingCode, str], _Seen] = {}
        self.low, self.high = [np.inf] * 3, [-np.inf] * 3
        self.travel = self.dwell = self.homing = self.moving = 0.0
        self.commands: dict[str, int] = {}

    def take(self, text: bytes, line: int) -> float:
        """Follow one bare line; return how long it takes [s].

        :param line: of the upload, from 1.
        """
        words = farmbot_lines.spaced(text)
        named = farmbot_lines.commands(text)
        head = named[0] if named else ""
        for word in named:
            if word in _FORBIDDEN:
                self._note(FindingCode.FORBIDDEN_COMMAND, word, line, command=word)
        if words is None or not head:
            if not _FORBIDDEN.intersection(named):
                self._note(FindingCode.MALFORMED_LINE, "", line)
            return 0.0
        if len(words) > _LINE_BYTES:
            size = {"bytes": len(words), "limit_bytes": _LINE_BYTES}
            self._note(FindingCode.LINE_TOO_LONG, "", line, **size)
        self.commands[head] = self.commands.get(head, 0) + 1
        return _COMMAND_S + self._obey(head, _values(words), line)

    def _obey(self, head: str, values: dict[str, float], line: int) -> float:
        if head == "G0":
            return self._move({axis: values.get(axis, 0.0) for axis in _AXES}, values, line)
        if head in _HOMES:
            return self._home(_HOMES[head], line)
        if head in _PINS:
            return self._switch(head, values, line)
        if head == "F22":
            self._keep(values, line)
        elif head == "F84":
            self._note(FindingCode.NOT_FOLLOWED, head, line, command=head)
        elif head not in _ASKS | _FORBIDDEN:
            self._note(FindingCode.UNKNOWN_COMMAND, head, line, command=head)
        return 0.0

    def _move(self, to: dict[str, float], values: dict[str, float], line: int) -> float:
        if self._is_lost:
            self._note(FindingCode.NOT_FOLLOWED, "G0", line, command="G0")
        if len(self._homed) < len(_AXES):
            self._note(FindingCode.MOVES_UNHOMED, "", line)
        longest = 0.0
        for index, axis in enumerate(_AXES):
            low = self._machine.origin_mm[index]
            high = low + self._machine.envelope_mm[index]
            if not low - _SLACK <= to[axis] <= high + _SLACK:
                self._outside(axis, to[axis], (low, high), line)
            self.low[index] = min(self.low[index], to[axis])
            self.high[index] = max(self.high[index], to[axis])
            way = abs(to[axis] - self._place.get(axis, to[axis]))
            self.travel += way
            longest = max(longest, self._seconds(index, way, values.get("ABC"[index], 0.0)))
        self._place = dict(to)
        self.moving += longest
        return longest

    def _seconds(self, index: int, way: float, asked: float) -> float:
        speed = self._machine.feed_max_mm_min[index] / 60.0
        if asked > 0.0:
            speed = min(speed, asked / _STEPS_PER_MM[index])
        acceleration = self._machine.acceleration_mm_s2[index]
        if speed <= 0.0 or acceleration <= 0.0:
            return 0.0
        ramp = min(way, speed**2 / acceleration)
        return float((way - ramp) / speed + 2.0 * np.sqrt(ramp / acceleration))

    def _home(self, axes: str, line: int) -> float:
        if self._is_lost:
            self._note(FindingCode.NOT_FOLLOWED, "G28", line, command="G28")
        seconds = 0.0
        for index, axis in enumerate(_AXES):
            if axis in axes:
                way = abs(self._place.get(axis, self._machine.envelope_mm[index]))
                seconds += self._seconds(index, way, 0.0) + _HOMING_S
                self._place[axis] = 0.0
                self._homed.add(axis)
        self.homing += seconds
        return seconds

    def _switch(self, head: str, values: dict[str, float], line: int) -> float:
        pin = int(values.get("P", -1.0))
        command = f"{head} P{pin}"
        self._note(FindingCode.PIN_SWITCHED, command, line, command=command)
        if head in ("F41", "F44"):
            # F44 gives the pin V for a while and leaves it at W.
            if values.get("V" if head == "F41" else "W", 0.0):
                self._pins[pin] = (command, line)
            else:
                self._pins.pop(pin, None)
        if head != "F44":
            return 0.0
        seconds = max(values.get("T", 0.0), 0.0) / 1000.0
        self.dwell += seconds
        return seconds

    def _keep(self, values: dict[str, float], line: int) -> None:
        number, new = int(values.get("P", -1.0)), values.get("V", 0.0)
        setting = f"parameter {number}"
        fields: dict[str, str | int | float] = {"command": "F22", "setting": setting}
        self._note(FindingCode.SETTING_STORED, setting, line, **fields, new=f"{new:g}", old="?")
        self._is_lost = self._is_lost or number in _PLACES

    def _outside(self, axis: str, at: float, ends: tuple[float, float], line: int) -> None:
        seen = self._note(FindingCode.OUTSIDE_ENVELOPE, axis, line)
        worst = seen.fields.get("at_mm")
        if not isinstance(worst, float) or _beyond(at, ends) > _beyond(worst, ends):
            seen.fields = {"axis": axis, "at_mm": at, "low_mm": ends[0], "high_mm": ends[1]}

    def _note(self, code: FindingCode, key: str, line: int, **fields: str | int | float) -> _Seen:
        seen = self._seen.setdefault((code, key), _Seen(line, fields=fields))
        seen.count += 1
        return seen

    def findings(self) -> list[Finding]:
        """Return what speaks against the program, what blocks first; at most a hundred."""
        found = [
            _WEIGHTS[code](code, seen.line, **seen.fields, count=seen.count)
            for (code, _), seen in self._seen.items()
        ]
        found += [
            person(FindingCode.PIN_LEFT_ON, line, command=command)
            for command, line in self._pins.values()
        ]
        weights = list(Severity)[::-1]
        return sorted(found, key=lambda one: weights.index(one.severity))[:_MOST_FINDINGS]


_WEIGHTS: Final = {
    FindingCode.FORBIDDEN_COMMAND: block,
    FindingCode.MALFORMED_LINE: block,
    FindingCode.LINE_TOO_LONG: block,
    FindingCode.UNKNOWN_COMMAND: block,
    FindingCode.NOT_FOLLOWED: block,
    FindingCode.OUTSIDE_ENVELOPE: block,
    FindingCode.PIN_SWITCHED: person,
    FindingCode.SETTING_STORED: person,
    FindingCode.MOVES_UNHOMED: note,
}


def prepare_farmbot(path: Path, out_dir: Path, machine: MachineLimits) -> dict[str, object]:
    """Examine a FarmBot's program; writes and returns what `prepare_program` does."""
    with path.open("rb") as file:
        data = file.read(LARGEST_BYTES + 1)
    if len(data) > LARGEST_BYTES:
        size = {"bytes": path.stat().st_size, "limit_bytes": LARGEST_BYTES}
        return without_stream([block(FindingCode.TOO_LARGE, **size)])
    follow = _Follow(machine)
    lines: list[bytes] = []
    index: list[int] = []
    planned: list[float] = []
    now = 0.0
    for line, text in _bare_lines(data):
        now += follow.take(text, line)
        lines.append(text.upper().replace(b" ", b""))
        index.append(line)
        planned.append(now)
    if not lines:
        return without_stream([block(FindingCode.EMPTY)])
    stream = b"\n".join([*lines, b""])
    index_bytes = np.array(index, "<u4").tobytes()
    out_dir.mkdir(parents=True, exist_ok=True)
    (out_dir / "stream").write_bytes(stream)
    (out_dir / "index.u32").write_bytes(index_bytes)
    (out_dir / "planned.f32").write_bytes(np.array(planned, "<f4").tobytes())
    report = _report(follow, len(lines), data.count(b"\n") + (not data.endswith(b"\n")))
    return without_stream(follow.findings(), report) | {
        "stream_sha256": hashlib.sha256(stream).hexdigest(),
        "index_sha256": hashlib.sha256(index_bytes).hexdigest(),
        "stream_lines": len(lines),
        "stream_bytes": len(stream),
        "planned_s": round(now, 3),
    }


def inspect_farmbot(data: bytes) -> dict[str, object]:
    """Return the report of a FarmBot's program, whatever robot it is for."""
    follow = _Follow(MachineLimits((0.0, 0.0, 0.0)))
    lines = list(_bare_lines(data[:LARGEST_BYTES]))
    for line, text in lines:
        follow.take(text, line)
    return _report(follow, len(lines), data.count(b"\n") + (not data.endswith(b"\n")))


def _report(follow: _Follow, blocks: int, lines: int) -> dict[str, object]:
    report = Report().finish(DIALECT, 0.0, None)
    seconds = follow.moving + follow.dwell + _COMMAND_S * blocks
    moves = bool(np.isfinite(follow.low).all())
    corners = {"min": list(follow.low), "max": list(follow.high)}
    bounds = {"all": corners if moves else None, "extruding": None, "cutting": None}
    return report | {
        "blocks": blocks,
        "lines": lines,
        "time_s": round(seconds, 3),
        "dwell_s": round(follow.dwell, 3),
        "homing_s": round(follow.homing, 1),
        "bounds_mm": bounds,
        "travel_mm": round(follow.travel, 3),
        "commands": dict(sorted(follow.commands.items(), key=lambda one: (-one[1], one[0]))),
        "slicer": None,
        "tools": [],
        "thumbnails": [],
        "start_lines": 0,
        "start_s": 0.0,
    }


def _bare_lines(data: bytes) -> Iterator[tuple[int, bytes]]:
    data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    for number, raw in enumerate(data.split(b"\n"), 1):
        if text := farmbot_lines.bare(raw):
            yield number, text


def _values(words: bytes) -> dict[str, float]:
    """Return a line's numbers by their letters; the last of a letter counts.

    >>> _values(b"G00 X1.5 Y-2")
    {'G': 0.0, 'X': 1.5, 'Y': -2.0}
    """
    return {
        word[:1].decode(): min(max(float(word[1:]), -_FURTHEST), _FURTHEST)
        for word in words.split(b" ")
    }


def _beyond(at: float, ends: tuple[float, float]) -> float:
    return max(ends[0] - at, at - ends[1])
