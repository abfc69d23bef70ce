"""Coming and going: who checks in and out at the house, and what ends by itself."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import CursorResult, delete, func, select
from sqlalchemy.orm import Session

from jobs.domain.attending import HouseTimes, ends_by_itself
from jobs.domain.calendar import Interval
from jobs.domain.errors import InvalidError, NotAllowedError, NotFoundError
from jobs.domain.events import rfc3339
from jobs.domain.people import Actor, Role
from jobs.domain.rules.opening import open_stretches
from jobs.domain.rules.times import local_date
from jobs.domain.rules.values import LAB
from jobs.services.clock import is_trusted
from jobs.services.house_attendance import TIMES, Present, seen, stays, times_of, who_is_in
from jobs.services.house_rules import values_in
from jobs.services.notices import tell
from jobs.services.turns import take_turn
from jobs.services.workshop import Workshop
from jobs.store.tables import Person, Setting
from jobs.store.visits import HouseVisit

_TURN: Final = "house"
_LONGEST_NAME: Final = 120
_MOST: Final = 500  # stays in one sweep: it comes again
_UNSAID: Final = timedelta(hours=24)  # so long an end that nobody said stays on the list

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class InHouse:
    """Who is in the house, as one viewer may know it.

    :param present: those whose names the viewer may read.
    :param unsaid: whose stay ended by itself lately: nobody said that they have left.
    :param visitors: how many of all are visitors; *minors*: how many are minors.
    :param changed_at: when somebody came or went last; None: nobody has, as far as is known.
    :param mine: one's own stay.
    """

    present: Sequence[Present]
    unsaid: Sequence[Present]
    count: int
    visitors: int
    minors: int
    changed_at: datetime | None
    mine: Present | None
    names: bool


class HouseVisits:
    """Use cases of coming and going."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._database = workshop.database

    def check_in(self, actor: Actor, now: datetime, person_id: str = "") -> str:
        """Say that one is in the house, or as a trainer that somebody else is; return the stay.

        Twice changes nothing.
        """
        person_id = person_id or actor.person_id
        _own_or_staff(actor, person_id)
        with self._database.write() as session:
            take_turn(session, _TURN)
            person = session.get(Person, person_id)
            if person is None or person.disabled_at is not None:
                raise NotFoundError("person.unknown")
            row = _open_of(session, person_id)
            if row is not None:
                if row.ends_at > now or not is_trusted(session, now):
                    return row.id
                _end(row, row.ends_at, None)
                session.flush()
            made = self._enter(session, actor, now, person_id=person_id)
        self._workshop.live.touch()
        return made

    def check_out(self, actor: Actor, now: datetime, person_id: str = "") -> None:
        """Say that one leaves, or as a trainer that somebody else has left. Twice is as once."""
        person_id = person_id or actor.person_id
        _own_or_staff(actor, person_id)
        with self._database.write() as session:
            take_turn(session, _TURN)
            row = _open_of(session, person_id)
            if row is not None:
                _end(row, now, actor.person_id)
        self._workshop.live.touch()

    def visitor_in(self, actor: Actor, name: str, now: datetime, *, is_minor: bool = False) -> str:
        """Write a visitor down by name; whoever does so is the host, and answers for them.

        :raises InvalidError: without a name.
        """
        if not actor.is_at_least(Role.MEMBER):
            raise NotAllowedError("person.not-allowed", needed=Role.MEMBER.value)
        name = " ".join(name.split())
        if not 1 <= len(name) <= _LONGEST_NAME:
            raise InvalidError("house.visitor", field="name", characters=_LONGEST_NAME)
        with self._database.write() as session:
            take_turn(session, _TURN)
            made = self._enter(session, actor, now, visitor=name, is_minor=is_minor)
        self._workshop.live.touch()
        return made

    def visitor_out(self, actor: Actor, visit_id: str, now: datetime) -> None:
        """Say that a visitor has left; every member may who saw it."""
        if not actor.is_at_least(Role.MEMBER):
            raise NotAllowedError("person.not-allowed", needed=Role.MEMBER.value)
        with self._database.write() as session:
            take_turn(session, _TURN)
            row = session.get(HouseVisit, visit_id)
            if row is None or row.person_id is not None:
                raise NotFoundError("house.no-visit")
            if row.out_at is None:
                _end(row, now, actor.person_id)
        self._workshop.live.touch()

    def look(self, actor: Actor, now: datetime) -> InHouse:
        """Return who is in: names for members, counts for everybody; minors' for staff alone."""
        with self._database.read() as session:
            found = who_is_in(session, now)
            ended = stays().where(
                HouseVisit.out_at > now - _UNSAID,
                HouseVisit.out_by.is_(None),
                HouseVisit.out_at <= now,
            )
            unsaid = seen(session.execute(ended))
            changed = session.execute(
                select(func.max(HouseVisit.in_at), func.max(HouseVisit.out_at))
            ).one()
        here = {one.person_id for one in found if one.person_id}
        names = actor.is_at_least(Role.MEMBER)
        mine = next((one for one in found if one.person_id == actor.person_id != ""), None)
        return InHouse(
            present=[one for one in found if _may_read(actor, one)],
            unsaid=[one for one in unsaid if one.person_id not in here and _may_read(actor, one)],
            count=len(found),
            visitors=sum(not one.person_id for one in found),
            minors=sum(one.is_minor for one in found),
            changed_at=max((at for at in changed if at is not None), default=None),
            mine=mine,
            names=names,
        )

    def display(self, now: datetime) -> InHouse:
        """Return what a wall may show: counts, and adults' names where the lab chose so."""
        names = self.times().display_names
        seen = self.look(Actor("", "", Role.MEMBER if names else Role.GUEST), now)
        return replace(seen, unsaid=())

    def times(self) -> HouseTimes:
        """Return the lab's choices."""
        with self._database.read() as session:
            return times_of(session)

    def choose(self, actor: Actor, values: Mapping[str, object]) -> HouseTimes:
        """Decide for the lab; what *values* leave out stays as it is.

        :raises InvalidError: naming the value that cannot be.
        """
        if not actor.is_at_least(Role.ADMIN):
            raise NotAllowedError("person.not-allowed", needed=Role.ADMIN.value)
        with self._database.write() as session:
            times = HouseTimes.from_json({**times_of(session).to_json(), **values})
            session.merge(Setting(key=TIMES, value=json.dumps(times.to_json())))
        return times

    def tick(self, now: datetime) -> int:
        """End what ends by itself, say so, and forget what is old; return how many ended.

        A function of the state and the time: a second one at once changes nothing.
        """
        with self._database.write() as session:
            if not is_trusted(session, now):
                return 0
            rows = session.scalars(
                select(HouseVisit)
                .where(HouseVisit.out_at.is_(None), HouseVisit.ends_at <= now)
                .order_by(HouseVisit.ends_at)
                .limit(_MOST)
            ).all()
            for row in rows:
                _end(row, row.ends_at, None)
                code, fields = "house-ended", {"at": rfc3339(row.ends_at)}
                if row.person_id is None:
                    code, fields["name"] = "house-ended-visitor", row.visitor
                told = row.person_id or row.host_id
                tell(session, self._workshop, told, code, fields, now, "house:in")
            session.flush()
            kept = now - timedelta(days=times_of(session).kept_days)
            found = session.execute(
                delete(HouseVisit)
                .where(
                    HouseVisit.id.in_(
                        select(HouseVisit.id).where(HouseVisit.out_at < kept).limit(_MOST)
                    )
                )
                .execution_options(synchronize_session=False)
            )
            assert isinstance(found, CursorResult)
        if rows or found.rowcount:
            log.info("house: %d ended by themselves, %d forgotten", len(rows), found.rowcount)
            self._workshop.live.touch()
        return len(rows)

    def _enter(
        self,
        session: Session,
        actor: Actor,
        now: datetime,
        *,
        person_id: str | None = None,
        visitor: str = "",
        is_minor: bool = False,
    ) -> str:
        row = HouseVisit(
            id=self._workshop.new_id(),
            person_id=person_id,
            visitor=visitor,
            host_id=None if person_id else actor.person_id,
            is_minor=is_minor,
            in_at=now,
            in_by=actor.person_id,
            ends_at=ends_by_itself(now, times_of(session), self._opened(session, now)),
        )
        session.add(row)
        session.flush()
        return row.id

    def _opened(self, session: Session, now: datetime) -> Sequence[Interval]:
        """Return when the lab is open around today; nothing where it named no hours."""
        values = values_in(session, LAB)
        if values.opening is None:
            return ()
        zone = self._workshop.zone
        day = local_date(now, zone)
        around = timedelta(days=2)
        return open_stretches(values.hours, day - around, day + around, zone)


def _end(row: HouseVisit, at: datetime, by: str | None) -> None:
    row.out_at, row.out_by = max(at, row.in_at), by


def _open_of(session: Session, person_id: str) -> HouseVisit | None:
    return session.scalar(
        select(HouseVisit).where(HouseVisit.person_id == person_id, HouseVisit.out_at.is_(None))
    )


def _own_or_staff(actor: Actor, person_id: str) -> None:
    if actor.person_id != person_id and not actor.is_at_least(Role.TRAINER):
        raise NotAllowedError("person.not-allowed", needed=Role.TRAINER.value)


def _may_read(actor: Actor, one: Present) -> bool:
    """Tell whether a viewer reads that name: minors' are for staff, their host and themselves."""
    is_own = actor.person_id != "" and actor.person_id in (one.person_id, one.host_id)
    if is_own or actor.is_at_least(Role.TRAINER):
        return True
    return actor.is_at_least(Role.MEMBER) and not one.is_minor
