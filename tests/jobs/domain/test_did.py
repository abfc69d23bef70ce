"""A node's name is its public key, spelled in one way only."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.domain.did import did_key, public_key

# Source: w3c-ccg/did-method-key, first test vector.
KNOWN = "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp"


@given(st.binary(min_size=32, max_size=32))
def test_a_name_always_gives_its_key_back(key: bytes) -> None:
    assert public_key(did_key(key)) == key


def test_it_is_spelled_as_the_method_says() -> None:
    assert public_key(KNOWN).hex().startswith("3b6a27bc")
    assert did_key(public_key(KNOWN)) == KNOWN


@pytest.mark.parametrize(
    "wrong",
    [
        "did:key:z6MkTest",
        "did:web:x",
        "did:key:z",
        "did:key:z0",
        KNOWN[:-1],
        KNOWN + "1",
        KNOWN.replace("z6", "z16"),  # the same number, spelled otherwise
        did_key(bytes(31)),
    ],
)
def test_any_other_name_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any of the ways it is wrong
        public_key(wrong)
