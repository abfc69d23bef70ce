"""The lab's people, and its books."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from jobs.domain.errors import InvalidError
from jobs.domain.people import Role
from web.auth import CheckedFormDep, Visitor, VisitorDep, needs
from web.context import Web, WebDep
from web.pages.page import go, page
from web.routing import page_router

router = page_router()


@router.get("/people")
def people(request: Request, web: WebDep, visitor: VisitorDep) -> HTMLResponse:
    """Show who may use the house."""
    needs(visitor, Role.ADMIN)
    return _people(request, web, visitor)


@router.post("/people")
def add_person(
    request: Request, web: WebDep, visitor: VisitorDep, form: CheckedFormDep
) -> Response:
    """Add a person and show the link that lets them in."""
    needs(visitor, Role.ADMIN)
    now = web.clock()
    try:
        person = web.services.people.create(
            form.text("login"),
            form.text("name"),
            _role(form.text("role", "member")),
            password=None,
            actor=visitor.actor,
            now=now,
        )
    except InvalidError as error:
        return _people(request, web, visitor, error=error, values=form.texts())
    token = web.services.people.make_link(person.id, now)
    return _people(request, web, visitor, link=f"/sign-in/link/{token}", link_for=person.name)


@router.post("/people/{person_id}/link")
def make_link(
    request: Request, web: WebDep, visitor: VisitorDep, person_id: str, _form: CheckedFormDep
) -> HTMLResponse:
    """Show a new one-time link, for a person who forgot the password."""
    needs(visitor, Role.ADMIN)
    person = web.services.people.get(person_id)
    token = web.services.people.make_link(person_id, web.clock())
    return _people(request, web, visitor, link=f"/sign-in/link/{token}", link_for=person.name)


@router.post("/people/{person_id}/role")
def set_role(
    web: WebDep, visitor: VisitorDep, person_id: str, form: CheckedFormDep
) -> RedirectResponse:
    """Change what a person may do."""
    needs(visitor, Role.ADMIN)
    web.services.people.set_role(visitor.actor, person_id, _role(form.text("role")), web.clock())
    return go("/people", "changed")


@router.post("/people/{person_id}/disable")
def disable(
    web: WebDep, visitor: VisitorDep, person_id: str, _form: CheckedFormDep
) -> RedirectResponse:
    """Let a person in no more."""
    needs(visitor, Role.ADMIN)
    web.services.people.disable(visitor.actor, person_id, web.clock())
    return go("/people", "changed")


@router.post("/people/{person_id}/enable")
def enable(
    web: WebDep, visitor: VisitorDep, person_id: str, _form: CheckedFormDep
) -> RedirectResponse:
    """Let a person in again."""
    needs(visitor, Role.ADMIN)
    web.services.people.enable(visitor.actor, person_id)
    return go("/people", "enabled")


def _role(text: str) -> Role:
    try:
        return Role(text)
    except ValueError:
        raise InvalidError("form.choice", field="role", key="role") from None


def _people(
    request: Request,
    web: Web,
    visitor: Visitor,
    *,
    error: InvalidError | None = None,
    values: dict[str, str] | None = None,
    link: str = "",
    link_for: str = "",
) -> HTMLResponse:
    address = str(request.base_url).rstrip("/") + link if link else ""
    return page(
        request,
        web,
        visitor,
        "people.html",
        people=web.services.people.list(visitor.actor),
        roles=[role.value for role in Role if visitor.may(role)],
        values=values or {},
        error=error,
        link=address,
        link_for=link_for,
    )


@router.get("/ledger")
def ledger(request: Request, web: WebDep, visitor: VisitorDep) -> HTMLResponse:
    """Show the newest records, and whether the whole chain holds."""
    return page(
        request,
        web,
        visitor,
        "ledger.html",
        verdict=web.services.ledger.verify(),
        records=web.services.ledger.recent(50),
    )
