"""Sign-ins that came by a one-time link: for a short while they may set a password unasked."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from datetime import datetime, timedelta

_GOOD_FOR = timedelta(minutes=30)
_KEPT = 256


class LinkSignIns:
    """Remembers fresh sign-ins by link, in memory: after a restart a new link is needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._at: OrderedDict[str, datetime] = OrderedDict()

    def remember(self, token: str, now: datetime) -> None:
        """Note that *token* was given for a link."""
        with self._lock:
            self._at[_key(token)] = now
            while len(self._at) > _KEPT:
                self._at.popitem(last=False)

    def is_fresh(self, token: str, now: datetime) -> bool:
        """Return whether *token* was given for a link within half an hour."""
        with self._lock:
            at = self._at.get(_key(token))
        return at is not None and now - at < _GOOD_FOR

    def forget(self, token: str) -> None:
        """The link has done its work."""
        with self._lock:
            self._at.pop(_key(token), None)


def _key(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
