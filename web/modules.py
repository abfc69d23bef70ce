"""What belongs to which part of the house: a part that is off answers with a sentence.

One table for pages and API alike, so that a new page under a known path is gated with the rest.
"""

from __future__ import annotations

import re
from typing import Final

from fastapi import Request
from fastapi.concurrency import run_in_threadpool

from jobs.domain.errors import NotFoundError
from jobs.domain.modules import Module
from web.context import web_of

API: Final = "/api/v1"
_PATHS: Final = {
    Module.BOOKING: (
        r"/(?:book|bookings|calendar|feeds|series|swaps|waits|waiting-list|offers)(?:/|$)"
        r"|/machines/[^/]+/(?:book|calendar|proposals|wait|slots)(?:[/.]|$)"
    ),
    Module.QUEUE: r"/queue(?:/|$)",
    Module.STOCK: r"/stock(?:/|$)",
    Module.TRAININGS: r"/trainings(?:/|$)",
    Module.HOUSE: r"/house/(?:in|visitors)(?:/|$)",
    Module.MONEY: r"/(?:money|prices|charges|credits)(?:/|$)",
    Module.COMMONS: r"/designs(?:/|$)|/jobs/from-design(?:/|$)",
    Module.NETWORK: r"/network(?:/|$)",
}
_OF_PATH: Final = tuple((module, re.compile(text)) for module, text in _PATHS.items())


def module_of(path: str) -> Module | None:
    """Return the part of the house that a path belongs to; None: it is always there.

    >>> module_of("/api/v1/machines/ender/calendar"), module_of("/machines/ender")
    (<Module.BOOKING: 'booking'>, None)
    """
    path = path.removeprefix(API)
    return next((module for module, known in _OF_PATH if known.match(path)), None)


async def gate(request: Request) -> None:
    """Let a request in unless it is for a part of the house that is off.

    Where there is nothing to ask it takes no thread: a stop waits behind no slow page.

    :raises NotFoundError: `module.off`, naming the part.
    """
    module = module_of(request.url.path)
    if module is None:
        return
    if module not in await run_in_threadpool(web_of(request).services.modules.on):
        raise NotFoundError("module.off", module=module.value)
