"""Every sentence for a person, by code and language, read from gettext catalogues."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from datetime import datetime
from importlib import resources
from typing import Final
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_datetime

from jobs.domain.pofile import read_sentences

Value = str | int | float

SOURCE: Final = "en"  # the language in which every sentence exists
PSEUDO: Final = "pseudo"  # accents and brackets: shows what is not translatable

# Fields whose values are words of ours: a sentence says "to check", not "to-check".
_WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "state": ("state.machine", "state.job", "state.attempt"),
    "wanted": ("state.job", "state.machine"),
    "needed": ("role",),
    "role": ("role",),
    "control": ("control",),
    "displaced": ("displacement",),
    "old": ("setting-value",),
    "new": ("setting-value",),
    "listed": ("burn-list",),
    "sort": ("instruction",),
    "of": ("instruction-of", "page.kind"),
}
_FIELD: Final = re.compile(r"(%\([a-z0-9_]+\)s|%%)")
_ACCENTS: Final = str.maketrans("aceginorsuyzACEINOSUYZ", "áçéĝíñóŕšúýžÁÇÉÍÑÓŠÚÝŽ")


class Catalogue:
    """The sentences of one language; what it lacks is said in the source language.

    :param locale: a folder of `jobs/domain/locale`, or `pseudo`.
    """

    def __init__(self, locale: str = SOURCE) -> None:
        self._sentences: dict[str, str] = dict(_read(SOURCE))
        if locale == PSEUDO:
            self._sentences = {
                code: _pseudo(sentence) for code, sentence in self._sentences.items()
            }
        elif locale != SOURCE:
            self._sentences.update(_read(locale))

    @property
    def codes(self) -> frozenset[str]:
        """Return every code that has a sentence."""
        return frozenset(self._sentences)

    def text(self, code: str, /, **fields: Value) -> str:
        """Return the sentence of *code*, its fields filled in.

        A code without a sentence comes back in brackets: a person still learns something,
        and a test has failed.

        >>> Catalogue().text("reason.too-short", minutes=10)
        'A booking is at least 10 minutes long. Choose a longer time.'
        >>> Catalogue().text("reason.of-its-own")
        '⟨reason.of-its-own⟩'
        """
        sentence = self._sentences.get(code)
        if sentence is None:
            return f"⟨{code}⟩"
        said = {name: self._said(name, value) for name, value in fields.items()}
        return sentence % _Fields(said)

    def _said(self, name: str, value: Value) -> str:
        if isinstance(value, float):
            return f"{round(value, 3):.10g}"
        for prefix in _WORDS.get(name, ()):
            if word := self._sentences.get(f"{prefix}.{value}"):
                return word
        return str(value)


def local_fields(fields: Mapping[str, Value], zone: ZoneInfo, locale: Locale) -> dict[str, Value]:
    """Return fields of a sentence; those that are instants become times on the lab's clock.

    >>> local_fields({"at": "2026-01-02T03:04:05Z"}, ZoneInfo("Asia/Tokyo"), Locale("en"))
    {'at': 'Fri 2 Jan 12:04'}
    """
    return {name: _local(value, zone, locale) for name, value in fields.items()}


def _local(value: Value, zone: ZoneInfo, locale: Locale) -> Value:
    if not isinstance(value, str) or "T" not in value:
        return value
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        return value
    if at.tzinfo is None:
        return value
    return format_datetime(at, "EEE d MMM HH:mm", tzinfo=zone, locale=locale)


class _Fields(dict[str, str]):
    """A sentence with a hole still says more than an error page."""

    def __missing__(self, key: str) -> str:
        return "?"


def _pseudo(sentence: str) -> str:
    parts = _FIELD.split(sentence)
    parts[::2] = [part.translate(_ACCENTS) for part in parts[::2]]
    return f"⟦{''.join(parts)}⟧"


@functools.cache
def _read(locale: str) -> Mapping[str, str]:
    folder = resources.files("jobs.domain") / "locale" / locale / "LC_MESSAGES"
    return read_sentences((folder / "fabnode.po").read_text(encoding="utf-8"))
