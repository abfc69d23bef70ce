"""Joining: the page behind an invitation, and the one where people sign themselves up."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import HTMLResponse, Response

from jobs.domain.errors import InvalidError, NotFoundError
from jobs.domain.people import SignUp
from jobs.services.joining import InviteView
from web.auth import FormDep, MaybeVisitorDep, set_cookie
from web.context import Web, WebDep
from web.pages.page import go, page
from web.routing import page_router

router = page_router()


@router.get("/join")
def show_sign_up(request: Request, web: WebDep, visitor: MaybeVisitorDep) -> Response:
    """Ask who wants to join, where the lab lets people sign themselves up."""
    if visitor is not None:
        return go("/")
    return _page(request, web)


@router.post("/join")
def sign_up(request: Request, web: WebDep, form: FormDep) -> Response:
    """Let somebody in, or have them wait for staff."""
    name, login, password = form.text("name"), form.text("login"), form.secret("password")
    try:
        web.services.joining.apply(name, login, password, web.clock())
    except InvalidError as error:
        return _page(request, web, error=error, values=form.texts())
    if web.services.joining.sign_up() is SignUp.ASKED:
        return _page(request, web, asked=True)
    return _sign_in(web, login, password)


@router.get("/join/{token}")
def show_invite(request: Request, web: WebDep, token: str) -> HTMLResponse:
    """Show what an invitation offers; looking uses nothing up."""
    return _page(request, web, invite=web.services.joining.invited(token, web.clock()))


@router.post("/join/{token}")
def accept(request: Request, web: WebDep, token: str, form: FormDep) -> Response:
    """Make a person of who was invited, and sign them in."""
    now = web.clock()
    invite = web.services.joining.invited(token, now)
    name, login, password = form.text("name"), form.text("login"), form.secret("password")
    try:
        web.services.joining.accept(token, name, login, password, now)
    except InvalidError as error:
        return _page(request, web, invite=invite, error=error, values=form.texts())
    return _sign_in(web, login, password)


def _sign_in(web: Web, login: str, password: str) -> Response:
    token, _ = web.services.people.sign_in(login, password, web.clock())
    response = go("/", "joined")
    set_cookie(web, response, token)
    return response


def _page(
    request: Request,
    web: Web,
    *,
    invite: InviteView | None = None,
    asked: bool = False,
    error: InvalidError | None = None,
    values: dict[str, str] | None = None,
) -> HTMLResponse:
    how = web.services.joining.sign_up()
    if invite is None and how is SignUp.OFF:
        raise NotFoundError("sign-up.off")
    return page(
        request,
        web,
        None,
        "join.html",
        invite=invite,
        asked=asked,
        waits=how is SignUp.ASKED and invite is None,
        error=error,
        values={key: value for key, value in (values or {}).items() if key != "password"},
    )
