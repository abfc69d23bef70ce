"""Passkeys: made on one's own page, and used to sign in or to prove again who one is.

The browser's part is `static/passkey.js`: it asks for what is to be signed, and sends a form.
"""

from __future__ import annotations

import json
import secrets

from fastapi import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from jobs.domain.credentials import Way
from jobs.domain.errors import InvalidError
from jobs.services.passkeys import Place
from web.auth import CheckedFormDep, Form, FormDep, VisitorDep
from web.context import Challenge, Web, WebDep
from web.pages.credentials import HOME, credentials_page
from web.pages.page import go, safe_next
from web.pages.proving import prove_page
from web.pages.sign_in import let_in, refused
from web.places import place_of
from web.proof import ProvedFormDep, renew
from web.routing import page_router

router = page_router()

_CHALLENGE_BYTES = 32


@router.post("/sign-in/passkey/options")
def to_sign_in(request: Request, web: WebDep) -> JSONResponse:
    """Say what a passkey is to sign; no passkey is named, so nobody learns who has one."""
    place, sent = _place(request, web), secrets.token_bytes(_CHALLENGE_BYTES)
    name = web.challenges.keep(Challenge(sent, ""), web.clock())
    return _options(web.services.passkeys.to_prove(place, sent), name)


@router.post("/sign-in/passkey")
def sign_in(request: Request, web: WebDep, form: FormDep) -> Response:
    """Sign in whoever's passkey has answered; it is two steps in one, so no code is asked for."""
    next_path = safe_next(form.text("next", "/"))
    try:
        person_id = _proved(request, web, form, "")
        return let_in(request, web, person_id, Way.PASSKEY, next_path, needs_code=False)
    except InvalidError as error:
        return refused(request, web, error, next_path)


@router.post("/prove/passkey/options")
def to_prove(
    request: Request, web: WebDep, visitor: VisitorDep, _form: CheckedFormDep
) -> JSONResponse:
    """Say what a passkey is to sign to prove again who is there."""
    place, sent = _place(request, web), secrets.token_bytes(_CHALLENGE_BYTES)
    name = web.challenges.keep(Challenge(sent, visitor.token), web.clock())
    return _options(web.services.passkeys.to_prove(place, sent), name)


@router.post("/prove/passkey")
def prove(request: Request, web: WebDep, visitor: VisitorDep, form: CheckedFormDep) -> Response:
    """Take one's own passkey as proof."""
    next_path = safe_next(form.text("next", "/me"))
    try:
        _proved(request, web, form, visitor.token, whose=visitor.actor.person_id)
    except InvalidError as error:
        return prove_page(request, web, visitor, next_path=next_path, error=error)
    renew(request, web, visitor)
    return go(next_path)


@router.post("/me/passkeys/options")
def to_make(
    request: Request, web: WebDep, visitor: VisitorDep, _form: ProvedFormDep
) -> JSONResponse:
    """Say what a browser needs to make a passkey."""
    place, sent = _place(request, web), secrets.token_bytes(_CHALLENGE_BYTES)
    options = web.services.passkeys.to_make(visitor.actor.person_id, place, sent)
    name = web.challenges.keep(Challenge(sent, visitor.token), web.clock())
    return _options(options, name)


@router.post("/me/passkeys")
def make(request: Request, web: WebDep, visitor: VisitorDep, form: ProvedFormDep) -> Response:
    """Keep a passkey that the browser has made."""
    try:
        place, sent = _place(request, web), _sent(web, form, visitor.token)
        name = form.text("name") or web.catalogue.text("page.credentials.passkey-unnamed")
        web.services.passkeys.add(
            visitor.actor.person_id, name, form.secret("answer"), sent, place, web.clock()
        )
    except InvalidError as error:
        return credentials_page(request, web, visitor, error=error)
    return go(HOME, "changed")


@router.post("/me/passkeys/{passkey_id}/remove")
def remove(
    web: WebDep, visitor: VisitorDep, passkey_id: str, _form: ProvedFormDep
) -> RedirectResponse:
    """Let a passkey prove nothing any more."""
    me = visitor.actor.person_id
    web.services.passkeys.remove(me, passkey_id, web.clock(), by_id=me)
    return go(HOME, "changed")


def _place(request: Request, web: Web) -> Place:
    place = place_of(request, web)
    if place is None:
        raise InvalidError("passkey.place")
    return place


def _proved(request: Request, web: Web, form: Form, token: str, whose: str = "") -> str:
    """Return whose passkey has answered; with *whose*, nobody else's will do."""
    place, sent = _place(request, web), _sent(web, form, token)
    person_id = web.services.passkeys.prove(form.secret("answer"), sent, place, web.clock())
    if whose and person_id != whose:
        raise InvalidError("passkey.refused")
    return person_id


def _sent(web: Web, form: Form, token: str) -> bytes:
    """Return what was to be signed, once, to whoever it was sent to."""
    kept = web.challenges.take(form.text("challenge"), web.clock())
    if kept is None or not secrets.compare_digest(kept.token.encode(), token.encode()):
        raise InvalidError("passkey.late")
    return kept.sent


def _options(options: str, name: str) -> JSONResponse:
    return JSONResponse({"publicKey": json.loads(options), "challenge": name})
