"""How the demo ends: every ordinary way ends what it started, and clearing up is not cut short."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_OTHERS = (signal.SIGTERM, signal.SIGHUP)  # asked to end, and a terminal that was closed
_ALL = (signal.SIGINT, *_OTHERS)


@contextmanager
def ends_like_ctrl_c() -> Iterator[None]:
    """Make SIGTERM and SIGHUP a `KeyboardInterrupt`; one that was ignored stays so (nohup)."""
    before = {each: signal.getsignal(each) for each in _OTHERS}
    for each, handler in before.items():
        if handler != signal.SIG_IGN:
            signal.signal(each, _interrupt)
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Let no signal cut short what is bounded anyway: impatience would leave processes behind."""
    before = {each: signal.signal(each, signal.SIG_IGN) for each in _ALL}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
