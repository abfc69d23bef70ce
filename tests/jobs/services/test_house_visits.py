"""Who is in the house: in and out, what ends by itself, and what is forgotten."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from jobs.domain.attending import HouseTimes, ends_by_itself
from jobs.domain.calendar import Interval
from jobs.domain.clock import Source
from jobs.domain.errors import InvalidError, NotAllowedError, NotFoundError
from jobs.domain.people import Actor
from jobs.domain.rules.values import LAB
from jobs.services.house import House
from jobs.services.house_attendance import Present, buddies, is_in, who_is_in
from jobs.services.house_rules import people_here
from jobs.services.house_visits import HouseVisits
from jobs.services.workshop import Workshop
from jobs.store.sharing import Notice
from jobs.store.upkeep import Heartbeat
from jobs.store.visits import HouseVisit

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
DATABASES = ["database", pytest.param("postgresql_database", marks=pytest.mark.postgresql)]


@pytest.fixture
def visits(workshop: Workshop) -> HouseVisits:
    return HouseVisits(workshop)


def found(workshop: Workshop, at: datetime) -> list[Present]:
    with workshop.database.read() as session:
        return list(who_is_in(session, at))


def names(workshop: Workshop, at: datetime) -> list[str]:
    return [one.name for one in found(workshop, at)]


def test_a_person_comes_and_goes(
    visits: HouseVisits, workshop: Workshop, member: Actor, other: Actor, now: datetime
) -> None:
    first = visits.check_in(member, now)
    assert visits.check_in(member, now + HOUR) == first  # twice changes nothing
    visits.check_in(other, now + HOUR)
    assert names(workshop, now + HOUR) == ["Mia", "Noor"]
    assert visits.look(member, now + HOUR).changed_at == now + HOUR
    visits.check_out(member, now + 2 * HOUR)
    visits.check_out(member, now + 3 * HOUR)
    assert names(workshop, now + 3 * HOUR) == ["Noor"]
    assert visits.look(other, now + 3 * HOUR).changed_at == now + 2 * HOUR
    with workshop.database.read() as session:
        assert not is_in(session, member.person_id, now + 3 * HOUR)
        assert is_in(session, other.person_id, now + 3 * HOUR)


def test_staff_check_others_in_and_out_and_members_do_not(
    visits: HouseVisits, workshop: Workshop, operator: Actor, member: Actor, other: Actor,
    now: datetime,
) -> None:  # fmt: skip
    with pytest.raises(NotAllowedError):
        visits.check_in(member, now, other.person_id)
    visits.check_in(operator, now, other.person_id)
    with workshop.database.read() as session:
        row = session.scalars(select(HouseVisit)).one()
        assert (row.person_id, row.in_by) == (other.person_id, operator.person_id)
    with pytest.raises(NotAllowedError):
        visits.check_out(member, now, other.person_id)
    visits.check_out(operator, now + HOUR, other.person_id)
    assert names(workshop, now + HOUR) == []
    with pytest.raises(NotFoundError):
        visits.check_in(operator, now, "nobody")


def test_visitors_have_a_host_and_no_account(
    visits: HouseVisits, workshop: Workshop, member: Actor, other: Actor, guest: Actor,
    now: datetime,
) -> None:  # fmt: skip
    made = visits.visitor_in(member, "  Jo   Doe ", now)
    child = visits.visitor_in(member, "Kim", now, is_minor=True)
    [jo, kim] = found(workshop, now)
    assert (jo.name, jo.host, jo.person_id, jo.is_minor) == ("Jo Doe", "Mia", "", False)
    assert (kim.visit_id, kim.is_minor) == (child, True)
    seen = visits.look(other, now)
    assert (seen.count, seen.visitors, seen.minors) == (2, 2, 1)
    assert [one.name for one in seen.present] == ["Jo Doe"]  # a minor's name is not for all
    assert [one.name for one in visits.look(member, now).present] == ["Jo Doe", "Kim"]
    assert visits.look(guest, now).present == []
    assert visits.look(guest, now).count == 2
    for name in ("", " ", "x" * 121):
        with pytest.raises(InvalidError):
            visits.visitor_in(member, name, now)
    with pytest.raises(NotAllowedError):
        visits.visitor_in(guest, "Jo", now)
    visits.visitor_out(other, made, now + HOUR)
    assert names(workshop, now + HOUR) == ["Kim"]
    with pytest.raises(NotFoundError):
        visits.visitor_out(other, "nobody", now)


def test_a_stay_ends_by_itself_and_that_is_said(
    visits: HouseVisits, workshop: Workshop, admin: Actor, member: Actor, now: datetime
) -> None:
    visits.choose(admin, {"longest_h": 3})
    visits.check_in(member, now)
    visits.visitor_in(member, "Jo", now)
    assert visits.tick(now + 3 * HOUR - MINUTE) == 0
    assert names(workshop, now + 3 * HOUR) == []  # also before the sweep has come
    # Two days asleep: it ended when it should, and is told once.
    assert visits.tick(now + 20 * HOUR) == 2
    assert visits.tick(now + 20 * HOUR) == 0
    with workshop.database.read() as session:
        assert {row.out_at for row in session.scalars(select(HouseVisit))} == {now + 3 * HOUR}
        codes = sorted(session.scalars(select(Notice.code)))
    assert codes == ["house-ended", "house-ended-visitor"]
    seen = visits.look(member, now + 20 * HOUR)
    assert sorted(one.name for one in seen.unsaid) == ["Jo", "Mia"]
    assert seen.present == []
    visits.check_in(member, now + 20 * HOUR)  # who is back is not missed
    assert [one.name for one in visits.look(member, now + 20 * HOUR).unsaid] == ["Jo"]
    assert visits.look(member, now + 28 * HOUR).unsaid == []


def test_who_comes_again_before_the_sweep_is_in_again(
    visits: HouseVisits, workshop: Workshop, admin: Actor, member: Actor, now: datetime
) -> None:
    visits.choose(admin, {"longest_h": 1})
    first = visits.check_in(member, now)
    second = visits.check_in(member, now + 2 * HOUR)
    assert second != first
    assert [one.since for one in found(workshop, now + 2 * HOUR)] == [now + 2 * HOUR]


def test_it_ends_as_the_lab_closes(
    visits: HouseVisits, workshop: Workshop, admin: Actor, member: Actor, other: Actor,
    now: datetime,
) -> None:  # fmt: skip
    House(workshop).set(admin, LAB, "opening", "Mo-Fr 09:00-18:00", "", now)
    visits.check_in(member, now)
    [one] = found(workshop, now)
    assert one.ends_at == datetime(2026, 3, 4, 17, 0, tzinfo=UTC)  # 18:00 in Berlin
    late = now.replace(hour=20)
    visits.check_in(other, late)  # who has a key comes when it is closed, and stays for the hours
    assert found(workshop, late)[0].ends_at == late + 12 * HOUR


def test_nothing_ends_by_a_clock_that_nobody_vouches_for(
    visits: HouseVisits, workshop: Workshop, member: Actor, now: datetime
) -> None:
    first = visits.check_in(member, now)
    with workshop.database.write() as session:
        session.add(Heartbeat(name="node", at=now, steady_us=0, boot="b", source=Source.NONE.value))
    assert visits.tick(now + 30 * DAY) == 0
    assert names(workshop, now + 30 * DAY) == ["Mia"]
    assert visits.check_in(member, now + 30 * DAY) == first


def test_who_was_in_is_soon_forgotten(
    visits: HouseVisits, workshop: Workshop, admin: Actor, member: Actor, now: datetime
) -> None:
    visits.check_in(member, now)
    visits.check_out(member, now + HOUR)

    def kept() -> int:
        with workshop.database.read() as session:
            return len(session.scalars(select(HouseVisit.id)).all())

    visits.tick(now + 14 * DAY)
    assert kept() == 1
    visits.tick(now + 14 * DAY + 2 * HOUR)
    assert kept() == 0
    visits.choose(admin, {"kept_days": 1})
    visits.check_in(member, now + 20 * DAY)
    visits.tick(now + 20 * DAY + 11 * HOUR)
    assert kept() == 1  # who is in is not forgotten
    with pytest.raises(NotAllowedError):
        visits.choose(member, {"kept_days": 90})
    for values in ({"kept_days": 0}, {"longest_h": 49}, {"longest_h": True}, {"other": 1}):
        with pytest.raises(InvalidError):
            visits.choose(admin, values)


def test_the_buddy_rule_counts_adults_with_an_account_once(
    visits: HouseVisits, workshop: Workshop, member: Actor, other: Actor, now: datetime
) -> None:
    def here() -> int:
        with workshop.database.read() as session:
            assert people_here(session, now) == len(buddies(session, now))
            return people_here(session, now)

    visits.visitor_in(member, "Jo", now)
    assert here() == 0
    visits.check_in(member, now)
    visits.check_in(other, now)
    assert here() == 2
    visits.check_out(other, now)
    assert here() == 1


@pytest.mark.parametrize("which", DATABASES)
def test_the_database_lets_nobody_be_in_twice(
    which: str,
    request: pytest.FixtureRequest,
    make_workshop: Callable[..., Workshop],
    add_person: Callable[..., Actor],
    now: datetime,
) -> None:
    workshop = make_workshop(request.getfixturevalue(which))
    mia = add_person(workshop, "mia")
    visits = HouseVisits(workshop)
    visits.check_in(mia, now)
    visits.check_out(mia, now + HOUR)
    visits.check_in(mia, now + 2 * HOUR)
    twice = HouseVisit(
        id="x", person_id=mia.person_id, visitor="", is_minor=False, in_at=now,
        in_by=mia.person_id, ends_at=now + DAY,
    )  # fmt: skip
    with pytest.raises(IntegrityError), workshop.database.write() as session:
        session.add(twice)


@given(
    hours=st.integers(1, 48),
    start=st.datetimes(datetime(2026, 3, 27), datetime(2026, 3, 31), timezones=st.just(UTC)),  # noqa: DTZ001
    opened=st.lists(st.tuples(st.integers(-48, 48), st.integers(1, 24)), max_size=4),
)
def test_a_stay_ends_after_it_began_and_never_later_than_the_hours(
    hours: int, start: datetime, opened: list[tuple[int, int]]
) -> None:
    spans = [
        Interval(start + timedelta(hours=a, minutes=1), start + timedelta(hours=a + b))
        for a, b in opened
    ]
    end = ends_by_itself(start, HouseTimes(longest_h=hours), spans)
    assert start < end <= start + timedelta(hours=hours)
    assert end == start + timedelta(hours=hours) or any(one.end == end for one in spans)
