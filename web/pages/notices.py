"""What one is told: the notices, what to be told of, and where else than on these pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from fastapi import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from jobs.domain.errors import InvalidError
from jobs.domain.notices import MUST_KNOW, Say, Topic, Way
from jobs.domain.people import Role
from web.auth import CheckedFormDep, Visitor, VisitorDep, needs
from web.context import Web, WebDep
from web.pages.page import go, page
from web.routing import page_router

router = page_router()

# The page of what a notice is about, by the word before its colon.
PLACES: Final[Mapping[str, str]] = {
    "booking": "/bookings",
    "contest": "/contests",
    "house": "/house/in",
    "job": "/jobs/{}",
    "machine": "/machines/{}",
    "me": "/me",
    "near-miss": "/near-misses",
    "people": "/people",
    "person": "/people/{}",
    "proposal": "/proposals/{}",
    "swap": "/bookings",
    "training": "/trainings/{}",
    "wait": "/bookings",
}


def place_of(about: str) -> str:
    """Return the page of what a notice is about; "" if there is none.

    >>> place_of("job:7"), place_of("booking:7"), place_of("")
    ('/jobs/7', '/bookings', '')
    """
    word, _, what = about.partition(":")
    return PLACES.get(word, "").format(what)


@router.get("/notices")
def show(request: Request, web: WebDep, visitor: VisitorDep) -> HTMLResponse:
    """Show what one was told."""
    return _show(request, web, visitor)


@router.post("/notices/read")
def read(web: WebDep, visitor: VisitorDep, form: CheckedFormDep) -> RedirectResponse:
    """Take note that one notice was read, or all."""
    web.services.notices.read(visitor.actor, web.clock(), form.text("notice") or None)
    return go("/notices")


@router.post("/notices/choices")
def choose(web: WebDep, visitor: VisitorDep, form: CheckedFormDep) -> RedirectResponse:
    """Keep what one wants to be told of."""
    try:
        choices = {topic: Say(form.text(topic.value)) for topic in Topic}
    except ValueError:
        raise InvalidError("notices.choice", field="choice") from None
    web.services.notices.choose(visitor.actor, choices)
    return go("/notices", "changed")


@router.post("/notices/addresses")
def add_address(
    request: Request, web: WebDep, visitor: VisitorDep, form: CheckedFormDep
) -> Response:
    """Add an address; the first thing it gets says so."""
    target = form.text("target")
    try:
        way = _way(form.text("way"))
        web.services.notices.add_address(visitor.actor, way, target, web.clock())
    except InvalidError as error:
        return _show(request, web, visitor, error=error, target=target)
    return go("/notices", "changed")


@router.post("/notices/addresses/{address_id}/remove")
def remove_address(
    web: WebDep, visitor: VisitorDep, address_id: str, _form: CheckedFormDep
) -> RedirectResponse:
    """Forget an address."""
    web.services.notices.remove_address(visitor.actor, address_id)
    return go("/notices", "changed")


@router.post("/notices/ways/{way}")
def open_way(
    request: Request, web: WebDep, visitor: VisitorDep, way: str, form: CheckedFormDep
) -> Response:
    """Let notices leave the house on a way, or end that."""
    needs(visitor, Role.ADMIN)
    try:
        if form.text("close"):
            web.services.notices.close_way(visitor.actor, _way(way))
        else:
            values = form.texts() | {"password": form.secret("password")}
            web.services.notices.open_way(visitor.actor, _way(way), values)
    except InvalidError as error:
        return _show(request, web, visitor, error=error)
    return go("/notices", "changed")


def _way(word: str) -> Way:
    try:
        return Way(word)
    except ValueError:
        raise InvalidError("notices.way", field="way") from None


def _show(
    request: Request,
    web: Web,
    visitor: Visitor,
    *,
    error: InvalidError | None = None,
    target: str = "",
) -> HTMLResponse:
    notices = web.services.notices
    return page(
        request,
        web,
        visitor,
        "notices.html",
        notices=notices.list(visitor.actor),
        offers=web.services.offers.mine(visitor.actor, web.clock()) if web.books() else [],
        place_of=place_of,
        topics=list(Topic),
        says=list(Say),
        must_know=MUST_KNOW,
        choices=notices.choices(visitor.actor),
        addresses=notices.addresses(visitor.actor),
        ways=notices.ways(),
        error=error,
        target=target,
    )
