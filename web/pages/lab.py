"""The lab's books."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import HTMLResponse

from web.auth import VisitorDep
from web.context import WebDep
from web.pages.page import page
from web.routing import page_router

router = page_router()


@router.get("/ledger")
def ledger(request: Request, web: WebDep, visitor: VisitorDep) -> HTMLResponse:
    """Show the newest records, and whether the chain holds since it was last verified."""
    return page(
        request,
        web,
        visitor,
        "ledger.html",
        verdict=web.services.ledger.look(web.clock()),
        records=web.services.ledger.recent(50),
    )
