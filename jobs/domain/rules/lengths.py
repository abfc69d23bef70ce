"""Rules of a booking's own time: how long, how far ahead, not in the past."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from jobs.domain.calendar import round_up
from jobs.domain.policy import Reason, Refusal, Way, WayKind
from jobs.domain.rules.facts import Facts
from jobs.domain.rules.times import whole_minutes
from jobs.domain.rules.values import Values

GRACE: Final = timedelta(minutes=5)  # a form takes a while to fill in
STEP: Final = timedelta(minutes=15)


def in_the_past(facts: Facts, values: Values) -> Iterator[Refusal]:
    """Nobody books what is over."""
    del values
    if facts.start < facts.now - GRACE:
        start = round_up(facts.now, STEP, facts.zone)
        way = Way(WayKind.LATER, start, start + facts.length)
        yield Refusal(Reason.IN_THE_PAST, passes_at=start, ways=(way,))


def too_short(facts: Facts, values: Values) -> Iterator[Refusal]:
    """Coming and going take time of their own."""
    if facts.length < values.shortest:
        end = facts.start + min(values.shortest, values.longest)
        yield Refusal(
            Reason.TOO_SHORT,
            {"minutes": values.shortest_min},
            ways=(Way(WayKind.LONGER, facts.start, facts.start + values.shortest),)
            if end - facts.start >= values.shortest
            else (),
        )


def too_long(facts: Facts, values: Values) -> Iterator[Refusal]:
    """Others want a turn."""
    if facts.length > values.longest:
        yield Refusal(
            Reason.TOO_LONG,
            {"length_min": values.longest_min},
            overridable=True,
            ways=(Way(WayKind.SHORTER, facts.start, facts.start + values.longest),),
        )


def too_far_ahead(facts: Facts, values: Values) -> Iterator[Refusal]:
    """Who plans early must not take all there is."""
    horizon = values.horizon(facts.role)
    if facts.start <= facts.now + horizon:
        return
    asks_at = facts.start - horizon
    ahead = whole_minutes(facts.start - (facts.now + horizon))
    start = facts.start - ahead - timedelta(minutes=1)
    ways = [Way(WayKind.ASK_AGAIN, at=asks_at)]
    if start >= facts.now:
        ways.append(Way(WayKind.EARLIER, start, start + facts.length))
    yield Refusal(
        Reason.TOO_FAR_AHEAD,
        {"days": horizon.days},
        passes_at=asks_at,
        overridable=True,
        ways=tuple(ways),
    )
