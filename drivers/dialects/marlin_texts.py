"""Which texts mean what: the error classes of Marlin and its kin, known by their likeness.

One flipped bit must turn none of them into an unknown text, so they are compared by edit
distance; what is like nothing here is told to people and is no reason to stop anything.

*Source:* MarlinFirmware/Marlin:Marlin/src/core/language.h; repetier/Repetier-Firmware:
Communication.cpp; prusa3d/Prusa-Firmware:Firmware/cmdqueue.cpp; Klipper3d/klipper:klippy/gcode.py.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# A damaged or missing line; the firmware asks for it again or will at the next number.
_LINE_ERRORS = (
    "checksum mismatch",
    "line number is not last line number+1",
    "no checksum with line number",
    "no line number with checksum",
    "wrong checksum",
    "missing checksum",
    "missing linenumber",
    "expected line # got #",
    "format error",
    # Said by Prusa's MK3 without "Error:"; it has thrown its buffer away.
    "full rx buffer",
    "rx timeout",
)
_HALTS = (
    "printer halted. kill() called!",
    "m112 shutdown",
    "thermal runaway, system stopped!",
    "heating failed, system stopped!",
    "maxtemp triggered, system stopped!",
    "mintemp triggered, system stopped!",
    "extruder switched off. maxtemp triggered !",
    "extruder switched off. mintemp triggered !",
    "temperature heated bed switched off. maxtemp triggered !",
    "printer stopped due to errors. fix the error and use m999 to restart.",
)
# A card that is missing or cannot be read has no part in a program that we send.
_CARD = (
    "volume.init failed",
    "openroot failed",
    "workdir open failed",
    "open failed, file:",
    "cannot open subdir",
    "cannot enter subdir",
    "error writing to file",
    "no sd card",
    "sd init fail",
    "sd read error",
)
_LIKENESS = 0.85
_DIGITS = re.compile(r"\d+")
# What a firmware puts before the text proper; Klipper and hosts' actions begin with slashes.
_LEAD = re.compile(r"(?:error:|echo:|// ?|!! ?|: ?)+\s*")


@dataclass(frozen=True, slots=True)
class Texts:
    """What one firmware says in its own words; see `banner`, `fatal`, `refusal` of a profile.

    :param fatal: beginnings of texts, in lower case, that mean that it has stopped itself.
    :param refusal: beginning of a text that refuses the line before its `ok`; "" for none.
    """

    banner: re.Pattern[str] = re.compile("start")
    fatal: tuple[str, ...] = ()
    refusal: str = ""


def is_line_error(text: str) -> bool:
    """Tell whether *text* complains about a line that did not arrive whole.

    >>> is_line_error("checkrum mismatch"), is_line_error("expected line 7 got 12")
    (True, True)
    >>> is_line_error("the flux is low")
    False
    """
    return _alike(_DIGITS.sub("#", text.lower().strip()), _LINE_ERRORS)


def is_halt(text: str, fatal: tuple[str, ...] = ()) -> bool:
    """Tell whether *text* says that the firmware has stopped everything.

    Two such texts may share a line, or one may be broken over two.

    >>> is_halt("0: Extruder switched off. MAXTEMP triggered !")
    True
    >>> is_halt("// Klipper state: Shutdown", ("klipper state: shutdown",)), is_halt("!!")
    (True, False)
    >>> is_halt("!!", ("!!",)), is_halt("Error:ThermalRunaway, system stopped! Heater_ID: E0")
    (True, True)
    """
    low = text.lower().strip()
    if any(halt in low for halt in _HALTS):
        return True
    plain = _LEAD.sub("", low, count=1)
    for one in fatal:
        if low.startswith(one) or plain.startswith(one):
            return True
        # One character may be damaged; more, and "halted" would be much like "idle".
        if _is_near(plain[: len(one)], one, 1.0 - 1.5 / len(one)):
            return True
    return _alike(plain.partition(" heater_id")[0], _HALTS)


def is_about_card(text: str) -> bool:
    """Tell whether *text* is about the firmware's own card, of which we make no use.

    >>> is_about_card("SD init fail"), is_about_card("MINTEMP triggered")
    (True, False)
    """
    low = text.lower()
    return any(one in low for one in _CARD)


def _alike(low: str, known: tuple[str, ...]) -> bool:
    return any(low == one or _is_near(low, one) for one in known)


def _is_near(low: str, one: str, likeness: float = _LIKENESS) -> bool:
    if abs(len(low) - len(one)) > 3 or len(one) < 6:
        return False
    from difflib import SequenceMatcher  # only a damaged line needs it

    return SequenceMatcher(None, low, one, autojunk=False).ratio() >= likeness
