"""What a program's key must be good for, by what is asked for: one table for the whole API."""

from __future__ import annotations

import re
from typing import Final

from jobs.domain.credentials import Scope
from jobs.domain.modules import Module
from web.modules import API, module_of

_STOP: Final = re.compile(r"/stop$|/machines/[^/]+/stop$")
_OF_CHANGES: Final = (
    (re.compile(r"/jobs/[^/]+/(?:started|finished|failed|resume|resume-plan)$"), Scope.OPERATE),
    (re.compile(r"/(?:jobs|queue/groups|uploads)(?:/|$)|/m/"), Scope.QUEUE),
    (re.compile(r"/machines/[^/]+/.|/faults/|/near-misses|/checklists/"), Scope.OPERATE),
)


def scope_of(method: str, path: str) -> Scope | None:
    """Return what a key needs for a request; None for a stop, which every key may.

    >>> scope_of("GET", "/api/v1/people/me"), scope_of("POST", "/api/v1/machines/ender/stop")
    (<Scope.READ: 'read'>, None)
    >>> scope_of("POST", "/api/v1/jobs"), scope_of("POST", "/api/v1/bookings")
    (<Scope.QUEUE: 'queue'>, <Scope.BOOK: 'book'>)
    >>> scope_of("POST", "/api/v1/machines/ender/pause"), scope_of("DELETE", "/api/v1/machines/x")
    (<Scope.OPERATE: 'operate'>, <Scope.MANAGE: 'manage'>)
    """
    short = path.removeprefix(API)
    if _STOP.match(short):
        return None
    if method in ("GET", "HEAD"):
        return Scope.READ
    if module_of(path) is Module.BOOKING and short != "/bookings/rules":
        return Scope.BOOK
    return next((scope for known, scope in _OF_CHANGES if known.match(short)), Scope.MANAGE)
