"""What dies in the middle of a job, and what is true afterwards."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from node.demo.api import DemoError
from node.demo.hearer import Hearer
from node.demo.lab import SITE

if TYPE_CHECKING:
    from tests.journeys.conftest import Lab

pytestmark = [pytest.mark.journey, pytest.mark.broker, pytest.mark.timeout(180)]

Make = Callable[[int], bytes]


@pytest.fixture
def lab(lone_lab: Lab) -> Lab:
    return lone_lab


def moves(lines: list[str]) -> list[str]:
    return [line for line in lines if line.startswith("G1X")]


def wanted(program: bytes) -> list[str]:
    """The moves of a program as they go over the wire: bare, without blanks."""
    lines = program.decode().splitlines()
    return moves([line.split(" ;")[0].replace(" ", "") for line in lines])


PAGE_LAG_S = 2.0  # a host tells its state each half second, on a busy computer later
AHEAD = 40  # lines that are acknowledged and still in the firmware's queue and planner
HEATING = 0.1  # of the planned time


@contextmanager
def looking(lab: Lab) -> Iterator[httpx.Client]:
    """A person at a browser, signed in by the link that the demo prints."""
    with httpx.Client(base_url=lab.demo.address, timeout=30, trust_env=False) as browser:
        answer = browser.post(f"/sign-in/link/{lab.demo.keys.admin_link}")
        assert answer.status_code == 303, answer.text
        yield browser


def shown_progress(page: str) -> float:
    """The share that a job's page shows, and says in words."""
    bar = re.search(r'<progress max="1" value="([\d.]+)"', page)
    words = re.search(r'data-f="percent">\s*(\d+)', page)
    assert bar is not None, page
    assert words is not None, page
    assert float(words[1]) / 100 == pytest.approx(float(bar[1]), abs=0.011)
    return float(bar[1])


def made_by_now(lab: Lab) -> int:
    return len(moves(lab.executed("printer-1")))


def test_a_killed_node_finds_its_job_again_and_accounts_for_it_once(
    lab: Lab, program: Make
) -> None:
    text = program(3000)  # still at it when the second node comes up, on a busy computer too
    with looking(lab) as browser:
        job = lab.submit(text)
        lab.arm()
        before = lab.wait_for_line(job, 60)["job"]["run"]
        host = lab.demo.host_pid("printer-1")
        lab.demo.kill_node()
        at_kill = made_by_now(lab)
        time.sleep(1.0)
        assert made_by_now(lab) > at_kill, "the host goes on without a node"
        lab.demo.start_node()
        assert lab.demo.host_pid("printer-1") == host
        after = lab.wait_for_line(job, before["line"] + 1)["job"]["run"]
        assert before["progress"] < after["progress"] < 1.0
        made = made_by_now(lab)
        time.sleep(PAGE_LAG_S)
        shown = shown_progress(browser.get(f"/jobs/{job}").text)
        lines = len(text.splitlines())
        # The moves are alike, so their share of the program is their share of its time: only the
        # heating before them is a little more than its lines.
        assert made / lines <= shown <= (made_by_now(lab) + AHEAD) / lines + HEATING
    detail = lab.wait_for_job(job, "done", timeout_s=90)
    assert moves(lab.executed("printer-1")) == wanted(text)
    assert len(detail["attempts"]) == 1
    assert detail["attempts"][0]["acked_lines"] == detail["attempts"][0]["total_lines"]
    assert len(detail["records"]) == 1
    assert lab.operator.get("/records/verify")["ok"]


def test_a_job_that_ends_while_the_node_is_dead_is_accounted_for_at_its_return(
    lab: Lab, program: Make
) -> None:
    job = lab.submit(program(150))
    lab.arm()
    lab.wait_for_line(job, 20)
    lab.demo.kill_node()
    deadline = time.monotonic() + 40
    while "M107" not in lab.executed("printer-1") and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(0.5)
    lab.demo.start_node()
    detail = lab.wait_for_job(job, "done")
    assert len(detail["records"]) == 1


def test_a_killed_host_leaves_the_job_interrupted_and_it_never_goes_on_by_itself(
    lab: Lab, program: Make
) -> None:
    text = program(600)
    job = lab.submit(text)
    lab.arm()
    lab.wait_for_line(job, 60)
    os.kill(lab.demo.host_pid("printer-1"), signal.SIGKILL)
    detail = lab.wait_for_job(job, "held")
    assert detail["job"]["hold_reason"] == "interrupted"
    attempt = detail["attempts"][0]
    assert attempt["state"] == "interrupted"
    # Without the remark in its first line, the program's lines are the stream's.
    assert 60 <= attempt["line"] == attempt["acked_lines"] + 1 <= 600
    # What was acknowledged was executed, or lay in the planner: never more than was sent.
    made = moves(lab.executed("printer-1"))
    assert attempt["acked_lines"] - 10 <= len(made) <= attempt["sent_lines"]
    until = time.monotonic() + 30  # a host that begins anew on a busy computer takes its time
    while "M104S0" not in lab.executed("printer-1")[-12:] and time.monotonic() < until:
        time.sleep(0.2)
    assert "M104S0" in lab.executed("printer-1")[-12:], "heat is switched off"
    time.sleep(3)
    assert len(moves(lab.executed("printer-1"))) == len(made), "nothing moves by itself"
    lab.arm()
    time.sleep(2)
    assert lab.job(job)["job"]["state"] == "held", "only a person releases it"
    steps = {step["name"]: step["state"] for step in lab.job(job)["steps"]}
    assert steps["announce"] == "done", "the network has heard of the interruption"
    assert len(lab.job(job)["records"]) == 1


def outbox_ids(lab: Lab) -> list[str]:
    with closing(sqlite3.connect(f"file:{lab.demo.home}/fabnode.db?mode=ro", uri=True)) as books:
        return [row[0] for row in books.execute("SELECT id FROM outbox ORDER BY seq")]


def test_with_the_broker_down_every_message_waits_and_then_arrives_once(
    lab: Lab, program: Make
) -> None:
    broker = lab.demo.broker
    assert broker is not None
    hearer = Hearer(broker.port, SITE, remembered_s=600)
    try:
        job = lab.submit(program(30))
        assert hearer.wait_for("org.fabnode.job.queued.v1", job, 20) is not None
        broker.stop()
        lab.arm()
        lab.wait_for_job(job, "done")
        assert lab.operator.get("/health")["outbox_waiting"] > 0
        broker.start()
        lab.operator.wait("/health", lambda health: health["outbox_waiting"] == 0, 60)
        assert hearer.wait_for("org.fabnode.material.consumed.v1", job, 20) is not None
        # All that became true, in that order, and each once by its id.
        assert [event["id"] for event in hearer.events] == outbox_ids(lab)
        words = [event["type"].split(".", 2)[2] for event in hearer.events]
        assert words == [
            "job.queued.v1",
            "job.started.v1",
            "job.finished.v1",
            "usage.recorded.v1",
            "material.consumed.v1",
        ]
    finally:
        hearer.close()


def test_stop_all_works_with_the_node_dead(lab: Lab, program: Make) -> None:
    job = lab.submit(program(900))
    lab.arm()
    lab.wait_for_line(job, 30)
    lab.demo.kill_node()
    done = subprocess.run(
        [sys.executable, "-m", "node", "stop", "--all"],
        env={**os.environ, "FABNODE_HOME": str(lab.demo.home)},
        cwd=Path.cwd(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 3
    time.sleep(0.5)
    made = len(moves(lab.executed("printer-1")))
    time.sleep(2)
    assert len(moves(lab.executed("printer-1"))) == made
    lab.demo.start_node()
    detail = lab.wait_for_job(job, "failed", "cancelled", "held")
    assert len(detail["records"]) == 1
    machine = lab.operator.get("/machines/printer-1")
    assert machine["state"] not in {"idle", "running"}, "a person must look first"


def test_a_printer_that_somebody_heats_at_its_display_gets_no_job_until_it_is_said_to_be_free(
    lab: Lab, program: Make
) -> None:
    """The display is played by another process that writes to the board past our host."""
    board = (lab.demo.folder / "ports" / "printer-1").resolve()
    lab.operator.wait("/machines/printer-1", lambda one: one["state"] in {"idle", "to-check"}, 20)
    with board.open("wb", buffering=0) as display:
        display.write(b"\nM104 S150\n")
    told = lab.operator.wait("/machines/printer-1", lambda one: one["in_use"] == "heat", 20)
    assert told["state"] == "attention"
    job = lab.submit(program(5))
    lab.stand_at()
    with pytest.raises(DemoError, match="cannot be done now"):
        lab.operator.post("/machines/printer-1/arm")
    assert lab.job(job)["job"]["state"] == "waiting"
    lab.operator.post("/machines/printer-1/free")
    lab.arm()
    lab.wait_for_job(job, "done")
