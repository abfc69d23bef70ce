"""Privacy: what is kept for how long, who looked, one's own data, and leaving."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse

from jobs.domain.errors import InvalidError
from jobs.domain.people import Role
from jobs.domain.retention import TERMS, Kept
from jobs.services.personal import export
from web.auth import CheckedFormDep, Form, Visitor, VisitorDep, clear_cookie, needs
from web.context import Web, WebDep
from web.pages.page import go, page, sentence_of
from web.proof import ProvedFormDep, needs_proof
from web.routing import page_router

router = page_router()


@router.get("/privacy")
def privacy(request: Request, web: WebDep, visitor: VisitorDep) -> HTMLResponse:
    """Show what is kept of whoever asks, and who looked at it."""
    return _privacy(request, web, visitor)


@router.post("/privacy")
def set_days(request: Request, web: WebDep, visitor: VisitorDep, form: CheckedFormDep) -> Response:
    """Keep things for other lengths of time."""
    needs(visitor, Role.ADMIN)
    try:
        wishes = {kind: form.number(kind.value) for kind in Kept}
        web.services.retention.set(visitor.actor, wishes)
    except InvalidError as error:
        return _privacy(request, web, visitor, error, form.texts())
    return go("/privacy", "changed")


@router.get("/people/{person_id}/export.zip")
def take(web: WebDep, visitor: VisitorDep, person_id: str) -> StreamingResponse:
    """Hand a person all that is kept of them; an admin may do so for who has no phone."""
    if person_id != visitor.actor.person_id:
        needs(visitor, Role.ADMIN)
    needs_proof(web, visitor)
    login = web.services.people.get(person_id).login
    now = web.clock()
    web.services.looks.note(visitor.actor, [person_id], "export", now)
    plain = "".join(one for one in login if one.isascii() and (one.isalnum() or one in "-_"))
    return StreamingResponse(
        export(web.services.workshop, person_id, now),
        media_type="application/zip",
        headers={"Content-Disposition": f'attachment; filename="fabnode-{plain or "me"}.zip"'},
    )


@router.get("/people/{person_id}/leave")
def ask(request: Request, web: WebDep, visitor: VisitorDep, person_id: str) -> HTMLResponse:
    """Show everything that is open between a person and the house."""
    return _leaving(request, web, visitor, person_id)


@router.post("/people/{person_id}/leave")
def leave(
    request: Request, web: WebDep, visitor: VisitorDep, person_id: str, form: ProvedFormDep
) -> Response:
    """Settle it all, by one confirmation."""
    now = web.clock()
    is_self = person_id == visitor.actor.person_id
    try:
        erase, gone = _erases(form), web.catalogue.text("page.leaving.gone")
        web.services.leaving.settle(visitor.actor, person_id, now, gone, erase=erase)
    except InvalidError as error:
        return _leaving(request, web, visitor, person_id, error)
    if not is_self:
        return go("/people", "left")
    response = page(request, web, None, "left.html")
    clear_cookie(web, response)
    return response


def _erases(form: Form) -> bool:
    """Return whether a form erases; it is one confirmation, and has to be given."""
    how = form.text("how")
    if how not in ("lock", "erase"):
        raise InvalidError("form.choice", field="how", key="how")
    if not form.text("sure"):
        raise InvalidError("leaving.sure", field="sure")
    return how == "erase"


def _privacy(
    request: Request,
    web: Web,
    visitor: Visitor,
    error: InvalidError | None = None,
    values: dict[str, str] | None = None,
) -> HTMLResponse:
    return page(
        request,
        web,
        visitor,
        "privacy.html",
        days=web.services.retention.days(),
        terms=TERMS,
        mine=web.services.looks.at_mine(visitor.actor),
        looks=web.services.looks.all(visitor.actor) if visitor.may(Role.ADMIN) else (),
        values=values or {},
        error=error,
    )


def _leaving(
    request: Request, web: Web, visitor: Visitor, person_id: str, error: InvalidError | None = None
) -> HTMLResponse:
    now = web.clock()
    found = web.services.leaving.look(visitor.actor, person_id, now)
    web.services.looks.note(visitor.actor, [person_id], "leaving", now)
    is_self = person_id == visitor.actor.person_id
    return page(
        request,
        web,
        visitor,
        "leaving.html",
        person=web.services.people.get(person_id),
        found=found,
        blocked=any(one.blocks for one in found),
        is_self=is_self,
        status=422 if error else 200,
        problem=sentence_of(web, error) if error else "",
        field=error.field if error else "",
    )
