"""What a printer asks of its host: `//action:` and a word, with a text behind it.

*Source:* MarlinFirmware/Marlin:Marlin/src/feature/host_actions.cpp.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_ACTION = re.compile(r"//\s*action:\s*([a-z_]+)\b\s*(.*)", re.IGNORECASE)


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
