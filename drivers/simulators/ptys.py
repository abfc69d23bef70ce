"""A simulated board behind a pseudo-terminal: real bytes, real time, real descriptors."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time
import tty
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from drivers.simulators.firmware import Firmware
from drivers.simulators.uart import baud_of, misread
from drivers.simulators.usb import Plug, UsbSide, next_name

AHEAD_S = 0.002  # of wall time: how many bytes may be taken from the port before their time
NEAR_S = 0.0001  # of wall time: what comes sooner is done at once
AWAY_S = 1.0  # of wall time: from the loss of a port to its return
UNREAD = 65_536  # bytes kept for a host that does not read

_IN_OPEN, _IN_CLOSE = 0x20, 0x18
_EVENT = struct.Struct("iIII")


class Line:
    """The machine's end of a pty, with a symbolic link to the host's end.

    The host's end stays open here, so that a host that leaves does not hang up the line.
    Opening it raises DTR, which resets the board, unless the host before had switched
    HUPCL off: exactly as on a board with a USB serial chip.

    :param plug: its USB side, for a link in the `dev` of a folder that stands for `/`.
    """

    def __init__(self, link: Path, plug: Plug | None = None) -> None:
        self.master, self.slave = pty.openpty()
        tty.setraw(self.slave)
        flags = termios.tcgetattr(self.slave)
        flags[2] |= termios.HUPCL
        termios.tcsetattr(self.slave, termios.TCSANOW, flags)
        os.set_blocking(self.master, False)
        self.name = os.ttyname(self.slave)
        self.opened = 0
        self._has_dtr = False
        self._watch = _watch(self.name)
        if self._watch is None:
            self.opened = 1
        self._link, self._plug = link, plug
        fresh = link.with_name(f".{link.name}.{os.getpid()}")
        fresh.symlink_to(self.name)
        fresh.replace(link)
        self._usb = UsbSide(link.parent.parent, plug) if plug else None
        if self._usb is not None:
            self._usb.plug_in(link.name)

    @property
    def baud(self) -> int:
        """Return the rate that the host has set [bit/s]."""
        return baud_of(self.slave)

    def fds(self) -> list[int]:
        return [self.master] if self._watch is None else [self.master, self._watch]

    def openings(self) -> bool:
        """Take note of hosts that came and went; True if the board was reset by it."""
        if self._watch is None:
            return False
        was_reset = False
        with contextlib.suppress(BlockingIOError):
            for mask in _masks(os.read(self._watch, 65_536)):
                if mask & _IN_OPEN:
                    self.opened += 1
                    was_reset = was_reset or not self._has_dtr
                    self._has_dtr = True
                elif mask & _IN_CLOSE:
                    self.opened = max(self.opened - 1, 0)
                    if not self.opened:
                        self._left()
        return was_reset

    def _left(self) -> None:
        """The last host has closed the port; the next one may have it for itself."""
        fcntl.ioctl(self.slave, termios.TIOCNXCL)
        if termios.tcgetattr(self.slave)[2] & termios.HUPCL:
            self._has_dtr = False
        termios.tcflush(self.slave, termios.TCIFLUSH)

    def again(self) -> Line:
        """Return the line as it comes back after a loss: another pty, under the next name."""
        return Line(self._link.with_name(next_name(self._link.name)), self._plug)

    def close(self) -> None:
        if self._usb is not None:
            self._usb.pull_out()
        with contextlib.suppress(FileNotFoundError):
            if self._link.is_symlink() and str(self._link.readlink()) == self.name:
                self._link.unlink()
        for fd in (*self.fds(), self.slave):
            os.close(fd)


def _watch(name: str) -> int | None:
    """Descriptor that tells who opens and closes a file; None where the kernel has none."""
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        fd = int(libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
    except AttributeError:
        return None
    if fd < 0:
        return None
    if libc.inotify_add_watch(fd, name.encode(), _IN_OPEN | _IN_CLOSE) < 0:
        os.close(fd)
        return None
    return fd


def _masks(events: bytes) -> Iterator[int]:
    at = 0
    while at < len(events):
        _, mask, _, length = _EVENT.unpack_from(events, at)
        yield mask
        at += _EVENT.size + length


class Runner:
    """Moves bytes and time between a pty and a simulated board.

    :param speed: how many times faster than the clock on the wall the machine lives.
    :param hears_rates: whether a host at another rate than the board's is heard as noise.
    """

    def __init__(
        self, firmware: Firmware, line: Line, speed: float, *, hears_rates: bool = False
    ) -> None:
        self._hears_rates = hears_rates
        self._firmware = firmware
        self._line = line
        self._speed = speed
        self._began = time.monotonic()
        self._unread = bytearray()
        self._is_over = False
        self._bell, self._rope = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        baud = firmware.board.baud
        self._ahead = max(int(baud / 10 * AHEAD_S * speed), 16) if baud else 4096

    def stop(self, _signal: int = 0, _frame: FrameType | None = None) -> None:
        """Make `run` return; may be called from a signal handler or another thread."""
        self._is_over = True
        with contextlib.suppress(BlockingIOError):
            os.write(self._rope, b"!")

    @property
    def line(self) -> Line:
        """Return the line of now: another one after a loss."""
        return self._line

    def now(self) -> float:
        return (time.monotonic() - self._began) * self._speed

    def run(self) -> None:
        """Live until stopped or unplugged."""
        try:
            self._live()
        finally:
            os.close(self._bell)
            os.close(self._rope)

    def _live(self) -> None:
        firmware = self._firmware
        while not self._is_over:
            line = self._line
            now = self.now()
            self._hand_over(firmware.read(now + NEAR_S * self._speed))
            if firmware.is_unplugged:
                break
            if firmware.is_replugged:
                self._come_back()
                continue
            room = firmware.room(self._ahead)
            readable = [fd for fd in line.fds() if fd != line.master or room]
            readable.append(self._bell)
            writable = [line.master] if self._unread else []
            ready = select.select(readable, writable, [], self._patience(room))[0]
            if line.openings():
                self._unread.clear()
                firmware.reset(self.now())
            if line.master in ready:
                with contextlib.suppress(BlockingIOError):
                    data = self._wire(os.read(line.master, room), inwards=True)
                    firmware.write(data, max(self.now(), firmware.now))

    def _come_back(self) -> None:
        """Lose the port and get another; the board lives on meanwhile."""
        self._line.close()
        self._unread.clear()
        select.select([self._bell], [], [], AWAY_S)
        self._firmware.read(self.now())
        self._firmware.is_replugged = False
        self._line = self._line.again()

    def _wire(self, data: bytes, *, inwards: bool) -> bytes:
        board = self._firmware.board.baud
        if not self._hears_rates or not board or not data:
            return data
        host = self._line.baud
        return misread(data, host, board) if inwards else misread(data, board, host)

    def _patience(self, room: int) -> float | None:
        """How long nothing needs to be done [s of wall time]."""
        at = self._firmware.deadline()
        wait = None if at is None else max((at - self.now()) / self._speed, 0.0)
        if not room:
            return AHEAD_S / 2 if wait is None else min(wait, AHEAD_S / 2)
        return wait if wait is None else min(wait, 3600.0)

    def _hand_over(self, said: bytes) -> None:
        if not self._line.opened:
            return  # nobody listens; a serial line keeps nothing
        self._unread += self._wire(said, inwards=False)
        del self._unread[UNREAD:]
        if self._unread:
            with contextlib.suppress(BlockingIOError):
                del self._unread[: os.write(self._line.master, self._unread)]


def run_until_stopped(
    firmware: Firmware, line: Line, speed: float, *, hears_rates: bool = False
) -> None:
    """Live until SIGTERM, SIGINT or an unplugged cable; the line is closed then."""
    runner = Runner(firmware, line, speed, hears_rates=hears_rates)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, runner.stop)
    try:
        runner.run()
    finally:
        runner.line.close()
