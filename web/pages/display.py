"""What a screen of the house shows by itself: one machine with its code, or all from afar."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import HTMLResponse, Response

from jobs.domain.errors import InvalidError
from jobs.domain.machine import Control
from jobs.domain.modules import Module
from jobs.services.at_kiosk import DeviceKind
from jobs.services.devices import DeviceView
from web.auth import FormDep
from web.context import Web, WebDep
from web.displays import DeviceDep, device_cookie, set_device
from web.pages.board import card
from web.pages.page import go, sentence_of
from web.routing import page_router

router = page_router()


@router.get("/display")
def show(request: Request, web: WebDep, device: DeviceDep) -> Response:
    """Show what this screen is for; one that nobody paired, or with `?set-up`, asks for a code."""
    if device is None or "set-up" in request.query_params:
        return bare(web, "display_pair.html", problem="", device=None)
    if device.kind is DeviceKind.KIOSK:
        return go("/kiosk")
    response = _display(web, device) if device.kind is DeviceKind.DISPLAY else _wall(web, device)
    set_device(web, response, request.cookies[device_cookie(web)])
    return response


@router.post("/display/pair")
def pair(web: WebDep, form: FormDep) -> Response:
    """Make this browser the device that the code is for."""
    try:
        _, token = web.services.devices.pair(form.text("code"), web.clock())
    except InvalidError as error:
        problem = sentence_of(web, error)
        return bare(web, "display_pair.html", 422, problem=problem, device=None)
    response = go("/display")
    set_device(web, response, token)
    return response


def _display(web: Web, device: DeviceView) -> Response:
    now = web.clock()
    slug = device.machines[0][0] if device.machines else ""
    machine = web.services.machines.get(slug, now, None) if slug else None
    return bare(
        web,
        "display.html",
        device=device,
        card=card(web, machine) if machine else None,
        shown=web.services.devices.shown(device, now) if machine else None,
        coming=web.services.devices.coming(device, now).get(slug, ()),
    )


def _wall(web: Web, device: DeviceView) -> Response:
    now = web.clock()
    chosen = {slug for slug, _ in device.machines}
    machines = web.services.machines.board(now, None)
    shown = [one for one in machines if one.slug in chosen or not chosen]
    return bare(
        web,
        "wall.html",
        device=device,
        cards=[card(web, one) for one in shown],
        coming=web.services.devices.coming(device, now),
        house=web.services.visits.display(now) if counts(web) else None,
        none=Control.NONE,
    )


def counts(web: Web) -> bool:
    """Tell whether people check in at this house."""
    return web.shares() and Module.HOUSE in web.services.modules.on()


def bare(web: Web, template: str, status: int = 200, **values: object) -> HTMLResponse:
    """Return a page without the house's frame: nobody is signed in here."""
    values = {"here": "", "visitor": None, "csrf": "", "now": web.clock(), **values}
    return HTMLResponse(web.renderer.html(template, **values), status)
