"""Who may use which machine: granted by those who teach it, for a while or for good."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import Session, aliased

from jobs.domain.errors import InvalidError, NotAllowedError, NotFoundError
from jobs.domain.learning import MOST_DAYS, Ended
from jobs.domain.people import Actor, Role, is_at_least
from jobs.services.asked import machine_of
from jobs.services.disuse import disuse_ends
from jobs.services.notices import tell
from jobs.services.qualifying import holds, is_for, qualified_until
from jobs.services.workshop import Workshop
from jobs.store.house import Qualification
from jobs.store.tables import Machine, Person

_MOST: Final = 500
_LONGEST_NOTE: Final = 200


@dataclass(frozen=True, slots=True)
class QualificationView:
    """One qualification: of a person, for one machine or for all of a kind.

    :param disuse_at: when it ends if its person does not use the machine before.
    :param ended_by: who took it away; "" where it ended by itself.
    """

    id: str
    person_id: str
    person: str
    machine_slug: str  # "" for a kind
    machine_name: str
    kind: str  # "" for a machine
    granted_by: str
    granted_at: datetime
    expires_at: datetime | None
    note: str
    holds: bool
    disuse_at: datetime | None = None
    ended_at: datetime | None = None
    ended_how: Ended | None = None
    ended_by: str = ""
    ended_why: str = ""


@dataclass(frozen=True, slots=True)
class PersonName:
    """A person to choose from a list."""

    id: str
    name: str
    login: str


class Qualifications:
    """Use cases about qualifications. Everybody reads their own, trainers those of all."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._database = workshop.database

    def of_person(self, actor: Actor, person_id: str, now: datetime) -> Sequence[QualificationView]:
        """Return what a person is qualified for, and was."""
        if actor.person_id != person_id:
            must_be_trainer(actor)
        return self._found(now, Qualification.person_id == person_id)

    def ended(self, actor: Actor, person_id: str, now: datetime) -> Sequence[QualificationView]:
        """Return what a person was qualified for, and how each ended; the newest first."""
        if actor.person_id != person_id:
            must_be_trainer(actor)
        return self._found(now, Qualification.person_id == person_id, ended=True)

    def of_machine(self, actor: Actor, slug: str, now: datetime) -> Sequence[QualificationView]:
        """Return who is qualified for a machine, by its kind too."""
        must_be_trainer(actor)
        with self._database.read() as session:
            machine = machine_of(session, slug)
        for_it = is_for(Qualification.machine_id, Qualification.kind, machine)
        return self._found(now, and_(for_it, holds(now)))

    def mine(self, actor: Actor, slug: str, now: datetime) -> datetime | None:
        """Return until when one is qualified for a machine oneself; None: not now."""
        with self._database.read() as session:
            return qualified_until(session, actor.person_id, machine_of(session, slug), now)

    def people(self, actor: Actor) -> Sequence[PersonName]:
        """Return whom a trainer may choose."""
        must_be_trainer(actor)
        with self._database.read() as session:
            rows = session.execute(
                select(Person.id, Person.name, Person.login)
                .where(Person.disabled_at.is_(None))
                .order_by(func.lower(Person.name), Person.login)
            )
            return [PersonName(key, name, login) for key, name, login in rows]

    def trainers(self, actor: Actor) -> Sequence[PersonName]:
        """Return who may teach beside a trainer."""
        must_be_trainer(actor)
        teach = [role.value for role in Role if is_at_least(role, Role.TRAINER)]
        with self._database.read() as session:
            rows = session.execute(
                select(Person.id, Person.name, Person.login)
                .where(
                    Person.disabled_at.is_(None),
                    Person.role.in_(teach),
                    Person.id != actor.person_id,
                )
                .order_by(func.lower(Person.name), Person.login)
            )
            return [PersonName(key, name, login) for key, name, login in rows]

    def person(self, actor: Actor, person_id: str) -> PersonName:
        """Return one person by name, for a page about what they have learned."""
        if actor.person_id != person_id:
            must_be_trainer(actor)
        with self._database.read() as session:
            found = session.get(Person, person_id)
            if found is None:
                raise NotFoundError("person.unknown")
            return PersonName(found.id, found.name, found.login)

    def grant(
        self,
        actor: Actor,
        person_id: str,
        *,
        slug: str = "",
        kind: str = "",
        days: int | None,
        note: str = "",
        now: datetime,
    ) -> str:
        """Qualify a person for a machine or a kind; return the qualification's id.

        Only who holds it grants it, and an admin. One that the person has already is renewed.

        :param days: how long it is good; None: for good.
        """
        note = " ".join(note.split())
        if len(note) > _LONGEST_NOTE:
            raise InvalidError("qualification.note", field="note", characters=_LONGEST_NOTE)
        with self._database.write() as session:
            machine = machine_of(session, slug) if slug else None
            may_grant(session, actor, machine, kind, now)
            person = session.get(Person, person_id)
            if person is None or person.disabled_at is not None:
                raise NotFoundError("person.unknown")
            row = grant_in(
                session, self._workshop, actor, person_id, machine, kind, expiry(now, days), now
            )
            row.note = note
        self._workshop.live.touch()
        return row.id

    def withdraw(self, actor: Actor, qualification_id: str, why: str, now: datetime) -> None:
        """Take a qualification away, with a reason that its person reads; it stays written down.

        :raises InvalidError: without a reason.
        """
        why = " ".join(why.split())
        if not 3 <= len(why) <= _LONGEST_NOTE:
            raise InvalidError("qualification.why", field="why", characters=_LONGEST_NOTE)
        with self._database.write() as session:
            row = session.get(Qualification, qualification_id)
            if row is None or row.withdrawn_at is not None:
                raise NotFoundError("qualification.unknown")
            machine = session.get(Machine, row.machine_id) if row.machine_id else None
            may_grant(session, actor, machine, row.kind or "", now)
            row.withdrawn_at, row.withdrawn_by = now, actor.person_id
            row.ended_how, row.ended_why = Ended.WITHDRAWN.value, why
            fields = {"what": row.kind or (machine.name if machine else ""), "why": why}
            code = "qualification-withdrawn"
            tell(session, self._workshop, row.person_id, code, fields, now, about="me:me")
        self._workshop.live.touch()

    def _found(
        self, now: datetime, where: ColumnElement[bool], *, ended: bool = False
    ) -> Sequence[QualificationView]:
        by, until_by = aliased(Person), aliased(Person)
        is_over = Qualification.withdrawn_at.is_not(None)
        newest = Qualification.withdrawn_at if ended else Qualification.granted_at
        with self._database.read() as session:
            rows = session.execute(
                select(
                    Qualification, Person.name, Machine.slug, Machine.name, by.name,
                    func.coalesce(until_by.name, ""),
                )
                .join(Person, Person.id == Qualification.person_id)
                .join(by, by.id == Qualification.granted_by)
                .outerjoin(until_by, until_by.id == Qualification.withdrawn_by)
                .outerjoin(Machine, Machine.id == Qualification.machine_id)
                .where(where, is_over if ended else ~is_over)
                .order_by(newest.desc(), Qualification.id)
                .limit(_MOST)
            ).all()  # fmt: skip
            disuse = {} if ended else disuse_ends(session, [row[0] for row in rows], now)
            return [
                QualificationView(
                    id=row.id,
                    person_id=row.person_id,
                    person=person,
                    machine_slug=slug or "",
                    machine_name=name or "",
                    kind=row.kind or "",
                    granted_by=granted_by,
                    granted_at=row.granted_at,
                    expires_at=row.expires_at,
                    note=row.note,
                    holds=not ended and (row.expires_at is None or row.expires_at > now),
                    disuse_at=disuse.get(row.id),
                    ended_at=row.withdrawn_at,
                    ended_how=Ended(row.ended_how) if row.ended_how else None,
                    ended_by=ended_by,
                    ended_why=row.ended_why,
                )
                for row, person, slug, name, granted_by, ended_by in rows
            ]


def grant_in(
    session: Session,
    workshop: Workshop,
    actor: Actor,
    person_id: str,
    machine: Machine | None,
    kind: str,
    expires_at: datetime | None,
    now: datetime,
    training_id: str | None = None,
) -> Qualification:
    """Write a qualification down; the same one from before is at an end."""
    same = Qualification.machine_id == machine.id if machine else Qualification.kind == kind
    before = session.scalars(
        select(Qualification).where(Qualification.person_id == person_id, same, holds(now))
    )
    for one in before.all():
        one.withdrawn_at, one.withdrawn_by = now, actor.person_id
        one.ended_how = Ended.RENEWED.value
    row = Qualification(
        id=workshop.new_id(),
        person_id=person_id,
        machine_id=machine.id if machine else None,
        kind=None if machine else kind,
        granted_by=actor.person_id,
        granted_at=now,
        expires_at=expires_at,
        training_id=training_id,
    )
    session.add(row)
    what = machine.name if machine else kind
    tell(session, workshop, person_id, "qualification-granted", {"what": what}, now, "me:me")
    return row


def may_grant(
    session: Session, actor: Actor, machine: Machine | None, kind: str, now: datetime
) -> None:
    """Refuse whoever may not teach it.

    :raises NotAllowedError: who is no trainer, or does not hold it.
    :raises InvalidError: if neither a machine nor a known kind is meant.
    """
    must_be_trainer(actor)
    if machine is None:
        known = select(Machine.id).where(Machine.kind == kind).limit(1)
        if not kind or session.scalar(known) is None:
            raise InvalidError("qualification.what", field="what")
    if actor.is_at_least(Role.ADMIN):
        return
    of = Qualification.kind == kind
    if machine is not None:
        of = or_(Qualification.machine_id == machine.id, Qualification.kind == machine.kind)
    query = select(Qualification.id).where(
        Qualification.person_id == actor.person_id, of, holds(now)
    )
    if session.scalar(query.limit(1)) is None:
        raise NotAllowedError("qualification.not-held")


def expiry(now: datetime, days: int | None) -> datetime | None:
    """Return when something that is good for so many days ends."""
    if days is None:
        return None
    if not 1 <= days <= MOST_DAYS:
        raise InvalidError("qualification.days", field="days", high=MOST_DAYS)
    return now + timedelta(days=days)


def must_be_trainer(actor: Actor) -> None:
    """Refuse who teaches nothing."""
    if not actor.is_at_least(Role.TRAINER):
        raise NotAllowedError("person.not-allowed", needed=Role.TRAINER.value)
