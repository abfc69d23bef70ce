"""What a person has still to read and accept before they use a machine; asked by the rules."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from jobs.domain.instructions import Sort
from jobs.domain.people import LabMode
from jobs.domain.rules import ToAccept
from jobs.domain.rules.values import LAB, Level, Scope
from jobs.services.lab import mode_of
from jobs.store.instructions import Acceptance, Instruction
from jobs.store.tables import Machine


@dataclass(frozen=True, slots=True)
class Standing:
    """How a text stands: its newest version, and which acceptances count for it.

    :param good: ids of the versions of which an acceptance still holds; none: nobody is asked.
    """

    id: str
    scope: str
    sort: Sort
    good: frozenset[str]


def scope_keys(machine: Machine) -> Mapping[str, Scope]:
    """Return under which keys the texts for a machine are kept, the widest first."""
    return {
        str(LAB): LAB,
        f"kind:{machine.kind}": Scope(Level.KIND, machine.kind),
        f"machine:{machine.id}": Scope(Level.MACHINE, machine.slug),
    }


def standings(session: Session, keys: Sequence[str] | None = None) -> Sequence[Standing]:
    """Return the texts that hold, without their words; None: all there are."""
    query = select(
        Instruction.id,
        Instruction.scope,
        Instruction.sort,
        Instruction.must_accept,
        func.length(Instruction.text),
    ).order_by(Instruction.scope, Instruction.sort, Instruction.version)
    if keys is not None:
        query = query.where(Instruction.scope.in_(keys))
    versions: dict[tuple[str, str], list[tuple[str, bool, int]]] = defaultdict(list)
    for key, scope, sort, must, length in session.execute(query):
        versions[scope, sort].append((key, must, length))
    found = []
    for (scope, sort), rows in versions.items():
        if rows[-1][2] == 0:
            continue  # it was taken back
        asked = [number for number, (_, must, _) in enumerate(rows) if must]
        good = frozenset(key for key, _, _ in rows[asked[-1] :]) if asked else frozenset()
        found.append(Standing(rows[-1][0], scope, Sort(sort), good))
    return found


def accepted_by(session: Session, person_id: str, found: Sequence[Standing]) -> frozenset[str]:
    """Return the ids of all versions that count and that a person has accepted."""
    good = {key for one in found for key in one.good}
    if not good:
        return frozenset()
    rows = session.scalars(
        select(Acceptance.instruction_id).where(
            Acceptance.person_id == person_id, Acceptance.instruction_id.in_(good)
        )
    )
    return frozenset(rows)


def to_accept(session: Session, person_id: str, machine: Machine) -> tuple[ToAccept, ...]:
    """Return what a person has not accepted of what is written for a machine."""
    keys = scope_keys(machine)
    found = standings(session, list(keys))
    if not found or mode_of(session) is LabMode.ONLY_ME:
        return ()
    accepted = accepted_by(session, person_id, found)
    names = {Level.LAB: Level.LAB.value, Level.KIND: machine.kind, Level.MACHINE: machine.name}
    return tuple(
        ToAccept(f"{scope}/{one.sort.value}", one.sort.value, names[scope.level])
        for one in found
        if one.good and not one.good & accepted
        for scope in (keys[one.scope],)
    )
