"""Notices: what one was told, what one wants to be told of, and where."""

from __future__ import annotations

from datetime import datetime

from fastapi import Query
from pydantic import BaseModel

from jobs.domain.notices import Say, Topic, Way
from jobs.domain.people import Role
from jobs.services.notices import AddressView, NoticeView
from web.api.wishes import AddressIn
from web.auth import ApiVisitorDep, needs
from web.context import Web, WebDep
from web.routing import api_router

router = api_router("notices")


class NoticeOut(BaseModel):
    """One notice, with its sentence."""

    id: str
    at: datetime
    code: str
    text: str
    fields: dict[str, str | int | float]
    about: str
    read: bool

    @classmethod
    def of(cls, web: Web, one: NoticeView) -> NoticeOut:
        """Return the JSON form."""
        return cls(
            id=one.id,
            at=one.at,
            code=one.code,
            text=web.renderer.sentences.notice(one),
            fields=dict(one.fields),
            about=one.about,
            read=one.read,
        )


class AddressOut(BaseModel):
    """Where one is told things."""

    id: str
    way: Way
    target: str
    reached_at: datetime | None
    problem: str

    @classmethod
    def of(cls, one: AddressView) -> AddressOut:
        """Return the JSON form."""
        return cls(
            id=one.id,
            way=one.way,
            target=one.target,
            reached_at=one.reached_at,
            problem=one.problem,
        )


@router.get("/notices")
def notices(
    web: WebDep,
    visitor: ApiVisitorDep,
    limit: int = Query(50, ge=1, le=500),
    unread: bool = False,
) -> list[NoticeOut]:
    """What one was told, the newest first."""
    found = web.services.notices.list(visitor.actor, limit, unread=unread)
    return [NoticeOut.of(web, one) for one in found]


@router.post("/notices/read", status_code=204)
def read_all(web: WebDep, visitor: ApiVisitorDep) -> None:
    """Take note that all of them were read."""
    web.services.notices.read(visitor.actor, web.clock())


@router.post("/notices/{notice_id}/read", status_code=204)
def read(web: WebDep, visitor: ApiVisitorDep, notice_id: str) -> None:
    """Take note that one was read."""
    web.services.notices.read(visitor.actor, web.clock(), notice_id)


@router.get("/notices/choices")
def choices(web: WebDep, visitor: ApiVisitorDep) -> dict[Topic, Say]:
    """How one wants to hear of each topic."""
    return dict(web.services.notices.choices(visitor.actor))


@router.put("/notices/choices")
def choose(web: WebDep, visitor: ApiVisitorDep, wish: dict[Topic, Say]) -> dict[Topic, Say]:
    """Choose how to hear of some topics."""
    web.services.notices.choose(visitor.actor, wish)
    return dict(web.services.notices.choices(visitor.actor))


@router.get("/notices/ways")
def ways(web: WebDep, visitor: ApiVisitorDep) -> dict[Way, dict[str, str]]:
    """How notices leave the house, without passwords; for admins."""
    needs(visitor, Role.ADMIN)
    return {way: dict(values) for way, values in web.services.notices.ways().items()}


@router.put("/notices/ways/{way}", status_code=204)
def open_way(web: WebDep, visitor: ApiVisitorDep, way: Way, wish: dict[str, str]) -> None:
    """Let notices leave on a way; an empty password keeps the one that is there. For admins."""
    web.services.notices.open_way(visitor.actor, way, wish)


@router.delete("/notices/ways/{way}", status_code=204)
def close_way(web: WebDep, visitor: ApiVisitorDep, way: Way) -> None:
    """Let none leave on it any more; for admins."""
    web.services.notices.close_way(visitor.actor, way)


@router.get("/notices/addresses")
def addresses(web: WebDep, visitor: ApiVisitorDep) -> list[AddressOut]:
    """Where one is told things."""
    return [AddressOut.of(one) for one in web.services.notices.addresses(visitor.actor)]


@router.post("/notices/addresses", status_code=201)
def add_address(web: WebDep, visitor: ApiVisitorDep, wish: AddressIn) -> AddressOut:
    """Add an address; the first thing it gets says so."""
    made = web.services.notices.add_address(visitor.actor, wish.way, wish.target, web.clock())
    return AddressOut.of(made)


@router.delete("/notices/addresses/{address_id}", status_code=204)
def remove_address(web: WebDep, visitor: ApiVisitorDep, address_id: str) -> None:
    """Forget an address."""
    web.services.notices.remove_address(visitor.actor, address_id)
