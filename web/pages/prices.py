"""What things cost, for everybody to read."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import HTMLResponse

from web.auth import VisitorDep
from web.context import WebDep
from web.pages.page import page
from web.routing import page_router

router = page_router()


@router.get("/prices")
def show(request: Request, web: WebDep, visitor: VisitorDep) -> HTMLResponse:
    """Show the prices that hold."""
    return page(request, web, visitor, "prices.html", prices=web.services.prices.list())
