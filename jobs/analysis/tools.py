"""What a program calls its tools: comments beside their numbers, for whoever puts them in.

The stream has no comments, so this is read from the upload; its texts are not to be trusted.
"""

from __future__ import annotations

import re

from jobs.analysis.piece import Piece, Reader

MOST_TOOLS = 40
LONGEST_NAME = 80

# "T2 M6 (drill)", "M6 T2 ; drill", and the table that CAM writes: "(T2 D=3. - drill)".
_BESIDE = re.compile(rb"(?i)[^(;]*\bT0*(\d{1,3})(?!\d)[^(;]*[(;]([^)]*)")
_TABLE = re.compile(rb"(?im)^[ \t]*[(;][ \t]*T0*(\d{1,3})(?!\d)[ \t:=-]*([^)\n]*)")
# Vectric's table: "(1 = End Mill {6 mm})".
_VECTRIC = re.compile(rb"(?m)^[ \t]*\([ \t]*0*(\d{1,3}) = ([^)\n]*)")
# CAM writes its table before the first move.
_TABLE_BYTES = 200_000


class Tools(Reader):
    """Number and name of each tool that a comment names; the table goes first."""

    def __init__(self) -> None:
        self._table: dict[int, str] = {}
        self._beside: dict[int, str] = {}
        self._seen: set[int] = set()

    def feed(self, piece: Piece) -> None:
        """Take the next piece."""
        if piece.upload_line == 1:
            for pattern in (_TABLE, _VECTRIC):
                for match in pattern.finditer(piece.upload[:_TABLE_BYTES]):
                    _note(self._table, match)
        lines, codes = piece.blocks.commands.choose("T")
        if len(lines) == 0 or len(self._seen) >= MOST_TOOLS:
            return
        texts: list[bytes] = []
        for line, code in zip(lines.tolist(), codes.tolist(), strict=True):
            if code // 10 in self._seen or len(self._seen) >= MOST_TOOLS:
                continue
            texts = texts or piece.upload.split(b"\n")
            beside = _BESIDE.match(texts[piece.source(line) - piece.upload_line])
            if beside is not None:
                _note(self._beside, beside)
                self._seen.add(code // 10)

    def table(self) -> list[dict[str, object]]:
        """Return what was found, by number."""
        found = {**self._beside, **self._table}
        return [{"number": number, "name": found[number]} for number in sorted(found)][:MOST_TOOLS]


def _note(found: dict[int, str], match: re.Match[bytes]) -> None:
    text = bytes(byte for byte in match[2] if 32 <= byte < 127).decode().strip()
    if text and len(found) < MOST_TOOLS:
        found.setdefault(int(match[1]), text[:LONGEST_NAME])
