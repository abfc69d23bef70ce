"""Ask the board at one port who it is; the answer is on the page of a new machine."""

from __future__ import annotations

from urllib.parse import urlencode

from starlette.responses import RedirectResponse

from jobs.domain.people import Role
from web.auth import CheckedFormDep, VisitorDep, needs
from web.context import WebDep
from web.pages.page import go
from web.routing import page_router

router = page_router()


@router.post("/ports/probe")
def probe(web: WebDep, visitor: VisitorDep, form: CheckedFormDep) -> RedirectResponse:
    """Begin to ask; the page that follows looks for the answer."""
    needs(visitor, Role.OPERATOR)
    port = form.text("port")
    web.services.ports.probe(visitor.actor, port)
    return go(f"/machines/new?{urlencode({'port': port})}")
