"""The day sheet: for staff, by button, and each morning by itself."""

from __future__ import annotations

from datetime import date

from fastapi import Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse

from jobs.domain.errors import NotFoundError
from jobs.domain.people import Role
from web.auth import CheckedFormDep, VisitorDep, needs
from web.context import WebDep
from web.pages.page import go, page
from web.routing import page_router

router = page_router()


@router.get("/day-sheet")
def show(request: Request, web: WebDep, visitor: VisitorDep) -> HTMLResponse:
    """Show which days have a sheet."""
    needs(visitor, Role.OPERATOR)
    days = [day.isoformat() for day in web.services.day_sheet.days(visitor.actor)]
    return page(request, web, visitor, "day_sheet.html", days=days)


@router.post("/day-sheet")
def make(web: WebDep, visitor: VisitorDep, _form: CheckedFormDep) -> RedirectResponse:
    """Write today's sheet as it is now."""
    now = web.clock()
    today = now.astimezone(web.settings.zone).date()
    web.services.day_sheet.make(visitor.actor, today, now, web.catalogue)
    return go("/day-sheet", "changed")


@router.get("/day-sheet/{day}.pdf")
def download(web: WebDep, visitor: VisitorDep, day: str) -> FileResponse:
    """Hand out a day's sheet."""
    path = web.services.day_sheet.file(visitor.actor, day_of(day))
    return FileResponse(
        path,
        media_type="application/pdf",
        filename=f"{path.stem}.pdf",
        headers={"Cache-Control": "no-store"},
    )


def day_of(text: str) -> date:
    """Return the day that a path names.

    :raises NotFoundError: if it names none.
    """
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise NotFoundError("day-sheet.unknown") from None
