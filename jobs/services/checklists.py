"""Checklists as data: staff write them, versions are kept, each answer names its version."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from jobs.domain.calendar import local_day
from jobs.domain.care import Moment, checked_lines, one_line
from jobs.domain.errors import InvalidError, NotFoundError
from jobs.domain.people import Actor, Role
from jobs.services.asked import machine_of, must_be
from jobs.services.checking import keep_answer, whole_answer, word_before_use
from jobs.services.turns import take_turn
from jobs.services.workshop import Workshop
from jobs.store.tables import Machine, Person
from jobs.store.upkeep import Checklist, ChecklistAnswer

_MOST_ITEMS: Final = 40
_SHOWN: Final = 50
_AT_MACHINE: Final = frozenset({Moment.BEFORE_USE, Moment.AFTER_USE})


@dataclass(frozen=True, slots=True)
class ChecklistView:
    """The newest version of a list; of a machine, or of the lab where `machine_slug` is "".

    :param done_at: when somebody went through all of it for what comes now: the next use, or (of
        opening and closing) today; None: not yet.
    """

    id: str
    machine_slug: str
    machine_name: str
    moment: Moment
    version: int
    items: Sequence[str]
    done_at: datetime | None = None
    done_by: str = ""


@dataclass(frozen=True, slots=True)
class AnswerView:
    """What a person answered; `missing` are the items that they did not tick."""

    at: datetime
    person_name: str
    machine_name: str
    moment: Moment
    version: int
    missing: Sequence[str]
    note: str


class Checklists:
    """Use cases about checklists."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._database = workshop.database

    def write(
        self, actor: Actor, slug: str | None, moment: Moment, text: str, now: datetime
    ) -> None:
        """Keep a new version of a list, one item a line; without any there is no list any more.

        :raises InvalidError: `checklist.place` for opening and closing of a machine, or before
            and after use of the lab.
        """
        must_be(actor, Role.OPERATOR)
        if (slug is not None) is not (moment in _AT_MACHINE):
            raise InvalidError("checklist.place", field="moment")
        items = checked_lines(text, _MOST_ITEMS, 200, "items")
        with self._database.write() as session:
            take_turn(session, "checklists")
            machine_id = machine_of(session, slug).id if slug else None
            place = (
                Checklist.machine_id.is_(None)
                if machine_id is None
                else Checklist.machine_id == machine_id
            )
            newest = session.scalar(
                select(func.max(Checklist.version)).where(place, Checklist.moment == moment.value)
            )
            session.add(
                Checklist(
                    id=self._workshop.new_id(),
                    machine_id=machine_id,
                    moment=moment.value,
                    version=(newest or 0) + 1,
                    items=items,
                    person_id=actor.person_id,
                    at=now,
                )
            )

    def list(self, actor: Actor, now: datetime, slug: str | None = None) -> Sequence[ChecklistView]:
        """Return the lists that hold: all of them, or those of one machine."""
        must_be(actor, Role.MEMBER)
        with self._database.read() as session:
            return [self._stands(session, one, now) for one in _newest(session, slug) if one.items]

    def of_today(self, actor: Actor, now: datetime) -> Sequence[ChecklistView]:
        """Return the lab's lists for opening and closing, with who went through them today."""
        return [one for one in self.list(actor, now) if one.moment not in _AT_MACHINE]

    def _stands(self, session: Session, view: ChecklistView, now: datetime) -> ChecklistView:
        asked = session.get_one(Checklist, view.id)
        if view.moment is Moment.BEFORE_USE:
            answer = word_before_use(session, asked, now)
        elif view.moment is Moment.AFTER_USE:
            answer = None  # each clearing asks anew
        else:
            zone = self._workshop.zone
            today = local_day(now.astimezone(zone).date(), zone)
            answer = whole_answer(session, asked, today.start)
        if answer is None:
            return view
        by = session.get_one(Person, answer.person_id).name
        return replace(view, done_at=answer.at, done_by=by)

    def answer(
        self, actor: Actor, checklist_id: str, ticked: Sequence[int], note: str, now: datetime
    ) -> str:
        """Keep what a person found; whatever they did not tick is kept as not done.

        :returns: the slug of the machine that the list is for; "" for the lab's.
        :raises RefusedError: `checklist-changed` if the list has a newer version.
        """
        must_be(actor, Role.MEMBER)
        note = one_line(note, 500, "note")
        with self._database.write() as session:
            row = session.get(Checklist, checklist_id)
            if row is None:
                raise NotFoundError("checklist.unknown")
            made = self._workshop.new_id()
            keep_answer(session, made, row, actor.person_id, ticked, note, now)
            machine = session.get(Machine, row.machine_id) if row.machine_id else None
            slug = machine.slug if machine else ""
        self._workshop.live.touch()  # a start may have waited for it
        return slug

    def answers(self, actor: Actor) -> Sequence[AnswerView]:
        """Return the newest answers; for staff."""
        must_be(actor, Role.OPERATOR)
        query = (
            select(ChecklistAnswer, Checklist, Person.name, Machine.name)
            .join(Checklist, Checklist.id == ChecklistAnswer.checklist_id)
            .join(Person, Person.id == ChecklistAnswer.person_id)
            .outerjoin(Machine, Machine.id == Checklist.machine_id)
            .order_by(ChecklistAnswer.at.desc(), ChecklistAnswer.id.desc())
            .limit(_SHOWN)
        )
        with self._database.read() as session:
            return [
                AnswerView(
                    row.at,
                    person,
                    machine or "",
                    Moment(asked.moment),
                    asked.version,
                    [str(text) for n, text in enumerate(asked.items) if n not in row.ticked],
                    row.note,
                )
                for row, asked, person, machine in session.execute(query)
            ]


def _newest(session: Session, slug: str | None) -> list[ChecklistView]:
    query = (
        select(Checklist, Machine.slug, Machine.name)
        .outerjoin(Machine, Machine.id == Checklist.machine_id)
        .order_by(Machine.name, Checklist.moment, Checklist.version)
    )
    if slug is not None:
        query = query.where(Machine.slug == slug)
    found: dict[tuple[str, str], ChecklistView] = {}
    for row, machine_slug, name in session.execute(query):
        found[machine_slug or "", row.moment] = ChecklistView(
            row.id,
            machine_slug or "",
            name or "",
            Moment(row.moment),
            row.version,
            [str(one) for one in row.items],
        )
    return list(found.values())
