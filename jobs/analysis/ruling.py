"""Commands held against the rules of a firmware family, piece by piece of a program."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from jobs.analysis.arrays import Bools, Floats, Ints
from jobs.domain.preflight import Finding, FindingCode, Severity
from jobs.domain.rulebook import Pattern, Rule, RuleBook

NOT_KNOWN = "not-known"  # of a value that only the machine could tell
AS_THEY_ARE = "as-they-are"  # of settings that the program itself does not change
_MOST_GIVEN, _GIVEN = 6, 48  # commands, and characters of each
_MOST_SEEN = 300  # different findings; beyond it only their number counts
_WEIGHT = {FindingCode.MACRO: Severity.PERSON, FindingCode.HIDDEN_PROGRAM: Severity.BLOCK}
_SETTING = re.compile(r"(\$[^=]*)=(.*)")

Column = Callable[[str], Floats]
Has = Callable[[str], Bools]


@dataclass(slots=True)
class _Seen:
    line: int
    count: int
    fields: dict[str, str | int | float] = field(default_factory=dict)


class Ruling:
    """Collects what the rules say of each command; one finding a command and rule.

    :param macros: commands of this machine's own that the lab vouches for.
    :param forbidden: what the firmware profile forbids besides, such as `M302 P1` or `$`.
    """

    def __init__(self, book: RuleBook, macros: Sequence[str], forbidden: Sequence[str]) -> None:
        self._book = book
        self._macros = frozenset(name.upper() for name in macros)
        self._forbidden = [Pattern.read(_entry(one)) for one in forbidden]
        self._seen: dict[tuple[FindingCode, Severity, str], _Seen] = {}
        self._beyond = 0
        self._gives: dict[str, str] = {}

    def words(self, name: str, lines: Ints, at: Ints, column: Column, has: Has) -> None:
        """Judge the lines of a command that consists of letters and numbers.

        :param lines: 1-based lines of the upload, shape (k,).
        :param at: where each stands in the columns, shape (k,).
        :param column: a letter's numbers, NaN without one; *has*: where the letter stands at all.
        """
        left = np.ones(len(lines), np.bool_)
        for rule, pattern in self._book.rules_for(name):
            hit = left & _matches(pattern, at, column, has)
            if hit.any():
                self._take(rule, name, lines[hit])
                left &= ~hit
        for pattern in self._forbidden:
            if pattern.names(name) and (hit := left & _matches(pattern, at, column, has)).any():
                self._see(FindingCode.FORBIDDEN_COMMAND, Severity.BLOCK, name, lines[hit])
                left &= ~hit
        if left.any() and not self._knows(name):
            self._see(FindingCode.UNKNOWN_COMMAND, self._book.unknown, name, lines[left])

    def text(self, name: str, line: int, text: str, named: Mapping[str, str]) -> None:
        """Judge a line that is no letters and numbers, such as `$100=80` or `SET_PIN PIN=x`.

        :param named: its named values, `{"PIN": "x"}`.
        """
        if name in self._macros:
            return
        at = np.array([line])
        for rule, pattern in self._book.rules_for(name):
            if not pattern.word or pattern.word in named:
                self._take(rule, name, at, text)
                return
        if any(pattern.names(name) for pattern in self._forbidden):
            self._see(FindingCode.FORBIDDEN_COMMAND, Severity.BLOCK, name, at)
        elif name not in self._book.known:
            code = self._book.words if len(name) > 1 else FindingCode.UNKNOWN_COMMAND
            self._see(code, _WEIGHT.get(code, self._book.unknown), name, at)

    def findings(self) -> Iterator[Finding]:
        """Return what was found, by its first line."""
        order = sorted(self._seen.items(), key=lambda item: (item[1].line, item[0]))
        for (code, severity, name), seen in order:
            fields = {"command": name, **seen.fields, "count": seen.count}
            if fields.get("new") == AS_THEY_ARE:
                fields["new"] = self._given()
            yield Finding(code, severity, seen.line, fields)
        if self._beyond:
            fields = {"count": self._beyond}
            yield Finding(FindingCode.TOO_MANY_FINDINGS, Severity.BLOCK, None, fields)

    def give(self, name: str, text: str) -> None:
        """Remember a line that sets what another may store; the last of each command counts."""
        if name in self._gives or len(self._gives) < _MOST_GIVEN:
            self._gives[name] = text[:_GIVEN]

    def _given(self) -> str:
        """Return what the program itself has set, the last of each command."""
        return "; ".join(self._gives.values()) or AS_THEY_ARE

    def _knows(self, name: str) -> bool:
        if name in self._book.known or name in self._macros:
            return True
        return name[0] == "T" and name[1:].isdecimal() and int(name[1:]) < 256

    def _take(self, rule: Rule, name: str, lines: Ints, text: str = "") -> None:
        if rule.code is None:
            return
        fields: dict[str, str | int | float] = {}
        if rule.code is FindingCode.SETTING_STORED:
            found = _SETTING.match(text)
            fields = {
                "setting": found[1] if found else name,
                "new": found[2][:40] if found else AS_THEY_ARE,
                "old": NOT_KNOWN,
            }
        self._see(rule.code, rule.severity, name, lines, fields)

    def _see(
        self,
        code: FindingCode,
        severity: Severity,
        name: str,
        lines: Ints,
        fields: dict[str, str | int | float] | None = None,
    ) -> None:
        key = code, severity, name[:32]
        seen = self._seen.get(key)
        if seen is None and len(self._seen) >= _MOST_SEEN:
            self._beyond += 1
        elif seen is None:
            self._seen[key] = _Seen(int(lines.min()), len(lines), fields or {})
        else:
            seen.count += len(lines)
            seen.line = min(seen.line, int(lines.min()))


def _entry(forbidden: str) -> str:
    """Return a profile's word as a pattern: there `$` stands for every line that begins so."""
    return "$*" if forbidden.strip() == "$" else forbidden.upper()


def _matches(pattern: Pattern, at: Ints, column: Column, has: Has) -> Bools:
    """Tell which lines have the pattern's word, with a number that it means."""
    if not pattern.word:
        return np.ones(len(at), np.bool_)
    if not pattern.is_limited:
        return has(pattern.word[0])[at]
    value = column(pattern.word[0])[at]
    with np.errstate(invalid="ignore"):
        found: Bools = (value >= pattern.least) & (value < pattern.below)
    return found
