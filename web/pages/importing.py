"""Bringing a lab along from another system: an admin's page."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import HTMLResponse

from jobs.domain.errors import InvalidError
from jobs.domain.importing import LARGEST_BYTES, What
from jobs.domain.modules import Module
from jobs.domain.people import Role
from jobs.services.importing import Imported
from web.auth import CheckedFormDep, Visitor, VisitorDep, needs
from web.context import Web, WebDep
from web.pages.page import page
from web.routing import page_router

router = page_router()


@router.get("/import")
def ask(request: Request, web: WebDep, visitor: VisitorDep) -> HTMLResponse:
    """Ask for a list."""
    needs(visitor, Role.ADMIN)
    return _page(request, web, visitor, What.PEOPLE)


@router.post("/import")
def bring(request: Request, web: WebDep, visitor: VisitorDep, form: CheckedFormDep) -> HTMLResponse:
    """Try a list, or take it in; either way each row that is wrong is told."""
    needs(visitor, Role.ADMIN)
    what = What.PEOPLE
    try:
        what = what_of(form.text("what"))
        name, file = form.file("file")
        data = file.read(LARGEST_BYTES + 1)
        dry = form.text("do") != "import"
        found = web.services.importing.run(visitor.actor, what, name, data, web.clock(), dry=dry)
    except InvalidError as error:
        return _page(request, web, visitor, what, error=error)
    return _page(request, web, visitor, what, found, dry=dry)


def what_of(text: str) -> What:
    """Return what a form says that a list holds."""
    try:
        return What(text)
    except ValueError:
        raise InvalidError("form.choice", field="what", key="what") from None


def _page(
    request: Request,
    web: Web,
    visitor: Visitor,
    what: What,
    found: Imported | None = None,
    *,
    dry: bool = True,
    error: InvalidError | None = None,
) -> HTMLResponse:
    is_bad = error is not None or (found is not None and not found.taken and not dry)
    return page(
        request,
        web,
        visitor,
        "import.html",
        status=422 if is_bad else 200,
        kinds=[
            one
            for one in What
            if one is not What.PRICES or Module.MONEY in web.services.modules.on()
        ],
        what=what,
        found=found,
        dry=dry,
        blocked=found is not None and any(one.blocks for one in found.problems),
        error=error,
    )
