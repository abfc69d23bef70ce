"""Clearing: a named person takes something off a machine and says how it had become."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from jobs.domain.care import CAUSES, Moment, Outcome, checked_lines, one_line
from jobs.domain.errors import InvalidError, NotFoundError, RefusedError
from jobs.domain.job import AttemptState
from jobs.domain.machine import Control, MachineState
from jobs.domain.people import Actor, Role
from jobs.domain.policy import Reason, Refusal
from jobs.services.asked import machine_of, must_be
from jobs.services.behalf import note as note_behalf
from jobs.services.checking import keep_answer, list_of
from jobs.services.costing import cleared
from jobs.services.ledger import Ledger
from jobs.services.logbook import Happening, write
from jobs.services.notices import tell
from jobs.services.people import alias_of
from jobs.services.photos import keep_photo, photo_path
from jobs.services.presence import presence_refusals
from jobs.services.workshop import Workshop
from jobs.store.tables import Attempt, Job, Machine, Person, Record, Setting
from jobs.store.upkeep import Checklist
from jobs.store.upkeep import Clearing as ClearingRow

_CAUSES_KEY: Final = "clearing.causes"
_MOST_CAUSES: Final = 40
_SHELVES: Final = 12

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ClearingView:
    """One word about what came off a machine."""

    id: str
    machine_slug: str
    attempt_id: str | None
    job_id: str | None
    job_title: str
    person_name: str
    at: datetime
    outcome: Outcome
    cause: str
    shelf: str
    note: str
    has_photo: bool


@dataclass(frozen=True, slots=True)
class ToClear:
    """What somebody at a machine is asked about.

    :param owner_name: whose it is; "" where nothing of a job lies there.
    :param last: what was said of it before, if anything.
    :param list_id: of the machine's list after use, with its `items`; "" without one.
    """

    slug: str
    machine_name: str
    job_id: str | None
    job_title: str
    owner_name: str
    ended_as: str
    causes: Sequence[str]
    shelves: Sequence[str]
    last: ClearingView | None
    list_id: str = ""
    items: Sequence[str] = ()


class Clearing:
    """Use cases of whoever clears a machine."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._database = workshop.database
        self._ledger = Ledger(workshop)

    def look(self, actor: Actor, slug: str) -> ToClear:
        """Return what there is to say about a machine now."""
        must_be(actor, Role.MEMBER)
        with self._database.read() as session:
            machine = machine_of(session, slug)
            attempt = _last_attempt(session, machine)
            job = session.get_one(Job, attempt.job_id) if attempt else None
            owner = session.get_one(Person, job.person_id) if job else None
            said = _of_attempt(session, attempt) if attempt else []
            shelves = session.scalars(
                select(ClearingRow.shelf).distinct().where(ClearingRow.shelf != "").limit(_SHELVES)
            )
            after = list_of(session, machine.id, Moment.AFTER_USE)
            return ToClear(
                slug,
                machine.name,
                job.id if job else None,
                job.title if job else "",
                owner.name if owner else "",
                attempt.state if attempt else "",
                causes_of(session),
                sorted(shelves),
                said[-1] if said else None,
                after.id if after else "",
                [str(one) for one in after.items] if after else (),
            )

    def clear(
        self,
        actor: Actor,
        slug: str,
        outcome: Outcome,
        now: datetime,
        *,
        cause: str = "",
        shelf: str = "",
        note: str = "",
        photo: BinaryIO | None = None,
        list_id: str = "",
        ticked: Sequence[int] = (),
    ) -> str:
        """Take a person's word; the owner hears where their thing lies. Returns its id.

        The machine is then clear, unless they are unsure or leave something of its list after use
        undone: then somebody else must look. It is not armed: nothing starts by this word.

        :param list_id: the version of that list which they were shown; "" if they saw none.
        :param ticked: what of it is done, by number from 0.
        :raises RefusedError: while something runs there; `checklist-changed`.
        :raises InvalidError: `clearing.cause` without a cause of a failure.
        """
        must_be(actor, Role.MEMBER)
        cause, shelf = one_line(cause, 80, "cause"), one_line(shelf, 40, "shelf")
        note = one_line(note, 200, "note")
        if outcome is Outcome.FAILED and not cause:
            raise InvalidError("clearing.cause", field="cause")
        with self._database.read() as session:  # before the photo is worked on
            machine = machine_of(session, slug)
            _refuse_running(session, machine)
            _refuse_away(session, actor, machine, now)
        photo_sha256 = keep_photo(self._workshop, photo)
        with self._database.write() as session:
            machine = machine_of(session, slug)
            _refuse_running(session, machine)
            attempt = _last_attempt(session, machine)
            row = ClearingRow(
                id=self._workshop.new_id(),
                machine_id=machine.id,
                attempt_id=attempt.id if attempt else None,
                person_id=actor.person_id,
                at=now,
                outcome=outcome.value,
                cause=cause if outcome is Outcome.FAILED else "",
                shelf=shelf,
                note=note,
                photo_sha256=photo_sha256,
            )
            session.add(row)
            undone = self._after_use(session, machine, actor, list_id, ticked, now)
            unsure = outcome is Outcome.UNSURE or bool(undone)
            machine.to_check_since = (machine.to_check_since or now) if unsure else None
            detail = {"outcome": outcome.value, "shelf": shelf}
            write(session, self._workshop, machine, Happening.CLEARED, now, actor.person_id, detail)
            session.flush()
            note_behalf(session, self._workshop, actor, "cleared", f"clearing:{row.id}", now)
            if attempt is not None:
                self._account(session, attempt, row, actor, now)
                cleared(session, self._workshop, attempt, row, now)
                self._tell_owner(session, attempt, machine, row, now)
            if outcome is Outcome.UNSURE:
                self._ask_staff(session, "machine-unsure", {}, machine, actor, now)
            if undone:
                fields = {"undone": "; ".join(undone)[:200]}
                self._ask_staff(session, "machine-undone", fields, machine, actor, now)
        log.info("%s: cleared by %s: %s", slug, actor.person_id, outcome)
        self._workshop.live.touch()
        return row.id

    def of_job(self, job_id: str) -> Sequence[ClearingView]:
        """Return what was said of a job's runs, oldest first."""
        with self._database.read() as session:
            attempts = session.scalars(select(Attempt).where(Attempt.job_id == job_id))
            return [one for attempt in attempts for one in _of_attempt(session, attempt)]

    def photo(self, actor: Actor, clearing_id: str) -> Path:
        """Return the photo of a clearing; for its owner, who cleared, and operators."""
        with self._database.read() as session:
            row = session.get(ClearingRow, clearing_id)
            if row is None:
                raise NotFoundError("photo.unknown")
            owner = session.scalar(
                select(Job.person_id)
                .join(Attempt, Attempt.job_id == Job.id)
                .where(Attempt.id == row.attempt_id)
            )
        if actor.person_id not in (owner, row.person_id):
            must_be(actor, Role.OPERATOR)
        return photo_path(self._workshop, row.photo_sha256)

    def causes(self) -> Sequence[str]:
        """Return the causes of failures that people choose from."""
        with self._database.read() as session:
            return causes_of(session)

    def write_causes(self, actor: Actor, text: str) -> None:
        """Keep another list of causes, one a line; none at all brings ours back."""
        must_be(actor, Role.OPERATOR)
        lines = checked_lines(text, _MOST_CAUSES, 80, "causes")
        with self._database.write() as session:
            session.merge(Setting(key=_CAUSES_KEY, value=json.dumps(lines or list(CAUSES))))

    def _after_use(
        self,
        session: Session,
        machine: Machine,
        actor: Actor,
        list_id: str,
        ticked: Sequence[int],
        now: datetime,
    ) -> Sequence[str]:
        """Keep what was done of the machine's list after use; return what was left undone."""
        asked = session.get(Checklist, list_id) if list_id else None
        if list_id and (asked is None or asked.machine_id != machine.id):
            raise NotFoundError("checklist.unknown")
        asked = asked or list_of(session, machine.id, Moment.AFTER_USE)
        if asked is None:
            return []
        made = self._workshop.new_id()
        return keep_answer(session, made, asked, actor.person_id, ticked, "", now)

    def _account(
        self, session: Session, attempt: Attempt, row: ClearingRow, actor: Actor, now: datetime
    ) -> None:
        """Correct the record of a run that ended well by itself and made nothing of use."""
        record = session.scalar(select(Record).where(Record.attempt_id == attempt.id))
        was_good = attempt.state == AttemptState.FINISHED
        if record is None or not was_good or row.outcome != Outcome.FAILED:
            return
        facts = {
            "type": "correction",
            "of": record.id,
            "what": "result",
            "result": row.outcome,
            "cause": row.cause if row.cause in CAUSES else "other",
            "agent": alias_of(session, actor.person_id, self._workshop),
        }
        self._ledger.append(session, facts, now, None)

    def _tell_owner(
        self, session: Session, attempt: Attempt, machine: Machine, row: ClearingRow, now: datetime
    ) -> None:
        job = session.get_one(Job, attempt.job_id)
        if job.person_id == row.person_id:
            return
        where = "-shelf" if row.shelf else ""
        fields = {"title": job.title, "machine": machine.name, "shelf": row.shelf}
        code = f"job-cleared-{row.outcome}{where}"
        tell(session, self._workshop, job.person_id, code, fields, now, f"job:{job.id}")

    def _ask_staff(
        self,
        session: Session,
        code: str,
        more: Mapping[str, str],
        machine: Machine,
        actor: Actor,
        now: datetime,
    ) -> None:
        for person_id in staff_of(session):
            if person_id != actor.person_id:
                fields = {"machine": machine.name, "person": actor.name, **more}
                about = f"machine:{machine.slug}"
                tell(session, self._workshop, person_id, code, fields, now, about)


def causes_of(session: Session) -> list[str]:
    """Return the lab's own causes of failures, or ours."""
    row = session.get(Setting, _CAUSES_KEY)
    return list(CAUSES) if row is None else [str(one) for one in json.loads(row.value)]


def staff_of(session: Session, least: Role = Role.OPERATOR) -> list[str]:
    """Return the ids of the people who look after the machines."""
    roles = [role.value for role in Role if role in (Role.OPERATOR, Role.ADMIN)]
    if least is Role.ADMIN:
        roles = [Role.ADMIN.value]
    query = select(Person.id).where(Person.role.in_(roles), Person.disabled_at.is_(None))
    return list(session.scalars(query.order_by(Person.id)))


def _last_attempt(session: Session, machine: Machine) -> Attempt | None:
    query = (
        select(Attempt)
        .where(Attempt.machine_id == machine.id, Attempt.ended_at.is_not(None))
        .order_by(Attempt.ended_at.desc(), Attempt.id.desc())
        .limit(1)
    )
    return session.scalars(query).first()


def _refuse_running(session: Session, machine: Machine) -> None:
    query = select(Attempt.id).where(Attempt.machine_id == machine.id, Attempt.ended_at.is_(None))
    if session.scalar(query) is not None:
        state = MachineState.RUNNING.value
        raise RefusedError([Refusal(Reason.MACHINE_BUSY, {"state": state})])


def _refuse_away(session: Session, actor: Actor, machine: Machine, now: datetime) -> None:
    """What node and queue go by is said at the machine; what a person carries, by who carried."""
    if machine.control == Control.SERIAL and (
        found := presence_refusals(session, actor.by or actor, machine, now)
    ):
        raise RefusedError(found)


def _of_attempt(session: Session, attempt: Attempt) -> list[ClearingView]:
    rows = session.execute(
        select(ClearingRow, Person.name, Machine.slug, Job.id, Job.title)
        .join(Person, Person.id == ClearingRow.person_id)
        .join(Machine, Machine.id == ClearingRow.machine_id)
        .join(Attempt, Attempt.id == ClearingRow.attempt_id)
        .join(Job, Job.id == Attempt.job_id)
        .where(ClearingRow.attempt_id == attempt.id)
        .order_by(ClearingRow.at, ClearingRow.id)
    )
    return [
        ClearingView(
            row.id,
            slug,
            row.attempt_id,
            job_id,
            title,
            name,
            row.at,
            Outcome(row.outcome),
            row.cause,
            row.shelf,
            row.note,
            row.photo_sha256 is not None,
        )
        for row, name, slug, job_id, title in rows
    ]
