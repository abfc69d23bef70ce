"""What needs a person starts only by a named person's written word; a block by nobody's."""

from __future__ import annotations

import pytest

from jobs.domain.errors import InvalidError, NotAllowedError, NotFoundError, RefusedError
from jobs.domain.policy import Reason
from jobs.domain.preflight import Finding, FindingCode, Severity
from jobs.services.live import LiveState
from jobs.store.tables import Machine, MachineEvent, Preflight, Waiver

WHY = "Looked at it with Ada: the pin is the light."
PIN = Finding(FindingCode.PIN_SWITCHED, Severity.PERSON, 7, {"command": "M280"}, "M280 P0 S10")
STORED = Finding(
    FindingCode.SETTING_STORED,
    Severity.PERSON,
    9,
    {"command": "M500", "setting": "M301 P", "old": "22.2", "new": "25"},
    "M500",
)
NOTE = Finding(FindingCode.LIMITS_SET, Severity.NOTE, 1, {"command": "M203"}, "M203 X200")


@pytest.fixture
def found(house, add_waiting, printer, member):
    """(job, preflight) with these findings: `found(PIN, NOTE)`."""

    def make(*findings, verdict="person"):
        job_id = add_waiting(member, printer, verdict=verdict)
        with house.workshop.database.write() as session:
            row = session.query(Preflight).filter_by(job_id=job_id).one()
            row.findings = [one.to_json() for one in findings]
            return job_id, row.id

    return make


def started(house, member) -> list[str]:
    house.services.dispatch.arm(member, "ender", house.now)
    return house.services.dispatch.tick(house.now)


def reasons(error) -> list[Reason]:
    return [one.reason for one in error.value.refusals]


def test_without_a_word_nothing_starts_and_every_reason_is_said(house, found, member):
    job_id, _ = found(PIN, NOTE)
    assert started(house, member) == []
    with pytest.raises(RefusedError) as error:
        house.services.dispatch.start(member, job_id, "ender", house.now)
    (refusal,) = error.value.refusals
    assert (refusal.reason, refusal.fields) == (Reason.NEEDS_PERSON, {"count": 1})
    detail = house.services.queue.get(job_id, house.now, member)
    assert [one.reason for one in detail.waits_for[0][1]][:1] == [Reason.NEEDS_PERSON]


def test_a_word_is_kept_whole_and_the_job_starts_with_it(house, found, member, operator, gateway):
    job_id, read = found(PIN, NOTE)
    house.services.waiving.waive(operator, job_id, read, [PIN.key], f"  {WHY}\n", house.now)
    row, preflight = house.row(Waiver), house.row(Preflight)
    assert (row.person_id, row.at, row.reason) == (operator.person_id, house.now, WHY)
    assert (row.program_sha256, row.limits_sha256) == (
        preflight.program_sha256,
        preflight.limits_sha256,
    )
    assert (row.code, row.line, row.text, row.fields) == ("pin-switched", 7, PIN.text, PIN.fields)
    book = house.row(MachineEvent, kind="waived")
    assert book.person_id == operator.person_id
    assert book.detail == {"job": "1", "code": "pin-switched", "line": "7", "reason": WHY}
    assert len(started(house, member)) == 1
    assert (gateway.orders[0].verdict, gateway.orders[0].waivers) == ("person", (row.id,))
    (shown,) = house.services.queue.get(job_id, house.now, member).preflights
    assert (list(shown.open_findings), shown.waivers[0].by) == ([], operator.name)


def test_a_block_is_let_stand_by_nobody(house, found, admin):
    block = Finding(FindingCode.NOZZLE_TOO_HOT, Severity.BLOCK, 3, {"asked_c": 300.0})
    job_id, read = found(PIN, block, verdict="block")
    with pytest.raises(RefusedError) as error:
        house.services.waiving.waive(admin, job_id, read, [PIN.key, block.key], WHY, house.now)
    assert reasons(error) == [Reason.BLOCKED_BY_PREFLIGHT]
    assert house.rows(Waiver) == []


@pytest.mark.parametrize("reason", ["", "  ok ", "x" * 501])
def test_a_reason_must_be_written(house, found, operator, reason):
    job_id, read = found(PIN)
    with pytest.raises(InvalidError) as error:
        house.services.waiving.waive(operator, job_id, read, [PIN.key], reason, house.now)
    assert (error.value.code, error.value.field) == ("waive.reason", "reason")


def test_a_member_may_not_and_an_operator_not_what_stays_in_the_machine(
    house, found, member, operator, admin
):
    job_id, read = found(PIN, STORED)
    waive = house.services.waiving.waive
    with pytest.raises(NotAllowedError):
        waive(member, job_id, read, [PIN.key], WHY, house.now)
    with pytest.raises(NotAllowedError):
        waive(operator, job_id, read, [PIN.key, STORED.key], WHY, house.now)
    assert house.rows(Waiver) == [], "all or nothing"
    waive(operator, job_id, read, None, WHY, house.now)
    assert [row.code for row in house.rows(Waiver)] == ["pin-switched"]
    with pytest.raises(NotAllowedError):
        waive(operator, job_id, read, None, WHY, house.now)
    assert started(house, member) == []
    waive(admin, job_id, read, None, WHY, house.now)
    kept = house.row(Waiver, code="setting-stored")
    assert (kept.fields["old"], kept.fields["new"]) == ("22.2", "25")
    with pytest.raises(RefusedError) as error:
        waive(admin, job_id, read, None, WHY, house.now)
    assert reasons(error) == [Reason.NOTHING_TO_WAIVE]
    assert len(started(house, member)) == 1


def test_a_word_holds_for_the_same_file_and_machine_and_no_longer(
    house, found, member, operator, printer
):
    job_id, read = found(PIN)
    house.services.waiving.waive(operator, job_id, read, None, WHY, house.now)
    again, _ = found(PIN)  # the same program in another job
    detail = house.services.queue.get(again, house.now, member)
    assert list(detail.preflights[0].open_findings) == []
    for changed in ({"program_sha256": "9" * 64}, {"limits_sha256": "8" * 64}):
        with house.workshop.database.write() as session:
            row = session.query(Preflight).filter_by(job_id=again).one()
            before = {key: getattr(row, key) for key in changed}
            for key, value in changed.items():
                setattr(row, key, value)
        detail = house.services.queue.get(again, house.now, member)
        assert [one.key for one in detail.preflights[0].open_findings] == [PIN.key]
        with house.workshop.database.write() as session:
            row = session.query(Preflight).filter_by(job_id=again).one()
            for key, value in before.items():
                setattr(row, key, value)


def test_a_word_about_what_is_no_longer_so_is_refused(house, found, operator, printer):
    job_id, read = found(PIN)
    other, other_read = found(PIN)
    with pytest.raises(NotFoundError):
        house.services.waiving.waive(operator, job_id, other_read, None, WHY, house.now)
    with house.workshop.database.write() as session:
        machine = session.get_one(Machine, printer)
        machine.limits = {**machine.limits, "nozzle_max_c": 200.0}
    with pytest.raises(RefusedError) as error:
        house.services.waiving.waive(operator, job_id, read, None, WHY, house.now)
    assert reasons(error) == [Reason.FINDINGS_CHANGED]
    with house.workshop.database.write() as session:
        session.get_one(Preflight, other_read).superseded_at = house.now
    with pytest.raises(RefusedError) as error:
        house.services.waiving.waive(operator, other, other_read, None, WHY, house.now)
    assert reasons(error) == [Reason.FINDINGS_CHANGED]


def test_the_old_value_is_what_the_machine_told_when_it_was_connected(house, found, member, admin):
    setting = {"command": "$100", "setting": "$100", "old": "not-known", "new": "80"}
    steps = Finding(FindingCode.SETTING_STORED, Severity.PERSON, 4, setting, "$100=80")
    job_id, read = found(steps)
    told = {"steps_x_per_mm": 250.0}
    house.workshop.live.put("ender", LiveState(phase="idle", connected=True, told=told))
    (shown,) = house.services.queue.get(job_id, house.now, member).preflights
    assert shown.findings[0].fields["old"] == 250
    house.services.waiving.waive(admin, job_id, read, None, WHY, house.now)
    assert house.row(Waiver).fields == {**setting, "old": 250}


def test_what_a_marlin_keeps_is_compared_command_by_command(house, found, member, admin):
    """M500 keeps what was set before it; of that the machine told what it keeps now."""
    new = "M301 P25 I1.1 D110; M206 Z0.1"
    setting = {"command": "M500", "setting": "M500", "old": "not-known", "new": new}
    job_id, read = found(Finding(FindingCode.SETTING_STORED, Severity.PERSON, 9, setting, "M500"))

    def old(*told: str) -> object:
        live = LiveState(phase="idle", connected=True, settings=told)
        house.workshop.live.put("ender", live)
        return (
            house.services.queue.get(job_id, house.now, member)
            .preflights[0]
            .findings[0]
            .fields["old"]
        )

    assert old() == "not-known"
    assert old("M92 X80.00", "M301 P22.20 I1.08 D114.00") == "M301 P22.20 I1.08 D114.00; M206 ?"
    full = old("M206 X0.00 Y0.00 Z0.00", "M301 P22.20 I1.08 D114.00")
    assert full == "M301 P22.20 I1.08 D114.00; M206 X0.00 Y0.00 Z0.00"
    house.services.waiving.waive(admin, job_id, read, None, WHY, house.now)
    assert house.row(Waiver).fields == {**setting, "old": full}


def test_a_lone_m500_keeps_all_that_the_machine_told(house, found, member):
    """It sets nothing itself, so what it would keep is what was set since the machine started."""
    setting = {"command": "M500", "setting": "M500", "old": "not-known", "new": "as-they-are"}
    job_id, _ = found(Finding(FindingCode.SETTING_STORED, Severity.PERSON, 9, setting, "M500"))

    def old(*told: str) -> object:
        house.workshop.live.put("ender", LiveState(phase="idle", connected=True, settings=told))
        job = house.services.queue.get(job_id, house.now, member)
        return job.preflights[0].findings[0].fields["old"]

    assert old() == "not-known"
    assert old("M92 X80.00", "M301 P22.20") == "M92 X80.00; M301 P22.20"
    many = [f"M{number} X80.00 Y80.00 Z400.00 E93.00" for number in range(200, 240)]
    assert len(str(old(*many))) == 400
