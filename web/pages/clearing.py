"""Clearing a machine in three taps, and saying that a result is wrong."""

from __future__ import annotations

from pathlib import Path

from fastapi import Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response

from jobs.domain.care import Outcome
from jobs.domain.errors import InvalidError
from jobs.domain.people import Actor
from web.auth import CheckedFormDep, Form, Visitor, VisitorDep, actor_for
from web.context import Web, WebDep
from web.pages.page import go, page
from web.routing import page_router

router = page_router()
_DIGITS = 4  # more than any number of an item has


@router.get("/machines/{slug}/clear")
def ask(request: Request, web: WebDep, visitor: VisitorDep, slug: str) -> HTMLResponse:
    """Ask how what lies there had become."""
    return _ask(request, web, visitor, slug, {})


def _ask(
    request: Request,
    web: Web,
    visitor: Visitor,
    slug: str,
    values: dict[str, str],
    error: InvalidError | None = None,
) -> HTMLResponse:
    return page(
        request,
        web,
        visitor,
        "clear.html",
        asked=web.services.clearing.look(visitor.actor, slug),
        photo_days=web.services.photos.days(),
        values=values,
        error=error,
    )


@router.post("/machines/{slug}/clear")
def clear(
    request: Request, web: WebDep, visitor: VisitorDep, slug: str, form: CheckedFormDep
) -> Response:
    """Take the word; where the person also says so, the machine is armed."""
    try:
        web.services.clearing.clear(
            cleared_by(web, visitor, form.text("by")),
            slug,
            outcome_of(form.text("outcome")),
            web.clock(),
            cause=form.text("other-cause") or form.text("cause"),
            shelf=form.text("shelf"),
            note=form.text("note"),
            photo=form.picture("photo"),
            list_id=form.text("list"),
            ticked=ticked_items(form),
        )
    except InvalidError as error:
        return _ask(request, web, visitor, slug, form.texts(), error)
    return go(f"/machines/{slug}", "cleared")


def cleared_by(web: Web, visitor: Visitor, login: str) -> Actor:
    """Return who took it off: the visitor, or for whom they say so, by login."""
    if not login:
        return visitor.actor
    found = web.services.people.by_login(login)
    if found is None:
        raise InvalidError("clearing.by", field="by", login=login[:64])
    return actor_for(web, visitor, found.id)


def outcome_of(text: str) -> Outcome:
    """Return the outcome that a form names."""
    try:
        return Outcome(text)
    except ValueError:
        raise InvalidError("clearing.outcome", field="outcome") from None


def ticked_items(form: Form) -> list[int]:
    """Return the numbers of a checklist's items that a form has ticks for."""
    names = [one.removeprefix("item-") for one in form.texts() if one.startswith("item-")]
    return [int(one) for one in names if one.isdecimal() and len(one) < _DIGITS]


@router.get("/clearings/{clearing_id}/photo")
def photo(web: WebDep, visitor: VisitorDep, clearing_id: str) -> FileResponse:
    """Hand out a clearing's photo."""
    return photo_file(web.services.clearing.photo(visitor.actor, clearing_id))


def photo_file(path: Path) -> FileResponse:
    """Return a photograph: it was decoded and written anew."""
    return FileResponse(
        path, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=86400"}
    )


@router.get("/contests")
def contests(request: Request, web: WebDep, visitor: VisitorDep, about: str = "") -> HTMLResponse:
    """Show one's own notes, for staff all; with *about*, ask for a new one."""
    return page(
        request,
        web,
        visitor,
        "contests.html",
        contests=web.services.contests.list(visitor.actor, web.clock()),
        about=about[:80],
        what=web.services.contests.contestable(visitor.actor, about, web.clock()) if about else "",
    )


@router.post("/contests")
def contest(web: WebDep, visitor: VisitorDep, form: CheckedFormDep) -> RedirectResponse:
    """Take a note against a result or a no-show."""
    web.services.contests.open(visitor.actor, form.text("about"), form.text("note"), web.clock())
    return go("/contests", "contested")


@router.post("/contests/{contest_id}/decide")
def decide(
    web: WebDep, visitor: VisitorDep, contest_id: str, form: CheckedFormDep
) -> RedirectResponse:
    """Decide a note."""
    decision = form.text("decision")
    if decision not in ("upheld", "rejected"):
        raise InvalidError("form.choice", field="decision", key="decision")
    web.services.contests.decide(
        visitor.actor,
        contest_id,
        form.text("reason"),
        web.clock(),
        upheld=decision == "upheld",
        minutes=form.number("minutes"),
        mass_g=form.number("mass_g"),
        amount=form.text("amount"),
    )
    return go("/contests", "decided")
