"""An independent subscriber: what it heard is what really left the house."""

from __future__ import annotations

import json
import threading
from typing import Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties


class Hearer:
    """Collects the events of a site and drops duplicates by source and id.

    :param port: of a broker on the loopback address.
    :param remembered_s: how long the broker keeps what comes while this one is away.
    """

    def __init__(
        self, port: int, site: str, client_id: str = "demo-hearer", *, remembered_s: int = 0
    ) -> None:
        self._topic = f"fab/v1/{site}/out/event/#"
        self._events: dict[tuple[str, str], dict[str, Any]] = {}
        self._received = 0
        self._listens = False
        self._news = threading.Condition()
        self._client = Client(
            CallbackAPIVersion.VERSION2, client_id=client_id, protocol=MQTTProtocolVersion.MQTTv5
        )
        self._client.on_connect = self._on_connect
        self._client.on_message = self._on_message
        self._client.on_subscribe = self._on_subscribe
        self._client.on_disconnect = self._on_disconnect
        self._client.reconnect_delay_set(1, 2)
        session = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        session.SessionExpiryInterval = remembered_s
        self._client.connect("127.0.0.1", port, clean_start=not remembered_s, properties=session)
        self._client.loop_start()

    @property
    def events(self) -> list[dict[str, Any]]:
        """Return every event heard, each once, in the order of arrival."""
        with self._news:
            return list(self._events.values())

    @property
    def received(self) -> int:
        """Return how many messages came, duplicates included."""
        return self._received

    @property
    def listens(self) -> bool:
        """Tell whether the broker has taken the subscription."""
        return self._listens

    def wait_for(self, kind: str, job_id: str, timeout_s: float) -> dict[str, Any] | None:
        """Return the event of *kind* about *job_id*, waiting for it; None if it never came."""

        def found() -> dict[str, Any] | None:
            for event in self._events.values():
                if event["type"] == kind and event["data"].get("job") == job_id:
                    return event
            return None

        with self._news:
            self._news.wait_for(lambda: found() is not None, timeout_s)
            return found()

    def close(self) -> None:
        """Leave the broker."""
        self._client.disconnect()
        self._client.loop_stop()

    def _on_connect(self, client: Client, *_: object) -> None:
        client.subscribe(self._topic, qos=1)

    def _on_subscribe(self, *_: object) -> None:
        self._listens = True

    def _on_disconnect(self, *_: object) -> None:
        self._listens = False

    def _on_message(self, _client: Client, _userdata: object, message: MQTTMessage) -> None:
        event = json.loads(message.payload)
        with self._news:
            self._received += 1
            self._events.setdefault((event["source"], event["id"]), event)
            self._news.notify_all()
