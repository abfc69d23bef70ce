"""By hand: who may, who may not, and that every act is written down with the name."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from drivers.acts import CALMING, Act, Order
from jobs.domain.errors import (
    InvalidError,
    NotAllowedError,
    RefusedError,
    UnavailableError,
)
from jobs.domain.machine import Control
from jobs.domain.policy import Reason
from jobs.services.bookings import Bookings
from jobs.services.hand import Hand, order_of
from jobs.store.tables import Attempt, Job, MachineAct

JOG = Order(Act.JOG, axes={"X": 5.0}, feedrate=20.0)
MOVES = [Act.JOG, Act.HOME, Act.HEAT, Act.UNLOCK, Act.RESET, Act.OFF]


@pytest.fixture
def hand(workshop):
    return Hand(workshop)


@pytest.fixture
def run_of(workshop, now):
    """Open a run at a machine for somebody."""

    def open_run(person, machine_id):
        job_id, attempt_id = workshop.new_id(), workshop.new_id()
        with workshop.database.write() as session:
            session.add(
                Job(
                    id=job_id,
                    number=1,
                    title="Part",
                    person_id=person.person_id,
                    input_kind="gcode",
                    input_name="part.gcode",
                    input_sha256="0" * 64,
                    input_bytes=1,
                    kind="fdm",
                    state="running",
                    created_at=now,
                )
            )
            session.flush()
            session.add(
                Attempt(
                    id=attempt_id,
                    job_id=job_id,
                    machine_id=machine_id,
                    state="running",
                    started_at=now,
                )
            )
        return attempt_id

    return open_run


def order(act: Act) -> Order:
    if act is Act.JOG:
        return JOG
    return Order(act, heater="bed", target=40.0) if act is Act.HEAT else Order(act)


def written(workshop):
    with workshop.database.read() as session:
        return list(session.scalars(select(MachineAct).order_by(MachineAct.at, MachineAct.id)))


def reasons(hand, actor, slug, act, now):
    with pytest.raises(RefusedError) as refused:
        hand.act(actor, slug, order(act), now)
    return [one.reason for one in refused.value.refusals]


def test_an_act_goes_to_the_machine_and_is_written_down_with_its_name(
    hand, workshop, gateway, member, printer, now
):
    hand.act(member, "ender", JOG, now)
    assert gateway.acts == [("ender", JOG, "Mia")]
    (one,) = written(workshop)
    assert (one.person_id, one.act, one.refused) == (member.person_id, "jog", "")
    assert one.amounts == {"axes_mm": {"X": 5.0}, "feedrate_mm_s": 20.0}


def test_what_the_machine_refuses_is_written_down_too_and_told_by_its_code(
    hand, workshop, gateway, member, printer, now
):
    gateway.refuses[("act", "ender")] = "host.out_of_reach"
    with pytest.raises(UnavailableError, match=r"host\.out_of_reach"):
        hand.act(member, "ender", JOG, now)
    assert written(workshop)[0].refused == "host.out_of_reach"
    assert hand.view(member, "ender", now).done[0].refused == "host.out_of_reach"


def test_a_guest_may_do_nothing(hand, gateway, guest, printer, now):
    for act in Act:
        with pytest.raises(NotAllowedError):
            hand.act(guest, "ender", order(act), now)
    assert not gateway.acts


@pytest.mark.parametrize("act", MOVES)
def test_nobody_moves_a_machine_under_another_persons_run(
    hand, gateway, run_of, member, other, operator, printer, now, act
):
    run_of(other, printer)
    for actor in (member, operator):
        assert reasons(hand, actor, "ender", act, now) == [Reason.MACHINE_BUSY]
    hand.act(other, "ender", order(act), now)
    assert [by for _, _, by in gateway.acts] == ["Noor"]


def test_a_run_is_steered_by_its_owner_and_by_operators_only(
    hand, workshop, gateway, run_of, member, other, operator, printer, now
):
    run = run_of(other, printer)
    feed = Order(Act.FEED, percent=120)
    assert reasons(hand, member, "ender", Act.FEED, now) == [Reason.NOT_YOURS]
    hand.act(other, "ender", feed, now)
    hand.act(operator, "ender", feed, now)
    assert [by for _, _, by in gateway.acts] == ["Noor", "Otto"]
    assert {one.attempt_id for one in written(workshop)} == {run}


@pytest.mark.parametrize("act", [Act.JOG_CANCEL, Act.QUICK_STOP])
def test_what_ends_a_motion_needs_no_ownership(
    hand, gateway, run_of, member, other, printer, now, act
):
    run_of(other, printer)
    hand.act(member, "ender", Order(act), now)
    assert gateway.acts


def test_somebody_elses_booked_time_is_theirs(
    hand, workshop, member, other, operator, printer, now
):
    bookings = Bookings(workshop)
    bookings.book(other, "ender", now, now + timedelta(hours=1), now)
    later = now + timedelta(minutes=5)
    assert reasons(hand, member, "ender", Act.JOG, later) == [Reason.RESERVED_FOR_ANOTHER]
    hand.act(other, "ender", JOG, later)
    hand.act(operator, "ender", JOG, later)


@pytest.mark.parametrize(
    ("state", "reason"),
    [({"in_use": "motion"}, Reason.IN_USE_BY_HAND), ({"differs": ("uuid",)}, Reason.OTHER_BOARD)],
)
def test_nobody_moves_a_machine_from_afar_that_others_have_their_hands_in(
    hand, workshop, operator, printer, now, state, reason
):
    workshop.live.put("ender", replace(workshop.live.get("ender"), **state))
    assert reasons(hand, operator, "ender", Act.JOG, now) == [reason]
    hand.act(operator, "ender", Order(Act.JOG_CANCEL), now)


@pytest.mark.parametrize("state", [{"stopped": True}, {"phase": "fault"}, {"phase": "stopped"}])
def test_after_a_stop_nobody_moves_or_heats_it_until_a_person_has_looked(
    hand, workshop, gateway, operator, printer, now, state
):
    workshop.live.put("ender", replace(workshop.live.get("ender"), **state))
    for act in (Act.JOG, Act.HOME, Act.HEAT, Act.UNLOCK, Act.RESUME, Act.RESET):
        assert reasons(hand, operator, "ender", act, now) == [Reason.LOOK_FIRST]
    for act in CALMING:
        hand.act(operator, "ender", Order(act), now)
    assert {one.act for _, one, _ in gateway.acts} == CALMING


def test_a_machine_without_a_wire_takes_no_orders(hand, workshop, add_machine, member, now):
    add_machine(workshop, "saw", control=Control.NONE)
    assert reasons(hand, member, "saw", Act.JOG, now) == [Reason.NO_SUCH_CONTROL]
    assert hand.view(member, "saw", now).acts == frozenset()


def test_a_person_is_offered_what_is_legal_and_allowed_and_told_why_not(
    hand, workshop, run_of, member, other, printer, now
):
    live = workshop.live.get("ender")
    workshop.live.put("ender", replace(live, acts=("feed", "jog", "jog-cancel")))
    assert hand.view(member, "ender", now).acts == {"feed", "jog", "jog-cancel"}
    run_of(other, printer)
    seen = hand.view(member, "ender", now)
    assert seen.acts == {"jog-cancel"}
    assert [one.reason for one in seen.reasons] == [Reason.MACHINE_BUSY]


def test_two_quick_nudges_add_up_before_the_machine_shows_the_first(
    hand, workshop, gateway, member, printer, now
):
    live = workshop.live.get("ender")
    workshop.live.put("ender", replace(live, overrides={"feed": 100}))
    for _ in range(3):
        hand.nudge(member, "ender", Act.FEED, 10, now)
    assert [asked.percent for _, asked, _ in gateway.acts] == [110, 120, 130]
    workshop.live.put("ender", replace(live, overrides={"feed": 90}))
    hand.nudge(member, "ender", Act.FEED, -10, now + timedelta(seconds=30))
    assert gateway.acts[-1][1].percent == 80


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({}, "act"),
        ({"act": "dance"}, "act"),
        ({"act": "feed", "percent": 500}, "percent"),
        ({"act": "rapid", "percent": 60}, "percent"),
        ({"act": "jog", "axes_mm": {"Q": 1.0}}, "axes_mm"),
        ({"act": "heat", "heater": "room", "target_c": 20}, "heater"),
    ],
)
def test_an_order_that_cannot_be_names_its_amount(values, field):
    with pytest.raises(InvalidError) as wrong:
        order_of(values)
    assert wrong.value.field == field
