"""The wire itself: a serial port, a pty or a TCP socket, never blocking."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import struct
import termios
from typing import Protocol

import serial

from drivers.errors import PortError
from drivers.holders import holder


class Transport(Protocol):
    """Bytes to and from one machine."""

    def fileno(self) -> int:
        """Return the descriptor to wait for."""

    def read(self) -> bytes:
        """Return what has arrived, maybe nothing.

        :raises PortError: `port.lost` if the other end has gone.
        """

    def write(self, data: bytes) -> int:
        """Take bytes into the kernel's queue; return how many fitted.

        :raises PortError: `port.lost` if the other end has gone.
        """

    def queued(self) -> int:
        """Return how many bytes have not left the kernel's queue."""

    def discard_output(self) -> None:
        """Throw away what has not left the kernel's queue."""

    def set_baud(self, baud: int) -> None:
        """Speak at another rate [bit/s] without closing, which may reset a board.

        :raises PortError: `port.lost` or `port.refused`.
        """

    def reset_on_close(self) -> None:
        """Let DTR fall with the next `close`, which resets most boards when they are opened."""

    def close(self) -> None:
        """Give the port back; harmless twice."""


_READ = 4096  # as much as a port's own buffer holds [bytes]
_GONE = (errno.EIO, errno.ENXIO, errno.ENODEV, errno.EPIPE, errno.ECONNRESET, errno.EBADF)
_AGAIN = (errno.EAGAIN, errno.EWOULDBLOCK, errno.EINTR)


def open_transport(port: str, baud: int) -> Transport:
    """Open *port*: a device path, or `socket://host:port`.

    :param baud: bits per second; without meaning for sockets and ptys.
    :raises PortError: `port.not_found`, `port.busy`, `port.busy_by` (a holder is seen) or
        `port.refused`.
    """
    if port.startswith("socket://"):
        return _SocketTransport(port)
    return _SerialTransport(port, baud)


class _Descriptor:
    """Non-blocking reads and writes on a file descriptor."""

    def __init__(self, port: str, descriptor: int) -> None:
        self._port = port
        self._descriptor = descriptor

    def fileno(self) -> int:
        return self._descriptor

    def read(self) -> bytes:
        try:
            data = os.read(self._descriptor, _READ)
        except OSError as error:
            if error.errno in _AGAIN:
                return b""
            raise PortError("port.lost", port=self._port) from error
        if not data and self._at_end():
            raise PortError("port.lost", port=self._port)
        return data

    def write(self, data: bytes) -> int:
        try:
            return os.write(self._descriptor, data)
        except OSError as error:
            if error.errno in _AGAIN:
                return 0
            raise PortError("port.lost", port=self._port) from error

    def _at_end(self) -> bool:
        return True


class _SerialTransport(_Descriptor):
    """A serial port or pty, for us alone."""

    def __init__(self, port: str, baud: int) -> None:
        try:
            self._serial = serial.Serial(
                port, baud, timeout=0, write_timeout=0, exclusive=True, dsrdtr=False, rtscts=False
            )
        except (serial.SerialException, OSError, ValueError) as error:
            raise _refusal(port, error) from error
        super().__init__(port, self._serial.fileno())
        os.set_blocking(self._descriptor, False)
        self._claim()

    def queued(self) -> int:
        try:
            answer = fcntl.ioctl(self._descriptor, termios.TIOCOUTQ, b"\0\0\0\0")
        except OSError:
            return 0
        return int(struct.unpack("i", answer)[0])

    def discard_output(self) -> None:
        try:
            termios.tcflush(self._descriptor, termios.TCOFLUSH)
        except termios.error as error:
            raise PortError("port.lost", port=self._port) from error

    def set_baud(self, baud: int) -> None:
        try:
            self._serial.baudrate = baud
            self._settle()
            termios.tcflush(self._descriptor, termios.TCIFLUSH)
        except (serial.SerialException, OSError, ValueError, termios.error) as error:
            raise _refusal(self._port, error) from error

    def reset_on_close(self) -> None:
        with contextlib.suppress(OSError, termios.error):
            settings = termios.tcgetattr(self._descriptor)
            settings[2] |= termios.HUPCL
            termios.tcsetattr(self._descriptor, termios.TCSANOW, settings)

    def close(self) -> None:
        if not self._serial.is_open:
            return
        with contextlib.suppress(OSError):
            fcntl.ioctl(self._descriptor, termios.TIOCNXCL)
        self._serial.close()

    def _claim(self) -> None:
        """Keep others out, and keep DTR up when we go: hanging up would reset the board."""
        try:
            fcntl.ioctl(self._descriptor, termios.TIOCEXCL)
            self._settle()
        except (OSError, termios.error) as error:
            self._serial.close()
            raise _refusal(self._port, error) from error

    def _settle(self) -> None:
        """Set what pyserial leaves as it was or changes with each rate."""
        settings = termios.tcgetattr(self._descriptor)
        settings[2] &= ~termios.HUPCL
        # So that an empty read means "hung up" and not "nothing yet".
        settings[6][termios.VMIN] = 1
        termios.tcsetattr(self._descriptor, termios.TCSANOW, settings)


class _SocketTransport(_Descriptor):
    """A TCP connection to a serial server."""

    def __init__(self, port: str) -> None:
        host, _, number = port.removeprefix("socket://").rpartition(":")
        if not host or not number.isdecimal():
            raise PortError("port.not_found", port=port)
        try:
            self._socket = socket.create_connection((host.strip("[]"), int(number)), timeout=5.0)
        except (OSError, OverflowError) as error:
            raise PortError("port.refused", port=port, problem=str(error)) from error
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setblocking(False)
        super().__init__(port, self._socket.fileno())

    def queued(self) -> int:
        return 0

    def discard_output(self) -> None:
        """Do nothing: what the kernel has of a TCP stream cannot be taken back."""

    def set_baud(self, baud: int) -> None:
        """Do nothing: a serial server keeps its rate to itself."""

    def reset_on_close(self) -> None:
        pass  # a serial server keeps the lines to itself

    def close(self) -> None:
        self._socket.close()


def _refusal(port: str, error: Exception) -> PortError:
    """Return the one sentence that a failed opening means."""
    number = getattr(error, "errno", None)
    text = str(error)
    if number == errno.ENOENT or "No such file" in text:
        return PortError("port.not_found", port=port)
    if number in (errno.EBUSY, errno.EAGAIN) or "exclusively lock" in text or "busy" in text:
        who = holder(port)
        if who is None:
            return PortError("port.busy", port=port)
        return PortError("port.busy_by", port=port, holder=who.label, pid=who.pid)
    return PortError("port.refused", port=port, problem=text)
