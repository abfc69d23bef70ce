"""Who a screen is: a device's own cookie, which opens its few pages and nothing else."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request
from starlette.responses import Response

from jobs.services.devices import DeviceView
from web.context import Web, WebDep

_DAYS = 400  # as long as browsers keep any; given anew with each answer
_NAME = "fabnode-device"


def device_cookie(web: Web) -> str:
    """Return the name of a device's cookie."""
    return f"__Host-{_NAME}" if web.settings.secure_cookies else _NAME


def set_device(web: Web, response: Response, token: str) -> None:
    """Let the browser keep which device it is; no other site's page sends it along."""
    response.set_cookie(
        device_cookie(web),
        token,
        max_age=_DAYS * 86400,
        path="/",
        secure=web.settings.secure_cookies,
        httponly=True,
        samesite="strict",
    )


def find_device(request: Request, web: WebDep) -> DeviceView | None:
    """Return which device asks; None where the browser is none of ours. Blocks for a moment."""
    token = request.cookies.get(device_cookie(web))
    return web.services.devices.known(token, web.clock()) if token else None


def visit_token(request: Request, web: Web) -> str:
    """Return the token of who is at this kiosk; "" where nobody is."""
    return request.cookies.get(_visit_cookie(web), "")


def set_visit(web: Web, response: Response, token: str) -> None:
    """Let the browser keep who is at the kiosk, until it is closed at the latest."""
    response.set_cookie(
        _visit_cookie(web),
        token,
        path="/",
        secure=web.settings.secure_cookies,
        httponly=True,
        samesite="strict",
    )


def clear_visit(web: Web, response: Response) -> None:
    """Take that away again."""
    response.delete_cookie(
        _visit_cookie(web), path="/", secure=web.settings.secure_cookies, httponly=True
    )


def _visit_cookie(web: Web) -> str:
    return "__Host-fabnode-visit" if web.settings.secure_cookies else "fabnode-visit"


DeviceDep = Annotated[DeviceView | None, Depends(find_device)]
