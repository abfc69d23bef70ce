"""A machine in other hands, or with another board: nothing starts, and a person's word is kept."""

from __future__ import annotations

import pytest

from jobs.domain.errors import NotAllowedError, NotFoundError, RefusedError, UnavailableError
from jobs.domain.machine import MachineState
from jobs.domain.policy import Reason
from jobs.services.live import LiveState
from jobs.store.tables import Arming, MachineEvent

IN_USE = LiveState(phase="idle", connected=True, in_use="heat")
OTHER = LiveState(phase="idle", connected=True, differs=("uuid", "position"))
UNOPENED = LiveState(phase="connecting", differs=("position",))
FREE = LiveState(phase="idle", connected=True)


def book(house) -> list[tuple[str, str]]:
    rows = sorted(house.rows(MachineEvent), key=lambda row: (row.at, row.id))
    return [(row.kind, row.detail.get("why", "")) for row in rows]


@pytest.mark.parametrize(
    ("live", "reason"),
    [
        (IN_USE, Reason.IN_USE_BY_HAND),
        (OTHER, Reason.OTHER_BOARD),
        (UNOPENED, Reason.OTHER_BOARD),
    ],
)
def test_nothing_is_dispatched_onto_hands_or_another_board(
    house, add_waiting, printer, member, operator, gateway, live, reason
):
    job_id = add_waiting(member, printer)
    house.services.dispatch.arm(member, "ender", house.now)
    house.workshop.live.put("ender", live)
    assert house.services.dispatch.tick(house.now) == []
    with pytest.raises(RefusedError) as error:
        house.services.dispatch.start(operator, job_id, "ender", house.now)
    assert {one.reason for one in error.value.refusals} == {reason}
    with pytest.raises(RefusedError) as error:
        house.services.dispatch.arm(member, "ender", house.now)
    assert {one.reason for one in error.value.refusals} == {reason}
    machine = house.services.machines.get("ender", house.now, member)
    assert machine.state is MachineState.ATTENTION
    assert not [call for call in gateway.calls if call[0] == "start"]


def test_a_word_given_before_somebody_used_the_machine_holds_no_more(
    house, add_waiting, printer, member
):
    add_waiting(member, printer)
    house.services.dispatch.arm(member, "ender", house.now)
    house.services.runs.apply("ender", {"kind": "in_use", "why": "motion"}, house.later(minutes=1))
    house.services.runs.apply("ender", {"kind": "in_use_over"}, house.later(minutes=2))
    assert house.row(Arming).withdrawn_at is not None
    assert house.services.dispatch.tick(house.now) == []
    assert book(house) == [("in-use", "motion"), ("in-use-over", "")]


def test_a_persons_word_that_it_is_free_is_kept_with_the_name(
    house, add_waiting, printer, member, gateway
):
    add_waiting(member, printer)
    house.services.runs.apply("ender", {"kind": "in_use", "why": "heat"}, house.now)
    house.workshop.live.put("ender", IN_USE)
    house.services.attendance.free(member, "ender", house.later(minutes=1))
    assert ("release", "ender") in gateway.calls
    house.workshop.live.put("ender", FREE)
    house.services.runs.apply("ender", {"kind": "in_use_over"}, house.now)
    assert book(house) == [("in-use", "heat"), ("freed", "")]
    (newest, _) = house.services.attendance.book(member, "ender")
    assert (newest.kind, newest.person_name) == ("freed", member.name)
    house.services.dispatch.arm(member, "ender", house.now)
    assert len(house.services.dispatch.tick(house.now)) == 1


def test_what_a_host_tells_again_is_written_once(house, printer):
    """A node that comes back is told anew what it may know already."""
    for _ in range(3):
        house.services.runs.apply("ender", {"kind": "in_use", "why": "boot"}, house.now)
    house.services.runs.apply("ender", {"kind": "in_use_over", "why": ""}, house.later(minutes=1))
    house.services.runs.apply("ender", {"kind": "in_use_over", "why": ""}, house.later(minutes=1))
    assert book(house) == [("in-use", "boot"), ("in-use-over", "")]


def test_an_operator_confirms_a_board_and_a_member_does_not(
    house, printer, member, operator, gateway
):
    house.workshop.live.put("ender", OTHER)
    with pytest.raises(NotAllowedError):
        house.services.attendance.own_board(member, "ender", house.now)
    house.services.attendance.own_board(operator, "ender", house.now)
    assert ("own-board", "ender") in gateway.calls
    row = house.row(MachineEvent)
    assert (row.kind, row.person_id, row.detail) == (
        "own-board",
        operator.person_id,
        {"differs": "uuid, position"},
    )


def test_a_word_that_does_not_reach_the_host_is_not_written_down(house, printer, member, gateway):
    gateway.refuses[("release", "ender")] = "host.unreachable"
    with pytest.raises(UnavailableError):
        house.services.attendance.free(member, "ender", house.now)
    assert book(house) == []


def test_identify_is_asked_of_the_machine_or_it_says_that_it_cannot(
    house, mill, member, guest, gateway
):
    house.services.attendance.identify(member, "router")
    assert gateway.calls == [("identify", "router")]
    gateway.refuses[("identify", "router")] = "host.cannot_identify"
    with pytest.raises(UnavailableError) as error:
        house.services.attendance.identify(member, "router")
    assert error.value.code == "host.cannot_identify"
    with pytest.raises(NotAllowedError):
        house.services.attendance.identify(guest, "router")
    with pytest.raises(NotFoundError):
        house.services.attendance.identify(member, "nothing")
