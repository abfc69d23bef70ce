"""Trainings: an event with seats and a line for them; whoever was there is qualified."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from jobs.domain.calendar import Interval
from jobs.domain.errors import NotAllowedError, NotFoundError, RefusedError
from jobs.domain.learning import MOST_LINE, CalledOff, SeatState, TrainingWish, checked_wish
from jobs.domain.people import Actor, Role
from jobs.domain.policy import Reason, Refusal
from jobs.domain.rules.values import Level, Scope
from jobs.domain.sharing import weekly
from jobs.services import training_seats as seats
from jobs.services.notices import read_about, tell
from jobs.services.qualifications import expiry, grant_in, may_grant, must_be_trainer
from jobs.services.training_machines import conflicts_of, keep, let_go, machines_of
from jobs.services.training_views import TrainingView, views_of
from jobs.services.turns import take_turn
from jobs.services.workshop import Workshop
from jobs.store.database import is_overlap
from jobs.store.house import Training, TrainingGrant, TrainingSeat, TrainingTrainer
from jobs.store.tables import Machine, Person

_MOST: Final = 100
SHOWN_AFTER: Final = timedelta(days=14)  # it is over, and its list is still ticked


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
            return views_of(session, rows, actor)

    def get(self, actor: Actor, training_id: str) -> TrainingView:
        """Return one."""
        with self._database.read() as session:
            return views_of(session, [_training(session, training_id)], actor)[0]

    def create(self, actor: Actor, wish: TrainingWish, now: datetime) -> str:
        """Announce a training, or one a week; return the id of the first.

        Only who may grant all that it qualifies for. The machines are kept for every hour of it.

        :raises RefusedError: with every machine and time that is taken; nothing is announced then.
        """
        must_be_trainer(actor)
        title, note = checked_wish(wish, now)
        wish = replace(wish, title=title, note=note)
        local = wish.start.astimezone(self._workshop.zone)
        times = weekly(local.date(), local.time(), wish.length, wish.weeks, self._workshop.zone)
        if wish.weeks == 1:  # as it was said, also in the hour that comes twice
            times = [replace(times[0], interval=Interval(wish.start, wish.start + wish.length))]
        series_id = self._workshop.new_id() if wish.weeks > 1 else None
        made: list[str] = []
        refusals: list[Refusal] = []
        try:
            with self._database.write() as session:
                what = [(one, _scoped(session, one)) for one in dict.fromkeys(wish.grants)]
                for scope, machine in what:
                    may_grant(session, actor, machine, _kind(scope), now)
                others = _trainers(session, actor, wish.trainers)
                machines = machines_of(session, wish.machines)
                for one in times:
                    if one.interval is None:
                        refusals.append(Refusal(Reason.SKIPPED_TIME))
                        continue
                    found = conflicts_of(session, machines, actor.person_id, one.interval)
                    refusals.extend(found)
                    if not found:
                        row = self._announce(actor, wish, one.interval, series_id, now)
                        session.add(row)
                        session.flush()
                        self._write(session, row, what, others)
                        keep(session, self._workshop, row, machines, now)
                        made.append(row.id)
                if refusals and not (wish.skip_conflicts and made):
                    raise RefusedError(refusals)
        except IntegrityError as error:
            if not is_overlap(error):
                raise
            raise RefusedError([Refusal(Reason.TAKEN)]) from error
        self._workshop.live.touch()
        return made[0]

    def sign_up(self, actor: Actor, training_id: str, now: datetime) -> None:
        """Take a free seat, or the one that is held; of two who want the last, one gets it."""
        _must_be_member(actor)
        with self._database.write() as session:
            row = self._coming(session, training_id, now)
            seat = session.get(TrainingSeat, (row.id, actor.person_id), populate_existing=True)
            if seat is not None and seat.state == SeatState.TAKEN.value:
                return
            is_held = seat is not None and seat.state == SeatState.HELD.value
            if not is_held and seats.kept(session, row.id) >= row.seats:
                raise RefusedError([Refusal(Reason.NO_FREE_SEAT)])
            if seat is None:
                seat = TrainingSeat(training_id=row.id, person_id=actor.person_id, taken_at=now)
                session.add(seat)
            seats.take(seat, now)
            read_about(session, actor.person_id, seats.about(row), now)
        self._workshop.live.touch()

    def wait(self, actor: Actor, training_id: str, now: datetime) -> None:
        """Join the line for a seat; a free one is held at once."""
        _must_be_member(actor)
        with self._database.write() as session:
            row = self._coming(session, training_id, now)
            if session.get(TrainingSeat, (row.id, actor.person_id)) is not None:
                return
            if len(seats.line(session, row.id)) >= MOST_LINE:
                raise RefusedError([Refusal(Reason.NO_FREE_SEAT)])
            session.add(
                TrainingSeat(
                    training_id=row.id,
                    person_id=actor.person_id,
                    taken_at=now,
                    state=SeatState.WAITING.value,
                )
            )
            seats.serve(session, self._workshop, row, now)
        self._workshop.live.touch()

    def sign_off(self, actor: Actor, training_id: str, now: datetime) -> None:
        """Give one's seat back, or wait no more; who waits longest gets it."""
        with self._database.write() as session:
            row = self._coming(session, training_id, now)
            seat = session.get(TrainingSeat, (row.id, actor.person_id), populate_existing=True)
            if seat is not None and seat.attended_at is None:
                session.delete(seat)
                seats.serve(session, self._workshop, row, now)
        self._workshop.live.touch()

    def attended(self, actor: Actor, training_id: str, person_id: str, now: datetime) -> None:
        """Take the trainer's word that somebody was there: they are qualified from now on.

        Who came without a seat is written down as well.
        """
        with self._database.write() as session:
            take_turn(session, training_id)
            row = _training(session, training_id)
            grants = session.scalars(
                select(TrainingGrant)
                .where(TrainingGrant.training_id == row.id)
                .order_by(TrainingGrant.id)
            ).all()
            what = [
                (session.get(Machine, one.machine_id) if one.machine_id else None, one.kind or "")
                for one in grants
            ]
            for machine, kind in what:
                may_grant(session, actor, machine, kind, now)
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
            seats.take(seat, seat.taken_at)
            seat.attended_at = now
            ends = expiry(now, row.valid_days)
            for machine, kind in what:
                grant_in(
                    session, self._workshop, actor, person_id, machine, kind, ends, now, row.id
                )
        self._workshop.live.touch()

    def cancel(self, actor: Actor, training_id: str, now: datetime) -> None:
        """Call a training off: all are told, and its machines are free again."""
        with self._database.write() as session:
            row = self._coming(session, training_id, now)
            if actor.person_id not in teachers(session, row) and not actor.is_at_least(Role.ADMIN):
                raise NotAllowedError("training.not-yours")
            call_off(session, self._workshop, row, CalledOff.TRAINER, now, actor.person_id)
        self._workshop.live.touch()

    def _announce(
        self,
        actor: Actor,
        wish: TrainingWish,
        interval: Interval,
        series_id: str | None,
        now: datetime,
    ) -> Training:
        return Training(
            id=self._workshop.new_id(),
            title=wish.title,
            trainer_id=actor.person_id,
            start_at=interval.start,
            end_at=interval.end,
            seats=wish.seats,
            valid_days=wish.valid_days,
            note=wish.note,
            created_at=now,
            minimum=wish.minimum,
            decide_at=interval.start - wish.decide_before if wish.minimum else None,
            series_id=series_id,
        )

    def _write(
        self,
        session: Session,
        row: Training,
        what: Sequence[tuple[Scope, Machine | None]],
        others: Sequence[Person],
    ) -> None:
        for scope, machine in what:
            session.add(
                TrainingGrant(
                    id=self._workshop.new_id(),
                    training_id=row.id,
                    machine_id=machine.id if machine else None,
                    kind=None if machine else scope.of,
                )
            )
        for person in others:
            session.add(TrainingTrainer(training_id=row.id, person_id=person.id))

    @staticmethod
    def _coming(session: Session, training_id: str, now: datetime) -> Training:
        take_turn(session, training_id)
        row = _training(session, training_id)
        if row.cancelled_at is not None or row.end_at <= now:
            raise RefusedError([Refusal(Reason.ALREADY_ENDED)])
        return row


def call_off(
    session: Session,
    workshop: Workshop,
    row: Training,
    why: CalledOff,
    now: datetime,
    by: str = "",
) -> None:
    """Call a training off, inside a transaction that has its turn."""
    row.cancelled_at, row.cancelled_why = now, why.value
    row.sequence += 1
    code = "training-cancelled" if why is CalledOff.TRAINER else "training-too-few"
    concerned = {seat.person_id for seat in _seats(session, row.id)} | teachers(session, row)
    for person_id in sorted(concerned - {by}):
        tell(session, workshop, person_id, code, seats.fields_of(row), now, seats.about(row))
    for seat in _seats(session, row.id):
        seat.held_at = seat.held_until = None
        if seat.state == SeatState.HELD.value:
            seat.state = SeatState.WAITING.value
    let_go(session, workshop, row.id, now)


def teachers(session: Session, row: Training) -> set[str]:
    """Return who teaches a training."""
    query = select(TrainingTrainer.person_id).where(TrainingTrainer.training_id == row.id)
    return {row.trainer_id, *session.scalars(query)}


def _seats(session: Session, training_id: str) -> Sequence[TrainingSeat]:
    return session.scalars(
        select(TrainingSeat).where(TrainingSeat.training_id == training_id)
    ).all()


def _training(session: Session, training_id: str) -> Training:
    row = session.get(Training, training_id, populate_existing=True)
    if row is None:
        raise NotFoundError("training.unknown")
    return row


def _scoped(session: Session, scope: Scope) -> Machine | None:
    if scope.level is not Level.MACHINE:
        return None
    machine = session.scalar(select(Machine).where(Machine.slug == scope.of))
    if machine is None:
        raise NotFoundError("machine.unknown", machine=scope.of)
    return machine


def _kind(scope: Scope) -> str:
    return scope.of if scope.level is Level.KIND else ""


def _trainers(session: Session, actor: Actor, ids: Sequence[str]) -> Sequence[Person]:
    """Return who teaches as well; each may teach at all.

    :raises NotFoundError: if one is no trainer.
    """
    wanted = set(ids) - {actor.person_id}
    found = [
        one
        for one in session.scalars(
            select(Person).where(Person.id.in_(wanted), Person.disabled_at.is_(None))
        )
        if Actor(one.id, one.name, Role(one.role)).is_at_least(Role.TRAINER)
    ]
    if len(found) < len(wanted):
        raise NotFoundError("training.no-trainer")
    return found


def _must_be_member(actor: Actor) -> None:
    if not actor.is_at_least(Role.MEMBER):
        raise NotAllowedError("person.not-allowed", needed=Role.MEMBER.value)
