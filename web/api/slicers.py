"""What slicers send: the few calls of OctoPrint's API that they make, at `/m/<machine>/`.

A file comes in by a member's key as that member's job, by a shared computer's key as nobody's yet.
It never starts by itself, whatever the slicer asks for.

Source: OctoPrint:docs/api/files.rst ("Upload file"), docs/api/version.rst.
"""

from __future__ import annotations

from fastapi import Request
from starlette.responses import JSONResponse

from web.auth import Form, FormDep, Visitor, program_of
from web.context import Web, WebDep
from web.routing import page_router

router = page_router()


@router.get("/m/{slug}/api/version")
def version(request: Request, web: WebDep, slug: str) -> JSONResponse:
    """Say what this is, so that a slicer's test button is content."""
    program_of(request, web)
    web.services.machines.get(slug, web.clock(), None)
    return JSONResponse(
        {"api": "0.1", "server": "1.10.0", "text": f"OctoPrint (fabnode {web.settings.version})"}
    )


@router.post("/m/{slug}/api/files/local")
def upload(request: Request, web: WebDep, slug: str, form: FormDep) -> JSONResponse:
    """Take a file in for a machine."""
    who = program_of(request, web)
    web.services.machines.get(slug, web.clock(), None)
    name, done = _bring(web, who, form, slug)
    file = {"name": name, "path": name, "origin": "local"}
    return JSONResponse({"files": {"local": file}, "done": True, **done}, 201)


@router.post("/api/v1/uploads", include_in_schema=False)
def bring(request: Request, web: WebDep, form: FormDep) -> JSONResponse:
    """Take a file in from a shared computer, for any machine."""
    who = program_of(request, web)
    _, done = _bring(web, who, form, form.text("machine"))
    return JSONResponse(done, 201)


def _bring(web: Web, who: Visitor | str, form: Form, slug: str) -> tuple[str, dict[str, str]]:
    """Return the file's name, and the id of the job or of what is unclaimed.

    :param who: a member's program, or the id of a shared computer.
    """
    name, data = form.file("file")
    now = web.clock()
    if isinstance(who, str):
        return name, {"unclaimed": web.services.workstations.bring(who, name, data, slug, now)}
    job = web.services.queue.submit(
        who.actor, name=name, data=data, machine_slug=slug or None, now=now
    )
    return name, {"job": job.id}
