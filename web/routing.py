"""The routers of pages and of the API: what each of their routes has in common.

A route is built once, where it is written: FastAPI's `include_router` would build each a second
time, and a node has hundreds, each with the validators of its fields.
"""

from __future__ import annotations

import sys
from typing import Final

from fastapi import APIRouter, Depends, FastAPI
from fastapi.openapi.utils import get_openapi

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


def page_router() -> APIRouter:
    """Return a router of pages."""
    return APIRouter(include_in_schema=False, dependencies=[Depends(gate)])


def api_router(tag: str) -> APIRouter:
    """Return a resource's router; each of its answers may be a problem (`describe`)."""
    return APIRouter(prefix=API, tags=[tag], dependencies=[Depends(gate)])


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
