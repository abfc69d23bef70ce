"""A beam's person: presence while it burns, and the fire watch after it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from jobs.domain.care import Outcome
from jobs.domain.errors import RefusedError, UnavailableError
from jobs.domain.machine import MachineLimits, MachineState
from jobs.domain.policy import Reason
from jobs.services.live import LiveState, LiveWatch
from jobs.store.power import FireWatch
from jobs.store.tables import MachineEvent
from tests.jobs.services.way.test_uses import reasons, stand

SEEN = LiveWatch(every_s=300.0)


@pytest.fixture
def laser(house, add_machine):
    limits = MachineLimits((300.0, 200.0, 60.0), spindle_max_rpm=1000.0, materials=("birch",))
    machine_id = add_machine(house.workshop, "laser", kind="laser", limits=limits)
    hear(house, SEEN)
    return machine_id


def hear(house, watch):
    state = LiveState(phase="idle", connected=True, laser=True, watch=watch)
    house.workshop.live.put("laser", state)


@pytest.fixture
def burnt(house, laser, member, add_waiting, gateway):
    """Run a job of Mia's to its end; return a second one of hers."""
    first, second = add_waiting(member, laser), add_waiting(member, laser)
    for job in (first, second):
        say(house, job)
    run = start(house, member, first)
    house.services.runs.apply("laser", house.event(run, 1, "run_started"), house.now)
    house.later(minutes=10)
    house.services.runs.apply("laser", house.event(run, 2, "finished"), house.now)
    return second


def say(house, job):
    from tests.jobs.services.way.test_cycle_start import say_material

    say_material(house, job, "birch")


def start(house, member, job):
    stand(house, member, "laser")
    house.services.dispatch.arm(member, "laser", house.now)
    return house.services.dispatch.start(member, job, "laser", house.now, checked=True)


def test_the_person_of_the_run_or_staff_say_that_they_are_there(
    house, laser, member, other, operator, add_waiting, gateway
):
    job = add_waiting(member, laser)
    say(house, job)
    start(house, member, job)
    with pytest.raises(RefusedError) as error:
        house.services.lasers.present(other, "laser", house.now)
    assert reasons(error) == [Reason.NOT_YOURS, Reason.NOT_PRESENT]
    with pytest.raises(RefusedError) as error:  # a program with a key is never there
        house.services.lasers.present(replace(member, seat=""), "laser", house.now)
    assert reasons(error) == [Reason.KEY_NOT_PRESENT]
    house.services.lasers.present(member, "laser", house.now)
    gateway.refuses["present Mia", "laser"] = "host.not_now"
    with pytest.raises(UnavailableError, match="not_now"):
        house.services.lasers.present(member, "laser", house.now)
    del gateway.refuses["present Mia", "laser"]
    stand(house, operator, "laser")
    house.services.lasers.present(operator, "laser", house.now)
    assert gateway.calls[-2:] == [("present Mia", "laser"), ("present Otto", "laser")]


def test_nobody_is_present_at_what_has_no_beam(house, printer, member):
    with pytest.raises(RefusedError) as error:
        house.services.lasers.present(member, "ender", house.now)
    assert reasons(error) == [Reason.NO_BEAM]
    assert house.services.lasers.view("ender") is None


@pytest.mark.parametrize(
    ("watch", "reason"),
    [
        (LiveWatch(), Reason.NO_VIGIL),
        (LiveWatch(300.0, interlocks={"door": "open"}), Reason.INTERLOCK_OPEN),
        (LiveWatch(300.0, interlocks={"door": "good", "lid": "unknown"}), Reason.INTERLOCK_OPEN),
    ],
)
def test_nothing_starts_where_nobody_would_watch_it(
    house, laser, member, add_waiting, gateway, watch, reason
):
    """A host of the release before keeps no clock of presence: the node starts nothing there."""
    job = add_waiting(member, laser)
    say(house, job)
    hear(house, watch)
    with pytest.raises(RefusedError) as error:
        start(house, member, job)
    assert reasons(error) == [reason]
    assert not gateway.orders


def test_after_a_run_nothing_starts_before_somebody_has_looked_for_fire(
    house, burnt, member, other, operator
):
    lasers, now = house.services.lasers, house.now
    view = lasers.view("laser")
    assert view.watch_until == now + timedelta(minutes=5)
    with pytest.raises(RefusedError) as error:
        start(house, member, burnt)
    assert Reason.FIRE_WATCH in reasons(error)
    with pytest.raises(RefusedError) as error:  # too early: smouldering takes its time
        lasers.nothing_smoulders(member, "laser", house.later(minutes=4))
    assert reasons(error) == [Reason.FIRE_WATCH]
    assert lasers.tick(house.later(minutes=1, seconds=1)) == 0
    with pytest.raises(RefusedError):
        start(house, member, burnt)  # time alone ends nothing
    # The bed is cleared, and still somebody must look for fire.
    house.services.clearing.clear(member, "laser", Outcome.GOOD, house.now)
    (card,) = house.services.machines.board(house.now, member)
    assert card.state is MachineState.TO_CHECK
    with pytest.raises(RefusedError) as error:  # who says so stands there
        lasers.nothing_smoulders(other, "laser", house.now)
    assert reasons(error) == [Reason.NOT_PRESENT]
    stand(house, other, "laser")
    lasers.nothing_smoulders(other, "laser", house.now)
    assert house.row(FireWatch).confirmed_by == other.person_id
    assert "nothing-smoulders" in [one.kind for one in house.rows(MachineEvent)]
    lasers.nothing_smoulders(other, "laser", house.now)  # twice changes nothing
    start(house, member, burnt)


def test_a_watch_that_nobody_ends_is_told_to_operators_and_to_whose_run_it_was(
    house, burnt, member, operator
):
    lasers = house.services.lasers
    assert lasers.tick(house.later(minutes=6)) == 0
    assert lasers.tick(house.later(minutes=2)) == 1
    assert lasers.tick(house.later(hours=2)) == 0
    for one in (operator, member):
        told = [notice.code for notice in house.services.notices.list(one)]
        assert told.count("fire-watch-unconfirmed") == 1
    with pytest.raises(RefusedError):
        start(house, member, burnt)


@pytest.mark.parametrize("kind", ["cancelled", "failed", "stopped", "interrupted"])
def test_however_a_run_ends_somebody_watches(house, laser, member, add_waiting, kind):
    job = add_waiting(member, laser)
    say(house, job)
    run = start(house, member, job)
    house.services.runs.apply("laser", house.event(run, 1, "run_started"), house.now)
    house.later(minutes=1)
    house.services.runs.apply("laser", house.event(run, 2, kind), house.now)
    assert house.row(FireWatch).until_at == house.now + timedelta(minutes=5)


def test_a_printer_is_not_watched_for_fire(house, running, member):
    _, run = running
    house.services.runs.apply("ender", house.event(run, 2, "finished"), house.now)
    assert house.rows(FireWatch) == []
