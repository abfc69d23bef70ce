"""Words of care: how a thing came off a machine, how bad a fault is, when a list is asked."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Final

from jobs.domain.errors import InvalidError


class Outcome(StrEnum):
    """How what was made had become, in the words of whoever took it off."""

    GOOD = "good"
    FAILED = "failed"
    UNSURE = "unsure"  # somebody else must look before the machine is used again


class Severity(StrEnum):
    """How bad a fault is; the last two close the machine."""

    NOTE = "note"
    LIMITS = "limits"  # it works, but not as it should
    UNUSABLE = "unusable"
    DANGER = "danger"


class Moment(StrEnum):
    """When a checklist is asked."""

    BEFORE_USE = "before-use"
    AFTER_USE = "after-use"
    OPENING = "opening"
    CLOSING = "closing"


CLOSES: Final = frozenset({Severity.UNUSABLE, Severity.DANGER})
OUT_FOR: Final = timedelta(days=7)  # until somebody says how long it really takes
CONTEST_DAYS: Final = 14

# Words with a sentence each (`cause.<word>`); a lab writes its own list instead.
CAUSES: Final = (
    "came-off",
    "warped",
    "under-extruded",
    "clogged",
    "tangled",
    "wrong-settings",
    "wrong-material",
    "bad-model",
    "broke-tool",
    "machine",
    "power",
    "stopped",
)


def one_line(text: str, longest: int, field: str) -> str:
    """Return a text in one line.

    :raises InvalidError: `care.too-long` if it has too many characters.
    """
    text = " ".join(text.split())
    if len(text) > longest:
        raise InvalidError("care.too-long", field=field, characters=longest)
    return text


def needed_text(text: str, longest: int, field: str) -> str:
    """Return a text that must say something; its lines stay.

    :raises InvalidError: `care.empty` or `care.too-long`.
    """
    text = "\n".join(line.rstrip() for line in text.strip().splitlines())
    if not text:
        raise InvalidError("care.empty", field=field)
    if len(text) > longest:
        raise InvalidError("care.too-long", field=field, characters=longest)
    return text


def checked_lines(text: str, most: int, longest: int, field: str) -> list[str]:
    r"""Return the lines of a list that a person wrote, without empty and doubled ones.

    >>> checked_lines("a\n\n b \na", 5, 80, "items")
    ['a', 'b']

    :raises InvalidError: `care.too-many` or `care.too-long`.
    """
    lines = list(dict.fromkeys(one_line(one, longest, field) for one in text.splitlines()))
    lines = [one for one in lines if one]
    if len(lines) > most:
        raise InvalidError("care.too-many", field=field, count=most)
    return lines
