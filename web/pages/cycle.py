"""The start checklist of a mill or laser: looked at, ticked and started by a person beside it."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from fastapi import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from jobs.domain.errors import RefusedError
from jobs.domain.policy import Refusal
from jobs.kinds import Item
from jobs.services.cycle_start import StartCheck
from web.auth import CheckedFormDep, Visitor, VisitorDep
from web.context import Web, WebDep
from web.pages.page import go, page
from web.routing import page_router

router = page_router()
ITEMS = tuple(item.value for item in Item)


@router.get("/machines/{slug}/cycle")
def show(
    request: Request, web: WebDep, visitor: VisitorDep, slug: str, job: str = ""
) -> HTMLResponse:
    """Read the controller's offsets now, and show the checklist."""
    check = web.services.cycle.check(visitor.actor, slug, job, web.clock())
    return _page(request, web, visitor, check, ())


@router.post("/machines/{slug}/cycle")
def start(
    request: Request, web: WebDep, visitor: VisitorDep, slug: str, form: CheckedFormDep
) -> Response:
    """Cycle start; a "no" is said on the checklist, with what was ticked."""
    job, ticked = form.text("job"), [item for item in ITEMS if form.text(item)]
    try:
        web.services.cycle.start(visitor.actor, slug, job, ticked, web.clock())
    except RefusedError as error:
        check = web.services.cycle.check(visitor.actor, slug, job, web.clock())
        return _page(request, web, visitor, check, ticked, error.refusals)
    return go(f"/machines/{slug}", "started")


@router.post("/machines/{slug}/cycle/trace")
def trace(web: WebDep, visitor: VisitorDep, slug: str, form: CheckedFormDep) -> RedirectResponse:
    """Show the outline in the air; it moves only if the way was said to be free."""
    job, is_free = form.text("job"), form.text("free") == "yes"
    web.services.cycle.trace(visitor.actor, slug, job, web.clock(), confirmed=is_free)
    return go(f"/machines/{slug}/cycle?job={job}", "traced")


def _page(
    request: Request,
    web: Web,
    visitor: Visitor,
    check: StartCheck,
    ticked: Collection[str],
    refusals: Sequence[Refusal] = (),
) -> HTMLResponse:
    return page(
        request,
        web,
        visitor,
        "cycle.html",
        status=409 if refusals else 200,
        check=check,
        there=web.services.proving.view(visitor.actor, check.machine_slug, web.clock()),
        costs=[
            one
            for one in web.services.money.costs_of_job(visitor.actor, check.job_id, web.clock())
            if one.machine_slug == check.machine_slug
        ],
        items=[item.value for item in check.items],
        ticked=ticked,
        refusals=refusals,
    )
