"""Ask an unknown board who it is: sans-IO, with questions that move, heat and write nothing.

Never sent: 0x18, M112 or anything else that acts. A board that answers `M115` with "unknown"
and one that answers `$I` with "unknown" have both said enough.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from drivers.dialects import grbl, marlin
from drivers.profile import FirmwareProfile

BAUDS: Final = (250_000, 115_200, 57_600, 230_400, 500_000, 1_000_000, 38_400, 19_200, 9_600)
LONGEST_S: Final = 45.0  # for all of it
_BOOT: Final = 3.5  # from opening until a board listens that has been reset by it [s]
_QUIET: Final = 0.6  # without a byte, until a boot text counts as over [s]
_ANSWER: Final = 1.5  # for the answer to one question [s]
_BUSY: Final = 4.0  # more, for a board that says it is at work [s]
_JUDGE: Final = 0.4  # from the first noise until it is judged [s]
_JUDGED: Final = 12  # bytes, before they are called noise
_LINE_MAX: Final = 512
_KEPT: Final = 12  # lines kept for people to read

_FARMBOT = re.compile(r"R(?:00|0[1-9]|[1-9]\d)\b.*(?:Q\d+|STARTUP COMPLETE)")
_VERSION = re.compile(r"\bv?(\d+(?:\.\w+)+[-\w.+]*)")
_FIELD = re.compile(r"([A-Z][A-Z_]*[A-Z]):\s*(.*?)(?=\s+[A-Z][A-Z_]*[A-Z]:|$)")
_FALLBACK: Final[Mapping[str, str]] = {
    "marlin": "marlin-2",
    "grbl": "grbl-1.1",
    "farmbot": "farmbot",
}


@dataclass(frozen=True, slots=True)
class Probed:
    """What a board said of itself.

    :param baud: the rate that it was understood at [bit/s].
    :param dialect: a key of DIALECTS.
    :param firmware: its name and version in its own words, "" if it told none.
    :param uuid: what it calls this board, "" where it has no such number.
    :param text: lines it said, for people and for `suggest`.
    """

    baud: int
    dialect: str
    firmware: str = ""
    version: str = ""
    uuid: str = ""
    machine_type: str = ""
    info: str = ""
    text: tuple[str, ...] = ()

    def to_json(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {
            "baud": self.baud,
            "dialect": self.dialect,
            "firmware": self.firmware,
            "version": self.version,
            "uuid": self.uuid,
            "machine_type": self.machine_type,
            "info": self.info,
            "text": list(self.text),
        }


@dataclass(slots=True)
class _Heard:
    """What was understood at one rate."""

    good: int = 0  # bytes of lines that could be read
    bad: int = 0  # bytes that no firmware says
    lines: list[str] = field(default_factory=list)
    dialect: str = ""
    fields: dict[str, str] = field(default_factory=dict)
    version: str = ""  # Grbl's `[VER:…]`
    banner: str = ""
    is_busy: bool = False
    is_over: bool = False  # nothing more is to be expected


class Probe:
    """One board, asked at one rate after the other.

    The caller gives the port the rate `baud` before it writes, and comes back at `deadline`.

    :param now: monotonic time [s], here and in every method.
    """

    def __init__(self, now: float, bauds: Sequence[int] = BAUDS) -> None:
        self._rates = list(bauds)
        self._at = 0
        self._heard = _Heard()
        self._partial = b""
        self._questions: list[bytes] = []
        self._boots = True
        self._heard_at = now
        self._next_at = now + _BOOT  # when silence means the next question
        self._ends_at = now + LONGEST_S
        self._out = b""
        self._best: Probed | None = None
        self.heard_bytes = 0  # in all, whatever they meant

    @property
    def baud(self) -> int:
        """Return the rate to speak at now [bit/s]."""
        return self._rates[min(self._at, len(self._rates) - 1)]

    @property
    def is_over(self) -> bool:
        """Tell whether there is nothing more to ask."""
        return self._at >= len(self._rates)

    @property
    def result(self) -> Probed | None:
        """Return what was learned; None: nothing that could be understood."""
        return self._best

    def deadline(self) -> float:
        """Return when `receive(b"", now)` must be called at the latest [s]."""
        return min(self._next_at, self._ends_at)

    def data_to_send(self) -> bytes:
        """Return bytes for the board; the caller writes all."""
        out, self._out = self._out, b""
        return out

    def receive(self, data: bytes, now: float) -> None:
        """Take in what came; empty: only time has passed."""
        if self.is_over:
            return
        if data:
            self.heard_bytes += len(data)
            self._heard_at = now
            self._take(data)
            if self._boots:
                self._next_at = min(self._next_at, now + _QUIET)
            elif self._heard.is_busy:
                self._next_at = max(self._next_at, now + _BUSY)
            elif self._is_noise():
                # Its complaint of our last rate's rubbish may come first, a good answer after.
                self._next_at = min(self._next_at, now + _JUDGE)
        if now >= self._ends_at or self._heard.is_over:
            self._finish()
        elif now >= self._next_at:
            self._go_on(now)

    # -- questions --------------------------------------------------------------------------

    def _go_on(self, now: float) -> None:
        if self._boots:
            self._boots = False
            self._ask_at_this_rate()
        if self._questions and (self._heard.good or self._nothing_asked()):
            self._out += self._questions.pop(0)
            self._next_at = now + _ANSWER
        elif self._heard.dialect:
            self._finish()
        else:
            self._next_rate(now)

    def _ask_at_this_rate(self) -> None:
        # The empty line ends whatever was left in its line buffer at another rate.
        first, second = b"\nM115\n", b"$I\n?\n"
        if self._heard.dialect == "grbl":
            first, second = b"\n$I\n?\n", b"M115\n"
        self._questions = [first, second]

    def _nothing_asked(self) -> bool:
        return len(self._questions) == 2

    def _next_rate(self, now: float) -> None:
        self._at += 1
        if self.is_over:
            return
        self._heard = _Heard()
        self._partial = b""
        self._ask_at_this_rate()
        self._out = self._questions.pop(0)
        self._next_at = now + _ANSWER

    def _finish(self) -> None:
        heard = self._heard
        if heard.dialect:
            told = heard.fields
            name = told.get("FIRMWARE_NAME", "") or heard.banner or f"Grbl {heard.version}"
            version = told.get("FIRMWARE_VERSION", "") or name
            found = _VERSION.search(version)
            self._best = Probed(
                self.baud,
                heard.dialect,
                name[:120],
                found[1] if found else "",
                told.get("UUID", "")[:64],
                told.get("MACHINE_TYPE", "")[:80],
                heard.version[:80],
                tuple(heard.lines[-_KEPT:]),
            )
        self._at = len(self._rates)

    # -- answers ----------------------------------------------------------------------------

    def _is_noise(self) -> bool:
        heard = self._heard
        if heard.dialect:
            return False
        rest = len(self._partial) if not _is_text(self._partial) else 0
        return heard.bad + rest >= _JUDGED and 2 * (heard.bad + rest) > heard.good

    def _take(self, data: bytes) -> None:
        *lines, self._partial = (self._partial + data).split(b"\n")
        if len(self._partial) > _LINE_MAX:
            lines.append(self._partial)
            self._partial = b""
        for line in lines:
            line = line.strip(b"\r \t\0")
            if not line:
                continue
            if _is_text(line):
                self._heard.good += len(line)
                self._understand(line.decode("ascii"))
            else:
                self._heard.bad += len(line)

    def _understand(self, text: str) -> None:
        heard = self._heard
        heard.lines = [*heard.lines, text[:160]][-4 * _KEPT :]
        if _FARMBOT.match(text):
            self._farmbot(text)
        elif not self._grbl(text):
            self._marlin(text)

    def _farmbot(self, text: str) -> None:
        heard = self._heard
        if heard.dialect != "farmbot":
            heard.dialect = "farmbot"
            self._questions = [b"F83 Q0\n"]
        if text.startswith("R83"):
            heard.banner = "FarmBot " + text[3:].partition("Q")[0].strip()
            heard.is_over = True

    def _grbl(self, text: str) -> bool:
        heard = self._heard
        match grbl.parse(text):
            case grbl.Started(firmware=name):
                heard.banner = text if "FluidNC" in text or "HAL" in name else name
            case grbl.Version(text=said):
                heard.version = said
            case grbl.Answered(code=0) if heard.version:
                heard.is_over = True
            case grbl.Options() | grbl.Status() | grbl.Alarm():
                pass
            case grbl.Answered(code=code) if code:
                pass  # Marlin has no such answer
            case _:
                return False
        heard.dialect = "grbl"
        return True

    def _marlin(self, text: str) -> None:
        heard = self._heard
        plain = text.removeprefix("ok").strip() if "FIRMWARE_NAME" in text else text
        if "FIRMWARE_NAME" in plain:
            heard.dialect = "marlin"
            heard.fields |= dict(_FIELD.findall(plain))
            # Klipper says "ok" before the answer, others after it.
            heard.is_over = text.startswith("ok")
            return
        match marlin.parse(text):
            case marlin.Ok() if "FIRMWARE_NAME" in heard.fields:
                heard.is_over = True
            case marlin.Busy():
                heard.dialect, heard.is_busy = heard.dialect or "marlin", True
            case marlin.Started() | marlin.UnknownCommand() | marlin.Measured():
                heard.dialect = heard.dialect or "marlin"
            case _:
                if text.removeprefix("echo:").startswith("Marlin "):
                    heard.dialect, heard.banner = "marlin", text.removeprefix("echo:")


def suggest(probed: Probed, profiles: Iterable[FirmwareProfile]) -> str:
    """Return the name of the profile that fits best, "" where none speaks the dialect.

    The longest of the `says` of all profiles that the board's own words hold decides; a
    profile without any goes by its name.
    """
    known = [one for one in profiles if one.dialect == probed.dialect]
    words = " ".join((probed.firmware, probed.info, probed.machine_type, *probed.text)).casefold()
    best, length = "", 0
    for profile in known:
        for said in profile.says or (profile.name,):
            if said.casefold() in words and len(said) > length:
                best, length = profile.name, len(said)
    if best:
        return best
    names = [one.name for one in known]
    usual = _FALLBACK.get(probed.dialect, "")
    return usual if usual in names else min(names, default="")


def _is_text(line: bytes) -> bool:
    return all(32 <= byte < 127 or byte == 9 for byte in line)
