"""House rules and risk sheets: written in versions, read, and accepted by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from jobs.domain.errors import InvalidError, NotFoundError, RefusedError
from jobs.domain.instructions import LONGEST_NOTE, Change, Sort, changes, checked_text, digest_of
from jobs.domain.people import Actor, Role
from jobs.domain.policy import Reason, Refusal
from jobs.domain.rules.values import LAB, Level, Scope
from jobs.services.accepting import Standing, accepted_by, scope_keys, standings
from jobs.services.asked import machine_of, must_be
from jobs.services.house import known_scope
from jobs.services.turns import take_turn
from jobs.services.workshop import Workshop
from jobs.store.instructions import Acceptance, Instruction
from jobs.store.tables import Machine, Person

_TURN: Final = "instructions"
_MOST: Final = 1000


@dataclass(frozen=True, slots=True)
class InstructionEntry:
    """One text in a list; *accepted*: by the viewer, as it stands; None: nobody is asked to."""

    scope: Scope
    name: str  # of the machine or kind; "" for the lab
    sort: Sort
    version: int
    at: datetime
    accepted: bool | None


@dataclass(frozen=True, slots=True)
class InstructionView:
    """One version of a text as a viewer reads it.

    :param newest: the number of the version that holds.
    :param accepted_at: when the viewer accepted what counts for the newest version.
    :param asked: whether the viewer has to accept it before they use the machine.
    :param since: the version that the viewer accepted last, if there is a newer one.
    :param changes: what has changed since then, or since the version before.
    """

    scope: Scope
    name: str
    sort: Sort
    version: int
    newest: int
    text: str
    sha256: str
    must_accept: bool
    note: str
    by: str
    at: datetime
    accepted_at: datetime | None = None
    asked: bool = False
    since: int | None = None
    changes: Sequence[Change] = ()


@dataclass(frozen=True, slots=True)
class AcceptanceView:
    """Who accepted which version, when; *holds*: it counts for the newest one."""

    person_id: str
    person: str
    name: str
    version: int
    at: datetime
    holds: bool


class Instructions:
    """Use cases about what is accepted by name."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._database = workshop.database

    def list(self, actor: Actor, slug: str = "") -> Sequence[InstructionEntry]:
        """Return the texts that hold: all, or those for one machine."""
        with self._database.read() as session:
            keys = None if not slug else list(scope_keys(machine_of(session, slug)))
            found = standings(session, keys)
            accepted = accepted_by(session, actor.person_id, found)
            machines = {
                one.id: one
                for one in session.scalars(
                    select(Machine).where(
                        Machine.id.in_({one.scope.partition(":")[2] for one in found})
                    )
                )
            }
            entries = []
            for one in found:
                row = session.get_one(Instruction, one.id)
                scope, name = _scope_of(one, machines)
                is_accepted = bool(one.good & accepted) if one.good else None
                entries.append(
                    InstructionEntry(scope, name, one.sort, row.version, row.at, is_accepted)
                )
            return sorted(
                entries, key=lambda one: (_WIDE[one.scope.level], one.name.casefold(), one.sort)
            )

    def get(
        self, actor: Actor, scope: Scope, sort: Sort, version: int | None = None
    ) -> InstructionView:
        """Return the newest version, or an earlier one; with what changed for this reader.

        :raises NotFoundError: if nothing is written.
        """
        with self._database.read() as session:
            rows = _versions(session, scope, sort)
            if not rows or (version is None and not rows[-1].text):
                raise NotFoundError("instruction.none")
            row = rows[-1] if version is None else _numbered(rows, version)
            view = InstructionView(
                scope=scope,
                name=_name(session, scope),
                sort=sort,
                version=row.version,
                newest=rows[-1].version,
                text=row.text,
                sha256=row.sha256,
                must_accept=row.must_accept,
                note=row.note,
                by=session.get_one(Person, row.person_id).name,
                at=row.at,
            )
            return self._as_read(session, actor, view, rows)

    def versions(self, scope: Scope, sort: Sort) -> Sequence[tuple[int, datetime, str, bool, str]]:
        """Return number, instant, writer, whether it is accepted anew, and note; newest first."""
        with self._database.read() as session:
            found = session.execute(
                select(Instruction, Person.name)
                .join(Person, Person.id == Instruction.person_id)
                .where(Instruction.scope == _key(session, scope), Instruction.sort == sort.value)
                .order_by(Instruction.version.desc())
                .limit(_MOST)
            )
            return [(row.version, row.at, by, row.must_accept, row.note) for row, by in found]

    def write(
        self,
        actor: Actor,
        scope: Scope,
        sort: Sort,
        text: str,
        note: str,
        now: datetime,
        *,
        must_accept: bool,
    ) -> int:
        """Keep a new version and return its number; an empty text takes it back.

        :param must_accept: whoever has accepted an earlier version accepts this one again.
        """
        must_be(actor, Role.OPERATOR)
        text, note = checked_text(text), " ".join(note.split())
        if len(note) > LONGEST_NOTE:
            raise InvalidError("instruction.note", field="note", characters=LONGEST_NOTE)
        with self._database.write() as session:
            take_turn(session, _TURN)
            rows = _versions(session, scope, sort)
            if rows and (rows[-1].text, rows[-1].must_accept) == (text, must_accept):
                return rows[-1].version
            if not rows and not text:
                raise InvalidError("instruction.empty", field="text")
            number = rows[-1].version + 1 if rows else 1
            session.add(
                Instruction(
                    id=self._workshop.new_id(),
                    scope=_key(session, scope),
                    sort=sort.value,
                    version=number,
                    text=text,
                    sha256=digest_of(text),
                    must_accept=must_accept and bool(text),
                    note=note,
                    person_id=actor.person_id,
                    at=now,
                )
            )
        self._workshop.live.touch()
        return number

    def accept(self, actor: Actor, scope: Scope, sort: Sort, sha256: str, now: datetime) -> None:
        """Take a person's word that they have read it and keep to it. Twice is as once.

        :param sha256: of the text that they were shown.
        :raises RefusedError: `text-changed` if it is another one now.
        """
        with self._database.write() as session:
            take_turn(session, _TURN)
            rows = _versions(session, scope, sort)
            if not rows or not rows[-1].text:
                raise NotFoundError("instruction.none")
            if rows[-1].sha256 != sha256:
                raise RefusedError([Refusal(Reason.TEXT_CHANGED)])
            key = (actor.person_id, rows[-1].id)
            if session.get(Acceptance, key) is None:
                session.add(
                    Acceptance(
                        person_id=actor.person_id,
                        instruction_id=rows[-1].id,
                        at=now,
                        sha256=sha256,
                        name=actor.name,
                    )
                )
        self._workshop.live.touch()

    def accepted(self, actor: Actor, scope: Scope, sort: Sort) -> Sequence[AcceptanceView]:
        """Return who accepted it, the newest first; for trainers and staff."""
        must_be(actor, Role.TRAINER)
        with self._database.read() as session:
            key = _key(session, scope)
            good = {
                one for each in standings(session, [key]) if each.sort is sort for one in each.good
            }
            found = session.execute(
                select(Acceptance, Instruction.version, Person.name)
                .join(Instruction, Instruction.id == Acceptance.instruction_id)
                .join(Person, Person.id == Acceptance.person_id)
                .where(Instruction.scope == key, Instruction.sort == sort.value)
                .order_by(Acceptance.at.desc(), Acceptance.person_id)
                .limit(_MOST)
            )
            return [
                AcceptanceView(
                    row.person_id, name, row.name, version, row.at, row.instruction_id in good
                )
                for row, version, name in found
            ]

    def _as_read(
        self,
        session: Session,
        actor: Actor,
        view: InstructionView,
        rows: Sequence[Instruction],
    ) -> InstructionView:
        """Return a version with what its reader has done about it, and what is new to them."""
        own = select(Acceptance.instruction_id, Acceptance.at).where(
            Acceptance.person_id == actor.person_id,
            Acceptance.instruction_id.in_([one.id for one in rows]),
        )
        mine = dict(session.execute(own).all())
        known = [one for one in rows if one.id in mine and one.version < view.version]
        before = known[-1] if known else None
        if before is None and view.version > 1 and view.version != view.newest:
            before = _numbered(rows, view.version - 1)
        standing = [one for one in standings(session, [rows[0].scope]) if one.sort is view.sort]
        good = standing[0].good if standing else frozenset()
        held = [at for key, at in mine.items() if key in good]
        newest_at = mine.get(rows[-1].id)
        return replace(
            view,
            accepted_at=newest_at or max(held, default=None),
            asked=bool(good) and not held and view.version == view.newest,
            since=before.version if before is not None else None,
            changes=changes(before.text, view.text) if before is not None else (),
        )


_WIDE: Final = {Level.LAB: 0, Level.KIND: 1, Level.MACHINE: 2}


def _versions(session: Session, scope: Scope, sort: Sort) -> Sequence[Instruction]:
    return session.scalars(
        select(Instruction)
        .where(Instruction.scope == _key(session, scope), Instruction.sort == sort.value)
        .order_by(Instruction.version)
    ).all()


def _numbered(rows: Sequence[Instruction], version: int) -> Instruction:
    found = next((one for one in rows if one.version == version), None)
    if found is None:
        raise NotFoundError("instruction.none")
    return found


def _key(session: Session, scope: Scope) -> str:
    machine_id = known_scope(session, scope)
    return f"machine:{machine_id}" if scope.level is Level.MACHINE else str(scope)


def _name(session: Session, scope: Scope) -> str:
    if scope.level is not Level.MACHINE:
        return scope.of
    return session.scalar(select(Machine.name).where(Machine.slug == scope.of)) or ""


def _scope_of(one: Standing, machines: dict[str, Machine]) -> tuple[Scope, str]:
    word, _, of = one.scope.partition(":")
    if word == Level.MACHINE.value:
        return Scope(Level.MACHINE, machines[of].slug), machines[of].name
    return (Scope(Level.KIND, of), of) if word == Level.KIND.value else (LAB, "")
