"""Calendars for other programs, by a secret link: no sign-in, nothing but these entries."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from web.auth import CheckedFormDep, VisitorDep
from web.context import WebDep
from web.pages.bookings import show_bookings
from web.pages.page import go
from web.routing import page_router

router = page_router()


@router.get("/feeds/{token}/bookings.ics")
def own(web: WebDep, token: str) -> Response:
    """Return the bookings of whoever made the link."""
    return _calendar(web.services.feeds.own(token, web.clock(), web.catalogue))


@router.get("/feeds/{token}/machines/{slug}.ics")
def machine(web: WebDep, token: str, slug: str) -> Response:
    """Return a machine's calendar as whoever made the link may see it."""
    return _calendar(web.services.feeds.machine(token, slug, web.clock(), web.catalogue))


@router.post("/bookings/link")
def make(request: Request, web: WebDep, visitor: VisitorDep, _form: CheckedFormDep) -> HTMLResponse:
    """Make the link and show it this once; the one before stops working."""
    token = web.services.feeds.make(visitor.actor, web.clock())
    feed = f"{request.base_url}feeds/{token}"
    return show_bookings(request, web, visitor, feed=feed)


@router.post("/bookings/link/end")
def end(web: WebDep, visitor: VisitorDep, _form: CheckedFormDep) -> RedirectResponse:
    """Have the link work no more."""
    web.services.feeds.end(visitor.actor)
    return go("/bookings", "changed")


def _calendar(body: bytes) -> Response:
    return Response(body, media_type="text/calendar; charset=utf-8")
