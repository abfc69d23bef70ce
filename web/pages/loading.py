"""What a machine has loaded, said by whoever changes it; and what may run on it alone."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from jobs.domain.errors import InvalidError
from jobs.domain.loading import MOST_SLOTS
from jobs.domain.materials import load_materials
from jobs.domain.people import Role
from jobs.domain.unattended import Terms, Unattended
from jobs.services.views import MachineView
from web.auth import CheckedFormDep, Form, Visitor, VisitorDep, needs
from web.context import Web, WebDep
from web.pages.page import go, page
from web.routing import page_router

router = page_router()


@router.get("/machines/{slug}/loaded")
def loaded(request: Request, web: WebDep, visitor: VisitorDep, slug: str) -> HTMLResponse:
    """Show what lies in each place, to say what lies there now."""
    return _loaded(request, web, visitor, slug)


@router.post("/machines/{slug}/loaded")
def say(
    request: Request, web: WebDep, visitor: VisitorDep, slug: str, form: CheckedFormDep
) -> Response:
    """Take a person's word about one place."""
    try:
        _say(web, visitor, slug, form)
    except InvalidError as error:
        return _loaded(request, web, visitor, slug, form.texts(), error)
    return go(f"/machines/{slug}/loaded", "loaded")


@router.post("/machines/{slug}/loaded/confirm")
def confirm(web: WebDep, visitor: VisitorDep, slug: str, _form: CheckedFormDep) -> RedirectResponse:
    """Take a person's word that all is as it is written."""
    web.services.loading.confirm(visitor.actor, slug, web.clock())
    return go(f"/machines/{slug}", "loaded-right")


def place_number(text: str) -> int:
    """Return a slot or tool as it is kept, from 0; people count from 1.

    :raises InvalidError: if it is no such number.
    """
    if not (text.isdecimal() and len(text) < 4 and int(text)):
        raise InvalidError("loaded.slot", field="number", most=MOST_SLOTS)
    return int(text) - 1


def _say(web: Web, visitor: Visitor, slug: str, form: Form) -> None:
    loading, actor, now = web.services.loading, visitor.actor, web.clock()
    match form.text("place"):
        case "plate":
            loading.say_plate(actor, slug, form.text("plate"), now)
        case "tool":
            size = form.number("nozzle_mm")
            if size is None:
                raise InvalidError("form.number", field="nozzle_mm", key="nozzle_mm")
            loading.say_nozzle(actor, slug, place_number(form.text("number")), size, now)
        case "slot":
            loading.say_slot(
                actor,
                slug,
                place_number(form.text("number")),
                now,
                material=form.text("material"),
                colour=form.text("colour"),
                lot=form.text("lot"),
                left_g=form.number("left_g"),
            )
        case _:
            raise InvalidError("form.choice", field="place", key="place")


def _loaded(
    request: Request,
    web: Web,
    visitor: Visitor,
    slug: str,
    values: dict[str, str] | None = None,
    error: InvalidError | None = None,
) -> HTMLResponse:
    machine = web.services.machines.get(slug, web.clock(), visitor.actor)
    loads = web.services.loading.view(slug)
    used = {one.number for one in loads.slots}
    return page(
        request,
        web,
        visitor,
        "loaded.html",
        machine=machine,
        loads=loads,
        next_slot=next((one for one in range(MOST_SLOTS) if one not in used), None),
        history=web.services.loading.history(slug),
        materials=known_materials(machine),
        values=values or {},
        error=error,
    )


def known_materials(machine: MachineView) -> list[str]:
    """Return materials to choose from: those listed for the machine, else those we know."""
    return list(machine.limits.materials) or sorted(load_materials(), key=str.casefold)


@router.get("/machines/{slug}/terms")
def terms(request: Request, web: WebDep, visitor: VisitorDep, slug: str) -> HTMLResponse:
    """Show what may run alone; operators change it."""
    found = web.services.terms.get(slug)
    values = {
        "unattended": found.unattended.value,
        "longest_h": f"{found.longest / 3600:g}" if found.longest else "",
        "materials": ", ".join(found.materials),
        "must_fit": "1" if found.must_fit else "",
    }
    return _terms(request, web, visitor, slug, values)


@router.post("/machines/{slug}/terms")
def agree(
    request: Request, web: WebDep, visitor: VisitorDep, slug: str, form: CheckedFormDep
) -> Response:
    """Keep what may run alone."""
    needs(visitor, Role.OPERATOR)
    try:
        agreed = _agreed(form)
        web.services.terms.agree(visitor.actor, slug, agreed, web.clock())
    except InvalidError as error:
        return _terms(request, web, visitor, slug, form.texts(), error)
    return go(f"/machines/{slug}/terms", "changed")


def _agreed(form: Form) -> Terms:
    word, hours = form.text("unattended"), form.number("longest_h")
    if word not in set(Unattended):
        raise InvalidError("form.choice", field="unattended", key="unattended")
    return Terms(
        Unattended(word),
        None if hours is None else 3600 * hours,
        tuple(one.strip() for one in form.text("materials").split(",") if one.strip()),
        bool(form.text("must_fit")),
    )


def _terms(
    request: Request,
    web: Web,
    visitor: Visitor,
    slug: str,
    values: dict[str, str],
    error: InvalidError | None = None,
) -> HTMLResponse:
    return page(
        request,
        web,
        visitor,
        "terms.html",
        machine=web.services.machines.get(slug, web.clock(), visitor.actor),
        said_by=web.services.terms.said(slug),
        words=list(Unattended),
        has_hours=web.services.terms.has_hours(slug),
        values=values,
        error=error,
    )
