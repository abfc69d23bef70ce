"""When waiting jobs are expected: kept, in the order of the queue, and told when it moves."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from jobs.domain.priority import PartName
from jobs.services.ordering import WEIGHTS
from jobs.store.sharing import Notice
from jobs.store.tables import Job, Setting
from jobs.store.waiting import JobAsk, QueuePromise


def seen(house, viewer):
    return house.services.queue.list(house.now, viewer)


def test_each_waiting_job_is_promised_a_time_one_after_the_other(
    house, add_waiting, printer, member, other
):
    first, second = add_waiting(member, printer), add_waiting(other, printer)
    assert house.services.foresight.tick(house.now) == 0
    promises = {row.job_id: row for row in house.rows(QueuePromise)}
    assert promises[first].start_p50_at == pytest.approx(house.now, abs=timedelta(seconds=1))
    assert promises[second].start_p50_at >= promises[first].end_p50_at
    for row in promises.values():
        assert row.start_p50_at <= row.start_p90_at
        assert row.end_p50_at < row.end_p90_at
    one, then = seen(house, member)
    assert (one.id, then.id) == (first, second)
    assert one.foreseen.machine_slug == "ender"
    assert one.foreseen.end_p50 == promises[first].end_p50_at


def test_a_place_is_the_sum_of_parts_that_are_shown(house, add_waiting, printer, member):
    add_waiting(member, printer)
    house.later(hours=2)
    (job,) = seen(house, member)
    assert job.position == 1
    assert [part.name for part in job.place.parts] == list(PartName)
    assert job.place.points == pytest.approx(sum(part.points for part in job.place.parts))


def test_the_owner_is_told_once_when_the_promise_moves_by_much(
    house, add_waiting, printer, member, other
):
    mine = add_waiting(member, printer)
    house.services.foresight.tick(house.now)
    earlier = add_waiting(other, printer, planned_s=6 * 3600.0)
    with house.workshop.database.write() as session:
        session.get_one(Job, earlier).queued_at = house.now - timedelta(days=1)
    house.workshop.live.touch()  # as whoever queues does
    assert house.services.foresight.tick(house.now) == 1
    assert house.services.foresight.tick(house.now) == 0
    notice = house.row(Notice, code="job-later")
    assert (notice.person_id, notice.about) == (member.person_id, f"job:{mine}")


def test_who_no_longer_waits_is_promised_nothing(house, add_waiting, printer, member):
    job_id = add_waiting(member, printer)
    house.services.foresight.tick(house.now)
    house.services.queue.hold(member, job_id, house.now)
    house.services.foresight.tick(house.now)
    assert house.rows(QueuePromise) == []


def test_a_lab_that_weighs_deadlines_lets_one_go_before_an_older_job(
    house, add_waiting, printer, member, other
):
    add_waiting(other, printer)
    urgent = add_waiting(member, printer)
    with house.workshop.database.write() as session:
        session.add(Setting(key=WEIGHTS, value=json.dumps({"deadline": 100})))
        session.add(
            JobAsk(
                job_id=urgent,
                plate="",
                tools=[],
                detail={},
                deadline_at=house.now + timedelta(hours=1),
            )
        )
    assert seen(house, member)[0].id == urgent
    house.services.dispatch.arm(member, "ender", house.now)
    (run,) = house.services.dispatch.tick(house.now)
    assert house.attempt(urgent).id == run


@pytest.mark.parametrize("broken", ["[", "3", '{"speed": 1}', '{"waiting": 0}'])
def test_weights_that_cannot_be_read_leave_the_queue_as_by_default(
    house, add_waiting, printer, member, broken
):
    add_waiting(member, printer)
    with house.workshop.database.write() as session:
        session.add(Setting(key=WEIGHTS, value=broken))
    assert seen(house, member)[0].position == 1


def test_in_a_house_at_rest_promises_are_made_only_now_and_then(
    house, add_waiting, printer, member
):
    job_id = add_waiting(member, printer)

    def made_at():
        house.services.foresight.tick(house.now)
        return house.row(QueuePromise, job_id=job_id).made_at

    first = made_at()
    house.later(minutes=4)
    assert made_at() == first
    house.workshop.live.touch()  # somebody did something
    assert made_at() == house.now
    house.later(minutes=5)
    assert made_at() == house.now
