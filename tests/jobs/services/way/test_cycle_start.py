"""Cycle start: a person, a checklist, and the offsets that the controller tells at that moment."""

from __future__ import annotations

from array import array
from dataclasses import replace
from datetime import timedelta

import pytest

from jobs.domain.care import Moment
from jobs.domain.errors import RefusedError, UnavailableError
from jobs.domain.policy import Reason
from jobs.kinds import LASER, MILL
from jobs.services.asking import ask_row
from jobs.services.live import LiveWatch
from jobs.services.targets import target_of
from jobs.services.workshop import LiveOffsets
from jobs.store.tables import Machine, Preflight

ALL = [one.value for one in MILL.checklist]
REPORT = {
    "bounds_mm": {"all": {"min": [0.0, 0.0, -5.0], "max": [100.0, 50.0, 10.0]}},
    "commands": {"G1": 9, "T2": 1, "M6": 1},
    "tools": [{"number": 2, "name": "drill"}],
}
REACH = {"X": (-300.0, 0.0), "Y": (-400.0, 0.0), "Z": (-80.0, 0.0)}


def told(zero=(-250.0, -350.0, -60.0), *, homed=True, can_home=True, length=0.0, **more):
    offsets = {"G54": zero, "G92": (0.0, 0.0, 0.0), "TLO": (length,), **more}
    return LiveOffsets(offsets, ("G1", "G54", "G21"), REACH, homed, can_home)


@pytest.fixture
def job_id(house, add_waiting, mill, member, gateway):
    job = add_waiting(member, mill)
    with house.workshop.database.write() as session:
        session.get_one(Preflight, house.row(Preflight, job_id=job).id).report = REPORT
    gateway.told = told()
    house.at(member, "router")
    return job


def check(house, job_id, member):
    return house.services.cycle.check(member, "router", job_id, house.now)


def reasons(error) -> list[Reason]:
    return [one.reason for one in error.value.refusals]


def test_a_mill_starts_only_through_its_checklist(house, job_id, member, gateway):
    house.services.dispatch.arm(member, "router", house.now)
    with pytest.raises(RefusedError) as error:
        house.services.dispatch.start(member, job_id, "router", house.now)
    assert reasons(error) == [Reason.CHECKLIST_FIRST]
    run = house.services.cycle.start(member, "router", job_id, ALL, house.now)
    assert house.attempt(job_id).id == run
    assert gateway.orders[-1].run == run


def test_the_list_before_use_is_said_with_all_the_rest(house, job_id, member, operator, gateway):
    lists = house.services.checklists
    lists.write(operator, "router", Moment.BEFORE_USE, "Doors shut", house.now)
    with pytest.raises(RefusedError) as error:
        house.services.cycle.start(member, "router", job_id, ALL[1:], house.now)
    assert reasons(error) == [Reason.NOT_CONFIRMED, Reason.BEFORE_USE]
    (asked,) = lists.list(member, house.now)
    lists.answer(member, asked.id, [0], "", house.now)
    house.services.cycle.start(member, "router", job_id, ALL, house.later(seconds=1))


def test_what_is_not_confirmed_and_what_does_not_fit_is_said_at_once(
    house, job_id, member, gateway
):
    gateway.told = told((-50.0, -350.0, -60.0), length=-30.0)
    with pytest.raises(RefusedError) as error:
        house.services.cycle.start(member, "router", job_id, ["stock", "tool"], house.now)
    assert reasons(error) == [
        *(Reason.NOT_CONFIRMED, Reason.NOT_CONFIRMED),
        *(Reason.OUTSIDE_NOW, Reason.OUTSIDE_NOW),
    ]
    assert [one.fields["axis"] for one in error.value.refusals[2:]] == ["X", "Z"]
    assert not gateway.orders
    assert house.services.machines.get("router", house.now, None).armed is None


def test_the_offsets_are_those_of_this_moment(house, job_id, member, gateway):
    assert check(house, job_id, member).reasons == []
    gateway.told = told((-250.0, -350.0, -10.0))  # somebody set zero meanwhile
    assert [one.reason for one in check(house, job_id, member).reasons] == []
    gateway.told = told((-250.0, -350.0, -5.0))
    assert [one.reason for one in check(house, job_id, member).reasons] == [Reason.OUTSIDE_NOW]
    gateway.told = "host.not_now"
    with pytest.raises(RefusedError) as error:
        house.services.cycle.start(member, "router", job_id, ALL, house.now)
    assert reasons(error) == [Reason.OFFSETS_UNKNOWN]


def test_a_machine_that_can_home_must_have_and_one_that_cannot_is_not_judged(
    house, job_id, member, gateway
):
    gateway.told = told(homed=False)
    found = check(house, job_id, member)
    assert [one.reason for one in found.reasons] == [Reason.NOT_HOMED]
    gateway.told = told((900.0, 0.0, 0.0), homed=False, can_home=False)
    found = check(house, job_id, member)
    assert found.reasons == []
    assert not found.can_trace


AROUND = (
    "G21 G90",
    "G0 Z10",
    "G0 X0 Y0",
    "G1 Z-5 F300",
    "G1 Y50",
    "G1 X100",
    "G0 Z10",
)


@pytest.fixture
def milled(house, job_id):
    """Give the job a real stream, and its machine a box in the middle of the program's bounds."""

    def write(*lines: str, box=(-205.0, -345.0, -80.0, -195.0, -310.0, -40.0)) -> None:
        folder = house.workshop.work_dir / "programs"
        stream = "".join(f"{line}\n" for line in lines).encode()
        (folder / ("b" * 64)).write_bytes(stream)
        (folder / ("c" * 64)).write_bytes(
            array("I", [10 * (line + 1) for line in range(len(lines))]).tobytes()
        )
        commands = {word: 1 for line in lines for word in line.split() if word[0] == "G"}
        with house.workshop.database.write() as session:
            machine = session.get_one(Machine, house.row(Machine, slug="router").id)
            machine.limits = {**machine.limits, "keep_out_mm": list(box)}
            preflight = session.get_one(Preflight, house.row(Preflight, job_id=job_id).id)
            preflight.report = {**REPORT, "commands": commands}
            target = target_of(machine, None)
            preflight.target_sha256 = target.sha256()
        live = house.workshop.live
        live.put("router", replace(live.get("router"), position_mm=(-250.0, -350.0, -1.0)))

    return write


def test_a_program_that_goes_around_a_keep_out_box_may_start(house, job_id, member, milled):
    milled(*AROUND)
    found = check(house, job_id, member)
    assert found.reasons == []
    assert found.can_trace
    assert house.services.cycle.start(member, "router", job_id, ALL, house.now)


def test_a_move_through_a_keep_out_box_is_named_by_its_line(house, job_id, member, milled, gateway):
    milled(*AROUND[:-1], "G1 X0 Y0 (back across it)", AROUND[-1])
    found = check(house, job_id, member)
    assert [(one.reason, one.fields) for one in found.reasons] == [
        (Reason.IN_KEEP_OUT, {"number": 1, "line": 70})
    ]
    with pytest.raises(RefusedError):
        house.services.cycle.start(member, "router", job_id, ALL, house.now)
    assert not gateway.orders
    gateway.told = told((-250.0, -330.0, -60.0))  # set zero elsewhere: the verdict is a new one
    assert check(house, job_id, member).reasons == []


def test_moves_in_machine_coordinates_are_judged_too(house, job_id, member, milled, gateway):
    low = (-205.0, -345.0, -80.0, -195.0, -310.0, -66.0)  # below all that is cut
    milled(*AROUND, "G53 G0 Z-70", "G53 G0 X-150 Y-310", box=low)
    assert [one.reason for one in check(house, job_id, member).reasons] == []
    milled(*AROUND, "G53 G0 Z-70", "G53 G0 X-250 Y-350", "G53 G0 X9", box=low)
    (house.workshop.work_dir / "programs" / ("b" * 64)).touch()
    gateway.told = told((-250.0, -350.0, -59.99))
    assert [
        (one.reason, one.fields.get("line")) for one in check(house, job_id, member).reasons
    ] == [
        (Reason.IN_KEEP_OUT, 90),
        (Reason.OUTSIDE_NOW, None),
    ]


def test_a_way_that_cannot_be_judged_is_refused(house, job_id, member, milled):
    milled(*AROUND)
    (house.workshop.work_dir / "programs" / ("b" * 64)).unlink()
    assert [one.reason for one in check(house, job_id, member).reasons] == [Reason.WAY_UNKNOWN]


def test_an_outline_that_meets_a_keep_out_box_is_not_traced(house, job_id, member, milled):
    tower = (-205.0, -355.0, -80.0, -195.0, -345.0, 0.0)  # stands in its front edge
    milled("G21 G90", "G0 Z10", "G0 X0 Y50", "G0 X100", box=tower)
    found = check(house, job_id, member)
    assert (found.reasons, found.can_trace) == ([], False)


def test_the_check_names_tools_size_and_zero(house, job_id, member):
    found = check(house, job_id, member)
    assert found.tools == [(2, "drill")]
    assert found.size_mm == (100.0, 50.0, 15.0)
    assert found.zero_mm == {"G54": (-250.0, -350.0, -60.0)}


def test_the_outline_is_traced_high_up_and_only_after_a_confirmation(
    house, job_id, member, gateway
):
    trace = house.services.cycle.trace
    with pytest.raises(RefusedError) as error:
        trace(member, "router", job_id, house.now, confirmed=False)
    assert reasons(error) == [Reason.NOT_CONFIRMED]
    assert not [verb for verb, _ in gateway.calls if verb.startswith("trace")]
    trace(member, "router", job_id, house.now, confirmed=True)
    (verb,) = [verb for verb, _ in gateway.calls if verb.startswith("trace")]
    assert verb == (
        "trace M5; G21 G90 G54; G53 G0 Z-1.000; G0 X0.000 Y0.000; G0 X100.000 Y0.000; "
        "G0 X100.000 Y50.000; G0 X0.000 Y50.000; G0 X0.000 Y0.000"
    )
    gateway.refuses[verb, "router"] = "host.not_now"
    with pytest.raises(UnavailableError):
        trace(member, "router", job_id, house.now, confirmed=True)


def test_no_outline_is_traced_between_the_lines_of_a_run_and_no_other_member_powers_it_up(
    house, job_id, member, other, gateway
):
    house.services.cycle.start(member, "router", job_id, ALL, house.now)
    before = list(gateway.calls)
    with pytest.raises(RefusedError) as error:
        house.services.cycle.trace(member, "router", job_id, house.now, confirmed=True)
    assert Reason.MACHINE_BUSY in reasons(error)
    with pytest.raises(RefusedError) as error:
        house.services.dispatch.power(other, "router", house.now, on=True)
    assert reasons(error) == [Reason.NOT_YOURS, Reason.NOT_PRESENT]
    assert [verb for verb, _ in gateway.calls[len(before) :]] == []
    house.services.dispatch.power(other, "router", house.now, on=False)
    house.services.dispatch.power(member, "router", house.now, on=True)


def test_every_work_offset_is_held_against_the_machine_from_its_own_zero(
    house, job_id, member, gateway
):
    """With one zero for both, each would seem to reach as far as the two together."""

    def bounds(x: float) -> dict[str, list[float]]:
        return {"min": [0.0, 0.0, 0.0], "max": [x, 50.0, 5.0]}

    own = {"G54": bounds(200.0), "G55": bounds(40.0)}
    report = {**REPORT, "offset_bounds_mm": own, "commands": {"G1": 9, "G54": 1, "G55": 1}}
    report["bounds_mm"] = {"all": bounds(200.0)}

    def write(changed: dict[str, object]) -> None:
        with house.workshop.database.write() as session:
            row = session.get_one(Preflight, house.row(Preflight, job_id=job_id).id)
            row.report = changed

    write(report)
    gateway.told = told(G55=(-45.0, -350.0, -60.0))
    found = check(house, job_id, member)
    assert found.reasons == []
    assert list(found.zero_mm) == ["G54", "G55"]
    house.services.cycle.trace(member, "router", job_id, house.now, confirmed=True)
    assert "X200.000 Y50.000" in gateway.calls[-1][0]
    gateway.told = told(G55=(-35.0, -350.0, -60.0))
    (reason,) = check(house, job_id, member).reasons
    assert (reason.reason, reason.fields["at_mm"]) == (Reason.OUTSIDE_NOW, 5.0)
    # What comes before a G55 counts from the zero that is in force then.
    write({**report, "commands": {"G1": 9, "G55": 1}})
    gateway.told = told((-150.0, -350.0, -60.0), G55=(-45.0, -350.0, -60.0))
    found = check(house, job_id, member)
    assert [one.fields["at_mm"] for one in found.reasons] == [50.0]
    assert list(found.zero_mm) == ["G54", "G55"]
    write({**report, "offset_bounds_mm": {**own, "G59.1": bounds(1.0)}})
    gateway.told = told(G55=(-45.0, -350.0, -60.0))
    assert check(house, job_id, member).reasons == []
    commands = {"G1": 9, "G54": 1, "G59.1": 1}
    write({**report, "offset_bounds_mm": {**own, "G59.1": bounds(1.0)}, "commands": commands})
    (reason,) = check(house, job_id, member).reasons
    assert (reason.reason, reason.fields["code"]) == (Reason.OFFSETS_UNKNOWN, "G59.1")


def test_an_outline_that_does_not_fit_is_not_traced(house, job_id, member, gateway):
    gateway.told = told((-50.0, -350.0, -60.0))
    with pytest.raises(RefusedError) as error:
        house.services.cycle.trace(member, "router", job_id, house.now, confirmed=True)
    assert reasons(error) == [Reason.OUTSIDE_NOW]


@pytest.mark.parametrize("code", ["host.busy", "host.bad_program", "host.unreachable"])
def test_a_start_that_the_host_refuses_leaves_no_word_for_another(
    house, job_id, add_waiting, mill, member, other, gateway, code
):
    gateway.refuses["start", "router"] = code
    with pytest.raises(UnavailableError):
        house.services.cycle.start(member, "router", job_id, ALL, house.now)
    assert house.services.machines.get("router", house.now, None).armed is None


def test_a_start_that_the_rules_refuse_leaves_no_word_for_another(
    house, job_id, mill, member, other, gateway
):
    end = house.now + timedelta(hours=1)
    house.services.bookings.book(other, "router", house.now, end, house.now)
    with pytest.raises(RefusedError) as error:
        house.services.cycle.start(member, "router", job_id, ALL, house.now)
    assert reasons(error) == [Reason.NO_ROOM_BEFORE]
    assert house.services.machines.get("router", house.now, None).armed is None
    assert not gateway.orders


def mode(house, *, is_on):
    """The controller tells whether it is in laser mode."""
    live = house.workshop.live
    watch = LiveWatch(every_s=300.0)
    live.put("router", replace(live.get("router"), laser=is_on, watch=watch))


@pytest.fixture
def laser(house, mill):
    """The router as a laser, in laser mode."""
    with house.workshop.database.write() as session:
        session.get_one(Machine, mill).kind = LASER.name
    mode(house, is_on=True)
    return mill


BEAM = [one.value for one in LASER.checklist]


def test_a_laser_has_a_checklist_of_its_own(house, laser, job_id, member, gateway):
    say_material(house, job_id, "birch")
    with pytest.raises(RefusedError) as error:
        house.services.cycle.start(member, "router", job_id, ALL, house.now)
    assert [one.fields["item"] for one in error.value.refusals] == ["material", "air", "lid"]
    run = house.services.cycle.start(member, "router", job_id, BEAM, house.now)
    assert gateway.orders[-1].run == run


def test_its_outline_is_shown_with_the_beam_off_and_in_its_focus(
    house, laser, job_id, member, gateway
):
    assert check(house, job_id, member).has_beam
    house.services.cycle.trace(member, "router", job_id, house.now, confirmed=True)
    (verb,) = [verb for verb, _ in gateway.calls if verb.startswith("trace")]
    lines = verb.removeprefix("trace ").split("; ")
    assert lines[0] == "M5"
    assert not any(word in line for line in lines for word in ("Z", "M3", "M4", "G1 "))
    assert len(lines) == 7


def test_one_without_switches_is_shown_too(house, laser, job_id, member, gateway):
    gateway.told = told(homed=False, can_home=False)
    assert check(house, job_id, member).can_trace


@pytest.mark.parametrize(("kind", "is_on"), [("laser", False), ("mill", True)])
def test_a_beam_is_not_driven_as_a_spindle_nor_a_spindle_as_a_beam(
    house, laser, job_id, member, kind, is_on
):
    with house.workshop.database.write() as session:
        session.get_one(Machine, laser).kind = kind
    mode(house, is_on=is_on)
    with pytest.raises(RefusedError) as error:
        house.services.cycle.start(member, "router", job_id, BEAM + ALL, house.now)
    assert reasons(error) == [Reason.LASER_MODE]
    mode(house, is_on=None)
    assert check(house, job_id, member).reasons == []


def list_materials(house, *names: str) -> None:
    with house.workshop.database.write() as session:
        machine = session.get_one(Machine, house.row(Machine, slug="router").id)
        machine.limits = {**machine.limits, "materials": list(names)}


def say_material(house, job_id: str, name: str) -> None:
    with house.workshop.database.write() as session:
        row = ask_row(session, job_id)
        row.tools = [{"tool": 0, "material": name, "colour": ""}]


def test_a_laser_burns_only_what_is_listed_and_never_a_halogen(
    house, laser, job_id, member, gateway
):
    def refused() -> list[Reason]:
        with house.workshop.database.write() as session:
            machine = session.get_one(Machine, house.row(Machine, slug="router").id)
            row = session.get_one(Preflight, house.row(Preflight, job_id=job_id).id)
            row.target_sha256 = target_of(machine, None).sha256()
        with pytest.raises(RefusedError) as error:
            house.services.cycle.start(member, "router", job_id, BEAM, house.now)
        return reasons(error)

    assert refused() == [Reason.MATERIAL_UNSAID]  # also where the lab lists nothing
    say_material(house, job_id, "PVC 3 mm")
    assert refused() == [Reason.MATERIAL_HALOGENATED]
    list_materials(house, "birch", "pvc 3 mm")
    assert refused() == [Reason.MATERIAL_HALOGENATED]
    say_material(house, job_id, "felt")
    assert refused() == [Reason.MATERIAL_NOT_LISTED]
    say_material(house, job_id, "")
    assert refused() == [Reason.MATERIAL_UNSAID]
    assert not gateway.orders
    say_material(house, job_id, "Birch")
    run = house.services.cycle.start(member, "router", job_id, BEAM, house.now)
    assert gateway.orders[-1].run == run


def test_a_mill_cuts_what_a_laser_must_not_burn(house, job_id, member, gateway):
    say_material(house, job_id, "PVC 3 mm")
    run = house.services.cycle.start(member, "router", job_id, ALL, house.now)
    assert gateway.orders[-1].run == run
