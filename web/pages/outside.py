"""Signing in by an OpenID provider's word, tying one's account to it, and proving by it."""

from __future__ import annotations

import hmac
import secrets
from typing import Final, Literal

import anyio.to_thread
from anyio import CapacityLimiter
from fastapi import Request
from starlette.responses import RedirectResponse, Response

from jobs.domain.credentials import Way
from jobs.domain.errors import InvalidError, JobsError, NotFoundError
from jobs.services.outside import Provider
from web.auth import MaybeVisitorDep, Visitor, VisitorDep
from web.context import Errand, Web, WebDep
from web.oidc import FRESH_S, arrive, depart
from web.pages.credentials import HOME, credentials_page
from web.pages.page import go, page, safe_next
from web.pages.proving import prove_page
from web.pages.sign_in import let_in, refused
from web.places import own_address
from web.proof import ProvedFormDep, renew
from web.routing import page_router

router = page_router()

# A provider that does not answer holds up nobody but those who go to it.
_THREADS: Final = CapacityLimiter(4)
_BACK: Final = "/sign-in/outside/back"
_COOKIE: Final = "fabnode-errand"
_COOKIE_S: Final = 600


@router.get("/sign-in/outside")
async def enter(request: Request, web: WebDep, next: str = "/") -> Response:
    """Send somebody to the provider."""
    return await anyio.to_thread.run_sync(_enter, request, web, safe_next(next), limiter=_THREADS)


def _enter(request: Request, web: Web, next_path: str) -> Response:
    try:
        address, browser = _depart(request, web, "enter", next_path, "")
    except JobsError as error:
        return refused(request, web, error, next_path)
    return _with_cookie(web, RedirectResponse(address, 303), browser)


@router.get("/prove/outside")
def prove(request: Request, web: WebDep, visitor: VisitorDep, next: str = "/me") -> Response:
    """Send somebody to the provider to sign in there once more."""
    address, browser = _depart(request, web, "prove", safe_next(next), visitor.token)
    return _with_cookie(web, RedirectResponse(address, 303), browser)


@router.post("/me/outside")
def tie(request: Request, web: WebDep, visitor: VisitorDep, form: ProvedFormDep) -> Response:
    """Tie one's account to the provider's, or untie it.

    It goes on by a link that the person follows: the page's policy lets no form lead out.
    """
    me = visitor.actor.person_id
    try:
        if form.text("what") == "untie":
            web.services.outside.unlink(me, web.clock())
            return go(HOME, "changed")
        address, browser = _depart(request, web, "link", HOME, visitor.token)
    except JobsError as error:
        return credentials_page(request, web, visitor, error=error)
    shown = page(request, web, visitor, "outside.html", address=address, provider=_provider(web))
    return _with_cookie(web, shown, browser)


@router.get(_BACK)
async def back(
    request: Request,
    web: WebDep,
    visitor: MaybeVisitorDep,
    state: str = "",
    code: str = "",
    iss: str = "",
) -> Response:
    """Hear who has come back from the provider."""
    return await anyio.to_thread.run_sync(
        _back, request, web, visitor, (state, code, iss), limiter=_THREADS
    )


def _back(
    request: Request, web: Web, visitor: Visitor | None, said: tuple[str, str, str]
) -> Response:
    state, code, iss = said
    errand = web.errands.take(state, web.clock())
    if errand is None or not _same(errand.browser, request.cookies.get(_COOKIE, "")):
        return refused(request, web, InvalidError("outside.again"))
    try:
        provider = _provider(web)
        if not code or (iss and iss != provider.issuer):
            raise InvalidError("outside.refused", provider=provider.name)
        if errand.what == "enter":
            response = _entered(request, web, provider, errand, code)
        else:
            if visitor is None or not _same(errand.token, visitor.token):
                raise InvalidError("outside.again")
            response = _for_visitor(request, web, provider, visitor, errand, code)
    except JobsError as error:
        if errand.what == "enter" or visitor is None:
            response = refused(request, web, error, errand.next_path)
        elif errand.what == "prove":
            next_path = errand.next_path
            response = prove_page(request, web, visitor, next_path=next_path, error=error)
        else:
            response = credentials_page(request, web, visitor, error=error)
    response.delete_cookie(_COOKIE, path="/sign-in/outside")
    return response


def _entered(request: Request, web: Web, provider: Provider, errand: Errand, code: str) -> Response:
    sent = (errand.nonce, errand.verifier)
    arrival = arrive(provider, _address(request, web), code, sent, web.clock())
    person_id = web.services.outside.enter(provider, arrival.word, web.clock())
    return let_in(request, web, person_id, Way.OUTSIDE, errand.next_path, needs_code=False)


def _for_visitor(
    request: Request, web: Web, provider: Provider, visitor: Visitor, errand: Errand, code: str
) -> Response:
    now, me = web.clock(), visitor.actor.person_id
    sent = (errand.nonce, errand.verifier)
    arrival = arrive(provider, _address(request, web), code, sent, now)
    if errand.what == "link":
        web.services.outside.link(me, provider, arrival.word, now)
        return go(HOME, "changed")
    # Who is signed in there for hours has proved nothing now.
    at = arrival.signed_in_at
    is_now = at is not None and abs(now.timestamp() - at) <= FRESH_S
    if not is_now or web.services.outside.whose(provider, arrival.word) != me:
        raise InvalidError("outside.not-you", provider=provider.name)
    renew(request, web, visitor)
    return go(errand.next_path)


def _depart(
    request: Request,
    web: Web,
    what: Literal["enter", "link", "prove"],
    next_path: str,
    token: str,
) -> tuple[str, str]:
    """Return where to go, and the secret of this browser."""
    provider = _provider(web)
    out = depart(provider, _address(request, web), anew=what == "prove")
    browser = secrets.token_urlsafe(32)
    errand = Errand(browser, out.nonce, out.verifier, next_path, token, what)
    web.errands.keep(errand, web.clock(), out.state)
    return out.address, browser


def _provider(web: Web) -> Provider:
    if web.settings.provider is None:
        raise NotFoundError("outside.none")
    return web.settings.provider


def _address(request: Request, web: Web) -> str:
    return own_address(request, web) + _BACK


def _same(kept: str, given: str) -> bool:
    return hmac.compare_digest(kept.encode(), given.encode())


def _with_cookie(web: Web, response: Response, browser: str) -> Response:
    response.set_cookie(
        _COOKIE,
        browser,
        max_age=_COOKIE_S,
        path="/sign-in/outside",
        secure=web.settings.secure_cookies,
        httponly=True,
        samesite="lax",
    )
    return response
