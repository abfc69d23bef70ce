"""The policies of the bench. Ours is the very function that the dispatcher asks."""

from __future__ import annotations

from collections.abc import Sequence

from jobs.domain.backfill import CHANGEOVER, Bay, Waiting, changes, choose, fits, idle_after
from jobs.domain.priority import Weights
from tests.bench.scheduling.model import Policy

_Found = tuple[Waiting, Bay] | None
_LOOKS = 3  # first-fit with affinity: among how many that fit


def strict_fcfs(jobs: Sequence[Waiting], bays: Sequence[Bay], now: float) -> _Found:
    """The first in the queue starts, or nobody does."""
    return next(((jobs[0], bay) for bay in bays if fits(jobs[0], bay, now)), None)


def first_fit(jobs: Sequence[Waiting], bays: Sequence[Bay], now: float) -> _Found:
    """The first in the queue that fits anywhere."""
    return next(((job, bay) for job in jobs for bay in bays if fits(job, bay, now)), None)


def first_fit_affinity(jobs: Sequence[Waiting], bays: Sequence[Bay], now: float) -> _Found:
    """Of the first three that fit, one that needs no changeover, else the first."""
    first: tuple[Waiting, Bay] | None = None
    seen = 0
    for job in jobs:
        fitting = [bay for bay in bays if fits(job, bay, now)]
        if not fitting:
            continue
        same = next((bay for bay in fitting if not changes(job.wants, bay.has)), None)
        if same is not None:
            return job, same
        first = first or (job, fitting[0])
        seen += 1
        if seen == _LOOKS:
            break
    return first


def shortest_first(aging: float) -> Policy:
    """The shortest that fits; each hour of waiting makes a job *aging* hours shorter."""

    def policy(jobs: Sequence[Waiting], bays: Sequence[Bay], now: float) -> _Found:
        found = [
            (job.spans[bay.slug].p50 - aging * (now - job.queued_at), job.number, at)
            for job in jobs
            for at, bay in enumerate(bays)
            if fits(job, bay, now)
        ]
        if not found:
            return None
        _, number, at = min(found)
        return next(job for job in jobs if job.number == number), bays[at]

    return policy


def day_then_same(
    jobs: Sequence[Waiting], bays: Sequence[Bay], now: float
) -> tuple[Waiting, Bay] | None:
    """A simple rule in place of a sum: what is done while somebody is there, what needs no change.

    Only then who came first; nothing looks at how long anybody has waited.
    """

    def rank(job: Waiting, bay: Bay) -> tuple[bool, int, int, str]:
        change = changes(job.wants, bay.has)
        end = now + (CHANGEOVER if change else 0.0) + job.spans[bay.slug].p50
        return idle_after(bay, end) > 0.0, change, job.number, bay.slug

    found = [(rank(job, bay), job, bay) for job in jobs for bay in bays if fits(job, bay, now)]
    return min(found, key=lambda one: one[0])[1:] if found else None


def by_priority(weights: Weights) -> Policy:
    """What the dispatcher does, with a lab's weights."""

    def policy(jobs: Sequence[Waiting], bays: Sequence[Bay], now: float) -> _Found:
        found = choose(jobs, bays, now, weights)
        return (found.job, found.bay) if found else None

    return policy


POLICIES: dict[str, Policy] = {
    "strict-fcfs": strict_fcfs,
    "first-fit": first_fit,
    "first-fit+affinity": first_fit_affinity,
    "sjf": shortest_first(0.0),
    "sjf+aging": shortest_first(0.25),
    "sjf+strong-aging": shortest_first(1.0),
    "day-then-same": day_then_same,
    "ours": by_priority(Weights()),
    "ours-without-night": by_priority(Weights(night=0.0)),
    "ours-without-changeover": by_priority(Weights(changeover=0.0)),
}
