"""What dies in the middle of a job, and what is true afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

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


def test_a_killed_node_finds_its_job_again_and_accounts_for_it_once(
    lab: Lab, program: Make
) -> None:
    text = program(400)
    job = lab.submit(text)
    lab.arm()
    before = lab.wait_for_line(job, 60)["job"]["run"]
    host = lab.demo.host_pid("printer-1")
    lab.demo.kill_node()
    at_kill = len(moves(lab.executed("printer-1")))
    time.sleep(1.0)
    assert len(moves(lab.executed("printer-1"))) > at_kill, "the host goes on without a node"
    lab.demo.start_node()
    assert lab.demo.host_pid("printer-1") == host
    after = lab.operator.wait(
        f"/jobs/{job}",
        lambda one: one["job"]["state"] == "done" or one["job"]["run"]["line"] > before["line"],
        20,
        0.05,
    )["job"]
    if after["run"] is not None:
        assert before["progress"] <= after["run"]["progress"] <= 1.0
    detail = lab.wait_for_job(job, "done")
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
    assert 60 <= attempt["line"] <= 600
    # What was acknowledged was executed, or lay in the planner: never more than was sent.
    made = moves(lab.executed("printer-1"))
    assert attempt["acked_lines"] - 10 <= len(made) <= attempt["sent_lines"]
    time.sleep(3)
    assert len(moves(lab.executed("printer-1"))) == len(made), "nothing moves by itself"
    assert "M104S0" in lab.executed("printer-1")[-12:], "heat is switched off"
    lab.arm()
    time.sleep(2)
    assert lab.job(job)["job"]["state"] == "held", "only a person releases it"
    steps = {step["name"]: step["state"] for step in lab.job(job)["steps"]}
    assert steps["announce"] == "done", "the network has heard of the interruption"
    assert len(lab.job(job)["records"]) == 1


def test_with_the_broker_down_the_message_waits_and_then_arrives_once(
    lab: Lab, program: Make
) -> None:
    broker = lab.demo.broker
    assert broker is not None
    job = lab.submit(program(30))
    broker.stop()
    lab.arm()
    lab.wait_for_job(job, "done")
    assert lab.operator.get("/health")["outbox_waiting"] > 0
    broker.start()
    hearer = Hearer(broker.port, SITE)
    try:
        assert hearer.wait_for("org.fabnode.job.finished.v1", job, 40) is not None
        lab.operator.wait("/health", lambda health: health["outbox_waiting"] == 0, 20)
        finished = [e for e in hearer.events if e["type"] == "org.fabnode.job.finished.v1"]
        assert len(finished) == 1
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
