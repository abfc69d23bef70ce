"""A use of a machine, its power, and the person at a beam: what somebody at the machine says."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import HTMLResponse, RedirectResponse

from web.auth import CheckedFormDep, VisitorDep
from web.context import WebDep
from web.pages.board import card
from web.pages.page import go, page
from web.routing import page_router

router = page_router()


@router.get("/machines/{slug}/here")
def here(request: Request, web: WebDep, visitor: VisitorDep, slug: str) -> HTMLResponse:
    """Show one large button for whoever stands at a laser, and how much time is left."""
    machine = web.services.machines.get(slug, web.clock(), visitor.actor)
    return page(
        request,
        web,
        visitor,
        "here.html",
        card=card(web, machine),
        beam=web.services.lasers.view(slug),
        there=web.services.proving.view(visitor.actor, slug, web.clock()),
    )


@router.post("/machines/{slug}/present")
def present(web: WebDep, visitor: VisitorDep, slug: str, form: CheckedFormDep) -> RedirectResponse:
    """Take a person's word that they are there while the beam burns."""
    web.services.lasers.present(visitor.actor, slug, web.clock())
    back = "/here" if form.text("back") == "here" else ""
    return go(f"/machines/{slug}{back}", "present")


@router.post("/machines/{slug}/no-fire")
def no_fire(web: WebDep, visitor: VisitorDep, slug: str, form: CheckedFormDep) -> RedirectResponse:
    """Take a person's word that nothing smoulders in a laser whose run has ended."""
    web.services.lasers.nothing_smoulders(visitor.actor, slug, web.clock())
    back = "/here" if form.text("back") == "here" else ""
    return go(f"/machines/{slug}{back}", "no-fire")


@router.post("/machines/{slug}/use")
def use(web: WebDep, visitor: VisitorDep, slug: str, form: CheckedFormDep) -> RedirectResponse:
    """Begin to use a machine: its power comes on."""
    web.services.uses.start(visitor.actor, slug, web.clock(), form.text("material"))
    return go(f"/machines/{slug}", "use-began")


@router.post("/machines/{slug}/use/end")
def end(web: WebDep, visitor: VisitorDep, slug: str, _form: CheckedFormDep) -> RedirectResponse:
    """End a use; its power goes off once the machine has cooled."""
    web.services.uses.end(visitor.actor, slug, web.clock())
    return go(f"/machines/{slug}", "use-ended")


@router.post("/machines/{slug}/use/still")
def still(web: WebDep, visitor: VisitorDep, slug: str, _form: CheckedFormDep) -> RedirectResponse:
    """Say that a use goes on."""
    web.services.uses.goes_on(visitor.actor, slug, web.clock())
    return go(f"/machines/{slug}", "use-goes-on")


@router.post("/machines/{slug}/override")
def override(web: WebDep, visitor: VisitorDep, slug: str, form: CheckedFormDep) -> RedirectResponse:
    """Switch a machine's power past all uses; an operator's word, with the reason."""
    on = form.text("on") == "1"
    services = web.services
    services.uses.override(visitor.actor, slug, form.text("why"), web.clock(), on=on)
    return go(f"/machines/{slug}", "power-on" if on else "power-off")
