"""The table of rules and their tests names tests that there are."""

import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent
NAMED = re.findall(r"`([a-z_/]+)::([a-z0-9_]+)`", (HERE / "README.md").read_text("utf-8"))


@pytest.mark.parametrize(("file", "name"), sorted(set(NAMED)))
def test_a_rule_is_held_by_a_test_that_there_is(file, name):
    root = HERE.parent if file.startswith("/") else HERE
    folder, _, stem = file.lstrip("/").rpartition("/")
    text = (root / folder / f"test_{stem}.py").read_text("utf-8")
    assert f"\ndef test_{name}(" in text


def test_the_table_names_many():
    assert len(set(NAMED)) > 160
