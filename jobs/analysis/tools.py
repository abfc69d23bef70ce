"""What a program calls its tools: comments beside their numbers, for whoever puts them in.

The stream has no comments, so this is read from the upload; its texts are not to be trusted.
"""

from __future__ import annotations

import re

MOST_TOOLS = 40
LONGEST_NAME = 80

# "T2 M6 (drill)", "M6 T2 ; drill", and the table that CAM writes: "(T2 D=3. - drill)".
_BESIDE = re.compile(rb"(?im)^[^\n(;]*\bT0*(\d{1,3})(?!\d)[^\n(;]*[(;]([^)\n]*)")
_TABLE = re.compile(rb"(?im)^[ \t]*[(;][ \t]*T0*(\d{1,3})(?!\d)[ \t:=-]*([^)\n]*)")


def read_tools(data: bytes) -> list[dict[str, object]]:
    r"""Return number and name of each tool that a comment names; the table goes first.

    >>> read_tools(b"(T2 D=3. - drill)\nT1 M6 (mill)\nT2 M6\n")
    [{'number': 1, 'name': 'mill'}, {'number': 2, 'name': 'D=3. - drill'}]
    """
    found: dict[int, str] = {}
    for pattern in (_TABLE, _BESIDE):
        for match in pattern.finditer(data):
            number = int(match[1])
            text = bytes(byte for byte in match[2] if 32 <= byte < 127).decode().strip()
            if text and number not in found and len(found) < MOST_TOOLS:
                found[number] = text[:LONGEST_NAME]
    return [{"number": number, "name": name} for number, name in sorted(found.items())]
