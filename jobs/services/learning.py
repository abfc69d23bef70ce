"""What the clock does to learning: seats that were held, trainings too few want, what expires.

Each sweep is a function of the state and the time: a second one at once changes nothing, and one
that comes two days late catches up. Nothing ends while the clock is not trusted.
"""

from __future__ import annotations

import logging
from dataclasses import astuple, dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from jobs.domain.events import rfc3339
from jobs.domain.learning import CalledOff, Ended, SeatState
from jobs.services import training_seats as seats
from jobs.services.clock import down_within, is_over, is_trusted
from jobs.services.disuse import disuse_ends, rules_for
from jobs.services.notices import tell
from jobs.services.trainings import call_off
from jobs.services.turns import take_turn
from jobs.services.workshop import Workshop
from jobs.store.house import Qualification, Training, TrainingSeat
from jobs.store.tables import Machine

_MOST: Final = 200  # of one sort in one sweep: it comes again
_MOST_HELD: Final = 1000  # qualifications looked at in one transaction
_DAY: Final = timedelta(days=1)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Passed:
    """How much one sweep changed."""

    holds: int = 0
    called_off: int = 0
    over: int = 0
    ended: int = 0
    reminded: int = 0


class Learning:
    """The sweeps over trainings and qualifications."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._database = workshop.database

    def tick(self, now: datetime) -> Passed:
        """Let held seats lapse and call off what too few have a seat in."""
        with self._database.read() as session:
            if not is_trusted(session, now):
                return Passed()
            held = session.execute(
                select(TrainingSeat.training_id, TrainingSeat.person_id)
                .where(TrainingSeat.state == SeatState.HELD.value, TrainingSeat.held_until <= now)
                .order_by(TrainingSeat.held_until)
                .limit(_MOST)
            ).all()
            due = session.scalars(
                select(Training.id)
                .where(
                    Training.decide_at <= now,
                    Training.decided_at.is_(None),
                    Training.cancelled_at.is_(None),
                )
                .order_by(Training.decide_at)
                .limit(_MOST)
            ).all()
            begun = session.execute(
                select(TrainingSeat.training_id, TrainingSeat.person_id)
                .join(Training, Training.id == TrainingSeat.training_id)
                .where(
                    TrainingSeat.state.in_([SeatState.HELD.value, SeatState.WAITING.value]),
                    Training.start_at <= now,
                    Training.cancelled_at.is_(None),
                )
                .limit(_MOST)
            ).all()
        done = Passed(
            holds=sum(self._lapse(key, person, now) for key, person in held),
            called_off=sum(self._decide(key, now) for key in due),
            over=sum(self._over(key, person, now) for key, person in begun),
        )
        return self._said(done)

    def expire(self, now: datetime) -> Passed:
        """End qualifications by date and by disuse, and remind people some days before."""
        ended = reminded = 0
        after = ""
        while True:
            with self._database.write() as session:
                if not is_trusted(session, now):
                    return Passed()
                rows = session.scalars(
                    select(Qualification)
                    .where(Qualification.withdrawn_at.is_(None), Qualification.id > after)
                    .order_by(Qualification.id)
                    .limit(_MOST_HELD)
                ).all()
                disuse = disuse_ends(session, rows, now)
                for row in rows:
                    if self._end(session, row, disuse.get(row.id), now):
                        ended += 1
                    elif self._remind(session, row, disuse.get(row.id), now):
                        reminded += 1
            if len(rows) < _MOST_HELD:
                return self._said(Passed(ended=ended, reminded=reminded))
            after = rows[-1].id

    def _lapse(self, training_id: str, person_id: str, now: datetime) -> bool:
        with self._database.write() as session:
            take_turn(session, training_id)
            seat = session.get(TrainingSeat, (training_id, person_id))
            row = session.get_one(Training, training_id)
            if seat is None or seat.held_at is None or seat.held_until is None:
                return False
            # A seat of what has begun is no use to anybody, however long the node was away.
            if row.start_at > now and not is_over(session, seat.held_at, seat.held_until, now):
                return False
            session.delete(seat)
            fields = seats.fields_of(row)
            tell(
                session, self._workshop, person_id, "wait-seat-lapsed", fields, now,
                seats.about(row),
            )  # fmt: skip
            seats.serve(session, self._workshop, row, now)
            return True

    def _over(self, training_id: str, person_id: str, now: datetime) -> bool:
        """Let nobody wait for what has begun."""
        with self._database.write() as session:
            take_turn(session, training_id)
            seat = session.get(TrainingSeat, (training_id, person_id))
            row = session.get_one(Training, training_id)
            if seat is None or seat.state == SeatState.TAKEN.value or row.start_at > now:
                return False
            session.delete(seat)
            fields = seats.fields_of(row)
            tell(
                session, self._workshop, person_id, "wait-seat-over", fields, now, seats.about(row)
            )
            return True

    def _decide(self, training_id: str, now: datetime) -> bool:
        with self._database.write() as session:
            take_turn(session, training_id)
            row = session.get_one(Training, training_id)
            if row.decide_at is None or row.decided_at is not None or row.cancelled_at is not None:
                return False
            # Who could not reach the node on the last day has that time afterwards.
            since = max(row.created_at, row.decide_at - _DAY)
            down = down_within(session, since, row.decide_at)
            if now < min(row.decide_at + down, row.start_at):
                return False
            enough = seats.taken(session, row.id) >= (row.minimum or 0)
            # What has begun takes place: the trainer sees who is there.
            if enough or row.start_at <= now:
                row.decided_at = now
                return False
            call_off(session, self._workshop, row, CalledOff.MINIMUM, now)
            return True

    def _end(
        self, session: Session, row: Qualification, disuse: datetime | None, now: datetime
    ) -> bool:
        ends = [
            (at, how)
            for at, how in ((row.expires_at, Ended.DATE), (disuse, Ended.DISUSE))
            if at is not None and at <= now
        ]
        if not ends:
            return False
        at, how = min(ends)
        row.withdrawn_at, row.ended_how = at, how.value
        code, fields = f"qualification-over-{how.value}", {"what": what_of(session, row)}
        tell(session, self._workshop, row.person_id, code, fields, now, "me:me")
        return True

    def _remind(
        self, session: Session, row: Qualification, disuse: datetime | None, now: datetime
    ) -> bool:
        ends = [
            (at, how)
            for at, how in ((row.expires_at, Ended.DATE), (disuse, Ended.DISUSE))
            if at is not None
        ]
        if not ends:
            return False
        at, how = min(ends)
        days = rules_for(session, row).qualification_remind_days
        # Who has got it since then knows.
        if days is None or not row.granted_at < at - timedelta(days=days) <= now:
            return False
        fields = {"what": what_of(session, row), "at": rfc3339(at)}
        code = f"reminder-qualification-{how.value}"
        key = f"qualification:{row.id}:{at.timestamp():.0f}"
        told = tell(session, self._workshop, row.person_id, code, fields, now, "me:me", key)
        return told is not None

    def _said(self, done: Passed) -> Passed:
        if any(astuple(done)):
            log.info("learning: %s", done)
            self._workshop.live.touch()
        return done


def what_of(session: Session, row: Qualification) -> str:
    """Return what people call that for which somebody is qualified."""
    if row.machine_id is None:
        return row.kind or ""
    return session.get_one(Machine, row.machine_id).name
