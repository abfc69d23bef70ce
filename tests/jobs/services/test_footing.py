"""Guests and minors: their days, their machines, their guardian, and who is beside them."""

from __future__ import annotations

import io
from datetime import timedelta

import pytest

from jobs.domain.errors import NotAllowedError, RefusedError
from jobs.domain.people import Role
from jobs.domain.policy import Reason, WayKind
from jobs.services import build_services
from jobs.services.house_visits import HouseVisits
from jobs.store.persons import PersonMachine, Standing

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def services(workshop):
    return build_services(workshop)


@pytest.fixture
def set_terms(workshop, now):
    """Write a person's terms straight into the tables."""

    def write(person, *, machines=(), **terms):
        with workshop.database.write() as session:
            session.merge(Standing(person_id=person.person_id, **terms))
            for machine_id in machines:
                session.merge(PersonMachine(person_id=person.person_id, machine_id=machine_id))

    return write


def refused(call):
    with pytest.raises(RefusedError) as error:
        call()
    return {one.reason for one in error.value.refusals}


def book(services, person, now, slug="ender", start=HOUR, length=HOUR):
    return services.bookings.book(person, slug, now + start, now + start + length, now)


def test_a_guest_uses_what_is_named_for_a_while_and_nothing_else(
    services, set_terms, guest, member, printer, mill, now
):
    assert refused(lambda: book(services, guest, now)) == {Reason.ROLE_TOO_LOW}
    with pytest.raises(NotAllowedError):
        services.dispatch.arm(guest, "ender", now)
    set_terms(guest, machines=[printer], ends_at=now + DAY, sponsor_id=member.person_id)
    assert book(services, guest, now).mine
    assert refused(lambda: book(services, guest, now, "router")) == {Reason.ROLE_TOO_LOW}
    services.dispatch.arm(guest, "ender", now)
    with pytest.raises(NotAllowedError):
        services.dispatch.arm(guest, "router", now)
    assert services.queue.submit(
        guest, name="a.gcode", data=io.BytesIO(b"G28\nG1 X1\n"), machine_slug="ender", now=now
    ).mine


def test_nothing_new_begins_after_the_last_day(services, set_terms, guest, printer, now):
    ends = now + 2 * HOUR
    set_terms(guest, machines=[printer], ends_at=ends)
    assert refused(lambda: book(services, guest, now, length=3 * HOUR)) == {Reason.STAY_ENDS}
    booked = book(services, guest, now)
    late = ends + HOUR
    for begin in (
        lambda: services.dispatch.arm(guest, "ender", late),
        lambda: services.dispatch.may_move(guest, "ender", late),
        lambda: services.dispatch.keep_heat(guest, "ender", 5, late),
        lambda: services.queue.submit(
            guest, name="a.gcode", data=io.BytesIO(b"G28\n"), machine_slug="ender", now=late
        ),
    ):
        assert refused(begin) == {Reason.STAY_ENDS}
    services.bookings.cancel(guest, booked.id, now)  # what ends something is never refused
    services.dispatch.disarm(guest, "ender", late)
    services.dispatch.stop(guest, "ender")


def test_a_member_with_an_end_and_a_list_is_held_to_both(
    services, set_terms, member, printer, mill, now
):
    set_terms(member, machines=[printer], ends_at=now + DAY, named_only=True)
    assert refused(lambda: book(services, member, now, "router")) == {Reason.MACHINE_NOT_NAMED}
    assert Reason.STAY_ENDS in refused(lambda: book(services, member, now, start=2 * DAY))
    assert book(services, member, now).mine


def test_a_minor_works_beside_somebody_who_answers_for_them(
    services, workshop, set_terms, add_person, member, operator, other, printer, now
):
    kim = add_person(workshop, "kim", Role.MEMBER)
    set_terms(kim, machines=[printer], is_minor=True, ends_at=now + DAY)
    assert refused(lambda: services.dispatch.arm(kim, "ender", now)) == {
        Reason.NO_CONSENT,
        Reason.NEEDS_SUPERVISOR,
    }
    assert refused(lambda: book(services, kim, now)) == {Reason.NO_CONSENT}
    set_terms(kim, is_minor=True, ends_at=now + DAY, consent_at=now, sponsor_id=member.person_id)
    assert book(services, kim, now).mine  # tomorrow's company cannot be there today
    visits = HouseVisits(workshop)
    visits.check_in(other, now)  # any member is not enough
    visits.check_in(kim, now)
    with pytest.raises(RefusedError) as error:
        services.dispatch.may_move(kim, "ender", now)
    [refusal] = error.value.refusals
    assert refusal.reason is Reason.NEEDS_SUPERVISOR
    assert not refusal.overridable
    assert [way.kind for way in refusal.ways] == [WayKind.SUPERVISOR]
    visits.check_in(operator, now)
    services.dispatch.may_move(kim, "ender", now)
    visits.check_out(operator, now)
    assert refused(lambda: services.dispatch.may_move(kim, "ender", now))
    visits.check_in(member, now)  # who vouches for them
    services.dispatch.may_move(kim, "ender", now)


def test_a_minor_among_those_who_are_in_is_counted_and_not_named(
    workshop, set_terms, member, other, operator, now
):
    from jobs.services.house_attendance import buddies, who_is_in

    set_terms(member, is_minor=True)
    visits = HouseVisits(workshop)
    visits.check_in(member, now)
    visits.check_in(other, now)
    with workshop.database.read() as session:
        assert {one.person_id for one in who_is_in(session, now) if one.is_minor} == {
            member.person_id
        }
        assert buddies(session, now) == {other.person_id}
    assert "Mia" not in [one.name for one in visits.look(other, now).present]
    assert "Mia" in [one.name for one in visits.look(operator, now).present]
