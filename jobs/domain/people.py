"""People of the lab: their roles, and who is acting."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Role(StrEnum):
    """What a person may do in the house; each role includes the ones before it."""

    GUEST = "guest"
    MEMBER = "member"
    TRAINER = "trainer"
    OPERATOR = "operator"
    ADMIN = "admin"


_CONSONANTS = "bdfghjklmnprstvz"
_VOWELS = "aeiou"
_RANK = {role: rank for rank, role in enumerate(Role)}


def is_at_least(role: Role, needed: Role) -> bool:
    """Return whether *role* includes *needed*.

    >>> is_at_least(Role.OPERATOR, Role.MEMBER), is_at_least(Role.GUEST, Role.MEMBER)
    (True, False)
    """
    return _RANK[role] >= _RANK[needed]


class SignUp(StrEnum):
    """Whether people may sign themselves up, as members."""

    OFF = "off"
    ASKED = "asked"  # staff let them in
    OPEN = "open"


def call_name(token: str) -> str:
    """Return a short name that says nothing of who bears it, made from random text.

    >>> call_name("a7Zq"), call_name("a7Zr") != call_name("a7Zq")
    ('Dagevi', True)
    """
    number = int.from_bytes(hashlib.sha256(token.encode()).digest()[:8])
    parts = []
    for _ in range(3):
        number, first = divmod(number, len(_CONSONANTS))
        number, second = divmod(number, len(_VOWELS))
        parts.append(_CONSONANTS[first] + _VOWELS[second])
    return "".join(parts).title()


class LabMode(StrEnum):
    """The answer to the first run's question."""

    UNSET = "unset"
    ONLY_ME = "only-me"  # hides booking
    SHARED_LAB = "shared-lab"


@dataclass(frozen=True, slots=True)
class Footing:
    """On what terms a person is here; by default without an end and with every machine.

    :param ends_at: after it they begin nothing new.
    :param machines: ids of those that they may use; None: no list is needed.
    """

    ends_at: datetime | None = None
    sponsor_id: str | None = None
    machines: frozenset[str] | None = None
    is_minor: bool = False
    has_consent: bool = True


@dataclass(frozen=True, slots=True)
class Actor:
    """The named person whose intent a use case carries out.

    :param simulated: a seeded person of the demo; said in every arming and record.
    :param seat: the sign-in, or the visit at a kiosk, that they act through, and to which proof of
        presence is bound; "" for a program with a key, which is never at a machine.
    :param by: who of the staff does this for the person; None: they do it themselves.
    """

    person_id: str
    name: str
    role: Role
    simulated: bool = False
    seat: str = ""
    by: Actor | None = None

    def is_at_least(self, needed: Role) -> bool:
        """Return whether this person's role includes *needed*."""
        return is_at_least(self.role, needed)
