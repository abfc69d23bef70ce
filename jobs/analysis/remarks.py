"""What the comments at both ends of a program say, as keys and values; none of it is trusted."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

MOST_KEYS = 3_000
LONGEST_VALUE = 400
_LONGEST_LINE = 4_000
_MOST_LINES = 60_000
_MOST_OBJECTS = 100
_PICTURE = re.compile(r"(?i);\s*(?:thumbnail|png|jpg|jpeg|qoi)\w* (begin|end)\b")
# "key = value", "key: value" and "key,value", as one slicer or another writes them.
_PAIR = re.compile(r"([A-Za-z][\w .#/()\[\]^-]{0,79}?)\s*[=:,]\s*(\S.*)")
_INNER = re.compile(r";\s*(?=[A-Za-z][\w ]{2,40}:\s)")
# How a line that says anything here begins; the regular expressions need not see the others.
_BEGINNINGS = frozenset(";(MmEe")
_OBJECT = re.compile(
    r"(?i)(?:;\s*printing object (.{1,200}?)(?: id:\d+(?: copy \d+)?)?$"
    r"|;MESH:(?!NONMESH)(.{1,200})$|;PRINTING:\s?(?!NON-OBJECT)(.{1,200})$"
    r"|\s*M486 S\d+ ?A\"?([^\"\n]{1,200})|\s*EXCLUDE_OBJECT_DEFINE NAME=(\S{1,200}))"
)


@dataclass(frozen=True, slots=True)
class Remarks:
    """Keys in small letters with their first values, all comment lines, and objects' names."""

    values: Mapping[str, str] = field(default_factory=dict)
    lines: tuple[str, ...] = ()
    objects: tuple[str, ...] = ()

    def text(self, *keys: str) -> str:
        """Return the first value that is there, without quotes; "" if there is none."""
        for key in keys:
            if value := self.values.get(key, "").strip().strip('"').strip():
                return value
        return ""

    def number(self, *keys: str) -> float | None:
        """Return the first number of the first value that has one."""
        for key in keys:
            if numbers := self.numbers(key):
                return numbers[0]
        return None

    def numbers(self, *keys: str) -> list[float]:
        """Return the numbers of the first value that has any, one for each tool."""
        for key in keys:
            found = [
                float(one)
                for one in re.findall(
                    r"(?<![\w.])-?\d{1,9}(?:\.\d{1,9})?", self.values.get(key, "")
                )
            ]
            if found:
                return found[:MOST_TOOLS]
        return []

    def words(self, *keys: str) -> list[str]:
        """Return the words of the first value that has any, one for each tool."""
        for key in keys:
            value = self.values.get(key, "")
            found = [
                (quoted or bare).strip()
                for quoted, bare in re.findall(r'"([^"]*)"|([^;,"]+)', value[:LONGEST_VALUE])
            ]
            if any(found):
                return [clean(one) for one in found][:MOST_TOOLS]
        return []


MOST_TOOLS = 16
LONGEST_NAME = 80


def clean(text: str) -> str:
    r"""Return a stranger's text fit to be shown: printable, one line, not long.

    >>> clean("  PLA\x1b[31m  red ")
    'PLA[31m red'
    """
    bare = "".join(letter for letter in text if letter.isprintable())
    return " ".join(bare.split())[:LONGEST_NAME]


def read_remarks(data: bytes) -> Remarks:
    """Read the comments of both ends of a program."""
    values: dict[str, str] = {}
    lines: list[str] = []
    objects: dict[str, None] = {}
    told = data.decode("utf-8", "replace").splitlines()[:_MOST_LINES]
    for line in _outside_pictures(line for line in told if line.lstrip()[:1] in _BEGINNINGS):
        if found := _OBJECT.match(line):
            if len(objects) < _MOST_OBJECTS:
                objects[clean(next(name for name in found.groups() if name))] = None
            continue
        if not line.startswith((";", "(")):
            continue
        text = line.lstrip("; (-%\t").rstrip(" )\t")
        lines.append(text)
        for part in _INNER.split(text) if ";" in text else (text,):
            pair = _PAIR.fullmatch(part)
            if pair and len(values) < MOST_KEYS:
                values.setdefault(pair[1].strip().lower(), pair[2][:LONGEST_VALUE])
    return Remarks(values, tuple(lines), tuple(name for name in objects if name))


def _outside_pictures(lines: Iterable[str]) -> Iterator[str]:
    inside = False
    for line in lines:
        mark = _PICTURE.match(line)
        if mark is not None:
            inside = mark[1].lower() == "begin"
        elif not inside:
            yield line[:_LONGEST_LINE].strip()
