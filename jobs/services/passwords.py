"""Passwords and secrets: what may be one, how it is kept, and that guessing costs time."""

from __future__ import annotations

import hashlib
import unicodedata
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from jobs.domain.errors import InvalidError

SHORTEST: Final = 10  # characters
LONGEST: Final = 256

# 19 MiB, two passes, one lane: OWASP's Argon2id minimum. A Pi's node may hold 120 MiB in all,
# so argon2-cffi's default of 64 MiB a sign-in is too much here.
# Source: OWASP Password Storage Cheat Sheet, "Argon2id".
_HASHER: Final = PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)
_NOBODY: Final = _HASHER.hash("nobody has this password")


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
    """Return the argon2id hash of a checked password; takes some 50 ms and 19 MiB."""
    return _HASHER.hash(_plain(password))


def matches(stored: str | None, password: str) -> bool:
    """Return whether *password* is the one; takes the same time where there is none."""
    try:
        _HASHER.verify(stored or _NOBODY, _plain(password)[: LONGEST + 1])
    except (VerificationError, InvalidHashError):
        return False
    return stored is not None


def fingerprint(secret: str) -> str:
    """Return what the database keeps of a token: 256 random bits need no slow hash."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _plain(password: str) -> str:
    return unicodedata.normalize("NFKC", password)
