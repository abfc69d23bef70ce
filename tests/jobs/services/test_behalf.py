"""Staff act for somebody: it is theirs, by their rules, and both are named."""

from __future__ import annotations

import io
from datetime import timedelta

import pytest
from sqlalchemy import select

from jobs.domain.errors import InvalidError, NotAllowedError, RefusedError
from jobs.domain.people import Role
from jobs.services import build_services
from jobs.services.standings import TermsWish
from jobs.store.persons import OnBehalf
from jobs.store.tables import Job

HOUR = timedelta(hours=1)


@pytest.fixture
def services(workshop):
    return build_services(workshop)


def rows(workshop):
    with workshop.database.read() as session:
        return [
            (one.actor_id, one.person_id, one.what, one.about)
            for one in session.scalars(select(OnBehalf).order_by(OnBehalf.at, OnBehalf.id))
        ]


def test_a_booking_for_somebody_is_theirs_and_both_are_recorded(
    services, workshop, operator, member, printer, now
):
    acting = services.behalf.actor_for(operator, member.person_id)
    made = services.bookings.book(acting, "ender", now + HOUR, now + 2 * HOUR, now)
    [mine] = services.bookings.mine(member, now)
    assert mine.id == made.id
    about = f"booking:{made.id}"
    assert rows(workshop) == [(operator.person_id, member.person_id, "booked", about)]
    assert [one.by for one in services.behalf.about([about])[about]] == ["Otto"]
    assert [one.code for one in services.notices.list(member)] == ["behalf-booked"]
    services.bookings.cancel(operator, made.id, now)
    assert rows(workshop)[-1] == (operator.person_id, member.person_id, "cancelled", about)
    done = {one.what for one in services.behalf.of_person(member, member.person_id)}
    assert done == {"booked", "cancelled"}


def test_a_job_for_somebody_is_theirs(services, workshop, operator, member, printer, now):
    acting = services.behalf.actor_for(operator, member.person_id)
    job = services.queue.submit(
        acting, name="a.gcode", data=io.BytesIO(b"G28\nG1 X1\n"), machine_slug="ender", now=now
    )
    with workshop.database.read() as session:
        assert session.get_one(Job, job.id).person_id == member.person_id
    services.queue.hold(operator, job.id, now)
    services.queue.release(member, job.id, now)  # one's own is no acting for another
    assert [(who, what) for who, _, what, _ in rows(workshop)] == [
        (operator.person_id, "queued"),
        (operator.person_id, "held"),
    ]


def test_what_was_cleared_for_somebody_names_both(
    services, workshop, operator, member, printer, now
):
    from jobs.domain.care import Outcome

    acting = services.behalf.actor_for(operator, member.person_id)
    made = services.clearing.clear(acting, "ender", Outcome.GOOD, now)
    assert rows(workshop) == [(operator.person_id, member.person_id, "cleared", f"clearing:{made}")]


def test_the_persons_rules_hold_not_those_of_whoever_helps(
    services, operator, member, printer, mill, now
):
    services.standings.set(
        operator, member.person_id, TermsWish(now + HOUR, machines=["ender"], named_only=True), now
    )
    acting = services.behalf.actor_for(operator, member.person_id)
    with pytest.raises(RefusedError):
        services.bookings.book(acting, "router", now + HOUR, now + 2 * HOUR, now)


def test_only_staff_act_for_others_and_for_nobody_above_them(
    services, admin, operator, member, other, now
):
    with pytest.raises(NotAllowedError):
        services.behalf.actor_for(member, other.person_id)
    with pytest.raises(NotAllowedError):
        services.behalf.actor_for(operator, admin.person_id)
    assert services.behalf.actor_for(member, member.person_id) == member
    services.people.disable(admin, other.person_id, now)
    with pytest.raises(InvalidError):
        services.behalf.actor_for(operator, other.person_id)
    acting = services.behalf.actor_for(operator, member.person_id)
    assert (acting.role, acting.seat) == (Role.MEMBER, "")  # nobody is present for another


def test_the_record_of_a_run_counts_who_helped_by_alias(workshop, operator, member, now):
    from jobs.services.behalf import helpers, note

    with workshop.database.write() as session:
        for what in ("queued", "held"):
            note(session, workshop, operator, what, "job:1", now, member.person_id)
        assert helpers(session, "1") == [(operator.person_id, 2)]
        assert helpers(session, "2") == []
