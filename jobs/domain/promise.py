"""How long a run will take, as a promise: what the planner says, corrected by finished runs.

A machine's start (heating, homing, start code) and its work after that err in different ways, so
each has a ratio of its own, actual to planned. Ratios of a machine's past runs are pooled with a
few invented ones, the prior, which count less with each real one; P50 and P90 are plain
quantiles of that pool, so that no single run can turn them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

# What planners err on machines nobody has timed: a slow link, a lower acceleration, a cold room.
WORK_PRIOR = (0.97, 1.00, 1.03, 1.08, 1.20)
START_PRIOR = (0.70, 0.90, 1.05, 1.40, 2.00)
# A planned start of nothing still takes its time; half a minute on both sides keeps ratios sane.
START_OFFSET = 30.0
MOST_RUNS = 40  # the newest; a machine ages
LONE = 1.25  # how far the outermost of a pool may stand off the next
_SANE = (0.2, 5.0)  # beyond it was no run as planned: overridden, misread, another machine


@dataclass(frozen=True, slots=True)
class Plan:
    """What the planner says [s].

    :param start: until the first move that makes something.
    :param work: from there to the end.
    """

    start: float
    work: float


@dataclass(frozen=True, slots=True)
class Timed:
    """A finished run that was planned, and how long it took without its pauses [s].

    :param slicer: who wrote the program; "" for nobody known.
    """

    slicer: str
    planned: Plan
    start: float
    work: float


@dataclass(frozen=True, slots=True)
class Span:
    """A time with an even chance of being enough, and one that nine runs in ten keep [s]."""

    p50: float
    p90: float


@dataclass(frozen=True, slots=True)
class Promise:
    """The span of a whole run.

    :param start: the part of it before the first working move.
    :param work: the rest.
    :param runs: finished runs on this machine that it rests on.
    """

    whole: Span
    start: Span
    work: Span
    runs: int


def promise(plan: Plan, slicer: str, history: Sequence[Timed]) -> Promise:
    """Return what may be promised of a run.

    :param history: finished runs on this very machine, the newest first.

    >>> whole = promise(Plan(0.0, 1000.0), "", []).whole
    >>> round(whole.p50), round(whole.p90)
    (1032, 1203)
    """
    known = history[:MOST_RUNS]
    start = _quantiles(_pool(START_PRIOR, [_start_ratio(one) for one in known]))
    others = [_work_ratio(one) for one in known if one.slicer != slicer]
    own = [_work_ratio(one) for one in known if one.slicer == slicer]
    work = _quantiles(_pool(_pool_as_prior(WORK_PRIOR, others), own))
    return _joined(
        Span(_started(plan.start, start.p50), _started(plan.start, start.p90)),
        Span(plan.work * work.p50, plan.work * work.p90),
        len(known),
    )


def left(made: Promise, plan: Plan, done: float, elapsed: float) -> Span:
    """Return what is left of a run.

    :param done: planned seconds that are behind it.
    :param elapsed: seconds since it began, its pauses left out.
    """
    if done >= plan.start:
        share = (plan.start + plan.work - done) / plan.work if plan.work > 0.0 else 0.0
        share = min(max(share, 0.0), 1.0)
        return Span(made.work.p50 * share, made.work.p90 * share)
    share = 1.0 - max(done, 0.0) / plan.start
    # While a heater is waited for, no line is taken: then the clock alone says how far it is.
    start = Span(
        max(min(made.start.p50 * share, made.start.p50 - elapsed), 0.0),
        max(min(made.start.p90 * share, made.start.p90 - elapsed), 0.0),
    )
    return _joined(start, made.work, made.runs).whole


def _joined(start: Span, work: Span, runs: int) -> Promise:
    # Both parts are rarely late together: their margins add as independent errors do.
    margin = math.hypot(start.p90 - start.p50, work.p90 - work.p50)
    p50 = start.p50 + work.p50
    return Promise(Span(p50, p50 + margin), start, work, runs)


def _started(planned: float, ratio: float) -> float:
    return max((planned + START_OFFSET) * ratio - START_OFFSET, 0.0)


def _start_ratio(one: Timed) -> float:
    return (one.start + START_OFFSET) / (one.planned.start + START_OFFSET)


def _work_ratio(one: Timed) -> float:
    return one.work / one.planned.work if one.planned.work > 0.0 else math.nan


def _pool(prior: Sequence[float], ratios: Sequence[float]) -> list[float]:
    """Return prior and ratios in order, the outermost drawn in to the next but one."""
    pool = sorted([*prior, *(one for one in ratios if _SANE[0] <= one <= _SANE[1])])
    return [max(pool[0], pool[1] / LONE), *pool[1:-1], min(pool[-1], pool[-2] * LONE)]


def _pool_as_prior(prior: Sequence[float], others: Sequence[float]) -> Sequence[float]:
    """Return what runs of other programs' makers say, with no more weight than the prior has."""
    if not others:
        return prior
    pool = _pool(prior, others)
    count = len(prior)
    return [quantile(pool, (index + 0.5) / count) for index in range(count)]


def _quantiles(pool: Sequence[float]) -> Span:
    return Span(quantile(pool, 0.5), quantile(pool, 0.9))


def quantile(ordered: Sequence[float], share: float) -> float:
    """Return the value that a share of future ones is expected to stay below.

    The k-th of n is expected to exceed k / (n + 1) of what comes next (Weibull).

    >>> quantile([1.0, 2.0, 3.0], 0.5), quantile([1.0, 2.0, 3.0], 0.9)
    (2.0, 3.0)
    """
    at = min(max(share * (len(ordered) + 1) - 1.0, 0.0), len(ordered) - 1.0)
    low = math.floor(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (at - low)
