"""What hosts tell becomes the books: once each, whole or not at all."""

from __future__ import annotations

import json
import shutil
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from jobs.domain.errors import JobsError
from jobs.domain.job import (
    ATTEMPT_STEPS,
    JOB_STEPS,
    AttemptState,
    JobState,
    StepName,
    StepState,
)
from jobs.domain.promise import Plan, promise
from jobs.services import outbox
from jobs.services.live import LiveState
from jobs.services.steps import step_job
from jobs.store.database import Database
from jobs.store.tables import (
    Allocation,
    Attempt,
    Job,
    JobStep,
    Machine,
    Record,
    UsageEvent,
)

DONE = {"acked": 100, "sent": 100, "total": 100, "source_line": 140, "resends": 2}


def test_a_finished_job_leaves_exactly_one_of_everything(house, running):
    job_id, run = running
    house.services.runs.apply("ender", house.event(run, 1, "run_started"), house.now)
    began = house.now
    end = house.later(minutes=9)
    house.services.runs.apply("ender", house.event(run, 2, "finished", **DONE), house.now)
    job, attempt = house.job(job_id), house.attempt(job_id)
    assert (job.state, job.ended_at) == (JobState.DONE, end)
    assert (attempt.state, attempt.ended_at, attempt.machine_ms) == ("finished", end, 540_000)
    assert (attempt.acked, attempt.source_line, attempt.resends) == (100, 140, 2)
    assert house.row(UsageEvent, attempt_id=run).end_at == end
    allocation = house.row(Allocation, attempt_id=run)
    assert (allocation.state, allocation.end_at) == ("ended", end)
    assert house.row(Machine, slug="ender").to_check_since == end
    assert house.said() == ["job.started", "job.finished", "usage.recorded", "material.consumed"]
    record = house.row(Record)
    body = json.loads(record.body)
    assert (record.attempt_id, body["result"]) == (run, "finished")
    assert began < end
    assert house.services.ledger.verify().ok


def test_the_steps_of_a_finished_job_are_done_but_for_the_announcing(house, running):
    job_id, run = running
    house.services.runs.apply("ender", house.event(run, 1, "finished", **DONE), house.now)
    steps = {row.name: row.state for row in house.rows(JobStep, job_id=job_id)}
    for name in (StepName.QUEUE, StepName.DISPATCH, StepName.STREAM, StepName.RECORD):
        assert steps[name] == StepState.DONE
    assert steps[StepName.ANNOUNCE] == StepState.RUNNING
    ids = [pending.id for pending in house.services.outbox.pending()]
    house.services.outbox.acked(ids, house.now)
    (step,) = house.rows(JobStep, job_id=job_id, name="announce")
    assert step.state == StepState.DONE


@pytest.mark.parametrize(
    ("kind", "attempt", "job", "hold", "word", "told"),
    [
        ("finished", "finished", "done", None, "job.finished", ["job-done"]),
        ("cancelled", "cancelled", "cancelled", None, "job.cancelled", []),
        ("failed", "failed", "failed", None, "job.failed", ["job-failed"]),
        ("stopped", "failed", "failed", None, "job.failed", ["job-failed"]),
        (
            "interrupted",
            "interrupted",
            "held",
            "interrupted",
            "job.interrupted",
            ["job-interrupted"],
        ),
    ],
)
def test_each_end_has_its_states_and_its_word(
    house, running, member, kind, attempt, job, hold, word, told
):
    job_id, run = running
    for _ in range(2):
        house.services.runs.apply("ender", house.event(run, 3, kind), house.now)
    row = house.job(job_id)
    notices = house.services.notices.list(member)
    assert [one.code for one in notices] == told, "and a cancel was a person's own word"
    assert {one.about for one in notices} <= {f"job:{job_id}"}
    assert (house.attempt(job_id).state, row.state, row.hold_reason) == (attempt, job, hold)
    assert word in house.said()
    assert len(house.rows(Record)) == 1


def test_an_event_applied_twice_changes_nothing(house, running):
    job_id, run = running
    events = [
        house.event(run, 1, "run_started"),
        house.event(run, 2, "paused"),
        house.event(run, 3, "resumed"),
        house.event(run, 4, "finished", **DONE),
    ]
    states = []
    for event in events:
        for _ in range(3):
            house.services.runs.apply("ender", event, house.later(seconds=1))
            states.append(house.attempt(job_id).state)
    assert states == ["running"] * 3 + ["paused"] * 3 + ["running"] * 3 + ["finished"] * 3
    before = house.said()
    for event in events:
        house.services.runs.apply("ender", event, house.now)
    assert house.said() == before
    assert len(house.rows(Record)) == 1


def test_an_old_event_after_a_newer_one_is_dropped(house, running):
    job_id, run = running
    house.services.runs.apply("ender", house.event(run, 5, "resumed"), house.now)
    house.services.runs.apply("ender", house.event(run, 4, "paused"), house.now)
    assert house.attempt(job_id).state == AttemptState.RUNNING


def test_events_of_other_runs_and_other_machines_are_not_ours(house, running, mill):
    job_id, run = running
    house.services.runs.apply("ender", house.event("somebody", 1, "finished"), house.now)
    house.services.runs.apply("router", house.event(run, 1, "finished"), house.now)
    house.services.runs.apply("ender", house.event(run, 9, "sang"), house.now)
    assert house.job(job_id).state == JobState.RUNNING


def test_an_interrupted_job_is_held_and_no_tick_ever_restarts_it(house, running, member, gateway):
    job_id, run = running
    event = house.event(run, 2, "interrupted", acked=40, sent=44, source_line=60, reason="x")
    house.services.runs.apply("ender", event, house.now)
    attempt = house.attempt(job_id)
    assert (attempt.acked, attempt.sent, attempt.source_line) == (40, 44, 60)
    for _ in range(5):
        house.services.dispatch.arm(member, "ender", house.later(minutes=1))
        assert house.services.dispatch.tick(house.now) == []
    assert len(house.rows(Attempt)) == 1
    house.services.queue.release(member, job_id, house.now)
    assert len(house.services.dispatch.tick(house.now)) == 1  # a person said so


def test_what_was_not_made_consumes_its_share_of_planned_time(house, running):
    job_id, run = running
    event = house.event(run, 2, "failed", acked=25, sent=30, reason="thermal")
    house.services.runs.apply("ender", event, house.now)
    body = json.loads(house.row(Record).body)
    (consumed,) = [one for one in body["events"] if one["action"] == "consume"]
    assert (consumed["mass_mg"], consumed["length_um"]) == (3000, 1_000_000)
    assert {"action": "produce", "what": "waste", "mass_mg": 3000} in body["events"]
    assert house.attempt(job_id).reason == "thermal"


def test_progress_only_grows(house, running):
    job_id, run = running
    for acked in (10, 30, 20):
        event = house.event(run, 0, "progress", acked=acked, sent=acked, source_line=acked)
        house.services.runs.apply("ender", event, house.now)
    assert house.attempt(job_id).acked == 30


def test_a_host_that_does_not_know_the_run_has_lost_it(house, running):
    job_id, _ = running
    house.services.runs.reattached("ender", None, house.now)
    attempt, job = house.attempt(job_id), house.job(job_id)
    assert (attempt.state, attempt.reason) == ("interrupted", "host-lost")
    assert (job.state, job.hold_reason) == ("held", "interrupted")


def test_a_host_that_works_on_the_run_goes_on(house, running):
    job_id, run = running
    house.services.runs.reattached("ender", run, house.now)
    assert house.job(job_id).state == JobState.RUNNING


def test_a_start_on_its_way_is_not_taken_for_lost(house, add_waiting, printer, member, gateway):
    """The supervisor reconnects while the program is still being carried over."""
    job_id = add_waiting(member, printer)
    house.services.dispatch.arm(member, "ender", house.now)
    plain = gateway.start

    def start(slug, order):
        house.services.runs.reattached("ender", None, house.now)
        return plain(slug, order)

    gateway.start = start
    assert len(house.services.dispatch.tick(house.now)) == 1
    assert house.attempt(job_id).state == AttemptState.RUNNING


def test_an_end_that_comes_before_the_hosts_answer_stands(
    house, add_waiting, printer, member, gateway
):
    job_id = add_waiting(member, printer)
    house.services.dispatch.arm(member, "ender", house.now)
    plain = gateway.start

    def start(slug, order):
        house.services.runs.apply("ender", house.event(order.run, 2, "finished"), house.now)
        return plain(slug, order)

    gateway.start = start
    house.services.dispatch.tick(house.now)
    assert house.job(job_id).state == JobState.DONE
    assert house.said()[:2] == ["job.started", "job.finished"]


def test_an_overrun_displaces_and_never_fails(house, running, other):
    job_id, run = running
    allocation = house.row(Allocation, attempt_id=run)
    start = allocation.end_at + timedelta(minutes=2)
    booked = house.services.bookings.book(
        other, "ender", start, start + timedelta(hours=1), house.now
    )
    house.now = allocation.end_at
    assert house.services.runs.overruns(house.now) == [run]
    assert house.row(Allocation, attempt_id=run).end_at > house.now
    assert house.row(Allocation, id=booked.id).state == "displaced"
    assert "reservation.displaced" in house.said()
    assert house.job(job_id).state == JobState.RUNNING
    assert house.services.runs.overruns(house.now) == []


def test_an_overrun_is_extended_by_what_is_left_of_the_plan(house, running):
    _, run = running
    house.now = house.row(Allocation, attempt_id=run).end_at
    house.workshop.live.put(
        "ender", LiveState(phase="streaming", connected=True, run=run, acked=50)
    )
    house.services.runs.overruns(house.now)
    more = house.row(Allocation, attempt_id=run).end_at - house.now
    half = 0.5 * promise(Plan(0.0, 600.0), "", []).work.p90
    assert more == pytest.approx(timedelta(seconds=half), abs=timedelta(seconds=1))


@pytest.mark.parametrize("news", ["event", "state"])
def test_a_host_that_began_in_spite_of_its_silence_is_called_back(
    house, add_waiting, printer, member, gateway, news, monkeypatch
):
    """The answer to a start was lost, the attempt given up: what runs there has no record."""
    plain = gateway.cancel

    def cancel(slug, by):
        with house.workshop.database.write() as session:
            session.execute(select(Record))  # a slow host keeps no writer waiting
        return plain(slug, by)

    monkeypatch.setattr(gateway, "cancel", cancel)
    job_id = add_waiting(member, printer)
    gateway.refuses["start", "ender"] = "host.unreachable"
    house.services.dispatch.arm(member, "ender", house.now)
    house.services.dispatch.tick(house.now)
    run = house.attempt(job_id).id
    if news == "event":
        house.services.runs.apply("ender", house.event(run, 1, "run_started"), house.now)
    else:
        house.services.runs.reattached("ender", run, house.now)
    assert gateway.calls[-1] == ("cancel", "ender")
    assert house.job(job_id).state == JobState.WAITING
    assert house.rows(Record) == []


class CrashError(Exception):
    """The node dies here."""


@pytest.mark.parametrize("nth", [1, 2, 3])
def test_a_crash_at_any_event_of_an_end_leaves_all_or_nothing(house, running, monkeypatch, nth):
    """The third word of an end is the last thing written; a crash at any of them undoes all."""
    job_id, run = running
    before = house.said()
    plain, count = outbox.add, []

    def add(*values, **named):
        count.append(1)
        if len(count) == nth:
            raise CrashError
        return plain(*values, **named)

    monkeypatch.setattr(outbox, "add", add)
    with pytest.raises(CrashError):
        house.services.runs.apply("ender", house.event(run, 2, "finished", **DONE), house.now)
    monkeypatch.undo()
    assert house.job(job_id).state == JobState.RUNNING
    assert house.attempt(job_id).event_seq == 0
    assert house.rows(Record) == []
    assert house.said() == before
    assert house.row(UsageEvent, attempt_id=run).end_at is None
    house.services.runs.apply("ender", house.event(run, 2, "finished", **DONE), house.now)
    assert len(house.rows(Record)) == 1


def test_an_unused_word_is_void_once_the_machine_was_stopped(house, add_waiting, printer, member):
    """`fabnode stop` goes past the node; the host tells of it without a run."""
    add_waiting(member, printer)
    house.services.dispatch.arm(member, "ender", house.now)
    house.services.runs.apply("ender", house.event("", 0, "stopped", by="cli"), house.now)
    assert house.services.dispatch.tick(house.now) == []


ACTIONS = st.one_of(
    st.sampled_from(["arm", "tick", "stop", "lost", "known", "overruns", "prepared"]).map(
        lambda word: (word, 0)
    ),
    st.tuples(
        st.sampled_from(["hold", "release", "cancel", "retry"]),
        st.integers(min_value=0, max_value=1),
    ),
    st.tuples(
        st.sampled_from(
            [
                "run_started",
                "progress",
                "paused",
                "resumed",
                "attention",
                "finished",
                "cancelled",
                "stopped",
                "failed",
                "interrupted",
            ]
        ),
        st.integers(min_value=-1, max_value=2),
    ),
)


@given(actions=st.lists(ACTIONS, max_size=20))
@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_states_only_step_legally_and_the_books_always_agree(
    actions, house, ready_house, migrated_file, tmp_path_factory
):
    """Any order of a person's wishes, a host's events, losses and repetitions."""
    path = tmp_path_factory.mktemp("states") / "fabnode.db"
    shutil.copyfile(migrated_file, path)
    database = Database(f"sqlite:///{path}")
    try:
        world = World(*ready_house(database))
        for action, number in [("arm", 0), ("tick", 0), *actions]:
            world.act(action, number)
            world.check()
        world.finish()
        world.check()
        assert not world.house.rows(Attempt, ended_at=None)
    finally:
        database.close()


class World:
    """One machine, two jobs, and a watch over every step their states take."""

    def __init__(self, house, member, jobs) -> None:
        self.house, self.member, self.jobs = house, member, jobs
        self.seq = 0
        self.seen: dict[str, str] = {}

    def act(self, action: str, number: int) -> None:
        services, now = self.house.services, self.house.later(minutes=7)
        try:
            match action:
                case "arm":
                    services.dispatch.arm(self.member, "ender", now)
                case "tick":
                    services.dispatch.tick(now)
                case "stop":
                    services.dispatch.stop(self.member, "ender")
                case "lost":
                    services.runs.reattached("ender", None, now)
                case "known":
                    services.runs.reattached("ender", self.run(), now)
                case "overruns":
                    services.runs.overruns(now)
                case "prepared":
                    self.prepare()
                case "hold" | "release" | "cancel" | "retry":
                    act = type(services.queue).__dict__[action]
                    act(services.queue, self.member, self.jobs[number], now)
                case kind:
                    self.seq = max(0, self.seq + number)  # repeated and out of order too
                    event = self.house.event(self.run(), self.seq, kind, acked=self.seq)
                    services.runs.apply("ender", event, now)
        except JobsError:
            pass  # a "no" is an answer

    def run(self) -> str:
        attempts = self.house.rows(Attempt)
        return attempts[-1].id if attempts else "none"

    def prepare(self) -> None:
        """What preparation does to the state, without its work."""
        with self.house.workshop.database.write() as session:
            for job_id in self.jobs:
                job = session.get_one(Job, job_id)
                if job.state == JobState.PREPARING:
                    step_job(job, JobState.WAITING, self.house.now)
                    job.queued_at = self.house.now

    def finish(self) -> None:
        for attempt in self.house.rows(Attempt, ended_at=None):
            event = self.house.event(attempt.id, attempt.event_seq + 1, "finished")
            self.house.services.runs.apply("ender", event, self.house.later(minutes=1))

    def check(self) -> None:
        for job in self.house.rows(Job):
            self.stepped(job.id, job.state, JOB_STEPS, JobState)
            assert (job.ended_at is not None) == (job.state in ("done", "failed", "cancelled"))
            assert (job.hold_reason is not None) == (job.state == "held")
        attempts = self.house.rows(Attempt)
        for attempt in attempts:
            self.stepped(attempt.id, attempt.state, ATTEMPT_STEPS, AttemptState)
        open_ids = {attempt.id for attempt in attempts if attempt.ended_at is None}
        assert len(open_ids) <= 1
        running = {job.id for job in self.house.rows(Job, state="running")}
        assert running == {one.job_id for one in attempts if one.id in open_ids}
        assert {row.attempt_id for row in self.house.rows(UsageEvent, end_at=None)} == open_ids
        active = self.house.rows(Allocation, state="active", kind="run")
        assert {row.attempt_id for row in active} == open_ids
        recorded = [row.attempt_id for row in self.house.rows(Record)]
        assert sorted(recorded) == sorted(one.id for one in attempts if one.id not in open_ids)
        told = [body["data"].get("record") for body in self.house.bodies()]
        assert len({record for record in told if record}) == len(recorded)
        assert self.house.services.ledger.verify().ok

    def stepped(self, key, state, steps, word) -> None:
        old = self.seen.get(key)
        if old is not None and old != state:
            # An end may carry the news of a start that was lost: two steps at once.
            reach = set(steps[word(old)])
            if word is AttemptState and old == "preparing":
                reach |= steps[AttemptState.RUNNING]
            assert word(state) in reach, f"{old} -> {state}"
        self.seen[key] = state
