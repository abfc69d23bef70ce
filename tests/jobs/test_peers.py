"""The table of what peers got wrong names tests that there are."""

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
TEXT = (TESTS / "jobs" / "README.md").read_text("utf-8")
NAMED = sorted(set(re.findall(r"`([a-z_/]+)::([a-z0-9_]+)`", TEXT)))


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_what_a_peer_got_wrong_is_held_by_a_test_that_there_is(file, name):
    folder, _, stem = file.rpartition("/")
    text = (TESTS / folder / f"test_{stem}.py").read_text("utf-8")
    assert f"\ndef test_{name}(" in text


def test_the_table_names_many():
    assert len(NAMED) > 50
