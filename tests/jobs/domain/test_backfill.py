"""Which job starts where: nothing that does not fit, one order, and nobody overtaken for good."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from jobs.domain.backfill import (
    ALWAYS,
    CHANGEOVER,
    Bay,
    Commitment,
    Waiting,
    after_change,
    changes,
    choices,
    choose,
    fits,
    forecast,
    idle_after,
    ranked,
    room,
)
from jobs.domain.priority import HOUR, PartName, Use, Weights
from jobs.domain.promise import Span

W = Weights()
DAY = 24 * HOUR


def job(number, hours=1.0, *, at=0.0, slugs=("a",), person="mia", **more):
    spans = {slug: Span(hours * HOUR, hours * HOUR * 1.2) for slug in slugs}
    return Waiting(f"j{number}", number, person, at, spans, **more)


def test_a_job_starts_only_where_its_p90_fits_before_the_next_commitment():
    bay = Bay("a", commitments=[Commitment(1.1 * HOUR, 2 * HOUR, "noor")])
    assert not fits(job(1, 1.0), bay, 0.0)
    assert fits(job(1, 0.9), bay, 0.0)


def test_ones_own_booked_time_is_ones_own_and_an_outage_is_nobodys():
    own = Bay("a", commitments=[Commitment(0.0, HOUR, "mia"), Commitment(9 * HOUR, DAY, "noor")])
    assert room(own, "mia", 0.0) == 9 * HOUR
    assert room(own, "noor", 0.0) == 0.0
    assert room(Bay("a", commitments=[Commitment(HOUR, DAY)]), "mia", 0.0) == HOUR
    assert room(Bay("a"), "mia", 0.0) == math.inf


def test_what_is_to_be_changed_takes_its_time_too():
    bay = Bay("a", has={"slot 0": "petg"}, commitments=[Commitment(1.2 * HOUR, DAY, "noor")])
    assert fits(job(1, 1.0), bay, 0.0)
    assert not fits(job(1, 1.0, wants={"slot 0": "pla"}), bay, 0.0)


def test_a_job_that_must_end_before_closing_waits_for_a_day_with_room():
    bay = Bay("a", attended=[(0.0, HOUR), (DAY, DAY + 10 * HOUR)])
    short, long = job(1, 0.5, must_end=frozenset("a")), job(2, 2.0, must_end=frozenset("a"))
    assert (fits(short, bay, 0.0), fits(long, bay, 0.0), fits(long, bay, DAY)) == (
        True, False, True,
    )  # fmt: skip
    assert fits(job(3, 2.0), bay, 0.0)


def test_a_bed_with_a_part_on_it_is_kept_for_its_job():
    assert not fits(job(1), Bay("a", kept_for="j2"), 0.0)
    assert fits(job(2), Bay("a", kept_for="j2"), 0.0)


def test_a_job_waits_for_those_that_come_before_it():
    waits = job(1, after=frozenset({"j9"}))
    assert choose([waits], [Bay("a")], 0.0, W) is None


def test_a_part_that_is_done_at_night_costs_until_the_morning():
    bay = Bay("a", attended=[(9 * HOUR, 21 * HOUR), (33 * HOUR, 45 * HOUR)])
    assert idle_after(bay, 20 * HOUR) == 0.0
    assert idle_after(bay, 23 * HOUR) == 10 * HOUR
    assert idle_after(bay, 46 * HOUR) == 0.0


def test_in_the_evening_the_long_print_goes_first_and_in_the_morning_the_short_one():
    bay = Bay("a", attended=[(day * DAY + 9 * HOUR, day * DAY + 21 * HOUR) for day in range(3)])
    long, short = job(1, 11.0), job(2, 2.0)
    evening, morning = 20.5 * HOUR, 10.5 * HOUR
    assert [one.job.number for one in ranked([short, long], [bay], evening, W)] == [1, 2]
    assert [one.job.number for one in ranked([long, short], [bay], morning, W)] == [2, 1]


def test_a_colour_is_unknown_once_another_material_is_in():
    has = {"slot 0": "pla", "colour 0": "red", "plate": "pei"}
    assert after_change({"slot 0": "petg"}, has) == {"slot 0": "petg", "plate": "pei"}
    assert changes({"slot 0": "PLA", "nozzle 0": "0.4"}, {"slot 0": "petg"}) == 1


def test_the_forecast_follows_the_order_and_waits_for_the_morning():
    bay = Bay("a", attended=[(0.0, 2 * HOUR), (DAY, DAY + 10 * HOUR)])
    jobs = [job(1, 3.0, at=-2.0), job(2, 1.0, at=-1.0)]
    weights = Weights(night=0.0)
    found = forecast(jobs, [bay], 0.0, weights, 7 * DAY)
    assert (found["j1"].start, found["j1"].end) == (0.0, 3 * HOUR)
    assert (found["j2"].start, found["j2"].end) == (DAY, DAY + HOUR)
    late = forecast(jobs, [bay], 0.0, weights, 7 * DAY, late=True)
    assert late["j1"].end == 3.6 * HOUR


def test_the_forecast_changes_spools_and_lets_what_depends_wait():
    bay = Bay("a", has={"slot 0": "petg"})
    first = job(1, 1.0, wants={"slot 0": "pla"})
    then = job(2, 1.0, wants={"slot 0": "pla"}, after=frozenset({"j1"}))
    found = forecast([then, first], [bay], 0.0, W, 7 * DAY)
    assert found["j1"].start == CHANGEOVER
    assert found["j2"].start == CHANGEOVER + HOUR


def test_what_fits_nowhere_is_promised_nothing():
    bay = Bay("a", commitments=[Commitment(day * DAY, day * DAY + HOUR) for day in range(30)])
    assert forecast([job(1, 40.0)], [bay], 0.5 * DAY, W, 14 * DAY) == {}


points = st.floats(0.0, 400.0)
jobs_of = st.lists(
    st.builds(
        job,
        st.integers(0, 10**6),
        st.floats(0.01, 40.0),
        at=st.floats(-1e6, 0.0),
        slugs=st.sets(st.sampled_from("abc"), min_size=1).map(tuple),
        person=st.sampled_from(["mia", "noor"]),
        use=st.floats(0.0, 1.0).map(lambda factor: Use(0.0, 0.0, factor)),
        deadline_at=st.none() | st.floats(-1e5, 1e6),
        wants=st.dictionaries(st.sampled_from(["slot 0", "plate"]), st.sampled_from("xy")),
        must_end=st.frozensets(st.sampled_from("abc")),
    ),
    max_size=8,
    unique_by=lambda one: one.number,
)
times = st.lists(st.floats(-1e5, 3e5), max_size=6, unique=True).map(sorted)
pairs = times.map(lambda ends: list(zip(ends[::2], ends[1::2], strict=False)))
bays_of = st.lists(
    st.builds(
        Bay,
        st.sampled_from("abc"),
        st.floats(-1e5, 1e5),
        st.dictionaries(st.sampled_from(["slot 0", "plate"]), st.sampled_from("xy")),
        pairs.map(lambda found: [Commitment(*one, "noor") for one in found]),
        st.just(ALWAYS) | pairs,
    ),
    max_size=3,
    unique_by=lambda bay: bay.slug,
)


@given(jobs_of, bays_of, st.floats(0, 1e5))
def test_no_job_starts_that_does_not_fit(jobs, bays, now):
    found = choose(jobs, bays, now, W)
    if found is None:
        assert not [one for one in jobs for bay in bays if fits(one, bay, now)]
        return
    chosen, bay = found.job, found.bay
    end = now + chosen.spans[bay.slug].p90
    assert bay.free_at <= now + 1e-3
    for one in bay.commitments:
        taken = one.start < end - 1e-3 and one.end > now
        assert not taken or one.person == chosen.person
    if bay.slug in chosen.must_end:
        assert any(start <= now + 1e-3 and end <= stop + 1e-3 for start, stop in bay.attended)


@given(jobs_of, bays_of, st.floats(0, 1e5), st.randoms(use_true_random=False))
def test_the_order_is_total_and_each_place_is_the_sum_of_its_parts(jobs, bays, now, chance):
    order = ranked(jobs, bays, now, W)
    mixed = list(jobs)
    chance.shuffle(mixed)
    assert [one.job.number for one in ranked(mixed, bays, now, W)] == [
        one.job.number for one in order
    ]
    for one in order:
        assert [part.name for part in one.parts] == list(PartName)
        assert math.isclose(one.points, math.fsum(part.points for part in one.parts), abs_tol=1e-6)
    assert all(one.points >= then.points for one, then in pairwise(order))
    first = choose(mixed, bays, now, W)
    assert (first and first.job.number) == (
        c.job.number if (c := choose(jobs, bays, now, W)) else None
    )


@given(jobs_of, bays_of, st.floats(0, 1e5), st.floats(1e-3, 1e5), st.floats(0, 1e6))
def test_a_place_never_falls_behind_a_later_equal_job(jobs, bays, now, later, passed):
    if not jobs or jobs[0].after:
        return
    first = jobs[0]
    twin = replace(first, id="twin", number=first.number + 10**7, queued_at=first.queued_at + later)
    for at in (now, now + passed):
        order = [one.job.id for one in ranked([*jobs, twin], bays, at, W)]
        if first.id in order:
            assert order.index(first.id) < order.index("twin")
        found = {one.job.id for one in choices([*jobs, twin], bays, at, W)}
        assert (first.id in found) == ("twin" in found)
        assert (best := choose([*jobs, twin], bays, at, W)) is None or best.job.id != "twin"


@given(jobs_of, bays_of, st.floats(0, 1e5))
def test_what_is_foreseen_could_be_so(jobs, bays, now):
    found = forecast(jobs, bays, now, W, now + 14 * DAY)
    by_bay: dict[str, list[tuple[float, float]]] = {}
    for one in found.values():
        by_bay.setdefault(one.slug, []).append((one.start, one.end))
    for stretches in by_bay.values():
        stretches.sort()
        assert all(a[1] <= b[0] + 1e-3 for a, b in pairwise(stretches))
    assert all(now - 1e-3 <= one.start <= one.end for one in found.values())


def test_what_is_planned_starts_at_its_time_on_its_machine_and_nothing_else_does() -> None:
    plan = [Commitment(4 * HOUR, 6 * HOUR, job="b")]
    bays = [Bay("a", commitments=plan), Bay("c", free_at=DAY)]
    spans = {"a": Span(HOUR, 2 * HOUR), "c": Span(HOUR, 2 * HOUR)}
    planned = Waiting("b", 2, "mia", 0.0, spans, planned=("a", 4 * HOUR))
    other = Waiting("d", 1, "mia", 0.0, {"a": Span(3 * HOUR, 5 * HOUR)})
    found = forecast([planned, other], bays, 0.0, Weights(), 3 * DAY)
    assert (found["b"].slug, found["b"].start) == ("a", 4 * HOUR)
    assert found["d"].start == 5 * HOUR
