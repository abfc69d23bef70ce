"""House rules and risk sheets: read, printed, accepted by name, and written by staff."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from jobs.domain.errors import InvalidError, NotFoundError
from jobs.domain.instructions import Sort
from jobs.domain.people import Role
from jobs.domain.rules.values import Scope
from web.auth import CheckedFormDep, Form, Visitor, VisitorDep, needs
from web.context import Web, WebDep
from web.pages.page import go, page
from web.pages.rules import must_share
from web.routing import page_router

router = page_router()


@router.get("/instructions")
def instructions(
    request: Request, web: WebDep, visitor: VisitorDep, machine: str = ""
) -> HTMLResponse:
    """Show what is written: for all, or for one machine."""
    must_share(web)
    return page(
        request,
        web,
        visitor,
        "instructions.html",
        found=web.services.instructions.list(visitor.actor, machine),
        machine=web.services.machines.get(machine, web.clock(), visitor.actor) if machine else None,
        scopes=web.services.house.scopes(),
        sorts=Sort,
    )


@router.get("/instructions/{scope}/{sort}")
def instruction(
    request: Request,
    web: WebDep,
    visitor: VisitorDep,
    scope: str,
    sort: str,
    version: int | None = None,
) -> HTMLResponse:
    """Show one text: to whoever accepted an earlier version, with what has changed since."""
    from web.markdown import html_of

    must_share(web)
    service, where, kind = web.services.instructions, Scope.read(scope), sort_of(sort)
    one = service.get(visitor.actor, where, kind, version)
    teaches = visitor.may(Role.TRAINER)
    return page(
        request,
        web,
        visitor,
        "instruction.html",
        one=one,
        html=html_of(one.text),
        versions=service.versions(where, kind),
        accepted=service.accepted(visitor.actor, where, kind) if teaches else [],
    )


@router.get("/instructions/{scope}/{sort}/edit")
def edit(request: Request, web: WebDep, visitor: VisitorDep, scope: str, sort: str) -> HTMLResponse:
    """Show the text to change it; for staff."""
    return _edit(request, web, visitor, Scope.read(scope), sort_of(sort))


@router.post("/instructions/{scope}/{sort}")
def write(
    request: Request, web: WebDep, visitor: VisitorDep, scope: str, sort: str, form: CheckedFormDep
) -> Response:
    """Keep a new version."""
    must_share(web)
    where, kind = Scope.read(scope), sort_of(sort)
    text = form.secret("text")
    try:
        web.services.instructions.write(
            visitor.actor,
            where,
            kind,
            text,
            form.text("note"),
            web.clock(),
            must_accept=form.text("must_accept") == "yes",
        )
    except InvalidError as error:
        return _edit(request, web, visitor, where, kind, form, error)
    return go(f"/instructions/{where}/{kind.value}" if text.strip() else "/instructions", "changed")


@router.post("/instructions/{scope}/{sort}/accept")
def accept(
    web: WebDep, visitor: VisitorDep, scope: str, sort: str, form: CheckedFormDep
) -> RedirectResponse:
    """Take the reader's word for the text that was shown."""
    must_share(web)
    where, kind = Scope.read(scope), sort_of(sort)
    service = web.services.instructions
    service.accept(visitor.actor, where, kind, form.text("sha256"), web.clock())
    return go(f"/instructions/{where}/{kind.value}", "accepted")


def _edit(
    request: Request,
    web: Web,
    visitor: Visitor,
    scope: Scope,
    sort: Sort,
    form: Form | None = None,
    error: InvalidError | None = None,
) -> HTMLResponse:
    must_share(web)
    needs(visitor, Role.OPERATOR)
    try:
        one = web.services.instructions.get(visitor.actor, scope, sort)
    except NotFoundError as missing:
        if missing.code != "instruction.none":
            raise
        one = None
    kept = one.text if one else ""
    return page(
        request,
        web,
        visitor,
        "instruction_edit.html",
        scope=scope,
        sort=sort,
        name=next(
            (each.name for each in web.services.house.scopes() if each.scope == scope), scope.of
        ),
        one=one,
        text=form.secret("text") if form else kept,
        note=form.text("note") if form else "",
        must_accept=form.text("must_accept") if form else "",
        error=error,
        bad=error.field if error else "",
    )


def sort_of(text: str) -> Sort:
    """Return which text is meant.

    :raises NotFoundError: if there is no such.
    """
    try:
        return Sort(text)
    except ValueError:
        raise NotFoundError("instruction.none") from None
