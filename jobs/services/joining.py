"""Joining: by invitation, by asking to be let in, as far as the lab lets people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, delete, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from jobs.domain.errors import InvalidError, NotAllowedError, NotFoundError
from jobs.domain.people import Actor, Role, SignUp, is_at_least
from jobs.services import passwords
from jobs.services.authority import TURN, held, may_give, must_hold
from jobs.services.clearing import staff_of
from jobs.services.notices import tell
from jobs.services.people import alias_of, checked_login, checked_name
from jobs.services.signing_in import person_view
from jobs.services.standings import TermsWish, set_terms
from jobs.services.turns import take_turn
from jobs.services.views import PersonView
from jobs.services.workshop import Workshop
from jobs.store.persons import Invite, Standing
from jobs.store.tables import Machine, Person, PersonAlias, Setting

INVITED_FOR: Final = timedelta(days=7)
_SIGN_UP: Final = "people.sign-up"
_MOST_INVITES: Final = 500  # open at once
_MOST_ASKING: Final = 50  # who wait to be let in
_MOST_AN_HOUR: Final = 20  # who sign themselves up


@dataclass(frozen=True, slots=True)
class InviteWish:
    """On what terms somebody is invited.

    :param name: what the invitation calls them; they may write it otherwise.
    :param terms: a guest's: their end, who vouches, their machines.
    """

    role: Role = Role.MEMBER
    name: str = ""
    terms: TermsWish = field(default_factory=TermsWish)


@dataclass(frozen=True, slots=True)
class InviteView:
    """An invitation that nobody has taken yet."""

    id: str
    name: str
    role: Role
    ends_at: datetime | None
    made_by: str
    expires_at: datetime


class Joining:
    """Use cases of who comes new, and of who lets them in."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._database = workshop.database

    def invite(self, actor: Actor, wish: InviteWish, now: datetime) -> str:
        """Return the token of a link by which one person joins, within seven days.

        :raises NotAllowedError: for a role that *actor* does not hold.
        """
        name = checked_name(wish.name) if wish.name.strip() else ""
        if wish.role is Role.GUEST and wish.terms.ends_at is None:
            raise InvalidError("terms.guest-end", field="ends_at")
        token = self._workshop.new_token()
        with self._database.write() as session:
            take_turn(session, TURN)
            may_give(session, actor, wish.role)
            session.execute(delete(Invite).where(_is_open(), Invite.expires_at <= now))
            count = session.scalar(select(func.count()).select_from(Invite).where(_is_open()))
            if (count or 0) >= _MOST_INVITES:
                raise InvalidError("invite.enough", field="role", count=_MOST_INVITES)
            sponsor = _by_login(session, wish.terms.sponsor) if wish.terms.sponsor else None
            wanted = select(Machine.slug, Machine.id).where(Machine.slug.in_(wish.terms.machines))
            ids = {row.slug: row.id for row in session.execute(wanted)}
            session.add(
                Invite(
                    id=self._workshop.new_id(),
                    token_sha256=passwords.fingerprint(token),
                    name=name,
                    role=wish.role.value,
                    sponsor_id=sponsor.id if sponsor else actor.person_id,
                    ends_at=wish.terms.ends_at,
                    machines=[ids[slug] for slug in wish.terms.machines if slug in ids],
                    made_by=actor.person_id,
                    made_at=now,
                    expires_at=now + INVITED_FOR,
                )
            )
        return token

    def invites(self, actor: Actor, now: datetime) -> Sequence[InviteView]:
        """Return the invitations that may still be taken; for staff."""
        with self._database.read() as session:
            must_hold(session, actor, Role.OPERATOR)
            rows = session.execute(
                select(Invite, Person.name)
                .join(Person, Person.id == Invite.made_by)
                .where(_is_open(), Invite.expires_at > now)
                .order_by(Invite.made_at.desc(), Invite.id)
            )
            return [
                InviteView(row.id, row.name, Role(row.role), row.ends_at, by, row.expires_at)
                for row, by in rows
            ]

    def withdraw(self, actor: Actor, invite_id: str) -> None:
        """Make an invitation worthless."""
        with self._database.write() as session:
            take_turn(session, TURN)
            row = session.get(Invite, invite_id)
            if row is None or row.used_at is not None:
                raise NotFoundError("invite.unknown")
            may_give(session, actor, Role(row.role))
            session.delete(row)

    def invited(self, token: str, now: datetime) -> InviteView:
        """Return what an invitation offers to who holds it.

        :raises InvalidError: `invite.over`.
        """
        with self._database.read() as session:
            row = _invite(session, token, now)
            by = session.get_one(Person, row.made_by).name
            return InviteView(row.id, row.name, Role(row.role), row.ends_at, by, row.expires_at)

    def accept(self, token: str, name: str, login: str, password: str, now: datetime) -> PersonView:
        """Become a person of the house. A second use of the link is refused.

        What whoever invited holds *now* bounds what they gave: a role that they lost, or a lock-out
        meanwhile, makes the invitation worthless.

        :raises InvalidError: `invite.over`, or naming the field.
        """
        with self._database.read() as session:  # before the slow hash
            _invite(session, token, now)
        person = self._person(name, login, password, now)
        try:
            with self._database.write() as session:
                take_turn(session, TURN)
                row = _invite(session, token, now)
                person.role = row.role
                self._add(session, person)
                row.used_at, row.person_id = now, person.id
                inviter = session.get_one(Person, row.made_by)
                if row.ends_at is not None or row.role == Role.GUEST.value:
                    self._terms(session, inviter, person, row, now)
        except IntegrityError as error:
            raise InvalidError("person.login-taken", field="login", login=login) from error
        return person_view(person)

    def sign_up(self) -> SignUp:
        """Return whether people may sign themselves up."""
        with self._database.read() as session:
            return _sign_up(session)

    def set_sign_up(self, actor: Actor, how: SignUp) -> None:
        """Decide that for the lab."""
        with self._database.write() as session:
            must_hold(session, actor, Role.ADMIN)
            session.merge(Setting(key=_SIGN_UP, value=how.value))

    def apply(self, name: str, login: str, password: str, now: datetime) -> PersonView:
        """Sign oneself up as a member, or ask to be let in where the lab wants to decide.

        :raises NotAllowedError: `sign-up.off`.
        :raises InvalidError: `sign-up.many` while too many come at once, or naming the field.
        """
        with self._database.read() as session:  # before the slow hash
            _room(session, now)
        person = self._person(name, login, password, now)
        try:
            with self._database.write() as session:
                take_turn(session, TURN)
                how = _room(session, now)
                self._add(session, person)
                if how is SignUp.ASKED:
                    person.disabled_at = now
                    session.add(Standing(person_id=person.id, applied_at=now))
                    for one in staff_of(session):
                        fields = {"person": person.name}
                        tell(session, self._workshop, one, "person-asks", fields, now, "people")
        except IntegrityError as error:
            raise InvalidError("person.login-taken", field="login", login=login) from error
        return person_view(person)

    def asking(self, actor: Actor) -> Sequence[PersonView]:
        """Return who waits to be let in, in the order in which they asked; for staff."""
        with self._database.read() as session:
            must_hold(session, actor, Role.OPERATOR)
            rows = session.scalars(
                select(Person)
                .join(Standing, Standing.person_id == Person.id)
                .where(Standing.applied_at.is_not(None))
                .order_by(Standing.applied_at, Person.id)
            )
            return [person_view(one) for one in rows]

    def decide(self, actor: Actor, person_id: str, *, lets_in: bool) -> None:
        """Let somebody in who asked, or not: then nothing of them is kept."""
        with self._database.write() as session:
            take_turn(session, TURN)
            must_hold(session, actor, Role.OPERATOR)
            row = session.get(Standing, person_id)
            if row is None or row.applied_at is None:
                raise NotFoundError("person.unknown")
            person = session.get_one(Person, person_id)
            if lets_in:
                row.applied_at, person.disabled_at = None, None
            else:
                session.delete(row)
                session.execute(delete(PersonAlias).where(PersonAlias.person_id == person_id))
                session.flush()
                session.delete(person)

    def _person(self, name: str, login: str, password: str, now: datetime) -> Person:
        login, name = checked_login(login), checked_name(name)
        return Person(
            id=self._workshop.new_id(),
            login=login,
            name=name,
            role=Role.MEMBER.value,
            password_hash=passwords.hashed(passwords.checked(password)),
            simulated=False,
            created_at=now,
        )

    def _add(self, session: Session, person: Person) -> None:
        session.add(person)
        session.flush()
        alias_of(session, person.id, self._workshop)

    def _terms(
        self, session: Session, inviter: Person, person: Person, row: Invite, now: datetime
    ) -> None:
        sponsor = session.get(Person, row.sponsor_id) if row.sponsor_id else None
        if sponsor is None or sponsor.disabled_at is not None:  # left meanwhile
            sponsor = inviter
        slugs = session.scalars(select(Machine.slug).where(Machine.id.in_(row.machines)))
        wish = TermsWish(row.ends_at, sponsor.login, list(slugs))
        actor = Actor(inviter.id, inviter.name, Role(inviter.role))
        set_terms(session, self._workshop, actor, person, wish, now)


def _is_open() -> ColumnElement[bool]:
    return Invite.used_at.is_(None)


def _invite(session: Session, token: str, now: datetime) -> Invite:
    row = session.scalar(
        select(Invite).where(
            Invite.token_sha256 == passwords.fingerprint(token),
            Invite.used_at.is_(None),
            Invite.expires_at > now,
        )
    )
    holds = None if row is None else held(session, row.made_by)
    needed = _higher(Role.OPERATOR, Role(row.role)) if row is not None else Role.ADMIN
    if row is None or holds is None or not is_at_least(holds, needed):
        raise InvalidError("invite.over")
    return row


def _higher(one: Role, other: Role) -> Role:
    return one if is_at_least(one, other) else other


def _sign_up(session: Session) -> SignUp:
    row = session.get(Setting, _SIGN_UP)
    return SignUp.OFF if row is None else SignUp(row.value)


def _room(session: Session, now: datetime) -> SignUp:
    """Return how the lab lets people sign up, if it does and there is room for one more."""
    how = _sign_up(session)
    if how is SignUp.OFF:
        raise NotAllowedError("sign-up.off")
    asking = session.scalar(
        select(func.count()).select_from(Standing).where(Standing.applied_at.is_not(None))
    )
    lately = session.scalar(
        select(func.count())
        .select_from(Person)
        .where(Person.created_at > now - timedelta(hours=1), Person.password_hash.is_not(None))
    )
    if (asking or 0) >= _MOST_ASKING or (lately or 0) >= _MOST_AN_HOUR:
        raise InvalidError("sign-up.many", field="name")
    return how


def _by_login(session: Session, login: str) -> Person:
    found = session.scalar(select(Person).where(Person.login == login.strip().casefold()))
    if found is None:
        raise InvalidError("terms.no-sponsor", field="sponsor", login=login[:64])
    return found
