"""Badges and PINs: how somebody without phone and e-mail says who they are.

A badge's number is kept only as a keyed hash, and the key lies with the node's identity, outside
the database: whoever copies that cannot try all numbers. Who reads a badge and counts wrong PINs
is elsewhere; here they are given, set and lost.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from jobs.domain.credentials import PIN_DIGITS, PIN_MOST, is_plain_pin
from jobs.domain.errors import InvalidError, NotAllowedError, NotFoundError
from jobs.domain.people import Actor, Role
from jobs.services import passwords
from jobs.services.authority import changeable, person_of
from jobs.services.workshop import Workshop
from jobs.store.persons import Badge, Pin
from jobs.store.tables import Person

FIRST_USE: Final = timedelta(days=7)  # for so long a badge waits for its person's PIN
_MOST_BADGES: Final = 5
_NUMBER: Final = re.compile(r"[0-9A-Z]{4,64}")
_KEY_OF: Final = b"fabnode: the key of badge numbers\n"


@dataclass(frozen=True, slots=True)
class BadgeView:
    """A badge without its number: nobody needs to see that again."""

    id: str
    given_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class CarriedView:
    """What a person carries.

    :param pin_until: until when a PIN may be set with the badge; None: no such time is open.
    """

    badges: Sequence[BadgeView]
    has_pin: bool
    pin_until: datetime | None


def number_hmac(workshop: Workshop, number: str) -> str:
    """Return what is kept of a badge's number, however the reader writes it.

    :raises InvalidError: `badge.number`.
    """
    plain = re.sub(r"[\s:.-]", "", number).upper()
    if not _NUMBER.fullmatch(plain):
        raise InvalidError("badge.number", field="number")
    key = hashlib.sha256(workshop.signer.sign(_KEY_OF).encode()).digest()
    return hmac.new(key, plain.encode(), hashlib.sha256).hexdigest()


def badge_owner(session: Session, workshop: Workshop, number: str) -> Person | None:
    """Return who carries a badge; None where nobody does, or who does is locked out.

    :raises InvalidError: `badge.number`, where it cannot be one.
    """
    return session.scalar(
        select(Person)
        .join(Badge, Badge.person_id == Person.id)
        .where(
            Badge.number_hmac == number_hmac(workshop, number),
            Badge.ended_at.is_(None),
            Person.disabled_at.is_(None),
        )
    )


def pin_hash_of(session: Session, person_id: str) -> str | None:
    """Return what `passwords.matches` compares a PIN with; None where there is no PIN.

    The slow look belongs outside any transaction, and behind a count of tries.
    """
    row = session.get(Pin, person_id)
    return None if row is None else row.pin_hash


def may_set_first_pin(session: Session, person_id: str, now: datetime) -> bool:
    """Return whether a person who shows a badge now is asked for the PIN that it will have."""
    row = session.get(Pin, person_id)
    return (
        row is not None
        and row.pin_hash is None
        and row.settable_until is not None
        and now < row.settable_until
    )


def checked_pin(pin: str) -> str:
    """Return a PIN that is not the first that anybody tries.

    :raises InvalidError: `pin.digits`, `pin.simple`.

    >>> checked_pin("403917")
    '403917'
    """
    if not (pin.isascii() and pin.isdecimal() and PIN_DIGITS <= len(pin) <= PIN_MOST):
        raise InvalidError("pin.digits", field="pin", fewest=PIN_DIGITS, most=PIN_MOST)
    if is_plain_pin(pin):
        raise InvalidError("pin.simple", field="pin")
    return pin


class Badges:
    """Use cases about badges and PINs."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._database = workshop.database

    def of(self, actor: Actor, person_id: str) -> CarriedView:
        """Return what a person carries; for themselves and staff."""
        if actor.person_id != person_id and not actor.is_at_least(Role.OPERATOR):
            raise NotAllowedError("person.not-allowed", needed=Role.OPERATOR.value)
        with self._database.read() as session:
            rows = session.scalars(
                select(Badge)
                .where(Badge.person_id == person_id, Badge.ended_at.is_(None))
                .order_by(Badge.given_at, Badge.id)
            )
            pin = session.get(Pin, person_id)
            return CarriedView(
                [BadgeView(row.id, row.given_at, row.ended_at) for row in rows],
                pin is not None and pin.pin_hash is not None,
                None if pin is None or pin.pin_hash else pin.settable_until,
            )

    def give(self, actor: Actor, person_id: str, number: str, now: datetime) -> str:
        """Give a person a badge; with the first one they set a PIN when they use it.

        :raises InvalidError: `badge.number`, `badge.taken`, `badge.enough`.
        """
        with self._database.write() as session:
            person = changeable(session, actor, person_id)
            if person.disabled_at is not None:
                raise InvalidError("person.locked-out", field="number")
            return give_in(session, self._workshop, actor, person.id, number, now)

    def end(self, actor: Actor, badge_id: str, now: datetime) -> str:
        """Make a badge worthless, as one that was lost; its own person may, and staff.

        Returns whose it was.
        """
        with self._database.write() as session:
            row = session.get(Badge, badge_id)
            if row is None:
                raise NotFoundError("badge.unknown")
            if row.person_id != actor.person_id:
                changeable(session, actor, row.person_id)
            row.ended_at = row.ended_at or now
            return row.person_id

    def forget_pin(self, actor: Actor, person_id: str, now: datetime) -> None:
        """Let a person who forgot their PIN set another at the next use of their badge."""
        with self._database.write() as session:
            changeable(session, actor, person_id)
            session.merge(
                Pin(person_id=person_id, pin_hash=None, settable_until=now + FIRST_USE),
            )

    def set_pin(self, person_id: str, pin: str) -> None:
        """Set a signed-in person's own PIN, who has just proved who they are.

        :raises InvalidError: `pin.digits`, `pin.simple`.
        """
        secret = passwords.hashed(checked_pin(pin))
        with self._database.write() as session:
            person_of(session, person_id)
            session.merge(Pin(person_id=person_id, pin_hash=secret, settable_until=None))

    def set_first_pin(self, person_id: str, pin: str, now: datetime) -> None:
        """Set the PIN of who has shown a badge that has none yet.

        :raises InvalidError: `pin.not-now` where it has one, or its time is over; as `set_pin`.
        """
        secret = passwords.hashed(checked_pin(pin))
        with self._database.write() as session:
            if not may_set_first_pin(session, person_id, now):
                raise InvalidError("pin.not-now", field="pin")
            session.execute(
                update(Pin)
                .where(Pin.person_id == person_id)
                .values(pin_hash=secret, settable_until=None)
            )


def give_in(
    session: Session,
    workshop: Workshop,
    actor: Actor,
    person_id: str,
    number: str,
    now: datetime,
) -> str:
    """Give a badge in the caller's transaction; returns its id."""
    hashed = number_hmac(workshop, number)
    carried = session.scalars(
        select(Badge.id).where(Badge.person_id == person_id, Badge.ended_at.is_(None))
    ).all()
    if len(carried) >= _MOST_BADGES:
        raise InvalidError("badge.enough", field="number", count=_MOST_BADGES)
    row = Badge(
        id=workshop.new_id(),
        person_id=person_id,
        number_hmac=hashed,
        given_at=now,
        given_by=actor.person_id,
    )
    try:
        with session.begin_nested():
            session.add(row)
            session.flush()
    except IntegrityError as error:
        raise InvalidError("badge.taken", field="number") from error
    pin = session.get(Pin, person_id)
    if pin is None or pin.pin_hash is None:
        session.merge(Pin(person_id=person_id, pin_hash=None, settable_until=now + FIRST_USE))
    return row.id
