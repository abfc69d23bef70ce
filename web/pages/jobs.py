"""The queue, a new job, and a job's page with everything that happened to it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import Query, Request
from starlette.responses import (
    FileResponse,
    HTMLResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)

from jobs.domain.errors import InvalidError
from jobs.domain.job import JobState, StepName, StepState
from jobs.domain.machine import Control
from jobs.domain.materials import load_materials
from jobs.domain.people import Role
from jobs.domain.preflight import Verdict
from jobs.services.copies import OFFERS_COPIES, Origin, all_changes, offers_of, origin_from
from jobs.services.views import CarriedProgram, JobDetail, MachineView, PreflightView, Thumbnail
from web.auth import CheckedFormDep, Visitor, VisitorDep, actor_for
from web.context import Web, WebDep
from web.errors import status_of
from web.live import machine_json
from web.pages.asks import ask_wish
from web.pages.board import tool_name
from web.pages.calendar import booking_min
from web.pages.page import go, local_instant, page
from web.routing import page_router

router = page_router()

PURPOSES = ("own", "internal", "client", "sale")
ENDED = frozenset({JobState.DONE, JobState.FAILED, JobState.CANCELLED})


@router.get("/queue")
def queue(request: Request, web: WebDep, visitor: VisitorDep) -> HTMLResponse:
    """Show what waits and runs, and what ended lately."""
    now, queue = web.clock(), web.services.queue
    return page(
        request,
        web,
        visitor,
        "queue.html",
        jobs=queue.list(now, visitor.actor),
        ended=queue.recent(now, visitor.actor),
        names={one.slug: one.name for one in web.services.bookings.machines()},
        runs_on=queue.runs_on(),
    )


@router.get("/jobs/new")
def new(
    request: Request,
    web: WebDep,
    visitor: VisitorDep,
    machine: str = "",
    design: str = "",
    of: Annotated[str, Query(alias="for")] = "",
) -> HTMLResponse:
    """Ask for the file, or for which part of a design."""
    return _new(request, web, visitor, {"machine": machine, "design": design, "for": of})


@router.post("/jobs/new")
def submit(request: Request, web: WebDep, visitor: VisitorDep, form: CheckedFormDep) -> Response:
    """Queue it."""
    machine_slug = form.text("machine") or None
    recipe = form.text("recipe") or None
    purpose = form.text("purpose", "own")
    try:
        ask = ask_wish(web, form)
        actor = actor_for(web, visitor, form.text("for"))
        if form.text("design"):
            job = web.services.queue.submit_design(
                actor,
                form.text("design"),
                form.text("part") or None,
                machine_slug=machine_slug,
                recipe=recipe,
                purpose=purpose,
                now=web.clock(),
                ask=ask,
            )
        else:
            name, data = form.file("file")
            job = web.services.queue.submit(
                actor,
                name=name,
                data=data,
                kind=form.text("kind") or None,
                machine_slug=machine_slug,
                title=form.text("title") or None,
                recipe=recipe,
                purpose=purpose,
                now=web.clock(),
                ask=ask,
            )
    except InvalidError as error:
        return _new(request, web, visitor, form.texts(), error)
    return go(f"/jobs/{job.id}", "queued")


def _new(
    request: Request,
    web: Web,
    visitor: Visitor,
    values: dict[str, str],
    error: InvalidError | None = None,
) -> HTMLResponse:
    machines = _working(web, visitor)
    kinds = sorted({machine.kind for machine in machines})
    design = web.services.designs.get(values["design"]) if values.get("design") else None
    return page(
        request,
        web,
        visitor,
        "job_new.html",
        status=status_of(error) if error else 200,
        machines=machines,
        kinds=kinds,
        recipes={kind: web.services.queue.recipes(kind) for kind in kinds},
        purposes=PURPOSES,
        materials=_materials(machines),
        values=values,
        behalf=actor_for(web, visitor, values["for"]) if values.get("for") else None,
        design=design,
        limit_bytes=web.services.workshop.upload_limit_bytes,
        error=error,
    )


def _materials(machines: Sequence[MachineView]) -> list[str]:
    """Return materials to choose from: those we know, and those listed for machines here."""
    listed = {one for machine in machines for one in machine.limits.materials}
    return sorted({*load_materials(), *listed}, key=str.casefold)


def _working(web: Web, visitor: Visitor) -> list[MachineView]:
    board = web.services.machines.board(web.clock(), visitor.actor)
    return [machine for machine in board if machine.control is not Control.NONE]


@router.get("/jobs/{job_id}")
def show(request: Request, web: WebDep, visitor: VisitorDep, job_id: str) -> HTMLResponse:
    """Show a job's way: steps, findings, runs, record."""
    return job_page(request, web, visitor, job_id)


def job_page(
    request: Request, web: Web, visitor: Visitor, job_id: str, error: InvalidError | None = None
) -> HTMLResponse:
    """Return a job's page.

    :param error: why what was asked for on it was not done.
    """
    now = web.clock()
    detail = web.services.queue.get(job_id, now, visitor.actor)
    board = web.services.machines.board(now, visitor.actor)
    running = next((one for one in board if one.run and one.run.job_id == job_id), None)
    return page(
        request,
        web,
        visitor,
        "job.html",
        done_for=web.services.behalf.about([f"job:{job_id}"]).get(f"job:{job_id}", ()),
        error=error,
        detail=detail,
        money=web.services.money.of_job(visitor.actor, job_id, now),
        asked=web.services.asking.view(job_id),
        links=web.services.batches.view(job_id),
        may_order=(detail.job.mine or visitor.may(Role.OPERATOR)) and detail.job.state not in ENDED,
        causes=web.services.clearing.causes(),
        materials=_materials(board),
        job=detail.job,
        names={machine.slug: machine.name for machine in board},
        movable={
            one.slug: one.name
            for one in board
            if one.kind == detail.job.kind and one.control is not Control.NONE
        },
        sheets=_sheets(detail, board, running),
        running=running,
        tool_name=tool_name(web, visitor, running),
        live=machine_json(web.renderer.sentences, running, now) if running else None,
        unsettled=detail.job.state not in ENDED
        or any(step.state in (StepState.WAITING, StepState.RUNNING) for step in detail.steps),
        may_steer=detail.job.mine or visitor.may(Role.OPERATOR),
        pictures=web.services.pictures.of(job_id),
        copying=_copying(web, visitor, detail),
        clearings=web.services.clearing.of_job(job_id),
        plan=web.services.planning.of(job_id) if detail.job.state is JobState.WAITING else None,
        bookable_min=_bookable_min(web, detail),
        broker=web.health().broker if _is_announcing(detail) else "",
        may_waive={
            one.id: [
                finding
                for finding in one.open_findings
                if finding.waived_by and visitor.may(finding.waived_by)
            ]
            for one in detail.preflights
        },
    )


def _is_announcing(detail: JobDetail) -> bool:
    """Return whether its last word is still to leave the house."""
    return any(
        step.name is StepName.ANNOUNCE and step.state is StepState.RUNNING for step in detail.steps
    )


def _bookable_min(web: Web, detail: JobDetail) -> dict[str, int]:
    """Return for how long each machine would be booked for a job that waits, by slug."""
    if not web.books() or detail.job.state not in (JobState.WAITING, JobState.HELD):
        return {}
    fitting = [one.machine_slug for one in detail.preflights if one.verdict is not Verdict.BLOCK]
    lengths = ((slug, booking_min(detail, slug)) for slug in fitting)
    return {slug: length for slug, length in lengths if length is not None}


@dataclass(frozen=True, slots=True)
class Copying:
    """Which copies of its mesh a job could be made of, and of which it is made.

    :param changes: a sentence: what was changed in the copy that is used.
    :param offers: word and sentence of each copy; empty where it is too late, or not this
        person's to choose.
    """

    origin: Origin | None
    changes: str
    may: bool
    offers: Sequence[tuple[str, str]]


def _copying(web: Web, visitor: Visitor, detail: JobDetail) -> Copying:
    sentences = web.renderer.sentences
    fetched = next((one.detail for one in detail.steps if one.name is StepName.FETCH), {})
    origin = origin_from(fetched) if "original_sha256" in fetched else None
    may = (detail.job.mine or visitor.may(Role.OPERATOR)) and detail.job.state in OFFERS_COPIES
    changes = sentences.text("page.copy.changes", **all_changes(origin.changes)) if origin else ""
    return Copying(
        origin,
        changes,
        may,
        [
            (copy.value, sentences.text(f"page.copy.{copy.value}", **numbers))
            for copy, numbers in (offers_of(detail.report) if may else ())
        ],
    )


def _sheets(
    detail: JobDetail, board: Sequence[MachineView], running: MachineView | None
) -> list[PreflightView]:
    """Return the job sheets: the machines by hand that may make it, or the one that does."""
    may = detail.job.may
    slugs = {one.slug for one in board if one.control is Control.BY_HAND}
    if "finished" in may and running is not None:
        slugs = {running.slug}
    elif "started" not in may:
        return []
    return [
        one
        for one in detail.preflights
        if one.machine_slug in slugs and one.verdict is not Verdict.BLOCK
    ]


@router.get("/jobs/{job_id}/thumbnails/{number}")
def thumbnail(web: WebDep, visitor: VisitorDep, job_id: str, number: int) -> FileResponse:
    """Hand out a picture that the slicer put into the program."""
    return picture_file(web.services.queue.thumbnail(job_id, number, visitor.actor))


def picture_file(picture: Thumbnail) -> FileResponse:
    """Return a picture that may be shown: it was checked and written anew."""
    kind = "image/jpeg" if picture.format == "jpg" else "image/png"
    return FileResponse(picture.path, media_type=kind, headers={"Cache-Control": "private"})


@router.get("/jobs/{job_id}/sheet")
def sheet(
    request: Request, web: WebDep, visitor: VisitorDep, job_id: str, machine: str
) -> HTMLResponse:
    """Show what a person takes along to a machine that is worked by hand; made to be printed."""
    program = web.services.queue.program(visitor.actor, job_id, machine)
    detail = web.services.queue.get(job_id, web.clock(), visitor.actor)
    return page(
        request,
        web,
        visitor,
        "job_sheet.html",
        detail=detail,
        job=detail.job,
        program=program,
        examined=next(one for one in detail.preflights if one.machine_slug == machine),
        machine=web.services.machines.get(machine, web.clock(), visitor.actor),
        slots=web.services.slots.on_machine(machine, [job_id]).get(job_id),
    )


@router.get("/jobs/{job_id}/program")
def program(web: WebDep, visitor: VisitorDep, job_id: str, machine: str) -> FileResponse:
    """Hand out the program to carry to a machine that is worked by hand."""
    return carried(web.services.queue.program(visitor.actor, job_id, machine))


def carried(program: CarriedProgram) -> FileResponse:
    """Return a program as a file to be saved, never to be shown."""
    kind = "application/octet-stream"
    return FileResponse(program.path, filename=program.name, media_type=kind)


@router.get("/jobs/{job_id}/runs/{run}/wire-log")
def wire_log(web: WebDep, visitor: VisitorDep, job_id: str, run: str) -> Response:
    """Hand out every byte to and from the machine, packed."""
    return packed_log(*web.services.wire_logs.get(visitor.actor, job_id, run))


def packed_log(name: str, data: Iterator[bytes]) -> StreamingResponse:
    """Return a log as a file to keep."""
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(data, media_type="application/gzip", headers=headers)


@router.post("/jobs/{job_id}/hold")
def hold(web: WebDep, visitor: VisitorDep, job_id: str, _form: CheckedFormDep) -> RedirectResponse:
    """Keep a job from starting."""
    web.services.queue.hold(visitor.actor, job_id, web.clock())
    return go(f"/jobs/{job_id}", "held")


@router.post("/jobs/{job_id}/release")
def release(
    web: WebDep, visitor: VisitorDep, job_id: str, _form: CheckedFormDep
) -> RedirectResponse:
    """Let a held job go on."""
    web.services.queue.release(visitor.actor, job_id, web.clock())
    return go(f"/jobs/{job_id}", "released")


@router.post("/jobs/{job_id}/cancel")
def cancel(
    web: WebDep, visitor: VisitorDep, job_id: str, _form: CheckedFormDep
) -> RedirectResponse:
    """Give a job up; a running one ends safely."""
    web.services.queue.cancel(visitor.actor, job_id, web.clock())
    return go(f"/jobs/{job_id}", "cancelled")


@router.post("/jobs/{job_id}/waive")
def waive(web: WebDep, visitor: VisitorDep, job_id: str, form: CheckedFormDep) -> RedirectResponse:
    """Let what needs a person stand, with a written reason."""
    read, reason = form.text("preflight"), form.text("reason")
    web.services.waiving.waive(visitor.actor, job_id, read, None, reason, web.clock())
    return go(f"/jobs/{job_id}", "waived")


@router.post("/jobs/{job_id}/retry")
def retry(web: WebDep, visitor: VisitorDep, job_id: str, form: CheckedFormDep) -> RedirectResponse:
    """Try a failed job again from its beginning."""
    cause = form.text("own-cause") or form.text("cause")
    if not cause:
        raise InvalidError("form.choice", field="cause", key="cause")
    web.services.queue.retry(visitor.actor, job_id, web.clock(), cause)
    return go(f"/jobs/{job_id}", "retried")


@router.post("/jobs/{job_id}/plan")
def plan(web: WebDep, visitor: VisitorDep, job_id: str, form: CheckedFormDep) -> RedirectResponse:
    """Fix when and where a job starts; without an instant the plan is taken back."""
    if form.text("do") == "withdraw":
        web.services.planning.withdraw(visitor.actor, job_id)
        return go(f"/jobs/{job_id}", "changed")
    start = local_instant(web, form.text("start"), "start")
    web.services.planning.plan(visitor.actor, job_id, form.text("machine"), start, web.clock())
    return go(f"/jobs/{job_id}", "planned")


@router.post("/jobs/{job_id}/by-hand")
def by_hand(
    web: WebDep, visitor: VisitorDep, job_id: str, form: CheckedFormDep
) -> RedirectResponse:
    """Write down what a person did at a machine that takes work by hand."""
    what = form.text("what")
    if what not in ("started", "finished", "failed"):
        raise InvalidError("form.choice", field="what", key="what")
    web.services.queue.by_hand(
        visitor.actor, job_id, what, form.text("machine") or None, web.clock()
    )
    return go(f"/jobs/{job_id}", "by-hand")
