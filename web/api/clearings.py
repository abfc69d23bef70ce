"""What was said of results, the photographs beside it, and the words to choose from."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from starlette.responses import FileResponse

from jobs.services.clearing import ClearingView
from web.api.wishes import ShortText, WishIn
from web.auth import ApiVisitorDep
from web.context import WebDep
from web.pages.clearing import photo_file
from web.routing import api_router

router = api_router("upkeep")


class CausesIn(WishIn):
    """Causes of failures that people choose from; none brings the usual ones back."""

    causes: Annotated[list[ShortText], Field(max_length=100)]


class DaysIn(WishIn):
    """For how many days photographs are kept."""

    days: int


@router.get("/jobs/{job_id}/clearings")
def clearings(web: WebDep, _visitor: ApiVisitorDep, job_id: str) -> list[ClearingView]:
    """What was said of a job's results, the oldest first."""
    return list(web.services.clearing.of_job(job_id))


@router.get("/clearings/{clearing_id}/photo", response_class=FileResponse)
def clearing_photo(web: WebDep, visitor: ApiVisitorDep, clearing_id: str) -> FileResponse:
    """The photograph of a result; for its owner, who cleared, and operators."""
    return photo_file(web.services.clearing.photo(visitor.actor, clearing_id))


@router.get("/faults/{fault_id}/photo", response_class=FileResponse)
def fault_photo(web: WebDep, visitor: ApiVisitorDep, fault_id: str) -> FileResponse:
    """The photograph of a fault."""
    return photo_file(web.services.faults.photo(visitor.actor, fault_id))


@router.get("/near-misses/{near_miss_id}/photo", response_class=FileResponse)
def near_miss_photo(web: WebDep, visitor: ApiVisitorDep, near_miss_id: str) -> FileResponse:
    """The photograph of a near miss; for admins."""
    return photo_file(web.services.faults.near_miss_photo(visitor.actor, near_miss_id))


@router.get("/causes")
def causes(web: WebDep, _visitor: ApiVisitorDep) -> list[str]:
    """The causes of failures that people choose from."""
    return list(web.services.clearing.causes())


@router.put("/causes")
def write_causes(web: WebDep, visitor: ApiVisitorDep, wish: CausesIn) -> list[str]:
    """Keep another list of them; for staff."""
    web.services.clearing.write_causes(visitor.actor, "\n".join(wish.causes))
    return list(web.services.clearing.causes())


@router.get("/photos")
def photo_days(web: WebDep, _visitor: ApiVisitorDep) -> dict[str, int]:
    """For how many days photographs are kept."""
    return {"days": web.services.photos.days()}


@router.put("/photos")
def keep_photos(web: WebDep, visitor: ApiVisitorDep, wish: DaysIn) -> dict[str, int]:
    """Keep them for another number of days; for staff."""
    web.services.photos.keep(visitor.actor, wish.days)
    return {"days": web.services.photos.days()}
