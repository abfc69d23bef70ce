"""What Grbl 1.1 says, and all who imitate it.

*Source:* gnea/grbl:doc/markdown/interface.md, and answers of a real board.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Answered:
    """One line left the receive buffer; code 0 is `ok`."""

    code: int = 0


@dataclass(frozen=True, slots=True)
class Alarm:
    """Motion has ended and the position may be lost."""

    code: int


@dataclass(frozen=True, slots=True)
class Status:
    """A report to `?`.

    :param state: `Idle`, `Run`, `Hold`, `Alarm`, `Home`, …
    :param detail: what follows the colon: `Hold:0` is at rest, `Hold:1` still slows down.
    :param position: X, Y, Z [mm] in the coordinates that `is_machine` tells.
    :param spindle: speed [1/min], None if not reported.
    :param overrides: of feed, rapid and spindle [percent]; empty if not reported.
    :param is_homed: told by grblHAL only, and only when it changes.
    :param pins: letters of the inputs that are triggered, `D` for the door.
    """

    state: str
    detail: int | None = None
    position: tuple[float, ...] = ()
    is_machine: bool = True
    offset: tuple[float, ...] = ()
    spindle: float | None = None
    feed: float | None = None
    overrides: tuple[int, ...] = ()
    is_homed: bool | None = None
    pins: str = ""


@dataclass(frozen=True, slots=True)
class Started:
    """The banner: the controller has just booted or was reset."""

    firmware: str


@dataclass(frozen=True, slots=True)
class Options:
    """`[OPT:…]`: letters of its build, and the true sizes of its buffers.

    :param rx_bytes: 0 if it does not tell, as FluidNC.
    """

    planner_blocks: int
    rx_bytes: int
    letters: str = ""


@dataclass(frozen=True, slots=True)
class Setting:
    """One line of `$$`."""

    number: int
    value: float


@dataclass(frozen=True, slots=True)
class Version:
    """`[VER:…]`."""

    text: str


@dataclass(frozen=True, slots=True)
class Message:
    """`[MSG:…]`: for people."""

    text: str


@dataclass(frozen=True, slots=True)
class Modes:
    """The answer to `$G`: the words in force."""

    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Offset:
    """One line of `$#`: where a zero lies in machine coordinates.

    :param name: `G54` … `G59`, `G28`, `G30`, `G92` or `TLO`.
    :param values: X, Y, Z [mm]; of `TLO` only Z.
    """

    name: str
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Said:
    """Anything else."""

    text: str


Reply = (
    Answered
    | Alarm
    | Status
    | Started
    | Options
    | Setting
    | Version
    | Message
    | Modes
    | Offset
    | Said
)

_BANNER = re.compile(r"(Grbl(?:HAL)? \d\S*)", re.IGNORECASE)
_OPTIONS = re.compile(r"\[OPT:([^,\]]*)(?:,(\d{1,5}),(\d{1,5})(?:,[^\]]*)?)?\]")
_SETTING = re.compile(r"\$(\d{1,3})=(-?\d{1,9}(?:\.\d{1,6})?)(?: *\(.*\))?")
_OFFSET = re.compile(r"\[(G5[4-9]|G28|G30|G92|TLO):([^\]]*)\]")
_FLOAT = re.compile(r"[-+]?\d+(?:\.\d+)?")
_MOST_PINS = 16
OK = Answered()


def parse(text: str) -> Reply:
    """Name what the controller said.

    >>> parse("ok"), parse("error:20"), parse("ALARM:1"), parse("o?k")
    (Answered(code=0), Answered(code=20), Alarm(code=1), Said(text='o?k'))
    >>> parse("<Hold:1|MPos:1.000,2.000,-3.000|FS:500,8000>").detail
    1
    >>> parse("[OPT:VNMSL,100,1024,3,0]"), parse("[OPT:PHS]").rx_bytes, parse("$32=1")
    (Options(planner_blocks=100, rx_bytes=1024, letters='VNMSL'), 0, Setting(number=32, value=1.0))
    """
    text = text.strip()
    if text == "ok":
        return OK
    if text.startswith("<") and text.endswith(">"):
        return _status(text)
    if text.startswith("["):
        return _bracket(text)
    if match := _SETTING.fullmatch(text):
        return Setting(int(match[1]), float(match[2]))
    head, colon, code = text.partition(":")
    if colon and code.isascii() and code.isdecimal() and len(code) < 4:
        if head == "error":
            # error:0 does not exist; were it ever to come, it must not pass for an ok.
            return Answered(int(code) or -1)
        if head == "ALARM":
            return Alarm(int(code))
    if match := _BANNER.match(text):
        return Started(match[1])
    return Said(text)


def _bracket(text: str) -> Reply:
    if match := _OPTIONS.fullmatch(text):
        return Options(int(match[2] or 0), int(match[3] or 0), match[1])
    if text.startswith("[VER:") and text.endswith("]"):
        return Version(text[5:-1].rstrip(":"))
    if text.startswith("[MSG:") and text.endswith("]"):
        return Message(text[5:-1])
    if text.startswith("[GC:") and text.endswith("]"):
        return Modes(tuple(text[4:-1].split()))
    if match := _OFFSET.fullmatch(text):
        values = _numbers(match[2])
        if len(values) == (1 if match[1] == "TLO" else 3):
            return Offset(match[1], values)
    return Said(text)


def _status(text: str) -> Reply:
    state, *parts = text[1:-1].split("|")
    name, _, detail = state.partition(":")
    if not name.isalpha():
        return Said(text)
    fields = dict(part.partition(":")[::2] for part in parts)
    is_machine = "MPos" in fields
    speeds = _numbers(fields.get("FS", ""))
    feed = speeds or _numbers(fields.get("F", ""))
    return Status(
        name,
        int(detail) if detail.isascii() and detail.isdecimal() and len(detail) < 4 else None,
        _numbers(fields.get("MPos", fields.get("WPos", ""))),
        is_machine,
        _numbers(fields.get("WCO", "")),
        speeds[1] if len(speeds) > 1 else None,
        feed[0] if feed else None,
        tuple(int(part) for part in _numbers(fields.get("Ov", ""))),
        {"0": False, "1": True}.get(fields.get("H", "").partition(",")[0]),
        pins if (pins := fields.get("Pn", "")[:_MOST_PINS]).isalpha() else "",
    )


def _numbers(text: str) -> tuple[float, ...]:
    parts = text.split(",") if text else []
    if not all(_FLOAT.fullmatch(part) for part in parts):
        return ()
    return tuple(float(part) for part in parts)
