"""Going on with an interrupted job: what is offered, shown, confirmed, and what it never does."""

from __future__ import annotations

import io
from datetime import timedelta

import pytest
from sqlalchemy import select

from jobs.domain.errors import InvalidError, NotAllowedError, RefusedError
from jobs.domain.job import HoldReason, JobState
from jobs.domain.preflight import Verdict
from jobs.services.live import LiveState
from jobs.services.planned import program_path
from jobs.services.resuming import ResumeWish
from jobs.store.tables import Job, Machine, Preflight

HEAD = ["G28", "M140 S60", "M104 S200", "M109 S200", "G21", "G90", "M83"]
BODY = [
    line
    for layer in range(1, 11)
    for line in (
        f"G1 Z{layer * 0.2:.1f} F600",
        *(f"G1 X{x} Y{y} E1.5 F1800" for x, y in ((20, 20), (60, 20), (60, 60), (20, 60))),
    )
]
PROGRAM = "\n".join([*HEAD, *BODY, "M104 S0", "M140 S0", ""]).encode()


@pytest.fixture
def interrupted(house, printer, member, gateway):
    """A job whose wire was lost after 40 of its lines."""
    house.workshop.live.put("ender", LiveState(phase="idle", connected=True))
    job = house.services.queue.submit(
        member, name="part.gcode", data=io.BytesIO(PROGRAM), now=house.now
    )
    assert house.services.preparation.prepare_next(lambda: house.now)
    assert house.job(job.id).state == JobState.WAITING, house.job(job.id).findings
    house.services.dispatch.arm(member, "ender", house.now)
    (run,) = house.services.dispatch.tick(house.now)
    house.services.runs.apply("ender", house.event(run, 1, "run_started", total=59), house.now)
    extent = {"acked": 40, "sent": 44, "total": 59, "source_line": 40, "planner_blocks": 16}
    lost = house.event(run, 2, "interrupted", reason="port-lost", **extent)
    house.services.runs.apply("ender", lost, house.now)
    assert house.job(job.id).hold_reason == HoldReason.INTERRUPTED
    return job.id, run


def test_the_line_that_is_offered_is_the_one_that_surely_was_made(house, interrupted, member):
    job_id, run = interrupted
    offer = house.services.resuming.offer(member, job_id)
    assert (offer.attempt_id, offer.machine_slug) == (run, "ender")
    assert (offer.line, offer.sent_line) == (25, 44)
    assert len(offer.layers) == 10
    assert offer.asks_height


def test_a_plan_shows_every_new_line_and_changes_nothing(house, interrupted, member):
    job_id, _ = interrupted
    before = house.rows(Preflight)
    plan = house.services.resuming.plan(member, job_id, ResumeWish(25))
    assert plan.verdict is not Verdict.BLOCK
    assert plan.preamble[:4] == ("M140S60", "M104S200", "M190S60", "M109S200")
    assert plan.following[0] == "G1X60Y20 E1.5F1800"
    sent = program_path(house.workshop.work_dir, plan.stream_sha256).read_text().splitlines()
    shown = [*plan.preamble, *plan.following]
    assert sent[: len(shown)] == shown
    assert len(sent) == len(plan.preamble) + plan.rest_lines
    assert len(house.rows(Preflight)) == len(before)
    assert house.job(job_id).state == JobState.HELD


def test_what_was_confirmed_waits_for_an_arming_and_the_attempt_says_what_it_goes_on_from(
    house, interrupted, member, gateway
):
    job_id, run = interrupted
    wish = ResumeWish(0, layer=5, height_mm=1.5)
    plan = house.services.resuming.plan(member, job_id, wish)
    house.services.resuming.confirm(member, job_id, wish, plan.stream_sha256, house.now)
    assert house.job(job_id).state == JobState.WAITING
    orders = len(gateway.orders)
    assert house.services.dispatch.tick(house.now) == []  # nobody has armed it
    assert len(gateway.orders) == orders
    house.services.dispatch.arm(member, "ender", house.now)
    (second,) = house.services.dispatch.tick(house.now)
    assert gateway.orders[-1].stream_sha256 == plan.stream_sha256
    detail = house.attempt(job_id).detail
    assert (house.attempt(job_id).id, detail["resumes"]) == (second, run)
    assert detail["from_line"] == plan.from_line


def test_no_other_job_begins_into_a_part_that_waits_to_be_gone_on_with(
    house, interrupted, member, other, printer, add_waiting, gateway
):
    job_id, _ = interrupted
    theirs = add_waiting(other, printer)
    with house.workshop.database.write() as session:
        session.get_one(Job, theirs).queued_at = house.now - timedelta(hours=1)
    plan = house.services.resuming.plan(member, job_id, ResumeWish(25))
    house.services.resuming.confirm(member, job_id, ResumeWish(25), plan.stream_sha256, house.now)
    house.services.dispatch.arm(member, "ender", house.now)
    assert len(house.services.dispatch.tick(house.now)) == 1
    assert gateway.orders[-1].stream_sha256 == plan.stream_sha256
    assert house.job(theirs).state == JobState.WAITING


def test_only_what_was_read_can_be_confirmed(house, interrupted, member):
    job_id, _ = interrupted
    plan = house.services.resuming.plan(member, job_id, ResumeWish(25))
    confirm = house.services.resuming.confirm
    with pytest.raises(RefusedError, match="resume-changed"):
        confirm(member, job_id, ResumeWish(30), plan.stream_sha256, house.now)
    with pytest.raises(RefusedError, match="resume-changed"):
        confirm(member, job_id, ResumeWish(9999), "", house.now)
    assert house.job(job_id).state == JobState.HELD


def test_only_the_owner_or_an_operator_and_only_after_an_interruption(
    house, interrupted, other, member, operator, add_waiting, printer
):
    job_id, _ = interrupted
    with pytest.raises(NotAllowedError):
        house.services.resuming.plan(other, job_id, ResumeWish(25))
    assert house.services.resuming.offer(operator, job_id) is not None
    calm = add_waiting(member, printer)
    assert house.services.resuming.offer(member, calm) is None
    with pytest.raises(RefusedError, match="wrong-state"):
        house.services.resuming.plan(member, calm, ResumeWish(25))
    with pytest.raises(InvalidError):
        house.services.resuming.plan(member, job_id, ResumeWish(0))


def test_what_goes_on_is_interrupted_too_and_the_whole_program_is_offered_again(
    house, interrupted, member
):
    job_id, _ = interrupted
    plan = house.services.resuming.plan(member, job_id, ResumeWish(25))
    house.services.resuming.confirm(member, job_id, ResumeWish(25), plan.stream_sha256, house.now)
    house.services.dispatch.arm(member, "ender", house.now)
    (run,) = house.services.dispatch.tick(house.now)
    extent = {"acked": 10, "sent": 12, "total": 50, "source_line": 0, "planner_blocks": 16}
    lost = house.event(run, 2, "interrupted", reason="port-lost", **extent)
    house.services.runs.apply("ender", lost, house.now)
    offer = house.services.resuming.offer(member, job_id)
    assert offer.line == 25  # it had not come further than where it began
    assert len(offer.layers) == 10
    again = house.services.resuming.plan(member, job_id, ResumeWish(25))
    assert again.stream_sha256 == plan.stream_sha256


def test_a_machine_that_changed_meanwhile_never_begins_the_job_anew_on_its_part(
    house, interrupted, member
):
    job_id, _ = interrupted
    plan = house.services.resuming.plan(member, job_id, ResumeWish(25))
    house.services.resuming.confirm(member, job_id, ResumeWish(25), plan.stream_sha256, house.now)
    with house.workshop.database.write() as session:
        machine = session.get_one(Machine, house.row(Machine, slug="ender").id)
        machine.limits = {**machine.limits, "nozzle_max_c": 250.0}
    house.services.preparation.renew(house.now)
    job = house.job(job_id)
    assert (job.state, job.hold_reason) == (JobState.HELD, HoldReason.INTERRUPTED)
    assert house.services.resuming.offer(member, job_id) is not None


def test_what_goes_on_draws_from_the_slots_that_it_began_with(house, interrupted, member):
    job_id, _ = interrupted
    with house.workshop.database.write() as session:
        row = session.scalars(select(Preflight).where(Preflight.job_id == job_id)).one()
        row.report = {**row.report, "slots": {"0": 2}}
    wish = ResumeWish(25)
    plan = house.services.resuming.plan(member, job_id, wish)
    house.services.resuming.confirm(member, job_id, wish, plan.stream_sha256, house.now)
    assert house.services.asking.view(job_id).asks.slots == {0: 2}
