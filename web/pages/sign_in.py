"""Sign in, by password or one-time link; the first run's question; one's own account."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from jobs.domain.credentials import Way
from jobs.domain.errors import InvalidError, JobsError
from jobs.domain.people import LabMode, Role, SignUp
from jobs.services.signing_in import came_by_link
from web.auth import (
    CheckedFormDep,
    Form,
    FormDep,
    MaybeVisitorDep,
    Visitor,
    VisitorDep,
    clear_cookie,
    set_cookie,
)
from web.context import HalfSignIn, Web, WebDep
from web.devices import device_of
from web.errors import status_of
from web.lanes import in_lane
from web.pages.credentials import credentials_page
from web.pages.notices import place_of as notice_place
from web.pages.page import go, page, safe_next
from web.places import place_of
from web.proof import renew
from web.routing import page_router

router = page_router()


@router.get("/sign-in")
def show(request: Request, web: WebDep, visitor: MaybeVisitorDep, next: str = "/") -> Response:
    """Ask for name and password."""
    if visitor is not None:
        return go(safe_next(next))
    return _form(request, web, next_path=safe_next(next))


@router.post("/sign-in")
async def sign_in(request: Request, web: WebDep, form: FormDep) -> Response:
    """Sign a person in and send them where they wanted to go."""
    return await in_lane(_sign_in, request, web, form)


def _sign_in(request: Request, web: Web, form: Form) -> Response:
    next_path, now = safe_next(form.text("next", "/")), web.clock()
    address = request.client.host if request.client else ""
    try:
        web.guesses.check(address, now)
        person_id = web.services.people.look(form.text("login"), form.secret("password"), now)
        return let_in(request, web, person_id, Way.PASSWORD, next_path)
    except InvalidError as error:
        if error.code == "sign-in.wrong":
            web.guesses.wrong(address, now)
        return _form(request, web, next_path=next_path, login=form.text("login"), error=error)


@router.post("/sign-in/code")
async def take_code(request: Request, web: WebDep, form: FormDep) -> Response:
    """Take the code of a person who has proved one thing already."""
    return await in_lane(_take_code, request, web, form)


def _take_code(request: Request, web: Web, form: Form) -> Response:
    now, name = web.clock(), form.text("half")
    half = web.halves.look(name, now)
    if half is None:
        return _form(request, web, next_path="/", error=InvalidError("sign-in.half"))
    try:
        web.services.second_steps.prove(half.person_id, form.text("code"), now)
        web.halves.take(name, now)
        return let_in(request, web, half.person_id, half.way, half.next_path, needs_code=False)
    except InvalidError as error:
        return page(
            request, web, None, "code.html", status=status_of(error), half=name, error=error
        )


def let_in(
    request: Request,
    web: Web,
    person_id: str,
    way: Way,
    next_path: str,
    *,
    needs_code: bool = True,
) -> Response:
    """Sign a person in who has proved who they are, or ask for a code where they want that.

    Until then the browser has no cookie of a sign-in, and the one it gets is new.

    :raises InvalidError: `sign-in.wrong`, if they were locked out meanwhile.
    """
    now = web.clock()
    if needs_code and web.services.second_steps.is_on(person_id):
        name = web.halves.keep(HalfSignIn(person_id, way, next_path), now)
        return page(request, web, None, "code.html", half=name)
    device = device_of(request.headers.get("user-agent", ""))
    token, view = web.services.people.begin_sign_in(person_id, way, now, device)
    is_unset = view.person.role is Role.ADMIN and web.services.lab.mode() is LabMode.UNSET
    needs_password = way is Way.LINK and not view.person.has_password
    response = go("/first-run" if is_unset or needs_password else next_path)
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
    place = place_of(request, web)
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
        has_passkeys=place is not None and web.services.passkeys.any_for(place.rp_id),
        provider=web.settings.provider,
    )


def refused(request: Request, web: Web, error: JobsError, next_path: str = "/") -> HTMLResponse:
    """Show the way in again, with what was wrong with another way."""
    return _form(request, web, next_path=next_path, error=error)


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
def redeem(request: Request, web: WebDep, token: str) -> Response:
    """Sign in by a one-time link."""
    person_id = web.services.people.take_link(token, web.clock())
    return let_in(request, web, person_id, Way.LINK, "/me")


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
    now, view = web.clock(), visitor.sign_in
    web.services.people.set_password(
        visitor.actor.person_id,
        password,
        now,
        old=old,
        signed_by_link=view is not None and came_by_link(view, now),
        keep_token=visitor.token,
    )


@router.get("/me")
def me(request: Request, web: WebDep, visitor: VisitorDep) -> HTMLResponse:
    """Show one's own account, and the way to all that is one's own."""
    return page(
        request,
        web,
        visitor,
        "me.html",
        notices=web.services.notices.list(visitor.actor, 5, unread=True),
        place_of=notice_place,
        mode=web.services.lab.mode().value,
    )


@router.post("/me/password")
def change_password(
    request: Request, web: WebDep, visitor: VisitorDep, form: CheckedFormDep
) -> Response:
    """Change one's own password; the present one is asked for, however fresh the sign-in."""
    try:
        _set_password(web, visitor, form.secret("password"), old=form.secret("old") or None)
    except InvalidError as error:
        return credentials_page(request, web, visitor, error=error, status=422)
    # Whoever had the token before the password changed has nothing.
    renew(request, web, visitor)
    return go("/me/sign-in", "changed")


@router.post("/me/mode")
def set_mode(web: WebDep, visitor: VisitorDep, form: CheckedFormDep) -> RedirectResponse:
    """Change for whom the node is; booking shows or hides."""
    mode = form.text("mode")
    if mode not in (LabMode.ONLY_ME, LabMode.SHARED_LAB):
        raise InvalidError("first-run.mode", field="mode")
    web.services.lab.set_mode(visitor.actor, LabMode(mode), web.clock())
    return go("/me", "changed")
