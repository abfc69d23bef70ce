"""Whatever people and machines do, in whatever order: nothing is ever booked twice."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from jobs.domain.calendar import (
    CLAIMS,
    FACTS,
    AllocationKind,
    AllocationState,
    Displacement,
    Interval,
)
from jobs.domain.errors import RefusedError
from jobs.domain.people import Actor
from jobs.services.bookings import Bookings
from jobs.services.workshop import Workshop
from jobs.store.tables import Allocation, OutboxMessage

STEP = timedelta(minutes=10)


@dataclass(frozen=True)
class Action:
    """What somebody does, to which of the things so far, from when and for how long."""

    verb: str
    who: int
    which: int
    start: int
    length: int


ACTIONS = st.lists(
    st.builds(
        Action,
        st.sampled_from(["book", "book", "move", "cancel", "run", "outage", "extend", "end"]),
        st.integers(0, 1),
        st.integers(0, 5),
        st.integers(0, 12),
        st.integers(1, 6),
    ),
    max_size=14,
)


@dataclass
class Lab:
    """One machine, two people, and what they did."""

    workshop: Workshop
    bookings: Bookings
    slug: str
    machine_id: str
    people: Sequence[Actor]
    now: datetime
    claims: list[str] = field(default_factory=list)
    facts: list[str] = field(default_factory=list)

    def do(self, action: Action) -> None:
        start = self.now + action.start * STEP
        end = start + action.length * STEP
        who = self.people[action.who]
        match action.verb:
            case "book":
                made = self.bookings.book(who, self.slug, start, end, self.now)
                self.claims.append(made.id)
            case "move" if self.claims:
                claim = self.claims[action.which % len(self.claims)]
                self.bookings.move(who, claim, start, end, self.now)
            case "cancel" if self.claims:
                claim = self.claims[action.which % len(self.claims)]
                self.bookings.cancel(who, claim, self.now)
            case "run" | "outage":
                self._place(AllocationKind(action.verb), start, end, who)
            case "extend" | "end" if self.facts:
                fact = self.facts[action.which % len(self.facts)]
                with self.workshop.database.write() as session:
                    if action.verb == "extend":
                        self.bookings.extend_fact(session, fact, end, self.now)
                    else:
                        self.bookings.end_fact(session, fact, start)

    def _place(self, kind: AllocationKind, start: datetime, end: datetime, who: Actor) -> None:
        with self.workshop.database.write() as session:
            fact = self.bookings.place_fact(
                session,
                self.machine_id,
                kind,
                start,
                end,
                who.person_id,
                None,
                Displacement.RUN_STARTED,
                self.now,
            )
            self.facts.append(fact)

    def rows(self) -> Sequence[Allocation]:
        with self.workshop.database.read() as session:
            query = select(Allocation).where(Allocation.machine_id == self.machine_id)
            return session.scalars(query).all()


def may_lie_together(one: Allocation, two: Allocation) -> bool:
    """The rule in words of this test, apart from guard and program."""
    if not Interval(one.start_at, one.end_at).overlaps(Interval(two.start_at, two.end_at)):
        return True
    kinds = {one.kind, two.kind}
    if kinds <= FACTS:
        return True
    is_own = one.person_id == two.person_id is not None
    return "run" in kinds and bool(kinds & CLAIMS) and is_own


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(actions=ACTIONS)
def test_no_two_claims_ever_overlap_and_facts_always_enter(
    actions: list[Action],
    workshop: Workshop,
    add_machine: Callable[..., str],
    member: Actor,
    other: Actor,
    now: datetime,
) -> None:
    slug = f"m{workshop.new_id()[-12:]}"  # a machine of its own for each example
    machine_id = add_machine(workshop, slug)
    lab = Lab(workshop, Bookings(workshop), slug, machine_id, (member, other), now)

    for action in actions:
        try:
            lab.do(action)
        except RefusedError:
            # A person may be told no; what a machine really does may not.
            assert action.verb in ("book", "move", "cancel")
        active = [row for row in lab.rows() if row.state == AllocationState.ACTIVE]
        for one, two in itertools.combinations(active, 2):
            assert may_lie_together(one, two)

    displaced = [row for row in lab.rows() if row.state == AllocationState.DISPLACED]
    assert all(row.displaced_by in lab.facts and row.displaced_reason for row in displaced)
    with workshop.database.read() as session:
        words = session.scalars(select(OutboxMessage)).all()
    told = [
        json.loads(word.body)["data"]["allocation"]
        for word in words
        if word.kind == "reservation.displaced"
    ]
    assert {row.id for row in displaced} == set(told) & {row.id for row in lab.rows()}
    assert len(told) == len(set(told))


def test_the_test_knows_an_overlap_when_it_sees_one(now: datetime) -> None:
    def row(kind: AllocationKind, person: str | None) -> Allocation:
        return Allocation(kind=kind.value, person_id=person, start_at=now, end_at=now + STEP)

    booked = row(AllocationKind.RESERVATION, "a")
    assert not may_lie_together(booked, row(AllocationKind.RESERVATION, "a"))
    assert not may_lie_together(booked, row(AllocationKind.RUN, "b"))
    assert not may_lie_together(booked, row(AllocationKind.OUTAGE, "a"))
    assert may_lie_together(booked, row(AllocationKind.RUN, "a"))
