"""A heartbeat in hardware: a line that changes while its host lives and all is in order.

A retriggerable watchdog relay hears it and holds the supply of spindle, beam or heaters; a
line that stands, high or low, lets it drop. Whoever stalls or dies beats no more, so the beat
is only ever given by the host's own loop.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
from pathlib import Path
from typing import Protocol

from drivers.errors import HostError
from drivers.gpio import GpioLine

BEAT_S = 0.25  # from one change to the next; a relay that waits 1 s hears four
KINDS = ("gpiochip:", "gpio:", "file:")
_CHIP = re.compile(r"(/[^\0]+)/(\d{1,3})")


class Line(Protocol):
    """What beats: an output that can be set."""

    def write(self, *, high: bool) -> None: ...
    def close(self) -> None: ...


class FileLine:
    """A file, pipe or device that takes `1` and `0`.

    :raises OSError: if it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)

    def write(self, *, high: bool) -> None:
        """Set the line."""
        data = b"1\n" if high else b"0\n"
        try:
            os.pwrite(self._file, data, 0)
        except OSError as error:
            if error.errno != errno.ESPIPE:
                raise
            os.write(self._file, data)  # a pipe has no places

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)


class Pulse:
    """One line.

    :param target: `gpiochip:CHIP/LINE` of a chip's device and the number of a line on it,
        `gpio:FOLDER` of a line that is exported in `/sys/class/gpio`, or `file:PATH` of a file,
        pipe or device that takes `1` and `0`.
    :raises HostError: `host.no_heartbeat` if it cannot be opened.
    """

    def __init__(self, target: str) -> None:
        self._target = target
        self._high = False
        self._next_at = 0.0
        self.is_on = False
        try:
            self._line = _open(target)
            self._line.write(high=False)
        except OSError as error:
            raise self._failed(error) from error

    def start(self, now: float) -> None:
        """Beat from now on; a person has asked."""
        self.is_on = True
        self._next_at = now

    def tick(self, now: float) -> None:
        """Change the line if that is due.

        :raises HostError: if it cannot be written; it then stands, which is the safe way.
        """
        if not self.is_on or now < self._next_at:
            return
        self._next_at = now + BEAT_S
        self._high = not self._high
        try:
            self._line.write(high=self._high)
        except OSError as error:
            self.is_on = False
            raise self._failed(error) from error

    def deadline(self) -> float | None:
        """Return when `tick` must be called [s]; None while it stands."""
        return self._next_at if self.is_on else None

    def drop(self) -> None:
        """Stand still and low. Only `start` begins again, and only a person calls that."""
        self.is_on = False
        self._high = False
        with contextlib.suppress(OSError):
            self._line.write(high=False)

    def close(self) -> None:
        """Drop and let go of the line."""
        self.drop()
        self._line.close()

    def _failed(self, error: OSError) -> HostError:
        reason = error.strerror or str(error)
        return HostError("host.no_heartbeat", target=self._target, reason=reason)


def _open(target: str) -> Line:
    kind, _, place = target.partition(":")
    if kind == "gpiochip" and (match := _CHIP.fullmatch(place)) is not None:
        return GpioLine(Path(match[1]), int(match[2]))
    if kind == "gpio" and place:
        # "low" makes it an output and sets it in one step.
        (Path(place) / "direction").write_text("low\n", "ascii")
        return FileLine(Path(place) / "value")
    if kind == "file" and place:
        return FileLine(Path(place))
    raise HostError("host.no_heartbeat", target=target, reason=" or ".join(KINDS))
