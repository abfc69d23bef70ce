"""Presence on a machine's page, and the admin's page of kiosks and displays."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from jobs.domain.errors import InvalidError
from jobs.domain.people import Role
from jobs.services.at_kiosk import DeviceKind
from jobs.services.devices import DeviceView
from web.auth import CheckedFormDep, Visitor, VisitorDep, needs
from web.context import Web, WebDep
from web.pages.machines import machine_page
from web.pages.page import go, page, safe_next, sentence_of
from web.proof import ProvedFormDep
from web.routing import page_router

router = page_router()


@router.post("/machines/{slug}/presence")
def come(
    request: Request, web: WebDep, visitor: VisitorDep, slug: str, form: CheckedFormDep
) -> Response:
    """Take the code of the machine's display, or a person's word that they go."""
    back = safe_next(form.text("next", f"/machines/{slug}"))
    if form.text("leave"):
        web.services.proving.leave(visitor.actor, slug, web.clock())
        return go(back, "left")
    try:
        web.services.proving.by_code(visitor.actor, slug, form.text("code"), web.clock())
    except InvalidError as error:
        wrong = sentence_of(web, error)
        return machine_page(request, web, visitor, slug, status=422, wrong_code=wrong)
    return go(back, "present")


@router.get("/devices")
def devices(request: Request, web: WebDep, visitor: VisitorDep) -> HTMLResponse:
    """Show every kiosk and display."""
    return _page(request, web, visitor)


@router.post("/devices")
def make(request: Request, web: WebDep, visitor: VisitorDep, form: ProvedFormDep) -> HTMLResponse:
    """Add a device, and show its code this once."""
    needs(visitor, Role.ADMIN)
    machines = [one.removeprefix("at-") for one in form.texts() if one.startswith("at-")]
    if form.text("machine"):
        machines = [form.text("machine")]
    try:
        kind = _kind(form.text("kind"))
        made = web.services.devices.make(
            visitor.actor, kind, form.text("name"), machines, web.clock()
        )
    except InvalidError as error:
        return _page(request, web, visitor, values=form.texts(), error=error)
    return _page(request, web, visitor, made=made)


@router.post("/devices/settings")
def settings(request: Request, web: WebDep, visitor: VisitorDep, form: CheckedFormDep) -> Response:
    """Decide when a kiosk forgets whom, and whether one person's printers ask too."""
    needs(visitor, Role.ADMIN)
    try:
        idle_s = form.number("idle_s")
        web.services.devices.set_settings(
            visitor.actor,
            int(idle_s or 0),
            alone_asks=form.text("alone") == "on",
            keys=(form.text("badge_start"), form.text("badge_end")),
        )
    except InvalidError as error:
        return _page(request, web, visitor, values=form.texts(), error=error)
    return go("/devices", "kept")


@router.post("/devices/{device_id}/pair")
def pair(
    request: Request, web: WebDep, visitor: VisitorDep, device_id: str, _form: ProvedFormDep
) -> HTMLResponse:
    """Show a new code for a device."""
    needs(visitor, Role.ADMIN)
    made = web.services.devices.pair_again(visitor.actor, device_id, web.clock())
    return _page(request, web, visitor, made=made)


@router.post("/devices/{device_id}/revoke")
def revoke(
    web: WebDep, visitor: VisitorDep, device_id: str, _form: CheckedFormDep
) -> RedirectResponse:
    """End a device at once."""
    needs(visitor, Role.ADMIN)
    web.services.devices.revoke(visitor.actor, device_id, web.clock())
    return go("/devices", "revoked")


def _kind(text: str) -> DeviceKind:
    try:
        return DeviceKind(text)
    except ValueError:
        raise InvalidError("form.choice", field="kind", key="kind") from None


def _page(
    request: Request,
    web: Web,
    visitor: Visitor,
    *,
    values: dict[str, str] | None = None,
    made: tuple[DeviceView, str] | None = None,
    error: InvalidError | None = None,
) -> HTMLResponse:
    needs(visitor, Role.ADMIN)
    found = web.services.devices.list(visitor.actor)
    idle_s, alone_asks = web.services.devices.settings()
    start_key, end_key = web.services.devices.badge_keys()
    return page(
        request,
        web,
        visitor,
        "devices.html",
        devices=found,
        machines=web.services.machines.board(web.clock(), visitor.actor),
        kinds=list(DeviceKind),
        idle_s=idle_s,
        alone_asks=alone_asks,
        start_key=start_key,
        end_key=end_key,
        made=made,
        values=values or {},
        address=f"{request.url.scheme}://{request.url.netloc}/display",
        error=error,
    )
