"""The node's clock: whether it may be believed, and when the node was down.

Whatever runs out by the clock asks `is_trusted` first, in its own transaction, and takes
`down_within` off what it counts against a person.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from jobs.domain.calendar import Interval
from jobs.domain.clock import Beat, Judged, Reading, Source, is_sound, judge
from jobs.domain.errors import NotAllowedError, UnavailableError
from jobs.domain.people import Actor, Role
from jobs.services.workshop import Workshop
from jobs.store.tables import Person
from jobs.store.upkeep import ClockEvent, Downtime, Heartbeat

_NODE: Final = "node"
_MICROSECOND: Final = timedelta(microseconds=1)
_SHOWN: Final = 10

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ClockEventView:
    """What happened to the clock: `jump` with how far it went, or a person's `word`."""

    at: datetime
    kind: str
    jump: timedelta | None
    person_name: str


@dataclass(frozen=True, slots=True)
class ClockView:
    """How the clock stands.

    :param down: the newest times at which the node was down, newest first.
    """

    trusted: bool
    source: Source
    events: Sequence[ClockEventView]
    down: Sequence[Interval]


def is_trusted(session: Session, now: datetime) -> bool:
    """Return whether *now* may be believed; until then nothing expires, lapses or is dispatched."""
    return is_sound(_newest(session), now)


def downs_in(session: Session, interval: Interval) -> Sequence[Interval]:
    """Return when the node was down within an interval, cut to it, oldest first."""
    rows = session.scalars(
        select(Downtime)
        .where(Downtime.until_at > interval.start, Downtime.from_at < interval.end)
        .order_by(Downtime.from_at)
    )
    return [
        Interval(max(row.from_at, interval.start), min(row.until_at, interval.end)) for row in rows
    ]


def down_within(session: Session, start: datetime, end: datetime) -> timedelta:
    """Return for how long of an interval the node was down: that counts against nobody."""
    if end <= start:
        return timedelta()
    downs = downs_in(session, Interval(start, end))
    return sum((one.end - one.start for one in downs), timedelta())


def is_over(session: Session, since: datetime, until: datetime, now: datetime) -> bool:
    """Return whether a stretch of time has passed, the node's absence left out."""
    return until + down_within(session, since, now) <= now


class Clock:
    """Keeps the heartbeat, and takes a person's word for the clock."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._database = workshop.database
        self._lock = threading.Lock()
        self._reading: Reading | None = None

    def beat(self, reading: Reading) -> Judged:
        """Take in what the computer says of its clock; what that means is written down."""
        with self._database.write() as session:
            judged = self._take_in(session, reading, word=False)
        with self._lock:
            self._reading = reading
        if judged.jump is not None:
            seconds = judged.jump.total_seconds()
            log.warning("the clock jumped by %.0f s; now by: %s", seconds, judged.beat.source)
        if judged.down_from is not None:
            log.warning("the node was down from %s to %s", judged.down_from, judged.beat.at)
        return judged

    def vouch(self, actor: Actor, now: datetime) -> None:
        """Take an operator's word that the clock is right; it is written down.

        It holds until the computer restarts or the clock jumps.

        :raises UnavailableError: `clock.no-beat` if no node runs.
        """
        if not actor.is_at_least(Role.OPERATOR):
            raise NotAllowedError("person.not-allowed", needed=Role.OPERATOR.value)
        with self._lock:
            reading = self._reading
        if reading is None:
            raise UnavailableError("clock.no-beat")
        passed = now - reading.now
        told = Reading(now, reading.steady + passed, reading.boot)
        with self._database.write() as session:
            self._take_in(session, told, word=True)
            session.add(
                ClockEvent(
                    id=self._workshop.new_id(),
                    at=now,
                    kind="word",
                    person_id=actor.person_id or None,
                )
            )
        log.warning("the clock is vouched for by %s", actor.person_id or actor.name)
        self._workshop.live.touch()

    def view(self, now: datetime) -> ClockView:
        """Return how the clock stands, with what happened to it lately."""
        with self._database.read() as session:
            beat = _newest(session)
            events = session.execute(
                select(ClockEvent, Person.name)
                .outerjoin(Person, Person.id == ClockEvent.person_id)
                .order_by(ClockEvent.at.desc(), ClockEvent.id.desc())
                .limit(_SHOWN)
            ).all()
            downs = session.scalars(
                select(Downtime).order_by(Downtime.until_at.desc()).limit(_SHOWN)
            ).all()
        return ClockView(
            is_sound(beat, now),
            Source.NONE if beat is None else beat.source,
            [
                ClockEventView(
                    row.at,
                    row.kind,
                    None if row.jump_us is None else row.jump_us * _MICROSECOND,
                    name or "",
                )
                for row, name in events
            ],
            [Interval(row.from_at, row.until_at) for row in downs],
        )

    def trusted(self, now: datetime) -> bool:
        """Return whether *now* may be believed."""
        with self._database.read() as session:
            return is_trusted(session, now)

    def _take_in(self, session: Session, reading: Reading, *, word: bool) -> Judged:
        judged = judge(_newest(session), reading, word=word)
        beat = judged.beat
        session.merge(
            Heartbeat(
                name=_NODE,
                at=beat.at,
                steady_us=beat.steady // _MICROSECOND,
                boot=beat.boot,
                source=beat.source.value,
                sound_at=beat.sound_at,
            )
        )
        if judged.jump is not None:
            session.add(
                ClockEvent(
                    id=self._workshop.new_id(),
                    at=beat.at,
                    kind="jump",
                    jump_us=judged.jump // _MICROSECOND,
                )
            )
        if judged.down_from is not None:
            session.add(
                Downtime(id=self._workshop.new_id(), from_at=judged.down_from, until_at=beat.at)
            )
        return judged


def _newest(session: Session) -> Beat | None:
    row = session.get(Heartbeat, _NODE)
    if row is None:
        return None
    steady = row.steady_us * _MICROSECOND
    return Beat(row.at, steady, row.boot, Source(row.source), row.sound_at)
