"""The modal state of a program up to a line: what a journal keeps for the next person."""

from __future__ import annotations

from dataclasses import dataclass, field

from drivers.gcode.lexer import words

_INCH = 25.4
_AXES = "XYZE"


@dataclass(slots=True)
class ModalState:
    """What the lines so far have set, in mm, mm/s and °C.

    Positions are those of the program (work coordinates) and hold only what the program
    said: an axis it never named is absent.
    """

    absolute: bool = True
    inches: bool = False
    absolute_extrusion: bool = True
    tool: int = 0
    feedrate: float = 0.0
    spindle: float = 0.0  # speed [1/min] while it turns, else 0
    homed: bool = False
    position: dict[str, float] = field(default_factory=dict)
    targets: dict[str, float] = field(default_factory=dict)
    _spindle_speed: float = 0.0
    _motion: bool = False

    def apply(self, line: bytes) -> None:
        """Take one bare line into account.

        >>> state = ModalState()
        >>> for line in (b"G21 G91", b"G1 X5 F600", b"X2", b"M104 S215", b"M3 S800"):
        ...     state.apply(line)
        >>> state.position, state.feedrate, state.targets, state.spindle
        ({'X': 7.0}, 10.0, {'T0': 215.0}, 800.0)
        """
        if line.startswith(b"$"):
            if line[:2].upper() == b"$H":
                self._home(b"")
            return
        given: dict[str, float] = {}
        group: list[tuple[str, float]] = []
        for letter, number in words(line):
            if letter in "GMT":
                group.append((letter, number))
            else:
                given[letter] = number
        if "S" in given:
            self._spindle_speed = given["S"]
            if self.spindle:
                self.spindle = given["S"]
        other = False
        for letter, number in group:
            other = self._set(letter, number, given, line) or other
        if "F" in given:
            self.feedrate = given["F"] * self._unit() / 60.0
        if self._motion and not other:
            self._move(given)

    def to_json(self) -> dict[str, object]:
        """Return plain values, the unit in each name."""
        return {
            "absolute": self.absolute,
            "inches": self.inches,
            "absolute_extrusion": self.absolute_extrusion,
            "tool": self.tool,
            "feedrate_mm_s": self.feedrate,
            "spindle_rpm": self.spindle,
            "homed": self.homed,
            "position_mm": dict(self.position),
            "targets_c": dict(self.targets),
        }

    def _unit(self) -> float:
        return _INCH if self.inches else 1.0

    def _set(self, letter: str, number: float, given: dict[str, float], line: bytes) -> bool:
        """Apply one G, M or T word; true if the line's axes belong to it and not to a move."""
        match letter, number:
            case "G", 0.0 | 1.0 | 2.0 | 3.0:
                self._motion = True
            case "G", 20.0 | 21.0:
                self.inches = number == 20.0
            case "G", 90.0 | 91.0:
                self.absolute = number == 90.0
            case "M", 82.0 | 83.0:
                self.absolute_extrusion = number == 82.0
            case "G", 28.0:
                self._home(line)
                return True
            case "G", 92.0:
                self.position |= {a: given[a] * self._unit() for a in _AXES if a in given}
                return True
            case "G", 4.0 | 10.0 | 29.0 | 30.0 | 43.1:
                return True
            case "T", _:
                self.tool = int(number)
            case "M", 3.0 | 4.0:
                self.spindle = self._spindle_speed
            case "M", 5.0:
                self.spindle = 0.0
            case "M", 18.0 | 84.0:
                self.homed = False
                return True
            case "M", 104.0 | 109.0:
                self._aim(f"T{int(given.get('T', self.tool))}", given)
                return True
            case "M", 140.0 | 190.0:
                self._aim("B", given)
                return True
            case "M", _:
                return number not in (6.0, 7.0, 8.0, 9.0)
        return False

    def _aim(self, name: str, given: dict[str, float]) -> None:
        target = given.get("S", given.get("R"))
        if target is not None:
            self.targets[name] = target

    def _home(self, line: bytes) -> None:
        # "G28 X" names an axis without a number, so it is no word.
        named = line.upper().decode("ascii", "ignore")
        axes = [axis for axis in "XYZ" if axis in named] or list("XYZ")
        for axis in axes:
            self.position[axis] = 0.0
        self.homed = self.homed or len(axes) == 3

    def _move(self, given: dict[str, float]) -> None:
        for axis in _AXES:
            if axis not in given:
                continue
            value = given[axis] * self._unit()
            absolute = self.absolute and (axis != "E" or self.absolute_extrusion)
            self.position[axis] = value if absolute else self.position.get(axis, 0.0) + value
