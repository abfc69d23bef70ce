"""How people prove who they are, what keys of programs may do, and what a good PIN is."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from itertools import pairwise
from typing import Final

PIN_DIGITS: Final = 6  # at least: ten wrong tries a day are then far below one in ten thousand
PIN_MOST: Final = 12


class Way(StrEnum):
    """How a sign-in began."""

    PASSWORD = "password"
    LINK = "link"
    PASSKEY = "passkey"
    OUTSIDE = "outside"  # an OpenID provider's word


class Tried(StrEnum):
    """What was tried and not right, each counted on its own."""

    PASSWORD = "password"  # by login
    PIN = "pin"  # by person
    DEVICE = "device"  # PINs at one shared device
    CODE = "code"  # of an authenticator app or of recovery, by person


class Happened(StrEnum):
    """What happened to the ways in which a person proves who they are."""

    PASSWORD_SET = "password-set"
    PIN_SET = "pin-set"
    PIN_GONE = "pin-gone"
    STEP_ON = "step-on"
    STEP_OFF = "step-off"
    CODE_USED = "code-used"  # of recovery
    CODES_MADE = "codes-made"
    PASSKEY_ADDED = "passkey-added"
    PASSKEY_GONE = "passkey-gone"
    OUTSIDE_LINKED = "outside-linked"
    OUTSIDE_GONE = "outside-gone"
    KEY_MADE = "key-made"
    KEY_GONE = "key-gone"
    LINK_MADE = "link-made"
    CONSOLE_RESET = "console-reset"  # `fabnode admin reset`
    ENDED_OTHERS = "ended-others"
    ROLE_BY_OUTSIDE = "role-by-outside"


class Scope(StrEnum):
    """What a key may do for its person, never more than the person may. Stop is always there.

    None of them is presence: a program stands at no machine.
    """

    READ = "read"
    QUEUE = "queue"  # send jobs, and change one's own
    BOOK = "book"
    OPERATE = "operate"  # machines and what is loaded, faults, clearing
    MANAGE = "manage"  # whatever else the person may do


def scopes_from(text: str) -> frozenset[Scope]:
    """Return the scopes that a key was given; a word of a later release opens nothing.

    >>> sorted(scopes_from("read queue fly"))
    [<Scope.QUEUE: 'queue'>, <Scope.READ: 'read'>]
    """
    known = {one.value: one for one in Scope}
    return frozenset(known[word] for word in text.split() if word in known)


def scopes_text(scopes: Iterable[Scope]) -> str:
    """Return what is kept of a key's scopes.

    >>> scopes_text({Scope.QUEUE, Scope.READ})
    'read queue'
    """
    kept = frozenset(scopes)
    return " ".join(one.value for one in Scope if one in kept)


def is_plain_pin(pin: str) -> bool:
    """Return whether a PIN is one of those that people choose and guessers try first.

    One or two digits over and over, even steps up or down, a half that comes again, or a date.

    >>> [is_plain_pin(pin) for pin in ("111111", "121212", "123456", "987654", "734734", "482913")]
    [True, True, True, True, True, False]
    >>> [is_plain_pin(pin) for pin in ("240987", "092487", "870924", "24091987", "992487")]
    [True, True, True, True, False]
    """
    steps = {(int(b) - int(a)) % 10 for a, b in pairwise(pin)}
    half = len(pin) // 2
    is_pattern = len(set(pin)) <= 2 or len(steps) == 1 or pin[:half] * 2 == pin
    return is_pattern or _is_date(pin)


def _is_date(pin: str) -> bool:
    if len(pin) == 8:  # a year of four digits, in front or behind
        parts = (pin[:4], pin[4:6], pin[6:]), (pin[4:], pin[:2], pin[2:4])
        return any(y[:2] in ("19", "20") and _is_day(a, b) for y, a, b in parts)
    if len(pin) != 6:
        return False
    return _is_day(pin[:2], pin[2:4]) or _is_day(pin[2:4], pin[4:])


def _is_day(a: str, b: str) -> bool:
    low, high = sorted((int(a), int(b)))
    return 1 <= low <= 12 and 1 <= high <= 31
