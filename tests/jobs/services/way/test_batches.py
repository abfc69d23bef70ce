"""Jobs that belong together: copies, groups, and what comes after what."""

from __future__ import annotations

import pytest

from jobs.domain.errors import InvalidError, NotAllowedError, RefusedError
from jobs.domain.job import JobState
from jobs.domain.loading import Doubt
from jobs.domain.machine import Control
from jobs.domain.policy import Reason
from jobs.domain.rules.values import Scope
from jobs.domain.unattended import Terms, Unattended
from jobs.services.asking import AskWish
from jobs.services.loaded import doubt
from jobs.services.starting import preflight_for, refusals, standing_of
from jobs.store.sharing import Notice
from jobs.store.tables import Job, Machine
from jobs.store.waiting import JobAsk


def against(house, job_id, *, by_person=False):
    with house.workshop.database.read() as session:
        job = session.get_one(Job, job_id)
        machine = session.query(Machine).filter_by(slug="ender").one()
        found = refusals(
            session,
            job,
            standing_of(session, house.workshop, machine, house.now),
            preflight_for(session, job_id, machine.id),
            house.now,
            started_by_person=by_person,
        )
    return {one.reason for one in found} - {Reason.NOT_ARMED}


def test_copies_are_jobs_of_their_own_in_one_group(house, add_waiting, printer, member):
    job_id = add_waiting(member, printer)
    made = house.services.batches.copies(member, job_id, 3, house.now)
    group = house.services.batches.view(made[0]).group
    assert [one.number for one in group.jobs] == [1, 2, 3, 4]
    assert {house.job(one).input_sha256 for one in made} == {house.job(job_id).input_sha256}
    assert {house.job(one).state for one in made} == {JobState.PREPARING}
    assert house.row(JobAsk, job_id=made[0]).copy_of == job_id
    house.services.batches.leave(member, made[0])
    assert len(house.services.batches.view(made[1]).group.jobs) == 3


def test_a_job_starts_only_once_those_before_it_are_done(house, add_waiting, printer, member):
    first, then = add_waiting(member, printer), add_waiting(member, printer)
    house.services.batches.after(member, then, [1])
    assert against(house, then) == {Reason.AFTER_ANOTHER}
    with house.workshop.database.write() as session:
        session.get_one(Job, first).state = JobState.DONE.value
    assert against(house, then) == set()


def test_no_job_waits_for_itself_by_any_way(house, add_waiting, printer, member):
    a, b, c = (add_waiting(member, printer) for _ in range(3))
    house.services.batches.after(member, b, [1])
    house.services.batches.after(member, c, [2])
    for number in (1, 2, 3):
        with pytest.raises(InvalidError, match="after-circle"):
            house.services.batches.after(member, a, [number])
    house.services.batches.after(member, b, [])
    house.services.batches.after(member, a, [3, 3])


def test_a_group_is_of_ones_own_jobs(house, add_waiting, printer, member, other):
    add_waiting(member, printer)
    add_waiting(other, printer)
    with pytest.raises(NotAllowedError):
        house.services.batches.gather(member, "Robot", [1, 2], house.now)
    with pytest.raises(InvalidError):
        house.services.batches.gather(member, "Robot", [1], house.now)
    with pytest.raises(InvalidError, match="no-number"):
        house.services.batches.gather(member, "Robot", [1, 99], house.now)


def test_other_material_is_never_a_silent_mismatch_not_even_by_hand(
    house, add_waiting, printer, member
):
    job_id = add_waiting(member, printer)
    say, ask = house.services.loading.say_slot, house.services.asking.say
    say(member, "ender", 0, house.now, material="PETG", left_g=500)
    ask(member, job_id, AskWish([(0, "PLA", "")]), house.now)
    assert against(house, job_id) == {Reason.OTHER_MATERIAL}
    assert against(house, job_id, by_person=True) == {Reason.OTHER_MATERIAL}
    say(member, "ender", 0, house.now, material="PLA", left_g=5)
    assert against(house, job_id) == {Reason.NOT_ENOUGH_LEFT}
    say(member, "ender", 0, house.now, material="PLA", left_g=500)
    assert against(house, job_id) == set()
    with house.workshop.database.write() as session:
        doubt(session, printer, Doubt.RUN_OUT, house.now)
    assert against(house, job_id) == {Reason.LOADED_DOUBTED}


def test_terms_say_what_may_start_and_end_nothing_that_runs(house, running, operator, gateway):
    job_id, _ = running
    never = Terms(Unattended.NEVER, must_fit=True)
    house.services.terms.agree(operator, "ender", never, house.now)
    house.later(hours=30)
    house.services.dispatch.tick(house.now)
    house.services.runs.overruns(house.now)
    assert house.job(job_id).state == JobState.RUNNING
    assert [call[0] for call in gateway.calls] == ["start"]


def test_a_machine_that_never_runs_alone_is_started_by_a_person(
    house, add_waiting, printer, member, operator
):
    job_id = add_waiting(member, printer)
    house.services.terms.agree(operator, "ender", Terms(Unattended.NEVER), house.now)
    assert against(house, job_id) == {Reason.UNATTENDED_NEVER}
    assert against(house, job_id, by_person=True) == set()
    with pytest.raises(NotAllowedError):
        house.services.terms.agree(member, "ender", Terms(), house.now)


def test_what_cuts_never_runs_alone_until_the_lab_says_so(house, printer, mill, operator):
    del printer, mill
    assert house.services.terms.get("ender").unattended is Unattended.OVERNIGHT
    assert house.services.terms.get("router").unattended is Unattended.NEVER
    house.services.terms.agree(operator, "router", Terms(Unattended.OPENING), house.now)
    assert house.services.terms.get("router").unattended is Unattended.OPENING


def test_what_is_begun_by_hand_hears_all_the_reasons_of_any_start(
    house, add_machine, add_waiting, member, admin
):
    add_machine(house.workshop, "old-laser", kind="laser", control=Control.BY_HAND)
    machine = house.row(Machine, slug="old-laser")
    job_id = add_waiting(member, machine.id)
    first = add_waiting(member, machine.id)
    number = house.job(first).number
    house.services.batches.after(member, job_id, [number])
    house.services.house.set(
        admin, Scope.read("kind:laser"), "qualification_needed", True, "", house.now
    )
    house.services.asking.say(member, job_id, AskWish([(0, "PVC", "")]), house.now)
    house.services.loading.say_slot(member, "old-laser", 0, house.now, material="birch")
    house.at(member, "old-laser")
    with pytest.raises(RefusedError) as error:
        house.services.queue.by_hand(member, job_id, "started", "old-laser", house.now)
    assert {one.reason for one in error.value.refusals} == {
        Reason.NOT_QUALIFIED,
        Reason.MATERIAL_HALOGENATED,
        Reason.OTHER_MATERIAL,
        Reason.AFTER_ANOTHER,
    }


def heard(house, person):
    rows = house.rows(Notice, person_id=person.person_id)
    return [(row.code, row.fields["other"]) for row in rows if row.code.startswith("job-after")]


def test_who_waits_for_a_job_that_will_not_be_done_hears_it_at_once(
    house, add_waiting, printer, member, other
):
    first, second = add_waiting(member, printer), add_waiting(other, printer)
    third = add_waiting(member, printer)
    house.services.batches.after(other, second, [1])
    house.services.batches.after(member, third, [1])
    house.services.queue.cancel(member, first, house.now)
    assert heard(house, other) == [("job-after-cancelled", 1)]
    assert heard(house, member) == [("job-after-cancelled", 1)]
    house.services.batches.after(other, second, [])
    assert house.services.batches.view(second).after == []


def test_a_run_that_fails_is_told_to_who_waits_for_it_each_time(
    house, add_waiting, running, printer, other
):
    job_id, run = running
    number = house.job(job_id).number
    then = add_waiting(other, printer)
    house.services.batches.after(other, then, [number])
    house.later(minutes=1)
    house.services.runs.apply("ender", house.event(run, 1, "failed", acked=1), house.now)
    assert house.job(job_id).state == "failed"
    assert heard(house, other) == [("job-after-failed", number)]
