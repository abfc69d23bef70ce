"""Signing in: passwords tried, one-time links, and the sign-ins that the server remembers."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from jobs.domain.errors import InvalidError, NotFoundError
from jobs.domain.people import Role
from jobs.services import passwords
from jobs.services.turns import take_turn
from jobs.services.views import PersonView, SignInView
from jobs.services.workshop import Workshop
from jobs.store.tables import Person, SignIn, SignInFailure, SignInLink

_TRIES: Final = 5  # wrong passwords for one login…
TRIES_WITHIN: Final = timedelta(minutes=1)  # …in this time
_IDLE: Final = timedelta(days=30)
_LONGEST: Final = timedelta(days=180)  # even where it is used every day
_LONGEST_LOGIN: Final = 64  # the column holds no more
_TOUCH: Final = timedelta(minutes=1)  # a page a second need not be a write a second


class SigningIn:
    """What proves that a browser speaks for a person."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._database = workshop.database

    def sign_in(self, login: str, password: str, now: datetime) -> tuple[str, SignInView]:
        """Return the token for the cookie, and who signed in.

        :raises InvalidError: `sign-in.wrong`, or `sign-in.too-many` after five tries a minute;
            neither tells whether there is such a login.
        """
        person_id = self.prove(login, password, now)
        with self._database.write() as session:
            person = session.get_one(Person, person_id)
            if person.disabled_at is not None:  # while the password was looked at
                raise InvalidError("sign-in.wrong", field="password")
            return self._begin(session, person, now)

    def prove(self, login: str, password: str, now: datetime) -> str:
        """Return whose password that is; the slow look happens outside any transaction."""
        login = fold_login(login)[:_LONGEST_LOGIN]
        self._count_try(login, now)
        with self._database.read() as session:
            person = session.scalar(
                select(Person).where(Person.login == login, Person.disabled_at.is_(None))
            )
        is_right = passwords.matches(None if person is None else person.password_hash, password)
        if person is None or not is_right:
            raise InvalidError("sign-in.wrong", field="password")
        with self._database.write() as session:
            session.execute(delete(SignInFailure).where(SignInFailure.login == login))
        return person.id

    def _count_try(self, login: str, now: datetime) -> None:
        """Count a try before it is made: guesses in parallel would all be "the first"."""
        since = now - TRIES_WITHIN
        with self._database.write() as session:
            take_turn(session, f"sign-in {login}")
            session.execute(delete(SignInFailure).where(SignInFailure.at <= since))
            tried = session.scalar(
                select(func.count()).select_from(SignInFailure).where(SignInFailure.login == login)
            )
            if (tried or 0) < _TRIES:
                session.add(SignInFailure(id=self._workshop.new_id(), login=login, at=now))
                return
        raise InvalidError("sign-in.too-many", minutes=int(TRIES_WITHIN.total_seconds() // 60))

    def _begin(self, session: Session, person: Person, now: datetime) -> tuple[str, SignInView]:
        token = self._workshop.new_token()
        session.execute(delete(SignIn).where(SignIn.expires_at <= now))
        row = SignIn(
            token_sha256=passwords.fingerprint(token),
            person_id=person.id,
            csrf=self._workshop.new_token(),
            created_at=now,
            seen_at=now,
            expires_at=now + _IDLE,
        )
        session.add(row)
        return token, _view(row, person)

    def signed_in(self, token: str, now: datetime) -> SignInView | None:
        """Return whose sign-in that is, None where it ended; using it keeps it alive."""
        key = passwords.fingerprint(token)
        with self._database.read() as session:
            found = session.execute(
                select(SignIn, Person)
                .join(Person, Person.id == SignIn.person_id)
                .where(
                    SignIn.token_sha256 == key,
                    SignIn.expires_at > now,
                    Person.disabled_at.is_(None),
                )
            ).one_or_none()
            if found is None:
                return None
            row, person = found
            view = _view(row, person)
        if now - row.seen_at < _TOUCH:
            return view
        expires_at = min(now + _IDLE, row.created_at + _LONGEST)
        with self._database.write() as session:
            session.execute(
                update(SignIn)
                .where(SignIn.token_sha256 == key)
                .values(seen_at=now, expires_at=expires_at)
            )
        return replace(view, expires_at=expires_at)

    def sign_out(self, token: str) -> None:
        """End one sign-in; ending it twice is no error."""
        with self._database.write() as session:
            session.execute(
                delete(SignIn).where(SignIn.token_sha256 == passwords.fingerprint(token))
            )

    def sign_out_everywhere(self, person_id: str) -> None:
        """End all sign-ins of a person."""
        with self._database.write() as session:
            session.execute(delete(SignIn).where(SignIn.person_id == person_id))

    def make_link(self, person_id: str, now: datetime, hours: int = 24) -> str:
        """Return the token of a link that signs a person in once."""
        token = self._workshop.new_token()
        with self._database.write() as session:
            if session.get(Person, person_id) is None:
                raise NotFoundError("person.unknown")
            session.execute(delete(SignInLink).where(SignInLink.expires_at <= now))
            session.add(
                SignInLink(
                    token_sha256=passwords.fingerprint(token),
                    person_id=person_id,
                    expires_at=now + timedelta(hours=hours),
                )
            )
        return token

    def redeem(self, token: str, now: datetime) -> tuple[str, SignInView]:
        """Sign in by a link. The second use of one is refused, even at the same instant.

        :raises InvalidError: `sign-in.link`.
        """
        key = passwords.fingerprint(token)
        with self._database.write() as session:
            person_id = session.scalar(
                update(SignInLink)
                .where(
                    SignInLink.token_sha256 == key,
                    SignInLink.used_at.is_(None),
                    SignInLink.expires_at > now,
                )
                .values(used_at=now)
                .returning(SignInLink.person_id)
            )
            person = None if person_id is None else session.get(Person, person_id)
            if person is None or person.disabled_at is not None:
                raise InvalidError("sign-in.link")
            return self._begin(session, person, now)


def person_view(person: Person) -> PersonView:
    """Return a person without secrets."""
    return PersonView(
        id=person.id,
        login=person.login,
        name=person.name,
        role=Role(person.role),
        simulated=person.simulated,
        has_password=person.password_hash is not None,
        disabled=person.disabled_at is not None,
    )


def fold_login(login: str) -> str:
    """Return a login as it is kept: however it is written, it is one person.

    >>> fold_login(" Ana ")
    'ana'
    """
    return unicodedata.normalize("NFKC", login).strip().casefold()


def _view(row: SignIn, person: Person) -> SignInView:
    return SignInView(person_view(person), row.csrf, row.expires_at, row.token_sha256)
