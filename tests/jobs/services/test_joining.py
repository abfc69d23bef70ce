"""How somebody becomes a person of the house, and on what terms they are there."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobs.domain.errors import InvalidError, NotAllowedError
from jobs.domain.people import Role, SignUp
from jobs.services.bookings import Bookings
from jobs.services.joining import INVITED_FOR, InviteWish, Joining
from jobs.services.notices import Notices
from jobs.services.people import People
from jobs.services.standings import Standings, TermsWish

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
PASSWORD = "correct horse battery"


@pytest.fixture
def joining(workshop):
    return Joining(workshop)


@pytest.fixture
def standings(workshop):
    return Standings(workshop)


@pytest.fixture
def people(workshop):
    return People(workshop)


def codes(workshop, person):
    return [one.code for one in Notices(workshop).list(person)]


def test_an_invitation_makes_one_person_once(joining, people, operator, now):
    token = joining.invite(operator, InviteWish(Role.MEMBER, name="Noa"), now)
    assert joining.invited(token, now).name == "Noa"
    noa = joining.accept(token, "Noa Lind", "Noa", PASSWORD, now)
    assert (noa.login, noa.role) == ("noa", Role.MEMBER)
    people.sign_in("noa", PASSWORD, now)
    with pytest.raises(InvalidError, match=r"invite\.over"):
        joining.accept(token, "Eve", "eve", PASSWORD, now)
    assert not joining.invites(operator, now)


def test_a_login_that_is_taken_does_not_use_the_invitation_up(joining, operator, member, now):
    token = joining.invite(operator, InviteWish(), now)
    with pytest.raises(InvalidError, match=r"person\.login-taken"):
        joining.accept(token, "Mia", "MIA", PASSWORD, now)
    with pytest.raises(InvalidError, match=r"password\.too-short"):
        joining.accept(token, "Mia", "mia2", "short", now)
    assert joining.accept(token, "Mia", "mia2", PASSWORD, now).login == "mia2"


def test_an_invitation_runs_out_and_can_be_taken_back(joining, operator, admin, now):
    token = joining.invite(operator, InviteWish(), now)
    with pytest.raises(InvalidError, match=r"invite\.over"):
        joining.invited(token, now + INVITED_FOR)
    [one] = joining.invites(operator, now)
    joining.withdraw(operator, one.id)
    with pytest.raises(InvalidError, match=r"invite\.over"):
        joining.invited(token, now)
    with pytest.raises(NotAllowedError, match=r"gives-too-much"):
        joining.invite(operator, InviteWish(Role.ADMIN), now)
    high = joining.invite(admin, InviteWish(Role.ADMIN), now)
    [one] = joining.invites(operator, now)
    with pytest.raises(NotAllowedError):
        joining.withdraw(operator, one.id)
    joining.invited(high, now)


def test_who_lost_their_role_invites_nobody_any_more(joining, people, admin, operator, now):
    token = joining.invite(operator, InviteWish(), now)
    people.set_role(admin, operator.person_id, Role.MEMBER, now)
    with pytest.raises(InvalidError, match=r"invite\.over"):
        joining.accept(token, "Eve", "eve", PASSWORD, now)


def test_a_guest_is_invited_with_an_end_a_sponsor_and_machines(
    joining, standings, people, workshop, operator, member, printer, mill, now
):
    with pytest.raises(InvalidError, match=r"terms\.guest-end"):
        joining.invite(operator, InviteWish(Role.GUEST), now)
    terms = TermsWish(now + DAY, "mia", ["ender"])
    token = joining.invite(operator, InviteWish(Role.GUEST, "Gil", terms), now)
    gil = joining.accept(token, "Gil", "gil", PASSWORD, now)
    seen = standings.get(operator, gil.id, now)
    assert (seen.sponsor_name, seen.ends_at) == ("Mia", now + DAY)
    assert seen.machines == [("ender", "Ender")]
    Bookings(workshop).book(people.actor_of(gil), "ender", now + HOUR, now + 2 * HOUR, now)


def test_sign_up_is_as_the_lab_says(joining, people, workshop, admin, operator, member, now):
    with pytest.raises(NotAllowedError, match=r"sign-up\.off"):
        joining.apply("Eve", "eve", PASSWORD, now)
    with pytest.raises(NotAllowedError):
        joining.set_sign_up(operator, SignUp.OPEN)
    joining.set_sign_up(admin, SignUp.OPEN)
    joining.apply("Eve", "eve", PASSWORD, now)
    people.sign_in("eve", PASSWORD, now)
    joining.set_sign_up(admin, SignUp.ASKED)
    ben = joining.apply("Ben", "ben", PASSWORD, now)
    with pytest.raises(InvalidError, match=r"sign-in\.wrong"):
        people.sign_in("ben", PASSWORD, now)
    assert codes(workshop, operator) == ["person-asks"]
    with pytest.raises(NotAllowedError):
        joining.decide(member, ben.id, lets_in=True)
    assert [one.name for one in joining.asking(operator)] == ["Ben"]
    joining.decide(operator, ben.id, lets_in=True)
    people.sign_in("ben", PASSWORD, now)
    cat = joining.apply("Cat", "cat", PASSWORD, now)
    joining.decide(operator, cat.id, lets_in=False)
    assert people.by_login("cat") is None


def test_sign_up_is_bounded(joining, admin, monkeypatch, now):
    monkeypatch.setattr("jobs.services.passwords.hashed", lambda password: "x")
    joining.set_sign_up(admin, SignUp.OPEN)
    for number in range(20):
        joining.apply("Eve", f"eve{number}", PASSWORD, now)
    with pytest.raises(InvalidError, match=r"sign-up\.many"):
        joining.apply("Eve", "eve20", PASSWORD, now)
    joining.apply("Eve", "eve20", PASSWORD, now + HOUR)


def test_a_person_is_made_of_a_name_alone(people, operator, now):
    made = [people.create("", "Aïda Öz", Role.MEMBER, actor=operator, now=now) for _ in range(3)]
    assert [one.login for one in made] == ["aïda-öz", "aïda-öz-2", "aïda-öz-3"]
    assert not made[0].has_password
    assert people.create("", "!!", Role.MEMBER, actor=operator, now=now).login == "person"


def minor_terms(now, **more):
    base = {"guardian": "Ilse Roth", "guardian_reach": "next door", "is_minor": True}
    return TermsWish(ends_at=now + 30 * DAY, **{**base, **more})


def test_a_minors_own_name_is_nowhere_but_with_staff_and_themselves(
    standings, workshop, operator, member, other, printer, now
):
    bookings = Bookings(workshop)
    standings.set(
        operator,
        member.person_id,
        minor_terms(now, has_consent=True, machines=["ender"]),
        now,
    )
    bookings.show_names(member, shows=True)
    bookings.book(member, "ender", now + HOUR, now + 2 * HOUR, now, shows_name=True)
    with workshop.database.read() as session:
        from jobs.store.tables import Person

        shown = session.get_one(Person, member.person_id).name
    assert shown != "Mia"
    for viewer in (other, operator):
        day = bookings.day("ender", now.date(), viewer, now)
        assert [one.label for one in day.allocations] == [shown]
    assert standings.get(operator, member.person_id, now).full_name == "Mia"
    assert standings.get(member, member.person_id, now).full_name == "Mia"
    with pytest.raises(NotAllowedError):
        standings.get(other, member.person_id, now)
    grown = standings.set(operator, member.person_id, TermsWish(), now)
    assert grown.full_name == "Mia"
    assert grown.guardian == ""
    with workshop.database.read() as session:
        assert session.get_one(Person, member.person_id).name == "Mia"


@pytest.mark.parametrize(
    ("wish", "code"),
    [
        ({"ends_at": None}, "terms.minor-end"),
        ({"guardian": " "}, "terms.minor-guardian"),
        ({"guardian_reach": ""}, "terms.minor-guardian"),
        ({"sponsor": "nobody"}, "terms.no-sponsor"),
        ({"sponsor": "mia"}, "terms.sponsor"),
        ({"machines": ["gone"]}, "terms.machine"),
    ],
)
def test_terms_say_what_is_missing(standings, operator, member, now, wish, code):
    terms = {
        "ends_at": now + DAY,
        "guardian": "Ilse",
        "guardian_reach": "next door",
        "is_minor": True,
        **wish,
    }
    with pytest.raises(InvalidError, match=code):
        standings.set(operator, member.person_id, TermsWish(**terms), now)


def test_staff_have_no_terms_and_nobody_on_terms_becomes_staff(
    standings, people, admin, operator, member, now
):
    with pytest.raises(InvalidError, match=r"terms\.staff"):
        standings.set(admin, operator.person_id, TermsWish(now + DAY), now)
    with pytest.raises(NotAllowedError):
        standings.set(operator, admin.person_id, TermsWish(), now)
    standings.set(operator, member.person_id, TermsWish(now + DAY), now)
    with pytest.raises(InvalidError, match=r"person\.on-terms"):
        people.set_role(admin, member.person_id, Role.OPERATOR, now)


def test_an_end_gives_back_what_was_booked_beyond_it(
    standings, workshop, operator, member, printer, now
):
    bookings = Bookings(workshop)
    kept = bookings.book(member, "ender", now + HOUR, now + 2 * HOUR, now)
    bookings.book(member, "ender", now + DAY, now + DAY + HOUR, now)
    standings.set(operator, member.person_id, TermsWish(now + 3 * HOUR), now)
    assert [one.id for one in bookings.mine(member, now)] == [kept.id]


def test_who_vouches_hears_of_the_end_once_before_and_once_after(
    standings, workshop, operator, member, guest, printer, now
):
    terms = TermsWish(now + 10 * DAY, "mia", ["ender"])
    standings.set(operator, guest.person_id, terms, now)
    assert standings.tick(now) == 0
    assert codes(workshop, member) == []
    for _ in range(2):
        standings.tick(now + 8 * DAY)
    assert codes(workshop, member) == ["person-stay-ends"]
    for _ in range(2):
        assert standings.tick(now + 10 * DAY) == 1
    assert codes(workshop, member) == ["person-stay-ended", "person-stay-ends"]
    assert codes(workshop, guest) == ["person-your-stay-ended", "person-your-stay-ends"]


def test_staff_make_a_link_for_those_below_them(people, operator, admin, member, now):
    people.redeem(people.link_for(operator, member.person_id, now), now)
    with pytest.raises(NotAllowedError):
        people.link_for(operator, admin.person_id, now)
    with pytest.raises(NotAllowedError):
        people.link_for(member, member.person_id, now)
