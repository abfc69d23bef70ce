"""All by which one proves who one is: password, PIN, second step, passkeys, keys, sign-ins."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import Request
from markupsafe import Markup
from starlette.responses import HTMLResponse, RedirectResponse, Response

from jobs.domain.credentials import Scope
from jobs.domain.errors import InvalidError, JobsError
from jobs.services.signing_in import came_by_link
from web.auth import CheckedFormDep, Form, Visitor, VisitorDep
from web.context import Web, WebDep
from web.pages.page import go, page
from web.places import place_of
from web.proof import ProvedFormDep, is_fresh
from web.routing import page_router

router = page_router()

HOME = "/me/sign-in"
_DAYS = ("30", "90", "365", "")  # until a key ends; "": never


@router.get(HOME)
def show(request: Request, web: WebDep, visitor: VisitorDep) -> HTMLResponse:
    """Show by what one signs in, and where one is signed in."""
    return credentials_page(request, web, visitor)


@router.post("/me/keys")
def make_key(
    request: Request, web: WebDep, visitor: VisitorDep, form: ProvedFormDep
) -> HTMLResponse:
    """Make a key for a program and show it this once."""
    name = form.text("name")[:80] or web.catalogue.text("page.me.key-unnamed")
    scopes = [one for one in Scope if form.text(f"scope-{one.value}")]
    try:
        days = _days(form)
        _, secret = web.services.people.make_api_key(visitor.actor, name, web.clock(), scopes, days)
    except InvalidError as error:
        return credentials_page(request, web, visitor, error=error)
    return credentials_page(request, web, visitor, secret=secret)


def _days(form: Form) -> int | None:
    text = form.text("days")
    if text not in _DAYS:
        raise InvalidError("form.choice", field="days", key="days")
    return int(text) if text else None


@router.post("/me/keys/{key_id}/revoke")
def revoke_key(
    web: WebDep, visitor: VisitorDep, key_id: str, _form: CheckedFormDep
) -> RedirectResponse:
    """Make a key worthless; to take a right away one need not prove anything."""
    web.services.people.revoke_api_key(visitor.actor, key_id, web.clock())
    return go(HOME, "revoked")


@router.post("/me/pin")
def set_pin(request: Request, web: WebDep, visitor: VisitorDep, form: ProvedFormDep) -> Response:
    """Set a PIN of one's own, or have one drawn and see it this once; or take it away."""
    pins, now, me = web.services.pins, web.clock(), visitor.actor.person_id
    try:
        match form.text("what"):
            case "draw":
                drawn = pins.draw(me, now, by_id=me)
                return credentials_page(request, web, visitor, pin=drawn)
            case "remove":
                pins.remove(me, now, by_id=me)
            case _:
                pins.set(me, form.secret("pin"), now, by_id=me)
    except InvalidError as error:
        return credentials_page(request, web, visitor, error=error)
    return go(HOME, "changed")


@router.post("/me/second-step")
def change_second_step(
    request: Request, web: WebDep, visitor: VisitorDep, form: ProvedFormDep
) -> Response:
    """Begin with an authenticator app, confirm it, make new codes, or leave it."""
    steps, now, me = web.services.second_steps, web.clock(), visitor.actor.person_id
    try:
        match form.text("what"):
            case "begin":
                steps.begin(me)
                return credentials_page(request, web, visitor, app=_app(web, visitor))
            case "confirm":
                codes = steps.confirm(me, form.text("code"), now)
                return credentials_page(request, web, visitor, codes=codes)
            case "codes":
                codes = steps.new_codes(me, now)
                return credentials_page(request, web, visitor, codes=codes)
            case _:
                steps.turn_off(me, now, by_id=me)
    except InvalidError as error:
        is_open = error.code.startswith(("second-step.wrong", "second-step.too-many"))
        app = _app(web, visitor) if is_open else ("", Markup(""))
        return credentials_page(request, web, visitor, error=error, app=app)
    return go(HOME, "changed")


def _app(web: Web, visitor: Visitor) -> tuple[str, Markup]:
    """Return the secret as people type it, and the square that an app reads."""
    import segno

    assert visitor.sign_in is not None
    login = visitor.sign_in.person.login
    address = web.services.second_steps.address(visitor.actor.person_id, login)
    secret = address.partition("secret=")[2].partition("&")[0]
    code = segno.make(address, error="m", micro=False)
    grouped = " ".join(secret[at : at + 4] for at in range(0, len(secret), 4))
    svg = code.svg_inline(scale=4, border=4, dark="#000", light="#fff", omitsize=True)
    return grouped, Markup(svg)


@router.post("/me/sign-ins/{sign_in_id}/end")
def end_sign_in(
    web: WebDep, visitor: VisitorDep, sign_in_id: str, _form: CheckedFormDep
) -> RedirectResponse:
    """End one of one's own sign-ins, or with `others` all but this one."""
    people, me = web.services.people, visitor.actor.person_id
    if sign_in_id == "others":
        people.end_other_sign_ins(me, visitor.token, web.clock())
    else:
        people.end_sign_in(me, sign_in_id)
    return go(HOME, "ended")


def credentials_page(
    request: Request,
    web: Web,
    visitor: Visitor,
    *,
    error: JobsError | None = None,
    status: int | None = None,
    secret: str = "",
    pin: str = "",
    app: tuple[str, Markup] = ("", Markup("")),
    codes: Sequence[str] = (),
) -> HTMLResponse:
    """Show by what one signs in; what is shown only once comes along."""
    services, me, now = web.services, visitor.actor.person_id, web.clock()
    place = place_of(request, web)
    return page(
        request,
        web,
        visitor,
        "credentials.html",
        status=status,
        error=error,
        secret=secret,
        pin=pin,
        app_secret=app[0],
        app_code=app[1],
        codes=codes,
        fresh=is_fresh(web, visitor),
        by_link=visitor.sign_in is not None and came_by_link(visitor.sign_in, now),
        has_pin=services.pins.has(me),
        step=services.second_steps.view(me),
        passkeys=services.passkeys.list(me),
        place=place,
        provider=web.settings.provider,
        linked=web.settings.provider is not None and services.outside.is_linked(me),
        keys=[one for one in services.people.api_keys(visitor.actor) if not one.revoked_at],
        scopes=[one.value for one in Scope],
        days=_DAYS,
        sign_ins=services.people.sign_ins(me, now),
        this_one=visitor.sign_in.id if visitor.sign_in else "",
        events=services.people.credential_events(me),
    )
