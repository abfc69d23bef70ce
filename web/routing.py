"""The routers of pages and of the API: what each of their routes has in common.

A route is built once, and not before somebody asks for it: a node has hundreds, each with the
validators of its fields, and most houses need few of them. FastAPI's `include_router` would build
each a second time.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any, Final

from fastapi import APIRouter, Depends, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from web.modules import API, gate

# FastAPI would load all of Pydantic 1 only to see that nothing here is made with it.
sys.modules.setdefault("pydantic.v1", None)  # type: ignore[arg-type]

_PROBLEM: Final = {
    "type": "object",
    "title": "Problem",
    "description": "RFC 9457, with every reason at once.",
    "required": ["type", "title", "status", "detail", "code", "reasons"],
    "properties": {
        **{name: {"type": "string"} for name in ("type", "title", "detail", "code", "field")},
        "status": {"type": "integer"},
        "reasons": {"type": "array", "items": {"type": "object", "additionalProperties": True}},
    },
}
_PROBLEMS: Final = {
    "401": "Nobody is signed in",
    "403": "Not allowed",
    "404": "No such thing",
    "409": "Refused; `reasons` has all of them",
    "422": "Invalid",
}


class LateRoute(APIRoute):
    """A route that knows its path and methods, and builds the rest when it is first needed."""

    _building: Final = threading.RLock()  # requests come on the loop, the description in a thread

    def __init__(self, path: str, endpoint: Callable[..., Any], **more: Any) -> None:
        methods = {method.upper() for method in more.get("methods") or ["GET"]}
        shown = more.get("include_in_schema", True)
        Route.__init__(self, path, endpoint, name=more.get("name"), include_in_schema=shown)
        self.methods = methods
        self.app = self._first
        self._late: tuple[str, Callable[..., Any], dict[str, Any]] | None = (path, endpoint, more)

    def build(self) -> None:
        """Make everything that answers a request, once."""
        with self._building:
            if self._late is None:
                return
            (path, endpoint, more), self._late = self._late, None
            super().__init__(path, endpoint, **more)

    async def _first(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.build()
        await self.app(scope, receive, send)

    def __getattr__(self, name: str) -> Any:
        # Whoever asks for what is not there yet, such as the description, has it built.
        if "_late" not in self.__dict__:
            raise AttributeError(name)
        self.build()
        try:
            return self.__dict__[name]
        except KeyError:
            raise AttributeError(name) from None


def page_router() -> APIRouter:
    """Return a router of pages."""
    return APIRouter(include_in_schema=False, dependencies=[Depends(gate)], route_class=LateRoute)


def api_router(tag: str) -> APIRouter:
    """Return a resource's router; each of its answers may be a problem (`describe`)."""
    return APIRouter(prefix=API, tags=[tag], dependencies=[Depends(gate)], route_class=LateRoute)


def add(app: FastAPI, router: APIRouter) -> None:
    """Let *app* answer on the routes of *router*."""
    app.router.routes.extend(router.routes)


def describe(app: FastAPI) -> dict[str, object]:
    """Return the OpenAPI description; every operation has the form of its "no".

    It is made anew for each who asks: few do, and it is large.
    """
    out = get_openapi(title=app.title, version=app.version, routes=app.routes)
    schemas = out.setdefault("components", {}).setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    schemas["Problem"] = _PROBLEM
    form = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for path in out["paths"].values():
        for operation in path.values():
            for status, text in _PROBLEMS.items():
                operation["responses"][status] = {"description": text, "content": form}
    return out
