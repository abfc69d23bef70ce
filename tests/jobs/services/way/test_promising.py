"""A promise is kept with its run, learned from when it has finished, and checked."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobs.domain.policy import Reason
from jobs.domain.promise import Plan, promise
from jobs.store.tables import Attempt, Preflight, RunTime


def _say_start(house, job_id, start_s, lines, slicer="PrusaSlicer"):
    with house.workshop.database.write() as session:
        row = session.query(Preflight).filter_by(job_id=job_id).one()
        row.report = {"start_s": start_s, "start_lines": lines, "slicer": {"name": slicer}}


def _start(house, member, printer, add_waiting, *, start_s=60.0, **how):
    job_id = add_waiting(member, printer, **how)
    _say_start(house, job_id, start_s, 10)
    house.services.dispatch.arm(member, "ender", house.now)
    (run,) = house.services.dispatch.tick(house.now)
    house.services.runs.apply("ender", house.event(run, 1, "run_started"), house.now)
    return job_id, run


def _finish(house, run, seq=9):
    house.services.runs.apply("ender", house.event(run, seq, "finished", acked=100), house.now)


def _progress(house, run, acked):
    event = house.event(run, 0, "progress", acked=acked, sent=acked, source_line=acked)
    house.services.runs.apply("ender", event, house.now)


def _clear(house, member):
    house.services.dispatch.arm(member, "ender", house.now)
    house.services.dispatch.disarm(member, "ender", house.now)


def test_a_finished_run_is_kept_in_its_two_parts_without_its_pauses(
    house, add_waiting, printer, member
):
    _, run = _start(house, member, printer, add_waiting)
    house.later(seconds=90)
    _progress(house, run, 11)
    house.later(seconds=100)
    house.services.runs.apply("ender", house.event(run, 2, "paused"), house.now)
    house.later(hours=3)
    house.services.runs.apply("ender", house.event(run, 3, "resumed"), house.now)
    house.later(seconds=50)
    house.services.runs.apply("ender", house.event(run, 4, "prompted", text="?"), house.now)
    house.later(minutes=20)
    house.services.runs.apply("ender", house.event(run, 5, "replied", answer="ok"), house.now)
    house.later(seconds=450)
    _finish(house, run)
    row = house.row(RunTime, attempt_id=run)
    assert (row.start_ms, row.work_ms) == (90_000, 600_000)
    assert row.teaches
    made = promise(Plan(60.0, 540.0), "PrusaSlicer", [])
    assert row.p90_ms == round(made.whole.p90 * 1000)
    assert (row.slicer, row.runs) == ("PrusaSlicer", 0)


def test_each_finished_run_makes_the_next_promise_truer(house, add_waiting, printer, member):
    p50 = []
    for _ in range(6):
        job_id, run = _start(house, member, printer, add_waiting)
        p50.append(house.row(RunTime, attempt_id=run).p50_ms)
        assert house.row(RunTime, attempt_id=run).runs == len(p50) - 1
        house.later(seconds=60)
        _progress(house, run, 11)
        house.later(seconds=540 * 1.3)
        _finish(house, run)
        _clear(house, member)
    assert p50 == sorted(p50)
    assert p50[-1] > 1.1 * p50[0]
    (view,) = house.services.queue.get(job_id, house.now, member).attempts
    assert view.promise is not None
    assert view.promise.runs == 5
    found = house.services.machines.calibrations(["ender"])["ender"]
    assert found.runs == 6
    assert found.within_p90 < 6  # the first ones were promised too little
    waiting = add_waiting(member, printer)
    detail = house.services.queue.get(waiting, house.now, member)
    assert detail.job.promise is not None
    assert detail.job.promise.runs == 6
    assert detail.job.promise == detail.preflights[0].promise
    assert detail.job.promise.p50_s < detail.job.promise.p90_s


@pytest.mark.parametrize("end", ["failed", "cancelled", "stopped"])
def test_what_did_not_finish_teaches_nothing(house, add_waiting, printer, member, end):
    _, run = _start(house, member, printer, add_waiting)
    house.later(seconds=60)
    house.services.runs.apply("ender", house.event(run, 8, end), house.now)
    row = house.row(RunTime, attempt_id=run)
    assert (row.work_ms, row.teaches) == (None, False)
    assert house.services.machines.calibrations(["ender"])["ender"].share_within_p90 is None


def test_a_demo_teaches_nothing(house, add_waiting, printer, member):
    _, run = _start(house, member, printer, add_waiting, simulated=True)
    house.later(seconds=900)
    _finish(house, run)
    assert house.row(RunTime, attempt_id=run).work_ms is not None
    assert not house.row(RunTime, attempt_id=run).teaches


def test_a_slow_machine_s_job_no_longer_fits_before_a_booking(
    house, add_waiting, printer, member, other
):
    """The planner alone would have let it start."""
    for _ in range(4):
        _, run = _start(house, member, printer, add_waiting, start_s=0.0)
        house.later(seconds=600 * 1.6)
        _finish(house, run)
        _clear(house, member)
    job_id = add_waiting(member, printer)
    begin = house.now + timedelta(seconds=600 * 1.35)
    house.services.bookings.book(other, "ender", begin, begin + timedelta(hours=1), house.now)
    house.services.dispatch.arm(member, "ender", house.now)
    assert house.services.dispatch.tick(house.now) == []
    ((_, refusals),) = house.services.queue.get(job_id, house.now, member).waits_for
    assert [one.reason for one in refusals] == [Reason.NO_ROOM_BEFORE]


def test_while_it_heats_the_clock_takes_from_what_is_left(house, add_waiting, printer, member):
    _start(house, member, printer, add_waiting, start_s=200.0)
    before = house.services.queue.list(house.now, member)[0].run
    after = house.services.queue.list(house.later(seconds=60), member)[0].run
    assert before is not None
    assert after is not None
    assert before.remaining_s - after.remaining_s == pytest.approx(60.0, abs=0.1)
    assert after.remaining_p90_s > after.remaining_s
    assert after.rests_on_runs == 0
    run = after.attempt_id
    house.services.runs.apply("ender", house.event(run, 2, "paused"), house.now)
    paused = house.services.queue.list(house.later(hours=1), member)[0].run
    assert paused.remaining_s == pytest.approx(after.remaining_s, abs=0.1)
    assert len(house.rows(Attempt)) == 1
