"""What Marlin says, and all who imitate it.

*Source:* MarlinFirmware/Marlin:Marlin/src/gcode/queue.cpp, and answers of real boards.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from drivers.dialects.actions import Action, action_of

Temperatures = Mapping[str, tuple[float, float]]  # name: actual, target [°C]


@dataclass(frozen=True, slots=True)
class Ok:
    """A line was taken and executed (moves: planned).

    :param number: its line number, where ADVANCED_OK tells it.
    """

    number: int | None = None
    planner_free: int | None = None
    temperatures: Temperatures = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Resend:
    """The firmware waits for this line and threw away what followed."""

    number: int


@dataclass(frozen=True, slots=True)
class LineError:
    """A line came damaged; a `Resend` follows.

    :param last: the last line number that was taken, if it could be read.
    """

    last: int | None


@dataclass(frozen=True, slots=True)
class Halted:
    """The firmware has stopped everything and waits for a reset."""

    text: str


@dataclass(frozen=True, slots=True)
class Busy:
    """Alive and at work."""

    for_person: bool = False  # waits for somebody to press a button


@dataclass(frozen=True, slots=True)
class Waiting:
    """The firmware has nothing to do."""


@dataclass(frozen=True, slots=True)
class Started:
    """The firmware has just booted."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A temperature report that answers nothing."""

    temperatures: Temperatures


@dataclass(frozen=True, slots=True)
class Capability:
    """One line of M115."""

    name: str
    present: bool


@dataclass(frozen=True, slots=True)
class Firmware:
    """Who it is.

    :param uuid: its own number of this board, where it has one.
    """

    name: str
    uuid: str = ""
    machine_type: str = ""


@dataclass(frozen=True, slots=True)
class Position:
    """Where it believes to be [mm]."""

    axes: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class UnknownCommand:
    """It did not know a command, and answered `ok` all the same."""

    command: str


@dataclass(frozen=True, slots=True)
class Complaint:
    """An error text we do not know. Never by itself a reason for an emergency stop."""

    text: str


@dataclass(frozen=True, slots=True)
class Said:
    """Anything else."""

    text: str


Reply = (
    Ok
    | Resend
    | LineError
    | Halted
    | Busy
    | Waiting
    | Started
    | Measured
    | Capability
    | Firmware
    | Position
    | UnknownCommand
    | Complaint
    | Action
    | Said
)

_NUMBER = r"([-+]?\d+(?:\.\d+)?)"
_TEMPERATURE = re.compile(rf"(?<![@\w])(T\d?|B|C):\s*{_NUMBER}(?:\s*/\s*{_NUMBER})?")
_OK_FIELD = re.compile(r" ([NPB])(\d+)(?= |$)")
_RESEND = re.compile(r"(?:resend|rs)\s*:?\s*N?:?\s*(\d+)\s*", re.IGNORECASE)
_LAST_LINE = re.compile(r"Last Line:?\s*(\d+)\s*$", re.IGNORECASE)
_AXIS = re.compile(rf"\b([XYZE]):\s*{_NUMBER}")
_CAPABILITY = re.compile(r"Cap:([A-Z0-9_]+):([01])")
_FIRMWARE = re.compile(r"FIRMWARE_NAME:\s*(.*?)(?=\s+(?:SOURCE_CODE_URL|[A-Z_]+):|$)")
_TOLD = re.compile(r"\b(UUID|MACHINE_TYPE):\s*(.*?)(?=\s+[A-Z_]+:|$)")

# One flipped bit must turn none of these into "unknown": they are compared by likeness.
_LINE_ERRORS = (
    "checksum mismatch",
    "line number is not last line number+1",
    "no checksum with line number",
    "no line number with checksum",
    "format error",
)
_HALTS = (
    "printer halted. kill() called!",
    "m112 shutdown",
    "thermal runaway, system stopped!",
    "heating failed, system stopped!",
    "maxtemp triggered, system stopped!",
    "mintemp triggered, system stopped!",
    "printer stopped due to errors. fix the error and use m999 to restart.",
)
_LIKENESS = 0.85


def parse(text: str) -> Reply:
    """Name what the firmware said.

    >>> parse("ok"), parse("ok N3 P14 B3").number, parse("Resend: 4")
    (Ok(number=None, planner_free=None, temperatures={}), 3, Resend(number=4))
    >>> parse("Error:checkrum mismatch, Last Line: 2"), parse("Error:what now")
    (LineError(last=2), Complaint(text='what now'))
    >>> parse(" T:21.87 /0.00 B:60.1 /60.00 @:0 B@:0")
    Measured(temperatures={'T': (21.87, 0.0), 'B': (60.1, 60.0)})
    """
    text = text.strip()
    if action := action_of(text):
        return action
    if text.startswith("ok") and (len(text) == 2 or text[2] == " "):
        return _ok(text)
    low = text.lower()
    if low.startswith(("error:", "!!")):
        return _error(text.partition(":")[2].strip() if low.startswith("e") else text[2:].strip())
    if match := _RESEND.fullmatch(text):
        return Resend(int(match[1]))
    if "busy:" in low[:10]:
        return Busy(for_person="paused for user" in low)
    if low == "wait":
        return Waiting()
    if text == "start":
        return Started()
    return _report(text)


def _ok(text: str) -> Ok:
    if len(text) == 2:
        return Ok()
    if temperatures := _temperatures(text):
        return Ok(temperatures=temperatures)
    found = {name: int(number) for name, number in _OK_FIELD.findall(text)}
    return Ok(found.get("N"), found.get("P"))


def _error(text: str) -> LineError | Halted | Complaint:
    head, _, _ = text.partition(", Last Line")
    if _alike(head, _LINE_ERRORS):
        last = _LAST_LINE.search(text)
        return LineError(int(last[1]) if last else None)
    head, _, _ = text.partition(" Heater_ID")
    return Halted(text) if _alike(head, _HALTS) else Complaint(text)


def _alike(text: str, known: tuple[str, ...]) -> bool:
    from difflib import SequenceMatcher  # only a damaged line needs it

    low = text.lower().rstrip()
    return any(
        low == one
        or (
            abs(len(low) - len(one)) <= 3
            and SequenceMatcher(None, low, one, autojunk=False).ratio() >= _LIKENESS
        )
        for one in known
    )


def _report(text: str) -> Reply:
    if match := _CAPABILITY.fullmatch(text):
        return Capability(match[1], match[2] == "1")
    if match := _FIRMWARE.search(text):
        told = dict(_TOLD.findall(text))
        return Firmware(match[1], told.get("UUID", ""), told.get("MACHINE_TYPE", ""))
    if text.startswith("X:") and len(axes := dict(_AXIS.findall(text.partition("Count")[0]))) > 2:
        return Position({axis: float(value) for axis, value in axes.items()})
    if text.startswith("echo:Unknown command:"):
        return UnknownCommand(text.partition(":")[2].partition(":")[2].strip().strip('"'))
    if text.startswith("echo:") and _alike(text[5:], _HALTS):
        return Halted(text[5:])
    if text.startswith(("T:", "T0:", "B:")) and (temperatures := _temperatures(text)):
        return Measured(temperatures)
    return Said(text)


def _temperatures(text: str) -> dict[str, tuple[float, float]]:
    """Return the sensors of a report; `@:` and `B@:` are powers and no sensors."""
    found: dict[str, tuple[float, float]] = {}
    for name, actual, target in _TEMPERATURE.findall(text):
        found.setdefault(name, (float(actual), float(target) if target else 0.0))
    return found
