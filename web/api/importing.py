"""Bringing a lab along from another system."""

from __future__ import annotations

from typing import Annotated

from fastapi import Form, UploadFile

from jobs.domain.importing import LARGEST_BYTES, What
from jobs.services.importing import Imported
from web.auth import ApiVisitorDep
from web.context import WebDep
from web.routing import api_router

router = api_router("lab")


@router.post("/import")
def bring(
    web: WebDep,
    visitor: ApiVisitorDep,
    file: UploadFile,
    what: Annotated[What, Form()],
    *,
    dry: Annotated[bool, Form()] = True,
) -> Imported:
    """Try a list, or with `dry=false` take it in, wholly or not at all; for admins."""
    data = file.file.read(LARGEST_BYTES + 1)
    name = file.filename or "list.csv"
    return web.services.importing.run(visitor.actor, what, name, data, web.clock(), dry=dry)
