"""What Marlin says, and all who imitate it.

*Source:* MarlinFirmware/Marlin:Marlin/src/gcode/queue.cpp, and answers of real boards.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from drivers.dialects.actions import Action, action_of
from drivers.dialects.marlin_texts import Texts, is_about_card, is_halt, is_line_error

Temperatures = Mapping[str, tuple[float, float]]  # name: actual, target [°C]


@dataclass(frozen=True, slots=True)
class Ok:
    """A line was taken and executed (moves: planned), or only taken: a profile's `ok_means`.

    :param number: its line number, where the firmware tells it.
    :param slots_free: places in its command queue.
    :param firmware: who it is, where the answer to M115 is one line.
    :param axes: where it is, where the answer to M114 is one line.
    """

    number: int | None = None
    planner_free: int | None = None
    slots_free: int | None = None
    firmware: str = ""
    axes: Mapping[str, float] = field(default_factory=dict)
    temperatures: Temperatures = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Resend:
    """The firmware waits for this line and threw away what followed."""

    number: int


@dataclass(frozen=True, slots=True)
class Skipped:
    """A line was thrown away because it was there already, or came behind a refused one."""

    number: int


@dataclass(frozen=True, slots=True)
class Refused:
    """A line was not executed, whatever its `ok` says."""

    text: str


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
class Setting:
    """One line of the answer to M503.

    :param line: that would set what is in force, such as `M92 X80.00 Y80.00`.
    """

    text: str
    line: str


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
    | Skipped
    | Refused
    | LineError
    | Halted
    | Busy
    | Waiting
    | Started
    | Measured
    | Capability
    | Firmware
    | Position
    | Setting
    | UnknownCommand
    | Complaint
    | Action
    | Said
)

_NUMBER = r"([-+]?\d+(?:\.\d+)?)"
_TEMPERATURE = re.compile(rf"(?<![@\w])(T\d?|B|C):\s*{_NUMBER}(?:\s*/\s*{_NUMBER})?")
_JOINED = re.compile(r"(ok(?: [^ok]*)?)ok(?: .*|ok.*)?")
_OK_FIELD = re.compile(r" ([NPB])(\d+)(?= |$)")
_RESEND = re.compile(r"(?:resend|rs)\s*:?\s*N?:?\s*(\d+)\s*", re.IGNORECASE)
_LAST_LINE = re.compile(r"Last Line:?\s*(\d+)\s*$", re.IGNORECASE)
_EXPECTED = re.compile(r"expected line (\d+) got", re.IGNORECASE)
_AXIS = re.compile(rf"\b([XYZE]):\s*{_NUMBER}")
_UNKNOWN = re.compile(r"(?:echo:|// )?Unknown (?:command|[GMT] code):(.*)")
# Marlin 2 puts "echo:" and blanks before it and a remark behind, the oldest neither.
_SETTING = re.compile(r"(?:echo:)? *(M\d{2,4}(?: [A-Z]-?\d+(?:\.\d+)?)+) *(?:;.*)?")
_CAPABILITY = re.compile(r"Cap:([A-Z0-9_]+):([01])")
_FIRMWARE = re.compile(r"FIRMWARE_NAME:\s*(.*?)(?=,?\s+(?:X-)?[A-Z_]+:|$)")
_TOLD = re.compile(r"\b(UUID|MACHINE_TYPE):\s*(.*?)(?=\s+[A-Z_]+:|$)")

_SKIP = re.compile(r"skip (\d+)", re.IGNORECASE)
_OK_NUMBER = re.compile(r"ok (\d+)")
_MARLIN = Texts()


def parse(text: str, texts: Texts = _MARLIN) -> Reply:
    """Name what the firmware said.

    >>> parse("ok"), parse("ok N3 P14 B3").number, parse("Resend: 4")
    (Ok(number=None, planner_free=None, slots_free=None, firmware='', axes={}, \
temperatures={}), 3, \
Resend(number=4))
    >>> parse("ok 17").number, parse("skip 12"), parse("rs N5")
    (17, Skipped(number=12), Resend(number=5))
    >>> parse("Error:checkrum mismatch, Last Line: 2"), parse("Error:what now")
    (LineError(last=2), Complaint(text='what now'))
    >>> parse(" T:21.87 /0.00 B:60.1 /60.00 @:0 B@:0")
    Measured(temperatures={'T': (21.87, 0.0), 'B': (60.1, 60.0)})
    >>> parse("echo:  M301 P22.20 I1.08 D114.00 ; PID").line, parse("M92 X80.0 E500").line
    ('M301 P22.20 I1.08 D114.00', 'M92 X80.0 E500')
    """
    text = text.strip()
    if action := action_of(text):
        return action
    if text.startswith("ok") and (len(text) == 2 or text[2] == " "):
        return _ok(text)
    low = text.lower()
    if texts.fatal and is_halt(text, texts.fatal):
        return Halted(text)
    if texts.banner.fullmatch(text):
        return Started()
    if texts.refusal and text.startswith(texts.refusal):
        return Refused(text[len(texts.refusal) :].strip())
    if low.startswith(("error:", "!!", ": ")):
        return _error(text[2:].strip() if low[0] in "!:" else text.partition(":")[2].strip())
    if match := _RESEND.fullmatch(text):
        return Resend(int(match[1]))
    if "busy:" in low[:10]:
        return Busy(for_person="paused for" in low)
    if low == "wait":
        return Waiting()
    if match := _SKIP.fullmatch(text):
        return Skipped(int(match[1]))
    return _report(text)


def joined(text: str) -> str:
    """Return the first of the answers in a line, if a newline between two was lost; else "".

    >>> joined("okok T:20.0 /0.0"), joined("ok 27ok 28"), joined("ok N3 P14 B3ok")
    ('ok', 'ok 27', 'ok N3 P14 B3')
    >>> joined("okokok"), joined("okX:9"), joined("ok FIRMWARE_NAME:Klipper ok")
    ('ok', '', 'ok FIRMWARE_NAME:Klipper ')
    >>> joined("ok"), joined("ok T:20.0 /0.0"), joined("ok T:20.0 /0.0ok")
    ('', '', 'ok T:20.0 /0.0')
    """
    found = _JOINED.fullmatch(text)
    return found[1] if found else ""


def _ok(text: str) -> Ok:
    if len(text) == 2:
        return Ok()
    if temperatures := _temperatures(text):
        return Ok(temperatures=temperatures)
    if len(axes := dict(_AXIS.findall(text))) > 2:
        return Ok(axes={axis: float(value) for axis, value in axes.items()})
    if match := _OK_NUMBER.fullmatch(text):
        return Ok(int(match[1]))
    if match := _FIRMWARE.search(text):
        return Ok(firmware=match[1])
    found = {name: int(number) for name, number in _OK_FIELD.findall(text)}
    return Ok(found.get("N"), found.get("P"), found.get("B"))


def _error(text: str) -> Reply:
    if is_line_error(text.partition(", Last Line")[0]):
        last = _LAST_LINE.search(text) or _EXPECTED.search(text)
        return LineError(int(last[1]) - (last.re is _EXPECTED) if last else None)
    if is_halt(text):
        return Halted(text)
    if text.lower().startswith("unknown command"):
        return UnknownCommand(text.partition(":")[2].strip().strip('"'))
    return Said(text) if is_about_card(text) else Complaint(text)


def _report(text: str) -> Reply:
    if match := _CAPABILITY.fullmatch(text):
        return Capability(match[1], match[2] == "1")
    if match := _FIRMWARE.search(text):
        told = dict(_TOLD.findall(text))
        return Firmware(match[1], told.get("UUID", ""), told.get("MACHINE_TYPE", ""))
    if text.startswith("X:") and len(axes := dict(_AXIS.findall(text.partition("Count")[0]))) > 2:
        return Position({axis: float(value) for axis, value in axes.items()})
    if match := _UNKNOWN.match(text):
        return UnknownCommand(match[1].strip().strip('"'))
    if text.startswith("echo:") and is_halt(text[5:]):
        return Halted(text[5:])
    if match := _SETTING.fullmatch(text):
        return Setting(text, match[1])
    if text[:4].lower() in ("full", "rx t") and is_line_error(text):
        return LineError(None)
    if text.startswith(("T:", "T0:", "B:")) and (temperatures := _temperatures(text)):
        return Measured(temperatures)
    return Said(text)


def _temperatures(text: str) -> dict[str, tuple[float, float]]:
    """Return the sensors of a report; `@:` and `B@:` are powers and no sensors."""
    found: dict[str, tuple[float, float]] = {}
    for name, actual, target in _TEMPERATURE.findall(text):
        found.setdefault(name, (float(actual), float(target) if target else 0.0))
    return found
