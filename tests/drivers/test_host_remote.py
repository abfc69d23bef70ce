"""A host fed by a controller that keeps its own queue: the other side of the seam."""

from __future__ import annotations

import hashlib
import importlib.util
import itertools
import json
import struct
import subprocess
import sys
from base64 import b64encode
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from drivers.errors import HostError
from drivers.host.config import HostConfig, read_host_config, write_host_config
from drivers.host.links import LINKS, link_of
from drivers.host.machine import Machine
from drivers.host.programs import ProgramStore
from drivers.host.seam import MachineSession
from drivers.host.upkeep import ALONE_MAX_S
from drivers.journal import Journal
from drivers.profile import load_profile
from drivers.session import Session
from drivers.snapshot import Phase


def _toy() -> ModuleType:
    # The tests are no package, so a neighbour is loaded by its path.
    spec = importlib.util.spec_from_file_location(
        "remote_toy", Path(__file__).with_name("remote_toy.py")
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


TOY = _toy()
LINES = [b"G1X%d" % n for n in range(100)]
STREAM = b"".join(line + b"\n" for line in LINES)
INDEX = struct.pack(f"<{len(LINES)}I", *range(11, 11 + len(LINES)))
METHODS = (
    *("fileno", "deadline", "ready", "start", "adopt", "pause", "resume", "cancel", "stop"),
    *("command", "act", "snapshot", "reset_on_close", "close", "wants_write", "works_alone"),
)


class House:
    """One machine with a toy controller, a journal and a program."""

    def __init__(self, folder: Path) -> None:
        self.controller = TOY.ToyController()
        self.config = HostConfig(
            machine="anna",
            kind="fdm",
            port=self.controller.address,
            baud=115200,
            profile=load_profile("marlin-2"),
            limits_sha256="limits",
            socket=folder / "s",
            state_dir=folder,
            link="toy",
        )
        self.journal = Journal(folder)
        self.programs = ProgramStore(folder / "programs")
        self.events = []
        clock = itertools.count(1)
        self.machine = Machine(
            self.config, self.journal, TOY.ToySession, self.events.append, lambda: next(clock)
        )
        self.now = 0.0
        self.program = self._load()

    def _load(self):
        name = hashlib.sha256(STREAM).hexdigest()
        assert not self.programs.begin(name, len(STREAM), len(INDEX))
        self.programs.take(name, "stream", b64encode(STREAM).decode())
        self.programs.take(name, "index", b64encode(INDEX).decode())
        self.programs.end(name, "")
        program = self.programs.get(name)
        assert program is not None
        return program

    def turn(self, work: int = 0) -> None:
        self.now += 0.1
        self.machine.tick(self.now)
        self.controller.step(work)
        self.machine.tick(self.now)

    def until(self, true, work: int = 0) -> None:
        for _ in range(300):
            if true():
                return
            self.turn(work)
        raise AssertionError((self.state, self.controller.state, self.kinds))

    def start(self, run: str = "r1") -> None:
        self.until(lambda: self.state.phase is Phase.IDLE)
        self.machine.start(run, self.program, {}, self.now)

    def working(self) -> House:
        self.start()
        self.until(lambda: self.controller.state == "working")
        self.until(lambda: self.state.acked > 10, work=20)
        return self

    @property
    def state(self):
        return self.machine.snapshot(self.now)

    @property
    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]

    def close(self) -> None:
        self.machine.disconnect(self.now)
        self.controller.close()
        self.programs.close()
        self.journal.close()


@pytest.fixture
def house(tmp_path: Path):
    house = House(tmp_path)
    yield house
    house.close()


def test_the_whole_file_goes_over_and_its_progress_is_counted_in_lines(house):
    house.start()
    house.until(lambda: house.controller.state == "working")
    assert bytes(house.controller.file) == STREAM
    house.until(lambda: house.state.acked >= 50, work=30)
    progress = house.journal.progress
    assert progress is not None
    assert (progress.total, progress.acked) == (100, house.state.acked)
    assert progress.source_line == 10 + progress.acked
    house.until(lambda: not house.machine.run, work=60)
    assert house.controller.done == LINES
    assert house.kinds == ["connected", "run_started", "finished"]


def test_pause_resume_and_cancel_reach_it_and_come_back_as_facts(house):
    house.working()
    session = house.machine.session
    assert session.pause(house.now)
    house.until(lambda: "paused" in house.kinds)
    assert house.state.phase is Phase.PAUSED
    assert session.resume(house.now)
    house.until(lambda: "resumed" in house.kinds)
    assert session.cancel(house.now)
    house.until(lambda: not house.machine.run)
    assert house.kinds[-1] == "cancelled"
    assert not session.pause(house.now), "nothing runs"


def test_a_stop_has_left_when_it_returns_even_in_mid_upload(house):
    house.start()
    house.machine.stop("eva", house.now)
    house.until(lambda: "stopped" in house.kinds)
    stopped = house.events[-1]
    assert (stopped.kind, stopped.fields["by"]) == ("stopped", "eva")


def test_what_a_lost_connection_leaves_working_is_taken_up_again(house):
    house.working()
    house.controller.hang_up()
    house.until(lambda: house.machine.session is None)
    assert house.machine.run == "r1", "it works on without us"
    assert house.state.phase is Phase.CONNECTING
    house.until(lambda: house.state.phase is Phase.STREAMING, work=1)
    house.until(lambda: not house.machine.run, work=60)
    assert house.kinds[-1] == "finished"
    assert house.controller.done == LINES


def test_an_end_that_came_while_nobody_listened_is_told_when_we_are_back(house):
    house.working()
    house.controller.hang_up()
    house.until(lambda: house.machine.session is None)
    house.controller._work(10_000)
    assert house.controller.end == "finished"
    house.until(lambda: not house.machine.run)
    assert house.kinds.count("finished") == 1
    assert "interrupted" not in house.kinds


def test_a_controller_that_has_forgotten_the_run_leaves_it_interrupted(house):
    house.working()
    house.controller.hang_up()
    house.controller.run, house.controller.state = "", "idle"
    house.until(lambda: not house.machine.run)
    fact = next(event for event in house.events if event.kind == "interrupted")
    assert (fact.fields["reason"], fact.fields["total"]) == ("port-lost", 100)


def test_a_stop_that_could_not_reach_it_is_given_when_it_is_back(house):
    house.working()
    house.controller.hang_up()
    house.until(lambda: house.machine.session is None)
    with pytest.raises(HostError):
        house.machine.stop("eva", house.now)
    house.until(lambda: "stopped" in house.kinds, work=1)
    assert house.controller.state == "stopped"


def test_a_controller_that_stays_away_is_given_up(house):
    house.working()
    house.controller.close()
    house.until(lambda: house.machine.session is None)
    house.now += ALONE_MAX_S
    house.until(lambda: not house.machine.run)
    assert house.kinds[-1] == "interrupted"


def test_what_it_was_doing_before_we_came_is_not_ours_to_end(house):
    house.controller.state, house.controller.run = "paused", "somebody's"
    house.until(lambda: house.state.connected)
    with pytest.raises(HostError):
        house.machine.start("r1", house.program, {}, house.now)


def test_bytes_become_whole_lines(house):
    program = house.program
    assert program.read(0, program.size) == STREAM
    for line in (0, 1, 57, 100):
        assert program.lines_before(program.offset(line)) == line
        assert program.lines_before(program.offset(line) - 1) == max(line - 1, 0)
    assert program.lines_before(10 * program.size) == 100


# -- the choice of a link -------------------------------------------------------------------


@pytest.mark.parametrize("session", [Session, TOY.ToySession])
@pytest.mark.parametrize("method", METHODS)
def test_a_session_has_all_that_the_seam_names(session, method):
    assert hasattr(session, method)
    assert hasattr(MachineSession, method)


def test_the_link_is_a_word_in_host_json_and_an_older_file_means_a_cable(house, tmp_path):
    file = tmp_path / "host.json"
    write_host_config(file, house.config)
    assert read_host_config(file).link == "toy"
    values = json.loads(file.read_text())
    del values["link"]
    file.write_text(json.dumps(values))
    assert read_host_config(file).link == "serial"
    assert link_of(read_host_config(file)) is LINKS["serial"]


def test_a_link_that_there_is_not_names_those_there_are(house, tmp_path):
    with pytest.raises(HostError) as error:
        link_of(replace(house.config, link="carrier-pigeon"))
    assert error.value.fields == {"link": "carrier-pigeon", "known": ", ".join(LINKS)}
    file = tmp_path / "host.json"
    write_host_config(file, replace(house.config, link="carrier-pigeon"))
    host = subprocess.run(
        [sys.executable, "-m", "drivers.host", str(file)],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert host.returncode == 1
    assert host.stderr.startswith("There is no link “carrier-pigeon”")
