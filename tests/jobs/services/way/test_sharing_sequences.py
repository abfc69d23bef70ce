"""Whatever people, machines and the clock do, in whatever order: nobody's time is had twice;
nobody loses time without a reason, a word to the world and a word to them; facts are never refused;
and minutes in which the node was down, or its clock wrong, count against nobody.
"""

from __future__ import annotations

import itertools
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy import select

from jobs.domain.calendar import FACTS, AllocationKind, AllocationState, Displacement
from jobs.domain.clock import Reading
from jobs.domain.errors import JobsError
from jobs.domain.events import rfc3339
from jobs.domain.people import Actor, Role
from jobs.domain.sharing import SeriesPart
from jobs.services import Services, build_services
from jobs.services.live import LiveState
from jobs.services.workshop import Workshop
from jobs.store.database import Database
from jobs.store.sharing import Notice, Offer, Wait
from jobs.store.tables import Allocation, Attempt, Job, OutboxMessage
from jobs.store.upkeep import Heartbeat
from tests.jobs.services.conftest import NOW
from tests.jobs.services.test_booking_sequences import may_lie_together
from tests.jobs.services.way.conftest import House, waiting_adder

STEP = timedelta(minutes=15)
GRACE = timedelta(minutes=20)
SAID = {
    "active": "reservation.made",
    "ended": "reservation.made",  # early, at its new end
    "cancelled": "reservation.cancelled",
    "displaced": "reservation.displaced",
}

WHO = st.integers(0, 2)
WHERE = st.sampled_from(["one", "two"])
WHICH = st.integers(0, 30)
START = st.integers(0, 16)
LENGTH = st.integers(1, 6)
RARELY = st.integers(0, 3)  # what takes the time of all others happens at 0 alone


class Sharing(RuleBasedStateMachine):
    """Three people and two equal machines."""

    make: ClassVar[Callable[[Path], tuple[Workshop, list[Actor], dict[str, str]]]]

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="fabnode-sharing-"))
        self.workshop, self.people, self.machines = type(self).make(self.folder)
        self.services: Services = build_services(self.workshop)
        self.house = House(self.services, self.workshop, NOW)
        self.staff = Actor(self.people[0].person_id, "Staff", Role.OPERATOR)
        self.now = NOW
        self.steady = timedelta()
        self.boot = 0
        self.facts: list[str] = []
        # What this test itself knows of the clock.
        self.is_right = True
        self.right_at = NOW
        self.downs: list[tuple[datetime, datetime]] = []
        self.beat(synchronised=True)

    def teardown(self) -> None:
        self.workshop.database.close()
        shutil.rmtree(self.folder)

    def rows(self, kind: type[Any]) -> list[Any]:
        with self.workshop.database.read() as session:
            return list(session.scalars(select(kind).order_by(kind.id)))

    def beat(self, *, synchronised: bool = False) -> None:
        clock = Reading(self.now, self.steady, str(self.boot), is_synchronised=synchronised)
        self.services.clock.beat(clock)

    def up(self, since: datetime, until: datetime) -> timedelta:
        """For how long the node was there with a right clock; no minute is lost twice."""
        lost, reached = timedelta(), since
        for down, back in sorted(self.downs):
            begin, end = max(down, reached), min(back, until)
            if begin < end:
                lost, reached = lost + (end - begin), end
        return until - since - lost

    def claim(self, which: int) -> str | None:
        """One of the latest claims, over or not."""
        found = [row.id for row in self.rows(Allocation) if row.kind == "reservation"][-6:]
        return found[which % len(found)] if found else None

    def some(self, kind: type[Any], which: int) -> str:
        found = [row.id for row in self.rows(kind)][-6:]
        return found[which % len(found)] if found else "none"

    @rule(who=WHO, where=WHERE, start=START, length=LENGTH)
    def book(self, who: int, where: str, start: int, length: int) -> None:
        begin = self.now + start * STEP
        with suppress(JobsError):
            self.services.bookings.book(
                self.people[who], where, begin, begin + length * STEP, self.now
            )

    @rule(who=WHO, which=WHICH, start=START, length=LENGTH)
    def move(self, who: int, which: int, start: int, length: int) -> None:
        if claim := self.claim(which):
            begin = self.now + start * STEP
            with suppress(JobsError):
                self.services.bookings.move(
                    self.people[who], claim, begin, begin + length * STEP, self.now
                )

    @rule(who=WHO, which=WHICH, length=LENGTH)
    def shorten(self, who: int, which: int, length: int) -> None:
        if claim := self.claim(which):
            row = next(row for row in self.rows(Allocation) if row.id == claim)
            end = min(row.end_at, row.start_at + length * STEP)
            with suppress(JobsError):
                self.services.bookings.move(self.people[who], claim, row.start_at, end, self.now)

    @rule(who=WHO, which=WHICH, verb=st.sampled_from(["cancel", "check-in", "end"]))
    def act(self, who: int, which: int, verb: str) -> None:
        if claim := self.claim(which):
            does = {
                "cancel": self.services.bookings.cancel,
                "check-in": self.services.there.check_in,
                "end": self.services.there.end_early,
            }[verb]
            with suppress(JobsError):
                does(self.people[who], claim, self.now)

    @rule(who=WHO, where=WHERE, start=START, length=LENGTH, skip=st.booleans())
    def repeat(self, who: int, where: str, start: int, length: int, skip: bool) -> None:
        begin = self.now + start * STEP
        with suppress(JobsError):
            self.services.repeating.repeat(
                self.people[who],
                where,
                begin,
                begin + length * STEP,
                2,
                self.now,
                skip_conflicts=skip,
            )

    @rule(who=WHO, which=WHICH, part=st.sampled_from(SeriesPart))
    def give_back(self, who: int, which: int, part: SeriesPart) -> None:
        if claim := self.claim(which):
            with suppress(JobsError):
                self.services.repeating.cancel(self.people[who], claim, part, self.now)

    @rule(who=WHO, where=WHERE, start=START, length=LENGTH, slack=st.integers(0, 8))
    def wait(self, who: int, where: str, start: int, length: int, slack: int) -> None:
        begin = self.now + start * STEP
        until = begin + (length + slack) * STEP
        with suppress(JobsError):
            self.services.waiting.join(self.people[who], where, begin, until, length * 15, self.now)

    @rule(who=WHO, which=WHICH, takes=st.booleans())
    def settle_wait(self, who: int, which: int, takes: bool) -> None:
        does = self.services.waiting.take if takes else self.services.waiting.leave
        with suppress(JobsError):
            does(self.people[who], self.some(Wait, which), self.now)

    @rule(who=WHO, which=WHICH)
    def take_offer(self, who: int, which: int) -> None:
        with suppress(JobsError):
            self.services.offers.take(self.people[who], self.some(Offer, which), self.now)

    @rule(who=WHO, give=WHICH, take=WHICH)
    def ask_swap(self, who: int, give: int, take: int) -> None:
        one, two = self.claim(give), self.claim(take)
        if one and two and one != two:
            with suppress(JobsError):
                self.services.swapping.offer(self.people[who], one, two, self.now)

    @rule(who=WHO, which=WHICH, agrees=st.booleans())
    def settle_swap(self, who: int, which: int, agrees: bool) -> None:
        found = self.services.swapping.open(self.people[who], self.now)
        if found:
            does = self.services.swapping.accept if agrees else self.services.swapping.decline
            with suppress(JobsError):
                does(self.people[who], found[which % len(found)].id, self.now)

    @rule(who=WHO, where=WHERE, start=START, length=LENGTH, chance=RARELY)
    def outage(self, who: int, where: str, start: int, length: int, chance: int) -> None:
        """A fact is never refused."""
        if chance > 1:
            return
        begin = self.now + start * STEP
        self._fact(AllocationKind.OUTAGE, self.people[who], where, begin, length)

    @rule(who=WHO, where=WHERE, length=LENGTH)
    def run(self, who: int, where: str, length: int) -> None:
        self._fact(AllocationKind.RUN, self.people[who], where, self.now, length)

    @rule(length=LENGTH, chance=RARELY)
    def close_the_lab(self, length: int, chance: int) -> None:
        if chance:
            return
        begin = self.now + STEP
        end = begin + length * STEP
        self.facts += self.services.bookings.closure(self.staff, begin, end, "", self.now)

    @rule(which=WHICH, length=LENGTH, ends=st.booleans())
    def change_fact(self, which: int, length: int, ends: bool) -> None:
        if self.facts:
            fact = self.facts[which % len(self.facts)]
            with self.workshop.database.write() as session:
                if ends:
                    self.services.bookings.end_fact(session, fact, self.now)
                else:
                    end = self.now + length * STEP
                    self.services.bookings.extend_fact(session, fact, end, self.now)

    @rule(who=WHO, where=WHERE, length=LENGTH)
    def start_job(self, who: int, where: str, length: int) -> None:
        """A person brings a job, says that the machine is clear and starts it there."""
        self.house.now = self.now
        add = waiting_adder(self.house)
        job = add(self.people[who], self.machines[where], planned_s=length * 900.0)
        self.workshop.live.put(where, LiveState(phase="idle", connected=True))
        with suppress(JobsError):
            self.services.dispatch.start(
                self.people[who], job, where, self.now, checked=True, is_clear=True
            )

    @rule(where=WHERE, who=WHO)
    def start_what_waits(self, where: str, who: int) -> None:
        self.workshop.live.put(where, LiveState(phase="idle", connected=True))
        with suppress(JobsError):
            self.services.dispatch.arm(self.people[who], where, self.now)
        begun = self.services.dispatch.tick(self.now)
        assert self.is_right or not begun

    @rule(which=WHICH, kind=st.sampled_from(["finished", "failed", "cancelled", "interrupted"]))
    def end_job(self, which: int, kind: str) -> None:
        runs = [row for row in self.rows(Attempt) if row.ended_at is None]
        if runs:
            run = runs[which % len(runs)]
            slug = next(slug for slug, key in self.machines.items() if key == run.machine_id)
            self.house.now = self.now
            event = self.house.event(run.id, run.event_seq + 1, kind)
            self.services.runs.apply(slug, event, self.now)

    @rule(who=WHO, where=WHERE, length=LENGTH, late=st.integers(0, 2))
    def book_soon(self, who: int, where: str, length: int, late: int) -> None:
        """Time that begins in a quarter of an hour; whether anybody comes is another matter."""
        begin = self.now + STEP
        with suppress(JobsError):
            self.services.bookings.book(
                self.people[who], where, begin, begin + length * STEP, self.now
            )
            self.pass_time(1 + late)

    @rule(steps=st.integers(1, 6))
    def pass_time(self, steps: int) -> None:
        """The node is there all the time, though it beats but once here."""
        self.now += steps * STEP
        self.steady += steps * STEP
        if self.is_right:
            with self.workshop.database.write() as session:
                beat = session.get_one(Heartbeat, "node")
                beat.at = beat.sound_at = self.right_at = self.now
                beat.steady_us = self.steady // timedelta(microseconds=1)
        self.beat()
        self.sweep()

    @rule(steps=st.integers(1, 8))
    def sleep(self, steps: int) -> None:
        """The node is switched off for a while, and a time server answers when it is back."""
        self.now += steps * STEP
        self.boot, self.steady = self.boot + 1, timedelta()
        self._is_right_again()
        self.beat(synchronised=True)
        self.sweep()

    @rule(minutes=st.sampled_from([-90, -20, 20, 90, 600]))
    def step_the_clock(self, minutes: int) -> None:
        """Nothing is done by a clock that jumped, however often it is asked."""
        self.now += timedelta(minutes=minutes)
        self.is_right = False
        self.beat()
        self.sweep()

    @rule()
    def vouch(self) -> None:
        """An operator looks at their own watch."""
        self._is_right_again()
        self.services.clock.vouch(self.staff, self.now)
        self.sweep()

    def _is_right_again(self) -> None:
        if self.now - self.right_at > timedelta(minutes=3):
            self.downs.append((self.right_at, self.now))
        self.is_right, self.right_at = True, self.now

    def sweep(self) -> None:
        """All that goes by the clock, twice; what it takes it may take."""
        before = {row.id: row for row in self.rows(Allocation)}
        states = {key: row.state for key, row in before.items()}
        late = self.services.runs.overruns(self.now)
        self.services.lapsing.tick(self.now)
        after = {row.id: row for row in self.rows(Allocation)}
        if not self.is_right:
            assert late == []
            assert states == {key: row.state for key, row in after.items()}
        for key, row in after.items():
            if key not in before or states[key] != "active" or row.state != "cancelled":
                continue
            if row.kind == "hold":
                assert row.expires_at is not None
                kept = row.expires_at - row.created_at
                assert row.end_at <= self.now or self.up(row.created_at, self.now) >= kept
            else:
                assert row.missed_at == self.now
                assert row.checked_in_at is None
                since = max(row.start_at, row.created_at)
                assert self.up(since, self.now) >= GRACE
        again = self.services.lapsing.tick(self.now)
        assert again == type(again)()

    def _fact(self, kind: AllocationKind, who: Actor, where: str, begin: Any, length: int) -> None:
        with self.workshop.database.write() as session:
            self.facts.append(
                self.services.bookings.place_fact(
                    session,
                    self.machines[where],
                    kind,
                    begin,
                    begin + length * STEP,
                    who.person_id,
                    None,
                    Displacement.OUTAGE
                    if kind is AllocationKind.OUTAGE
                    else Displacement.RUN_STARTED,
                    self.now,
                )
            )

    @invariant()
    def nothing_is_had_twice(self) -> None:
        active = [row for row in self.rows(Allocation) if row.state == AllocationState.ACTIVE]
        for one, two in itertools.combinations(active, 2):
            if one.machine_id == two.machine_id:
                assert may_lie_together(one, two)

    @invariant()
    def who_loses_time_has_a_reason_and_a_word(self) -> None:
        rows = self.rows(Allocation)
        lost = [row for row in rows if row.state == AllocationState.DISPLACED]
        facts = {row.id: row.machine_id for row in rows if row.kind in FACTS}
        offered = {row.allocation_id for row in self.rows(Offer)}
        words = [
            json.loads(row.body)["data"]["allocation"]
            for row in self.rows(OutboxMessage)
            if row.kind == "reservation.displaced"
        ]
        assert sorted(words) == sorted(row.id for row in lost)
        notices = self.rows(Notice)
        told = {(row.person_id, row.about) for row in notices if "displaced" in row.code}
        kept = [row.code for row in notices if "-lost" in row.code]
        for row in lost:
            assert row.displaced_reason
            assert facts[row.displaced_by] == row.machine_id
            if row.kind == "reservation":
                assert (row.person_id, f"booking:{row.id}") in told
                assert row.id in offered
        assert len(kept) == sum(row.kind == "hold" for row in lost)

    @invariant()
    def every_change_of_a_booking_is_a_word_of_its_own_and_the_last_is_true(self) -> None:
        words: dict[str, list[tuple[str, dict[str, Any]]]] = {}
        for row in self.rows(OutboxMessage):
            if row.kind.startswith("reservation."):
                data = json.loads(row.body)["data"]
                words.setdefault(data["allocation"], []).append((row.kind, data))
        for row in self.rows(Allocation):
            said = words.get(row.id, [])
            numbers = [data["sequence"] for _, data in said]
            assert numbers == sorted(set(numbers))
            if row.kind == "reservation":
                kind, data = said[-1]
                assert kind == SAID[row.state]
                assert data["sequence"] == row.sequence
                assert (data["from"], data["to"]) == (rfc3339(row.start_at), rfc3339(row.end_at))
                assert numbers == list(range(numbers[0], row.sequence + 1))

    @invariant()
    def whoever_runs_a_job_has_the_machine(self) -> None:
        """A run is a fact of its own, as long as it goes on, and ends with its job."""
        open_runs = {row.id for row in self.rows(Attempt) if row.ended_at is None}
        rows = self.rows(Allocation)
        active = {row.attempt_id for row in rows if row.attempt_id and row.state == "active"}
        assert active == open_runs
        running = [row for row in self.rows(Job) if row.state == "running"]
        assert len(running) == len(open_runs)

    @invariant()
    def what_is_kept_is_kept_for_somebody_who_can_take_it(self) -> None:
        holds = {
            row.id: row
            for row in self.rows(Allocation)
            if row.kind == "hold" and row.state == AllocationState.ACTIVE
        }
        offered = {row.hold_id for row in self.rows(Offer) if row.state == "open" and row.hold_id}
        waited = {row.hold_id for row in self.rows(Wait) if row.state == "held"}
        assert holds.keys() == (offered | waited)
        assert all(row.expires_at is not None for row in holds.values())


@pytest.fixture
def make(
    migrated_file: Path,
    make_workshop: Callable[[Database], Workshop],
    add_machine: Callable[..., str],
    add_person: Callable[..., Actor],
    tmp_path: Path,
) -> Iterator[Callable[[Path], tuple[Workshop, list[Actor], dict[str, str]]]]:
    # People and machines are written once; each example then copies them.
    furnished = tmp_path / "furnished.db"
    shutil.copyfile(migrated_file, furnished)
    first = make_workshop(Database(f"sqlite:///{furnished}"))
    people = [add_person(first, name) for name in ("ana", "ben", "cleo")]
    machines = {slug: add_machine(first, slug) for slug in ("one", "two")}
    admin = Actor(people[0].person_id, "Ada", Role.ADMIN)
    minutes = {"grace_min": GRACE // timedelta(minutes=1)}
    build_services(first).sharing.set(admin, minutes)
    first.database.close()

    def build(folder: Path) -> tuple[Workshop, list[Actor], dict[str, str]]:
        shutil.copyfile(furnished, folder / "fabnode.db")
        database = Database(f"sqlite:///{folder / 'fabnode.db'}")
        return make_workshop(database), people, machines

    return build


def test_sharing_keeps_its_promises_in_any_order(
    make: Callable[[Path], tuple[Workshop, list[Actor], dict[str, str]]],
) -> None:
    class Lab(Sharing):
        pass

    Lab.make = staticmethod(make)
    run_state_machine_as_test(
        Lab,
        settings=settings(
            max_examples=20,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
