"""One's own bookings: seen, moved, made longer or shorter, given back."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from jobs.domain.calendar import AllocationKind
from jobs.domain.errors import InvalidError, NotFoundError, RefusedError
from jobs.domain.policy import Refusal
from jobs.domain.sharing import CHECK_IN_OPENS, END_MIN, REMIND_MIN
from jobs.services.views import AllocationView
from web.auth import CheckedFormDep, Visitor, VisitorDep
from web.context import Web, WebDep
from web.pages.calendar import instant, plea_of
from web.pages.page import go, page
from web.routing import page_router

router = page_router()

_FORM_TIME = "%Y-%m-%dT%H:%M"


@router.get("/bookings")
def mine(request: Request, web: WebDep, visitor: VisitorDep) -> HTMLResponse:
    """Show one's own bookings."""
    return show_bookings(request, web, visitor)


def show_bookings(request: Request, web: Web, visitor: Visitor, feed: str = "") -> HTMLResponse:
    """Return the page of one's own bookings.

    :param feed: address of the calendars' secret link that was just made.
    """
    now, services = web.clock(), web.services
    names = {one.slug: one.name for one in services.bookings.machines()}
    mine = services.bookings.mine(visitor.actor, now)
    return page(
        request,
        web,
        visitor,
        "bookings.html",
        bookings=mine,
        done_for=services.behalf.about([f"booking:{one.id}" for one in mine]),
        offers=services.offers.mine(visitor.actor, now),
        waits=services.waiting.mine(visitor.actor),
        swaps=services.swapping.open(visitor.actor, now),
        names=names,
        opens=CHECK_IN_OPENS,
        shows_names=services.bookings.shows_names(visitor.actor),
        remind_min=services.lapsing.reminds_before(visitor.actor),
        reminders_min=REMIND_MIN,
        end_min=services.lapsing.reminds_of_end(visitor.actor),
        ends_min=END_MIN,
        rules=services.sharing.get().to_json(),
        feed=feed,
        feed_made_at=web.services.feeds.made_at(visitor.actor),
    )


@router.post("/bookings/{allocation_id}/cancel")
def cancel(
    web: WebDep, visitor: VisitorDep, allocation_id: str, _form: CheckedFormDep
) -> RedirectResponse:
    """Give a booking back."""
    web.services.bookings.cancel(visitor.actor, allocation_id, web.clock())
    return go("/bookings", "cancelled")


@router.get("/bookings/{allocation_id}/move")
def ask_where(
    request: Request, web: WebDep, visitor: VisitorDep, allocation_id: str
) -> HTMLResponse:
    """Ask for the new time."""
    booking = _own(web, visitor, allocation_id)
    return _ask(request, web, visitor, booking, *_local(web, booking))


@router.post("/bookings/{allocation_id}/move")
def move(
    request: Request, web: WebDep, visitor: VisitorDep, allocation_id: str, form: CheckedFormDep
) -> Response:
    """Move it, or say every reason why not."""
    booking = _own(web, visitor, allocation_id)
    wanted = form.text("start"), form.text("end")
    known = _local(web, booking)
    try:
        # A form knows whole minutes: what a person left alone stays to the second.
        start, end = (
            old if text == shown else instant(web, text, field)
            for text, shown, old, field in zip(
                wanted,
                known,
                (booking.interval.start, booking.interval.end),
                ("start", "end"),
                strict=True,
            )
        )
        made = web.services.bookings.move(
            visitor.actor, allocation_id, start, end, web.clock(), plea_of(form)
        )
    except InvalidError as error:
        return _ask(request, web, visitor, booking, *wanted, error=error)
    except RefusedError as error:
        return _ask(request, web, visitor, booking, *wanted, refusals=error.refusals)
    return go("/bookings", "asked" if made.kind is AllocationKind.HOLD else "moved")


def _own(web: Web, visitor: Visitor, allocation_id: str) -> AllocationView:
    bookings = web.services.bookings.mine(visitor.actor, web.clock())
    found = next((one for one in bookings if one.id == allocation_id), None)
    if found is None:
        raise NotFoundError("booking.unknown")
    return found


def _local(web: Web, booking: AllocationView) -> tuple[str, str]:
    start, end = (
        at.astimezone(web.settings.zone).strftime(_FORM_TIME)
        for at in (booking.interval.start, booking.interval.end)
    )
    return start, end


def _ask(
    request: Request,
    web: Web,
    visitor: Visitor,
    booking: AllocationView,
    start: str,
    end: str,
    *,
    error: InvalidError | None = None,
    refusals: Sequence[Refusal] = (),
) -> HTMLResponse:
    machine = web.services.machines.get(booking.machine_slug, web.clock(), visitor.actor)
    return page(
        request,
        web,
        visitor,
        "booking_move.html",
        status=422 if error else 409 if refusals else 200,
        booking=booking,
        machine=machine,
        start=start,
        end=end,
        refusals=refusals,
        error=error,
    )
