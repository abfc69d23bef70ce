"""People for programs: invitations, terms and badges; the roles are asked as on the pages."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from jobs.domain.people import Role
from jobs.services.joining import InviteWish
from jobs.services.standings import TermsView, TermsWish
from web.api.wishes import Instant, ShortText, WishIn
from web.auth import ApiVisitorDep
from web.context import WebDep
from web.routing import api_router

router = api_router("lab")


class TermsIn(WishIn):
    """Every field as it shall be; `machines` are slugs, `sponsor` a login."""

    ends_at: Instant | None = None
    sponsor: ShortText = ""
    machines: Annotated[tuple[ShortText, ...], Field(max_length=200)] = ()
    named_only: bool = False
    is_minor: bool = False
    guardian: ShortText = ""
    guardian_reach: ShortText = ""
    has_consent: bool = False

    def wish(self) -> TermsWish:
        """Return what is wished."""
        return TermsWish(**self.model_dump())


class InviteIn(WishIn):
    """An invitation; for a guest with terms."""

    role: Role = Role.MEMBER
    name: ShortText = ""
    terms: TermsIn = TermsIn()


class BadgeIn(WishIn):
    """The number that a reader types; only a keyed hash of it is kept."""

    number: ShortText


class InvitedOut(BaseModel):
    """The path of the one-time link."""

    path: str


@router.post("/invites", status_code=201)
def invite(web: WebDep, visitor: ApiVisitorDep, wish: InviteIn) -> InvitedOut:
    """Invite somebody; the link works once, within seven days."""
    made = InviteWish(wish.role, wish.name, wish.terms.wish())
    token = web.services.joining.invite(visitor.actor, made, web.clock())
    return InvitedOut(path=f"/join/{token}")


@router.get("/people/{person_id}/terms")
def terms(web: WebDep, visitor: ApiVisitorDep, person_id: str) -> TermsView:
    """On what terms a person is here; for themselves, trainers and staff."""
    found = web.services.standings.get(visitor.actor, person_id, web.clock())
    web.services.looks.note(visitor.actor, [person_id], "person", web.clock())
    return found


@router.put("/people/{person_id}/terms")
def set_terms(web: WebDep, visitor: ApiVisitorDep, person_id: str, wish: TermsIn) -> TermsView:
    """Set them; bookings beyond the end are given back."""
    return web.services.standings.set(visitor.actor, person_id, wish.wish(), web.clock())


@router.post("/people/{person_id}/badges", status_code=204)
def give_badge(web: WebDep, visitor: ApiVisitorDep, person_id: str, wish: BadgeIn) -> None:
    """Give a person a badge; they set a PIN when they first use it."""
    web.services.badges.give(visitor.actor, person_id, wish.number, web.clock())
