"""Dispatch starts what may start, on a person's word, and undoes what a host refuses."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from jobs.domain.errors import NotAllowedError, RefusedError, UnavailableError
from jobs.domain.job import AttemptState, JobState
from jobs.domain.policy import Reason
from jobs.domain.promise import Plan, promise
from jobs.services.live import LiveState
from jobs.store.tables import Allocation, Arming, Attempt, Machine, Preflight, Setting, UsageEvent


def reasons(error: pytest.ExceptionInfo[RefusedError]) -> set[Reason]:
    return {refusal.reason for refusal in error.value.refusals}


def test_nothing_starts_without_a_persons_word(house, add_waiting, printer, member, gateway):
    add_waiting(member, printer)
    assert house.services.dispatch.tick(house.now) == []
    assert gateway.calls == []


def test_an_armed_machine_takes_the_first_job_and_only_one(
    house, add_waiting, printer, member, other, gateway
):
    first = add_waiting(member, printer)
    second = add_waiting(other, printer)
    house.services.dispatch.arm(other, "ender", house.now)
    assert len(house.services.dispatch.tick(house.now)) == 1
    assert gateway.calls == [("start", "ender")]
    assert house.job(first).state == JobState.RUNNING
    assert house.job(second).state == JobState.WAITING
    assert house.services.dispatch.tick(house.now) == []
    order = gateway.orders[0]
    assert order.run == house.attempt(first).id
    assert order.stream_sha256 == "b" * 64
    assert order.limits_sha256


def test_a_start_writes_attempt_use_time_and_word_together(house, running, member):
    job_id, run = running
    attempt = house.attempt(job_id)
    assert attempt.state == AttemptState.RUNNING
    assert attempt.total == 100
    assert house.row(UsageEvent, attempt_id=run).end_at is None
    allocation = house.row(Allocation, attempt_id=run)
    made = promise(Plan(0.0, 600.0), "", [])  # nobody has timed this machine yet
    length = allocation.end_at - allocation.start_at
    assert length == pytest.approx(timedelta(seconds=made.whole.p90), abs=timedelta(seconds=1))
    assert house.said() == ["job.started"]
    assert house.row(Arming).attempt_id == run


def test_an_arming_is_over_after_half_an_hour(house, add_waiting, printer, member):
    add_waiting(member, printer)
    house.services.dispatch.arm(member, "ender", house.now)
    assert house.services.dispatch.tick(house.later(minutes=30)) == []
    house.services.dispatch.arm(member, "ender", house.now)
    assert len(house.services.dispatch.tick(house.later(minutes=29))) == 1


def test_a_word_taken_back_starts_nothing(house, add_waiting, printer, member):
    add_waiting(member, printer)
    house.services.dispatch.arm(member, "ender", house.now)
    house.services.dispatch.disarm(member, "ender", house.now)
    assert house.services.dispatch.tick(house.now) == []


def test_arming_clears_to_check(house, printer, member):
    house.services.machines.set_to_check(member, "ender", house.now)
    house.services.dispatch.arm(member, "ender", house.now)
    assert house.row(Machine, slug="ender").to_check_since is None


@pytest.mark.parametrize(
    ("live", "reason"),
    [
        (LiveState(), Reason.MACHINE_OFFLINE),
        (LiveState(phase="stopped", connected=True, stopped=True), Reason.MACHINE_BUSY),
        (LiveState(phase="fault", connected=True, stopped=True), Reason.MACHINE_BUSY),
        (LiveState(phase="connecting", stopped=True), Reason.MACHINE_BUSY),
        (LiveState(phase="idle", connected=True, stopped=True), Reason.MACHINE_BUSY),
        (LiveState(phase="streaming", connected=True), Reason.MACHINE_BUSY),
    ],
)
def test_a_machine_that_is_not_idle_is_not_armed(house, printer, member, live, reason):
    house.workshop.live.put("ender", live)
    with pytest.raises(RefusedError) as error:
        house.services.dispatch.arm(member, "ender", house.now)
    assert reasons(error) == {reason}


def test_a_guest_arms_nothing(house, printer, guest):
    with pytest.raises(NotAllowedError):
        house.services.dispatch.arm(guest, "ender", house.now)


def test_a_blocked_program_never_starts(house, add_waiting, printer, member, operator):
    job_id = add_waiting(member, printer, verdict="block")
    house.services.dispatch.arm(member, "ender", house.now)
    assert house.services.dispatch.tick(house.now) == []
    with pytest.raises(RefusedError) as error:
        house.services.dispatch.start(operator, job_id, "ender", house.now)
    assert reasons(error) == {Reason.BLOCKED_BY_PREFLIGHT}


def test_new_limits_need_a_new_preflight(house, add_waiting, printer, member, operator):
    add_waiting(member, printer)
    house.services.machines.change(operator, "ender", house.now, nozzle_max_c=200.0)
    house.services.dispatch.arm(member, "ender", house.now)
    assert house.services.dispatch.tick(house.now) == []


def test_a_mill_waits_for_a_person_who_starts_it(house, add_waiting, mill, member, other):
    job_id = add_waiting(member, mill)
    house.at(member, "router")
    house.services.dispatch.arm(member, "router", house.now)
    assert house.services.dispatch.tick(house.now) == []
    with pytest.raises(NotAllowedError):
        house.services.dispatch.start(other, job_id, "router", house.now, checked=True)
    run = house.services.dispatch.start(member, job_id, "router", house.now, checked=True)
    assert house.attempt(job_id).id == run


def test_a_person_at_the_machine_hears_every_reason_at_once(house, add_waiting, mill, member):
    job_id = add_waiting(member, mill, verdict="block")
    house.at(member, "router")
    house.workshop.live.offline("router")
    with pytest.raises(RefusedError) as error:
        house.services.dispatch.start(member, job_id, "router", house.now, checked=True)
    assert reasons(error) == {
        Reason.BLOCKED_BY_PREFLIGHT,
        Reason.MACHINE_OFFLINE,
        Reason.NOT_ARMED,
    }


def test_a_run_that_would_reach_into_a_reservation_does_not_start(
    house, add_waiting, printer, member, other
):
    job_id = add_waiting(member, printer)
    start = house.now + timedelta(minutes=10)
    end = start + timedelta(hours=1)
    house.services.bookings.book(other, "ender", start, end, house.now)
    house.services.dispatch.arm(member, "ender", house.now)
    assert house.services.dispatch.tick(house.now) == []
    with pytest.raises(RefusedError) as error:
        house.services.dispatch.start(member, job_id, "ender", house.now)
    assert reasons(error) == {Reason.NO_ROOM_BEFORE}


@pytest.mark.parametrize(("minutes", "starts"), [(40, False), (60, True)])
def test_a_run_ends_before_the_machine_is_set_up_for_who_comes_next(
    house, add_waiting, printer, member, other, minutes, starts
):
    with house.workshop.database.write() as session:
        session.add(Setting(key="rules.lab", value='{"buffer_min": 30}'))
    add_waiting(member, printer)  # ten minutes long
    start = house.now + timedelta(minutes=minutes)
    house.services.bookings.book(other, "ender", start, start + timedelta(hours=1), house.now)
    house.services.dispatch.arm(member, "ender", house.now)
    assert bool(house.services.dispatch.tick(house.now)) is starts


def test_a_run_starts_in_its_owners_own_reservation(house, add_waiting, printer, member):
    add_waiting(member, printer)
    end = house.now + timedelta(hours=1)
    house.services.bookings.book(member, "ender", house.now, end, house.now)
    house.services.dispatch.arm(member, "ender", house.now)
    assert len(house.services.dispatch.tick(house.now)) == 1


def test_what_cannot_start_does_not_hold_up_what_can(house, add_waiting, printer, mill, member):
    add_waiting(member, mill)
    free = add_waiting(member, printer)
    house.services.dispatch.arm(member, "ender", house.now)
    house.services.dispatch.tick(house.now)
    assert house.job(free).state == JobState.RUNNING


def test_a_program_the_host_refuses_is_held_and_nothing_was_used(
    house, add_waiting, printer, member, gateway
):
    job_id = add_waiting(member, printer)
    gateway.refuses["start", "ender"] = "host.no_preflight"
    house.services.dispatch.arm(member, "ender", house.now)
    assert house.services.dispatch.tick(house.now) == []
    job, attempt = house.job(job_id), house.attempt(job_id)
    assert (job.state, job.hold_reason) == ("held", "host-refused")
    assert (attempt.state, attempt.reason) == ("cancelled", "host.no_preflight")
    assert house.row(UsageEvent, attempt_id=attempt.id).end_at is not None
    assert house.row(Allocation, attempt_id=attempt.id).state == "ended"
    assert house.said() == []
    assert house.services.ledger.verify().records == 0
    # The word was given for one start, and nobody saw that it came to nothing.
    gateway.refuses.clear()
    add_waiting(member, printer)
    assert house.services.dispatch.tick(house.now) == []
    assert house.services.machines.get("ender", house.now, None).armed is None


def test_after_silence_the_job_waits_and_the_machine_must_be_looked_at(
    house, add_waiting, printer, member, gateway
):
    """The host may have begun all the same, so the word for this start is used up."""
    job_id = add_waiting(member, printer)
    gateway.refuses["start", "ender"] = "host.unreachable"
    house.services.dispatch.arm(member, "ender", house.now)
    assert house.services.dispatch.tick(house.now) == []
    assert house.job(job_id).state == JobState.WAITING
    gateway.refuses.clear()
    assert house.services.dispatch.tick(house.now) == []
    assert gateway.calls == [("start", "ender")]


def test_a_person_who_starts_hears_the_hosts_no(house, add_waiting, mill, member, gateway):
    job_id = add_waiting(member, mill)
    gateway.refuses["start", "router"] = "host.busy"
    house.at(member, "router")
    house.services.dispatch.arm(member, "router", house.now)
    with pytest.raises(UnavailableError) as error:
        house.services.dispatch.start(member, job_id, "router", house.now, checked=True)
    assert error.value.code == "host.busy"


def test_only_owner_and_operator_steer_a_run(house, running, member, other, operator, gateway):
    for steer in ("pause", "resume", "cancel"):
        act = type(house.services.dispatch).__dict__[steer]
        with pytest.raises(NotAllowedError):
            act(house.services.dispatch, other, "ender", house.now)
        act(house.services.dispatch, member, "ender", house.now)
        act(house.services.dispatch, operator, "ender", house.now)
    assert gateway.calls[1:] == [
        (verb, "ender") for verb in ("pause", "pause", "resume", "resume", "cancel", "cancel")
    ]
    gateway.refuses["pause", "ender"] = "host.unreachable"
    with pytest.raises(UnavailableError):
        house.services.dispatch.pause(member, "ender", house.now)


def test_anybody_stops_any_machine_and_its_arming_is_void(
    house, add_waiting, printer, member, guest, gateway
):
    house.services.dispatch.arm(member, "ender", house.now)
    assert house.services.dispatch.stop(guest, "ender") is None
    assert gateway.calls == [("stop", "ender")]
    add_waiting(member, printer)
    assert house.services.dispatch.tick(house.now) == []


def test_stop_all_asks_every_host_at_the_same_time(house, printer, mill, guest, gateway):
    """A host that hangs does not keep the next one waiting."""
    together = threading.Barrier(2)

    def stop(slug: str, by: str) -> str | None:
        together.wait(5)
        return None

    gateway.stop = stop
    assert house.services.dispatch.stop_all(guest) == {"ender": None, "router": None}


def test_two_nodes_ticking_at_once_start_a_job_once(house, add_waiting, printer, member):
    """Two threads dispatch the same queue; the database lets one attempt be open."""
    add_waiting(member, printer)
    house.services.dispatch.arm(member, "ender", house.now)
    begun: list[str] = []
    threads = [
        threading.Thread(target=lambda: begun.extend(house.services.dispatch.tick(house.now)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(begun) == 1
    assert len(house.rows(Attempt)) == 1


def test_a_word_given_before_somebody_asked_for_a_look_starts_nothing(
    house, add_waiting, printer, member, other
):
    add_waiting(member, printer)
    house.services.dispatch.arm(member, "ender", house.now)
    house.services.machines.set_to_check(other, "ender", house.later(minutes=1))
    assert house.services.dispatch.tick(house.now) == []
    house.services.dispatch.arm(member, "ender", house.now)
    assert len(house.services.dispatch.tick(house.now)) == 1


@pytest.mark.parametrize("phase", ["stopped", "fault", "connecting", "idle"])
def test_after_a_stop_nothing_starts_until_a_person_has_looked(
    house, add_waiting, printer, member, gateway, phase
):
    job_id = add_waiting(member, printer)
    dispatch, live = house.services.dispatch, house.workshop.live
    dispatch.arm(member, "ender", house.now)
    # The word was given before the stop; the board may have come back by itself since.
    live.put("ender", LiveState(phase=phase, connected=phase == "idle", stopped=True))
    assert dispatch.tick(house.now) == []
    with pytest.raises(RefusedError) as error:
        dispatch.start(member, job_id, "ender", house.now)
    assert reasons(error) == {Reason.MACHINE_BUSY}
    with pytest.raises(RefusedError):
        dispatch.arm(member, "ender", house.now)

    dispatch.inspected(member, "ender", house.now)

    assert gateway.calls == [("reconnect", "ender")]
    live.put("ender", LiveState(phase="idle", connected=True))  # as the port opened anew says
    dispatch.arm(member, "ender", house.now)
    assert len(dispatch.tick(house.now)) == 1


@pytest.mark.parametrize("phase", ["idle", "streaming", "paused", "connecting", "offline"])
def test_a_machine_that_was_not_stopped_needs_no_inspection(house, printer, member, gateway, phase):
    house.workshop.live.put("ender", LiveState(phase=phase, connected=True))
    with pytest.raises(RefusedError) as error:
        house.services.dispatch.inspected(member, "ender", house.now)
    assert reasons(error) == {Reason.WRONG_STATE}
    assert gateway.calls == []


@pytest.mark.parametrize("kind", ["database", "postgresql_database"])
def test_one_job_started_on_two_machines_at_once_runs_on_one(
    ready_house, add_machine, kind, request
):
    house, member, (job_id, _) = ready_house(request.getfixturevalue(kind))
    add_machine(house.workshop, "twin")
    house.workshop.live.put("twin", LiveState(phase="idle", connected=True))
    with house.workshop.database.write() as session:
        first = session.query(Preflight).filter_by(job_id=job_id).one()
        twin = session.query(Machine).filter_by(slug="twin").one()
        names = [column.key for column in Preflight.__table__.columns]
        values = {name: getattr(first, name) for name in names}
        values |= {"id": house.workshop.new_id(), "machine_id": twin.id}
        session.add(Preflight(**values))
    dispatch = house.services.dispatch
    for slug in ("ender", "twin"):
        dispatch.arm(member, slug, house.now)
    both, said = threading.Barrier(2, timeout=20), []

    def start(slug: str) -> None:
        both.wait()
        try:
            said.append(dispatch.start(member, job_id, slug, house.now, checked=True))
        except RefusedError as error:
            said.append(error.refusals[0].reason)

    threads = [threading.Thread(target=start, args=(slug,)) for slug in ("ender", "twin")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert Reason.WRONG_STATE in said
    assert len(house.rows(Attempt, job_id=job_id)) == 1
