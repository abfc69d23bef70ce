"""What the host decides, on a session that does as the test says."""

import base64
import hashlib
import itertools
import json
import os
import socket
import struct
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from drivers.acts import CALMING, Act, Order
from drivers.errors import HostError, PortError
from drivers.host.config import HostConfig, read_host_config, write_host_config
from drivers.host.desk import Desk
from drivers.host.machine import Machine
from drivers.host.programs import ProgramStore
from drivers.host.server import Connection
from drivers.host.upkeep import LOOK_EVERY_S, RETRY_LAST_S
from drivers.journal import Journal
from drivers.profile import load_profile
from drivers.sealing import machine_key, seal
from drivers.snapshot import (
    Attention,
    Cancelled,
    Failed,
    Finished,
    Paused,
    Phase,
    Prompt,
    Prompted,
    Reached,
    Replied,
    Resumed,
    Said,
    Snapshot,
    Stopped,
)
from drivers.wire import PROTOCOL, Do

STREAM = b"G28\nG1 X10\nG1 X20\nM104 S0\n"
INDEX = struct.pack("<4I", 2, 5, 6, 9)
PROGRAM = hashlib.sha256(STREAM).hexdigest()
PREFLIGHT = {"id": "p", "stream_sha256": PROGRAM, "limits_sha256": "limits", "verdict": "pass"}


class FakeSession:
    """Remembers what it was told; says what the test puts into its mouth."""

    def __init__(self, publish):
        self.publish = publish
        self.told = []
        self.state = Snapshot(phase=Phase.IDLE, connected=True)
        self.speaks = []
        self.breaks: Exception | None = None
        self.closed = False
        self.wants_write = False
        self.works_alone = False
        self.accepts = True
        self.refuses = ""

    def fileno(self):
        return -1

    def deadline(self):
        return None

    def ready(self, now):
        if self.breaks is not None:
            raise self.breaks
        said, self.speaks = self.speaks, []
        for event in said:
            self.publish(event)

    def express(self, wait, clock, until, expect):
        return False

    def start(self, program, now, run):
        self.told.append(("start", len(program)))
        if not self.accepts:
            return False
        self.state = replace(self.state, phase=Phase.STREAMING, acked=0, sent=0, total=len(program))
        return True

    def adopt(self, program, now, run):
        self.told.append(("adopt", run))
        return self.accepts

    def pause(self, now):
        self.told.append("pause")
        return self.accepts

    def resume(self, now):
        self.told.append("resume")
        return self.accepts

    def cancel(self, now):
        self.told.append("cancel")
        return self.accepts

    def stop(self, now):
        self.told.append("stop")
        return self.accepts

    def answer(self, number, choice, now):
        self.told.append(("answer", number, choice))
        return self.accepts

    def command(self, line, now):
        self.told.append(line)
        return self.accepts

    def act(self, order, reach, now):
        self.told.append((order, reach))
        return self.refuses

    def reached(self):
        return Reached(self.state.phase, self.state.acked, self.state.sent)

    def snapshot(self, now):
        return self.state

    def record(self, log):
        pass

    def reset_on_close(self):
        self.told.append("reset")

    def close(self):
        self.closed = True


class Bench:
    """One machine on one folder, with a fake port and a node listening."""

    def __init__(self, folder: Path, *, port=True, seal_key=""):
        self.config = HostConfig(
            machine="anna",
            kind="fdm",
            port="/dev/null",
            baud=115200,
            profile=load_profile("marlin-2"),
            limits_sha256="limits",
            socket=folder / "s",
            state_dir=folder,
            limits={"envelope_mm": [220.0, 210.0, 200.0], "nozzle_max_c": 280.0},
            seal_key=seal_key,
        )
        self.has_port = port
        self.sessions: list[FakeSession] = []
        self.events = []
        self.retired = False
        self.journal = Journal(folder)
        self.programs = ProgramStore(folder / "programs", PROGRAM)
        clock = itertools.count(1)
        left = None
        if self.journal.open_run is not None:
            left = self.programs.recall(PROGRAM)
        self.machine = Machine(
            self.config, self.journal, self.open, self.events.append, lambda: next(clock), left
        )
        if left is not None:
            left.close()
        self.desk = Desk(self.config, self.machine, self.journal, self.programs, self.retire)
        mine, self.far = socket.socketpair()
        self.far.setblocking(False)
        self.peer = Connection(mine, protocol=PROTOCOL)
        self.machine.tick(0.0)

    def open(self, config, publish, now):
        if not self.has_port:
            raise PortError("port.not_found", port=config.port)
        self.sessions.append(FakeSession(publish))
        return self.sessions[-1]

    def retire(self):
        self.retired = True

    @property
    def session(self):
        return self.sessions[-1]

    def ask(self, do, **fields):
        """Return the answer; what is pushed besides goes into `pushed`."""
        self.desk.answer(self.peer, {"id": 1, "do": do, **fields}, 1.0)
        messages = [json.loads(line) for line in self.far.recv(1 << 20).splitlines()]
        self.pushed = messages[1:]
        return messages[0]

    def load(self):
        sizes = {"stream_bytes": len(STREAM), "index_bytes": len(INDEX)}
        if self.ask(Do.LOAD_BEGIN, program=PROGRAM, **sizes)["loaded"]:
            return
        for part, data in (("stream", STREAM), ("index", INDEX)):
            text = base64.b64encode(data).decode()
            assert self.ask(Do.LOAD_CHUNK, program=PROGRAM, part=part, data=text)["ok"]
        assert self.ask(Do.LOAD_END, program=PROGRAM)["ok"]

    def start(self, run="r1", **changes):
        fields = {"run": run, "program": PROGRAM, "preflight": PREFLIGHT, "arming": {"by": "eva"}}
        return self.ask(Do.START, **(fields | changes))

    def running(self):
        self.load()
        assert self.start()["ok"]
        return self

    def advance(self, acked, sent):
        self.session.state = replace(self.session.state, acked=acked, sent=sent)
        self.machine.tick(2.0)

    def kinds(self):
        return [(event.kind, event.seq) for event in self.events]

    def close(self):
        self.journal.close()
        self.programs.close()
        self.peer.socket.close()
        self.far.close()


@pytest.fixture
def folder():
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@pytest.fixture
def bench(folder):
    bench = Bench(folder)
    yield bench
    bench.close()


def test_a_run_is_on_disk_before_its_first_line_and_ends_with_what_was_done(bench, folder):
    bench.running()
    assert "run_started" in (folder / "journal.jsonl").read_text()
    assert bench.session.told == [("start", 4)]
    bench.advance(4, 4)
    bench.session.speaks = [Finished()]
    bench.session.state = replace(bench.session.state, phase=Phase.IDLE)
    bench.machine.tick(3.0)
    assert bench.kinds() == [("run_started", 1), ("finished", 2)]
    started, finished = bench.events
    assert started.fields["arming"] == {"by": "eva"}
    assert finished.fields["acked"] == 4
    assert finished.fields["source_line"] == 9
    assert bench.machine.run == ""
    assert bench.machine.is_idle


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"program": "0" * 64}, "host.unknown_program"),
        ({"preflight": None}, "host.no_preflight"),
        ({"preflight": PREFLIGHT | {"stream_sha256": "0" * 64}}, "host.no_preflight"),
        ({"preflight": PREFLIGHT | {"verdict": "block"}}, "host.no_preflight"),
        (
            {"preflight": {k: v for k, v in PREFLIGHT.items() if k != "verdict"}},
            "host.no_preflight",
        ),
        ({"preflight": PREFLIGHT | {"verdict": "person"}}, "host.no_preflight"),
        ({"preflight": PREFLIGHT | {"verdict": "person", "waivers": []}}, "host.no_preflight"),
        ({"preflight": PREFLIGHT | {"verdict": "block", "waivers": ["w"]}}, "host.no_preflight"),
        ({"preflight": PREFLIGHT | {"limits_sha256": "old"}}, "host.limits_changed"),
        ({"run": "x" * 65}, "host.no_journal"),
        ({"run": 7}, "wire.bad_value"),
        ({"arming": {"by": "x" * 3000}}, "host.bad_arming"),
    ],
)
def test_a_program_without_its_own_passing_examination_is_not_started(bench, changes, code):
    bench.load()
    answer = bench.start(**changes)
    assert (answer["ok"], answer["code"]) == (False, code)
    assert bench.session.told == []
    assert bench.journal.facts() == []


def test_what_people_let_stand_is_started(bench):
    bench.load()
    assert bench.start(preflight=PREFLIGHT | {"verdict": "person", "waivers": ["w"]})["ok"]


@pytest.fixture
def sealing_bench(folder):
    bench = Bench(folder, seal_key=machine_key(b"s" * 32, "anna"))
    yield bench
    bench.close()


def test_only_an_order_that_was_sealed_for_this_machine_is_started(sealing_bench):
    bench, key = sealing_bench, sealing_bench.config.seal_key
    bench.load()
    order = {"run": "r1", "program": PROGRAM, "preflight": PREFLIGHT, "arming": {"by": "eva"}}
    for wrong in (
        {},
        {"seal": None},
        {"seal": seal(key, "bert", order)},
        {"seal": seal(key, "anna", order | {"run": "r2"})},
        {"seal": seal(key, "anna", order), "arming": {"by": "mallory"}},
    ):
        answer = bench.start(**wrong)
        assert (answer["ok"], answer["code"]) == (False, "host.not_sealed")
    assert (bench.session.told, bench.journal.facts()) == ([], [])
    assert bench.start(seal=seal(key, "anna", order))["ok"]


def test_while_a_program_streams_each_line_is_noted_at_once_and_the_rest_is_looked_at_soon(bench):
    machine = bench.machine
    assert not machine.stream(1.0), "nothing runs"
    bench.running()
    machine.tick(2.0)
    bench.session.state = replace(bench.session.state, acked=1, sent=3, message="x")
    assert machine.stream(2.0 + LOOK_EVERY_S / 2)
    assert (bench.journal.progress.acked, bench.journal.progress.sent) == (1, 3)
    assert machine.deadline() == machine.watch_deadline() == 2.0 + LOOK_EVERY_S
    assert not machine.stream(2.0 + LOOK_EVERY_S), "the rest is due"
    machine.tick(3.0)
    bench.session.speaks = [Said("hello")]
    assert not machine.stream(3.1), "an event is looked at when it comes"
    machine.tick(3.1)
    assert bench.kinds()[-1] == ("said", 0)
    bench.session.state = replace(bench.session.state, phase=Phase.PAUSED)
    assert not machine.stream(3.2), "a phase is seen when it changes"
    machine.tick(3.2)
    assert not machine.stream(3.3), "only a program that streams is that simple"


def test_a_port_that_vanishes_while_a_program_streams_interrupts_the_run_at_once(bench):
    bench.running()
    bench.machine.tick(2.0)
    bench.session.breaks = OSError(5, "Input/output error")
    assert not bench.machine.stream(2.1)
    assert (bench.machine.run, bench.events[-1].kind) == ("", "interrupted")


def test_a_second_run_waits_and_the_same_run_starts_only_once(bench):
    bench.running()
    assert bench.start()["ok"], "a node that missed the answer may ask again"
    assert bench.start("r2")["code"] == "host.busy"
    bench.session.speaks = [Finished()]
    bench.session.state = replace(bench.session.state, phase=Phase.IDLE)
    bench.machine.tick(3.0)
    assert bench.ask(Do.ACK, run="r1", seq=2)["ok"]
    assert bench.start()["code"] == "host.run_over"
    assert bench.session.told == [("start", 4)]
    assert bench.start("r2")["ok"]


@pytest.mark.parametrize("phase", [p for p in Phase if p is not Phase.IDLE])
def test_a_machine_that_is_not_idle_starts_nothing(bench, phase):
    bench.load()
    bench.session.state = replace(bench.session.state, phase=phase)
    bench.machine.tick(1.0)
    assert bench.start()["code"] == "host.busy"


def test_without_a_port_nothing_starts_and_stop_says_so(folder):
    bench = Bench(folder, port=False)
    bench.load()
    assert bench.start()["code"] == "host.not_connected"
    answer = bench.ask(Do.STOP, by="eva")
    assert (answer["ok"], answer["code"]) == (False, "host.not_connected")
    bench.has_port = True
    bench.machine.tick(50.0)
    bench.machine.tick(50.0)
    assert bench.session.told == [line.encode() for line in bench.config.profile.switch_off]
    bench.close()


def test_the_port_is_looked_for_less_and_less_often_but_never_given_up(folder):
    bench = Bench(folder, port=False)
    now, waits = 0.0, []
    for _ in range(12):
        due = bench.machine.deadline()
        waits.append(due - now)
        now = due
        bench.machine.tick(now)
    assert waits == sorted(waits)
    assert waits[-1] == RETRY_LAST_S
    bench.has_port = True
    bench.machine.tick(now + RETRY_LAST_S)
    assert bench.machine.session is not None
    bench.close()


def test_a_port_that_vanishes_interrupts_the_run_and_brings_back_only_the_switch_off_list(bench):
    bench.running()
    bench.advance(2, 3)
    lost = bench.session
    lost.breaks = OSError(5, "Input/output error")
    bench.machine.tick(4.0)
    assert lost.closed
    assert bench.kinds() == [("run_started", 1), ("interrupted", 2)]
    fields = bench.events[-1].fields
    assert (fields["acked"], fields["sent"], fields["source_line"]) == (2, 3, 5)
    assert fields["offset_bytes"] == len(b"G28\nG1 X10\n")
    assert fields["reason"] == "port-lost"
    assert (fields["sent_line"], fields["planner_blocks"]) == (6, 16)
    assert fields["modal"]["position_mm"]["X"] == 10.0
    bench.machine.tick(5.0)
    bench.machine.tick(5.1)
    bench.machine.tick(5.2)
    assert bench.session is not lost
    assert bench.session.told == [line.encode() for line in bench.config.profile.switch_off]
    assert bench.start("r2")["ok"]


def test_no_modal_state_is_read_from_lines_that_mean_something_else(folder):
    """An F is a command of a FarmBot, and an axis that it does not name goes to 0."""
    bench = Bench(folder)
    object.__setattr__(bench.config, "profile", load_profile("farmbot"))
    bench.running()
    bench.advance(2, 3)
    bench.session.breaks = OSError(5, "Input/output error")
    bench.machine.tick(4.0)
    assert bench.events[-1].kind == "interrupted"
    assert "modal" not in bench.events[-1].fields
    bench.close()


def test_a_new_host_on_an_open_run_interrupts_it_and_never_resumes(folder):
    first = Bench(folder).running()
    first.advance(3, 4)
    first.close()  # the journal is as SIGKILL leaves it: the run is open
    second = Bench(folder)
    second.machine.tick(1.0)
    assert second.kinds()[0] == ("interrupted", 2)
    fields = second.events[0].fields
    assert (fields["acked"], fields["sent"], fields["total"]) == (3, 4, 4)
    assert (fields["source_line"], fields["reason"]) == (6, "host-died")
    assert (fields["sent_line"], fields["planner_blocks"]) == (9, 16)
    assert fields["modal"]["position_mm"]["X"] == 20.0
    assert second.session.told == [line.encode() for line in second.config.profile.switch_off]
    assert [fact.kind for fact in second.journal.facts()] == ["run_started", "interrupted"]
    second.close()


def test_a_host_killed_again_before_it_could_switch_off_still_owes_it(folder):
    Bench(folder).running().close()
    second = Bench(folder, port=False)
    assert second.kinds() == [("interrupted", 2)]
    second.close()
    third = Bench(folder)
    assert third.session.told == [line.encode() for line in third.config.profile.switch_off]
    assert third.events[0].kind == "switched_off"
    third.close()
    fourth = Bench(folder)
    assert fourth.session.told == []
    fourth.close()


def test_nothing_starts_while_the_switch_off_is_owed(folder):
    Bench(folder).running().close()
    bench = Bench(folder, port=False)
    bench.has_port = True
    bench.machine._open_session = lambda *a: (
        bench.sessions.append(FakeSession(a[1]))
        or (setattr(bench.session, "state", Snapshot(phase=Phase.CONNECTING)) or bench.session)
    )
    bench.machine.tick(10.0)
    bench.load()
    assert bench.start("r2")["code"] == "host.not_connected"
    bench.session.state = Snapshot(phase=Phase.STOPPED, connected=True)
    bench.machine.tick(11.0)
    assert bench.start("r2")["code"] == "host.open_run"
    bench.close()


def test_stop_reaches_the_session_and_the_record_says_who(bench):
    bench.running()
    bench.session.speaks = [Stopped()]
    assert bench.ask(Do.STOP, by="eva")["ok"]
    assert bench.session.told[-1] == "stop"
    assert bench.kinds()[-1] == ("stopped", 2)
    assert bench.events[-1].fields["by"] == "eva"
    assert bench.machine.run == ""


def test_a_start_that_was_under_way_does_not_survive_a_stop(bench):
    """A board may be back within seconds, or under a session that never heard of the stop."""
    bench.load()
    assert bench.ask(Do.STOP, by="eva")["ok"]
    assert not bench.session.state.stopped
    assert bench.machine.snapshot(1.0).stopped
    assert bench.start()["code"] == "host.busy"
    bench.machine.lose_port(OSError("unplugged"), 1.0)
    bench.machine.tick(30.0)
    assert bench.start()["code"] == "host.busy"
    assert ("start", 4) not in bench.session.told
    assert bench.ask(Do.RECONNECT)["ok"]  # a person has looked
    bench.machine.tick(60.0)
    assert not bench.machine.snapshot(60.0).stopped
    assert bench.start()["ok"]


def test_a_machine_found_holding_is_reset_before_it_counts_as_switched_off(bench):
    """It takes no line while it holds, and its spindle turns."""
    bench.running()
    bench.machine.lose_port(OSError("unplugged"), 1.0)
    held = Snapshot(phase=Phase.IDLE, connected=True, controller="Hold:0")
    open_session = bench.machine._open_session

    def found(*given):
        session = open_session(*given)
        session.state = held
        return session

    bench.machine._open_session = found
    bench.machine.tick(30.0)
    bench.machine.tick(31.0)
    assert bench.session.told[0] == "stop"
    assert "switched_off" not in [kind for kind, _ in bench.kinds()]


def test_the_stop_is_on_the_wire_before_it_is_on_the_disk(bench, monkeypatch):
    """A card may hold a write for a second; the engine speaks of the stop before it is sent."""
    bench.running()
    order = []
    disk = os.write

    def slow_disk(file, data):
        order.append("disk")
        return disk(file, data)

    def stop(now):
        bench.session.publish(Stopped())
        order.append("wire")
        return True

    monkeypatch.setattr("drivers.journal.os.write", slow_disk)
    monkeypatch.setattr(bench.session, "stop", stop)
    assert bench.ask(Do.STOP, by="eva")["ok"]
    assert order == ["wire", "disk"]


def test_a_machine_that_talks_at_every_line_is_not_repeated_at_every_line(bench):
    bench.running()
    bench.session.speaks = [Said("cold extrusion prevented")] * 500
    bench.machine.tick(2.0)
    assert len(bench.events) < 50
    assert bench.events[-1].kind == "said"


def test_a_disk_that_refuses_costs_neither_the_stop_nor_the_events(bench, monkeypatch):
    bench.running()

    def full(file, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("drivers.journal.os.write", full)
    bench.session.speaks = [Stopped()]
    assert bench.ask(Do.STOP, by="eva")["ok"]
    assert bench.session.told[-1] == "stop"
    assert bench.events[-1].kind == "stopped"
    assert bench.ask(Do.ACK, run="r1", seq=2)["ok"]
    assert bench.journal.facts() == []


@pytest.mark.parametrize("age", [0, PROTOCOL - 1, PROTOCOL + 2])
def test_a_node_of_another_age_may_watch_stop_and_take_the_records_over(bench, age):
    bench.running()
    bench.peer.protocol = age
    assert bench.ask(Do.STATE)["state"]["run"] == "r1"
    assert bench.ask(Do.EVENTS, run="", after=0)["ok"]
    assert [push["event"]["kind"] for push in bench.pushed if "event" in push] == ["run_started"]
    assert bench.ask(Do.ACK, run="r1", seq=1)["ok"]
    assert bench.ask(Do.STOP)["ok"]
    for word in (Do.START, Do.LOAD_BEGIN, Do.PAUSE, Do.COMMAND):
        assert bench.ask(word)["code"] == "host.protocol"


def test_a_node_one_protocol_newer_may_do_all(bench):
    """It speaks ours too: the newer side adapts."""
    bench.peer.protocol = PROTOCOL + 1
    bench.running()
    assert bench.ask(Do.PAUSE)["ok"]
    assert bench.session.told[-1] == "pause"


def test_facts_are_told_again_until_acknowledged_and_not_after(bench):
    bench.running()
    bench.session.speaks = [Attention("door", "open"), Said("echo"), Failed("x", 5, "y" * 9000)]
    bench.machine.tick(2.0)
    bench.ask(Do.EVENTS, run="r1", after=1)
    told = [push["event"] for push in bench.pushed if "event" in push]
    assert [(event["kind"], event["seq"]) for event in told] == [("attention", 2), ("failed", 3)]
    assert len(told[1]["text"]) < 500
    assert ("said", 0) in bench.kinds()
    bench.ask(Do.ACK, run="r1", seq=3)
    bench.ask(Do.EVENTS, run="", after=0)
    assert [push for push in bench.pushed if "event" in push] == []


def test_who_paused_and_who_answered_is_in_the_facts_by_name(bench):
    bench.running()
    bench.session.speaks = [Prompted(Prompt(4, "Purge?", ("Yes", "No"))), Paused()]
    assert bench.ask(Do.PAUSE, by="Ann")["ok"]
    bench.session.speaks = [Replied(4, "Purge?", "No")]
    assert bench.ask(Do.ANSWER, prompt=4, choice=1, by="Bob")["ok"]
    assert bench.session.told[-1] == ("answer", 4, 1)
    bench.session.accepts = False
    assert bench.ask(Do.RESUME, by="Eve")["code"] == "host.not_now"
    bench.session.speaks = [Resumed()]
    bench.machine.tick(3.0)
    bench.ask(Do.EVENTS, run="r1", after=1)
    told = [push["event"] for push in bench.pushed if "event" in push]
    assert [(event["kind"], event.get("by", "")) for event in told] == [
        *(("prompted", ""), ("paused", "Ann"), ("replied", "Bob"), ("resumed", "")),
    ]
    assert told[0]["choices"] == ["Yes", "No"]


@pytest.mark.parametrize(
    ("command", "stopped", "code"),
    [
        ("G28", False, ""),
        ("M104 S280", False, ""),
        ("M104 S281", False, "host.too_hot"),
        ("SET_HEATER_TEMPERATURE HEATER=heater_bed TARGET=40", False, "host.too_hot"),
        ("G28", True, "host.look_first"),
    ],
)
def test_a_button_with_a_command_is_held_against_heat_and_stops(bench, command, stopped, code):
    prompt = Prompt(4, "Now?", ("Do it",), (command,))
    state = replace(bench.session.state, prompt=prompt, stopped=stopped, phase=Phase.IDLE)
    bench.session.state = state
    answer = bench.ask(Do.ANSWER, prompt=4, choice=0, by="Ann")
    assert answer.get("code", "") == code
    assert (("answer", 4, 0) in bench.session.told) is not bool(code)


def test_two_who_ask_at_once_are_each_named_for_what_they_asked(bench):
    bench.running()
    assert bench.ask(Do.PAUSE, by="Ann")["ok"]
    bench.session.accepts = False
    assert not bench.ask(Do.PAUSE, by="Bob")["ok"]
    bench.session.accepts = True
    assert bench.ask(Do.CANCEL, by="Eve")["ok"]
    bench.session.speaks = [Paused(), Cancelled()]
    bench.machine.tick(3.0)
    assert [(one.kind, one.fields.get("by", "")) for one in bench.events[1:]] == [
        ("paused", "Ann"),
        ("cancelled", "Eve"),
    ]


def test_a_hold_by_hand_is_named_and_a_wish_ends_with_its_run(bench):
    bench.running()
    hold = Order(Act.HOLD).to_json()
    bench.session.speaks = [Paused()]
    assert bench.ask(Do.ACT, order=hold, by="Ann")["ok"]
    assert bench.ask(Do.RESUME, by="Ann")["ok"]
    bench.session.speaks = [Finished()]
    bench.session.state = replace(bench.session.state, phase=Phase.IDLE)
    bench.machine.tick(3.0)
    assert bench.start("r2")["ok"]
    bench.session.speaks = [Resumed()]
    bench.machine.tick(4.0)
    named = [one.fields.get("by", "") for one in bench.events if one.kind in ("paused", "resumed")]
    assert named == ["Ann", ""]


def test_a_machine_that_asks_to_be_let_alone_is_and_its_run_is_interrupted(bench):
    bench.running()
    bench.session.speaks = [Attention("machine.asks_disconnect", "")]
    bench.machine.tick(2.0)
    assert bench.session.closed
    bench.ask(Do.EVENTS, run="r1", after=1)
    told = [push["event"]["kind"] for push in bench.pushed if "event" in push]
    assert told == ["attention", "interrupted"]


@pytest.mark.parametrize(
    "message",
    [{}, {"do": 5}, {"do": "dance"}, {"do": "ack"}, {"do": "load_chunk", "program": "x"}],
)
def test_nonsense_is_refused_and_the_conversation_goes_on(bench, message):
    bench.desk.answer(bench.peer, {"id": 3, **message}, 1.0)
    answer = json.loads(bench.far.recv(1 << 16))
    assert (answer["re"], answer["ok"]) == (3, False)
    assert bench.ask(Do.STATE)["ok"]


@pytest.mark.parametrize("line", ["", "G1\nM112", "G1 X1 \x18", "é", "x" * 97, "M500", "m502 S1"])
def test_a_command_is_one_plain_line_that_is_not_forbidden(bench, line):
    assert not bench.ask(Do.COMMAND, line=line)["ok"]
    assert bench.session.told == []
    assert bench.ask(Do.COMMAND, line="M105")["ok"]
    assert bench.session.told == [b"M105"]


@pytest.mark.parametrize("word", [Do.PAUSE, Do.RESUME, Do.CANCEL])
def test_what_the_engine_does_not_take_is_refused_with_the_phase(bench, word):
    bench.session.accepts = False
    answer = bench.ask(word)
    assert (answer["code"], answer["fields"]["phase"]) == ("host.not_now", "idle")


def test_a_start_that_the_engine_does_not_take_ends_the_run_at_once(bench):
    bench.load()
    bench.session.accepts = False
    assert bench.start()["ok"]
    assert bench.kinds() == [("run_started", 1), ("failed", 2)]
    assert bench.machine.is_idle


def test_a_port_lost_at_the_very_start_is_an_interrupted_run(bench, monkeypatch):
    bench.load()

    def lost(program, now, run):
        raise PortError("port.lost", port="x")

    monkeypatch.setattr(bench.session, "start", lost)
    assert bench.start()["ok"]
    assert bench.kinds() == [("run_started", 1), ("interrupted", 2)]


def test_a_broken_session_is_an_interrupted_run_not_a_dead_host(bench):
    bench.running()
    bench.advance(2, 2)
    broken = bench.session
    broken.breaks = ZeroDivisionError("a mistake of ours")
    bench.machine.tick(3.0)
    assert broken.closed
    assert bench.events[-1].kind == "interrupted"
    assert bench.events[-1].fields["reason"] == "host-error"
    bench.machine.tick(4.0)
    assert bench.session.told == [line.encode() for line in bench.config.profile.switch_off]


def test_an_end_told_with_the_ports_last_bytes_is_an_end_not_an_interruption(bench):
    """The cable goes in the same moment as the last answer comes."""
    bench.running()
    bench.advance(4, 4)

    def last_words(now):
        bench.session.publish(Finished())
        raise PortError("port.lost", port="x")

    bench.session.ready = last_words
    bench.machine.tick(3.0)
    assert bench.kinds() == [("run_started", 1), ("finished", 2)]


def test_a_host_retires_only_when_idle(bench):
    bench.running()
    assert bench.ask(Do.RETIRE)["code"] == "host.busy"
    assert not bench.retired
    bench.session.speaks = [Finished()]
    bench.session.state = replace(bench.session.state, phase=Phase.IDLE)
    bench.machine.tick(3.0)
    assert bench.ask(Do.RETIRE)["ok"]
    assert bench.retired


def test_told_to_go_a_run_is_cancelled_and_recorded_as_interrupted(bench):
    bench.running()
    bench.advance(1, 2)
    bench.machine.give_up(3.0)
    assert bench.session.told[-1] == "cancel"
    assert bench.events[-1].kind == "interrupted"
    assert bench.events[-1].fields["reason"] == "told-to-go"
    assert not bench.machine.is_idle
    bench.machine.leave(4.0)
    assert bench.session.told[-1] == "stop", "still moving when patience ends"


@pytest.mark.parametrize(
    ("stream", "index"),
    [
        (STREAM + b"X", INDEX),
        (STREAM[:-1], INDEX),
        (STREAM.replace(b"X10", b"X99"), INDEX),
        (STREAM, INDEX[:-4]),
        (b"G0\n" * 4, INDEX),
    ],
)
def test_a_program_that_is_not_what_was_announced_is_not_kept(bench, stream, index):
    sizes = {"stream_bytes": len(STREAM), "index_bytes": len(INDEX)}
    bench.ask(Do.LOAD_BEGIN, program=PROGRAM, **sizes)
    for part, data in (("stream", stream), ("index", index)):
        bench.ask(Do.LOAD_CHUNK, program=PROGRAM, part=part, data=base64.b64encode(data).decode())
    assert not bench.ask(Do.LOAD_END, program=PROGRAM)["ok"]
    assert bench.start()["code"] == "host.unknown_program"
    assert list((bench.config.state_dir / "programs").iterdir()) == []


@pytest.mark.parametrize("name", ["../../etc/passwd", "", "A" * 64, "0" * 63])
def test_a_program_has_no_name_but_its_hash(bench, name):
    answer = bench.ask(Do.LOAD_BEGIN, program=name, stream_bytes=4, index_bytes=4)
    assert answer["code"] == "host.bad_program"


def test_programs_do_not_pile_up(bench):
    bench.running()
    for number in range(4):
        stream = b"G1 X%d\n" % number
        name = hashlib.sha256(stream).hexdigest()
        bench.ask(Do.LOAD_BEGIN, program=name, stream_bytes=len(stream), index_bytes=4)
        for part, data in (("stream", stream), ("index", b"\1\0\0\0")):
            text = base64.b64encode(data).decode()
            bench.ask(Do.LOAD_CHUNK, program=name, part=part, data=text)
        assert bench.ask(Do.LOAD_END, program=name)["ok"]
        assert bench.programs.get(PROGRAM) is not None, "the one that runs stays"
    assert len(list((bench.config.state_dir / "programs").iterdir())) == 6


def test_the_machines_file_is_read_as_it_was_written(folder, bench):
    write_host_config(folder / "host.json", bench.config)
    assert read_host_config(folder / "host.json") == bench.config


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"schema": 2}, "host.schema"),
        ({"machine": "../x"}, "host.bad_slug"),
        ({"port": None}, "port"),
        ({"profile": {"dialekt": "x"}}, "nearest=dialect"),
    ],
)
def test_a_wrong_file_names_what_is_wrong(folder, bench, change, word):
    path = folder / "host.json"
    path.write_text(json.dumps(bench.config.to_json() | change))
    with pytest.raises(HostError, match=word):
        read_host_config(path)
    path.write_text("{")
    with pytest.raises(HostError, match=r"host\.bad_config"):
        read_host_config(path)


@pytest.mark.parametrize("word", ["Jog", "Home", "Run", "Hold:0", "Door:1", "Check", "Sleep"])
def test_no_run_begins_on_a_machine_that_its_controller_calls_busy(bench, word):
    bench.load()
    assert bench.ask(Do.ACT, order=JOG.to_json(), by="eva")["ok"], "so the motion is ours"
    bench.session.state = replace(bench.session.state, controller=word)
    bench.machine.tick(1.0)
    assert bench.start()["code"] == "host.busy"
    assert bench.machine.run == ""
    bench.session.state = replace(bench.session.state, controller="Idle")
    bench.machine.tick(2.0)
    assert bench.start()["ok"]


JOG = Order(Act.JOG, axes={"X": 5.0}, feedrate=20.0)


def test_an_act_goes_to_the_session_with_the_labs_reach_and_is_told_with_its_name(bench):
    assert bench.ask(Do.ACT, order=JOG.to_json(), by="eva")["ok"]
    reach = {"X": (0.0, 220.0), "Y": (0.0, 210.0), "Z": (0.0, 200.0)}
    assert bench.session.told == [(JOG, reach)]
    told = bench.events[-1]
    assert (told.kind, told.seq, told.fields["by"]) == ("acted", 0, "eva")
    assert told.fields["axes_mm"] == {"X": 5.0}


def test_an_act_that_the_machine_refuses_is_answered_with_its_code_and_not_told(bench):
    bench.session.refuses = "host.out_of_reach"
    assert bench.ask(Do.ACT, order=JOG.to_json(), by="eva")["code"] == "host.out_of_reach"
    assert not bench.events


@pytest.mark.parametrize(
    ("heater", "target", "code"),
    [("nozzle", 281.0, "host.too_hot"), ("bed", 1.0, "host.too_hot"), ("nozzle", 280.0, None)],
)
def test_no_heater_is_set_hotter_than_the_lab_allows(bench, heater, target, code):
    order = Order(Act.HEAT, heater=heater, target=target)
    assert bench.ask(Do.ACT, order=order.to_json(), by="eva").get("code") == code


@pytest.mark.parametrize(
    "change",
    [
        {"act": "dance"},
        {"axes_mm": {"X": 1e9}},
        {"axes_mm": {"E": 1.0}},
        {"axes_mm": {"X": float("nan")}},
        {"axes_mm": {}},
        {"feedrate_mm_s": 0},
        {"feedrate_mm_s": True},
    ],
)
def test_an_order_that_cannot_be_is_refused_before_the_session(bench, change):
    answer = bench.ask(Do.ACT, order=JOG.to_json() | change, by="eva")
    assert answer["code"] == "wire.bad_value"
    assert not bench.session.told


@pytest.mark.parametrize("act", Act)
def test_every_order_is_read_as_it_was_written(act):
    order = Order(act)
    if act is Act.JOG:
        order = JOG
    elif act is Act.HEAT:
        order = Order(act, heater="bed", target=60.0)
    elif act is Act.RAPID:
        order = Order(act, percent=25)
    assert Order.from_json(json.loads(json.dumps(order.to_json()))) == order


def test_while_a_stop_stands_only_what_ends_something_is_taken(bench):
    every = tuple(sorted(Act))
    bench.session.state = replace(bench.session.state, acts=every)
    assert bench.ask(Do.STOP, by="eva")["ok"]
    bench.session.told.clear()
    assert set(bench.machine.snapshot(1.0).acts) == CALMING
    for act in set(Act) - CALMING - {Act.JOG, Act.HEAT}:
        assert bench.ask(Do.ACT, order=Order(act).to_json(), by="eva")["code"] == "host.look_first"
    assert bench.ask(Do.ACT, order=JOG.to_json(), by="eva")["code"] == "host.look_first"
    heat = Order(Act.HEAT, heater="bed", target=60.0)
    assert bench.ask(Do.ACT, order=heat.to_json(), by="eva")["code"] == "host.look_first"
    assert bench.ask(Do.COMMAND, line="G0 X5", by="eva")["code"] == "host.look_first"
    assert bench.ask(Do.KEEP_HEAT, by="eva", seconds=60)["code"] == "host.look_first"
    assert bench.session.told == []
    for act in CALMING:
        assert bench.ask(Do.ACT, order=Order(act).to_json(), by="eva")["ok"]
    assert bench.ask(Do.RECONNECT)["ok"]
    bench.machine.tick(20.0)
    assert bench.ask(Do.ACT, order=JOG.to_json(), by="eva")["ok"]


def test_a_locked_board_starts_nothing_and_says_so(bench):
    bench.load()
    bench.session.state = replace(bench.session.state, controller="Locked")
    bench.machine.tick(30.0)
    assert bench.start()["code"] == "host.locked"
    assert bench.machine.snapshot(30.0).in_use == "", "locked is no motion"


def test_a_tool_change_that_would_go_on_from_another_place_says_so(bench):
    bench.running()
    bench.session.state = replace(bench.session.state, phase=Phase.PAUSED, back={"X": -8.0})
    bench.session.accepts = False
    assert bench.ask(Do.RESUME, by="eva")["code"] == "host.not_at_place"


def test_an_act_that_meets_a_lost_port_is_refused_and_the_port_sought_again(folder):
    bench = Bench(folder, port=False)
    assert bench.ask(Do.ACT, order=JOG.to_json(), by="eva")["code"] == "host.not_connected"
    bench.close()


def test_identify_beeps_or_says_that_it_cannot(bench, folder):
    assert bench.ask(Do.IDENTIFY)["ok"]
    assert bench.session.told == [b"M300 S880 P300", b"M117 fabnode: here I am"]
    mill = Desk(
        replace(bench.config, profile=load_profile("grbl-1.1")),
        bench.machine,
        bench.journal,
        bench.programs,
        bench.retire,
    )
    mill.answer(bench.peer, {"id": 1, "do": Do.IDENTIFY}, 1.0)
    answer = json.loads(bench.far.recv(1 << 20).splitlines()[0])
    assert (answer["ok"], answer["code"]) == (False, "host.cannot_identify")
