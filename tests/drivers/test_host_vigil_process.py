"""A real host process, a simulated laser on a pty, a plug as server, and a node that is killed."""

import json
import signal
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from drivers.errors import HostError
from drivers.host.config import write_host_config
from drivers.simulators import PtyMachine
from drivers.snapshot import Phase
from tests.drivers.plugs import Tasmota
from tests.drivers.test_host_process import Lab, wait_for

PRESENCE_S = 6  # long beside what a loaded machine may hold up one renewal
BURN = ["G21 G90", "M3 S0", *(f"G1 X{20 + 60 * (n % 2)} Y{n % 80} F600 S400" for n in range(4000))]
SETTINGS = ("--set", "32=1", "--set", "30=1000")
# All that a node does for a person who presses the button again and again.
NODE = """
import sys, time
from drivers.client import HostClient
from pathlib import Path
client = HostClient.connect(Path(sys.argv[1]), "node", 30.0)
while True:
    client.present("eva")
    print("said", flush=True)
    time.sleep(0.5)
"""


@pytest.fixture
def laser():
    with (
        tempfile.TemporaryDirectory() as name,
        PtyMachine("grbl-1.1", speed=1.0, arguments=SETTINGS) as machine,
        Tasmota() as plug,
    ):
        lab = Lab(Path(name), machine, "grbl-1.1")
        changes = {"kind": "laser", "baud": 115_200, "presence_s": PRESENCE_S}
        lab.config = replace(lab.config, plugs={"beam": plug.address}, **changes)
        write_host_config(lab.file, lab.config)
        yield lab, plug
        lab.close()


def words(lab):
    """Return what the beam really did."""
    lines = lab.machine.log.read_text().splitlines()
    facts = [json.loads(line) for line in lines if line.endswith("}")]
    return [fact["word"] for fact in facts if fact["kind"] == "spindle"]


@pytest.mark.timeout(180)
def test_a_node_killed_in_mid_job_renews_nothing_and_the_host_holds_with_the_beam_off(laser):
    lab, plug = laser
    lab.host()
    with lab.ready() as client:
        client.power(True, "eva")
        wait_for(lambda: client.state().power)
        lab.start(client, BURN)
        node = subprocess.Popen(
            [sys.executable, "-c", NODE, str(lab.socket)], stdout=subprocess.PIPE, text=True
        )
        assert node.stdout is not None
        try:
            # Longer than a run lasts without a word.
            for _ in range(2 * (PRESENCE_S + 2)):
                assert node.stdout.readline() == "said\n"
            state = client.state()
            assert (state.phase, state.withheld, plug.is_on) == (Phase.STREAMING, "", True)
        finally:
            node.send_signal(signal.SIGKILL)
            node.wait(20)
            node.stdout.close()
        wait_for(lambda: client.state().controller == "Hold:0", 60.0)
        wait_for(lambda: not plug.is_on and words(lab)[-1] == "M5", 30.0)
        state = client.state()
        assert (state.phase, state.withheld, state.spindle_on) == (Phase.PAUSED, "presence", False)
        # A node that is late cannot let it go on, nor can a person before its power is back.
        for ask, code in ((client.present, "not_now"), (client.resume, "no_power")):
            with pytest.raises(HostError, match=code):
                ask("eva")
        client.power(True, "eva")
        wait_for(lambda: client.state().power)
        assert client.state().phase is Phase.PAUSED  # power alone moves nothing
        client.resume("eva")
        wait_for(lambda: client.state().phase is Phase.STREAMING and words(lab)[-1] == "M3")
        assert client.state().withheld == ""
        assert plug.history == [True, False, True]
        client.cancel("eva")
        wait_for(lambda: not client.state().run, 60.0)
