"""A start order that the node did not seal for this very machine begins nothing."""

from __future__ import annotations

import pytest

from drivers.sealing import is_sealed, machine_key, seal

KEY = machine_key(b"s" * 32, "mk1")
ORDER = {
    "run": "r",
    "program": "p",
    "preflight": {"id": "x", "verdict": "pass", "limits_sha256": "l"},
    "arming": {"id": "a"},
}


def test_what_was_sealed_is_sealed_in_any_order_of_keys():
    turned = dict(reversed(ORDER.items()))
    assert is_sealed(KEY, "mk1", turned, seal(KEY, "mk1", ORDER))


@pytest.mark.parametrize(
    "change",
    [
        {"run": "r2"},
        {"program": "q"},
        {"preflight": ORDER["preflight"] | {"verdict": "person", "waivers": ["w"]}},
        {"preflight": ORDER["preflight"] | {"limits_sha256": "old"}},
        {"arming": None},
    ],
)
def test_whatever_is_changed_breaks_the_seal(change):
    assert not is_sealed(KEY, "mk1", ORDER | change, seal(KEY, "mk1", ORDER))


@pytest.mark.parametrize("claimed", [None, "", 7, "0" * 64, "é" * 64, b"x"])
def test_what_is_no_seal_is_none(claimed):
    assert not is_sealed(KEY, "mk1", ORDER, claimed)


def test_another_machine_and_another_key_have_other_seals():
    mine = seal(KEY, "mk1", ORDER)
    assert not is_sealed(KEY, "mk2", ORDER, mine)
    assert not is_sealed(machine_key(b"s" * 32, "mk2"), "mk1", ORDER, mine)
    assert not is_sealed(machine_key(b"t" * 32, "mk1"), "mk1", ORDER, mine)
