"""Whose turn it is and why, jobs that belong together, and what a job asks of machines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Final

from fastapi import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from jobs.domain.errors import InvalidError
from jobs.domain.people import Role
from jobs.domain.priority import Weights
from web.auth import CheckedFormDep, Visitor, VisitorDep, needs
from web.context import Web, WebDep
from web.pages.asks import ask_wish, job_numbers, slot_pairs
from web.pages.jobs import job_page
from web.pages.page import go, page
from web.routing import page_router

router = page_router()

WEIGHTS: Final = tuple(one.name for one in fields(Weights) if one.name != "roles")


@router.get("/queue/order")
def order(request: Request, web: WebDep, visitor: VisitorDep) -> HTMLResponse:
    """Explain how the queue's order is made; an admin changes what counts how much."""
    return _order(request, web, visitor)


@router.post("/queue/order")
def decide(request: Request, web: WebDep, visitor: VisitorDep, form: CheckedFormDep) -> Response:
    """Keep what counts how much."""
    needs(visitor, Role.ADMIN)
    try:
        values: dict[str, object] = {}
        if not form.text("default"):
            given = {key: form.number(key) for key in WEIGHTS}
            roles = {role.value: form.number(f"role-{role.value}") for role in Role}
            values = {key: value for key, value in given.items() if value is not None}
            values["roles"] = {name: points for name, points in roles.items() if points}
        web.services.weighing.decide(visitor.actor, values, web.clock())
    except InvalidError as error:
        return _order(request, web, visitor, form.texts(), error)
    return go("/queue/order", "changed")


def _order(
    request: Request,
    web: Web,
    visitor: Visitor,
    values: Mapping[str, str] | None = None,
    error: InvalidError | None = None,
) -> HTMLResponse:
    found = web.services.weighing.get()
    held = found.weights
    known = {key: f"{getattr(held, key):g}" for key in WEIGHTS}
    known |= {f"role-{role.value}": f"{held.roles.get(role.value, 0):g}" for role in Role}
    return page(
        request,
        web,
        visitor,
        "queue_order.html",
        found=found,
        weights=WEIGHTS,
        roles=list(Role),
        values={**known, **(values or {})},
        usual=Weights(),
        error=error,
    )


@router.post("/queue/groups")
def gather(web: WebDep, visitor: VisitorDep, form: CheckedFormDep) -> RedirectResponse:
    """Make one group of several jobs."""
    numbers = job_numbers(form, "jobs")
    title = form.text("title")
    made = web.services.batches.gather(visitor.actor, title, numbers, web.clock())
    return go(f"/queue/groups/{made}", "changed")


@router.get("/queue/groups/{group_id}")
def group(request: Request, web: WebDep, visitor: VisitorDep, group_id: str) -> HTMLResponse:
    """Show jobs that belong together, as one thing."""
    found = web.services.batches.group(group_id)
    jobs = web.services.queue.of_group(group_id, web.clock(), visitor.actor)
    return page(
        request,
        web,
        visitor,
        "group.html",
        group=found,
        jobs=jobs,
        may_hold=any("hold" in one.may for one in jobs),
        may_release=any(
            "release" in one.may and one.hold_reason is not None and one.hold_reason == "by-person"
            for one in jobs
        ),
        done_by=max((one.foreseen.end_p90 for one in jobs if one.foreseen), default=None),
    )


@router.post("/queue/groups/{group_id}")
def steer_group(
    web: WebDep, visitor: VisitorDep, group_id: str, form: CheckedFormDep
) -> RedirectResponse:
    """Hold or release the jobs of a group together."""
    match form.text("do"):
        case "hold":
            web.services.queue.hold_group(visitor.actor, group_id, web.clock())
            return go(f"/queue/groups/{group_id}", "held")
        case "release":
            web.services.queue.release_group(visitor.actor, group_id, web.clock())
            return go(f"/queue/groups/{group_id}", "released")
        case _:
            raise InvalidError("form.choice", field="do", key="do")


@router.post("/jobs/{job_id}/copies")
def copies(
    request: Request, web: WebDep, visitor: VisitorDep, job_id: str, form: CheckedFormDep
) -> Response:
    """Queue the same thing some more times."""
    try:
        count = form.text("count")
        number = int(count) if count.isdecimal() and len(count) < 6 else 0
        web.services.batches.copies(visitor.actor, job_id, number, web.clock())
    except InvalidError as error:
        return job_page(request, web, visitor, job_id, error)
    return go(f"/jobs/{job_id}", "copies-made")


@router.post("/jobs/{job_id}/after")
def after(
    request: Request, web: WebDep, visitor: VisitorDep, job_id: str, form: CheckedFormDep
) -> Response:
    """Let a job wait until others are done; an empty field lets it wait for none."""
    try:
        web.services.batches.after(visitor.actor, job_id, job_numbers(form, "after"))
    except InvalidError as error:
        return job_page(request, web, visitor, job_id, error)
    return go(f"/jobs/{job_id}", "changed")


@router.post("/jobs/{job_id}/leave-group")
def leave(web: WebDep, visitor: VisitorDep, job_id: str, _form: CheckedFormDep) -> RedirectResponse:
    """Take a job out of its group."""
    web.services.batches.leave(visitor.actor, job_id)
    return go(f"/jobs/{job_id}", "changed")


@router.post("/jobs/{job_id}/asks")
def asks(
    request: Request, web: WebDep, visitor: VisitorDep, job_id: str, form: CheckedFormDep
) -> Response:
    """Say what a job asks for."""
    try:
        web.services.asking.say(visitor.actor, job_id, ask_wish(web, form), web.clock())
    except InvalidError as error:
        return job_page(request, web, visitor, job_id, error)
    return go(f"/jobs/{job_id}", "changed")


@router.post("/jobs/{job_id}/slots")
def slots(
    request: Request, web: WebDep, visitor: VisitorDep, job_id: str, form: CheckedFormDep
) -> Response:
    """Choose from which slots a job's tools draw on one machine."""
    try:
        pairs = slot_pairs(form)
        machine = form.text("machine")
        web.services.slots.choose(visitor.actor, job_id, machine, pairs, web.clock())
    except InvalidError as error:
        return job_page(request, web, visitor, job_id, error)
    return go(f"/jobs/{job_id}", "changed")


@router.post("/jobs/{job_id}/machine")
def move(
    request: Request, web: WebDep, visitor: VisitorDep, job_id: str, form: CheckedFormDep
) -> Response:
    """Let a job go to another machine of its kind, or to any."""
    try:
        web.services.queue.move(visitor.actor, job_id, form.text("machine") or None, web.clock())
    except InvalidError as error:
        return job_page(request, web, visitor, job_id, error)
    return go(f"/jobs/{job_id}", "changed")
