"""One's own sign-ins and keys, and proving again who one is; for browsers, never for keys."""

from __future__ import annotations

from datetime import datetime

from fastapi import Request
from pydantic import BaseModel, Field

from jobs.domain.credentials import Scope
from jobs.services.api_keys import ApiKeyView
from jobs.services.views import SignInView
from web.auth import ApiVisitorDep
from web.context import WebDep
from web.proof import ProvedVisitorDep, prove
from web.routing import api_router

router = api_router("sign-in")


class ProofIn(BaseModel):
    """The password, once more."""

    password: str = Field(max_length=1024)


class SignInOut(BaseModel):
    """Where a person is signed in."""

    id: str
    way: str
    device: str
    created_at: datetime
    seen_at: datetime
    this: bool

    @classmethod
    def of(cls, view: SignInView, this: str) -> SignInOut:
        """Return the JSON form."""
        return cls(
            id=view.id,
            way=view.way,
            device=view.device,
            created_at=view.created_at,
            seen_at=view.seen_at,
            this=view.id == this,
        )


class KeyIn(BaseModel):
    """A key to be made: what for, what it may do, and for how long."""

    name: str = Field(max_length=80)
    scopes: list[Scope] = Field(min_length=1, max_length=5)
    days: int | None = Field(default=None, ge=1, le=3650)


class KeyOut(BaseModel):
    """A key; the secret only when it is made."""

    id: str
    name: str
    scopes: list[Scope]
    created_at: datetime
    expires_at: datetime | None
    used_at: datetime | None
    secret: str | None = None

    @classmethod
    def of(cls, key: ApiKeyView, secret: str | None = None) -> KeyOut:
        """Return the JSON form."""
        return cls(
            id=key.id,
            name=key.name,
            scopes=sorted(key.scopes, key=list(Scope).index),
            created_at=key.created_at,
            expires_at=key.expires_at,
            used_at=key.used_at,
            secret=secret,
        )


@router.post("/proof", status_code=204)
def take_proof(request: Request, web: WebDep, visitor: ApiVisitorDep, wish: ProofIn) -> None:
    """Prove again who one is; good for ten minutes. The cookie changes."""
    prove(request, web, visitor, wish.password)


@router.get("/sign-ins")
def sign_ins(web: WebDep, visitor: ApiVisitorDep) -> list[SignInOut]:
    """Where one is signed in."""
    this = visitor.sign_in.id if visitor.sign_in else ""
    found = web.services.people.sign_ins(visitor.actor.person_id, web.clock())
    return [SignInOut.of(one, this) for one in found]


@router.delete("/sign-ins/{sign_in_id}", status_code=204)
def end_sign_in(web: WebDep, visitor: ApiVisitorDep, sign_in_id: str) -> None:
    """End one of one's own sign-ins."""
    web.services.people.end_sign_in(visitor.actor.person_id, sign_in_id)


@router.get("/keys")
def keys(web: WebDep, visitor: ApiVisitorDep) -> list[KeyOut]:
    """One's own keys that are good, without their secrets."""
    found = web.services.people.api_keys(visitor.actor)
    return [KeyOut.of(one) for one in found if one.revoked_at is None]


@router.post("/keys", status_code=201)
def make_key(web: WebDep, visitor: ProvedVisitorDep, wish: KeyIn) -> KeyOut:
    """Make a key for a program; the secret is shown only now."""
    people = web.services.people
    key_id, secret = people.make_api_key(
        visitor.actor, wish.name, web.clock(), wish.scopes, wish.days
    )
    made = next(one for one in people.api_keys(visitor.actor) if one.id == key_id)
    return KeyOut.of(made, secret)


@router.delete("/keys/{key_id}", status_code=204)
def revoke_key(web: WebDep, visitor: ApiVisitorDep, key_id: str) -> None:
    """End a key at once."""
    web.services.people.revoke_api_key(visitor.actor, key_id, web.clock())
