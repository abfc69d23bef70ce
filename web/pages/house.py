"""The house: where everything is that no machine or job leads to."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import HTMLResponse

from web.auth import VisitorDep
from web.context import WebDep
from web.menu import menu_for
from web.pages.page import page
from web.routing import page_router

router = page_router()


@router.get("/house")
def show(request: Request, web: WebDep, visitor: VisitorDep) -> HTMLResponse:
    """Show the ways that this person may go."""
    on = web.services.modules.on()
    groups = list(menu_for(visitor.actor, on, shares=web.shares()))
    return page(request, web, visitor, "house.html", groups=groups)
