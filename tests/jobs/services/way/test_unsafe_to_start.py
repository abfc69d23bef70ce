"""Nothing starts by itself without thermal protection, nor at all on a sagging power supply."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from jobs.domain.errors import RefusedError
from jobs.domain.policy import Reason
from jobs.services.live import LiveState

FREE = LiveState(phase="idle", connected=True)


@pytest.fixture
def workshop(database, make_workshop, tmp_path):
    return replace(make_workshop(database), devices=tmp_path)


def test_a_printer_without_thermal_protection_is_started_by_a_person_alone(
    house, add_waiting, printer, member, operator, gateway
):
    job_id = add_waiting(member, printer)
    house.workshop.live.put("ender", replace(FREE, told={"thermal_protection": False}))
    house.services.dispatch.arm(member, "ender", house.now)
    assert house.services.dispatch.tick(house.now) == []
    assert gateway.calls == []
    house.services.dispatch.start(operator, job_id, "ender", house.now)
    assert gateway.calls == [("start", "ender")]


@pytest.mark.parametrize("told", [{}, {"thermal_protection": True}])
def test_a_printer_that_has_it_or_does_not_tell_takes_the_queue(
    house, add_waiting, printer, member, told
):
    add_waiting(member, printer)
    house.workshop.live.put("ender", replace(FREE, told=told))
    house.services.dispatch.arm(member, "ender", house.now)
    assert len(house.services.dispatch.tick(house.now)) == 1


def test_nothing_starts_while_the_supply_sags(
    house, add_waiting, printer, member, operator, tmp_path
):
    word = Path(tmp_path, "sys/devices/platform/soc/soc:firmware/get_throttled")
    word.parent.mkdir(parents=True)
    word.write_text("50005\n")
    job_id = add_waiting(member, printer)
    house.services.dispatch.arm(member, "ender", house.now)
    assert house.services.dispatch.tick(house.now) == []
    with pytest.raises(RefusedError) as error:
        house.services.dispatch.start(operator, job_id, "ender", house.now)
    assert {one.reason for one in error.value.refusals} == {Reason.SUPPLY_LOW}
    word.write_text("50000\n")
    assert len(house.services.dispatch.tick(house.now)) == 1
