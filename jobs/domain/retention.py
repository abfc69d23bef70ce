"""For how long what says something of people is kept, by kind; the lab may choose within bounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Kept(StrEnum):
    """What is kept for a while; the sentence is `kept.<kind>`."""

    NOTICES = "notices"
    PHOTOS = "photos"
    WIRE_LOGS = "wire-logs"
    SIGN_INS = "sign-ins"
    LOOKS = "looks"
    ACTS = "acts"
    RECORD_LINKS = "record-links"


@dataclass(frozen=True, slots=True)
class Term:
    """Days by default, and what a lab may choose."""

    days: int
    least: int
    most: int


# Entry logs of half a year and a year after somebody left are what makerspaces publish;
# a record without its link to a person stays for ever.
TERMS: Final[Mapping[Kept, Term]] = {
    Kept.NOTICES: Term(365, 7, 3650),
    Kept.PHOTOS: Term(90, 1, 3650),
    Kept.WIRE_LOGS: Term(90, 1, 3650),
    Kept.SIGN_INS: Term(30, 1, 30),  # since the last use; the cookie lives no longer
    Kept.LOOKS: Term(365, 30, 3650),
    Kept.ACTS: Term(365, 30, 3650),
    Kept.RECORD_LINKS: Term(365, 1, 3650),  # since the person left
}
