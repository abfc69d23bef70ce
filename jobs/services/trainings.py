"""Trainings: an event with seats; whoever was there is qualified."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from jobs.domain.errors import InvalidError, NotAllowedError, NotFoundError, RefusedError
from jobs.domain.events import rfc3339
from jobs.domain.people import Actor, Role
from jobs.domain.policy import Reason, Refusal
from jobs.services.notices import tell
from jobs.services.qualifications import expiry, grant_in, may_grant
from jobs.services.turns import take_turn
from jobs.services.workshop import Workshop
from jobs.store.house import Training, TrainingSeat
from jobs.store.tables import Machine, Person

_MOST: Final = 100
_MOST_SEATS: Final = 200
_LONGEST_TITLE: Final = 120
_LONGEST_NOTE: Final = 500
_LONGEST: Final = timedelta(days=7)
SHOWN_AFTER: Final = timedelta(days=14)  # it is over, and its list is still ticked


@dataclass(frozen=True, slots=True)
class SeatView:
    """One person's seat."""

    person_id: str
    person: str
    attended_at: datetime | None


@dataclass(frozen=True, slots=True)
class TrainingView:
    """One training as a viewer may see it; the names are for its trainers."""

    id: str
    title: str
    kind: str  # "" for one machine
    machine_slug: str
    machine_name: str
    trainer: str
    trainer_id: str
    start: datetime
    end: datetime
    seats: int
    free: int
    valid_days: int | None
    note: str
    cancelled: bool
    mine: bool
    attended: bool
    people: Sequence[SeatView]


@dataclass(frozen=True, slots=True)
class TrainingWish:
    """What a trainer writes down of a new training."""

    title: str
    start: datetime
    length: timedelta
    seats: int
    slug: str = ""
    kind: str = ""
    valid_days: int | None = None
    note: str = ""


class Trainings:
    """Use cases about trainings."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._database = workshop.database

    def list(self, actor: Actor, now: datetime) -> Sequence[TrainingView]:
        """Return those to come, and for two weeks those that are over, in order of time."""
        with self._database.read() as session:
            rows = session.scalars(
                select(Training)
                .where(Training.end_at > now - SHOWN_AFTER)
                .order_by(Training.start_at)
                .limit(_MOST)
            ).all()
            return [_view(session, row, actor) for row in rows]

    def get(self, actor: Actor, training_id: str) -> TrainingView:
        """Return one."""
        with self._database.read() as session:
            return _view(session, _training(session, training_id), actor)

    def create(self, actor: Actor, wish: TrainingWish, now: datetime) -> str:
        """Announce a training; only who may grant what it qualifies for."""
        title, note = " ".join(wish.title.split()), " ".join(wish.note.split())
        if not 1 <= len(title) <= _LONGEST_TITLE:
            raise InvalidError("training.title", field="title", characters=_LONGEST_TITLE)
        if len(note) > _LONGEST_NOTE:
            raise InvalidError("training.note", field="note", characters=_LONGEST_NOTE)
        if not 1 <= wish.seats <= _MOST_SEATS:
            raise InvalidError("training.seats", field="seats", high=_MOST_SEATS)
        if not timedelta(0) < wish.length <= _LONGEST:
            raise InvalidError("training.length", field="length")
        if wish.start < now:
            raise InvalidError("training.past", field="start")
        expiry(now, wish.valid_days)
        with self._database.write() as session:
            machine = _machine(session, wish.slug) if wish.slug else None
            may_grant(session, actor, machine, wish.kind, now)
            row = Training(
                id=self._workshop.new_id(),
                title=title,
                kind=None if machine else wish.kind,
                machine_id=machine.id if machine else None,
                trainer_id=actor.person_id,
                start_at=wish.start,
                end_at=wish.start + wish.length,
                seats=wish.seats,
                valid_days=wish.valid_days,
                note=note,
                created_at=now,
            )
            session.add(row)
        self._workshop.live.touch()
        return row.id

    def sign_up(self, actor: Actor, training_id: str, now: datetime) -> None:
        """Take a free seat; of two who want the last one, one gets it."""
        if not actor.is_at_least(Role.MEMBER):
            raise NotAllowedError("person.not-allowed", needed=Role.MEMBER.value)
        with self._database.write() as session:
            row = self._coming(session, training_id, now)
            if session.get(TrainingSeat, (row.id, actor.person_id)) is not None:
                return
            if _taken(session, row.id) >= row.seats:
                raise RefusedError([Refusal(Reason.NO_FREE_SEAT)])
            seat = TrainingSeat(training_id=row.id, person_id=actor.person_id, taken_at=now)
            session.add(seat)
        self._workshop.live.touch()

    def sign_off(self, actor: Actor, training_id: str, now: datetime) -> None:
        """Give one's seat to somebody else."""
        with self._database.write() as session:
            row = self._coming(session, training_id, now)
            seat = session.get(TrainingSeat, (row.id, actor.person_id))
            if seat is not None and seat.attended_at is None:
                session.delete(seat)
        self._workshop.live.touch()

    def attended(self, actor: Actor, training_id: str, person_id: str, now: datetime) -> None:
        """Take the trainer's word that somebody was there: they are qualified from now on.

        Who came without a seat is written down as well.
        """
        with self._database.write() as session:
            take_turn(session, training_id)
            row = _training(session, training_id)
            machine = session.get(Machine, row.machine_id) if row.machine_id else None
            may_grant(session, actor, machine, row.kind or "", now)
            if row.cancelled_at is not None or now < row.start_at:
                raise RefusedError([Refusal(Reason.TRAINING_NOT_HELD, passes_at=row.start_at)])
            if session.get(Person, person_id) is None:
                raise NotFoundError("person.unknown")
            seat = session.get(TrainingSeat, (row.id, person_id))
            if seat is None:
                seat = TrainingSeat(training_id=row.id, person_id=person_id, taken_at=now)
                session.add(seat)
            if seat.attended_at is not None:
                return
            seat.attended_at = now
            ends = expiry(now, row.valid_days)
            kind = row.kind or ""
            grant_in(session, self._workshop, actor, person_id, machine, kind, ends, now, row.id)
        self._workshop.live.touch()

    def cancel(self, actor: Actor, training_id: str, now: datetime) -> None:
        """Call a training off and tell who had a seat."""
        with self._database.write() as session:
            row = self._coming(session, training_id, now)
            if row.trainer_id != actor.person_id and not actor.is_at_least(Role.ADMIN):
                raise NotAllowedError("training.not-yours")
            row.cancelled_at = now
            seats = select(TrainingSeat.person_id).where(TrainingSeat.training_id == row.id)
            fields = {"title": row.title, "start": rfc3339(row.start_at)}
            about = f"training:{row.id}"
            for person_id in session.scalars(seats).all():
                code = "training-cancelled"
                tell(session, self._workshop, person_id, code, fields, now, about)
        self._workshop.live.touch()

    @staticmethod
    def _coming(session: Session, training_id: str, now: datetime) -> Training:
        take_turn(session, training_id)
        row = _training(session, training_id)
        if row.cancelled_at is not None or row.end_at <= now:
            raise RefusedError([Refusal(Reason.ALREADY_ENDED)])
        return row


def _view(session: Session, row: Training, actor: Actor) -> TrainingView:
    machine = session.get(Machine, row.machine_id) if row.machine_id else None
    seats = session.execute(
        select(TrainingSeat.person_id, Person.name, TrainingSeat.attended_at)
        .join(Person, Person.id == TrainingSeat.person_id)
        .where(TrainingSeat.training_id == row.id)
        .order_by(func.lower(Person.name))
    ).all()
    own = [attended for person_id, _, attended in seats if person_id == actor.person_id]
    sees_names = actor.is_at_least(Role.TRAINER)
    return TrainingView(
        id=row.id,
        title=row.title,
        kind=row.kind or "",
        machine_slug=machine.slug if machine else "",
        machine_name=machine.name if machine else "",
        trainer=session.get_one(Person, row.trainer_id).name,
        trainer_id=row.trainer_id,
        start=row.start_at,
        end=row.end_at,
        seats=row.seats,
        free=max(row.seats - len(seats), 0),
        valid_days=row.valid_days,
        note=row.note,
        cancelled=row.cancelled_at is not None,
        mine=bool(own),
        attended=any(own),
        people=[SeatView(*seat) for seat in seats] if sees_names else [],
    )


def _taken(session: Session, training_id: str) -> int:
    query = select(func.count()).select_from(TrainingSeat)
    return session.scalar(query.where(TrainingSeat.training_id == training_id)) or 0


def _training(session: Session, training_id: str) -> Training:
    row = session.get(Training, training_id)
    if row is None:
        raise NotFoundError("training.unknown")
    return row


def _machine(session: Session, slug: str) -> Machine:
    machine = session.scalar(select(Machine).where(Machine.slug == slug))
    if machine is None:
        raise NotFoundError("machine.unknown", machine=slug)
    return machine
