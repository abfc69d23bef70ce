"""What a printer asks of its host: `//action:` and a word, or what a program has it ask a person.

*Source:* MarlinFirmware/Marlin:Marlin/src/feature/host_actions.cpp, gcode/lcd/M0_M1.cpp.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_ACTION = re.compile(r"//\s*action:\s*([a-z_]+)\b\s*(.*)", re.IGNORECASE)
# M0 and M1 with how long to wait at most, then words for the person.
_HALT = re.compile(
    rb"\s*M\s*0*[01](?![\d.])\s*(?:[PS]\s*\d+(?:\.\d*)?(?!\w)\s*)*(.*)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Action:
    """A word for the host.

    :param word: such as `pause`, `paused` or `prompt_begin`; not known to be one of ours.
    :param text: what follows; written by whoever wrote the program or the firmware.
    """

    word: str
    text: str = ""


def action_of(text: str) -> Action | None:
    """Return the action that a received line is, or None.

    >>> action_of("//action:prompt_begin Filament?"), action_of("// action:pause"), action_of("//x")
    (Action(word='prompt_begin', text='Filament?'), Action(word='pause', text=''), None)
    """
    if not text.startswith("//") or (match := _ACTION.fullmatch(text)) is None:
        return None
    return Action(match[1].lower(), match[2].strip())


def halt_text(line: bytes) -> str:
    r"""Return what a bare line has a person told while it waits for them; "" for any other.

    >>> halt_text(b"M0 Turn the plate"), halt_text(b"M1 S30 P5 put  in\x07 it"), halt_text(b"M0 S5")
    ('Turn the plate', 'put in it', '')
    >>> halt_text(b"M117 M0 no"), halt_text(b"M01Stop"), halt_text(b"M10 x"), halt_text(b"G1X0")
    ('', 'Stop', '', '')
    """
    found = _HALT.fullmatch(line)
    if found is None:
        return ""
    text = found[1].decode("ascii", "replace")
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())
