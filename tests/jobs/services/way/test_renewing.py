"""Jobs that wait are prepared again by themselves where their machines are not what they were."""

from __future__ import annotations

from dataclasses import replace
from importlib import resources

import pytest

from jobs.domain.job import HoldReason, JobState
from jobs.services import build_services
from jobs.services.machine_specs import parse_machine
from jobs.store.tables import Job, JobStep

SECOND = {
    "slug": "second",
    "kind": "fdm",
    "profile": "marlin-2",
    "port": "/dev/second",
    "envelope_mm": [200.0, 200.0, 200.0],
}


def hold(house, job_id: str, why: HoldReason) -> None:
    with house.workshop.database.write() as session:
        job = session.get_one(Job, job_id)
        job.state, job.hold_reason = JobState.HELD.value, why.value


@pytest.mark.parametrize("change", [{"nozzle_max_c": 200.0}, {"profile": "grbl-1.1"}])
def test_a_changed_machine_sends_its_waiting_jobs_through_preparation(
    house, add_waiting, printer, member, operator, change
):
    job_id = add_waiting(member, printer)
    queued_at = house.job(job_id).queued_at
    house.services.machines.change(operator, "ender", house.now, **change)
    job = house.job(job_id)
    assert job.state == JobState.PREPARING
    assert job.queued_at == queued_at  # it keeps its place
    assert house.row(JobStep, job_id=job_id, name="preflight").state == "waiting"


def test_a_change_that_no_program_cares_for_changes_no_job(
    house, add_waiting, printer, member, operator
):
    job_id = add_waiting(member, printer)
    house.services.machines.change(operator, "ender", house.now, name="Ender 3", port="/dev/new")
    assert house.job(job_id).state == JobState.WAITING


def test_jobs_of_other_machines_keep_waiting(house, add_waiting, printer, mill, member, operator):
    milled = add_waiting(member, mill)
    house.services.machines.change(operator, "ender", house.now, nozzle_max_c=200.0)
    assert house.job(milled).state == JobState.WAITING


def test_a_new_machine_of_the_kind_becomes_a_candidate(
    house, add_waiting, printer, member, operator
):
    waiting, nowhere = add_waiting(member, printer), add_waiting(member, printer)
    hold(house, nowhere, HoldReason.NO_MACHINE)
    house.services.machines.add(operator, parse_machine(SECOND), house.now)
    assert house.job(waiting).state == JobState.PREPARING
    job = house.job(nowhere)
    assert (job.state, job.hold_reason) == (JobState.PREPARING, None)


@pytest.mark.parametrize("why", [why for why in HoldReason if why is not HoldReason.NO_MACHINE])
def test_what_a_person_must_release_stays_held(house, add_waiting, printer, member, operator, why):
    job_id = add_waiting(member, printer)
    hold(house, job_id, why)
    house.services.machines.change(operator, "ender", house.now, nozzle_max_c=200.0)
    house.services.machines.add(operator, parse_machine(SECOND), house.now)
    assert house.job(job_id).state == JobState.HELD


def test_a_retired_machine_lets_go_of_the_jobs_only_it_could_make(
    house, add_waiting, add_machine, printer, member, operator
):
    twin = add_machine(house.workshop, "twin")
    only, either = add_waiting(member, printer, twin), add_waiting(member, printer, twin)
    with house.workshop.database.write() as session:
        session.get_one(Job, only).machine_id = printer
    house.services.machines.retire(operator, "ender", house.now)
    assert house.job(only).state == JobState.PREPARING
    assert house.job(either).state == JobState.WAITING
    house.services.machines.retire(operator, "twin", house.now)
    assert house.job(either).state == JobState.PREPARING


def test_where_no_machine_has_come_nothing_is_prepared_in_vain(house, add_waiting, mill, member):
    job_id = add_waiting(member, mill)
    hold(house, job_id, HoldReason.NO_MACHINE)
    with house.workshop.database.write() as session:
        session.get_one(Job, job_id).kind = "fdm"
    house.services.preparation.renew(house.now)
    assert house.job(job_id).state == JobState.HELD


def test_a_profile_file_that_changed_is_noticed_by_the_clock(
    house, add_waiting, printer, member, tmp_path
):
    profiles = tmp_path / "firmware_profiles"
    house.services = build_services(replace(house.workshop, profiles_dir=profiles))
    job_id = add_waiting(member, printer)
    house.services.preparation.renew(house.now)
    assert house.job(job_id).state == JobState.WAITING
    profiles.mkdir()
    ours = (resources.files("firmware_profiles") / "marlin-2.toml").read_text("utf-8")
    own = ours.replace("forbidden = [", 'forbidden = [\n  "M117",')
    (profiles / "marlin-2.toml").write_text(own, "utf-8")
    house.services.dispatch.arm(member, "ender", house.now)
    assert house.services.dispatch.tick(house.now) == []  # what was found is out of date
    house.services.preparation.renew(house.now)
    assert house.job(job_id).state == JobState.PREPARING
