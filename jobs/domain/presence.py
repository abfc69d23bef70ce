"""Presence: proof that a person stands at a machine, and what a machine asks of whom."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from jobs.domain.people import LabMode

WINDOW_S: Final = 30  # for so long a machine's display shows one code
DIGITS: Final = 6
# A guess hits one of two codes in a million: forty a day make less than one in ten thousand.
MOST_WRONG_A_DAY: Final = 40  # of everybody at one machine
MOST_WRONG_OF_ONE: Final = 12  # of one person at one machine, in a day
MOST_WRONG_AT_ONCE: Final = 5  # of one person at one machine, in `AT_ONCE`
AT_ONCE: Final = timedelta(minutes=10)
DAY: Final = timedelta(days=1)


class How(StrEnum):
    """By what somebody proved that they are at a machine."""

    BADGE = "badge"  # a badge and its PIN, at a device that stands there
    KIOSK = "kiosk"  # login and PIN or password, at a device that stands there
    CODE = "code"  # the number on the machine's display, typed elsewhere


class PresenceBy(StrEnum):
    """What a lab lets count as presence; nothing said: whatever can be proven."""

    ANY = "any"
    BADGE = "badge"  # badge or login at a device there, no code
    CODE = "code"
    WORD = "word"  # a signed-in person's own word on the machine's page; never for what cuts


@dataclass(frozen=True, slots=True)
class Need:
    """What a machine asks of a person before it moves or heats.

    :param proofs: each of them will do; none: nothing is asked.
    :param word: the word of somebody who is signed in will do.
    """

    proofs: frozenset[How] = frozenset()
    word: bool = False

    @property
    def is_nothing(self) -> bool:
        """Return whether nothing is asked."""
        return not self.proofs and not self.word


_PROOFS: Final = {
    PresenceBy.BADGE: frozenset({How.BADGE, How.KIOSK}),
    PresenceBy.CODE: frozenset({How.CODE}),
}


def need_of(by: PresenceBy | None, mode: LabMode, *, cuts: bool) -> Need:
    """Return what is asked for.

    :param by: what the lab decided for this machine; None: as it is by default.
    :param cuts: a mill, a laser or a kind that nobody knows: it is always asked for proof.

    >>> need_of(None, LabMode.ONLY_ME, cuts=False).is_nothing
    True
    >>> need_of(PresenceBy.WORD, LabMode.SHARED_LAB, cuts=True).word
    False
    """
    if not cuts:
        if by is PresenceBy.WORD or (by is None and mode is LabMode.UNSET):
            return Need(word=True)
        if by is None and mode is LabMode.ONLY_ME:
            return Need()
    return Need(_PROOFS.get(by or PresenceBy.ANY, frozenset(How)))


def window_of(now: datetime) -> int:
    """Return the number of the window that *now* lies in."""
    return int(now.timestamp() // WINDOW_S)


def code_of(secret: str, machine_id: str, window: int) -> str:
    """Return what a machine's display shows in a window: a keyed hash, cut as in RFC 4226.

    :param secret: of the machine; whoever has it has every code.

    >>> code_of("k", "m", 1), len(code_of("k", "m", 2))
    ('451722', 6)
    """
    said = f"presence {machine_id} {window}".encode()
    digest = hmac.new(secret.encode(), said, hashlib.sha256).digest()
    at = digest[-1] & 0xF
    number = int.from_bytes(digest[at : at + 4], "big") & 0x7FFFFFFF
    return str(number % 10**DIGITS).zfill(DIGITS)


def tidy_code(typed: str) -> str:
    """Return the digits of what was typed; "" if it cannot be a code.

    >>> tidy_code(" 048 121 "), tidy_code("48121"), tidy_code("04812a")
    ('048121', '', '')
    """
    digits = "".join(typed.split())
    return digits if len(digits) == DIGITS and digits.isascii() and digits.isdigit() else ""


def window_shown(typed: str, code: Callable[[int], str], now: datetime) -> int | None:
    """Return the window in which the display showed *typed*: this one or the last. None: neither.

    :param code: of a window.
    """
    here = window_of(now)
    # Both are compared whole whatever is found: how long it takes tells nothing.
    fits = [hmac.compare_digest(code(one), typed) for one in (here, here - 1)]
    return here if fits[0] else here - 1 if fits[1] else None


def seconds_left(now: datetime) -> int:
    """Return for how long the code of *now* is still shown [s], at least 1."""
    return WINDOW_S - int(now.timestamp()) % WINDOW_S
