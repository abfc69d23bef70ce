"""The queue: what comes in, who may change it, and machines that people run by hand."""

from __future__ import annotations

import io
import struct
from dataclasses import replace
from datetime import timedelta

import pytest

from jobs.domain.errors import (
    InvalidError,
    NotAllowedError,
    NotFoundError,
    RefusedError,
    UnavailableError,
)
from jobs.domain.job import InputKind, JobState
from jobs.domain.machine import Control
from jobs.domain.policy import Reason
from jobs.domain.promise import Plan, promise
from jobs.services import build_services, queue
from jobs.services.planned import program_path
from jobs.services.sniff import sniff
from jobs.store.tables import Attempt, Job, JobStep, Preflight, Record, UsageEvent

GCODE = b"; made by hand\nG21\nG90\nG28\nG1 X10 Y10 F600\nM84\n"
STL_TEXT = b"solid part\n facet normal 0 0 1\n  outer loop\n"
OBJ = b"# a part\nv 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n"


def stl(triangles: int) -> bytes:
    return b"binary".ljust(80, b"\0") + struct.pack("<I", triangles) + bytes(50 * triangles)


def submit(house, actor, data=GCODE, name="part.gcode", **more):
    file = io.BytesIO(data)
    return house.services.queue.submit(actor, name=name, data=file, now=house.now, **more)


@pytest.mark.parametrize(
    ("data", "kind", "suffix"),
    [
        (GCODE, InputKind.PROGRAM, ".gcode"),
        (b"; thumbnail\n" * 3000 + GCODE, InputKind.PROGRAM, ".gcode"),
        (b"%\nN10 G21 G90\nX1 Y2\nX3 Y4\nM30\n%\n", InputKind.PROGRAM, ".gcode"),
        (stl(2), InputKind.MESH, ".stl"),
        (b"solid but binary".ljust(80, b"\0") + struct.pack("<I", 1) + bytes(50), "mesh", ".stl"),
        (STL_TEXT, InputKind.MESH, ".stl"),
        (OBJ, InputKind.MESH, ".obj"),
        (b"PK\x03\x04rest", InputKind.MESH, ".3mf"),
    ],
)
def test_a_file_is_told_by_its_content(tmp_path, data, kind, suffix):
    path = tmp_path / "upload"
    path.write_bytes(data)
    found = sniff(path)
    assert found is not None
    assert (found.kind, found.suffix) == (kind, suffix)


@pytest.mark.parametrize(
    "data",
    [b"\x7fELF\0\0\0", b"Dear lab,\nplease make this.\n", b"\x76\x01\0\0geometry", b"%PDF-1"],
)
def test_what_is_nothing_to_make_is_refused_whatever_its_name(house, member, data):
    with pytest.raises(InvalidError) as error:
        submit(house, member, data, "part.gcode")
    assert (error.value.code, error.value.field) == ("upload.not-understood", "file")
    assert house.rows(Job) == []


def test_an_upload_is_prepared_next_and_has_its_way(house, member):
    view = submit(house, member, name="C:\\parts\\..\\hook\n.gcode")
    assert (view.state, view.number, view.input_name) == (JobState.PREPARING, 1, "hook .gcode")
    assert view.title == "hook .gcode"
    assert submit(house, member).number == 2
    assert [step.name for step in house.services.queue.get(view.id, house.now, member).steps] == [
        *("fetch", "check", "slice", "preflight", "queue", "dispatch", "stream", "record"),
        "announce",
    ]


def test_an_upload_beyond_the_limit_is_refused(house, member):
    services = build_services(replace(house.workshop, upload_limit_bytes=10))
    with pytest.raises(InvalidError) as error:
        services.queue.submit(member, name="x.gcode", data=io.BytesIO(GCODE), now=house.now)
    assert error.value.code == "upload.too-large"


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"kind": "loom"}, "machine.unknown-kind"),
        ({"machine_slug": "nowhere"}, "machine.unknown"),
        ({"recipe": "gold"}, "recipe.unknown"),
        ({"purpose": "fun"}, "job.purpose"),
    ],
)
def test_a_wrong_wish_is_named(house, member, more, code):
    with pytest.raises(InvalidError) as error:
        submit(house, member, **more)
    assert error.value.code == code


def test_an_empty_file_is_refused(house, member):
    with pytest.raises(InvalidError, match=r"upload\.empty"):
        submit(house, member, b"")


def test_a_band_saw_takes_no_jobs(house, member, add_machine):
    add_machine(house.workshop, "saw", control=Control.NONE)
    with pytest.raises(InvalidError, match=r"machine\.takes-no-jobs"):
        submit(house, member, machine_slug="saw")


def test_a_guest_queues_nothing(house, guest):
    with pytest.raises(NotAllowedError):
        submit(house, guest)


def test_the_list_shows_places_and_what_a_viewer_may_do(
    house, add_waiting, printer, member, other, operator
):
    first, second = add_waiting(member, printer), add_waiting(other, printer)
    views = {view.id: view for view in house.services.queue.list(house.now, member)}
    assert (views[first].position, views[second].position) == (1, 2)
    assert views[first].mine
    assert views[first].may == {"hold", "cancel"}
    assert views[second].may == frozenset()
    assert views[first].planned_s == 600.0
    for viewer, may in ((operator, {"hold", "cancel"}), (None, set())):
        assert all(view.may == may for view in house.services.queue.list(house.now, viewer))


def test_a_running_job_shows_progress_by_planned_time(house, running, member):
    _, run = running
    event = house.event(run, 0, "progress", acked=25, sent=30, source_line=31)
    house.services.runs.apply("ender", event, house.now)
    (view,) = house.services.queue.list(house.now, member)
    assert view.run is not None
    assert view.run.progress == pytest.approx(0.25)
    made = promise(Plan(0.0, 600.0), "", [])
    assert view.run.remaining_s == pytest.approx(0.75 * made.work.p50)
    assert view.run.remaining_p90_s == pytest.approx(0.75 * made.work.p90)
    assert (view.run.line, view.run.acked, view.run.total) == (31, 25, 100)
    assert view.may == {"cancel", "pause"}


def test_a_waiting_job_says_what_it_waits_for(house, add_waiting, printer, member):
    job_id = add_waiting(member, printer)
    ((slug, refusals),) = house.services.queue.get(job_id, house.now, member).waits_for
    assert (slug, [refusal.reason for refusal in refusals]) == ("ender", [Reason.NOT_ARMED])


def test_hold_and_release_keep_the_place(house, add_waiting, printer, member, other):
    first, second = add_waiting(member, printer), add_waiting(other, printer)
    house.services.queue.hold(member, first, house.now)
    assert house.job(first).hold_reason == "by-person"
    house.services.queue.release(member, first, house.later(hours=1))
    places = {view.id: view.position for view in house.services.queue.list(house.now, None)}
    assert places == {first: 1, second: 2}
    assert house.said() == ["job.queued"]


def test_a_held_job_never_starts(house, add_waiting, printer, member):
    job_id = add_waiting(member, printer)
    house.services.queue.hold(member, job_id, house.now)
    house.services.dispatch.arm(member, "ender", house.now)
    assert house.services.dispatch.tick(house.now) == []


def test_a_job_whose_machine_changed_is_prepared_again_when_released(
    house, add_waiting, printer, member, operator
):
    job_id = add_waiting(member, printer)
    house.services.queue.hold(member, job_id, house.now)
    house.services.machines.change(operator, "ender", house.now, nozzle_max_c=200.0)
    house.services.queue.release(member, job_id, house.now)
    assert house.job(job_id).state == JobState.PREPARING


def test_a_failed_job_is_tried_again_from_the_beginning(house, running, member):
    job_id, run = running
    house.services.runs.apply("ender", house.event(run, 1, "failed"), house.now)
    house.services.queue.retry(member, job_id, house.now)
    job = house.job(job_id)
    assert (job.state, job.ended_at, job.queued_at) == (JobState.PREPARING, None, None)
    assert house.row(JobStep, job_id=job_id, name="stream").state == "waiting"


def test_a_waiting_job_is_cancelled_at_once(house, add_waiting, printer, member, gateway):
    job_id = add_waiting(member, printer)
    house.services.queue.cancel(member, job_id, house.now)
    assert house.job(job_id).state == JobState.CANCELLED
    assert house.said() == ["job.cancelled"]
    assert gateway.calls == []
    with pytest.raises(RefusedError):
        house.services.queue.cancel(member, job_id, house.now)


def test_a_running_job_is_cancelled_by_its_host(house, running, member, gateway):
    job_id, run = running
    house.services.queue.cancel(member, job_id, house.now)
    assert gateway.calls[-1] == ("cancel", "ender")
    assert house.job(job_id).state == JobState.RUNNING
    house.services.runs.apply("ender", house.event(run, 1, "cancelled"), house.now)
    assert house.job(job_id).state == JobState.CANCELLED


def test_a_cancel_the_host_did_not_take_is_said(house, running, member, gateway):
    gateway.refuses["cancel", "ender"] = "host.unreachable"
    with pytest.raises(UnavailableError):
        house.services.queue.cancel(member, running[0], house.now)


def test_only_owner_and_operator_change_a_job(house, add_waiting, printer, member, other, operator):
    job_id = add_waiting(member, printer)
    with pytest.raises(NotAllowedError):
        house.services.queue.hold(other, job_id, house.now)
    house.services.queue.hold(operator, job_id, house.now)
    with pytest.raises(NotFoundError):
        house.services.queue.hold(operator, "nothing", house.now)


@pytest.fixture
def by_hand(house, add_machine, add_waiting, member):
    """A job that waits for `laser`, which has no host."""
    machine_id = add_machine(house.workshop, "laser", kind="mill", control=Control.BY_HAND)
    house.at(member, "laser")
    return add_waiting(member, machine_id)


@pytest.mark.parametrize(("word", "state"), [("finished", "done"), ("failed", "failed")])
def test_a_machine_run_by_hand_leaves_the_same_books(house, by_hand, member, word, state, gateway):
    queue = house.services.queue
    assert "started" in queue.get(by_hand, house.now, member).job.may
    queue.by_hand(member, by_hand, "started", None, house.now)
    assert house.row(UsageEvent).end_at is None
    assert queue.get(by_hand, house.now, member).job.may == {"finished", "failed", "cancel"}
    queue.by_hand(member, by_hand, word, None, house.later(minutes=20))
    assert house.job(by_hand).state == state
    assert house.row(Attempt).machine_ms == 20 * 60 * 1000
    assert len(house.rows(Record)) == 1
    assert house.said() == ["job.started", f"job.{word}", "usage.recorded", "material.consumed"]
    assert gateway.calls == []


def test_a_job_by_hand_is_cancelled_by_a_person(house, by_hand, member, gateway):
    house.services.queue.by_hand(member, by_hand, "started", "laser", house.now)
    house.services.queue.cancel(member, by_hand, house.later(minutes=1))
    assert house.job(by_hand).state == JobState.CANCELLED
    assert gateway.calls == []


@pytest.fixture
def examined(house, by_hand):
    """The file that preparation has kept for the job by hand."""
    sha256 = house.row(Preflight, job_id=by_hand).program_sha256
    path = program_path(house.workshop.work_dir, sha256)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"M3 S1000\n")
    return path


def test_the_file_to_carry_over_is_the_one_that_was_examined(
    house, by_hand, examined, member, other, operator
):
    queue = house.services.queue
    carried = queue.program(member, by_hand, "laser")
    assert (carried.path, carried.sha256, carried.size_bytes) == (examined, examined.name, 9)
    assert carried.name == f"job-{house.job(by_hand).number}-mia-secret.nc"
    assert queue.program(operator, by_hand, "laser") == carried
    with pytest.raises(NotAllowedError):
        queue.program(other, by_hand, "laser")
    queue.by_hand(member, by_hand, "started", None, house.now)
    assert queue.program(member, by_hand, "laser") == carried
    queue.by_hand(member, by_hand, "finished", None, house.now)
    with pytest.raises(RefusedError) as error:
        queue.program(member, by_hand, "laser")
    assert error.value.refusals[0].reason is Reason.WRONG_STATE


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"verdict": "block"}, Reason.BLOCKED_BY_PREFLIGHT),
        ({"target_sha256": "0" * 64}, Reason.NOT_PREPARED),
    ],
)
def test_what_may_not_run_is_not_carried_over(house, by_hand, examined, member, changed, reason):
    with house.workshop.database.write() as session:
        session.query(Preflight).update(changed)
    with pytest.raises(RefusedError) as error:
        house.services.queue.program(member, by_hand, "laser")
    assert [refusal.reason for refusal in error.value.refusals] == [reason]


def test_only_a_machine_by_hand_has_a_file_to_carry(house, by_hand, add_waiting, printer, member):
    queue = house.services.queue
    for job_id, slug, reason in (
        (add_waiting(member, printer), "ender", Reason.NO_SUCH_CONTROL),
        (by_hand, "ender", Reason.NO_CAPABLE_MACHINE),
        (by_hand, "nowhere", Reason.NO_CAPABLE_MACHINE),
    ):
        with pytest.raises(RefusedError) as error:
            queue.program(member, job_id, slug)
        assert error.value.refusals[0].reason is reason
    with pytest.raises(NotFoundError, match=r"job\.no-program"):
        queue.program(member, by_hand, "laser")


@pytest.mark.parametrize(
    ("typed", "stem"),
    [
        ("Lamp foot (v2).GCODE", "-lamp-foot-v2"),
        ("../../etc/passwd", "-passwd"),
        ("äöü.nc", ""),
        ("x" * 300 + ".nc", "-" + "x" * 40),
        ('a"\r\nSet-Cookie: b=c.nc', "-a-set-cookie-b-c"),
    ],
)
def test_a_file_is_called_so_that_every_card_takes_it(
    house, by_hand, examined, member, typed, stem
):
    with house.workshop.database.write() as session:
        session.get_one(Job, by_hand).input_name = typed
    name = house.services.queue.program(member, by_hand, "laser").name
    assert name == f"job-{house.job(by_hand).number}{stem}.nc"


def test_dispatch_leaves_machines_by_hand_alone(house, by_hand, member):
    assert house.services.dispatch.tick(house.now) == []
    with pytest.raises(RefusedError) as error:
        house.services.dispatch.arm(member, "laser", house.now)
    assert error.value.refusals[0].reason is Reason.NO_SUCH_CONTROL


def test_a_run_on_a_host_is_not_ended_by_hand(house, running, member):
    with pytest.raises(RefusedError):
        house.services.queue.by_hand(member, running[0], "finished", None, house.now)
    with pytest.raises(InvalidError):
        house.services.queue.by_hand(member, running[0], "sung", None, house.now)


def test_recipes_are_those_of_the_kind(house):
    assert "pla-standard" in house.services.queue.recipes("fdm")
    assert house.services.queue.recipes("mill") == []


def test_recent_jobs_are_those_that_are_over(house, running, member):
    job_id, run = running
    assert house.services.queue.recent(house.now, member) == []
    house.services.runs.apply("ender", house.event(run, 1, "finished"), house.now)
    assert [view.id for view in house.services.queue.recent(house.now, member)] == [job_id]
    detail = house.services.queue.get(job_id, house.now, member)
    assert detail.attempts[0].armed_by == "Mia"
    assert detail.attempts[0].record_id == detail.records[0].id


def test_a_run_by_hand_does_not_begin_in_somebody_elses_hour(house, by_hand, member, other):
    end = house.now + timedelta(hours=1)
    house.services.bookings.book(other, "laser", house.now, end, house.now)
    with pytest.raises(RefusedError) as error:
        house.services.queue.by_hand(member, by_hand, "started", None, house.now)
    assert error.value.refusals[0].reason is Reason.NO_ROOM_BEFORE


def test_a_running_job_is_not_held_released_or_retried(house, running, member):
    """Its attempt is open: only the host's word moves it on."""
    job_id, _ = running
    queue = house.services.queue
    for act in (queue.hold, queue.release, queue.retry):
        with pytest.raises(RefusedError) as error:
            act(member, job_id, house.now)
        assert error.value.refusals[0].reason is Reason.WRONG_STATE
    assert house.job(job_id).state == JobState.RUNNING


@pytest.mark.parametrize(
    ("verdict", "target", "reason"),
    [
        ("block", None, Reason.BLOCKED_BY_PREFLIGHT),
        ("pass", "0" * 64, Reason.NOT_PREPARED),
    ],
)
def test_by_hand_too_nothing_blocked_or_out_of_date_begins(
    house, add_machine, add_waiting, member, verdict, target, reason
):
    laser = add_machine(house.workshop, "laser", kind="mill", control=Control.BY_HAND)
    house.at(member, "laser")
    job_id = add_waiting(member, laser, verdict=verdict)
    if target is not None:
        with house.workshop.database.write() as session:
            session.query(Preflight).update({"target_sha256": target})
    with pytest.raises(RefusedError) as error:
        house.services.queue.by_hand(member, job_id, "started", None, house.now)
    assert [refusal.reason for refusal in error.value.refusals] == [reason]


def test_a_list_that_is_too_long_shows_new_jobs_and_the_head_of_the_queue(
    house, add_waiting, printer, member, monkeypatch
):
    monkeypatch.setattr(queue, "_MOST", 2)
    first, second, third = (add_waiting(member, printer) for _ in range(3))
    seen = house.services.queue.list(house.now, member, open_only=False)
    assert [job.id for job in seen] == [second, third]
    seen = house.services.queue.list(house.now, member)
    assert [job.id for job in seen] == [first, second]
