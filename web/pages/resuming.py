"""Going on with an interrupted job: choose a line, read what is sent, confirm it."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import HTMLResponse, RedirectResponse

from jobs.domain.errors import InvalidError, RefusedError
from jobs.domain.policy import Reason, Refusal
from jobs.services.resuming import ResumeOffer, ResumePlan, ResumeWish
from web.auth import CheckedFormDep, Form, Visitor, VisitorDep
from web.context import Web, WebDep
from web.pages.page import go, page
from web.routing import page_router

router = page_router()


@router.get("/jobs/{job_id}/resume")
def choose(request: Request, web: WebDep, visitor: VisitorDep, job_id: str) -> HTMLResponse:
    """Ask where to begin; the surest line is proposed."""
    offer = _offer(web, visitor, job_id)
    return _page(request, web, visitor, offer, ResumeWish(offer.line), None)


@router.post("/jobs/{job_id}/resume")
def plan(
    request: Request, web: WebDep, visitor: VisitorDep, job_id: str, form: CheckedFormDep
) -> HTMLResponse:
    """Show exactly what would be sent; nothing is changed."""
    offer, wish = _offer(web, visitor, job_id), _wish(form)
    made = web.services.resuming.plan(visitor.actor, job_id, wish)
    return _page(request, web, visitor, offer, wish, made)


@router.post("/jobs/{job_id}/resume/confirm")
def confirm(
    web: WebDep, visitor: VisitorDep, job_id: str, form: CheckedFormDep
) -> RedirectResponse:
    """Have the job wait for an arming, to go on as it was shown."""
    shown = form.text("stream_sha256")
    web.services.resuming.confirm(visitor.actor, job_id, _wish(form), shown, web.clock())
    return go(f"/jobs/{job_id}", "resume-planned")


def _offer(web: Web, visitor: Visitor, job_id: str) -> ResumeOffer:
    offer = web.services.resuming.offer(visitor.actor, job_id)
    if offer is None:
        fields: dict[str, str | int | float] = {"state": "held", "wanted": "interrupted"}
        raise RefusedError([Refusal(Reason.WRONG_STATE, fields)])
    return offer


def _wish(form: Form) -> ResumeWish:
    line, layer, height = form.text("line", "0"), form.text("layer", "0"), form.text("height_mm")
    if not (line.isdecimal() and layer.isdecimal() and len(line + layer) < 18):
        raise InvalidError("form.choice", field="line", key="line")
    try:
        height_mm = float(height) if height else None
    except ValueError as error:
        raise InvalidError("form.choice", field="height_mm", key="height_mm") from error
    if height_mm is not None and not 0.0 <= height_mm <= 10_000.0:
        raise InvalidError("form.choice", field="height_mm", key="height_mm")
    return ResumeWish(int(line), int(layer), height_mm)


def _page(
    request: Request,
    web: Web,
    visitor: Visitor,
    offer: ResumeOffer,
    wish: ResumeWish,
    made: ResumePlan | None,
) -> HTMLResponse:
    title = web.services.queue.get(offer.job_id, web.clock(), visitor.actor).job.title
    return page(
        request, web, visitor, "resume.html", offer=offer, wish=wish, plan=made, title=title
    )
