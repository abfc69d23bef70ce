"""The day sheet as PDF."""

from __future__ import annotations

from starlette.responses import FileResponse

from web.auth import ApiVisitorDep
from web.context import WebDep
from web.pages.day_sheet import day_of
from web.routing import api_router

router = api_router("lab")


@router.get("/day-sheets/{day}", response_class=FileResponse)
def day_sheet(web: WebDep, visitor: ApiVisitorDep, day: str) -> FileResponse:
    """The sheet of a day that has one; for staff."""
    path = web.services.day_sheet.file(visitor.actor, day_of(day))
    return FileResponse(path, media_type="application/pdf")


@router.put("/day-sheets/{day}", status_code=204)
def make(web: WebDep, visitor: ApiVisitorDep, day: str) -> None:
    """Write a day's sheet as it is now; for staff."""
    web.services.day_sheet.make(visitor.actor, day_of(day), web.clock(), web.catalogue)
