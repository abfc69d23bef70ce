"""Jobs: send a file or name a design, follow it, steer it."""

from __future__ import annotations

from typing import Literal

from starlette.responses import FileResponse, StreamingResponse

from jobs.domain.errors import InvalidError
from jobs.services.copies import Copy
from jobs.services.plans import Plan
from jobs.services.resuming import ResumeWish
from web.api.jobs_json import JobDetailOut, JobOut, ResumeOfferOut, ResumeOut
from web.api.pictures_json import PicturesOut
from web.api.wishes import (
    ByHandIn,
    CopyIn,
    JobFromDesignIn,
    LetStartIn,
    PlanIn,
    ResumeConfirmIn,
    ResumeIn,
    RetryIn,
    WaiveIn,
)
from web.auth import ApiVisitorDep, FormDep, Visitor, actor_for
from web.context import Web, WebDep
from web.pages.asks import ask_wish
from web.pages.jobs import PURPOSES, carried, packed_log, picture_file
from web.pages.pictures import sent
from web.routing import api_router

router = api_router("jobs")

_UPLOAD_SCHEMA = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {"type": "string", "format": "binary"},
                        "title": {"type": "string"},
                        "kind": {"type": "string"},
                        "machine": {"type": "string"},
                        "recipe": {"type": "string"},
                        "purpose": {"type": "string", "enum": list(PURPOSES)},
                        "material-0": {"type": "string"},
                        "colour-0": {"type": "string"},
                        "nozzle_mm": {"type": "number"},
                        "plate": {"type": "string"},
                        "size_x_mm": {"type": "number"},
                        "size_y_mm": {"type": "number"},
                        "size_z_mm": {"type": "number"},
                        "for_person": {"type": "string", "description": "by id; for staff"},
                        "match_slots": {"type": "string", "description": "1: see the page"},
                        "deadline": {"type": "string", "description": "on the lab's clock"},
                    },
                }
            }
        },
    }
}


def _detail(web: Web, visitor: Visitor, job_id: str) -> JobDetailOut:
    return JobDetailOut.of(web, web.services.queue.get(job_id, web.clock(), visitor.actor))


@router.post("/jobs/{job_id}/let-start", status_code=204)
def let_start(web: WebDep, visitor: ApiVisitorDep, job_id: str, wish: LetStartIn) -> None:
    """Let what the house says against a job on a machine pass, with a reason; for staff."""
    now = web.clock()
    found = web.services.wondering.start(job_id, wish.machine, now)
    web.services.approvals.let_start(visitor.actor, job_id, wish.machine, found, wish.reason, now)


@router.get("/queue")
def queue(web: WebDep, visitor: ApiVisitorDep) -> list[JobOut]:
    """What waits and runs, in order."""
    return [JobOut.of(job) for job in web.services.queue.list(web.clock(), visitor.actor)]


@router.get("/jobs")
def jobs(web: WebDep, visitor: ApiVisitorDep, open_only: bool = False) -> list[JobOut]:
    """Jobs, the ended ones too unless only open ones are asked for."""
    found = web.services.queue.list(web.clock(), visitor.actor, open_only=open_only)
    return [JobOut.of(job) for job in found]


@router.post("/jobs", status_code=201, openapi_extra=_UPLOAD_SCHEMA)
def submit(web: WebDep, visitor: ApiVisitorDep, form: FormDep) -> JobOut:
    """Queue a mesh or a program."""
    name, data = form.file("file")
    purpose = form.text("purpose", "own")
    if purpose not in PURPOSES:
        raise InvalidError("form.choice", field="purpose", key="purpose")
    job = web.services.queue.submit(
        actor_for(web, visitor, form.text("for_person")),
        name=name,
        data=data,
        kind=form.text("kind") or None,
        machine_slug=form.text("machine") or None,
        title=form.text("title") or None,
        recipe=form.text("recipe") or None,
        purpose=purpose,
        now=web.clock(),
        ask=ask_wish(web, form),
    )
    return JobOut.of(job)


@router.post("/jobs/from-design", status_code=201)
def submit_design(web: WebDep, visitor: ApiVisitorDep, wish: JobFromDesignIn) -> JobOut:
    """Queue a part of a design from the library."""
    job = web.services.queue.submit_design(
        visitor.actor,
        wish.design,
        wish.part,
        machine_slug=wish.machine,
        recipe=wish.recipe,
        purpose=wish.purpose,
        now=web.clock(),
    )
    return JobOut.of(job)


@router.get("/recipes")
def recipes(web: WebDep, _visitor: ApiVisitorDep, kind: str) -> list[str]:
    """The recipes of a machine kind."""
    return list(web.services.queue.recipes(kind))


@router.get("/jobs/{job_id}")
def job(web: WebDep, visitor: ApiVisitorDep, job_id: str) -> JobDetailOut:
    """One job with its steps, findings, runs and records."""
    return _detail(web, visitor, job_id)


@router.get("/jobs/{job_id}/runs/{run}/wire-log", response_class=StreamingResponse)
def wire_log(web: WebDep, visitor: ApiVisitorDep, job_id: str, run: str) -> StreamingResponse:
    """Every byte to and from the machine, as packed JSON lines that replay."""
    return packed_log(*web.services.wire_logs.get(visitor.actor, job_id, run))


@router.post("/jobs/{job_id}/hold")
def hold(web: WebDep, visitor: ApiVisitorDep, job_id: str) -> JobDetailOut:
    """Keep it from starting."""
    web.services.queue.hold(visitor.actor, job_id, web.clock())
    return _detail(web, visitor, job_id)


@router.post("/jobs/{job_id}/release")
def release(web: WebDep, visitor: ApiVisitorDep, job_id: str) -> JobDetailOut:
    """Let it go on."""
    web.services.queue.release(visitor.actor, job_id, web.clock())
    return _detail(web, visitor, job_id)


@router.post("/jobs/{job_id}/cancel")
def cancel(web: WebDep, visitor: ApiVisitorDep, job_id: str) -> JobDetailOut:
    """Give it up; a running one ends safely."""
    web.services.queue.cancel(visitor.actor, job_id, web.clock())
    return _detail(web, visitor, job_id)


@router.post("/jobs/{job_id}/waive")
def waive(web: WebDep, visitor: ApiVisitorDep, job_id: str, wish: WaiveIn) -> JobDetailOut:
    """Let findings that need a person stand; a block never. The written reason is kept."""
    chosen = [(one.code, one.line) for one in wish.findings]
    web.services.waiving.waive(
        visitor.actor, job_id, wish.preflight, chosen, wish.reason, web.clock()
    )
    return _detail(web, visitor, job_id)


@router.get("/jobs/{job_id}/plan")
def plan_of(web: WebDep, _visitor: ApiVisitorDep, job_id: str) -> Plan | None:
    """When and where the job is planned to start; null without a plan."""
    return web.services.planning.of(job_id)


@router.put("/jobs/{job_id}/plan")
def plan(web: WebDep, visitor: ApiVisitorDep, job_id: str, wish: PlanIn) -> Plan | None:
    """Fix when and where a waiting job starts, and keep that time free; for staff."""
    planning = web.services.planning
    planning.plan(visitor.actor, job_id, wish.machine, wish.start, web.clock())
    return planning.of(job_id)


@router.delete("/jobs/{job_id}/plan", status_code=204)
def withdraw_plan(web: WebDep, visitor: ApiVisitorDep, job_id: str) -> None:
    """Take the plan back; the job waits as any other."""
    web.services.planning.withdraw(visitor.actor, job_id)


@router.post("/jobs/{job_id}/retry")
def retry(
    web: WebDep, visitor: ApiVisitorDep, job_id: str, wish: RetryIn | None = None
) -> JobDetailOut:
    """Try a failed job again from its beginning; the cause is kept with the asker's name."""
    web.services.queue.retry(visitor.actor, job_id, web.clock(), wish.cause if wish else "")
    return _detail(web, visitor, job_id)


@router.get(
    "/jobs/{job_id}/program",
    response_class=FileResponse,
    responses={200: {"content": {"application/octet-stream": {}}}},
)
def program(web: WebDep, visitor: ApiVisitorDep, job_id: str, machine: str) -> FileResponse:
    """The file to carry to a machine that takes work by hand, as it was examined for it."""
    return carried(web.services.queue.program(visitor.actor, job_id, machine))


@router.get(
    "/jobs/{job_id}/thumbnails/{number}",
    response_class=FileResponse,
    responses={200: {"content": {"image/png": {}, "image/jpeg": {}}}},
)
def thumbnail(web: WebDep, visitor: ApiVisitorDep, job_id: str, number: int) -> FileResponse:
    """A picture that the slicer put into the program, counted from 1; checked and written anew."""
    return picture_file(web.services.queue.thumbnail(job_id, number, visitor.actor))


@router.get("/jobs/{job_id}/resume")
def resume_offer(web: WebDep, visitor: ApiVisitorDep, job_id: str) -> ResumeOfferOut:
    """Where an interrupted job may be gone on with."""
    return ResumeOfferOut.of(web.services.resuming.offered(visitor.actor, job_id))


@router.get("/jobs/{job_id}/pictures")
def pictures(web: WebDep, _visitor: ApiVisitorDep, job_id: str) -> PicturesOut:
    """Which pictures there are; each is drawn when it is first asked for."""
    return PicturesOut.of(job_id, web.services.pictures.of(job_id))


@router.get(
    "/jobs/{job_id}/pictures/{name}.png",
    response_class=FileResponse,
    responses={200: {"content": {"image/png": {}}}},
)
def picture(
    web: WebDep,
    _visitor: ApiVisitorDep,
    job_id: str,
    name: str,
    machine: str = "",
    theme: Literal["light", "dark"] = "light",
    by: Literal["feature", "speed"] = "feature",
) -> FileResponse:
    """One picture: `mesh`, `overview`, `layer-12`, or `cut` of a mill or laser."""
    if name == "mesh":
        return sent(web.services.pictures.mesh(job_id), "")
    return sent(web.services.pictures.program(job_id, machine, name, theme, by), "")


@router.post("/jobs/{job_id}/copy")
def copy(web: WebDep, visitor: ApiVisitorDep, job_id: str, wish: CopyIn) -> JobDetailOut:
    """Make the job of a copy of its mesh that its inspection offers, or of the original again."""
    web.services.copies.use(visitor.actor, job_id, Copy(wish.copy_of_mesh), web.clock())
    return _detail(web, visitor, job_id)


@router.post("/jobs/{job_id}/resume-plan")
def resume_plan(web: WebDep, visitor: ApiVisitorDep, job_id: str, wish: ResumeIn) -> ResumeOut:
    """Make the lines that would be sent to go on with an interrupted job; changes nothing."""
    chosen = ResumeWish(wish.line, wish.layer, wish.height_mm)
    return ResumeOut.of(web, web.services.resuming.plan(visitor.actor, job_id, chosen))


@router.post("/jobs/{job_id}/resume")
def resume(web: WebDep, visitor: ApiVisitorDep, job_id: str, wish: ResumeConfirmIn) -> JobDetailOut:
    """Have the job wait for an arming, to go on exactly as it was planned."""
    chosen = ResumeWish(wish.line, wish.layer, wish.height_mm)
    shown = wish.stream_sha256
    web.services.resuming.confirm(visitor.actor, job_id, chosen, shown, web.clock())
    return _detail(web, visitor, job_id)


def _by_hand(
    web: Web,
    visitor: Visitor,
    job_id: str,
    what: Literal["started", "finished", "failed"],
    wish: ByHandIn | None,
) -> JobDetailOut:
    machine = wish.machine if wish else None
    web.services.queue.by_hand(visitor.actor, job_id, what, machine, web.clock())
    return _detail(web, visitor, job_id)


@router.post("/jobs/{job_id}/started")
def started(
    web: WebDep, visitor: ApiVisitorDep, job_id: str, wish: ByHandIn | None = None
) -> JobDetailOut:
    """A person began it at a machine that takes work by hand."""
    return _by_hand(web, visitor, job_id, "started", wish)


@router.post("/jobs/{job_id}/finished")
def finished(
    web: WebDep, visitor: ApiVisitorDep, job_id: str, wish: ByHandIn | None = None
) -> JobDetailOut:
    """The part is made."""
    return _by_hand(web, visitor, job_id, "finished", wish)


@router.post("/jobs/{job_id}/failed")
def failed(
    web: WebDep, visitor: ApiVisitorDep, job_id: str, wish: ByHandIn | None = None
) -> JobDetailOut:
    """The part went wrong."""
    return _by_hand(web, visitor, job_id, "failed", wish)
