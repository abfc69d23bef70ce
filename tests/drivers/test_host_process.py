"""A real host process on a simulated machine: kills, signals, lost ports, many peers."""

import contextlib
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from drivers.acts import Act, Order
from drivers.client import HostClient
from drivers.errors import HostError
from drivers.host.config import HostConfig, write_host_config
from drivers.host.server import MAX_CONNECTIONS
from drivers.profile import FirmwareProfile, load_profile
from drivers.simulators import PtyMachine
from drivers.snapshot import Phase
from drivers.stopping import stop_now
from drivers.wire import HostEvent, encode

SHORT = ["G28", *(f"G1 X{10 + n % 50} F6000" for n in range(200)), "M104 S0"]
LONG = ["M104 S60", *(f"G1 X{n % 100} Y{n % 90} F3000" for n in range(60_000))]


def quick(name: str) -> FirmwareProfile:
    """The profile without the wait for a bootloader, which a pty has not."""
    return FirmwareProfile.from_json(load_profile(name).to_json() | {"boot_wait_s": 0.3})


class Lab:
    """One simulated machine and its host, in a folder with short names."""

    def __init__(self, folder: Path, machine: PtyMachine, profile: str, devices: Path = Path("/")):
        self.folder = folder
        self.machine = machine
        self.socket = folder / "anna.sock"
        self.file = folder / "host.json"
        self.config = HostConfig(
            machine="anna",
            kind="fdm",
            port=str(machine.port),
            baud=250_000,
            profile=quick(profile),
            limits_sha256="limits",
            socket=self.socket,
            state_dir=folder / "state",
            devices=devices,
        )
        write_host_config(self.file, self.config)
        self.hosts: list[subprocess.Popen] = []

    def host(self) -> subprocess.Popen:
        with (self.folder / "log").open("ab") as log:
            host = subprocess.Popen(
                [sys.executable, "-m", "drivers.host", str(self.file)], stderr=log
            )
        self.hosts.append(host)
        return host

    def client(self) -> HostClient:
        for _ in range(1000):
            with contextlib.suppress(HostError):
                return HostClient.connect(self.socket, "test", timeout=5.0)
            time.sleep(0.01)
        raise AssertionError((self.folder / "log").read_text())

    def ready(self) -> HostClient:
        client = self.client()
        wait_for(lambda: client.state().phase is Phase.IDLE)
        return client

    def start(self, client: HostClient, lines, run="r1") -> None:
        stream, index = self.folder / "p.stream", self.folder / "p.index"
        stream.write_text("".join(f"{line}\n" for line in lines))
        index.write_bytes(struct.pack(f"<{len(lines)}I", *range(11, 11 + len(lines))))
        program = client.load(stream, index)
        record = {"id": "x", "stream_sha256": program, "limits_sha256": "limits", "verdict": "pass"}
        client.start(run, program, record, {"by": "eva"})

    def close(self) -> None:
        for host in self.hosts:
            if host.poll() is None:
                host.kill()
            host.wait(10)
        sys.stderr.write((self.folder / "log").read_text() if self.hosts else "")

    def executed(self) -> list[str]:
        """Return the lines that the machine obeyed, as its own record has them."""
        facts = [json.loads(line) for line in self.machine.log.read_text().splitlines()]
        return [fact["line"] for fact in facts if fact["kind"] == "executed"]


def wait_for(true, patience_s=20.0) -> None:
    until = time.monotonic() + patience_s
    while not true():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.02)


def events_until(client: HostClient, kind: str, patience_s=30.0) -> list[HostEvent]:
    """Return the facts told until one of that kind."""
    got: list[HostEvent] = []
    until = time.monotonic() + patience_s
    while time.monotonic() < until:
        told = [thing for thing in client.receive(0.5) if isinstance(thing, HostEvent)]
        got += [event for event in told if event.seq]
        if any(event.kind == kind for event in got):
            return got
    raise AssertionError(f"no {kind}: {got}")


@pytest.fixture
def lab(request):
    profile, speed = getattr(request, "param", ("marlin-2", 20.0))
    with (
        tempfile.TemporaryDirectory() as name,
        PtyMachine(profile, speed=speed) as machine,
    ):
        lab = Lab(Path(name), machine, profile)
        yield lab
        lab.close()


def test_a_run_goes_to_its_end_and_is_told_once(lab):
    lab.host()
    with lab.ready() as client:
        client.subscribe()
        lab.start(client, SHORT)
        told = events_until(client, "finished")
        assert [(event.kind, event.seq) for event in told] == [("run_started", 1), ("finished", 2)]
        assert told[-1].fields["acked"] == len(SHORT)
        assert told[-1].fields["source_line"] == 10 + len(SHORT)
        client.ack("r1", 2)
        client.subscribe()
        assert [thing for thing in client.receive(0.3) if isinstance(thing, HostEvent)] == []
        client.retire()
    assert lab.hosts[0].wait(10) == 0
    assert not lab.socket.exists()


def test_the_node_may_die_and_come_back_and_the_run_goes_on(lab):
    lab.host()
    client = lab.ready()
    client.subscribe()
    lab.start(client, SHORT)
    client.close()
    with lab.client() as again:
        assert again.hello.run in ("r1", "")
        again.subscribe()
        told = events_until(again, "finished")
        assert [event.seq for event in told] == [1, 2]


def test_a_killed_host_leaves_an_interrupted_run_that_never_resumes(lab):
    first = lab.host()
    with lab.ready() as client:
        lab.start(client, LONG)
        wait_for(lambda: client.state().acked > 100)
        seen = client.state()
        os.kill(first.pid, signal.SIGKILL)
        first.wait(10)
    lab.host()
    with lab.client() as client:
        client.subscribe()
        told = events_until(client, "interrupted")
        end = told[-1]
        assert [(event.kind, event.seq) for event in told] == [
            ("run_started", 1),
            ("interrupted", 2),
        ]
        assert seen.acked <= end.fields["acked"] <= end.fields["sent"] <= end.fields["acked"] + 16
        assert end.fields["source_line"] == 10 + end.fields["acked"]
        assert end.fields["modal"]["targets_c"] == {"T0": 60.0}
        wait_for(lambda: client.state().phase is Phase.IDLE)
        wait_for(lambda: client.state().temperatures.get("T", (0.0, 1.0))[1] == 0.0)
        assert client.state().run == ""
        with pytest.raises(HostError, match=r"host\.run_over"):
            lab.start(client, LONG)
    moved = [line for line in lab.executed() if line.startswith("G1")]
    wanted = [line for line in LONG if line.startswith("G1")]
    assert moved == wanted[: len(moved)], "each line once and in order"
    assert len(moved) <= end.fields["sent"], "nothing that moves was sent by the second host"
    assert lab.executed()[-1] != moved[-1], "heat was switched off after the last move"


def test_a_port_that_vanishes_interrupts_and_comes_back_to_switch_off(lab):
    lab.host()
    with lab.ready() as client:
        client.subscribe()
        lab.start(client, LONG)
        wait_for(lambda: client.state().acked > 50)
        lab.machine.stop()
        told = events_until(client, "interrupted")
        assert told[-1].fields["reason"] == "port-lost"
        assert not client.state().connected
        lab.machine.__enter__()  # plugged in again
        wait_for(lambda: client.state().phase is Phase.IDLE)
        wait_for(lambda: "M104 S0" in lab.executed())
        assert not [line for line in lab.executed() if line.startswith("G")], "nothing moves"
        assert client.state().run == ""


@pytest.mark.parametrize("lab", [("grbl-1.1", 20.0)], indirect=True)
def test_a_router_runs_to_its_end_and_is_stopped_in_mid_run(lab):
    lab.host()
    with lab.ready() as client:
        client.subscribe()
        lab.start(client, ["G21 G90", "M3 S1000", *(f"G1 X{n % 9} F900" for n in range(60)), "M5"])
        assert events_until(client, "finished")[-1].seq == 2
        lab.start(client, ["M3 S1000", *(f"G1 X{n % 90} F900" for n in range(9000))], "r2")
        wait_for(lambda: client.state().acked > 30)
        assert stop_now(lab.socket, "eva")
        assert events_until(client, "stopped")[-1].run == "r2"
        client.reconnect()
        client.ack("r1", 2)
        client.ack("r2", 2)


@pytest.mark.parametrize("lab", [("marlin-2", 1.0)], indirect=True)
def test_stop_is_obeyed_from_any_connection_in_any_phase(lab):
    lab.host()
    with lab.client() as client:
        client.subscribe()
        assert stop_now(lab.socket, "eva"), "while it connects"
        client.reconnect()
        wait_for(lambda: client.state().phase is Phase.IDLE)
        lab.start(client, LONG)
        wait_for(lambda: client.state().acked > 20)
        client.pause()
        began = time.monotonic()
        assert stop_now(lab.socket, "eva")
        assert time.monotonic() - began < 0.5
        told = events_until(client, "stopped")
        assert told[-1].fields["by"] == "eva"
        assert client.state().stopped


@pytest.mark.parametrize("lab", [("farmbot", 1.0)], indirect=True)
def test_a_stop_in_the_middle_of_a_move_is_obeyed_at_once_by_a_machine_of_another_tongue(lab):
    lab.host()
    with lab.ready() as client:
        client.subscribe()
        lab.start(client, ["F41P8V1M0", "G00X2400", "G00X0"])
        wait_for(lambda: client.state().position.get("X", 0.0) > 1.0)
        began = time.monotonic()
        assert stop_now(lab.socket, "eva")
        assert events_until(client, "stopped")[-1].fields["by"] == "eva"
        wait_for(lambda: '"kind": "locked"' in lab.machine.log.read_text())
        assert time.monotonic() - began < 0.5
        wait_for(lambda: client.state().phase is Phase.IDLE)
        assert client.state().stopped
        assert "G00 X0" not in lab.executed()


# What a host may say to a machine that nobody has started again: it asks, and switches off.
QUIET = {
    "marlin-2": {"M110", "M115", "M105", "M155", "M108", "M112"},
    "grbl-1.1": {"$I", "$$", ""},
}


@pytest.mark.parametrize("lab", [("marlin-2", 10.0), ("grbl-1.1", 10.0)], indirect=True)
def test_a_stopped_machine_gets_nothing_but_the_switch_off_list_and_works_after_a_reconnect(lab):
    profile = lab.config.profile
    lab.host()
    head = ["G21 G90"] if profile.dialect == "grbl" else ["G90"]
    with lab.ready() as client:
        client.subscribe()
        lab.start(client, [*head, *(f"G1 X{10 + n % 80} F900" for n in range(9000))])
        wait_for(lambda: client.state().acked > 20)
        assert stop_now(lab.socket, "eva")
        events_until(client, "stopped")
        done = len(lab.executed())
        time.sleep(1.0)  # ten seconds of the machine
        client.reconnect()
        wait_for(lambda: client.state().phase is Phase.IDLE and client.state().connected)
        assert client.state().run == ""
        said = [line for line in lab.executed()[done:] if line not in profile.switch_off]
        others = [line for line in said if not line.startswith("G1")]
        assert len(said) - len(others) < 20, "only what the board had taken in already"
        assert {line.partition(" ")[0] for line in others} <= QUIET[profile.name]
        assert was_halted(lab), "only a reset helps a board that has lost its position or its head"
        lab.start(client, ["G91", "G1 X1 F900", "G1 X1 F900"], "r2")
        assert events_until(client, "finished")[-1].run == "r2"
        client.ack("r1", 2)
        client.ack("r2", 2)


def was_halted(lab: Lab) -> bool:
    facts = [json.loads(line) for line in lab.machine.log.read_text().splitlines()]
    return any(fact["kind"] == "killed" or fact.get("alarm") for fact in facts)


@pytest.mark.parametrize("lab", [("grbl-1.1", 20.0)], indirect=True)
def test_a_router_whose_host_was_killed_has_its_spindle_switched_off(lab):
    first = lab.host()
    with lab.ready() as client:
        lab.start(client, ["G21 G90", "M3 S1000", *(f"G1 X{n % 9} F900" for n in range(9000))])
        wait_for(lambda: client.state().acked > 30)
        os.kill(first.pid, signal.SIGKILL)
        first.wait(10)
    assert "M5" not in lab.executed()
    lab.host()
    with lab.client() as client:
        client.subscribe()
        end = events_until(client, "interrupted")[-1]
        assert end.fields["modal"]["spindle_rpm"] == 1000.0
        wait_for(lambda: "M5" in lab.executed())
    moved = [line for line in lab.executed() if "G1" in line]
    assert len(moved) <= end.fields["sent"]


def test_a_second_host_says_in_one_sentence_why_it_cannot(lab):
    first = lab.host()
    lab.client().close()
    second = subprocess.run(
        [sys.executable, "-m", "drivers.host", str(lab.file)],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert second.returncode == 1
    assert second.stderr == f"anna already has a host, process {first.pid}; end that one first.\n"
    assert stop_now(lab.socket, "eva"), "the first one still listens"


@pytest.mark.parametrize(("arguments", "code"), [([], 2), (["/nowhere/host.json"], 1)])
def test_a_wrong_start_is_one_sentence(arguments, code):
    done = subprocess.run(
        [sys.executable, "-m", "drivers.host", *arguments],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == code
    assert done.stderr.count("\n") == 1


def test_sigterm_ends_an_idle_host_at_once_and_a_run_as_interrupted(lab):
    idle = lab.host()
    lab.ready().close()
    idle.send_signal(signal.SIGTERM)
    assert idle.wait(5) == 0
    busy = lab.host()
    with lab.ready() as client:
        client.subscribe()
        lab.start(client, LONG)
        wait_for(lambda: client.state().acked > 50)
        busy.send_signal(signal.SIGTERM)
        told = events_until(client, "interrupted")
        assert told[-1].fields["reason"] == "told-to-go"
    assert busy.wait(20) == 0
    assert (lab.config.state_dir / "journal.jsonl").read_text().count("interrupted") == 1


def test_a_crowd_a_slow_reader_and_garbage_cannot_keep_a_stop_out(lab):
    lab.host()
    lab.client().close()
    crowd = []
    try:
        for number in range(2 * MAX_CONNECTIONS):
            peer = socket.socket(socket.AF_UNIX)
            crowd.append(peer)
            peer.connect(str(lab.socket))
            peer.settimeout(5)
            with contextlib.suppress(OSError):
                if number % 3 == 0:
                    peer.sendall(b"\xff garbage\n" * 100)
                elif number % 3 == 1:
                    peer.sendall(b"x" * 50_000)  # a line without end
                else:
                    peer.sendall(encode({"id": 1, "do": "events"}))  # and never reads
        assert stop_now(lab.socket, "eva")
    finally:
        for peer in crowd:
            peer.close()


def test_a_reader_that_never_reads_is_dropped_not_waited_for(lab):
    lab.host()
    lab.client().close()
    with socket.socket(socket.AF_UNIX) as greedy:
        greedy.connect(str(lab.socket))
        greedy.settimeout(0.05)
        ask = encode({"id": 1, "do": "state"}) * 200
        dropped = False
        for _ in range(400):
            try:
                greedy.sendall(ask)
            except TimeoutError:
                continue
            except OSError:
                dropped = True
                break
        assert dropped
    assert stop_now(lab.socket, "eva")


def test_a_damaged_journal_is_cut_and_said(lab):
    lab.config.state_dir.mkdir()
    (lab.config.state_dir / "journal.jsonl").write_bytes(b"\x00" * 50)
    lab.host()
    lab.client().close()
    assert "last 50 bytes were damaged" in (lab.folder / "log").read_text()


@pytest.mark.parametrize("lab", [("grbl-1.1", 10.0)], indirect=True)
def test_a_person_has_a_router_jog_and_hears_a_no_as_a_code(lab):
    lab.host()
    with lab.ready() as client:
        wait_for(lambda: "jog" in client.state().acts)
        client.act(Order(Act.JOG, axes={"X": 5.0}, feedrate=10.0), "eva")
        wait_for(lambda: client.state().position.get("X") == 5.0)
        client.act(Order(Act.FEED, percent=120), "eva")
        wait_for(lambda: client.state().overrides.get("feed") == 120)
        with pytest.raises(HostError, match=r"host\.not_homed"):
            client.act(Order(Act.JOG, axes={"X": 50.0}, feedrate=10.0), "eva")
        with pytest.raises(HostError, match=r"host\.not_now"):
            client.act(Order(Act.UNLOCK), "eva")


@contextlib.contextmanager
def plugged(profile: str, usb: str, *arguments: str):
    """A lab whose machine has a USB side, in a folder that stands for the computer."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "dev").mkdir()
        port = root / "dev/ttyUSB0"
        more = ("--usb", usb, *arguments)
        with PtyMachine(profile, speed=20.0, port=port, arguments=more) as machine:
            lab = Lab(root, machine, profile, root)
            yield lab
            lab.close()


@pytest.mark.parametrize(
    ("profile", "usb", "off"),
    [
        ("marlin-2", "1a86:7523::1-1.2", "M140 S0"),
        ("grbl-1.1", "1a86:7523::1-1.2", "M5"),
    ],
)
def test_a_board_that_comes_back_under_another_name_is_found_and_only_switched_off(
    profile, usb, off
):
    with plugged(profile, usb, "--fault", "replug-at-line=60") as lab:
        lab.host()
        with lab.ready() as client:
            client.subscribe()
            lab.start(client, ["G21", *(f"G1 X{n % 50} F6000" for n in range(5000))])
            told = events_until(client, "interrupted")
            assert told[-1].fields["reason"] == "port-lost"
            before = len(lab.executed())
            wait_for(lambda: off in lab.executed()[before:])
            wait_for(lambda: client.state().phase is Phase.IDLE)
            state = client.state()
        assert not (lab.folder / "dev/ttyUSB0").is_symlink()
        assert (lab.folder / "dev/ttyUSB1").is_symlink()
        assert state.differs == ()
        assert state.run == ""
        assert state.in_use == ""
        lab.machine.stop()
        moves = [line for line in lab.executed()[before:] if line.startswith(("G0", "G1"))]
        # What lay in the board's own buffers when the wire went is all that it may still do.
        assert len(moves) <= 30
        after = lab.executed()[lab.executed().index(off) :]
        assert not any(line.startswith(("G0", "G1", "G28", "$H")) for line in after)


def test_a_twin_in_the_place_of_the_lost_board_is_left_alone():
    """The cable of ours is out; another CH340 takes its name, in another socket."""
    with plugged("marlin-2", "1a86:7523::1-1.2") as lab:
        lab.host()
        with lab.ready() as client:
            assert client.state().identity["position"] == "0000:00:14.0/1.2:1.0"
            lab.machine.stop()
            wait_for(lambda: client.state().phase is Phase.CONNECTING)
            usb = ("--usb", "1a86:7523::1-1.3")
            port = lab.folder / "dev/ttyUSB0"
            with PtyMachine("marlin-2", port=port, arguments=usb) as twin:
                wait_for(lambda: client.state().differs == ("position",))
                time.sleep(0.5)
                assert not client.state().connected
                assert "reset" not in twin.log.read_text(), "it was not opened"
                client.own_board("eva")
                wait_for(lambda: client.state().phase is Phase.IDLE)
                assert client.state().differs == ()


def test_a_person_at_the_machine_keeps_it_from_being_started():
    """Somebody turns the heat on at the display, between two of our questions."""
    with plugged("marlin-2", "1a86:7523::1-1.2", "--fault", "hand-at-line=4") as lab:
        lab.host()
        with lab.ready() as client:
            client.subscribe()
            wait_for(lambda: client.state().in_use == "heat")
            with pytest.raises(HostError, match=r"host\.in_use"):
                lab.start(client, SHORT)
            client.release("eva")
            assert client.state().in_use == ""
            client.identify()
            wait_for(lambda: "M300 S880 P300" in lab.executed())
            lab.start(client, SHORT)
            with pytest.raises(HostError, match=r"host\.busy"):
                client.identify()
            events_until(client, "finished")


def test_systemd_hears_that_the_loop_lives_and_no_more_once_it_hangs(lab, monkeypatch):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(lab.folder / "notify"))
        systemd.settimeout(30)
        monkeypatch.setenv("NOTIFY_SOCKET", str(lab.folder / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "1000000")
        host = lab.host()
        assert [systemd.recv(100) for _ in range(3)] == [b"WATCHDOG=1"] * 3
        host.send_signal(signal.SIGSTOP)
        # What lies in the socket already is heard first.
        assert any(not hears(systemd, 2.0) for _ in range(20))
        host.send_signal(signal.SIGCONT)


def hears(ear: socket.socket, seconds: float) -> bool:
    """Whether anything is said in time; it is taken out."""
    said, _, _ = select.select([ear], [], [], seconds)
    return bool(said and ear.recv(100))
