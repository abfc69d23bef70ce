"""Wrong passwords by where they come from: coarse, in memory, beside the limit for each login.

A limit here ends only the way by password. Links, passkeys and whoever is signed in already are
not concerned, so nobody can lock a lab out by guessing.
"""

from __future__ import annotations

import ipaddress
import threading
from collections import deque
from datetime import datetime, timedelta
from typing import Final

from jobs.domain.errors import InvalidError

_WITHIN: Final = timedelta(minutes=10)
_OF_NETWORK: Final = 120  # a lab's five hundred behind one address mistype less
_OF_ALL: Final = 1500


class Guesses:
    """Counts wrong passwords of the last ten minutes, by network and in all."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._at: deque[tuple[datetime, str]] = deque(maxlen=_OF_ALL)
        self._counts: dict[str, int] = {}

    def check(self, address: str, now: datetime) -> None:
        """Refuse a password from where too many wrong ones came.

        :raises InvalidError: `sign-in.too-many-here`.
        """
        with self._lock:
            while self._at and now - self._at[0][0] >= _WITHIN:
                self._drop()
            count = self._counts.get(network_of(address), 0)
            if count >= _OF_NETWORK or len(self._at) >= _OF_ALL:
                raise InvalidError("sign-in.too-many-here")

    def wrong(self, address: str, now: datetime) -> None:
        """Count a wrong password."""
        network = network_of(address)
        with self._lock:
            if len(self._at) == _OF_ALL:
                self._drop()
            self._at.append((now, network))
            self._counts[network] = self._counts.get(network, 0) + 1

    def _drop(self) -> None:
        _, network = self._at.popleft()
        left = self._counts[network] - 1
        if left:
            self._counts[network] = left
        else:
            del self._counts[network]


def network_of(address: str) -> str:
    """Return the network that an address belongs to: of 256 old ones, of one house's new ones.

    >>> network_of("192.0.2.7"), network_of("2001:db8:1:2:3::4"), network_of("odd")
    ('192.0.2.0/24', '2001:db8:1:2::/64', 'odd')
    """
    try:
        bits = 24 if ipaddress.ip_address(address).version == 4 else 64
        return str(ipaddress.ip_network(f"{address}/{bits}", strict=False))
    except ValueError:
        return address[:64]
