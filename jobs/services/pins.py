"""A person's PIN for shared devices: six digits or more, and hardly any guesses.

A PIN is ever tried for one person, who is named by a badge or by touch, on a device of the house.
Dates and patterns are refused, so some 880,000 are left: ten wrong tries a day are about one chance
in 88,000. What the person gets right in between does not give a guesser more.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from jobs.domain.credentials import PIN_DIGITS, Happened, Tried, is_plain_pin
from jobs.domain.errors import InvalidError
from jobs.services import passwords
from jobs.services.badges import Badges, pin_hash_of
from jobs.services.credentials import note
from jobs.services.tries import Limit, count_try, forget_tries
from jobs.services.workshop import Workshop
from jobs.store.persons import Pin
from jobs.store.tables import Person

_DRAWS: Final = 100  # one in nine is no good
DAY: Final = timedelta(days=1)
OF_PERSON: Final = (Limit(3, timedelta(minutes=5)), Limit(10, DAY))
# A tablet that a hundred people use mistypes often; who goes through people one by one is slowed.
OF_DEVICE: Final = (Limit(10, timedelta(minutes=1)), Limit(60, timedelta(hours=1)))


class Pins:
    """Use cases about PINs; who may set whose is asked before."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._badges = Badges(workshop)
        self._database = workshop.database

    def has(self, person_id: str) -> bool:
        """Return whether a person has a PIN."""
        with self._database.read() as session:
            return pin_hash_of(session, person_id) is not None

    def draw(self, person_id: str, now: datetime, *, by_id: str | None) -> str:
        """Give a person a PIN that nobody can think of, and return it this once."""
        tokens = (self._workshop.new_token() for _ in range(_DRAWS))
        numbers = (int(passwords.fingerprint(token), 16) % 10**PIN_DIGITS for token in tokens)
        drawn = (f"{number:0{PIN_DIGITS}d}" for number in numbers)
        pin = next(pin for pin in drawn if not is_plain_pin(pin))
        self.set(person_id, pin, now, by_id=by_id)
        return pin

    def set(self, person_id: str, pin: str, now: datetime, *, by_id: str | None) -> None:
        """Set a PIN; tries that were counted against the one before are forgotten.

        :raises InvalidError: `pin.digits` or `pin.simple`.
        """
        self._badges.set_pin(person_id, pin.strip())
        with self._database.write() as session:
            forget_tries(session, Tried.PIN, person_id)
            note(session, self._workshop, person_id, Happened.PIN_SET, now, by_id=by_id)

    def remove(self, person_id: str, now: datetime, *, by_id: str | None) -> None:
        """Take a PIN away; twice changes nothing."""
        with self._database.write() as session:
            row = session.get(Pin, person_id)
            if row is not None and row.pin_hash is not None:
                row.pin_hash = row.settable_until = None
                note(session, self._workshop, person_id, Happened.PIN_GONE, now, by_id=by_id)

    def prove(self, person_id: str, pin: str, now: datetime, *, device: str) -> None:
        """Return if that is the person's PIN.

        A wrong PIN and no PIN at all cost the same work and get the same answer. A locked PIN
        locks nothing else: with the password, a passkey or a link a person sets a new one.

        :param device: id of the shared device, for its own limit.
        :raises InvalidError: `pin.wrong`, or `pin.too-many` with the minutes to wait.
        """
        count_try(self._workshop, Tried.DEVICE, device[:64], OF_DEVICE, now, "pin.too-many")
        count_try(self._workshop, Tried.PIN, person_id[:64], OF_PERSON, now, "pin.too-many")
        with self._database.read() as session:
            person = session.get(Person, person_id)
            stored = pin_hash_of(session, person_id)
        is_right = passwords.matches(stored, pin.strip())
        if not is_right or person is None or person.disabled_at is not None:
            raise InvalidError("pin.wrong", field="pin")
        with self._database.write() as session:
            # Only this try: what is right now must not buy more guesses, at this PIN or another's.
            forget_tries(session, Tried.PIN, person_id[:64], since=now)
            forget_tries(session, Tried.DEVICE, device[:64], since=now)
