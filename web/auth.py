"""Who is asking: the sign-in cookie, an API key, and the token that proves a form is ours."""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, BinaryIO
from urllib.parse import urlsplit

from fastapi import Depends, Request
from starlette.datastructures import FormData, UploadFile
from starlette.responses import Response

from jobs.domain.errors import InvalidError, NotAllowedError
from jobs.domain.people import Actor, Role
from jobs.services.views import SignInView
from web.context import Web, WebDep
from web.scopes import scope_of

CSRF_HEADER = "x-csrf-token"
_COOKIE_DAYS = 30
WORKSTATION_KEY = "fabw_"  # what each key of a shared computer begins with
_FOR_PROGRAMS = ("/api/", "/events")


class SignInNeededError(Exception):
    """Nobody is signed in, or the sign-in has ended."""


@dataclass(slots=True)
class Visitor:
    """A signed-in person, or a program that acts for one.

    :param token: of the sign-in; another once the person has proved again who they are.
    :param sign_in: None for an API key, which needs no CSRF token: no browser sends it by itself.
    """

    actor: Actor
    token: str
    sign_in: SignInView | None

    def may(self, needed: Role) -> bool:
        """Return whether the role includes *needed*."""
        return self.actor.is_at_least(needed)


def cookie_name(web: Web) -> str:
    """Return the cookie's name; the prefix makes browsers insist on TLS and this very host."""
    return "__Host-fabnode" if web.settings.secure_cookies else "fabnode"


def set_cookie(web: Web, response: Response, token: str) -> None:
    """Give the browser its sign-in."""
    response.set_cookie(
        cookie_name(web),
        token,
        max_age=_COOKIE_DAYS * 86400,
        path="/",
        secure=web.settings.secure_cookies,
        httponly=True,
        samesite="lax",
    )


def cookie_for(web: Web, token: str) -> str:
    """Return the header that gives the browser its sign-in."""
    response = Response()
    set_cookie(web, response, token)
    return response.headers["set-cookie"]


def clear_cookie(web: Web, response: Response) -> None:
    """Take the sign-in away again."""
    response.delete_cookie(
        cookie_name(web), path="/", secure=web.settings.secure_cookies, httponly=True
    )


def find_visitor(request: Request, web: Web) -> Visitor | None:
    """Return who is asking, or None. Blocks for a moment: call it in a thread."""
    now = web.clock()
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        if not request.url.path.startswith(_FOR_PROGRAMS):
            return None  # keys are for programs: none makes itself a second key on a page
        return _program(request, web, secret.strip(), now)
    token = request.cookies.get(cookie_name(web))
    if not token:
        return None
    # A stop waits for nobody who is writing.
    may_write = scope_of(request.method, request.url.path) is not None
    view = web.services.people.signed_in(token, now, touch=may_write)
    return Visitor(web.services.people.actor_of(view), token, view) if view else None


def _program(request: Request, web: Web, secret: str, now: datetime) -> Visitor | None:
    """Return for whom a program acts.

    :raises NotAllowedError: `key-scope`, if its key is not good for what it asks.
    """
    needed = scope_of(request.method, request.url.path)
    holder = web.services.people.api_actor(secret, now, touch=needed is not None)
    if holder is None:
        return None
    if needed is not None and needed not in holder.scopes:
        request.state.visitor = None
        raise NotAllowedError("key-scope", scope=needed.value)
    return Visitor(holder.actor, "", None)


def program_of(request: Request, web: Web) -> Visitor | str:
    """Return the program that sends a file: a member's, or the id of a shared computer.

    Slicers send the key as `X-Api-Key`. A browser's cookie is none: no other page sends files.

    :raises SignInNeededError: if the key is not known.
    :raises NotAllowedError: `key-scope`.
    """
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    key = secret.strip() if scheme.lower() == "bearer" else request.headers.get("x-api-key", "")
    if not key:
        raise SignInNeededError
    if key.startswith(WORKSTATION_KEY):
        found: Visitor | str | None = web.services.workstations.known(key, web.clock())
    else:
        found = _program(request, web, key, web.clock())
    if found is None:
        raise SignInNeededError
    return found


def maybe_visitor(request: Request, web: WebDep) -> Visitor | None:
    """Return who is asking, and leave them where error pages find them."""
    request.state.house = web.services.workshop.live.house
    found = find_visitor(request, web)
    request.state.visitor = found
    return found


MaybeVisitorDep = Annotated[Visitor | None, Depends(maybe_visitor)]


def signed_in(visitor: MaybeVisitorDep) -> Visitor:
    """Return who is asking.

    :raises SignInNeededError: if nobody is known.
    """
    if visitor is None:
        raise SignInNeededError
    return visitor


VisitorDep = Annotated[Visitor, Depends(signed_in)]


def actor_for(web: Web, visitor: Visitor, person_id: str) -> Actor:
    """Return who acts: the visitor, or the person whom they name and for whom they do it."""
    if not person_id:
        return visitor.actor
    return web.services.behalf.actor_for(visitor.actor, person_id)


def needs(visitor: Visitor, role: Role) -> None:
    """Refuse a visitor whose role is lower.

    :raises NotAllowedError: naming the role that is needed.
    """
    if not visitor.may(role):
        raise NotAllowedError("role-too-low", needed=role.value)


def check_csrf(visitor: Visitor, given: str) -> None:
    """Refuse a form that another page may have made.

    :raises NotAllowedError: if the token is not this sign-in's.
    """
    if visitor.sign_in is None:
        return
    if not hmac.compare_digest(visitor.sign_in.csrf.encode(), given.encode()):
        raise NotAllowedError("csrf")


def is_foreign(request: Request) -> bool:
    """Return whether a browser says that another site sent this request."""
    site = request.headers.get("sec-fetch-site")
    if site is not None and site not in ("same-origin", "none"):
        return True
    origin = request.headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != request.headers.get("host", "")


class Form:
    """The fields of a sent form, each read as what it should be."""

    def __init__(self, data: FormData) -> None:
        self._data = data

    def text(self, name: str, default: str = "") -> str:
        """Return a text field, trimmed."""
        value = self._data.get(name)
        return value.strip() if isinstance(value, str) else default

    def secret(self, name: str) -> str:
        """Return a field as typed: blanks belong to a password."""
        value = self._data.get(name)
        return value if isinstance(value, str) else ""

    def many(self, name: str) -> list[str]:
        """Return every value that is not empty of a field that may be sent more than once."""
        sent = self._data.getlist(name)
        return [one.strip() for one in sent if isinstance(one, str) and one.strip()]

    def texts(self) -> dict[str, str]:
        """Return every text field that is not empty, without the token."""
        return {
            key: value.strip()
            for key, value in self._data.items()
            if isinstance(value, str) and value.strip() and key != "csrf"
        }

    def number(self, name: str) -> float | None:
        """Return a number as people write it; None where the field is empty.

        :raises InvalidError: `form.number`.
        """
        text = self.text(name)
        try:
            return float(text.replace(",", ".")) if text else None
        except ValueError:
            raise InvalidError("form.number", field=name, key=name) from None

    def picture(self, name: str) -> BinaryIO | None:
        """Return the bytes of a file that need not be sent."""
        value = self._data.get(name)
        return value.file if isinstance(value, UploadFile) and value.filename else None

    def file(self, name: str) -> tuple[str, BinaryIO]:
        """Return a sent file: its name and its bytes.

        :raises InvalidError: if none was chosen.
        """
        value = self._data.get(name)
        if not isinstance(value, UploadFile) or not value.filename:
            raise InvalidError("upload.missing", field=name)
        return value.filename, value.file


async def read_form(request: Request) -> AsyncIterator[Form]:
    """Read a form; how many bytes it may have, `web.security.BodyLimit` decides."""
    async with request.form(max_files=1, max_fields=250, max_part_size=64 * 1024) as data:
        yield Form(data)


FormDep = Annotated[Form, Depends(read_form)]


def checked_form(visitor: VisitorDep, form: FormDep) -> Form:
    """Return a form that this sign-in's own page sent."""
    check_csrf(visitor, form.secret("csrf"))
    return form


CheckedFormDep = Annotated[Form, Depends(checked_form)]


def api_visitor(request: Request, visitor: VisitorDep) -> Visitor:
    """Return who is asking; a browser must show the token when it wants to change something."""
    if request.method not in ("GET", "HEAD"):
        check_csrf(visitor, request.headers.get(CSRF_HEADER, ""))
    return visitor


ApiVisitorDep = Annotated[Visitor, Depends(api_visitor)]
