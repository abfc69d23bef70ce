"""Sentences from the text of a gettext catalogue, and no more than that.

Babel's reader keeps an object with its places and flags for each sentence: some six megabytes in
a node that reads them once. A catalogue of ours has neither contexts nor plural forms.
"""

from __future__ import annotations

import json
import re
from typing import Final

_STRING: Final = re.compile(r'"(?:[^"\\]|\\["\\nt])*"')


class PoError(ValueError):
    """A line that no catalogue of ours has; its number is in the text."""


def read_sentences(text: str) -> dict[str, str]:
    r"""Return sentences by their code; those not translated and the header are left out.

    :raises PoError: naming the line.

    >>> read_sentences('msgid "page.hello"\nmsgstr "Good "\n"morning"\n')
    {'page.hello': 'Good morning'}
    """
    out: dict[str, str] = {}
    code, sentence, is_code = "", "", False
    for number, line in enumerate(text.split("\n"), 1):
        line = line.strip(" \t\r")
        if not line or line.startswith("#"):
            continue
        word, rest = ("", line) if line.startswith('"') else (*line.split(" ", 1), "")[:2]
        said = _string(rest, number)
        match word:
            case "msgid":
                _keep(out, code, sentence)
                code, sentence, is_code = said, "", True
            case "msgstr":
                sentence, is_code = said, False
            case "" if is_code:
                code += said
            case "":
                sentence += said
            case _:
                raise PoError(f"line {number}: no word of ours: {word[:60]}")
    _keep(out, code, sentence)
    return out


def _keep(out: dict[str, str], code: str, sentence: str) -> None:
    if code and sentence:
        out[code] = sentence


def _string(text: str, number: int) -> str:
    if not _STRING.fullmatch(text):
        raise PoError(f"line {number}: not a string: {text[:60]}")
    return str(json.loads(text, strict=False))
