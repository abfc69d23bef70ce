"""What the lines sent so far have set on a printer, kept at next to no cost a line.

Nine lines in ten are moves that change nothing but where the head is; they are not read. Where
it is, is read backwards from the text, and only when somebody wants to know.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from drivers.flow import Program

LOOK_BACK = 4_000  # lines read to find a place; beyond them the firmware is asked

_PLAIN = frozenset(head + end for head in (b"G0", b"G1") for end in (b"X", b"Y", b"E", b"F", b" "))
_COMMAND = re.compile(rb"([GMT])\s*0*(\d+)(?:\.(\d+))?", re.IGNORECASE)
_WORD = re.compile(rb"([XYZEFST])\s*([-+]?(?:\d+\.?\d*|\.\d+))?", re.IGNORECASE)
_AXES = "XYZE"
_INCH = 25.4
_AGREE = 0.05  # between text and report; a report is rounded, or counts in motor steps [mm]


@dataclass(slots=True)
class Bookmark:
    """The modes of the language after the lines so far; places in mm, in the program's zero.

    :param order: the last of G90 and G91 and the last of M82 and M83, in the order they came:
        firmwares differ in whether G90 touches E, and agree if both are said again in order.
    :param position: per axis, only where the program named it since the axis was homed.
    :param since: per axis, how far relative moves led from a place that only the firmware knows.
    :param fan: the line that set it last.
    :param is_shifted: G92 has moved the zero of X, Y or Z.
    """

    order: tuple[str, ...] = ()
    inches: bool = False
    tool: int = 0
    feedrate_mm_min: float = 0.0
    fan: bytes = b""
    homed: frozenset[str] = frozenset()
    is_shifted: bool = False
    position: dict[str, float] = field(default_factory=dict)
    since: dict[str, float] = field(default_factory=dict)
    _known_to: int = 0  # lines that `position` already knows

    @property
    def is_relative(self) -> bool:
        """X, Y and Z count from the last place."""
        return "G91" in self.order

    @property
    def counts_extrusion(self) -> bool:
        """E counts from its zero, in every firmware's reading of the modes."""
        return not {"G91", "M83"} & set(self.order)

    @property
    def modes(self) -> tuple[str, ...]:
        """The lines that bring the modes back, whatever was in force before."""
        absolute = () if {"G90", "G91"} & set(self.order) else ("G90",)
        extruder = () if {"M82", "M83"} & set(self.order) else ("M82",)
        return (*absolute, *extruder, *self.order)

    def take(self, index: int, text: bytes, program: Program) -> None:
        """Take a line of the program into account as it is sent; lines come in order."""
        if text[:3] in _PLAIN and not self.inches and "G91" not in self.order:
            if b"F" in text or b"Z" in text:
                self._see(text)
            return
        self._read(index, text, program)

    def begin(self) -> None:
        """A new program begins; the modes stay as the last one left them."""
        self.position, self.since = {}, {}
        self._known_to = 0

    def settle(self, program: Program, index: int) -> Mapping[str, float]:
        """Return where the first *index* lines lead, as far as they say."""
        wanted = {"X", "Y", "E"} if self.counts_extrusion else {"X", "Y"}
        for at in range(index - 1, max(self._known_to, index - LOOK_BACK) - 1, -1):
            if not wanted:
                break
            text = program.line(at)
            found = _COMMAND.match(text)
            if found is None or found[1].upper() != b"G" or int(found[2]) > 3:
                continue
            for name, value in _numbers(text[found.end() :]).items():
                if name in wanted and value is not None:
                    wanted.discard(name)
                    self._set(name, value)
        if index - self._known_to > LOOK_BACK:
            for name in wanted:
                self.position.pop(name, None)  # older than anyone has looked
        if not self.counts_extrusion:
            self.position.pop("E", None)  # until a line counts from the zero again
        self._known_to = index
        return self.position

    def _see(self, text: bytes) -> None:
        for name, value in _numbers(text).items():
            if value is not None and name in "ZF":
                self._set(name, value)

    def _read(self, index: int, text: bytes, program: Program) -> None:
        found = _COMMAND.match(text)
        if found is None:
            return
        word = (found[1] + found[2]).decode().upper() + (
            "." + found[3].decode() if found[3] else ""
        )
        rest = text[found.end() :]
        match word:
            case "G0" | "G1" | "G2" | "G3":
                self._move(index, rest, program)
            case "G90" | "G91":
                self.settle(program, index)
                self._order(word, ("G90", "G91"))
            case "M82" | "M83":
                self.settle(program, index)
                self._order(word, ("M82", "M83"))
            case "G20" | "G21":
                self.settle(program, index)
                self.inches = word == "G20"
            case "G92":
                self._shift(index, rest, program)
            case "G28" | "G29" | "G27" | "G30" | "G12":
                self._wander(index, word, rest, program)
            case "M106" | "M107":
                self.fan = text
            case "M18" | "M84":
                self.homed = frozenset()
            case _ if word[0] == "T":
                self.tool = int(word[1:])
            case _:
                pass

    def place(self, said: Mapping[str, float], told: Mapping[str, float]) -> dict[str, float]:
        """Return where the head is, as exact as it can be known.

        :param said: what `settle` gave.
        :param told: what the firmware reports, with two decimals; where a relative move began
            at a place of its own, such as home, that place is taken to be as round as it can be.
            If it is another place than the text says, it counts: a firmware may not know G20 or
            small letters, and a macro or a probe may have moved the head since.

        >>> Bookmark().place({"X": 10.123, "Z": 5.08}, {"X": 10.12, "Y": 3.0, "Z": 0.2})
        {'X': 10.123, 'Y': 3.0, 'Z': 0.2}
        """
        exact = {
            axis: _unrounded(value - self.since[axis]) + self.since[axis]
            for axis, value in told.items()
            if axis in self.since
        }
        known = {**exact, **said}
        for axis in {"X", "Y", "Z"} & set(known) & set(told):
            if abs(known[axis] - told[axis]) > _AGREE:
                del known[axis]
        return {**told, **known}

    def _order(self, word: str, family: tuple[str, ...]) -> None:
        self.order = (*(one for one in self.order if one not in family), word)

    def _move(self, index: int, rest: bytes, program: Program) -> None:
        if self.is_relative:
            self.settle(program, index)
        for name, value in _numbers(rest).items():
            if value is None or name not in "XYZEF":
                continue
            if name == "F" or not self.is_relative:
                if name == "Z" or name == "F" or self.inches:
                    self._set(name, value)
            else:
                known = self.position if name in self.position else self.since
                known[name] = known.get(name, 0.0) + value * self._unit()
        if self.is_relative or self.inches:
            self._known_to = index + 1

    def _shift(self, index: int, rest: bytes, program: Program) -> None:
        self.settle(program, index)
        given = _numbers(rest)
        for name in _AXES:
            if name in given or not given:
                self.position[name] = (given.get(name) or 0.0) * self._unit()
                self.is_shifted = self.is_shifted or name != "E"
        self._known_to = index + 1

    def _wander(self, index: int, word: str, rest: bytes, program: Program) -> None:
        """The machine moves to places of its own."""
        self.settle(program, index)
        # "G28 X" names an axis without a number; other letters are options.
        named = [axis for axis in "XYZ" if axis in rest.decode("ascii", "ignore").upper()]
        axes = named if word == "G28" and named else list("XYZ")
        for axis in axes:
            self.position.pop(axis, None)
            self.since.pop(axis, None)
        if word == "G28":
            self.homed |= set(axes)
            if len(axes) == 3:
                self.is_shifted = False
        self._known_to = index + 1

    def _set(self, name: str, value: float) -> None:
        if name == "F":
            self.feedrate_mm_min = value * self._unit()
        else:
            self.position[name] = value * self._unit()

    def _unit(self) -> float:
        return _INCH if self.inches else 1.0


def _unrounded(place: float) -> float:
    """Return the roundest number that a report with two decimals may mean.

    >>> _unrounded(0.0049), _unrounded(-2.9951), _unrounded(0.1751)
    (0.0, -3.0, 0.18)
    """
    tenths = round(place, 1)
    return tenths if abs(place - tenths) < 0.00501 else round(place, 2)


def _numbers(text: bytes) -> dict[str, float | None]:
    return {
        name.decode().upper(): float(number) if number else None
        for name, number in _WORD.findall(text)
    }
