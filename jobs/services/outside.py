"""People whom an OpenID provider names: found by issuer and subject, and what role that gives."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from jobs.domain.credentials import Happened
from jobs.domain.errors import InvalidError, NotFoundError
from jobs.domain.people import Role, is_at_least
from jobs.services.credentials import note
from jobs.services.people import People
from jobs.services.workshop import Workshop
from jobs.store.signing import OutsideIdentity
from jobs.store.tables import Person, SignIn

_LOGIN_PARTS: Final = re.compile(r"[^\w.@+-]+")
_LONGEST: Final = 255  # of an issuer or a subject, as OpenID Connect Core 2 has it
_LOGINS: Final = 20  # tried for a newcomer whose name is taken


@dataclass(frozen=True, slots=True)
class Provider:
    """An OpenID provider, and what the lab lets its word mean.

    :param name: as people know it.
    :param roles: of groups; empty: roles are the lab's own affair.
    :param highest: role that its word may give.
    :param otherwise: role of whom no group names; None: they do not come in.
    :param sign_up: let in whom the lab does not know yet.
    """

    issuer: str
    client_id: str
    client_secret: str
    name: str
    groups_claim: str = "groups"
    roles: Mapping[str, Role] = field(default_factory=dict)
    highest: Role = Role.MEMBER
    otherwise: Role | None = Role.MEMBER
    sign_up: bool = False

    def role_of(self, groups: Collection[str]) -> Role | None:
        """Return the highest role that the groups give, never above what the lab allows.

        >>> p = Provider("i", "c", "s", "n", roles={"staff": Role.ADMIN, "all": Role.GUEST})
        >>> p.role_of(["all"]), p.role_of(["all", "staff"]), p.role_of([])
        (<Role.GUEST: 'guest'>, <Role.MEMBER: 'member'>, <Role.MEMBER: 'member'>)
        """
        given = [self.roles[one] for one in groups if one in self.roles]
        if not given:
            return self.otherwise
        best = max(given, key=list(Role).index)
        return self.highest if is_at_least(best, self.highest) else best


@dataclass(frozen=True, slots=True)
class OutsideWord:
    """What a provider has said of whoever has signed in there, checked and signed."""

    subject: str
    name: str
    login: str
    groups: tuple[str, ...] = ()


class Outside:
    """Use cases about people of an OpenID provider."""

    def __init__(self, workshop: Workshop, people: People) -> None:
        self._workshop = workshop
        self._people = people
        self._database = workshop.database

    def is_linked(self, person_id: str) -> bool:
        """Return whether a person may sign in by a provider."""
        with self._database.read() as session:
            query = select(OutsideIdentity.subject).where(OutsideIdentity.person_id == person_id)
            return session.scalar(query.limit(1)) is not None

    def whose(self, provider: Provider, word: OutsideWord) -> str | None:
        """Return who that is here, and change nothing."""
        with self._database.read() as session:
            row = session.get(OutsideIdentity, (provider.issuer, word.subject))
            return None if row is None else row.person_id

    def enter(self, provider: Provider, word: OutsideWord, now: datetime) -> str:
        """Return who that is here; an unknown one is made where the lab lets them sign up.

        An e-mail address or a name never finds a person: whoever can choose theirs at the provider
        would be anybody here.

        :raises InvalidError: `outside.unknown`, `outside.no-group` or `outside.locked`.
        """
        role = provider.role_of(word.groups)
        person_id = self._known(provider, word, now)
        if role is None:
            raise InvalidError("outside.no-group", provider=provider.name)
        if person_id is None:
            if not provider.sign_up:
                raise InvalidError("outside.unknown", provider=provider.name)
            return self._newcomer(provider, word, role, now)
        if provider.roles:
            self._set_role(person_id, role, now)
        return person_id

    def link(self, person_id: str, provider: Provider, word: OutsideWord, now: datetime) -> None:
        """Let a person sign in by a provider's word from now on.

        :raises InvalidError: `outside.taken`, if that subject is somebody else here.
        """
        with self._database.write() as session:
            row = session.get(OutsideIdentity, (provider.issuer, word.subject))
            if row is not None and row.person_id != person_id:
                raise InvalidError("outside.taken", provider=provider.name)
            if row is None:
                self._add(session, person_id, provider, word, now)

    def unlink(self, person_id: str, now: datetime) -> None:
        """Let a person sign in by no provider any more.

        :raises InvalidError: `outside.only-way`, if there is no other way in.
        """
        with self._database.write() as session:
            person = session.get(Person, person_id)
            if person is None:
                raise NotFoundError("person.unknown")
            if person.password_hash is None:
                raise InvalidError("outside.only-way")
            gone = session.execute(
                delete(OutsideIdentity)
                .where(OutsideIdentity.person_id == person_id)
                .returning(OutsideIdentity.issuer)
            ).all()
            for (issuer,) in gone:
                what = Happened.OUTSIDE_GONE
                note(session, self._workshop, person_id, what, now, by_id=person_id, detail=issuer)

    def _known(self, provider: Provider, word: OutsideWord, now: datetime) -> str | None:
        with self._database.write() as session:
            row = session.get(OutsideIdentity, (provider.issuer, word.subject))
            if row is None:
                return None
            row.used_at = now
            if session.get_one(Person, row.person_id).disabled_at is not None:
                raise InvalidError("outside.locked")
            return row.person_id

    def _newcomer(self, provider: Provider, word: OutsideWord, role: Role, now: datetime) -> str:
        """Make a person; a login that is taken gets a number, and nobody else's account."""
        base = _LOGIN_PARTS.sub("-", word.login.partition("@")[0]).strip("-")[:50] or "person"
        name = " ".join(word.name.split())[:120] or base
        for number in range(1, _LOGINS + 1):
            login = base if number == 1 else f"{base}-{number}"
            try:
                person = self._people.let_in(login, name, role, now)
            except InvalidError as error:
                if error.code == "person.login-taken":
                    continue
                raise
            try:
                with self._database.write() as session:
                    self._add(session, person.id, provider, word, now)
            except IntegrityError as error:  # twice at the same instant: the other one is there
                raise InvalidError("outside.again") from error
            return person.id
        raise InvalidError("outside.login-taken", login=base)

    def _add(
        self,
        session: Session,
        person_id: str,
        provider: Provider,
        word: OutsideWord,
        now: datetime,
    ) -> None:
        if not 1 <= len(word.subject) <= _LONGEST or len(provider.issuer) > _LONGEST:
            raise InvalidError("outside.unknown", provider=provider.name)
        session.add(
            OutsideIdentity(
                issuer=provider.issuer,
                subject=word.subject,
                person_id=person_id,
                linked_at=now,
                used_at=now,
            )
        )
        what = Happened.OUTSIDE_LINKED
        note(session, self._workshop, person_id, what, now, by_id=person_id, detail=provider.issuer)

    def _set_role(self, person_id: str, role: Role, now: datetime) -> None:
        """Give the role that the groups say; an admin is made, and unmade, in the lab only."""
        with self._database.write() as session:
            person = session.get_one(Person, person_id)
            if person.role in (role.value, Role.ADMIN.value):
                return
            person.role = role.value
            session.execute(
                update(SignIn).where(SignIn.person_id == person_id).values(proved_at=None)
            )
            what = Happened.ROLE_BY_OUTSIDE
            note(session, self._workshop, person_id, what, now, by_id=person_id, detail=role.value)
