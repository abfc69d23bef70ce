"""Which waiting job starts where: whatever fits before the machine's next commitment, best first.

Pure and the same for the dispatcher, for the forecast that promises rest on, and for the bench.
Instants are seconds since 1970, so that a bench of years stays quick.
"""

from __future__ import annotations

import heapq
import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from jobs.domain.people import Role
from jobs.domain.priority import (
    NO_USE,
    Part,
    Use,
    Weights,
    changeover_part,
    deadline_part,
    night_part,
    role_part,
    share_part,
    total,
    waiting_part,
)
from jobs.domain.promise import Span

Setup = Mapping[str, str]  # place of a machine (`slot 0`, `plate`) → what is or should be there
ALWAYS: Final = ((-math.inf, math.inf),)
CHANGEOVER: Final = 600.0  # [s] a person takes to change a spool
_EPS: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Waiting:
    """A job that waits.

    :param spans: how long it takes on each machine that may take it, by slug.
    :param wants: what has to be loaded; nothing where it did not say.
    :param wants_at: the same on machines where its tools draw from other slots, by slug.
    :param after: jobs that have to be done before.
    :param must_end: machines on which it has to end before closing, by slug.
    :param planned: the machine's slug, and from when on: it starts nowhere else and not earlier.
    """

    id: str
    number: int
    person: str
    queued_at: float
    spans: Mapping[str, Span]
    role: Role = Role.MEMBER
    use: Use = NO_USE
    deadline_at: float | None = None
    wants: Setup = field(default_factory=dict)
    wants_at: Mapping[str, Setup] = field(default_factory=dict)
    after: frozenset[str] = frozenset()
    must_end: frozenset[str] = frozenset()
    planned: tuple[str, float] | None = None

    def setup(self, slug: str) -> Setup:
        """Return what has to be loaded on one machine."""
        return self.wants_at.get(slug, self.wants)


@dataclass(frozen=True, slots=True)
class Commitment:
    """Somebody's time on a machine, half-open; nobody's for an outage, a job's where planned."""

    start: float
    end: float
    person: str | None = None
    job: str | None = None


@dataclass(frozen=True, slots=True)
class Bay:
    """A machine as the queue sees it.

    :param free_at: when it is done with what it does now.
    :param has: what is loaded, as far as people said.
    :param commitments: in order, none of them a run.
    :param attended: stretches in which somebody may start and clear it, in order.
    :param kept_for: the only job that may start there, where a part of it stands on the bed.
    """

    slug: str
    free_at: float = -math.inf
    has: Setup = field(default_factory=dict)
    commitments: Sequence[Commitment] = ()
    attended: Sequence[tuple[float, float]] = ALWAYS
    kept_for: str | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """A job on a machine, with its priority there."""

    job: Waiting
    bay: Bay
    parts: Sequence[Part]
    changes: int

    @property
    def points(self) -> float:
        """The sum of its parts."""
        return total(self.parts)


def changes(wants: Setup, has: Setup) -> int:
    """Return how many things a person would have to change; what nobody spoke of is none.

    >>> changes({"slot 0": "pla", "plate": "pei"}, {"slot 0": "petg"})
    1
    """
    return sum(place in has and has[place] != what for place, what in wants.items())


def room(bay: Bay, person: str, now: float, job: str = "") -> float:
    """Return for how long a person's job may have the machine from now on [s].

    Their own booked time is theirs, and what is planned for the job itself; anybody else's, or
    an outage, ends the room.
    """
    for one in bay.commitments:
        is_own = person == one.person or (one.job is not None and one.job == job)
        if one.end > now and not is_own:
            return max(one.start - now, 0.0)
    return math.inf


def is_attended(bay: Bay, now: float) -> bool:
    """Tell whether somebody may start a machine now."""
    at = bisect_right(bay.attended, (now + _EPS, math.inf)) - 1
    return at >= 0 and now < bay.attended[at][1] - _EPS


def closes_in(bay: Bay, now: float) -> float:
    """Return how long somebody will still be there [s]; 0 if nobody is."""
    at = bisect_right(bay.attended, (now + _EPS, math.inf)) - 1
    return max(bay.attended[at][1] - now, 0.0) if at >= 0 else 0.0


def idle_after(bay: Bay, end: float) -> float:
    """Return how long a part that is done at *end* waits for somebody to take it off [s]."""
    at = bisect_right(bay.attended, (end, math.inf)) - 1
    if at >= 0 and end < bay.attended[at][1]:
        return 0.0
    if at + 1 < len(bay.attended):
        return bay.attended[at + 1][0] - end
    return 0.0  # beyond what is known of the calendar


def fits(job: Waiting, bay: Bay, now: float) -> bool:
    """Tell whether nine runs in ten would be done before the machine's next commitment."""
    span = job.spans.get(bay.slug)
    if span is None or bay.free_at > now + _EPS or bay.kept_for not in (None, job.id):
        return False
    change = CHANGEOVER if changes(job.setup(bay.slug), bay.has) else 0.0
    if job.planned is not None and (job.planned[0] != bay.slug or now < job.planned[1] - _EPS):
        return False
    limit = room(bay, job.person, now, job.id)
    if bay.slug in job.must_end:
        limit = min(limit, closes_in(bay, now))
    return limit > 0.0 and change + span.p90 <= limit + _EPS


def parts_of(job: Waiting, bay: Bay, now: float, weights: Weights) -> tuple[list[Part], int]:
    """Return every part of a job's priority on a machine, and how much is to be changed there."""
    span = job.spans[bay.slug]
    count = changes(job.setup(bay.slug), bay.has)
    begins = max(now, bay.free_at) + (CHANGEOVER if count else 0.0)
    slack = None if job.deadline_at is None else job.deadline_at - begins - span.p90
    parts = [
        waiting_part(now - job.queued_at, weights),
        share_part(job.use, weights),
        deadline_part(slack, weights),
        changeover_part(count, weights),
        night_part(idle_after(bay, begins + span.p50), weights),
        role_part(job.role, weights),
    ]
    return parts, count


def choices(
    jobs: Iterable[Waiting], bays: Sequence[Bay], now: float, weights: Weights
) -> Iterator[Choice]:
    """Yield every job on every machine where it could start now."""
    for job in jobs:
        if job.after:
            continue
        for bay in bays:
            if fits(job, bay, now):
                parts, count = parts_of(job, bay, now, weights)
                yield Choice(job, bay, parts, count)


def _order(choice: Choice) -> tuple[float, float, int, str]:
    # A total order: no two jobs have one number, no two machines one slug.
    return -choice.points, choice.job.queued_at, choice.job.number, choice.bay.slug


def choose(
    jobs: Iterable[Waiting], bays: Sequence[Bay], now: float, weights: Weights
) -> Choice | None:
    """Return which job starts where now; None if nothing fits anywhere."""
    return min(choices(jobs, bays, now, weights), key=_order, default=None)


def ranked(
    jobs: Iterable[Waiting], bays: Sequence[Bay], now: float, weights: Weights
) -> list[Choice]:
    """Return the queue in its order, each job at the machine that speaks best for it.

    Unlike `choose` it asks what a job is worth and not whether it could start this minute.
    """
    found: list[Choice] = []
    for job in jobs:
        each = [
            Choice(job, bay, *parts_of(job, bay, now, weights))
            for bay in bays
            if bay.slug in job.spans
        ]
        if each:
            found.append(min(each, key=_order))
    return sorted(found, key=_order)


@dataclass(frozen=True, slots=True)
class Foreseen:
    """When a waiting job will start and end, and where [s since 1970]."""

    slug: str
    start: float
    end: float


def forecast(
    jobs: Sequence[Waiting],
    bays: Sequence[Bay],
    now: float,
    weights: Weights,
    until: float,
    *,
    late: bool = False,
) -> Mapping[str, Foreseen]:
    """Play the queue forward; return the jobs that start before *until*.

    Starts only while somebody is there, changes spools as the order asks for, and lets new jobs
    come in behind. One step for each job, machine and commitment at most.

    :param late: every run takes its P90 and not its P50.
    """
    waiting = list(jobs)
    state = {bay.slug: bay for bay in bays}
    found: dict[str, Foreseen] = {}
    events = [now, *_instants(bays, now, until)]
    heapq.heapify(events)
    while events and waiting:
        at = heapq.heappop(events)
        if at > until:
            break
        while events and events[0] <= at + _EPS:
            heapq.heappop(events)
        while True:
            open_bays = [
                bay for bay in state.values() if bay.free_at <= at + _EPS and is_attended(bay, at)
            ]
            ready = (_without_done(job, found, at) for job in waiting)
            choice = choose(ready, open_bays, at, weights) if open_bays else None
            if choice is None:
                break
            job, bay = choice.job, choice.bay
            span = job.spans[bay.slug]
            start = at + (CHANGEOVER if choice.changes else 0.0)
            end = start + (span.p90 if late else span.p50)
            found[job.id] = Foreseen(bay.slug, start, end)
            ahead = bay.commitments
            if job.planned is not None:  # the run has taken the place of its plan
                ahead = [one for one in ahead if one.job != job.id]
            has = after_change(job.setup(bay.slug), bay.has)
            state[bay.slug] = replace(bay, free_at=end, has=has, commitments=ahead)
            waiting = [one for one in waiting if one.id != job.id]
            heapq.heappush(events, end)
    return found


def after_change(wants: Setup, has: Setup) -> Setup:
    """Return what is loaded once a job's wishes were met; a new spool's colour is not known."""
    known = dict(has)
    for place, what in wants.items():
        if known.get(place, what) != what:
            known.pop(place.replace("slot", "colour"), None)
        known[place] = what
    return known


def _instants(bays: Sequence[Bay], now: float, until: float) -> Iterator[float]:
    for bay in bays:
        yield max(bay.free_at, now)
        yield from (one.end for one in bay.commitments if now < one.end <= until)
        planned = (one.start for one in bay.commitments if one.job is not None)
        yield from (start for start in planned if now < start <= until)
        yield from (start for start, _ in bay.attended if now < start <= until)


def _without_done(job: Waiting, found: Mapping[str, Foreseen], at: float) -> Waiting:
    if not job.after:
        return job
    open_ = {one for one in job.after if one not in found or found[one].end > at + _EPS}
    return replace(job, after=frozenset(open_))
