"""The serial line of a simulated board: paced bytes in, a small ring, paced lines out."""

from __future__ import annotations

import re
from collections import deque


class Incoming:
    """Bytes on the wire towards the board, each arriving at its own instant.

    :param byte_s: time of one byte on the wire [s]; 0 for a line without pace.
    """

    def __init__(self, byte_s: float) -> None:
        self._byte_s = byte_s
        self._data = bytearray()
        self._start = 0.0  # when the first byte of _data began

    def __len__(self) -> int:
        return len(self._data)

    def write(self, data: bytes, now: float) -> None:
        if not self._data:
            self._start = max(now, self._start)
        self._data += data

    def clear(self) -> None:
        self._data.clear()

    def hold(self, until: float) -> None:
        """Let nothing arrive before *until*; what is on the wire waits [s]."""
        self._start = max(self._start, until)

    def take(self, now: float) -> bytes:
        """What has arrived by `now`."""
        if not self._data or now < self._start:
            return b""
        if not self._byte_s:
            count = len(self._data)
        else:
            count = min(int((now - self._start) / self._byte_s + 1e-6), len(self._data))
        taken = bytes(self._data[:count])
        del self._data[:count]
        self._start += count * self._byte_s
        return taken

    def arrival(self, wanted: re.Pattern[bytes]) -> float | None:
        """When the next byte that matches `wanted` arrives [s]."""
        found = wanted.search(self._data)
        return self._start + (found.start() + 1) * self._byte_s if found else None


class Outgoing:
    """What the board says, whole lines, each handed over when its last byte has left."""

    def __init__(self, byte_s: float) -> None:
        self._byte_s = byte_s
        self._lines: deque[tuple[float, bytes]] = deque()
        self._free_at = 0.0

    def say(self, data: bytes, now: float) -> None:
        self._free_at = max(self._free_at, now) + len(data) * self._byte_s
        self._lines.append((self._free_at, data))

    def hold(self, until: float) -> None:
        """Let nothing more be heard before *until* [s]."""
        self._free_at = max(self._free_at, until)

    def clear(self) -> None:
        self._lines.clear()
        self._free_at = 0.0

    def next_event(self) -> float | None:
        return self._lines[0][0] if self._lines else None

    def take(self, now: float) -> bytes:
        out = bytearray()
        while self._lines and self._lines[0][0] <= now:
            out += self._lines.popleft()[1]
        return bytes(out)


class Ring:
    """The receive buffer; what does not fit is lost without a word."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.data = bytearray()

    @property
    def free(self) -> int:
        return self.size - len(self.data)

    def put(self, data: bytes) -> int:
        """Store what fits; the number of bytes lost."""
        room = self.free
        self.data += data[:room]
        return max(len(data) - room, 0)
