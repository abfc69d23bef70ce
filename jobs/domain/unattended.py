"""What may run on a machine with nobody there, and what has to be done before closing."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from jobs.domain.loading import is_same


class Unattended(StrEnum):
    """When a machine may run alone."""

    NEVER = "never"  # a person starts it and stays
    OPENING = "opening"  # while the lab is open
    OVERNIGHT = "overnight"  # beyond closing too, under conditions


@dataclass(frozen=True, slots=True)
class Terms:
    """What one machine's people agreed on.

    :param longest: of a run that goes on after closing [s]; None for any.
    :param materials: that may run after closing; empty for every one.
    :param must_fit: even so nothing may go on after closing.
    """

    unattended: Unattended = Unattended.OVERNIGHT
    longest: float | None = None
    materials: Collection[str] = ()
    must_fit: bool = False


FREE = Terms()
ATTENDED = Terms(Unattended.NEVER)


def must_end_before_closing(terms: Terms, length: float, materials: Collection[str]) -> bool:
    """Tell whether a run has to be done before everybody leaves.

    It says when a run may *start*. One that runs is a fact: closing time ends nothing.

    :param length: P90 [s].
    :param materials: of the job; nothing where it does not say, which is then no allowed one.

    >>> must_end_before_closing(Terms(longest=3600.0), 7200.0, ["PLA"])
    True
    >>> must_end_before_closing(Terms(materials=["PLA"]), 7200.0, ["pla"])
    False
    """
    if terms.must_fit or terms.unattended is not Unattended.OVERNIGHT:
        return True
    if terms.longest is not None and length > terms.longest:
        return True
    if not terms.materials:
        return False
    allowed = [any(is_same(one, known) for known in terms.materials) for one in materials]
    return not allowed or not all(allowed)
