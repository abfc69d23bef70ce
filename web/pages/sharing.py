"""Time between people: offers for what was lost, waiting, swapping, coming, and one's choices."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from fastapi import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from jobs.domain.errors import InvalidError, NotFoundError, RefusedError
from jobs.domain.people import Role
from jobs.domain.policy import Refusal
from jobs.domain.sharing import SeriesPart
from jobs.services.views import AllocationView
from web.auth import CheckedFormDep, Form, Visitor, VisitorDep, needs
from web.context import Web, WebDep
from web.pages.calendar import instant, length_of
from web.pages.page import go, page
from web.routing import page_router

router = page_router()


def whole(form: Form, name: str, default: str) -> int:
    """Return a whole number of a form.

    :raises InvalidError: naming the field.
    """
    text = form.text(name, default)
    if not (text.isascii() and text.isdecimal() and len(text) < 7):
        raise InvalidError("form.number", field=name, key=name)
    return int(text)


@router.post("/bookings/offers/{offer_id}/take")
def take_offer(
    web: WebDep, visitor: VisitorDep, offer_id: str, _form: CheckedFormDep
) -> RedirectResponse:
    """Take what is kept instead of lost time."""
    made = web.services.offers.take(visitor.actor, offer_id, web.clock())
    return go("/bookings", "booked" if made else "changed")


@router.get("/machines/{slug}/wait")
def ask_wait(
    request: Request,
    web: WebDep,
    visitor: VisitorDep,
    slug: str,
    start: str = "",
    until: str = "",
    length: int = 60,
) -> HTMLResponse:
    """Ask for which time one waits; if it is not said, until the evening of that day."""
    begin, least = instant(web, start), length_of(length)
    evening = begin.astimezone(web.settings.zone).replace(hour=22, minute=0).astimezone(UTC)
    end = instant(web, until, "until") if until else max(evening, begin + least)
    values = {
        "start": _local(web, begin),
        "until": _local(web, end),
        "length": str(least // timedelta(minutes=1)),
    }
    return _ask_wait(request, web, visitor, slug, values)


@router.post("/machines/{slug}/wait")
def wait(
    request: Request, web: WebDep, visitor: VisitorDep, slug: str, form: CheckedFormDep
) -> Response:
    """Stand in the line, or say why not."""
    values = {name: form.text(name) for name in ("start", "until", "length")}
    try:
        start, until = (instant(web, values[name], name) for name in ("start", "until"))
        length = whole(form, "length", "60")
        web.services.waiting.join(visitor.actor, slug, start, until, length, web.clock())
    except InvalidError as error:
        return _ask_wait(request, web, visitor, slug, values, error=error)
    except RefusedError as error:
        return _ask_wait(request, web, visitor, slug, values, refusals=error.refusals)
    return go("/bookings", "waits")


@router.post("/bookings/waits/{wait_id}/{act}")
def settle_wait(
    web: WebDep, visitor: VisitorDep, wait_id: str, act: str, _form: CheckedFormDep
) -> RedirectResponse:
    """Take the time that is kept, or wait no more."""
    if act == "take":
        web.services.waiting.take(visitor.actor, wait_id, web.clock())
        return go("/bookings", "booked")
    if act != "leave":
        raise NotFoundError("booking.no-wait")
    web.services.waiting.leave(visitor.actor, wait_id, web.clock())
    return go("/bookings", "changed")


@router.get("/bookings/{allocation_id}/swap")
def ask_swap(
    request: Request, web: WebDep, visitor: VisitorDep, allocation_id: str
) -> HTMLResponse:
    """Choose which of one's own bookings to offer for another's."""
    return _ask_swap(request, web, visitor, allocation_id)


@router.post("/bookings/{allocation_id}/swap")
def swap(
    request: Request, web: WebDep, visitor: VisitorDep, allocation_id: str, form: CheckedFormDep
) -> Response:
    """Ask whoever has that booking to swap."""
    try:
        give = form.text("give")
        web.services.swapping.offer(visitor.actor, give, allocation_id, web.clock())
    except RefusedError as error:
        return _ask_swap(request, web, visitor, allocation_id, error.refusals)
    return go("/bookings", "swap-asked")


@router.post("/bookings/swaps/{swap_id}/{act}")
def settle_swap(
    web: WebDep, visitor: VisitorDep, swap_id: str, act: str, _form: CheckedFormDep
) -> RedirectResponse:
    """Agree, or say no."""
    if act == "accept":
        web.services.swapping.accept(visitor.actor, swap_id, web.clock())
        return go("/bookings", "swapped")
    if act != "decline":
        raise NotFoundError("booking.no-swap")
    web.services.swapping.decline(visitor.actor, swap_id, web.clock())
    return go("/bookings", "changed")


@router.post("/bookings/{allocation_id}/check-in")
def check_in(
    web: WebDep, visitor: VisitorDep, allocation_id: str, _form: CheckedFormDep
) -> RedirectResponse:
    """Say that one is there; what the machine asks before its use comes at once."""
    asked = web.services.there.check_in(visitor.actor, allocation_id, web.clock())
    return go(f"/checklists/{asked}" if asked else "/bookings", "checked-in")


@router.post("/bookings/{allocation_id}/end")
def end_early(
    web: WebDep, visitor: VisitorDep, allocation_id: str, _form: CheckedFormDep
) -> RedirectResponse:
    """Give the rest of one's time back."""
    web.services.there.end_early(visitor.actor, allocation_id, web.clock())
    return go("/bookings", "ended")


@router.post("/bookings/{allocation_id}/cancel-series")
def cancel_series(
    web: WebDep, visitor: VisitorDep, allocation_id: str, form: CheckedFormDep
) -> RedirectResponse:
    """Give back the rest of a series, or all of it."""
    try:
        part = SeriesPart(form.text("part"))
    except ValueError:
        raise InvalidError("sharing.part", field="part") from None
    web.services.repeating.cancel(visitor.actor, allocation_id, part, web.clock())
    return go("/bookings", "cancelled")


@router.post("/bookings/{allocation_id}/name")
def show_name(
    web: WebDep, visitor: VisitorDep, allocation_id: str, form: CheckedFormDep
) -> RedirectResponse:
    """Let others see whose it is, or not."""
    shows = form.text("show") == "1"
    web.services.bookings.show_name(visitor.actor, allocation_id, shows=shows, now=web.clock())
    return go("/bookings", "changed")


@router.post("/bookings/choices")
def choose(web: WebDep, visitor: VisitorDep, form: CheckedFormDep) -> RedirectResponse:
    """Keep one's choices: whether others see the name, and when to be reminded."""
    minutes = whole(form, "minutes", "60")
    web.services.lapsing.remind_before(visitor.actor, minutes)
    if form.text("end_minutes"):
        web.services.lapsing.remind_of_end(visitor.actor, whole(form, "end_minutes", "0"))
    web.services.bookings.show_names(visitor.actor, shows=form.text("show") == "1")
    return go("/bookings", "changed")


@router.post("/bookings/rules")
def decide(web: WebDep, visitor: VisitorDep, form: CheckedFormDep) -> RedirectResponse:
    """Decide the lab's own numbers."""
    needs(visitor, Role.ADMIN)
    names = web.services.sharing.get().to_json()
    values = {name: whole(form, name, str(value)) for name, value in names.items()}
    web.services.sharing.set(visitor.actor, values)
    return go("/bookings", "changed")


def _ask_wait(
    request: Request,
    web: Web,
    visitor: Visitor,
    slug: str,
    values: dict[str, str],
    *,
    error: InvalidError | None = None,
    refusals: Sequence[Refusal] = (),
) -> HTMLResponse:
    return page(
        request,
        web,
        visitor,
        "wait.html",
        status=422 if error else 409 if refusals else 200,
        machine=web.services.machines.get(slug, web.clock(), visitor.actor),
        values=values,
        refusals=refusals,
        error=error,
    )


def _ask_swap(
    request: Request,
    web: Web,
    visitor: Visitor,
    allocation_id: str,
    refusals: Sequence[Refusal] = (),
) -> HTMLResponse:
    now = web.clock()
    wanted = web.services.bookings.one(visitor.actor, allocation_id)
    own: list[AllocationView] = [
        one
        for one in web.services.bookings.mine(visitor.actor, now)
        if one.state.value == "active" and one.interval.start > now
    ]
    return page(
        request,
        web,
        visitor,
        "swap.html",
        status=409 if refusals else 200,
        wanted=wanted,
        own=own,
        names={one.slug: one.name for one in web.services.bookings.machines()},
        refusals=refusals,
    )


def _local(web: Web, at: datetime) -> str:
    return at.astimezone(web.settings.zone).strftime("%Y-%m-%dT%H:%M")
