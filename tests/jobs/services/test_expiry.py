"""Qualifications end by date and by disuse, people hear of it before, and the past stays read."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select

from jobs.domain.clock import Source
from jobs.domain.errors import InvalidError, NotAllowedError
from jobs.domain.learning import Ended
from jobs.domain.people import Actor
from jobs.domain.rules import FOR_EVER
from jobs.domain.rules.values import LAB, Scope
from jobs.services.house import House
from jobs.services.learning import Learning, Passed
from jobs.services.qualifications import Qualifications
from jobs.services.workshop import Workshop
from jobs.store.house import Qualification
from jobs.store.sharing import Notice
from jobs.store.tables import UsageEvent
from jobs.store.upkeep import Downtime, Heartbeat

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ENDER, FDM = Scope.read("machine:ender"), Scope.read("kind:fdm")


@pytest.fixture
def learning(workshop: Workshop, printer: str) -> Learning:
    return Learning(workshop)


@pytest.fixture
def service(workshop: Workshop, printer: str) -> Qualifications:
    return Qualifications(workshop)


def use(workshop: Workshop, actor: Actor, machine_id: str, start: datetime, hours: int = 1) -> None:
    with workshop.database.write() as session:
        session.add(
            UsageEvent(
                id=workshop.new_id(), machine_id=machine_id, person_id=actor.person_id,
                start_at=start, end_at=start + hours * HOUR,
            )
        )  # fmt: skip


def told(workshop: Workshop, actor: Actor) -> list[str]:
    with workshop.database.read() as session:
        query = select(Notice.code).where(Notice.person_id == actor.person_id)
        return [
            code for code in session.scalars(query.order_by(Notice.id)) if "granted" not in code
        ]


def test_it_ends_by_its_date_and_is_reminded_of_once(
    learning: Learning, service: Qualifications, workshop: Workshop, admin: Actor, member: Actor,
    now: datetime,
) -> None:  # fmt: skip
    service.grant(admin, member.person_id, slug="ender", days=60, now=now)
    assert learning.expire(now + 45 * DAY) == Passed()
    assert learning.expire(now + 46 * DAY) == Passed(reminded=1)
    assert learning.expire(now + 46 * DAY) == Passed()
    assert learning.expire(now + 50 * DAY) == Passed()
    assert service.mine(member, "ender", now + 60 * DAY - HOUR) == now + 60 * DAY
    assert service.mine(member, "ender", now + 60 * DAY) is None  # before the sweep has come, too
    assert learning.expire(now + 62 * DAY) == Passed(ended=1)
    assert learning.expire(now + 62 * DAY) == Passed()
    assert told(workshop, member) == ["reminder-qualification-date", "qualification-over-date"]
    [one] = service.ended(member, member.person_id, now + 62 * DAY)
    assert (one.ended_how, one.ended_at, one.ended_by) == (Ended.DATE, now + 60 * DAY, "")
    assert service.of_person(member, member.person_id, now + 62 * DAY) == []


def test_it_ends_by_disuse_and_use_keeps_it(
    learning: Learning, service: Qualifications, workshop: Workshop, printer: str, admin: Actor,
    member: Actor, other: Actor, now: datetime, add_machine: Callable[..., str],
) -> None:  # fmt: skip
    house = House(workshop)
    house.set(admin, FDM, "disuse_days", 90, "", now)
    house.set(admin, FDM, "unused_days", 30, "", now)
    prusa = add_machine(workshop, "prusa")
    for actor in (member, other):
        service.grant(admin, actor.person_id, kind="fdm", days=None, now=now)
    use(workshop, member, prusa, now + 10 * DAY)  # any of the kind counts for the kind
    assert learning.expire(now + 16 * DAY) == Passed(reminded=1)
    assert told(workshop, other) == ["reminder-qualification-disuse"]
    assert learning.expire(now + 30 * DAY) == Passed(ended=1)
    assert told(workshop, other)[-1] == "qualification-over-disuse"
    assert service.mine(other, "ender", now + 30 * DAY) is None
    assert service.mine(member, "ender", now + 30 * DAY) == FOR_EVER
    [one] = service.of_person(member, member.person_id, now + 30 * DAY)
    assert one.disuse_at == now + 100 * DAY + HOUR
    use(workshop, member, printer, now + 99 * DAY)
    assert learning.expire(now + 101 * DAY).ended == 0
    assert learning.expire(now + 189 * DAY + HOUR).ended == 1
    # Renewed: the time before counts no more.
    service.grant(admin, member.person_id, kind="fdm", days=None, now=now + 200 * DAY)
    assert learning.expire(now + 229 * DAY).ended == 0
    assert learning.expire(now + 230 * DAY).ended == 1


def test_use_of_another_machine_keeps_no_qualification_for_one(
    learning: Learning, service: Qualifications, workshop: Workshop, admin: Actor, member: Actor,
    now: datetime, add_machine: Callable[..., str],
) -> None:  # fmt: skip
    House(workshop).set(admin, ENDER, "disuse_days", 30, "", now)
    service.grant(admin, member.person_id, slug="ender", days=None, now=now)
    use(workshop, member, add_machine(workshop, "prusa"), now + 29 * DAY)
    assert learning.expire(now + 30 * DAY).ended == 1


def test_who_uses_it_right_now_does_not_lose_it(
    learning: Learning, service: Qualifications, workshop: Workshop, printer: str, admin: Actor,
    member: Actor, now: datetime,
) -> None:  # fmt: skip
    House(workshop).set(admin, LAB, "disuse_days", 7, "", now)
    service.grant(admin, member.person_id, slug="ender", days=None, now=now)
    with workshop.database.write() as session:
        session.add(
            UsageEvent(id="u", machine_id=printer, person_id=member.person_id, start_at=now + DAY)
        )
    assert learning.expire(now + 9 * DAY).ended == 0


def test_an_absence_of_the_node_counts_against_nobody(
    learning: Learning, service: Qualifications, workshop: Workshop, admin: Actor, member: Actor,
    now: datetime,
) -> None:  # fmt: skip
    House(workshop).set(admin, ENDER, "unused_days", 10, "", now)
    service.grant(admin, member.person_id, slug="ender", days=None, now=now)
    with workshop.database.write() as session:
        session.add(Downtime(id="d", from_at=now + DAY, until_at=now + 3 * DAY))
    assert learning.expire(now + 11 * DAY).ended == 0
    assert learning.expire(now + 12 * DAY).ended == 1
    [one] = service.ended(member, member.person_id, now + 12 * DAY)
    assert one.ended_at == now + 12 * DAY


def test_nothing_ends_by_a_clock_that_nobody_vouches_for(
    learning: Learning, service: Qualifications, workshop: Workshop, admin: Actor, member: Actor,
    now: datetime,
) -> None:  # fmt: skip
    House(workshop).set(admin, ENDER, "unused_days", 1, "", now)
    service.grant(admin, member.person_id, slug="ender", days=5, now=now)
    with workshop.database.write() as session:
        session.add(Heartbeat(name="node", at=now, steady_us=0, boot="b", source=Source.NONE.value))
    later = now + 400 * DAY
    assert learning.expire(later) == Passed()
    assert service.mine(member, "ender", later) is not None
    with workshop.database.write() as session:
        session.execute(delete(Heartbeat))
    assert service.mine(member, "ender", later) is None
    assert learning.expire(later).ended == 1


def test_it_is_withdrawn_with_a_reason_that_its_person_reads(
    service: Qualifications, workshop: Workshop, admin: Actor, member: Actor, other: Actor,
    now: datetime,
) -> None:  # fmt: skip
    made = service.grant(admin, member.person_id, slug="ender", days=None, now=now)
    for why in ("", "no", "x" * 201):
        with pytest.raises(InvalidError):
            service.withdraw(admin, made, why, now)
    service.withdraw(admin, made, "left the spindle on", now + HOUR)
    [one] = service.ended(member, member.person_id, now + HOUR)
    assert (one.ended_how, one.ended_by, one.ended_why) == (
        Ended.WITHDRAWN, "Ada", "left the spindle on",
    )  # fmt: skip
    with workshop.database.read() as session:
        fields = session.scalars(
            select(Notice.fields).where(Notice.code == "qualification-withdrawn")
        ).one()
    assert fields["why"] == "left the spindle on"
    with pytest.raises(NotAllowedError):
        service.ended(other, member.person_id, now)


def test_a_renewal_is_told_apart_from_a_withdrawal(
    service: Qualifications, admin: Actor, member: Actor, now: datetime
) -> None:
    service.grant(admin, member.person_id, slug="ender", days=1, now=now)
    service.grant(admin, member.person_id, slug="ender", days=9, now=now + HOUR)
    [one] = service.ended(member, member.person_id, now + HOUR)
    assert one.ended_how is Ended.RENEWED


@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    days=st.one_of(st.none(), st.integers(1, 40)),
    uses=st.lists(st.integers(0, 60 * 24), max_size=4),
    sweeps=st.lists(st.integers(0, 80 * 24), min_size=1, max_size=6),
)
def test_however_seldom_the_sweep_comes_it_ends_what_it_should_and_when_it_should(
    learning: Learning, workshop: Workshop, printer: str, admin: Actor, member: Actor,
    days: int | None, uses: list[int], sweeps: list[int],
) -> None:  # fmt: skip
    """Across the change to summer time; a use after the end brings nothing back."""
    start = datetime(2026, 3, 15, 11, tzinfo=UTC)
    House(workshop).set(admin, ENDER, "disuse_days", 14, "", start)
    with workshop.database.write() as session:
        session.execute(delete(UsageEvent))
        session.execute(delete(Qualification))
    service = Qualifications(workshop)
    made = service.grant(admin, member.person_id, slug="ender", days=days, now=start)
    for hour in sorted(sweeps):
        at = start + hour * HOUR
        for used in [one for one in uses if one + 1 <= hour]:
            use(workshop, member, printer, start + used * HOUR)
        uses = [one for one in uses if one + 1 > hour]
        learning.expire(at)
        assert learning.expire(at) == Passed()
        with workshop.database.read() as session:
            row = session.get_one(Qualification, made)
            used_at = session.scalars(select(UsageEvent.end_at)).all()
        last = max([start, *[one for one in used_at if one is not None and one <= at]])
        ends = min(last + 14 * DAY, start + days * DAY if days else FOR_EVER)
        if row.withdrawn_at is None:
            assert ends > at
        else:
            assert row.withdrawn_at <= at
            break
