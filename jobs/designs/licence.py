"""What a licence lets a lab do, and what it asks for.

SPDX expressions come from the `license-expression` package; which class a licence is in and what
follows is our own cautious reading, for the lab's owner to change, not legal advice.

| class | own use | inside the lab | for a client | sold |
|---|---|---|---|---|
| public | yes | yes | yes | yes |
| attribution | yes | yes | yes | yes |
| share-alike | yes | yes | yes | yes |
| no-derivatives | yes | yes | yes | yes, unmodified |
| non-commercial | yes | yes | declare | no |
| proprietary | declare | declare | declare | no |
| unknown | unclear | unclear | unclear | no |

`A AND B` is the strictest of all, `A OR B` the best choice for the purpose; an exception (`WITH`)
needs a person.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, cast

from jobs.domain.preflight import Finding, FindingCode, Severity

if TYPE_CHECKING:
    from license_expression import Licensing

_MAX_CHARS: Final = 500


class Purpose(StrEnum):
    """Whom a thing is made for."""

    OWN = "own"
    INTERNAL = "internal"
    CLIENT = "client"
    SALE = "sale"


class Permission(StrEnum):
    """What the licence says to a purpose, from free to forbidden."""

    YES = "yes"
    DECLARE = "declare"  # a person declares that it is covered; recorded
    UNCLEAR = "unclear"  # a person has to look first
    NO = "no"


class LicenceClass(StrEnum):
    """Licences with the same consequences, from the freest to the strictest."""

    PUBLIC = "public"
    ATTRIBUTION = "attribution"
    SHARE_ALIKE = "share-alike"
    NO_DERIVATIVES = "no-derivatives"
    NON_COMMERCIAL = "non-commercial"
    PROPRIETARY = "proprietary"
    UNKNOWN = "unknown"


class Duty(StrEnum):
    """What the lab owes when it makes the thing."""

    PROVENANCE = "provenance"  # keep where it came from
    ATTRIBUTION = "attribution"  # a card with title, author, source, licence, changes
    SOURCE_LOCATION = "source-location"  # say where the complete source is
    SHARE_CHANGES = "share-changes"  # a changed file is offered under the same licence
    NO_CHANGES = "no-changes"
    DECLARATION = "declaration"  # who decided that it may be made, and why
    KEEP_PRIVATE = "keep-private"  # never shared on


@dataclass(frozen=True, slots=True)
class LicenceJudgement:
    """What follows from a licence.

    :param expression: normalized SPDX; "" if it could not be read.
    :param guessed: the text was no SPDX expression and was read as one; a person must confirm.
    """

    written: str
    expression: str
    licence_class: LicenceClass
    permissions: Mapping[Purpose, Permission]
    duties: tuple[Duty, ...]
    guessed: bool = False

    def to_json(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {
            "written": self.written,
            "expression": self.expression,
            "class": self.licence_class.value,
            "permissions": {key.value: value.value for key, value in self.permissions.items()},
            "duties": [duty.value for duty in self.duties],
            "guessed": self.guessed,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, object]) -> LicenceJudgement:
        """Read what `to_json` wrote."""
        permissions = cast(Mapping[str, str], values["permissions"])
        return cls(
            written=str(values["written"]),
            expression=str(values["expression"]),
            licence_class=LicenceClass(str(values["class"])),
            permissions={Purpose(key): Permission(value) for key, value in permissions.items()},
            duties=tuple(Duty(each) for each in cast(list[str], values["duties"])),
            guessed=bool(values["guessed"]),
        )

    def finding(self, purpose: Purpose) -> Finding | None:
        """Return what speaks against making it for *purpose*; None if nothing does."""
        licence = self.expression or self.written or "none"
        match self.permissions[purpose]:
            case Permission.YES:
                return None
            case Permission.NO:
                return Finding(
                    FindingCode.LICENCE_FORBIDS,
                    Severity.BLOCK,
                    fields={"licence": licence, "purpose": purpose.value},
                )
            case _:
                return Finding(
                    FindingCode.LICENCE_UNCLEAR, Severity.NOTE, fields={"licence": licence}
                )


_YES, _DECLARE, _UNCLEAR, _NO = Permission
_PERMISSIONS: Final[Mapping[LicenceClass, tuple[Permission, ...]]] = {
    LicenceClass.PUBLIC: (_YES, _YES, _YES, _YES),
    LicenceClass.ATTRIBUTION: (_YES, _YES, _YES, _YES),
    LicenceClass.SHARE_ALIKE: (_YES, _YES, _YES, _YES),
    LicenceClass.NO_DERIVATIVES: (_YES, _YES, _YES, _YES),
    LicenceClass.NON_COMMERCIAL: (_YES, _YES, _DECLARE, _NO),
    LicenceClass.PROPRIETARY: (_DECLARE, _DECLARE, _DECLARE, _NO),
    LicenceClass.UNKNOWN: (_UNCLEAR, _UNCLEAR, _UNCLEAR, _NO),
}
_DUTIES: Final[Mapping[LicenceClass, tuple[Duty, ...]]] = {
    LicenceClass.PUBLIC: (),
    LicenceClass.ATTRIBUTION: (Duty.ATTRIBUTION,),
    LicenceClass.SHARE_ALIKE: (Duty.ATTRIBUTION, Duty.SOURCE_LOCATION, Duty.SHARE_CHANGES),
    LicenceClass.NO_DERIVATIVES: (Duty.ATTRIBUTION, Duty.NO_CHANGES),
    LicenceClass.NON_COMMERCIAL: (Duty.ATTRIBUTION,),
    LicenceClass.PROPRIETARY: (Duty.DECLARATION, Duty.KEEP_PRIVATE),
    LicenceClass.UNKNOWN: (Duty.DECLARATION, Duty.KEEP_PRIVATE),
}
# In this order: the first that matches decides.
_CLASSES: Final[tuple[tuple[str, LicenceClass], ...]] = (
    (r"LicenseRef-.*(NOASSERTION|NONE)", LicenceClass.UNKNOWN),
    (r"LicenseRef-.*", LicenceClass.PROPRIETARY),
    (r"CC-BY-NC.*|PolyForm-(Noncommercial|Internal).*", LicenceClass.NON_COMMERCIAL),
    (r"CC-BY-ND.*", LicenceClass.NO_DERIVATIVES),
    (r"CC0-1\.0|CC-PDDC|PDDL-1\.0|Unlicense|0BSD|WTFPL|MIT-0", LicenceClass.PUBLIC),
    (
        r"CC-BY-SA-.*|CERN-OHL-(1\.\d|S-2\.0|W-2\.0)|TAPR-OHL-1\.0|[AL]?GPL-.*|MPL-.*|GFDL-.*"
        r"|ODbL-.*|EUPL-.*|EPL-.*",
        LicenceClass.SHARE_ALIKE,
    ),
    (
        r"CC-BY-\d.*|CERN-OHL-P-2\.0|SHL-.*|MIT|BSD-.*|Apache-.*|ISC|Zlib|ODC-By-.*|Artistic-.*",
        LicenceClass.ATTRIBUTION,
    ),
)
_RANK: Final = {each: rank for rank, each in enumerate(LicenceClass)}
_STRICTNESS: Final = {each: rank for rank, each in enumerate(Permission)}


@dataclass(frozen=True, slots=True)
class _Leaf:
    """The judgement of a part of an expression."""

    licence_class: LicenceClass
    permissions: tuple[Permission, ...]
    duties: frozenset[Duty]


def judge(written: str) -> LicenceJudgement:
    """Return what follows from a licence as a manifest writes it; never raises.

    >>> judge("CERN-OHL-P-2.0").licence_class, judge("my own terms").licence_class
    (<LicenceClass.ATTRIBUTION: 'attribution'>, <LicenceClass.UNKNOWN: 'unknown'>)
    """
    text = " ".join(written.split())
    parsed = _parse(text)
    guessed = False
    if parsed is None and (guess := _guess(text)):
        parsed, guessed = _parse(guess), True
    leaf = _judged(parsed) if parsed is not None else _leaf(LicenceClass.UNKNOWN)
    # A guess may be right, but nobody has said so yet.
    floor = _UNCLEAR if guessed else _YES
    permissions = tuple(_strictest(each, floor) for each in leaf.permissions)
    duties = {Duty.PROVENANCE, *leaf.duties}
    if _DECLARE in permissions or _UNCLEAR in permissions:
        duties.add(Duty.DECLARATION)
    return LicenceJudgement(
        written=written[:_MAX_CHARS],
        expression=str(parsed) if parsed is not None else "",
        licence_class=leaf.licence_class,
        permissions=dict(zip(Purpose, permissions, strict=True)),
        duties=tuple(duty for duty in Duty if duty in duties),
        guessed=guessed,
    )


def _parse(text: str) -> object | None:
    """Return the expression, None if it is no valid SPDX. `LicenseRef-` names are valid."""
    from license_expression import ExpressionError

    if not text or len(text) > _MAX_CHARS:
        return None
    licensing = _licensing()
    try:
        parsed = licensing.parse(text, validate=False)
        unknown = licensing.unknown_license_keys(parsed)
    except (ExpressionError, RecursionError):
        return None
    if any(not key.startswith("LicenseRef-") for key in unknown):
        return None
    return cast("object | None", parsed)


@functools.cache  # the table of all licences takes 0.15 s to build
def _licensing() -> Licensing:
    # Imported late: the node reads judgements, only a worker makes them.
    from license_expression import get_spdx_licensing

    return get_spdx_licensing()


def _judged(parsed: object) -> _Leaf:
    match parsed:
        case object(operator=str(operator), args=tuple(arguments)):
            leaves = [_judged(each) for each in arguments]
            return _all_of(leaves) if operator.strip() == "AND" else _best_of(leaves)
    leaf = _of_id(str(parsed))
    if " WITH " in str(parsed):
        return _Leaf(
            leaf.licence_class,
            tuple(_strictest(each, _UNCLEAR) for each in leaf.permissions),
            leaf.duties,
        )
    return leaf


def _of_id(name: str) -> _Leaf:
    plain = name.partition(" WITH ")[0]
    found = next((c for pattern, c in _CLASSES if re.fullmatch(pattern, plain)), None)
    leaf = _leaf(found or LicenceClass.UNKNOWN)
    # Creative Commons adds its conditions up: NC may come with ND or SA.
    duties = set(leaf.duties)
    if re.fullmatch(r"CC-BY-NC-ND.*", plain):
        duties.add(Duty.NO_CHANGES)
    if re.fullmatch(r"CC-BY-NC-SA.*", plain):
        duties.update(_DUTIES[LicenceClass.SHARE_ALIKE])
    return _Leaf(leaf.licence_class, leaf.permissions, frozenset(duties))


def _leaf(licence_class: LicenceClass) -> _Leaf:
    return _Leaf(licence_class, _PERMISSIONS[licence_class], frozenset(_DUTIES[licence_class]))


def _all_of(leaves: list[_Leaf]) -> _Leaf:
    return _Leaf(
        max((leaf.licence_class for leaf in leaves), key=_RANK.__getitem__),
        tuple(
            max(each, key=_STRICTNESS.__getitem__)
            for each in zip(*(leaf.permissions for leaf in leaves), strict=True)
        ),
        frozenset[Duty]().union(*(leaf.duties for leaf in leaves)),
    )


def _best_of(leaves: list[_Leaf]) -> _Leaf:
    """The choice that permits most; among equals the one of the freest class."""
    return min(
        leaves,
        key=lambda leaf: (
            sum(_STRICTNESS[each] for each in leaf.permissions),
            _RANK[leaf.licence_class],
        ),
    )


def _strictest(one: Permission, other: Permission) -> Permission:
    return max(one, other, key=_STRICTNESS.__getitem__)


_CC_WORDS: Final[tuple[tuple[str, str], ...]] = (
    (r"creative commons", "cc"),
    (r"attribution", "by"),
    (r"non-?commercial", "nc"),
    (r"no-?deriv(ative|ate)?s?", "nd"),
    (r"share-?alike", "sa"),
)
_CC: Final = re.compile(r"(?:cc)?[- ]*by((?:[- ]+(?:nc|nd|sa))*)[- ]*v?([1-4]\.\d)\b")
_CERN: Final = re.compile(
    r"cern[- ]ohl[- ]*(?:v?2(?:\.0)?[- ]*([swp])|([swp])[- ]*(?:v?2(?:\.0)?)?)"
)
_GPL: Final = re.compile(r"(?:gnu )?([al]?)gpl[- ]?v?([23])(?:\.0)?")


def _guess(text: str) -> str:
    """Read what people write instead of SPDX; "" if nothing comes to mind.

    >>> _guess("BY-SA 4.0"), _guess("CERN OHL v2-S"), _guess("GPLv3"), _guess("free for all")
    ('CC-BY-SA-4.0', 'CERN-OHL-S-2.0', 'GPL-3.0-only', '')
    >>> _guess("Creative Commons Attribution-NonCommercial 4.0 International License")
    'CC-BY-NC-4.0'
    """
    plain = text.lower()[:_MAX_CHARS]
    for pattern, word in _CC_WORDS:
        plain = re.sub(pattern, word, plain)
    if found := _CC.match(plain):
        return "-".join(["CC", "BY", *found[1].upper().replace("-", " ").split(), found[2]])
    if found := _CERN.match(plain):
        return f"CERN-OHL-{(found[1] or found[2]).upper()}-2.0"
    if found := _GPL.match(plain):
        return f"{found[1].upper()}GPL-{found[2]}.0-only"
    if re.match(r"cc[- ]?0|public domain", plain):
        return "CC0-1.0"
    return ""
