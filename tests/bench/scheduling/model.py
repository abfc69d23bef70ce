"""A workshop made stationary: four equal printers, bookings, attended hours, three materials.

The shape is that of the toy model this house began with: log-normal prints (median 2.5 h,
sigma 0.9, cap 20 h), one booking of 2 h per printer and day, starts from 9 to 21 h, 3 materials,
10 min for a changeover. Here jobs come as a Poisson stream at a load of half of all machine
time, the first 30 days are not measured, and a booking is known from the beginning.

Two things are the model's own and are the same for every policy: a run that is later than was
believed goes on (a fact), and the booking that it runs into is displaced; and what still waits
at the end counts with the time it has waited so far.
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from jobs.domain.backfill import CHANGEOVER, Bay, Commitment, Waiting, after_change, changes
from jobs.domain.promise import Plan, Span, Timed, promise

HOUR = 3600.0
DAY = 24 * HOUR
MACHINES = 4
OPENS, CLOSES = 9 * HOUR, 21 * HOUR
BOOKED = 2 * HOUR
MEDIAN, SIGMA, CAP = 2.5 * HOUR, 0.9, 20 * HOUR
MATERIALS = ("pla", "petg", "abs")
WARM_UP, MEASURED = 30, 120  # days
_AHEAD = 12  # commitments of a machine that a policy is shown
_EPS = 1e-6

Policy = Callable[[Sequence[Waiting], Sequence[Bay], float], tuple[Waiting, Bay] | None]
Belief = Callable[[random.Random], float]  # the share of a run's true length that is believed


def mean_length() -> float:
    """Return the mean length of a print [s]: of the capped log-normal, in closed form."""
    mu, top = math.log(MEDIAN), math.log(CAP)
    below = _normal((top - mu - SIGMA**2) / SIGMA)
    return math.exp(mu + SIGMA**2 / 2) * below + CAP * (1 - _normal((top - mu) / SIGMA))


def _normal(z: float) -> float:
    return 0.5 * (1.0 + math.erf(z / math.sqrt(2.0)))


@dataclass(frozen=True, slots=True)
class Print:
    """One job as it is: when it comes, how long it takes, what it needs."""

    number: int
    at: float
    length: float
    material: str
    believed: float


@dataclass(frozen=True, slots=True)
class World:
    """Everything that chance decides, so that every policy meets the same."""

    prints: Sequence[Print]
    bookings: Sequence[Sequence[Commitment]]
    attended: Sequence[tuple[float, float]]
    days: int


def world(seed: int, load: float, belief: Belief, days: int = WARM_UP + MEASURED) -> World:
    """Return the world of one seed; what is believed of lengths changes nothing else in it."""
    chance, doubts = random.Random(seed), random.Random(seed + 1_000_003)
    rate = load * MACHINES / mean_length()
    prints: list[Print] = []
    at = chance.expovariate(rate)
    while at < days * DAY:
        length = min(MEDIAN * math.exp(chance.gauss(0.0, SIGMA)), CAP)
        material = chance.choice(MATERIALS)
        prints.append(Print(len(prints), at, length, material, length * belief(doubts)))
        at += chance.expovariate(rate)
    bookings = [
        [
            Commitment(start, start + BOOKED, "booker")
            for start in (
                day * DAY + OPENS + 900.0 * chance.randrange(0, 41) for day in range(days + 10)
            )
        ]
        for _ in range(MACHINES)
    ]
    attended = [(day * DAY + OPENS, day * DAY + CLOSES) for day in range(days + 10)]
    return World(prints, bookings, attended, days)


@dataclass(frozen=True, slots=True)
class Result:
    """What one policy made of one world, after the warm-up; waits in h."""

    mean_wait: float
    p95_wait: float
    longest_wait: float
    changeovers: int
    started: int
    waiting: int
    served: float  # of what was offered
    displaced: float  # of all bookings

    @property
    def changeovers_per_100(self) -> float:
        """Changeovers for 100 starts."""
        return 100.0 * self.changeovers / max(self.started, 1)


class Workshop:
    """One run of the model.

    :param learns: promises are made as the node makes them: from a machine's finished runs.
    """

    def __init__(self, made: World, policy: Policy, *, learns: bool = False) -> None:
        self._world = made
        self._policy = policy
        self._learns = learns
        slugs = [f"m{number}" for number in range(MACHINES)]
        self._bays = {slug: Bay(slug, 0.0, {}, (), made.attended) for slug in slugs}
        self._next = dict.fromkeys(slugs, 0)  # booking of each machine
        self._bookings = dict(zip(slugs, made.bookings, strict=True))
        self._history: dict[str, list[Timed]] = {slug: [] for slug in slugs}
        self._waiting: list[Waiting] = []
        self._waits: list[float] = []
        self._begin, self._end = WARM_UP * DAY, made.days * DAY
        self._changeovers = self._displaced = 0
        self._served = 0.0

    def run(self) -> Result:
        """Play the whole time and return what came of it."""
        events: list[tuple[float, int]] = [(one.at, one.number) for one in self._world.prints]
        events += [(start, -1) for start, _ in self._world.attended]
        events += [(one.end, -1) for each in self._bookings.values() for one in each]
        heapq.heapify(events)
        while events and events[0][0] <= self._end:
            now = events[0][0]
            while events and events[0][0] <= now + _EPS:
                _, number = heapq.heappop(events)
                if number >= 0:
                    self._waiting.append(self._asked(self._world.prints[number]))
            if OPENS - _EPS <= now % DAY < CLOSES:
                for end in self._start_all(now):
                    heapq.heappush(events, (end, -1))
        return self._result()

    def _start_all(self, now: float) -> list[float]:
        ends: list[float] = []
        while self._waiting:
            bays = [bay for bay in map(self._shown, self._bays, [now] * MACHINES) if bay]
            if not bays:
                break
            jobs = [self._learned(one) for one in self._waiting] if self._learns else self._waiting
            chosen = self._policy(jobs, bays, now)
            if chosen is None:
                break
            ends.append(self._start(*chosen, now))
        return ends

    def _shown(self, slug: str, now: float) -> Bay | None:
        """Return a machine that is free now, with the bookings that lie ahead."""
        bookings, at = self._bookings[slug], self._next[slug]
        while bookings[at].end <= now + _EPS:
            at += 1
        self._next[slug] = at
        bay = self._bays[slug]
        if bay.free_at > now + _EPS or bookings[at].start <= now + _EPS:
            return None
        return replace(bay, commitments=bookings[at : at + _AHEAD])

    def _start(self, job: Waiting, bay: Bay, now: float) -> float:
        real = self._world.prints[job.number]
        changed = changes(job.wants, bay.has)
        end = now + (CHANGEOVER if changed else 0.0) + real.length
        slug, is_measured = bay.slug, now >= self._begin
        at, bookings = self._next[slug], self._bookings[slug]
        while bookings[at].start < end - _EPS:
            self._displaced += self._begin <= bookings[at].start < self._end
            at += 1
        self._next[slug] = at
        self._bays[slug] = replace(
            self._bays[slug], free_at=end, has=after_change(job.wants, bay.has)
        )
        self._waiting = [one for one in self._waiting if one.number != job.number]
        if is_measured and changed:
            self._changeovers += 1
        if job.queued_at >= self._begin:
            self._waits.append(now - job.queued_at)
        self._served += max(min(end, self._end) - max(end - real.length, self._begin), 0.0)
        timed = Timed("", Plan(0.0, real.believed), 0.0, real.length)
        self._history[slug] = [timed, *self._history[slug][:39]]
        return end

    def _asked(self, one: Print) -> Waiting:
        spans = {slug: Span(one.believed, one.believed) for slug in self._bays}
        wants = {"slot 0": one.material}
        return Waiting(str(one.number), one.number, "", one.at, spans, wants=wants)

    def _learned(self, job: Waiting) -> Waiting:
        plan = Plan(0.0, self._world.prints[job.number].believed)
        spans = {slug: promise(plan, "", runs).whole for slug, runs in self._history.items()}
        return replace(job, spans=spans)

    def _result(self) -> Result:
        prints = self._world.prints
        left = [self._end - one.queued_at for one in self._waiting if one.queued_at >= self._begin]
        waits = sorted(one / HOUR for one in [*self._waits, *left])
        offered = sum(one.length for one in prints if one.at >= self._begin)
        bookings = MACHINES * (self._world.days - WARM_UP)
        return Result(
            sum(waits) / len(waits),
            waits[int(0.95 * len(waits))],
            waits[-1],
            self._changeovers,
            len(self._waits),
            len(left),
            self._served / offered,
            self._displaced / bookings,
        )
