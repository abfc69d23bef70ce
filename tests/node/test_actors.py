"""The node's own plugs, over HTTP and a real Mosquitto: its coming and going switches nothing."""

from __future__ import annotations

import time
from contextlib import contextmanager

import pytest

from drivers.mqtt import Broker as Named
from jobs.services.live import LiveBoard
from jobs.services.power import ActorNeed
from node.actors import Actors
from tests.drivers.plugs import Tasmota
from tests.drivers.plugs_mqtt import ShellyMqtt, TasmotaMqtt, soon

pytestmark = [pytest.mark.broker, pytest.mark.timeout(180)]


@contextmanager
def node(plug, port, *, is_used=False):
    """One node's life with one saw."""
    live, lost = LiveBoard(), []
    broker = Named("127.0.0.1", port)
    actors = Actors(live, broker, dict, lambda slug, event: lost.append((slug, event)))
    actors.know([ActorNeed("saw", plug.address, is_used)])
    try:
        yield actors, live, lost
    finally:
        actors.stop()


def word(live):
    return live.get("saw").plugs.get("mains")


@pytest.mark.parametrize("maker", [TasmotaMqtt, ShellyMqtt])
def test_a_restart_of_the_node_switches_nothing_and_reads_how_it_stands(broker, maker):
    with maker(broker.port) as plug:
        plug.watts = 300.0
        with node(plug, broker.port) as (actors, live, lost):
            soon(lambda: word(live) == "off")
            assert live.get("saw").power is False
            assert actors.power("saw", on=True) is None
            soon(lambda: live.get("saw").power)
        assert plug.is_on  # its node has gone
        with node(plug, broker.port, is_used=True) as (actors, live, lost):
            soon(lambda: live.get("saw").power)
            soon(lambda: live.get("saw").plugs_said["mains"].watts == 300.0)
            assert live.get("saw").plugs_said["mains"].at is not None
            # The broker dies and comes back: that is no reason to cut anything.
            broker.stop()
            soon(lambda: word(live) == "unknown")
            assert plug.is_on
            broker.start()
            soon(lambda: word(live) == "on", 60.0)
            assert lost == []
            actors.power("saw", on=False)
            soon(lambda: word(live) == "off")
        assert plug.history == [True, False]


def test_a_power_that_was_lost_while_the_node_was_away_does_not_come_back_by_itself(broker):
    with Tasmota() as plug:
        with node(plug, broker.port, is_used=True) as (_, live, lost):
            soon(lambda: lost)
            soon(lambda: word(live) == "off")
        assert lost == [("saw", {"kind": "power", "on": False, "by": "plug"})]
        assert plug.history == []


def test_somebody_who_presses_the_plugs_own_button_is_heard(broker):
    with Tasmota() as plug, node(plug, broker.port) as (actors, live, lost):
        soon(lambda: word(live) == "off")
        actors.power("saw", on=True)
        soon(lambda: word(live) == "on")
        plug.press(on=False)
        soon(lambda: lost)
        time.sleep(2.0)
        assert plug.history == [True, False]


def test_a_plug_that_is_named_badly_or_taken_away_is_nobodys(broker):
    with Tasmota() as plug, node(plug, broker.port) as (actors, live, _):
        soon(lambda: word(live) == "off")
        actors.know([ActorNeed("saw", "tasmota:8.8.8.8", False)])
        assert actors.power("saw", on=True) == "host.no_heartbeat"
        actors.know([])
        assert not actors.has("saw")
        assert plug.history == []
