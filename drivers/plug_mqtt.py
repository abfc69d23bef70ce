"""One question to a plug through the house's broker, asked without ever waiting.

Each question is a conversation of its own, as over HTTP: it greets, listens for the answer, asks,
and goes. A broker that was restarted has nothing to remember, and nothing is ever kept for a plug.

*Source:* Shelly Gen1 "MQTT" (`shellies/<id>/…`), Shelly Gen2 "MQTT" (RPC over `<prefix>/rpc`),
Tasmota "MQTT" (`cmnd/<topic>/…`, `stat/<topic>/RESULT`, `stat/<topic>/STATUS10`).
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from drivers.errors import HostError
from drivers.mqtt import (
    Accepted,
    Broker,
    Packets,
    Published,
    Subscribed,
    connect,
    disconnect,
    publish,
    subscribe,
)
from drivers.plug import Ask, Maker, Plug, is_of_house, path_of

PATIENCE_S: Final = 2.0  # for the whole of one question, as over HTTP
_MOST: Final = 64  # messages that are looked at: a plug says much on its own


@dataclass(frozen=True, slots=True)
class Errand:
    """What to say and what to listen for.

    :param hears: topics of answers, and by which key of the answer each is known.
    """

    says: tuple[tuple[str, bytes], ...]
    hears: Mapping[str, str] = field(default_factory=dict)


class MqttQuestion:
    """A question on its way; it begins at once.

    :raises HostError: `host.no_broker` without one, `host.plug_silent` if it cannot be reached.
    """

    def __init__(
        self, plug: Plug, ask: Ask, hold_s: int, broker: Broker | None, now: float
    ) -> None:
        if broker is None:
            raise HostError("host.no_broker", plug=str(plug))
        self._plug, self._ask = plug, ask
        self._name = str(plug)
        self._until = now + PATIENCE_S
        self._me = f"fabnode-{os.urandom(6).hex()}"
        self._errand = errand_of(plug, ask, hold_s, self._me)
        self._packets = Packets()
        self._parts: dict[str, object] = {}
        self._looked = 0
        self._out = bytearray(connect(self._me, broker))
        if not is_of_house(broker.address):
            raise HostError("host.no_broker", plug=self._name)
        family = socket.AF_INET6 if ":" in broker.address else socket.AF_INET
        try:
            self._socket = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        except OSError as error:
            raise self._silent(error) from error
        code = self._socket.connect_ex((broker.address, broker.port))
        if code not in (0, errno.EINPROGRESS):
            self.close()
            raise self._silent(OSError(code, os.strerror(code)))

    def step(self, now: float) -> bytes | None:
        """Return the answer's body once it is there, as the plug would say it over HTTP.

        :raises HostError: `host.plug_silent`, `host.plug_answer` or `host.broker`; the question
            is then over.
        """
        try:
            self._send()
            while data := self._socket.recv(4096):
                body = self._take(data)
                self._send()
                if body is not None:
                    with contextlib.suppress(OSError):
                        self._socket.send(disconnect(), socket.MSG_NOSIGNAL)
                    self.close()
                    return body
            raise ConnectionResetError(errno.ECONNRESET, "the broker hung up")
        except BlockingIOError:
            pass
        except OSError as error:
            self.close()
            raise self._silent(error) from error
        except HostError:
            self.close()
            raise
        if now >= self._until:
            self.close()
            raise HostError("host.plug_silent", plug=self._name, reason="timeout")
        return None

    def close(self) -> None:
        """Give it up, or let go; harmless twice."""
        with contextlib.suppress(OSError):
            self._socket.close()

    def _send(self) -> None:
        while self._out:
            del self._out[: self._socket.send(self._out, socket.MSG_NOSIGNAL)]

    def _take(self, data: bytes) -> bytes | None:
        for packet in self._packets.feed(data):
            match packet:
                case Accepted(0):
                    self._out += subscribe(tuple(self._errand.hears))
                case Accepted(code):
                    raise HostError("host.broker", reason=f"refused, {code}")
                case Subscribed(True):
                    for topic, payload in self._errand.says:
                        self._out += publish(topic, payload)
                case Subscribed():
                    raise HostError("host.broker", reason="access list")
                case Published() if not packet.was_kept:
                    if (body := self._hear(packet)) is not None:
                        return body
        return None

    def _hear(self, message: Published) -> bytes | None:
        self._looked += 1
        if self._looked > _MOST:
            raise HostError("host.plug_answer", plug=self._name, reason="talks too much")
        key = self._errand.hears.get(message.topic)
        if key is None:
            return None
        match self._plug.maker:
            case Maker.SHELLY_GEN1_MQTT:
                return self._gather(key, message.payload)
            case Maker.SHELLY_MQTT:
                return _result(message.payload, self._name)
        # Tasmota answers everybody on the same topic: only what has our key is for us.
        values = _object(message.payload)
        return message.payload if values and _is_said(values, key, self._plug.relay) else None

    def _gather(self, key: str, payload: bytes) -> bytes | None:
        """Put the single words of a first Shelly together as its HTTP answer has them."""
        text = payload.decode("ascii", "replace").strip()
        if key == "ison":
            if text not in ("on", "off", "overpower"):
                return None
            return json.dumps({"ison": text == "on"}).encode()
        try:
            self._parts[key] = float(text)
        except ValueError:
            return None
        return json.dumps(self._parts).encode() if len(self._parts) == 2 else None

    def _silent(self, error: OSError) -> HostError:
        reason = error.strerror or str(error)
        return HostError("host.plug_silent", plug=self._name, reason=reason)


def errand_of(plug: Plug, ask: Ask, hold_s: int, me: str) -> Errand:
    """Return what to say and to hear for one question.

    :param me: a name that nobody else has, for answers that are sent to who asked.

    >>> from drivers.plug import parse_plug
    >>> errand_of(parse_plug("tasmota-mqtt:saw"), Ask.ON, 0, "me").says
    (('cmnd/saw/Power1', b'ON'),)
    """
    topic, relay = plug.topic, plug.relay
    match plug.maker:
        case Maker.TASMOTA_MQTT:
            # The same command as over HTTP: `/cm?cmnd=Power1%20ON`.
            word, _, value = path_of(plug, ask, hold_s).rpartition("=")[2].partition("%20")
            heard = "STATUS10" if ask is Ask.METER else "RESULT"
            key = "StatusSNS" if ask is Ask.METER else word.rstrip("0123456789")
            says = ((f"cmnd/{topic}/{word}", value.encode()),)
            return Errand(says, {f"stat/{topic}/{heard}": key})
        case Maker.SHELLY_MQTT:
            order = {"id": 1, "src": me, **_rpc(ask, relay, hold_s)}
            says = ((f"{topic}/rpc", json.dumps(order).encode()),)
            return Errand(says, {f"{me}/rpc": "result"})
    base = f"shellies/{topic}"
    update = (f"{base}/command", b"update")  # it says all that it knows
    own = f"{base}/relay/{relay}"
    if ask is Ask.METER:
        return Errand((update,), {f"{own}/power": "power", f"{own}/energy": "total"})
    orders = {Ask.ON: b"on", Ask.OFF: b"off"}
    order_of = ((f"{own}/command", orders[ask]),) if ask in orders else ()
    return Errand((*order_of, update), {own: "ison"})


def _rpc(ask: Ask, relay: int, hold_s: int) -> dict[str, object]:
    match ask:
        case Ask.HABITS:
            return {"method": "Switch.GetConfig", "params": {"id": relay}}
        case Ask.STATE | Ask.METER:
            return {"method": "Switch.GetStatus", "params": {"id": relay}}
        case Ask.OFF:
            return {"method": "Switch.Set", "params": {"id": relay, "on": False}}
    timer = {"toggle_after": hold_s} if hold_s else {}
    return {"method": "Switch.Set", "params": {"id": relay, "on": True, **timer}}


def _result(payload: bytes, name: str) -> bytes | None:
    values = _object(payload)
    if not values or values.get("id") != 1:
        return None
    if not isinstance(values.get("result"), dict):
        raise HostError("host.plug_answer", plug=name, reason=str(values.get("error"))[:60])
    return json.dumps(values["result"]).encode()


def _is_said(values: Mapping[str, object], key: str, relay: int) -> bool:
    """Tell whether an answer holds *key*, or that of the plug's own relay."""
    wanted = {key.upper(), f"{key}{relay}".upper()}
    return any(said.upper() in wanted for said in values)


def _object(payload: bytes) -> dict[str, object]:
    try:
        values = json.loads(payload)
    except (ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}
