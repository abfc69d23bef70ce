"""Signing in has threads of its own: a class that comes in at once must not hold up other pages."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, ParamSpec, TypeVar

import anyio.to_thread
from anyio import CapacityLimiter

from jobs.domain.errors import UnavailableError
from jobs.services.passwords import cost

# More than are hashed at a time: the others read and write meanwhile, and wait for the disk.
_THREADS: Final = CapacityLimiter(cost().lanes + 4)
_LINE: Final = 250  # who waits longer than a minute has gone

P = ParamSpec("P")
T = TypeVar("T")


async def in_lane(act: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return what *act* does when its turn comes; those who wait take no thread.

    :raises UnavailableError: `sign-in.busy`, if too many wait already.
    """
    if _THREADS.statistics().tasks_waiting >= _LINE:
        raise UnavailableError("sign-in.busy")
    return await anyio.to_thread.run_sync(partial(act, *args, **kwargs), limiter=_THREADS)
