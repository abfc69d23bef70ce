"""The promise: never below itself, deaf to a lone outlier, and kept nine times in ten."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.domain.promise import MOST_RUNS, Plan, Timed, left, promise

_SECONDS = st.floats(0.0, 1e5)
_PLANS = st.builds(Plan, _SECONDS, _SECONDS)
_RUNS = st.lists(
    st.builds(Timed, st.sampled_from(["", "a", "b"]), _PLANS, _SECONDS, _SECONDS), max_size=60
)


@given(_PLANS, _RUNS)
def test_nine_in_ten_is_never_sooner_than_one_in_two(plan: Plan, runs: list[Timed]) -> None:
    made = promise(plan, "a", runs)
    for span in (made.whole, made.start, made.work):
        assert 0.0 <= span.p50 <= span.p90 + 1e-9
    assert made.runs == min(len(runs), MOST_RUNS)


@given(_PLANS, _RUNS, st.integers(0, 59), st.floats(1.0, 4.0))
def test_a_slower_past_never_promises_less(
    plan: Plan, runs: list[Timed], which: int, slower: float
) -> None:
    """As long as the run stays one that counts."""
    if not runs:
        return
    one = runs[which % len(runs)]
    if not 0.2 * one.planned.work <= one.work <= 5.0 / slower * one.planned.work:
        return
    if not 0.2 <= (one.start + 30.0) / (one.planned.start + 30.0) <= 5.0 / slower:
        return
    later = [
        replace(each, start=each.start * slower, work=each.work * slower) if each is one else each
        for each in runs
    ]
    for slicer in ("a", "c"):
        before, after = promise(plan, slicer, runs), promise(plan, slicer, later)
        assert after.whole.p50 >= before.whole.p50 * (1.0 - 1e-9)
        assert after.work.p90 >= before.work.p90 * (1.0 - 1e-9)
        assert after.start.p90 >= before.start.p90 - 1e-6


@given(_PLANS, _RUNS, st.floats(1.0, 50.0))
def test_a_longer_plan_is_promised_longer(plan: Plan, runs: list[Timed], more: float) -> None:
    before = promise(plan, "a", runs)
    after = promise(Plan(plan.start, plan.work * more), "a", runs)
    assert after.whole.p50 >= before.whole.p50 * (1.0 - 1e-9)
    assert after.whole.p90 >= before.whole.p90 * (1.0 - 1e-9)


@pytest.mark.parametrize("count", [3, 8, 20, 40])
def test_a_lone_outlier_cannot_turn_the_promise(count: int) -> None:
    plan = Plan(120.0, 3600.0)
    steady = [Timed("a", plan, 130.0, 3650.0 + 5.0 * i) for i in range(count - 1)]
    usual = promise(plan, "a", [steady[0], *steady])
    for work in (1000.0, 17000.0, 1e9, 1.0):
        odd = promise(plan, "a", [Timed("a", plan, 130.0, work), *steady])
        assert odd.whole.p50 == pytest.approx(usual.whole.p50, rel=0.03)
        assert odd.whole.p90 <= usual.whole.p90 * 1.26


def test_few_runs_change_little_and_many_change_all() -> None:
    plan = Plan(0.0, 1000.0)
    slow = Timed("a", plan, 0.0, 1400.0)
    p50 = [promise(plan, "a", [slow] * count).whole.p50 for count in (0, 1, 5, 40)]
    assert p50 == sorted(p50)
    assert p50[1] < 1100.0
    assert p50[3] == pytest.approx(1400.0)


def test_what_other_makers_programs_took_counts_less_than_one_s_own() -> None:
    plan = Plan(0.0, 1000.0)
    others = [Timed("b", plan, 0.0, 1300.0)] * 20
    known = promise(plan, "a", others).whole.p50
    assert 1030.0 < known <= 1300.0
    own = [Timed("a", plan, 0.0, 1000.0)] * 15
    assert promise(plan, "a", [*own, *others]).whole.p50 == pytest.approx(1000.0, rel=0.01)


def _run(chance: random.Random, bias: float, spread: float) -> Timed:
    plan = Plan(chance.uniform(0.0, 400.0), chance.uniform(600.0, 20_000.0))
    start = plan.start * chance.lognormvariate(0.2, 0.2) + chance.uniform(0.0, 10.0)
    work = plan.work * bias * chance.lognormvariate(0.0, spread)
    if chance.random() < 0.02:
        work *= chance.choice([0.1, 3.0, 30.0])  # a wrong file, a forgotten override
    return Timed(chance.choice(["a", "a", "b"]), plan, start, work)


@pytest.mark.parametrize(("bias", "spread"), [(1.0, 0.01), (1.1, 0.03), (0.9, 0.05), (1.25, 0.1)])
def test_nine_of_ten_simulated_runs_end_within_their_p90(bias: float, spread: float) -> None:
    """Machines with a bias and a spread of their own, each promised from its own past only."""
    chance = random.Random(11)
    kept90 = kept50 = asked = 0
    for _ in range(25):
        past: list[Timed] = []
        for _ in range(60):
            now = _run(chance, bias, spread)
            if len(past) >= 12:
                made = promise(now.planned, now.slicer, past).whole
                asked += 1
                kept90 += now.start + now.work <= made.p90
                kept50 += now.start + now.work <= made.p50
            past.insert(0, now)
    assert 0.85 <= kept90 / asked <= 0.99
    assert 0.35 <= kept50 / asked <= 0.75


@given(_PLANS, _RUNS, st.floats(0.0, 1.0), st.floats(0.0, 1e5))
def test_what_is_left_shrinks_to_nothing(
    plan: Plan, runs: list[Timed], share: float, elapsed: float
) -> None:
    made = promise(plan, "a", runs)
    total = plan.start + plan.work
    rest = left(made, plan, share * total, elapsed)
    assert 0.0 <= rest.p50 <= rest.p90 + 1e-9
    assert rest.p90 <= made.whole.p90 + 1e-6
    # The sum of two parts is rounded: a hair of the last may be left.
    assert left(made, plan, total, elapsed).p90 <= 1e-6 * (1.0 + made.whole.p90)


def test_while_a_heater_is_waited_for_the_clock_counts() -> None:
    plan = Plan(300.0, 1000.0)
    made = promise(plan, "a", [])
    assert left(made, plan, 0.0, 100.0).p50 == pytest.approx(made.whole.p50 - 100.0)
    assert left(made, plan, 0.0, 9000.0).p50 == pytest.approx(made.work.p50)
