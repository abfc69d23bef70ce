"""The front page: every machine, live; the big stop page; how the node is."""

from __future__ import annotations

import time

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, RedirectResponse, Response

from jobs.domain.machine import Control
from jobs.domain.people import LabMode, Role
from jobs.services.views import MachineView
from web.auth import CheckedFormDep, Form, Visitor, VisitorDep
from web.context import Web, WebDep
from web.live import key_of, machine_json
from web.pages.page import go, page
from web.routing import page_router
from web.stopping import Stopped, stop_now

router = page_router()
_PLUGS_S, _PLUGS_STEP_S = 1.5, 0.1  # how long the page waits for plugs, and how often it looks
_UNDECIDED = frozenset({"on", "turning-on", "turning-off"})


@router.get("/")
def board(request: Request, web: WebDep, visitor: VisitorDep) -> Response:
    """Show the machines."""
    if visitor.may(Role.ADMIN) and web.services.lab.mode() is LabMode.UNSET:
        return go("/first-run")
    machines = web.services.machines.board(web.clock(), visitor.actor)
    # Whoever opens and closes the lab sees those lists first.
    is_staff = visitor.may(Role.OPERATOR)
    return page(
        request,
        web,
        visitor,
        "board.html",
        cards=[card(web, one) for one in machines],
        today=web.services.checklists.of_today(visitor.actor, web.clock()) if is_staff else [],
    )


def card(web: Web, machine: MachineView) -> dict[str, object]:
    """Return a machine with its live texts, as templates take it."""
    return {
        "machine": machine,
        "live": machine_json(web.renderer.sentences, machine, web.clock()),
        "key": key_of(machine),
    }


def tool_name(web: Web, visitor: Visitor, machine: MachineView | None) -> str:
    """Return what the program calls the tool that a tool change waits for; "" if nothing."""
    if machine is None or not machine.tool or machine.run is None:
        return ""
    detail = web.services.queue.get(machine.run.job_id, web.clock(), visitor.actor)
    for one in detail.preflights:
        tools = one.report.get("tools") if one.machine_slug == machine.slug else None
        for tool in tools if isinstance(tools, list) else ():
            if tool.get("number") == machine.tool:
                return str(tool.get("name", ""))
    return ""


@router.get("/stop")
def stop_page(request: Request, web: WebDep, visitor: VisitorDep) -> HTMLResponse:
    """Show the largest buttons of the house."""
    return _stop_page(request, web, visitor, outcome=None)


@router.post("/stop")
async def stop_all(request: Request) -> HTMLResponse:
    """Stop every machine that listens, then say what each answered."""
    return await _stop(request, None)


@router.post("/machines/{slug}/stop")
async def stop_one(request: Request, slug: str) -> HTMLResponse:
    """Stop one machine, then say what it answered."""
    return await _stop(request, slug)


async def _stop(request: Request, slug: str | None) -> HTMLResponse:
    async with request.form(max_files=0, max_fields=5) as data:
        given = Form(data).secret("csrf")
    done = await stop_now(request, slug, given)
    return await run_in_threadpool(_stopped_page, request, done)


def _stopped_page(request: Request, done: Stopped) -> HTMLResponse:
    _hear_plugs(done)
    return _stop_page(request, done.web, done.visitor, outcome=done.outcome)


def _hear_plugs(done: Stopped) -> None:
    """Give plugs a moment to say that they are off: every machine has its stop already."""
    waiting = {slug for slug, code in done.outcome.items() if code is None}
    until = time.monotonic() + _PLUGS_S
    while time.monotonic() < until:
        machines = done.web.services.machines.board(done.web.clock(), done.visitor.actor)
        words = [word for one in machines if one.slug in waiting for word in one.plugs.values()]
        if not set(words) & _UNDECIDED:
            return
        time.sleep(_PLUGS_STEP_S)


def _stop_page(
    request: Request, web: Web, visitor: Visitor, outcome: dict[str, str | None] | None
) -> HTMLResponse:
    machines = web.services.machines.board(web.clock(), visitor.actor)
    machines.sort(key=lambda one: one.control is not Control.SERIAL)  # what it can stop is on top
    known = {machine.slug: machine for machine in machines}
    return page(request, web, visitor, "stop.html", machines=machines, known=known, outcome=outcome)


@router.get("/health")
def health(request: Request, web: WebDep, visitor: VisitorDep) -> HTMLResponse:
    """Show how the node is."""
    clock = web.services.clock.view(web.clock())
    return page(request, web, visitor, "health.html", health=web.health(), clock=clock)


@router.post("/health/clock")
def vouch(web: WebDep, visitor: VisitorDep, _form: CheckedFormDep) -> RedirectResponse:
    """Take an operator's word that the node's clock is right."""
    web.services.clock.vouch(visitor.actor, web.clock())
    return go("/health", "clock-right")
