"""Lines that are no letters and numbers: which command they begin with, and its named values."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

_PLAIN = re.compile(r"([GMTD])0*([0-9]{1,6}(?:\.[0-9]{1,2})?)(?![0-9.])")
_SETTING = re.compile(r"\$[^=\s]{0,31}|\[[^\]\s]{0,31}")
_WORD = re.compile(r"[A-Z_@]{2}[A-Z0-9_@-]{0,62}|[A-Z@]")
_MOST = 4096  # characters that are looked at


@dataclass(frozen=True, slots=True)
class OddLine:
    """A line as its firmware reads its beginning.

    :param name: `M117`, `$100`, `[ESP220`, `SET_PIN`; "" if it begins with none of these.
    :param text: all of it.
    :param rest: what stands behind the name.
    :param is_plain: the name is a letter with its number, so the rest should be words.
    """

    name: str
    text: str
    rest: str
    is_plain: bool


def read_odd(line: bytes) -> OddLine:
    """Name a line.

    >>> read_odd(b"M117 hello").name, read_odd(b"$100=80").name, read_odd(b"set_pin PIN=x").name
    ('M117', '$100', 'SET_PIN')
    """
    text = line[:_MOST].decode("latin-1")
    upper = text.upper()
    if plain := _PLAIN.match(upper):
        number = plain[2].rstrip("0").rstrip(".") if "." in plain[2] else plain[2]
        return OddLine(plain[1] + number, text, text[plain.end() :], is_plain=True)
    for pattern in (_SETTING, _WORD):
        if found := pattern.match(upper):
            return OddLine(found[0], text, text[found.end() :], is_plain=False)
    return OddLine("", text, text, is_plain=False)


def named_values(rest: str) -> Mapping[str, str] | None:
    r"""Return the named values of a Klipper command as it reads them itself; None if it cannot.

    >>> named_values('HEATER=extruder "target"=300')
    {'HEATER': 'extruder', 'TARGET': '300'}
    """
    try:
        pairs = [word.split("=", 1) for word in shlex.split(rest.split("#")[0].split("*")[0])]
    except ValueError:
        return None
    if any(len(pair) != 2 for pair in pairs):
        return None
    return {pair[0].upper(): pair[1] for pair in pairs}
