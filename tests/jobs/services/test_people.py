"""People: who may add whom, how passwords are kept, and how a sign-in begins and ends."""

from __future__ import annotations

import hashlib
import json
import threading
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from jobs.domain.errors import InvalidError, JobsError, NotAllowedError, NotFoundError
from jobs.domain.people import Actor, Role
from jobs.services.bookings import Bookings
from jobs.services.people import People, alias_of
from jobs.services.views import PersonView
from jobs.services.workshop import Workshop
from jobs.store.tables import (
    Allocation,
    OutboxMessage,
    Person,
    PersonAlias,
    SignIn,
    SignInFailure,
)

PASSWORD = "correct horse"
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


@pytest.fixture
def people(workshop: Workshop) -> People:
    return People(workshop)


@pytest.fixture
def ana(people: People, now: datetime) -> PersonView:
    """The first admin, with a password."""
    return people.create("Ana", "Ana  Lima", Role.ADMIN, password=PASSWORD, actor=None, now=now)


def refused(people: People, login: str, password: str, now: datetime) -> str:
    with pytest.raises(InvalidError) as wrong:
        people.sign_in(login, password, now)
    return wrong.value.code


def test_the_first_admin_needs_nobody_and_the_second_does(people: People, now: datetime) -> None:
    assert (people.any_admin(), people.first_admin()) == (False, None)
    with pytest.raises(NotAllowedError):
        people.create("eve", "Eve", Role.MEMBER, actor=None, now=now)
    first = people.create(" ANA ", "Ana  Lima", Role.ADMIN, actor=None, now=now)
    assert (first.login, first.name, first.has_password) == ("ana", "Ana Lima", False)
    assert people.first_admin() == first
    with pytest.raises(NotAllowedError):
        people.create("eve", "Eve", Role.ADMIN, actor=None, now=now)


def test_nobody_gives_more_than_they_hold_nor_changes_who_holds_more(
    people: People, ana: PersonView, operator: Actor, member: Actor, now: datetime
) -> None:
    made = people.create("bo", "Bo", Role.OPERATOR, actor=operator, now=now)
    with pytest.raises(NotAllowedError):
        people.create("cy", "Cy", Role.ADMIN, actor=operator, now=now)
    with pytest.raises(NotAllowedError):
        people.create("cy", "Cy", Role.GUEST, actor=member, now=now)
    with pytest.raises(NotAllowedError):
        people.set_role(operator, made.id, Role.ADMIN, now)
    with pytest.raises(NotAllowedError):
        people.set_role(operator, ana.id, Role.GUEST, now)
    with pytest.raises(NotAllowedError):
        people.disable(operator, ana.id, now)
    assert people.set_role(operator, made.id, Role.MEMBER, now).role is Role.MEMBER


def test_the_last_admin_stays(people: People, ana: PersonView, now: datetime) -> None:
    me = people.actor_of(ana)
    with pytest.raises(InvalidError, match="last-admin"):
        people.disable(me, ana.id, now)
    with pytest.raises(InvalidError, match="last-admin"):
        people.set_role(me, ana.id, Role.OPERATOR, now)
    people.create("bo", "Bo", Role.ADMIN, actor=me, now=now)
    people.set_role(me, ana.id, Role.OPERATOR, now)


@pytest.mark.parametrize("login", ["a b", "a/b", "x" * 65, "é\u0301\n?"])
def test_a_login_is_one_plain_word(
    people: People, ana: PersonView, login: str, now: datetime
) -> None:
    with pytest.raises(InvalidError, match=r"person\.login"):
        people.create(login, "X", Role.GUEST, actor=people.actor_of(ana), now=now)


def test_a_login_is_taken_however_it_is_written(
    people: People, ana: PersonView, now: datetime
) -> None:
    with pytest.raises(InvalidError, match="login-taken"):
        people.create("ANA", "Other", Role.GUEST, actor=people.actor_of(ana), now=now)


def test_passwords_are_kept_as_argon2id_only(
    workshop: Workshop, people: People, ana: PersonView
) -> None:
    with workshop.database.read() as session:
        stored = session.get_one(Person, ana.id).password_hash
    assert stored is not None
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert PASSWORD not in stored


def test_a_password_has_ten_characters(people: People, ana: PersonView, now: datetime) -> None:
    for password in ("", "123456789", "x" * 257):
        with pytest.raises(InvalidError, match="password"):
            people.set_password(ana.id, password, now, old=PASSWORD)


def test_signing_in_gives_a_token_of_which_the_database_knows_only_the_hash(
    workshop: Workshop, people: People, ana: PersonView, now: datetime
) -> None:
    token, view = people.sign_in("aNa", PASSWORD, now)
    assert view.person == ana
    assert people.signed_in(token, now) == view
    assert people.signed_in("x" + token, now) is None
    with workshop.database.read() as session:
        row = session.scalars(select(SignIn)).one()
    assert row.token_sha256 == hashlib.sha256(token.encode()).hexdigest()
    assert row.csrf == view.csrf != token


def test_the_password_is_the_same_on_every_keyboard(
    people: People, ana: PersonView, now: datetime
) -> None:
    people.set_password(ana.id, "cafe\u0301 au lait", now, old=PASSWORD)
    people.sign_in("ana", "caf\u00e9 au lait", now)


def test_wrong_and_unknown_sound_alike(people: People, ana: PersonView, now: datetime) -> None:
    assert refused(people, "ana", "wrong horse", now) == "sign-in.wrong"
    assert refused(people, "nobody", PASSWORD, now) == "sign-in.wrong"


def test_an_unknown_login_costs_a_hash_too(
    people: People, ana: PersonView, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jobs.services import passwords

    seen: list[str | None] = []
    real = passwords.matches

    def watched(stored: str | None, password: str) -> bool:
        seen.append(stored)
        return real(stored, password)

    monkeypatch.setattr("jobs.services.signing_in.passwords.matches", watched)
    refused(people, "nobody", PASSWORD, now)
    assert seen == [None]
    assert not real(None, "nobody has this password")


def test_after_five_wrong_passwords_even_the_right_one_waits(
    people: People, ana: PersonView, now: datetime
) -> None:
    for _ in range(5):
        assert refused(people, "ana", "wrong horse", now) == "sign-in.wrong"
    assert refused(people, "ANA", PASSWORD, now + MINUTE / 2) == "sign-in.too-many"
    people.sign_in("ana", PASSWORD, now + MINUTE)


def test_guesses_in_parallel_are_counted_before_they_are_tried(
    people: People, ana: PersonView, now: datetime
) -> None:
    codes: list[str] = []
    gate = threading.Barrier(12)

    def guess() -> None:
        gate.wait(timeout=20)
        try:
            people.sign_in("ana", "wrong horse", now)
        except JobsError as error:
            codes.append(error.code)

    threads = [threading.Thread(target=guess) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=50)
    assert sorted(codes) == ["sign-in.too-many"] * 7 + ["sign-in.wrong"] * 5


def test_old_failures_are_forgotten(
    workshop: Workshop, people: People, ana: PersonView, now: datetime
) -> None:
    for number in range(3):
        refused(people, f"ghost{number}", PASSWORD, now)
    people.sign_in("ana", PASSWORD, now + DAY)
    with workshop.database.read() as session:
        assert session.scalars(select(SignInFailure)).all() == []


def test_a_sign_in_ends_after_thirty_idle_days_and_after_half_a_year(
    people: People, ana: PersonView, now: datetime
) -> None:
    token, _ = people.sign_in("ana", PASSWORD, now)
    assert people.signed_in(token, now + 30 * DAY) is None
    at = now
    for _ in range(8):
        at += 29 * DAY
        if at - now < 180 * DAY:
            assert people.signed_in(token, at) is not None
    assert people.signed_in(token, now + 180 * DAY) is None


def test_seeing_a_sign_in_writes_at_most_once_a_minute(
    workshop: Workshop, people: People, ana: PersonView, now: datetime
) -> None:
    token, _ = people.sign_in("ana", PASSWORD, now)

    def seen_at() -> datetime:
        with workshop.database.read() as session:
            return session.scalars(select(SignIn.seen_at)).one()

    people.signed_in(token, now + MINUTE / 2)
    assert seen_at() == now
    people.signed_in(token, now + MINUTE)
    assert seen_at() == now + MINUTE


def test_sign_ins_are_revocable_one_by_one_and_all_at_once(
    people: People, ana: PersonView, now: datetime
) -> None:
    first, second, third = (people.sign_in("ana", PASSWORD, now)[0] for _ in range(3))
    people.sign_out(first)
    people.sign_out(first)
    alive = [people.signed_in(token, now) is not None for token in (first, second, third)]
    assert alive == [False, True, True]
    people.sign_out_everywhere(ana.id)
    assert people.signed_in(second, now) is None


def test_a_new_password_ends_other_sign_ins_and_needs_the_old_one(
    people: People, ana: PersonView, now: datetime
) -> None:
    mine, lost = (people.sign_in("ana", PASSWORD, now)[0] for _ in range(2))
    with pytest.raises(InvalidError, match=r"sign-in\.wrong"):
        people.set_password(ana.id, "a new password", now, old="wrong horse")
    people.set_password(ana.id, "a new password", now, old=PASSWORD, keep_token=mine)
    assert people.signed_in(mine, now) is not None
    assert people.signed_in(lost, now) is None
    assert refused(people, "ana", PASSWORD, now) == "sign-in.wrong"
    people.set_password(ana.id, "another password", now, signed_by_link=True)
    people.sign_in("ana", "another password", now)


def test_a_disabled_person_is_out_at_once_and_may_come_back(
    people: People, ana: PersonView, now: datetime
) -> None:
    admin = people.actor_of(ana)
    bo = people.create("bo", "Bo", Role.MEMBER, password=PASSWORD, actor=admin, now=now)
    token, _ = people.sign_in("bo", PASSWORD, now)
    _, secret = people.make_api_key(people.actor_of(bo), "watch", now)
    link = people.make_link(bo.id, now)

    people.disable(admin, bo.id, now)
    assert people.signed_in(token, now) is None
    assert people.api_actor(secret, now) is None
    assert refused(people, "bo", PASSWORD, now) == "sign-in.wrong"
    with pytest.raises(InvalidError, match=r"sign-in\.link"):
        people.redeem(link, now)
    people.enable(admin, bo.id)
    people.sign_in("bo", PASSWORD, now)


def test_a_link_signs_in_once_and_not_for_ever(
    people: People, ana: PersonView, now: datetime
) -> None:
    link = people.make_link(ana.id, now)
    token, view = people.redeem(link, now + MINUTE)
    assert (view.person.id, people.signed_in(token, now + MINUTE) is not None) == (ana.id, True)
    late = people.make_link(ana.id, now, hours=1)
    for used, at in ((link, now + MINUTE), (late, now + 60 * MINUTE), ("made-up", now)):
        with pytest.raises(InvalidError, match=r"sign-in\.link"):
            people.redeem(used, at)
    with pytest.raises(NotFoundError):
        people.make_link("nobody", now)


def test_of_two_who_use_one_link_at_the_same_instant_one_gets_in(
    people: People, ana: PersonView, now: datetime
) -> None:
    link = people.make_link(ana.id, now)
    gate = threading.Barrier(8)
    results: list[str] = []

    def redeem() -> None:
        gate.wait(timeout=20)
        try:
            people.redeem(link, now)
            results.append("in")
        except InvalidError as error:
            results.append(error.code)

    threads = [threading.Thread(target=redeem) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=50)
    assert sorted(results) == ["in"] + ["sign-in.link"] * 7


def test_an_api_key_acts_for_its_person_until_it_is_revoked(
    people: People, ana: PersonView, member: Actor, now: datetime
) -> None:
    key_id, secret = people.make_api_key(member, " sensor ", now)
    holder = people.api_actor(secret, now)
    assert holder is not None
    assert holder.actor == replace(member, seat="")  # a program sits nowhere
    assert people.api_actor("fab_guess", now) is None
    assert [key.name for key in people.api_keys(member)] == ["sensor"]
    other = people.create("bo", "Bo", Role.MEMBER, actor=people.actor_of(ana), now=now)
    with pytest.raises(NotAllowedError):
        people.revoke_api_key(people.actor_of(other), key_id, now)
    people.revoke_api_key(member, key_id, now)
    assert people.api_actor(secret, now) is None
    with pytest.raises(NotFoundError):
        people.revoke_api_key(member, "no-key", now)
    with pytest.raises(InvalidError):
        people.make_api_key(member, " ", now)


def test_an_alias_is_random_and_can_be_forgotten(
    workshop: Workshop, people: People, ana: PersonView, member: Actor
) -> None:
    with workshop.database.write() as session:
        first = alias_of(session, ana.id, workshop)
        assert alias_of(session, ana.id, workshop) == first
    assert len(first) == 32
    with pytest.raises(NotAllowedError):
        people.forget_alias(member, ana.id)
    people.forget_alias(people.actor_of(ana), ana.id)
    with workshop.database.read() as session:
        assert session.scalars(select(PersonAlias)).all() == []
    with workshop.database.write() as session:
        assert alias_of(session, ana.id, workshop) != first


def test_an_admin_who_can_get_in_is_told_from_one_who_cannot(people: People, now: datetime) -> None:
    admin = people.create("ana", "Ana", Role.ADMIN, actor=None, now=now)
    assert not people.has_signed_in_admin()
    people.redeem(people.make_link(admin.id, now), now)
    assert people.has_signed_in_admin()
    people.sign_out_everywhere(admin.id)
    assert not people.has_signed_in_admin()
    people.set_password(admin.id, PASSWORD, now)
    assert people.has_signed_in_admin()


def test_the_list_of_people_is_for_those_who_look_after_them(
    people: People, ana: PersonView, member: Actor, operator: Actor
) -> None:
    with pytest.raises(NotAllowedError):
        people.list(member)
    assert [one.login for one in people.list(operator)] == ["ana", "mia", "otto"]
    found = people.by_login(" ANA")
    assert found == people.get(ana.id) == ana
    assert people.by_login("nobody") is None
    with pytest.raises(NotFoundError):
        people.get("nobody")


def test_disabling_a_person_gives_back_what_they_reserved_and_ends_their_ways_in(
    workshop: Workshop,
    people: People,
    admin: Actor,
    member: Actor,
    other: Actor,
    printer: str,
    now: datetime,
) -> None:
    bookings = Bookings(workshop)
    over = bookings.book(member, "ender", now, now + 30 * MINUTE, now)
    coming = bookings.book(member, "ender", now + 2 * DAY, now + 3 * DAY, now)
    others = bookings.book(other, "ender", now + 4 * DAY, now + 5 * DAY, now)
    _, secret = people.make_api_key(member, "slicer", now)
    _, others_secret = people.make_api_key(other, "slicer", now)
    link, others_link = (
        people.make_link(member.person_id, now),
        people.make_link(other.person_id, now),
    )

    people.disable(admin, member.person_id, now + 60 * MINUTE)

    with workshop.database.read() as session:
        states = {row.id: row.state for row in session.scalars(select(Allocation))}
        said = [
            json.loads(row.body)["data"]["allocation"]
            for row in session.scalars(select(OutboxMessage))
            if row.kind == "reservation.cancelled"
        ]
    assert states == {over.id: "active", coming.id: "cancelled", others.id: "active"}
    assert said == [coming.id]

    people.enable(admin, member.person_id)  # nothing of before comes back with them
    assert people.api_actor(secret, now) is None
    assert people.api_actor(others_secret, now) is not None
    with pytest.raises(InvalidError):
        people.redeem(link, now)
    people.redeem(others_link, now)


def test_who_is_disabled_while_their_password_is_looked_at_is_not_let_in(
    people: People, ana: PersonView, admin: Actor, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = people._signing_in.look

    def look(login: str, password: str, now: datetime) -> str:
        proven = plain(login, password, now)
        people.disable(admin, ana.id, now)
        return proven

    monkeypatch.setattr(people._signing_in, "look", look)
    assert refused(people, "ana", PASSWORD, now) == "sign-in.wrong"
