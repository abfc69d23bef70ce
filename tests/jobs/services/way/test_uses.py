"""Uses and their power: on while somebody uses a machine, asked about, and never cut."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from jobs.domain.care import Severity
from jobs.domain.errors import InvalidError, NotAllowedError, RefusedError, UnavailableError
from jobs.domain.machine import Control
from jobs.domain.people import Role
from jobs.domain.policy import Reason
from jobs.domain.rules.values import LAB
from jobs.domain.using import Ended, Until
from jobs.services.live import LivePlug, LiveState
from jobs.store.house import Qualification
from jobs.store.power import MachinePower, MachineUse
from jobs.store.tables import Machine, MachineEvent, Record, UsageEvent

HOUR = timedelta(hours=1)
PLUG = {"mains_switch": "plug", "mains_plug": "tasmota:10.0.0.9"}


def reasons(error) -> list[Reason]:
    return [one.reason for one in error.value.refusals]


@pytest.fixture
def saw(house, add_machine):
    """A band saw whose mains hang on a plug; `set_saw(**keys)` changes them."""
    machine_id = add_machine(house.workshop, "saw", kind="band-saw", control=Control.NONE)
    set_keys(house, machine_id, **PLUG)
    plug(house, "saw", "off")
    return machine_id


def set_keys(house, machine_id, **keys):
    with house.workshop.database.write() as session:
        machine = session.get_one(Machine, machine_id)
        machine.switching = {**machine.switching, **keys}


def plug(house, slug, word, *, watts=None, wh=None, serial=False):
    at_us = round(house.now.timestamp() * 1e6)
    said = {"mains": LivePlug("{}", at_us, watts, wh)}
    state = LiveState(phase="idle", connected=True) if serial else LiveState()
    state = replace(state, power=word == "on", plugs={"mains": word}, plugs_said=said)
    house.workshop.live.put(slug, state)


def stand(house, actor, slug):
    """Prove to be at a machine; each code of its display is good for one."""
    try:
        house.at(actor, slug)
    except InvalidError:
        house.later(seconds=31)
        house.at(actor, slug)


def begin(house, actor, slug, material="", **later):
    """Prove to be at a machine, and open a use of it."""
    house.later(**later)
    if actor.role is not Role.GUEST:
        stand(house, actor, slug)
    return house.services.uses.start(actor, slug, house.now, material)


def tick(house, **later):
    house.later(**later)
    return house.services.power.tick(house.now)


def book(house):
    return [(one.kind, one.detail) for one in house.rows(MachineEvent)]


def test_a_use_gives_power_and_its_end_takes_it(house, saw, member, gateway):
    use = begin(house, member, "saw")
    assert (use.person_name, use.until, use.why) == ("Mia", None, None)
    assert gateway.calls == [("power True Mia", "saw")]
    plug(house, "saw", "on", wh=100.0)
    assert tick(house, hours=1) == 0
    house.services.uses.end(member, "saw", house.now)
    assert tick(house) == 1
    assert gateway.calls[-1] == ("power False node", "saw")
    # It is asked once, and again after a while if it says nothing.
    assert tick(house, seconds=5) == 0
    assert tick(house, seconds=40) == 1
    plug(house, "saw", "off")
    tick(house, seconds=5)
    assert not house.row(MachinePower).by_use
    seen = len(gateway.calls)
    tick(house, hours=1)
    assert len(gateway.calls) == seen


def test_who_comes_second_is_refused_and_disturbs_nobody(house, saw, member, other, guest, gateway):
    begin(house, member, "saw")
    plug(house, "saw", "on")
    for one in (other, guest):
        with pytest.raises(RefusedError) as error:
            begin(house, one, "saw")
        assert Reason.USED_BY_ANOTHER in reasons(error)
        with pytest.raises(RefusedError):
            house.services.uses.end(one, "saw", house.now)
    tick(house, minutes=5)
    assert house.row(UsageEvent).end_at is None
    assert gateway.calls == [("power True Mia", "saw")]


def test_nobody_gives_power_from_afar(house, saw, member, gateway):
    for actor, reason in (
        (member, Reason.NOT_PRESENT),
        (replace(member, seat=""), Reason.KEY_NOT_PRESENT),
    ):
        with pytest.raises(RefusedError) as error:
            house.services.uses.start(actor, "saw", house.now)
        assert reasons(error) == [reason]
    begin(house, member, "saw")
    with pytest.raises(RefusedError):  # nor again, once their proof is old
        house.services.uses.start(member, "saw", house.later(hours=2))
    assert gateway.calls == [("power True Mia", "saw")]


def test_staff_may_end_anothers_use_and_both_are_written_down(house, saw, member, operator):
    begin(house, member, "saw")
    house.later(minutes=3)
    house.services.uses.end(operator, "saw", house.now)
    use = house.row(MachineUse)
    assert (use.ended_by, use.end_reason) == (operator.person_id, Ended.STAFF)
    assert [kind for kind, _ in book(house)] == ["use-began", "use-ended"]


def test_the_record_says_what_the_plug_has_measured(house, saw, member):
    plug(house, "saw", "off", wh=1000.0)
    begin(house, member, "saw")
    house.later(minutes=10)
    plug(house, "saw", "on", watts=750.0, wh=1125.5)
    house.services.uses.end(member, "saw", house.now)
    body = json.loads(house.row(Record).body)
    assert body["energy"] == {"mwh": 125_500, "how": "measured", "by": "mains: tasmota"}
    assert body["type"] == "use"
    assert body["to_us"] - body["from_us"] == 600_000_000
    assert house.services.ledger.verify().ok


@pytest.mark.parametrize("end", [None, 900.0])
def test_a_counter_that_is_lost_or_began_anew_measures_nothing(house, saw, member, end):
    plug(house, "saw", "off", wh=1000.0)
    begin(house, member, "saw")
    plug(house, "saw", "on", wh=end)
    house.services.uses.end(member, "saw", house.later(minutes=1))
    assert json.loads(house.row(Record).body)["energy"] is None


def test_a_machine_that_has_to_cool_keeps_its_power_for_so_long(house, saw, member, gateway):
    set_keys(house, saw, cool_down_min=10.0)
    begin(house, member, "saw")
    plug(house, "saw", "on")
    house.services.uses.end(member, "saw", house.now)
    seen = len(gateway.calls)
    tick(house, minutes=9)
    assert len(gateway.calls) == seen
    tick(house, minutes=2)
    assert gateway.calls[-1] == ("power False node", "saw")


def test_whoever_comes_while_it_cools_keeps_it_on(house, saw, member, other, gateway):
    set_keys(house, saw, cool_down_min=10.0)
    begin(house, member, "saw")
    plug(house, "saw", "on")
    house.services.uses.end(member, "saw", house.now)
    tick(house, minutes=5)
    begin(house, other, "saw")
    tick(house, minutes=30)
    assert ("power False node", "saw") not in gateway.calls


def test_nothing_is_switched_off_while_the_plug_says_that_it_works(house, saw, member, gateway):
    begin(house, member, "saw")
    house.services.uses.end(member, "saw", house.now)
    plug(house, "saw", "on", watts=400.0)
    tick(house)
    assert ("power False node", "saw") not in gateway.calls
    house.later(minutes=3)
    plug(house, "saw", "on", watts=2.0)
    tick(house)
    assert gateway.calls[-1] == ("power False node", "saw")


def test_a_forgotten_use_is_asked_about_and_ends_when_the_house_closes(
    house, saw, member, operator, admin, gateway
):
    house.services.house.set(admin, LAB, "opening", "Mo-Su 08:00-20:00", "so it is", house.now)
    use = begin(house, member, "saw")
    assert (use.until, use.why) == (use.until, Until.CLOSING)
    plug(house, "saw", "on", watts=400.0)
    tick(house, hours=4, minutes=1)
    assert [one.code for one in house.services.notices.list(member)] == ["use-still"]
    house.services.uses.goes_on(member, "saw", house.now)
    closes = use.until
    house.now = closes + timedelta(minutes=1)
    tick(house)
    assert [one.code for one in house.services.notices.list(member)] == ["use-still"] * 2
    house.later(minutes=40)
    plug(house, "saw", "on", watts=400.0)
    for _ in range(3):
        tick(house, seconds=10)
    # It works: it is left on, and operators know, once.
    assert house.row(UsageEvent).end_at is None
    assert [one.code for one in house.services.notices.list(operator)] == ["use-works-on"]
    house.later(minutes=10)
    plug(house, "saw", "on", watts=3.0)
    tick(house)
    assert house.row(MachineUse).end_reason == Ended.FORGOTTEN
    assert house.services.notices.list(member)[0].code == "use-ended"
    tick(house)
    assert gateway.calls[-1] == ("power False node", "saw")


def test_another_booking_is_told_and_cuts_nothing(house, saw, member, other, gateway):
    start = house.now + HOUR
    house.services.bookings.book(other, "saw", start, start + HOUR, house.now)
    use = begin(house, member, "saw")
    assert (use.until, use.why) == (start, Until.BOOKING)
    plug(house, "saw", "on")
    tick(house, hours=1, minutes=5)
    assert house.row(UsageEvent).end_at is None
    assert ("power False node", "saw") not in gateway.calls
    assert house.services.notices.list(member)[0].code == "use-still"
    house.services.uses.end(member, "saw", house.now)
    with pytest.raises(RefusedError) as error:
        begin(house, member, "saw")
    assert reasons(error) == [Reason.RESERVED_FOR_ANOTHER]


def test_a_qualification_that_runs_out_refuses_the_next_use_and_cuts_none(
    house, saw, member, admin, gateway
):
    services = house.services
    services.house.set(admin, LAB, "qualification_needed", True, "it bites", house.now)
    with pytest.raises(RefusedError) as error:
        begin(house, member, "saw")
    assert reasons(error) == [Reason.NOT_QUALIFIED]
    services.qualifications.grant(admin, member.person_id, slug="saw", days=1, now=house.now)
    begin(house, member, "saw")
    plug(house, "saw", "on")
    with house.workshop.database.write() as session:
        session.scalars(select(Qualification)).one().expires_at = house.now + HOUR
    tick(house, hours=2)
    assert house.row(UsageEvent).end_at is None
    assert ("power False node", "saw") not in gateway.calls


def test_a_machine_that_is_closed_or_runs_is_not_used(house, saw, member, operator):
    house.services.faults.report(member, "saw", Severity.UNUSABLE, "The blade is torn", house.now)
    with pytest.raises(RefusedError) as error:
        begin(house, member, "saw")
    assert Reason.MACHINE_BUSY in reasons(error)


def test_a_use_whose_power_does_not_come_is_none(house, saw, member, gateway):
    gateway.refuses["power True Mia", "saw"] = "host.plug_silent"
    with pytest.raises(UnavailableError, match="plug_silent"):
        begin(house, member, "saw")
    assert house.row(MachineUse).end_reason == Ended.NO_POWER
    assert house.rows(Record) == []
    del gateway.refuses["power True Mia", "saw"]
    begin(house, member, "saw", minutes=1)


def test_ones_own_use_is_not_opened_twice_but_power_comes_back(house, saw, member, gateway):
    first = begin(house, member, "saw")
    assert begin(house, member, "saw", minutes=1).id == first.id
    assert gateway.calls == [("power True Mia", "saw")] * 2


def test_an_operator_switches_past_all_uses_and_the_reason_is_kept(
    house, saw, member, operator, gateway
):
    with pytest.raises(NotAllowedError):
        house.services.uses.override(member, "saw", "I want", house.now, on=True)
    with pytest.raises(RefusedError) as error:  # from afar nobody gives power
        house.services.uses.override(operator, "saw", "I want", house.now, on=True)
    assert reasons(error) == [Reason.NOT_PRESENT]
    stand(house, operator, "saw")
    house.services.uses.override(operator, "saw", "Grease the spindle", house.now, on=True)
    plug(house, "saw", "on")
    tick(house, hours=30)
    assert gateway.calls == [("power True Otto", "saw")]
    begin(house, member, "saw")
    with pytest.raises(RefusedError) as error:
        house.services.uses.override(operator, "saw", "enough", house.now, on=False)
    assert reasons(error) == [Reason.MACHINE_BUSY]
    house.services.uses.end(member, "saw", house.now)
    tick(house, hours=1)
    assert ("power False node", "saw") not in gateway.calls  # an operator's word outlives it
    house.services.uses.override(operator, "saw", "Done", house.now, on=False)
    assert gateway.calls[-1] == ("power False Otto", "saw")
    assert ("override-on", {"why": "Grease the spindle"}) in book(house)


def test_a_plug_that_stays_on_is_told_to_operators_once(house, saw, member, operator):
    begin(house, member, "saw")
    plug(house, "saw", "not-off")
    house.services.uses.end(member, "saw", house.now)
    for _ in range(30):
        tick(house, seconds=10)
    assert [one.code for one in house.services.notices.list(operator)] == ["power-stays-on"]


def test_what_the_node_switches_is_known_with_who_uses_it(house, saw, printer, member):
    (need,) = house.services.power.needs()
    assert (need.slug, need.spec, need.is_used) == ("saw", "tasmota:10.0.0.9", False)
    begin(house, member, "saw")
    assert house.services.power.needs()[0].is_used


def test_a_printers_host_takes_its_power_once_it_has_cooled(house, printer, member, gateway):
    set_keys(house, printer, **PLUG)
    begin(house, member, "ender")
    plug(house, "ender", "on", serial=True)
    house.services.uses.end(member, "ender", house.now)
    tick(house, seconds=10)
    assert gateway.calls[-1] == ("power-rest 590 50", "ender")
    # A host that was restarted has forgotten it, and is told again; one that counts is not.
    seen = len(gateway.calls)
    live = house.workshop.live
    live.put("ender", replace(live.get("ender"), power_off_s=500.0))
    tick(house, minutes=2)
    assert len(gateway.calls) == seen
    live.put("ender", replace(live.get("ender"), power_off_s=None))
    tick(house, seconds=10)
    assert gateway.calls[-1][0] == "power-rest 460 50"


def test_a_run_takes_the_place_of_its_persons_use_and_keeps_the_power(
    house, printer, member, other, add_waiting, gateway
):
    set_keys(house, printer, **PLUG)
    job = add_waiting(member, printer)
    begin(house, other, "ender")
    stand(house, member, "ender")
    with pytest.raises(RefusedError) as error:
        house.services.dispatch.start(member, job, "ender", house.now, is_clear=True)
    assert Reason.USED_BY_ANOTHER in reasons(error)
    house.services.uses.end(other, "ender", house.now)
    house.services.uses.start(member, "ender", house.later(seconds=5))
    plug(house, "ender", "on", serial=True)
    stand(house, member, "ender")
    run = house.services.dispatch.start(member, job, "ender", house.now, is_clear=True)
    assert house.rows(MachineUse)[-1].end_reason == Ended.JOB
    tick(house, hours=5)
    assert not [call for call, _ in gateway.calls if call.startswith("power-rest")]
    fields = {"acked": 100, "sent": 100, "total": 100, "energy_mwh": 7, "energy_by": "mains: x"}
    house.services.runs.apply("ender", house.event(run, 2, "finished", **fields), house.now)
    energies = [json.loads(row.body)["energy"] for row in house.rows(Record)]
    assert energies[-1] == {"mwh": 7, "how": "measured", "by": "mains: x"}
    tick(house, seconds=10)
    assert [call for call, _ in gateway.calls if call.startswith("power-rest")]


def test_a_laser_is_used_for_what_it_may_burn_alone(house, add_machine, member):
    add_machine(house.workshop, "cutter", kind="laser", control=Control.NONE)
    for material, reason in (
        ("", Reason.MATERIAL_UNSAID),
        ("PVC 3 mm", Reason.MATERIAL_HALOGENATED),
        ("Teflon", Reason.MATERIAL_HALOGENATED),
        ("white vinyl", Reason.MATERIAL_HALOGENATED),
    ):
        with pytest.raises(RefusedError) as error:
            begin(house, member, "cutter", material)
        assert reasons(error) == [reason]
    assert begin(house, member, "cutter", "birch").material == "birch"
    house.services.uses.end(member, "cutter", house.later(minutes=5))
    with pytest.raises(RefusedError) as error:  # somebody watches for fire first
        begin(house, member, "cutter", "birch")
    assert reasons(error) == [Reason.FIRE_WATCH]
