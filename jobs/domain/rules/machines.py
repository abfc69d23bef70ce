"""Rules about the machine: whether it is there, free, in order, and set up by then."""

from __future__ import annotations

from collections.abc import Iterator

from jobs.domain.calendar import Interval
from jobs.domain.policy import Reason, Refusal
from jobs.domain.rules.facts import Facts
from jobs.domain.rules.times import around, in_the_way, later_of
from jobs.domain.rules.values import Values


def booking_hidden(facts: Facts, values: Values) -> Iterator[Refusal]:
    """A node of one person books nothing."""
    del values
    if facts.booking_hidden:
        yield Refusal(Reason.BOOKING_HIDDEN)


def machine_retired(facts: Facts, values: Values) -> Iterator[Refusal]:
    """It is not in use any more."""
    del values
    if facts.machine_retired:
        yield Refusal(Reason.MACHINE_RETIRED)


def out_of_service(facts: Facts, values: Values) -> Iterator[Refusal]:
    """Somebody repairs it, or the lab is closed."""
    here = [one for one in facts.out if one.overlaps(facts.interval)]
    if here:
        ways = around(facts, values, facts.out)
        yield Refusal(
            Reason.OUT_OF_SERVICE,
            {"until": max(one.end for one in here).isoformat()},
            passes_at=later_of(ways),
            ways=ways,
        )


def taken(facts: Facts, values: Values) -> Iterator[Refusal]:
    """Somebody has it then."""
    if in_the_way(facts.taken, facts.start, facts.end):
        ways = around(facts, values, facts.taken)
        yield Refusal(Reason.TAKEN, passes_at=later_of(ways), ways=ways)


def set_up(facts: Facts, values: Values) -> Iterator[Refusal]:
    """Between two people the machine is tidied and set up; who goes on with it needs none."""
    if values.buffer_min is None:
        return
    kept = [
        Interval(one.start - values.buffer, one.end + values.buffer) for one in facts.neighbours
    ]
    # What lies in a claim itself is taken, which is another reason.
    if in_the_way(kept, facts.start, facts.end) is None:
        return
    if in_the_way(facts.neighbours, facts.start, facts.end) is not None:
        return
    ways = around(facts, values, kept)
    yield Refusal(
        Reason.SET_UP,
        {"length_min": values.buffer_min},
        passes_at=later_of(ways),
        overridable=True,
        ways=ways,
    )
