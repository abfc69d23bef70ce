"""The kiosk: machines in big tiles, who are you, one thing, and forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Final, TypeVar

from fastapi import Depends, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from jobs.domain.care import Outcome, Severity
from jobs.domain.errors import InvalidError, JobsError, NotAllowedError, NotFoundError, RefusedError
from jobs.domain.job import JobState
from jobs.domain.machine import Control
from jobs.domain.modules import Module
from jobs.kinds import KINDS, Item, Start
from jobs.services.at_kiosk import DeviceKind
from jobs.services.devices import DeviceView
from jobs.services.kiosk import VisitView, is_from
from jobs.services.views import AllocationView, JobView, MachineView
from web.auth import Form, FormDep
from web.context import Web, WebDep
from web.displays import (
    DeviceDep,
    clear_visit,
    device_cookie,
    set_device,
    set_visit,
    visit_token,
)
from web.pages.board import card
from web.pages.display import bare, counts
from web.pages.page import SAID, go, sentence_of
from web.routing import page_router

router = page_router()
_Word = TypeVar("_Word", bound=StrEnum)
_OFFERED: Final = timedelta(hours=1)  # of a free slot
_FORGETS: Final = frozenset({"arm", "clear", "start"})  # after which the kiosk forgets whom


def kiosk_of(device: DeviceDep) -> DeviceView:
    """Return the kiosk that asks.

    :raises NotFoundError: `device.no-kiosk` for any other browser.
    """
    if device is None or device.kind is not DeviceKind.KIOSK:
        raise NotFoundError("device.no-kiosk")
    return device


KioskDep = Annotated[DeviceView, Depends(kiosk_of)]


@router.get("/kiosk")
def show(request: Request, web: WebDep, device: DeviceDep) -> Response:
    """Show the machines of this kiosk, and who is there."""
    if device is None or device.kind is not DeviceKind.KIOSK:
        return go("/display")
    return _home(request, web, device)


@router.post("/kiosk/identify")
def identify(request: Request, web: WebDep, device: KioskDep, form: FormDep) -> Response:
    """Take a badge or a login, and the PIN."""
    badge, slug = form.secret("badge").strip()[:80], _slug(device, form.text("at"))
    login, now = form.text("login")[:64], web.clock()
    kiosk = web.services.kiosk
    try:
        first = bool(badge) and kiosk.needs_first_pin(badge, now)
        if not form.secret("pin"):
            said = "kiosk.first-pin" if first else "kiosk.pin"
            raise InvalidError(said, field="pin")
        token = kiosk.identify(device, badge, login, form.secret("pin"), now)
    except JobsError as error:
        kept = {"badge": badge, "login": login, "at": slug}
        return _home(request, web, device, error=error, kept=kept)
    response = go(f"/kiosk/machines/{slug}" if slug else "/kiosk")
    set_visit(web, response, token)
    return response


@router.post("/kiosk/leave")
def leave(web: WebDep, device: KioskDep) -> RedirectResponse:
    """Forget who is there."""
    web.services.kiosk.leave(device)
    response = go("/kiosk")
    clear_visit(web, response)
    return response


@router.post("/kiosk/house")
def come_or_go(request: Request, web: WebDep, device: KioskDep, form: FormDep) -> RedirectResponse:
    """Check in or out at the house; the kiosk forgets whom afterwards."""
    visit = _visit(request, web, device)
    if visit is None:
        return go("/kiosk")
    if not is_from(visit, form.secret("csrf")):
        raise NotAllowedError("csrf")
    if not counts(web):
        raise NotFoundError("module.off", module=Module.HOUSE.value)
    is_leaving = form.text("do") == "go"
    visits = web.services.visits
    (visits.check_out if is_leaving else visits.check_in)(visit.actor, web.clock())
    web.services.kiosk.leave(device)
    response = go("/kiosk", "went-out" if is_leaving else "came-in")
    clear_visit(web, response)
    return response


@router.post("/kiosk/machines/{slug}/stop")
def stop(request: Request, web: WebDep, device: KioskDep, slug: str) -> RedirectResponse:
    """Stop a machine of this kiosk; whoever stands there may, and says nothing first."""
    slug = _slug(device, slug)
    if slug:
        visit = _visit(request, web, device)
        web.services.dispatch.stop(visit.actor if visit else None, slug)
    return go(f"/kiosk/machines/{slug}" if slug else "/kiosk")


@router.get("/kiosk/machines/{slug}")
def machine(
    request: Request, web: WebDep, device: KioskDep, slug: str, job: str = ""
) -> HTMLResponse:
    """Show one machine: what comes, and to who is there what they may do."""
    return _machine(request, web, device, slug, job=job)


@router.post("/kiosk/machines/{slug}")
def act(request: Request, web: WebDep, device: KioskDep, slug: str, form: FormDep) -> Response:
    """Do the one thing; what needs somebody there is proved by their having said who they are."""
    visit = _visit(request, web, device)
    if visit is None:
        return go(f"/kiosk/machines/{slug}")
    if not is_from(visit, form.secret("csrf")):
        raise NotAllowedError("csrf")
    what, now = form.text("do"), web.clock()
    try:
        if what in _FORGETS:
            web.services.kiosk.stand(device, visit, slug, now)
        said = _do(web, visit, slug, what, form, now)
    except JobsError as error:
        return _machine(request, web, device, slug, job=form.text("job"), error=error)
    if what not in _FORGETS:
        return go(f"/kiosk/machines/{slug}", said)
    web.services.kiosk.leave(device)
    response = go("/kiosk", said)
    clear_visit(web, response)
    return response


def _do(web: Web, visit: VisitView, slug: str, what: str, form: Form, now: datetime) -> str:
    """Do it, and return the word for what was done."""
    actor, services = visit.actor, web.services
    match what:
        case "arm":
            services.dispatch.arm(actor, slug, now)
            return "armed"
        case "clear":
            outcome = _one_of(Outcome, form.text("outcome"), "outcome")
            services.clearing.clear(actor, slug, outcome, now, cause=form.text("cause"))
            return "cleared"
        case "start":
            return _start(web, visit, slug, form, now)
        case "check-in":
            services.there.check_in(actor, form.text("booking"), now)
            return "checked-in"
        case "end":
            services.there.end_early(actor, form.text("booking"), now)
            return "ended"
        case "book":
            start = _instant(form.text("start"))
            services.bookings.book(actor, slug, start, start + _OFFERED, now)
            return "booked"
        case "fault":
            severity = _one_of(Severity, form.text("severity"), "severity")
            services.faults.report(actor, slug, severity, form.text("text"), now)
            return "reported"
    raise InvalidError("form.choice", field="do", key="do")


def _start(web: Web, visit: VisitView, slug: str, form: Form, now: datetime) -> str:
    job, services = form.text("job"), web.services
    machine = services.machines.get(slug, now, visit.actor)
    kind = KINDS.get(machine.kind)
    if machine.control is Control.BY_HAND:
        services.queue.by_hand(visit.actor, job, "started", slug, now)
    elif kind is None or kind.start is Start.PERSON:
        ticked = [item.value for item in Item if form.text(item.value)]
        services.cycle.start(visit.actor, slug, job, ticked, now)
    else:
        services.dispatch.start(visit.actor, job, slug, now, is_clear=True)
    return "started"


def _home(
    request: Request,
    web: Web,
    device: DeviceView,
    *,
    error: JobsError | None = None,
    kept: dict[str, str] | None = None,
) -> HTMLResponse:
    now = web.clock()
    slugs = {slug for slug, _ in device.machines}
    board = [one for one in web.services.machines.board(now, None) if one.slug in slugs]
    visit = _visit(request, web, device)
    return _page(
        request,
        web,
        device,
        "kiosk.html",
        visit=visit,
        house=web.services.visits.look(visit.actor, now) if visit and counts(web) else None,
        error=error,
        cards=[card(web, one) for one in board],
        coming=web.services.devices.coming(device, now),
        kept=kept or {},
        at=(kept or {}).get("at", ""),
    )


def _machine(
    request: Request,
    web: Web,
    device: DeviceView,
    slug: str,
    *,
    job: str = "",
    error: JobsError | None = None,
) -> HTMLResponse:
    if not _slug(device, slug):
        raise NotFoundError("machine.unknown", machine=slug)
    now, visit = web.clock(), _visit(request, web, device)
    actor = visit.actor if visit else None
    machine = web.services.machines.get(slug, now, actor)
    books = web.books() and Module.BOOKING in web.services.modules.on()
    kind = KINDS.get(machine.kind)
    by_list = machine.control is Control.SERIAL and (kind is None or kind.start is Start.PERSON)
    check = None
    if visit and job and by_list:
        check = web.services.cycle.check(visit.actor, slug, job, now)
    return _page(
        request,
        web,
        device,
        "kiosk_machine.html",
        visit=visit,
        error=error,
        card=card(web, machine),
        kept={},
        at=slug,
        coming=web.services.devices.coming(device, now).get(slug, ()),
        own=_own(web, visit, slug, now) if books else [],
        jobs=_jobs(web, visit, machine, now),
        by_list=by_list,
        check=check,
        free=_free(web, visit, slug, now) if books else [],
        clearing=web.services.clearing.look(visit.actor, slug)
        if visit and machine.to_check and machine.run is None
        else None,
    )


def _own(web: Web, visit: VisitView | None, slug: str, now: datetime) -> Sequence[AllocationView]:
    """Return the bookings here that a person may say something of now."""
    if visit is None:
        return []
    mine = web.services.bookings.mine(visit.actor, now)
    soon = now + timedelta(hours=12)
    return [one for one in mine if one.machine_slug == slug and one.interval.start < soon][:3]


def _jobs(
    web: Web, visit: VisitView | None, machine: MachineView, now: datetime
) -> Sequence[JobView]:
    if visit is None or machine.run is not None or machine.control is Control.NONE:
        return []
    return [
        one
        for one in web.services.queue.list(now, visit.actor)
        if one.mine
        and one.state is JobState.WAITING
        and one.kind == machine.kind
        and one.machine_slug in (None, machine.slug)
    ][:6]


def _free(web: Web, visit: VisitView | None, slug: str, now: datetime) -> Sequence[object]:
    actor = visit.actor if visit else None
    return web.services.bookings.proposals(slug, _OFFERED, now, actor, count=4)


def _page(
    request: Request,
    web: Web,
    device: DeviceView,
    template: str,
    *,
    visit: VisitView | None,
    error: JobsError | None,
    **values: object,
) -> HTMLResponse:
    said = request.query_params.get("said", "")
    start_key, end_key = web.services.devices.badge_keys()
    response = bare(
        web,
        template,
        422 if error else 200,
        device=device,
        visit=visit,
        csrf=visit.csrf if visit else "",
        said=said if said in SAID else "",
        problem=sentence_of(web, error) if error else "",
        refusals=error.refusals if isinstance(error, RefusedError) else (),
        field=error.field if isinstance(error, InvalidError) else "",
        start_key=start_key,
        end_key=end_key,
        **values,
    )
    set_device(web, response, request.cookies[device_cookie(web)])
    return response


def _visit(request: Request, web: Web, device: DeviceView) -> VisitView | None:
    token = visit_token(request, web)
    return web.services.kiosk.visit(device, token, web.clock()) if token else None


def _slug(device: DeviceView, slug: str) -> str:
    """Return the slug if that machine is one of this kiosk, else ""."""
    return slug if slug in {one for one, _ in device.machines} else ""


def _instant(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidError("form.time", field="start", key="start") from None
    if at.tzinfo is None:
        raise InvalidError("form.time", field="start", key="start")
    return at


def _one_of(known: type[_Word], text: str, name: str) -> _Word:
    try:
        return known(text)
    except ValueError:
        raise InvalidError("form.choice", field=name, key=name) from None
