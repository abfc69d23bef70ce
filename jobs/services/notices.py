"""Notices: what people should know, told in the house and, where they chose so, outside it.

`tell` writes a row in the caller's transaction: what is rolled back is never told, and with no
network a notice waits. `delivering` takes them out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from jobs.domain.errors import InvalidError, NotAllowedError, NotFoundError
from jobs.domain.notices import (
    DEFAULT,
    MUST_KNOW,
    DeliveryState,
    Say,
    Topic,
    Way,
    checked_email,
    checked_ntfy,
    checked_target,
    topic_of,
)
from jobs.domain.people import Actor, Role
from jobs.services.preferences import choose, preferences_of
from jobs.services.workshop import Workshop
from jobs.store.sharing import Notice, NoticeAddress, NoticeDelivery
from jobs.store.tables import Setting

Value = str | int | float
WAY_KEY: Final = "notices.{}"  # of the lab's setting for one way
_CHOICE: Final = "notices."  # of a person's choice; a topic follows
_MOST_ADDRESSES: Final = 3
_MOST_FIELD: Final = 200  # characters


@dataclass(frozen=True, slots=True)
class NoticeView:
    """A notice as its person reads it; the sentence is `notice.<code>` with these fields.

    :param about: what it is about: `job:<id>`, `booking:<id>`, `machine:<slug>` …; "" for nothing.
    """

    id: str
    at: datetime
    code: str
    fields: Mapping[str, Value]
    about: str
    read: bool


@dataclass(frozen=True, slots=True)
class AddressView:
    """Where a person is told things; `problem` is what the last try said, in foreign words."""

    id: str
    way: Way
    target: str
    reached_at: datetime | None
    problem: str


def tell(
    session: Session,
    workshop: Workshop,
    person_id: str | None,
    code: str,
    fields: Mapping[str, Value],
    now: datetime,
    about: str = "",
    key: str | None = None,
) -> str | None:
    """Tell a person something, in the caller's transaction, and return the notice's id.

    :param code: of the sentence `notice.<code>`; its first word gives the topic.
    :param fields: instants as RFC 3339; people read them on the lab's clock.
    :param key: what is told only once; a second time changes nothing.
    :returns: None where there is nobody, nothing is wanted, or it was told already.
    """
    if person_id is None:
        return None
    say = _choices(session, person_id)[topic_of(code)]
    if say is Say.NOT or (key is not None and _was_told(session, key)):
        return None
    notice = Notice(
        id=workshop.new_id(),
        person_id=person_id,
        at=now,
        code=code,
        fields={name: _bounded(value) for name, value in fields.items()},
        about=about,
        key=key,
    )
    session.add(notice)
    session.flush()
    if say is Say.AWAY:
        for address_id in session.scalars(
            select(NoticeAddress.id).where(NoticeAddress.person_id == person_id)
        ):
            session.add(
                NoticeDelivery(
                    id=workshop.new_id(),
                    notice_id=notice.id,
                    address_id=address_id,
                    state=DeliveryState.WAITING.value,
                    tries=0,
                    next_at=now,
                )
            )
    return notice.id


def read_about(session: Session, person_id: str, about: str, now: datetime) -> None:
    """Take note that a person has dealt with what they were told."""
    session.execute(
        update(Notice)
        .where(Notice.person_id == person_id, Notice.about == about, Notice.read_at.is_(None))
        .values(read_at=now)
    )


def ways_of(session: Session) -> Mapping[Way, Mapping[str, str]]:
    """Return the ways that the lab has opened, with its values for each."""
    rows = {way: session.get(Setting, WAY_KEY.format(way.value)) for way in Way}
    return {way: json.loads(row.value) for way, row in rows.items() if row and row.value}


class Notices:
    """Use cases of whoever is told."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._database = workshop.database

    def unread(self, actor: Actor) -> int:
        """Return how many notices a person has not read."""
        query = select(func.count()).where(
            Notice.person_id == actor.person_id, Notice.read_at.is_(None)
        )
        with self._database.read() as session:
            return session.scalar(query) or 0

    def list(self, actor: Actor, limit: int = 50, *, unread: bool = False) -> Sequence[NoticeView]:
        """Return a person's notices, the newest first."""
        query = (
            select(Notice)
            .where(Notice.person_id == actor.person_id)
            .order_by(Notice.at.desc(), Notice.id.desc())
            .limit(min(max(limit, 1), 500))
        )
        if unread:
            query = query.where(Notice.read_at.is_(None))
        with self._database.read() as session:
            return [
                NoticeView(one.id, one.at, one.code, one.fields, one.about, one.read_at is not None)
                for one in session.scalars(query)
            ]

    def read(self, actor: Actor, now: datetime, notice_id: str | None = None) -> None:
        """Take note that a person has read one of their notices, or all of them."""
        mine = [Notice.person_id == actor.person_id, Notice.read_at.is_(None)]
        if notice_id is not None:
            mine.append(Notice.id == notice_id)
        with self._database.write() as session:
            session.execute(update(Notice).where(*mine).values(read_at=now))

    def choices(self, actor: Actor) -> Mapping[Topic, Say]:
        """Return how a person wants to hear of each topic."""
        with self._database.read() as session:
            return _choices(session, actor.person_id)

    def choose(self, actor: Actor, choices: Mapping[Topic, Say]) -> None:
        """Keep how a person wants to hear of topics.

        :raises InvalidError: `notices.must-know` for what everybody has to be told.
        """
        if any(say is Say.NOT and topic in MUST_KNOW for topic, say in choices.items()):
            raise InvalidError("notices.must-know", field="bookings")
        with self._database.write() as session:
            for topic, say in choices.items():
                choose(session, actor.person_id, _CHOICE + topic.value, say.value)

    def addresses(self, actor: Actor) -> Sequence[AddressView]:
        """Return where a person is told things."""
        query = (
            select(NoticeAddress)
            .where(NoticeAddress.person_id == actor.person_id)
            .order_by(NoticeAddress.created_at, NoticeAddress.id)
        )
        with self._database.read() as session:
            return [
                AddressView(one.id, Way(one.way), one.target, one.reached_at, one.problem)
                for one in session.scalars(query)
            ]

    def add_address(self, actor: Actor, way: Way, target: str, now: datetime) -> AddressView:
        """Add an address and tell it so: its owner then sees that it works.

        :raises InvalidError: if it is none, the lab has not opened that way, or there are enough.
        """
        target = checked_target(way, target)
        with self._database.write() as session:
            if way not in ways_of(session):
                raise InvalidError("notices.way-closed", field="way")
            known = session.scalars(
                select(NoticeAddress).where(NoticeAddress.person_id == actor.person_id)
            ).all()
            if len(known) >= _MOST_ADDRESSES:
                raise InvalidError("notices.enough", field="target", count=_MOST_ADDRESSES)
            if any(one.way == way and one.target == target for one in known):
                raise InvalidError("notices.known", field="target")
            row = NoticeAddress(
                id=self._workshop.new_id(),
                person_id=actor.person_id,
                way=way.value,
                target=target,
                created_at=now,
                problem="",
            )
            session.add(row)
            session.flush()
            fields = {"target": target}
            tell(session, self._workshop, actor.person_id, "address-added", fields, now)
        return AddressView(row.id, way, target, None, "")

    def remove_address(self, actor: Actor, address_id: str) -> None:
        """Forget an address; what waits for it is not sent any more."""
        with self._database.write() as session:
            row = session.get(NoticeAddress, address_id)
            if row is None or row.person_id != actor.person_id:
                raise NotFoundError("notices.unknown-address")
            session.execute(delete(NoticeDelivery).where(NoticeDelivery.address_id == row.id))
            session.delete(row)

    def ways(self, *, secrets: bool = False) -> Mapping[Way, Mapping[str, str]]:
        """Return the ways that the lab has opened; passwords only where they are asked for."""
        with self._database.read() as session:
            ways = ways_of(session)
        if secrets:
            return ways
        return {
            way: {key: value for key, value in values.items() if key != "password"}
            for way, values in ways.items()
        }

    def open_way(self, actor: Actor, way: Way, values: Mapping[str, str]) -> None:
        """Let notices leave on a way; an empty password keeps the one that is there.

        :raises InvalidError: naming the field that is wrong.
        """
        _must_be_admin(actor)
        checked = checked_email(values) if way is Way.EMAIL else checked_ntfy(values)
        with self._database.write() as session:
            known = ways_of(session).get(way, {})
            if (
                way is Way.EMAIL
                and not checked["password"]
                and known.get("host") == checked["host"]
            ):
                checked["password"] = known.get("password", "")
            session.merge(Setting(key=WAY_KEY.format(way.value), value=json.dumps(checked)))

    def close_way(self, actor: Actor, way: Way) -> None:
        """Let no notice leave on a way any more; people's addresses are kept."""
        _must_be_admin(actor)
        with self._database.write() as session:
            session.execute(delete(Setting).where(Setting.key == WAY_KEY.format(way.value)))


def _choices(session: Session, person_id: str) -> Mapping[Topic, Say]:
    kept = preferences_of(session, person_id, _CHOICE)
    return {
        topic: Say(kept[key]) if (key := _CHOICE + topic.value) in kept else say
        for topic, say in DEFAULT.items()
    }


def _was_told(session: Session, key: str) -> bool:
    return session.scalar(select(Notice.id).where(Notice.key == key)) is not None


def _bounded(value: Value) -> Value:
    return value[:_MOST_FIELD] if isinstance(value, str) else value


def _must_be_admin(actor: Actor) -> None:
    if not actor.is_at_least(Role.ADMIN):
        raise NotAllowedError("person.not-allowed", needed=Role.ADMIN.value)
