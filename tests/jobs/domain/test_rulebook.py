"""Every family's file of rules reads, speaks of commands that exist, and of findings there are."""

from __future__ import annotations

import re
from importlib import resources

import pytest

from drivers.profile import load_profile, profile_names
from jobs.domain.rulebook import Pattern, families, family_of, load_rules

FAMILIES = families()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_reads_and_its_rules_can_be_met(family):
    rules = load_rules(family)
    assert rules is not None
    assert rules.rules
    for rule in rules.rules:
        for pattern in rule.patterns:
            name = pattern.command
            is_code = re.fullmatch(r"[GM]\d+(\.\d)?", name) is not None
            # A rule about a command that is not known is for one that has no number.
            assert name in rules.known or not is_code or rule.code is not None, name


@pytest.mark.parametrize("profile", profile_names())
def test_every_profile_has_rules_or_is_not_examined(profile):
    found = load_profile(profile)
    rules = load_rules(family_of(found.dialect, found.family))
    assert (rules is None) == (found.dialect == "farmbot")


def test_another_file_is_another_hash():
    hashes = {load_rules(family).sha256 for family in FAMILIES}
    assert len(hashes) == len(FAMILIES)


def test_the_readme_explains_every_key():
    readme = (resources.files("firmware_profiles") / "README.md").read_text("utf-8")
    section = readme[readme.index("## Rules for programs") :]
    for key in ("title", "extends", "known", "unknown", "words", "letters", "realtime",
                "line_bytes", "flavors", "[heat]", "[limits]", "[[rule]]"):  # fmt: skip
        assert f"| `{key}` |" in section, key


@pytest.mark.parametrize(
    ("entry", "command", "meant"),
    [
        ("M500", "M500", True),
        ("M500", "M5000", False),
        ("SET_TMC*", "SET_TMC_FIELD", True),
        ("$<n>", "$100", True),
        ("$<n>", "$N0", False),
        ("$<n>", "$", False),
    ],
)
def test_a_pattern_names_what_it_says(entry, command, meant):
    assert Pattern.read(entry).names(command) is meant


@pytest.mark.parametrize("entry", ["", "M1 M2 M3", "M211 s0", "M211 S>5"])
def test_an_entry_that_is_none_is_refused(entry):
    with pytest.raises(ValueError, match=re.escape(entry) or "^$"):
        Pattern.read(entry)


@pytest.mark.parametrize(
    ("entry", "least", "below"),
    [
        ("G10 L>=2", 2.0, float("inf")),
        ("M302 S<150", float("-inf"), 150.0),
        ("M211 S0", 0.0, 1e-9),
        ("M104 I", float("-inf"), float("inf")),
    ],
)
def test_a_rule_begins_and_ends_where_its_entry_says(entry, least, below):
    pattern = Pattern.read(entry)
    assert (pattern.least, pattern.below) == (least, below)
