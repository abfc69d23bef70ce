"""The lab's own rules asked for bookings: values, quotas, questions to staff, other machines."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from jobs.domain.calendar import AllocationKind, AllocationState
from jobs.domain.clock import Source
from jobs.domain.errors import InvalidError, NotAllowedError, NotFoundError, RefusedError
from jobs.domain.learning import TrainingWish
from jobs.domain.people import Actor, LabMode, Role
from jobs.domain.policy import Reason, WayKind
from jobs.domain.rules.values import LAB, Level, Scope
from jobs.services.approvals import Approvals, Plea
from jobs.services.bookings import Bookings
from jobs.services.house import House
from jobs.services.lab import Lab
from jobs.services.qualifications import Qualifications
from jobs.services.trainings import Trainings
from jobs.services.wondering import Wondering
from jobs.services.workshop import Workshop
from jobs.store.house import Approval
from jobs.store.sharing import Notice
from jobs.store.tables import Allocation
from jobs.store.upkeep import Downtime, Heartbeat

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ENDER, FDM = Scope.read("machine:ender"), Scope.read("kind:fdm")


@pytest.fixture
def house(workshop: Workshop, printer: str) -> House:
    return House(workshop)


@pytest.fixture
def bookings(workshop: Workshop) -> Bookings:
    return Bookings(workshop)


def refused(call: Callable[[], object]) -> dict[Reason, object]:
    with pytest.raises(RefusedError) as error:
        call()
    return {one.reason: one for one in error.value.refusals}


def test_the_most_specific_value_wins_and_each_change_is_written_down(
    house: House, admin: Actor, member: Actor, now: datetime
) -> None:
    house.set(admin, LAB, "longest_min", "240", "crowded", now)
    house.set(admin, FDM, "longest_min", 480, "", now + HOUR)
    house.set(admin, ENDER, "longest_min", 60, "", now + 2 * HOUR)

    def holds(scope: Scope) -> tuple[object, Level, bool]:
        [one] = [one for one in house.rules(scope) if one.spec.key == "longest_min"]
        return one.value, one.level, one.own

    assert holds(LAB) == (240, Level.LAB, True)
    assert holds(FDM) == (480, Level.KIND, True)
    assert holds(ENDER) == (60, Level.MACHINE, True)
    assert house.decided_in("ender", "longest_min") == ENDER
    house.unset(admin, ENDER, "longest_min", "", now + 3 * HOUR)
    assert holds(ENDER) == (480, Level.KIND, False)
    assert [(one.scope, one.old, one.new, one.person, one.reason) for one in house.history()] == [
        (ENDER, [60], None, "Ada", ""),
        (ENDER, None, [60], "Ada", ""),
        (FDM, None, [480], "Ada", ""),
        (LAB, None, [240], "Ada", "crowded"),
    ]
    with pytest.raises(NotAllowedError):
        house.set(member, LAB, "longest_min", 60, "", now)


@pytest.mark.parametrize(
    ("scope", "key", "value", "code"),
    [
        ("lab", "longest_min", "4 hours", "rule.number"),
        ("lab", "longest_min", "0", "rule.bounds"),
        ("lab", "longest_min", "5", "rule.shortest-longest"),
        ("lab", "longest_min", "", "rule.value-needed"),
        ("lab", "opening", "Mo-Fr 9-17", "rule.opening"),
        ("lab", "opening", "Xx 09:00-10:00", "rule.opening"),
        ("lab", "opening", "Mo 09:00-25:00", "rule.opening"),
        ("lab", "opening", "Mo " + ",".join(["09:00-10:00"] * 60), "rule.text"),
        ("lab", "qualification_needed", "perhaps", "rule.yes-no"),
        ("lab", "opening_covers", "half", "rule.covers"),
        ("lab", "holidays", "Bavaria", "rule.place"),
        ("kind:fdm", "holidays", "DE", "rule.lab-only"),
        ("lab", "no_such_rule", "1", "rule.unknown"),
    ],
)
def test_a_value_that_is_none_changes_nothing_and_says_why(
    house: House, admin: Actor, now: datetime, scope: str, key: str, value: str, code: str
) -> None:
    with pytest.raises(InvalidError) as error:
        house.set(admin, Scope.read(scope), key, value, "", now)
    assert error.value.code == code
    assert house.history() == []


def test_rules_are_for_what_the_lab_has(house: House, admin: Actor, now: datetime) -> None:
    for text in ("machine:nowhere", "kind:band-saw"):
        with pytest.raises(NotFoundError):
            house.set(admin, Scope.read(text), "gap_min", 30, "", now)
    for text in ("", "machine:", "house", "kind:../etc", "machine:UP"):
        with pytest.raises(InvalidError):
            Scope.read(text)


def test_what_a_database_holds_that_is_no_value_is_not_believed(
    workshop: Workshop, house: House, admin: Actor, now: datetime
) -> None:
    Lab(workshop).set(admin, "rules.lab", '{"longest_min": -5, "gone": 1, "gap_min": 30}', now)
    found = {one.spec.key: one.value for one in house.rules(LAB)}
    assert (found["longest_min"], found["gap_min"]) == (72 * 60, 30)
    Lab(workshop).set(admin, "rules.lab", "no json", now)
    assert {one.spec.key: one.value for one in house.rules(LAB)}["gap_min"] is None


def test_holidays_are_looked_up_once_for_the_place_that_was_named(
    house: House, bookings: Bookings, admin: Actor, member: Actor, now: datetime
) -> None:
    house.set(admin, LAB, "holidays", "de-by", "", now)
    start = datetime(2026, 4, 3, 9, 0, tzinfo=UTC)  # Good Friday
    found = refused(lambda: bookings.book(member, "ender", start, start + HOUR, now))
    assert set(found) == {Reason.HOLIDAY}
    assert found[Reason.HOLIDAY].fields["day"] == "2026-04-03"  # type: ignore[attr-defined]
    assert found[Reason.HOLIDAY].passes_at == datetime(2026, 4, 3, 22, 0, tzinfo=UTC)  # type: ignore[attr-defined]
    assert not house.refresh_holidays(now)
    assert house.refresh_holidays(now.replace(year=2028))
    with pytest.raises(InvalidError):
        house.set(admin, LAB, "holidays", "DE-ZZ", "", now)


def test_a_quota_of_the_lab_counts_on_every_machine(
    workshop: Workshop,
    house: House,
    bookings: Bookings,
    admin: Actor,
    member: Actor,
    now: datetime,
    add_machine: Callable[..., str],
) -> None:
    add_machine(workshop, "prusa")
    house.set(admin, LAB, "day_quota_min", 120, "", now)
    first = bookings.book(member, "prusa", now + HOUR, now + 2.5 * HOUR, now)
    found = refused(lambda: bookings.book(member, "ender", now + 4 * HOUR, now + 5 * HOUR, now))
    assert set(found) == {Reason.DAY_QUOTA}
    bookings.book(member, "ender", now + 4 * HOUR, now + 4.5 * HOUR, now)
    # A booking does not count against itself when it is moved.
    bookings.move(member, first.id, now + 6 * HOUR, now + 7.5 * HOUR, now)
    found = refused(lambda: bookings.move(member, first.id, now + 6 * HOUR, now + 8 * HOUR, now))
    assert set(found) == {Reason.DAY_QUOTA}


def test_another_machine_that_is_free_then_is_named(
    workshop: Workshop,
    house: House,
    bookings: Bookings,
    member: Actor,
    other: Actor,
    now: datetime,
    add_machine: Callable[..., str],
) -> None:
    for slug in ("prusa", "voron"):
        add_machine(workshop, slug)
    bookings.book(other, "ender", now + HOUR, now + 3 * HOUR, now)
    bookings.book(other, "prusa", now + HOUR, now + 3 * HOUR, now)
    found = refused(lambda: bookings.book(member, "ender", now + 2 * HOUR, now + 4 * HOUR, now))
    ways = {way.kind: way for way in found[Reason.TAKEN].ways}  # type: ignore[attr-defined]
    assert (ways[WayKind.OTHER_MACHINE].ref, ways[WayKind.OTHER_MACHINE].clears) == ("voron", True)
    way = ways[WayKind.LATER]
    bookings.book(member, "ender", way.start, way.end, now)
    assert bookings.book(member, "voron", now + 2 * HOUR, now + 4 * HOUR, now)


def test_proposed_times_pass_the_rules(
    house: House, bookings: Bookings, admin: Actor, member: Actor, now: datetime
) -> None:
    house.set(admin, LAB, "opening", "We,Th 14:00-16:00", "", now)
    found = bookings.proposals("ender", HOUR, now, member, 4)
    opens = datetime(2026, 3, 4, 13, 0, tzinfo=UTC)  # 14:00 in Berlin
    assert [one.start for one in found] == [opens, opens + HOUR, opens + DAY, opens + DAY + HOUR]
    for one in found:
        bookings.book(member, "ender", one.start, one.end, now)


def test_a_machine_that_needs_a_talk_is_asked_for_and_approved(
    workshop: Workshop,
    house: House,
    bookings: Bookings,
    admin: Actor,
    operator: Actor,
    member: Actor,
    other: Actor,
    now: datetime,
) -> None:
    approvals = Approvals(workshop)
    house.set(admin, ENDER, "approval_needed", True, "", now)
    start, end = now + DAY, now + DAY + HOUR
    asked = bookings.book(member, "ender", start, end, now)
    assert asked.kind is AllocationKind.HOLD
    # It holds its time.
    assert Reason.TAKEN in refused(lambda: bookings.book(other, "ender", start, end, now))
    [waiting] = approvals.waiting(operator, now)
    assert (waiting.person, waiting.reasons) == ("Mia", ("needs-approval",))
    with pytest.raises(NotAllowedError):
        approvals.decide(member, waiting.id, granted=True, reason="", now=now)
    with pytest.raises(InvalidError):
        approvals.decide(operator, waiting.id, granted=False, reason="", now=now)
    approvals.decide(operator, waiting.id, granted=True, reason="go ahead", now=now)
    [mine] = bookings.mine(member, now)
    assert (mine.id, mine.kind) == (asked.id, AllocationKind.RESERVATION)
    assert approvals.waiting(operator, now) == []
    [decided] = approvals.decided(operator)
    assert (decided.decided_by, decided.granted, decided.reason) == ("Otto", True, "go ahead")
    with pytest.raises(RefusedError):
        approvals.decide(operator, waiting.id, granted=False, reason="no more", now=now)
    # Shorter needs no new word, another time does.
    assert bookings.move(member, asked.id, start, end - HOUR / 2, now).kind is (
        AllocationKind.RESERVATION
    )
    assert bookings.move(member, asked.id, start + HOUR, end + HOUR, now).kind is (
        AllocationKind.HOLD
    )
    with workshop.database.read() as session:
        told = session.scalars(select(Notice.code).where(Notice.person_id == member.person_id))
        assert list(told) == ["booking-approved"]


def test_a_question_that_nobody_answers_gives_its_time_back(
    workshop: Workshop,
    house: House,
    bookings: Bookings,
    admin: Actor,
    member: Actor,
    other: Actor,
    now: datetime,
) -> None:
    approvals = Approvals(workshop)
    house.set(admin, ENDER, "approval_needed", True, "", now)
    house.set(admin, ENDER, "approval_hours", 2, "", now)
    start = now + DAY
    asked = bookings.book(member, "ender", start, start + HOUR, now)
    soon = bookings.book(other, "ender", now + HOUR, now + 2 * HOUR, now)
    assert approvals.release(now + HOUR - timedelta(seconds=1)) == 0
    assert approvals.release(now + HOUR) == 1  # its time has come, and nobody said yes
    assert approvals.release(now + HOUR) == 0
    assert approvals.release(now + 30 * DAY) == 1  # however long the node slept
    with workshop.database.read() as session:
        states = {session.get_one(Allocation, one.id).state for one in (asked, soon)}
        assert states == {AllocationState.CANCELLED.value}
        rows = session.scalars(select(Approval)).all()
        assert [row.granted for row in rows] == [None, None]
    house.unset(admin, ENDER, "approval_needed", "", now)
    assert bookings.book(other, "ender", start, start + HOUR, now)


def test_nothing_is_released_by_a_clock_that_nobody_vouches_for_nor_for_time_asleep(
    workshop: Workshop,
    house: House,
    bookings: Bookings,
    admin: Actor,
    operator: Actor,
    member: Actor,
    now: datetime,
) -> None:
    approvals = Approvals(workshop)
    house.set(admin, ENDER, "approval_needed", True, "", now)
    house.set(admin, ENDER, "approval_hours", 4, "", now)
    bookings.book(member, "ender", now + DAY, now + DAY + HOUR, now)
    then = now + 5 * HOUR
    with workshop.database.write() as session:
        beat = Heartbeat(
            name="node", at=then + HOUR, steady_us=0, boot="b", source=Source.NONE.value
        )
        session.add(beat)
        session.add(Downtime(id="d", from_at=now + HOUR, until_at=now + 3 * HOUR))
    assert approvals.release(then + HOUR) == 0
    with workshop.database.write() as session:
        kept = session.get_one(Heartbeat, "node")
        kept.source, kept.at = Source.NETWORK.value, then
    assert approvals.release(then) == 0  # it slept for two of those hours
    assert len(approvals.waiting(operator, then)) == 1
    with workshop.database.write() as session:
        session.get_one(Heartbeat, "node").at = then + HOUR
    assert approvals.release(then + HOUR) == 1


def test_staff_make_an_exception_with_a_reason_that_is_kept(
    workshop: Workshop,
    house: House,
    bookings: Bookings,
    admin: Actor,
    operator: Actor,
    member: Actor,
    now: datetime,
) -> None:
    house.set(admin, LAB, "longest_min", 60, "", now)

    def book(actor: Actor, plea: Plea) -> object:
        return bookings.book(actor, "ender", now + HOUR, now + 3 * HOUR, now, plea=plea)

    assert set(refused(lambda: book(member, Plea()))) == {Reason.TOO_LONG}
    # A member's reason is no exception, and an operator's needs one.
    assert set(refused(lambda: book(member, Plea(why="please")))) == {Reason.TOO_LONG}
    assert set(refused(lambda: book(operator, Plea()))) == {Reason.TOO_LONG}
    made = book(operator, Plea(why="open day"))
    assert made.kind is AllocationKind.RESERVATION  # type: ignore[attr-defined]
    [kept] = Approvals(workshop).decided(operator)
    assert (kept.reasons, kept.reason, kept.decided_by) == (("too-long",), "open day", "Otto")
    # What is taken stays taken, whoever says what.
    assert Reason.TAKEN in refused(lambda: book(admin, Plea(why="mine")))


def test_a_member_asks_for_an_exception(
    workshop: Workshop,
    house: House,
    bookings: Bookings,
    admin: Actor,
    operator: Actor,
    member: Actor,
    guest: Actor,
    now: datetime,
) -> None:
    house.set(admin, LAB, "longest_min", 60, "", now)
    plea = Plea(ask=True, why="a long print")
    made = bookings.book(member, "ender", now + HOUR, now + 3 * HOUR, now, plea=plea)
    assert made.kind is AllocationKind.HOLD
    [asked] = Approvals(workshop).waiting(operator, now)
    assert (asked.why, asked.reasons) == ("a long print", ("too-long",))
    late = now + 9 * HOUR
    refused(lambda: bookings.book(guest, "ender", late, late + HOUR, now, plea=plea))
    bookings.cancel(member, made.id, now)
    assert Approvals(workshop).waiting(operator, now) == []


def test_the_next_training_with_a_free_seat_opens_the_machine(
    workshop: Workshop,
    house: House,
    bookings: Bookings,
    admin: Actor,
    member: Actor,
    other: Actor,
    now: datetime,
) -> None:
    trainings, qualifications = Trainings(workshop), Qualifications(workshop)
    house.set(admin, FDM, "qualification_needed", True, "", now)
    wish = TrainingWish("Printing", now + DAY, HOUR, seats=1, grants=[FDM], valid_days=30)
    full = trainings.create(admin, wish, now)
    free = trainings.create(
        admin,
        TrainingWish("Again", now + 2 * DAY, HOUR, seats=1, grants=[ENDER]),
        now,
    )
    trainings.sign_up(other, full, now)
    start = now + 3 * DAY
    found = refused(lambda: bookings.book(member, "ender", start, start + HOUR, now))
    assert set(found) == {Reason.NOT_QUALIFIED}
    [way] = [
        way
        for way in found[Reason.NOT_QUALIFIED].ways  # type: ignore[attr-defined]
        if way.kind is WayKind.TRAINING
    ]
    assert (way.ref, way.name, way.count) == (free, "Again", 1)
    learned = Wondering(workshop).learned(member, "ender", now)
    assert (learned.needed, learned.until, len(learned.trainings)) == (True, None, 1)

    assert Reason.NO_FREE_SEAT in refused(lambda: trainings.sign_up(member, full, now))
    trainings.sign_up(member, free, now)  # whose own seat still counts for them
    assert len(Wondering(workshop).learned(member, "ender", now + DAY).trainings) == 1
    assert not Wondering(workshop).learned(member, "ender", now + 3 * DAY).trainings
    assert Reason.TRAINING_NOT_HELD in refused(
        lambda: trainings.attended(admin, free, member.person_id, now)
    )
    then = now + 2 * DAY + HOUR / 2
    trainings.attended(admin, free, member.person_id, then)
    trainings.attended(admin, free, member.person_id, then)  # a second tick is the same
    [held] = qualifications.of_person(member, member.person_id, then)
    assert (held.machine_slug, held.expires_at, held.granted_by) == ("ender", None, "Ada")
    assert bookings.book(member, "ender", start, start + HOUR, then)
    # Of the other training the qualification is for the kind, and ends.
    trainings.attended(admin, full, other.person_id, now + DAY)
    [held] = qualifications.of_person(other, other.person_id, now + 2 * DAY)
    assert (held.kind, held.expires_at) == ("fdm", now + 31 * DAY)
    late = now + 31 * DAY
    found = refused(lambda: bookings.book(other, "ender", late - HOUR, late + HOUR, then))
    assert set(found) == {Reason.QUALIFICATION_ENDS}


def test_only_who_holds_it_grants_it(
    workshop: Workshop,
    printer: str,
    admin: Actor,
    member: Actor,
    now: datetime,
    add_person: Callable[..., Actor],
    add_machine: Callable[..., str],
) -> None:
    add_machine(workshop, "prusa")
    qualifications = Qualifications(workshop)
    tina = add_person(workshop, "tina", Role.TRAINER)

    def grant(actor: Actor, **what: str) -> str:
        return qualifications.grant(actor, member.person_id, days=None, now=now, **what)

    for actor in (member, tina):
        with pytest.raises(NotAllowedError):
            grant(actor, slug="ender")
    qualifications.grant(admin, tina.person_id, slug="ender", days=None, now=now)
    first = grant(tina, slug="ender")
    for what in ({"slug": "prusa"}, {"kind": "fdm"}):
        with pytest.raises(NotAllowedError):
            grant(tina, **what)
    again = grant(tina, slug="ender")  # renewed: the old one is over
    held = qualifications.of_person(member, member.person_id, now)
    assert [one.id for one in held] == [again] != [first]
    assert {one.person for one in qualifications.of_machine(tina, "ender", now)} == {"Mia", "Tina"}
    with pytest.raises(NotAllowedError):
        qualifications.of_person(member, tina.person_id, now)
    qualifications.withdraw(tina, again, "broke it", now)
    assert qualifications.mine(member, "ender", now) is None
    with pytest.raises(NotFoundError):
        qualifications.withdraw(tina, again, "broke it", now)


def test_a_node_of_one_person_has_no_rules(
    workshop: Workshop, house: House, admin: Actor, now: datetime
) -> None:
    house.set(admin, LAB, "longest_min", 60, "", now)
    house.set(admin, LAB, "qualification_needed", True, "", now)
    wondering = Wondering(workshop)
    found = wondering.booking(admin, "ender", now + HOUR, now + 3 * HOUR, now)
    assert {one.reason for one in found} == {Reason.TOO_LONG, Reason.NOT_QUALIFIED}
    Lab(workshop).set_mode(admin, LabMode.ONLY_ME, now)
    found = wondering.booking(admin, "ender", now + HOUR, now + 3 * HOUR, now)
    assert {one.reason for one in found} == {Reason.BOOKING_HIDDEN}
    assert not wondering.learned(admin, "ender", now).needed
