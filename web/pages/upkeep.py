"""Care of the machines: faults, near misses, service, checklists, history, and the QR page."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import Request
from markupsafe import Markup
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response

from jobs.domain.care import CAUSES, Moment, Severity
from jobs.domain.errors import InvalidError, NotFoundError
from jobs.domain.people import Role
from web.auth import CheckedFormDep, Visitor, VisitorDep, needs
from web.context import Web, WebDep
from web.pages.clearing import photo_file, ticked_items
from web.pages.page import go, local_instant, page
from web.routing import page_router

router = page_router()
_QR_SCALE = 8


@router.get("/upkeep")
def upkeep(request: Request, web: WebDep, visitor: VisitorDep) -> HTMLResponse:
    """Show what is wrong with machines and what they need."""
    return _upkeep(request, web, visitor)


def _upkeep(
    request: Request, web: Web, visitor: Visitor, error: InvalidError | None = None
) -> HTMLResponse:
    services, actor = web.services, visitor.actor
    own = services.clearing.causes()
    return page(
        request,
        web,
        visitor,
        "upkeep.html",
        faults=services.faults.list(actor),
        counters=services.servicing.list(actor),
        machines=services.machines.board(web.clock(), actor),
        photo_days=services.photos.days(),
        causes="" if list(own) == list(CAUSES) else "\n".join(own),
        error=error,
    )


@router.get("/machines/{slug}/fault")
def ask_fault(request: Request, web: WebDep, visitor: VisitorDep, slug: str) -> HTMLResponse:
    """Ask what is wrong with a machine."""
    needs(visitor, Role.MEMBER)
    return _fault(request, web, visitor, slug, {})


def _fault(
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
        "fault.html",
        machine=web.services.machines.get(slug, web.clock(), visitor.actor),
        photo_days=web.services.photos.days(),
        known=web.services.faults.list(visitor.actor, slug),
        severities=list(Severity),
        values=values,
        error=error,
    )


@router.post("/machines/{slug}/fault")
def report(
    request: Request, web: WebDep, visitor: VisitorDep, slug: str, form: CheckedFormDep
) -> Response:
    """Take in a fault."""
    needs(visitor, Role.MEMBER)
    try:
        web.services.faults.report(
            visitor.actor,
            slug,
            _severity(form.text("severity")),
            form.text("text"),
            web.clock(),
            form.picture("photo"),
        )
    except InvalidError as error:
        return _fault(request, web, visitor, slug, form.texts(), error)
    return go(f"/machines/{slug}", "reported")


@router.post("/faults/{fault_id}/mend")
def mend(web: WebDep, visitor: VisitorDep, fault_id: str, form: CheckedFormDep) -> RedirectResponse:
    """Say that a fault is mended."""
    web.services.faults.mend(visitor.actor, fault_id, form.text("resolution"), web.clock())
    return go("/upkeep", "mended")


@router.get("/faults/{fault_id}/photo")
def fault_photo(web: WebDep, visitor: VisitorDep, fault_id: str) -> FileResponse:
    """Hand out a fault's photo."""
    return photo_file(web.services.faults.photo(visitor.actor, fault_id))


@router.get("/machines/{slug}/history")
def history(request: Request, web: WebDep, visitor: VisitorDep, slug: str) -> HTMLResponse:
    """Show what a machine has been through."""
    past = web.services.history.of(visitor.actor, slug)
    machine = web.services.machines.get(slug, web.clock(), visitor.actor)
    return page(request, web, visitor, "history.html", machine=machine, past=past)


@router.get("/machines/{slug}/qr")
def qr(request: Request, web: WebDep, visitor: VisitorDep, slug: str) -> HTMLResponse:
    """Show a machine's code, to be printed and stuck to it."""
    import segno

    machine = web.services.machines.get(slug, web.clock(), visitor.actor)
    address = f"{str(request.base_url).rstrip('/')}/machines/{machine.slug}"
    code = segno.make(address, error="m", micro=False)
    svg = code.svg_inline(scale=_QR_SCALE, border=4, omitsize=True, light="#fff", dark="#000")
    return page(
        request, web, visitor, "qr.html", machine=machine, address=address, code=Markup(svg)
    )


@router.get("/near-misses")
def near_misses(request: Request, web: WebDep, visitor: VisitorDep) -> HTMLResponse:
    """Ask what nearly went wrong; admins read what was told."""
    return _near_misses(request, web, visitor, {})


def _near_misses(
    request: Request,
    web: Web,
    visitor: Visitor,
    values: Mapping[str, str],
    error: InvalidError | None = None,
) -> HTMLResponse:
    needs(visitor, Role.MEMBER)
    faults = web.services.faults
    misses = faults.near_misses(visitor.actor, web.clock()) if visitor.may(Role.ADMIN) else []
    machines = web.services.machines.board(web.clock(), visitor.actor)
    return page(
        request,
        web,
        visitor,
        "near_misses.html",
        misses=misses,
        machines=machines,
        photo_days=web.services.photos.days(),
        values=values,
        error=error,
    )


@router.post("/near-misses")
def nearly(request: Request, web: WebDep, visitor: VisitorDep, form: CheckedFormDep) -> Response:
    """Take in a near miss."""
    try:
        web.services.faults.nearly(
            visitor.actor,
            form.text("text"),
            form.text("machine") or None,
            web.clock(),
            unnamed=form.text("unnamed") == "yes",
            photo=form.picture("photo"),
        )
    except InvalidError as error:
        return _near_misses(request, web, visitor, form.texts(), error)
    return go("/near-misses", "told")


@router.get("/near-misses/{near_miss_id}/photo")
def near_miss_photo(web: WebDep, visitor: VisitorDep, near_miss_id: str) -> FileResponse:
    """Hand out the photo of a near miss, to admins."""
    return photo_file(web.services.faults.near_miss_photo(visitor.actor, near_miss_id))


@router.post("/near-misses/{near_miss_id}/answer")
def answer_near_miss(
    web: WebDep, visitor: VisitorDep, near_miss_id: str, form: CheckedFormDep
) -> RedirectResponse:
    """Write down what was done about it."""
    web.services.faults.answer(visitor.actor, near_miss_id, form.text("answer"), web.clock())
    return go("/near-misses", "answered-note")


@router.post("/service")
def add_counter(
    request: Request, web: WebDep, visitor: VisitorDep, form: CheckedFormDep
) -> Response:
    """Begin to count for some work."""
    needs(visitor, Role.OPERATOR)
    try:
        web.services.servicing.add(
            visitor.actor,
            form.text("machine"),
            form.text("name"),
            web.clock(),
            every_h=form.number("every_h"),
            every_m=form.number("every_m"),
            every_travel_m=form.number("every_travel_m"),
        )
    except InvalidError as error:
        return _upkeep(request, web, visitor, error)
    return go("/upkeep", "changed")


@router.post("/service/{counter_id}/done")
def service_done(
    web: WebDep, visitor: VisitorDep, counter_id: str, form: CheckedFormDep
) -> RedirectResponse:
    """Say that the work was done."""
    web.services.servicing.done(visitor.actor, counter_id, form.text("note"), web.clock())
    return go("/upkeep", "serviced")


@router.post("/service/{counter_id}/retire")
def service_retire(
    web: WebDep, visitor: VisitorDep, counter_id: str, _form: CheckedFormDep
) -> RedirectResponse:
    """Count for some work no more."""
    web.services.servicing.retire(visitor.actor, counter_id, web.clock())
    return go("/upkeep", "changed")


@router.post("/outages")
def plan_outage(
    request: Request, web: WebDep, visitor: VisitorDep, form: CheckedFormDep
) -> Response:
    """Take a machine, or the whole lab, out of service for a while."""
    needs(visitor, Role.OPERATOR)
    try:
        start, end = (local_instant(web, form.text(name), name) for name in ("start", "end"))
        slug, note, now = form.text("machine"), form.text("note"), web.clock()
        if slug:
            web.services.bookings.outage(visitor.actor, slug, start, end, note, now)
        else:
            web.services.bookings.closure(visitor.actor, start, end, note, now)
    except InvalidError as error:
        return _upkeep(request, web, visitor, error)
    return go("/upkeep", "changed")


@router.post("/causes")
def causes(request: Request, web: WebDep, visitor: VisitorDep, form: CheckedFormDep) -> Response:
    """Keep another list of causes of failures."""
    needs(visitor, Role.OPERATOR)
    try:
        web.services.clearing.write_causes(visitor.actor, form.text("causes"))
    except InvalidError as error:
        return _upkeep(request, web, visitor, error)
    return go("/upkeep", "changed")


@router.post("/photos")
def keep_photos(
    request: Request, web: WebDep, visitor: VisitorDep, form: CheckedFormDep
) -> Response:
    """Keep photographs for another time."""
    needs(visitor, Role.OPERATOR)
    try:
        web.services.photos.keep(visitor.actor, form.number("days"))
    except InvalidError as error:
        return _upkeep(request, web, visitor, error)
    return go("/upkeep", "changed")


@router.get("/checklists")
def checklists(request: Request, web: WebDep, visitor: VisitorDep, slug: str = "") -> HTMLResponse:
    """Show the lists; staff change them and read what was answered."""
    needs(visitor, Role.MEMBER)
    lists, actor = web.services.checklists, visitor.actor
    return page(
        request,
        web,
        visitor,
        "checklists.html",
        lists=lists.list(actor, web.clock(), slug or None),
        answers=lists.answers(actor) if visitor.may(Role.OPERATOR) else [],
        machines=web.services.machines.board(web.clock(), actor),
        moments=list(Moment),
    )


@router.post("/checklists")
def write_checklist(web: WebDep, visitor: VisitorDep, form: CheckedFormDep) -> RedirectResponse:
    """Keep a new version of a list."""
    try:
        moment = Moment(form.text("moment"))
    except ValueError:
        raise InvalidError("form.choice", field="moment", key="moment") from None
    slug = form.text("machine") or None
    web.services.checklists.write(visitor.actor, slug, moment, form.text("items"), web.clock())
    return go("/checklists", "changed")


@router.get("/checklists/{checklist_id}")
def checklist(
    request: Request, web: WebDep, visitor: VisitorDep, checklist_id: str
) -> HTMLResponse:
    """Show one list, to be gone through."""
    lists = web.services.checklists.list(visitor.actor, web.clock())
    found = [one for one in lists if one.id == checklist_id]
    if not found:
        raise NotFoundError("checklist.unknown")
    return page(request, web, visitor, "checklist.html", asked=found[0])


@router.post("/checklists/{checklist_id}")
def answer(
    web: WebDep, visitor: VisitorDep, checklist_id: str, form: CheckedFormDep
) -> RedirectResponse:
    """Keep what the person found."""
    slug = web.services.checklists.answer(
        visitor.actor, checklist_id, ticked_items(form), form.text("note"), web.clock()
    )
    return go(f"/machines/{slug}" if slug else "/checklists", "kept")


def _severity(text: str) -> Severity:
    try:
        return Severity(text)
    except ValueError:
        raise InvalidError("fault.severity", field="severity") from None
