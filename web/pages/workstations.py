"""Shared computers: their keys for staff, and for members the files that wait to be claimed."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from jobs.domain.errors import InvalidError
from jobs.domain.people import Role
from web.auth import CheckedFormDep, Visitor, VisitorDep, needs
from web.context import Web, WebDep
from web.pages.page import go, page
from web.places import own_address
from web.proof import ProvedFormDep
from web.routing import page_router

router = page_router()


@router.get("/unclaimed")
def unclaimed(request: Request, web: WebDep, visitor: VisitorDep) -> HTMLResponse:
    """Show files that shared computers have sent and nobody has claimed."""
    needs(visitor, Role.MEMBER)
    return _unclaimed(request, web, visitor)


@router.post("/unclaimed/{upload_id}/claim")
def claim(
    request: Request, web: WebDep, visitor: VisitorDep, upload_id: str, _form: CheckedFormDep
) -> Response:
    """Make a file one's own job; it starts nothing."""
    try:
        job = web.services.workstations.claim(visitor.actor, upload_id, web.clock())
    except InvalidError as error:
        return _unclaimed(request, web, visitor, error)
    return go(f"/jobs/{job.id}", "queued")


@router.post("/unclaimed/{upload_id}/drop")
def drop(
    web: WebDep, visitor: VisitorDep, upload_id: str, _form: CheckedFormDep
) -> RedirectResponse:
    """Throw a file away that nobody wants."""
    web.services.workstations.throw_away(visitor.actor, upload_id, web.clock())
    return go("/unclaimed", "changed")


@router.get("/workstations")
def workstations(request: Request, web: WebDep, visitor: VisitorDep) -> HTMLResponse:
    """Show the shared computers that may send files."""
    needs(visitor, Role.OPERATOR)
    return _workstations(request, web, visitor)


@router.post("/workstations")
def make(request: Request, web: WebDep, visitor: VisitorDep, form: ProvedFormDep) -> HTMLResponse:
    """Make a key for a shared computer and show it this once."""
    needs(visitor, Role.OPERATOR)
    try:
        _, key = web.services.workstations.make(visitor.actor, form.text("name"), web.clock())
    except InvalidError as error:
        return _workstations(request, web, visitor, error=error)
    return _workstations(request, web, visitor, key=key)


@router.post("/workstations/{workstation_id}/revoke")
def revoke(
    web: WebDep, visitor: VisitorDep, workstation_id: str, _form: CheckedFormDep
) -> RedirectResponse:
    """Let a shared computer send nothing any more."""
    web.services.workstations.revoke(visitor.actor, workstation_id, web.clock())
    return go("/workstations", "revoked")


def _unclaimed(
    request: Request, web: Web, visitor: Visitor, error: InvalidError | None = None
) -> HTMLResponse:
    uploads = web.services.workstations.unclaimed(visitor.actor, web.clock())
    return page(request, web, visitor, "unclaimed.html", uploads=uploads, error=error)


def _workstations(
    request: Request,
    web: Web,
    visitor: Visitor,
    *,
    error: InvalidError | None = None,
    key: str = "",
) -> HTMLResponse:
    return page(
        request,
        web,
        visitor,
        "workstations.html",
        stations=web.services.workstations.list(visitor.actor),
        error=error,
        key=key,
        address=own_address(request, web),
    )
