"""Pictures of a job: the mesh, the toolpath layer by layer; and the copies of a mesh."""

from __future__ import annotations

from pathlib import Path

from fastapi import Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse

from jobs.domain.errors import InvalidError, NotFoundError
from jobs.services.copies import Copy
from jobs.services.pictures import ProgramPictures
from web.auth import CheckedFormDep, VisitorDep
from web.context import WebDep
from web.pages.page import go, page
from web.routing import page_router

router = page_router()

# In the order of the legend; the worker names the same.
FEATURES = (
    "outer-wall", "inner-wall", "solid", "infill", "bridge", "support", "skirt", "other",
)  # fmt: skip


@router.get("/jobs/{job_id}/picture/{name}.png", response_class=FileResponse)
def picture(
    web: WebDep,
    _visitor: VisitorDep,
    job_id: str,
    name: str,
    machine: str = "",
    theme: str = "light",
    by: str = "",
    v: str = "",
) -> FileResponse:
    """Return one picture; the first time it is drawn for it."""
    if name == "mesh":
        return sent(web.services.pictures.mesh(job_id), v)
    return sent(web.services.pictures.program(job_id, machine, name, theme, by), v)


def sent(path: Path, version: str) -> FileResponse:
    """Return a picture; an address that names its version may be kept by the browser."""
    keep = "private, max-age=604800, immutable" if version else "private, no-cache"
    return FileResponse(path, media_type="image/png", headers={"Cache-Control": keep})


@router.get("/jobs/{job_id}/toolpath")
def toolpath(
    request: Request,
    web: WebDep,
    visitor: VisitorDep,
    job_id: str,
    machine: str = "",
    layer: int = 1,
    by: str = "feature",
) -> HTMLResponse:
    """Show a job's toolpath: one layer of a print, or a whole cut."""
    detail = web.services.queue.get(job_id, web.clock(), visitor.actor)
    programs = web.services.pictures.of(job_id).programs
    chosen = next((one for one in programs if machine in ("", one.machine_slug)), None)
    if chosen is None:
        raise NotFoundError("picture.none")
    number = min(max(layer, 1), max(chosen.layer_count, 1))
    rows = chosen.layers
    return page(
        request,
        web,
        visitor,
        "toolpath.html",
        job=detail.job,
        programs=programs,
        chosen=chosen,
        number=number,
        row=rows[number - 1] if number <= len(rows) else None,
        by="speed" if by == "speed" else "feature",
        features=legend(chosen),
    )


def legend(program: ProgramPictures) -> list[str]:
    """Return the features that a legend names: those there are, or all until that is known."""
    known = program.features
    return [word for word in FEATURES if known is None or word in known]


@router.post("/jobs/{job_id}/copy")
def copy(web: WebDep, visitor: VisitorDep, job_id: str, form: CheckedFormDep) -> RedirectResponse:
    """Make the job of a copy of its mesh, or of the original again."""
    wanted = form.text("copy")
    if wanted not in {one.value for one in Copy}:
        raise InvalidError("form.choice", field="copy", key="copy")
    web.services.copies.use(visitor.actor, job_id, Copy(wanted), web.clock())
    return go(f"/jobs/{job_id}", "copied")
