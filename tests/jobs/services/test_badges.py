"""Badges and PINs: given, set at the first use, lost; the number is nowhere."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text

from jobs.domain.errors import InvalidError, NotAllowedError
from jobs.domain.people import Role
from jobs.services import passwords
from jobs.services.badges import (
    FIRST_USE,
    Badges,
    badge_owner,
    may_set_first_pin,
    number_hmac,
    pin_hash_of,
)


@pytest.fixture
def badges(workshop):
    return Badges(workshop)


def owner(workshop, number):
    with workshop.database.read() as session:
        found = badge_owner(session, workshop, number)
        return None if found is None else found.id


def test_a_badge_says_who_it_is_however_the_reader_writes_it(
    badges, workshop, operator, member, now
):
    badges.give(operator, member.person_id, "04:a3:2f:91", now)
    assert owner(workshop, "04A32F91\n") == member.person_id
    assert owner(workshop, "04 a3 2f 91") == member.person_id
    assert owner(workshop, "04A32F92") is None


def test_the_number_is_nowhere_in_the_database_and_its_hash_needs_the_nodes_key(
    badges, workshop, operator, member, now
):
    import hashlib

    badges.give(operator, member.person_id, "DEADBEEF01", now)
    with workshop.database.read() as session:
        rows = session.execute(text("SELECT * FROM badge")).all()
    assert "DEADBEEF01" not in repr(rows)
    assert hashlib.sha256(b"DEADBEEF01").hexdigest() not in repr(rows)
    assert number_hmac(workshop, "DEADBEEF01") in repr(rows)


def test_one_badge_has_one_person_until_it_is_lost(badges, workshop, operator, member, other, now):
    first = badges.give(operator, member.person_id, "AAAA1111", now)
    with pytest.raises(InvalidError, match=r"badge\.taken"):
        badges.give(operator, other.person_id, "aaaa 1111", now)
    badges.end(member, first, now)  # one's own
    assert owner(workshop, "AAAA1111") is None
    badges.give(operator, other.person_id, "AAAA1111", now)
    assert owner(workshop, "AAAA1111") == other.person_id


def test_nobody_hands_themselves_the_badge_of_who_holds_more(
    badges, operator, admin, member, other, now
):
    with pytest.raises(NotAllowedError):
        badges.give(operator, admin.person_id, "BBBB2222", now)
    with pytest.raises(NotAllowedError):
        badges.forget_pin(operator, admin.person_id, now)
    badge = badges.give(admin, admin.person_id, "BBBB2222", now)
    with pytest.raises(NotAllowedError):
        badges.end(operator, badge, now)
    with pytest.raises(NotAllowedError):
        badges.give(member, other.person_id, "CCCC3333", now)
    with pytest.raises(NotAllowedError):
        badges.of(member, other.person_id)


def test_a_pin_is_set_at_the_first_use_and_not_again(badges, workshop, operator, member, now):
    badges.give(operator, member.person_id, "AAAA1111", now)
    badges.set_first_pin(member.person_id, "403917", now + timedelta(days=1))
    with workshop.database.read() as session:
        stored = pin_hash_of(session, member.person_id)
    assert stored is not None
    assert stored.startswith("$argon2id$")
    assert passwords.matches(stored, "403917")
    assert not passwords.matches(stored, "403918")
    with pytest.raises(InvalidError, match=r"pin\.not-now"):
        badges.set_first_pin(member.person_id, "918273", now)


def test_a_badge_that_waited_too_long_for_its_pin_needs_staff_again(
    badges, workshop, operator, member, now
):
    badges.give(operator, member.person_id, "AAAA1111", now)
    late = now + FIRST_USE
    with pytest.raises(InvalidError, match=r"pin\.not-now"):
        badges.set_first_pin(member.person_id, "403917", late)
    badges.forget_pin(operator, member.person_id, late)
    with workshop.database.read() as session:
        assert may_set_first_pin(session, member.person_id, late)
    badges.set_first_pin(member.person_id, "403917", late)
    assert badges.of(member, member.person_id).has_pin


@pytest.mark.parametrize("pin", ["", "12345", "1234567890123", "12a456", "٤٠٣٩١٧", "40 917"])
def test_a_pin_is_digits(badges, member, pin):
    with pytest.raises(InvalidError, match=r"pin\.digits"):
        badges.set_pin(member.person_id, pin)


@pytest.mark.parametrize("pin", ["111111", "123456", "987654", "135791", "121212", "112211"])
def test_a_pin_is_none_of_the_first_that_anybody_tries(badges, member, pin):
    with pytest.raises(InvalidError, match=r"pin\.simple"):
        badges.set_pin(member.person_id, pin)


def test_who_is_locked_out_is_nobodys_badge(badges, workshop, operator, member, now):
    from jobs.services.people import People

    badges.give(operator, member.person_id, "AAAA1111", now)
    People(workshop).disable(operator, member.person_id, now)
    assert owner(workshop, "AAAA1111") is None
    with pytest.raises(InvalidError, match=r"person\.locked-out"):
        badges.give(operator, member.person_id, "CCCC3333", now)


def test_a_role_taken_away_a_moment_ago_counts(badges, workshop, admin, operator, member, now):
    from jobs.services.people import People

    People(workshop).set_role(admin, operator.person_id, Role.MEMBER, now)
    with pytest.raises(NotAllowedError):  # with what the sign-in said before
        badges.give(operator, member.person_id, "AAAA1111", now)
