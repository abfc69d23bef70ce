"""Preparation with real workers: from an upload to a job that waits, or to what is wrong."""

from __future__ import annotations

import hashlib
import io
import shutil
import struct
from dataclasses import replace

import pytest

from jobs.designs import example_folder
from jobs.domain.job import HoldReason, JobState
from jobs.domain.machine import MachineLimits
from jobs.domain.preflight import FindingCode, Verdict
from jobs.services import build_services
from jobs.services.workers import WorkerLimits
from jobs.store.tables import Job, Preflight

GCODE = b"""; a square
G21
G90
M82
M104 S200
G28
M109 S200
G92 E0
G1 X10 Y10 Z0.2 F3000
G1 X60 Y10 E2 F1200
G1 X60 Y60 E4
M104 S0
M84
"""
MILLED = b"G21 G90 G94\nM3 S8000\nG1 X10 Y10 F300\nM5\nM30\n"
COMB = example_folder() / "bench-comb.stl"


def put(house, actor, data=GCODE, name="part.gcode", **more) -> str:
    file = io.BytesIO(data)
    return house.services.queue.submit(actor, name=name, data=file, now=house.now, **more).id


def prepare(house) -> None:
    assert house.services.preparation.prepare_next(lambda: house.now)


def codes(findings) -> set[FindingCode]:
    return {finding.code for finding in findings}


def test_nothing_to_prepare_is_said(house):
    assert not house.services.preparation.prepare_next(lambda: house.now)


def test_a_good_program_waits_with_a_verdict_and_finished_files(house, printer, member, gateway):
    job_id = put(house, member)
    prepare(house)
    detail = house.services.queue.get(job_id, house.now, member)
    assert detail.job.state == JobState.WAITING
    assert detail.job.kind == "fdm"
    (found,) = detail.preflights
    assert found.verdict is not Verdict.BLOCK
    assert found.planned_s > 0
    assert house.said() == ["job.queued"]
    states = {step.name.value: step.state.value for step in detail.steps}
    assert [states[n] for n in ("check", "slice", "preflight", "queue")] == [
        *("done", "skipped", "done", "running"),
    ]
    house.services.dispatch.arm(member, "ender", house.now)
    house.services.dispatch.tick(house.now)
    (order,) = gateway.orders
    assert hashlib.sha256(order.stream.read_bytes()).hexdigest() == order.stream_sha256
    lines = order.stream.read_bytes().splitlines()
    assert order.index.stat().st_size == 4 * len(lines)
    plan = house.workshop.work_dir / "programs" / house.row(Preflight).planned_sha256
    assert plan.stat().st_size == 4 * len(lines)


def test_a_forbidden_command_holds_the_job_with_its_line(house, printer, member):
    job_id = put(house, member, GCODE.replace(b"G92 E0\n", b"M502\nM500\n"))
    prepare(house)
    detail = house.services.queue.get(job_id, house.now, member)
    assert (detail.job.state, detail.job.hold_reason) == (JobState.HELD, HoldReason.FINDINGS)
    found = detail.preflights[0]
    assert found.verdict is Verdict.BLOCK
    hits = {f.line: (f.code, f.severity, f.text) for f in found.findings if f.severity != "note"}
    assert hits == {
        8: ("settings-reset", "block", "M502"),
        9: ("setting-stored", "person", "M500"),
    }
    assert house.said() == []


def test_machines_are_judged_each_by_its_own_limits(house, printer, member, add_machine):
    small = MachineLimits((40.0, 40.0, 40.0), nozzle_max_c=260.0, bed_max_c=110.0, nozzle_mm=0.4)
    add_machine(house.workshop, "tiny", limits=small)
    job_id = put(house, member)
    prepare(house)
    detail = house.services.queue.get(job_id, house.now, member)
    verdicts = {found.machine_slug: found.verdict for found in detail.preflights}
    assert verdicts["tiny"] is Verdict.BLOCK
    assert verdicts["ender"] is not Verdict.BLOCK
    assert detail.job.state == JobState.WAITING


def test_a_milling_program_finds_its_kind(house, printer, mill, member):
    job_id = put(house, member, MILLED, "tag.nc")
    prepare(house)
    detail = house.services.queue.get(job_id, house.now, member)
    assert detail.job.kind == "mill"
    assert [found.machine_slug for found in detail.preflights] == ["router"]


def test_no_machine_for_it_is_said(house, member):
    job_id = put(house, member)
    prepare(house)
    assert house.job(job_id).hold_reason == HoldReason.NO_MACHINE


def test_a_header_of_ten_million_triangles_is_a_finding(house, printer, member):
    lie = b"solid lie".ljust(80, b"\0") + struct.pack("<I", 10_000_000) + bytes(50 * 4)
    job_id = put(house, member, lie, "lie.stl")
    prepare(house)
    detail = house.services.queue.get(job_id, house.now, member)
    assert (detail.job.state, detail.job.hold_reason) == (JobState.HELD, HoldReason.FINDINGS)
    assert detail.findings


def test_a_worker_that_dies_is_a_finding(house, printer, member):
    tight = replace(house.workshop, worker_limits=WorkerLimits(cpu_s=60, wall_s=0.05))
    house.services = build_services(tight)
    job_id = put(house, member)
    prepare(house)
    detail = house.services.queue.get(job_id, house.now, member)
    assert codes(detail.findings) == {FindingCode.WORKER_DIED}
    assert detail.job.state == JobState.HELD


def test_without_a_slicer_our_own_generator_makes_a_prism(house, printer, member):
    job_id = put(house, member, COMB.read_bytes(), "comb.stl")
    prepare(house)
    detail = house.services.queue.get(job_id, house.now, member)
    assert detail.job.state == JobState.WAITING, detail
    assert detail.preflights[0].mass_g > 1
    assert detail.preflights[0].report["sliced"]["material"] == "PLA"


def test_without_a_slicer_a_recipe_that_needs_one_is_held(house, printer, member):
    job_id = put(house, member, COMB.read_bytes(), "comb.stl", recipe="pla-standard")
    prepare(house)
    assert house.job(job_id).hold_reason == HoldReason.SLICER_MISSING


@pytest.mark.slicer
def test_with_a_slicer_a_mesh_is_sliced_for_each_sort_of_machine_once(
    house, printer, member, add_machine
):
    if shutil.which("prusa-slicer") is None:
        pytest.skip("prusa-slicer is not installed here (apt install prusa-slicer)")
    add_machine(house.workshop, "twin")  # the same limits
    small = MachineLimits((50.0, 50.0, 50.0), nozzle_max_c=260.0, bed_max_c=110.0, nozzle_mm=0.4)
    add_machine(house.workshop, "tiny", limits=small)
    house.services = build_services(replace(house.workshop, slicer=("prusa-slicer",)))
    job_id = put(house, member, COMB.read_bytes(), "comb.stl")
    prepare(house)
    rows = {row.machine_id: row for row in house.rows(Preflight, job_id=job_id)}
    detail = house.services.queue.get(job_id, house.now, member)
    verdicts = {found.machine_slug: found.verdict for found in detail.preflights}
    assert verdicts["tiny"] is Verdict.BLOCK
    assert verdicts["ender"] is verdicts["twin"] is not Verdict.BLOCK
    assert len({row.program_sha256 for row in rows.values() if row.verdict != "block"}) == 1
    assert detail.job.mass_g is not None


def test_a_job_left_preparing_by_a_killed_node_is_prepared_again(house, printer, member):
    job_id = put(house, member)
    (house.workshop.work_dir / "preparing-dead").mkdir()
    with house.workshop.database.write() as session:
        session.get_one(Job, job_id).report = {"half": True}
    build_services(house.workshop).preparation.prepare_next(lambda: house.now)
    assert house.job(job_id).state == JobState.WAITING
    assert not list(house.workshop.work_dir.glob("preparing-*"))


def test_a_job_cancelled_while_it_is_prepared_stays_cancelled(house, printer, member):
    job_id = put(house, member)
    examining = house.services.preparation._examining
    plain = examining.examine

    def examine(*values):
        house.services.queue.cancel(member, job_id, house.now)
        return plain(*values)

    examining.examine = examine
    prepare(house)
    assert house.job(job_id).state == JobState.CANCELLED


def test_preparing_again_says_anew_what_is_found(house, printer, member, operator):
    job_id = put(house, member)
    prepare(house)
    house.services.queue.hold(member, job_id, house.now)
    house.services.machines.change(operator, "ender", house.now, nozzle_max_c=150.0)
    house.services.queue.release(member, job_id, house.now)
    prepare(house)
    first, second = house.rows(Preflight)
    assert (first.verdict, second.verdict) == ("pass", "block")
    assert first.superseded_at is not None
    assert second.superseded_at is None
    assert first.limits_sha256 != second.limits_sha256
    assert house.job(job_id).hold_reason == HoldReason.FINDINGS
    (shown,) = house.services.queue.get(job_id, house.now, member).preflights
    assert shown.verdict is Verdict.BLOCK


def test_what_an_attempt_ran_on_stays_as_it_was(house, printer, member, operator):
    job_id = put(house, member)
    prepare(house)
    house.services.dispatch.arm(member, "ender", house.now)
    (run,) = house.services.dispatch.tick(house.now)
    house.services.runs.apply("ender", house.event(run, 1, "failed", code="x"), house.now)
    ran_on = house.row(Preflight)
    house.services.machines.change(operator, "ender", house.now, nozzle_max_c=150.0)
    house.services.queue.retry(member, job_id, house.now)
    prepare(house)
    kept = house.row(Preflight, id=house.attempt(job_id).preflight_id)
    assert (kept.id, kept.verdict, kept.limits_sha256) == (
        ran_on.id,
        "pass",
        ran_on.limits_sha256,
    )


def test_a_machine_changed_while_a_job_is_prepared_for_it_is_seen(house, printer, member, operator):
    job_id = put(house, member)
    examining = house.services.preparation._examining
    plain = examining.examine

    def examine(*values):
        examining.examine = plain
        house.services.machines.change(operator, "ender", house.now, nozzle_max_c=150.0)
        return plain(*values)

    examining.examine = examine
    prepare(house)
    assert house.job(job_id).state == JobState.PREPARING
    assert house.rows(Preflight) == []
    prepare(house)
    assert house.job(job_id).hold_reason == HoldReason.FINDINGS
