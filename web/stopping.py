"""*Stop now*, for pages and API alike: as directly as HTTP allows."""

from __future__ import annotations

from dataclasses import dataclass

import anyio.to_thread
from anyio import CapacityLimiter
from fastapi import Request

from web.auth import SignInNeededError, Visitor, check_csrf, find_visitor
from web.context import Web, web_of

# Stop has its own threads: with all the others busy it must not wait in a line.
_THREADS = CapacityLimiter(8)


@dataclass(frozen=True, slots=True)
class Stopped:
    """What came of it: each machine's "no" as a code, or None where it obeyed."""

    web: Web
    visitor: Visitor
    outcome: dict[str, str | None]


async def stop_now(request: Request, slug: str | None, csrf: str) -> Stopped:
    """Stop one machine, or all when *slug* is None. Any signed-in person may.

    :raises SignInNeededError: if nobody is known.
    """
    return await anyio.to_thread.run_sync(_stop, request, slug, csrf, limiter=_THREADS)


def _stop(request: Request, slug: str | None, csrf: str) -> Stopped:
    web = web_of(request)
    visitor = find_visitor(request, web)
    if visitor is None:
        raise SignInNeededError
    check_csrf(visitor, csrf)
    dispatch = web.services.dispatch
    if slug is None:
        return Stopped(web, visitor, dict(dispatch.stop_all(visitor.actor)))
    return Stopped(web, visitor, {slug: dispatch.stop(visitor.actor, slug)})
