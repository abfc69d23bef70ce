"""Designs of the library, and the commons that they come from."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from jobs.domain.errors import InvalidError, JobsError, NotFoundError, UnavailableError
from web.auth import CheckedFormDep, Visitor, VisitorDep
from web.context import Web, WebDep
from web.errors import status_of
from web.pages.page import go, page
from web.routing import page_router

router = page_router()


@router.get("/designs")
def designs(request: Request, web: WebDep, visitor: VisitorDep, source: str = "") -> HTMLResponse:
    """Show the designs that are here, and what a commons offers."""
    offered: list[object] = []
    error: JobsError | None = None
    if source:
        known = {one.name for one in web.services.designs.sources()}
        try:
            offered = list(web.services.designs.browse(source))
        except (NotFoundError, UnavailableError) as found:
            # A stick that was pulled out must not take the page with it.
            if source not in known:
                raise
            error = found
    return _designs(request, web, visitor, source=source, offered=offered, error=error)


@router.post("/designs")
def fetch(web: WebDep, visitor: VisitorDep, form: CheckedFormDep) -> RedirectResponse:
    """Take a design into the library."""
    design = web.services.designs.fetch(
        visitor.actor, form.text("source"), form.text("ref"), web.clock()
    )
    return go(f"/designs/{design.id}", "fetched")


@router.post("/designs/sources")
def add_source(
    request: Request, web: WebDep, visitor: VisitorDep, form: CheckedFormDep
) -> Response:
    """Make a commons known, and look into it."""
    name, address = form.text("name"), form.text("address")
    try:
        web.services.designs.add_source(
            visitor.actor, name, form.text("kind", "folder"), address[:1000]
        )
    except (InvalidError, NotFoundError) as error:
        return _designs(request, web, visitor, error=error, values=form.texts())
    return go(f"/designs?source={name}", "source-added")


@router.post("/designs/sources/{name}/remove")
def remove_source(
    web: WebDep, visitor: VisitorDep, name: str, _form: CheckedFormDep
) -> RedirectResponse:
    """Forget a commons; the designs that came from it stay."""
    web.services.designs.remove_source(visitor.actor, name)
    return go("/designs", "source-removed")


def _designs(
    request: Request,
    web: Web,
    visitor: Visitor,
    *,
    source: str = "",
    offered: list[object] | None = None,
    error: JobsError | None = None,
    values: dict[str, str] | None = None,
) -> HTMLResponse:
    sources = web.services.designs.sources()
    return page(
        request,
        web,
        visitor,
        "designs.html",
        status=status_of(error) if error else 200,
        designs=web.services.designs.list(),
        sources=sources,
        # The first is our own example: nobody takes it away.
        own_source=sources[0].name,
        source=source,
        offered=offered or [],
        error=error,
        field=_field(error) if values is not None else "",
        values=values,
    )


def _field(error: JobsError | None) -> str:
    return error.field if isinstance(error, InvalidError) else "address"


@router.get("/designs/{design_id}")
def design(request: Request, web: WebDep, visitor: VisitorDep, design_id: str) -> HTMLResponse:
    """Show one design: whose it is, under which licence, and its parts."""
    return page(request, web, visitor, "design.html", design=web.services.designs.get(design_id))
