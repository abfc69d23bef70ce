"""One HTTP question to a plug, asked without ever waiting: `step` moves it on.

The host's loop has a machine to serve, so no call here blocks; an answer that takes too long, is
too large or leads elsewhere is an error, and nothing is followed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket

from drivers.errors import HostError
from drivers.plug import Plug
from drivers.plug_login import Challenge, Login, read_challenge

PATIENCE_S = 2.0  # for the whole of one question
MAX_ANSWER_BYTES = 16_384
STEP_S = 0.01  # from one look at the socket to the next; an answer takes some 20 ms


class Keys:
    """What opens a plug: its login if it has one, and the challenge that it gave last."""

    def __init__(self, plug: Plug, login: Login | None) -> None:
        self._login = login
        self._challenges = plug.answers_challenge
        self._asked: Challenge | None = None
        self._count = 0

    def header(self, path: str) -> str:
        """Return the line that opens the plug, "" where there is nothing to say."""
        if self._login is None:
            return ""
        if not self._challenges:
            return f"Authorization: {self._login.basic()}\r\n"
        if self._asked is None:
            return ""
        self._count += 1
        cnonce = os.urandom(8).hex()
        said = self._login.digest(self._asked, path, self._count, cnonce)
        return f"Authorization: {said}\r\n"

    def take(self, challenge: str) -> bool:
        """Take in what a plug asks; True if the question can be put again, with an answer to it."""
        if self._login is None or not self._challenges:
            return False
        asked = read_challenge(challenge)
        self._asked, self._count = asked, 0
        return asked is not None


class Question:
    """A GET on its way; it begins at once.

    :param keys: for a plug with a password; None: it has none.
    """

    def __init__(self, plug: Plug, path: str, now: float, keys: Keys | None = None) -> None:
        self._plug, self._path = plug, path
        self._name = str(plug)
        self._keys = keys or Keys(plug, None)
        self._again = True  # a plug may ask for its password once in one question
        self._until = now + PATIENCE_S
        self._begin()

    def _begin(self) -> None:
        address = self._plug.address
        self._heard = bytearray()
        host = f"[{address}]" if address.version == 6 else str(address)
        key = self._keys.header(self._path)
        head = f"GET {self._path} HTTP/1.1\r\nHost: {host}\r\n{key}Connection: close\r\n\r\n"
        self._rest = head.encode("ascii")
        family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
        try:
            self._socket = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        except OSError as error:
            raise self._silent(error) from error
        # This only begins: what comes of it is told by the first sending.
        code = self._socket.connect_ex((str(address), self._plug.port))
        if code not in (0, errno.EINPROGRESS):
            self.close()
            raise self._silent(OSError(code, os.strerror(code)))

    def step(self, now: float) -> bytes | None:
        """Return the answer's body once it is there.

        :raises HostError: `host.plug_silent`, `host.plug_locked` if it wants a password, or
            `host.plug_answer` with its status or what is wrong; the question is then over.
        """
        try:
            if self._rest:
                self._rest = self._rest[self._socket.send(self._rest, socket.MSG_NOSIGNAL) :]
            is_over = self._hear()
        except BlockingIOError:
            is_over = False
        except OSError as error:
            self.close()
            raise self._silent(error) from error
        if self._is_asked_for_key():
            self.close()
            self._begin()
            return None
        body = self._body(is_over=is_over)
        if body is not None:
            self.close()
        elif is_over:
            raise self._odd("cut short")
        elif now >= self._until:
            self.close()
            raise HostError("host.plug_silent", plug=self._name, reason="timeout")
        return body

    def close(self) -> None:
        """Give it up, or let go; harmless twice."""
        with contextlib.suppress(OSError):
            self._socket.close()

    def _hear(self) -> bool:
        """Take in what has come; True at its end."""
        while len(self._heard) <= MAX_ANSWER_BYTES:
            data = self._socket.recv(4096)
            if not data:
                return True
            self._heard += data
        raise self._odd("too long")

    def _body(self, *, is_over: bool) -> bytes | None:
        head, end, body = bytes(self._heard).partition(b"\r\n\r\n")
        if not end:
            return None
        first, fields = _read_head(head)
        version, _, status = first.partition(" ")
        if not version.startswith("HTTP/1.") or status[:3] != "200":
            code = "host.plug_locked" if status[:3] in ("401", "403") else "host.plug_answer"
            self.close()
            raise HostError(code, plug=self._name, reason=first[:60])
        if fields.get("transfer-encoding", "").lower() == "chunked":
            return self._joined(body)
        length = fields.get("content-length", "")
        if length.isdecimal() and len(length) < 7:
            return body[: int(length)] if len(body) >= int(length) else None
        return body if is_over else None

    def _is_asked_for_key(self) -> bool:
        """Tell whether the plug asks for its password, which it may be told now."""
        head, end, _ = bytes(self._heard).partition(b"\r\n\r\n")
        if not end or not self._again:
            return False
        first, fields = _read_head(head)
        if first.partition(" ")[2][:3] != "401":
            return False
        self._again = False
        return self._keys.take(fields.get("www-authenticate", ""))

    def _joined(self, body: bytes) -> bytes | None:
        """Put chunks together; None while some are missing."""
        whole = b""
        while True:  # each turn takes at least three bytes of a bounded body
            size, end, body = body.partition(b"\r\n")
            if not end:
                return None
            try:
                length = int(size.partition(b";")[0][:8], 16)
            except ValueError as error:
                raise self._odd("chunks") from error
            if length == 0:
                return whole
            if length < 0:
                raise self._odd("chunks")
            if len(body) < length + 2:
                return None
            whole, body = whole + body[:length], body[length + 2 :]

    def _odd(self, reason: str) -> HostError:
        self.close()
        return HostError("host.plug_answer", plug=self._name, reason=reason)

    def _silent(self, error: OSError) -> HostError:
        reason = error.strerror or str(error)
        return HostError("host.plug_silent", plug=self._name, reason=reason)


def _read_head(head: bytes) -> tuple[str, dict[str, str]]:
    """Return the first line of an answer, and its fields by their names in small letters."""
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    return first, {name.strip().lower(): value.strip() for name, _, value in pairs}
