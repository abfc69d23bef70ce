"""Faults of machines, and near misses: reported by whoever saw them, mended by staff."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Final

from sqlalchemy import select
from sqlalchemy.orm import Session, aliased

from jobs.domain.care import CLOSES, Severity, needed_text
from jobs.domain.errors import NotFoundError, RefusedError
from jobs.domain.people import Actor, Role
from jobs.domain.policy import Reason, Refusal
from jobs.services.armings import withdraw_armings
from jobs.services.asked import machine_of, must_be
from jobs.services.clearing import staff_of
from jobs.services.closing import Closing
from jobs.services.logbook import Happening, write
from jobs.services.looks import Looks
from jobs.services.notices import tell
from jobs.services.photos import keep_photo, photo_path
from jobs.services.workshop import Workshop
from jobs.store.tables import Machine, Person
from jobs.store.upkeep import Fault, NearMiss

_SHOWN: Final = 200

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FaultView:
    """A fault as people read it; `closes` while it keeps the machine out of service."""

    id: str
    machine_slug: str
    machine_name: str
    person_name: str
    at: datetime
    severity: Severity
    text: str
    has_photo: bool
    closes: bool
    mended_at: datetime | None
    mended_by: str
    resolution: str


@dataclass(frozen=True, slots=True)
class NearMissView:
    """What nearly went wrong; `person_name` is "" where they did not say who they are."""

    id: str
    machine_name: str
    person_name: str
    at: datetime
    text: str
    answer: str
    answered_at: datetime | None
    answered_by: str
    has_photo: bool


class Faults:
    """Use cases about what is wrong with machines."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._database = workshop.database
        self._closing = Closing(workshop)

    def report(
        self,
        actor: Actor,
        slug: str,
        severity: Severity,
        text: str,
        now: datetime,
        photo: BinaryIO | None = None,
    ) -> str:
        """Take in a fault and tell staff; one that makes a machine unusable closes it at once.

        What runs goes on: to stop it is another button. Returns the fault's id.
        """
        must_be(actor, Role.MEMBER)
        text = needed_text(text, 1000, "text")
        with self._database.read() as session:
            machine_of(session, slug)
        photo_sha256 = keep_photo(self._workshop, photo)
        with self._database.write() as session:
            machine = machine_of(session, slug)
            row = Fault(
                id=self._workshop.new_id(),
                machine_id=machine.id,
                person_id=actor.person_id,
                at=now,
                severity=severity.value,
                text=text,
                photo_sha256=photo_sha256,
            )
            if severity in CLOSES:
                note = " ".join(text.split())
                row.outage_id = self._closing.out_by_fault(
                    session, machine.id, actor.person_id, now, note
                )
                withdraw_armings(session, slug, now)
            session.add(row)
            detail = {"severity": severity.value}
            write(session, self._workshop, machine, Happening.FAULT, now, actor.person_id, detail)
            session.flush()
            fields = {"machine": machine.name, "person": actor.name, "text": text}
            for person_id in staff_of(session):
                if person_id != actor.person_id:
                    code, about = f"fault-{severity.value}", f"machine:{slug}"
                    tell(session, self._workshop, person_id, code, fields, now, about)
        log.warning("%s: fault reported by %s: %s", slug, actor.person_id, severity)
        self._workshop.live.touch()
        return row.id

    def mend(self, actor: Actor, fault_id: str, resolution: str, now: datetime) -> None:
        """Say that a fault is mended, and how; the machine is open again unless another closes it.

        It is to be looked at before its next use, and whoever reported the fault is told.
        """
        must_be(actor, Role.OPERATOR)
        resolution = needed_text(resolution, 500, "resolution")
        with self._database.write() as session:
            row = session.get(Fault, fault_id, with_for_update=True)
            if row is None:
                raise NotFoundError("fault.unknown")
            if row.mended_at is not None:
                raise RefusedError([Refusal(Reason.ALREADY_ENDED)])
            machine = session.get_one(Machine, row.machine_id)
            row.mended_at, row.mended_by, row.resolution = now, actor.person_id, resolution
            if row.outage_id is not None:
                self._closing.back(session, row.outage_id, now)
                machine.to_check_since = machine.to_check_since or now
            write(session, self._workshop, machine, Happening.MENDED, now, actor.person_id)
            session.flush()
            if row.person_id != actor.person_id:
                fields = {"machine": machine.name, "resolution": resolution}
                about = f"machine:{machine.slug}"
                tell(session, self._workshop, row.person_id, "fault-mended", fields, now, about)
        self._workshop.live.touch()

    def list(
        self, actor: Actor, slug: str | None = None, *, mended: bool = False
    ) -> Sequence[FaultView]:
        """Return the faults that are open, or all of them; newest first."""
        must_be(actor, Role.MEMBER)
        with self._database.read() as session:
            return faults_in(session, slug, mended=mended)

    def photo(self, actor: Actor, fault_id: str) -> Path:
        """Return a fault's photo."""
        must_be(actor, Role.MEMBER)
        with self._database.read() as session:
            row = session.get(Fault, fault_id)
        return photo_path(self._workshop, None if row is None else row.photo_sha256)

    def nearly(
        self,
        actor: Actor,
        text: str,
        slug: str | None,
        now: datetime,
        *,
        unnamed: bool,
        photo: BinaryIO | None = None,
    ) -> None:
        """Take in a near miss; only admins read it, and nothing closes because of it."""
        must_be(actor, Role.MEMBER)
        text = needed_text(text, 2000, "text")
        photo_sha256 = keep_photo(self._workshop, photo)
        with self._database.write() as session:
            machine = machine_of(session, slug) if slug else None
            row = NearMiss(
                id=self._workshop.new_id(),
                machine_id=machine.id if machine else None,
                person_id=None if unnamed else actor.person_id,
                at=now,
                text=text,
                photo_sha256=photo_sha256,
            )
            session.add(row)
            session.flush()
            for person_id in staff_of(session, Role.ADMIN):
                tell(session, self._workshop, person_id, "near-miss", {}, now, "near-miss:")

    def near_misses(self, actor: Actor, now: datetime | None = None) -> Sequence[NearMissView]:
        """Return what nearly went wrong; for admins alone.

        :param now: when it is looked at by a person, which is written down.
        """
        must_be(actor, Role.ADMIN)
        answerer = aliased(Person)
        query = (
            select(NearMiss, Machine.name, Person.name, answerer.name)
            .outerjoin(Machine, Machine.id == NearMiss.machine_id)
            .outerjoin(Person, Person.id == NearMiss.person_id)
            .outerjoin(answerer, answerer.id == NearMiss.answered_by)
            .order_by(NearMiss.at.desc(), NearMiss.id.desc())
            .limit(_SHOWN)
        )
        with self._database.read() as session:
            rows = session.execute(query).all()
        if now is not None:
            told = [row.person_id for row, *_ in rows if row.person_id]
            Looks(self._workshop).note(actor, told, "near-misses", now)
        return [
            NearMissView(
                row.id,
                machine or "",
                person or "",
                row.at,
                row.text,
                row.answer,
                row.answered_at,
                by or "",
                row.photo_sha256 is not None,
            )
            for row, machine, person, by in rows
        ]

    def near_miss_photo(self, actor: Actor, near_miss_id: str) -> Path:
        """Return the photo of a near miss; for admins alone."""
        must_be(actor, Role.ADMIN)
        with self._database.read() as session:
            row = session.get(NearMiss, near_miss_id)
        return photo_path(self._workshop, None if row is None else row.photo_sha256)

    def answer(self, actor: Actor, near_miss_id: str, text: str, now: datetime) -> None:
        """Write down what was done about a near miss; whoever told it hears of it."""
        must_be(actor, Role.ADMIN)
        text = needed_text(text, 2000, "answer")
        with self._database.write() as session:
            row = session.get(NearMiss, near_miss_id)
            if row is None:
                raise NotFoundError("near-miss.unknown")
            row.answer, row.answered_at, row.answered_by = text, now, actor.person_id
            tell(session, self._workshop, row.person_id, "near-miss-answer", {"text": text}, now)


def faults_in(session: Session, slug: str | None, *, mended: bool) -> list[FaultView]:
    """Return faults, newest first."""
    mender = aliased(Person)
    query = (
        select(Fault, Machine.slug, Machine.name, Person.name, mender.name)
        .join(Machine, Machine.id == Fault.machine_id)
        .join(Person, Person.id == Fault.person_id)
        .outerjoin(mender, mender.id == Fault.mended_by)
        .order_by(Fault.at.desc(), Fault.id.desc())
        .limit(_SHOWN)
    )
    if slug is not None:
        query = query.where(Machine.slug == slug)
    if not mended:
        query = query.where(Fault.mended_at.is_(None))
    return [
        FaultView(
            row.id,
            machine_slug,
            machine_name,
            person,
            row.at,
            Severity(row.severity),
            row.text,
            row.photo_sha256 is not None,
            row.outage_id is not None and row.mended_at is None,
            row.mended_at,
            by or "",
            row.resolution,
        )
        for row, machine_slug, machine_name, person, by in session.execute(query)
    ]
