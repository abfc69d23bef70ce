"""Signing in: passwords tried, one-time links, and the sign-ins that the server remembers."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from jobs.domain.credentials import Happened, Tried, Way
from jobs.domain.errors import InvalidError, NotFoundError
from jobs.domain.people import Role
from jobs.services import passwords
from jobs.services.credentials import note
from jobs.services.tries import Limit, count_try, forget_tries
from jobs.services.views import PersonView, SignInView
from jobs.services.workshop import Workshop
from jobs.store.presence import Presence
from jobs.store.tables import Person, SignIn, SignInLink

# Of wrong passwords for one login; the way by a link, a passkey or a badge stays open.
_OF_LOGIN: Final = (Limit(5, timedelta(minutes=1)), Limit(100, timedelta(days=1)))
PROOF_HOLDS: Final = timedelta(minutes=10)  # for changes to what proves who one is
LINK_HOLDS: Final = timedelta(minutes=30)  # for setting a password without the old one
_IDLE: Final = timedelta(days=30)
_LONGEST: Final = timedelta(days=180)  # even where it is used every day
_LONGEST_LOGIN: Final = 64  # the column holds no more
_LONGEST_DEVICE: Final = 80
_TOUCH: Final = timedelta(minutes=1)  # a page a second need not be a write a second


class SigningIn:
    """What proves that a browser speaks for a person."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._database = workshop.database

    def sign_in(
        self, login: str, password: str, now: datetime, device: str = ""
    ) -> tuple[str, SignInView]:
        """Return the token for the cookie, and who signed in.

        :param device: what the browser calls itself, for the person's list of sign-ins.
        :raises InvalidError: `sign-in.wrong`, or `sign-in.too-many` after five tries a minute;
            neither tells whether there is such a login.
        """
        return self.begin(self.look(login, password, now), Way.PASSWORD, now, device)

    def begin(
        self, person_id: str, way: Way, now: datetime, device: str = ""
    ) -> tuple[str, SignInView]:
        """Begin the sign-in of a person who has proved it.

        :raises InvalidError: `sign-in.wrong`, if the person was locked out meanwhile.
        """
        with self._database.write() as session:
            person = session.get(Person, person_id)
            if person is None or person.disabled_at is not None:
                raise InvalidError("sign-in.wrong", field="password")
            if way is Way.PASSWORD:
                forget_tries(session, Tried.PASSWORD, person.login)
            return self._begin(session, person, way, now, device)

    def prove(self, login: str, password: str, now: datetime) -> str:
        """Return whose password that is; tries before it are forgotten."""
        person_id = self.look(login, password, now)
        with self._database.write() as session:
            forget_tries(session, Tried.PASSWORD, fold_login(login)[:_LONGEST_LOGIN])
        return person_id

    def look(self, login: str, password: str, now: datetime) -> str:
        """Return whose password that is, and keep the try counted until the sign-in begins.

        The slow look happens outside any transaction.
        """
        login = fold_login(login)[:_LONGEST_LOGIN]
        count_try(self._workshop, Tried.PASSWORD, login, _OF_LOGIN, now, "sign-in.too-many")
        with self._database.read() as session:
            person = session.scalar(
                select(Person).where(Person.login == login, Person.disabled_at.is_(None))
            )
        stored = None if person is None else person.password_hash
        if not passwords.matches(stored, password) or person is None or stored is None:
            raise InvalidError("sign-in.wrong", field="password")
        if passwords.is_dated(stored):
            renewed = passwords.hashed(password)
            with self._database.write() as session:
                session.execute(
                    update(Person)
                    .where(Person.id == person.id, Person.password_hash == stored)
                    .values(password_hash=renewed)
                )
        return person.id

    def _begin(
        self, session: Session, person: Person, way: Way, now: datetime, device: str
    ) -> tuple[str, SignInView]:
        token = self._workshop.new_token()
        session.execute(delete(SignIn).where(SignIn.expires_at <= now))
        row = SignIn(
            token_sha256=passwords.fingerprint(token),
            person_id=person.id,
            csrf=self._workshop.new_token(),
            created_at=now,
            seen_at=now,
            expires_at=now + _IDLE,
            way=way.value,
            device=device[:_LONGEST_DEVICE],
            proved_at=now,
        )
        session.add(row)
        return token, _view(row, person)

    def renew(self, token: str, now: datetime) -> str:
        """Return a new token for a sign-in whose person has just proved again who they are.

        The old one is worth nothing from now on: whoever had it beforehand gains nothing.

        :raises InvalidError: `sign-in.ended`.
        """
        fresh = self._workshop.new_token()
        old, new = passwords.fingerprint(token), passwords.fingerprint(fresh)
        with self._database.write() as session:
            found = session.scalar(
                update(SignIn)
                .where(SignIn.token_sha256 == old, SignIn.expires_at > now)
                .values(token_sha256=new, proved_at=now, seen_at=now)
                .returning(SignIn.person_id)
            )
            if found is None:
                raise InvalidError("sign-in.ended")
            # It is the same browser in the same hands: who was at a machine still is.
            session.execute(update(Presence).where(Presence.seat == old).values(seat=new))
        return fresh

    def signed_in(self, token: str, now: datetime, *, touch: bool = True) -> SignInView | None:
        """Return whose sign-in that is, None where it ended; using it keeps it alive.

        :param touch: False where not even that may be written now.
        """
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
        if not touch or now - row.seen_at < _TOUCH:
            return view
        expires_at = min(now + _IDLE, row.created_at + _LONGEST)
        with self._database.write() as session:
            session.execute(
                update(SignIn)
                .where(SignIn.token_sha256 == key)
                .values(seen_at=now, expires_at=expires_at)
            )
        return replace(view, expires_at=expires_at, seen_at=now)

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

    def sign_ins(self, person_id: str, now: datetime) -> Sequence[SignInView]:
        """Return where a person is signed in, the latest used first."""
        with self._database.read() as session:
            rows = session.execute(
                select(SignIn, Person)
                .join(Person, Person.id == SignIn.person_id)
                .where(SignIn.person_id == person_id, SignIn.expires_at > now)
                .order_by(SignIn.seen_at.desc(), SignIn.token_sha256)
            )
            return [_view(row, person) for row, person in rows]

    def end_sign_in(self, person_id: str, sign_in_id: str) -> None:
        """End one of a person's own sign-ins.

        :raises NotFoundError: `sign-in.unknown`.
        """
        with self._database.write() as session:
            keys = session.scalars(
                select(SignIn.token_sha256).where(SignIn.person_id == person_id)
            ).all()
            found = next((key for key in keys if _public_id(key) == sign_in_id), None)
            if found is None:
                raise NotFoundError("sign-in.unknown")
            session.execute(delete(SignIn).where(SignIn.token_sha256 == found))

    def end_others(self, person_id: str, token: str, now: datetime) -> int:
        """End every sign-in of a person but the one that asks; return how many there were."""
        kept = passwords.fingerprint(token)
        with self._database.write() as session:
            ended = session.execute(
                delete(SignIn)
                .where(SignIn.person_id == person_id, SignIn.token_sha256 != kept)
                .returning(SignIn.token_sha256)
            ).all()
            note(session, self._workshop, person_id, Happened.ENDED_OTHERS, now, by_id=person_id)
        return len(ended)

    def make_link(
        self, person_id: str, now: datetime, hours: int = 24, *, by_id: str | None = None
    ) -> str:
        """Return the token of a link that signs a person in once.

        :param by_id: who hands it out, for the record; None: the node itself or its console.
        """
        token = self._workshop.new_token()
        with self._database.write() as session:
            if session.get(Person, person_id) is None:
                raise NotFoundError("person.unknown")
            note(session, self._workshop, person_id, Happened.LINK_MADE, now, by_id=by_id)
            session.execute(delete(SignInLink).where(SignInLink.expires_at <= now))
            session.add(
                SignInLink(
                    token_sha256=passwords.fingerprint(token),
                    person_id=person_id,
                    expires_at=now + timedelta(hours=hours),
                )
            )
        return token

    def redeem(self, token: str, now: datetime, device: str = "") -> tuple[str, SignInView]:
        """Sign in by a link. The second use of one is refused, even at the same instant.

        :raises InvalidError: `sign-in.link`.
        """
        return self.begin(self.take_link(token, now), Way.LINK, now, device)

    def take_link(self, token: str, now: datetime) -> str:
        """Return whose link that was; it is used up.

        :raises InvalidError: `sign-in.link`.
        """
        with self._database.write() as session:
            person_id = session.scalar(
                update(SignInLink)
                .where(
                    SignInLink.token_sha256 == passwords.fingerprint(token),
                    SignInLink.used_at.is_(None),
                    SignInLink.expires_at > now,
                )
                .values(used_at=now)
                .returning(SignInLink.person_id)
            )
            person = None if person_id is None else session.get(Person, person_id)
            if person is None or person.disabled_at is not None:
                raise InvalidError("sign-in.link")
            return person.id


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
    return SignInView(
        person_view(person),
        row.csrf,
        row.expires_at,
        row.token_sha256,
        id=_public_id(row.token_sha256),
        way=Way(row.way),
        device=row.device,
        created_at=row.created_at,
        seen_at=row.seen_at,
        proved_at=row.proved_at,
    )


def _public_id(token_sha256: str) -> str:
    """Return a name for a sign-in that pages may show."""
    return passwords.fingerprint(token_sha256)[:16]


def is_proved(view: SignInView, now: datetime) -> bool:
    """Return whether the person proved so lately who they are that they need not again."""
    return view.proved_at is not None and now - view.proved_at < PROOF_HOLDS


def came_by_link(view: SignInView, now: datetime) -> bool:
    """Return whether this sign-in may set a password without the old one."""
    return view.way is Way.LINK and now - view.created_at < LINK_HOLDS
