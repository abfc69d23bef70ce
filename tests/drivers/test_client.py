"""The node's side of the socket, against a host that answers as the test says."""

import base64
import hashlib
import json
import socket
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from drivers.client import HostClient
from drivers.errors import HostError
from drivers.snapshot import Phase, Snapshot
from drivers.stopping import stop_all, stop_now
from drivers.wire import PROTOCOL, Framer, HostEvent, encode

EVENT = HostEvent("r1", 1, 5, "paused", {"x": 1})


class ScriptedHost:
    """Listens in a thread; answers each request with what `answers` holds for its word."""

    def __init__(self, path: Path, protocol=PROTOCOL, hangs_up_on=""):
        self.heard: list[dict] = []
        self.answers: dict[str, dict] = {}
        self.before: dict[str, bytes] = {}
        self.protocol = protocol
        self.hangs_up_on = hangs_up_on
        self.silent_on = ""
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen(4)
        self.listener.settimeout(10)
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        try:
            peer, _ = self.listener.accept()
        except OSError:
            return
        # A client that was told nonsense hangs up, at whatever word of ours.
        with peer, suppress(BrokenPipeError, ConnectionResetError):
            peer.settimeout(10)
            hello = {"protocol": self.protocol, "software": "t", "machine": "anna", "run": "r1"}
            peer.sendall(encode({"hello": hello}))
            framer = Framer()
            for _ in range(1000):
                try:
                    data = peer.recv(1 << 16)
                except OSError:
                    return
                if not data:
                    return
                for message in framer.feed(data):
                    self.heard.append(message)
                    if message["do"] == self.hangs_up_on:
                        return
                    if message["do"] == self.silent_on:
                        continue
                    peer.sendall(self.before.get(message["do"], b""))
                    extra = self.answers.get(message["do"], {"ok": True})
                    peer.sendall(encode({"re": message["id"], **extra}))

    def close(self):
        self.listener.close()
        self.thread.join(10)


@pytest.fixture
def folder():
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@pytest.fixture
def host(folder):
    host = ScriptedHost(folder / "anna.sock")
    yield host
    host.close()


@pytest.fixture
def client(host, folder):
    with HostClient.connect(folder / "anna.sock", "test 1", timeout=2.0) as client:
        yield client


def test_greetings_are_exchanged(client, host):
    assert (client.hello.machine, client.hello.run) == ("anna", "r1")
    assert host.heard[0]["protocol"] == PROTOCOL
    assert host.heard[0]["software"] == "test 1"


def test_a_program_is_carried_whole_and_in_order(client, host, folder):
    stream = b"".join(b"G1 X%d\n" % number for number in range(9000))
    (folder / "p").write_bytes(stream)
    (folder / "i").write_bytes(bytes(4 * 9000))
    host.answers["load_begin"] = {"ok": True, "loaded": False}
    assert client.load(folder / "p", folder / "i") == hashlib.sha256(stream).hexdigest()
    chunks = [message for message in host.heard if message["do"] == "load_chunk"]
    for part, wanted in (("stream", stream), ("index", bytes(4 * 9000))):
        data = b"".join(base64.b64decode(m["data"]) for m in chunks if m["part"] == part)
        assert data == wanted
    assert host.heard[-1]["do"] == "load_end"


def test_a_program_that_is_there_is_not_carried_again(client, host, folder):
    (folder / "p").write_bytes(b"G28\n")
    (folder / "i").write_bytes(bytes(4))
    host.answers["load_begin"] = {"ok": True, "loaded": True}
    client.load(folder / "p", folder / "i")
    assert [message["do"] for message in host.heard] == ["hello", "load_begin"]


def test_a_refusal_is_the_hosts_own(client, host):
    host.answers["start"] = {"ok": False, "code": "host.busy", "fields": {"run": "r0", "x": [1]}}
    with pytest.raises(HostError) as caught:
        client.start("r1", "p", {"id": "x"})
    assert caught.value.code == "host.busy"
    assert caught.value.fields == {"run": "r0"}


def test_what_is_told_between_question_and_answer_is_not_lost(client, host):
    snapshot = Snapshot(Phase.STREAMING, acked=3, temperatures={"T0": (20.0, 210.0)})
    host.before["pause"] = encode({"event": EVENT.to_json()}) + encode(
        {"state": snapshot.to_json() | {"colour": "green"}}
    )
    client.pause()
    assert client.receive(1.0) == [EVENT, snapshot]
    assert client.receive(0.0) == []


def test_receive_waits_no_longer_than_told(client):
    began = time.monotonic()
    assert client.receive(0.1) == []
    assert 0.09 < time.monotonic() - began < 1.0


@pytest.mark.parametrize("word", ["state", "resume", "cancel", "command", "ack", "events"])
def test_each_question_has_its_word(client, host, word):
    host.answers["state"] = {"ok": True, "state": Snapshot(Phase.IDLE).to_json()}
    ask = {
        "state": client.state,
        "resume": client.resume,
        "cancel": client.cancel,
        "command": lambda: client.command("M105"),
        "ack": lambda: client.ack("r1", 4),
        "events": lambda: client.subscribe("r1", 4),
    }[word]
    ask()
    assert host.heard[-1]["do"] == word


def test_a_host_of_the_protocol_before_is_spoken_to_and_an_older_one_only_watched(folder):
    for age, may in ((PROTOCOL - 1, True), (PROTOCOL + 1, False), (PROTOCOL - 2, False)):
        host = ScriptedHost(folder / f"{age}.sock", protocol=age)
        with HostClient.connect(folder / f"{age}.sock", "test", timeout=2.0) as client:
            if may:
                client.pause()
            else:
                with pytest.raises(HostError, match=r"host\.protocol"):
                    client.pause()
            client.stop("eva")
            client.ack("r1", 1)
        host.close()
        assert [message["do"] for message in host.heard[-2:]] == ["stop", "ack"]


def test_a_host_that_is_not_there_or_goes_away_is_unreachable(folder):
    with pytest.raises(HostError, match=r"host\.unreachable.*anna"):
        HostClient.connect(folder / "anna.sock", "test")
    host = ScriptedHost(folder / "bert.sock", hangs_up_on="pause")
    with (
        HostClient.connect(folder / "bert.sock", "test", timeout=2.0) as client,
        pytest.raises(HostError, match=r"host\.unreachable"),
    ):
        client.pause()
    host.close()


def test_a_host_that_does_not_answer_is_not_waited_for(folder):
    host = ScriptedHost(folder / "anna.sock")
    host.silent_on = "pause"
    with HostClient.connect(folder / "anna.sock", "test", timeout=0.3) as client:
        began = time.monotonic()
        with pytest.raises(HostError, match=r"host\.unreachable"):
            client.pause()
        assert time.monotonic() - began < 2.0
    host.close()


@pytest.mark.parametrize("noise", [b"garbage\n", b'{"event":{}}\n', b'{"state":{"phase":"x"}}\n'])
def test_nonsense_from_a_host_is_an_error_with_a_code(client, host, noise):
    host.before["pause"] = noise
    with pytest.raises(HostError, match=r"host\.protocol"):
        client.pause()


def test_stop_says_nothing_but_stop_and_hears_whether_it_was_obeyed(folder):
    host = ScriptedHost(folder / "anna.sock")
    assert stop_now(folder / "anna.sock", "eva")
    host.close()
    assert host.heard == [{"id": 1, "do": "stop", "by": "eva"}]
    deaf = ScriptedHost(folder / "bert.sock")
    deaf.answers["stop"] = {"ok": False, "code": "host.not_connected"}
    assert not stop_now(folder / "bert.sock", "eva")
    deaf.close()
    assert not stop_now(folder / "nobody.sock", "eva")


def test_a_host_that_hangs_does_not_shield_the_next_machine(folder):
    hung = ScriptedHost(folder / "a.sock")
    hung.silent_on = "stop"
    good = ScriptedHost(folder / "b.sock")
    paths = [folder / "a.sock", folder / "b.sock", folder / "c.sock"]
    told: dict[Path, bool] = {}
    caller = threading.Thread(target=lambda: told.update(stop_all(paths, "eva", timeout=1.0)))
    began = time.monotonic()
    caller.start()
    for _ in range(100):
        if good.heard:
            break
        time.sleep(0.005)
    assert time.monotonic() - began < 0.6, "the good one was asked before the hung one gave up"
    caller.join(10)
    assert list(told.values()) == [False, True, False]
    hung.close()
    good.close()
    assert json.dumps(hung.heard) == json.dumps(good.heard)
