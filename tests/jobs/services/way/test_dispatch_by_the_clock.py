"""Dispatch and a clock that nobody vouches for, on a node that slept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from jobs.domain.calendar import AllocationState
from jobs.domain.clock import Reading
from jobs.domain.people import Actor
from jobs.store.tables import Allocation
from tests.jobs.services.way.conftest import House


def test_nothing_is_dispatched_until_somebody_vouches_for_the_clock(
    house: House, add_waiting: Callable[..., str], printer: str, operator: Actor
) -> None:
    services = house.services
    add_waiting(operator, printer)
    services.clock.beat(Reading(house.now, timedelta(hours=1), "boot"))
    services.dispatch.arm(operator, "ender", house.now)
    assert services.dispatch.tick(house.now) == []
    services.clock.vouch(operator, house.now)
    assert len(services.dispatch.tick(house.now)) == 1


def test_a_node_that_slept_two_days_gives_a_run_its_time_once_the_clock_is_right(
    house: House, running: tuple[str, str], printer: str
) -> None:
    services, (_, run) = house.services, running
    awake = Reading(house.now, timedelta(hours=1), "boot", is_synchronised=True)
    services.clock.beat(awake)
    woken = house.later(hours=48)
    asleep = replace(awake, now=woken, steady=timedelta(minutes=1), boot="next")
    services.clock.beat(replace(asleep, is_synchronised=False))
    assert services.runs.overruns(woken) == []
    services.clock.beat(asleep)
    assert services.runs.overruns(woken) == [run]
    assert services.runs.overruns(woken) == []
    row = house.row(Allocation, attempt_id=run)
    assert row.state == AllocationState.ACTIVE.value
    assert row.end_at > woken
