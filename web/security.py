"""What holds for every answer and every request: headers, origins, bounded bodies."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection

from starlette.datastructures import MutableHeaders
from starlette.formparsers import MultiPartException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from web.auth import is_foreign
from web.hosts import is_ours

_SMALL = 256 * 1024  # bytes of a form without a file
_DIGITS = 12  # of a length that may be true at all
_AROUND = 64 * 1024  # bytes of a multipart body beside its file

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # Not "no-referrer": browsers would then send `Origin: null` with our own forms.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}
_TAIL = 1024  # bytes in which the end boundary is looked for
_BOUNDARY = re.compile(r'multipart/form-data\s*;.*\bboundary="?([^";]{1,200})', re.IGNORECASE)
_UPLOADS = ("/jobs/new", "/api/v1/jobs", "/api/v1/uploads")
_SLICER_UPLOAD = re.compile(r"/m/[^/]{1,32}/api/files/local")


class TooLargeError(MultiPartException):
    """A request sent more bytes than it may.

    A form's parser closes the files it has begun for this family of errors only; it and FastAPI
    then raise a bare 400 from it, which `web.errors` traces back.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        super().__init__(f"more than {limit_bytes} bytes")


class UnfinishedError(MultiPartException):
    """A form with files broke off.

    Of this family for the same reason: what the parser has begun would stay open.
    """

    def __init__(self) -> None:
        super().__init__("no end boundary")


class ForeignError(Exception):
    """Another site's page sent this request."""


class StrangeHostError(Exception):
    """The node was called by a name that it does not have."""


class SecurityHeaders:
    """Put the headers on every answer; pages are never kept by a cache."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for key, value in HEADERS.items():
                    headers[key] = value
                headers.setdefault("cache-control", "no-store")
                if cookie := scope.get("state", {}).get("new_cookie"):
                    headers.append("set-cookie", cookie)
            await send(message)

        await self._app(scope, receive, send_with_headers)


class RequestGuard:
    """Refuse foreign requests, and stop reading at the limit instead of filling the disk.

    :param refuse: makes the answer to what the headers alone forbid; what is found while reading
        is raised where the app reads, so that its own handlers answer.
    :param hosts: names of this node (`web.hosts`).
    """

    def __init__(
        self,
        app: ASGIApp,
        upload_limit_bytes: int,
        refuse: Callable[[Request, Exception], Response],
        hosts: Collection[str] = (),
    ) -> None:
        self._app = app
        self._hosts = hosts
        self._refuse = refuse
        self._upload_limit_bytes = upload_limit_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        if not is_ours(request.headers.get("host", ""), self._hosts):
            await self._refuse(request, StrangeHostError())(scope, receive, send)
            return
        if scope["method"] in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        limit = self._limit(scope["path"])
        announced = request.headers.get("content-length", "0")
        problem: Exception | None = None
        if is_foreign(request):
            problem = ForeignError()
        elif announced.isdecimal() and (len(announced) > _DIGITS or int(announced) > limit):
            problem = TooLargeError(limit)
        if problem is not None:
            await self._refuse(request, problem)(scope, receive, send)
            return
        end = _end_boundary(request.headers.get("content-type", ""))
        seen = 0
        tail = b""

        async def bounded() -> Message:
            nonlocal seen, tail
            message = await receive()
            body = message.get("body", b"")
            seen += len(body)
            if seen > limit:
                raise TooLargeError(limit)
            tail = (tail + body)[-_TAIL:]
            if not message.get("more_body", False) and end not in tail:
                raise UnfinishedError
            return message

        await self._app(scope, bounded, send)

    def _limit(self, path: str) -> int:
        is_upload = path in _UPLOADS or _SLICER_UPLOAD.fullmatch(path)
        return self._upload_limit_bytes + _AROUND if is_upload else _SMALL


def _end_boundary(content_type: str) -> bytes:
    """Return what the body must end with; nothing where it is no form with files.

    >>> _end_boundary('multipart/form-data; boundary="x y"'), _end_boundary("text/plain")
    (b'--x y--', b'')
    """
    found = _BOUNDARY.match(content_type)
    return f"--{found[1].strip()}--".encode("latin-1") if found else b""
