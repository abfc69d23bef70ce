"""Make an answer of everything that goes wrong: one sentence on a page, a problem in JSON."""

from __future__ import annotations

import logging
from collections.abc import Callable
from http import HTTPStatus
from urllib.parse import quote, urlsplit

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, RedirectResponse, Response

from jobs.domain.errors import (
    InvalidError,
    JobsError,
    NotAllowedError,
    NotFoundError,
    RefusedError,
    UnavailableError,
)
from jobs.domain.policy import Refusal, Way
from jobs.domain.rules import key_of
from web.auth import SignInNeededError, Visitor, find_visitor
from web.context import Web, web_of
from web.hosts import host_of
from web.pages.page import page, safe_next, sentence_of
from web.pages.proving import prove_page
from web.proof import ProofNeededError
from web.rendering import utc
from web.security import HEADERS, ForeignError, StrangeHostError, TooLargeError

log = logging.getLogger(__name__)

_STATUS: dict[type[JobsError], int] = {
    RefusedError: 409,
    InvalidError: 422,
    NotFoundError: 404,
    NotAllowedError: 403,
    UnavailableError: 503,
}
_STATUS_OF_CODE = {
    "upload.too-large": 413,
    **dict.fromkeys(("sign-in.wrong", "pin.wrong", "second-step.wrong", "passkey.refused"), 401),
    **dict.fromkeys(("sign-in.too-many", "sign-in.too-many-here"), 429),
    **dict.fromkeys(("pin.too-many", "second-step.too-many"), 429),
}
_KNOWN_HTTP = {400, 401, 403, 404, 405, 409, 413, 415, 422, 429, 500, 503}


def status_of(error: JobsError) -> int:
    """Return the HTTP status that says what the caller should do."""
    return _STATUS_OF_CODE.get(error.code, _STATUS.get(type(error), 500))


def install(app: FastAPI) -> None:
    """Give the app its handlers."""
    handlers: dict[type[Exception], Callable[[Request, Exception], Response]] = {
        JobsError: _jobs_error,
        SignInNeededError: _sign_in_needed,
        ProofNeededError: _proof_needed,
        HTTPException: _http_error,
        RequestValidationError: _validation,
        TooLargeError: refuse,
        ForeignError: refuse,
        ClientDisconnect: _hung_up,
        Exception: _broken,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)


def _jobs_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, JobsError)
    web = web_of(request)
    refusals = error.refusals if isinstance(error, RefusedError) else ()
    return answer(
        request,
        status_of(error),
        sentence_of(web, error),
        code=error.code,
        refusals=refusals,
        field=error.field if isinstance(error, InvalidError) else "",
    )


def _sign_in_needed(request: Request, _error: Exception) -> Response:
    if is_api(request) or request.url.path == "/events":
        return plain(request, 401)
    back = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    target = quote(back if request.method == "GET" else "/", safe="/")
    return RedirectResponse(f"/sign-in?next={target}", 303)


def _proof_needed(request: Request, error: Exception) -> Response:
    """Ask who it is, and have the same form sent once more."""
    assert isinstance(error, ProofNeededError)
    web = web_of(request)
    if is_api(request):
        sentence = web.catalogue.text("error.proof-needed")
        return answer(request, 403, sentence, code="proof-needed")
    is_post = request.method == "POST"
    back = urlsplit(request.headers.get("referer", "")).path if is_post else request.url.path
    return prove_page(
        request,
        web,
        request.state.visitor,
        next_path=safe_next(back or "/me"),
        action=request.url.path if is_post else "",
        fields=error.fields,
        error=error.error,
    )


def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    origin = error.__cause__ or error.__context__
    if isinstance(origin, TooLargeError):
        return refuse(request, origin)
    response = plain(request, error.status_code)
    for key, value in (error.headers or {}).items():
        response.headers[key] = value
    return response


def _validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0] if error.errors() else {}
    where = ".".join(str(part) for part in first.get("loc", ())[1:])
    web = web_of(request)
    sentence = web.catalogue.text("page.error.field", field=where)
    return answer(request, 422, sentence, code="field", field=where)


def _hung_up(_request: Request, _error: Exception) -> Response:
    """Nobody is left to hear it, and the log need not be filled by whoever rings and runs."""
    return Response(status_code=400)


def _broken(request: Request, error: Exception) -> Response:
    log.error("%s %s broke", request.method, request.url.path, exc_info=error)
    if not hasattr(request.state, "visitor"):
        request.state.visitor = None
    response = plain(request, 500)
    # This handler runs outside of every middleware.
    response.headers.update(HEADERS)
    return response


def refuse(request: Request, error: Exception) -> Response:
    """Answer a request that the guard does not let in."""
    web = web_of(request)
    request.state.visitor = None  # on the loop there is no time to look
    if isinstance(error, TooLargeError):
        megabytes = max(1, error.limit_bytes // (1024 * 1024))
        sentence = web.catalogue.text("page.error.too-large", limit_mb=megabytes)
        return answer(request, 413, sentence, code="upload.too-large")
    if isinstance(error, StrangeHostError):
        host = host_of(request.headers.get("host", ""))[:253]
        sentence = web.catalogue.text("page.error.host", host=host)
        return answer(request, 421, sentence, code="host")
    return answer(request, 403, web.catalogue.text("page.error.foreign"), code="foreign")


def is_api(request: Request) -> bool:
    """Return whether the asker wants problems, not pages."""
    return request.url.path.startswith(("/api/", "/m/"))


def plain(request: Request, status: int) -> Response:
    """Answer with the sentence of a bare status."""
    known = status if status in _KNOWN_HTTP else 400
    sentence = web_of(request).catalogue.text(f"page.error.{known}")
    return answer(request, status, sentence, code=str(status))


def answer(
    request: Request,
    status: int,
    sentence: str,
    *,
    code: str,
    refusals: tuple[Refusal, ...] = (),
    field: str = "",
) -> Response:
    """Answer as a problem or as a page, as the asker wants it."""
    web = web_of(request)
    if is_api(request):
        return _problem(web, status, sentence, code, refusals, field)
    if not hasattr(request.state, "visitor"):
        # No route was found, so nobody has asked yet who this is.
        request.state.visitor = find_visitor(request, web)
    found = request.state.visitor
    visitor = found if isinstance(found, Visitor) else None
    return page(
        request,
        web,
        visitor,
        "error.html",
        status=status,
        code=status,
        sentence=sentence,
        refusals=refusals,
        # What broke may be what knows whether this lab books.
        books=False if status == HTTPStatus.INTERNAL_SERVER_ERROR else None,
    )


def _problem(
    web: Web, status: int, sentence: str, code: str, refusals: tuple[Refusal, ...], field: str
) -> JSONResponse:
    """RFC 9457; `code` is stable, `detail` is for people, `reasons` are all there are."""
    body: dict[str, object] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": sentence,
        "code": code,
        "reasons": [reason_json(web, refusal) for refusal in refusals],
    }
    if field:
        body["field"] = field
    return JSONResponse(body, status, media_type="application/problem+json")


def reason_json(web: Web, refusal: Refusal) -> dict[str, object]:
    """Return one reason with its sentence."""
    return {
        "reason": refusal.reason.value,
        "detail": web.renderer.sentences.refusal(refusal),
        "fields": dict(refusal.fields),
        "passes_at": refusal.passes_at.isoformat().replace("+00:00", "Z")
        if refusal.passes_at
        else None,
        "overridable": refusal.overridable,
        "ways": [_way_json(web, way) for way in refusal.ways],
        "rule": key_of(refusal.reason),
    }


def _way_json(web: Web, way: Way) -> dict[str, object]:
    times = {"start": way.start, "end": way.end, "at": way.at}
    return {
        "way": way.kind.value,
        "detail": web.renderer.sentences.way(way),
        **{name: utc(at) for name, at in times.items() if at is not None},
        **({"ref": way.ref} if way.ref else {}),
        "clears": way.clears,
    }
