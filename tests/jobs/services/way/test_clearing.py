"""Clearing a machine, and contesting what was said of it."""

from __future__ import annotations

import io
import json
from datetime import timedelta

import pytest
from PIL import Image

from jobs.domain.care import Outcome
from jobs.domain.errors import InvalidError, NotAllowedError, NotFoundError, RefusedError
from jobs.domain.people import Actor
from jobs.domain.policy import Reason
from jobs.services.photos import LARGEST_BYTES
from jobs.store.tables import Attempt, Machine, Record
from tests.jobs.services.way.conftest import House


@pytest.fixture
def ended(house: House, running: tuple[str, str]) -> tuple[str, str]:
    """(job, run) that has finished on `ender`; Mia armed it and owns it."""
    job_id, run = running
    house.services.runs.apply("ender", house.event(run, 1, "finished"), house.now)
    return job_id, run


def reasons(error: pytest.ExceptionInfo[RefusedError]) -> list[Reason]:
    return [one.reason for one in error.value.refusals]


def test_three_taps_clear_a_machine_and_tell_the_owner_the_shelf(
    house: House, ended: tuple[str, str], other: Actor, member: Actor
) -> None:
    services = house.services
    asked = services.clearing.look(other, "ender")
    assert (asked.job_id, asked.owner_name, asked.ended_as) == (ended[0], "Mia", "finished")
    services.clearing.clear(other, "ender", Outcome.GOOD, house.now, shelf="B 3")
    assert house.row(Machine, slug="ender").to_check_since is None
    (told,) = (one for one in services.notices.list(member) if one.code != "job-done")
    assert told.code == "job-cleared-good-shelf"
    assert told.fields["shelf"] == "B 3"
    (said,) = services.clearing.of_job(ended[0])
    assert (said.outcome, said.shelf, said.person_name) == (Outcome.GOOD, "B 3", "Noor")


def test_nothing_starts_by_that_word_alone(
    house: House, ended: tuple[str, str], add_waiting, printer: str, member: Actor
) -> None:
    add_waiting(member, printer)
    house.services.clearing.clear(member, "ender", Outcome.GOOD, house.now)
    assert house.services.dispatch.tick(house.now) == []
    house.services.dispatch.arm(member, "ender", house.now)
    assert len(house.services.dispatch.tick(house.now)) == 1


def test_a_failure_needs_a_cause_and_corrects_the_ledger_by_a_new_record(
    house: House, ended: tuple[str, str], other: Actor
) -> None:
    services = house.services
    (record,) = house.rows(Record)
    with pytest.raises(InvalidError, match=r"clearing\.cause"):
        services.clearing.clear(other, "ender", Outcome.FAILED, house.now)
    services.clearing.clear(other, "ender", Outcome.FAILED, house.now, cause="warped")
    first, correction = sorted(house.rows(Record), key=lambda one: one.seq)
    assert first.body == record.body
    body = json.loads(correction.body)
    assert (body["of"], body["result"], body["cause"]) == (record.id, "failed", "warped")
    assert services.ledger.verify().ok
    assert "Noor" not in correction.body.decode()


def test_whoever_is_unsure_has_somebody_else_look(
    house: House, ended: tuple[str, str], member: Actor, operator: Actor
) -> None:
    house.services.clearing.clear(member, "ender", Outcome.UNSURE, house.now)
    assert house.row(Machine, slug="ender").to_check_since is not None
    assert [one.code for one in house.services.notices.list(operator)] == ["machine-unsure"]


def test_no_machine_is_cleared_while_it_runs_or_by_a_guest(
    house: House, running: tuple[str, str], member: Actor, guest: Actor
) -> None:
    with pytest.raises(RefusedError):
        house.services.clearing.clear(member, "ender", Outcome.GOOD, house.now)
    with pytest.raises(NotAllowedError):
        house.services.clearing.clear(guest, "ender", Outcome.GOOD, house.now)


def test_a_photo_is_written_anew_without_where_it_was_taken(
    house: House, ended: tuple[str, str], member: Actor, other: Actor
) -> None:
    photo = io.BytesIO()
    exif = Image.Exif()
    exif[0x010F] = "Secret Camera"
    exif[0x0112] = 6  # turned
    Image.new("RGB", (2400, 1200), "red").save(photo, "JPEG", exif=exif)
    photo.seek(0)
    cleared = house.services.clearing.clear(member, "ender", Outcome.GOOD, house.now, photo=photo)
    kept = house.services.clearing.photo(member, cleared)
    assert b"Secret Camera" not in kept.read_bytes()
    with Image.open(kept) as picture:
        assert picture.size == (800, 1600)
    with pytest.raises(NotAllowedError):
        house.services.clearing.photo(other, cleared)
    with pytest.raises(NotFoundError):
        house.services.clearing.photo(member, "nothing")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"no picture", "photo.unreadable"),
        (b"\xff\xd8\xff\xe0 broken", "photo.unreadable"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "photo.unreadable"),
        (b"0" * (LARGEST_BYTES + 1), "photo.too-large"),
    ],
)
def test_what_is_no_photo_is_refused_and_nothing_is_cleared(
    house: House, ended: tuple[str, str], member: Actor, data: bytes, code: str
) -> None:
    with pytest.raises(InvalidError, match=code):
        house.services.clearing.clear(
            member, "ender", Outcome.GOOD, house.now, photo=io.BytesIO(data)
        )
    assert house.services.clearing.of_job(ended[0]) == []


def test_a_lab_writes_its_own_causes(house: House, operator: Actor, member: Actor) -> None:
    services = house.services
    with pytest.raises(NotAllowedError):
        services.clearing.write_causes(member, "the cat")
    services.clearing.write_causes(operator, "the cat\n\nthe cat\nthe draught ")
    assert services.clearing.causes() == ["the cat", "the draught"]
    services.clearing.write_causes(operator, "")
    assert "warped" in services.clearing.causes()


def test_a_contest_is_decided_by_somebody_who_had_no_hand_in_it(
    house: House, ended: tuple[str, str], member: Actor, other: Actor, operator: Actor, admin: Actor
) -> None:
    services, about = house.services, f"attempt:{ended[1]}"
    services.clearing.clear(operator, "ender", Outcome.FAILED, house.now, cause="warped")
    with pytest.raises(RefusedError) as not_theirs:
        services.contests.open(other, about, "It was mine", house.now)
    assert reasons(not_theirs) == [Reason.NOT_YOURS]
    assert services.contests.contestable(member, about, house.now)
    contest_id = services.contests.open(member, about, "It was good", house.now)
    assert services.contests.contestable(member, about, house.now) == ""
    with pytest.raises(RefusedError) as twice:
        services.contests.open(member, about, "Again", house.now)
    assert reasons(twice) == [Reason.CONTESTED]
    with pytest.raises(RefusedError) as involved:
        services.contests.decide(operator, contest_id, "No", house.now, upheld=False)
    assert reasons(involved) == [Reason.INVOLVED]
    assert [one.may_decide for one in services.contests.list(operator)] == [False]
    before = [one.body for one in house.rows(Record)]
    services.contests.decide(admin, contest_id, "It is good indeed", house.now, upheld=True)
    after = sorted(house.rows(Record), key=lambda one: one.seq)
    assert [one.body for one in after][: len(before)] == before
    assert json.loads(after[-1].body)["result"] == "contest-upheld"
    assert services.ledger.verify().ok
    assert services.notices.list(member)[0].code == "contest-upheld"
    with pytest.raises(RefusedError):
        services.contests.decide(admin, contest_id, "Once more", house.now, upheld=False)


def test_contested_use_is_corrected_to_what_counts_instead(
    house: House, ended: tuple[str, str], member: Actor, operator: Actor, admin: Actor
) -> None:
    contests, about = house.services.contests, f"use:{ended[1]}"
    result = contests.open(member, f"attempt:{ended[1]}", "It was good", house.now)
    use = contests.open(member, about, "It stood still for an hour", house.now)
    assert result != use  # of one run both
    record = house.row(Record, attempt_id=ended[1])
    with pytest.raises(InvalidError):
        contests.decide(admin, use, "No", house.now, upheld=True, minutes=-1.0)
    contests.decide(admin, use, "It did", house.now, upheld=True, minutes=4.5, mass_g=1.25)
    body = json.loads(max(house.rows(Record), key=lambda one: one.seq).body)
    assert (body["type"], body["of"], body["what"]) == ("correction", record.id, "use")
    assert (body["effort_ms"], body["mass_mg"]) == (270_000, 1250)
    contests.decide(admin, result, "No", house.now, upheld=False)
    assert len(house.rows(Record)) == 2
    assert house.services.ledger.verify().ok


def test_after_the_days_for_it_nothing_is_contested(
    house: House, ended: tuple[str, str], member: Actor
) -> None:
    about = f"attempt:{ended[1]}"
    late = house.row(Attempt, id=ended[1]).ended_at + timedelta(days=14, seconds=1)
    with pytest.raises(RefusedError) as error:
        house.services.contests.open(member, about, "Hm", late)
    assert reasons(error) == [Reason.CONTEST_LATE]
    assert house.services.contests.contestable(member, about, late) == ""
