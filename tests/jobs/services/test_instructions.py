"""House rules and risk sheets: versions, who has accepted which, and what that lets them do."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select

from jobs.domain.errors import InvalidError, NotAllowedError, NotFoundError, RefusedError
from jobs.domain.instructions import Line, Sort, changes, checked_text
from jobs.domain.people import Actor, LabMode, Role
from jobs.domain.policy import Reason, WayKind
from jobs.domain.rules.values import LAB, Scope
from jobs.services.accepting import to_accept
from jobs.services.bookings import Bookings
from jobs.services.house import House
from jobs.services.instructions import Instructions
from jobs.services.lab import Lab
from jobs.services.workshop import Workshop
from jobs.store.instructions import Acceptance, Instruction
from jobs.store.tables import Machine

HOUR = timedelta(hours=1)
ENDER, FDM, MILL = (Scope.read(one) for one in ("machine:ender", "kind:fdm", "kind:mill"))


@pytest.fixture
def service(workshop: Workshop, printer: str, mill: str) -> Instructions:
    return Instructions(workshop)


def open_for(workshop: Workshop, actor: Actor, machine_id: str) -> list[str]:
    with workshop.database.read() as session:
        machine = session.get_one(Machine, machine_id)
        return sorted(one.ref for one in to_accept(session, actor.person_id, machine))


def accept(service: Instructions, actor: Actor, scope: Scope, now: datetime) -> None:
    service.accept(actor, scope, Sort.RISKS, service.get(actor, scope, Sort.RISKS).sha256, now)


def test_all_that_is_written_for_a_machine_is_accepted_before_its_first_use(
    service: Instructions, workshop: Workshop, printer: str, mill: str, operator: Actor,
    member: Actor, other: Actor, now: datetime,
) -> None:  # fmt: skip
    assert open_for(workshop, member, printer) == []
    service.write(operator, LAB, Sort.RULES, "Clean up.", "", now, must_accept=True)
    service.write(operator, FDM, Sort.RISKS, "Hot.", "", now, must_accept=True)
    service.write(operator, ENDER, Sort.RISKS, "The fan bites.", "", now, must_accept=True)
    service.write(operator, ENDER, Sort.RULES, "For your notice.", "", now, must_accept=False)
    service.write(operator, MILL, Sort.RISKS, "Chips fly.", "", now, must_accept=True)
    all_of_it = ["kind:fdm/risks", "lab/rules", "machine:ender/risks"]
    assert open_for(workshop, member, printer) == all_of_it
    assert open_for(workshop, member, mill) == ["kind:mill/risks", "lab/rules"]
    accept(service, member, FDM, now + HOUR)
    accept(service, member, FDM, now + 2 * HOUR)  # twice is as once
    assert open_for(workshop, member, printer) == ["lab/rules", "machine:ender/risks"]
    assert open_for(workshop, other, printer) == all_of_it  # nobody accepts for another
    [one] = service.accepted(operator, FDM, Sort.RISKS)
    assert (one.person, one.name, one.version, one.at, one.holds) == (
        "Mia", "Mia", 1, now + HOUR, True,
    )  # fmt: skip
    with workshop.database.read() as session:
        row = session.scalars(select(Acceptance)).one()
        assert row.sha256 == session.get_one(Instruction, row.instruction_id).sha256
    # In a house of one person nobody is asked.
    Lab(workshop).set_mode(Actor(operator.person_id, "", Role.ADMIN), LabMode.ONLY_ME, now)
    assert open_for(workshop, other, printer) == []


def test_a_new_version_says_whether_it_is_accepted_again(
    service: Instructions, workshop: Workshop, printer: str, operator: Actor, member: Actor,
    other: Actor, now: datetime,
) -> None:  # fmt: skip
    def write(text: str, must_accept: bool) -> int:
        return service.write(
            operator, ENDER, Sort.RISKS, text, "a note", now, must_accept=must_accept
        )

    assert write("- a\n- b\n", True) == 1
    accept(service, member, ENDER, now)
    assert write("- a\n- b, spelled well", False) == 2
    assert open_for(workshop, member, printer) == []
    assert open_for(workshop, other, printer) == ["machine:ender/risks"]
    accept(service, other, ENDER, now)  # of the newest version, which counts as well
    assert open_for(workshop, other, printer) == []
    assert write("- a\n- b, spelled well", False) == 2  # nothing has changed
    assert write("- a\n- c", True) == 3
    for actor in (member, other):
        assert open_for(workshop, actor, printer) == ["machine:ender/risks"]
    seen = service.get(member, ENDER, Sort.RISKS)
    assert (seen.version, seen.since, seen.asked, seen.note) == (3, 1, True, "a note")
    assert [(one.kind, one.text) for one in seen.changes] == [
        (Line.SAME, "- a"), (Line.REMOVED, "- b"), (Line.ADDED, "- c"),
    ]  # fmt: skip
    assert service.get(other, ENDER, Sort.RISKS).since == 2
    assert [one.holds for one in service.accepted(operator, ENDER, Sort.RISKS)] == [False, False]
    assert service.get(member, ENDER, Sort.RISKS, 1).text == "- a\n- b"
    with pytest.raises(NotFoundError):
        service.get(member, ENDER, Sort.RISKS, 9)
    # Taken back: nobody is asked, and what was accepted stays written down.
    write("", True)
    assert open_for(workshop, member, printer) == []
    assert service.list(member) == []
    with pytest.raises(NotFoundError):
        service.get(member, ENDER, Sort.RISKS)
    with pytest.raises(NotFoundError):
        accept(service, member, ENDER, now)


def test_what_changed_while_it_was_read_is_not_accepted(
    service: Instructions, operator: Actor, member: Actor, now: datetime
) -> None:
    service.write(operator, ENDER, Sort.RISKS, "old", "", now, must_accept=True)
    read = service.get(member, ENDER, Sort.RISKS).sha256
    service.write(operator, ENDER, Sort.RISKS, "new", "", now, must_accept=True)
    with pytest.raises(RefusedError) as error:
        service.accept(member, ENDER, Sort.RISKS, read, now)
    assert [one.reason for one in error.value.refusals] == [Reason.TEXT_CHANGED]


def test_the_lab_chooses_whether_it_binds_bookings_too(
    service: Instructions, workshop: Workshop, admin: Actor, member: Actor, now: datetime
) -> None:
    service.write(admin, ENDER, Sort.RISKS, "Hot.", "", now, must_accept=True)
    bookings = Bookings(workshop)

    def book(hours: int) -> object:
        start = now + hours * HOUR
        return bookings.book(member, "ender", start, start + HOUR, now)

    assert book(1)
    House(workshop).set(admin, ENDER, "accept_binds", "both", "", now)
    with pytest.raises(RefusedError) as error:
        book(3)
    [one] = error.value.refusals
    assert one.reason is Reason.NOT_ACCEPTED
    assert not one.overridable
    assert [(way.kind, way.ref) for way in one.ways] == [(WayKind.ACCEPT, "machine:ender/risks")]
    accept(service, member, ENDER, now)
    assert book(3)


def test_only_staff_write_and_the_text_is_text(
    service: Instructions, operator: Actor, member: Actor, now: datetime
) -> None:
    def write(actor: Actor, text: str, **more: str) -> int:
        note = more.get("note", "")
        scope = Scope.read(more.get("scope", "lab"))
        return service.write(actor, scope, Sort.RULES, text, note, now, must_accept=True)

    with pytest.raises(NotAllowedError):
        write(member, "x")
    with pytest.raises(NotAllowedError):
        service.accepted(member, LAB, Sort.RULES)
    for text, more in (
        ("", {}), ("x" * 40_001, {}), ("a\0b", {}), ("\u202eevil", {}), ("x", {"note": "n" * 501}),
    ):  # fmt: skip
        with pytest.raises(InvalidError):
            write(operator, text, **more)
    with pytest.raises(NotFoundError):
        write(operator, "x", scope="machine:nothing")
    assert service.list(operator) == []


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.text(alphabet="ab\n", max_size=30), st.text(alphabet="ab\n", max_size=30))
def test_what_changed_says_every_line_that_came_and_went(old: str, new: str) -> None:
    old, new = checked_text(old), checked_text(new)
    found = changes(old, new)
    assert bool(found) == (old != new)
    gone = [one.text for one in found if one.kind is Line.REMOVED]
    came = [one.text for one in found if one.kind is Line.ADDED]
    kept = len(old.split("\n")) - len(gone)
    assert kept == len(new.split("\n")) - len(came)


@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(st.sampled_from(("must", "may", "back", "mia", "noor")), max_size=12))
def test_whoever_is_let_in_has_accepted_something_no_older_than_what_all_must(
    service: Instructions, workshop: Workshop, printer: str, operator: Actor, member: Actor,
    other: Actor, now: datetime, acts: list[str],
) -> None:  # fmt: skip
    with workshop.database.write() as session:
        session.execute(delete(Acceptance))
        session.execute(delete(Instruction))
    accepted = {"mia": 0, "noor": 0}
    must = newest = 0
    is_there = False
    people = {"mia": member, "noor": other}
    for number, act in enumerate(acts):
        if act in people:
            if is_there:
                accept(service, people[act], ENDER, now)
                accepted[act] = newest
        elif act == "back" and not is_there:
            continue
        else:
            text = "" if act == "back" else f"text {number}"
            newest = service.write(
                operator, ENDER, Sort.RISKS, text, "", now, must_accept=act == "must"
            )
            is_there = bool(text)
            must = newest if act == "must" else must
        for name, person in people.items():
            is_asked = is_there and bool(must) and accepted[name] < must
            assert open_for(workshop, person, printer) == (
                ["machine:ender/risks"] if is_asked else []
            )


def test_a_machine_keeps_its_texts_under_another_name(
    service: Instructions, workshop: Workshop, printer: str, operator: Actor, member: Actor,
    now: datetime, add_machine: Callable[..., str],
) -> None:  # fmt: skip
    service.write(operator, ENDER, Sort.RISKS, "Hot.", "", now, must_accept=True)
    with workshop.database.write() as session:
        session.get_one(Machine, printer).slug = "ender-3"
    prusa = add_machine(workshop, "prusa")
    assert open_for(workshop, member, printer) == ["machine:ender-3/risks"]
    assert open_for(workshop, member, prusa) == []
    assert [str(one.scope) for one in service.list(member, "ender-3")] == ["machine:ender-3"]
