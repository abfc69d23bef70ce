"""Trainings: seats and the line for them, machines kept for it, and what the clock decides."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select

from jobs.domain.calendar import AllocationKind, AllocationState
from jobs.domain.clock import Source
from jobs.domain.errors import InvalidError, NotAllowedError, NotFoundError, RefusedError
from jobs.domain.learning import CalledOff, SeatState, TrainingWish
from jobs.domain.people import Actor, Role
from jobs.domain.policy import Reason
from jobs.domain.rules.values import Scope
from jobs.domain.sentences import Catalogue
from jobs.services.bookings import Bookings
from jobs.services.calendars import view_of
from jobs.services.feeds import Feeds
from jobs.services.learning import Learning
from jobs.services.people import People
from jobs.services.qualifications import Qualifications
from jobs.services.trainings import Trainings
from jobs.services.waiting import Waiting
from jobs.services.workshop import Workshop
from jobs.store.house import Training, TrainingSeat
from jobs.store.sharing import Notice
from jobs.store.tables import Allocation
from jobs.store.upkeep import Downtime, Heartbeat

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
ENDER, ROUTER, FDM = (Scope.read(one) for one in ("machine:ender", "machine:router", "kind:fdm"))


@pytest.fixture
def trainings(workshop: Workshop, printer: str, mill: str) -> Trainings:
    return Trainings(workshop)


def wish(start: datetime, seats: int = 1, **more: object) -> TrainingWish:
    return TrainingWish("Printing", start, HOUR, seats, [ENDER], **more)  # type: ignore[arg-type]


def refused(call: Callable[[], object]) -> list[Reason]:
    with pytest.raises(RefusedError) as error:
        call()
    return [one.reason for one in error.value.refusals]


def told(workshop: Workshop, actor: Actor) -> list[str]:
    with workshop.database.read() as session:
        query = select(Notice.code).where(Notice.person_id == actor.person_id)
        return list(session.scalars(query.order_by(Notice.at, Notice.id)))


def test_a_freed_seat_goes_to_the_head_of_the_line_for_a_while(
    trainings: Trainings, workshop: Workshop, admin: Actor, member: Actor, other: Actor,
    operator: Actor, now: datetime,
) -> None:  # fmt: skip
    made = trainings.create(admin, wish(now + DAY), now)
    trainings.sign_up(member, made, now)
    assert refused(lambda: trainings.sign_up(other, made, now)) == [Reason.NO_FREE_SEAT]
    trainings.wait(other, made, now)
    trainings.wait(operator, made, now + MINUTE)
    trainings.wait(other, made, now + MINUTE)  # twice changes nothing
    assert trainings.get(other, made).place == 1
    assert (trainings.get(operator, made).place, trainings.get(operator, made).waiting) == (2, 2)
    trainings.sign_off(member, made, now + HOUR)
    seen = trainings.get(other, made)
    assert (seen.state, seen.held_until) == (SeatState.HELD, now + HOUR + 30 * MINUTE)
    assert told(workshop, other) == ["wait-seat-held"]
    # What is held is nobody else's.
    assert refused(lambda: trainings.sign_up(member, made, now + HOUR)) == [Reason.NO_FREE_SEAT]
    learning = Learning(workshop)
    learning.tick(now + HOUR + 29 * MINUTE)
    assert trainings.get(other, made).state is SeatState.HELD
    learning.tick(now + HOUR + 30 * MINUTE)
    assert trainings.get(other, made).state is None
    assert told(workshop, other) == ["wait-seat-held", "wait-seat-lapsed"]
    assert trainings.get(operator, made).state is SeatState.HELD
    trainings.sign_up(operator, made, now + 2 * HOUR)
    assert trainings.get(operator, made).mine
    # Nobody waits: a free seat is free.
    trainings.sign_off(operator, made, now + 2 * HOUR)
    trainings.sign_up(member, made, now + 2 * HOUR)
    assert trainings.get(member, made).mine


def test_who_waits_for_a_free_seat_is_asked_at_once(
    trainings: Trainings, admin: Actor, member: Actor, now: datetime
) -> None:
    made = trainings.create(admin, wish(now + DAY), now)
    trainings.wait(member, made, now)
    assert trainings.get(member, made).state is SeatState.HELD


def test_a_held_seat_outlasts_no_start_and_no_absence_of_the_node(
    trainings: Trainings, workshop: Workshop, admin: Actor, member: Actor, other: Actor,
    now: datetime,
) -> None:  # fmt: skip
    made = trainings.create(admin, wish(now + DAY), now)
    trainings.wait(member, made, now)
    with workshop.database.write() as session:
        session.add(Downtime(id="d", from_at=now + MINUTE, until_at=now + 3 * HOUR))
    learning = Learning(workshop)
    learning.tick(now + 3 * HOUR)
    assert trainings.get(member, made).state is SeatState.HELD
    # 29 minutes of the half hour are left once the node is back.
    learning.tick(now + 3 * HOUR + 30 * MINUTE)
    assert trainings.get(member, made).state is None
    trainings.wait(member, made, now + 4 * HOUR)
    trainings.wait(other, made, now + 4 * HOUR)
    done = learning.tick(now + 2 * DAY)  # two days asleep: it has begun meanwhile
    assert (done.holds, done.over) == (1, 1)
    assert (trainings.get(member, made).state, trainings.get(other, made).state) == (None, None)
    assert told(workshop, other)[-1] == "wait-seat-over"
    assert learning.tick(now + 2 * DAY) == type(done)()


def test_all_machines_are_kept_or_every_conflict_is_told(
    trainings: Trainings, workshop: Workshop, admin: Actor, member: Actor, now: datetime
) -> None:
    bookings = Bookings(workshop)
    start = now + DAY
    bookings.book(member, "ender", start + HOUR / 2, start + 2 * HOUR, now)
    bookings.book(member, "router", start - HOUR, start + HOUR / 2, now)
    both = wish(start, machines=["ender", "router"])
    with pytest.raises(RefusedError) as error:
        trainings.create(admin, both, now)
    found = [(one.reason, one.fields["machine"]) for one in error.value.refusals]
    assert sorted(found) == [
        (Reason.TRAINING_CONFLICT, "Ender"),
        (Reason.TRAINING_CONFLICT, "Router"),
    ]
    assert "Mia" not in str([one.fields for one in error.value.refusals])
    assert trainings.list(admin, now) == []
    made = trainings.create(admin, wish(start + 3 * HOUR, machines=["ender", "router"]), now)
    with workshop.database.read() as session:
        rows = session.scalars(
            select(Allocation).where(Allocation.kind == AllocationKind.HOLD.value)
        ).all()
        assert {(row.start_at, row.end_at) for row in rows} == {
            (start + 3 * HOUR, start + 4 * HOUR)
        }
        assert len({row.machine_id for row in rows}) == 2
        # Everybody reads what it is for, and it is no booking that one could cancel alone.
        assert {view_of(session, row, member).label for row in rows} == {"Printing"}
    with pytest.raises(NotFoundError):
        bookings.cancel(admin, rows[0].id, now)
    then = start + 3 * HOUR
    assert Reason.TAKEN in refused(lambda: bookings.book(member, "ender", then, then + HOUR, now))
    assert [one.slug for one in trainings.get(member, made).machines] == ["ender", "router"]
    with pytest.raises(NotFoundError):
        trainings.create(admin, wish(start, machines=["nothing"]), now)


def test_calling_it_off_frees_all_and_tells_all(
    trainings: Trainings, workshop: Workshop, admin: Actor, member: Actor, other: Actor,
    add_person: Callable[..., Actor], now: datetime,
) -> None:  # fmt: skip
    tina = add_person(workshop, "tina", Role.TRAINER)
    start = now + DAY
    made = trainings.create(admin, wish(start, machines=["ender"], trainers=[tina.person_id]), now)
    trainings.sign_up(member, made, now)
    trainings.wait(other, made, now)
    waiting = Waiting(workshop)
    waiting.join(other, "ender", start, start + HOUR, 60, now)
    with pytest.raises(NotAllowedError):
        trainings.cancel(member, made, now)
    trainings.cancel(tina, made, now)
    assert trainings.get(admin, made).called_off is CalledOff.TRAINER
    for actor in (admin, member):
        assert told(workshop, actor) == ["training-cancelled"]
    assert told(workshop, tina) == []  # who did it knows
    assert sorted(told(workshop, other)) == ["training-cancelled", "wait-held"]
    assert refused(lambda: trainings.sign_up(other, made, now)) == [Reason.ALREADY_ENDED]
    with pytest.raises(NotFoundError):
        trainings.create(admin, wish(start, trainers=[member.person_id]), now)


def test_a_machine_that_falls_out_is_told_and_the_training_stands(
    trainings: Trainings, workshop: Workshop, admin: Actor, operator: Actor, now: datetime
) -> None:
    start = now + DAY
    made = trainings.create(admin, wish(start, machines=["ender", "router"]), now)
    Bookings(workshop).outage(operator, "ender", start, start + HOUR, "belt", now)
    assert told(workshop, admin) == ["booking-training-lost"]
    kept = {one.slug: one.lost for one in trainings.get(admin, made).machines}
    assert kept == {"ender": True, "router": False}
    trainings.cancel(admin, made, now)  # what is lost already stays as it was
    with workshop.database.read() as session:
        rows = session.scalars(
            select(Allocation.state).where(Allocation.kind == AllocationKind.HOLD.value)
        )
        assert sorted(rows) == [AllocationState.CANCELLED.value, AllocationState.DISPLACED.value]
    assert not any(one.lost for one in trainings.get(admin, made).machines)


def test_a_machine_of_a_trainer_who_is_locked_out_is_free_and_said_to_be_lost(
    trainings: Trainings, workshop: Workshop, admin: Actor, now: datetime,
    add_person: Callable[..., Actor],
) -> None:  # fmt: skip
    tina = add_person(workshop, "tina", Role.TRAINER)
    Qualifications(workshop).grant(admin, tina.person_id, slug="ender", days=None, now=now)
    made = trainings.create(tina, wish(now + DAY, machines=["ender"]), now)
    People(workshop).disable(admin, tina.person_id, now)
    assert [one.lost for one in trainings.get(admin, made).machines] == [True]


def test_too_few_by_the_deadline_and_it_is_called_off(
    trainings: Trainings, workshop: Workshop, admin: Actor, member: Actor, other: Actor,
    now: datetime,
) -> None:  # fmt: skip
    learning = Learning(workshop)
    start = now + 3 * DAY
    few = trainings.create(admin, wish(start, 4, minimum=2, machines=["ender"]), now)
    enough = trainings.create(admin, wish(start + DAY, 4, minimum=1), now)
    for made in (few, enough):
        trainings.sign_up(member, made, now)
    assert learning.tick(start - DAY - MINUTE).called_off == 0
    assert learning.tick(start - DAY).called_off == 1
    assert learning.tick(start - DAY).called_off == 0
    assert trainings.get(member, few).called_off is CalledOff.MINIMUM
    assert told(workshop, member) == ["training-too-few"] == told(workshop, admin)
    with workshop.database.read() as session:
        states = session.scalars(select(Allocation.state)).all()
    assert states == [AllocationState.CANCELLED.value]
    # Who gives a seat back after the decision calls nothing off.
    assert learning.tick(start).called_off == 0
    trainings.sign_off(member, enough, start + HOUR)
    assert learning.tick(start + 2 * HOUR).called_off == 0
    assert not trainings.get(member, enough).cancelled


def test_an_absence_of_the_node_on_the_last_day_moves_the_deadline(
    trainings: Trainings, workshop: Workshop, admin: Actor, member: Actor, now: datetime
) -> None:
    learning = Learning(workshop)
    start = now + 3 * DAY
    trainings.create(admin, wish(start, 4, minimum=1), now)
    decide = start - DAY
    with workshop.database.write() as session:
        session.add(Downtime(id="d", from_at=decide - 5 * HOUR, until_at=decide + HOUR))
    assert learning.tick(decide + HOUR).called_off == 0
    assert learning.tick(decide + 5 * HOUR).called_off == 1
    # Asleep until it had begun: it is not called off behind those who are there.
    late = trainings.create(admin, wish(start + DAY, 4, minimum=1), now)
    assert learning.tick(start + DAY).called_off == 0
    assert learning.tick(start + 2 * DAY).called_off == 0
    assert not trainings.get(admin, late).cancelled
    with workshop.database.write() as session:
        session.execute(delete(Heartbeat))
        session.add(Heartbeat(name="node", at=now, steady_us=0, boot="b", source=Source.NONE.value))
    doubted = trainings.create(admin, wish(start + 5 * DAY, 4, minimum=1), now)
    assert learning.tick(start + 4 * DAY).called_off == 0
    assert not trainings.get(admin, doubted).cancelled


def test_once_a_week_it_is_at_the_same_time_of_the_wall_clock(
    trainings: Trainings, workshop: Workshop, admin: Actor, member: Actor
) -> None:
    now = datetime(2026, 3, 18, 9, 0, tzinfo=UTC)
    start = datetime(2026, 3, 20, 17, 0, tzinfo=UTC)  # 18:00 in Berlin, and so in summer time
    Bookings(workshop).book(member, "ender", start + 7 * DAY, start + 7 * DAY + HOUR, now)
    weekly = wish(start, machines=["ender"], weeks=3, minimum=1)
    assert refused(lambda: trainings.create(admin, weekly, now)) == [Reason.TRAINING_CONFLICT]
    assert trainings.list(admin, now) == []
    some = wish(start, machines=["ender"], weeks=3, minimum=1, skip_conflicts=True)
    first = trainings.create(admin, some, now)
    found = trainings.list(admin, now)
    assert [one.start for one in found] == [start, start + 14 * DAY - HOUR]
    assert found[0].id == first
    assert len({one.series_id for one in found}) == 1
    assert found[1].decide_at == found[1].start - DAY


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"grants": []}, "grants"),
        ({"grants": [Scope.read("lab")]}, "grants"),
        ({"seats": 0}, "seats"),
        ({"title": " "}, "title"),
        ({"length": timedelta()}, "length"),
        ({"minimum": 3}, "minimum"),
        ({"minimum": 1, "decide_before": 2 * DAY}, "decide_h"),
        ({"minimum": 1, "decide_before": -HOUR}, "decide_h"),
        ({"valid_days": 0}, "days"),
        ({"weeks": 53}, "weeks"),
        ({"machines": [str(n) for n in range(21)]}, "machines"),
    ],
)
def test_what_cannot_be_announced_says_which_field(
    trainings: Trainings, admin: Actor, now: datetime, more: dict[str, object], field: str
) -> None:
    values = {"title": "T", "start": now + DAY, "length": HOUR, "seats": 2, "grants": [ENDER]}
    with pytest.raises(InvalidError) as error:
        trainings.create(admin, TrainingWish(**{**values, **more}), now)  # type: ignore[arg-type]
    assert error.value.field == field


def test_being_there_qualifies_for_all_that_it_is_for(
    trainings: Trainings, workshop: Workshop, admin: Actor, member: Actor,
    add_person: Callable[..., Actor], now: datetime,
) -> None:  # fmt: skip
    tina = add_person(workshop, "tina", Role.TRAINER)
    qualifications = Qualifications(workshop)
    qualifications.grant(admin, tina.person_id, kind="fdm", days=None, now=now)
    both = TrainingWish("All", now + HOUR, HOUR, 3, [FDM, ROUTER])
    with pytest.raises(NotAllowedError):
        trainings.create(tina, both, now)  # she holds one of the two
    made = trainings.create(admin, both, now)
    with pytest.raises(NotAllowedError):
        trainings.attended(tina, made, member.person_id, now + HOUR)
    trainings.attended(admin, made, member.person_id, now + HOUR)
    held = qualifications.of_person(member, member.person_id, now + HOUR)
    assert {(one.kind, one.machine_slug) for one in held} == {("fdm", ""), ("", "router")}


def test_ones_trainings_are_in_ones_calendar(
    trainings: Trainings, workshop: Workshop, admin: Actor, member: Actor, other: Actor,
    now: datetime,
) -> None:  # fmt: skip
    feeds = Feeds(workshop)
    made = trainings.create(admin, wish(now + DAY, machines=["ender", "router"]), now)
    trainings.sign_up(member, made, now)
    trainings.wait(other, made, now)

    def feed(actor: Actor) -> str:
        body = feeds.own(feeds.make(actor, now), now, Catalogue()).decode()
        return body.replace("\r\n ", "")

    assert feed(member).count("BEGIN:VEVENT") == 1
    assert "SUMMARY:Printing" in feed(member)
    assert f"UID:{made}@test-lab" in feed(member)
    assert "STATUS:CONFIRMED" in feed(member)
    assert feed(admin).count("BEGIN:VEVENT") == 1  # the machines that are kept are part of it
    assert "BEGIN:VEVENT" not in feed(other)  # who waits has nothing yet
    trainings.cancel(admin, made, now)
    assert "STATUS:CANCELLED" in feed(member)
    assert "SEQUENCE:1" in feed(member)


ACTS = st.lists(
    st.tuples(
        st.sampled_from(("up", "wait", "off", "tick")), st.integers(0, 3), st.integers(1, 40)
    ),
    max_size=40,
)


@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(seats=st.integers(1, 3), acts=ACTS)
def test_whatever_people_and_the_clock_do_no_seat_is_sold_twice_and_none_stands_empty(
    workshop: Workshop, printer: str, admin: Actor, member: Actor, other: Actor, operator: Actor,
    seats: int, acts: list[tuple[str, int, int]],
) -> None:  # fmt: skip
    """Each example announces a training of its own."""
    people = [admin, member, other, operator]
    trainings, learning = Trainings(workshop), Learning(workshop)
    now = datetime(2026, 3, 4, 9, 0, tzinfo=UTC)
    made = trainings.create(people[0], wish(now + 30 * DAY, seats), now)
    said: set[Reason] = set()
    for act, who, minutes in acts:
        now += minutes * MINUTE
        person = people[who]
        try:
            match act:
                case "up":
                    trainings.sign_up(person, made, now)
                case "wait":
                    trainings.wait(person, made, now)
                case "off":
                    trainings.sign_off(person, made, now)
                case _:
                    learning.tick(now)
                    assert learning.tick(now).holds == 0
        except RefusedError as error:
            said |= {one.reason for one in error.refusals}
        view = trainings.get(people[0], made)
        kept = [one for one in view.people if one.state is not SeatState.WAITING]
        assert len(kept) <= seats
        assert view.free == seats - len(kept)
        assert not (view.free and view.waiting)
    assert said <= {Reason.NO_FREE_SEAT}
    # What is held ends: after an hour of the clock nobody is kept waiting by it.
    for _ in range(len(people) + 1):
        now += HOUR
        learning.tick(now)
    assert all(one.state is SeatState.TAKEN for one in trainings.get(people[0], made).people)


def test_who_is_locked_out_holds_up_nobody(
    trainings: Trainings, workshop: Workshop, admin: Actor, member: Actor, other: Actor,
    operator: Actor, now: datetime,
) -> None:  # fmt: skip
    made = trainings.create(admin, wish(now + DAY), now)
    trainings.sign_up(member, made, now)
    trainings.wait(other, made, now)
    trainings.wait(operator, made, now)
    People(workshop).disable(admin, other.person_id, now)
    trainings.sign_off(member, made, now)
    assert trainings.get(operator, made).state is SeatState.HELD
    with workshop.database.read() as session:
        assert session.get(TrainingSeat, (made, other.person_id)) is None
        assert session.get_one(Training, made).seats == 1
