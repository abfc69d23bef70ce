"""What a laser may burn: never what holds a halogen, else what the lab has listed for it.

PVC and its kin give off hydrogen chloride, PTFE and its kin fluorides: they hurt people and eat
the machine. *Source:* the safety sheets of PVC and PTFE, "decomposition products".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum
from typing import Final

# Trade names stand here where the sheet is sold by them.
_HALOGENATED: Final = frozenset(
    {
        "pvc", "upvc", "cpvc", "vinyl", "polyvinylchloride", "pvdc", "pvdf", "ptfe", "teflon",
        "fep", "pfa", "etfe", "ectfe", "pctfe", "viton", "fluoropolymer", "neoprene", "chloroprene",
        "polychloroprene", "forex", "sintra", "trovicel", "kydex", "komatex", "leatherette",
    }
)  # fmt: skip
_IMITATION: Final = re.compile(r"\b(?:faux|fake|artificial|imitation|synthetic) leather\b")


class Burn(StrEnum):
    """Why a laser must not burn something; each is also a code of a finding and of a refusal."""

    HALOGENATED = "material-halogenated"
    NOT_LISTED = "material-not-listed"
    UNSAID = "material-unsaid"


def burn_problem(material: str, listed: Sequence[str]) -> Burn | None:
    """Return why a laser must not burn this; None if it may.

    :param material: "" where nobody has said.
    :param listed: what the lab has listed for the machine; nothing: all but halogens,
        as long as somebody says what it is.

    >>> burn_problem("PVC foam", ["pvc foam"]), burn_problem("Birch ", ["birch"])
    (<Burn.HALOGENATED: 'material-halogenated'>, None)
    >>> burn_problem("felt", ["birch"]), burn_problem("", [])
    (<Burn.NOT_LISTED: 'material-not-listed'>, <Burn.UNSAID: 'material-unsaid'>)
    """
    word = " ".join(material.casefold().split())
    parts = re.findall(r"[a-z]+", word)
    if _HALOGENATED.intersection([*parts, "".join(parts)]) or _IMITATION.search(word):
        return Burn.HALOGENATED
    if not word:
        return Burn.UNSAID
    if not listed:
        return None
    known = {" ".join(one.casefold().split()) for one in listed}
    return None if word in known else Burn.NOT_LISTED


def burn_fields(material: str, listed: Sequence[str]) -> dict[str, str | int | float]:
    """Return the fields of the sentence that says so."""
    return {"material": material, "listed": ", ".join(listed) or "nothing"}
