"""Plugs behind a real broker, as their makers document them; paho speaks for them, not our packets.

Written from the makers' MQTT pages alone: Tasmota's `cmnd/…` and `stat/…`, the second Shellys'
RPC over `<prefix>/rpc`, the first Shellys' `shellies/<id>/relay/0/command`.
"""

from __future__ import annotations

import json
import threading
import time

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion


class MqttPlug:
    """One plug with one relay and a meter."""

    spec = ""

    def __init__(self, port: int, name: str = "saw") -> None:
        self.name = name
        self.is_on = False
        self.is_deaf = False
        self.history: list[bool] = []
        self.heard: list[tuple[str, str]] = []
        self.habit: object = None
        self.watts, self.wh = 0.0, 1000.0
        self._ready = threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2, client_id=f"plug-{self.spec}-{name}")
        self._client.on_message = self._on_message
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert self._ready.wait(20)

    def __enter__(self) -> MqttPlug:
        return self

    def __exit__(self, *error: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    @property
    def address(self) -> str:
        return f"{self.spec}:{self.name}"

    @property
    def topics(self) -> list[str]:
        raise NotImplementedError

    def press(self, *, on: bool) -> None:
        self._set(on)

    def answer(self, topic: str, text: str) -> None:
        raise NotImplementedError

    def say(self, topic: str, text: str, *, retain: bool = False) -> None:
        self._client.publish(topic, text, retain=retain)

    def _on_connect(self, client: Client, *_: object) -> None:
        client.subscribe([(topic, 0) for topic in self.topics])

    def _on_message(self, _c: Client, _u: object, message: MQTTMessage) -> None:
        text = message.payload.decode()
        self.heard.append((message.topic, text))
        if not self.is_deaf:
            self.answer(message.topic, text)

    def _set(self, on: bool) -> None:
        if on != self.is_on:
            self.history.append(on)
        self.is_on = on


class TasmotaMqtt(MqttPlug):
    """`cmnd/<topic>/Power1`; it says what it says over HTTP on `stat/<topic>/RESULT`."""

    spec = "tasmota-mqtt"

    @property
    def topics(self) -> list[str]:
        return [f"cmnd/{self.name}/#"]

    def answer(self, topic: str, text: str) -> None:
        word = topic.rpartition("/")[2].upper()
        result = f"stat/{self.name}/RESULT"
        match word:
            case "POWER1" | "POWER":
                if text:
                    self._set(text.upper() == "ON")
                # What another asked is answered on the same topic.
                self.say(result, json.dumps({"Wifi": {"RSSI": 80}}))
                self.say(result, json.dumps({"POWER": "ON" if self.is_on else "OFF"}))
                self.say(f"stat/{self.name}/POWER", "ON" if self.is_on else "OFF", retain=True)
            case "POWERONSTATE":
                self.say(result, json.dumps({"PowerOnState": self.habit or 0}))
            case "PULSETIME1":
                self.say(result, json.dumps({"PulseTime1": {"Set": int(text), "Remaining": 0}}))
            case "STATUS":
                energy = {"Total": self.wh / 1000, "Power": self.watts, "Voltage": 230}
                sensors = {"Time": "2026-03-04T12:00:00", "ENERGY": energy}
                self.say(f"stat/{self.name}/STATUS10", json.dumps({"StatusSNS": sensors}))


class ShellyMqtt(MqttPlug):
    """Frames of JSON-RPC on `<prefix>/rpc`; answers go to `<src>/rpc`."""

    spec = "shelly-mqtt"

    @property
    def topics(self) -> list[str]:
        return [f"{self.name}/rpc"]

    def answer(self, topic: str, text: str) -> None:
        frame = json.loads(text)
        params = frame.get("params", {})
        reply: dict[str, object] = {"id": frame["id"], "src": self.name, "dst": frame["src"]}
        match frame["method"]:
            case "Switch.GetConfig":
                reply["result"] = {"id": 0, "initial_state": self.habit or "off", "auto_on": False}
            case "Switch.GetStatus":
                reply["result"] = {
                    "id": 0,
                    "output": self.is_on,
                    "apower": self.watts,
                    "aenergy": {"total": self.wh},
                }
            case "Switch.Set":
                was = self.is_on
                self._set(params["on"])
                reply["result"] = {"was_on": was}
            case _:
                reply["error"] = {"code": 404, "message": "No handler"}
        self.say(f"{frame['src']}/rpc", json.dumps(reply))


class ShellyGen1Mqtt(MqttPlug):
    """`shellies/<id>/relay/0/command`; single words on topics of their own."""

    spec = "shelly-gen1-mqtt"

    @property
    def topics(self) -> list[str]:
        base = f"shellies/{self.name}"
        return [f"{base}/command", f"{base}/relay/0/command"]

    def answer(self, topic: str, text: str) -> None:
        relay = f"shellies/{self.name}/relay/0"
        if topic == f"{relay}/command":
            self._set(text == "on")
        elif text == "update":
            self.say(f"{relay}/power", f"{self.watts:.2f}")
            self.say(f"{relay}/energy", f"{self.wh * 60:.0f}")
            self.say(relay, "on" if self.is_on else "off", retain=True)


MQTT_MAKERS = {one.spec: one for one in (TasmotaMqtt, ShellyMqtt, ShellyGen1Mqtt)}


def soon(done, patience: float = 30.0) -> None:
    """Wait until it is so."""
    until = time.monotonic() + patience
    while time.monotonic() < until:
        if done():
            return
        time.sleep(0.02)
    raise AssertionError
