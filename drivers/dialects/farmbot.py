"""What a FarmBot says and hears: F, G and R lines, each with the number Q of its command.

A line of FarmBot has one command, its first word; the words after it stand apart by blanks. An
axis that a move does not name goes to 0. `E` anywhere stops everything, `@` ends a move.

*Source:* FarmBot/farmbot-arduino-firmware 6.6: README.md, src/Command.cpp,
src/GCodeProcessor.cpp, src/Movement.cpp, src/farmbot_arduino_controller.cpp.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum


class Why(StrEnum):
    """Why a command is not even begun."""

    INVALID = "invalid"  # R09
    LOCKED = "locked"  # R87: the emergency stop is engaged
    NOT_CONFIGURED = "not-configured"  # R88: nobody has approved the parameters


@dataclass(frozen=True, slots=True)
class Heard:
    """R08: the line as it was received; it is obeyed next, so a wrong one is seen at once."""

    text: str


@dataclass(frozen=True, slots=True)
class Begun:
    """R01: the command is being executed."""

    q: int


@dataclass(frozen=True, slots=True)
class Finished:
    """R02: executed without error; the next line may be sent."""

    q: int


@dataclass(frozen=True, slots=True)
class Failed:
    """R03: ended with an error.

    :param code: 1 emergency stop, 2 timeout, 3 stall, 4 calibration, 5 aborted, 31-33 stall of
        one axis.
    """

    q: int
    code: int


@dataclass(frozen=True, slots=True)
class Refused:
    """R09, R87 or R88: not begun. R87 and R88 also come unasked, every few seconds."""

    q: int
    why: Why


@dataclass(frozen=True, slots=True)
class Running:
    """R04, R07 or R86: still at it, trying again, or being aborted."""

    q: int


@dataclass(frozen=True, slots=True)
class Idle:
    """R00: nothing is being executed; comes unasked, every few seconds."""

    q: int


@dataclass(frozen=True, slots=True)
class Position:
    """R82: where the axes are [mm]."""

    x: float
    y: float
    z: float
    q: int


@dataclass(frozen=True, slots=True)
class Homed:
    """R11, R12, R13: an axis has found its zero."""

    axis: str
    q: int


@dataclass(frozen=True, slots=True)
class Shortened:
    """R15, R16, R17: the move ends elsewhere than asked, for the axis is no longer [mm]."""

    axis: str
    at: float
    q: int


@dataclass(frozen=True, slots=True)
class TimedOut:
    """R71, R72, R73: an axis did not arrive in time; R03 follows."""

    axis: str


@dataclass(frozen=True, slots=True)
class Parameter:
    """R21, R23: a stored setting."""

    number: int
    value: float


@dataclass(frozen=True, slots=True)
class Version:
    """R83: of the firmware."""

    text: str


@dataclass(frozen=True, slots=True)
class Booted:
    """The board has just started: what was running is lost, and so is the position.

    :param is_ready: it listens from here on.
    """

    is_ready: bool


@dataclass(frozen=True, slots=True)
class Comment:
    """A report without meaning for the host: pins, encoders, end stops, R99."""

    text: str


@dataclass(frozen=True, slots=True)
class Said:
    """Anything else."""

    text: str


Reply = (
    Heard | Begun | Finished | Failed | Refused | Running | Idle | Position | Homed | Shortened
    | TimedOut | Parameter | Version | Booted | Comment | Said
)  # fmt: skip

_NUMBER = r"(-?\d{1,9}(?:\.\d{1,4})?)"
_PLAIN = re.compile(r"R(\d\d) Q(\d{1,9})")
_ERROR = re.compile(r"R03 V(\d{1,3}) Q(\d{1,9})")
_PLACE = re.compile(rf"R82 X{_NUMBER} Y{_NUMBER} Z{_NUMBER} Q(\d{{1,9}})")
_SHORTENED = re.compile(rf"R1[567] ([XYZ]){_NUMBER} Q(\d{{1,9}})")
_PARAMETER = re.compile(rf"R2[13] P(\d{{1,4}}) V{_NUMBER}(?: Q\d{{1,9}})?")
_VERSION = re.compile(r"R83 (\S{1,60}) Q\d{1,9}")
_REPORT = re.compile(r"R(?:05|06|20|41|61|81|84|85|89)(?: .*)?|R99 .*")
_BOOT = {"R99 Serial connection started": False, "R99 ARDUINO STARTUP COMPLETE": True}
_TIMEOUTS = {"R71": "X", "R72": "Y", "R73": "Z"}


def parse(text: str) -> Reply:
    """Name what the controller said.

    >>> parse("R02 Q5"), parse("R03 V2 Q5"), parse("R08 *G00 X1 Q5*")
    (Finished(q=5), Failed(q=5, code=2), Heard(text='G00 X1 Q5'))
    >>> parse("R02 V2 Q5"), parse("R87 Q0")
    (Said(text='R02 V2 Q5'), Refused(q=0, why=<Why.LOCKED: 'locked'>))
    """
    text = text.strip()
    if match := _PLAIN.fullmatch(text):
        return _plain(int(match[1]), int(match[2]), text)
    if text.startswith("R08 *") and text.endswith("*") and len(text) > 5:
        return Heard(text[5:-1])
    if match := _PLACE.fullmatch(text):
        return Position(float(match[1]), float(match[2]), float(match[3]), int(match[4]))
    if match := _ERROR.fullmatch(text):
        return Failed(int(match[2]), int(match[1]))
    return _rare(text)


def _plain(code: int, q: int, text: str) -> Reply:
    """Name a report that has no value but its Q."""
    match code:
        case 0:
            return Idle(q)
        case 1:
            return Begun(q)
        case 2:
            return Finished(q)
        case 4 | 7 | 86:
            return Running(q)
        case 9:
            return Refused(q, Why.INVALID)
        case 87:
            return Refused(q, Why.LOCKED)
        case 88:
            return Refused(q, Why.NOT_CONFIGURED)
        case 11 | 12 | 13:
            return Homed("XYZ"[code - 11], q)
    return Comment(text) if _REPORT.fullmatch(text) else Said(text)


def _rare(text: str) -> Reply:
    if text in _TIMEOUTS:
        return TimedOut(_TIMEOUTS[text])
    if text in _BOOT:
        return Booted(_BOOT[text])
    if match := _SHORTENED.fullmatch(text):
        return Shortened(match[1], float(match[2]), int(match[3]))
    if match := _PARAMETER.fullmatch(text):
        return Parameter(int(match[1]), float(match[2]))
    if match := _VERSION.fullmatch(text):
        return Version(match[1])
    return Comment(text) if _REPORT.fullmatch(text) else Said(text)
