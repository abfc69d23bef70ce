"""Keys of programs: each acts for a person within its scopes, is shown once, and may run out."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import or_, select, update

from jobs.domain.credentials import Happened, Scope, scopes_from, scopes_text
from jobs.domain.errors import InvalidError, NotFoundError
from jobs.domain.people import Actor, Role
from jobs.services import passwords
from jobs.services.authority import must_hold
from jobs.services.credentials import note
from jobs.services.signing_in import person_view
from jobs.services.workshop import Workshop
from jobs.store.tables import ApiKey, Person

EVERYTHING: Final = frozenset(Scope)
LONGEST_DAYS: Final = 3650
_LONGEST_NAME: Final = 80
_TOUCH: Final = timedelta(minutes=1)  # a call a second need not be a write a second


@dataclass(frozen=True, slots=True)
class ApiKeyView:
    """A program's key, without the secret."""

    id: str
    name: str
    scopes: frozenset[Scope]
    created_at: datetime
    expires_at: datetime | None
    used_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class KeyHolder:
    """For whom a program acts, and what its key lets it do for them."""

    actor: Actor
    scopes: frozenset[Scope]


class ApiKeys:
    """Use cases about keys; reached through `People`."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._database = workshop.database

    def make(
        self,
        actor: Actor,
        name: str,
        now: datetime,
        scopes: Collection[Scope] = EVERYTHING,
        days: int | None = None,
    ) -> tuple[str, str]:
        """Return the id and the secret of a key that acts for *actor*; the secret only once.

        :param days: until it ends; None: never.
        :raises InvalidError: naming the field.
        """
        name = name.strip()
        if not 1 <= len(name) <= _LONGEST_NAME:
            raise InvalidError("api-key.name", field="name", characters=_LONGEST_NAME)
        if not scopes:
            raise InvalidError("api-key.scopes", field="scopes")
        if days is not None and not 1 <= days <= LONGEST_DAYS:
            raise InvalidError("api-key.days", field="days", most=LONGEST_DAYS)
        secret = f"fab_{self._workshop.new_token()}"
        key = ApiKey(
            id=self._workshop.new_id(),
            person_id=actor.person_id,
            name=name,
            key_sha256=passwords.fingerprint(secret),
            scopes=scopes_text(scopes),
            created_at=now,
            expires_at=None if days is None else now + timedelta(days=days),
        )
        by = actor.person_id
        with self._database.write() as session:
            session.add(key)
            note(session, self._workshop, by, Happened.KEY_MADE, now, by_id=by, detail=name)
        return key.id, secret

    def holder(self, secret: str, now: datetime, *, touch: bool = True) -> KeyHolder | None:
        """Return for whom a program acts; None where key or person is not good any more.

        The key is found by its hash, so no comparison tells how much of a guess was right.
        """
        with self._database.read() as session:
            found = session.execute(
                select(ApiKey, Person)
                .join(Person, ApiKey.person_id == Person.id)
                .where(
                    ApiKey.key_sha256 == passwords.fingerprint(secret),
                    ApiKey.revoked_at.is_(None),
                    or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > now),
                    Person.disabled_at.is_(None),
                )
            ).one_or_none()
            if found is None:
                return None
            key, view = found[0], person_view(found[1])
        if touch and (key.used_at is None or now - key.used_at >= _TOUCH):
            with self._database.write() as session:
                session.execute(update(ApiKey).where(ApiKey.id == key.id).values(used_at=now))
        return KeyHolder(
            Actor(view.id, view.name, view.role, view.simulated), scopes_from(key.scopes)
        )

    def revoke(self, actor: Actor, key_id: str, now: datetime) -> None:
        """End a key at once: one's own, or as an admin anybody's."""
        with self._database.write() as session:
            key = session.get(ApiKey, key_id)
            if key is None:
                raise NotFoundError("api-key.unknown")
            if key.person_id != actor.person_id:
                must_hold(session, actor, Role.ADMIN)
            if key.revoked_at is None:
                key.revoked_at = now
                whose, by = key.person_id, actor.person_id
                note(
                    session,
                    self._workshop,
                    whose,
                    Happened.KEY_GONE,
                    now,
                    by_id=by,
                    detail=key.name,
                )

    def list(self, actor: Actor) -> Sequence[ApiKeyView]:
        """Return one's own keys, newest first."""
        with self._database.read() as session:
            rows = session.scalars(
                select(ApiKey)
                .where(ApiKey.person_id == actor.person_id)
                .order_by(ApiKey.created_at.desc())
            )
            return [
                ApiKeyView(
                    key.id,
                    key.name,
                    scopes_from(key.scopes),
                    key.created_at,
                    key.expires_at,
                    key.used_at,
                    key.revoked_at,
                )
                for key in rows
            ]
