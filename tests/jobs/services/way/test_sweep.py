"""The sweep: what nobody needs any more goes, what somebody might ask for stays."""

from __future__ import annotations

import os
from dataclasses import astuple
from datetime import timedelta

import pytest
from sqlalchemy import select

from jobs.domain.errors import InvalidError, NotAllowedError
from jobs.domain.events import EventType
from jobs.domain.job import JobState
from jobs.services import outbox, sweep
from jobs.services.notices import tell
from jobs.services.programs import Programs
from jobs.store.sharing import Notice, NoticeAddress, NoticeDelivery
from jobs.store.tables import (
    Arming,
    Attempt,
    Job,
    OutboxMessage,
    Preflight,
    SignIn,
    SignInFailure,
    SignInLink,
)
from jobs.store.upkeep import Clearing, Fault

DAY = timedelta(days=1)


def put(house, name: str, age: timedelta) -> None:
    file = house.workshop.work_dir / "programs" / name
    file.write_bytes(b"x")
    date(file, house, age)


def date(file, house, age: timedelta) -> None:
    at = (house.now - age).timestamp()
    os.utime(file, (at, at))


def files(house) -> set[str]:
    return {file.name[0] for file in (house.workshop.work_dir / "programs").iterdir()}


def end(house, job_id: str, ago: timedelta) -> None:
    with house.workshop.database.write() as session:
        job = session.get_one(Job, job_id)
        job.state, job.ended_at = JobState.DONE.value, house.now - ago


def photo_files(house) -> set[str]:
    return {file.name[0] for file in (house.workshop.work_dir / "photos").glob("*.jpg")}


def put_photo(house, letter: str, age: timedelta = 2 * DAY) -> str:
    folder = house.workshop.work_dir / "photos"
    folder.mkdir(exist_ok=True)
    file = folder / f"{letter * 64}.jpg"
    file.write_bytes(b"x")
    date(file, house, age)
    return letter * 64


def clearing(house, person, machine_id: str, photo: str, ago: timedelta, attempt=None) -> None:
    with house.workshop.database.write() as session:
        session.add(
            Clearing(
                id=house.workshop.new_id(),
                machine_id=machine_id,
                attempt_id=attempt,
                person_id=person.person_id,
                at=house.now - ago,
                outcome="good",
                photo_sha256=put_photo(house, photo),
            )
        )


def test_photos_go_when_the_lab_no_longer_keeps_them(house, printer, member, operator):
    keeping, sweep = house.services.photos, house.services.sweep
    clearing(house, member, printer, "a", 91 * DAY)
    clearing(house, member, printer, "b", 89 * DAY)
    clearing(house, member, printer, "c", 91 * DAY)
    clearing(house, member, printer, "c", 1 * DAY)  # the same picture again
    put_photo(house, "d")  # nobody's: an upload that was given up
    put_photo(house, "e", timedelta(hours=1))  # its row may still come
    with house.workshop.database.write() as session:
        for photo, mended in (("f", None), ("g", 91 * DAY)):
            session.add(
                Fault(
                    id=house.workshop.new_id(),
                    machine_id=printer,
                    person_id=member.person_id,
                    at=house.now - 200 * DAY,
                    severity="note",
                    text="drips",
                    photo_sha256=put_photo(house, photo),
                    mended_at=house.now - mended if mended else None,
                )
            )
    assert keeping.days() == 90
    assert sweep.tick(house.now).photos == 3
    assert photo_files(house) == set("bcef")
    assert sweep.tick(house.now).photos == 0
    with pytest.raises(NotAllowedError):
        keeping.keep(member, 10)
    keeping.keep(operator, 10)
    assert sweep.tick(house.now).photos == 1
    assert photo_files(house) == set("cef")
    for days in (None, 0, 1.5, 3651, float("nan")):
        with pytest.raises(InvalidError, match=r"photo\.days"):
            keeping.keep(operator, days)


def test_the_photo_of_a_contested_result_stays_until_that_is_decided(
    house, running, printer, member, admin
):
    house.services.runs.apply("ender", house.event(running[1], 1, "finished"), house.now)
    contest = house.services.contests.open(member, f"attempt:{running[1]}", "Good", house.now)
    clearing(house, member, printer, "a", 91 * DAY, running[1])
    assert house.services.sweep.tick(house.now).photos == 0
    house.services.contests.decide(admin, contest, "It was not", house.now, upheld=False)
    assert house.services.sweep.tick(house.now).photos == 1


@pytest.mark.parametrize(
    ("state", "ago", "left"),
    [
        (JobState.WAITING, None, set("abcdf")),
        (JobState.HELD, None, set("abcdf")),
        (JobState.DONE, 29 * DAY, set("abcdf")),
        (JobState.DONE, 31 * DAY, set()),
        (JobState.FAILED, 31 * DAY, set()),
    ],
)
def test_files_stay_as_long_as_a_job_may_ask_for_them(
    house, add_waiting, printer, member, state, ago, left
):
    job_id = add_waiting(member, printer)
    for sign in "abcdf":  # program, stream, index, a slicer's picture, plan
        put(house, sign * 64, 40 * DAY)
    put(house, "e" * 64, 40 * DAY)  # nobody's
    put(house, "e.new", 40 * DAY)  # of a node that was killed while it copied
    with house.workshop.database.write() as session:
        job = session.get_one(Job, job_id)
        job.state, job.ended_at = state.value, house.now - ago if ago else None
        examined = session.scalars(select(Preflight).filter_by(job_id=job_id)).one()
        examined.report = {"thumbnails": [{"sha256": "d" * 64}]}
    swept = house.services.sweep.tick(house.now)
    assert files(house) == left
    assert swept.files == 7 - len(left)


def test_a_file_another_job_shares_stays(house, add_waiting, printer, member):
    old, new = add_waiting(member, printer), add_waiting(member, printer)
    put(house, "a" * 64, 40 * DAY)
    end(house, old, 40 * DAY)
    house.services.sweep.tick(house.now)
    assert "a" in files(house)
    end(house, new, 40 * DAY)
    house.services.sweep.tick(house.now)
    assert "a" not in files(house)


def test_what_preparation_has_just_kept_stays_though_no_row_names_it_yet(house, tmp_path):
    programs = Programs(house.workshop.work_dir)
    made = tmp_path / "made"
    made.write_bytes(b"G28\n")
    place = house.workshop.work_dir / "programs" / programs.keep(made)
    before_s = place.stat().st_mtime - 3600
    assert programs.forget(set, before_s, 10) == 0
    date(place, house, 400 * DAY)
    programs.keep(made)  # made again: as good as new
    assert programs.forget(set, before_s, 10) == 0
    assert programs.forget(set, place.stat().st_mtime + 1, 10) == 1


def test_one_sweep_removes_no_more_than_its_share(house, monkeypatch):
    monkeypatch.setattr(sweep, "_MOST", 2)
    for number in range(5):
        put(house, f"{number}" * 64, 40 * DAY)
    assert [house.services.sweep.tick(house.now).files for _ in range(4)] == [2, 2, 1, 0]


def test_messages_go_long_after_the_broker_has_them_and_never_before(house):
    with house.workshop.database.write() as session:
        ids = [
            outbox.add(
                session,
                EventType.JOB_QUEUED,
                {},
                at=house.now,
                now=house.now,
                workshop=house.workshop,
            )
            for _ in range(3)
        ]
    house.services.outbox.acked(ids[:1], house.now)
    house.services.outbox.acked(ids[1:2], house.now + 2 * DAY)
    later = house.now + 91 * DAY
    assert house.services.sweep.tick(later).messages == 1
    assert house.services.sweep.tick(later).messages == 0
    assert [row.id for row in house.rows(OutboxMessage)] == ids[1:]
    assert house.services.sweep.tick(house.now + 9999 * DAY).messages == 1
    assert [row.id for row in house.rows(OutboxMessage)] == ids[2:]


def test_sign_ins_links_and_wrong_passwords_go_when_they_are_over(house, member):
    people = house.services.people
    token, _ = people.redeem(people.make_link(member.person_id, house.now), house.now)
    link = people.make_link(member.person_id, house.now)
    with pytest.raises(InvalidError):
        people.sign_in("mia", "wrong", house.now)
    swept = house.services.sweep.tick(house.now + timedelta(seconds=59))
    assert (swept.sign_ins, swept.links, swept.failures) == (0, 1, 0)  # the link that was used
    assert people.signed_in(token, house.now + DAY / 2) is not None
    people.redeem(link, house.now + DAY / 2)
    swept = house.services.sweep.tick(house.now + DAY)
    assert (swept.sign_ins, swept.failures) == (0, 1)
    house.services.sweep.tick(house.now + 31 * DAY)
    assert [row.token_sha256 for row in house.rows(SignIn)] == [member.seat]
    for table in (SignInLink, SignInFailure):
        assert house.rows(table) == []


def test_a_word_that_started_something_is_kept_for_ever(house, running, member):
    job_id, run = running
    house.services.runs.apply("ender", house.event(run, 1, "finished"), house.now)
    house.services.dispatch.arm(member, "ender", house.now)  # starts nothing
    assert house.services.sweep.tick(house.now + 364 * DAY).armings == 0
    assert house.services.sweep.tick(house.now + 367 * DAY).armings == 1
    (kept,) = house.rows(Arming)
    assert kept.id == house.row(Attempt, job_id=job_id).arming_id


def test_what_was_found_before_goes_unless_an_attempt_ran_on_it(
    house, running, add_waiting, printer, member
):
    job_id, _ = running
    other = add_waiting(member, printer)
    with house.workshop.database.write() as session:
        for preflight in session.query(Preflight):
            preflight.superseded_at = house.now
    assert house.services.sweep.tick(house.now + 29 * DAY).preflights == 0
    assert house.services.sweep.tick(house.now + 31 * DAY).preflights == 1
    assert [row.job_id for row in house.rows(Preflight)] == [job_id] != [other]


def test_a_second_sweep_at_once_finds_nothing(house, running, add_waiting, printer, member):
    put(house, "e" * 64, 40 * DAY)
    later = house.now + 400 * DAY
    assert any(counts(house.services.sweep.tick(later)))
    assert not any(counts(house.services.sweep.tick(later)))


def counts(swept: sweep.Swept) -> tuple[int, ...]:
    return astuple(swept)


def test_notices_go_after_a_year_with_what_was_to_become_of_them(house, member, admin):
    with house.workshop.database.write() as session:
        address = NoticeAddress(
            id="a", person_id=member.person_id, way="email", target="m@lab.example",
            created_at=house.now, problem="",
        )  # fmt: skip
        session.add(address)
        session.flush()
        tell(session, house.workshop, member.person_id, "job-done", {}, house.now, key="once")
        tell(session, house.workshop, admin.person_id, "job-done", {}, house.now)
    house.later(days=200)
    with house.workshop.database.write() as session:
        tell(session, house.workshop, member.person_id, "job-failed", {}, house.now)
    assert house.services.sweep.tick(house.later(days=164)).notices == 0
    assert house.services.sweep.tick(house.later(days=2)).notices == 2
    assert [row.code for row in house.rows(Notice)] == ["job-failed"]
    (left,) = house.rows(NoticeDelivery)
    assert left.notice_id == house.row(Notice).id
    assert house.services.sweep.tick(house.now).notices == 0
