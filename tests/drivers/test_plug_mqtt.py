"""Plugs behind a real Mosquitto, spoken for by paho: what is asked of them, and what is heard."""

import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.errors import HostError
from drivers.mqtt import Accepted, Broker, Packets, Published, connect, publish, subscribe
from drivers.plug import Ask, parse_plug
from drivers.plug_mqtt import MqttQuestion
from drivers.plug_switch import PlugSwitch, PlugWord
from node.demo.broker import Broker as Mosquitto
from tests.drivers.plugs_mqtt import MQTT_MAKERS

broker_needed = pytest.mark.broker


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    broker = Mosquitto(tmp_path_factory.mktemp("broker") / "b")
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture(params=sorted(MQTT_MAKERS))
def plug(request, house):
    with MQTT_MAKERS[request.param](house.port) as plug:
        yield plug


def switch_of(plug, house):
    broker = Broker("127.0.0.1", house.port)
    return PlugSwitch(parse_plug(plug.address), None, holds=False, broker=broker)


def drive(switch, done, patience=40.0):
    until = time.monotonic() + patience
    while time.monotonic() < until:
        now = time.monotonic()
        if now >= switch.deadline():
            switch.tick(now)
        if done():
            return
        time.sleep(0.005)
    raise AssertionError(switch.word, switch.said)


@broker_needed
def test_a_plug_goes_on_by_a_wish_alone_and_off_until_it_says_so(plug, house):
    switch = switch_of(plug, house)
    drive(switch, lambda: switch.word is PlugWord.OFF)
    assert plug.history == []
    switch.on()
    drive(switch, lambda: switch.is_on)
    switch.off()
    drive(switch, lambda: switch.is_at_rest)
    assert switch.word is PlugWord.OFF
    assert plug.history == [True, False]
    switch.close()


@broker_needed
def test_what_it_measures_is_heard_with_its_own_words(plug, house):
    plug.watts, plug.wh = 340.5, 1234.0
    switch = switch_of(plug, house)
    drive(switch, lambda: switch.said.watts is not None)
    assert switch.said.watts == pytest.approx(340.5, abs=0.01)
    assert switch.said.wh == pytest.approx(1234.0, abs=0.1)
    assert switch.said.raw.startswith("{")
    switch.close()


@broker_needed
def test_one_that_is_on_by_an_earlier_wish_is_taken_up_and_told_nothing(plug, house):
    plug.press(on=True)
    switch = switch_of(plug, house)
    switch.adopt()
    drive(switch, lambda: switch.is_on)
    assert not any(text.upper() in ("ON", "OFF") for _, text in plug.heard)
    assert not any('"on"' in text for _, text in plug.heard)
    # Found off it is lost, and never switched on again by us.
    plug.press(on=False)
    drive(switch, lambda: switch.take_loss() is not None)
    drive(switch, lambda: switch.word is PlugWord.OFF)
    assert plug.history == [True, False]
    switch.close()


@broker_needed
def test_a_deaf_plug_is_unknown_and_nothing_is_kept_for_it(plug, house):
    plug.is_deaf = True
    switch = switch_of(plug, house)
    drive(switch, lambda: switch.trouble is not None)
    assert switch.word is PlugWord.UNKNOWN
    assert switch.trouble.code == "host.plug_silent"
    switch.close()


@broker_needed
def test_a_habit_of_going_on_by_itself_refuses_it(house):
    for spec in ("tasmota-mqtt", "shelly-mqtt"):
        with MQTT_MAKERS[spec](house.port, f"habit-{spec}") as plug:
            plug.habit = 1 if spec == "tasmota-mqtt" else "on"
            switch = switch_of(plug, house)
            switch.on()
            drive(switch, lambda switch=switch: switch.take_loss() is not None)
            assert plug.history == []
            switch.close()


def test_without_a_broker_in_the_house_nothing_is_asked():
    plug = parse_plug("tasmota-mqtt:saw")
    for broker in (None, Broker("8.8.8.8"), Broker("broker.example")):
        with pytest.raises(HostError, match=r"host\.no_broker"):
            MqttQuestion(plug, Ask.STATE, 0, broker, 0.0)


@pytest.mark.parametrize("spec", ["tasmota-mqtt:a/b/c", "shelly-mqtt:#", "tasmota-mqtt:", "x:1"])
def test_a_topic_is_one_plain_word(spec):
    with pytest.raises(HostError, match=r"host\.bad_plug"):
        parse_plug(spec)


@given(st.lists(st.tuples(st.text(max_size=40), st.binary(max_size=300)), max_size=5), st.data())
def test_packets_are_cut_however_they_come(messages, data):
    wire = bytes.fromhex("20020000") + b"".join(publish(topic, body) for topic, body in messages)
    packets, found = Packets(), []
    while wire:
        size = data.draw(st.integers(1, len(wire)))
        found += packets.feed(wire[:size])
        wire = wire[size:]
    assert found == [Accepted(0), *(Published(topic, body, False) for topic, body in messages)]


@given(st.binary(max_size=400))
def test_any_bytes_of_a_broker_are_read_or_refused(data):
    with contextlib.suppress(HostError):
        assert len(list(Packets().feed(data))) <= len(data)


def test_a_greeting_says_what_the_standard_asks():
    # OASIS MQTT 3.1.1, figure 3.6 and below: name, level 4, clean session, keep alive.
    assert connect("me", Broker("127.0.0.1")) == b"\x10\x0e\x00\x04MQTT\x04\x02\x00\x0a\x00\x02me"
    named = connect("me", Broker("127.0.0.1", 1883, "eva", "s3"))
    assert named.endswith(b"\x00\x02me\x00\x03eva\x00\x02s3")
    assert named[9] == 0xC2
    assert subscribe(["a/b"]) == b"\x82\x08\x00\x01\x00\x03a/b\x00"
