"""Who is at a machine, and the devices that stand there."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from jobs.domain.presence import How
from jobs.services.at_kiosk import DeviceKind
from jobs.services.devices import DeviceView
from web.api.wishes import ShortText, WishIn
from web.auth import ApiVisitorDep, Visitor
from web.context import Web, WebDep
from web.rendering import utc
from web.routing import api_router

router = api_router("presence")


class CodeIn(WishIn):
    """What the machine's display shows now."""

    code: ShortText


class DeviceIn(WishIn):
    """A kiosk or a display; `machines` are slugs of those that it stands at."""

    kind: DeviceKind
    name: ShortText
    machines: Annotated[list[ShortText], Field(max_length=100, default_factory=list)]


@router.get("/machines/{slug}/presence")
def presence(web: WebDep, visitor: ApiVisitorDep, slug: str) -> dict[str, object]:
    """What the machine asks for, whether you count as standing there, and until when."""
    return _presence(web, visitor, slug)


@router.post("/machines/{slug}/presence")
def come(web: WebDep, visitor: ApiVisitorDep, slug: str, wish: CodeIn) -> dict[str, object]:
    """Say by the code on its display that you are there. Never for a program with a key."""
    web.services.proving.by_code(visitor.actor, slug, wish.code, web.clock())
    return _presence(web, visitor, slug)


@router.delete("/machines/{slug}/presence", status_code=204)
def leave(web: WebDep, visitor: ApiVisitorDep, slug: str) -> None:
    """Say that you go."""
    web.services.proving.leave(visitor.actor, slug, web.clock())


@router.get("/devices")
def devices(web: WebDep, visitor: ApiVisitorDep) -> list[dict[str, object]]:
    """Every kiosk and display; for admins who are signed in, not for keys."""
    return [_device(one) for one in web.services.devices.list(visitor.actor)]


@router.post("/devices", status_code=201)
def make(web: WebDep, visitor: ApiVisitorDep, wish: DeviceIn) -> dict[str, object]:
    """Add one; `pair_code` is typed at `/display` on its screen, and told only now."""
    view, code = web.services.devices.make(
        visitor.actor, wish.kind, wish.name, wish.machines, web.clock()
    )
    return {**_device(view), "pair_code": code}


@router.post("/devices/{device_id}/pair")
def pair(web: WebDep, visitor: ApiVisitorDep, device_id: str) -> dict[str, object]:
    """A new code for another screen; the one that had it shows nothing any more."""
    view, code = web.services.devices.pair_again(visitor.actor, device_id, web.clock())
    return {**_device(view), "pair_code": code}


@router.post("/devices/{device_id}/revoke", status_code=204)
def revoke(web: WebDep, visitor: ApiVisitorDep, device_id: str) -> None:
    """End a device at once."""
    web.services.devices.revoke(visitor.actor, device_id, web.clock())


def _presence(web: Web, visitor: Visitor, slug: str) -> dict[str, object]:
    view = web.services.proving.view(visitor.actor, slug, web.clock())
    return {
        "asked": sorted(how.value for how in How if how in view.need.proofs),
        "word_will_do": view.need.word,
        "here_until": None if view.until is None else utc(view.until),
        "how": view.how,
        "shows_code": view.shows_code,
        "kiosks": list(view.kiosks),
        "minutes": view.minutes,
    }


def _device(view: DeviceView) -> dict[str, object]:
    times = {
        "made_at": view.made_at,
        "paired_at": view.paired_at,
        "seen_at": view.seen_at,
        "revoked_at": view.revoked_at,
    }
    return {
        "id": view.id,
        "kind": view.kind.value,
        "name": view.name,
        "machines": [slug for slug, _ in view.machines],
        **{name: None if at is None else utc(at) for name, at in times.items()},
    }
