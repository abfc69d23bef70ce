"""The catalogue: every code that can reach a person has a sentence, and the sentence fits."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

import drivers
import jobs
import node
import web
from jobs.domain.calendar import AllocationKind, AllocationState, Displacement
from jobs.domain.job import AttemptState, HoldReason, JobState, StepName, StepState
from jobs.domain.loading import Doubt
from jobs.domain.machine import Control, MachineState
from jobs.domain.people import Role
from jobs.domain.policy import Reason
from jobs.domain.preflight import FindingCode, Severity, Verdict
from jobs.domain.priority import PartName
from jobs.domain.sentences import Catalogue
from jobs.domain.unattended import Unattended
from jobs.services.logbook import Happening

WORDS: list[tuple[str, type[StrEnum]]] = [
    ("reason", Reason),
    ("finding", FindingCode),
    ("state.machine", MachineState),
    ("state.job", JobState),
    ("state.attempt", AttemptState),
    ("state.step", StepState),
    ("state.allocation", AllocationState),
    ("step", StepName),
    ("verdict", Verdict),
    ("severity", Severity),
    ("role", Role),
    ("control", Control),
    ("allocation", AllocationKind),
    ("displacement", Displacement),
    ("hold", HoldReason),
    ("happening", Happening),
    ("priority", PartName),
    ("unattended", Unattended),
    ("doubt", Doubt),
]
PO = Path(jobs.__path__[0]) / "domain" / "locale" / "en" / "LC_MESSAGES" / "fabnode.po"
CODE = re.compile(r"[a-z][a-z-]*\.[a-z][a-z0-9_.-]*")


def raised() -> Iterator[tuple[str, str, frozenset[str] | None]]:
    """Yield where, code and field names of every error that the tree raises.

    The names are None where a call passes fields on that only it knows.
    """
    for package in (drivers, jobs, node, web):
        for path in sorted(Path(package.__path__[0]).rglob("*.py")):
            for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if not isinstance(call, ast.Call) or not call.args:
                    continue
                name = call.func.id if isinstance(call.func, ast.Name) else ""
                first = call.args[0]
                is_code = isinstance(first, ast.Constant) and isinstance(first.value, str)
                if not name.endswith("Error") or not is_code:
                    continue
                code = str(first.value)  # type: ignore[attr-defined]
                if not CODE.fullmatch(code):
                    continue
                fields = {keyword.arg for keyword in call.keywords} - {"field"}
                if name == "ProgramError":
                    fields.add("line")
                known = frozenset(str(one) for one in fields) if None not in fields else None
                yield f"{path.name}:{call.lineno}", code, known


@pytest.mark.parametrize(("prefix", "words"), WORDS, ids=[prefix for prefix, _ in WORDS])
def test_every_word_of_the_house_has_its_sentence(prefix: str, words: type[StrEnum]) -> None:
    codes = Catalogue().codes
    assert [f"{prefix}.{word}" for word in words if f"{prefix}.{word}" not in codes] == []


def test_every_error_that_is_raised_has_its_sentence() -> None:
    codes = Catalogue().codes
    found = list(raised())
    assert len(found) > 50
    missing = [(where, code) for where, code, _ in found if f"error.{code}" not in codes]
    assert missing == []


def test_a_sentence_asks_only_for_fields_that_every_raise_gives() -> None:
    with PO.open("rb") as file:
        asked = {
            str(message.id): set(re.findall(r"%\((\w+)\)s", str(message.string)))
            for message in read_po(file)
        }
    holes = [
        (where, code, hole)
        for where, code, fields in raised()
        if fields is not None and (hole := asked.get(f"error.{code}", set()) - fields)
    ]
    assert holes == []


def test_every_sentence_can_be_filled_in() -> None:
    for locale in ("en", "pseudo"):
        catalogue = Catalogue(locale)
        for code in catalogue.codes:
            assert "%(" not in catalogue.text(code), code


def test_no_code_has_two_sentences() -> None:
    ids = re.findall(r'^msgid "(.+)"$', PO.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert [code for code, count in Counter(ids).items() if count > 1] == []


def test_a_code_without_a_sentence_is_shown_and_breaks_nothing() -> None:
    assert Catalogue().text("reason.no-such-thing", minutes=1) == "⟨reason.no-such-thing⟩"
    assert Catalogue().text("reason.too-short") == (
        "A booking is at least ? minutes long. Choose a longer time."
    )


def test_numbers_and_words_are_said_as_people_say_them() -> None:
    catalogue = Catalogue()
    assert catalogue.text("finding.bed-too-hot", asked_c=130.0, limit_c=110.5).startswith(
        "The bed is asked for 130 °C, but this machine allows 110.5 °C. Lower the bed"
    )
    assert "(to check)" in catalogue.text("reason.machine-busy", state="to-check")
    assert "“operator”" in catalogue.text("error.person.not-allowed", needed="operator")


def test_the_pseudo_locale_marks_every_sentence_and_keeps_its_fields() -> None:
    catalogue = Catalogue("pseudo")
    said = catalogue.text("reason.too-short", minutes=10)
    assert said.startswith("⟦Á")
    assert said.endswith("⟧")
    assert "10 mí" in said
    plain = Catalogue()
    for code in plain.codes:
        assert catalogue.text(code) != plain.text(code), code
