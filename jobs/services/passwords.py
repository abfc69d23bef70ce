"""Passwords and secrets: what may be one, how it is kept, and that guessing costs time."""

from __future__ import annotations

import hashlib
import os
import threading
import unicodedata
from dataclasses import dataclass
from functools import cache
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from jobs.domain.errors import InvalidError

SHORTEST: Final = 10  # characters
LONGEST: Final = 256
_MEMORY_KIB: Final = 40 * 1024  # that all hashing of a moment may take of the node


@dataclass(frozen=True, slots=True)
class Cost:
    """What one hash costs.

    :param memory_kib: while it is made [KiB].
    :param passes: over that memory.
    :param lanes: how many hashes are made at a time; the next waits.
    """

    memory_kib: int
    passes: int
    lanes: int


def cost_for(memory_mib: float, cores: int) -> Cost:
    """Return the cost for a computer; each is one of those that OWASP calls equal.

    All take about the same time; the more memory, the less a guesser's graphics card helps. Half
    of the cores stay free for pages and machines, and all hashes of a moment stay in 40 MiB.

    >>> cost_for(16000, 2), cost_for(4000, 4), cost_for(900, 4)
    (Cost(memory_kib=19456, passes=2, lanes=1), Cost(memory_kib=19456, passes=2, lanes=2), \
Cost(memory_kib=9216, passes=4, lanes=2))

    Source: OWASP Password Storage Cheat Sheet, "Argon2id": m=19456 t=2, m=12288 t=3, m=9216 t=4.
    """
    memory_kib, passes = 19456, 2
    if memory_mib < 1024:
        memory_kib, passes = 9216, 4
    elif memory_mib < 2048:
        memory_kib, passes = 12288, 3
    return Cost(memory_kib, passes, max(1, min(cores // 2, _MEMORY_KIB // memory_kib)))


class _Hashing:
    """Makes and tries hashes, only so many at a time."""

    def __init__(self, cost: Cost) -> None:
        self.cost = cost
        self.hasher = PasswordHasher(
            time_cost=cost.passes, memory_cost=cost.memory_kib, parallelism=1
        )
        self.lanes = threading.BoundedSemaphore(cost.lanes)
        self.nobody = self.hasher.hash("nobody has this password")


@cache
def cost() -> Cost:
    """Return the cost of a hash on this computer."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**20
    return cost_for(memory, os.cpu_count() or 1)


@cache
def _hashing() -> _Hashing:
    return _Hashing(cost())


def checked(password: str) -> str:
    """Return *password* in the form that is hashed, whatever keyboard typed it.

    :raises InvalidError: too short or too long.
    """
    plain = _plain(password)
    if len(plain) < SHORTEST:
        raise InvalidError("password.too-short", field="password", characters=SHORTEST)
    if len(plain) > LONGEST:
        raise InvalidError("password.too-long", field="password", characters=LONGEST)
    return plain


def hashed(password: str) -> str:
    """Return the argon2id hash of a checked password; takes some 50 ms and up to 19 MiB."""
    at = _hashing()
    with at.lanes:
        return at.hasher.hash(_plain(password))


def matches(stored: str | None, password: str) -> bool:
    """Return whether *password* is the one; takes the same work where there is none."""
    at = _hashing()
    try:
        with at.lanes:
            at.hasher.verify(stored or at.nobody, _plain(password)[: LONGEST + 1])
    except (VerificationError, InvalidHashError):
        return False
    return stored is not None


def is_dated(stored: str) -> bool:
    """Return whether a hash was made at another cost than this computer's."""
    return _hashing().hasher.check_needs_rehash(stored)


def fingerprint(secret: str) -> str:
    """Return what the database keeps of a token: 256 random bits need no slow hash."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _plain(password: str) -> str:
    return unicodedata.normalize("NFKC", password)
