"""What a browser has begun and not yet ended: a second step, a passkey, a way by another house.

It is kept in memory, for minutes, each for one use: after a restart one simply begins anew.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections import OrderedDict
from datetime import datetime, timedelta
from typing import Final, Generic, TypeVar

_GOOD_FOR: Final = timedelta(minutes=5)
_KEPT: Final = 2000  # of the newest: five hundred may sign in within ten minutes

T = TypeVar("T")


class Pending(Generic[T]):
    """Values by a secret name that only whoever has begun knows."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, tuple[datetime, T]] = OrderedDict()

    def keep(self, value: T, now: datetime, name: str = "") -> str:
        """Keep a value and return its name.

        :param name: where it is one already; it must be hard to guess.
        """
        name = name or secrets.token_urlsafe(32)
        with self._lock:
            self._kept[_key(name)] = (now, value)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return name

    def look(self, name: str, now: datetime) -> T | None:
        """Return a value and leave it there; None where it is gone."""
        with self._lock:
            found = self._kept.get(_key(name))
        return found[1] if found and now - found[0] < _GOOD_FOR else None

    def take(self, name: str, now: datetime) -> T | None:
        """Return a value, which is gone then."""
        with self._lock:
            found = self._kept.pop(_key(name), None)
        return found[1] if found and now - found[0] < _GOOD_FOR else None


def _key(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()
