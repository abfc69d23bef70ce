"""What a machine asks of whom, and the numbers on its display."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.domain.people import LabMode
from jobs.domain.presence import (
    DIGITS,
    MOST_WRONG_A_DAY,
    WINDOW_S,
    How,
    PresenceBy,
    code_of,
    need_of,
    seconds_left,
    tidy_code,
    window_of,
    window_shown,
)

AT = st.integers(1_600_000_000, 4_000_000_000).map(lambda at: datetime.fromtimestamp(at, UTC))
BY = st.sampled_from([None, *PresenceBy])
MODE = st.sampled_from(list(LabMode))


def code(window: int) -> str:
    return code_of("secret", "mill", window)


@given(by=BY, mode=MODE)
def test_what_cuts_is_always_asked_for_proof(by, mode):
    need = need_of(by, mode, cuts=True)
    assert need.proofs
    assert not need.word


@pytest.mark.parametrize(
    ("by", "mode", "expected"),
    [
        (None, LabMode.SHARED_LAB, (frozenset(How), False)),
        (None, LabMode.ONLY_ME, (frozenset(), False)),
        (None, LabMode.UNSET, (frozenset(), True)),
        (PresenceBy.WORD, LabMode.SHARED_LAB, (frozenset(), True)),
        (PresenceBy.ANY, LabMode.ONLY_ME, (frozenset(How), False)),
        (PresenceBy.CODE, LabMode.SHARED_LAB, (frozenset({How.CODE}), False)),
        (PresenceBy.BADGE, LabMode.SHARED_LAB, (frozenset({How.BADGE, How.KIOSK}), False)),
    ],
)
def test_a_printer_asks_for_what_the_lab_decided(by, mode, expected):
    need = need_of(by, mode, cuts=False)
    assert (need.proofs, need.word) == expected
    assert need.is_nothing == (expected == (frozenset(), False))


@given(now=AT, later_s=st.integers(0, 200))
def test_a_number_is_good_in_its_own_window_and_the_next_and_never_after(now, later_s):
    shown = code(window_of(now))
    then = now + timedelta(seconds=later_s)
    found = window_shown(shown, code, then)
    passed = window_of(then) - window_of(now)
    # Beyond that only by chance, which is another number's window.
    assert found == window_of(now) if passed <= 1 else found != window_of(now)


@given(now=AT)
def test_a_display_says_for_how_long_its_number_stays(now):
    left = seconds_left(now)
    assert 1 <= left <= WINDOW_S
    assert window_of(now + timedelta(seconds=left)) == window_of(now) + 1


@given(typed=st.text(max_size=12))
def test_nothing_but_the_right_count_of_digits_is_a_number(typed):
    found = tidy_code(typed)
    assert found == "" or (len(found) == DIGITS and set(found) <= set("0123456789"))


def test_machines_and_windows_have_numbers_of_their_own():
    seen = Counter(code_of("secret", name, one) for name in ("a", "b") for one in range(2000))
    assert max(seen.values()) <= 3, "4,000 draws of a million seldom meet twice"
    first = Counter(number[0] for number in seen)
    assert min(first.values()) > 300, "every leading digit comes about equally often"


def test_a_day_of_guesses_finds_a_number_less_than_once_in_ten_thousand():
    good_at_once = 2  # this window's and the last one's
    assert MOST_WRONG_A_DAY * good_at_once / 10**DIGITS <= 1e-4
