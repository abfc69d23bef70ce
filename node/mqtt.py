"""The publisher: it sends the outbox in order while the broker is there, and waits otherwise.

A row counts as sent when the broker has acknowledged it, never before; a node that dies in
between sends it again, and receivers drop the duplicate by its id. Retained topics are
projections of the present and are published anew at each connection.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from paho.mqtt.client import Client, MQTTMessageInfo
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from jobs.domain.events import EventType
from jobs.services.outbox import Outbox
from node import topics
from node.config import MqttConfig
from node.topics import Message

log = logging.getLogger(__name__)

_IN_FLIGHT = 20  # rows on the wire at once; order within them is the broker's receive order
_IDLE_S = 0.5  # how often an empty outbox is looked at
_PROJECT_S = 2.0  # how often the present is looked at: each look asks the database
_GIVE_UP_S = 30.0  # an acknowledgement this late is asked for again


class Publisher:
    """One thread of ours beside paho's; the database is touched from ours alone.

    :param projections: the retained messages of the present, made when asked.
    :param is_on: whether the lab publishes anything at all.
    """

    def __init__(
        self,
        config: MqttConfig,
        *,
        site: str,
        did: str,
        version: str,
        outbox: Outbox,
        projections: Callable[[], Iterable[Message]],
        is_on: Callable[[], bool] = lambda: True,
    ) -> None:
        self._config = config
        self._site = site
        self._did = did
        self._version = version
        self._outbox = outbox
        self._projections = projections
        self._is_on = is_on
        self._done = threading.Event()
        self._connected = threading.Event()
        self._born = False
        self._answers: queue.SimpleQueue[tuple[int, bool]] = queue.SimpleQueue()
        self._in_flight: dict[int, tuple[str, datetime]] = {}
        self._retained: dict[str, bytes] = {}
        self._project_at = 0.0
        self._client = self._build()
        self._thread = threading.Thread(target=self._run, name="outbox", daemon=True)

    @property
    def state(self) -> str:
        """Return `connected` or `away`."""
        return "connected" if self._connected.is_set() else "away"

    def start(self) -> None:
        """Begin to connect; a broker that is away is tried again for ever."""
        self._client.connect_async(self._config.host, self._config.port, keepalive=30)
        self._client.loop_start()
        self._thread.start()

    def stop(self) -> None:
        """Say good-bye, so that the broker does not publish the last will."""
        self._done.set()
        self._thread.join(5)
        if self._connected.is_set():
            self._publish(self._status("disconnected")).wait_for_publish(2)
        self._client.disconnect()
        self._client.loop_stop()

    def _build(self) -> Client:
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"fabnode-{self._site}",
            protocol=MQTTProtocolVersion.MQTTv5,
        )
        client.max_inflight_messages_set(_IN_FLIGHT)
        client.reconnect_delay_set(1, 30)
        if self._config.username:
            client.username_pw_set(self._config.username, self._config.password)
        if self._config.tls:
            client.tls_set(self._config.ca_cert or None)
        will = self._status("lost")
        client.will_set(will.topic, will.payload, qos=will.qos, retain=will.retain)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        return client

    # paho calls these from its own thread: they only leave word for ours.

    def _on_connect(
        self, _c: Client, _u: object, _f: object, reason: ReasonCode, _p: object
    ) -> None:
        if reason.is_failure:
            log.warning("broker refused the connection: %s", reason)
            return
        self._born = False
        self._connected.set()

    def _on_disconnect(
        self, _c: Client, _u: object, _f: object, reason: ReasonCode, _p: object
    ) -> None:
        self._connected.clear()
        if not self._done.is_set():
            log.warning("broker is away: %s", reason)

    def _on_publish(
        self, _c: Client, _u: object, mid: int, reason: ReasonCode | Any, _p: object
    ) -> None:
        self._answers.put((mid, not getattr(reason, "is_failure", False)))

    def _run(self) -> None:
        while not self._done.is_set():
            try:
                self._round()
            except Exception:
                log.exception("publishing failed; the outbox keeps what is not acknowledged")
                self._done.wait(5)

    def _round(self) -> None:
        if not self._connected.wait(_IDLE_S):
            self._in_flight.clear()  # paho forgets them with the connection; the outbox does not
            return
        if not self._is_on():
            self._fall_silent()
            return
        if not self._born:
            self._born = True
            self._in_flight.clear()
            self._retained.clear()
            self._project_at = 0.0
            self._publish(self._status("ready"))
        self._project()
        self._send_more()
        self._take_answers()

    def _fall_silent(self) -> None:
        """Take back what is known of the present, once, and publish nothing more."""
        if self._born:
            self._born = False
            for topic in self._retained:
                self._publish(Message(topic, b"", retain=True))
            self._publish(self._status("disconnected"))
        self._done.wait(_IDLE_S)

    def _project(self) -> None:
        """Publish what changed of the present, and take back what is no more."""
        if time.monotonic() < self._project_at:
            return
        self._project_at = time.monotonic() + _PROJECT_S
        present = {message.topic: message for message in self._projections()}
        for topic in self._retained.keys() - present.keys():
            del self._retained[topic]
            self._publish(Message(topic, b"", retain=True))  # a broker forgets it then
        for topic, message in present.items():
            if self._retained.get(topic) != message.payload:
                self._retained[topic] = message.payload
                self._publish(message)

    def _send_more(self) -> None:
        late = datetime.now(UTC) - timedelta(seconds=_GIVE_UP_S)
        self._in_flight = {m: row for m, row in self._in_flight.items() if row[1] > late}
        room = _IN_FLIGHT - len(self._in_flight)
        flying = {event_id for event_id, _ in self._in_flight.values()}
        for row in self._outbox.pending(_IN_FLIGHT):
            if room <= 0:
                return
            if row.id in flying:
                continue
            topic = topics.event_topic(self._site, EventType(row.kind))
            info = self._publish(Message(topic, row.body, retain=False))
            self._in_flight[info.mid] = (row.id, datetime.now(UTC))
            room -= 1

    def _take_answers(self) -> None:
        acked: list[str] = []
        refused: list[str] = []
        timeout = _IDLE_S  # the first answer is waited for, the rest is taken as it lies
        while True:
            try:
                mid, ok = self._answers.get(timeout=timeout)
            except queue.Empty:
                break
            timeout = 0.0
            if (row := self._in_flight.pop(mid, None)) is not None:
                (acked if ok else refused).append(row[0])
        if acked:
            self._outbox.acked(acked, datetime.now(UTC))
        if refused:
            log.warning("broker refused %d messages; its access list may forbid them", len(refused))
            self._outbox.tried(refused)
            self._done.wait(5)

    def _publish(self, message: Message) -> MQTTMessageInfo:
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        if message.expiry_s:
            properties.MessageExpiryInterval = message.expiry_s
        return self._client.publish(
            message.topic, message.payload, message.qos, message.retain, properties
        )

    def _status(self, state: str) -> Message:
        return topics.status(self._site, state, datetime.now(UTC), self._version, self._did)
