"""The outbox reaches a real broker whatever dies in between."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from jobs.domain.events import EventType
from jobs.services import outbox
from jobs.services.outbox import Outbox
from jobs.services.workshop import Workshop
from node.config import MqttConfig
from node.demo.broker import Broker
from node.demo.hearer import Hearer
from node.mqtt import Publisher
from node.topics import Message

pytestmark = pytest.mark.broker

SITE = "test-lab"
FINISHED = "org.fabnode.job.finished.v1"


def announce(workshop: Workshop, job: str) -> None:
    now = datetime.now(UTC)
    with workshop.database.write() as session:
        outbox.add(
            session, EventType.JOB_FINISHED, {"job": job}, at=now, now=now, workshop=workshop
        )


@contextmanager
def publishing(workshop: Workshop, port: int) -> Iterator[Publisher]:
    publisher = Publisher(
        MqttConfig(host="127.0.0.1", port=port),
        site=SITE,
        did="did:key:z6MkTest",
        version="0",
        outbox=Outbox(workshop),
        projections=list,
    )
    publisher.start()
    yield publisher
    publisher.stop()


def wait_until(is_so: Callable[[], bool], timeout_s: float = 15.0) -> bool:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if is_so():
            return True
        time.sleep(0.05)
    return False


@contextmanager
def hearing(port: int, remembered_s: int = 0) -> Iterator[Hearer]:
    hearer = Hearer(port, SITE, remembered_s=remembered_s)
    assert wait_until(lambda: hearer.listens)
    yield hearer
    hearer.close()


def test_an_event_is_heard_and_then_acknowledged(
    home: Path, open_workshop: Callable[[Path], Workshop], broker: Broker
) -> None:
    workshop = open_workshop(home)
    with hearing(broker.port) as hearer, publishing(workshop, broker.port):
        announce(workshop, "one")
        assert hearer.wait_for(FINISHED, "one", 15) is not None
        assert wait_until(lambda: Outbox(workshop).waiting() == 0)


def test_with_the_broker_away_events_wait_and_arrive_once_it_is_back(
    home: Path, open_workshop: Callable[[Path], Workshop], broker: Broker
) -> None:
    """More than may be on the wire at once; the subscriber may be back later than the node."""
    workshop = open_workshop(home)
    jobs = [f"job-{number:02d}" for number in range(30)]
    with hearing(broker.port, 600) as hearer, publishing(workshop, broker.port) as publisher:
        assert wait_until(lambda: publisher.state == "connected")
        broker.stop()
        assert wait_until(lambda: publisher.state == "away" and not hearer.listens)
        for job in jobs:
            announce(workshop, job)
        assert Outbox(workshop).waiting() == 30
        broker.start()
        assert wait_until(lambda: Outbox(workshop).waiting() == 0, 30)
        assert wait_until(lambda: len(hearer.events) == 30)
        assert [event["data"]["job"] for event in hearer.events] == jobs


def test_events_arrive_in_the_order_in_which_they_became_true(
    home: Path, open_workshop: Callable[[Path], Workshop], broker: Broker
) -> None:
    workshop = open_workshop(home)
    for number in range(50):
        announce(workshop, f"{number:03d}")
    with hearing(broker.port) as hearer, publishing(workshop, broker.port):
        assert wait_until(lambda: len(hearer.events) == 50)
        jobs = [event["data"]["job"] for event in hearer.events]
    assert jobs == sorted(jobs)


def test_the_state_of_a_machine_that_is_gone_is_taken_back(
    home: Path, open_workshop: Callable[[Path], Workshop], broker: Broker
) -> None:
    there = [Message(f"fab/v1/{SITE}/m/one/state", b'{"state":"idle"}', retain=True)]
    publisher = Publisher(
        MqttConfig(host="127.0.0.1", port=broker.port),
        site=SITE,
        did="did:key:z6MkTest",
        version="0",
        outbox=Outbox(open_workshop(home)),
        projections=lambda: there,
    )
    publisher.start()
    try:
        assert wait_until(lambda: b'{"state":"idle"}' in retained(broker.port))
        there.clear()
        assert wait_until(lambda: b'{"state":"idle"}' not in retained(broker.port))
    finally:
        publisher.stop()


def test_a_network_that_is_switched_off_is_told_nothing_more_and_forgets_the_present(
    home: Path, open_workshop: Callable[[Path], Workshop], broker: Broker
) -> None:
    workshop, is_on = open_workshop(home), threading.Event()
    is_on.set()
    state = Message(f"fab/v1/{SITE}/m/one/state", b'{"state":"idle"}', retain=True)
    publisher = Publisher(
        MqttConfig(host="127.0.0.1", port=broker.port),
        site=SITE,
        did="did:key:z6MkTest",
        version="0",
        outbox=Outbox(workshop),
        projections=lambda: [state],
        is_on=is_on.is_set,
    )
    publisher.start()
    try:
        assert wait_until(lambda: state.payload in retained(broker.port))
        is_on.clear()
        assert wait_until(lambda: state.payload not in retained(broker.port))
        announce(workshop, "unheard")
        time.sleep(1.5)
        assert Outbox(workshop).waiting() == 1
        is_on.set()
        assert wait_until(lambda: state.payload in retained(broker.port))
        assert wait_until(lambda: Outbox(workshop).waiting() == 0)
    finally:
        publisher.stop()


def retained(port: int) -> list[bytes]:
    """What a newcomer hears at once about the machines of the site."""
    heard: list[bytes] = []
    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    client.on_message = lambda _client, _userdata, message: heard.append(message.payload)
    client.on_connect = lambda client, *_: client.subscribe(f"fab/v1/{SITE}/m/#", qos=1)
    client.connect("127.0.0.1", port)
    client.loop_start()
    time.sleep(0.4)
    client.disconnect()
    client.loop_stop()
    return heard


class DeafeningProxy:
    """Passes everything to the broker, but lets no PUBACK (type 4) come back."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port = self._door.getsockname()[1]
        self.swallowed = 0
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        try:
            near, _ = self._door.accept()
        except OSError:
            return
        far = socket.create_connection(("127.0.0.1", self._target))
        self._sockets += [near, far]
        threading.Thread(target=self._forward, args=(near, far), daemon=True).start()
        threading.Thread(target=self._filter, args=(far, near), daemon=True).start()

    def _forward(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(4096):
                sink.sendall(data)
        except OSError:
            pass

    def _filter(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            with source.makefile("rb") as packets:
                while head := packets.read(2):
                    body = packets.read(head[1])  # short packets only: CONNACK, PUBACK, PINGRESP
                    if head[0] >> 4 == 4:
                        self.swallowed += 1
                    else:
                        sink.sendall(head + body)
        except OSError:
            pass

    def close(self) -> None:
        for each in (*self._sockets, self._door):
            shut_down(each)


def shut_down(each: socket.socket) -> None:
    with suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
    each.close()


CHILD = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from jobs.services.live import LiveBoard
from jobs.services.outbox import Outbox
from node.config import MqttConfig, NodeConfig
from node.mqtt import Publisher
from node.runtime import build_workshop
from node.supervisor import Layout, Supervisor

live = LiveBoard()
home = Path(sys.argv[1])
supervisor = Supervisor(Layout(home, "test", spawn=False), live, list)
workshop = build_workshop(home, NodeConfig(), live, supervisor)
Publisher(MqttConfig(host="127.0.0.1", port=int(sys.argv[2])), site="test-lab", did="d",
          version="0", outbox=Outbox(workshop), projections=list).start()
time.sleep(60)
"""


def test_sigkill_between_commit_and_puback_loses_nothing(
    home: Path, open_workshop: Callable[[Path], Workshop], broker: Broker
) -> None:
    workshop = open_workshop(home)
    announce(workshop, "cut")
    proxy = DeafeningProxy(broker.port)
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(home), str(proxy.port), str(Path.cwd())]
    )
    with hearing(broker.port) as hearer:
        assert hearer.wait_for(FINISHED, "cut", 20) is not None
        assert wait_until(lambda: proxy.swallowed > 1), "of the certificate and of the event"
        time.sleep(1.0)  # one who counts it as sent too early would have written that by now
        child.send_signal(signal.SIGKILL)
        child.wait()
        proxy.close()
        assert Outbox(workshop).waiting() == 1, "the broker has it, but nobody here knows"
        with publishing(workshop, broker.port):
            assert wait_until(lambda: Outbox(workshop).waiting() == 0)
            assert wait_until(lambda: hearer.received == 2)
        assert len(hearer.events) == 1
