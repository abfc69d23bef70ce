"""Leaving: everything that is still open between a person and the house, settled at once.

Then they are locked out, or erased: the records stay and their sums hold, the name goes.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import String, cast, delete, func, literal, or_, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from jobs.domain.errors import InvalidError
from jobs.domain.job import JobState
from jobs.domain.modules import Module
from jobs.domain.money import plain
from jobs.domain.people import Actor, Role
from jobs.services.authority import TURN, changeable, keep_an_admin, person_of
from jobs.services.claims import actor_of, give_back
from jobs.services.clearing import staff_of
from jobs.services.modules import is_on
from jobs.services.notices import tell
from jobs.services.people import lock_out
from jobs.services.personal import owned_files
from jobs.services.purse import balance_of
from jobs.services.queue import Queue
from jobs.services.tariffs import terms_of
from jobs.services.trainings import Trainings
from jobs.services.turns import take_turn
from jobs.services.waiting import Waiting
from jobs.services.workshop import Workshop
from jobs.store.house import Qualification, Training, TrainingSeat
from jobs.store.instructions import Acceptance
from jobs.store.money import MoneyAccount
from jobs.store.persons import Badge, Invite, Look, PersonMachine, Pin, Standing
from jobs.store.sharing import Notice, NoticeAddress, NoticeDelivery, Preference
from jobs.store.signing import (
    CredentialEvent,
    OutsideIdentity,
    Passkey,
    RecoveryCode,
    SecondStep,
)
from jobs.store.tables import (
    Allocation,
    ApiKey,
    Attempt,
    CalendarLink,
    Design,
    DesignFile,
    Job,
    MachineEvent,
    Person,
    PersonAlias,
    SignIn,
    SignInLink,
)
from jobs.store.upkeep import Clearing, Contest, Fault, NearMiss
from jobs.store.waiting import JobGroup

_OVER: Final = (JobState.DONE.value, JobState.FAILED.value, JobState.CANCELLED.value)
_MOST: Final = 200  # of one kind on the page
_BATCH: Final = 500  # rows that are read at once for a name

_ERASED: Final = (
    PersonAlias,
    PersonMachine,
    Badge,
    Preference,
    Look,
    ApiKey,
    SecondStep,
    RecoveryCode,
    Passkey,
    OutsideIdentity,
    CredentialEvent,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Open:
    """Something that is open, by kind; the sentence is `leaving.<kind>`.

    :param blocks: nobody can settle it from here: it has to end, or go to somebody, first.
    """

    kind: str
    names: Sequence[str]
    count: int
    blocks: bool = False


@dataclass(frozen=True, slots=True)
class Settled:
    """What was done when somebody left."""

    person_id: str
    name: str
    erased: bool


class Leaving:
    """Use cases of who leaves, and of staff for them."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._database = workshop.database

    def look(self, actor: Actor, person_id: str, now: datetime) -> Sequence[Open]:
        """Return what is open; for the person themselves and staff above them."""
        with self._database.write() as session:
            _may(session, actor, person_id)
            return list(_open(session, person_id, now))

    def settle(
        self, actor: Actor, person_id: str, now: datetime, gone: str, *, erase: bool
    ) -> Settled:
        """Settle everything, then lock the person out or erase them; it is one confirmation.

        :param gone: the name that stands for somebody who was erased.
        :raises InvalidError: `leaving.blocked` while something of theirs runs or is theirs to
            hand over, `person.last-admin`.
        """
        with self._database.write() as session:
            person = _may(session, actor, person_id)
            keep_an_admin(session, person)
            blocked = [one.kind for one in _open(session, person_id, now) if one.blocks]
            if blocked:
                raise InvalidError("leaving.blocked", field=blocked[0])
            self_actor = actor_of(session, person_id) or Actor(
                person.id, person.name, Role(person.role)
            )
            name = person.name
            jobs = session.scalars(
                select(Job.id).where(Job.person_id == person_id, Job.state.not_in(_OVER))
            ).all()
            seats = session.scalars(
                select(TrainingSeat.training_id)
                .join(Training, Training.id == TrainingSeat.training_id)
                .where(TrainingSeat.person_id == person_id, Training.start_at > now)
            ).all()
        # Each of these has its own events and tells others; a second time they find nothing.
        queue, trainings = Queue(self._workshop), Trainings(self._workshop)
        for job_id in jobs:
            queue.cancel(self_actor, job_id, now)
        for training_id in seats:
            trainings.sign_off(self_actor, training_id, now)
        waiting = Waiting(self._workshop)
        for wait in waiting.mine(self_actor):
            waiting.leave(self_actor, wait.id, now)
        with self._database.write() as session:
            person = _may(session, actor, person_id)
            keep_an_admin(session, person)
            if any(one.blocks for one in _open(session, person_id, now)):
                raise InvalidError("leaving.blocked", field="jobs")
            self._settle(session, actor, person, now)
            if erase:
                self._erase(session, person, gone, now)
        log.info("%s left%s", person_id, ", erased" if erase else "")
        self._workshop.live.touch()
        return Settled(person_id, name, erase)

    def _settle(self, session: Session, actor: Actor, person: Person, now: datetime) -> None:
        person_id = person.id
        lock_out(session, self._workshop, person, now)
        session.execute(delete(CalendarLink).where(CalendarLink.person_id == person_id))
        _forget_addresses(session, person_id)
        session.execute(
            update(Badge)
            .where(Badge.person_id == person_id, Badge.ended_at.is_(None))
            .values(ended_at=now)
        )
        session.execute(delete(Pin).where(Pin.person_id == person_id))
        session.execute(
            update(Qualification)
            .where(Qualification.person_id == person_id, Qualification.withdrawn_at.is_(None))
            .values(withdrawn_at=now, withdrawn_by=actor.person_id)
        )
        session.execute(delete(Invite).where(Invite.made_by == person_id, Invite.used_at.is_(None)))
        self._hand_over_guests(session, actor, person_id, now)
        give_back(session, self._workshop, Allocation.person_id == person_id, now)

    def _hand_over_guests(
        self, session: Session, actor: Actor, person_id: str, now: datetime
    ) -> None:
        """Give the guests of who leaves to whoever settles it, or have staff find somebody."""
        vouched = session.scalars(select(Standing).where(Standing.sponsor_id == person_id)).all()
        heir = actor.person_id if actor.person_id != person_id else None
        for row in vouched:
            row.sponsor_id = heir
            if heir is None:
                fields = {"person": session.get_one(Person, row.person_id).name}
                for one in staff_of(session):
                    about = f"person:{row.person_id}"
                    tell(session, self._workshop, one, "person-no-sponsor", fields, now, about)

    def _erase(self, session: Session, person: Person, gone: str, now: datetime) -> None:
        person_id = person.id
        standing = session.get(Standing, person_id)
        names = [person.name, *([standing.full_name] if standing else [])]
        drop_inputs(session, self._workshop, person_id)
        session.execute(
            update(MoneyAccount).where(MoneyAccount.person_id == person_id).values(person_id=None)
        )
        for table in _ERASED:
            session.execute(delete(table).where(table.person_id == person_id))
        session.execute(
            delete(NoticeDelivery).where(
                NoticeDelivery.notice_id.in_(select(Notice.id).where(Notice.person_id == person_id))
            )
        )
        session.execute(delete(Notice).where(Notice.person_id == person_id))
        if standing is not None:
            session.delete(standing)
        blanks: Sequence[tuple[InstrumentedAttribute[Any], InstrumentedAttribute[Any], object]] = (
            (Allocation.note, Allocation.person_id, ""),
            (Acceptance.name, Acceptance.person_id, gone),
            (Contest.note, Contest.person_id, ""),
            (Clearing.note, Clearing.person_id, ""),
            (Clearing.photo_sha256, Clearing.person_id, None),
            (NearMiss.photo_sha256, NearMiss.person_id, None),
            (NearMiss.person_id, NearMiss.person_id, None),
            (Fault.photo_sha256, Fault.person_id, None),
            (JobGroup.title, JobGroup.person_id, ""),
            (Invite.name, Invite.person_id, ""),
        )
        for column, whose, value in blanks:
            session.execute(
                update(column.class_).where(whose == person_id).values({column.key: value})
            )
        session.execute(
            update(Job)
            .where(Job.person_id == person_id)
            .values(title=literal("#") + cast(Job.number, String), input_name="")
        )
        for name in filter(None, names):
            _rename(session, Notice.fields, name, gone)
            _rename(session, MachineEvent.detail, name, gone)
        person.name, person.login = gone, f"gone-{self._workshop.new_token()[:24]}".casefold()
        person.password_hash, person.role = None, Role.GUEST.value
        session.add(Standing(person_id=person_id, erased_at=now))


def drop_inputs(session: Session, workshop: Workshop, person_id: str) -> int:
    """Remove the files that only this person brought in; return how many."""
    gone = select(Standing.person_id).where(Standing.erased_at.is_not(None))
    dropped = 0
    for sha256 in owned_files(session, person_id):
        elsewhere = (
            select(Job.id).where(
                Job.input_sha256 == sha256,
                Job.person_id != person_id,
                Job.person_id.not_in(gone),
            ),
            select(DesignFile.path).where(DesignFile.sha256 == sha256),
            select(Design.id).where(Design.manifest_sha256 == sha256),
        )
        if not any(session.execute(query.limit(1)).first() for query in elsewhere):
            dropped += workshop.library.drop(sha256)
    return dropped


def _may(session: Session, actor: Actor, person_id: str) -> Person:
    if actor.person_id != person_id:
        return changeable(session, actor, person_id)
    take_turn(session, TURN)
    return person_of(session, person_id)


def _open(session: Session, person_id: str, now: datetime) -> Sequence[Open]:
    """Return what is open, in the order in which people think of it."""

    def mine(table: Any) -> Any:
        return table.person_id == person_id

    jobs = session.execute(
        select(Job.title, Job.state).where(mine(Job), Job.state.not_in(_OVER)).order_by(Job.number)
    ).all()
    running = [row.title for row in jobs if row.state == JobState.RUNNING.value]
    waiting = [row.title for row in jobs if row.state != JobState.RUNNING.value]
    held = session.scalars(
        select(Training.title).where(
            Training.trainer_id == person_id,
            Training.start_at > now,
            Training.cancelled_at.is_(None),
        )
    ).all()
    bookings = session.scalar(
        select(func.count())
        .select_from(Allocation)
        .where(
            mine(Allocation),
            Allocation.state == "active",
            Allocation.kind.in_(("reservation", "hold")),
            Allocation.end_at > now,
        )
    )
    shelf = session.scalars(
        select(Clearing.shelf)
        .join(Attempt, Attempt.id == Clearing.attempt_id)
        .join(Job, Job.id == Attempt.job_id)
        .where(mine(Job), Clearing.shelf != "")
        .distinct()
    ).all()
    guests = session.scalars(
        select(Person.name)
        .join(Standing, Standing.person_id == Person.id)
        .where(Standing.sponsor_id == person_id, Person.disabled_at.is_(None))
    ).all()
    counted = {
        "bookings": bookings,
        "seats": _count(
            session,
            select(func.count())
            .select_from(TrainingSeat)
            .join(Training, Training.id == TrainingSeat.training_id)
            .where(mine(TrainingSeat), Training.start_at > now),
        ),
        "badges": _count(session, _all(Badge).where(mine(Badge), Badge.ended_at.is_(None))),
        "keys": _count(session, _all(ApiKey).where(mine(ApiKey), ApiKey.revoked_at.is_(None))),
        "sign-ins": _count(session, _all(SignIn).where(mine(SignIn)))
        + _count(session, _all(SignInLink).where(mine(SignInLink), SignInLink.used_at.is_(None))),
        "qualifications": _count(
            session,
            _all(Qualification).where(mine(Qualification), Qualification.withdrawn_at.is_(None)),
        ),
        "contests": _count(session, _all(Contest).where(mine(Contest), Contest.state == "open")),
    }
    found = [
        Open("running", running[:_MOST], len(running), blocks=True),
        Open("trainings", held[:_MOST], len(held), blocks=True),
        *_credit(session, person_id),
        Open("jobs", waiting[:_MOST], len(waiting)),
        Open("shelf", shelf[:_MOST], len(shelf)),
        Open("guests", guests[:_MOST], len(guests)),
        *(Open(kind, (), count or 0) for kind, count in counted.items()),
    ]
    return [one for one in found if one.count]


def _credit(session: Session, person_id: str) -> Sequence[Open]:
    """Return what is still to be paid out or in, where the lab keeps accounts."""
    account = session.scalar(select(MoneyAccount).where(MoneyAccount.person_id == person_id))
    if account is None or not is_on(session, Module.MONEY):
        return []
    minor = balance_of(session, account.id)
    currency = terms_of(session).currency
    shown = f"{plain(minor, currency)} {currency}"
    return [Open("credit", [shown], 1, blocks=True)] if minor else []


def _all(table: Any) -> Any:
    return select(func.count()).select_from(table)


def _count(session: Session, query: Any) -> int:
    return session.scalar(query) or 0


def _forget_addresses(session: Session, person_id: str) -> None:
    mine = select(NoticeAddress.id).where(NoticeAddress.person_id == person_id)
    session.execute(delete(NoticeDelivery).where(NoticeDelivery.address_id.in_(mine)))
    session.execute(delete(NoticeAddress).where(NoticeAddress.person_id == person_id))


def _rename(session: Session, column: InstrumentedAttribute[Any], name: str, gone: str) -> None:
    """Put another name where one stands whole among the fields of a sentence."""
    table = column.class_
    last = ""
    while True:
        rows = session.scalars(
            select(table)
            .where(table.id > last, or_(*_mentions(column, name)))
            .order_by(table.id)
            .limit(_BATCH)
        ).all()
        for row in rows:
            fields = getattr(row, column.key)
            found = {key: gone if value == name else value for key, value in fields.items()}
            if found != fields:
                setattr(row, column.key, found)
            last = row.id
        session.flush()
        if len(rows) < _BATCH:
            return


def _mentions(column: InstrumentedAttribute[Any], name: str) -> Sequence[Any]:
    """Return conditions for a name in a JSON column, however the database writes it."""
    written = cast(column, String)
    return [written.contains(text, autoescape=True) for text in {name, json.dumps(name)[1:-1]}]
