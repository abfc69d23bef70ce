"""What a firmware family does with the commands of a program, read from a file of rules.

The files lie in `firmware_profiles/rules`, one a family; a family may extend another, and its own
rules go before those. `firmware_profiles/README.md` explains each key.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final

from jobs.domain.preflight import FindingCode, Severity

_ENTRY: Final = re.compile(r"(\S+?)(?:\s+([A-Z]+)(>=|=|<)?(-?[0-9.]*))?")
_KEYS: Final = frozenset(
    {
        "title",
        "extends",
        "unknown",
        "words",
        "letters",
        "realtime",
        "line_bytes",
        "flavors",
        "known",
        "heat",
        "limits",
        "slots",
        "rule",
    }
)
_HEATERS: Final = ("nozzle", "bed", "chamber")


@dataclass(frozen=True, slots=True)
class Pattern:
    """A command, and perhaps a word that must stand with it.

    :param command: `M500`; `SET_TMC*` for all that begin so; `$<n>` with any number there.
    :param word: `S`, or `PREFIX` of a command with named values; "": whatever else it says.
    :param least: the word's number is at least this; *most*: at most. NaN counts as present only
        where neither limits it.
    """

    command: str
    word: str = ""
    least: float = float("-inf")
    below: float = float("inf")

    @classmethod
    def read(cls, entry: str) -> Pattern:
        """Read one entry of a file.

        >>> Pattern.read("M302 S<150").below, Pattern.read("M211 S0").least, Pattern.read("$<n>")
        (150.0, 0.0, Pattern(command='$<n>', word='', least=-inf, below=inf))
        """
        found = _ENTRY.fullmatch(entry.strip())
        if found is None:
            raise ValueError(entry)
        command, word, sign, number = found.groups()
        if not word:
            return cls(command)
        if not number:
            return cls(command, word)
        value = float(number)
        match sign:
            case ">=":
                return cls(command, word, least=value)
            case "<":
                return cls(command, word, below=value)
            case _:
                return cls(command, word, value, value + 1e-9)

    def names(self, command: str) -> bool:
        """Tell whether a command, as the file's lines have it, is meant."""
        own = self.command
        if own.endswith("*"):
            return command.startswith(own[:-1])
        if own.endswith("<n>"):
            head = own[:-3]
            return command.startswith(head) and command[len(head) :].isdecimal()
        return command == own

    @property
    def is_limited(self) -> bool:
        """Tell whether the word's number matters."""
        return self.least > float("-inf") or self.below < float("inf")


@dataclass(frozen=True, slots=True)
class Rule:
    """What to say of some commands; None: nothing, whatever later rules say."""

    code: FindingCode | None
    severity: Severity
    patterns: tuple[Pattern, ...]


@dataclass(frozen=True, slots=True)
class ToolWords:
    """Where a program names its tools, for a firmware that draws from the slot of that number.

    :param tools: the word that names one, by command.
    :param others: commands whose `T` is something else.
    :param fixed: commands, some with a word, that say what tools are: their numbers must stay.
    """

    tools: Mapping[str, str]
    others: tuple[str, ...] = ()
    fixed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RuleBook:
    """The rules of one family.

    :param known: the commands it has.
    :param unknown: the weight of a command that it does not have.
    :param words: what a line is that begins with a word of its own, such as `START_PRINT`.
    :param letters: those of its words; "": any.
    :param realtime: bytes that act wherever they stand, texts included.
    :param flavors: what slicers call programs that it understands.
    :param line_bytes: the longest line that it takes without cutting it.
    :param heat: which commands ask which heater for a temperature.
    :param limits: which commands set limits of the axes, by quantity and unit.
    :param slots: None where the number of a tool is not that of the slot it draws from.
    """

    family: str
    title: str
    known: frozenset[str]
    unknown: Severity
    words: FindingCode
    letters: str
    realtime: bytes
    line_bytes: int
    flavors: tuple[str, ...]
    heat: Mapping[str, tuple[Pattern, ...]]
    limits: Mapping[str, tuple[str, ...]]
    slots: ToolWords | None
    rules: tuple[Rule, ...]
    sha256: str

    def rules_for(self, command: str) -> Iterator[tuple[Rule, Pattern]]:
        """Return the rules that may concern a command, the first to be asked first."""
        for rule in self.rules:
            for pattern in rule.patterns:
                if pattern.names(command):
                    yield rule, pattern


def family_of(dialect: str, named: str) -> str:
    """Return the family of a profile; where it names none, the dialect's own."""
    return named or dialect


def families() -> list[str]:
    """Return every family there are rules for."""
    return sorted(
        item.name.removesuffix(".toml")
        for item in (resources.files("firmware_profiles") / "rules").iterdir()
        if item.name.endswith(".toml")
    )


@cache
def load_rules(family: str) -> RuleBook | None:
    """Return the rules of a family; None if nobody has written any.

    >>> load_rules("prusa-mk3").unknown, load_rules("nobody's")
    (<Severity.PERSON: 'person'>, None)
    """
    if family not in families():
        return None
    chain: list[Mapping[str, object]] = []
    digest = hashlib.sha256()
    name = family
    while name:
        file = resources.files("firmware_profiles") / "rules" / f"{name}.toml"
        data = file.read_bytes()
        digest.update(data)
        values = tomllib.loads(data.decode())
        if unexpected := values.keys() - _KEYS:
            raise ValueError(f"{name}: {', '.join(sorted(unexpected))}")
        chain.append(values)
        name = str(values.get("extends", ""))
    return _book(family, chain, digest.hexdigest())


def _book(family: str, chain: Sequence[Mapping[str, object]], sha256: str) -> RuleBook:
    """Put a family and those that it extends together, nearest first."""

    def nearest(key: str, default: object) -> object:
        return next((values[key] for values in chain if key in values), default)

    heat, limits = nearest("heat", {}), nearest("limits", {})
    assert isinstance(heat, dict)
    assert isinstance(limits, dict)
    return RuleBook(
        family=family,
        title=str(nearest("title", family)),
        known=frozenset(word for values in chain for row in _texts(values, "known")
                        for word in row.split()),
        unknown=Severity(str(nearest("unknown", "block"))),
        words=FindingCode(str(nearest("words", "unknown-command"))),
        letters=str(nearest("letters", "")),
        realtime=str(nearest("realtime", "")).encode(),
        line_bytes=int(str(nearest("line_bytes", 80))),
        flavors=tuple(_texts({"flavors": nearest("flavors", [])}, "flavors")),
        heat={name: tuple(map(Pattern.read, heat.get(name, ()))) for name in _HEATERS},
        limits={str(key): tuple(_texts(limits, key)) for key in limits},
        slots=_tool_words(nearest("slots", {})),
        rules=tuple(_rule(rule) for values in chain for rule in _tables(values)),
        sha256=sha256,
    )  # fmt: skip


def _tool_words(values: object) -> ToolWords | None:
    assert isinstance(values, dict)
    if not values:
        return None
    pairs = (one.partition(" ") for one in _texts(values, "tools"))
    return ToolWords(
        {command: word for command, _, word in pairs},
        tuple(_texts(values, "others")),
        tuple(_texts(values, "fixed")),
    )


def _rule(values: Mapping[str, object]) -> Rule:
    patterns = tuple(map(Pattern.read, _texts(values, "commands")))
    weight = str(values["as"])
    if weight == "allow":
        return Rule(None, Severity.NOTE, patterns)
    return Rule(FindingCode(str(values["say"])), Severity(weight), patterns)


def _tables(values: Mapping[str, object]) -> list[Mapping[str, object]]:
    rules = values.get("rule", [])
    return [one for one in rules if isinstance(one, dict)] if isinstance(rules, list) else []


def _texts(values: Mapping[str, object], key: str) -> list[str]:
    found = values.get(key, [])
    return [str(one) for one in found] if isinstance(found, list) else []
