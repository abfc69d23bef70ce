"""A heartbeat beats only while its host lives, all is in order and a person has asked."""

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
from drivers.host.config import HostConfig, write_host_config
from drivers.profile import load_profile
from drivers.pulse import BEAT_S, Pulse
from drivers.simulators import PtyMachine, Wishes
from drivers.snapshot import Phase
from tests.drivers.virtual import Lab

PRINT = ["G28", *(f"G1 X{n % 90} Y{n % 7} F600" for n in range(60))]


@pytest.fixture
def folder():
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def gpio(folder):
    """A line as /sys/class/gpio shows it once it is exported."""
    line = folder / "gpio17"
    line.mkdir()
    (line / "direction").write_text("in\n")
    (line / "value").write_text("1\n")
    return line


def beating(folder, **more):
    line = gpio(folder)
    lab = Lab(folder, heartbeat=f"gpio:{line}", **more)
    return lab, line / "value"


def changes(lab, value, seconds):
    """Return how often the line changed."""
    seen, count, end = value.read_text(), 0, lab.now + seconds
    while lab.now < end:
        lab.wait(BEAT_S / 5)
        now = value.read_text()
        count += now != seen
        seen = now
    return count


def test_a_line_falls_when_it_is_opened_and_beats_only_when_started(folder):
    line = gpio(folder)
    pulse = Pulse(f"gpio:{line}")
    assert (line / "direction").read_text() == "low\n"
    assert (line / "value").read_text() == "0\n"
    pulse.tick(10.0)
    assert (line / "value").read_text() == "0\n"
    assert pulse.deadline() is None
    pulse.start(10.0)
    seen = []
    for step in range(8):
        pulse.tick(10.0 + step * BEAT_S)
        pulse.tick(10.0 + step * BEAT_S + 0.01)
        seen.append((line / "value").read_text())
    assert seen == ["1\n", "0\n"] * 4
    pulse.drop()
    pulse.tick(99.0)
    assert (line / "value").read_text() == "0\n"
    pulse.close()


def test_a_pipe_may_be_the_line_too(folder):
    os.mkfifo(folder / "pipe")
    reader = os.open(folder / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    pulse = Pulse(f"file:{folder / 'pipe'}")
    pulse.start(1.0)
    pulse.tick(1.0)
    pulse.tick(2.0)
    pulse.close()
    assert os.read(reader, 100) == b"0\n1\n0\n0\n"
    os.close(reader)


@pytest.mark.parametrize("target", ["gpio:/nowhere", "file:", "plug:lamp", "/sys", ""])
def test_a_line_that_cannot_be_is_refused_with_a_reason(target):
    with pytest.raises(HostError, match=r"host\.no_heartbeat"):
        Pulse(target)


def test_nothing_has_power_and_nothing_starts_before_a_person_asks(folder):
    lab, value = beating(folder)
    assert lab.state.power is False
    assert changes(lab, value, 3.0) == 0
    with pytest.raises(HostError, match=r"host\.no_power"):
        lab.start(PRINT)
    lab.machine.power(True, "eva", lab.now)
    assert lab.state.power is True
    assert 10 <= changes(lab, value, 3.0) <= 13
    assert lab.events[-1]["by"] == "eva"
    assert lab.run(PRINT)["kind"] == "finished"
    assert changes(lab, value, 3.0) >= 10
    lab.machine.power(False, "eva", lab.now)
    assert changes(lab, value, 3.0) == 0
    assert value.read_text() == "0\n"
    lab.close()


def test_a_stop_drops_the_power_and_only_a_person_brings_it_back(folder):
    lab, value = beating(folder)
    lab.machine.power(True, "eva", lab.now)
    lab.start(PRINT * 10)
    lab.wait(8.0)
    lab.machine.stop("otto", lab.now)
    assert value.read_text() == "0\n"
    assert changes(lab, value, 20.0) == 0
    with pytest.raises(HostError, match=r"host\.not_now"):
        lab.machine.power(True, "eva", lab.now)
    lab.machine.disconnect(lab.now, resets=True)  # a person has looked
    lab.until(lambda: lab.state.phase is Phase.IDLE, 60.0)
    lab.wait(5.0)
    assert changes(lab, value, 20.0) == 0
    lab.machine.power(True, "eva", lab.now)
    assert changes(lab, value, 2.0) >= 7
    lab.close()


@pytest.mark.parametrize("fault", ["reset-at-line=30", "silence-at-line=30", "unplug-at-line=30"])
def test_whatever_ends_a_run_badly_drops_the_power(folder, fault):
    lab, value = beating(folder, wishes=Wishes(faults=(fault,)))
    lab.machine.power(True, "eva", lab.now)
    lab.start(PRINT * 10)
    lab.until(lambda: not lab.machine.run, 900.0)
    assert changes(lab, value, 10.0) == 0
    assert lab.state.power is False
    lab.close()


def test_a_port_that_vanishes_while_nothing_runs_drops_the_power(folder):
    lab, value = beating(folder)
    lab.machine.power(True, "eva", lab.now)
    lab.wait(2.0)
    lab.board.is_unplugged = True
    lab.wait(2.0)
    assert lab.state.power is False
    assert changes(lab, value, 5.0) == 0
    lab.close()


def test_a_machine_without_a_heartbeat_has_no_power_to_switch(folder):
    lab = Lab(folder)
    assert lab.state.power is None
    with pytest.raises(HostError, match=r"host\.no_heartbeat"):
        lab.machine.power(True, "eva", lab.now)
    assert lab.run(PRINT)["kind"] == "finished"
    lab.close()


def config_of(folder, port):
    return HostConfig(
        machine="anna",
        kind="mill",
        port=str(port),
        baud=115_200,
        profile=replace(load_profile("grbl-1.1"), boot_wait_s=0.5),
        limits_sha256="l",
        socket=folder / "s",
        state_dir=folder / "state",
        heartbeat=f"gpio:{folder / 'gpio17'}",
    )


def attached(config):
    for _ in range(500):
        time.sleep(0.02)
        with contextlib.suppress(HostError):
            client = HostClient.connect(config.socket, "test")
            if client.state().phase is Phase.IDLE:
                return client
            client.close()
    raise AssertionError


def flips(value, seconds):
    """Return how often the line changes while a stopwatch runs."""
    seen, count, end = value.read_text(), 0, time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.01)
        now = value.read_text()
        count += bool(now) and now != seen
        seen = now or seen
    return count


def test_a_host_that_is_killed_beats_no_more_and_neither_does_the_next(folder):
    line = gpio(folder)
    with PtyMachine("grbl-1.1", speed=10.0) as machine:
        config = config_of(folder, machine.port)
        write_host_config(folder / "host.json", config)
        command = [sys.executable, "-m", "drivers.host", str(folder / "host.json")]
        host = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            with attached(config) as client:
                assert client.state().power is False
                client.power(True, "eva")
                assert client.state().power is True
            assert flips(line / "value", 1.5) >= 4
            os.kill(host.pid, signal.SIGKILL)
            host.wait()
            assert flips(line / "value", 1.0) == 0
            host = subprocess.Popen(command, stderr=subprocess.DEVNULL)
            with attached(config) as client:
                assert client.state().power is False
            assert flips(line / "value", 0.7) == 0
            assert (line / "value").read_text() == "0\n"
        finally:
            host.kill()
            host.wait()
