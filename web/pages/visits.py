"""Who is in the house: coming and going, and the list for a fire alarm."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from jobs.domain.errors import InvalidError, NotFoundError
from jobs.domain.people import Role
from web.auth import CheckedFormDep, Form, Visitor, VisitorDep
from web.context import Web, WebDep
from web.pages.learning import number
from web.pages.page import go, page
from web.pages.rules import must_share
from web.routing import page_router

router = page_router()


@router.get("/house/in")
def who_is_in(request: Request, web: WebDep, visitor: VisitorDep) -> HTMLResponse:
    """Show who is in, to print and to read out."""
    return _show(request, web, visitor)


@router.post("/house/in/{act}")
def come_or_go(
    request: Request, web: WebDep, visitor: VisitorDep, act: str, form: CheckedFormDep
) -> Response:
    """Check in or out: oneself, as a trainer others, and visitors by name."""
    must_share(web)
    service, actor, now = web.services.visits, visitor.actor, web.clock()
    person = form.text("person")
    try:
        match act:
            case "come":
                service.check_in(actor, now, person)
            case "go":
                service.check_out(actor, now, person)
            case "visitor":
                is_minor = bool(form.text("minor"))
                service.visitor_in(actor, form.text("name"), now, is_minor=is_minor)
            case "visitor-gone":
                service.visitor_out(actor, form.text("visit"), now)
            case "choices":
                service.choose(
                    actor,
                    {
                        "longest_h": number(form, "longest_h"),
                        "kept_days": number(form, "kept_days"),
                        "display_names": bool(form.text("display_names")),
                    },
                )
            case _:
                raise NotFoundError("house.no-visit")
    except InvalidError as error:
        return _show(request, web, visitor, form, error)
    return _back(act)


def _back(act: str) -> RedirectResponse:
    said = {"come": "came-in", "go": "went-out", "visitor": "came-in", "visitor-gone": "went-out"}
    return go("/house/in", said.get(act, "changed"))


def _show(
    request: Request,
    web: Web,
    visitor: Visitor,
    form: Form | None = None,
    error: InvalidError | None = None,
) -> HTMLResponse:
    must_share(web)
    teaches = visitor.may(Role.TRAINER)
    seen = web.services.visits.look(visitor.actor, web.clock())
    here = {one.person_id for one in seen.present}
    people = web.services.qualifications.people(visitor.actor) if teaches else []
    return page(
        request,
        web,
        visitor,
        "visits.html",
        seen=seen,
        teaches=teaches,
        people=[one for one in people if one.id not in here],
        times=web.services.visits.times(),
        values=form.texts() if form else {},
        error=error,
        bad=error.field if error else "",
    )
