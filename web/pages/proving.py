"""The page that asks again who is at the keyboard, and what it takes for an answer."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import Request
from starlette.responses import HTMLResponse, Response

from jobs.domain.errors import InvalidError, JobsError
from web.auth import CheckedFormDep, Visitor, VisitorDep
from web.context import Web, WebDep
from web.pages.page import go, page, safe_next
from web.places import place_of
from web.proof import prove
from web.routing import page_router

router = page_router()


@router.get("/prove")
def show(request: Request, web: WebDep, visitor: VisitorDep, next: str = "/me") -> Response:
    """Ask who it is."""
    return prove_page(request, web, visitor, next_path=safe_next(next), status=200)


@router.post("/prove")
def take(request: Request, web: WebDep, visitor: VisitorDep, form: CheckedFormDep) -> Response:
    """Take the password and go back to where it was asked for."""
    next_path = safe_next(form.text("next", "/me"))
    try:
        prove(request, web, visitor, form.secret("proof"))
    except InvalidError as error:
        return prove_page(request, web, visitor, next_path=next_path, error=error)
    return go(next_path)


def prove_page(
    request: Request,
    web: Web,
    visitor: Visitor,
    *,
    next_path: str,
    action: str = "",
    fields: Mapping[str, str] | None = None,
    error: JobsError | None = None,
    status: int = 403,
) -> HTMLResponse:
    """Ask for a proof.

    :param next_path: where another way of proving leads.
    :param action: where the form goes, with the fields of the one that asked; "": here.
    """
    person_id = visitor.actor.person_id
    place = place_of(request, web)
    return page(
        request,
        web,
        visitor,
        "prove.html",
        status=status,
        next_path=next_path,
        action=action or "/prove",
        fields=fields or {},
        error=error,
        has_password=visitor.sign_in is not None and visitor.sign_in.person.has_password,
        has_passkey=place is not None and bool(web.services.passkeys.list(person_id)),
        provider=web.settings.provider if web.services.outside.is_linked(person_id) else None,
    )
