"""What people accept by name before they use a machine: texts with versions, and what changed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from jobs.domain.errors import InvalidError

LONGEST: Final = 40_000  # characters
LONGEST_NOTE: Final = 500
_CONTEXT: Final = 2  # lines around a change


class Sort(StrEnum):
    """What a text is (`instruction.<word>` in the catalogue)."""

    RULES = "rules"  # the house rules
    RISKS = "risks"  # the risk sheet


class Line(StrEnum):
    """What became of a line from one version to another."""

    SAME = "same"
    ADDED = "added"
    REMOVED = "removed"
    GAP = "gap"  # lines that did not change are left out


@dataclass(frozen=True, slots=True)
class Change:
    """One line of what changed."""

    kind: Line
    text: str


def checked_text(text: str) -> str:
    r"""Return a text as it is kept: lines end in one way, and nothing trails.

    :raises InvalidError: if it is too long, or holds what is no text.

    >>> checked_text("# Saw \r\n\r\n- goggles\n\n")
    '# Saw\n\n- goggles'
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    kept = "\n".join(line.rstrip() for line in lines).strip("\n")
    if len(kept) > LONGEST:
        raise InvalidError("instruction.long", field="text", characters=LONGEST)
    # Marks that turn the way of writing around are not printable, and hide what a line says.
    if any(not (one.isprintable() or one in "\n\t") for one in kept):
        raise InvalidError("instruction.characters", field="text")
    return kept


def digest_of(text: str) -> str:
    """Return the hash by which it is known exactly what was shown."""
    return hashlib.sha256(text.encode()).hexdigest()


def changes(old: str, new: str) -> Sequence[Change]:
    r"""Return what a reader of *old* has to read of *new*, with a little around each change.

    >>> [(one.kind.value, one.text) for one in changes("a\nb\nc", "a\nx\nc")]
    [('same', 'a'), ('removed', 'b'), ('added', 'x'), ('same', 'c')]
    """
    return list(_changes(old.split("\n"), new.split("\n")))


def _changes(old: Sequence[str], new: Sequence[str]) -> Iterator[Change]:
    from difflib import SequenceMatcher  # for the few pages that compare

    matcher = SequenceMatcher(None, old, new, autojunk=False)
    is_first = True
    for group in matcher.get_grouped_opcodes(_CONTEXT):
        if not is_first or group[0][1] > 0:
            yield Change(Line.GAP, "")
        is_first = False
        for tag, a, b, c, d in group:
            if tag == "equal":
                yield from (Change(Line.SAME, line) for line in old[a:b])
                continue
            yield from (Change(Line.REMOVED, line) for line in old[a:b])
            yield from (Change(Line.ADDED, line) for line in new[c:d])
