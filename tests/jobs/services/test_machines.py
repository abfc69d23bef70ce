"""Machines: how they are described, what state they show, and how the board is put together."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import event, select

from jobs.domain.calendar import AllocationKind, Displacement
from jobs.domain.errors import InvalidError, NotAllowedError, NotFoundError, RefusedError
from jobs.domain.job import AttemptState, JobState
from jobs.domain.machine import Control, MachineLimits, MachineState
from jobs.domain.people import Actor, Role
from jobs.services.board import FOREVER
from jobs.services.bookings import Bookings
from jobs.services.live import LiveState
from jobs.services.machines import Machines, parse_machine
from jobs.services.workshop import Workshop
from jobs.store.tables import Arming, Attempt, Job, Machine, OutboxMessage, Preflight, RunTime

HOUR = timedelta(hours=1)
ENDER = {
    "slug": "prusa",
    "name": "Prusa by the door",
    "kind": "fdm",
    "control": "serial",
    "profile": "marlin-2",
    "port": "usb:1a86:7523",
    "envelope_mm": [250, 210, 220],
    "nozzle_max_c": 280,
    "bed_max_c": 110,
    "nozzle_mm": 0.4,
}


@pytest.fixture
def machines(workshop: Workshop) -> Machines:
    return Machines(workshop)


def run_on(
    workshop: Workshop, machine_id: str, actor: Actor, now: datetime, *, lines: int = 0
) -> str:
    """Open an attempt on a machine, with ten planned seconds a line."""
    job_id, preflight_id, attempt_id = (workshop.new_id() for _ in range(3))
    sha256 = "ab" * 32
    folder = workshop.work_dir / "programs"
    folder.mkdir(exist_ok=True)
    planned = [10.0 * (line + 1) for line in range(lines)]
    (folder / sha256).write_bytes(struct.pack(f"<{lines}f", *planned))
    with workshop.database.write() as session:
        session.add(
            Job(
                id=job_id,
                number=7,
                title="Spool clip",
                person_id=actor.person_id,
                kind="fdm",
                state=JobState.RUNNING.value,
                input_kind="program",
                input_name="clip.gcode",
                input_sha256=sha256,
                input_bytes=1,
                findings=[],
                created_at=now,
            )
        )
        session.flush()
        session.add(
            Preflight(
                id=preflight_id,
                job_id=job_id,
                machine_id=machine_id,
                verdict="pass",
                findings=[],
                report={},
                limits_sha256=sha256,
                target_sha256=sha256,
                program_sha256=sha256,
                planned_sha256=sha256,
                planned_ms=10_000 * lines,
                made_at=now,
            )
        )
        session.flush()
        session.add(
            Attempt(
                id=attempt_id,
                job_id=job_id,
                machine_id=machine_id,
                preflight_id=preflight_id,
                state=AttemptState.RUNNING.value,
                started_at=now,
                total=lines,
            )
        )
        session.flush()
        session.add(
            RunTime(
                attempt_id=attempt_id,
                machine_id=machine_id,
                at=now,
                slicer="",
                planned_start_ms=0,
                planned_work_ms=10_000 * lines,
                start_p50_ms=0,
                start_p90_ms=0,
                work_p50_ms=10_000 * lines,
                work_p90_ms=12_000 * lines,
                p50_ms=10_000 * lines,
                p90_ms=12_000 * lines,
                runs=0,
            )
        )
    return attempt_id


def test_a_machine_is_added_as_its_file_says_and_hosts_hear_of_it(
    machines: Machines, operator: Actor, now: datetime, gateway: object
) -> None:
    seen = machines.add(operator, parse_machine(ENDER), now)
    assert (seen.slug, seen.name, seen.kind) == ("prusa", "Prusa by the door", "fdm")
    assert seen.limits == MachineLimits(
        (250.0, 210.0, 220.0), nozzle_max_c=280.0, bed_max_c=110.0, nozzle_mm=0.4
    )
    assert seen.state is MachineState.OFFLINE
    [need] = machines.host_needs()
    assert (need.slug, need.port, need.profile) == ("prusa", "usb:1a86:7523", "marlin-2")
    assert need.limits_sha256 == seen.limits.sha256()
    assert gateway.changes == 1  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("change", "code", "fields"),
    [
        ({"nozle_mm": 0.4}, "machine.unknown-key", {"key": "nozle_mm", "nearest": "nozzle_mm"}),
        ({"bed_max_c": "hot"}, "machine.bad-value", {"key": "bed_max_c", "wanted": "123.4"}),
        ({"bed_max_c": True}, "machine.bad-value", {"key": "bed_max_c", "wanted": "123.4"}),
        ({"bed_max_c": float("nan")}, "machine.bad-value", {"wanted": "0-1e+06"}),
        ({"bed_max_c": -1}, "machine.bad-value", {"key": "bed_max_c"}),
        ({"envelope_mm": [1, 2]}, "machine.bad-value", {"wanted": "[x, y, z]"}),
        ({"envelope_mm": [1, 2, -3]}, "machine.bad-value", {"wanted": "> 0"}),
        ({"envelope_mm": None}, "machine.missing-key", {"key": "envelope_mm"}),
        ({"port": None}, "machine.missing-key", {"key": "port"}),
        ({"port": ""}, "machine.missing-key", {"key": "port"}),
        ({"kind": None}, "machine.missing-key", {"key": "kind"}),
        ({"kind": "fmd"}, "machine.unknown-kind", {"name": "fmd"}),
        ({"control": "usb"}, "machine.bad-value", {"wanted": "serial, by-hand, none"}),
        ({"slug": "Big One"}, "machine.slug", {"name": "Big One"}),
        ({"slug": "node"}, "machine.slug-reserved", {"name": "node"}),
        ({"baud": 0.5}, "machine.bad-value", {"key": "baud"}),
        ({"simulated": "yes"}, "machine.bad-value", {"wanted": "true, false"}),
        ({"name": 7}, "machine.bad-value", {"key": "name"}),
    ],
)
def test_a_wrong_key_is_named(
    change: dict[str, object], code: str, fields: dict[str, object]
) -> None:
    with pytest.raises(InvalidError) as wrong:
        parse_machine({**ENDER, **change})
    assert wrong.value.code == code
    assert wrong.value.field in change
    assert fields.items() <= wrong.value.fields.items()


def test_a_machine_that_is_only_booked_needs_a_slug_and_a_kind() -> None:
    spec = parse_machine({"slug": "saw", "kind": "bandsaw", "control": "none"})
    assert (spec.name, spec.port, spec.profile) == ("saw", None, None)


def test_two_machines_share_neither_slug_nor_port(
    machines: Machines, operator: Actor, now: datetime
) -> None:
    machines.add(operator, parse_machine(ENDER), now)
    with pytest.raises(InvalidError) as wrong:
        machines.add(operator, parse_machine(ENDER), now)
    assert wrong.value.code == "machine.slug-taken"
    with pytest.raises(InvalidError) as wrong:
        machines.add(operator, parse_machine({**ENDER, "slug": "other"}), now)
    assert (wrong.value.code, wrong.value.fields["machine"]) == ("machine.port-taken", "prusa")


def test_members_do_not_change_machines(
    machines: Machines, member: Actor, printer: str, now: datetime
) -> None:
    with pytest.raises(NotAllowedError):
        machines.add(member, parse_machine(ENDER), now)
    with pytest.raises(NotAllowedError):
        machines.change(member, "ender", now, name="Mine")
    with pytest.raises(NotAllowedError):
        machines.retire(member, "ender", now)


def test_a_change_keeps_what_it_does_not_name(
    machines: Machines, operator: Actor, now: datetime
) -> None:
    before = machines.add(operator, parse_machine(ENDER), now)
    after = machines.change(operator, "prusa", now, bed_max_c=90)
    assert after == replace(before, limits=replace(before.limits, bed_max_c=90.0))
    with pytest.raises(InvalidError):
        machines.change(operator, "prusa", now, bed_max=90)
    with pytest.raises(NotFoundError):
        machines.change(operator, "ender", now, bed_max_c=90)


def test_a_machine_in_use_is_neither_changed_nor_retired(
    workshop: Workshop, machines: Machines, printer: str, operator: Actor, now: datetime
) -> None:
    run_on(workshop, printer, operator, now)
    for attempt in (
        lambda: machines.change(operator, "ender", now, bed_max_c=90),
        lambda: machines.retire(operator, "ender", now),
    ):
        with pytest.raises(RefusedError):
            attempt()


def test_a_retired_machine_gives_its_bookings_back_and_may_return(
    workshop: Workshop, machines: Machines, operator: Actor, member: Actor, now: datetime
) -> None:
    first = machines.add(operator, parse_machine(ENDER), now)
    Bookings(workshop).book(member, "prusa", now + HOUR, now + 2 * HOUR, now)
    machines.retire(operator, "prusa", now)

    assert machines.board(now, member) == []
    assert machines.host_needs() == []
    assert Bookings(workshop).mine(member, now) == []
    with workshop.database.read() as session:
        kinds = session.scalars(select(OutboxMessage.kind).order_by(OutboxMessage.seq)).all()
    assert kinds == ["reservation.made", "reservation.cancelled"]
    assert machines.get("prusa", now, member).retired
    assert machines.add(operator, parse_machine(ENDER), now).id == first.id


@pytest.mark.parametrize(
    ("live", "state"),
    [
        (LiveState(), MachineState.OFFLINE),
        (LiveState(phase="connecting", connected=False), MachineState.OFFLINE),
        (LiveState(phase="idle", connected=True), MachineState.IDLE),
        (LiveState(phase="idle", connected=True, stopped=True), MachineState.ATTENTION),
        (LiveState(phase="stopped", connected=True), MachineState.ERROR),
        (LiveState(phase="fault", connected=True), MachineState.ERROR),
        (LiveState(phase="streaming", connected=True), MachineState.RUNNING),
        (LiveState(phase="paused", connected=True), MachineState.PAUSED),
    ],
)
def test_a_machine_shows_what_its_host_says(
    workshop: Workshop,
    machines: Machines,
    printer: str,
    member: Actor,
    now: datetime,
    live: LiveState,
    state: MachineState,
) -> None:
    workshop.live.put("ender", live)
    assert machines.get("ender", now, member).state is state


def test_reserved_to_check_and_maintenance_come_from_the_house(
    workshop: Workshop,
    machines: Machines,
    printer: str,
    member: Actor,
    operator: Actor,
    now: datetime,
) -> None:
    bookings = Bookings(workshop)
    bookings.book(member, "ender", now + HOUR, now + 2 * HOUR, now)
    before = machines.get("ender", now, member)
    assert (before.state, before.free_now_until) == (MachineState.IDLE, now + HOUR)
    during = machines.get("ender", now + HOUR, member)
    assert (during.state, during.free_now_until) == (MachineState.RESERVED, None)
    after = machines.get("ender", now + 2 * HOUR, member)
    assert (after.state, after.free_now_until) == (MachineState.IDLE, FOREVER)

    machines.set_to_check(member, "ender", now)
    assert machines.get("ender", now, member).state is MachineState.TO_CHECK
    bookings.outage(operator, "ender", now, now + HOUR, "", now)
    assert machines.get("ender", now, member).state is MachineState.MAINTENANCE


def test_a_machine_nobody_arms_is_ready_again_when_a_person_has_looked(
    workshop: Workshop,
    machines: Machines,
    add_machine: Callable[..., str],
    printer: str,
    member: Actor,
    now: datetime,
) -> None:
    add_machine(workshop, "old", control=Control.BY_HAND)
    machines.set_to_check(member, "old", now)
    guest = replace(member, role=Role.GUEST)
    with pytest.raises(NotAllowedError):
        machines.checked(guest, "old", now)
    assert machines.get("old", now, member).to_check
    machines.checked(member, "old", now)
    assert machines.get("old", now, member).state is MachineState.IDLE
    machines.set_to_check(member, "ender", now)
    with pytest.raises(RefusedError):  # a machine that is armed is said to be clear then
        machines.checked(member, "ender", now)


def test_a_machine_without_a_wire_is_never_offline(
    machines: Machines,
    add_machine: Callable[..., str],
    workshop: Workshop,
    member: Actor,
    now: datetime,
) -> None:
    saw = add_machine(workshop, "saw", control=Control.NONE)
    assert machines.get("saw", now, member).state is MachineState.IDLE
    run_on(workshop, saw, member, now)
    assert machines.get("saw", now, member).state is MachineState.RUNNING


def test_progress_is_by_planned_seconds_of_the_run_that_the_host_speaks_of(
    workshop: Workshop, machines: Machines, printer: str, member: Actor, now: datetime
) -> None:
    run = run_on(workshop, printer, member, now, lines=40)
    live = LiveState(
        phase="streaming", connected=True, run=run, acked=10, total=40, source_line=12, resends=1
    )
    workshop.live.put("ender", live)
    seen = machines.get("ender", now, member).run
    assert seen is not None
    assert (seen.progress, seen.remaining_s, seen.line, seen.resends) == (0.25, 300.0, 12, 1)
    assert seen.ends_at == now + timedelta(seconds=300)
    assert seen.mine
    assert seen.job_title == "Spool clip"

    workshop.live.put("ender", replace(live, run="another"))
    other = machines.get("ender", now, None).run
    assert other is not None
    assert (other.progress, other.job_title, other.mine) == (0.0, "", False)


def test_only_an_unused_word_that_still_holds_is_shown_as_arming(
    workshop: Workshop, machines: Machines, printer: str, member: Actor, now: datetime
) -> None:
    arming = Arming(
        id=workshop.new_id(),
        machine_id=printer,
        person_id=member.person_id,
        at=now,
        expires_at=now + HOUR / 2,
        simulated=False,
    )
    with workshop.database.write() as session:
        session.add(arming)
    armed = machines.get("ender", now, member).armed
    assert armed is not None
    assert (armed.person_name, armed.expires_at) == ("Mia", now + HOUR / 2)
    machines.set_to_check(member, "ender", now + HOUR / 12)  # outweighs the word given before it
    assert machines.get("ender", now + HOUR / 6, member).armed is None
    with workshop.database.write() as session:
        session.get_one(Machine, printer).to_check_since = None
    assert machines.get("ender", now + HOUR, member).armed is None
    with workshop.database.write() as session:
        session.get_one(Arming, arming.id).attempt_id = "used"
    assert machines.get("ender", now, member).armed is None


def test_a_board_is_five_queries_however_many_machines(
    workshop: Workshop,
    machines: Machines,
    add_machine: Callable[..., str],
    member: Actor,
    now: datetime,
) -> None:
    for number in range(20):
        add_machine(workshop, f"m{number}")
    seen: list[str] = []

    @event.listens_for(workshop.database.engine, "before_cursor_execute")
    def _count(_c: object, _u: object, statement: str, *_: object) -> None:
        seen.append(statement)

    assert len(machines.board(now, member)) == 20
    assert len([one for one in seen if one.startswith("SELECT")]) == 5


def test_a_run_takes_the_machine_even_before_its_place_is_on_the_calendar(
    workshop: Workshop, machines: Machines, printer: str, member: Actor, now: datetime
) -> None:
    run_on(workshop, printer, member, now, lines=1)
    assert machines.get("ender", now, member).free_now_until is None
    with workshop.database.write() as session:
        Bookings(workshop).place_fact(
            session,
            printer,
            AllocationKind.RUN,
            now + HOUR,
            now + 2 * HOUR,
            member.person_id,
            None,
            Displacement.RUN_STARTED,
            now,
        )
        session.get_one(Machine, printer).stop_note = "left of the door"
    seen = machines.get("ender", now, member)
    assert seen.next_taken is not None
    assert (seen.next_taken.start, seen.stop_note) == (now + HOUR, "left of the door")


@pytest.mark.parametrize(
    ("controller", "state"),
    [
        ("Idle", MachineState.IDLE),
        ("Alarm", MachineState.IDLE),
        ("", MachineState.IDLE),
        ("Jog", MachineState.RUNNING),
        ("Home", MachineState.RUNNING),
        ("Run", MachineState.RUNNING),
        ("Hold:0", MachineState.ATTENTION),
        ("Door:1", MachineState.ATTENTION),
        ("Check", MachineState.ATTENTION),
    ],
)
def test_a_router_moved_or_held_by_hand_is_not_free(workshop, mill, now, controller, state):
    live = workshop.live.get("router")
    workshop.live.put("router", replace(live, controller=controller))
    assert Machines(workshop).get("router", now, None).state is state


def test_a_machine_says_its_model_and_what_it_may_burn():
    laser = {
        **ENDER,
        "kind": "laser",
        "model": "  K40   plus ",
        "materials": ["birch  ply", "cork"],
    }
    limits = parse_machine(laser).limits
    assert (limits.model, limits.materials) == ("K40 plus", ("birch ply", "cork"))
    assert parse_machine(parse_machine(laser).to_values()).limits == limits
    for key, wrong in [
        *(("model", 7), ("model", "x" * 300), ("materials", "birch"), ("materials", [7])),
        *(("materials", [""]), ("materials", ["x" * 41]), ("materials", ["a"] * 61)),
        ("materials", ["a\x00"]),
    ]:
        with pytest.raises(InvalidError) as error:
            parse_machine({**ENDER, key: wrong})
        assert error.value.field == key
