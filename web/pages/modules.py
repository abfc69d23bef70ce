"""Which parts of the house are on: an admin's page."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import HTMLResponse, RedirectResponse

from jobs.domain.modules import Module
from jobs.domain.people import Role
from web.auth import CheckedFormDep, VisitorDep, needs
from web.context import WebDep
from web.pages.page import go, page
from web.routing import page_router

router = page_router()


@router.get("/modules")
def show(request: Request, web: WebDep, visitor: VisitorDep) -> HTMLResponse:
    """Show the parts, each with a box."""
    needs(visitor, Role.ADMIN)
    return page(request, web, visitor, "modules.html", parts=list(Module))


@router.post("/modules")
def choose(web: WebDep, visitor: VisitorDep, form: CheckedFormDep) -> RedirectResponse:
    """Have just the ticked parts on."""
    needs(visitor, Role.ADMIN)
    on = [one for one in Module if form.text(one.value) == "on"]
    web.services.modules.choose(visitor.actor, on, web.clock())
    return go("/modules", "modules")
