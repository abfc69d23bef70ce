"""A plain reader of programs, one line and one move after another, written from firmware rules.

It shares no code with the analysis and knows no arrays: it is what the analysis must equal.
Sources: gnea/grbl 1.1 (gcode.c, motion_control.c, planner.c) and Marlin 2.1 (parser, G0_G1, G2_G3,
planner, fwretract).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field

from jobs.domain.machine import MachineLimits

_COMMENT = re.compile(r"\([^)]*\)?|;.*")
_WORD = re.compile(r"([A-Z])([-+]?(?:\d+\.?\d*|\.\d+))?")
_NUMBERED = re.compile(r"N\d+([^*]*)(?:\*.*)?$")
UNKNOWN = math.nan
MM_PER_INCH = 25.4
NO_LENGTH = 1e-6


@dataclass
class Move:
    """One straight piece: from, to, filament, speed asked for [mm/s] and acceleration."""

    line: int
    start: list[float]
    end: list[float]
    pushed: float
    speed: float
    rapid: bool = False
    after_halt: bool = False
    limits: Limits | None = None
    zeros: list[int] = field(default_factory=list)  # each axis: which of G54 to G59 it counts from
    in_machine: bool = False


@dataclass
class Limits:
    """What holds moves back, as it is when one is planned."""

    speed: list[float]
    acceleration: list[float]
    jerk: list[float]
    deviation: float
    printing: float
    travelling: float
    retracting: float
    slowest: tuple[float, float] = (0.0, 0.0)

    def copy(self) -> Limits:
        return Limits(
            list(self.speed), list(self.acceleration), list(self.jerk), self.deviation,
            self.printing, self.travelling, self.retracting, self.slowest,
        )  # fmt: skip


@dataclass
class Plain:
    """The machine's state, and all it did."""

    machine: MachineLimits
    dialect: str
    place: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    shift: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    kept_shift: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    tool_length: float = 0.0
    e: float = 0.0
    unit: float = 1.0
    relative: bool = False
    relative_e: bool = False
    absolute_centre: bool = False
    plane: int = 17
    motion: float | None = None
    feed: float = 0.0
    feed_mode: int = 94
    turns: float = 0.0
    speed_share: float = 100.0
    kept_share: float = 100.0
    tool: int = 0
    spindle: bool = False
    flow: dict[int, float] = field(default_factory=dict)
    diameter: dict[int, float] = field(default_factory=dict)
    volumetric: bool = False
    retract: dict[str, float] = field(
        default_factory=lambda: {
            "length": 3.0,
            "speed": 45.0,
            "lift": 0.0,
            "extra": 0.0,
            "back": 8.0,
        }
    )
    retracted: dict[int, float] = field(default_factory=dict)
    lifted: float = 0.0
    halted: bool = True
    work: int = 54
    zeros: list[int | None] = field(default_factory=lambda: [None, None, None])
    in_machine: bool = False
    moves: list[Move] = field(default_factory=list)
    dwell: float = 0.0
    spindle_lines: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        machine, inf = self.machine, math.inf
        if self.dialect == "grbl":
            self.motion = 0.0
        as_x = machine.acceleration_mm_s2[0]
        x_y = machine.jerk_mm_s
        self.limits = Limits(
            [v / 60.0 for v in machine.feed_max_mm_min]
            + [machine.extruder_feed_max_mm_min / 60.0 or inf],
            [*machine.acceleration_mm_s2, machine.extruder_acceleration_mm_s2 or inf],
            [x_y, x_y, machine.z_jerk_mm_s or x_y, machine.extruder_jerk_mm_s or inf],
            machine.junction_deviation_mm,
            machine.print_acceleration_mm_s2 or as_x,
            machine.travel_acceleration_mm_s2 or as_x,
            machine.retract_acceleration_mm_s2 or as_x,
        )

    # --- lines -----------------------------------------------------------------------------

    def read(self, program: str) -> Plain:
        for number, text in enumerate(program.splitlines()):
            bare = re.sub(r"[ \t%]", "", _COMMENT.sub("", text)).upper()
            if numbered := _NUMBERED.match(bare):
                bare = numbered[1]
            words = [(w, None if v == "" else float(v)) for w, v in _WORD.findall(bare)]
            if not words:
                continue
            if self.dialect == "grbl":
                self._grbl(number, words)
            else:
                self._marlin(number, words)
        return self

    def _marlin(self, line: int, words: list[tuple[str, float | None]]) -> None:
        letter, code = words[0]
        given = {w: v for w, v in words[1:] if v is not None}
        named = {w for w, _ in words[1:]}
        lengths = {w: v * self.unit for w, v in given.items()}
        name = f"{letter}{code:g}" if code is not None else letter
        match name:
            case "G0" | "G1" | "G2" | "G3":
                self._feed(lengths)
                if named & set("XYZE") & set(given) or (
                    name in ("G2", "G3") and set("IJK") & set(given)
                ):
                    self._go(line, int(code or 0), given, lengths, absolute=False)
            case "G10" | "G11":
                self._retract(line, name == "G10")
            case "G4":
                self.halted = True
                pause = given["S"] if "S" in given else given.get("P", 0.0) / 1000.0
                self.dwell += max(pause, 0.0)
            case "G17" | "G18" | "G19":
                self.plane = int(code or 0)
            case "G20" | "G21":
                self.unit = MM_PER_INCH if name == "G20" else 1.0
            case "G28":
                self.halted = True
                for axis, axis_name in enumerate("XYZ"):
                    if axis_name in named or not named & set("XYZ"):
                        low = self.machine.origin_mm[axis]
                        high = low + self.machine.envelope_mm[axis]
                        self.place[axis] = min(max(0.0, low), high)
                        self.shift[axis] = 0.0
            case "G90" | "G91":
                self.relative = self.relative_e = name == "G91"
            case "G92":
                self._shift(lengths)
                self.e = lengths.get("E", self.e)
            case "G92.1":
                self.shift = [0.0, 0.0, 0.0]
            case "M82" | "M83":
                self.relative_e = name == "M83"
            case "M3" | "M4" | "M5" | "M400" | "M109" | "M190":
                self.halted = True
                if name in ("M3", "M4", "M5"):
                    self.spindle = name != "M5"
            case "M200":
                self._volumetric(given, lengths)
            case "M220":
                self.kept_share = self.speed_share if "B" in named else self.kept_share
                self.speed_share = self.kept_share if "R" in named else self.speed_share
                self.speed_share = max(given.get("S", self.speed_share), 0.0)
            case "M221":
                if "S" in given:
                    self.flow[int(given.get("T", self.tool))] = given["S"] / 100.0
            case "M201" | "M203" | "M204" | "M205" | "M207" | "M208":
                self._set(name, lengths)
            case _ if letter == "T" and code is not None:
                self.tool = int(code)
                self.halted = True
            case _:
                pass

    def _set(self, name: str, given: dict[str, float]) -> None:
        limits = self.limits = self.limits.copy()
        axes = {"M201": limits.acceleration, "M203": limits.speed, "M205": limits.jerk}
        for axis, letter in enumerate("XYZE"):
            if name in axes and given.get(letter, 0.0) >= 1e-3:
                axes[name][axis] = given[letter]
        if name == "M204":
            both = given.get("S", 0.0)
            own = {letter: given.get(letter, 0.0) for letter in "PTR"}
            limits.printing = (own["P"] or both) or limits.printing
            limits.travelling = (own["T"] or both) or limits.travelling
            limits.retracting = own["R"] or limits.retracting
        elif name == "M205":
            limits.deviation = given.get("J", 0.0) or limits.deviation
            printing, travelling = limits.slowest
            limits.slowest = (given.get("S", 0.0) or printing, given.get("T", 0.0) or travelling)
        elif name == "M207":
            self.retract["length"] = abs(given.get("S", self.retract["length"]))
            self.retract["speed"] = abs(given.get("F", self.retract["speed"] * 60.0)) / 60.0
            self.retract["lift"] = given.get("Z", self.retract["lift"])
        elif name == "M208":
            self.retract["extra"] = given.get("S", self.retract["extra"])
            self.retract["back"] = abs(given.get("F", self.retract["back"] * 60.0)) / 60.0

    def _volumetric(self, given: dict[str, float], lengths: dict[str, float]) -> None:
        if not {"D", "S"} & set(given):
            return
        diameter = lengths.get("D", UNKNOWN)
        wanted = self.volumetric
        if diameter > 0.0:
            self.diameter[int(given.get("T", self.tool))] = diameter
            wanted = True
        if "S" in given:
            wanted = given["S"] > 0.0
        self.volumetric = wanted and diameter != 0.0

    def _grbl(self, line: int, words: list[tuple[str, float | None]]) -> None:
        codes = [f"{w}{v:g}" for w, v in words if w in "GM" and v is not None]
        given = {w: v for w, v in words if v is not None and w not in "GMT"}
        named = {w for w, _ in words}
        for code in codes:
            if code in ("G20", "G21"):
                self.unit = MM_PER_INCH if code == "G20" else 1.0
        lengths = {w: v * self.unit for w, v in given.items()}
        uses_axes = False
        home = in_machine = ends = halts_after = False
        for code in codes:
            match code:
                case "G0" | "G1" | "G2" | "G3":
                    self.motion = float(code[1:])
                case "G80":
                    self.motion = None
                case "G17" | "G18" | "G19":
                    self.plane = int(code[1:])
                case "G90" | "G91":
                    self.relative = self.relative_e = code == "G91"
                case "G90.1" | "G91.1":
                    self.absolute_centre = code == "G90.1"
                case "G93" | "G94" | "G95":
                    self.feed_mode = int(code[1:])
                case "G53":
                    in_machine = True
                case "G54" | "G55" | "G59":
                    self.halted = True
                    self.work = int(code[1:])
                case "G28" | "G30":
                    home = uses_axes = self.halted = True
                case "G92" | "G92.1" | "G92.2" | "G92.3" | "G43.1" | "G49":
                    uses_axes = uses_axes or code != "G49"
                    self.halted = self.halted or code not in ("G92.2", "G92.3")
                case "G4":
                    self.halted = True
                    self.dwell += max(given.get("P", 0.0), 0.0)
                case "M3" | "M4" | "M5" | "M8" | "M9":
                    self.halted = True
                    if code in ("M3", "M4", "M5"):
                        self.spindle = code != "M5"
                case "M0" | "M1" | "M2" | "M30":
                    halts_after = True
                    ends = ends or code in ("M2", "M30")
                case _:
                    pass
        self.tool = next((int(v) for w, v in words if w == "T" and v is not None), self.tool)
        if ends:
            self.spindle = False
        self.turns = given.get("S", self.turns)
        self._feed(lengths)
        # What takes an offset away comes before what sets one.
        for code in codes:
            if code in ("G92.1", "G92.2"):
                self.kept_shift = list(self.shift) if code == "G92.2" else [0.0, 0.0, 0.0]
                self.shift = [0.0, 0.0, 0.0]
            elif code == "G92.3":
                self.shift = list(self.kept_shift)
            elif code == "G92":
                self._shift(lengths)
            elif code in ("G43.1", "G49"):
                self.tool_length = lengths.get("Z", 0.0) if code == "G43.1" else 0.0
        axes = {w for w in "XYZ" if w in given}
        self.in_machine = in_machine
        if home:
            if axes:
                self._go(line, 0, given, lengths, absolute=False)
            for axis, letter in enumerate("XYZ"):
                if letter in named or not named & set("XYZ"):
                    self.place[axis] = UNKNOWN
        elif not uses_axes and self.motion is not None:
            curved = self.motion in (2.0, 3.0) and set("IJK") & set(given)
            if axes or "E" in given or curved:
                self._go(line, int(self.motion), given, lengths, absolute=in_machine)
        self.halted = self.halted or halts_after

    def _feed(self, lengths: dict[str, float]) -> None:
        if lengths.get("F", 0.0) > 0.0:
            self.feed = lengths["F"] / 60.0

    def _shift(self, lengths: dict[str, float]) -> None:
        for axis, letter in enumerate("XYZ"):
            if letter in lengths:
                lift = self.tool_length if axis == 2 else 0.0
                logical = self.place[axis] - self.shift[axis] - lift
                if not math.isnan(logical):
                    self.shift[axis] += logical - lengths[letter]
                else:
                    # Nobody knows the place: the shift stays, the coordinate counts from here.
                    self.place[axis] = lengths[letter] + self.shift[axis] + lift

    # --- motion ----------------------------------------------------------------------------

    def _go(
        self, line: int, motion: int, given: dict[str, float], lengths: dict[str, float],
        *, absolute: bool,
    ) -> None:  # fmt: skip
        start = list(self.place)
        target = list(self.place)
        for axis, letter in enumerate("XYZ"):
            if letter in lengths:
                lift = self.tool_length if axis == 2 else 0.0
                if not self.relative:
                    self.zeros[axis] = self.work
                if absolute:
                    target[axis] = UNKNOWN
                elif self.relative:
                    target[axis] += lengths[letter]
                else:
                    target[axis] = lengths[letter] + self.shift[axis] + lift
        pushed = 0.0
        if "E" in lengths:
            pushed = lengths["E"] if self.relative_e else lengths["E"] - self.e
            self.e = self.e + lengths["E"] if self.relative_e else lengths["E"]
            pushed *= self._factor()
        speed = self.feed * self.speed_share / 100.0
        rapid = self.dialect == "grbl" and motion == 0
        points = [target]
        if motion in (2, 3):
            points = self._arc(start, target, motion == 2, lengths, speed)
        here = start
        total = 0.0
        made = []
        for point in points:
            made.append(Move(line, here, point, pushed / len(points), speed, rapid))
            total += _distance(here, point)
            here = point
        for move in made:
            if self.feed_mode == 93 and self.dialect == "grbl":
                move.speed = given.get("F", 0.0) / 60.0 * total
            elif self.feed_mode == 95 and self.dialect == "grbl":
                move.speed = self.feed * self.speed_share / 100.0 * self.turns
            self._add(move)
        self.place = list(target)

    def _add(self, move: Move) -> None:
        move.start, move.end = list(move.start), list(move.end)
        move.start[2] += self.lifted
        move.end[2] += self.lifted
        move.limits = self.limits
        move.zeros = [self.work if zero is None else zero for zero in self.zeros]
        move.in_machine = self.in_machine
        self.moves.append(move)
        if _distance(move.start, move.end) > NO_LENGTH or (
            abs(move.pushed) > NO_LENGTH and self.dialect != "grbl"
        ):
            move.after_halt, self.halted = self.halted, False

    def _factor(self) -> float:
        factor = self.flow.get(self.tool, 1.0)
        if self.volumetric:
            factor /= math.pi / 4.0 * self.diameter.get(self.tool, 1.75) ** 2
        return factor

    def _retract(self, line: int, pulls: bool) -> None:
        settings = self.retract
        if pulls == (self.tool in self.retracted):
            return
        here = list(self.place)
        if pulls:
            self.retracted[self.tool] = settings["length"]
            self._add(Move(line, here, here, -settings["length"], settings["speed"]))
            if not self.lifted and settings["lift"] > 0.01:
                self._lift(line, settings["lift"])
            return
        if self.lifted:
            self._lift(line, 0.0)
        amount = self.retracted.pop(self.tool) + settings["extra"]
        self._add(Move(line, here, here, amount, settings["back"]))

    def _lift(self, line: int, height: float) -> None:
        low = list(self.place)
        before, self.lifted = self.lifted, 0.0
        start, end = list(low), list(low)
        start[2] += before
        end[2] += height
        self._add(Move(line, start, end, 0.0, 0.0, rapid=True))
        self.lifted = height

    def _arc(
        self, start: list[float], target: list[float], clockwise: bool,
        lengths: dict[str, float], speed: float,
    ) -> list[list[float]]:  # fmt: skip
        p, q, across = {17: (0, 1, 2), 18: (2, 0, 1), 19: (1, 2, 0)}[self.plane]
        x, y = target[p] - start[p], target[q] - start[q]
        if "R" in lengths:
            radius, chord = lengths["R"], math.hypot(x, y)
            if not chord > 0.0:
                return [target]
            height = math.sqrt(max(4.0 * radius**2 - chord**2, 0.0)) / chord
            # The centre lies to the right of the way for a clockwise arc below half a turn.
            if clockwise == (radius >= 0.0):
                height = -height
            i, j = 0.5 * (x - y * height), 0.5 * (y + x * height)
        else:
            i, j = (lengths.get("IJK"[axis]) for axis in (p, q))
            if self.absolute_centre:
                i = None if i is None else i - start[p]
                j = None if j is None else j - start[q]
            i, j = i or 0.0, j or 0.0
        radius = math.hypot(i, j)
        if not math.isfinite(radius) or math.isnan(x + y):
            return [target]
        first = math.atan2(-j, -i)
        way = math.atan2(y - j, x - i) - first
        way = -((-way) % math.tau) if clockwise else way % math.tau
        if abs(way) < 5e-7:
            way = -math.tau if clockwise else math.tau
        count = self._pieces(radius, abs(way))
        points = []
        for number in range(1, count):
            share = number / count
            point = [0.0, 0.0, 0.0]
            point[p] = start[p] + i + radius * math.cos(first + way * share)
            point[q] = start[q] + j + radius * math.sin(first + way * share)
            point[across] = start[across] + (target[across] - start[across]) * share
            points.append(point)
        return [*points, target]

    def _pieces(self, radius: float, angle: float) -> int:
        length = radius * angle
        if self.dialect == "grbl":
            inner = max(0.002 * (2.0 * radius - 0.002), 1e-12)
            count = math.floor(0.5 * length / math.sqrt(inner))
        else:
            fewest = math.ceil(72.0 * angle / math.tau - 1e-9)
            count = max(math.floor(length / 1.0), fewest, 1)
            if length / count > 1.0:
                count = math.ceil(length / 1.0)
            elif length / count < 0.1:
                count = math.floor(length / 0.1)
        return min(max(count, 1), 500)

    # --- results ---------------------------------------------------------------------------

    def filament(self) -> dict[int, float]:
        """Return the net filament pushed by all moves."""
        return {0: sum(move.pushed for move in self.moves)}

    def bounds(self) -> list[tuple[float, float]]:
        """Return lowest and highest end of all moves, by axis; unknown places do not count."""
        found = []
        for axis in range(3):
            known = [m.end[axis] for m in self.moves if not math.isnan(m.end[axis])]
            found.append((min(known), max(known)) if known else (0.0, 0.0))
        return found

    def seconds(self) -> list[float]:
        """Return the planned seconds of each move."""
        planned = [0.0] * len(self.moves)
        chain: list[tuple[int, Planned]] = []
        for index, move in enumerate(self.moves):
            made = self._plan(move)
            if made is None:
                continue
            if move.after_halt and chain:
                self._run(chain, planned)
                chain = []
            if chain:
                made.corner = self._corner(chain[-1][1], made)
            chain.append((index, made))
        self._run(chain, planned)
        return planned

    def _plan(self, move: Move) -> Planned | None:
        grbl = self.dialect == "grbl"
        way = [b - a for a, b in zip(move.start, move.end, strict=True)]
        way = [0.0 if math.isnan(one) else one for one in way]
        travelled = math.hypot(*way)
        moved = travelled > NO_LENGTH
        length = travelled if moved else abs(move.pushed)
        if length <= NO_LENGTH or (grbl and not moved):
            return None
        if not moved:
            way = [0.0, 0.0, 0.0]
        unit = [one / length for one in [*way, 0.0 if grbl else move.pushed]]
        limits = move.limits
        assert limits is not None
        most = math.inf
        own = math.inf
        if not grbl:
            own = limits.printing if move.pushed else limits.travelling
        for share, speed, acceleration in zip(unit, limits.speed, limits.acceleration, strict=True):
            if share:
                most = min(most, speed / abs(share))
                own = min(own, acceleration / abs(share))
        if not moved:
            own = limits.retracting
        asked = move.speed if move.speed > 0.0 else 25.0
        if not grbl:
            asked = max(asked, limits.slowest[0 if move.pushed else 1])
        if move.rapid:
            asked = most
        return Planned(length, max(min(asked, most), 0.05), own, unit, bool(move.pushed), limits)

    def _corner(self, before: Planned, here: Planned) -> float:
        if self.machine.jerk_mm_s > 0.0:
            return self._jerk_corner(before, here)
        a, b = list(before.unit), list(here.unit)
        if self.dialect != "grbl":
            a, b = _normal(a), _normal(b)
        cosine = -sum(x * y for x, y in zip(a, b, strict=True))
        slower = min(before.nominal, here.nominal) ** 2
        if cosine > 0.999999:
            return 0.0
        if cosine < -0.999999:
            return slower
        turn = _normal([y - x for x, y in zip(a, b, strict=True)])
        acceleration = math.inf if self.dialect == "grbl" else here.acceleration
        for share, limit in zip(turn, here.limits.acceleration, strict=True):
            if share:
                acceleration = min(acceleration, limit / abs(share))
        half = math.sqrt(0.5 * (1.0 - cosine))
        allowed = acceleration * here.limits.deviation * half / (1.0 - half)
        if self.dialect != "grbl" and here.length < 1.0 and cosine < -0.7071067812:
            allowed = min(allowed, here.length * acceleration / math.acos(-cosine))
        return min(allowed, slower)

    def _jerk_corner(self, before: Planned, here: Planned) -> float:
        shared = min(before.nominal, here.nominal)
        factor = 1.0
        for a, b, limit in zip(before.unit, here.unit, here.limits.jerk, strict=True):
            leave, enter = a * shared * factor, b * here.nominal * factor
            change = abs(leave - enter) if leave * enter > 0.0 else max(abs(leave), abs(enter))
            if change > limit:
                factor *= limit / change
        speed = shared * factor
        first, second = safe_of(before), safe_of(here)
        if first > 0.99 * speed and second > 0.99 * speed:
            speed = min(second, shared)
        return speed**2

    def _run(self, chain: list[tuple[int, Planned]], planned: list[float]) -> None:
        """Plan as firmware does: each move back from the standstill behind the last one seen."""
        seen = max(self.machine.planner_blocks - (2 if self.dialect == "grbl" else 3), 1)
        moves = [move for _, move in chain]
        entry = [0.0] * (len(moves) + 1)
        for first in range(len(moves)):
            speed = 0.0
            for index in range(min(first + seen, len(moves)) - 1, first - 1, -1):
                speed = min(moves[index].corner, speed + moves[index].change)
            reached = entry[first - 1] + moves[first - 1].change if first else 0.0
            entry[first] = min(speed, reached)
        for number, (index, move) in enumerate(chain):
            planned[index] = move.time(entry[number], entry[number + 1])


@dataclass
class Planned:
    """A move as the planner has it; `corner` is the square of the largest speed into it."""

    length: float
    nominal: float
    acceleration: float
    unit: list[float]
    pushes: bool
    limits: Limits
    corner: float = 0.0

    @property
    def change(self) -> float:
        return 2.0 * self.acceleration * self.length

    def time(self, entry2: float, leave2: float) -> float:
        entry, leave, a = math.sqrt(entry2), math.sqrt(leave2), self.acceleration
        up = (self.nominal**2 - entry2) / (2.0 * a)
        down = (self.nominal**2 - leave2) / (2.0 * a)
        if up + down <= self.length:
            cruise = (self.length - up - down) / self.nominal
            return (2.0 * self.nominal - entry - leave) / a + cruise
        peak = math.sqrt(max((entry2 + leave2) / 2.0 + a * self.length, entry2, leave2))
        return (2.0 * peak - entry - leave) / a


def safe_of(move: Planned) -> float:
    """Return the speed from which a move could stand still at once, with its own limits."""
    speed = move.nominal
    for share, limit in zip(move.unit, move.limits.jerk, strict=True):
        if abs(share) * move.nominal > limit:
            speed = min(speed, limit / abs(share))
    return speed


def _distance(a: list[float], b: list[float]) -> float:
    return math.sqrt(sum((y - x) ** 2 for x, y in zip(a, b, strict=True) if not math.isnan(y - x)))


def _normal(vector: list[float]) -> list[float]:
    size = math.sqrt(sum(one * one for one in vector))
    return [one / size for one in vector]
