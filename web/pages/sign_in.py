"""Sign in, by password or one-time link; the first run's question; one's own account."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from jobs.domain.errors import InvalidError, JobsError
from jobs.domain.people import LabMode, Role, SignUp
from web.auth import (
    CheckedFormDep,
    FormDep,
    MaybeVisitorDep,
    Visitor,
    VisitorDep,
    clear_cookie,
    set_cookie,
)
from web.context import Web, WebDep
from web.errors import status_of
from web.pages.notices import place_of
from web.pages.page import go, page, safe_next, sentence_of
from web.routing import page_router

router = page_router()


@router.get("/sign-in")
def show(request: Request, web: WebDep, visitor: MaybeVisitorDep, next: str = "/") -> Response:
    """Ask for name and password."""
    if visitor is not None:
        return go(safe_next(next))
    return _form(request, web, next_path=safe_next(next))


@router.post("/sign-in")
def sign_in(request: Request, web: WebDep, form: FormDep) -> Response:
    """Sign a person in and send them where they wanted to go."""
    next_path = safe_next(form.text("next", "/"))
    try:
        token, view = web.services.people.sign_in(
            form.text("login"), form.secret("password"), web.clock()
        )
    except InvalidError as error:
        return _form(request, web, next_path=next_path, login=form.text("login"), error=error)
    if view.person.role is Role.ADMIN and web.services.lab.mode() is LabMode.UNSET:
        next_path = "/first-run"
    response = go(next_path)
    set_cookie(web, response, token)
    return response


def _form(
    request: Request,
    web: Web,
    *,
    next_path: str,
    login: str = "",
    error: JobsError | None = None,
) -> HTMLResponse:
    return page(
        request,
        web,
        None,
        "sign_in.html",
        status=status_of(error) if error else 200,
        next_path=next_path,
        login=login,
        error=error,
        joins=web.services.joining.sign_up() is not SignUp.OFF,
    )


@router.post("/sign-out")
def sign_out(web: WebDep, visitor: VisitorDep, form: CheckedFormDep) -> RedirectResponse:
    """End this sign-in, or all of this person's."""
    if form.text("everywhere"):
        web.services.people.sign_out_everywhere(visitor.actor.person_id)
    else:
        web.services.people.sign_out(visitor.token)
    response = go("/sign-in")
    clear_cookie(web, response)
    return response


@router.get("/sign-in/link/{token}")
def show_link(request: Request, web: WebDep, token: str) -> HTMLResponse:
    """Show one button: programs that peek at links must not use them up."""
    return page(request, web, None, "link.html", token=token)


@router.post("/sign-in/link/{token}")
def redeem(web: WebDep, token: str) -> RedirectResponse:
    """Sign in by a one-time link."""
    now = web.clock()
    sign_in_token, view = web.services.people.redeem(token, now)
    web.by_link.remember(sign_in_token, now)
    unset = view.person.role is Role.ADMIN and web.services.lab.mode() is LabMode.UNSET
    response = go("/first-run" if unset or not view.person.has_password else "/me")
    set_cookie(web, response, sign_in_token)
    return response


@router.get("/first-run")
def first_run(request: Request, web: WebDep, visitor: VisitorDep) -> HTMLResponse:
    """Ask for an own password, and the admin for whom the node is."""
    return _first_run(request, web, visitor)


@router.post("/first-run")
def answer_first_run(
    request: Request, web: WebDep, visitor: VisitorDep, form: CheckedFormDep
) -> Response:
    """Take the answers in; both or, where something is wrong, none."""
    needs_password, asks_mode = _open_questions(web, visitor)
    mode = form.text("mode")
    if asks_mode and mode not in (LabMode.ONLY_ME, LabMode.SHARED_LAB):
        return _first_run(request, web, visitor, InvalidError("first-run.mode", field="mode"))
    if needs_password:
        try:
            _set_password(web, visitor, form.secret("password"), old=None)
        except InvalidError as error:
            return _first_run(request, web, visitor, error, mode=mode)
    if asks_mode:
        web.services.lab.set_mode(visitor.actor, LabMode(mode), web.clock())
    return go("/")


def _first_run(
    request: Request,
    web: Web,
    visitor: Visitor,
    error: InvalidError | None = None,
    mode: str = "",
) -> HTMLResponse:
    needs_password, asks_mode = _open_questions(web, visitor)
    return page(
        request,
        web,
        visitor,
        "first_run.html",
        needs_password=needs_password,
        asks_mode=asks_mode,
        mode=mode,
        error=error,
    )


def _open_questions(web: Web, visitor: Visitor) -> tuple[bool, bool]:
    needs_password = visitor.sign_in is not None and not visitor.sign_in.person.has_password
    asks_mode = visitor.may(Role.ADMIN) and web.services.lab.mode() is LabMode.UNSET
    return needs_password, asks_mode


def _set_password(web: Web, visitor: Visitor, password: str, old: str | None) -> None:
    """Set the password; every other sign-in of this person ends."""
    now = web.clock()
    web.services.people.set_password(
        visitor.actor.person_id,
        password,
        now,
        old=old,
        signed_by_link=web.by_link.is_fresh(visitor.token, now),
        keep_token=visitor.token,
    )
    web.by_link.forget(visitor.token)


@router.get("/me")
def me(request: Request, web: WebDep, visitor: VisitorDep) -> HTMLResponse:
    """Show one's own account: password, keys for programs, the way out."""
    return _me(request, web, visitor)


@router.post("/me/password")
def change_password(
    request: Request, web: WebDep, visitor: VisitorDep, form: CheckedFormDep
) -> Response:
    """Change one's own password."""
    try:
        _set_password(web, visitor, form.secret("password"), old=form.secret("old") or None)
    except InvalidError as error:
        return _me(request, web, visitor, problem=sentence_of(web, error), status=422)
    return go("/me", "changed")


@router.post("/me/mode")
def set_mode(web: WebDep, visitor: VisitorDep, form: CheckedFormDep) -> RedirectResponse:
    """Change for whom the node is; booking shows or hides."""
    mode = form.text("mode")
    if mode not in (LabMode.ONLY_ME, LabMode.SHARED_LAB):
        raise InvalidError("first-run.mode", field="mode")
    web.services.lab.set_mode(visitor.actor, LabMode(mode), web.clock())
    return go("/me", "changed")


@router.post("/me/keys")
def make_key(
    request: Request, web: WebDep, visitor: VisitorDep, form: CheckedFormDep
) -> HTMLResponse:
    """Make a key for a program and show it this once; a key outlives the sign-in.

    So who only found a browser open must not get one: the password is asked for again.
    """
    name = form.text("name")[:80] or web.catalogue.text("page.me.key-unnamed")
    now = web.clock()
    if visitor.sign_in is not None and not web.by_link.is_fresh(visitor.token, now):
        login = visitor.sign_in.person.login
        try:
            web.services.people.prove(login, form.secret("old"), now)
        except InvalidError as error:
            status = status_of(error)
            return _me(request, web, visitor, problem=sentence_of(web, error), status=status)
    _, secret = web.services.people.make_api_key(visitor.actor, name, now)
    return _me(request, web, visitor, secret=secret)


@router.post("/me/pin")
def set_pin(request: Request, web: WebDep, visitor: VisitorDep, form: CheckedFormDep) -> Response:
    """Set one's own PIN; the password is asked for again, as for a key."""
    now = web.clock()
    try:
        if visitor.sign_in is not None and not web.by_link.is_fresh(visitor.token, now):
            web.services.people.prove(visitor.sign_in.person.login, form.secret("old"), now)
        web.services.badges.set_pin(visitor.actor.person_id, form.secret("pin"))
    except InvalidError as error:
        return _me(request, web, visitor, problem=sentence_of(web, error), status=status_of(error))
    return go("/me", "changed")


@router.post("/me/keys/{key_id}/revoke")
def revoke_key(
    web: WebDep, visitor: VisitorDep, key_id: str, _form: CheckedFormDep
) -> RedirectResponse:
    """Make a key worthless."""
    web.services.people.revoke_api_key(visitor.actor, key_id, web.clock())
    return go("/me", "revoked")


def _me(
    request: Request,
    web: Web,
    visitor: Visitor,
    *,
    problem: str = "",
    secret: str = "",
    status: int = 200,
) -> HTMLResponse:
    return page(
        request,
        web,
        visitor,
        "me.html",
        status=status,
        problem=problem,
        secret=secret,
        carried=web.services.badges.of(visitor.actor, visitor.actor.person_id),
        keys=web.services.people.api_keys(visitor.actor),
        notices=web.services.notices.list(visitor.actor, 5, unread=True),
        place_of=place_of,
        mode=web.services.lab.mode().value,
        by_link=web.by_link.is_fresh(visitor.token, web.clock()),
    )
