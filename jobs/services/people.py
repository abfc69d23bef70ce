"""People of the lab: who they are, what role they hold, and what keys they carry."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import delete, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from jobs.domain.credentials import Happened, Way
from jobs.domain.errors import InvalidError, NotAllowedError, NotFoundError
from jobs.domain.people import Actor, Role, is_at_least
from jobs.services import passwords
from jobs.services.api_keys import ApiKeys
from jobs.services.authority import (
    TURN,
    admins,
    changeable,
    is_admin,
    keep_an_admin,
    may_give,
    must_hold,
    person_of,
)
from jobs.services.claims import give_back
from jobs.services.credentials import CredentialEventView, happened, note
from jobs.services.signing_in import SigningIn, fold_login, person_view
from jobs.services.turns import take_turn
from jobs.services.views import PersonView, SignInView
from jobs.services.workshop import Workshop
from jobs.store.persons import Standing
from jobs.store.tables import Allocation, ApiKey, Person, PersonAlias, SignIn, SignInLink

_LOGIN: Final = re.compile(r"[\w.@+-]{1,64}")
_LONGEST_LOGIN: Final = 56  # of one that is made of a name: a number may follow
_LONGEST_NAME: Final = 120


def alias_of(session: Session, person_id: str, workshop: Workshop) -> str:
    """Return the random id that stands for a person in records, made when first needed.

    It tells nothing, not even when the person came: so it is no UUIDv7.
    """
    found = session.scalar(select(PersonAlias.alias).where(PersonAlias.person_id == person_id))
    if found is not None:
        return found
    alias = hashlib.sha256(workshop.new_token().encode()).hexdigest()[:32]
    session.add(PersonAlias(alias=alias, person_id=person_id))
    session.flush()
    return alias


class People:
    """Use cases about people; those of `signing_in` and `api_keys` are reached through here."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._database = workshop.database
        self._signing_in = SigningIn(workshop)
        self.sign_in = self._signing_in.sign_in
        self.prove = self._signing_in.prove
        self.look = self._signing_in.look
        self.signed_in = self._signing_in.signed_in
        self.sign_out = self._signing_in.sign_out
        self.sign_out_everywhere = self._signing_in.sign_out_everywhere
        self.make_link = self._signing_in.make_link
        self.redeem = self._signing_in.redeem
        self.take_link = self._signing_in.take_link
        self.begin_sign_in = self._signing_in.begin
        self.renew_sign_in = self._signing_in.renew
        self.sign_ins = self._signing_in.sign_ins
        self.end_sign_in = self._signing_in.end_sign_in
        self.end_other_sign_ins = self._signing_in.end_others
        keys = ApiKeys(workshop)
        self.make_api_key = keys.make
        self.api_actor = keys.holder
        self.revoke_api_key = keys.revoke
        self.api_keys = keys.list

    def any_admin(self) -> bool:
        """Return whether somebody can administer this node."""
        with self._database.read() as session:
            return admins(session) > 0

    def first_admin(self) -> PersonView | None:
        """Return the admin who has been here longest."""
        with self._database.read() as session:
            query = select(Person).where(is_admin()).order_by(Person.created_at, Person.id)
            found = session.scalars(query.limit(1)).first()
            return None if found is None else person_view(found)

    def has_signed_in_admin(self) -> bool:
        """Return whether an admin can get in without a link: by password or a live sign-in."""
        signed_in = select(SignIn.person_id)
        query = (
            select(func.count())
            .select_from(Person)
            .where(is_admin(), Person.password_hash.is_not(None) | Person.id.in_(signed_in))
        )
        with self._database.read() as session:
            return bool(session.scalar(query))

    def create(
        self,
        login: str,
        name: str,
        role: Role,
        *,
        password: str | None = None,
        simulated: bool = False,
        actor: Actor | None,
        now: datetime,
    ) -> PersonView:
        """Add a person.

        :param login: "" takes one from the name: who has no phone and no password needs none.
        :param actor: None only for the first admin, while there is none.
        """
        if actor is not None:
            with self._database.read() as session:  # before the slow hash
                may_give(session, actor, role)

        def check(session: Session) -> None:
            if actor is not None:
                may_give(session, actor, role)
            elif role is not Role.ADMIN or admins(session):
                raise NotAllowedError("person.not-allowed", needed=Role.ADMIN.value)

        return self._add(login, name, role, password, simulated, now, check)

    def let_in(self, login: str, name: str, role: Role, now: datetime) -> PersonView:
        """Add a person by the lab's standing word, as of its OpenID provider; never an admin."""
        if role is Role.ADMIN:
            raise NotAllowedError("person.gives-too-much", role=role.value)
        return self._add(login, name, role, None, False, now, lambda _session: None)

    def _add(
        self,
        login: str,
        name: str,
        role: Role,
        password: str | None,
        simulated: bool,
        now: datetime,
        check: Callable[[Session], None],
    ) -> PersonView:
        name = checked_name(name)
        login = checked_login(login) if login.strip() else ""
        secret = None if password is None else passwords.hashed(passwords.checked(password))
        person = Person(
            id=self._workshop.new_id(),
            login=login,
            name=name,
            role=role.value,
            password_hash=secret,
            simulated=simulated,
            created_at=now,
        )
        try:
            with self._database.write() as session:
                take_turn(session, TURN)
                check(session)
                person.login = login or free_login(session, name)
                session.add(person)
                session.flush()
                alias_of(session, person.id, self._workshop)
        except IntegrityError as error:
            raise InvalidError("person.login-taken", field="login", login=login) from error
        return person_view(person)

    def list(self, actor: Actor) -> Sequence[PersonView]:
        """Return everybody, for those who look after people."""
        with self._database.read() as session:
            must_hold(session, actor, Role.OPERATOR)
            erased = select(Standing.person_id).where(Standing.erased_at.is_not(None))
            rows = session.scalars(
                select(Person).where(Person.id.not_in(erased)).order_by(Person.name, Person.login)
            )
            return [person_view(person) for person in rows]

    def get(self, person_id: str) -> PersonView:
        """Return one person."""
        with self._database.read() as session:
            return person_view(person_of(session, person_id))

    def by_login(self, login: str) -> PersonView | None:
        """Return the person with that login, however it is written."""
        with self._database.read() as session:
            found = session.scalar(select(Person).where(Person.login == fold_login(login)))
            return None if found is None else person_view(found)

    def link_for(self, actor: Actor, person_id: str, now: datetime) -> str:
        """Return the token of a one-time link that staff hand to a person below them."""
        with self._database.write() as session:
            if changeable(session, actor, person_id).disabled_at is not None:
                raise InvalidError("person.locked-out")
        return self.make_link(person_id, now)

    def set_role(self, actor: Actor, person_id: str, role: Role, now: datetime) -> PersonView:
        """Give a person another role; nobody gives, or takes away, more than they hold."""
        del now
        with self._database.write() as session:
            person = changeable(session, actor, person_id)
            may_give(session, actor, role)
            if role is not Role.ADMIN:
                keep_an_admin(session, person)
            if is_at_least(role, Role.OPERATOR):
                _must_be_without_terms(session, person_id)
            if person.role != role.value:
                # What a browser may do has changed: it proves anew who sits there.
                session.execute(
                    update(SignIn).where(SignIn.person_id == person_id).values(proved_at=None)
                )
            person.role = role.value
            return person_view(person)

    def disable(self, actor: Actor, person_id: str, now: datetime) -> None:
        """Lock a person out: sign-ins, links and keys end, reservations are given back.

        What they did stays: jobs, runs and records.
        """
        with self._database.write() as session:
            person = changeable(session, actor, person_id)
            keep_an_admin(session, person)
            lock_out(session, self._workshop, person, now)
        self._workshop.live.touch()

    def enable(self, actor: Actor, person_id: str) -> None:
        """Let a person in again; keys and reservations they make anew."""
        with self._database.write() as session:
            person = changeable(session, actor, person_id)
            standing = session.get(Standing, person_id)
            if standing is not None and standing.erased_at is not None:
                raise NotFoundError("person.unknown")  # there is nobody any more to let in
            person.disabled_at = None
            if standing is not None:
                standing.applied_at = None

    def forget_alias(self, actor: Actor, person_id: str) -> None:
        """Forget whom a person's records mean; the records themselves stay whole."""
        with self._database.write() as session:
            if actor.person_id != person_id:
                must_hold(session, actor, Role.ADMIN)
            session.execute(delete(PersonAlias).where(PersonAlias.person_id == person_id))

    def set_password(
        self,
        person_id: str,
        password: str,
        now: datetime,
        *,
        old: str | None = None,
        signed_by_link: bool = False,
        keep_token: str | None = None,
    ) -> None:
        """Set a person's own password; their other sign-ins end, and links they have not used.

        :param old: the password so far; not asked for where there is none yet, nor after a link.
        :param keep_token: the sign-in that asks, which goes on.
        """
        secret = passwords.hashed(passwords.checked(password))
        with self._database.read() as session:
            person = person_of(session, person_id)
        if person.password_hash is not None and not signed_by_link:
            self._signing_in.prove(person.login, old or "", now)
        with self._database.write() as session:
            person_of(session, person_id).password_hash = secret
            kept = passwords.fingerprint(keep_token) if keep_token else ""
            session.execute(
                delete(SignIn).where(SignIn.person_id == person_id, SignIn.token_sha256 != kept)
            )
            if kept:  # a link has done its work, and the person has just proved who they are
                session.execute(
                    update(SignIn)
                    .where(SignIn.token_sha256 == kept)
                    .values(way=Way.PASSWORD.value, proved_at=now)
                )
            session.execute(delete(SignInLink).where(SignInLink.person_id == person_id))
            note(session, self._workshop, person_id, Happened.PASSWORD_SET, now, by_id=person_id)

    def credential_events(self, person_id: str) -> Sequence[CredentialEventView]:
        """Return what happened lately to a person's ways to prove who they are."""
        with self._database.read() as session:
            return happened(session, person_id)

    def actor_of(self, view: SignInView | PersonView) -> Actor:
        """Return who acts under a sign-in."""
        seat = view.seat if isinstance(view, SignInView) else ""
        person = view.person if isinstance(view, SignInView) else view
        return Actor(person.id, person.name, person.role, person.simulated, seat)


def lock_out(session: Session, workshop: Workshop, person: Person, now: datetime) -> None:
    """End a person's sign-ins, links and keys, and give their reservations back."""
    person.disabled_at = person.disabled_at or now
    session.execute(delete(SignIn).where(SignIn.person_id == person.id))
    session.execute(delete(SignInLink).where(SignInLink.person_id == person.id))
    session.execute(
        update(ApiKey)
        .where(ApiKey.person_id == person.id, ApiKey.revoked_at.is_(None))
        .values(revoked_at=now)
    )
    give_back(session, workshop, Allocation.person_id == person.id, now)


def _must_be_without_terms(session: Session, person_id: str) -> None:
    """Refuse to make staff of who is here for a while, or of a minor."""
    row = session.get(Standing, person_id)
    if row is not None and (row.ends_at is not None or row.is_minor or row.named_only):
        raise InvalidError("person.on-terms", field="role")


def free_login(session: Session, name: str) -> str:
    """Return a login made of a name that nobody has."""
    plain = re.sub(r"[^\w.+-]+", "-", fold_login(name)).strip("-")[:_LONGEST_LOGIN] or "person"
    taken = set(
        session.scalars(select(Person.login).where(Person.login.startswith(plain, autoescape=True)))
    )
    tries = (plain, *(f"{plain}-{number}" for number in range(2, len(taken) + 3)))
    return next(one for one in tries if one not in taken)


def checked_login(login: str) -> str:
    folded = fold_login(login)
    if not _LOGIN.fullmatch(folded):
        raise InvalidError("person.login", field="login")
    return folded


def checked_name(name: str) -> str:
    name = " ".join(name.split())
    if not 1 <= len(name) <= _LONGEST_NAME:
        raise InvalidError("person.name", field="name", characters=_LONGEST_NAME)
    return name
