"""`fabnode start` and `fabnode resume` against the real app: shown, confirmed by words, by name."""

from __future__ import annotations

import getpass
import io
import socket
import sys
import threading
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
import uvicorn

from jobs.services.live import LiveState
from jobs.services.workshop import LiveOffsets
from node.cli import main
from node.cli.calling import Caller
from tests.there import display_at
from tests.web.conftest import PASSWORD

PROGRAM = b"G28\nM109 S210\nG90\nM82\nG92 E0\nG1 X60 Y60 Z0.2 F6000\n" + b"".join(
    b"G1 X%d Y60 E%d F1800\n" % (60 + n, n + 1) for n in range(40)
)
MILLED = b"G21 G90 G94\nM3 S8000\nG1 X10 Y10 F300\nM5\nM30\n"
CHECKED = 5  # items of a mill's checklist, with "I stand here"


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def address(lab) -> Iterator[str]:
    """The lab's app behind a real socket."""
    door = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(lab.app(), log_level="warning", access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [door]}, daemon=True)
    thread.start()
    until = time.monotonic() + 30
    while not server.started:
        assert time.monotonic() < until
        time.sleep(0.02)
    yield f"http://127.0.0.1:{door.getsockname()[1]}"
    server.should_exit = True
    thread.join(30)
    door.close()


@pytest.fixture
def typed(lab, address, monkeypatch):
    """Type a command as *login*, then *answers*, one a line; code, stdout, stderr."""

    def run(login: str, words: str, *answers: str) -> tuple[int, str, str]:
        _, key = lab.services.people.make_api_key(lab.people[login], "terminal", lab.now)
        monkeypatch.setenv("FABNODE_KEY", key)
        monkeypatch.setattr(getpass, "getpass", lambda _prompt: PASSWORD)
        screens = Screen("".join(f"{one}\n" for one in answers)), Screen(), Screen()
        for name, screen in zip(("stdin", "stdout", "stderr"), screens, strict=True):
            monkeypatch.setattr(sys, name, screen)
        code = main([*words.split(), "--node", address])
        return code, screens[1].getvalue(), screens[2].getvalue()

    return run


def queued(lab, login="mia", machine="ender", data=PROGRAM):
    job = lab.services.queue.submit(
        lab.people[login],
        name="part.gcode" if machine == "ender" else "part.nc",
        data=io.BytesIO(data),
        machine_slug=machine,
        now=lab.now,
    )
    lab.services.preparation.prepare_next(lab.clock)
    return job


def code_of(lab, slug):
    """Return what reads a machine's display, half a minute later each time."""
    display = display_at(lab.services, lab.people["ada"], slug, lab.now)

    def read() -> str:
        lab.now += timedelta(seconds=30)
        return lab.services.devices.shown(display, lab.now).code

    return read


def state_of(lab, job) -> str:
    return lab.services.queue.get(job.id, lab.now, lab.people["ada"]).job.state.value


def armed(lab, slug):
    return lab.services.machines.get(slug, lab.now, None).armed


def test_a_person_starts_a_job_by_its_number_and_their_word(lab, typed):
    job = queued(lab)
    code, out, err = typed("mia", f"start {job.number} --machine ender", "yes")
    assert (code, err) == (0, "")
    assert out.startswith("You are Mia at http://127.0.0.1:")
    assert "You stand at Ender by the window" in out
    assert "has begun at Ender by the window" in out
    assert state_of(lab, job) == "running"
    assert lab.gateway.calls == [("start", "ender")]
    assert armed(lab, "ender") is None, "used up"


def test_who_cannot_sign_in_starts_nothing_though_the_key_is_good(lab, typed, monkeypatch):
    job = queued(lab)
    lab.services.people.set_password(
        lab.people["mia"].person_id, "another password", lab.now, old=PASSWORD
    )
    code, _, err = typed("mia", f"start {job.id} --machine ender", "yes")
    assert (code, lab.gateway.calls) == (1, [])
    assert "nothing was started" in err


def test_anything_but_the_whole_word_starts_nothing(lab, typed):
    job = queued(lab)
    for answer in ("", "y", "no", "yes please"):
        code, _, err = typed("mia", f"start {job.id} --machine ender", answer)
        assert (code, lab.gateway.calls) == (1, [])
        assert "nothing was started" in err
    assert state_of(lab, job) == "waiting"


def test_a_start_that_is_refused_leaves_no_word_behind(lab, typed):
    job = queued(lab)
    lab.gateway.refuses["start", "ender"] = "host.busy"
    code, _, err = typed("mia", f"start {job.id} --machine ender", "yes")
    assert code == 1
    assert "The machine is at work" in err
    assert armed(lab, "ender") is None


def test_who_may_not_hears_every_reason(lab, typed):
    job = queued(lab)
    lab.workshop.live.put("ender", LiveState(phase="idle", connected=True, stopped=True))
    code, _, err = typed("otto", f"start {job.id} --machine ender", "yes")
    assert code == 1
    assert "The machine is not free now" in err
    code, _, err = typed("gus", f"start {job.id} --machine ender", "yes")
    assert code == 1
    assert not lab.gateway.calls


def test_a_mill_asks_for_its_whole_checklist(lab, typed):
    job = queued(lab, machine="router", data=MILLED)
    zero = {"G54": (-250.0, -150.0, -30.0), "G92": (0.0, 0.0, 0.0), "TLO": (0.0,)}
    reach = {"X": (-300.0, 0.0), "Y": (-200.0, 0.0), "Z": (-60.0, 0.0)}
    lab.gateway.told = LiveOffsets(zero, ("G54",), reach, homed=True, can_home=True)
    words = f"start {job.id} --machine router"
    code_at = code_of(lab, "router")
    for given in range(CHECKED):
        code, out, _ = typed("mia", words, code_at(), *["yes"] * given, "no")
        assert (code, out.count("Type yes")) == (1, given + 1)
    assert not lab.gateway.orders
    code, out, err = typed("mia", words, code_at(), *["yes"] * CHECKED)
    assert (code, err) == (0, "")
    assert "X -250.00 Y -150.00 Z -30.00 mm" in out
    assert state_of(lab, job) == "running"


def test_a_mill_whose_offsets_do_not_fit_is_not_even_asked_about(lab, typed):
    job = queued(lab, machine="router", data=MILLED)
    lab.gateway.told = "host.not_now"
    read = code_of(lab, "router")()
    code, out, err = typed("mia", f"start {job.id} --machine router", read, *["yes"] * CHECKED)
    assert code == 1
    assert "Type yes" not in out
    assert err.startswith("fabnode: ")
    assert not lab.gateway.orders


def interrupted(lab):
    job = queued(lab)
    lab.services.dispatch.arm(lab.people["mia"], "ender", lab.now)
    (run,) = lab.services.dispatch.tick(lab.now)
    event = {"run": run, "at_us": int(lab.now.timestamp() * 1e6), "kind": "interrupted", "seq": 1}
    extent = {"acked": 30, "sent": 36, "total": 46, "source_line": 30, "planner_blocks": 4}
    lab.services.runs.apply("ender", {**event, **extent, "reason": "port-lost"}, lab.now)
    lab.gateway.calls.clear()
    return job


def test_an_interrupted_job_goes_on_exactly_as_it_was_shown(lab, typed):
    job = interrupted(lab)
    code, out, err = typed("mia", f"resume {job.number} --height 0.2", "yes", "yes")
    assert (code, err) == (0, "")
    assert "Everything before line 27 of the file was surely made" in out
    assert "M109" in out
    assert "Then the program from line 27 on" in out
    assert state_of(lab, job) == "running"
    sent = lab.gateway.orders[-1].stream.read_text().splitlines()
    shown = [line.strip() for line in out.splitlines() if line.startswith("  ")]
    assert sent[: len(shown)] == shown


def test_unread_lines_are_not_sent(lab, typed):
    job = interrupted(lab)
    code, out, _ = typed("mia", f"resume {job.id} --line 30 --height 0.2", "")
    assert code == 1
    assert "Then the program from line 30 on" in out
    assert state_of(lab, job) == "held"
    assert not lab.gateway.calls


def test_a_job_that_was_not_interrupted_is_not_gone_on_with(lab, typed):
    job = queued(lab)
    code, _, err = typed("mia", f"resume {job.id}", "yes", "yes")
    assert (code, lab.gateway.calls) == (1, [])
    assert err.startswith("fabnode: ")


def test_a_query_in_the_path_is_asked_too(lab, address):
    _, key = lab.services.people.make_api_key(lab.people["mia"], "terminal", lab.now)
    with Caller(address, key) as node:
        assert len(node.get("/machines/ender/proposals")) > 2
        assert len(node.get("/machines/ender/proposals?count=2")) == 2
        assert len(node.get("/machines/ender/proposals", count="2")) == 2
        assert len(node.get("/machines/ender/proposals?length_min=30", count="1")) == 1


def complaint(monkeypatch, words: str, key: str | None, *, is_terminal: bool = True) -> str:
    monkeypatch.delenv("FABNODE_KEY", raising=False)
    if key is not None:
        monkeypatch.setenv("FABNODE_KEY", key)
    screen = Screen()
    monkeypatch.setattr(sys, "stdin", Screen("yes\n") if is_terminal else io.StringIO("yes\n"))
    monkeypatch.setattr(sys, "stdout", Screen())
    monkeypatch.setattr(sys, "stderr", screen)
    assert main(words.split()) == 1
    assert screen.getvalue().count("\n") <= 2
    return screen.getvalue()


def test_without_a_key_a_terminal_or_a_node_it_says_what_to_do(lab, address, monkeypatch):
    start = "start 1 --machine ender --node"
    assert "Make a key on your page" in complaint(monkeypatch, f"{start} {address}", None)
    assert "not known" in complaint(monkeypatch, f"{start} {address}", "wrong")
    assert "holds no key" in complaint(monkeypatch, f"{start} {address}", "schlüssel")
    said = complaint(monkeypatch, f"{start} {address}", "x", is_terminal=False)
    assert "asks a person at a terminal" in said
    assert "No node answers" in complaint(monkeypatch, f"{start} http://127.0.0.1:9", "x")
    assert "no address" in complaint(monkeypatch, f"{start} fab.local", "x")
    assert not lab.gateway.calls
