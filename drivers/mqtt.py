"""The few packets of MQTT 3.1.1 that one question to a plug needs; bytes in, packets out.

*Source:* OASIS, "MQTT Version 3.1.1", sections 2 and 3. Everything goes with quality 0: what is
lost is asked again, and a command that came late must not be kept for a plug by a broker.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from drivers.errors import HostError

MAX_PACKET_BYTES: Final = 16_384
KEEP_ALIVE_S: Final = 10
_CONNACK, _PUBLISH, _SUBACK = 2, 3, 9


@dataclass(frozen=True, slots=True)
class Broker:
    """The house's broker.

    :param address: a number: a name would need a server.
    """

    address: str
    port: int = 1883
    user: str = ""
    password: str = ""

    def __repr__(self) -> str:
        """Say where it is, never the password."""
        return f"Broker({self.address!r}, {self.port})"


@dataclass(frozen=True, slots=True)
class Accepted:
    """The broker lets us in, or says why not by a number that is not 0."""

    code: int


@dataclass(frozen=True, slots=True)
class Subscribed:
    """The broker will send what is asked for; `is_whole`: all of it."""

    is_whole: bool


@dataclass(frozen=True, slots=True)
class Published:
    """A message. `was_kept`: it was there before we asked."""

    topic: str
    payload: bytes
    was_kept: bool


Packet = Accepted | Subscribed | Published


class Packets:
    """Cuts what a broker sends into packets."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> Iterator[Packet]:
        """Yield the packets that are whole now; kinds that nobody waits for are left out.

        :raises HostError: `host.broker` if it is damaged, or longer than any plug's word.
        """
        self._rest += data
        while (head := _length(self._rest)) is not None:
            start, size = head
            if len(self._rest) < start + size:
                return
            first, body = self._rest[0], bytes(self._rest[start : start + size])
            del self._rest[: start + size]
            packet = _read(first, body)
            if packet is not None:
                yield packet


def connect(client_id: str, broker: Broker) -> bytes:
    """Return the greeting: a clean session that leaves nothing behind."""
    flags = 0x02
    payload = _text(client_id)
    if broker.user:
        flags |= 0x80
        payload += _text(broker.user)
        if broker.password:
            flags |= 0x40
            payload += _text(broker.password)
    head = _text("MQTT") + bytes((4, flags)) + KEEP_ALIVE_S.to_bytes(2, "big")
    return _packet(0x10, head + payload)


def subscribe(topics: Sequence[str]) -> bytes:
    """Return the wish to hear what is said on *topics*."""
    return _packet(0x82, b"\x00\x01" + b"".join(_text(topic) + b"\x00" for topic in topics))


def publish(topic: str, payload: bytes) -> bytes:
    r"""Return a message.

    >>> publish("a/b", b"ON")
    b'0\x07\x00\x03a/bON'
    """
    return _packet(0x30, _text(topic) + payload)


def disconnect() -> bytes:
    """Return the good-bye."""
    return _packet(0xE0, b"")


def _length(data: bytes | bytearray) -> tuple[int, int] | None:
    """Return where a packet's body begins and how long it is; None: not known yet."""
    size = 0
    for place in range(1, 5):
        if place >= len(data):
            return None
        size |= (data[place] & 0x7F) << 7 * (place - 1)
        if data[place] < 0x80:
            if size > MAX_PACKET_BYTES:
                raise HostError("host.broker", reason="too long")
            return place + 1, size
    raise HostError("host.broker", reason="length")


def _read(first: int, body: bytes) -> Packet | None:
    match first >> 4:
        case kind if kind == _CONNACK:
            if len(body) != 2:
                raise HostError("host.broker", reason="greeting")
            return Accepted(body[1])
        case kind if kind == _SUBACK:
            return Subscribed(len(body) > 2 and all(code < 0x80 for code in body[2:]))
        case kind if kind == _PUBLISH:
            end = 2 + int.from_bytes(body[:2], "big")
            if len(body) < end or first & 0x06:
                raise HostError("host.broker", reason="message")
            topic = body[2:end].decode("utf-8", "replace")
            return Published(topic, body[end:], bool(first & 0x01))
    return None


def _packet(first: int, body: bytes) -> bytes:
    size, out = len(body), bytearray((first,))
    while True:
        size, low = divmod(size, 128)
        out.append(low | (0x80 if size else 0))
        if not size:
            return bytes(out) + body


def _text(text: str) -> bytes:
    data = text.encode()
    return len(data).to_bytes(2, "big") + data
