"""What a host does with the plugs of its machine; the plugs are real servers of this process."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import pytest

from drivers.client import HostClient
from drivers.errors import HostError
from drivers.host.config import HostConfig, read_host_config, write_host_config
from drivers.plug_login import Login
from drivers.plug_switch import HOLD_S
from drivers.profile import load_profile
from drivers.simulators import PtyMachine, Wishes
from drivers.snapshot import Phase
from tests.drivers.plugs import MAKERS, ShellyGen1, ShellyGen2, Tasmota
from tests.drivers.virtual import Lab

CUT = ["G21", "G90", "F1200", *(f"G1 X{n % 50} Y{n % 7}" for n in range(200))]


@pytest.fixture
def folder():
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@contextlib.contextmanager
def router(folder, *, mains=True, **more):
    """Yield a router whose spindle hangs on one plug and whose mains on another."""
    now = [0.0]
    with ShellyGen2(lambda: now[0]) as spindle, Tasmota(lambda: now[0]) as supply:
        plugs = {"spindle": spindle.address} | ({"mains": supply.address} if mains else {})
        lab = Lab(folder, "grbl-1.1", plugs=plugs, **more)
        try:
            yield lab, spindle, supply
        finally:
            lab.machine.leave(lab.now)
            lab.close()


def powered(lab):
    lab.machine.power(True, "eva", lab.now)
    lab.until(lambda: lab.state.power, 30.0)


def test_nothing_goes_on_and_nothing_starts_before_a_person_asks(folder):
    with router(folder) as (lab, spindle, supply):
        lab.wait(60.0)
        assert lab.state.power is False
        assert dict(lab.state.plugs) == {"mains": "off", "spindle": "off"}
        with pytest.raises(HostError, match=r"host\.no_power"):
            lab.start(CUT)
        powered(lab)
        assert dict(lab.state.plugs) == {"mains": "on", "spindle": "on"}
        assert lab.run(CUT)["kind"] == "finished"
        lab.until(lambda: lab.state.plugs["spindle"] == "off", 30.0)
        lab.wait(60.0)
        assert (spindle.history, supply.history) == ([True, False], [True])


def test_a_plug_with_a_password_is_opened_by_what_stands_in_the_hosts_file(folder):
    now = [0.0]
    with ShellyGen2(lambda: now[0]) as spindle, Tasmota(lambda: now[0]) as supply:
        for plug in (spindle, supply):
            plug.password = "s3cret"
        plugs = {"spindle": spindle.address, "mains": supply.address}
        known = {f"127.0.0.1:{one.port}": Login("admin", "s3cret") for one in (spindle, supply)}
        lab = Lab(folder, "grbl-1.1", plugs=plugs, plug_logins=known)
        powered(lab)
        lab.machine.stop("otto", lab.now)
        lab.until(lambda: set(lab.state.plugs.values()) == {"off"}, 30.0)
        assert (spindle.history, supply.history) == ([True, False], [True, False])
        lab.machine.leave(lab.now)
        lab.close()


def test_the_hosts_file_keeps_passwords_for_its_owner_alone(folder):
    config = HostConfig(
        *("anna", "mill", "/dev/null", 115200, load_profile("grbl-1.1"), "x"),
        *(folder / "s", folder),
        plug_logins={"10.0.0.2": Login("admin", "s3cret")},
    )
    write_host_config(folder / "host.json", config)
    assert (folder / "host.json").stat().st_mode & 0o077 == 0
    assert read_host_config(folder / "host.json") == config
    assert "s3cret" not in repr(config)


def test_a_stop_switches_off_what_hangs_on_plugs_and_says_whether_they_confirmed(folder):
    with router(folder) as (lab, spindle, supply):
        powered(lab)
        lab.start(CUT)
        lab.wait(2.0)
        lab.machine.stop("otto", lab.now)
        assert set(lab.state.plugs.values()) <= {"turning-off", "off"}
        lab.until(lambda: set(lab.state.plugs.values()) == {"off"}, 30.0)
        assert [event["part"] for event in lab.events if event.get("word") == "off"][-2:]
        lab.wait(60.0)
        with pytest.raises(HostError, match=r"host\.not_now"):
            lab.machine.power(True, "eva", lab.now)
        lab.machine.disconnect(lab.now, resets=True)  # a person has looked
        lab.until(lambda: lab.state.phase is Phase.IDLE, 60.0)
        lab.wait(30.0)
        assert (spindle.history, supply.history) == ([True, False], [True, False])
        powered(lab)
        assert (spindle.is_on, supply.is_on) == (True, True)


def test_a_stop_that_finds_no_port_still_switches_the_plugs_off(folder):
    with router(folder) as (lab, spindle, supply):
        powered(lab)
        lab.board.is_unplugged = True
        lab.wait(2.0)
        assert (spindle.is_on, supply.is_on) == (False, True)  # a lost cable is no reason for all
        with pytest.raises(HostError, match=r"host\.not_connected"):
            lab.machine.stop("otto", lab.now)
        lab.until(lambda: lab.state.plugs["mains"] == "off", 30.0)
        assert not supply.is_on


def test_mains_come_back_by_a_person_although_the_board_that_they_feed_is_silent(folder):
    with router(folder) as (lab, _, supply):
        powered(lab)
        lab.machine.stop("otto", lab.now)
        lab.board.is_unplugged = True  # its USB side goes with the mains
        lab.until(lambda: lab.state.plugs["mains"] == "off", 30.0)
        lab.machine.disconnect(lab.now, resets=True)
        lab.wait(20.0)
        lab.machine.power(True, "eva", lab.now)
        lab.until(lambda: supply.is_on, 30.0)


def test_a_plug_that_does_not_answer_is_said_to_be_not_off(folder):
    with router(folder, mains=False) as (lab, spindle, _):
        powered(lab)
        spindle.answer = (500, b"")
        lab.machine.stop("otto", lab.now)
        lab.until(lambda: lab.state.plugs["spindle"] == "not-off", 30.0)
        lab.wait(20.0)
        assert lab.state.plugs["spindle"] == "not-off"
        spindle.answer = None
        lab.until(lambda: lab.state.plugs["spindle"] == "off", 30.0)


def test_a_run_that_loses_its_spindle_is_cancelled_and_not_driven_on(folder):
    with router(folder) as (lab, spindle, _):
        powered(lab)
        lab.start(CUT * 20)
        lab.wait(3.0)
        spindle.press(on=False)
        lab.until(lambda: not lab.machine.run, 60.0)
        end = next(event for event in lab.events if event["kind"] in ("cancelled", "failed"))
        assert (end["kind"], end["by"]) == ("cancelled", "power")
        lab.wait(60.0)
        assert spindle.history == [True, False]


def test_a_run_that_fails_switches_the_spindle_off_and_leaves_the_mains(folder):
    with router(folder, wishes=Wishes(faults=("alarm-at-s=20",))) as (lab, spindle, supply):
        powered(lab)
        lab.start(CUT * 50)
        lab.until(lambda: not lab.machine.run, 120.0)
        lab.until(lambda: lab.state.plugs["spindle"] == "off", 30.0)
        assert (spindle.history, supply.history) == ([True, False], [True])


def test_hands_go_to_a_tool_only_while_its_plug_is_off(folder):
    with router(folder, mains=False) as (lab, spindle, _):
        powered(lab)
        lab.start(["G21", "G90", "M3 S8000", "G1 X5 F600", "T2 M6", "G1 X6", "M5"])
        lab.until(lambda: bool(lab.state.tool), 120.0)
        lab.until(lambda: lab.state.plugs["spindle"] == "off", 30.0)
        lab.wait(30.0)
        assert lab.state.tool == 2
        with pytest.raises(HostError, match=r"host\.no_power"):
            lab.machine.refuse_to_go_on()
        powered(lab)
        lab.machine.refuse_to_go_on()
        assert lab.state.tool == 2
        lab.machine.stop("otto", lab.now)
        lab.until(lambda: not spindle.is_on, 30.0)


def test_a_plug_that_is_badly_named_has_no_power(folder):
    lab = Lab(folder, plugs={"spindle": "tasmota:8.8.8.8"})
    assert lab.state.power is False
    with pytest.raises(HostError, match=r"host\.bad_plug"):
        lab.machine.power(True, "eva", lab.now)
    lab.close()


def config_of(folder, port, plug):
    return HostConfig(
        machine="anna",
        kind="laser",
        port=str(port),
        baud=115_200,
        profile=replace(load_profile("grbl-1.1"), boot_wait_s=0.3),
        limits_sha256="l",
        socket=folder / "s",
        state_dir=folder / "state",
        heartbeat=plug.address,
    )


def attached(config):
    for _ in range(1000):
        time.sleep(0.02)
        with contextlib.suppress(HostError):
            client = HostClient.connect(config.socket, "test")
            if client.state().phase is Phase.IDLE:
                return client
            client.close()
    raise AssertionError


def soon(done):
    for _ in range(1500):
        if done():
            return
        time.sleep(0.02)
    raise AssertionError


@pytest.mark.parametrize("name", sorted(MAKERS))
def test_a_plug_falls_when_its_host_is_killed_and_no_host_raises_it_again(folder, name):
    """Nothing tells the plug that its host has died: its own countdown ends."""
    ahead = [0.0]
    with MAKERS[name](lambda: time.monotonic() + ahead[0]) as plug, PtyMachine("grbl-1.1") as board:
        config = config_of(folder, board.port, plug)
        write_host_config(folder / "host.json", config)
        command = [sys.executable, "-m", "drivers.host", str(folder / "host.json")]
        host = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            with attached(config) as client:
                assert client.state().power is False
                client.power(True, "eva")
                soon(lambda: client.state().power)
                seen = len(plug.asked)
                soon(lambda: len(plug.asked) >= seen + 2)  # renewed once
            os.kill(host.pid, signal.SIGKILL)
            host.wait()
            assert plug.is_on
            ahead[0] += HOLD_S
            assert not plug.is_on
            host = subprocess.Popen(command, stderr=subprocess.DEVNULL)
            with attached(config) as client:
                soon(lambda: client.state().plugs["heartbeat"] == "off")
                assert client.state().power is False
            assert plug.history == [True, False]
        finally:
            host.kill()
            host.wait()


def test_a_host_that_leaves_switches_its_plug_off_itself(folder):
    with ShellyGen1() as plug, PtyMachine("grbl-1.1") as board:
        config = config_of(folder, board.port, plug)
        write_host_config(folder / "host.json", config)
        command = [sys.executable, "-m", "drivers.host", str(folder / "host.json")]
        host = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            with attached(config) as client:
                client.power(True, "eva")
                soon(lambda: client.state().power)
            host.terminate()
            assert host.wait(20.0) == 0
            assert plug.history == [True, False]
            assert plug.asked[-2].endswith("turn=off")
        finally:
            host.kill()
            host.wait()
