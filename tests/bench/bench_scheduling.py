"""Who starts when: our order beside five others in one model of a workshop, seed by seed.

Run: python tests/bench/bench_scheduling.py [--seeds N] [--load L] [--quick | --tune]

Prints one JSON object. Every policy meets the same worlds. Intervals are 95 %, of Student's t
over the seeds; those of ratios are of the paired logarithms. The model is told in
`scheduling/model.py`; `aims` holds ours against what the bench is for. `--tune` shows what other
weights would do, on worlds that no reported figure comes from (seeds from 1000 on).
"""

from __future__ import annotations

import argparse
import json
import math
import random
import statistics
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from jobs.domain.priority import Weights
from tests.bench.scheduling.model import MEASURED, WARM_UP, Belief, Result, Workshop, world
from tests.bench.scheduling.policies import POLICIES, by_priority

# Student's t, two-sided 95 %, by degrees of freedom; beyond the table the next lower one.
_T = {1: 12.71, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 7: 2.365, 9: 2.262, 14: 2.145, 19: 2.093}
FACTORS = (0.5, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0)
TUNED_ON = range(1000, 1020)  # apart from the seeds that are reported
SENSITIVE = ("first-fit", "first-fit+affinity", "sjf+aging", "ours")


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Return mean and half width of its 95 % interval."""
    mean = statistics.fmean(values)
    if len(values) < 2:
        return mean, math.inf
    free = max(key for key in _T if key <= len(values) - 1)
    return mean, _T[free] * statistics.stdev(values) / math.sqrt(len(values))


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> dict[str, float]:
    """Return the geometric mean of paired ratios with its interval."""
    logs = [math.log(one / other) for one, other in zip(ours, theirs, strict=True)]
    mean, half = interval(logs)
    low, high = math.exp(mean - half), math.exp(mean + half)
    return {"ratio": round(math.exp(mean), 4), "low": round(low, 4), "high": round(high, 4)}


def row(results: Sequence[Result]) -> dict[str, object]:
    """Return one policy's line."""

    def told(value: Callable[[Result], float], digits: int) -> dict[str, float]:
        mean, half = interval([value(one) for one in results])
        return {"mean": round(mean, digits), "half_width": round(half, digits)}

    return {
        "mean_wait_h": told(lambda one: one.mean_wait, 3),
        "p95_wait_h": told(lambda one: one.p95_wait, 2),
        "longest_wait_h_median": round(statistics.median(one.longest_wait for one in results), 1),
        "changeovers_per_100_starts": told(lambda one: one.changeovers_per_100, 2),
        "served_of_offered": told(lambda one: one.served, 4),
        "bookings_displaced": told(lambda one: one.displaced, 4),
    }


def play(
    policy: str, seeds: Sequence[int], load: float, belief: Belief, *, learns: bool = False
) -> list[Result]:
    """Return what a policy made of each seed's world."""
    chosen = POLICIES[policy]
    return [Workshop(world(seed, load, belief), chosen, learns=learns).run() for seed in seeds]


def exactly(factor: float) -> Belief:
    """Every length is believed to be so many times what it is."""
    return lambda _chance: factor


def at_random(chance: random.Random) -> float:
    """Return a share between 0.5 and 3, each doubling as likely as the other."""
    return 0.5 * 6.0 ** chance.random()


def aims(found: dict[str, list[Result]]) -> dict[str, object]:
    """Hold ours against first-fit and the shortest first with aging."""
    ours, plain = found["ours"], found["first-fit"]
    longest = {
        name: statistics.median(one.longest_wait for one in found[name])
        for name in ("ours", "sjf+aging", "sjf+strong-aging")
    }
    wait = ratio([one.mean_wait for one in ours], [one.mean_wait for one in plain])
    change = ratio(
        [one.changeovers_per_100 for one in ours], [one.changeovers_per_100 for one in plain]
    )
    served = statistics.fmean(one.served for one in ours)
    return {
        "mean_wait_to_first_fit": wait,
        "changeovers_to_first_fit": change,
        "longest_wait_h_median": {name: round(value, 1) for name, value in longest.items()},
        "is_stationary": abs(served - 1.0) <= 0.01,
        "met": wait["high"] <= 0.9
        and change["high"] <= 0.75
        and longest["ours"] <= min(longest["sjf+aging"], longest["sjf+strong-aging"])
        and abs(served - 1.0) <= 0.01,
    }


def tune(load: float) -> dict[str, object]:
    """Return what each pair of weights does, on seeds that are reported nowhere."""
    worlds = [world(seed, load, exactly(1.0)) for seed in TUNED_ON]
    plain = [Workshop(each, POLICIES["first-fit"]).run() for each in worlds]
    told: dict[str, object] = {}
    for changeover in (3.0, 6.0, 10.0, 15.0, 20.0):
        for night in (0.5, 1.0, 2.0, 3.0, 5.0, 8.0):
            policy = by_priority(Weights(changeover=changeover, night=night))
            found = [Workshop(each, policy).run() for each in worlds]
            told[f"changeover {changeover:g}, night {night:g}"] = {
                "mean_wait_to_first_fit": ratio(
                    [one.mean_wait for one in found], [one.mean_wait for one in plain]
                )["ratio"],
                "changeovers_to_first_fit": ratio(
                    [one.changeovers_per_100 for one in found],
                    [one.changeovers_per_100 for one in plain],
                )["ratio"],
                "longest_wait_h_median": round(
                    statistics.median(one.longest_wait for one in found), 1
                ),
            }
    return told


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--load", type=float, default=0.50)
    parser.add_argument("--quick", action="store_true", help="leave the sensitivity out")
    parser.add_argument("--tune", action="store_true", help="hold weights against each other")
    args = parser.parse_args()
    if args.tune:
        told: dict[str, object] = {"bench": "scheduling", "seeds": [min(TUNED_ON), max(TUNED_ON)]}
        print(json.dumps({**told, "weights": tune(args.load)}, indent=1))
        return
    seeds = range(args.seeds)
    found = {name: play(name, seeds, args.load, exactly(1.0)) for name in POLICIES}
    told = {
        "bench": "scheduling",
        "load": args.load,
        "seeds": args.seeds,
        "warm_up_days": WARM_UP,
        "measured_days": MEASURED,
        "policies": {name: row(results) for name, results in found.items()},
        "aims": aims(found),
    }
    if not args.quick:
        told["believed_times_factor"] = {
            str(factor): {
                name: row(play(name, seeds, args.load, exactly(factor))) for name in SENSITIVE
            }
            for factor in FACTORS
        }
        told["believed_at_random_0.5_to_3"] = {
            name: row(play(name, seeds, args.load, at_random)) for name in SENSITIVE
        }
        few = seeds[: min(args.seeds, 5)]
        told["promised_from_finished_runs"] = {
            str(factor): {
                name: row(play(name, few, args.load, exactly(factor), learns=True))
                for name in ("first-fit", "ours")
            }
            for factor in (0.5, 1.0, 3.0)
        }
    print(json.dumps(told, indent=1))


if __name__ == "__main__":
    main()
